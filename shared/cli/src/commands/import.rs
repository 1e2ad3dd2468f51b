//! Owners, keys, budgets and routes from another place: a plan that is shown, then done.

use farebox_api::{CreateKey, CreatedKey, KeyList, PutBudget, PutOrg, PutTeam, PutUser};
use reqwest::Method;
use serde_json::{Value, json};

use super::{path, table};
use crate::args::Import;
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::Output;
use crate::progress::Progress;

pub(super) mod litellm;
pub(super) mod sheet;

/// The most lines that one file has.
const STEPS_MAX: usize = 10_000;

/// One thing to do, and the line that says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    line: usize,
    what: Act,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Makes an organisation, a team or a user.
    Owner(&'static str, String, Value),
    /// Makes a key; its secret is shown once.
    Key(CreateKey),
    /// Sets a budget.
    Budget(String, PutBudget),
    /// Makes a route: a name that stands for models.
    Route(String, Value),
    /// Says what no file should do: a secret is typed.
    ByHand(String),
}

/// A fault in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    line: usize,
    field: String,
    rule: String,
}

impl Fault {
    fn new(line: usize, field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { line, field: field.into(), rule: rule.into() }
    }
}

/// `farebox import …`
pub async fn import(client: &Client, command: Import) -> Result<Output, Failure> {
    let (file, apply) = match &command {
        Import::Litellm { file, apply, .. } | Import::Csv { file, apply } => (file.clone(), *apply),
    };
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::new(format!("{file}: {error}"), "name a file that can be read")
    })?;
    let plan = match &command {
        Import::Litellm { owner, .. } => litellm::plan(&text, owner),
        Import::Csv { .. } => sheet::plan(&text),
    };
    let plan = plan.map_err(|faults| refused(&file, &faults))?;
    if plan.len() > STEPS_MAX {
        return Err(Failure::new(format!("{file}: more than {STEPS_MAX} steps"), "split the file"));
    }
    let keys: KeyList = client.all(&path("keys"), "keys").await?.parse()?;
    let plan: Vec<_> = plan.into_iter().filter(|step| !is_there(step, &keys)).collect();
    if !apply {
        let rows = table(&["LINE", "WHAT", "OF"], &plan, |step| {
            let (what, of) = step.told();
            vec![step.line.to_string(), what, of]
        });
        let text = format!("{rows}\n\nNothing is changed yet: the same with --apply does it.");
        return Ok(Output::new(shown(&plan), text));
    }
    done(client, &file, &plan).await
}

/// A key of that name is its user's already: a second run makes no second one.
fn is_there(step: &Step, keys: &KeyList) -> bool {
    let Act::Key(wanted) = &step.what else { return false };
    let mut same = keys.keys.iter().filter(|key| key.user == wanted.user);
    same.any(|key| key.name == wanted.name && key.state == "active")
}

async fn done(client: &Client, file: &str, plan: &[Step]) -> Result<Output, Failure> {
    let progress = Progress::steps(file_name(file), plan.len());
    let (mut told, mut secrets) = (Vec::new(), Vec::new());
    for step in plan {
        match step.run(client).await {
            Ok(None) => {}
            Ok(Some(created)) => {
                secrets.push(json!({"user": created.key.user, "id": created.key.id,
                                    "name": created.key.name, "secret": created.secret}));
                told.push(format!(
                    "{}  key {} of {}",
                    created.secret, created.key.name, created.key.user
                ));
            }
            Err(failure) => {
                let message = format!(
                    "{file}, line {}: {}\nWhat stands before it is done; these keys are made:\n{}",
                    step.line,
                    failure.message(),
                    told.join("\n")
                );
                let next = "correct the line and import the file again: what is there stays";
                return Err(Failure::new(message, next));
            }
        }
        progress.more(1);
    }
    drop(progress);
    let by_hand = plan.iter().filter_map(|step| match &step.what {
        Act::ByHand(command) => Some(format!("still to type: {command}")),
        _ => None,
    });
    let mut lines = told.clone();
    if !secrets.is_empty() {
        lines.push("The lines above are shown this once: store them now.".to_owned());
    }
    lines.extend(by_hand);
    lines.push(format!("{} steps are done.", plan.len()));
    Ok(Output::new(json!({"steps": shown(plan), "keys": secrets}), lines.join("\n")))
}

/// What the bar is called: the name is the operator's own.
const fn file_name(_: &str) -> &'static str {
    "importing"
}

fn shown(plan: &[Step]) -> Value {
    let steps = plan.iter().map(|step| {
        let (what, of) = step.told();
        json!({"line": step.line, "what": what, "of": of})
    });
    steps.collect()
}

fn refused(file: &str, faults: &[Fault]) -> Failure {
    let lines = faults
        .iter()
        .map(|fault| format!("{file}, line {}, {}: {}", fault.line, fault.field, fault.rule));
    let message = format!("nothing is changed:\n{}", lines.collect::<Vec<_>>().join("\n"));
    Failure::new(message, "correct these lines")
}

impl Step {
    fn told(&self) -> (String, String) {
        match &self.what {
            Act::Owner(kind, id, body) => (format!("{kind} {id}"), body.to_string()),
            Act::Key(key) => (format!("key {}", key.name), format!("user {}", key.user)),
            Act::Budget(scope, budget) => {
                let limits = [
                    ("month", &budget.month_limit_usd),
                    ("day", &budget.day_limit_usd),
                    ("total", &budget.total_limit_usd),
                ];
                let limits = limits
                    .iter()
                    .filter_map(|(name, limit)| Some(format!("{name} {}", limit.as_ref()?)));
                let mode = budget.mode.as_deref().unwrap_or("hard");
                let told = limits.collect::<Vec<_>>().join(", ");
                (format!("budget of {scope}"), format!("{told}, {mode}"))
            }
            Act::Route(name, body) => (format!("route {name}"), body.to_string()),
            Act::ByHand(command) => ("type yourself".to_owned(), command.clone()),
        }
    }

    async fn run(&self, client: &Client) -> Result<Option<CreatedKey>, Failure> {
        match &self.what {
            Act::Owner(kind, id, body) => {
                let at = path(&format!("{kind}s/{}", encoded(id)));
                client.send(Method::PUT, &at, body, None).await?;
            }
            Act::Key(key) => {
                let made = client.send(Method::POST, &path("keys"), key, None).await?;
                return Ok(Some(made.parse()?));
            }
            Act::Budget(scope, budget) => {
                let at = path(&format!("budgets/{}", encoded(scope)));
                client.send(Method::PUT, &at, budget, Some("*")).await?;
            }
            Act::Route(name, body) => {
                let at = path(&format!("routes/{}", encoded(name)));
                client.send(Method::PUT, &at, body, Some("*")).await?;
            }
            Act::ByHand(_) => {}
        }
        Ok(None)
    }
}

/// A new organisation, team or user.
fn owner(kind: &'static str, id: &str, name: Option<String>, of: [Option<String>; 2]) -> Act {
    let [org, team] = of;
    let body = match kind {
        "org" => json!(PutOrg { name }),
        "team" => json!(PutTeam { name }),
        _ => json!(PutUser { name, org, team, ..PutUser::default() }),
    };
    Act::Owner(kind, id.to_owned(), body)
}

/// Whether a text is the identity of an owner.
fn is_id(text: &str) -> bool {
    text.parse::<farebox_core::EntityId>().is_ok()
}

//! Owners, keys, budgets and routes from another place: a plan that is shown, then done.

use farebox_api::{CreateKey, CreatedKey, KeyList, PutBudget};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::access::settable;
use super::money::unchanged;
use super::{path, table};
use crate::args::{BudgetChange, Import, Once};
use crate::client::{ABSENT, Client, encoded};
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

/// What is done. What the file does not say stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Makes an organisation, a team or a user.
    Owner(&'static str, String, Map<String, Value>),
    /// Makes a key; its secret is shown once.
    Key(CreateKey),
    /// Sets a budget.
    Budget(String, PutBudget),
    /// Makes a route: a name that stands for models.
    Route(String, Map<String, Value>),
    /// Asks for a credential: a secret is typed. Whose, and of which provider.
    Credential(String, String),
    /// Says what no file should do.
    ByHand(String),
}

/// What is still to be done of a step, and the version that it is based on; none: it is so already.
type Open = Option<(Act, String)>;

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
    if apply {
        return done(client, &file, &plan, &keys).await;
    }
    let progress = Progress::steps("comparing", plan.len());
    let (mut open, all) = (Vec::new(), plan.len());
    for step in plan {
        if let Some((what, _)) = step.look(client, &keys).await? {
            open.push(Step { line: step.line, what });
        }
        progress.more(1);
    }
    drop(progress);
    if open.is_empty() {
        return Ok(Output::new(shown(&open), all_so(all)));
    }
    let rows = table(&["LINE", "WHAT", "OF"], &open, |step| {
        let (what, of) = step.told();
        vec![step.line.to_string(), what, of]
    });
    let text = format!("{rows}\n\nNothing is changed yet: the same with --apply does it.");
    Ok(Output::new(shown(&open), text))
}

fn all_so(steps: usize) -> String {
    format!("Nothing to do: all {steps} steps of the file are so already.")
}

/// A key of that name is its user's already: a second run makes no second one.
fn is_there(step: &Step, keys: &KeyList) -> bool {
    let Act::Key(wanted) = &step.what else { return false };
    let mut same = keys.keys.iter().filter(|key| key.user == wanted.user);
    same.any(|key| key.name == wanted.name && key.state == "active")
}

async fn done(
    client: &Client,
    file: &str,
    plan: &[Step],
    keys: &KeyList,
) -> Result<Output, Failure> {
    let progress = Progress::steps("importing", plan.len());
    let (mut told, mut secrets, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for step in plan {
        match step.run(client, keys).await {
            Ok((open, created)) => {
                changed.extend(open.map(|what| Step { line: step.line, what }));
                let Some(created) = created else {
                    progress.more(1);
                    continue;
                };
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
                return Err(Failure::new(message, step.after(&failure)));
            }
        }
        progress.more(1);
    }
    drop(progress);
    let (typed, made): (Vec<_>, Vec<_>) =
        changed.iter().partition(|step| step.what.command().is_some());
    let so = plan.len().saturating_sub(changed.len());
    let json = json!({"steps": shown(&changed), "keys": secrets, "unchanged": so});
    if changed.is_empty() {
        return Ok(Output::new(json, all_so(plan.len())));
    }
    let mut lines = told;
    if !secrets.is_empty() {
        lines.push("The lines above are shown this once: store them now.".to_owned());
    }
    let commands = typed.iter().filter_map(|step| step.what.command());
    lines.extend(commands.map(|command| format!("still to type: {command}")));
    lines.push(format!("{} steps are done, {so} were so already.", made.len()));
    Ok(Output::new(json, lines.join("\n")))
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
            Act::Owner(kind, id, body) => (format!("{kind} {id}"), json!(body).to_string()),
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
            Act::Route(name, body) => (format!("route {name}"), json!(body).to_string()),
            Act::Credential(..) | Act::ByHand(_) => {
                ("type yourself".to_owned(), self.what.command().unwrap_or_default())
            }
        }
    }

    /// What is to be typed after its failure.
    fn after(&self, failure: &Failure) -> String {
        match &self.what {
            // The next import finds it, and so does not make it: nobody would have its secret.
            Act::Key(key) if failure.may_be_done() => format!(
                "the key {name} may be made, and its secret is lost then: farebox key list --user \
                 {user}; farebox key rotate ID gives it another; then import the file again",
                name = key.name,
                user = key.user,
            ),
            _ => "correct the line and import the file again: what is there stays".to_owned(),
        }
    }

    /// What is there of it, and so what is open.
    async fn look(&self, client: &Client, keys: &KeyList) -> Result<Open, Failure> {
        let open = match &self.what {
            Act::Key(_) if is_there(self, keys) => None,
            Act::Owner(kind, id, said) => {
                let found = client.find(&owner_path(kind, id)).await?;
                let tag = found.as_ref().and_then(|found| found.etag.clone());
                let now = found.map(|found| settable(&found.body));
                let wanted = with(now.clone().unwrap_or_default(), said);
                if now.as_ref() == Some(&wanted) {
                    return Ok(None);
                }
                Some((Act::Owner(kind, id.clone(), wanted), tag.unwrap_or_else(absent)))
            }
            Act::Budget(scope, said) => return budget(client, scope, said).await,
            Act::Route(name, said) => {
                let found = client.find(&route_path(name)).await?;
                let tag = found.as_ref().and_then(|found| found.etag.clone());
                let now = found.and_then(|found| found.body.get("spec")?.as_object().cloned());
                if now.as_ref().is_some_and(|now| models(now) == models(said)) {
                    return Ok(None);
                }
                let wanted = with(now.unwrap_or_default(), said);
                Some((Act::Route(name.clone(), wanted), tag.unwrap_or_else(absent)))
            }
            Act::Credential(owner, provider) => {
                let at = format!("credentials/{}/{}", encoded(owner), encoded(provider));
                let found = client.find(&path(&at)).await?;
                let state =
                    found.and_then(|found| found.body.get("state")?.as_str().map(Into::into));
                match state {
                    Some::<String>(state) if state == "active" => None,
                    _ => Some((self.what.clone(), absent())),
                }
            }
            Act::Key(_) | Act::ByHand(_) => Some((self.what.clone(), absent())),
        };
        Ok(open)
    }

    /// Does what is open of it, and tells what that was.
    async fn run(
        &self,
        client: &Client,
        keys: &KeyList,
    ) -> Result<(Option<Act>, Option<CreatedKey>), Failure> {
        let Some((what, tag)) = self.look(client, keys).await? else {
            return Ok((None, None));
        };
        let mut created = None;
        match &what {
            Act::Owner(kind, id, body) => {
                client.send(Method::PUT, &owner_path(kind, id), body, Some(&tag)).await?;
            }
            Act::Key(key) => {
                let made = client.create(&path("keys"), key, None, &Once::default()).await?;
                created = Some(made.parse()?);
            }
            Act::Budget(scope, budget) => {
                let at = path(&format!("budgets/{}", encoded(scope)));
                client.send(Method::PUT, &at, budget, Some(&tag)).await?;
            }
            Act::Route(name, body) => {
                client.send(Method::PUT, &route_path(name), body, Some(&tag)).await?;
            }
            Act::Credential(..) | Act::ByHand(_) => {}
        }
        Ok((Some(what), created))
    }
}

impl Act {
    /// What the operator types: no file does it.
    fn command(&self) -> Option<String> {
        match self {
            Self::Credential(owner, provider) => {
                Some(format!("farebox credential set {owner} {provider}"))
            }
            Self::ByHand(command) => Some(command.clone()),
            _ => None,
        }
    }
}

/// What is open of a budget. A change with an end date stays: what comes after it is what the file
/// is compared with.
async fn budget(client: &Client, scope: &str, said: &PutBudget) -> Result<Open, Failure> {
    let at = path(&format!("budgets/{}", encoded(scope)));
    let Some(read) = client.find(&at).await? else {
        let mode = said.mode.clone().or_else(|| Some("hard".to_owned()));
        let wanted = PutBudget { mode, ..said.clone() };
        return Ok(Some((Act::Budget(scope.to_owned(), wanted), absent())));
    };
    let stored: farebox_api::Budget = read.parse()?;
    let mut base = stored.clone();
    if let Some(then) = &stored.then {
        base.month_limit_usd.clone_from(&then.month_limit_usd);
        base.day_limit_usd.clone_from(&then.day_limit_usd);
        base.total_limit_usd.clone_from(&then.total_limit_usd);
        base.mode = then.mode.clone().unwrap_or(base.mode);
        base.time_zone = then.time_zone.clone().unwrap_or(base.time_zone);
        base.alert_thresholds = then.alert_thresholds.clone().unwrap_or(base.alert_thresholds);
    }
    let change = BudgetChange {
        scope: scope.to_owned(),
        month: said.month_limit_usd.clone(),
        day: said.day_limit_usd.clone(),
        total: said.total_limit_usd.clone(),
        mode: said.mode.clone(),
        ..BudgetChange::default()
    };
    let wanted = super::money::changed(&base, change)?;
    if wanted == unchanged(&base) {
        return Ok(None);
    }
    if let Some(until) = &stored.until {
        let command = format!("farebox budget set {scope} (a change until {until} is in force)");
        return Ok(Some((Act::ByHand(command), absent())));
    }
    let tag = read.etag.unwrap_or_else(absent);
    Ok(Some((Act::Budget(scope.to_owned(), wanted), tag)))
}

/// The version of what is not there yet.
fn absent() -> String {
    ABSENT.to_owned()
}

fn owner_path(kind: &str, id: &str) -> String {
    path(&format!("{kind}s/{}", encoded(id)))
}

fn route_path(name: &str) -> String {
    path(&format!("routes/{}", encoded(name)))
}

/// An object with further fields in it.
fn with(mut now: Map<String, Value>, said: &Map<String, Value>) -> Map<String, Value> {
    now.extend(said.clone());
    now
}

/// The models that a route stands for, in their order.
fn models(spec: &Map<String, Value>) -> Vec<&Value> {
    let targets = spec.get("targets").and_then(Value::as_array);
    targets.into_iter().flatten().filter_map(|target| target.get("model")).collect()
}

/// A new organisation, team or user.
fn owner(kind: &'static str, id: &str, name: Option<String>, of: [Option<String>; 2]) -> Act {
    let [org, team] = of;
    let said = [("name", name), ("org", org), ("team", team)];
    let said =
        said.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?.into())));
    Act::Owner(kind, id.to_owned(), said.collect())
}

/// Whether a text is the identity of an owner.
fn is_id(text: &str) -> bool {
    text.parse::<farebox_core::EntityId>().is_ok()
}

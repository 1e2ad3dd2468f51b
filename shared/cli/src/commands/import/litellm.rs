//! `LiteLLM`'s `config.yaml`: its models become routes, its budget becomes the owner's, and its
//! providers' keys are asked for.
//!
//! Source: `LiteLLM`'s documentation, "All settings" and "Proxy config.yaml" (docs.litellm.ai,
//! read 2026-11). Users and keys live in its database and not in this file: `farebox import csv`.

use std::collections::{BTreeMap, BTreeSet};

use farebox_api::PutBudget;
use farebox_core::Money;
use serde_json::json;
use yaml_rust2::parser::{Event, MarkedEventReceiver, Parser};
use yaml_rust2::scanner::Marker;

use super::{Act, Fault, Step};

/// A value of the file and its line.
#[derive(Clone, Debug)]
struct Node {
    line: usize,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// An alias: what it stands for is not read.
    Alias,
}

/// The tree of a file, from the parser's events.
#[derive(Default)]
struct Builder {
    /// What is open: a list, or a map with the name that waits for its value.
    open: Vec<(Node, Option<String>)>,
    root: Option<Node>,
}

impl MarkedEventReceiver for Builder {
    fn on_event(&mut self, event: Event, at: Marker) {
        let node = |value| Node { line: at.line(), value };
        match event {
            Event::Scalar(text, ..) => self.add(node(Value::Text(text))),
            Event::Alias(_) => self.add(node(Value::Alias)),
            Event::SequenceStart(..) => self.open.push((node(Value::List(Vec::new())), None)),
            Event::MappingStart(..) => self.open.push((node(Value::Map(Vec::new())), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((done, _)) = self.open.pop() {
                    self.add(done);
                }
            }
            _ => {}
        }
    }
}

impl Builder {
    fn add(&mut self, node: Node) {
        let Some((parent, name)) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        match &mut parent.value {
            Value::List(items) => items.push(node),
            Value::Map(pairs) => match (name.take(), node.value) {
                (Some(name), value) => pairs.push((name, Node { line: node.line, value })),
                (None, Value::Text(text)) => *name = Some(text),
                (None, _) => {}
            },
            Value::Text(_) | Value::Alias => {}
        }
    }
}

impl Node {
    fn get(&self, name: &str) -> Option<&Self> {
        let Value::Map(pairs) = &self.value else { return None };
        pairs.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What a file asks for, for one owner, or every fault of it.
pub fn plan(text: &str, owner: &str) -> Result<Vec<Step>, Vec<Fault>> {
    let mut builder = Builder::default();
    let parsed = Parser::new_from_str(text).load(&mut builder, false);
    parsed
        .map_err(|error| vec![Fault::new(error.marker().line(), "yaml", "cannot be read here")])?;
    let is_owner = owner
        .split_once(':')
        .is_some_and(|(kind, id)| ["org", "user"].contains(&kind) && super::is_id(id));
    if !is_owner {
        return Err(vec![Fault::new(0, "--owner", "is org:ID or user:ID")]);
    }
    let root = builder.root.ok_or_else(|| vec![Fault::new(1, "yaml", "is empty")])?;
    let (mut steps, mut faults) = (Vec::new(), Vec::new());
    let mut routes: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    let mut providers: BTreeSet<(String, usize)> = BTreeSet::new();
    models(&root, &mut routes, &mut providers, &mut faults);
    match budget(&root) {
        Ok(found) => steps.extend(
            found.map(|(line, budget)| Step { line, what: Act::Budget(owner.to_owned(), budget) }),
        ),
        Err(fault) => faults.push(fault),
    }
    let mut asked = BTreeSet::new();
    for (provider, line) in providers {
        if asked.insert(provider.clone()) {
            let of = owner.strip_prefix("user:").unwrap_or(owner);
            steps.push(Step { line, what: Act::Credential(of.to_owned(), provider) });
        }
    }
    for (name, (line, targets)) in routes {
        // A name that is its only model's needs no route.
        let is_itself = targets.iter().all(|target| target.ends_with(&format!("/{name}")));
        if !is_itself || targets.len() > 1 {
            let targets = targets.iter().map(|model| json!({"model": model}));
            let spec = [("targets".to_owned(), targets.collect())].into_iter().collect();
            steps.push(Step { line, what: Act::Route(name, spec) });
        }
    }
    if faults.is_empty() { Ok(steps) } else { Err(faults) }
}

/// `model_list`: what each name stands for.
fn models(
    root: &Node,
    routes: &mut BTreeMap<String, (usize, Vec<String>)>,
    providers: &mut BTreeSet<(String, usize)>,
    faults: &mut Vec<Fault>,
) {
    let Some(list) = root.get("model_list") else { return };
    let Value::List(items) = &list.value else {
        faults.push(Fault::new(list.line, "model_list", "is a list"));
        return;
    };
    for (place, item) in items.iter().enumerate() {
        let at = |field: &str| format!("model_list[{place}].{field}");
        let name = item.get("model_name").and_then(Node::text);
        let model = item.get("litellm_params").and_then(|params| params.get("model"));
        let (Some(name), Some(model)) = (name, model) else {
            let field = if name.is_none() { "model_name" } else { "litellm_params.model" };
            faults.push(Fault::new(item.line, at(field), "is needed, as a text"));
            continue;
        };
        let parts = model.text().and_then(|model| model.split_once('/'));
        let Some((provider, rest)) = parts.filter(|(_, rest)| !rest.is_empty()) else {
            let rule = "is written provider/model, such as openai/gpt-4o-mini";
            faults.push(Fault::new(model.line, at("litellm_params.model"), rule));
            continue;
        };
        if name.contains('*') || rest.contains('*') {
            let rule = "a wildcard needs no route: a key's models take provider/*";
            faults.push(Fault::new(model.line, at("model_name"), rule));
            continue;
        }
        providers.insert((provider.to_owned(), model.line));
        let route = routes.entry(name.to_owned()).or_insert((item.line, Vec::new()));
        let target = format!("{provider}/{rest}");
        if !route.1.contains(&target) {
            route.1.push(target);
        }
    }
}

/// `litellm_settings.max_budget` with `budget_duration`.
fn budget(root: &Node) -> Result<Option<(usize, PutBudget)>, Fault> {
    let Some(settings) = root.get("litellm_settings") else { return Ok(None) };
    let Some(most) = settings.get("max_budget") else { return Ok(None) };
    let amount = most.text().and_then(|text| Money::parse_usd(text).ok());
    let amount = amount.filter(|amount| *amount > Money::ZERO).ok_or_else(|| {
        Fault::new(most.line, "litellm_settings.max_budget", "is an amount of USD above zero")
    })?;
    let amount = Some(amount.to_string());
    let mut budget = PutBudget::default();
    let duration = settings.get("budget_duration");
    match duration.and_then(Node::text) {
        None => budget.total_limit_usd = amount,
        Some("1d" | "24h") => budget.day_limit_usd = amount,
        Some("30d" | "31d" | "1mo") => budget.month_limit_usd = amount,
        Some(_) => {
            let line = duration.map_or(most.line, |duration| duration.line);
            let rule = "is 1d or 30d: budgets here are of a day, a month, or for ever";
            return Err(Fault::new(line, "litellm_settings.budget_duration", rule));
        }
    }
    Ok(Some((most.line, budget)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
model_list:
  - model_name: fast
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: sk-canary
  - model_name: fast
    litellm_params:
      model: anthropic/claude-sonnet-4
      api_key: os.environ/ANTHROPIC_API_KEY
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o}
litellm_settings:
  max_budget: 100
  budget_duration: 30d
";

    #[test]
    fn models_become_routes_and_secrets_are_asked_for() {
        let steps = plan(CONFIG, "org:acme").unwrap();

        let told: Vec<_> = steps
            .iter()
            .map(|step| {
                let (what, of) = step.told();
                format!("{} {what}: {of}", step.line)
            })
            .collect();
        assert_eq!(
            told,
            [
                "13 budget of org:acme: month 100, hard",
                "8 type yourself: farebox credential set org:acme anthropic",
                "4 type yourself: farebox credential set org:acme openai",
                "2 route fast: {\"targets\":[{\"model\":\"openai/gpt-4o-mini\"},\
                 {\"model\":\"anthropic/claude-sonnet-4\"}]}",
            ]
        );
        assert!(!told.join(" ").contains("canary"));
    }

    #[test]
    fn a_fault_is_told_by_line_and_field() {
        let places = |text: &str| {
            let faults = plan(text, "org:acme").unwrap_err();
            faults.iter().map(|fault| (fault.line, fault.field.clone())).collect::<Vec<_>>()
        };
        let place = |line, field: &str| vec![(line, field.to_owned())];

        assert_eq!(places("model_list: x\n"), place(1, "model_list"));
        let bare = "model_list:\n  - model_name: a\n    litellm_params:\n      model: gpt-4o\n";
        assert_eq!(places(bare), place(4, "model_list[0].litellm_params.model"));
        let nameless = "model_list:\n  - litellm_params:\n      model: openai/x\n";
        assert_eq!(places(nameless), place(2, "model_list[0].model_name"));
        let weekly = "litellm_settings:\n  max_budget: 5\n  budget_duration: 7d\n";
        assert_eq!(places(weekly), place(3, "litellm_settings.budget_duration"));
        let text = "litellm_settings:\n  max_budget: lots\n";
        assert_eq!(places(text), place(2, "litellm_settings.max_budget"));
        assert_eq!(plan("a: [", "org:acme").unwrap_err()[0].field, "yaml");
        assert_eq!(plan(CONFIG, "acme").unwrap_err()[0].field, "--owner");
    }
}

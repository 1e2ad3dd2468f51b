//! Names that stand for several models.

use farebox_api::{Route as Stored, RouteList};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::removal::{Removal, remove};
use super::{path, table};
use crate::args::{Route, RouteChange};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::Output;

/// `farebox route …`
pub async fn route(client: &Client, command: Route) -> Result<Output, Failure> {
    let of = |name: &str| path(&format!("routes/{}", encoded(name)));
    match command {
        Route::Set(change) => {
            let list: RouteList = client.all(&path("routes"), "routes").await?.parse()?;
            let now = list.routes.into_iter().find(|route| route.name == change.name);
            let version = now.as_ref().map_or("0", |route| &route.version);
            // The version that was read: a change by somebody else in between is refused.
            let version = format!("\"{version}\"");
            let path = of(&change.name);
            let spec = changed(now.map(|route| route.spec), change)?;
            let answer = client.send(Method::PUT, &path, &spec, Some(&version)).await?;
            let text = text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Route::Show { name } => {
            let answer = client.get(&of(&name)).await?;
            let text = text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Route::List => {
            let answer = client.all(&path("routes"), "routes").await?;
            let list: RouteList = answer.parse()?;
            Ok(Output::new(answer.body, text(&list.routes)))
        }
        Route::Delete { name, force } => {
            let removal = Removal {
                path: of(&name),
                question: format!("Take route {name} away?"),
                done: format!("{name} stands for nothing, within a minute."),
                force: force.force,
            };
            remove(client, removal, text).await
        }
    }
}

/// The route with the changes in it: what the operator does not name stays.
fn changed(now: Option<Value>, change: RouteChange) -> Result<Value, Failure> {
    let mut spec = match now {
        Some(Value::Object(spec)) => spec,
        _ => Map::new(),
    };
    if !change.targets.is_empty() {
        let targets = change.targets.into_iter().map(|(model, weight)| match weight {
            Some(weight) => json!({"model": model, "weight": weight}),
            None => json!({"model": model}),
        });
        spec.insert("targets".to_owned(), targets.collect());
    }
    let settings = [
        ("after_charge", change.after_charge.map(Value::from)),
        ("on_budget_refusal", change.on_budget_refusal.map(Value::from)),
        ("retries", change.retries.map(Value::from)),
        ("retry_patience_ms", change.retry_patience_ms.map(Value::from)),
    ];
    for (name, value) in settings {
        if let Some(value) = value {
            spec.insert(name.to_owned(), value);
        }
    }
    let timeouts = [
        ("connect_ms", change.connect_ms),
        ("first_byte_ms", change.first_byte_ms),
        ("idle_ms", change.idle_ms),
        ("total_ms", change.total_ms),
    ];
    for (name, limit) in timeouts.into_iter().filter_map(|(name, limit)| Some((name, limit?))) {
        let all = spec.entry("timeouts").or_insert_with(|| json!({}));
        if let Some(all) = all.as_object_mut() {
            all.insert(name.to_owned(), Value::from(limit));
        }
    }
    if spec.contains_key("targets") {
        return Ok(Value::Object(spec));
    }
    let next = format!("farebox route set {} --target openai/gpt-4o-mini", change.name);
    Err(Failure::new("a new route has a target at least", next))
}

fn text(routes: &[Stored]) -> String {
    let mut text = table(&["NAME", "TARGETS", "SETTINGS"], routes, |route| {
        let fields = route.spec.as_object().into_iter().flatten();
        let settings = fields.filter(|(name, _)| *name != "targets");
        let settings: Vec<String> =
            settings.map(|(name, value)| format!("{name}={value}")).collect();
        vec![route.name.clone(), targets(&route.spec), settings.join(" ")]
    });
    for route in routes {
        for warning in &route.warnings {
            text.push_str(&format!("\nwarning: {warning}"));
        }
    }
    text
}

fn targets(spec: &Value) -> String {
    let targets = spec.get("targets").and_then(Value::as_array).into_iter().flatten();
    let targets = targets.map(|target| {
        let model = target.get("model").and_then(Value::as_str).unwrap_or_default();
        match target.get("weight") {
            Some(weight) => format!("{model}={weight}"),
            None => model.to_owned(),
        }
    });
    targets.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_replaced_and_the_rest_stays() {
        let targets = vec![("a/x".to_owned(), Some(3)), ("b/y".to_owned(), None)];
        let change =
            RouteChange { targets, retries: Some(2), idle_ms: Some(50), ..RouteChange::default() };

        let spec = changed(Some(json!({"targets": [], "kept": true})), change).unwrap();

        let targets = json!([{"model": "a/x", "weight": 3}, {"model": "b/y"}]);
        let timeouts = json!({"idle_ms": 50});
        let expected =
            json!({"targets": targets, "kept": true, "retries": 2, "timeouts": timeouts});
        assert_eq!(spec, expected);
        assert_eq!(self::targets(&spec), "a/x=3, b/y");
        assert!(changed(None, RouteChange::default()).is_err());
    }
}

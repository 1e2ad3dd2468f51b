//! Rate limits of users and keys.

use farebox_api::{RateLimits, RateLimitsList};
use reqwest::Method;
use serde_json::{Value, json};

use super::{path, table};
use crate::args::{Limit, LimitChange};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox limit …`
pub async fn limit(client: &Client, command: Limit) -> Result<Output, Failure> {
    let of = |scope: &str| path(&format!("limits/{}", encoded(scope)));
    let answer = match command {
        Limit::List => {
            let answer = client.all(&path("limits"), "limits").await?;
            let list: RateLimitsList = answer.parse()?;
            return Ok(Output::new(answer.body, shown(&list.limits)));
        }
        Limit::Show { scope } => client.get(&of(&scope)).await?,
        Limit::Set(change) => {
            let path = of(&change.scope);
            let read = client.get(&path).await?;
            let body = changed(&read.parse()?, &change)?;
            // The version that was read: a change by somebody else in between is refused.
            client.send(Method::PUT, &path, &body, read.etag.as_deref()).await?
        }
    };
    let limits: RateLimits = answer.parse()?;
    Ok(Output::new(answer.body, shown(&[limits])))
}

fn shown(limits: &[RateLimits]) -> String {
    let head = ["SCOPE", "REQUESTS A MINUTE", "TOKENS A MINUTE", "AT ONCE"];
    table(&head, limits, |limits| {
        let limit = |limit: Option<u64>| cell(limit.map(|limit| limit.to_string()).as_ref());
        vec![
            limits.scope.clone(),
            limit(limits.requests_per_minute),
            limit(limits.tokens_per_minute),
            limit(limits.concurrent),
        ]
    })
}

/// The limits with the changes in them: what the operator does not name stays.
fn changed(now: &RateLimits, change: &LimitChange) -> Result<Value, Failure> {
    let mut body = json!({});
    for (name, now, given) in [
        ("requests_per_minute", now.requests_per_minute, &change.requests_per_minute),
        ("tokens_per_minute", now.tokens_per_minute, &change.tokens_per_minute),
        ("concurrent", now.concurrent, &change.concurrent),
    ] {
        let limit = match given.as_deref() {
            None => now,
            Some("none") => None,
            Some(given) => Some(given.parse().map_err(|_| {
                Failure::new(format!("{given:?} is no number"), "write a whole number, or none")
            })?),
        };
        if let (Some(limit), Some(body)) = (limit, body.as_object_mut()) {
            body.insert(name.to_owned(), Value::from(limit));
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays_and_none_takes_away() {
        let now = RateLimits {
            requests_per_minute: Some(5),
            tokens_per_minute: Some(9),
            ..RateLimits::default()
        };
        let change = LimitChange {
            tokens_per_minute: Some("none".to_owned()),
            concurrent: Some("2".to_owned()),
            ..LimitChange::default()
        };

        let body = changed(&now, &change).unwrap();

        assert_eq!(body, json!({"requests_per_minute": 5, "concurrent": 2}));
        let wrong = LimitChange { concurrent: Some("x".to_owned()), ..LimitChange::default() };
        assert!(changed(&now, &wrong).is_err());
    }
}

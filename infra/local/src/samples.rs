//! Something to see in the console of a new stack: two more people with budgets, and real calls of
//! theirs to the demo provider.

use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::seed::Admin;

/// A person: id, team label, day limit in USD, and questions to ask.
const PEOPLE: [(&str, &str, &str, usize); 2] =
    [("ada", "search", "0.05", 12), ("lin", "support", "0.004", 10)];

/// What they ask, in turn.
const QUESTIONS: [(&str, &str); 4] = [
    ("demo/chat", "Which of our invoices are overdue?"),
    ("demo/claude", "Write a haiku about budgets."),
    ("demo/chat", "Summarise yesterday's tickets in five words."),
    ("demo/refuse", "A question that the provider refuses."),
];

/// Makes them. What a budget or the provider refuses belongs to the picture.
///
/// # Errors
/// [`Error::Seed`] where the control plane takes a thing not.
pub async fn make(
    admin: &Admin,
    base_url: &str,
    demo_provider_url: &str,
    demo_key: &str,
) -> Result<(), Error> {
    for (user, team, limit, calls) in PEOPLE {
        admin.put(&format!("users/{user}"), &json!({"name": user, "org": "demo"})).await?;
        let credential = json!({"secret": demo_key, "base_url": format!("{demo_provider_url}/v1")});
        admin.put(&format!("credentials/{user}/demo"), &credential).await?;
        let budget =
            json!({"day_limit_usd": limit, "month_limit_usd": "1", "alert_thresholds": [50, 80]});
        admin.put(&format!("budgets/user:{user}"), &budget).await?;
        let wanted = json!({"user": user, "name": format!("{user}, laptop"),
            "labels": {"team": team}});
        let made = admin.call(Method::POST, "keys", &wanted).await?;
        let key = made.get("secret").and_then(Value::as_str).unwrap_or_default();
        for (model, text) in QUESTIONS.iter().cycle().take(calls) {
            ask(base_url, key, model, text).await;
        }
    }
    Ok(())
}

async fn ask(base_url: &str, key: &str, model: &str, text: &str) {
    let body = json!({"model": model, "max_tokens": 300,
        "messages": [{"role": "user", "content": text}]});
    let request = Request::post(format!("{base_url}/v1/chat/completions"))
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(body.to_string()));
    if let Ok(request) = request {
        // A stack that is being stopped answers no more, and nobody needs this answer.
        let _ = Client::default().send(request).await;
    }
}

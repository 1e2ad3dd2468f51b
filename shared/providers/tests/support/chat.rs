//! Chats as a caller sends them, and what of them goes to a provider.

use farebox_core::{ChatCall, Error, Format};
use farebox_providers::{Facts, Outbound, find};
use serde_json::{Value, json};

/// A model with a large window.
pub const FACTS: Facts<'_> = Facts {
    model: "upstream",
    context_window: Some(200_000),
    completion_max: Some(64_000),
    price: None,
};

/// A chat as it goes to a provider.
pub fn send(
    provider: &str,
    facts: &Facts<'_>,
    body: &Value,
    stream: bool,
) -> Result<Outbound, Error> {
    let mut body = body.clone();
    body["model"] = json!("as-asked");
    let call = ChatCall::from_openai(body.to_string().as_bytes())?;
    let provider = find(provider).unwrap();
    provider.wire_for(facts.model, Format::Chat)?.request(provider, &call, facts, 100, stream)
}

/// The same of a chat that is sent.
pub fn outbound(provider: &str, body: &Value) -> Outbound {
    send(provider, &FACTS, body, false).unwrap()
}

/// The body that is sent.
pub fn sent(provider: &str, body: &Value) -> Value {
    serde_json::from_slice(&outbound(provider, body).body).unwrap()
}

/// The field that a refusal names.
pub fn refused(provider: &str, body: &Value) -> String {
    match send(provider, &FACTS, body, false) {
        Err(error) => error.field().unwrap_or_default().to_owned(),
        Ok(outbound) => format!("sent: {:?}", outbound.body),
    }
}

/// A chat of one message with these fields beside it.
pub fn said(rest: &Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hé"}]});
    for (field, value) in rest.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

/// A function of one argument.
pub fn tool(name: &str) -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!({"type": "function", "function": {"name": name, "parameters": parameters}})
}

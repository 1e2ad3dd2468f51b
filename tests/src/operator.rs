//! The admin API, as an operator uses it.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::Stack;
use crate::wire::{Answer, Call};

/// How often a change is sent that the machine is too busy for.
const TRIES_MAX: usize = 5;

impl Stack {
    /// A request to the admin API, with the admin key.
    #[must_use]
    pub fn admin(&self, method: Method, path: &str) -> Call {
        // What a test does not care about replaces what is there.
        let is_change = matches!(method, Method::PUT | Method::DELETE);
        let call = Call::new(method, self.url(&format!("/admin/v1{path}")))
            .bearer(self.ready().text("admin_key"));
        if is_change { call.with("if-match", "*") } else { call }
    }

    /// A PUT of JSON to the admin API that must succeed.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        accepted(self.admin(Method::PUT, path).json(body)).await
    }

    /// A GET from the admin API that must succeed.
    pub async fn read(&self, path: &str) -> Value {
        self.admin(Method::GET, path).send().await.expect(200).json()
    }

    /// Makes a user.
    pub async fn add_user(&self, user: &str) {
        self.put(&format!("/users/{user}"), &json!({"name": format!("The user {user}")})).await;
    }

    /// Stores a credential.
    pub async fn set_credential(&self, user: &str, provider: &str, secret: &str, base_url: &str) {
        let body = json!({"secret": secret, "base_url": base_url});
        self.put(&format!("/credentials/{user}/{provider}"), &body).await;
    }

    /// Makes a key; `more` are further fields of the request. Gives its id and its secret.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn add_key(&self, user: &str, more: &Value) -> (String, String) {
        let mut body = json!({"user": user, "name": format!("key of {user}")});
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        let answer = accepted(self.admin(Method::POST, "/keys").json(&body)).await.json();
        let text = |field: &str| {
            let value = answer.get(field).and_then(Value::as_str);
            value.unwrap_or_else(|| panic!("a key without {field}")).to_owned()
        };
        (text("id"), text("secret"))
    }

    /// Replaces the budget of a scope (`user:u1`), whatever it was.
    pub async fn set_budget(&self, scope: &str, budget: &Value) {
        let put = self.admin(Method::PUT, &format!("/budgets/{scope}")).json(budget);
        accepted(put.with("if-match", "*")).await;
    }
}

/// Sends what must succeed. What a busy machine could not do in time is sent again: the same
/// change goes on where it stopped, and another key harms nobody.
async fn accepted(call: Call) -> Answer {
    let mut answer = call.clone().send().await;
    for _ in 1..TRIES_MAX {
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        answer = call.clone().send().await;
    }
    assert!(answer.status.is_success(), "{}: {}", answer.status, answer.text());
    answer
}

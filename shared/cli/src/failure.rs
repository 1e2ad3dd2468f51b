//! What went wrong, and what to type next.

use core::fmt;

use farebox_api::ErrorBody;
use serde_json::{Value, json};

use crate::print::clean;

/// A failure with the operator's next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    message: String,
    next: String,
    is_absent: bool,
    may_be_done: bool,
    /// Another try may have another answer: nobody answered, or the gateway could not just now.
    is_passing: bool,
    /// What is there now, where a change was based on an older version.
    current: Option<Box<Value>>,
}

impl Failure {
    /// From what went wrong and what to type next.
    pub fn new(message: impl Into<String>, next: impl Into<String>) -> Self {
        let (message, next) = (message.into(), next.into());
        Self {
            message,
            next,
            is_absent: false,
            may_be_done: false,
            is_passing: false,
            current: None,
        }
    }

    /// The same of a request that was sent, and that the gateway may have done all the same.
    pub fn unsure(self) -> Self {
        Self { may_be_done: true, ..self }
    }

    /// The same of what another try may have another answer to.
    pub fn passing(self) -> Self {
        Self { is_passing: true, ..self }
    }

    /// Whether another try may have another answer.
    pub const fn is_passing(&self) -> bool {
        self.is_passing
    }

    /// Whether what was asked for may be done all the same.
    pub const fn may_be_done(&self) -> bool {
        self.may_be_done
    }

    /// The same of a create by this key, of which nobody knows whether it is made.
    pub fn repeatable(self, key: &str) -> Self {
        let next = format!(
            "it may be made all the same: type it again within a day with --idempotency-key {key}, \
             and it is not made twice ({})",
            self.next
        );
        Self { next, may_be_done: true, ..self }
    }

    /// Whether the gateway has nothing there.
    pub const fn is_absent(&self) -> bool {
        self.is_absent
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to type next.
    pub fn next(&self) -> &str {
        &self.next
    }

    /// From a refusal of the admin API to a request for `path`.
    pub fn refused(path: &str, error: &ErrorBody) -> Self {
        let message = match &error.field {
            Some(field) if !error.message.starts_with(field.as_str()) => {
                format!("{field}: {} ({})", error.message, error.code)
            }
            _ => format!("{} ({})", error.message, error.code),
        };
        let resource = path.strip_prefix(farebox_api::BASE_PATH).unwrap_or(path);
        let is_absent = error.code == "not_found";
        let current = error.current.clone().filter(|current| !current.is_null()).map(Box::new);
        Self { is_absent, current, ..Self::new(message, next_step(&error.code, resource)) }
    }

    /// What is printed.
    pub fn render(&self, as_json: bool) -> String {
        if !as_json {
            return self.to_string();
        }
        let mut error = json!({"message": self.message, "next": self.next});
        if let (Some(current), Some(fields)) = (&self.current, error.as_object_mut()) {
            fields.insert("current".to_owned(), Value::clone(current));
        }
        format!("{:#}", json!({"error": error}))
    }
}

/// What somebody else has made of it, a line a field.
fn told(current: &Value) -> String {
    let fields = current.as_object().into_iter().flatten();
    let lines = fields.filter(|(_, value)| !value.is_null()).map(|(name, value)| match value {
        Value::String(text) => format!("\n    {name}: {text}"),
        other => format!("\n    {name}: {other}"),
    });
    lines.collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", clean(&self.message))?;
        if let Some(current) = &self.current {
            write!(f, "\n  now:{}", clean(&told(current)))?;
        }
        write!(f, "\n  next: {}", clean(&self.next))
    }
}

fn next_step(code: &str, resource: &str) -> &'static str {
    let about = |name: &str| resource.starts_with(&format!("/{name}"));
    match code {
        "forbidden" => "give another admin key: farebox login",
        "not_found" if about("keys") => {
            "farebox key list; farebox user list; a new user: farebox user add ID"
        }
        "not_found" if about("admin-keys") => "farebox admin-key list",
        "not_found" if about("iam") => "farebox iam list",
        "not_found" if about("sso") => "farebox sso list; farebox sso sessions",
        "not_found" if about("budget-requests") => "farebox budget-request list",
        "not_found" if about("models") => "farebox model list PROVIDER",
        "not_found" if about("me") => "farebox me show: only what is yours is found there",
        "not_found" if about("prices") => "farebox price show",
        "not_found" if about("discounts") => "farebox price discount list",
        "not_found" if about("catalogue/lists") => "farebox price versions",
        "not_found" if about("catalogue") => "farebox price catalogue: no list is imported",
        "precondition_failed" if about("catalogue") => {
            "somebody else changed it: farebox price catalogue, then refresh again"
        }
        "precondition_failed" if about("discounts") => {
            "somebody else changed it: farebox price discount list, then set it again"
        }
        "not_found" if about("routes") => "farebox route list",
        "not_found" if about("requests") => "farebox requests tail",
        "not_found" if about("webhook") => "farebox webhook set https://…",
        "not_found" => "farebox user list; a new user: farebox user add ID",
        "precondition_failed" | "precondition_required" if about("routes") => {
            "somebody else changed it: farebox route show NAME, then set it again"
        }
        "precondition_failed" | "precondition_required" if about("budgets") => {
            "somebody else changed it: farebox budget show, then set it again"
        }
        "precondition_failed" | "precondition_required" => {
            "somebody else changed it: look at it again, then type it again"
        }
        "invalid_request_error" => "correct the value; `farebox help COMMAND` lists what it takes",
        "not_supported" => "farebox budget set SCOPE --mode hard (or soft, observe)",
        "rate_limit_exceeded" | "ledger_unavailable" => "wait some seconds and type it again",
        _ => "type it again; the answer's request id finds the cause in the admin function's log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, path: &str) -> String {
        let body = ErrorBody {
            code: code.to_owned(),
            message: "No.".to_owned(),
            field: None,
            current: None,
        };
        Failure::refused(path, &body).to_string()
    }

    #[test]
    fn a_refusal_says_what_to_type_next() {
        let forbidden = refusal("forbidden", "/admin/v1/users");
        let no_user = refusal("not_found", "/admin/v1/credentials/u9/openai");
        let no_price = refusal("not_found", "/admin/v1/prices/openai/x");

        assert!(forbidden.ends_with("farebox login"), "{forbidden}");
        assert!(no_user.contains("farebox user add"), "{no_user}");
        assert!(no_price.contains("farebox price show"), "{no_price}");
    }

    #[test]
    fn who_was_too_late_sees_what_is_there_now() {
        let body = ErrorBody {
            code: "precondition_failed".to_owned(),
            message: "It has changed.".to_owned(),
            field: None,
            current: Some(json!({"name": "new", "models": ["a"], "org": null})),
        };

        let failure = Failure::refused("/admin/v1/keys/k1", &body);

        let shown = failure.render(false);
        assert!(shown.contains("\n  now:\n") && shown.contains("\n    name: new\n"), "{shown}");
        assert!(shown.contains("\n    models: [\"a\"]\n") && !shown.contains("org"), "{shown}");
        let shown: Value = serde_json::from_str(&failure.render(true)).unwrap();
        assert_eq!(shown["error"]["current"]["name"], "new");
        assert_eq!(shown["error"]["message"], "It has changed. (precondition_failed)");
    }

    #[test]
    fn a_message_from_the_wire_cannot_drive_the_terminal() {
        let failure = Failure::new("\u{1b}[2Jgone", "x");

        assert!(!failure.to_string().contains('\u{1b}'));
    }
}

//! Calls of the caller's tools, as the Responses API names them.

use serde_json::{Value, json};

use super::decode::text;

/// A call of a tool of the caller's.
pub(super) struct Called<'v> {
    pub(super) id: &'v str,
    pub(super) name: &'v str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Arguments in JSON.
    Function,
    /// A free text, which is the argument `input`.
    Custom,
    /// A tool that is named by its type; this field is its argument.
    Typed(&'static str),
}

impl<'v> Called<'v> {
    pub(super) fn of(kind: &str, item: &'v Value) -> Option<Self> {
        let (name, kind) = match kind {
            "function_call" => (text(item, "/name"), Kind::Function),
            "custom_tool_call" => (text(item, "/name"), Kind::Custom),
            "local_shell_call" => ("local_shell", Kind::Typed("action")),
            "shell_call" => ("shell", Kind::Typed("action")),
            "apply_patch_call" => ("apply_patch", Kind::Typed("operation")),
            _ => return None,
        };
        Some(Self { id: text(item, "/call_id"), name, kind })
    }

    pub(super) fn arguments(&self, item: &Value) -> String {
        match self.kind {
            Kind::Function => text(item, "/arguments").to_owned(),
            Kind::Custom => json!({"input": text(item, "/input")}).to_string(),
            Kind::Typed(field) => item.get(field).unwrap_or(&Value::Null).to_string(),
        }
    }
}

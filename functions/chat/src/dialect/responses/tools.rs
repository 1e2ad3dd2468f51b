//! Tools that other formats do not have, offered as functions and turned back.

use std::collections::HashMap;

use farebox_core::Error;
use serde_json::{Map, Value, json};

use super::read::Beyond;

/// The tool by which a provider searches, in all its versions.
const SEARCH: &str = "web_search";

/// Other tools that run at the provider, without a limit wherever they are served.
const HOSTED: [&str; 6] =
    ["mcp", "image_generation", "x_search", "collections_search", "view_image", "view_x_video"];

/// Between a namespace and the name of a function in it.
const SEPARATOR: &str = "__";

/// The argument that carries the text of a custom tool.
pub(super) const INPUT: &str = "input";

/// What the caller calls a function.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tool {
    /// The same.
    Function,
    /// A tool that takes a free text.
    Custom,
    /// A function of this name in this namespace.
    Inside { namespace: String, name: String },
}

/// The function's name of a tool in a namespace.
pub(super) fn flat(namespace: &str, name: &str) -> String {
    format!("{namespace}{SEPARATOR}{name}")
}

/// The tools of a request that are not plain functions, by the name of their function.
pub(super) fn odd(tools: Option<&Value>) -> HashMap<String, Tool> {
    let mut odd = HashMap::new();
    let list = |tools: Option<&'_ Value>| tools.and_then(Value::as_array).cloned();
    for tool in list(tools).into_iter().flatten() {
        let name = text(&tool, "name");
        match text(&tool, "type") {
            "custom" => drop(odd.insert(name.to_owned(), Tool::Custom)),
            "namespace" => {
                for inner in list(tool.get("tools")).into_iter().flatten() {
                    let inner = text(&inner, "name").to_owned();
                    let tool = Tool::Inside { namespace: name.to_owned(), name: inner.clone() };
                    odd.insert(flat(name, &inner), tool);
                }
            }
            _ => {}
        }
    }
    odd
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The tools of a request as functions.
pub(super) fn functions(value: &Value, beyond: &mut Beyond) -> Result<Vec<Value>, Error> {
    let Value::Array(given) = value else {
        return Err(Error::malformed("tools", "must be an array of tools"));
    };
    let mut functions = Vec::new();
    for (place, tool) in given.iter().enumerate() {
        let field = format!("tools[{place}]");
        match text(tool, "type") {
            "namespace" => {
                let inner = tool.get("tools").and_then(Value::as_array);
                for (place, inner) in inner.into_iter().flatten().enumerate() {
                    let name = flat(text(tool, "name"), text(inner, "name"));
                    push(&format!("{field}.tools[{place}]"), inner, &name, beyond, &mut functions)?;
                }
            }
            _ => push(&field, tool, text(tool, "name"), beyond, &mut functions)?,
        }
    }
    Ok(functions)
}

fn push(
    field: &str,
    tool: &Value,
    name: &str,
    beyond: &mut Beyond,
    functions: &mut Vec<Value>,
) -> Result<(), Error> {
    let kind = text(tool, "type");
    let mut function = Map::new();
    function.insert("name".to_owned(), Value::from(name));
    match kind {
        "function" => {
            if tool.get("defer_loading") == Some(&Value::Bool(true)) {
                beyond.note(format!("{field}.defer_loading"));
            }
            for copied in ["description", "parameters", "strict"] {
                if let Some(value) = tool.get(copied).filter(|value| !value.is_null()) {
                    function.insert(copied.to_owned(), value.clone());
                }
            }
        }
        "custom" => {
            // Its grammar is told in words, which bind no model.
            if tool.pointer("/format/type").is_some_and(|kind| kind == "grammar") {
                beyond.wish("tools.format");
            }
            function.insert("description".to_owned(), Value::from(description(tool)));
            let text = json!({"type": "string", "description": "The whole text."});
            let schema = json!({
                "type": "object", "properties": {INPUT: text}, "required": [INPUT],
                "additionalProperties": false,
            });
            function.insert("parameters".to_owned(), schema);
        }
        _ if HOSTED.iter().any(|hosted| kind.starts_with(hosted)) => {
            let hint = "It runs at the provider, without a limit. Leave it out.".to_owned();
            return Err(Error::UnboundedCall { field: format!("{field}.type"), hint });
        }
        _ if kind.starts_with(SEARCH) => {
            beyond.note_search(format!("{field}.type"));
            return Ok(());
        }
        _ => {
            beyond.note(format!("{field}.type"));
            return Ok(());
        }
    }
    functions.push(json!({"type": "function", "function": function}));
    Ok(())
}

/// What a custom tool says of itself, with the grammar that its text follows.
fn description(tool: &Value) -> String {
    let mut told = text(tool, "description").to_owned();
    let format = tool.get("format").unwrap_or(&Value::Null);
    if text(format, "type") == "grammar" {
        let (syntax, definition) = (text(format, "syntax"), text(format, "definition"));
        told.push_str(&format!("\n\nThe text follows this grammar ({syntax}):\n{definition}"));
    }
    told
}

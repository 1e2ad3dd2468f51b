//! Gemini's own schemas as JSON schemas: its types are in capitals, and `null` is a flag.

use serde_json::{Map, Value, json};

const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// The same schema in the words of JSON schema.
pub(super) fn lower(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut out = Map::new();
            for (name, value) in fields {
                match (name.as_str(), value.as_str()) {
                    ("type", Some(kind)) if TYPES.contains(&kind) => {
                        out.insert(name.clone(), Value::from(kind.to_ascii_lowercase()));
                    }
                    // An order of writing that JSON schema has no word for.
                    ("propertyOrdering" | "property_ordering" | "nullable", _) => {}
                    // The names of properties are the caller's own, whatever they are.
                    ("properties", _) => {
                        let of = value.as_object().into_iter().flatten();
                        let of = of.map(|(name, value)| (name.clone(), lower(value)));
                        out.insert(name.clone(), Value::Object(of.collect()));
                    }
                    ("enum" | "example" | "default", _) => {
                        out.insert(name.clone(), value.clone());
                    }
                    // 64-bit numbers are texts in protobuf's JSON.
                    (limit, Some(text)) if limit.starts_with("min") || limit.starts_with("max") => {
                        let number = text.parse::<u64>().map(Value::from);
                        out.insert(name.clone(), number.unwrap_or_else(|_| value.clone()));
                    }
                    _ => drop(out.insert(name.clone(), lower(value))),
                }
            }
            let kind = out.get("type").and_then(Value::as_str).map(str::to_owned);
            if let (Some(Value::Bool(true)), Some(kind)) = (fields.get("nullable"), kind) {
                out.insert("type".to_owned(), json!([kind, "null"]));
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(lower).collect(),
        other => other.clone(),
    }
}

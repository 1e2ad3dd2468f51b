//! Schemas of answers.

use serde_json::Value;

/// The schema with objects that hold nothing but what it names, where it does not say otherwise:
/// Claude refuses one that leaves it open ("additionalProperties must be set to false for objects",
/// platform.claude.com/docs/en/build-with-claude/structured-outputs, read 2026-08; Bedrock alike),
/// and neither Gemini's schemas nor most of `OpenAI`'s that are not strict say it.
pub(crate) fn closed(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let mut out = fields.clone();
    for (name, value) in &mut out {
        match name.as_str() {
            "properties" | "$defs" | "definitions" => {
                for inner in value.as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
                    *inner = closed(inner);
                }
            }
            "anyOf" | "allOf" | "oneOf" | "prefixItems" => {
                for inner in value.as_array_mut().into_iter().flatten() {
                    *inner = closed(inner);
                }
            }
            // What must not be stays as it is: closed it would forbid less.
            "items" => *value = closed(value),
            _ => {}
        }
    }
    let is_object = match fields.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        kind => kind.is_some_and(|kind| kind == "object"),
    };
    if is_object && !out.contains_key("additionalProperties") {
        out.insert("additionalProperties".to_owned(), Value::from(false));
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_that_say_nothing_are_closed_wherever_they_stand() {
        let open = |inner: Value| {
            let properties = json!({"type": inner});
            json!({"type": "object", "properties": properties, "required": ["type"]})
        };
        let shut = |inner: Value| {
            json!({"type": "object", "properties": {"type": inner}, "required": ["type"],
                "additionalProperties": false})
        };
        let leaf = json!({"type": "string", "enum": ["object"]});
        let free = json!({"type": "object", "additionalProperties": {"type": "string"}});

        for (given, closes) in [
            (open(leaf.clone()), shut(leaf.clone())),
            (open(open(leaf.clone())), shut(shut(leaf.clone()))),
            (
                json!({"type": "array", "items": open(leaf.clone())}),
                json!({"type": "array", "items": shut(leaf.clone())}),
            ),
            (
                json!({"anyOf": [open(leaf.clone()), {"type": "null"}]}),
                json!({"anyOf": [shut(leaf.clone()), {"type": "null"}]}),
            ),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": open(leaf.clone())}}),
                json!({"$ref": "#/$defs/a", "$defs": {"a": shut(leaf.clone())}}),
            ),
            (
                json!({"type": ["object", "null"]}),
                json!({"type": ["object", "null"], "additionalProperties": false}),
            ),
            (free.clone(), free),
            (leaf.clone(), leaf),
        ] {
            assert_eq!(closed(&given), closes);
        }
    }
}

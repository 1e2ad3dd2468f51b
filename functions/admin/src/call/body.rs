//! The body of a request as what it must be.

use std::borrow::Cow;

use farebox_core::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::Value;

use super::Call;

impl Call {
    /// The body as text.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn text(&self) -> Result<&str, Error> {
        core::str::from_utf8(&self.body).map_err(|_| Error::malformed("body", "is not UTF-8"))
    }

    /// The body as what it must be. A field that the type does not have is refused wherever it
    /// stands, whether or not the type says so itself: nothing gets in by a name that nobody reads,
    /// nor by its place in a list.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field and the rule; it never quotes a value.
    pub fn body<T: DeserializeOwned + Serialize>(&self) -> Result<T, Error> {
        if self.body.is_empty() {
            return Err(Error::malformed("body", "is empty: send a JSON object"));
        }
        // Without this `[]` would be read as an object whose fields are all left out: as a
        // budget without limits.
        if self.body.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
            return Err(Error::malformed("body", OBJECT));
        }
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        let (mut track, mut unknown) = (serde_path_to_error::Track::new(), None);
        let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
        let value = serde_ignored::deserialize(tracked, |path| {
            unknown.get_or_insert_with(|| place(&path));
        });
        if let Some(field) = unknown {
            return Err(Error::malformed(field, UNKNOWN));
        }
        let value = value.map_err(|error| unreadable(&track.path().to_string(), &error))?;
        reader.end().map_err(|_| Error::malformed("body", "ends after one JSON object"))?;
        let sent: Value = serde_json::from_slice(&self.body).map_err(Error::internal)?;
        let read = serde_json::to_value(&value).map_err(Error::internal)?;
        match listed(&sent, &read) {
            Some(field) => Err(Error::malformed(field, OBJECT)),
            None => Ok(value),
        }
    }
}

const OBJECT: &str = "must be a JSON object";

/// Where a list was sent in place of an object within the body, and its fields were read by their
/// places. An empty one, of which nothing was read, says nothing.
fn listed(sent: &Value, read: &Value) -> Option<String> {
    match (sent, read) {
        (Value::Array(_), Value::Object(_)) => Some(String::new()),
        (Value::Object(sent), Value::Object(read)) => sent.iter().find_map(|(name, sent)| {
            let within = listed(sent, read.get(name)?)?;
            let joint = if within.is_empty() || within.starts_with('[') { "" } else { "." };
            Some(format!("{name}{joint}{within}"))
        }),
        (Value::Array(sent), Value::Array(read)) => {
            sent.iter().zip(read).enumerate().find_map(|(place, (sent, read))| {
                let within = listed(sent, read)?;
                let joint = if within.is_empty() || within.starts_with('[') { "" } else { "." };
                Some(format!("[{place}]{joint}{within}"))
            })
        }
        _ => None,
    }
}

/// What is said of a field that a request does not have.
const UNKNOWN: &str = "is not a field of this request";

/// Where a field stands that nobody read, as `parts[0].more`.
fn place(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", place(parent)),
        Path::Map { parent, key } => {
            let key: String = key.chars().take(64).collect();
            let before = place(parent);
            if before.is_empty() { key } else { format!("{before}.{key}") }
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => place(parent),
    }
}

/// The parser's complaint as field and rule. A wrong value is not quoted: it may be a secret in
/// the wrong place.
fn unreadable(path: &str, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let quoted = |start: &str| text.strip_prefix(start)?.split('`').next();
    let at = |field: &str| match path {
        "." | "" => field.to_owned(),
        path if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        path => format!("{path}.{field}"),
    };
    if let Some(field) = quoted("unknown field `") {
        let field = field.chars().take(64).collect::<String>();
        return Error::malformed(at(&field), UNKNOWN);
    }
    if let Some(field) = quoted("missing field `") {
        return Error::malformed(at(field), "is needed");
    }
    if let Some(field) = quoted("duplicate field `") {
        return Error::malformed(at(field), "is given twice");
    }
    let field = if path == "." { "body" } else { path };
    match text.rsplit_once(", expected ") {
        Some((_, rest)) if error.is_data() => {
            let expected = rest.rsplit_once(" at line").map_or(rest, |(expected, _)| expected);
            Error::malformed(field, format!("must be {}", said(expected)))
        }
        _ if error.is_data() => Error::malformed(field, "has a value that it cannot have"),
        _ => {
            let (line, column) = (error.line(), error.column());
            Error::malformed("body", format!("is not JSON (line {line}, column {column})"))
        }
    }
}

/// What the parser expected, in words that are not Rust's.
fn said(expected: &str) -> Cow<'_, str> {
    let most = match expected {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" => u64::MAX,
        "i64" => return "a whole number".into(),
        "a map" => return "a JSON object".into(),
        "a sequence" => return "a list".into(),
        _ if expected.starts_with("struct ") => return "a JSON object".into(),
        _ => return expected.into(),
    };
    format!("a whole number from 0 to {most}").into()
}

#[cfg(test)]
mod tests {
    use farebox_api::{CreateKey, PutBudget, PutCredential, PutUser};
    use farebox_core::Route;

    use super::*;

    fn refusal<T: DeserializeOwned + Serialize>(body: &str) -> (String, String) {
        match Call::of("PUT", "/", body).body::<T>() {
            Err(Error::Malformed { field, rule }) => (field, rule),
            _ => (String::new(), String::new()),
        }
    }

    #[test]
    fn a_refused_body_names_the_field_and_the_rule() {
        for (body, field, rule) in [
            ("", "body", "is empty"),
            ("{", "body", "is not JSON"),
            ("[]", "body", "must be a JSON object"),
            (" [null,null,null]", "body", "must be a JSON object"),
            ("null", "body", "must be a JSON object"),
            ("{\"alert_thresholds\":{}}", "alert_thresholds", "must be a list"),
            ("\u{0}", "body", "is not JSON"),
            ("{\"mode\":\"hard\"} x", "body", "ends after"),
            ("{\"month_limit_usd\":1}", "month_limit_usd", "must be a string"),
            ("{\"month_limit_usd\":NaN}", "body", "is not JSON"),
            ("{\"month_limit_usd\":1e999}", "", ""),
            ("{\"mouth_limit_usd\":\"1\"}", "mouth_limit_usd", "is not a field"),
            ("{\"mode\":\"hard\",\"mode\":\"observe\"}", "mode", "is given twice"),
            ("{\"alert_thresholds\":[50,\"x\"]}", "alert_thresholds[1]", "must be a whole number"),
            ("{\"alert_thresholds\":[300]}", "alert_thresholds[0]", "must be a whole number"),
            ("{\"alert_thresholds\":[-1]}", "alert_thresholds[0]", "must be a whole number"),
        ] {
            let (named, said) = refusal::<PutBudget>(body);
            assert!(!named.is_empty(), "{body}");
            assert!(field.is_empty() || named == field, "{body}: {named}: {said}");
            assert!(said.starts_with(rule), "{body}: {named}: {said}");
        }
        assert_eq!(refusal::<CreateKey>("{\"name\":\"n\"}").0, "user");
    }

    #[test]
    fn a_list_is_no_object_wherever_it_stands() {
        let key = |more: &str| format!("{{\"user\":\"u\",\"name\":\"n\",{more}}}");
        let of = |body: &str| refusal::<CreateKey>(&key(body));
        let told = |field: &str| (field.to_owned(), OBJECT.to_owned());

        assert_eq!(of("\"timeouts\":[10]"), told("timeouts"));
        assert_eq!(of("\"timeouts\":{}"), (String::new(), String::new()));
        let route = refusal::<Route>("{\"targets\":[{\"model\":\"a/b\"},[\"a/b\",3]]}");
        assert_eq!(route, told("targets[1]"));
        assert_eq!(refusal::<PutUser>("{\"self_service\":[5]}"), told("self_service"));
    }

    #[test]
    fn deep_json_is_refused_and_not_followed() {
        let deep = "[".repeat(100_000);

        let body = format!("{{\"alert_thresholds\":{deep}");

        assert!(!refusal::<PutBudget>(&body).0.is_empty());
    }

    #[test]
    fn a_refusal_never_quotes_a_value() {
        for body in [
            "{\"secret\":[\"sk-canary\"]}",
            "{\"secret\":\"a\",\"base_url\":{\"x\":\"sk-canary\"}}",
            "\"sk-canary\"",
            "sk-canary",
        ] {
            let (field, rule) = refusal::<PutCredential>(body);
            assert!(!field.is_empty() && !rule.contains("canary"), "{field}: {rule}");
        }
    }
}

//! Calls whose prompt is a text and not a conversation: embeddings and legacy completions.
//!
//! Source: `OpenAI`'s `OpenAPI` description, `CreateEmbeddingRequest` and
//! `CreateCompletionRequest` (openai/openai-openapi, read 2026-11).

use serde_json::{Map, Value, json};

use super::options::{OPTIONS, Rule};
use super::{ChatCall, Format, Written, object, take_stream_options, take_text};
use crate::Error;

/// The most texts in one call (`OpenAI`'s own limit of embeddings).
const TEXTS_MAX: usize = 2_048;
/// Above every vocabulary.
const TOKEN_ID_MAX: u64 = 10_000_000;
/// What `OpenAI` generates where no `max_tokens` is sent.
const COMPLETION_CAP: u64 = 16;
/// The largest cap, as of chats.
const CAP_MAX: i64 = 10_000_000;
/// The most choices that a stream is read of.
const STREAMED_MAX: u64 = 128;
/// The most completions that may be generated for each prompt (`OpenAI`'s own limit).
const BEST_OF_MAX: i64 = 20;

const PROMPT_RULE: &str = "must be a text, an array of texts, an array of token ids or an array \
                           of such arrays: 1 to 2048 of them, none empty";

/// What an embedding call may carry beside the model and its input.
const EMBEDDING_OPTIONS: &[(&str, Rule)] = &[
    ("dimensions", Rule::Integer(1, 100_000)),
    ("encoding_format", Rule::OneOf(&["float", "base64"])),
    ("user", Rule::Label),
];

/// What a completion may carry beside the options of chats.
const COMPLETION_OPTIONS: &[(&str, Rule)] = &[
    ("max_tokens", Rule::Integer(1, CAP_MAX)),
    ("best_of", Rule::Integer(1, BEST_OF_MAX)),
    ("echo", Rule::Bool),
    ("logprobs", Rule::Integer(0, 5)),
    ("suffix", Rule::Text),
    ("stream", Rule::Bool),
];

/// The options of chats that a completion takes too. The others are OpenAI's later additions.
const SHARED_OPTIONS: [&str; 9] = [
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "seed",
    "stop",
    "logit_bias",
    "user",
];

/// One text of an `input` or a `prompt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt<'a> {
    /// A text.
    Text(&'a str),
    /// So many token ids.
    Tokens(usize),
}

/// The texts of an `input` or a `prompt` in order; `None` where it is no such thing.
#[must_use]
pub fn prompts(value: &Value) -> Option<Vec<Prompt<'_>>> {
    match value {
        Value::Array(items) => match of_tokens(items) {
            Some(tokens) => Some(vec![tokens]),
            None if items.is_empty() || items.len() > TEXTS_MAX => None,
            None => items.iter().map(one).collect(),
        },
        value => one(value).map(|text| vec![text]),
    }
}

fn one(value: &Value) -> Option<Prompt<'_>> {
    match value {
        Value::String(text) => Some(Prompt::Text(text)).filter(|_| !text.is_empty()),
        Value::Array(items) => of_tokens(items),
        _ => None,
    }
}

fn of_tokens(items: &[Value]) -> Option<Prompt<'_>> {
    let are_tokens = items.iter().all(|id| id.as_u64().is_some_and(|id| id <= TOKEN_ID_MAX));
    (are_tokens && !items.is_empty()).then_some(Prompt::Tokens(items.len()))
}

impl ChatCall {
    /// Reads `OpenAI`'s embedding request. It has no completion, so its cap is zero.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field and the rule.
    pub fn from_embeddings(bytes: &[u8]) -> Result<Self, Error> {
        let mut body = object(bytes)?;
        let model = take_text(&mut body, "model", "")?;
        check_prompts("input", body.get("input"))?;
        check(&body, "input", |name| {
            EMBEDDING_OPTIONS.iter().find(|(known, _)| *known == name).map(|(_, rule)| rule)
        })?;
        body.retain(|_, value| !value.is_null());
        let (format, written) = (Format::Embeddings, Written::of(bytes, &body));
        Ok(Self { format, model, body, written, cap: Some(0), choices: 1, ..Self::default() })
    }

    /// Reads `OpenAI`'s legacy completion request. A single text means one message of the user,
    /// which is what a model of chats gets; all else goes only to a provider that serves the
    /// endpoint.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field and the rule.
    pub fn from_completions(bytes: &[u8]) -> Result<Self, Error> {
        let mut body = object(bytes)?;
        let model = take_text(&mut body, "model", "")?;
        let stream = body.get("stream") == Some(&Value::Bool(true));
        let include_usage = take_stream_options(&mut body, stream, "")?;
        let prompts = check_prompts("prompt", body.get("prompt"))?;
        let said = match prompts.as_slice() {
            [Prompt::Text(text)] => Some(json!([{"role": "user", "content": text}])),
            _ => None,
        };
        let texts = u64::try_from(prompts.len()).unwrap_or(u64::MAX);
        check(&body, "prompt", |name| {
            let of = |options: &'static [(&'static str, Rule)]| {
                options.iter().find(|(known, _)| *known == name).map(|(_, rule)| rule)
            };
            let shared = SHARED_OPTIONS.contains(&name).then(|| of(OPTIONS)).flatten();
            shared.or_else(|| of(COMPLETION_OPTIONS))
        })?;
        body.retain(|_, value| !value.is_null());
        let number = |name: &str| body.get(name).and_then(Value::as_u64);
        let (asked, best_of) = (number("n").unwrap_or(1), number("best_of").unwrap_or(1));
        if body.contains_key("best_of") && best_of < asked {
            return Err(Error::malformed("best_of", "must not be below n"));
        }
        if stream && texts.saturating_mul(asked) > STREAMED_MAX {
            let rule = "must be at most 128 texts (times n) where the answer is streamed: send \
                        fewer, or leave stream out";
            return Err(Error::malformed("prompt", rule));
        }
        let cap = number("max_tokens").unwrap_or(COMPLETION_CAP);
        let beyond = beyond(&body, said.is_none()).map(Box::new);
        let mut hub = Map::new();
        hub.insert("messages".to_owned(), said.unwrap_or(Value::Null));
        let shared = body.iter().filter(|(name, _)| SHARED_OPTIONS.contains(&name.as_str()));
        hub.extend(shared.map(|(name, value)| (name.clone(), value.clone())));
        body.shift_remove("stream");
        Ok(Self {
            format: Format::Completions,
            written: Written::of(bytes, &body),
            original: Some(body),
            beyond,
            model,
            body: hub,
            cap: Some(cap),
            choices: texts.saturating_mul(asked.max(best_of)),
            stream,
            include_usage,
            ..Self::default()
        })
    }
}

/// The first thing that a message of a chat cannot say.
fn beyond(body: &Map<String, Value>, is_list: bool) -> Option<Error> {
    let rule = "is served only by models with a completions endpoint of their own: leave it out, \
                or use POST /v1/chat/completions";
    if is_list {
        let rule = "must be a single text for a model of chats";
        return Some(Error::malformed("prompt", rule));
    }
    let neutral = |name: &str, value: &Value| match name {
        "echo" => value == &Value::Bool(false),
        "best_of" => value.as_u64() == body.get("n").and_then(Value::as_u64).or(Some(1)),
        "suffix" => value.as_str() == Some(""),
        name => name != "logprobs",
    };
    let (name, _) = body.iter().find(|(name, value)| !neutral(name, value))?;
    Some(Error::malformed(name, rule))
}

fn check_prompts<'a>(field: &str, value: Option<&'a Value>) -> Result<Vec<Prompt<'a>>, Error> {
    match value {
        None | Some(Value::Null) => Err(Error::malformed(field, "is required")),
        Some(value) => prompts(value).ok_or_else(|| Error::malformed(field, PROMPT_RULE)),
    }
}

/// Checks every field but `beside`. What no rule knows may cost money that nobody has held.
fn check(
    body: &Map<String, Value>,
    beside: &str,
    rule: impl Fn(&str) -> Option<&'static Rule>,
) -> Result<(), Error> {
    for (field, value) in body.iter().filter(|(field, _)| *field != beside) {
        let rule = rule(field).ok_or_else(|| super::unknown_option(field))?;
        if !value.is_null() {
            rule.check(field, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completions(rest: &str) -> Result<ChatCall, Error> {
        ChatCall::from_completions(format!(r#"{{"model":"m",{rest}}}"#).as_bytes())
    }

    #[test]
    fn texts_and_token_ids_are_told_apart() {
        for (json, expected) in [
            (r#""a""#, vec![Prompt::Text("a")]),
            (r#"["a","b"]"#, vec![Prompt::Text("a"), Prompt::Text("b")]),
            ("[1,2,3]", vec![Prompt::Tokens(3)]),
            (r#"[[1,2],[3],"c"]"#, vec![Prompt::Tokens(2), Prompt::Tokens(1), Prompt::Text("c")]),
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(prompts(&value), Some(expected), "{json}");
        }
        let many = Value::from(vec!["x"; TEXTS_MAX + 1]);
        for refused in [
            json!(""),
            json!([]),
            json!([""]),
            json!([[]]),
            json!([-1]),
            json!([1.5]),
            json!(7),
            many,
        ] {
            assert_eq!(prompts(&refused), None);
        }
    }

    #[test]
    fn an_embedding_has_no_completion_and_only_its_own_options() {
        let call = ChatCall::from_embeddings(
            br#"{"model":"m","input":["a"],"dimensions":8,"encoding_format":"base64","user":"u"}"#,
        )
        .unwrap();

        assert_eq!((call.cap, call.choices, call.format), (Some(0), 1, Format::Embeddings));
        for (body, field) in [
            (r#"{"model":"m"}"#, "input"),
            (r#"{"model":"m","input":""}"#, "input"),
            (r#"{"input":"a"}"#, "model"),
            (r#"{"model":"m","input":"a","dimensions":0}"#, "dimensions"),
            (r#"{"model":"m","input":"a","encoding_format":"int8"}"#, "encoding_format"),
            (r#"{"model":"m","input":"a","stream":true}"#, "stream"),
        ] {
            let error = ChatCall::from_embeddings(body.as_bytes()).unwrap_err();
            assert_eq!(error.field(), Some(field), "{body}");
        }
    }

    #[test]
    fn a_completion_of_one_text_is_a_message_and_its_choices_are_all_that_is_generated() {
        let one = completions(r#""prompt":"hi","stop":"x","n":2,"stream":true"#).unwrap();

        assert!(one.translatable().is_ok());
        assert_eq!(one.messages(), [json!({"role": "user", "content": "hi"})]);
        assert_eq!((one.cap, one.choices, one.stream), (Some(16), 2, true));
        let many = completions(r#""prompt":["a","b"],"n":2,"best_of":3,"max_tokens":7"#).unwrap();
        assert_eq!((many.cap, many.choices), (Some(7), 6));
        for (rest, field) in [
            (r#""prompt":["a","b"]"#, "prompt"),
            (r#""prompt":[1]"#, "prompt"),
            (r#""prompt":"a","echo":true"#, "echo"),
            (r#""prompt":"a","logprobs":0"#, "logprobs"),
            (r#""prompt":"a","suffix":"s""#, "suffix"),
            (r#""prompt":"a","best_of":2"#, "best_of"),
        ] {
            let error = completions(rest).unwrap().translatable().unwrap_err();
            assert_eq!(error.field(), Some(field), "{rest}");
        }
    }

    #[test]
    fn a_fault_of_a_completion_names_its_field() {
        for (rest, field) in [
            (r#""n":1"#, "prompt"),
            (r#""prompt":"a","best_of":21"#, "best_of"),
            (r#""prompt":"a","n":3,"best_of":2"#, "best_of"),
            (r#""prompt":"a","max_tokens":0"#, "max_tokens"),
            (r#""prompt":"a","logprobs":6"#, "logprobs"),
            (r#""prompt":"a","tools":[]"#, "tools"),
            (r#""prompt":"a","stream":"yes""#, "stream"),
        ] {
            assert_eq!(completions(rest).unwrap_err().field(), Some(field), "{rest}");
        }
    }

    #[test]
    fn a_stream_has_no_more_choices_than_are_read_of_it() {
        let of = |texts: usize, n: u64, stream: bool| {
            let prompts = serde_json::to_string(&vec!["x"; texts]).unwrap();
            completions(&format!(r#""prompt":{prompts},"n":{n},"stream":{stream}"#))
        };

        assert_eq!(of(64, 2, true).unwrap().choices, 128);
        assert_eq!(of(64, 3, true).unwrap_err().field(), Some("prompt"));
        assert_eq!(of(64, 3, false).unwrap().choices, 192);
    }
}

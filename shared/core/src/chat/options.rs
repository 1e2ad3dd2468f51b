//! The options of a chat call: what each may be, and what is refused.

use serde_json::Value;

use super::messages::check_tools;
use crate::Error;
use crate::labels::{check_metadata, check_user};

/// The most choices that one call may ask for (`OpenAI`'s own limit).
const CHOICES_MAX: i64 = 128;

/// The rule that an option's value must meet.
pub(super) enum Rule {
    /// A number in a range (both ends included).
    Number(i32, i32),
    /// An integer in a range (both ends included).
    Integer(i64, i64),
    Bool,
    Text,
    /// A text that becomes a label of the call.
    Label,
    /// Names and texts that become labels of the call.
    Labels,
    /// Text, or up to so many texts.
    TextOrTexts(usize),
    Object,
    TextOrObject,
    Tools,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Only the value that costs nothing: anything else is refused.
    Unbounded(&'static str),
    /// Text, or text and audio.
    Modalities,
}

/// Every option that may be sent on. A field that is not here may cost money that nobody has
/// held, so it is refused (section 3 of the field survey: understood or refused).
pub(super) const OPTIONS: &[(&str, Rule)] = &[
    ("temperature", Rule::Number(0, 2)),
    ("top_p", Rule::Number(0, 1)),
    ("min_p", Rule::Number(0, 1)),
    ("top_k", Rule::Integer(-1, 1_000_000)),
    ("repetition_penalty", Rule::Number(0, 10)),
    ("presence_penalty", Rule::Number(-2, 2)),
    ("frequency_penalty", Rule::Number(-2, 2)),
    ("n", Rule::Integer(1, CHOICES_MAX)),
    ("seed", Rule::Integer(i64::MIN, i64::MAX)),
    ("stop", Rule::TextOrTexts(16)),
    ("logit_bias", Rule::Object),
    ("logprobs", Rule::Bool),
    ("top_logprobs", Rule::Integer(0, 20)),
    ("user", Rule::Label),
    ("safety_identifier", Rule::Label),
    ("prompt_cache_key", Rule::Text),
    ("metadata", Rule::Labels),
    ("store", Rule::Bool),
    ("tools", Rule::Tools),
    ("tool_choice", Rule::TextOrObject),
    ("parallel_tool_calls", Rule::Bool),
    ("response_format", Rule::Object),
    (
        "reasoning_effort",
        Rule::OneOf(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    ),
    ("verbosity", Rule::OneOf(&["low", "medium", "high"])),
    ("modalities", Rule::Modalities),
    ("audio", Rule::Object),
    ("prediction", Rule::Unbounded("A predicted output cannot be capped: leave it out.")),
    (
        "web_search_options",
        Rule::Unbounded(
            "Nothing caps what is searched in a chat completion: use a search in /v1/responses.",
        ),
    ),
    ("functions", Rule::Unbounded("Send `tools` instead.")),
    ("function_call", Rule::Unbounded("Send `tool_choice` instead.")),
];

impl Rule {
    pub(super) fn check(&self, field: &str, value: &Value) -> Result<(), Error> {
        let wrong = |rule: String| Err(Error::malformed(field, rule));
        match self {
            Self::Number(least, most) => match value.as_f64() {
                Some(number) if number >= f64::from(*least) && number <= f64::from(*most) => Ok(()),
                _ => wrong(format!("must be a number from {least} to {most}")),
            },
            Self::Integer(least, most) => match value.as_i64() {
                Some(number) if (*least..=*most).contains(&number) => Ok(()),
                _ => wrong(format!("must be an integer from {least} to {most}")),
            },
            Self::Bool if !value.is_boolean() => wrong("must be true or false".to_owned()),
            Self::Text if !value.is_string() => wrong("must be a text".to_owned()),
            Self::Object if !value.is_object() => wrong("must be an object".to_owned()),
            Self::TextOrObject if !(value.is_string() || value.is_object()) => {
                wrong("must be a text or an object".to_owned())
            }
            Self::TextOrTexts(most) => match value {
                Value::String(_) => Ok(()),
                Value::Array(texts)
                    if texts.len() <= *most && texts.iter().all(Value::is_string) =>
                {
                    Ok(())
                }
                _ => wrong(format!("must be a text or at most {most} texts")),
            },
            Self::OneOf(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(()),
                _ => wrong(format!("must be one of {}", words.join(", "))),
            },
            Self::Unbounded(hint) => {
                Err(Error::UnboundedCall { field: field.to_owned(), hint: (*hint).to_owned() })
            }
            Self::Modalities => match value.as_array() {
                Some(all) if all.iter().all(|one| one == "text" || one == "audio") => Ok(()),
                _ => wrong("may hold text and audio".to_owned()),
            },
            Self::Tools => check_tools(field, value),
            Self::Label => check_user(field, value),
            Self::Labels => check_metadata(field, value),
            Self::Bool | Self::Text | Self::Object | Self::TextOrObject => Ok(()),
        }
    }
}

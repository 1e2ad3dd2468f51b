//! Failures: what the caller is told, and whether the provider bills them.

use farebox_core::Money;
use serde_json::Value;

use crate::Provider;

pub mod blame;

pub use blame::{Blame, Forbids};

/// The most characters of a provider's message that are passed on.
const MESSAGE_CHARS_MAX: usize = 500;

/// A failure that the provider answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For the caller: at most 500 characters, credentials masked.
    pub message: String,
    /// The provider's own code or type.
    pub code: Option<String>,
    /// Whether it may cost money.
    pub billing: Billing,
    /// Whose fault it is.
    pub blame: Blame,
    /// In how many seconds the body says that a retry may succeed.
    pub retry_after_s: Option<u64>,
}

/// Whether a provider bills a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billing {
    /// The provider says in writing that it does not.
    Unbilled,
    /// No page says so, but the provider refused before a model ran.
    UnbilledInferred,
    /// It bills this much at most, whatever the call would have cost.
    Fee(Money),
    /// Nothing is known: the hold is charged.
    Unknown,
}

/// A row of a provider's table of failures that it does not bill.
#[derive(Clone, Copy, Debug)]
pub struct Unbilled {
    /// HTTP status.
    pub status: u16,
    /// What the body must carry for the row to hold.
    pub needs: Needs,
    /// How sure it is.
    pub billing: Billing,
}

/// What a body must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the status suffices.
    Nothing,
    /// The provider's own error object: no proxy in between has answered.
    ErrorBody,
    /// The provider's own error object with this `code` or `type`.
    Code(&'static str),
    /// The provider's own words for a key that it does not know, `WRONG_KEY`.
    WrongKey,
}

/// How `OpenAI`'s API and those after it begin to tell a wrong key; xAI does so by a 400 (recorded
/// 2026-08).
const WRONG_KEY: &str = "Incorrect API key provided";

const fn row(status: u16, needs: Needs, billing: Billing) -> Unbilled {
    Unbilled { status, needs, billing }
}

const fn inferred(status: u16) -> Unbilled {
    row(status, Needs::Nothing, Billing::UnbilledInferred)
}

const fn inferred_with_body(status: u16) -> Unbilled {
    row(status, Needs::ErrorBody, Billing::UnbilledInferred)
}

const fn documented(status: u16) -> Unbilled {
    row(status, Needs::Nothing, Billing::Unbilled)
}

/// `OpenAI` (read 2026-06…11). Flex: "You will not be charged when this occurs"
/// (developers.openai.com/api/docs/guides/flex-processing). The others are refused before a
/// model runs; no page says more.
pub const OPENAI: &[Unbilled] = &[
    row(429, Needs::Code("resource_unavailable"), Billing::Unbilled),
    inferred(429),
    inferred(401),
    inferred(403),
    inferred(404),
    inferred_with_body(400),
    inferred_with_body(413),
    inferred_with_body(422),
];

/// Anthropic (platform.claude.com/docs/en/api/errors, read 2026-08): 413 comes from the edge,
/// before the API. 529, 500 and 504 are not listed: a model may have run.
pub const ANTHROPIC: &[Unbilled] = &[
    documented(413),
    inferred_with_body(401),
    inferred_with_body(403),
    inferred_with_body(404),
    inferred_with_body(429),
    row(400, Needs::Code("invalid_request_error"), Billing::UnbilledInferred),
];

/// Azure bills what it processed whatever the status: a 400 of the content filter or the input
/// limit and a 408 cost money, 401 and 429 do not
/// (learn.microsoft.com/azure/ai-foundry/openai/how-to/manage-costs, read 2026-08).
pub const AZURE: &[Unbilled] = &[documented(401), documented(429), inferred(403), inferred(404)];

/// Gemini: "If your request fails with a 400 or 500 error, you won't be charged"
/// (ai.google.dev/gemini-api/docs/billing, read 2026-09-20). 402 is prepaid credit that is gone.
/// Nothing is said of 503 and 504: a model may have run.
pub const GEMINI: &[Unbilled] = &[
    documented(400),
    documented(500),
    inferred(401),
    inferred_with_body(402),
    inferred(403),
    inferred(404),
    inferred(429),
];

/// Vertex: "You're charged only for requests that return a 200 response code" (cloud.google.com/
/// vertex-ai/generative-ai/pricing, read 2026-11). Its statuses are those of google.rpc.Code.
pub const VERTEX: &[Unbilled] = &[
    documented(400),
    documented(401),
    documented(402),
    documented(403),
    documented(404),
    documented(409),
    documented(413),
    documented(429),
    documented(499),
    documented(500),
    documented(501),
    documented(502),
    documented(503),
    documented(504),
];

/// Bedrock: `ValidationException`, `AccessDenied`, `ResourceNotFound` and `Throttling` are refused
/// before a model runs (docs.aws.amazon.com/bedrock, API reference of Converse, read 2026-11); no
/// page says what is billed. Not listed: 408, 424 and 5xx, where a model may have run.
pub const BEDROCK: &[Unbilled] = &[
    inferred_with_body(400),
    inferred_with_body(401),
    inferred_with_body(403),
    inferred_with_body(404),
    inferred_with_body(429),
];

/// xAI charges a fee for a request that it refuses as a violation (403), so that is not listed
/// (docs.x.ai/docs/pricing, read 2026-09-29).
pub const XAI: &[Unbilled] = &[
    row(400, Needs::WrongKey, Billing::UnbilledInferred),
    inferred(401),
    inferred(404),
    inferred(422),
    inferred(429),
];

/// Compatible providers without a page about failed calls: what is refused before a model runs.
pub const COMPATIBLE: &[Unbilled] = &[
    inferred(401),
    inferred(403),
    inferred(404),
    inferred(429),
    inferred_with_body(400),
    inferred_with_body(402),
    inferred_with_body(413),
    inferred_with_body(422),
];

/// Groq: as the compatible ones, and 498, which flex processing answers where it has no room
/// (console.groq.com/docs/flex-processing).
pub const GROQ: &[Unbilled] = &[
    inferred(401),
    inferred(403),
    inferred(404),
    inferred(429),
    inferred_with_body(400),
    inferred_with_body(413),
    inferred_with_body(422),
    inferred_with_body(498),
];

/// Reads a failure against a provider's tables.
#[must_use]
pub fn read(provider: &Provider, status: u16, body: &[u8]) -> Failure {
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let error = Told::find(&body);
    let details = details(&body);
    let holds = |row: &&Unbilled| {
        row.status == status
            && match row.needs {
                Needs::Nothing => true,
                Needs::ErrorBody => error.is_some(),
                Needs::WrongKey => error.as_ref().is_some_and(Told::is_wrong_key),
                Needs::Code(code) => error.as_ref().is_some_and(|told| told.is(code)),
            }
    };
    let billing = provider.unbilled.iter().find(holds);
    let billing = billing.map_or(Billing::Unknown, |row| row.billing);
    let reasons = details.iter().filter_map(|detail| detail.get("reason")?.as_str());
    let reasons: Vec<_> = reasons.collect();
    let blame = match status {
        401 => Blame::Credential,
        _ if error.as_ref().is_some_and(Told::is_wrong_key) => Blame::Credential,
        // Gemini tells a wrong key by a 400.
        _ if reasons.contains(&"API_KEY_INVALID") => Blame::Credential,
        403 => blame::of_403(provider.forbids, error.as_ref(), &reasons),
        _ => Blame::Request,
    };
    let told = error.unwrap_or_default();
    let message = match told.message {
        Some(message) => presentable(&message),
        None => format!("The provider answered with status {status}."),
    };
    let code = told.code.or(told.kind).map(|code| presentable(&code));
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str());
    Failure { message, code, billing, blame, retry_after_s: delay.and_then(seconds_up) }
}

/// The details of Google's errors (google.rpc.Status).
fn details(body: &Value) -> &[Value] {
    let body = body.as_array().and_then(|items| items.first()).unwrap_or(body);
    body.pointer("/error/details").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A duration as protobuf writes it in JSON, such as `34.4s`, in whole seconds, rounded up.
fn seconds_up(duration: &str) -> Option<u64> {
    let (whole, fraction) = match duration.strip_suffix('s')?.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (duration.strip_suffix('s')?, ""),
    };
    let more = fraction.bytes().any(|digit| digit != b'0');
    whole.parse::<u64>().ok()?.checked_add(u64::from(more))
}

/// What an error object says.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) message: Option<String>,
    code: Option<String>,
    kind: Option<String>,
}

impl Told {
    /// Finds the error in a body: `{error: {…}}` (also in an array, as Gemini sends it),
    /// `{error: "…"}`, `{message, …}` (Mistral, Cohere) or `{detail}` (`FastAPI`).
    fn find(body: &Value) -> Option<Self> {
        let body = body.as_array().and_then(|items| items.first()).unwrap_or(body);
        match body.get("error") {
            Some(error @ (Value::Object(_) | Value::String(_))) => {
                let mut told = Self::of(error);
                told.code = told.code.or_else(|| text(body.get("code")));
                return Some(told);
            }
            Some(Value::Bool(true)) | None => {}
            Some(_) => return None,
        }
        let message = text(body.get("message")).or_else(|| text(body.get("Message")));
        let message = message.or_else(|| match body.get("detail") {
            Some(Value::Array(items)) => text(items.first().and_then(|item| item.get("msg"))),
            detail => text(detail),
        });
        message.is_some().then(|| Self { message, ..Self::of(body) })
    }

    /// Reads the error object itself.
    pub(crate) fn of(error: &Value) -> Self {
        if let Value::String(message) = error {
            return Self { message: Some(message.clone()), code: None, kind: None };
        }
        Self {
            message: text(error.get("message")),
            code: text(error.get("code")),
            kind: text(error.get("type")).or_else(|| text(error.get("status"))),
        }
    }

    fn is_wrong_key(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.starts_with(WRONG_KEY))
    }

    fn is(&self, code: &str) -> bool {
        [&self.code, &self.kind].into_iter().flatten().any(|told| told == code)
    }
}

/// The presentable message of an error object inside a good status.
pub(crate) fn reported(error: &str) -> String {
    let told = serde_json::from_str::<Value>(error).map(|error| Told::of(&error));
    let told = told.unwrap_or_default();
    let message = told.message.or(told.code).or(told.kind);
    message.map_or_else(|| "The provider reported an error.".to_owned(), |text| presentable(&text))
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// How credentials begin.
const PREFIXES: [&str; 11] =
    ["sk-", "sk_", "gsk_", "xai-", "pplx-", "csk-", "fw_", "tgp_", "key-", "AIza", "eyJ"];

/// The longest run of letters and digits that can be a word.
const WORD_CHARS_MAX: usize = 23;

/// At most [`MESSAGE_CHARS_MAX`] characters, one line, anything like a credential masked:
/// providers quote the key that they refuse.
pub(crate) fn presentable(message: &str) -> String {
    let part_of_word = |letter: char| letter.is_alphanumeric() || "-_*.+/=".contains(letter);
    let mut shown = String::new();
    let mut rest = message;
    while let Some(start) = rest.chars().next() {
        let word_end = rest.find(|letter| !part_of_word(letter)).unwrap_or(rest.len());
        if word_end == 0 {
            shown.push(if start.is_control() { ' ' } else { start });
            rest = rest.get(start.len_utf8()..).unwrap_or_default();
        } else {
            let (word, after) = rest.split_at(word_end);
            shown.push_str(if is_like_a_credential(word) { "***" } else { word });
            rest = after;
        }
        if shown.len() > MESSAGE_CHARS_MAX.saturating_mul(4) {
            break;
        }
    }
    shown.chars().take(MESSAGE_CHARS_MAX).collect()
}

fn is_like_a_credential(word: &str) -> bool {
    let long_mix = |run: &str| {
        run.len() > WORD_CHARS_MAX
            && run.bytes().any(|byte| byte.is_ascii_digit())
            && run.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    // A key can stand behind `key=`, and providers mask the middle of it with stars.
    word.split('=').any(|part| {
        PREFIXES.iter().any(|prefix| part.len() > prefix.len() && part.starts_with(prefix))
            || part.contains("***")
    }) || word.split(['-', '.', '/']).any(long_mix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::COMPATIBLE as COMPATIBLE_ROW;

    const BODY: &[u8] = br#"{"error":{"message":"no","type":"invalid_request_error"}}"#;
    const QUOTA: &[u8] = br#"{"error":{"message":"m","code":"resource_unavailable"}}"#;

    fn read_with(unbilled: &'static [Unbilled], status: u16, body: &[u8]) -> Failure {
        read(&Provider { unbilled, ..COMPATIBLE_ROW }, status, body)
    }

    fn billing(table: &'static [Unbilled], status: u16, body: &[u8]) -> Billing {
        read_with(table, status, body).billing
    }

    #[test]
    fn openais_refusals_are_inferred_and_flex_is_documented() {
        for status in [401, 403, 404, 429] {
            assert_eq!(billing(OPENAI, status, b""), Billing::UnbilledInferred, "{status}");
        }
        for status in [400, 413, 422] {
            assert_eq!(billing(OPENAI, status, BODY), Billing::UnbilledInferred, "{status}");
            assert_eq!(billing(OPENAI, status, b"<html>"), Billing::Unknown, "{status}");
        }
        assert_eq!(billing(OPENAI, 429, QUOTA), Billing::Unbilled);
    }

    #[test]
    fn anthropics_refusals_need_its_error_body_but_413() {
        assert_eq!(billing(ANTHROPIC, 413, b""), Billing::Unbilled);
        for status in [401, 403, 404, 429] {
            assert_eq!(billing(ANTHROPIC, status, BODY), Billing::UnbilledInferred, "{status}");
            assert_eq!(billing(ANTHROPIC, status, b""), Billing::Unknown, "{status}");
        }
        let other = br#"{"type":"error","error":{"type":"api_error","message":"m"}}"#;
        assert_eq!(billing(ANTHROPIC, 400, BODY), Billing::UnbilledInferred);
        assert_eq!(billing(ANTHROPIC, 400, other), Billing::Unknown);
    }

    #[test]
    fn what_no_page_calls_free_charges_the_hold() {
        for status in [402, 408, 409, 418, 500, 502, 503, 504, 529, 599] {
            for table in [OPENAI, ANTHROPIC, AZURE, XAI] {
                assert_eq!(billing(table, status, BODY), Billing::Unknown, "{status}");
            }
        }
        assert_eq!(billing(AZURE, 400, BODY), Billing::Unknown);
        assert_eq!(billing(AZURE, 401, BODY), Billing::Unbilled);
        assert_eq!(billing(AZURE, 429, BODY), Billing::Unbilled);
        assert_eq!(billing(XAI, 403, BODY), Billing::Unknown);
        assert_eq!(billing(GEMINI, 500, b""), Billing::Unbilled);
        assert_eq!(billing(GEMINI, 503, BODY), Billing::Unknown);
        assert_eq!(billing(COMPATIBLE, 500, BODY), Billing::Unknown);
    }

    #[test]
    fn every_shape_of_an_error_is_read() {
        for (body, message, code) in [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m", Some("c")),
            (r#"{"error":{"message":"m","code":429}}"#, "m", Some("429")),
            (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, "m", Some("t")),
            (r#"[{"error":{"code":400,"message":"m","status":"BAD"}}]"#, "m", Some("400")),
            (r#"{"code":"c","error":"m"}"#, "m", Some("c")),
            (r#"{"object":"error","message":"m","type":"t","code":1}"#, "m", Some("1")),
            (r#"{"detail":"m"}"#, "m", None),
            (r#"{"detail":[{"msg":"m"}]}"#, "m", None),
            ("upstream is gone", "The provider answered with status 400.", None),
            (r#"{"error":null}"#, "The provider answered with status 400.", None),
        ] {
            let failure = read_with(COMPATIBLE, 400, body.as_bytes());
            assert_eq!((failure.message.as_str(), failure.code.as_deref()), (message, code));
        }
    }

    #[test]
    fn a_quoted_credential_is_masked() {
        for (message, shown) in [
            ("Incorrect API key provided: sk-abc***xyz.", "Incorrect API key provided: ***"),
            ("Your api key: ****-key is invalid", "Your api key: *** is invalid"),
            ("key=AIzaSyABCDEF and gsk_1234", "*** and ***"),
            ("bad 0123456789abcdef0123456789abcdef!", "bad ***!"),
            ("no model claude-haiku-4-5-20251001\n", "no model claude-haiku-4-5-20251001 "),
            ("risk-free task-list", "risk-free task-list"),
        ] {
            assert_eq!(presentable(message), shown);
        }
        assert_eq!(presentable(&"é ".repeat(2_000)).chars().count(), 500);
    }
}

//! Options that a provider cannot do, left out where the caller asks for that instead of a refusal.

use farebox_core::chat::Thinking;
use farebox_core::{ChatCall, Error};
use serde_json::Value;

use crate::incoming::Incoming;
use crate::resolve::Resolved;

/// The header that asks for it.
const DROP_HEADER: &str = "x-farebox-drop-params";

/// What may be left out: wishes about how tokens are chosen and told and how hard a model thinks
/// (within a cap that is held), and marks. Not what bounds an answer (the caps, `n`, `stop`,
/// `verbosity`), and not
/// what it is about (`messages`, tools, `response_format`): of the tools only a search that the
/// provider would have to run.
const DROPPABLE: [&str; 19] = [
    "temperature",
    "top_p",
    "min_p",
    "top_k",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "metadata",
    "store",
    "parallel_tool_calls",
    "reasoning_effort",
    "thinking",
];

/// How closely an image is looked at.
const DETAIL: &str = "image_url.detail";

/// What asks that all before it is kept.
const MARK: &str = "cache_control";

/// Whether a request asks for it; `None` where it does not say, and its key decides.
///
/// # Errors
/// [`Error::Malformed`] names the header.
pub fn is_wanted(incoming: &Incoming) -> Result<Option<bool>, Error> {
    let Some(given) = incoming.headers.get(DROP_HEADER) else { return Ok(None) };
    match given.as_bytes() {
        b"true" => Ok(Some(true)),
        b"false" => Ok(Some(false)),
        _ => Err(Error::malformed(DROP_HEADER, "is true or false")),
    }
}

/// The call without the option that it was refused for, and that option's name; `None` where that
/// is not one that may be left out.
#[must_use]
pub fn without(call: &ChatCall, refusal: &Error) -> Option<(ChatCall, &'static str)> {
    if call.droppable && call.beyond.as_deref() == Some(refusal) {
        return Some((ChatCall { beyond: None, droppable: false, ..call.clone() }, "tools"));
    }
    let Error::Malformed { field, .. } = refusal else { return None };
    if field.ends_with(DETAIL) {
        return Some((without_detail(call), DETAIL));
    }
    let top = field.split(['.', '[']).next().unwrap_or(field);
    let name = DROPPABLE.into_iter().find(|name| *name == top)?;
    let mut call = call.clone();
    if name == "thinking" {
        call.thinking = Thinking::Unsaid;
        call.body.shift_remove("reasoning_effort");
        return Some((call, name));
    }
    call.body.shift_remove(name).map(|_| (call, name))
}

/// What a translation leaves out whatever is asked, because a call means the same without it: the
/// wishes of another format, and marks of what to cache, where the provider takes none.
#[must_use]
pub fn wishes(call: &ChatCall, resolved: &Resolved) -> Vec<&'static str> {
    if call.original(call.format).is_some() && resolved.wire.takes(call.format) {
        return Vec::new();
    }
    let mut wishes = call.wishes.clone();
    let takes_marks = resolved.provider.extensions.contains(&MARK);
    if !takes_marks && !wishes.contains(&MARK) && is_marked(call) {
        wishes.push(MARK);
    }
    wishes
}

/// Whether a message, a part of one or a tool carries a mark.
fn is_marked(call: &ChatCall) -> bool {
    let has = |value: &Value| value.get(MARK).is_some_and(|mark| !mark.is_null());
    let parts = |message: &Value| {
        message.get("content").and_then(Value::as_array).is_some_and(|parts| parts.iter().any(has))
    };
    let tools = call.body.get("tools").and_then(Value::as_array);
    call.messages().iter().any(|message| has(message) || parts(message))
        || tools.is_some_and(|tools| tools.iter().any(has))
}

fn without_detail(call: &ChatCall) -> ChatCall {
    let mut call = call.clone();
    let messages = call.body.get_mut("messages").and_then(Value::as_array_mut);
    let contents = messages.into_iter().flatten().filter_map(|message| message.get_mut("content"));
    for part in contents.filter_map(Value::as_array_mut).flatten() {
        if let Some(image) = part.get_mut("image_url").and_then(Value::as_object_mut) {
            image.shift_remove("detail");
        }
    }
    call
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> ChatCall {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],
            "seed":1,"n":2,"reasoning_effort":"low"}"#;
        ChatCall::from_openai(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_wish_is_left_out_once() {
        let (less, name) = without(&call(), &Error::malformed("seed", "no")).unwrap();

        assert_eq!(name, "seed");
        assert!(!less.body.contains_key("seed") && less.body.contains_key("reasoning_effort"));
        let refusal = Error::malformed("reasoning_effort", "no");
        assert_eq!(without(&less, &refusal).map(|left| left.1), Some("reasoning_effort"));
        assert!(without(&less, &Error::malformed("seed", "no")).is_none(), "no second time");
        let budget = ChatCall { thinking: Thinking::Tokens(9), ..call() };
        let (less, name) = without(&budget, &Error::malformed("thinking", "no")).unwrap();
        assert_eq!((name, less.thinking, less.effort()), ("thinking", Thinking::Unsaid, None));
    }

    #[test]
    fn a_search_that_a_model_cannot_run_is_left_out_and_nothing_else_of_its_kind() {
        let refusal = Error::malformed("tools[3].type", "no");
        let mut asked = ChatCall { beyond: Some(Box::new(refusal.clone())), ..call() };
        assert!(without(&asked, &refusal).is_none(), "another tool");

        asked.droppable = true;
        let (less, name) = without(&asked, &refusal).unwrap();

        assert_eq!((name, less.beyond, less.droppable), ("tools", None, false));
    }

    #[test]
    fn how_closely_images_are_looked_at_is_left_out_of_all() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":[
            {"type":"image_url","image_url":{"url":"u","detail":"low"}},
            {"type":"image_url","image_url":{"url":"v","detail":"high"}}]}]}"#;
        let call = ChatCall::from_openai(body.as_bytes()).unwrap();
        let refusal = Error::malformed("messages[0].content[1].image_url.detail", "no");

        let (less, name) = without(&call, &refusal).unwrap();

        assert_eq!(name, "image_url.detail");
        let parts = less.messages()[0]["content"].as_array().unwrap();
        assert!(parts.iter().all(|part| part["image_url"]["detail"].is_null()), "{parts:?}");
        assert_eq!(parts[1]["image_url"]["url"], "v");
    }

    #[test]
    fn what_bounds_the_cost_or_is_the_question_stays() {
        for field in ["n", "messages[0].content", "max_tokens", "tools", "body"] {
            assert!(without(&call(), &Error::malformed(field, "no")).is_none(), "{field}");
        }
        let unbounded = Error::UnboundedCall { field: "seed".into(), hint: String::new() };
        assert!(without(&call(), &unbounded).is_none());
    }
}

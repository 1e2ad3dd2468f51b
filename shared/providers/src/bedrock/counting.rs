//! `CountTokens`: "will match the token count that would be charged", and costs nothing
//! (docs.aws.amazon.com/bedrock, count-tokens and API reference, read 2026-11).
//!
//! It takes messages, system prompt, tools and a model's own fields, and of Claude alone: Nova and
//! the ids of inference profiles are refused, so the profile's prefix is left out. A model that is
//! served by profiles only is refused too; then there is no count.

use bytes::Bytes;
use serde_json::json;

use crate::{CountRequest, Margin, Outbound};

/// What is counted (`ConverseTokensRequest`).
const COUNTED: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];
/// What adds nothing to a prompt.
const UNCOUNTED: [&str; 2] = ["inferenceConfig", "serviceTier"];
/// Where the id of a Claude begins.
const CLAUDE: &str = "anthropic.";

pub(super) fn request(outbound: &Outbound) -> Option<CountRequest> {
    let (model, _) = outbound.path.strip_prefix("/model/")?.rsplit_once('/')?;
    let (profile, _) = model.split_once(CLAUDE)?;
    // `us.`, `global.` …: the ARN of a profile hides its model.
    let is_prefix = profile.is_empty()
        || profile.strip_suffix('.').is_some_and(|it| it.bytes().all(|it| it.is_ascii_lowercase()));
    let model = model.get(profile.len()..).filter(|_| is_prefix)?;
    let body = CountRequest::fields(outbound, &COUNTED, &UNCOUNTED)?;
    let body = Bytes::from(json!({"input": {"converse": body}}).to_string());
    let path = format!("/model/{model}/count-tokens").into();
    // Its word is of the same input; a margin costs little, an overrun takes a price out of use.
    Some(CountRequest { path, body, margin: Margin::of(outbound) })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::InputBound;

    fn count(model: &str, body: &Value) -> Option<(String, Value)> {
        let outbound = Outbound {
            path: format!("/model/{model}/converse-stream").into(),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
            bound: InputBound::default(),
            cap: 9,
            choices: 1,
        };
        let request = request(&outbound)?;
        Some((request.path.into_owned(), serde_json::from_slice(&request.body).unwrap()))
    }

    #[test]
    fn a_claude_is_counted_by_its_own_id_and_nobody_else_is() {
        let sent = json!({"messages": [], "system": [], "toolConfig": {"tools": []},
            "inferenceConfig": {"maxTokens": 9}, "serviceTier": {"type": "flex"}});
        let counted = json!({"input": {"converse":
            {"messages": [], "system": [], "toolConfig": {"tools": []}}}});
        let id = "anthropic.claude-haiku-4-5-20251001-v1%3A0";
        for prefix in ["", "us.", "global."] {
            let asked = count(&format!("{prefix}{id}"), &sent);
            assert_eq!(asked, Some((format!("/model/{id}/count-tokens"), counted.clone())));
        }

        let arn = format!("arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.{id}");
        for other in [&*arn, "us.amazon.nova-2-lite-v1%3A0", "openai.gpt-oss-20b-1%3A0"] {
            assert_eq!(count(other, &sent), None, "{other}");
        }
        // An enforced schema is a part of the prompt, and no field of a count.
        assert_eq!(count(id, &json!({"messages": [], "outputConfig": {}})), None);
        assert_eq!(CountRequest::counted(br#"{"inputTokens":14}"#), Some(14));
    }
}

//! Whose fault a refusal is. A 401 is the stored credential's; what a 403 means differs from
//! provider to provider, and only what its body says tells it.

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request's, or nobody has said: the caller is told, and nobody else is asked. What a
    /// provider's moderation refuses goes to no other.
    Request,
    /// The credential's: it is not valid.
    Credential,
    /// That of what the credential's account may do: a model, a country, a limit of its own.
    /// Another account may, and this one may call other models.
    Account,
}

/// A row of a provider's table of what a 403 means. The first that holds counts; where none does
/// it is the request's.
#[derive(Clone, Copy, Debug)]
pub struct Forbids {
    /// What the body must say.
    pub says: Says,
    /// What it means then.
    pub blame: Blame,
}

/// What a body must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The provider's own error object, whatever it says.
    Error,
    /// Its `code`, `type` or `status` is this.
    Code(&'static str),
    /// A `reason` in its details begins so (Google's errors).
    Reason(&'static str),
    /// Its message has these words, in capitals or not.
    Words(&'static str),
}

use Blame::{Account, Credential, Request};
use Says::{Code, Error, Reason, Words};

const fn row(says: Says, blame: Blame) -> Forbids {
    Forbids { says, blame }
}

/// Servers of `OpenAI`'s format without a page about 403: its own codes for a key.
pub const COMPATIBLE: &[Forbids] = &[
    row(Code("invalid_api_key"), Credential),
    row(Code("authentication_error"), Credential),
    row(Words("invalid api key"), Credential),
    row(Words("incorrect api key"), Credential),
];

/// platform.openai.com/docs/guides/error-codes (read 2026-11): 403 is a country. A project that
/// may not use a model, or a key without the scope, is told so too. Moderation is a 400.
pub const OPENAI: &[Forbids] = &[
    row(Code("invalid_api_key"), Credential),
    row(Code("account_deactivated"), Credential),
    row(Code("unsupported_country_region_territory"), Account),
    row(Code("model_not_found"), Account),
    row(Words("does not have access to"), Account),
    row(Words("insufficient permissions"), Account),
];

/// platform.claude.com/docs/en/api/errors (read 2026-08): "Your API key does not have permission
/// to use the specified resource". `forbidden` is a country. A model refuses inside a 200.
pub const ANTHROPIC: &[Forbids] =
    &[row(Code("permission_error"), Account), row(Code("forbidden"), Account)];

/// google.api.ErrorReason, and ai.google.dev/gemini-api/docs/api-errors (read 2026-11):
/// `PERMISSION_DENIED` is a project or model; content is blocked inside a 200. A key that was found
/// in public is told in words.
pub const GOOGLE: &[Forbids] = &[
    row(Reason("API_KEY_"), Credential),
    row(Reason("CONSUMER_SUSPENDED"), Credential),
    row(Words("reported as leaked"), Credential),
    row(Code("PERMISSION_DENIED"), Account),
];

/// docs.aws.amazon.com/bedrock, troubleshooting API error codes (read 2026-11). The name of the
/// exception is in a header; the body has its words (the first is recorded). Every other 403 is
/// `AccessDeniedException`: a model or an action. Guardrails speak inside a 200.
pub const BEDROCK: &[Forbids] = &[
    row(Words("security token included in the request"), Credential),
    row(Words("request signature we calculated"), Credential),
    row(Words("make sure your api key is valid"), Credential),
    row(Error, Account),
];

/// learn.microsoft.com, Azure OpenAI: 403 is the resource's network, its permission, or that it is
/// blocked. The content filter is a 400.
pub const AZURE: &[Forbids] = &[row(Error, Account)];

/// docs.x.ai, debugging errors (read 2026-11): a key or team without permission, or blocked. A
/// violation has the same code (recorded in inspect_ai #2267), so its words come first.
pub const XAI: &[Forbids] = &[
    row(Words("usage guidelines"), Request),
    row(Words("safety_check"), Request),
    row(Code("permission-denied"), Account),
    row(Code("The caller does not have permission to execute the specified operation"), Account),
];

/// openrouter.ai/docs, errors and debugging; workspace budgets (read 2026-11): moderation, a
/// guardrail, a refusal of the model's provider, or a limit of the key or workspace.
pub const OPENROUTER: &[Forbids] = &[row(Words("limit exceeded"), Account)];

/// console.groq.com/docs/model-permissions (read 2026-11).
pub const GROQ: &[Forbids] = &[
    row(Code("invalid_api_key"), Credential),
    row(Code("model_permission_blocked_org"), Account),
    row(Code("model_permission_blocked_project"), Account),
];

pub(super) fn of_403(table: &[Forbids], told: Option<&super::Told>, reasons: &[&str]) -> Blame {
    let message = told.and_then(|told| told.message.as_deref()).unwrap_or_default();
    let message = message.to_ascii_lowercase();
    let holds = |row: &&Forbids| match row.says {
        Error => told.is_some(),
        Code(code) => told.is_some_and(|told| told.is(code)),
        Reason(start) => reasons.iter().any(|reason| reason.starts_with(start)),
        Words(words) => message.contains(words),
    };
    table.iter().find(holds).map_or(Request, |row| row.blame)
}

#[cfg(test)]
mod tests {
    use super::super::{Billing, read};
    use super::*;
    use crate::find;

    fn blame(provider: &str, status: u16, body: &str) -> Blame {
        let provider = find(provider).unwrap();
        read(provider, status, body.as_bytes()).blame
    }

    /// What providers say, and whose fault it is. The first is recorded.
    const TOLD: &[(&str, Blame, &str)] = &[
        (
            "bedrock",
            Credential,
            r#"{"message":"The security token included in the request is invalid."}"#,
        ),
        (
            "bedrock",
            Credential,
            r#"{"message":"The request signature we calculated does not match"}"#,
        ),
        (
            "bedrock",
            Credential,
            r#"{"Message":"Authentication failed: Please make sure your API Key is valid."}"#,
        ),
        (
            "bedrock",
            Account,
            r#"{"message":"You don't have access to the model with the specified model ID."}"#,
        ),
        (
            "openai",
            Account,
            r#"{"error":{"code":"unsupported_country_region_territory","message":
                    "Country, region, or territory not supported","type":"request_forbidden"}}"#,
        ),
        (
            "openai",
            Account,
            r#"{"error":{"message":"Project `p` does not have access to model `m`","type":
                    "invalid_request_error","code":"model_not_found"}}"#,
        ),
        (
            "openai",
            Account,
            r#"{"error":{"message":"You have insufficient permissions for this operation."}}"#,
        ),
        ("openai", Request, r#"{"error":{"message":"no"}}"#),
        (
            "anthropic",
            Account,
            r#"{"type":"error","error":{"type":"permission_error","message":"m"}}"#,
        ),
        (
            "gemini",
            Credential,
            r#"{"error":{"code":403,"message":"m","status":"PERMISSION_DENIED","details":[{
                    "reason":"API_KEY_SERVICE_BLOCKED"}]}}"#,
        ),
        (
            "gemini",
            Credential,
            r#"{"error":{"code":403,"message":"Your API key was reported as leaked.","status":
                    "PERMISSION_DENIED"}}"#,
        ),
        (
            "vertexai",
            Account,
            r#"{"error":{"code":403,"message":"m","status":"PERMISSION_DENIED","details":[{
                    "reason":"IAM_PERMISSION_DENIED"}]}}"#,
        ),
        (
            "azure",
            Account,
            r#"{"error":{"code":"403","message":
                    "Access denied due to Virtual Network/Firewall rules."}}"#,
        ),
        (
            "xai",
            Request,
            r#"{"code":"The caller does not have permission to execute the specified operation",
                    "error":"Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"
                    }"#,
        ),
        (
            "xai",
            Request,
            r#"{"code":"permission-denied","error":"Failed check: SAFETY_CHECK_TYPE_CSAM"}"#,
        ),
        (
            "xai",
            Account,
            r#"{"code":"permission-denied","error":
                    "Your newly created team doesn't have any credits yet."}"#,
        ),
        (
            "openrouter",
            Request,
            r#"{"error":{"code":403,"message":
                    "Your chosen model requires moderation and your input was flagged","metadata":
                    {"reasons":["violence"],"flagged_input":"x"}}}"#,
        ),
        (
            "openrouter",
            Request,
            r#"{"error":{"code":403,"message":
                    "Request blocked: prompt injection patterns detected"}}"#,
        ),
        (
            "openrouter",
            Account,
            r#"{"error":{"code":403,"message":"Key limit exceeded (total limit)."}}"#,
        ),
        (
            "groq",
            Account,
            r#"{"error":{"message":"m","type":"permissions_error","code":
                    "model_permission_blocked_project"}}"#,
        ),
        ("mistral", Credential, r#"{"detail":"Invalid API Key"}"#),
        ("vllm", Credential, r#"{"error":{"message":"m","type":"authentication_error"}}"#),
    ];

    #[test]
    fn a_403_is_the_credentials_fault_only_where_the_provider_says_so() {
        for (provider, blamed, body) in TOLD.iter().copied() {
            assert_eq!(blame(provider, 403, body), blamed, "{provider} {body}");
        }
    }

    #[test]
    fn a_403_that_nobody_explains_is_the_requests() {
        for provider in crate::PROVIDERS {
            for body in ["", "<html>403 Forbidden</html>", "[]", r#"{"error":null}"#] {
                assert_eq!(blame(provider.name, 403, body), Request, "{} {body}", provider.name);
            }
            assert_eq!(blame(provider.name, 401, ""), Credential, "{}", provider.name);
            assert_eq!(blame(provider.name, 404, ""), Request, "{}", provider.name);
        }
        // Who is to blame says nothing of the bill.
        let flagged = br#"{"error":{"code":403,"message":"flagged"}}"#;
        let failure = read(find("openrouter").unwrap(), 403, flagged);
        assert_eq!(failure.billing, Billing::UnbilledInferred);
    }
}

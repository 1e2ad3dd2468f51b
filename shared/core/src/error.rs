//! Every refusal that a caller can meet, and the one table from error to HTTP.

use crate::{Allowance, Money, Rid, Scope, Timestamp};

/// Why a call or a request to the control plane has no good answer.
///
/// `Display` is what the caller is told; [`Error::cause`] is what the log adds. They are never
/// the same string, and neither ever carries a secret or content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller sent no key.
    #[error(
        "No API key was given. Send your Farebox key as `Authorization: Bearer sk-fb-…` \
         (or as `x-api-key`)."
    )]
    MissingKey,
    /// The key is unknown, malformed, revoked, expired or of another stage: not said which.
    #[error("The API key is not valid. Check it with whoever gave it to you.")]
    InvalidKey {
        /// For the log: which rule it broke.
        reason: &'static str,
    },
    /// The key may not use the model.
    #[error("This key may not use the model {model}. GET /v1/models lists the ones it may.")]
    ModelForbidden {
        /// As asked.
        model: String,
    },
    /// The control plane does not allow it, whatever it is and whether it exists or not.
    #[error(
        "This is not allowed. Send a key whose role may do it: an admin key \
         (`Authorization: Bearer sk-fba-…`), or under /admin/v1/me your own Farebox key."
    )]
    AdminForbidden,
    /// Nobody is signed in to the console, and why.
    #[error("You were not signed in. {rule}")]
    SignInRefused {
        /// What to do.
        rule: String,
        /// For the log: which rule was broken. It carries nothing that the provider said.
        cause: &'static str,
    },
    /// The provider of single sign-on did not answer as it should.
    #[error(
        "The sign-in service did not answer as it should. Try again in a moment; if it stays so, \
         ask an owner to look at the log of the admin function."
    )]
    SignInUnavailable {
        /// For the log.
        cause: &'static str,
    },
    /// The owner does not let a member do it.
    #[error("{rule}")]
    NotAllowed {
        /// What the owner allows, and what to do.
        rule: String,
    },
    /// The caller's request breaks a rule.
    #[error("{field}: {rule}")]
    Malformed {
        /// The path of the field, such as `messages[2].role`; `body` for the whole.
        field: String,
        /// The rule, and what to send instead.
        rule: String,
    },
    /// The caller has no credential for the provider.
    #[error("No active API credentials found for provider: {provider}")]
    NoActiveCredential {
        /// The provider's name.
        provider: String,
    },
    /// Neither the catalogue nor the owner knows the model.
    #[error("The model {model} is not known. GET /v1/models lists the models you can use.")]
    UnknownModel {
        /// As asked.
        model: String,
    },
    /// No such path, or no such thing.
    #[error("There is nothing at {path}.")]
    NotFound {
        /// The path that was asked for.
        path: String,
    },
    /// The path exists, the method does not.
    #[error("{path} takes {allowed}.")]
    MethodNotAllowed {
        /// The path that was asked for.
        path: String,
        /// The methods that it takes, with commas.
        allowed: String,
    },
    /// The body is too long.
    #[error("The request body is longer than {bytes_max} bytes.")]
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not JSON, or compressed.
    #[error("Send JSON as `Content-Type: application/json`, not compressed. Got: {given}")]
    UnsupportedMediaType {
        /// What was sent.
        given: String,
    },
    /// The thing changed since the caller read it.
    #[error("{thing} has changed since you read it; it is now version {version}. Read it again.")]
    StaleVersion {
        /// What.
        thing: String,
        /// Its version now.
        version: String,
    },
    /// A change needs the version that it is based on.
    #[error("Send `If-Match` with the ETag of {thing} that you have read, or `*` to replace it.")]
    VersionRequired {
        /// What.
        thing: String,
    },
    /// It exists already.
    #[error("{thing} exists already.")]
    Conflict {
        /// What.
        thing: String,
    },
    /// The idempotency key was sent with another request.
    #[error(
        "This Idempotency-Key was sent with another request in the last 24 hours. Send a key of \
         its own with each request."
    )]
    IdempotencyKeyReused,
    /// The call with this idempotency key is still under way.
    #[error(
        "The call with this Idempotency-Key is still under way. Retry in a moment for its answer."
    )]
    RequestInFlight,
    /// The call with this idempotency key ended without a word.
    #[error(
        "The call {request_id} with this Idempotency-Key did not end as it should, and may have \
         been paid for: GET /v1/requests/{request_id}. To run it again, send a new key."
    )]
    OutcomeUnknown {
        /// The call.
        request_id: Rid,
    },
    /// The call with this idempotency key was paid for, and its answer is not kept.
    #[error(
        "The call {request_id} with this Idempotency-Key is done and paid for, and its answer \
         is not kept. To run it again, send a new key."
    )]
    ReplyNotKept {
        /// The call.
        request_id: Rid,
    },
    /// The money is gone.
    #[error(
        "Budget exceeded: {} {period} limit {limit} USD, committed {committed} USD, \
         this call may cost {needed} USD.", scope.label()
    )]
    BudgetExceeded {
        /// Whose budget.
        scope: Scope,
        /// `month`, `day` or `total`.
        period: &'static str,
        /// The limit in force.
        limit: Money,
        /// Settled and held.
        committed: Money,
        /// What the call would have held.
        needed: Money,
        /// When the period ends; `None` for a total.
        resets_at: Option<Timestamp>,
    },
    /// The call's worst case is above what the key, or the request itself, allows for one call.
    #[error(
        "This call may cost {needed} USD; at most {limit} USD is allowed for one call: \
             lower max_completion_tokens."
    )]
    CallTooCostly {
        /// The limit of the key, or of the request itself.
        limit: Money,
        /// The worst case.
        needed: Money,
    },
    /// The room is held by calls that are still open.
    #[error("The budget of {scope} is held by calls that are still open. Retry in a moment.")]
    BudgetContention {
        /// Whose budget.
        scope: Scope,
    },
    /// A class that the call would be billed for has no price.
    #[error(
        "{model} has no price for {class}, so its cost cannot be held. An owner can set one: \
         PUT /admin/v1/prices/{model}."
    )]
    UnpricedModel {
        /// `provider/model`.
        model: String,
        /// The billed class.
        class: String,
    },
    /// A call to the model cost more than its hold.
    #[error(
        "A call to {model} cost more than its worst case, so its price or its limits are wrong and \
         its cost cannot be bounded. An owner checks them, then: farebox price acknowledge {model}."
    )]
    PriceQuarantined {
        /// `provider/model`.
        model: String,
    },
    /// The call's cost has no upper bound.
    #[error("{field}: the cost of this call has no upper bound. {hint}")]
    UnboundedCall {
        /// The field that has none.
        field: String,
        /// What would bound it.
        hint: String,
    },
    /// A rate limit of Farebox.
    #[error("Too many requests: {limit}. Retry in {retry_after_s} s.")]
    RateLimited {
        /// Which limit.
        limit: String,
        /// Seconds.
        retry_after_s: u32,
        /// What is left of the limits of who was refused, where they are counted.
        left: Vec<Allowance>,
    },
    /// The provider refused the request.
    #[error("{message}")]
    ProviderRefused {
        /// The provider's status, 400 to 499.
        status: u16,
        /// The provider's message.
        message: String,
        /// For the log: the provider's name and its own code.
        cause: String,
    },
    /// The provider refused the stored credential.
    #[error(
        "{provider} refused the credential stored for it ({owner}). Store a valid one: \
         farebox credential set."
    )]
    CredentialRejected {
        /// The provider's name.
        provider: String,
        /// Whose credential: `user:ID` or `org:ID`.
        owner: String,
    },
    /// The account behind the stored credential may not make this call.
    #[error("{account} may not make this call: {message} Allow it there, or name another model.")]
    AccountRefused {
        /// The provider, and whose credential it is: `user:ID` or `org:ID`.
        account: String,
        /// The provider's message.
        message: String,
    },
    /// The provider failed or could not be reached.
    #[error("{provider} did not answer as it should. {advice}")]
    ProviderUnavailable {
        /// The provider's name.
        provider: String,
        /// Whether the call was charged, and what to do.
        advice: &'static str,
        /// How it failed.
        fault: Fault,
        /// For the log.
        cause: String,
    },
    /// The provider took too long.
    #[error("{provider} took longer than {seconds} s. {advice}")]
    ProviderTimeout {
        /// The provider's name.
        provider: String,
        /// The limit.
        seconds: u32,
        /// Whether the call was charged, and what to do.
        advice: &'static str,
    },
    /// The endpoint is known and not served.
    #[error("{what} is not served by Farebox. {instead}")]
    NotSupported {
        /// What was asked for.
        what: String,
        /// What to use.
        instead: String,
    },
    /// The ledger or the directory cannot be reached: no call was made.
    #[error("The ledger cannot be reached, so no call was made. Retry later.")]
    LedgerUnavailable {
        /// For the log.
        cause: String,
    },
    /// A fault of Farebox itself.
    #[error("Farebox failed. The request id finds it in the logs.")]
    Internal {
        /// For the log.
        cause: String,
    },
}

/// How a provider failed, as the metric `provider_fault` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection: nothing was sent.
    Unreachable,
    /// The request was sent, and what came back is no answer of HTTP, or nothing.
    NoAnswer,
    /// Not in time.
    Late,
    /// The answer leads elsewhere, where no stored credential goes.
    Redirect,
    /// Its own failure, by its status.
    Status,
    /// An answer with a good status that is not what its format says.
    Unreadable,
    /// An answer, or one event of it, that is longer than any is read.
    TooLong,
    /// An error inside an answer with a good status.
    Reported,
    /// The answer ended before its end.
    Cut,
    /// No token is had for the stored credential.
    Token,
}

impl Fault {
    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NoAnswer => "no_answer",
            Self::Late => "late",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::Unreadable => "unreadable",
            Self::TooLong => "too_long",
            Self::Reported => "reported",
            Self::Cut => "cut",
            Self::Token => "token",
        }
    }
}

/// One row of the table: the status, the code, and whether a client's SDK should try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// HTTP status.
    pub status: u16,
    /// The machine-readable code.
    pub code: &'static str,
    /// Whether the same request can succeed later without a change.
    pub retry: bool,
}

const fn row(status: u16, code: &'static str) -> Row {
    Row { status, code, retry: false }
}

const fn retry(status: u16, code: &'static str) -> Row {
    Row { status, code, retry: true }
}

macro_rules! table {
    ($($variant:pat => $row:ident($status:expr, $code:literal),)*) => {
        impl Error {
            /// Every code of the table; those of several rows stand as often.
            pub const CODES: &[&str] = &[$($code),*];

            /// The table.
            #[must_use]
            pub const fn row(&self) -> Row {
                match self {
                    $($variant => $row($status, $code),)*
                }
            }
        }
    };
}

table! {
    Self::MissingKey | Self::InvalidKey { .. } => row(401, "invalid_api_key"),
    Self::ModelForbidden { .. } => row(403, "model_not_allowed"),
    Self::AdminForbidden => row(403, "forbidden"),
    Self::SignInRefused { .. } => row(403, "sign_in_refused"),
    Self::SignInUnavailable { .. } => retry(502, "sign_in_unavailable"),
    Self::NotAllowed { .. } => row(403, "not_allowed"),
    Self::Malformed { .. } => row(400, "invalid_request_error"),
    Self::NoActiveCredential { .. } => row(400, "no_active_credential"),
    Self::UnknownModel { .. } => row(404, "model_not_found"),
    Self::NotFound { .. } => row(404, "not_found"),
    Self::MethodNotAllowed { .. } => row(405, "method_not_allowed"),
    Self::BodyTooLarge { .. } => row(413, "request_too_large"),
    Self::UnsupportedMediaType { .. } => row(415, "unsupported_media_type"),
    Self::StaleVersion { .. } => row(412, "precondition_failed"),
    Self::VersionRequired { .. } => row(428, "precondition_required"),
    Self::Conflict { .. } => row(409, "already_exists"),
    Self::IdempotencyKeyReused => row(422, "idempotency_key_reused"),
    Self::RequestInFlight => retry(409, "request_in_flight"),
    Self::OutcomeUnknown { .. } => row(409, "outcome_unknown"),
    Self::ReplyNotKept { .. } => row(409, "reply_not_kept"),
    Self::BudgetExceeded { .. } => row(402, "budget_exceeded"),
    Self::CallTooCostly { .. } => row(402, "call_too_costly"),
    Self::BudgetContention { .. } => retry(429, "budget_contention"),
    Self::UnpricedModel { .. } => row(422, "price_unknown"),
    Self::PriceQuarantined { .. } => row(422, "price_quarantined"),
    Self::UnboundedCall { .. } => row(422, "unbounded_call"),
    Self::RateLimited { .. } => retry(429, "rate_limit_exceeded"),
    Self::ProviderRefused { status: 429, .. } => retry(429, "rate_limit_exceeded"),
    Self::ProviderRefused { status, .. } => row(*status, "provider_error"),
    Self::CredentialRejected { .. } => row(502, "provider_credential_rejected"),
    Self::AccountRefused { .. } => row(502, "provider_account_refused"),
    Self::ProviderUnavailable { .. } => row(502, "provider_unavailable"),
    Self::ProviderTimeout { .. } => row(504, "provider_unavailable"),
    Self::NotSupported { .. } => row(501, "not_supported"),
    Self::LedgerUnavailable { .. } => retry(503, "ledger_unavailable"),
    Self::Internal { .. } => row(500, "internal_error"),
}

impl Error {
    /// A [`Error::Malformed`] from its two texts.
    #[must_use]
    pub fn malformed(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Malformed { field: field.into(), rule: rule.into() }
    }

    /// A [`Error::Internal`] from its cause.
    #[must_use]
    pub fn internal(cause: impl core::fmt::Display) -> Self {
        Self::Internal { cause: cause.to_string() }
    }

    /// The field at fault, where there is one (OpenAI's `param`).
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Malformed { field, .. } | Self::UnboundedCall { field, .. } => Some(field),
            Self::UnknownModel { .. } | Self::ModelForbidden { .. } => Some("model"),
            _ => None,
        }
    }

    /// How the provider failed, where it did.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::ProviderUnavailable { fault, .. } => Some(*fault),
            Self::ProviderTimeout { .. } => Some(Fault::Late),
            _ => None,
        }
    }

    /// What the log adds to the message.
    #[must_use]
    pub fn cause(&self) -> &str {
        match self {
            Self::InvalidKey { reason } => reason,
            Self::SignInRefused { cause, .. } | Self::SignInUnavailable { cause } => cause,
            Self::ProviderRefused { cause, .. }
            | Self::ProviderUnavailable { cause, .. }
            | Self::LedgerUnavailable { cause }
            | Self::Internal { cause } => cause,
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_never_told_to_the_caller() {
        let error = Error::internal("table farebox-main is on fire");

        assert!(!error.to_string().contains("fire"));
        assert_eq!(error.cause(), "table farebox-main is on fire");
        assert_eq!(error.row().status, 500);
    }

    #[test]
    fn a_refusal_for_want_of_money_is_402_and_not_retried() {
        let error = Error::BudgetExceeded {
            scope: "user:u_1".parse().unwrap(),
            period: "month",
            limit: Money::parse_usd("100").unwrap(),
            committed: Money::parse_usd("99.2").unwrap(),
            needed: Money::parse_usd("1.31").unwrap(),
            resets_at: None,
        };

        assert_eq!(error.row(), Row { status: 402, code: "budget_exceeded", retry: false });
        assert_eq!(
            error.to_string(),
            "Budget exceeded: user month limit 100 USD, committed 99.2 USD, \
             this call may cost 1.31 USD."
        );
    }
}

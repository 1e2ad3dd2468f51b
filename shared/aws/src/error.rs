//! What can go wrong between Farebox and AWS.

use farebox_core::Scope;

/// Why a service gave no usable answer. No text here carries a secret or content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No answer, or a failure that may pass.
    #[error("{operation} failed: {cause}")]
    Unavailable {
        /// The operation, as AWS names it.
        operation: &'static str,
        /// The service's code, or what broke.
        cause: String,
    },
    /// The service refuses the request as such: rights, names or limits are wrong.
    #[error("{operation} was refused: {cause}")]
    Refused {
        /// The operation, as AWS names it.
        operation: &'static str,
        /// The service's code.
        cause: String,
    },
    /// A stored thing does not read as what it must be.
    #[error("{thing} is malformed: {detail}")]
    Malformed {
        /// Which item or secret.
        thing: String,
        /// Which part of it.
        detail: String,
    },
    /// A scope has no budget item; no call may go out.
    #[error("{0} has no budget")]
    NoBudget(Scope),
    /// A call is held in one budget at least, and in 8 at most (money.md 4).
    #[error("a call is held in 1 to {max} budgets, not in {count}", max = farebox_core::SCOPES_MAX)]
    Scopes {
        /// How many it would be.
        count: usize,
    },
    /// The owner has no credential for the provider.
    #[error("no credential for {provider}")]
    NoCredential {
        /// The provider's name.
        provider: String,
    },
    /// A setting that this operation needs is not there.
    #[error("{variable} is not set")]
    NotConfigured {
        /// The environment variable.
        variable: &'static str,
    },
    /// More sums than one answer takes.
    #[error("more sums than one answer takes")]
    TooManySums,
    /// A page position that this service did not give.
    #[error("not a cursor of this list")]
    Cursor,
}

impl Error {
    pub(crate) fn malformed(thing: impl Into<String>, detail: impl core::fmt::Display) -> Self {
        Self::Malformed { thing: thing.into(), detail: detail.to_string() }
    }
}

impl From<Error> for farebox_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::NoCredential { provider } => Self::NoActiveCredential { provider },
            Error::Cursor => Self::malformed("cursor", "send the cursor of the last page"),
            Error::TooManySums => {
                let rule = "more sums than one answer takes: ask for fewer days, or for one scope";
                Self::malformed("since", rule)
            }
            Error::NotConfigured { .. } => Self::internal(error),
            Error::Unavailable { .. }
            | Error::Refused { .. }
            | Error::Malformed { .. }
            | Error::NoBudget(_)
            | Error::Scopes { .. } => Self::LedgerUnavailable { cause: error.to_string() },
        }
    }
}

//! Rate limits: how much a key or a user may call at once and in a minute.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Above every limit that means anything, and far from what a counter can hold.
const LIMIT_MAX: u64 = 1_000_000_000;

/// What one key or user may do, whatever its budget has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "PutRateLimits"))]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Calls that begin in one minute of the clock (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompt and completion: reserved at the call's bound when it begins, corrected to
    /// what it used when it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Calls that are under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// `requests` or `tokens`.
    pub of: &'static str,
    /// The limit.
    pub limit: u64,
    /// What is left of it in this minute.
    pub left: u64,
    /// When the next minute begins, in ms.
    pub reset_ms: u64,
}

impl RateLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.requests_per_minute.is_none() && !self.has_slots()
    }

    /// Whether a call's end matters, so that it is written down while it is under way.
    #[must_use]
    pub const fn has_slots(&self) -> bool {
        self.tokens_per_minute.is_some() || self.concurrent.is_some()
    }

    /// What is wrong with them.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        for (field, limit) in [
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("concurrent", self.concurrent),
        ] {
            if limit.is_some_and(|limit| !(1..=LIMIT_MAX).contains(&limit)) {
                let rule =
                    "is 1 to 1000000000, or left out: to refuse every call, close the budget";
                return Err(Error::malformed(field, rule));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_above_zero_or_none() {
        let of = |text: &str| serde_json::from_str::<RateLimits>(text).unwrap();

        assert!(of("{}").is_empty() && of("{}").check().is_ok());
        assert!(!of(r#"{"requests_per_minute":5}"#).has_slots());
        assert!(of(r#"{"concurrent":5}"#).has_slots());
        for field in ["requests_per_minute", "tokens_per_minute", "concurrent"] {
            for wrong in [0, LIMIT_MAX + 1] {
                let error = of(&format!(r#"{{"{field}":{wrong}}}"#)).check().unwrap_err();
                assert_eq!(error.field(), Some(field));
            }
        }
    }
}

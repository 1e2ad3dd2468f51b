//! Refusals.

use serde::{Deserialize, Serialize};

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorAnswer {
    /// The refusal.
    pub error: ErrorBody,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The thing as it is now, where a change was based on an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use crate::{
        CreateKey, PostCorrection, PutBudget, PutCredential, PutOrg, PutUser, PutWebhook,
        RaiseEpochs,
    };

    fn refused<T: serde::de::DeserializeOwned>(text: &str) -> String {
        match serde_json::from_str::<T>(text) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_misspelt_limit_is_never_no_limit() {
        let refusal = refused::<PutBudget>(r#"{"mouth_limit_usd":"1"}"#);

        assert!(refusal.contains("unknown field `mouth_limit_usd`"), "{refusal}");
    }

    #[test]
    fn every_request_refuses_an_unknown_field() {
        let unknown = r#"{"user":"u","name":"n","secret":"s","url":"u","x":1}"#;

        for refusal in [
            refused::<CreateKey>(unknown),
            refused::<PutCredential>(unknown),
            refused::<PutOrg>(unknown),
            refused::<PutUser>(unknown),
            refused::<PutWebhook>(unknown),
            refused::<PutBudget>(unknown),
            refused::<PostCorrection>(unknown),
            refused::<RaiseEpochs>(unknown),
        ] {
            assert!(refusal.contains("unknown field"), "{refusal}");
        }
    }

    #[test]
    fn a_number_is_not_money() {
        assert!(refused::<PutBudget>(r#"{"day_limit_usd":1.5}"#).contains("expected a string"));
        assert_eq!(refused::<PutBudget>(r#"{"day_limit_usd":null}"#), "");
    }
}

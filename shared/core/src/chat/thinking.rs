//! How hard a model shall think, where the caller's format has budgets for it.

use serde_json::Value;

use super::ChatCall;

/// The budgets that levels stand for, the lowest first (ai.google.dev/gemini-api/docs/openai, the
/// table of `reasoning_effort`; read 2026-11). A model that has one way to think may be told so by
/// the last.
const BUDGETS: [(&str, u64); 3] = [("low", 1_024), ("medium", 8_192), ("high", 24_576)];

/// What a caller says of thinking beside an effort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    /// Nothing.
    #[default]
    Unsaid,
    /// As much as the model likes: no level.
    Free,
    /// With so many tokens at most.
    Tokens(u64),
}

impl Thinking {
    /// The level of a budget: the lowest that affords it.
    #[must_use]
    pub fn effort(self) -> Option<&'static str> {
        match self {
            Self::Unsaid | Self::Free => None,
            Self::Tokens(0) => Some("none"),
            Self::Tokens(tokens) => {
                let level = BUDGETS.iter().find(|(_, most)| tokens <= *most);
                Some(level.map_or("high", |(level, _)| level))
            }
        }
    }

    /// The budget of a level, where the caller has named none; `None` for a level above them all.
    #[must_use]
    pub fn tokens(self, effort: &str) -> Option<u64> {
        let effort = if effort == "minimal" { "low" } else { effort };
        match self {
            Self::Tokens(tokens) if tokens > 0 => Some(tokens),
            _ => BUDGETS.iter().find(|(level, _)| *level == effort).map(|(_, tokens)| *tokens),
        }
    }
}

impl ChatCall {
    /// How hard the model shall think, in `OpenAI`'s word.
    #[must_use]
    pub fn effort(&self) -> Option<&str> {
        self.body.get("reasoning_effort").and_then(Value::as_str)
    }

    /// The field that says it.
    #[must_use]
    pub fn effort_field(&self) -> &'static str {
        if self.thinking == Thinking::Unsaid { "reasoning_effort" } else { "thinking" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_the_lowest_level_that_affords_it() {
        for (tokens, level) in [
            (0, "none"),
            (1, "low"),
            (1_024, "low"),
            (1_025, "medium"),
            (8_193, "high"),
            (31_999, "high"),
        ] {
            assert_eq!(Thinking::Tokens(tokens).effort(), Some(level), "{tokens}");
        }
        assert_eq!(Thinking::Free.effort(), None);
    }

    #[test]
    fn a_level_has_its_budget_where_the_caller_names_none() {
        assert_eq!(Thinking::Unsaid.tokens("minimal"), Some(1_024));
        assert_eq!(Thinking::Free.tokens("high"), Some(24_576));
        assert_eq!(Thinking::Unsaid.tokens("max"), None);
        assert_eq!(Thinking::Tokens(5_000).tokens("medium"), Some(5_000));
    }
}

//! When a call's output cap may be lowered.

/// Whether a cap is lowered where the budgets, or a limit for one call, do not afford it.
/// A cap above the model's maximum is always lowered to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clamp {
    /// Where the caller sent none.
    #[default]
    Missing,
    /// Always: the caller's own cap too.
    Always,
    /// Never: what is not afforded is refused.
    Never,
}

impl Clamp {
    /// Every value by its name.
    pub const NAMES: [(Self, &str); 3] =
        [(Self::Missing, "missing"), (Self::Always, "always"), (Self::Never, "never")];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(clamp, _)| *clamp == self).map_or("", |(_, name)| name)
    }

    /// The one of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(clamp, _)| *clamp)
    }

    /// Whether the cap of a call may be lowered.
    #[must_use]
    pub const fn may_lower(self, caller_set_one: bool) -> bool {
        match self {
            Self::Missing => !caller_set_one,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_lowered_as_the_key_says() {
        for (name, set, open) in
            [("missing", false, true), ("always", true, true), ("never", false, false)]
        {
            let clamp = Clamp::parse(name).unwrap();
            assert_eq!((clamp.may_lower(true), clamp.may_lower(false)), (set, open), "{name}");
            assert_eq!(clamp.name(), name);
        }
        assert_eq!(Clamp::parse("Always"), None);
    }
}

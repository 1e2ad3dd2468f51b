//! Which version of a thing a change is based on.

use farebox_core::Timestamp;

use super::store::{Attributes, Changed, number, read_number};
use crate::config::random;

/// The version that a change is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there, or nothing.
    Any,
    /// This version only; 0 is that of what nobody has made yet.
    Version(u64),
}

/// What was written before things had versions.
const FIRST: u64 = 1;
/// Bits of chance below the time.
const CHANCE_BITS: u32 = 10;

/// A version that no change before has given to the thing, also not before it was deleted: the
/// time, and chance for those of one millisecond. Clients may read it as a float, so it stays
/// below 2^53.
pub(super) fn next(now: Timestamp) -> u64 {
    let ms = u64::try_from(now.ms()).unwrap_or_default();
    let chance = random() & ((1 << CHANCE_BITS) - 1);
    (ms << CHANCE_BITS) | u64::try_from(chance).unwrap_or_default()
}

/// The version that an item has in an attribute.
pub(super) fn of(item: &Attributes, attribute: &str) -> u64 {
    read_number(item, attribute).unwrap_or(FIRST)
}

impl Expected {
    /// Whether a thing of this version may be changed.
    #[must_use]
    pub fn admits(self, version: u64) -> bool {
        matches!(self, Self::Any) || self == Self::Version(version)
    }

    /// The same as the condition of a change, on the attribute that `#v` names; with an owner
    /// that must exist, where the thing is a part of its item.
    pub(super) fn guard(self, change: Changed, attribute: &str, is_part: bool) -> Changed {
        let absent = "attribute_not_exists(#v)";
        let condition = match (self, is_part) {
            (Self::Any, false) => return change,
            (Self::Any, true) => "attribute_exists(pk)".to_owned(),
            (Self::Version(0), false) => "attribute_not_exists(pk)".to_owned(),
            (Self::Version(0), true) => format!("attribute_exists(pk) AND {absent}"),
            (Self::Version(FIRST), false) => {
                format!("attribute_exists(pk) AND ({absent} OR #v = :expected)")
            }
            (Self::Version(_), _) => "#v = :expected".to_owned(),
        };
        let change = change.require(&condition);
        let change = if condition.contains("#v") { change.name("#v", attribute) } else { change };
        match self {
            Self::Version(version) if condition.contains(":expected") => {
                change.value(":expected", number(version))
            }
            _ => change,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_with_time_and_fit_a_float() {
        let at = |ms| next(Timestamp::from_ms(ms));

        assert!(at(1_800_000_000_000) < at(1_800_000_000_001));
        assert!(at(4_000_000_000_000) < 1 << 53);
    }

    #[test]
    fn a_version_admits_itself() {
        assert!(Expected::Any.admits(7) && Expected::Version(7).admits(7));
        assert!(!Expected::Version(7).admits(8) && !Expected::Version(0).admits(1));
    }
}

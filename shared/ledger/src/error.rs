//! What can be wrong with a stored item.

/// Why an item is not what this crate wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An attribute that every such item has is absent.
    #[error("the item has no {0:?}")]
    Missing(&'static str),
    /// An attribute does not read as what it must be.
    #[error("attribute {0:?} is malformed")]
    Malformed(String),
    /// A mode that this release does not enforce; no call is admitted under it.
    #[error("budget mode {0:?} is not supported by this release")]
    ModeNotSupported(String),
}

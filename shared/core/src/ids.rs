//! Names and identities, parsed once at the edge.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

mod key;

pub use key::{GatewayKey, is_stage};

/// Why a text is not an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Wrong characters or length.
    #[error("use 1 to 64 letters, digits, '_', '-' or '.', starting with a letter or digit")]
    Malformed,
    /// A scope that is not `kind:id`.
    #[error(
        "write a scope as org:ID, team:ID, user:ID or key:ID, \
         or model:user:ID/PROVIDER/MODEL for one model of such an owner"
    )]
    Scope,
    /// Not `provider/model`.
    #[error("write a model as PROVIDER/MODEL: at most 200 visible characters, no '#'")]
    Model,
    /// Not a ULID.
    #[error("not a request id: 26 characters of Crockford's base 32")]
    Rid,
    /// Not the form of a Farebox key, or its checksum is wrong (a key cut when it was copied).
    #[error("not a Farebox key: sk-fb-<stage>-<id>-<secret>")]
    Key,
}

/// The identity of one attempt at a provider: a ULID, so it also tells when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rid(ulid::Ulid);

impl Rid {
    /// A new identity from the time and 80 random bits (the lower ones of `random`).
    #[must_use]
    pub fn new(now: Timestamp, random: u128) -> Self {
        let ms = u64::try_from(now.ms()).unwrap_or_default();
        Self(ulid::Ulid::from_parts(ms, random))
    }

    /// The greatest identity that is less than this one.
    #[must_use]
    pub const fn previous(&self) -> Self {
        Self(ulid::Ulid(self.0.0.saturating_sub(1)))
    }

    /// When it was made.
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        Timestamp::from_ms(i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Rid {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parsed = ulid::Ulid::from_string(text).map_err(|_| IdError::Rid)?;
        // One spelling only: lower case and Crockford's look-alikes are not the same key.
        if parsed.to_string() == text { Ok(Self(parsed)) } else { Err(IdError::Rid) }
    }
}

/// The identity of an organisation, team, user or key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(Box<str>);

impl EntityId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntityId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if starts_well && text.len() <= 64 && text.bytes().all(fits) {
            return Ok(Self(text.into()));
        }
        Err(IdError::Malformed)
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `provider/model`, as a call resolves to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(String);

/// Longest `provider/model`.
const MODEL_BYTES_MAX: usize = 200;

impl ModelId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The provider and the model's own name.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or((&self.0, ""))
    }
}

impl FromStr for ModelId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // '#' separates the parts of the ledger's keys.
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        let is_pair = text.split_once('/').is_some_and(|(provider, model)| {
            provider.parse::<EntityId>().is_ok() && !model.is_empty()
        });
        if is_pair && text.len() <= MODEL_BYTES_MAX && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(IdError::Model)
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose money: the kinds of owner that can have a budget, the widest first. A further kind is
/// one more row here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// All users of an organisation.
    Org,
    /// All users of a team.
    Team,
    /// A person or a service.
    User,
    /// One Farebox key.
    Key,
}

/// The most scopes that one call is held in: every kind of owner, and its model in each.
pub const SCOPES_MAX: usize = 2 * ScopeKind::ALL.len();

/// The kind of a scope that is one model of an owner.
const MODEL: &str = "model";

impl ScopeKind {
    /// Each kind with its name, and the header label of one model within it.
    const NAMES: [(Self, &str, &str); 4] = [
        (Self::Org, "org", "model-org"),
        (Self::Team, "team", "model-team"),
        (Self::User, "user", "model-user"),
        (Self::Key, "key", "model-key"),
    ];

    /// Every kind, the widest first.
    pub const ALL: [Self; 4] = [Self::Org, Self::Team, Self::User, Self::Key];

    /// The name used in keys, headers and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, _)| name)
    }

    fn row(self) -> Option<&'static (Self, &'static str, &'static str)> {
        Self::NAMES.iter().find(|(kind, ..)| *kind == self)
    }
}

/// One owner of a budget, written `user:ID`; or what one model costs it, written
/// `model:user:ID/PROVIDER/MODEL`. In a share of such a budget `ID~NUMBER` stands for the ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The kind of owner.
    pub kind: ScopeKind,
    /// Which one.
    pub id: EntityId,
    /// Only the calls of this model; `None` for all of them. Boxed: scopes travel in errors.
    pub model: Option<Box<ModelId>>,
    /// Which share of the owner's budget (money.md 4.3).
    pub share: Option<u8>,
}

impl Scope {
    /// All that an owner spends.
    #[must_use]
    pub const fn new(kind: ScopeKind, id: EntityId) -> Self {
        Self { kind, id, model: None, share: None }
    }

    /// What one model costs the same owner.
    #[must_use]
    pub fn with_model(&self, model: ModelId) -> Self {
        Self { model: Some(Box::new(model)), ..self.clone() }
    }

    /// A share of this budget.
    #[must_use]
    pub fn with_share(&self, share: u8) -> Self {
        Self { share: Some(share), ..self.clone() }
    }

    /// The budget that this is a share of; itself where it is none.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { share: None, ..self.clone() }
    }

    /// Whether a call of this model counts to the scope.
    #[must_use]
    pub fn counts(&self, provider: &str, model: &str) -> bool {
        self.model.as_ref().is_none_or(|only| only.parts() == (provider, model))
    }

    /// `org`, `team`, `user`, `key` or `model`: what stands before the first colon.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        if self.model.is_some() { MODEL } else { self.kind.name() }
    }

    /// What stands after the first colon.
    #[must_use]
    pub fn id_text(&self) -> String {
        let share = self.share.map_or_else(String::new, |share| format!("~{share}"));
        match &self.model {
            None => format!("{}{share}", self.id),
            Some(model) => format!("{}:{}{share}/{model}", self.kind.name(), self.id),
        }
    }

    /// One word that tells the scopes of a call apart, for headers: `user`, `model-user`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        let Some((_, name, model)) = self.kind.row() else { return "" };
        if self.model.is_some() { model } else { name }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind_name(), self.id_text())
    }
}

impl FromStr for Scope {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (kind, id) = text.split_once(':').ok_or(IdError::Scope)?;
        if kind == MODEL {
            let (owner, model) = id.split_once('/').ok_or(IdError::Scope)?;
            let owner: Self = owner.parse()?;
            // A model of a model is nobody's.
            let model = Some(model.parse()?).filter(|_| owner.model.is_none());
            return Ok(owner.with_model(model.ok_or(IdError::Scope)?));
        }
        let named = ScopeKind::NAMES.iter().find(|(_, name, _)| *name == kind);
        let (kind, ..) = named.ok_or(IdError::Scope)?;
        let Some((id, share)) = id.split_once('~') else {
            return Ok(Self::new(*kind, id.parse()?));
        };
        let number = share.parse().ok().filter(|number: &u8| number.to_string() == share);
        Ok(Self::new(*kind, id.parse()?).with_share(number.ok_or(IdError::Scope)?))
    }
}

macro_rules! serde_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_as_text!(Rid, EntityId, ModelId, Scope);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_kind_and_id() {
        assert_eq!("user:u_1".parse::<Scope>().unwrap().to_string(), "user:u_1");
        for text in ["user", "user:", "tree:x", "user:a#b", "user:a b"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_kind_round_trips_alone_and_with_a_model() {
        for kind in ScopeKind::ALL {
            let alone = Scope::new(kind, "x.1".parse().unwrap());
            let model = alone.with_model("bedrock/a.b/claude-v2:1".parse().unwrap());

            assert_eq!(alone.to_string(), format!("{}:x.1", kind.name()));
            assert_eq!(model.to_string(), format!("model:{alone}/bedrock/a.b/claude-v2:1"));
            assert_eq!(alone.to_string().parse(), Ok(alone.clone()));
            assert_eq!(model.to_string().parse(), Ok(model.clone()));
            assert_eq!(format!("{}:{}", model.kind_name(), model.id_text()), model.to_string());
            assert_eq!(model.label(), format!("model-{}", kind.name()));
            assert!(alone.counts("p", "m") && !model.counts("bedrock", "a.b"));
            assert!(model.counts("bedrock", "a.b/claude-v2:1"));
        }
    }

    #[test]
    fn nothing_is_between_an_identity_and_the_one_before_it() {
        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E60".parse().unwrap();

        assert_eq!(rid.previous().to_string(), "01KAQ4ZV0M7W1C9Y3T5B8D2E5Z");
        assert!(rid.previous() < rid);
        let least = Rid::new(Timestamp::from_ms(0), 0);
        assert_eq!(least.previous(), least);
    }

    #[test]
    fn a_share_has_one_spelling_and_knows_its_whole() {
        for text in ["org:o1~0", "key:k1~63", "model:org:o1~3/openai/gpt~5"] {
            let share: Scope = text.parse().unwrap();
            assert_eq!(share.to_string(), text);
            assert_eq!(share.whole().with_share(share.share.unwrap()), share);
        }
        for text in ["org:o1~", "org:o1~03", "org:o1~256", "org:o1~-1", "org:o1~1~2", "org:~1"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_model_scope_names_its_owner_and_provider() {
        for text in [
            "model:openai/gpt-5",
            "model:user:u1",
            "model:user:u1/gpt-5",
            "model:user:u1/openai/",
            "model:user:u1//gpt-5",
            "model:user:u1/openai/a#b",
            "model:user:u1/openai/a b",
            "model:model:user:u1/openai/a/openai/b",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rid_tells_when_it_was_made_and_has_one_spelling() {
        let rid = Rid::new(Timestamp::from_ms(1_763_900_000_123), 7);

        assert_eq!(rid.made_at().ms(), 1_763_900_000_123);
        assert_eq!(rid.to_string().parse(), Ok(rid));
        assert!(rid.to_string().to_lowercase().parse::<Rid>().is_err());
    }
}

//! Who asks, in which role, and what that role may: [`RIGHTS`] is the whole of it.

use std::sync::Arc;

use farebox_aws::KeyItem;
use farebox_aws::control::parse_admin_key;
use farebox_core::{EntityId, Error, GatewayKey, Secret};
use hmac::{Hmac, KeyInit, Mac};
use lambda_http::http::header::AUTHORIZATION;
use sha2::Sha256;

use crate::call::Call;
use crate::{Gate, iam, sign_on};

/// What the deployment's own key may begin with. A secret that CloudFormation generated
/// cannot, so the prefix is no part of the comparison.
const PREFIX: &str = "sk-fba-";
/// A stored key shorter than this is a mistake (an empty secret, a placeholder) and admits
/// nobody.
const KEY_BYTES_MIN: usize = 32;

/// In which role somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Who runs the deployment: everything.
    Owner,
    /// Who looks after users and money: everything but access and content.
    Admin,
    /// Who only looks.
    Auditor,
    /// Who calls: what is their own.
    Member,
}

/// What a request does, as far as it matters who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Asks who it is.
    Any,
    /// Looks at anything but content.
    Read,
    /// Changes owners, keys, credentials, budgets, prices, settings and the books.
    Change,
    /// Says who may, looks at content, and what else only the owner does.
    Rule,
    /// Looks at and changes what is the asking member's own, and nothing else: what it names is
    /// looked for among that alone.
    Own,
}

/// Which role may what: the whole of it.
pub const RIGHTS: [(Role, &str, &[Right]); 4] = [
    (Role::Owner, "owner", &[Right::Any, Right::Read, Right::Change, Right::Rule]),
    (Role::Admin, "admin", &[Right::Any, Right::Read, Right::Change]),
    (Role::Auditor, "auditor", &[Right::Any, Right::Read]),
    (Role::Member, "member", &[Right::Any, Right::Own]),
];

/// Who asks.
#[derive(Clone, Debug)]
pub struct Principal {
    /// As the audit names it: `admin-key:root`.
    pub actor: String,
    /// In which role.
    pub role: Role,
    /// Who a member is.
    pub member: Option<Member>,
    /// The session of who has signed in.
    pub session: Option<EntityId>,
}

/// Whose own things a member may see and change.
#[derive(Clone, Debug)]
pub struct Member {
    /// The user.
    pub user: EntityId,
    /// The Farebox key that it asks with; none where a browser asks that has signed in.
    pub key: Option<Arc<KeyItem>>,
}

impl Role {
    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        RIGHTS.iter().find(|(role, ..)| *role == self).map_or("", |(_, name, _)| name)
    }

    /// The role of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        RIGHTS.iter().find(|(_, known, _)| *known == name).map(|(role, ..)| *role)
    }

    /// Its place from the strongest, which is the first, to the weakest.
    #[must_use]
    pub fn rank(self) -> usize {
        RIGHTS.iter().position(|(role, ..)| *role == self).unwrap_or(RIGHTS.len())
    }

    /// A role that can be given to a key or an IAM principal: a member is whoever has a Farebox
    /// key.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn given(name: &str) -> Result<Self, Error> {
        let found = Self::named(name).filter(|role| *role != Self::Member);
        found.ok_or_else(|| Error::malformed("role", "is owner, admin or auditor"))
    }

    /// Whether it may.
    #[must_use]
    pub fn may(self, right: Right) -> bool {
        RIGHTS.iter().any(|(role, _, rights)| *role == self && rights.contains(&right))
    }
}

/// Who sends a request; `None` is a stranger.
///
/// # Errors
/// Where it cannot be found out.
pub async fn identify(gate: &Gate, call: &Call) -> Result<Option<Principal>, Error> {
    let control = &gate.control;
    if let Some(arn) = call.signer() {
        let Some(principal) = iam::principal_of(arn) else { return Ok(None) };
        let row = control.principal(&principal).await?;
        return Ok(row.and_then(|row| granted(format!("iam:{arn}"), &row.role)));
    }
    if call.header(AUTHORIZATION).is_none() {
        return Box::pin(sign_on::principal(gate, call)).await;
    }
    let Some(text) = presented(call) else { return Ok(None) };
    if let Ok(key) = GatewayKey::parse(text) {
        return member(gate, &key).await;
    }
    if let Some(key) = parse_admin_key(text) {
        let row = control.admin_by(&key).await?;
        return Ok(row.and_then(|row| granted(format!("admin-key:{}", row.id), &row.role)));
    }
    let is_root = gate.guard.admits(text, &control.admin_key().await?);
    let root = || granted("admin-key:root".to_owned(), Role::Owner.name());
    Ok(if is_root { root() } else { None })
}

fn granted(actor: String, role: &str) -> Option<Principal> {
    Some(Principal { actor, role: Role::given(role).ok()?, member: None, session: None })
}

/// A member is who holds a Farebox key that works.
async fn member(gate: &Gate, key: &GatewayKey) -> Result<Option<Principal>, Error> {
    let directory = gate.control.directory();
    let Some(item) = directory.key(&key.id).await? else { return Ok(None) };
    let pepper = directory.pepper().await?;
    let Some(item) = directory.key_of(item, key, &pepper).await? else { return Ok(None) };
    let config = gate.aws().config();
    let is_here = key.stage == config.stage && item.tenant == config.tenant;
    if !is_here || !item.accepts(key, &pepper, gate.aws().now()) {
        return Ok(None);
    }
    let actor = format!("member:{}/{}", item.user, item.id);
    let member = Some(Member { user: item.user.clone(), key: Some(item) });
    Ok(Some(Principal { actor, role: Role::Member, member, session: None }))
}

/// Compares admin keys in constant time, under a key that only this process knows.
#[derive(Clone)]
pub struct Guard([u8; 64]);

impl Guard {
    /// With a random key of this process.
    #[must_use]
    pub fn new() -> Self {
        Self(farebox_aws::random_bytes())
    }

    /// Whether a presented key is the stored one.
    #[must_use]
    pub fn admits(&self, presented: &str, stored: &Secret) -> bool {
        let stored = without_prefix(stored.expose().trim());
        let presented = self.mac(without_prefix(presented)).finalize().into_bytes();
        // Both under the same secret key: what an attacker can time says nothing about bytes.
        let is_same = self.mac(stored).verify_slice(&presented).is_ok();
        is_same && stored.len() >= KEY_BYTES_MIN
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(text.as_bytes());
        mac
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

/// The key that a request presents: `Authorization: Bearer …`.
#[must_use]
pub fn presented(call: &Call) -> Option<&str> {
    let (scheme, key) = call.header(AUTHORIZATION)?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

fn without_prefix(key: &str) -> &str {
    key.strip_prefix(PREFIX).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz-_ABCDE";

    fn admits(presented: &str, stored: &str) -> bool {
        Guard([7; 64]).admits(presented, &Secret::new(stored.to_owned()))
    }

    #[test]
    fn the_key_is_admitted_with_and_without_its_prefix() {
        let prefixed = format!("sk-fba-{KEY}");

        assert!(admits(&prefixed, &prefixed) && admits(KEY, KEY));
        assert!(admits(&prefixed, KEY) && admits(KEY, &prefixed));
        assert!(admits(KEY, &format!("{KEY}\n")));
    }

    #[test]
    fn anything_else_is_not() {
        for presented in ["", "sk-fba-", "x", &KEY[1..], &format!("{KEY}x"), "sk-fb-local-a-b"] {
            assert!(!admits(presented, KEY), "{presented}");
        }
    }

    #[test]
    fn an_empty_or_short_stored_key_admits_nobody() {
        for stored in ["", "sk-fba-", "changeme"] {
            assert!(!admits(stored, stored), "{stored:?}");
        }
    }

    #[test]
    fn only_a_bearer_is_a_key() {
        let call = |value| Call::of("GET", "/", "").with_header("authorization", value);

        assert_eq!(presented(&call("Bearer k")), Some("k"));
        assert_eq!(presented(&call("bearer k")), Some("k"));
        for value in ["k", "Basic k", "Bearer", "Bearer "] {
            assert_eq!(presented(&call(value)), None, "{value}");
        }
        assert_eq!(presented(&Call::of("GET", "/", "")), None);
    }
}

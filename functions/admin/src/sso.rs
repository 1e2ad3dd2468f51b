//! Whom single sign-on lets in, and the sessions of those who came.

use farebox_api::{Binding, BindingList, PutBinding, SsoSession, SsoSessionList};
use farebox_aws::control::{BindingRow, CredentialOwner, SessionRow};
use farebox_core::{EntityId, Error, Timestamp};
use serde_json::Value;

use crate::Gate;
use crate::auth::Role;
use crate::call::Call;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};
use crate::sign_on::{address, is_plain};

/// Where the sessions are.
pub const SESSIONS: &str = "/admin/v1/sso-sessions";
/// Longest name of a group.
const GROUP_BYTES_MAX: usize = 128;

/// `GET /admin/v1/sso`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.bindings(call.limit()?, call.cursor()).await?;
    let bindings = page.rows.into_iter().map(shown).collect();
    Answer::ok(&BindingList { bindings, next_cursor: page.next })
}

/// `GET /admin/v1/sso/{subject+}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.binding(&subject(call)?).await?.ok_or_else(|| absent(call))?;
    Answer::thing(&shown(row))
}

/// `PUT /admin/v1/sso/{subject+}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let subject = subject(call)?;
    let body: PutBinding = call.body()?;
    let rule = "is owner, admin, auditor or member";
    let role = Role::named(&body.role).ok_or_else(|| Error::malformed("role", rule))?;
    let user = user(gate, role, body.user.as_deref()).await?;
    let (name, expected) = (role.name(), call.expected());
    let row = gate.control.put_binding(&subject, name, user.as_ref(), expected).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&shown(row))
}

/// `DELETE /admin/v1/sso/{subject+}`
pub async fn delete(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if gate.control.delete_binding(&subject(call)?, call.expected()).await? {
        return Ok(Answer::empty());
    }
    Err(call.raced().into())
}

/// `GET /admin/v1/sso-sessions`
pub async fn sessions(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.sessions(call.limit()?, call.cursor()).await?;
    let now = gate.aws().now();
    let sessions = page.rows.iter().map(|row| told(row, now)).collect();
    Answer::ok(&SsoSessionList { sessions, next_cursor: page.next })
}

/// `GET /admin/v1/sso-sessions/{id}`
pub async fn show_session(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.session_row(&call.parsed("id")?).await?.ok_or_else(|| absent(call))?;
    Answer::thing(&told(&row, gate.aws().now()))
}

/// `DELETE /admin/v1/sso-sessions/{id}`
pub async fn end_session(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.end_session(&call.parsed("id")?, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&told(&row, gate.aws().now()))
}

/// A session as the audit tells it.
pub fn session(row: &SessionRow, now: Timestamp) -> Value {
    serde_json::to_value(told(row, now)).unwrap_or_default()
}

/// The subject of a group; `None` where it is a name that no role can be given to.
pub fn group(name: &str) -> Option<String> {
    let is_name = (1..=GROUP_BYTES_MAX).contains(&name.len());
    let is_plain = !name.chars().any(char::is_control) && name.trim() == name;
    (is_name && is_plain).then(|| format!("group:{name}"))
}

/// A member has a user, which must be there; nobody else has one.
async fn user(gate: &Gate, role: Role, given: Option<&str>) -> Result<Option<EntityId>, Refusal> {
    let wrong = |rule: &str| Error::malformed("user", rule);
    match (role, given) {
        (Role::Member, None) => Err(wrong("is needed: whose self-service a member has").into()),
        (Role::Member, Some(id)) => {
            let id: EntityId = id.parse().map_err(|rule| wrong(&format!("{rule}")))?;
            let owner = CredentialOwner::User(id.clone());
            let is_there = gate.control.owner(&owner).await?.is_some();
            let missing = || wrong("is no user yet: make it first").into();
            is_there.then_some(Some(id)).ok_or_else(missing)
        }
        (_, Some(_)) => Err(wrong("is for members: leave it out").into()),
        (_, None) => Ok(None),
    }
}

fn subject(call: &Call) -> Result<String, Error> {
    let found = match call.parameter("subject").split_once(':') {
        Some(("email", text)) => address(text).map(|address| format!("email:{address}")),
        Some(("group", name)) => group(name),
        Some(("sub", id)) => is_plain(id).then(|| format!("sub:{id}")),
        _ => None,
    };
    let rule = "write email:ann@example.com, group:NAME as the provider names it, or sub:ID, its \
                identifier of a person";
    found.ok_or_else(|| Error::malformed("subject", rule))
}

fn shown(row: BindingRow) -> Binding {
    Binding {
        subject: row.subject,
        role: row.role,
        user: row.user.map(|user| user.to_string()),
        created_at: row.created_at.to_string(),
        version: row.version.to_string(),
    }
}

fn told(row: &SessionRow, now: Timestamp) -> SsoSession {
    let state = match (row.is_active, row.is_live(now)) {
        (false, _) => "ended",
        (true, false) => "expired",
        (true, true) => "active",
    };
    SsoSession {
        id: row.id.to_string(),
        email: row.email.clone(),
        subject: row.binding.clone(),
        state: state.to_owned(),
        created_at: row.created_at.to_string(),
        last_used_at: row.seen_at.to_string(),
        expires_at: row.expires_at.to_string(),
        version: row.version.to_string(),
    }
}

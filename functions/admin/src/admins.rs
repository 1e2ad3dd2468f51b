//! Admin keys besides the deployment's own.

use farebox_api::{AdminKey, AdminKeyList, CreateAdminKey, RotateAdminKey, Session};
use farebox_aws::control::{AdminKeyRow, Fits, NewAdminKey};
use farebox_core::{EntityId, Error, Timestamp};

use crate::Gate;
use crate::auth::{Principal, Role};
use crate::call::Call;
use crate::keys::expiry;
use crate::owners::{absent, name};
use crate::reply::{Answer, Refusal};

/// Longest time that a key works beside its successor: a week.
const OVERLAP_S_MAX: u32 = 604_800;

/// `GET /admin/v1/session`
pub async fn session(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    Answer::ok(&session_of(gate, call.who()?).await?)
}

/// Who somebody is.
///
/// # Errors
/// Where a member's name cannot be read.
pub async fn session_of(gate: &Gate, who: &Principal) -> Result<Session, Error> {
    let user = who.member.as_ref().map(|member| &member.user);
    let name = match user {
        Some(user) => gate.control.user(user).await?.and_then(|user| user.name),
        None => None,
    };
    Ok(Session {
        actor: who.actor.clone(),
        role: who.role.name().to_owned(),
        user: user.map(ToString::to_string),
        name,
    })
}

/// `GET /admin/v1/admin-keys`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let now = gate.aws().now();
    let role = call.query("role").map(Role::given).transpose()?;
    let fits = |row: &AdminKeyRow| role.is_some_and(|role| row.role == role.name());
    let fits: Option<&Fits<'_, AdminKeyRow>> = if role.is_some() { Some(&fits) } else { None };
    let page = gate.control.admin_keys(call.limit()?, call.cursor(), fits).await?;
    let admin_keys = page.rows.into_iter().map(|row| shown(row, now)).collect();
    Answer::ok(&AdminKeyList { admin_keys, next_cursor: page.next })
}

/// `GET /admin/v1/admin-keys/{id}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.admin_key_row(&call.parsed("id")?).await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&shown(row, gate.aws().now()))
}

/// `POST /admin/v1/admin-keys`
pub async fn create(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: CreateAdminKey = call.body()?;
    let now = gate.aws().now();
    let new = NewAdminKey {
        name: name(Some(body.name))?.unwrap_or_default(),
        role: Role::given(&body.role)?.name().to_owned(),
        expires_at: expiry(body.expires_at.as_deref(), now)?,
    };
    let (secret, row) = gate.control.create_admin_key(&new, None, call.seed()?).await?;
    Ok(Answer::made(&shown(row, now))?.with_secret(&secret))
}

/// `DELETE /admin/v1/admin-keys/{id}`
pub async fn revoke(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: EntityId = call.parsed("id")?;
    let row = gate.control.revoke_admin_key(&id, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&shown(row, gate.aws().now()))
}

/// `POST /admin/v1/admin-keys/{id}/rotate`: a successor with the same name and role; the key
/// itself ends after the overlap. What dies in between leaves both, and a repeat with the same
/// `Idempotency-Key` goes on from there.
pub async fn rotate(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: RotateAdminKey = call.body()?;
    let overlap_s = body.overlap_s.unwrap_or_default();
    if overlap_s > OVERLAP_S_MAX {
        let rule = format!("is at most {OVERLAP_S_MAX} (a week)");
        return Err(Error::malformed("overlap_s", rule).into());
    }
    let id: EntityId = call.parsed("id")?;
    let known = gate.control.admin_key_row(&id).await?.filter(|known| known.is_active);
    let known = known.ok_or_else(|| absent(call))?;
    let new = NewAdminKey { name: known.name, role: known.role, expires_at: None };
    let (secret, row) = gate.control.create_admin_key(&new, Some(&id), call.seed()?).await?;
    let now = gate.aws().now();
    let end = now.plus_ms(i64::from(overlap_s).saturating_mul(1000));
    gate.control.end_admin_key(&id, end).await?;
    Ok(Answer::made(&shown(row, now))?.with_secret(&secret))
}

fn shown(row: AdminKeyRow, now: Timestamp) -> AdminKey {
    let state = match (row.is_active, row.is_live(now)) {
        (false, _) => "revoked",
        (true, false) => "expired",
        (true, true) => "active",
    };
    AdminKey {
        id: row.id.to_string(),
        name: row.name,
        role: row.role,
        state: state.to_owned(),
        created_at: row.created_at.to_string(),
        expires_at: row.expires_at.map(|at| at.to_string()),
        version: row.version.to_string(),
    }
}

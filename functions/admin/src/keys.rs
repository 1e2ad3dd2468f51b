//! Farebox keys.

use farebox_api::{CreateKey, Key, KeyList, KeyTimeouts, PutKey, RotateKey};
use farebox_aws::control::{Fits, KeyRow, KeySettings, NewKey};
use farebox_core::{Clamp, EntityId, Error, Labels, Timeouts, Timestamp};

use crate::Gate;
use crate::budgets::amount;
use crate::call::{Call, instant};
use crate::owners::{absent, entity, name};
use crate::reply::{Answer, Refusal};

/// The most models that one key names: its item is read with every call.
const MODELS_MAX: usize = 50;
/// The states of a key.
const STATES: [&str; 3] = ["active", "expired", "revoked"];
/// Longest model name.
const MODEL_BYTES_MAX: usize = 200;
/// Longest time that an old secret works beside its successor: a week.
const GRACE_S_MAX: u32 = 604_800;
/// A caller's connection is silent while its call waits.
const ROOM_WAIT_MS_MAX: u64 = 60_000;

/// `GET /admin/v1/keys?user=`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let user = call.query("user").map(|user| entity("user", user)).transpose()?;
    let now = gate.control.aws().now();
    let state = call.one_of("state", &STATES)?;
    let fits = |row: &KeyRow| Some(state_of(row, now)) == state;
    let fits: Option<&Fits<'_, KeyRow>> = if state.is_some() { Some(&fits) } else { None };
    let page = gate.control.keys(user.as_ref(), call.limit()?, call.cursor(), fits).await?;
    let keys = page.rows.into_iter().map(|row| key(row, now)).collect();
    Answer::ok(&KeyList { keys, next_cursor: page.next })
}

/// `GET /admin/v1/keys/{id}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.key(&call.parsed("id")?).await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&key(row, gate.control.aws().now()))
}

/// `POST /admin/v1/keys`
pub async fn create(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let now = gate.control.aws().now();
    let new = new_key(call.body()?, now)?;
    let rule = format!("there is no user {}: add it first", new.user);
    let created = gate.control.create_key(new, call.seed()?).await?;
    let (made, row) = created.ok_or_else(|| Error::malformed("user", rule))?;
    Ok(Answer::made(&key(row, now))?.with_secret(made.secret()))
}

/// `PUT /admin/v1/keys/{id}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: EntityId = call.parsed("id")?;
    let settings = settings(call.body()?, gate.aws().now())?;
    let row = gate.control.key(&id).await?.ok_or_else(|| absent(call))?;
    not_revoked(&row)?;
    let row = gate.control.change_key(&row.id, &settings, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&key(row, gate.aws().now()))
}

/// A revoked key cannot be changed.
pub(crate) fn not_revoked(row: &KeyRow) -> Result<(), Error> {
    let rule = "is that of a revoked key: make a new one";
    if row.is_active { Ok(()) } else { Err(Error::malformed("id", rule)) }
}

/// `POST /admin/v1/keys/{id}/rotate`
pub async fn rotate(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: EntityId = call.parsed("id")?;
    rotated(gate, call, &id).await
}

/// The rotation of a key that is there.
pub(crate) async fn rotated(gate: &Gate, call: &Call, id: &EntityId) -> Result<Answer, Refusal> {
    let body: RotateKey = call.body()?;
    let grace_s = body.grace_s.unwrap_or_default();
    if grace_s > GRACE_S_MAX {
        let rule = format!("is at most {GRACE_S_MAX} (a week)");
        return Err(Error::malformed("grace_s", rule).into());
    }
    let rotated = gate.control.rotate_key(id, grace_s, call.expected(), call.seed()?).await?;
    let (made, row) = rotated.ok_or_else(|| call.raced())?;
    let shown = key(row, gate.aws().now());
    Ok(Answer::thing(&shown)?.with_secret(made.secret()))
}

/// `DELETE /admin/v1/keys/{id}`
pub async fn revoke(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: EntityId = call.parsed("id")?;
    let row = gate.control.revoke_key(&id, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&key(row, gate.control.aws().now()))
}

fn new_key(body: CreateKey, now: Timestamp) -> Result<NewKey, Error> {
    let user = entity("user", &body.user)?;
    let body = PutKey {
        name: body.name,
        models: body.models,
        expires_at: body.expires_at,
        max_cost_usd: body.max_cost_usd,
        clamp: body.clamp,
        room_wait_ms: body.room_wait_ms,
        drop_params: body.drop_params,
        timeouts: body.timeouts,
        labels: body.labels,
    };
    Ok(NewKey { user, settings: settings(body, now)?, among: None })
}

fn settings(body: PutKey, now: Timestamp) -> Result<KeySettings, Error> {
    Ok(KeySettings {
        name: name(Some(body.name))?.unwrap_or_default(),
        models: body.models.map(|named| models("models", named)).transpose()?,
        expires_at: expiry(body.expires_at.as_deref(), now)?,
        max_cost: amount("max_cost_usd", body.max_cost_usd)?,
        clamp: clamp(body.clamp.as_deref())?,
        room_wait_ms: room_wait(body.room_wait_ms)?,
        drop_params: body.drop_params,
        timeouts: timeouts(body.timeouts)?,
        labels: Labels::of_key("labels", &body.labels)?,
    })
}

pub(crate) fn timeouts(sent: KeyTimeouts) -> Result<Timeouts, Error> {
    let KeyTimeouts { connect_ms, first_byte_ms, idle_ms, total_ms } = sent;
    let timeouts = Timeouts { connect_ms, first_byte_ms, idle_ms, total_ms };
    timeouts.check().map(|()| timeouts)
}

/// When a key stops working.
pub(crate) fn expiry(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let Some(text) = text else { return Ok(None) };
    let rule = "write a day to come, such as 2027-01-01, or an RFC 3339 time: 2027-01-01T12:00:00Z";
    let at = instant(text).filter(|at| *at > now);
    Ok(Some(at.ok_or_else(|| Error::malformed("expires_at", rule))?))
}

pub(crate) fn clamp(name: Option<&str>) -> Result<Clamp, Error> {
    let Some(name) = name else { return Ok(Clamp::default()) };
    let names = Clamp::NAMES.map(|(_, name)| name).join(", ");
    Clamp::parse(name).ok_or_else(|| Error::malformed("clamp", format!("is one of {names}")))
}

pub(crate) fn room_wait(ms: Option<u64>) -> Result<Option<u64>, Error> {
    let rule = format!("is a number of milliseconds from 0 to {ROOM_WAIT_MS_MAX}");
    match ms {
        Some(ms) if ms > ROOM_WAIT_MS_MAX => Err(Error::malformed("room_wait_ms", rule)),
        ms => Ok(ms),
    }
}

/// The models that a key may use.
pub(crate) fn models(field: &str, models: Vec<String>) -> Result<Vec<String>, Error> {
    if models.is_empty() || models.len() > MODELS_MAX {
        let rule = "name 1 to 50 models, or leave it out for all models";
        return Err(Error::malformed(field, rule));
    }
    for (place, model) in models.iter().enumerate() {
        let parts = model.split_once('/');
        let fits = model.len() <= MODEL_BYTES_MAX
            && model.bytes().all(|byte| byte.is_ascii_graphic())
            && parts.is_some_and(|(provider, name)| {
                !provider.is_empty()
                    && !provider.contains('*')
                    && !name.is_empty()
                    && (name == "*" || !name.contains('*'))
            });
        if !fits {
            let rule = "write provider/model or provider/*";
            return Err(Error::malformed(format!("{field}[{place}]"), rule));
        }
    }
    Ok(models)
}

fn state_of(row: &KeyRow, now: Timestamp) -> &'static str {
    let is_over = row.settings.expires_at.is_some_and(|at| at <= now);
    match (row.is_active, is_over) {
        (false, _) => "revoked",
        (true, true) => "expired",
        (true, false) => "active",
    }
}

pub(crate) fn key(row: KeyRow, now: Timestamp) -> Key {
    let state = state_of(&row, now);
    let KeyRow { settings, .. } = row;
    let Timeouts { connect_ms, first_byte_ms, idle_ms, total_ms } = settings.timeouts;
    Key {
        id: row.id.to_string(),
        user: row.user.to_string(),
        org: row.org.map(|org| org.to_string()),
        name: settings.name,
        state: state.to_owned(),
        models: settings.models,
        expires_at: settings.expires_at.map(|at| at.to_string()),
        max_cost_usd: settings.max_cost.map(|cost| cost.to_string()),
        clamp: settings.clamp.name().to_owned(),
        room_wait_ms: settings.room_wait_ms,
        drop_params: settings.drop_params,
        timeouts: KeyTimeouts { connect_ms, first_byte_ms, idle_ms, total_ms },
        labels: settings.labels.to_map(),
        created_at: row.created_at.to_string(),
        rotated_at: row.rotated_at.map(|at| at.to_string()),
        old_secret_until: row.old_secrets_until.filter(|at| *at > now).map(|at| at.to_string()),
        last_used_at: row.last_used_at.map(|at| at.to_string()),
        version: row.version.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-23T00:00:00Z").unwrap()
    }

    fn body() -> CreateKey {
        CreateKey { user: "u1".into(), name: "ci".into(), ..CreateKey::default() }
    }

    fn field(body: CreateKey) -> Option<String> {
        new_key(body, now()).err().and_then(|error| error.field().map(str::to_owned))
    }

    #[test]
    fn a_plain_key_may_use_all_models_for_ever() {
        let new = new_key(body(), now()).unwrap().settings;

        assert!(new.models.is_none() && new.expires_at.is_none() && new.max_cost.is_none());
    }

    #[test]
    fn a_refused_key_names_the_field() {
        let model = |model: &str| CreateKey { models: Some(vec![model.into()]), ..body() };

        assert_eq!(field(CreateKey { user: "a b".into(), ..body() }).unwrap(), "user");
        assert_eq!(field(CreateKey { name: String::new(), ..body() }).unwrap(), "name");
        assert_eq!(field(CreateKey { models: Some(vec![]), ..body() }).unwrap(), "models");
        for wrong in ["gpt-4o", "/x", "openai/", "*/*", "openai/gpt-*", "openai/a b"] {
            assert_eq!(field(model(wrong)).as_deref(), Some("models[0]"), "{wrong}");
        }
        for right in ["openai/*", "openai/gpt-4o", "fireworks_ai/accounts/x"] {
            assert_eq!(field(model(right)), None, "{right}");
        }
        for wrong in ["yesterday", "2026-11-22T00:00:00Z", "2027-02-30"] {
            let body = CreateKey { expires_at: Some(wrong.into()), ..body() };
            assert_eq!(field(body).as_deref(), Some("expires_at"), "{wrong}");
        }
        for wrong in ["-1", "1e3", "NaN", "", "0.0000000000001"] {
            let body = CreateKey { max_cost_usd: Some(wrong.into()), ..body() };
            assert_eq!(field(body).as_deref(), Some("max_cost_usd"), "{wrong}");
            let body = CreateKey { clamp: Some(wrong.into()), ..self::body() };
            assert_eq!(field(body).as_deref(), Some("clamp"), "{wrong}");
        }
        let waits = |ms| CreateKey { room_wait_ms: Some(ms), ..self::body() };
        assert_eq!(field(waits(60_001)).as_deref(), Some("room_wait_ms"));
        assert_eq!(new_key(waits(60_000), now()).unwrap().settings.room_wait_ms, Some(60_000));
    }
}

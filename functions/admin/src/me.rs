//! What members see and do of their own. Nothing here takes a user from a request: it is that of
//! the member that asks, and what a path names is looked for among what is that user's alone.

use farebox_api::{BudgetList, CreateOwnKey, KeyList, Me, PutOwnCredential, PutOwnKey};
use farebox_aws::Whose;
use farebox_aws::control::{
    Allowance, CredentialOwner, CredentialPlace, KeyRow, KeySettings, NewKey, OwnerRow,
};
use farebox_core::{EntityId, Error, Labels, Money, Rid, Scope, ScopeKind, Timestamp};
use farebox_providers::Provider;

use crate::Gate;
use crate::auth::Member;
use crate::budgets::amount;
use crate::call::Call;
use crate::credentials::{self, credential};
use crate::owners::{absent, name, self_service};
use crate::reply::{Answer, Refusal};
use crate::requests::Filter;
use crate::{alerts, budgets, corrections, keys, requests};

const DAY_MS: i64 = 86_400_000;

/// `GET /admin/v1/me`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let (member, user) = (member(call)?, user(gate, call).await?);
    Answer::ok(&Me {
        user: member.user.to_string(),
        name: user.name,
        org: user.org.map(|org| org.to_string()),
        team: user.team.map(|team| team.to_string()),
        key_id: member.key.as_ref().map(|key| key.id.to_string()),
        self_service: self_service(user.own),
    })
}

/// `GET /admin/v1/me/budgets`: every limit that the calls of this key, or of the user's keys,
/// count to.
pub async fn budgets(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let member = member(call)?;
    let scopes = match &member.key {
        Some(key) => key.scopes.clone(),
        None => {
            let scopes = gate.control.scopes_of_user(&member.user).await?;
            scopes.ok_or_else(|| absent(call))?
        }
    };
    let found = gate.control.budgets_of(&scopes).await?;
    let now = gate.aws().now();
    let shown = scopes.iter().zip(&found).filter_map(|(scope, budget)| {
        let budget = budget.as_ref()?;
        Some(budgets::shown(scope, budget, now))
    });
    Answer::ok(&BudgetList { budgets: shown.collect(), next_cursor: None, nearest: None })
}

/// `GET /admin/v1/me/requests`
pub async fn requests(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let filter = Filter::read(call)?.of_key(call)?;
    requests::page(gate, call, Whose::User(&member(call)?.user), &filter).await
}

/// `GET /admin/v1/me/requests/{id}`
pub async fn request(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: Rid = call.parsed("id")?;
    let record = gate.control.logs().own(&member(call)?.user, id).await?;
    let mut row = requests::row(record.ok_or_else(|| absent(call))?);
    let entered = gate.control.corrections_of(id).await?;
    row.corrections =
        entered.iter().map(|one| corrections::shown(&one.record, "entered")).collect();
    Answer::ok(&row)
}

/// `GET /admin/v1/me/alerts?key=`: of the user, or of one of its keys.
pub async fn alerts(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope = match call.query("key") {
        None => Scope::new(ScopeKind::User, member(call)?.user.clone()),
        Some(_) => {
            let id: EntityId = call.parsed_query("key", "ID")?;
            let row = own_key(gate, call, &id).await?;
            Scope::new(ScopeKind::Key, row.id)
        }
    };
    alerts::page(gate, call, &scope).await
}

/// `GET /admin/v1/me/keys`
pub async fn keys(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let user = &member(call)?.user;
    let page = gate.control.keys(Some(user), call.limit()?, call.cursor(), None).await?;
    let now = gate.aws().now();
    let keys = page.rows.into_iter().map(|row| keys::key(row, now)).collect();
    Answer::ok(&KeyList { keys, next_cursor: page.next })
}

/// `GET /admin/v1/me/keys/{id}`
pub async fn show_key(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = own_key(gate, call, &call.parsed("id")?).await?;
    Answer::thing(&keys::key(row, gate.aws().now()))
}

/// `POST /admin/v1/me/keys`
pub async fn create_key(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let user = user(gate, call).await?;
    let now = gate.aws().now();
    let new = own_new_key(call.body()?, &user, now)?;
    let created = gate.control.create_own_key(new, call.seed()?).await?;
    let (made, row) = created.ok_or_else(|| absent(call))?;
    Ok(Answer::made(&keys::key(row, now))?.with_secret(made.secret()))
}

/// `PUT /admin/v1/me/keys/{id}`: within what the owner allows for keys of one's own. Who may have
/// none may change none; who may could as well revoke this one and make another. One that has ended
/// takes a place again.
pub async fn put_key(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let user = user(gate, call).await?;
    let row = own_key(gate, call, &call.parsed("id")?).await?;
    if user.own.keys == 0 {
        let rule = "Keys of your own are not allowed. Ask the owner to change it.".to_owned();
        return Err(Error::NotAllowed { rule }.into());
    }
    let labels = row.settings.labels.clone();
    let settings = own_settings(call.body()?, &user.own, labels, gate.aws().now())?;
    keys::not_revoked(&row)?;
    let (most, expected) = (user.own.keys, call.expected());
    let row = gate.control.change_own_key(&row, &settings, expected, most).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&keys::key(row, gate.aws().now()))
}

/// `POST /admin/v1/me/keys/{id}/rotate`: whoever may use a key may have another secret for it.
pub async fn rotate_key(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = own_key(gate, call, &call.parsed("id")?).await?;
    keys::rotated(gate, call, &row.id).await
}

/// `DELETE /admin/v1/me/keys/{id}`
pub async fn revoke_key(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = own_key(gate, call, &call.parsed("id")?).await?;
    let row = gate.control.revoke_key(&row.id, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&keys::key(row, gate.aws().now()))
}

/// `GET /admin/v1/me/credentials`
pub async fn credentials(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let rows = gate.control.credentials(&owner(call)?).await?;
    Answer::ok(&credentials::page(call, rows.unwrap_or_default())?)
}

/// `GET /admin/v1/me/credentials/{provider}`, and `…/{name}`
pub async fn show_credential(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let place = credentials::place(call)?;
    let rows = gate.control.credentials(&owner(call)?).await?;
    let row = rows.into_iter().flatten().find(|row| place.is_of(row));
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&credential(row))
}

/// `PUT /admin/v1/me/credentials/{provider}`, and `…/{name}`: no address, which would be the
/// owner's to allow.
pub async fn set_credential(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    allowed_credentials(gate, call).await?;
    let body: PutOwnCredential = call.body()?;
    let place =
        CredentialPlace { weight: credentials::weight(body.weight)?, ..credentials::place(call)? };
    if farebox_providers::find(place.provider).is_some_and(Provider::is_nowhere) {
        let rule = format!("{} has no address of its own. Ask the owner.", place.provider);
        return Err(Error::NotAllowed { rule }.into());
    }
    let allowed = &gate.aws().config().allowed_origins;
    let secret = credentials::secret_for(place.provider, body.secret, allowed)?;
    let (owner, expected) = (owner(call)?, call.expected());
    let row = gate.control.set_credential(&owner, &place, &secret, None, expected).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&credential(row))
}

/// `DELETE /admin/v1/me/credentials/{provider}`, and `…/{name}`
pub async fn disable_credential(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    allowed_credentials(gate, call).await?;
    let place = credentials::place(call)?;
    let row = gate.control.disable_credential(&owner(call)?, &place, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&credential(row))
}

/// The member that asks.
pub(crate) fn member(call: &Call) -> Result<&Member, Error> {
    call.who()?.member.as_ref().ok_or(Error::AdminForbidden)
}

async fn user(gate: &Gate, call: &Call) -> Result<OwnerRow, Refusal> {
    Ok(gate.control.user(&member(call)?.user).await?.ok_or_else(|| absent(call))?)
}

fn owner(call: &Call) -> Result<CredentialOwner, Error> {
    Ok(CredentialOwner::User(member(call)?.user.clone()))
}

/// A key of the user that asks; anybody else's is not there.
async fn own_key(gate: &Gate, call: &Call, id: &EntityId) -> Result<KeyRow, Refusal> {
    let row = gate.control.key(id).await?;
    let own = &member(call)?.user;
    Ok(row.filter(|row| row.user == *own).ok_or_else(|| absent(call))?)
}

async fn allowed_credentials(gate: &Gate, call: &Call) -> Result<(), Refusal> {
    if user(gate, call).await?.own.credentials {
        return Ok(());
    }
    let rule = "Credentials of your own are not allowed. Ask the owner to allow them.".to_owned();
    Err(Error::NotAllowed { rule }.into())
}

/// A key within what the owner allows.
fn own_new_key(body: CreateOwnKey, user: &OwnerRow, now: Timestamp) -> Result<NewKey, Error> {
    let body = PutOwnKey {
        name: body.name,
        models: body.models,
        expires_at: body.expires_at,
        max_cost_usd: body.max_cost_usd,
        clamp: body.clamp,
        room_wait_ms: body.room_wait_ms,
        drop_params: body.drop_params,
        timeouts: body.timeouts,
    };
    let settings = own_settings(body, &user.own, Labels::default(), now)?;
    Ok(NewKey { user: user.id.clone(), settings, among: Some(user.own.keys) })
}

fn own_settings(
    body: PutOwnKey,
    own: &Allowance,
    labels: Labels,
    now: Timestamp,
) -> Result<KeySettings, Error> {
    Ok(KeySettings {
        name: name(Some(body.name))?.unwrap_or_default(),
        models: own_models(body.models, own)?,
        expires_at: own_expiry(body.expires_at.as_deref(), own, now)?,
        max_cost: own_cost(body.max_cost_usd, own)?,
        clamp: keys::clamp(body.clamp.as_deref())?,
        room_wait_ms: keys::room_wait(body.room_wait_ms)?,
        drop_params: body.drop_params,
        timeouts: keys::timeouts(body.timeouts)?,
        labels,
    })
}

fn own_models(asked: Option<Vec<String>>, own: &Allowance) -> Result<Option<Vec<String>>, Error> {
    let Some(asked) = asked else { return Ok(own.key_models.clone()) };
    let asked = keys::models("models", asked)?;
    let Some(allowed) = &own.key_models else { return Ok(Some(asked)) };
    for (place, model) in asked.iter().enumerate() {
        let provider = model.split_once('/').map_or("", |(provider, _)| provider);
        let is_allowed = |known: &String| *known == *model || *known == format!("{provider}/*");
        if !allowed.iter().any(is_allowed) {
            let rule = format!("is not among what the owner allows: {}", allowed.join(", "));
            return Err(Error::malformed(format!("models[{place}]"), rule));
        }
    }
    Ok(Some(asked))
}

fn own_expiry(
    asked: Option<&str>,
    own: &Allowance,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let asked = keys::expiry(asked, now)?;
    let Some(days) = own.key_days else { return Ok(asked) };
    let latest = now.plus_ms(i64::from(days).saturating_mul(DAY_MS));
    match asked {
        Some(asked) if asked > latest => {
            let rule = format!("is at most {days} days from now: the owner allows no more");
            Err(Error::malformed("expires_at", rule))
        }
        Some(asked) => Ok(Some(asked)),
        None => Ok(Some(latest)),
    }
}

fn own_cost(asked: Option<String>, own: &Allowance) -> Result<Option<Money>, Error> {
    let asked = amount("max_cost_usd", asked)?;
    match (asked, own.key_max_cost) {
        (Some(asked), Some(most)) if asked > most => {
            let rule = format!("is at most {most}: the owner allows no more");
            Err(Error::malformed("max_cost_usd", rule))
        }
        (asked, most) => Ok(asked.or(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Allowance {
        let key_models = Some(vec!["openai/*".to_owned(), "demo/chat".to_owned()]);
        let key_max_cost = Money::parse_usd("0.5").ok();
        Allowance { keys: 2, key_max_cost, key_days: Some(30), key_models, credentials: false }
    }

    #[test]
    fn what_is_not_asked_for_is_as_much_as_is_allowed() {
        let now = Timestamp::from_ms(0);

        assert_eq!(own_models(None, &own()).unwrap(), own().key_models);
        assert_eq!(own_cost(None, &own()).unwrap(), own().key_max_cost);
        assert_eq!(own_expiry(None, &own(), now).unwrap(), Some(now.plus_ms(30 * DAY_MS)));
        let free = Allowance::default();
        assert_eq!(own_models(None, &free).unwrap(), None);
        assert_eq!((own_cost(None, &free), own_expiry(None, &free, now)), (Ok(None), Ok(None)));
    }

    #[test]
    fn more_than_is_allowed_is_refused_by_its_field() {
        let now = Timestamp::from_ms(0);
        let models = |name: &str| own_models(Some(vec![name.to_owned()]), &own());

        assert!(models("openai/gpt-5").is_ok() && models("openai/*").is_ok());
        assert!(models("demo/chat").is_ok());
        for name in ["demo/*", "demo/other", "anthropic/x"] {
            assert_eq!(models(name).unwrap_err().field(), Some("models[0]"), "{name}");
        }
        let cost = own_cost(Some("0.500000000001".to_owned()), &own());
        assert_eq!(cost.unwrap_err().field(), Some("max_cost_usd"));
        let late = own_expiry(Some("1970-01-31T00:00:00.001Z"), &own(), now);
        assert_eq!(late.unwrap_err().field(), Some("expires_at"));
    }
}

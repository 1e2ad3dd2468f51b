//! Users, organisations and teams.

use farebox_api::{
    Org, OrgList, PutOrg, PutTeam, PutUser, SelfService, Team, TeamList, User, UserList,
};
use farebox_aws::control::{Allowance, CredentialOwner, Fits, NewUser, OwnerRow};
use farebox_core::{EntityId, Error};

use crate::budgets::amount;
use crate::call::Call;
use crate::reply::{Answer, Refusal};
use crate::{Gate, keys};

/// Longest name for people.
const NAME_CHARS_MAX: usize = 128;
/// The most keys that a user can be allowed to make, and their longest life.
const OWN_KEYS_MAX: u32 = 50;
const OWN_KEY_DAYS_MAX: u32 = 3650;

/// `GET /admin/v1/users`
pub async fn list_users(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let of = |name| call.query(name).map(|id| entity(name, id)).transpose();
    let (org, team) = (of("org")?, of("team")?);
    let is_of =
        |wanted: &Option<EntityId>, has: &Option<EntityId>| wanted.is_none() || wanted == has;
    let fits = |row: &OwnerRow| is_of(&org, &row.org) && is_of(&team, &row.team);
    let is_all = org.is_none() && team.is_none();
    let fits: Option<&Fits<'_, OwnerRow>> = if is_all { None } else { Some(&fits) };
    let page = gate.control.owners("user:", call.limit()?, call.cursor(), fits).await?;
    let users = page.rows.into_iter().map(user).collect();
    Answer::ok(&UserList { users, next_cursor: page.next })
}

/// `GET /admin/v1/users/{id}`
pub async fn show_user(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.owner(&CredentialOwner::User(call.parsed("id")?)).await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&user(row))
}

/// `PUT /admin/v1/users/{id}`
pub async fn put_user(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: EntityId = call.parsed("id")?;
    let body: PutUser = call.body()?;
    let new = NewUser {
        name: name(body.name)?,
        org: body.org.map(|org| entity("org", &org)).transpose()?,
        team: body.team.map(|team| entity("team", &team)).transpose()?,
        own: body.self_service.map(allowance).transpose()?.unwrap_or_default(),
    };
    let row = gate.control.put_user(&id, &new, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&user(row))
}

/// `GET /admin/v1/orgs`
pub async fn list_orgs(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.owners("org:", call.limit()?, call.cursor(), None).await?;
    let orgs = page.rows.into_iter().map(org).collect();
    Answer::ok(&OrgList { orgs, next_cursor: page.next })
}

/// `GET /admin/v1/orgs/{id}`
pub async fn show_org(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.owner(&CredentialOwner::Org(call.parsed("id")?)).await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&org(row))
}

/// `PUT /admin/v1/orgs/{id}`
pub async fn put_org(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: EntityId = call.parsed("id")?;
    let body: PutOrg = call.body()?;
    let row = gate.control.put_org(&id, name(body.name)?, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&org(row))
}

/// `GET /admin/v1/teams`
pub async fn list_teams(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.owners("team:", call.limit()?, call.cursor(), None).await?;
    let teams = page.rows.into_iter().map(team).collect();
    Answer::ok(&TeamList { teams, next_cursor: page.next })
}

/// `GET /admin/v1/teams/{id}`
pub async fn show_team(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.team(&call.parsed("id")?).await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&team(row))
}

/// `PUT /admin/v1/teams/{id}`
pub async fn put_team(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: EntityId = call.parsed("id")?;
    let body: PutTeam = call.body()?;
    let row = gate.control.put_team(&id, name(body.name)?, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&team(row))
}

/// There is nothing at the path of a request.
pub(crate) fn absent(call: &Call) -> Error {
    Error::NotFound { path: call.path().to_owned() }
}

/// An identity in a field.
pub(crate) fn entity(field: &str, text: &str) -> Result<EntityId, Error> {
    text.parse().map_err(|rule: farebox_core::IdError| Error::malformed(field, rule.to_string()))
}

/// A name for people: one line of at most 128 characters.
pub(crate) fn name(name: Option<String>) -> Result<Option<String>, Error> {
    let Some(name) = name else { return Ok(None) };
    let fits = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if fits {
        return Ok(Some(name));
    }
    Err(Error::malformed("name", "write one line of 1 to 128 characters"))
}

fn allowance(body: SelfService) -> Result<Allowance, Error> {
    let field = |name: &str| format!("self_service.{name}");
    if body.keys > OWN_KEYS_MAX {
        return Err(Error::malformed(field("keys"), format!("is at most {OWN_KEYS_MAX}")));
    }
    if body.key_days.is_some_and(|days| !(1..=OWN_KEY_DAYS_MAX).contains(&days)) {
        return Err(Error::malformed(field("key_days"), format!("is 1 to {OWN_KEY_DAYS_MAX}")));
    }
    let key_models = body.key_models.map(|models| keys::models(&field("key_models"), models));
    Ok(Allowance {
        keys: body.keys,
        key_max_cost: amount(&field("key_max_cost_usd"), body.key_max_cost_usd)?,
        key_days: body.key_days,
        key_models: key_models.transpose()?,
        credentials: body.credentials,
    })
}

/// What a user may do for itself, as the API shows it.
pub(crate) fn self_service(own: Allowance) -> SelfService {
    SelfService {
        keys: own.keys,
        key_max_cost_usd: own.key_max_cost.map(|cost| cost.to_string()),
        key_days: own.key_days,
        key_models: own.key_models,
        credentials: own.credentials,
    }
}

fn user(row: OwnerRow) -> User {
    User {
        id: row.id.to_string(),
        name: row.name,
        org: row.org.map(|org| org.to_string()),
        team: row.team.map(|team| team.to_string()),
        self_service: Some(row.own).filter(|own| *own != Allowance::default()).map(self_service),
        created_at: row.created_at.to_string(),
        version: row.version.to_string(),
    }
}

fn org(row: OwnerRow) -> Org {
    let (created_at, version) = (row.created_at.to_string(), row.version.to_string());
    Org { id: row.id.to_string(), name: row.name, created_at, version }
}

fn team(row: OwnerRow) -> Team {
    let (created_at, version) = (row.created_at.to_string(), row.version.to_string());
    Team { id: row.id.to_string(), name: row.name, created_at, version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_line() {
        assert_eq!(name(Some("Ann".to_owned())), Ok(Some("Ann".to_owned())));
        assert_eq!(name(None), Ok(None));
        for text in ["", " ", "a\nb", "\u{1b}[2J", &"x".repeat(129)] {
            assert!(name(Some(text.to_owned())).is_err(), "{text:?}");
        }
    }
}

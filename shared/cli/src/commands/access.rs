//! Users, organisations, teams, keys and credentials.

use std::collections::BTreeMap;

use farebox_api::{
    CreateKey, CreatedKey, Credential as Stored, CredentialList, Key as Made, KeyList, KeyTimeouts,
    Org as Group, OrgList, PutCredential, PutUser, SelfService as Own, Team as Crew, TeamList,
    User as Person, UserList,
};
use reqwest::Method;
use serde_json::{Map, Value};

use super::keys::limits;
use super::removal::{Removal, remove, shown, tell};
use super::{filtered, path, table};
use crate::args::{Credential, Force, Key, Org, SelfService, Team, User};
use crate::client::{ABSENT, Base, Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox user …`
pub async fn user(client: &Client, command: User) -> Result<Output, Failure> {
    match command {
        User::Add { id, name, org, team } => {
            let next = format!(
                "Next: farebox budget set user:{id} --month USD (nothing bounds it before, but the \
                 limits of its team and organisation), then farebox key create --user {id}"
            );
            let there = format!("User {id} is there.");
            let said = [("name", name), ("org", org), ("team", team)];
            let (body, is_new) = add(client, &of_user(&id), said).await?;
            let end = if is_new { next } else { unchanged() };
            Ok(Output::new(body, format!("{there} {end}")))
        }
        User::List { org, team } => {
            let path = filtered("users", &[("org", org), ("team", team)]);
            let answer = client.all(&path, "users").await?;
            let list: UserList = answer.parse()?;
            Ok(Output::new(answer.body, users_text(&list.users)))
        }
        User::Show { id } => {
            let answer = client.get(&of_user(&id)).await?;
            let text = self_service_text(&answer.parse()?);
            Ok(Output::new(answer.body, text))
        }
        User::Allow(change) => {
            let of = of_user(&change.id);
            let read = client.get(&of).await?;
            let known: Person = read.parse()?;
            let body = PutUser {
                self_service: Some(allowed(known.self_service.unwrap_or_default(), change)),
                name: known.name,
                org: known.org,
                team: known.team,
            };
            let answer = client.send(Method::PUT, &of, &body, read.etag.as_deref()).await?;
            let text = self_service_text(&answer.parse()?);
            Ok(Output::new(answer.body, text))
        }
    }
}

/// Makes an owner, or changes what is said of it and leaves the rest; tells what is there, and
/// whether anything was changed.
async fn add<const N: usize>(
    client: &Client,
    path: &str,
    said: [(&str, Option<String>); N],
) -> Result<(Value, bool), Failure> {
    let found = client.find(path).await?;
    let tag = found.as_ref().and_then(|found| found.etag.clone());
    let now = found.as_ref().map(|found| settable(&found.body));
    let mut wanted = now.clone().unwrap_or_default();
    for (field, value) in said {
        match value.as_deref() {
            None => {}
            Some("none") if field != "name" => drop(wanted.remove(field)),
            Some(value) => drop(wanted.insert(field.to_owned(), value.into())),
        }
    }
    if let (Some(found), true) = (found, now.is_some_and(|now| now == wanted)) {
        return Ok((found.body, false));
    }
    let tag = tag.unwrap_or_else(|| ABSENT.to_owned());
    let answer = client.send(Method::PUT, path, &wanted, Some(&tag)).await?;
    Ok((answer.body, true))
}

fn unchanged() -> String {
    "It is so already: nothing is changed.".to_owned()
}

/// What can be set of an owner, as it is.
pub(super) fn settable(owner: &Value) -> Map<String, Value> {
    let found = ["name", "org", "team", "self_service"].into_iter().filter_map(|name| {
        let value = owner.get(name).filter(|value| !value.is_null())?;
        Some((name.to_owned(), value.clone()))
    });
    found.collect()
}

fn of_user(id: &str) -> String {
    path(&format!("users/{}", encoded(id)))
}

fn users_text(users: &[Person]) -> String {
    table(&["ID", "NAME", "ORG", "TEAM", "CREATED"], users, |user| {
        let (name, org) = (cell(user.name.as_ref()), cell(user.org.as_ref()));
        let team = cell(user.team.as_ref());
        vec![user.id.clone(), name, org, team, user.created_at.clone()]
    })
}

/// What a user may do for itself with the changes in it: what is not named stays.
fn allowed(now: Own, change: SelfService) -> Own {
    let key_models = match change.key_models.as_slice() {
        [] => now.key_models,
        [none] if none == "none" => None,
        _ => Some(change.key_models),
    };
    Own {
        keys: change.keys.unwrap_or(now.keys),
        key_max_cost_usd: match change.key_max_cost_usd.as_deref() {
            None => now.key_max_cost_usd,
            Some("none") => None,
            Some(_) => change.key_max_cost_usd,
        },
        key_days: match change.key_days {
            None => now.key_days,
            Some(0) => None,
            days => days,
        },
        key_models,
        credentials: change.credentials.unwrap_or(now.credentials),
    }
}

fn self_service_text(user: &Person) -> String {
    let own = user.self_service.clone().unwrap_or_default();
    let models = own.key_models.map(|models| models.join(","));
    let head = ["OWN KEYS", "MAX_COST_USD", "DAYS", "MODELS", "OWN CREDENTIALS"];
    let may = table(&head, &[()], |()| {
        vec![
            own.keys.to_string(),
            cell(own.key_max_cost_usd.as_ref()),
            cell(own.key_days.map(|days| days.to_string()).as_ref()),
            models.clone().unwrap_or_else(|| "all".to_owned()),
            if own.credentials { "yes" } else { "no" }.to_owned(),
        ]
    });
    format!("{}\n\n{may}", users_text(core::slice::from_ref(user)))
}

/// `farebox org …`
pub async fn org(client: &Client, command: Org) -> Result<Output, Failure> {
    match command {
        Org::Add { id, name } => {
            let path = path(&format!("orgs/{}", encoded(&id)));
            let (body, is_new) = add(client, &path, [("name", name)]).await?;
            let end = if is_new { String::new() } else { format!(" {}", unchanged()) };
            Ok(Output::new(body, format!("Organisation {id} is there.{end}")))
        }
        Org::List => {
            let answer = client.all(&path("orgs"), "orgs").await?;
            let list: OrgList = answer.parse()?;
            Ok(Output::new(answer.body, orgs_text(&list.orgs)))
        }
        Org::Show { id } => {
            let answer = client.get(&path(&format!("orgs/{}", encoded(&id)))).await?;
            let text = orgs_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
    }
}

fn orgs_text(orgs: &[Group]) -> String {
    table(&["ID", "NAME", "CREATED"], orgs, |org| {
        vec![org.id.clone(), cell(org.name.as_ref()), org.created_at.clone()]
    })
}

/// `farebox team …`
pub async fn team(client: &Client, command: Team) -> Result<Output, Failure> {
    match command {
        Team::Add { id, name } => {
            let path = path(&format!("teams/{}", encoded(&id)));
            let (body, is_new) = add(client, &path, [("name", name)]).await?;
            let next = format!("Next: farebox user add ID --team {id}");
            let end = if is_new { next } else { unchanged() };
            Ok(Output::new(body, format!("Team {id} is there. {end}")))
        }
        Team::List => {
            let answer = client.all(&path("teams"), "teams").await?;
            let list: TeamList = answer.parse()?;
            Ok(Output::new(answer.body, teams_text(&list.teams)))
        }
        Team::Show { id } => {
            let answer = client.get(&path(&format!("teams/{}", encoded(&id)))).await?;
            let text = teams_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
    }
}

fn teams_text(teams: &[Crew]) -> String {
    table(&["ID", "NAME", "CREATED"], teams, |team| {
        vec![team.id.clone(), cell(team.name.as_ref()), team.created_at.clone()]
    })
}

/// `farebox key …`
pub async fn key(client: &Client, command: Key) -> Result<Output, Failure> {
    match command {
        Key::Create {
            user,
            name,
            models,
            expires_at,
            max_cost_usd,
            clamp,
            room_wait_ms,
            drop_params,
            timeouts,
            labels,
            once,
        } => {
            let body = CreateKey {
                user,
                name,
                models: Some(models).filter(|models| !models.is_empty()),
                expires_at,
                max_cost_usd,
                clamp,
                room_wait_ms,
                drop_params,
                timeouts: limits(KeyTimeouts::default(), &timeouts),
                labels: labels.into_iter().collect(),
            };
            let answer = client.create(&path("keys"), &body, None, &once).await?;
            let created: CreatedKey = answer.parse()?;
            Ok(Output::new(answer.body, created_text(&created)))
        }
        Key::Set(change) => super::keys::set(client, change).await,
        Key::List { user, state } => {
            let path = filtered("keys", &[("user", user), ("state", state)]);
            let answer = client.all(&path, "keys").await?;
            let list: KeyList = answer.parse()?;
            Ok(Output::new(answer.body, keys_text(&list.keys)))
        }
        Key::Rotate { id, grace, once } => {
            super::keys::rotate(client, "keys", &id, grace, &once).await
        }
        Key::Show { id } => {
            let answer = client.get(&path(&format!("keys/{}", encoded(&id)))).await?;
            let text = keys_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Key::Revoke { id, force } => {
            let removal = revoked(path(&format!("keys/{}", encoded(&id))), &id, force);
            remove(client, removal, keys_text).await
        }
    }
}

/// A key that is stopped.
pub(super) fn revoked(path: String, id: &str, force: Force) -> Removal {
    Removal {
        path,
        question: format!("Stop key {id} for ever?"),
        done: format!("Key {id} is revoked. It stops working within 30 seconds."),
        force: force.force,
    }
}

pub(super) fn created_text(created: &CreatedKey) -> String {
    format!(
        "{}\n\nKey {} of user {}. The line above is shown this once: store it now.",
        created.secret, created.key.id, created.key.user
    )
}

pub(super) fn keys_text(keys: &[Made]) -> String {
    let head = [
        "ID",
        "USER",
        "NAME",
        "STATE",
        "MODELS",
        "MAX_COST_USD",
        "CLAMP",
        "ROOM_WAIT_MS",
        "LABELS",
        "EXPIRES",
        "LAST USED",
    ];
    table(&head, keys, |key| {
        vec![
            key.id.clone(),
            key.user.clone(),
            key.name.clone(),
            key.state.clone(),
            key.models.as_ref().map_or_else(|| "all".to_owned(), |models| models.join(",")),
            cell(key.max_cost_usd.as_ref()),
            key.clamp.clone(),
            cell(key.room_wait_ms.map(|ms| ms.to_string()).as_ref()),
            labels_text(&key.labels),
            cell(key.expires_at.as_ref()),
            cell(key.last_used_at.as_ref()),
        ]
    })
}

/// Labels as they are typed.
fn labels_text(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// `farebox credential …`
pub async fn credential(client: &Client, command: Credential) -> Result<Output, Failure> {
    let of = |owner: &str, provider: &str, name: Option<&str>| {
        let name = name.map(|name| format!("/{}", encoded(name))).unwrap_or_default();
        path(&format!("credentials/{}/{}{name}", encoded(owner), encoded(provider)))
    };
    match command {
        Credential::Set { owner, provider, name, weight, base_url, force } => {
            let path = of(&owner, &provider, name.as_deref());
            let (secret, base) = typed(client, &path, &provider, force).await?;
            let body = PutCredential { secret, base_url, weight };
            let answer = client.put(&path, &body, &base).await?;
            let stored: Stored = answer.parse()?;
            let text = format!(
                "The {} credential of {} is stored. Keys use it within 30 seconds.",
                stored.provider, stored.owner
            );
            Ok(Output::new(answer.body, text))
        }
        Credential::List { user, org } => {
            let owner = user.or(org.map(|id| format!("org:{id}"))).unwrap_or_default();
            let path = path(&format!("credentials?user={}", encoded(&owner)));
            let answer = client.all(&path, "credentials").await?;
            let list: CredentialList = answer.parse()?;
            Ok(Output::new(answer.body, credentials_text(&list.credentials)))
        }
        Credential::Show { owner, provider, name } => {
            let answer = client.get(&of(&owner, &provider, name.as_deref())).await?;
            let text = credentials_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Credential::Disable { owner, provider, name, force } => {
            let removal = Removal {
                path: of(&owner, &provider, name.as_deref()),
                question: format!("Erase the {provider} credential of {owner}?"),
                done: format!(
                    "The {provider} credential of {owner} is disabled and erased. \
                     No call uses it after 30 seconds."
                ),
                force: force.force,
            };
            remove(client, removal, credentials_text).await
        }
    }
}

/// A provider's key as it is typed, and the credential that it takes the place of: read first, so
/// that what somebody else stores while this one is typed is not lost unseen.
pub(super) async fn typed(
    client: &Client,
    path: &str,
    provider: &str,
    force: Force,
) -> Result<(String, Base), Failure> {
    let base = client.base(path, force.force).await?;
    if let Some(stored) = shown(&base, credentials_text)? {
        tell(&format!("{stored}\n\nThe new one takes its place."));
    }
    Ok((crate::secret::read(&format!("{provider} API key"))?, base))
}

pub(super) fn credentials_text(credentials: &[Stored]) -> String {
    let head = ["OWNER", "PROVIDER", "NAME", "WEIGHT", "STATE", "BASE URL", "UPDATED", "LAST USED"];
    table(&head, credentials, |stored| {
        vec![
            stored.owner.clone(),
            stored.provider.clone(),
            cell(stored.name.as_ref()),
            stored.weight.to_string(),
            stored.state.clone(),
            cell(stored.base_url.as_ref()),
            stored.updated_at.clone(),
            cell(stored.last_used_at.as_ref()),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_may_do_stays_where_it_is_not_named() {
        let now = Own {
            keys: 2,
            key_max_cost_usd: Some("1".into()),
            key_days: Some(30),
            key_models: Some(vec!["openai/*".into()]),
            credentials: true,
        };

        assert_eq!(allowed(now.clone(), SelfService::default()), now);
        let change = SelfService {
            keys: Some(3),
            key_max_cost_usd: Some("none".into()),
            key_days: Some(0),
            key_models: vec!["none".into()],
            credentials: Some(false),
            ..SelfService::default()
        };
        assert_eq!(allowed(now, change), Own { keys: 3, ..Own::default() });
    }

    fn key() -> Made {
        Made {
            id: "k1".into(),
            user: "u1".into(),
            org: None,
            name: "ci".into(),
            state: "active".into(),
            models: None,
            expires_at: None,
            max_cost_usd: Some("0.5".into()),
            clamp: "missing".into(),
            room_wait_ms: None,
            drop_params: false,
            timeouts: farebox_api::KeyTimeouts::default(),
            labels: BTreeMap::from([("team".into(), "search".into())]),
            created_at: "2026-11-23T00:00:00Z".into(),
            rotated_at: None,
            old_secret_until: None,
            last_used_at: None,
            version: "1".to_owned(),
        }
    }

    #[test]
    fn a_new_key_is_the_first_line() {
        let created = CreatedKey { secret: "sk-fb-local-x".into(), key: key() };

        assert!(created_text(&created).starts_with("sk-fb-local-x\n"));
    }

    #[test]
    fn a_key_without_a_list_may_use_all_models() {
        let text = keys_text(&[key()]);

        assert!(
            text.ends_with(
                "k1  u1    ci    active  all              0.5  missing             -  \
                 team=search  -        -"
            ),
            "{text}"
        );
    }
}

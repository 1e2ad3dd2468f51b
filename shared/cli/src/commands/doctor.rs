//! A deployment looked at end to end, with what to mend.

use std::collections::BTreeSet;

use farebox_api::{
    Budget, BudgetList, ChannelList, CredentialList, KeyList, OperatorAlertList, QuarantineList,
    RouteList, Session, User, UserList,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::path;
use crate::client::{Client, encoded};
use crate::clock::now;
use crate::failure::Failure;
use crate::print::{Output, Table};
use crate::progress::Progress;

mod behind;

/// A clock that is further off than this fails signatures of AWS and expiries of keys.
const SKEW_S_MAX: i64 = 30;
/// Users whose credentials are looked at.
const USERS_MAX: usize = 200;
/// Names that one line shows.
const NAMES_MAX: usize = 5;

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Warning,
    Bad,
    /// It could not be looked at.
    Skipped,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warn",
            Self::Bad => "FAIL",
            Self::Skipped => "skip",
        }
    }
}

/// One check: what was found, and what to do about it.
struct Check {
    name: &'static str,
    state: State,
    found: String,
    next: String,
}

fn check(name: &'static str, state: State, found: impl Into<String>, next: &str) -> Check {
    Check { name, state, found: found.into(), next: next.to_owned() }
}

/// `farebox doctor`; a Farebox key for a free quote is asked for where one is wanted.
pub async fn doctor(client: &Client, quote: bool) -> Result<Output, Failure> {
    let key = if quote { Some(crate::secret::read("Farebox key")?) } else { None };
    let progress = Progress::of("looking");
    let mut checks = reached(client).await;
    // What cannot be reached cannot be asked.
    if checks.iter().all(|check| check.state != State::Bad) {
        checks.extend(served(client).await);
        checks.push(quoted(client, key).await);
        checks.extend(behind::looked_at(client).await);
    }
    drop(progress);
    // Never cut: what is wrong stands at the end of a message as often as at its beginning.
    let mut rows = Table::new(&["CHECK", "STATE", "FOUND"]).uncut();
    for one in &checks {
        rows.push(vec![one.name.to_owned(), one.state.name().to_owned(), one.found.clone()]);
    }
    let rows = rows.with_head();
    let next = checks.iter().filter(|one| one.state != State::Good && !one.next.is_empty());
    let next: Vec<_> = next.map(|one| format!("{}: {}", one.name, one.next)).collect();
    let json = checks.iter().map(|one| {
        json!({"check": one.name, "state": one.state.name(), "found": one.found, "next": one.next})
    });
    let text = if next.is_empty() { rows } else { format!("{rows}\n\nNext:\n{}", next.join("\n")) };
    let json = json.collect();
    if checks.iter().any(|one| one.state == State::Bad) {
        let text = format!("{text}\n\nMend what says FAIL, and type it again.");
        return Ok(Output::bad(json, text));
    }
    Ok(Output::new(json, text))
}

/// URL, TLS, clock and admin key.
async fn reached(client: &Client) -> Vec<Check> {
    let mut checks = Vec::new();
    let is_safe = client.base_url().starts_with("https://") || client.is_local();
    checks.push(if is_safe {
        check("url", State::Good, client.base_url(), "")
    } else {
        let found =
            format!("{} is not encrypted: keys and prompts are read on the way", client.base_url());
        check("url", State::Bad, found, "use its https:// URL")
    });
    let began = now();
    match client.plain(Method::GET, "/healthz", None, None).await {
        Err(failure) => {
            checks.push(check("reachable", State::Bad, failure.message(), failure.next()));
            return checks;
        }
        Ok(answer) if answer.status != 200 || answer.body.get("status") != Some(&json!("ok")) => {
            let found = format!("/healthz answers {}, not as Farebox does", answer.status);
            checks.push(check(
                "reachable",
                State::Bad,
                found,
                "check the URL: it is the base, with the stage",
            ));
            return checks;
        }
        Ok(answer) => {
            let catalog = answer.body.get("catalog").and_then(Value::as_str).unwrap_or("?");
            let found = format!("in {} ms, prices of {catalog}", now().since(began));
            checks.push(check("reachable", State::Good, found, ""));
            checks.push(match answer.date.map(|date| now().since(date) / 1_000) {
                None => check("clock", State::Skipped, "the answer tells no time", ""),
                Some(skew) if skew.abs() > SKEW_S_MAX => {
                    let found = format!("this machine's is {skew} s ahead of the gateway's");
                    check("clock", State::Warning, found, "set this machine's clock (NTP)")
                }
                Some(_) => check("clock", State::Good, "agrees to half a minute", ""),
            });
        }
    }
    let session = client.get(&path("session")).await.and_then(|answer| answer.parse());
    checks.push(admitted(session));
    checks
}

/// Whether the gateway takes the key, and in a role that sees all of it.
fn admitted(session: Result<Session, Failure>) -> Check {
    let (name, from) = ("admin key", "farebox login");
    match session {
        Ok(who) if who.role == "member" => {
            let found = format!("{} is a member, who sees only what is its own", who.actor);
            let next = format!("take an owner's, admin's or auditor's key: {from}");
            check(name, State::Bad, found, &next)
        }
        Ok(who) => check(name, State::Good, format!("{}: {}", who.actor, who.role), ""),
        Err(failure) => check(name, State::Bad, failure.message(), from),
    }
}

/// Users, keys, credentials, budgets and alerts.
async fn served(client: &Client) -> Vec<Check> {
    let mut checks = Vec::new();
    let users = users(client).await;
    let looks: [(&'static str, Result<Vec<Check>, Failure>); 5] = [
        ("keys", access(client, &users).await),
        ("budgets", budgets(client, &users).await),
        ("alerts", alerts(client).await),
        ("prices", prices(client).await),
        ("routes", routes(client).await),
    ];
    for (name, look) in looks {
        match look {
            Ok(found) => checks.extend(found),
            Err(failure) => {
                let next = "type it again; then read the log of admin";
                checks.push(check(name, State::Bad, failure.message(), next));
            }
        }
    }
    checks
}

async fn users(client: &Client) -> Result<Vec<User>, Failure> {
    let list: UserList = client.all(&path("users"), "users").await?.parse()?;
    Ok(list.users)
}

async fn access(
    client: &Client,
    users: &Result<Vec<User>, Failure>,
) -> Result<Vec<Check>, Failure> {
    let users = users.as_ref().map_err(Failure::clone)?;
    let keys: KeyList = client.all(&path("keys"), "keys").await?.parse()?;
    let mut checks = Vec::new();
    let active: Vec<_> = keys.keys.iter().filter(|key| key.state == "active").collect();
    let found = format!("{} users, {} active keys", users.len(), active.len());
    checks.push(if active.is_empty() {
        check("keys", State::Warning, found, "farebox user add ID; farebox key create --user ID")
    } else {
        check("keys", State::Good, found, "")
    });
    let soon = now().plus_ms(7 * 86_400_000).to_string();
    let ending = active.iter().filter(|key| key.expires_at.as_ref().is_some_and(|at| *at < soon));
    let ending: Vec<_> = ending.map(|key| key.id.as_str()).collect();
    if !ending.is_empty() {
        let found = format!("end within a week: {}", some(&ending));
        checks.push(check("keys", State::Warning, found, "farebox key create --user …, in time"));
    }
    let mut without = Vec::new();
    let with_key = users.iter().filter(|user| active.iter().any(|key| key.user == user.id));
    let with_key: Vec<_> = with_key.collect();
    for user in with_key.iter().take(USERS_MAX) {
        let owners = [Some(user.id.clone()), user.org.as_ref().map(|org| format!("org:{org}"))];
        let mut has_any = false;
        for owner in owners.into_iter().flatten() {
            let at = path(&format!("credentials?user={}", encoded(&owner)));
            let list: CredentialList = client.all(&at, "credentials").await?.parse()?;
            has_any |= list.credentials.iter().any(|stored| stored.state == "active");
        }
        if !has_any {
            without.push(user.id.as_str());
        }
    }
    checks.push(match without.first() {
        None if with_key.len() > USERS_MAX => {
            let found = format!(
                "the first {USERS_MAX} users with a key have one; others were not \
                                 looked at"
            );
            check("credentials", State::Good, found, "")
        }
        None => check("credentials", State::Good, "every user with a key has one", ""),
        Some(first) => {
            let found = format!("keys, and nothing to call a provider with: {}", some(&without));
            let next = format!("farebox credential set {first} PROVIDER, such as openai");
            check("credentials", State::Warning, found, &next)
        }
    });
    Ok(checks)
}

async fn budgets(
    client: &Client,
    users: &Result<Vec<User>, Failure>,
) -> Result<Vec<Check>, Failure> {
    let users = users.as_ref().map_err(Failure::clone)?;
    let list: BudgetList = client.all(&path("budgets"), "budgets").await?.parse()?;
    Ok(vec![bounded(users, &list.budgets)])
}

/// Whether each user is bounded: by its own budget, its team's or its organisation's.
fn bounded(users: &[User], budgets: &[Budget]) -> Check {
    let binds = |kind: &str, id: &str| {
        let budget = budgets.iter().find(|budget| budget.kind == kind && budget.id == id);
        budget.is_some_and(|budget| {
            let limits = [&budget.month_limit_usd, &budget.day_limit_usd, &budget.total_limit_usd];
            let has_limit = limits.into_iter().any(Option::is_some);
            budget.mode == "closed" || (has_limit && budget.mode != "observe")
        })
    };
    let is_bounded = |user: &User| {
        let (team, org) = (user.team.as_deref(), user.org.as_deref());
        binds("user", &user.id)
            || team.is_some_and(|team| binds("team", team))
            || org.is_some_and(|org| binds("org", org))
    };
    let unbounded = users.iter().filter(|user| !is_bounded(user));
    let names: Vec<_> = unbounded.map(|user| user.id.as_str()).collect();
    let Some(first) = names.first() else {
        let found = format!("{} in all, something bounds every user", budgets.len());
        return check("budgets", State::Good, found, "");
    };
    let found = format!("nothing bounds what these users spend: {}", some(&names));
    let next =
        format!("farebox budget set user:{first} --month USD, or a team's or organisation's");
    check("budgets", State::Warning, found, &next)
}

async fn alerts(client: &Client) -> Result<Vec<Check>, Failure> {
    let list: ChannelList = client.get(&path("alerts/channels")).await?.parse()?;
    let names: Vec<_> = list.channels.iter().map(|one| one.channel.as_str()).collect();
    let mut checks = vec![if names.is_empty() {
        check(
            "alerts",
            State::Warning,
            "no channel: nobody is told",
            "farebox webhook set https://…",
        )
    } else {
        check("alerts", State::Good, format!("go to {}", names.join(", ")), "")
    }];
    let list: OperatorAlertList =
        client.all(&path("alerts/operator?state=open"), "alerts").await?.parse()?;
    if !list.alerts.is_empty() {
        let kinds: BTreeSet<_> = list.alerts.iter().map(|alert| alert.kind.as_str()).collect();
        let kinds: Vec<_> = kinds.into_iter().collect();
        let found = format!("{} for the operator, open: {}", list.alerts.len(), some(&kinds));
        checks.push(check(
            "alerts",
            State::Warning,
            found,
            "farebox alerts operator, then farebox alerts acknowledge ID",
        ));
    }
    Ok(checks)
}

async fn prices(client: &Client) -> Result<Vec<Check>, Failure> {
    let list: QuarantineList = client.all(&path("quarantine"), "quarantine").await?.parse()?;
    let models = list.quarantine.iter().map(|one| format!("{}/{}", one.provider, one.model));
    let models: Vec<String> = models.collect();
    let names: Vec<_> = models.iter().map(String::as_str).collect();
    Ok(vec![if names.is_empty() {
        check("prices", State::Good, "none in quarantine", "")
    } else {
        let found = format!("in quarantine: {}", some(&names));
        let next = "calls to them are refused: compare with the provider's page, then farebox \
                    price set, and farebox price acknowledge MODEL";
        check("prices", State::Warning, found, next)
    }])
}

/// What the gateway itself has to say of the names that stand for models.
async fn routes(client: &Client) -> Result<Vec<Check>, Failure> {
    let list: RouteList = client.all(&path("routes"), "routes").await?.parse()?;
    let warned = list.routes.iter().filter_map(|route| {
        let warning = route.warnings.first()?;
        Some(format!("{}: {warning}", route.name))
    });
    let warned: Vec<_> = warned.collect();
    let names: Vec<_> = warned.iter().map(String::as_str).collect();
    Ok(vec![match (list.routes.len(), names.is_empty()) {
        (0, _) => check("routes", State::Good, "there is none, and none is needed", ""),
        (count, true) => check("routes", State::Good, format!("{count}, without a warning"), ""),
        (_, false) => {
            let next = "farebox price set MODEL, or farebox route set NAME --target MODEL";
            check("routes", State::Warning, some(&names), next)
        }
    }])
}

/// A call that is priced and weighed against its budgets, and not made.
async fn quoted(client: &Client, key: Option<String>) -> Check {
    let name = "quote";
    let Some(key) = key else {
        let found = "needs a Farebox key";
        return check(name, State::Skipped, found, "farebox doctor --quote, which asks for it");
    };
    let models = client.plain(Method::GET, "/v1/models", Some(&key), None).await;
    let models = match models {
        Err(failure) => return check(name, State::Bad, failure.message(), "check the network"),
        Ok(answer) if answer.status != 200 => {
            let said = answer.body.pointer("/error/message").and_then(Value::as_str);
            let said = said.unwrap_or_default();
            let found = format!("the Farebox key is answered {}: {said}", answer.status);
            let next = "farebox key list tells which keys there are, and farebox key create \
                        --user ID makes one";
            return check(name, State::Bad, found, next);
        }
        Ok(answer) => answer.body,
    };
    let Some(model) = models.pointer("/data/0/id").and_then(Value::as_str) else {
        let found = "the Farebox key may use no model that has a price";
        let next = "farebox credential set OWNER PROVIDER for its user; a model that the \
                    catalogue does not know needs farebox price set PROVIDER/MODEL, too";
        return check(name, State::Warning, found, next);
    };
    let body =
        json!({"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "hi"}]});
    match client.plain(Method::POST, "/v1/quote", Some(&key), Some(&body)).await {
        Err(failure) => check(name, State::Bad, failure.message(), "check the network"),
        Ok(answer) if answer.status == 200 => {
            let text = |name: &str| answer.body.get(name).and_then(Value::as_str).unwrap_or("?");
            let (said, ceiling) = (text("answer"), text("ceiling_usd"));
            let found = format!("{model}: {said}, {ceiling} USD at most");
            if said != "refused" {
                return check(name, State::Good, found, "");
            }
            let scopes = answer.body.get("scopes").and_then(Value::as_array);
            let by = scopes
                .into_iter()
                .flatten()
                .find(|one| one.get("answer") == Some(&json!("refused")));
            let by = by.map(|one| {
                let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or("?");
                (format!("{}:{}", text("kind"), text("id")), text("period"), text("room_usd"))
            });
            let Some((scope, period, room)) = by else {
                return check(name, State::Warning, found, "farebox budget show");
            };
            let found = format!("{found}; {scope} has {room} USD left of its {period}");
            let next =
                format!("farebox budget show {scope}; farebox budget set {scope} --{period} USD");
            check(name, State::Warning, found, &next)
        }
        Ok(answer) => {
            let said = answer.body.pointer("/error/message").and_then(Value::as_str);
            let found = format!("{model}: {} {}", answer.status, said.unwrap_or_default());
            let next = match answer.status {
                500.. => "read the log of chat: its tables and secrets must be there",
                _ => "farebox price show; farebox credential list --user ID",
            };
            check(name, State::Bad, found, next)
        }
    }
}

/// The first few names.
fn some(names: &[&str]) -> String {
    let first: Vec<_> = names.iter().take(NAMES_MAX).copied().collect();
    match names.len().saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;

//! A deployment looked at end to end, with what to mend.

use farebox_api::{
    BudgetList, ChannelList, CredentialList, KeyList, OperatorAlertList, QuarantineList, Queues,
    UserList,
};
use farebox_core::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{path, table};
use crate::client::{Client, encoded};
use crate::clock::now;
use crate::failure::Failure;
use crate::print::Output;
use crate::progress::Progress;

/// A clock that is further off than this fails signatures of AWS and expiries of keys.
const SKEW_S_MAX: i64 = 30;
/// Users whose credentials are looked at.
const USERS_MAX: usize = 200;
/// Records that a burst leaves for some seconds.
const WAITING_MAX: u64 = 10_000;
/// A look begins each fifth minute; one at very many budgets takes some more.
const SCAN_MINUTES_MAX: i64 = 20;
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

/// `farebox doctor`; `key` is a Farebox key for a free quote.
pub async fn doctor(client: &Client, key: Option<String>) -> Result<Output, Failure> {
    let progress = Progress::of("looking");
    let mut checks = reached(client).await;
    // What cannot be reached cannot be asked.
    if checks.iter().all(|check| check.state != State::Bad) {
        checks.extend(served(client).await);
        checks.push(quoted(client, key).await);
        checks.extend(behind(client).await);
    }
    drop(progress);
    let rows = table(&["CHECK", "STATE", "FOUND"], &checks, |one| {
        vec![one.name.to_owned(), one.state.name().to_owned(), one.found.clone()]
    });
    let next = checks.iter().filter(|one| one.state != State::Good && !one.next.is_empty());
    let next: Vec<_> = next.map(|one| format!("{}: {}", one.name, one.next)).collect();
    let json = checks.iter().map(|one| {
        json!({"check": one.name, "state": one.state.name(), "found": one.found, "next": one.next})
    });
    let text = if next.is_empty() { rows } else { format!("{rows}\n\nNext:\n{}", next.join("\n")) };
    if checks.iter().any(|one| one.state == State::Bad) {
        return Err(Failure::new(text, "mend what says FAIL, and type it again"));
    }
    Ok(Output::new(json.collect(), text))
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
            checks.push(check(
                "reachable",
                State::Bad,
                failure.message(),
                "check the URL and the network",
            ));
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
    checks.push(match client.get(&path("users?limit=1")).await {
        Ok(_) => check("admin key", State::Good, "is taken", ""),
        Err(failure) => check("admin key", State::Bad, failure.message(), "farebox login"),
    });
    checks
}

/// The queue, its dead letters and the scheduler.
async fn behind(client: &Client) -> Vec<Check> {
    let found = client.get(&path("queues")).await.and_then(|answer| answer.parse::<Queues>());
    let queues = match found {
        Ok(queues) => queues,
        Err(failure) => {
            let next = "the role of admin needs sqs:GetQueueAttributes on both queues";
            return vec![check("queue", State::Bad, failure.message(), next)];
        }
    };
    vec![waiting(&queues), dead_letters(&queues), scheduler(&queues, now())]
}

fn waiting(queues: &Queues) -> Check {
    let found = format!("{} records wait, {} are in hand", queues.waiting, queues.in_flight);
    if queues.waiting > WAITING_MAX {
        let next = "the logger does not keep up: read its log and its concurrency";
        return check("queue", State::Warning, found, next);
    }
    check("queue", State::Good, found, "")
}

fn dead_letters(queues: &Queues) -> Check {
    let next = "read record_failed in the logger's log, mend its cause, then redrive the queue \
                (docs/operations.md, DeadLetterAlarm)";
    match queues.dead_letters {
        None => {
            let next = "deploy this release's template: admin gets FAREBOX_DEAD_LETTER_URL";
            check("dead letters", State::Skipped, "the deployment does not tell", next)
        }
        Some(0) => check("dead letters", State::Good, "none", ""),
        Some(count) => {
            let found = format!("{count} records that the logger refused five times");
            check("dead letters", State::Bad, found, next)
        }
    }
}

fn scheduler(queues: &Queues, now: Timestamp) -> Check {
    let next = "read the log of the scheduler, and look whether its rule is enabled";
    let scanned = queues.scanned_at.as_deref().and_then(|at| Timestamp::parse(at).ok());
    match scanned.map(|at| now.since(at) / 60_000) {
        None => check("scheduler", State::Warning, "has never looked at all budgets", next),
        Some(minutes) if minutes > SCAN_MINUTES_MAX => {
            let found = format!("its last look at all budgets began {minutes} minutes ago");
            check("scheduler", State::Bad, found, next)
        }
        Some(_) => check("scheduler", State::Good, "looks at all budgets", ""),
    }
}

/// Users, keys, credentials, budgets and alerts.
async fn served(client: &Client) -> Vec<Check> {
    let mut checks = Vec::new();
    let looks: [(&'static str, Result<Vec<Check>, Failure>); 4] = [
        ("keys", access(client).await),
        ("budgets", budgets(client).await),
        ("alerts", alerts(client).await),
        ("prices", prices(client).await),
    ];
    for (name, look) in looks {
        match look {
            Ok(found) => checks.extend(found),
            Err(failure) => {
                checks.push(check(name, State::Bad, failure.message(), "farebox doctor"));
            }
        }
    }
    checks
}

async fn access(client: &Client) -> Result<Vec<Check>, Failure> {
    let users: UserList = client.all(&path("users"), "users").await?.parse()?;
    let keys: KeyList = client.all(&path("keys"), "keys").await?.parse()?;
    let mut checks = Vec::new();
    let active: Vec<_> = keys.keys.iter().filter(|key| key.state == "active").collect();
    let found = format!("{} users, {} active keys", users.users.len(), active.len());
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
    for user in users.users.iter().take(USERS_MAX) {
        if !active.iter().any(|key| key.user == user.id) {
            continue;
        }
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
    checks.push(if without.is_empty() {
        check("credentials", State::Good, "every user with a key has one", "")
    } else {
        let found = format!("keys, and nothing to call a provider with: {}", some(&without));
        check("credentials", State::Warning, found, "farebox credential set OWNER PROVIDER")
    });
    Ok(checks)
}

async fn budgets(client: &Client) -> Result<Vec<Check>, Failure> {
    let list: BudgetList = client.all(&path("budgets"), "budgets").await?.parse()?;
    let users = list.budgets.iter().filter(|budget| budget.kind == "user");
    let unlimited = users.filter(|budget| {
        let has_limit = [&budget.month_limit_usd, &budget.day_limit_usd, &budget.total_limit_usd]
            .into_iter()
            .any(Option::is_some);
        !has_limit || budget.mode == "observe"
    });
    let names: Vec<_> = unlimited.map(|budget| budget.id.as_str()).collect();
    Ok(vec![if names.is_empty() {
        check(
            "budgets",
            State::Good,
            format!("{} in all, every user has a limit", list.budgets.len()),
            "",
        )
    } else {
        let found = format!("nothing bounds what these users spend: {}", some(&names));
        check("budgets", State::Warning, found, "farebox budget set user:ID --month USD")
    }])
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
    let list: OperatorAlertList = client.get(&path("alerts/operator")).await?.parse()?;
    if !list.alerts.is_empty() {
        let found = format!("{} for the operator", list.alerts.len());
        checks.push(check("alerts", State::Warning, found, "farebox alerts operator"));
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
        check("prices", State::Warning, found, "farebox price quarantine")
    }])
}

/// A call that is priced and weighed against its budgets, and not made.
async fn quoted(client: &Client, key: Option<String>) -> Check {
    let name = "quote";
    let Some(key) = key else {
        let found = "needs a Farebox key";
        return check(name, State::Skipped, found, "export FAREBOX_KEY=sk-fb-…, and type it again");
    };
    let models = client.plain(Method::GET, "/v1/models", Some(&key), None).await;
    let models = match models {
        Err(failure) => return check(name, State::Bad, failure.message(), "check the network"),
        Ok(answer) if answer.status != 200 => {
            let found = format!("FAREBOX_KEY is answered {}", answer.status);
            return check(name, State::Bad, found, "farebox key list");
        }
        Ok(answer) => answer.body,
    };
    let Some(model) = models.pointer("/data/0/id").and_then(Value::as_str) else {
        let found = "FAREBOX_KEY may use no model that has a price";
        return check(name, State::Warning, found, "farebox credential set OWNER PROVIDER");
    };
    let body =
        json!({"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "hi"}]});
    match client.plain(Method::POST, "/v1/quote", Some(&key), Some(&body)).await {
        Err(failure) => check(name, State::Bad, failure.message(), "check the network"),
        Ok(answer) if answer.status == 200 => {
            let text = |name: &str| answer.body.get(name).and_then(Value::as_str).unwrap_or("?");
            let (said, ceiling) = (text("answer"), text("ceiling_usd"));
            let found = format!("{model}: {said}, {ceiling} USD at most");
            let state = if said == "refused" { State::Warning } else { State::Good };
            check(name, state, found, "farebox budget show")
        }
        Ok(answer) => {
            let said = answer.body.pointer("/error/message").and_then(Value::as_str);
            let found = format!("{model}: {} {}", answer.status, said.unwrap_or_default());
            check(name, State::Bad, found, "farebox price show; farebox credential list --user ID")
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
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(some(&["a", "b"]), "a, b");
        assert_eq!(some(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_and_asked_no_further() {
        let client = Client::new("http://127.0.0.1:9", "sk-fba-x").unwrap();

        let failure = doctor(&client, None).await.err().unwrap().to_string();

        assert!(failure.contains("reachable  FAIL") && !failure.contains("budgets"), "{failure}");
    }

    #[test]
    fn what_waits_too_long_is_told_with_what_to_mend() {
        let now = Timestamp::parse("2026-11-30T12:00:00Z").unwrap();
        let queues = |dead_letters, scanned_at: Option<&str>| Queues {
            dead_letters,
            scanned_at: scanned_at.map(str::to_owned),
            ..Queues::default()
        };

        for (count, state) in [(None, "skip"), (Some(0), "ok"), (Some(2), "FAIL")] {
            assert_eq!(dead_letters(&queues(count, None)).state.name(), state, "{count:?}");
        }
        for (at, state) in [
            (None, "warn"),
            (Some("2026-11-30T11:55:00Z"), "ok"),
            (Some("2026-11-30T11:30:00Z"), "FAIL"),
        ] {
            let check = scheduler(&queues(None, at), now);
            assert_eq!(check.state.name(), state, "{at:?}");
            assert_eq!(check.next.is_empty(), state == "ok", "{at:?}");
        }
        let busy = Queues { waiting: 20_000, ..Queues::default() };
        assert_eq!(
            (waiting(&busy).state, waiting(&queues(None, None)).state),
            (State::Warning, State::Good)
        );
    }
}

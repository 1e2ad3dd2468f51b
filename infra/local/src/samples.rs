//! Something to see in the console of a new stack: a week of two teams that call the demo provider,
//! with what belongs to the picture: refusals, alerts, a correction, a wish for more budget.

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::past::Past;
use crate::seed::{Admin, ORG};

/// How many days before today the week begins.
pub const DAYS: i64 = 7;
/// When calls are made in these days: minutes after midnight, UTC.
const MINUTES: [i64; 2] = [560, 885];
/// Calls of somebody in each of those minutes, by day.
const CALLS: [usize; 7] = [2, 3, 4, 3, 1, 2, 3];

/// Teams: id, name, month limit in USD.
const TEAMS: [(&str, &str, &str); 2] = [("search", "Search", "5"), ("support", "Support", "0.5")];

struct Person {
    id: &'static str,
    name: &'static str,
    team: &'static str,
    day_limit: &'static str,
    /// What is called, in turn.
    models: &'static [&'static str],
}

const PEOPLE: [Person; 4] = [
    Person {
        id: "ada",
        name: "Ada",
        team: "search",
        day_limit: "0.5",
        models: &["demo/vast", "demo/claude-long", "demo/chat"],
    },
    Person {
        id: "max",
        name: "Max",
        team: "search",
        day_limit: "0.1",
        models: &["demo/long", "demo/gemini", "demo/claude-long"],
    },
    Person {
        id: "lin",
        name: "Lin",
        team: "support",
        day_limit: "0.025",
        models: &["demo/claude-long", "demo/refuse", "demo/claude-long"],
    },
    Person {
        id: "eva",
        name: "Eva",
        team: "support",
        day_limit: "0.1",
        models: &[ROUTE, "demo/chat", "demo/long"],
    },
];

/// What all of them call with: their organisation's.
const CREDENTIAL: &str = "credentials/org:demo/demo";
/// A name that leads to one model, and to another where that one fails.
const ROUTE: &str = "helpful";

const QUESTIONS: [&str; 3] = [
    "Which of our invoices are overdue?",
    "Write a haiku about budgets.",
    "Summarise yesterday's tickets in five words.",
];

/// Where the samples are made.
pub struct Place<'a> {
    /// The control plane.
    pub admin: &'a Admin,
    /// The API.
    pub base_url: &'a str,
    /// The demo provider.
    pub provider_url: &'a str,
    /// Its key.
    pub provider_key: &'a str,
}

/// Makes the days before today; gives the people's keys. What a budget or the provider refuses
/// belongs to the picture.
///
/// # Errors
/// [`Error`]: what the control plane does not take.
pub async fn before(place: &Place<'_>, past: &Past) -> Result<Vec<String>, Error> {
    let keys = people(place).await?;
    for days in (1..=DAYS).rev() {
        for minute in MINUTES {
            past.go_on(days, minute).await?;
            work(place, &keys, days).await;
        }
    }
    Ok(keys)
}

/// Makes today.
///
/// # Errors
/// [`Error::Seed`].
pub async fn today(place: &Place<'_>, keys: &[String]) -> Result<(), Error> {
    work(place, keys, 0).await;
    wish(place, keys).await?;
    correct(place).await
}

/// Teams, people and their budgets; gives the people's keys.
async fn people(place: &Place<'_>) -> Result<Vec<String>, Error> {
    let admin = place.admin;
    let credential = credential(place.provider_url, place.provider_key);
    admin.put(CREDENTIAL, &credential).await?;
    let limit = json!({"month_limit_usd": "20", "alert_thresholds": [80, 100]});
    admin.put(&format!("budgets/org:{ORG}"), &limit).await?;
    for (team, name, limit) in TEAMS {
        admin.put(&format!("teams/{team}"), &json!({"name": name})).await?;
        let budget = json!({"month_limit_usd": limit, "alert_thresholds": [25, 50, 80, 100],
            "time_zone": "Europe/Berlin"});
        admin.put(&format!("budgets/team:{team}"), &budget).await?;
    }
    let targets = json!({"targets": [{"model": "demo/claude"}, {"model": "demo/chat"}]});
    admin.put(&format!("routes/{ROUTE}"), &targets).await?;
    let mut keys = Vec::new();
    for Person { id, name, team, day_limit, .. } in PEOPLE {
        let allowed = json!({"keys": 2, "key_days": 90, "credentials": true});
        let user = json!({"name": name, "org": ORG, "team": team, "self_service": allowed});
        admin.put(&format!("users/{id}"), &user).await?;
        let budget = json!({"day_limit_usd": day_limit, "month_limit_usd": "4",
            "alert_thresholds": [50, 80]});
        admin.put(&format!("budgets/user:{id}"), &budget).await?;
        let wanted = json!({"user": id, "name": format!("{name}'s laptop"),
            "labels": {"team": team}});
        let made = admin.call(Method::POST, "keys", &wanted).await?;
        keys.push(made.get("secret").and_then(Value::as_str).unwrap_or_default().to_owned());
    }
    Ok(keys)
}

/// Where there are samples, what their people call with follows the demo provider.
///
/// # Errors
/// [`Error::Seed`].
pub async fn move_provider(admin: &Admin, url: &str, key: &str) -> Result<(), Error> {
    match admin.call(Method::GET, CREDENTIAL, &Value::Null).await {
        Ok(_) => admin.put(CREDENTIAL, &credential(url, key)).await,
        Err(_) => Ok(()),
    }
}

fn credential(url: &str, key: &str) -> Value {
    json!({"secret": key, "base_url": format!("{url}/v1")})
}

/// Everybody makes some calls, one after another.
async fn work(place: &Place<'_>, keys: &[String], days: i64) {
    let day = usize::try_from(days).unwrap_or_default();
    let of = |(who, (person, key)): (usize, (&Person, &String))| {
        let calls = CALLS.iter().cycle().nth(day + 2 * who).copied().unwrap_or_default();
        let (models, key) = (person.models, key.clone());
        async move {
            for call in 0..calls {
                let model = models.iter().cycle().nth(call + day).unwrap_or(&ROUTE);
                let text = QUESTIONS.iter().cycle().nth(call + who).unwrap_or(&"");
                ask(place.base_url, &key, model, text).await;
            }
        }
    };
    join_all(PEOPLE.iter().zip(keys).enumerate().map(of)).await;
}

/// Somebody who met a limit asks for more.
async fn wish(place: &Place<'_>, keys: &[String]) -> Result<(), Error> {
    let asks = PEOPLE.iter().zip(keys).find(|(person, _)| person.id == "lin");
    let Some((_, key)) = asks else { return Ok(()) };
    let wanted = json!({"day_limit_usd": "0.1", "reason": "The new FAQ needs longer answers"});
    let own = Admin::new(place.base_url, key);
    own.call(Method::POST, "me/budget-requests", &wanted).await.map(drop)
}

/// What an owner gives back.
async fn correct(place: &Place<'_>) -> Result<(), Error> {
    let credit = json!({"scope": "user:ada", "amount_usd": "-0.02",
        "reason": "Credit for answers that were cut off"});
    place.admin.call(Method::POST, "corrections", &credit).await.map(drop)
}

async fn ask(base_url: &str, key: &str, model: &str, text: &str) {
    let cap = if model == "demo/vast" { 20_000 } else { 1_300 };
    let body =
        json!({"model": model, "max_tokens": cap, "messages": [{"role": "user", "content": text}]});
    let request = Request::post(format!("{base_url}/v1/chat/completions"))
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(body.to_string()));
    if let Ok(request) = request {
        // A stack that is being stopped answers no more, and nobody needs this answer.
        let _ = Client::default().send(request).await;
    }
}

//! What members do for themselves, with a Farebox key of their own.

use farebox_api::{
    AlertList, AskBudget, BudgetList, BudgetRequestList, CreateOwnKey, CreatedKey, Credential,
    CredentialList, KeyList, KeyTimeouts, Me as Known, PutOwnCredential, PutOwnKey,
};
use reqwest::Method;

use super::access::{created_text, credentials_text, keys_text, revoked, typed};
use super::asks::requests_text;
use super::removal::{Removal, remove};
use super::requests::{alerts_text, fields_text, listed};
use super::{filtered, keys, money, path};
use crate::args::{KeyChange, Me, OwnCredential, OwnKey, OwnRequest, Whose};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, Table};

/// `farebox me …`
pub async fn me(client: &Client, command: Me) -> Result<Output, Failure> {
    match command {
        Me::Show => {
            let answer = client.get(&path("me")).await?;
            let text = me_text(&answer.parse()?);
            Ok(Output::new(answer.body, text))
        }
        Me::Budgets => {
            let answer = client.all(&path("me/budgets"), "budgets").await?;
            let list: BudgetList = answer.parse()?;
            Ok(Output::new(answer.body, money::budgets_text(&list)))
        }
        Me::Requests { filter, count } => {
            listed(client, "me/requests", Whose::default(), filter, count).await
        }
        Me::Request { id } => {
            let answer = client.get(&path(&format!("me/requests/{}", encoded(&id)))).await?;
            let text = fields_text(&answer.body);
            Ok(Output::new(answer.body, text))
        }
        Me::Alerts { key } => {
            let answer = client.all(&filtered("me/alerts", &[("key", key)]), "alerts").await?;
            let list: AlertList = answer.parse()?;
            Ok(Output::new(answer.body, alerts_text(&list)))
        }
        Me::Key(command) => key(client, command).await,
        Me::Credential(command) => credential(client, command).await,
        Me::BudgetRequest(command) => budget_request(client, command).await,
    }
}

fn me_text(me: &Known) -> String {
    let own = &me.self_service;
    let mut table = Table::new(&["FIELD", "VALUE"]);
    let models = own.key_models.as_ref().map(|models| models.join(", "));
    let may = if own.credentials { "may be stored" } else { "are the owner's to store" };
    for (name, value) in [
        ("user", Some(me.user.clone())),
        ("name", me.name.clone()),
        ("organisation", me.org.clone()),
        ("team", me.team.clone()),
        ("keys of its own", Some(own.keys.to_string())),
        ("most per call, USD", own.key_max_cost_usd.clone()),
        ("longest life, days", own.key_days.map(|days| days.to_string())),
        ("models", models),
        ("own credentials", Some(may.to_owned())),
    ] {
        if let Some(value) = value {
            table.push(vec![name.to_owned(), value]);
        }
    }
    table.lines().join("\n")
}

async fn key(client: &Client, command: OwnKey) -> Result<Output, Failure> {
    let of = |id: &str| path(&format!("me/keys/{}", encoded(id)));
    match command {
        OwnKey::Create {
            name,
            models,
            expires_at,
            max_cost_usd,
            clamp,
            room_wait_ms,
            drop_params,
            timeouts,
            once,
        } => {
            let models = Some(models).filter(|models| !models.is_empty());
            let timeouts = keys::limits(KeyTimeouts::default(), &timeouts);
            let body = CreateOwnKey {
                name,
                models,
                expires_at,
                max_cost_usd,
                clamp,
                room_wait_ms,
                drop_params,
                timeouts,
            };
            let answer = client.create(&path("me/keys"), &body, None, &once).await?;
            let made: CreatedKey = answer.parse()?;
            Ok(Output::new(answer.body, created_text(&made)))
        }
        OwnKey::Set(change) => set(client, &of(&change.id.clone()), change).await,
        OwnKey::List => {
            let answer = client.all(&path("me/keys"), "keys").await?;
            let list: KeyList = answer.parse()?;
            Ok(Output::new(answer.body, keys_text(&list.keys)))
        }
        OwnKey::Show { id } => {
            let answer = client.get(&of(&id)).await?;
            let text = keys_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        OwnKey::Rotate { id, grace, once } => {
            keys::rotate(client, "me/keys", &id, grace, &once).await
        }
        OwnKey::Revoke { id, force } => {
            remove(client, revoked(of(&id), &id, force), keys_text).await
        }
    }
}

async fn set(client: &Client, path: &str, change: KeyChange) -> Result<Output, Failure> {
    if !change.labels.is_empty() || change.no_labels {
        return Err(Failure::new("a key's labels are the owner's to set", "leave them out"));
    }
    let read = client.get(path).await?;
    let body = keys::changed(read.parse()?, change)?;
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
    let answer = client.send(Method::PUT, path, &body, read.etag.as_deref()).await?;
    let text = format!("{}\nIt binds within 30 seconds.", keys_text(&[answer.parse()?]));
    Ok(Output::new(answer.body, text))
}

async fn credential(client: &Client, command: OwnCredential) -> Result<Output, Failure> {
    let of = |provider: &str, name: Option<&str>| {
        let name = name.map(|name| format!("/{}", encoded(name))).unwrap_or_default();
        path(&format!("me/credentials/{}{name}", encoded(provider)))
    };
    match command {
        OwnCredential::Set { provider, name, weight, force } => {
            let path = of(&provider, name.as_deref());
            let (secret, base) = typed(client, &path, &provider, force).await?;
            let answer = client.put(&path, &PutOwnCredential { secret, weight }, &base).await?;
            let stored: Credential = answer.parse()?;
            let text = format!("Your {} credential is stored.", stored.provider);
            Ok(Output::new(answer.body, text))
        }
        OwnCredential::List => {
            let answer = client.all(&path("me/credentials"), "credentials").await?;
            let list: CredentialList = answer.parse()?;
            Ok(Output::new(answer.body, credentials_text(&list.credentials)))
        }
        OwnCredential::Show { provider, name } => {
            let answer = client.get(&of(&provider, name.as_deref())).await?;
            let text = credentials_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        OwnCredential::Disable { provider, name, force } => {
            let removal = Removal {
                path: of(&provider, name.as_deref()),
                question: format!("Erase your {provider} credential?"),
                done: format!("Your {provider} credential is disabled and erased."),
                force: force.force,
            };
            remove(client, removal, credentials_text).await
        }
    }
}

async fn budget_request(client: &Client, command: OwnRequest) -> Result<Output, Failure> {
    let of = |id: &str| path(&format!("me/budget-requests/{}", encoded(id)));
    let answer = match command {
        OwnRequest::Create(wish) => {
            let body = AskBudget {
                month_limit_usd: wish.month,
                day_limit_usd: wish.day,
                total_limit_usd: wish.total,
                until: wish.until,
                reason: wish.reason,
            };
            client.create(&path("me/budget-requests"), &body, None, &wish.once).await?
        }
        OwnRequest::Show { id } => client.get(&of(&id)).await?,
        OwnRequest::Withdraw { id, force } => {
            let removal = Removal {
                path: of(&id),
                question: format!("Take request {id} back?"),
                done: format!("Request {id} is taken back."),
                force: force.force,
            };
            return remove(client, removal, requests_text).await;
        }
        OwnRequest::List => {
            let answer = client.all(&path("me/budget-requests"), "budget_requests").await?;
            let list: BudgetRequestList = answer.parse()?;
            return Ok(Output::new(answer.body, requests_text(&list.budget_requests)));
        }
    };
    let text = requests_text(&[answer.parse()?]);
    Ok(Output::new(answer.body, text))
}

//! What a caller may read about itself: models, budgets, requests. And the health check.

use farebox_aws::{AlertItem, InForce, KeyItem, Overrides};
use farebox_core::catalog::{self, Model};
use farebox_core::{CallRecord, Error, Scope};
use farebox_ledger::{PeriodView, Threshold};
use futures_util::future::try_join_all;
use http::Response;
use serde_json::{Value, json};

use crate::authenticate::authenticate;
use crate::dialect::Dialect;
use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::reply::{self, ReplyBody};

/// The most rows in one page.
const PAGE_ROWS_MAX: u32 = 100;
/// The rows in a page where the caller asks for no number.
const PAGE_ROWS: u32 = 20;

/// `GET /healthz`: the process runs. It reads nothing, so it costs nothing.
///
/// # Errors
/// None.
pub fn health(incoming: &Incoming) -> Result<Response<ReplyBody>, Error> {
    let body = json!({"status": "ok", "catalog": catalog::VERSION});
    Ok(reply::json(incoming, &body))
}

/// `GET /v1/models`: the models that the caller's credentials and key allow, as the dialect lists
/// them.
///
/// # Errors
/// As [`authenticate`].
pub async fn models(
    gate: &Gate,
    incoming: &Incoming,
    dialect: &dyn Dialect,
) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    let overrides = gate.directory.prices().await?;
    let models = usable(&overrides.at(gate.aws.now()), &key);
    let listed = listed(&overrides, &models);
    Ok(reply::json(incoming, &dialect.models(&listed)))
}

/// `GET /v1/models/{id}`.
///
/// # Errors
/// As [`authenticate`]; 404 for a model that the caller cannot use.
pub async fn model(
    gate: &Gate,
    incoming: &Incoming,
    dialect: &dyn Dialect,
    id: &str,
) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    // The SDKs write the slash of a model's name as %2F.
    let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
    let overrides = gate.directory.prices().await?;
    let models = usable(&overrides.at(gate.aws.now()), &key);
    let unknown = || Error::UnknownModel { model: id.chars().take(128).collect() };
    let found = listed(&overrides, &models).into_iter().find(|listed| listed.id() == id);
    Ok(reply::json(incoming, &dialect.model(&found.ok_or_else(unknown)?)))
}

/// What a caller may name as a model.
pub enum Listed<'a> {
    /// A model of one of its providers.
    Model(&'a Model),
    /// A route by its name, with the models that it leads to and the caller may use.
    Route(&'a str, Vec<&'a str>),
}

impl Listed<'_> {
    /// The name to send as `model`.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Model(model) => format!("{}/{}", model.provider, model.name),
            Self::Route(name, _) => (*name).to_owned(),
        }
    }
}

/// These models, and the routes that lead to one of them at least.
fn listed<'a>(overrides: &'a Overrides, models: &'a [Model]) -> Vec<Listed<'a>> {
    let is_usable = |target: &&str| {
        let parts = target.split_once('/');
        parts.is_some_and(|(provider, name)| {
            models.iter().any(|model| provider == model.provider && name == model.name)
        })
    };
    let routes = overrides.routes().filter_map(|(name, route)| {
        let targets = route.targets.iter().map(|target| target.model.as_str());
        let targets: Vec<&str> = targets.filter(is_usable).collect();
        (!targets.is_empty()).then_some(Listed::Route(name, targets))
    });
    models.iter().map(Listed::Model).chain(routes).collect()
}

/// The priced models of the caller's providers.
fn usable(prices: &InForce<'_>, key: &KeyItem) -> Vec<Model> {
    let providers = key.providers.keys();
    let mut models: Vec<Model> = providers.flat_map(|provider| prices.models(provider)).collect();
    models.retain(|model| model.price.is_some());
    models.retain(|model| key.may_use(&model.provider, &model.name));
    models.sort_by(|a, b| (&a.provider, &a.name).cmp(&(&b.provider, &b.name)));
    models
}

/// `GET /v1/budget`: every scope that the caller's calls count to.
///
/// # Errors
/// As [`authenticate`]; 503 where the ledger cannot be read.
pub async fn budget(gate: &Gate, incoming: &Incoming) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    let now = gate.aws.now();
    let budgets = gate.ledger.budgets(&key.scopes).await?;
    let alerts = try_join_all(key.scopes.iter().map(|scope| gate.directory.alerts(scope))).await?;
    let mut scopes = Vec::new();
    for ((scope, budget), alerts) in key.scopes.iter().zip(&budgets).zip(&alerts) {
        let views = budget.view(now);
        scopes.extend(views.iter().map(|view| scope_object(scope, view, alerts)));
    }
    Ok(reply::json(incoming, &json!({"scopes": scopes})))
}

/// One scope and period.
fn scope_object(scope: &Scope, view: &PeriodView, alerts: &[AlertItem]) -> Value {
    let of_period = alerts.iter().filter(|alert| alert.period == view.period);
    let alerts: Vec<Value> = of_period
        .map(|alert| {
            json!({
                "threshold": match alert.threshold {
                    Threshold::Percent(percent) => json!(percent),
                    Threshold::Refused => json!("refused"),
                    Threshold::Test => json!("test"),
                },
                "sent_at": alert.delivery.sent_at.map(|at| at.to_string()),
            })
        })
        .collect();
    period_object(scope, view, "alerts", &alerts.into())
}

/// One scope and period, and one field more.
pub fn period_object(scope: &Scope, view: &PeriodView, field: &str, value: &Value) -> Value {
    json!({
        "kind": scope.kind_name(),
        "id": scope.id_text(),
        "period": view.period.name(),
        "limit_usd": view.limit,
        "settled_usd": view.settled,
        "held_usd": view.held,
        "room_usd": view.room,
        "resets_at": view.resets_at.map(|at| at.to_string()),
        "exceeded": view.exceeded,
        field: value,
    })
}

/// `GET /v1/requests?limit=&cursor=`: the calls of the caller's key, newest first.
///
/// # Errors
/// As [`authenticate`]; 400 for a wrong limit or cursor.
pub async fn requests(gate: &Gate, incoming: &Incoming) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    let limit = match incoming.parameter("limit") {
        None => PAGE_ROWS,
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=PAGE_ROWS_MAX).contains(limit));
            let rule = format!("must be an integer from 1 to {PAGE_ROWS_MAX}");
            limit.ok_or_else(|| Error::malformed("limit", rule))?
        }
    };
    let page = gate.logs.by_key(&key.id, limit, incoming.parameter("cursor")).await?;
    let rows: Vec<Value> = page.rows.iter().map(request_object).collect();
    Ok(reply::json(incoming, &json!({"requests": rows, "next_cursor": page.next})))
}

/// `GET /v1/requests/{id}`: one call of the caller's user.
///
/// # Errors
/// As [`authenticate`]; 404 where there is none (yet: the logger writes rows within seconds).
pub async fn request(
    gate: &Gate,
    incoming: &Incoming,
    id: &str,
) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    let absent = || Error::NotFound { path: incoming.path.chars().take(200).collect() };
    let id = id.parse().map_err(|_| absent())?;
    let record = gate.logs.get(&key.user, id).await?;
    Ok(reply::json(incoming, &request_object(&record.ok_or_else(absent)?)))
}

/// A log row as its caller sees it.
fn request_object(record: &CallRecord) -> Value {
    json!({
        "request_id": record.request_id,
        "client_request_id": record.client_request_id,
        "parent": record.parent,
        "earlier": record.earlier,
        "at": record.started_at.to_string(),
        "endpoint": record.endpoint,
        "provider": record.provider,
        "model": record.model,
        "model_served": record.model_served,
        "stream": record.stream,
        "outcome": record.outcome,
        "status": record.http_status,
        "error": record.error_code.as_ref().map(|code| {
            json!({"code": code, "message": record.error_message})
        }),
        "finish_reason": record.finish_reason,
        "labels": record.labels,
        "usage": record.usage,
        "held_usd": record.hold,
        "cost_usd": record.charged(),
        "charged_by": record.charged_by(),
        "counted_usd": record.cost.map(|cost| cost.total),
        "provider_cost_usd": record.provider_cost,
        "lines": record.lines,
        "price_version": record.price_version,
        "response_time_ms": record.response_time_ms,
        "first_token_ms": record.first_token_ms,
    })
}

//! The record of a call as a function's log keeps it: every field of it, told.

use std::collections::BTreeMap;

use farebox_core::pricing::CostLine;
use farebox_core::{Asked, CallRecord, Correction, Cost, Decision, Earlier, Money, Outcome};
use farebox_core::{Rid, Scope, ScopePart, Timestamp, Usage};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::document;
use crate::schema;

/// What `farebox.settlement.v1` holds in a line of a function's log. It is sent as it was found: a
/// field that this release does not know is refused, because it may move money.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
pub struct Settlement {
    /// The form of the record.
    #[schemars(extend("const" = 1))]
    v: u32,
    /// The call, as the caller got it.
    #[schemars(regex(pattern = "^[0-9A-HJKMNP-TV-Z]{26}$"))]
    request_id: String,
    /// The attempt that holds the money: the call itself, or a later one after a clamp.
    #[schemars(regex(pattern = "^[0-9A-HJKMNP-TV-Z]{26}$"))]
    rid: String,
    /// The call, where this is an attempt that another one followed.
    parent: Option<String>,
    /// The attempts before this one, each with a row of its own.
    #[serde(default)]
    earlier: Vec<SettlementAttempt>,
    /// The deployment.
    tenant: String,
    /// Who called.
    user: String,
    /// By which key.
    key_id: String,
    /// The user's organisation at the time.
    org: Option<String>,
    /// The user's team at the time.
    team: Option<String>,
    /// The path that was called.
    endpoint: String,
    /// The provider; absent where no model was known yet.
    provider: Option<String>,
    /// The model that was asked for, as the price list names it.
    model: Option<String>,
    /// The model that the provider says it served.
    model_served: Option<String>,
    /// Whether the caller asked for a stream.
    #[serde(default)]
    stream: bool,
    /// How it ended, in money.
    outcome: String,
    /// What was decided for the hold; absent where there was none.
    decision: Option<SettlementDecision>,
    /// The budgets that the call counts to; empty where no model was known yet.
    #[serde(default)]
    #[schemars(length(max = 8))]
    scopes: Vec<String>,
    /// Those budgets, and what stands in each.
    #[serde(default)]
    #[schemars(length(max = 8))]
    parts: Vec<SettlementPart>,
    /// What was held in each budget, in USD.
    hold: Option<String>,
    /// Farebox's own figure by the provider's counts: what is charged, where the provider states
    /// no amount of its own.
    cost: Option<SettlementCost>,
    /// The counts and prices that the figure is the sum of.
    #[serde(default)]
    lines: Vec<SettlementLine>,
    /// The provider's own figure in USD, where it states one.
    provider_cost: Option<String>,
    /// Which prices were applied.
    price_version: Option<String>,
    /// Counts by class; no token is in two of them.
    usage: Option<SettlementUsage>,
    /// The service tier that the provider says it used.
    service_tier: Option<String>,
    /// Served at Anthropic's `us` geography, at 1.1 times the price.
    #[serde(default)]
    us_geography: bool,
    /// What was asked for beside tokens at the usual prices, where nobody knows what was used.
    asked: Option<SettlementAsked>,
    /// Why the model stopped.
    finish_reason: Option<String>,
    /// The status that the caller got.
    http_status: u16,
    /// The code of the error that the caller got.
    error_code: Option<String>,
    /// Its message, without content.
    error_message: Option<String>,
    /// The provider's own id of the request.
    provider_request_id: Option<String>,
    /// The caller's own `x-request-id`.
    client_request_id: Option<String>,
    /// When the call arrived, in milliseconds since 1970.
    started_at: i64,
    /// From its arrival to the provider's last byte.
    response_time_ms: i64,
    /// From its arrival to the first byte of content.
    first_token_ms: Option<i64>,
    /// The caller went away before the end.
    #[serde(default)]
    client_gone: bool,
    /// The cost is above a hold that was to be its bound: the price is wrong for everybody.
    #[serde(default)]
    overrun: bool,
    /// The provider counted something that has no price, so the whole hold is charged.
    #[serde(default)]
    unpriced: bool,
    /// The caller's address.
    ip: Option<String>,
    /// The caller's user agent.
    user_agent: Option<String>,
    /// Whose credential was used: `user:ID` or `org:ID`.
    credential_owner: Option<String>,
    /// Which of its owner's credentials, where that is not the plain one.
    credential: Option<String>,
    /// What the call is told apart by, the key's labels first.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// What an admin said about the call.
    correction: Option<SettlementCorrection>,
    /// DynamoDB's capacity units that the call used, in tenths.
    #[serde(default)]
    capacity_tenths: u32,
}

/// An attempt of a call before the one that the record is about.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
struct SettlementAttempt {
    /// Its own row.
    id: String,
    /// `provider/model`.
    model: String,
    /// How it ended, in money.
    outcome: String,
    /// What it was charged, in USD.
    charged: String,
    /// Why it was not the last.
    error_code: Option<String>,
}

/// What was decided for a hold, once.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
enum SettlementDecision {
    /// This cost is charged, in USD.
    Settle(String),
    /// Nothing is charged.
    Void,
    /// The whole hold is charged.
    Worst,
}

/// One budget's part in a call.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
struct SettlementPart {
    /// Whose budget.
    scope: String,
    /// What stands in the budget: amount in pico-USD, day and deadline; absent where the call was
    /// admitted unheld, or never came to this budget.
    hold: Option<String>,
    /// A reserve had no definite answer, so its ending sets a fence.
    #[serde(default)]
    ambiguous: bool,
    /// Admitted without a hold: the logger posts the charge.
    #[serde(default)]
    unheld: bool,
    /// The ending was seen applied.
    #[serde(default)]
    ended: bool,
    /// The local day that the call belongs to, as 20261123; `YYYYMM00` is a whole month.
    day: u32,
}

/// A cost in USD, split as the answer to the caller shows it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
struct SettlementCost {
    /// Prompt tokens of every class.
    input: String,
    /// Completion tokens of every class.
    output: String,
    /// Fees by the piece.
    fees: String,
    /// The sum, rounded up once.
    total: String,
}

/// What one class of a call came to.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
struct SettlementLine {
    /// The class of tokens, `web_searches`, `request` or `tools`.
    class: String,
    /// How many.
    count: u64,
    /// The price of `per` of them.
    price_usd: String,
    /// 1,000,000 for tokens, 1 for fees.
    per: u64,
    /// Count times price, not rounded.
    amount_usd: String,
}

/// Counts by billed class.
#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
struct SettlementUsage {
    /// Prompt tokens at the plain price.
    prompt: u64,
    /// Prompt tokens read from the provider's cache.
    cached: u64,
    /// Prompt tokens written to the cache for five minutes, or for the only lifetime there is.
    cache_write_5m: u64,
    /// Prompt tokens written to the cache for an hour.
    cache_write_1h: u64,
    /// Prompt tokens of audio.
    audio_prompt: u64,
    /// Completion tokens at the plain price.
    completion: u64,
    /// Completion tokens of reasoning.
    reasoning: u64,
    /// Completion tokens of audio.
    audio_completion: u64,
    /// Searches that the provider ran.
    web_searches: u64,
}

/// What a call could use beside tokens at the usual prices.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
struct SettlementAsked {
    /// The service tier, where it was not the usual one.
    service_tier: Option<String>,
    /// Anthropic's `us` geography could not be excluded.
    #[serde(default)]
    us_geography: bool,
    /// The most searches.
    #[serde(default)]
    web_searches: u64,
    /// The most that other tools of the provider could cost, in USD.
    #[serde(default)]
    fee: String,
}

/// An admin's word on the books.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
struct SettlementCorrection {
    /// The call whose charge it corrects; absent where it is of a scope.
    of: Option<String>,
    /// What that call costs after it, in USD.
    to: Option<String>,
    /// Why.
    reason: String,
}

fn earlier(id: Rid) -> Earlier {
    Earlier {
        id,
        model: "openai/gpt-4o".to_owned(),
        outcome: Outcome::Void,
        charged: Money::ZERO,
        error_code: Some("provider_error".to_owned()),
    }
}

fn part(scope: Scope) -> ScopePart {
    let hold = Some("5.20261123.900".to_owned());
    ScopePart { scope, hold, ambiguous: true, unheld: true, ended: true, day: 20_261_123 }
}

fn line() -> CostLine {
    let (price_usd, amount_usd) = ("2.5".to_owned(), "0.0000075".to_owned());
    CostLine { class: "prompt".to_owned(), count: 3, price_usd, per: 1_000_000, amount_usd }
}

/// A record that leaves nothing out: a field that a release adds does not build here.
fn whole() -> CallRecord {
    let id: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
    let (usd, text) = (|text| Money::parse_usd(text).unwrap(), |text: &str| Some(text.to_owned()));
    let scope = "user:u1".parse::<Scope>().unwrap();
    CallRecord {
        v: farebox_core::record::Form,
        request_id: id,
        rid: id,
        parent: Some(id),
        earlier: vec![earlier(id)],
        tenant: "main".to_owned(),
        user: "u1".parse().unwrap(),
        key_id: "k1".parse().unwrap(),
        org: "o1".parse().ok(),
        team: "t1".parse().ok(),
        endpoint: "/v1/chat".to_owned(),
        provider: text("openai"),
        model: text("gpt-4o"),
        model_served: text("gpt-4o-2024-08-06"),
        stream: true,
        outcome: Outcome::Settled,
        decision: Some(Decision::Settle(usd("0.5"))),
        scopes: vec![scope.clone()],
        parts: vec![part(scope)],
        hold: Some(usd("1")),
        cost: Some(Cost { total: usd("0.5"), ..Cost::default() }),
        lines: vec![line()],
        provider_cost: Some(usd("0.5")),
        price_version: text("2026-11-23.9f86d081"),
        usage: Some(Usage { prompt: 3, ..Usage::default() }),
        service_tier: text("priority"),
        us_geography: true,
        asked: Some(Asked {
            service_tier: text("priority"),
            us_geography: true,
            ..Asked::default()
        }),
        finish_reason: text("stop"),
        http_status: 200,
        error_code: text("provider_error"),
        error_message: text("The provider has failed."),
        provider_request_id: text("req_1"),
        client_request_id: text("mine"),
        started_at: Timestamp::from_ms(1_763_861_064_724),
        response_time_ms: 90,
        first_token_ms: Some(40),
        client_gone: true,
        overrun: true,
        unpriced: true,
        ip: text("127.0.0.1"),
        user_agent: text("curl"),
        credential_owner: text("org:o1"),
        credential: text("second"),
        labels: [("team".to_owned(), "search".to_owned())].into_iter().collect(),
        correction: Some(Correction { of: Some(id), to: Some(usd("0.5")), reason: "why".into() }),
        capacity_tenths: 12,
    }
}

#[test]
fn every_field_of_a_settlement_is_told_and_no_other_is_taken() {
    let record = serde_json::to_value(whole()).unwrap();
    let document = document();
    let told = &document["components"]["schemas"]["Settlement"];

    let names = |fields: &Value| fields.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (mut told_names, mut sent) = (names(&told["properties"]), names(&record));
    told_names.sort();
    sent.sort();
    assert_eq!(told_names, sent);
    assert_eq!(told["additionalProperties"], json!(false));
    // Within, too: every object of it has its fields told, and no others.
    assert_eq!(schema::faults(told, &record), [""; 0]);
    let parts = document["components"]["schemas"].as_object().unwrap().iter();
    for (name, schema) in parts.filter(|(name, _)| name.starts_with("Settlement")) {
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name}.{field}");
        }
    }
}

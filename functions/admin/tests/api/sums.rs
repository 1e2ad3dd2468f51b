//! What a day cost by key, model and labels, in pages: every charge once, however many sets of
//! labels there are.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use farebox_aws::LogWriter;
use farebox_core::rollup::Counter;
use farebox_core::{CallRecord, Cost, Decision, Labels, Money, Month, Outcome};
use farebox_ledger::update::{LABEL_SETS_MAX, Partition, SHARDS};
use serde_json::{Value, json};

use crate::world::World;

/// Values of each of two labels: more sets than are told apart.
const VALUES: usize = 34;
/// Records of one batch of the logger.
const BATCH: usize = 10;

/// A charge of seven pico-USD with two labels.
fn record(world: &World, team: usize, run: usize) -> CallRecord {
    let id = world.gate.aws().new_rid();
    let (user, key) = ("u1".parse().unwrap(), "k1".parse().unwrap());
    let label = |name: &str, value: usize| (name.to_owned(), format!("{name}{value}"));
    CallRecord {
        outcome: Outcome::Settled,
        decision: Some(Decision::Settle(Money::from_pico(7).unwrap())),
        labels: [label("team", team), label("run", run)].into_iter().collect::<Labels>(),
        ..CallRecord::new(id, "main".into(), user, key)
    }
}

/// All rows of today, in pages of so many.
async fn rows(world: &World, limit: usize) -> Vec<Value> {
    let today = world.gate.aws().now().to_string();
    let day = format!("/admin/v1/usage/days/{}?limit={limit}", &today[..10]);
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.ask("GET", &format!("{day}{cursor}"), Value::Null).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let more = page.body["rows"].as_array().unwrap();
        assert!(more.len() <= limit);
        rows.extend(more.iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn every_charge_of_a_day_is_in_one_row_and_sets_beyond_the_most_keep_their_first_label() {
    let world = World::new().await;
    let writer = LogWriter::new(world.gate.aws());
    let pairs = (0..VALUES).flat_map(|team| (0..VALUES).map(move |run| (team, run)));
    let records: Vec<_> = pairs.map(|(team, run)| record(&world, team, run)).collect();
    for batch in records.chunks(BATCH) {
        for put in writer.put(&batch.iter().collect::<Vec<_>>()).await {
            put.unwrap();
        }
    }

    let whole = rows(&world, 5_000).await;
    for limit in [1_000, 97] {
        assert_eq!(rows(&world, limit).await, whole, "pages of {limit}");
    }

    let usd = |row: &Value| Money::parse_usd(row["charged_usd"].as_str().unwrap()).unwrap().pico();
    let calls = i128::try_from(records.len()).unwrap();
    assert_eq!(whole.iter().map(usd).sum::<i128>(), 7 * calls, "to the pico-USD");
    let mut by_team = BTreeMap::<&str, i128>::new();
    for row in &whole {
        assert_eq!((&row["scope"], &row["model"]), (&json!("key:k1"), &json!("-")));
        *by_team.entry(row["labels"]["team"].as_str().unwrap()).or_default() += usd(row);
    }
    assert_eq!(by_team.len(), VALUES);
    assert!(by_team.values().all(|sum| *sum == 7 * 34), "the first label is never lost");
    let (rest, told): (Vec<_>, Vec<_>) =
        whole.iter().partition(|row| row["labels"]["(other)"] == "(other)");
    assert_eq!(told.len(), LABEL_SETS_MAX as usize);
    assert!(told.iter().all(|row| usd(row) == 7 && row["labels"]["run"].is_string()));
    assert!(!rest.is_empty() && rest.iter().all(|row| row["labels"]["run"].is_null()));
}

/// Label values and models of a month: more than a megabyte of sums of one copy.
const PAIRS: (usize, usize) = (50, 40);
/// Bytes of the sums of one label value and model, at most: by the longest names.
const SUM_BYTES: usize = 704;
/// How many sums are read in one query: a page of DynamoDB has a megabyte.
const SUMS_A_PAGE: usize = 1024 * 1024 / SUM_BYTES;

/// A month's sums of all values and models in one copy, as the logger would keep them of so many
/// calls each, and one sum in each of the other copies.
async fn fill(world: &World, month: Month, calls: u64) {
    let aws = world.gate.aws();
    let pairs = (0..PAIRS.0).flat_map(|value| (0..PAIRS.1).map(move |model| (0, value, model)));
    let others = (1..SHARDS).map(|shard| (shard, 0, 0));
    let rows = pairs.chain(others).map(|(shard, value, model)| {
        let tenant = &aws.config().tenant;
        let pk = Partition { tenant, kind: "label", month, shard }.to_string();
        let sk = format!("M#{:p>64}={value:0>128}#openai/{model:0>193}", "");
        let names = [("pk", pk), ("sk", sk)];
        let keys = names.map(|(name, text)| (name.to_owned(), AttributeValue::S(text)));
        let sums = Counter::ALL.map(|(_, name)| {
            let sum = if name.ends_with("usd") { calls * 1_234_567_891 } else { calls };
            (name.to_owned(), AttributeValue::N(sum.to_string()))
        });
        HashMap::from_iter(keys.into_iter().chain(sums))
    });
    for batch in rows.collect::<Vec<_>>().chunks(25) {
        let puts = batch.iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item.clone())).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        });
        let write = aws.dynamodb().batch_write_item().request_items("logs", puts.collect());
        assert!(write.send().await.unwrap().unprocessed_items.is_none_or(|left| left.is_empty()));
    }
}

/// A month of ten million calls takes as many queries as one of a few thousand: by the label
/// values and models that were called, of which a thousand fit into one query.
#[tokio::test]
async fn a_month_takes_queries_by_its_labels_and_models_and_not_by_its_calls() {
    let world = World::new().await;
    let then = world.gate.aws().now().plus_ms(-40 * 86_400_000);
    let (text, month) = (then.to_string()[..7].to_owned(), then.utc_day().month());
    let path =
        format!("/admin/v1/usage?by=label:{:p>64},model&since={text}&until={text}&limit=5000", "");
    let pairs = PAIRS.0 * PAIRS.1;
    let most = SHARDS as usize + pairs.div_ceil(SUMS_A_PAGE);
    for calls in [1, 5_000] {
        fill(&world, month, calls).await;
        world.asked();

        let found = world.ask("GET", &path, Value::Null).await;

        let queries = world.asked().different();
        let is_bounded = queries > SHARDS as usize && queries <= most;
        assert!(is_bounded, "{queries} queries for {calls} calls each: {most} at most");
        assert_eq!(found.body["rows"].as_array().map(Vec::len), Some(pairs));
        let sums = u64::try_from(pairs).unwrap() + u64::from(SHARDS) - 1;
        assert_eq!(found.body["total"]["calls"], sums * calls, "every sum once");
    }
}

/// A page has a megabyte, and one answer takes ten of each copy.
#[tokio::test]
async fn more_sums_than_one_answer_takes_are_refused_at_the_field_that_bounds_them() {
    let world = World::new().await;
    let aws = world.gate.aws();
    let month = aws.now().utc_day().month();
    let tenant = &aws.config().tenant;
    let pk = Partition { tenant, kind: "key", month, shard: 3 }.to_string();
    let day = aws.now().utc_day();
    for row in 0..45 {
        let text = |text: String| AttributeValue::S(text);
        let put = aws.dynamodb().put_item().table_name("logs");
        let put = put.item("pk", text(pk.clone())).item("sk", text(format!("D#k{row:03}#{day}#-")));
        put.item("long", text("x".repeat(300 * 1024))).send().await.unwrap();
    }
    world.asked();

    let refused = world.ask("GET", "/admin/v1/usage?by=key,day", Value::Null).await;

    assert_eq!((refused.status, &refused.body["error"]["field"]), (400, &json!("since")));
    assert_eq!(world.asked().different(), 17, "ten of one copy, one of each other");
}

#[tokio::test]
async fn what_discounts_took_off_is_a_sum_beside_the_charge() {
    let world = World::new().await;
    let pico = |pico| Money::from_pico(pico).unwrap();
    let cost = Cost { input: pico(300), output: pico(600), fees: pico(7), total: pico(907) };
    let record = CallRecord {
        cost: Some(cost),
        decision: Some(Decision::Settle(pico(907))),
        price_version: Some("2026-11-23-25%".to_owned()),
        ..record(&world, 1, 1)
    };
    for put in LogWriter::new(world.gate.aws()).put(&[&record]).await {
        put.unwrap();
    }

    let rows = rows(&world, 10).await;

    let usd = |name: &str| Money::parse_usd(rows[0][name].as_str().unwrap()).unwrap().pico();
    assert_eq!(["charged_usd", "input_off_usd", "output_off_usd"].map(usd), [907, 100, 200]);
}

#[tokio::test]
async fn what_is_no_day_and_what_is_no_cursor_is_refused_by_its_name() {
    let world = World::new().await;
    for (path, field) in [
        ("2026-11", "day"),
        ("2026-11-31", "day"),
        ("yesterday", "day"),
        ("2026-11-23?cursor=!", "cursor"),
        ("2026-11-23?limit=0", "limit"),
    ] {
        let path = format!("/admin/v1/usage/days/{path}");
        let reply = world.ask("GET", &path, Value::Null).await;
        assert_eq!((reply.status, &reply.body["error"]["field"]), (400, &json!(field)), "{path}");
    }
}

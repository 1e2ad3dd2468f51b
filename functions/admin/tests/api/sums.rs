//! What a day cost by key, model and labels, in pages: every charge once, however many sets of
//! labels there are.

use std::collections::BTreeMap;

use farebox_aws::LogWriter;
use farebox_core::{CallRecord, Decision, Labels, Money, Outcome};
use farebox_ledger::update::LABEL_SETS_MAX;
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

//! `cargo prove counts`: the calls to AWS of one chat and the write units that they take, by the
//! number of its scopes and of the holds that are open in them (money.md 4).
//!
//! The real chat function and the real logger on the simulated services of `cargo prove drop`;
//! units are computed from the items by DynamoDB's size rule, an item of a transaction twice. The
//! two entries that a row has in indexes are not among them: one unit each.

use std::collections::BTreeMap;
use std::process::ExitCode;

use farebox_core::Rid;
use farebox_ledger::{Attr, Budget, Hold};
use farebox_logger::{Batch, Logger, Message};
use serde_json::{Map, Value, json};

use crate::drop::ROOMY;
use crate::drop::stage::Stage;
use crate::network::now;

/// Open holds of other calls: none; the twelfth and the thirteenth is ours; more.
const OPEN: [usize; 8] = [0, 11, 12, 13, 14, 30, 63, 199];

/// What one call did.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    /// Calls to AWS by operation.
    calls: BTreeMap<String, usize>,
    /// The write units that these take.
    units: usize,
}

/// The first call of an environment and its second: what chat did, then what the logger did.
struct Call {
    chat: [Counted; 2],
    logger: [Counted; 2],
    /// The bytes of the largest budget.
    bytes: usize,
    /// The bytes of a row of the log.
    row: usize,
}

pub fn run(_words: &[String]) -> ExitCode {
    println!("| scopes | open holds | cold calls | warm calls | units | item bytes |");
    println!("|---|---|---|---|---|---|");
    for scopes in [2, 3, 4, 8] {
        for open in OPEN {
            let Call { chat: [cold, warm], bytes, .. } = count(scopes, open, 0);
            println!(
                "| {scopes} | {open} | {} | {} | {} | {bytes} |",
                cold.sum(),
                warm.sum(),
                warm.units
            );
        }
    }
    println!("\n| scopes | labels | calls of the logger for a message | units | row's bytes |");
    println!("|---|---|---|---|---|");
    for (scopes, labels) in [(2, 0), (2, 8), (4, 0), (4, 8)] {
        let Call { logger: [_, warm], row, .. } = count(scopes, 0, labels);
        let (sum, calls) = (warm.sum(), &warm.calls);
        println!("| {scopes} | {labels} | {sum} {calls:?} | {} | {row} |", warm.units);
    }
    ExitCode::SUCCESS
}

fn count(scopes: usize, open: usize, labels: usize) -> Call {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stage = Stage::of_scopes(&ROOMY, scopes, 1).await;
        for scope in &stage.scopes {
            fill(&stage, scope, open);
        }
        label(&stage, labels);
        let (gate, logger) = (stage.gate(), Logger::new(&stage.world.aws));
        let (mut chat, mut logged) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            stage.world.network.shared().services.done.clear();
            let (_, _, told) = stage.call(gate.clone(), None, false).await;
            assert_eq!(told, Some(200));
            let messages = {
                let services = &mut stage.world.network.shared().services;
                chat.push(Counted::of(&services.done, |operation| operation == "UpdateItem"));
                services.done.clear();
                std::mem::take(&mut services.queue)
            };
            let records = messages
                .into_iter()
                .map(|message| Message { message_id: "m".to_owned(), body: message.body });
            let failures = farebox_logger::handle(&logger, Batch { records: records.collect() });
            assert_eq!(failures.await, farebox_logger::Failures::default());
            logged.push(Counted::of(&stage.world.network.shared().services.done, |_| true));
        }
        let shared = stage.world.network.shared();
        let items = stage.scopes.iter().map(|scope| Stage::owner(scope).budget());
        let items = items.map(|key| shared.services.store.get(&key).expect("a budget"));
        let bytes = items.map(|item| crate::network::services::size(&item)).max();
        let rows = shared.services.store.items.values().filter(|item| item.contains_key("rk"));
        let row = rows.map(crate::network::services::size).max();
        let both = |counted: Vec<Counted>| <[Counted; 2]>::try_from(counted).expect("two calls");
        Call {
            chat: both(chat),
            logger: both(logged),
            bytes: bytes.unwrap_or_default(),
            row: row.unwrap_or_default(),
        }
    })
}

/// Labels of the key, which its calls count to.
fn label(stage: &Stage, labels: usize) {
    let labels = (0..labels).map(|at| (format!("name{at}"), json!({"S": "value"})));
    let labels = json!({"M": labels.collect::<Map<String, Value>>()});
    for (place, shown) in &mut stage.world.network.shared().services.shown {
        if place.pk.starts_with("K#") {
            shown.insert("labels".to_owned(), labels.clone());
        }
    }
}

/// A budget as it is in use: a month and a day that are over, their watermarks, and holds.
fn fill(stage: &Stage, scope: &str, open: usize) {
    let mut shared = stage.world.network.shared();
    let key = Stage::owner(scope).budget();
    let item = shared.services.store.items.get_mut(&key).expect("a budget");
    let amount = 1_230_000_000_000_i128;
    let number = |number: i128| Attr::N(number);
    let held = amount * i128::try_from(open).expect("few");
    for (name, value) in [
        ("mc_202610", 41_230_000_000_000),
        ("ms_202610", 41_230_000_000_000),
        ("dc_20261123", 3_230_000_000_000),
        ("ds_20261123", 3_230_000_000_000),
        ("mc_202611", held),
        ("dc_20261124", held),
        ("tc", 902_000_000_000_000 + held),
        ("ts", 902_000_000_000_000),
        ("lm", 100_000_000_000_000_000),
        ("ld", 1_000_000_000_000_000),
        ("lt", 100_000_000_000_000_000),
        ("am", 202_609),
        ("ad", 20_261_122),
        ("n", i128::try_from(open).expect("few")),
    ] {
        item.insert(name.to_owned(), number(value));
    }
    item.insert("tz".to_owned(), Attr::S("Europe/Berlin".to_owned()));
    item.insert("th".to_owned(), Attr::S("50,80,95".to_owned()));
    for at in 0..open {
        let rid = Rid::new(now(), u128::try_from(at).expect("few") + 1);
        let day = farebox_core::Zone::utc().day(now());
        let amount = farebox_core::Money::from_pico(amount).expect("small");
        let hold = Hold { amount, day, deadline_s: 900 };
        item.insert(format!("h_{rid}"), Attr::S(hold.to_string()));
    }
    Budget::parse(item).expect("a budget");
}

impl Counted {
    fn of(done: &[(String, usize)], is_counted: impl Fn(&str) -> bool) -> Self {
        let mut calls = BTreeMap::new();
        for (operation, _) in done {
            *calls.entry(operation.clone()).or_default() += 1;
        }
        let units = done.iter().filter(|(operation, _)| is_counted(operation));
        Self { calls, units: units.map(|(_, units)| units).sum() }
    }

    fn sum(&self) -> usize {
        self.calls.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_makes_two_writes_a_scope_and_their_units_follow_the_open_holds() {
        for (scopes, open, units) in [
            (2, 0, 4),
            (3, 0, 6),
            (4, 0, 8),
            (5, 0, 10),
            (6, 0, 12),
            (7, 0, 14),
            (8, 0, 16),
            (2, 12, 4),
            (8, 12, 16),
            (2, 14, 8),
            (2, 30, 8),
            (2, 63, 16),
            (8, 63, 64),
            (2, 199, 44),
        ] {
            let Call { chat: [cold, warm], bytes, .. } = count(scopes, open, 0);
            let told = format!("{scopes} scopes, {open} open holds, {bytes} bytes");
            let warm_calls = [("SendMessage", 1), ("UpdateItem", 2 * scopes)];
            // The key, the pepper, the credential, the prices, and each budget once.
            let cold_calls = [("GetItem", 1 + scopes), ("GetSecretValue", 2), ("Query", 1)];
            let by_name = |calls: &[(&str, usize)]| -> BTreeMap<String, usize> {
                calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
            };

            assert_eq!(warm.calls, by_name(&warm_calls), "{told}");
            assert_eq!(cold.calls, by_name(&[&cold_calls[..], &warm_calls].concat()), "{told}");
            assert_eq!(warm.units, units, "{told}");
        }
    }

    /// A row and its sums are one transaction, each of its items twice its units: the day's and the
    /// month's sums of all, of each owner and of each label, and one of the set of labels.
    #[test]
    fn the_logger_writes_one_transaction_a_message_whose_units_follow_owners_and_labels() {
        for (scopes, labels, owners) in [(2, 0, 2), (2, 8, 2), (4, 0, 4), (4, 8, 4)] {
            let Call { logger: [_, warm], row, .. } = count(scopes, 0, labels);
            let told = format!("{scopes} scopes, {labels} labels, a row of {row} bytes: {warm:?}");
            let sums = 2 * (1 + owners + labels) + 1;
            let calls = [("BatchGetItem", 2), ("TransactWriteItems", 1)];
            let calls = calls.map(|(name, count)| (name.to_owned(), count));

            println!("{told}");
            assert_eq!(warm.calls, BTreeMap::from(calls), "{told}");
            assert_eq!(warm.units, 2 * row.div_ceil(1_024) + 2 * sums, "{told}");
            assert!((1..=3).contains(&row.div_ceil(1_024)), "{told}");
        }
    }
}

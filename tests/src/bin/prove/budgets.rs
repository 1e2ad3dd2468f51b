//! `cargo prove budgets`: what one pass of the scheduler costs beside budgets that merely exist.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use aws_sdk_dynamodb::types::{PutRequest, ReturnConsumedCapacity, WriteRequest};
use farebox_aws::expression::{Store, attributes, item};
use farebox_aws::{Aws, Config};
use farebox_core::{Money, Timestamp, Zone};
use farebox_ledger::{Attr, Budget, Limits, Mode, Owner, Pass, Settings as Terms, Write};
use farebox_tests::{Moved, Settings, Stack};

use crate::contrast::local;

/// Budgets in a row of the table, where none are asked for.
const SIZES: [u64; 3] = [1_000, 10_000, 100_000];
/// A minute in which every job is due, in the day of the budgets' counters.
const TICK: &str = "2026-11-23T12:05:00Z";
/// Runs that one pass may take: those of its five minutes, and those that a busy machine cuts
/// short.
const RUNS_MAX: i64 = 50;
/// Pages that may have no answer in time.
const PAGES_LATE_MAX: u32 = 50;
/// The read of how far a pass has come.
const POSITION: &str = "GetItem farebox-main";
/// Items that one `BatchWriteItem` takes.
const BATCH: usize = 25;

pub fn run(words: &[String]) -> ExitCode {
    let asked: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    farebox_tests::run(table(if asked.is_empty() { &SIZES } else { &asked }))
}

async fn table(sizes: &[u64]) -> ExitCode {
    // The stack's own runs are at the time of its clock: a real one would close these days.
    let clock = Moved::start_with(&local(), Settings::default(), TICK).await;
    let stack = &clock.stack;
    let environment = stack.chat_environment();
    let known = |wanted: &str| {
        environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    };
    let aws = Aws::new(Config::from_lookup(known).expect("the stack's environment"));
    println!(
        "| budgets | bytes of an item | runs | cut short | seconds | scans | read units \
         | others a run |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut others = Vec::new();
    let mut made = 0;
    for size in sizes {
        let bytes = make(&aws, made..*size).await;
        made = *size;
        // The first run of an environment is its start.
        clock.to(TICK);
        pass(stack, &aws).await;
        // Its next fifth minute is as far off as it can be.
        clock.to(TICK);
        stack.reset_aws_calls().await;
        let began = Instant::now();
        let cut = pass(stack, &aws).await;
        let seconds = began.elapsed().as_secs_f32();
        let (scans, mut other) = calls(stack).await;
        // The stack's own runs are among them; each reads once how far the last one came. What a
        // run does at most, whatever there is.
        let runs = other[POSITION];
        other.values_mut().for_each(|calls| *calls = calls.div_ceil(runs));
        let units = read_units(&aws).await;
        println!(
            "| {size} | {bytes} | {runs} | {cut} | {seconds:.2} | {scans} | {units:.0} \
             | {other:?} |"
        );
        others.push(other);
    }
    if others.windows(2).all(|pair| pair[0] == pair[1]) {
        println!("budgets: nothing but the scan grows with what merely exists");
        return ExitCode::SUCCESS;
    }
    println!("VIOLATION: other calls grow with the number of budgets");
    ExitCode::FAILURE
}

/// Runs the scheduler, a minute apart, until it has looked at every budget; how many runs a scan
/// without an answer in time cut short: the next one goes on.
async fn pass(stack: &Stack, aws: &Aws) -> u64 {
    let begins = Timestamp::parse(TICK).expect("a time");
    let mut cut = 0;
    for run in 0..RUNS_MAX {
        let answer = stack.try_schedule(&begins.plus_ms(run * 60_000).to_string()).await;
        let is_of_the_scan = answer.text().contains("failed: budgets\\");
        assert!(answer.code() == 200 || is_of_the_scan, "{}", answer.text());
        cut += u64::from(is_of_the_scan);
        let key = Pass::key(&aws.config().tenant);
        let found = Store::patient(aws).fetch(&key).await.expect("read").expect("a pass");
        if Pass::parse(&item(found)).expect("a pass").open.is_empty() {
            return cut;
        }
    }
    panic!("no end after {RUNS_MAX} runs");
}

/// Puts budgets as months of use leave them; the bytes of one, by DynamoDB's rule.
async fn make(aws: &Aws, which: std::ops::Range<u64>) -> usize {
    let now = Timestamp::parse("2026-11-01T00:00:00Z").expect("a time");
    let amount = |usd: &str| Some(Money::parse_usd(usd).expect("an amount"));
    let limits = Limits { month: amount("100"), day: amount("10"), total: None };
    let terms = Terms { mode: Mode::Hard, zone: Zone::utc(), limits, thresholds: vec![80] };
    let mut bytes = 0;
    let mut batch = Vec::with_capacity(BATCH);
    let last = which.end;
    for number in which {
        let owner = Owner::new("main", format!("user:u{number:07}").parse().expect("a scope"));
        let Write::Put(mut item) = Budget::create(&owner, &terms, now).write else { panic!("put") };
        // None at a level: an alert is work that a call has caused, not what merely exists.
        for (names, spent) in [
            (["mc_202611", "ms_202611"], 41_230_000_000_000),
            (["dc_20261123", "ds_20261123"], 4_123_000_000_000),
            (["tc", "ts"], 902_000_000_000_000),
        ] {
            for name in names {
                item.insert(name.to_owned(), Attr::N(spent));
            }
        }
        bytes = item.iter().map(|(name, value)| name.len() + size(value)).sum();
        let put = PutRequest::builder().set_item(Some(attributes(&item))).build();
        batch.push(WriteRequest::builder().put_request(put.expect("an item")).build());
        if batch.len() == BATCH || number + 1 == last {
            let table = &aws.config().ledger_table;
            let write = aws.dynamodb().batch_write_item();
            let write = write.request_items(table, std::mem::take(&mut batch));
            let left = write.send().await.expect("written").unprocessed_items;
            assert!(left.is_none_or(|left| left.is_empty()), "the store is too busy");
        }
    }
    bytes
}

fn size(value: &Attr) -> usize {
    match value {
        Attr::S(text) => text.len(),
        Attr::N(number) => number.to_string().len().div_ceil(2) + 1,
    }
}

/// Scans of budgets by the scheduler since the last reset, and its other calls by name.
async fn calls(stack: &Stack) -> (u64, BTreeMap<String, u64>) {
    let calls = stack.aws_calls().await;
    let mut scans = 0;
    let mut others = BTreeMap::new();
    for (name, count) in calls["by"].as_object().expect("counts") {
        let count = count.as_u64().expect("a count");
        match name.strip_prefix("scheduler ") {
            Some("Scan farebox-ledger") => scans += count,
            Some(other) => drop(others.insert(other.to_owned(), count)),
            None => {}
        }
    }
    (scans, others)
}

/// What a scan of all budgets takes, as the store counts it.
async fn read_units(aws: &Aws) -> f64 {
    let (mut units, mut start, mut late) = (0.0, None, 0);
    loop {
        let scan = aws.dynamodb().scan().table_name(&aws.config().ledger_table);
        let scan = scan.limit(farebox_scheduler::Pace::default().page.into());
        let scan = scan.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let page = match scan.set_exclusive_start_key(start.clone()).send().await {
            Ok(page) => page,
            // A busy machine may leave a page out so often.
            Err(error) => {
                late += 1;
                assert!(late < PAGES_LATE_MAX, "{error:?}");
                continue;
            }
        };
        units += page.consumed_capacity.and_then(|used| used.capacity_units).unwrap_or_default();
        start = page.last_evaluated_key;
        if start.is_none() {
            return units;
        }
    }
}

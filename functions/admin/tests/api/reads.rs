//! What each request asks DynamoDB for: measured, told in docs/http-api.md, and the same however
//! many calls were logged.

use std::collections::BTreeMap;

use farebox_admin::ROUTES;
use farebox_admin::auth::Right;
use farebox_aws::LogWriter;
use farebox_core::{CallRecord, Outcome, ScopePart};
use serde_json::Value;

use crate::own::record;
use crate::stage::{Ask, Stage, Thing};
use crate::world::Asked;

/// Calls in the log beside what is asked, twice.
const CALLS: [usize; 2] = [10, 1_500];
/// Records of one batch of the logger.
const BATCH: usize = 10;
/// Units of capacity come in whole kilobytes: a longer name can be one more.
const HALF_UNITS: u64 = 4;

/// What looks at calls takes as many rows of the log as it is asked for: a page at most.
const LOOKS_AT_CALLS: [&str; 4] = [
    "GET /admin/v1/requests",
    "GET /admin/v1/me/requests",
    "POST /admin/v1/rerate",
    "POST /admin/v1/reconcile",
];

/// Filters, each of which is a request of its own.
const FILTERS: [&str; 21] = [
    "users?org=o1",
    "keys?user=u1",
    "keys?state=active",
    "budgets?kind=user",
    "budgets?kind=user&order=nearest",
    "usage?kind=user",
    "usage?by=model",
    "usage?by=user,day",
    "usage?by=day&scope=user:u1",
    "prices?provider=openai",
    "alerts?scope=user:u1",
    "corrections?scope=user:u1",
    "admin-keys?role=auditor",
    "iam?role=auditor",
    "budget-requests?user=u1",
    "budget-requests?state=open",
    "audit?actor=admin-key:root",
    "requests?user=u1",
    "requests?key=k1",
    "requests?outcome=settled",
    "requests?org=o1",
];

/// A deployment with so many calls of the first member in its log.
async fn stage(calls: usize) -> Stage {
    let stage = Stage::new().await;
    let aws = stage.cast.world.gate.aws();
    let part = ScopePart {
        scope: "user:u1".parse().unwrap(),
        hold: None,
        ambiguous: false,
        unheld: false,
        ended: true,
        day: 20_261_123,
    };
    let one = |_| CallRecord {
        outcome: Outcome::Settled,
        parts: vec![part.clone()],
        ..record(aws.new_rid(), "u1", "k1")
    };
    let records: Vec<_> = (0..calls).map(one).collect();
    let writer = LogWriter::new(aws);
    for batch in records.chunks(BATCH) {
        for put in writer.put(&batch.iter().collect::<Vec<_>>()).await {
            put.unwrap();
        }
    }
    stage
}

async fn cost(stage: &Stage, right: Right, method: &str, ask: &Ask) -> Asked {
    let role = if right == Right::Own { 'm' } else { 'o' };
    let who = &stage.cast.keys[&role];
    // Who asks is known: a member's key is read again after 30 s.
    let session = Ask { path: "/admin/v1/session".to_owned(), body: Value::Null, ..ask.clone() };
    stage.send("key", who, "GET", &session).await;
    stage.cast.world.asked();
    let reply = stage.send("key", who, method, ask).await;
    assert!(reply.status < 300, "{method} {}: {}", ask.path, reply.body);
    stage.cast.world.asked()
}

/// What each route and filter asks for, by the order of the routes.
async fn measured(calls: usize) -> Vec<(String, Asked)> {
    let (mut stage, mut told) = (stage(calls).await, Vec::new());
    for route in ROUTES {
        let ask = stage.ask(route.method, route.path, Thing::There).await;
        let asked = cost(&stage, route.right, route.method, &ask).await;
        told.push((format!("{} {}", route.method, route.path), asked));
    }
    for filter in FILTERS {
        let path = format!("/admin/v1/{filter}");
        let ask = Ask { path: path.clone(), body: Value::Null, name: "x".to_owned() };
        told.push((format!("GET {path}"), cost(&stage, Right::Read, "GET", &ask).await));
    }
    told
}

fn units(halves: u64) -> String {
    let half = if halves % 2 == 1 { ".5" } else { "" };
    if halves == 0 { "–".to_owned() } else { format!("{}{half}", halves / 2) }
}

fn line(name: &str, of: &[&Asked]) -> String {
    let of = |cell: fn(&Asked) -> String| of.iter().map(|asked| cell(asked)).collect::<Vec<_>>();
    let name = name.replace("/admin/v1", "").replace('+', "");
    let (read, written) = (of(|asked| units(asked.read)), of(|asked| units(asked.written)));
    let told = |mut cells: Vec<String>| {
        cells.dedup();
        cells.join(" → ")
    };
    let cells = [of(Asked::operations), read, written].map(told);
    format!("| `{name}` | {} |", cells.join(" | "))
}

fn looks_at_calls(name: &str) -> bool {
    LOOKS_AT_CALLS.contains(&name.split('?').next().unwrap())
}

#[tokio::test]
async fn a_request_costs_what_is_told_however_many_calls_there_were() {
    let (few, many) = tokio::join!(measured(CALLS[0]), measured(CALLS[1]));
    let mut table = vec![
        "| request | operations | read units | write units |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    let mut wrong = Vec::new();
    for ((name, few), (_, many)) in few.iter().zip(&many) {
        let is_near = |one: u64, other: u64| one.abs_diff(other) <= HALF_UNITS;
        let is_same = few.operations() == many.operations()
            && is_near(few.read, many.read)
            && is_near(few.written, many.written);
        // A month's rows, a query for each of its days so far: what it costs is another figure
        // each day, and no bound.
        if name == "GET /admin/v1/charges" {
            continue;
        }
        let both = [few, many];
        let is_looking = looks_at_calls(name);
        table.push(line(name, if is_looking { &both } else { &both[1..] }));
        if !is_same && !is_looking {
            wrong.push(line(name, &both));
        }
    }
    assert!(wrong.is_empty(), "grows with the calls:\n{}", wrong.join("\n"));
    kept(&table);
}

/// The table of the docs is this one: its operations exactly, its units but for a kilobyte.
fn kept(table: &[String]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http-api.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- reads -->\n", "\n<!-- end of reads -->");
    let (head, rest) = text.split_once(begin).unwrap();
    let (told, tail) = rest.split_once(end).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let is_written = std::env::var_os("FAREBOX_WRITE").is_some();
    if is_written {
        std::fs::write(&path, format!("{head}{begin}{}{end}{tail}", table.join("\n"))).unwrap();
        return;
    }
    let cells = |line: &str| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let halves = |cell: &String| {
            let numbers = cell.split(" → ").map(|one| one.parse::<f64>().unwrap_or(0.0));
            numbers.collect::<Vec<_>>()
        };
        let units: Vec<_> = cells.iter().skip(3).flat_map(halves).collect();
        ((cells[1].clone(), cells[2].clone()), units)
    };
    let told: BTreeMap<_, _> = told.lines().skip(2).map(cells).collect();
    let found: BTreeMap<_, _> = table.iter().skip(2).map(|line| cells(line)).collect();
    let is_told = |(name, units): (&(String, String), &Vec<f64>)| {
        let known = told.get(name).filter(|known| known.len() == units.len());
        known.is_some_and(|known| known.iter().zip(units).all(|(a, b)| (a - b).abs() <= 2.0))
    };
    let untold: Vec<_> = found.iter().filter(|one| !is_told(*one)).collect();
    let hint = "write it again with FAREBOX_WRITE=1 cargo test -p farebox-admin reads";
    assert!(untold.is_empty() && told.len() == found.len(), "{hint}: {untold:#?}");
}

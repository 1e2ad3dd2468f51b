//! The contrast table: one budget, calls that really cost one cent each (less a millionth of it),
//! and the demo provider's bill as the judge; beside it two gateways that keep a counter in the
//! same store without its conditions.
//!
//! The judge is the provider of a stack that nobody stops, so that its bill outlives a row's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use farebox_core::Money;
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::caller::{DEMO_SECRET, openai};
use crate::moved::next_year;
use crate::{Call, Caller, Moved, Settings, Stack, fresh, usd};

/// What each call of a row really costs, to within a millionth of it.
const CENT_USD: &str = "0.01";
/// The tokens of one such answer: with this cap a call holds what it will cost.
const TOKENS: u64 = 64;
/// The events after which an impatient client hangs up.
const EVENTS_BEFORE_HANG_UP: usize = 60;
/// Calls before everything is killed.
const CALLS_BEFORE_KILL: usize = 90;
/// False refusals in mode balanced, of a thousand calls that the budget affords: 5 %.
const FALSE_IN_THOUSAND_MAX: usize = 50;
/// How long open holds may take to be settled after the last answer.
const QUIET_TIMEOUT: Duration = Duration::from_secs(15);
/// The end of a call that had no answer.
pub const LOST: &str = "lost";
const POLL: Duration = Duration::from_millis(10);

/// Who stands between the caller and the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// Farebox, with the budget in this mode.
    Farebox(&'static str),
    /// Reads the counter, decides, and writes the sum back before the call.
    ReadThenWrite,
    /// Looks whether money is left, and adds the cost after the call.
    PostHoc,
}

/// What the callers of a row do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// They wait for the whole answer.
    Waits,
    /// They stream and hang up shortly before the end.
    HangsUp,
    /// They see every process killed in the middle, and start again on the same state.
    SeesAKill,
}

/// One row before it is run.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What it is about.
    pub name: &'static str,
    /// Who decides.
    pub gateway: Gateway,
    /// The demo provider's model.
    pub model: &'static str,
    /// The month's limit.
    pub limit_usd: &'static str,
    /// How many calls; after a kill, how many more.
    pub calls: usize,
    /// How many at a time.
    pub at_once: usize,
    /// Execution environments of each function.
    pub environments: u16,
    /// Whether the calls say `max_tokens`.
    pub capped: bool,
    /// What the callers do.
    pub client: Client,
}

/// A row after it was run.
#[derive(Clone, Debug)]
pub struct Line {
    /// The row.
    pub row: Row,
    /// Calls that were answered, wholly or until the caller hung up.
    pub served: usize,
    /// The others by their error code; `lost` had no answer.
    pub refused: BTreeMap<String, usize>,
    /// The provider's bill.
    pub real: Money,
    /// What the gateway's books say was spent.
    pub recorded: Money,
    /// What they still hold.
    pub held: Money,
}

const BASE: Row = Row {
    name: "",
    gateway: Gateway::Farebox("hard"),
    model: "demo/cent",
    limit_usd: "1",
    calls: 1_000,
    at_once: 64,
    environments: 32,
    capped: true,
    client: Client::Waits,
};

/// Every row of the table, in its order.
pub const ROWS: &[Row] = &[
    Row { name: "instant, 64 at once", ..BASE },
    Row { name: "instant, 200 at once", at_once: 200, ..BASE },
    Row { name: "1 s, 64 at once", model: "demo/cent-slow", ..BASE },
    Row { name: "1 s, 200 at once", model: "demo/cent-slow", at_once: 200, ..BASE },
    Row { name: "2 environments", environments: 2, ..BASE },
    Row { name: "8 environments", environments: 8, ..BASE },
    Row { name: "32 environments", ..BASE },
    Row {
        name: "SIGKILL after 90 calls, restart, 200 more",
        model: "demo/cent-slow",
        calls: 200,
        client: Client::SeesAKill,
        ..BASE
    },
    Row { name: "budget $0.035, 60 calls", limit_usd: "0.035", calls: 60, ..BASE },
    Row {
        name: "clients hang up after 60 of 64 events",
        model: "demo/cent-drip",
        calls: 200,
        client: Client::HangsUp,
        ..BASE
    },
    UNCAPPED,
    Row { gateway: Gateway::Farebox("balanced"), ..UNCAPPED },
    Row { gateway: Gateway::ReadThenWrite, ..SLOW },
    Row { gateway: Gateway::PostHoc, ..SLOW },
];

const UNCAPPED: Row = Row {
    name: "no max_tokens, 1 s, 200 at once",
    model: "demo/cent-slow",
    at_once: 200,
    capped: false,
    ..BASE
};

const SLOW: Row = Row { name: "1 s, 64 at once", model: "demo/cent-slow", ..BASE };

/// A few rows that take seconds, for every change.
pub const SHORT: &[Row] = &[
    Row { limit_usd: "0.1", calls: 60, ..SLOW },
    Row { limit_usd: "0.035", calls: 60, ..BASE },
    Row { model: "demo/cent-drip", limit_usd: "0.1", calls: 20, client: Client::HangsUp, ..BASE },
    Row {
        name: "no max_tokens",
        gateway: Gateway::Farebox("balanced"),
        limit_usd: "2",
        calls: 230,
        at_once: 8,
        capped: false,
        ..BASE
    },
];

/// The short rows of the two controls.
pub const SHORT_CONTROLS: &[Row] = &[
    Row { gateway: Gateway::ReadThenWrite, limit_usd: "0.1", calls: 60, ..SLOW },
    Row { gateway: Gateway::PostHoc, limit_usd: "0.1", calls: 60, ..SLOW },
];

impl Line {
    /// What was really spent beyond the limit.
    ///
    /// # Panics
    /// Never: amounts of a row are small.
    #[must_use]
    pub fn overspend(&self) -> Money {
        let over = self.real.minus(usd(self.row.limit_usd)).expect("a difference");
        over.max(Money::ZERO)
    }

    /// Calls sent away, for whatever reason, that the money left at the end would have paid for.
    /// Who got no answer was not refused.
    ///
    /// # Panics
    /// Never: amounts of a row are small.
    #[must_use]
    pub fn false_refusals(&self) -> usize {
        let left = usd(self.row.limit_usd).minus(self.real).expect("a difference").max(Money::ZERO);
        let payable = left.pico() / usd(CENT_USD).pico();
        let sent_away = self.refused.iter().filter(|(code, _)| *code != LOST);
        let sent_away: usize = sent_away.map(|(_, calls)| *calls).sum();
        sent_away.min(usize::try_from(payable).expect("few"))
    }

    /// False refusals, of a thousand calls that the budget affords.
    ///
    /// # Panics
    /// Never: amounts of a row are small.
    #[must_use]
    pub fn false_refusals_in_thousand(&self) -> usize {
        let affords = usd(self.row.limit_usd).pico() / usd(CENT_USD).pico();
        let affords = usize::try_from(affords).expect("few").min(self.row.calls).max(1);
        self.false_refusals() * 1_000 / affords
    }

    /// Whether the row keeps what Farebox promises: no overspend, at rest no hold and nothing
    /// spent that is not recorded, and in mode balanced few false refusals. A control promises
    /// nothing.
    #[must_use]
    pub fn keeps_the_promise(&self) -> bool {
        let Gateway::Farebox(mode) = self.row.gateway else { return true };
        let is_whole = self.held == Money::ZERO && self.recorded >= self.real;
        let is_fair =
            mode != "balanced" || self.false_refusals_in_thousand() <= FALSE_IN_THOUSAND_MAX;
        self.overspend() == Money::ZERO && is_whole && is_fair
    }

    /// The line of the table.
    #[must_use]
    pub fn markdown(&self) -> String {
        let gateway = match self.row.gateway {
            Gateway::Farebox(mode) => format!("Farebox, {mode}"),
            Gateway::ReadThenWrite => "control: read, then write".to_owned(),
            Gateway::PostHoc => "control: counts afterwards".to_owned(),
        };
        let refused: Vec<_> =
            self.refused.iter().map(|(code, calls)| format!("{calls} {code}")).collect();
        format!(
            "| {gateway} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.row.name,
            self.served,
            self.real,
            self.recorded,
            self.held,
            self.overspend(),
            if refused.is_empty() { "0".to_owned() } else { refused.join(", ") },
            self.false_refusals(),
        )
    }
}

/// The head of the table.
pub const HEAD: &str = "\
| gateway | row | served | real spend | recorded spend | still held | overspend | refused | \
false refusals |
|---|---|---|---|---|---|---|---|---|";

/// Runs a row on a stack of its own.
pub async fn run(executable: &Path, judge: &Stack, row: &Row) -> Line {
    if !matches!(row.gateway, Gateway::Farebox(_)) {
        return control(judge, row).await;
    }
    let dir = std::env::temp_dir().join(fresh("farebox-contrast-"));
    let state = (row.client == Client::SeesAKill).then(|| dir.clone());
    let settings = Settings { environments: row.environments, state, ..Settings::default() };
    std::fs::create_dir_all(&dir).expect("a directory");
    let line = if row.client == Client::SeesAKill {
        let noon = |minute: u8| format!("{}-05-12T12:{minute:02}:00Z", next_year());
        let clock = Moved::start_with(executable, settings.clone(), &noon(0)).await;
        let (key, counts) = until_killed(&clock.stack, judge, row).await;
        drop(clock);
        let clock = Moved::start_with(executable, settings, &noon(5)).await;
        clock.stack.tap().set_provider(judge.ready().url("demo_provider_url"));
        key.resume(&clock, &noon(40), judge, row, counts).await
    } else {
        let stack = Stack::start(executable, &settings).await;
        on(&stack, judge, row).await
    };
    std::fs::remove_dir_all(dir).expect("the directory goes");
    line
}

/// Runs a row without a kill on a stack that is there.
pub async fn on(stack: &Stack, judge: &Stack, row: &Row) -> Line {
    stack.tap().set_provider(judge.ready().url("demo_provider_url"));
    let caller = solvent(stack, row).await;
    let mut counts = BTreeMap::new();
    storm(&caller, row, row.calls, &mut counts).await;
    line(&caller, judge, row, counts).await
}

/// A caller with the row's budget.
async fn solvent<'s>(stack: &'s Stack, row: &Row) -> Caller<'s> {
    let caller = Caller::new(stack).await;
    let mode = match row.gateway {
        Gateway::Farebox(mode) => mode,
        Gateway::ReadThenWrite | Gateway::PostHoc => "hard",
    };
    caller.limit_user(&json!({"month_limit_usd": row.limit_usd, "mode": mode})).await;
    caller
}

/// What is kept of a caller whose stack was killed.
struct Kept {
    user: String,
    key_id: String,
    key: String,
}

/// Makes calls until the provider has seen the ninetieth, and kills everything.
async fn until_killed(stack: &Stack, judge: &Stack, row: &Row) -> (Kept, BTreeMap<String, usize>) {
    stack.tap().set_provider(judge.ready().url("demo_provider_url"));
    let caller = solvent(stack, row).await;
    let kept =
        Kept { user: caller.user.clone(), key_id: caller.key_id.clone(), key: caller.key.clone() };
    let tap = stack.tap().clone();
    let pid = stack.pid();
    let user = caller.user.clone();
    let killer = tokio::spawn(async move {
        while tap.seen(&user).len() < CALLS_BEFORE_KILL {
            tokio::time::sleep(POLL).await;
        }
        // Its functions end with it: they ask for that at their start.
        crate::stack::signal("-KILL", pid);
    });
    let mut counts = BTreeMap::new();
    storm(&caller, row, CALLS_BEFORE_KILL, &mut counts).await;
    killer.await.expect("the kill");
    (kept, counts)
}

impl Kept {
    /// Makes the other calls; then queue and sweep finish what the kill left, when its window is
    /// over, `at` a later time.
    async fn resume(
        self,
        clock: &Moved,
        at: &str,
        judge: &Stack,
        row: &Row,
        mut counts: BTreeMap<String, usize>,
    ) -> Line {
        let stack = &clock.stack;
        let caller = Caller::known(stack, self.user, self.key_id, self.key).await;
        storm(&caller, row, row.calls, &mut counts).await;
        stack.drain().await;
        clock.to(at);
        stack.schedule(at).await;
        stack.drain().await;
        line(&caller, judge, row, counts).await
    }
}

/// Makes a row's calls and counts their ends.
async fn storm(caller: &Caller<'_>, row: &Row, calls: usize, counts: &mut BTreeMap<String, usize>) {
    let hangs_up = row.client == Client::HangsUp;
    let mut options = json!({"stream": hangs_up});
    if row.capped {
        options["max_tokens"] = json!(TOKENS);
    }
    let body = openai(row.model, &options);
    let calls = (0..calls).map(|_| {
        let call = caller.post("/v1/chat/completions", &body);
        end_of(call, hangs_up)
    });
    let mut ends = futures_util::stream::iter(calls).buffer_unordered(row.at_once);
    while let Some(end) = ends.next().await {
        *counts.entry(end).or_default() += 1;
    }
}

/// `served`, an error code, or `lost`.
pub(crate) async fn end_of(call: Call, hangs_up: bool) -> String {
    let lost = || LOST.to_owned();
    let Ok(mut open) = call.try_open().await else { return lost() };
    let status = open.status.as_u16();
    let mut body = Vec::new();
    loop {
        match open.piece().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => break,
            Err(_) => return lost(),
        }
        let events = || String::from_utf8_lossy(&body).matches("data: ").count();
        if hangs_up && status == 200 && events() >= EVENTS_BEFORE_HANG_UP {
            break;
        }
    }
    if status == 200 {
        return "served".to_owned();
    }
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    answer["error"]["code"].as_str().map_or_else(|| format!("http_{status}"), str::to_owned)
}

/// The line of a row whose calls are over, when its books are quiet or will not be.
async fn line(
    caller: &Caller<'_>,
    judge: &Stack,
    row: &Row,
    mut counts: BTreeMap<String, usize>,
) -> Line {
    let ends = tokio::time::Instant::now() + QUIET_TIMEOUT;
    let books = loop {
        let books = caller.user_books().await;
        if books.held() == Money::ZERO || tokio::time::Instant::now() > ends {
            break books;
        }
        tokio::time::sleep(POLL).await;
    };
    Line {
        row: *row,
        served: counts.remove("served").unwrap_or_default(),
        refused: counts,
        real: bill_of(judge, &caller.user).await,
        recorded: books.settled(),
        held: books.held(),
    }
}

/// What the judge's provider charges for the calls marked so.
pub(crate) async fn bill_of(judge: &Stack, mark: &str) -> Money {
    let url = format!("{}/bill", judge.ready().url("demo_provider_url"));
    let bill = Call::get(url).send().await.expect(200).json();
    let entries = bill["entries"].as_array().cloned().unwrap_or_default();
    let own = entries.iter().filter(|entry| entry["rid"] == mark);
    own.fold(Money::ZERO, |sum, entry| {
        sum.plus(usd(entry["usd"].as_str().expect("an amount"))).expect("a sum")
    })
}

/// A row of one of the two gateways without conditions.
pub async fn control(judge: &Stack, row: &Row) -> Line {
    let mark = fresh("control");
    let counter = Counter { stack: judge, mark: &mark };
    let calls = (0..row.calls).map(|_| counter.call(row));
    let served = futures_util::stream::iter(calls).buffer_unordered(row.at_once);
    let served = served.filter(|served| std::future::ready(*served)).count().await;
    let refused = row.calls - served;
    Line {
        row: *row,
        served,
        refused: BTreeMap::from([("budget_exceeded".to_owned(), refused)]),
        real: bill_of(judge, &mark).await,
        recorded: counter.read().await,
        held: Money::ZERO,
    }
}

/// A control's counter in the embedded DynamoDB.
struct Counter<'a> {
    stack: &'a Stack,
    mark: &'a str,
}

impl Counter<'_> {
    /// One call through the control: whether it was served.
    async fn call(&self, row: &Row) -> bool {
        let (limit, cent) = (usd(row.limit_usd), usd(CENT_USD));
        let spent = self.read().await;
        let after = spent.plus(cent).expect("a sum");
        if after > limit {
            return false;
        }
        if row.gateway == Gateway::ReadThenWrite {
            self.write("SET spent = :v", after).await;
        }
        let model = row.model.strip_prefix("demo/").unwrap_or(row.model);
        let provider = self.stack.ready().url("demo_provider_url");
        let body = openai(model, &json!({"max_tokens": TOKENS}));
        let call = Call::post(format!("{provider}/v1/chat/completions"), &body)
            .bearer(DEMO_SECRET)
            .with("x-client-request-id", self.mark);
        call.send().await.expect(200);
        if row.gateway == Gateway::PostHoc {
            self.write("ADD spent :v", cent).await;
        }
        true
    }

    async fn read(&self) -> Money {
        let request = json!({
            "TableName": "farebox-main",
            "Key": self.key(),
            "ConsistentRead": true,
        });
        let answer = self.stack.dynamodb("GetItem", &request).await;
        let spent = answer["Item"]["spent"]["N"].as_str();
        let pico = spent.map_or(0, |pico| pico.parse().expect("a number"));
        Money::from_pico(pico).expect("an amount")
    }

    async fn write(&self, expression: &str, amount: Money) {
        let request = json!({
            "TableName": "farebox-main",
            "Key": self.key(),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": {":v": {"N": amount.pico().to_string()}},
        });
        self.stack.dynamodb("UpdateItem", &request).await;
    }

    fn key(&self) -> Value {
        json!({"pk": {"S": format!("CONTROL#{}", self.mark)}, "sk": {"S": "0"}})
    }
}

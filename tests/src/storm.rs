//! Many callers of one key at once, five budgets, AWS that fails, midnight and a lower limit in
//! the middle; the provider's bill is the judge.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use farebox_core::Money;
use futures_util::StreamExt;
use futures_util::future::join;
use http::Method;
use serde_json::{Value, json};

use crate::caller::openai;
use crate::contrast;
use crate::moved::next_year;
use crate::relay::{Faults, Relays};
use crate::tables::Books;
use crate::{Caller, Moved, fresh};

mod control;
pub use control::control;

const MODEL: &str = "demo/cent";
/// The tokens of its answers.
const TOKENS: u64 = 64;
/// Environments of each function.
const ENVIRONMENTS: u16 = 32;
/// The month's limit at first and at the end, and the day's, in hundredths of what all the calls
/// would cost.
const AT_FIRST: usize = 30;
const LOWERED: usize = 24;
const OF_A_DAY: usize = 20;
/// How often a change by the admin is tried while AWS fails.
const TRIES_MAX: usize = 20;
const POLL: Duration = Duration::from_millis(10);

/// A storm before it is run.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// How many call; all at once.
    pub callers: usize,
    /// Which requests to AWS fail, and how many of them.
    pub faults: Faults,
}

/// What a storm left.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Calls that were answered.
    pub served: usize,
    /// The others by their error code; `lost` had no answer.
    pub refused: BTreeMap<String, usize>,
    /// The provider's bill.
    pub bill: Money,
    /// What the budgets afforded.
    pub limit: Money,
    /// What the organisation was charged.
    pub charged: Money,
    /// Requests to AWS, and those of them that failed.
    pub requests: (u64, u64),
    /// What must not be.
    pub violations: Vec<String>,
}

/// The limits of a storm, as parts of what all its calls would cost: the user's day binds before
/// midnight, the organisation's lowered month after it, and the others never.
struct Limits {
    callers: usize,
}

impl Limits {
    /// So many hundredths of what all the calls would cost.
    fn percent(&self, percent: usize) -> Money {
        let cents = i128::try_from(self.callers * percent / 100).expect("few");
        let cent = crate::usd("0.01").pico();
        Money::from_pico(cents * cent).expect("an amount")
    }
}

/// A budget of a storm: whose, of which period, and what its limit is at the end.
struct Limited {
    scope: String,
    period: &'static str,
    limit: Money,
}

/// Runs one storm on a stack of its own.
///
/// # Panics
/// Where the stack does not run.
pub async fn run(executable: &Path, storm: &Storm) -> Report {
    let year = next_year();
    let clock = Moved::start(executable, ENVIRONMENTS, &format!("{year}-05-12T23:59:00Z")).await;
    let stack = &clock.stack;
    let relays = Relays::before(stack).await;
    let caller = Caller::new(stack).await;
    let mut budgets = limited(&caller, &Limits { callers: storm.callers }).await;
    stack.drain().await;

    relays.set_faults(storm.faults);
    let ends = AtomicUsize::new(0);
    let calls = async {
        let body = openai(MODEL, &json!({"max_tokens": TOKENS}));
        let calls = (0..storm.callers).map(|_| {
            let call = caller.post("/v1/chat/completions", &body);
            async {
                let end = contrast::end_of(call, false).await;
                ends.fetch_add(1, Ordering::SeqCst);
                end
            }
        });
        let ends = futures_util::stream::iter(calls).buffer_unordered(storm.callers);
        ends.collect::<Vec<_>>().await
    };
    let changes = async {
        half(&ends, storm).await;
        lower(&caller, &budgets[0]).await;
        let books = stack.books(&budgets[0].scope).await;
        clock.to(&format!("{year}-05-13T00:00:01Z"));
        let committed = books.item.names("mc_").map(|name| books.item.money(name));
        committed.max().unwrap_or(Money::ZERO)
    };
    let (ended, committed) = join(calls, changes).await;
    // Where midnight came on a machine too busy to lower the limit before it, more than the new
    // limit was committed already, and no more than that may be.
    budgets[0].limit = budgets[0].limit.max(committed);
    relays.set_faults(Faults::default());

    // A reserve that its call has given up may still be late: the fence keeps it out for minutes,
    // which the clock must not leap over.
    relays.quiet().await;
    stack.drain().await;
    // The sweep waits for the deadline, and for messages that may still be under way.
    let late = format!("{year}-05-13T00:40:00Z");
    clock.to(&late);
    for _ in 0..2 {
        join(stack.schedule(&late), stack.schedule(&late)).await;
        stack.drain().await;
    }

    let mut report = Report { limit: budgets[0].limit, ..Report::default() };
    for end in ended {
        match end.as_str() {
            "served" => report.served += 1,
            _ => *report.refused.entry(end).or_default() += 1,
        }
    }
    report.requests = relays.counts();
    report.bill = caller.bill().await;
    report.charged = stack.books(&budgets[0].scope).await.settled();
    for budget in &budgets {
        let books = stack.books(&budget.scope).await;
        report.violations.extend(violations(budget, &books, report.bill));
    }
    if report.bill > report.limit {
        report.violations.push(format!("billed {} above {}", report.bill, report.limit));
    }
    report
}

/// Waits until half of the calls are over. Each has its own time; a busy machine needs more than
/// the usual patience for all.
async fn half(ends: &AtomicUsize, storm: &Storm) {
    while ends.load(Ordering::SeqCst) < storm.callers / 2 {
        tokio::time::sleep(POLL).await;
    }
}

/// Gives the caller an organisation and a team, and all of them their budgets; the organisation's
/// comes first and begins higher than it ends.
async fn limited(caller: &Caller<'_>, limits: &Limits) -> [Limited; 5] {
    let stack = caller.stack();
    let (org, team) = (fresh("o"), fresh("t"));
    stack.put(&format!("/orgs/{org}"), &json!({})).await;
    stack.put(&format!("/teams/{team}"), &json!({})).await;
    stack.put(&format!("/users/{}", caller.user), &json!({"org": org, "team": team})).await;
    let budget = |scope, period, percent| {
        let limit = limits.percent(percent);
        Limited { scope, period, limit }
    };
    let budgets = [
        budget(format!("org:{org}"), "month", LOWERED),
        budget(format!("team:{team}"), "total", 50),
        budget(caller.user_scope(), "day", OF_A_DAY),
        budget(caller.key_scope(), "month", 25),
        budget(format!("model:{}/{MODEL}", caller.user_scope()), "day", 22),
    ];
    for Limited { scope, period, limit } in &budgets {
        stack.set_budget(scope, &limit_of(period, *limit)).await;
    }
    stack.set_budget(&budgets[0].scope, &limit_of("month", limits.percent(AT_FIRST))).await;
    budgets
}

/// I1 to I5 of one budget at rest.
fn violations(budget: &Limited, books: &Books, bill: Money) -> Vec<String> {
    let mut found = Vec::new();
    let mut wrong = |what: String| found.push(format!("{}: {what}", budget.scope));
    if books.held() != Money::ZERO || books.item.names("h_").count() > 0 {
        let holds: Vec<_> = books.item.names("h_").chain(books.item.names("x_")).collect();
        wrong(format!("{} held; holds and fences left: {holds:?}", books.held()));
    }
    if books.settled() < bill {
        wrong(format!("charged {}, billed {bill}", books.settled()));
    }
    let counters = match budget.period {
        "month" => "ms_",
        "day" => "ds_",
        _ => "ts",
    };
    for name in books.item.names(counters) {
        let charged = books.item.money(name);
        if charged > budget.limit {
            wrong(format!("{name} {charged} above its limit {}", budget.limit));
        }
    }
    found
}

fn limit_of(period: &str, limit: Money) -> Value {
    json!({format!("{period}_limit_usd"): limit.to_string()})
}

/// Lowers a month's limit to what it ends with, as often as it takes while AWS fails.
async fn lower(caller: &Caller<'_>, budget: &Limited) {
    for _ in 0..TRIES_MAX {
        let put = caller.stack().admin(Method::PUT, &format!("/budgets/{}", budget.scope));
        let put = put.json(&limit_of("month", budget.limit)).with("if-match", "*");
        if put.send().await.status.is_success() {
            return;
        }
    }
    panic!("the limit of {} could not be lowered", budget.scope);
}

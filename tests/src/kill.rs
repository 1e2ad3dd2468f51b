//! Killing chat's process at each boundary between it and the network, and what the books must
//! then say.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use farebox_core::Money;
use serde_json::{Value, json};

use crate::caller::openai;
use crate::moved::next_year;
use crate::relay::Relays;
use crate::tables::{Books, Item};
use crate::{Caller, Moved, until, usd};

/// Where in a request's life the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The request never arrives.
    BeforeSend,
    /// It is done, and its answer never arrives.
    AfterSend,
    /// Its answer has just arrived.
    AfterReply,
}

/// Every point.
pub const POINTS: [Point; 3] = [Point::BeforeSend, Point::AfterSend, Point::AfterReply];

/// Kills the chat function's processes at one point of the n-th request that is met. Cloning
/// shares.
#[derive(Clone, Debug)]
pub struct Killer {
    stack: u32,
    at: u64,
    point: Point,
    shared: Arc<(AtomicU64, AtomicBool)>,
}

/// One request that a killer has met.
#[derive(Debug)]
pub struct Meeting {
    killer: Killer,
    number: u64,
}

impl Killer {
    /// A killer of the chat function of the stack with this process.
    #[must_use]
    pub fn new(stack: u32, at: u64, point: Point) -> Self {
        Self { stack, at, point, shared: Arc::default() }
    }

    /// Counts a request.
    #[must_use]
    pub fn meet(&self) -> Meeting {
        let number = self.shared.0.fetch_add(1, Ordering::SeqCst);
        Meeting { killer: self.clone(), number }
    }

    /// Whether it has killed.
    #[must_use]
    pub fn has_killed(&self) -> bool {
        self.shared.1.load(Ordering::SeqCst)
    }

    /// How many requests it has met.
    fn met(&self) -> u64 {
        self.shared.0.load(Ordering::SeqCst)
    }
}

impl Meeting {
    /// Kills where this is the request and the point. The connection must not go on then.
    #[must_use]
    pub fn ends_at(&self, point: Point) -> bool {
        let Killer { stack, at, shared, .. } = &self.killer;
        let is_here = self.number == *at && point == self.killer.point;
        if is_here {
            shared.1.store(true, Ordering::SeqCst);
            end_chat(*stack);
        }
        is_here
    }
}

/// Kills every process of a stack's chat function at once; how many there were.
pub fn end_chat(stack: u32) -> usize {
    let processes = chat_processes(stack);
    processes.iter().for_each(|pid| crate::stack::signal("-KILL", *pid));
    processes.len()
}

/// The processes of a stack's chat function. One that has ended and is not yet reaped has no
/// environment any more, so it is none of them.
fn chat_processes(stack: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let of_chat = processes.filter_map(|entry| {
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let status = String::from_utf8_lossy(&read("status")).into_owned();
        let is_child = status.lines().any(|line| {
            line.strip_prefix("PPid:").is_some_and(|pid| pid.trim() == stack.to_string())
        });
        let is_chat =
            read("environ").split(|byte| *byte == 0).any(|set| set == b"FAREBOX_FUNCTION=chat");
        entry.file_name().into_string().ok()?.parse().ok().filter(|_| is_child && is_chat)
    });
    of_chat.collect()
}

/// What a call is beside a question to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Chat,
    /// It embeds.
    Embedding,
    /// It has an `Idempotency-Key`, and is sent again after the repair.
    Keyed,
    /// It finds its budget full of another call's hold, and waits until that is gone.
    Waiting,
}

/// One kind of call that is killed at each of its boundaries.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is.
    pub name: &'static str,
    /// What it is beside a question.
    pub shape: Shape,
    /// The demo provider's model.
    pub model: &'static str,
    /// The options of the call, as JSON.
    pub options: &'static str,
    /// The user's budget, as JSON.
    pub budget: &'static str,
    /// The key's budget, as JSON; else it has no limit.
    pub of_key: Option<&'static str>,
}

/// A route whose first model is busy.
const ONWARD: &str = "onward";
/// What the hold in a waiting call's way is, and so is its limit: one dollar.
const BLOCK_PICO: i64 = 1_000_000_000_000;
/// Requests after which a waiting call has been refused and has looked at least once.
const WAITING_REQUESTS: u64 = 14;

const BUFFERED: Scenario = Scenario {
    name: "buffered",
    shape: Shape::Chat,
    model: "demo/chat",
    options: r#"{"max_tokens": 50}"#,
    budget: r#"{"month_limit_usd": "1"}"#,
    of_key: None,
};

/// The kinds.
pub const SCENARIOS: &[Scenario] = &[
    BUFFERED,
    Scenario { name: "streamed", options: r#"{"max_tokens": 50, "stream": true}"#, ..BUFFERED },
    Scenario { name: "Anthropic's format", model: "demo/claude", ..BUFFERED },
    Scenario {
        name: "refused by one of two",
        of_key: Some(r#"{"day_limit_usd": "0.0000001"}"#),
        ..BUFFERED
    },
    Scenario {
        name: "cap lowered to the room",
        options: "{}",
        budget: r#"{"month_limit_usd": "0.002"}"#,
        ..BUFFERED
    },
    Scenario { name: "refused by the provider", model: "demo/busy", ..BUFFERED },
    Scenario {
        name: "metered and extended",
        model: "demo/long",
        options: r#"{"stream": true}"#,
        budget: r#"{"month_limit_usd": "1", "mode": "balanced"}"#,
        ..BUFFERED
    },
    Scenario {
        name: "metered and cut",
        model: "demo/long",
        options: "{}",
        budget: r#"{"month_limit_usd": "0.0045", "mode": "balanced"}"#,
        ..BUFFERED
    },
    Scenario { name: "fallback after a refusal by the provider", model: ONWARD, ..BUFFERED },
    Scenario { name: "with an Idempotency-Key", shape: Shape::Keyed, ..BUFFERED },
    Scenario {
        name: "of a divided budget",
        budget: r#"{"month_limit_usd": "1", "shares": 2}"#,
        ..BUFFERED
    },
    Scenario {
        name: "an embedding",
        shape: Shape::Embedding,
        model: "demo/embed",
        options: "{}",
        ..BUFFERED
    },
    Scenario {
        name: "waiting for room",
        shape: Shape::Waiting,
        budget: r#"{"total_limit_usd": "1"}"#,
        ..BUFFERED
    },
];

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Kill points by scenario.
    pub points: BTreeMap<&'static str, usize>,
    /// Budgets whose charge is the provider's bill.
    pub exact: usize,
    /// Budgets that are charged more than the bill: the hold of a call whose end nobody knows.
    pub provisional: usize,
    /// Those of them whose row died with the process, after it had ended the hold itself.
    pub untold: usize,
    /// What must not be.
    pub violations: Vec<String>,
}

/// One killed call.
struct Victim<'s> {
    caller: Caller<'s>,
    scenario: Scenario,
    told: String,
}

/// Kills at the boundaries of the scenarios, of every `step`-th request, then lets the queue and
/// the sweep finish what they can, and compares the books with the bill.
///
/// # Panics
/// Where the stack does not run.
pub async fn campaign(executable: &Path, scenarios: &[Scenario], step: usize) -> Report {
    let year = next_year();
    let clock = Moved::start(executable, 1, &format!("{year}-05-12T12:00:00Z")).await;
    let relays = Relays::before(&clock.stack).await;
    let route = json!({"targets": [{"model": "demo/busy"}, {"model": "demo/chat"}]});
    clock.stack.put(&format!("/routes/{ONWARD}"), &route).await;
    let mut report = Report::default();
    let mut victims = Vec::new();
    for scenario in scenarios {
        let killed = kill_at_each(&clock, &relays, scenario, step).await;
        report.points.insert(scenario.name, killed.len());
        victims.extend(killed);
    }
    clock.stack.drain().await;
    // The sweep waits for the deadline, and for messages that may still be under way.
    let late = format!("{year}-05-12T12:40:00Z");
    clock.to(&late);
    for _ in 0..2 {
        tokio::join!(clock.stack.schedule(&late), clock.stack.schedule(&late));
        clock.stack.drain().await;
    }
    for victim in victims.iter().filter(|victim| victim.scenario.shape == Shape::Keyed) {
        // Whatever it is told: judged is what the provider bills.
        let again = end_of(victim.scenario.call(&victim.caller)).await;
        let entries = victim.caller.bill_entries().await.len();
        if entries > 1 {
            let told = &victim.told;
            report.violations.push(format!("{told}; repeated: {again}; billed {entries} times"));
        }
    }
    clock.stack.drain().await;
    let tombstones = clock.stack.scan("main").await;
    let tombstones: Vec<_> =
        tombstones.into_iter().filter(|item| item.text("pk").starts_with("T#")).collect();
    for victim in &victims {
        judge(victim, &tombstones, &mut report).await;
    }
    report
}

async fn kill_at_each<'s>(
    clock: &'s Moved,
    relays: &Relays,
    scenario: &Scenario,
    step: usize,
) -> Vec<Victim<'s>> {
    let mut victims = Vec::new();
    for at in (0_u64..).step_by(step) {
        for point in POINTS {
            let Some(victim) = kill_at(clock, relays, scenario, at, point).await else {
                return victims;
            };
            victims.push(victim);
        }
    }
    victims
}

/// One call that is killed there; none where it has not so many requests.
async fn kill_at<'s>(
    clock: &'s Moved,
    relays: &Relays,
    scenario: &Scenario,
    at: u64,
    point: Point,
) -> Option<Victim<'s>> {
    let stack = clock.stack.pid();
    loop {
        let caller = Caller::new(&clock.stack).await;
        let budget = |text: &str| serde_json::from_str::<Value>(text).expect("a budget");
        caller.limit_user(&budget(scenario.budget)).await;
        if let Some(of_key) = scenario.of_key {
            caller.limit_key(&budget(of_key)).await;
        }
        clock.stack.drain().await;
        let killer = Killer::new(stack, at, point);
        relays.arm(killer.clone());
        clock.stack.tap().arm(Some(killer.clone()));
        let told = match scenario.shape {
            Shape::Waiting => end_after_room(scenario.call(&caller), &caller, &killer).await,
            Shape::Chat | Shape::Embedding | Shape::Keyed => end_of(scenario.call(&caller)).await,
        };
        clock.stack.tap().arm(None);
        if killer.has_killed() {
            let told = format!("{} request {at} {point:?}: {told}", scenario.name);
            return Some(Victim { caller, scenario: *scenario, told });
        }
        // The call before this one killed its environment, and the pool may not know it yet.
        if !told.starts_with("502") {
            return None;
        }
        until("the killed processes are gone", async || {
            chat_processes(stack).is_empty().then_some(())
        })
        .await;
    }
}

impl Scenario {
    /// Its call; of a caller always the same one.
    fn call(&self, caller: &Caller<'_>) -> crate::Call {
        let options: Value = serde_json::from_str(self.options).expect("options");
        let (path, body) = match self.shape {
            Shape::Embedding => ("/v1/embeddings", json!({"model": self.model, "input": "hello"})),
            Shape::Chat | Shape::Keyed | Shape::Waiting => {
                ("/v1/chat/completions", openai(self.model, &options))
            }
        };
        let call = caller.post(path, &body);
        if self.shape == Shape::Keyed { call.with("idempotency-key", "again") } else { call }
    }
}

/// The end of a call that waits for room, which it gets once it has looked for it.
async fn end_after_room(call: crate::Call, caller: &Caller<'_>, killer: &Killer) -> String {
    caller.block(BLOCK_PICO).await;
    let has_ended = AtomicBool::new(false);
    let call = async {
        let told = end_of(call).await;
        has_ended.store(true, Ordering::SeqCst);
        told
    };
    let room = async {
        until("the call waits for room, or is over", async || {
            let is_waiting = killer.met() >= WAITING_REQUESTS;
            (is_waiting || has_ended.load(Ordering::SeqCst)).then_some(())
        })
        .await;
        caller.block(-BLOCK_PICO).await;
    };
    futures_util::future::join(call, room).await.0
}

/// The status of a call, and whether it came to its end.
async fn end_of(call: crate::Call) -> String {
    let Ok(mut open) = call.try_open().await else { return "lost".to_owned() };
    let status = open.status.as_u16();
    loop {
        match open.piece().await {
            Ok(Some(_)) => {}
            Ok(None) => return status.to_string(),
            Err(_) => return format!("{status}, cut"),
        }
    }
}

/// I2 to I5 of one killed call: nothing is held, the bill is covered, and what is charged beyond
/// it is the hold of a call whose end nobody knew: in a tombstone, or in a row.
async fn judge(victim: &Victim<'_>, tombstones: &[Item], report: &mut Report) {
    let Victim { caller, told, .. } = victim;
    let bill = caller.bill().await;
    let rows = caller.read("/v1/requests").await;
    let rows = rows["requests"].as_array().cloned().unwrap_or_default();
    let worst = rows.iter().filter(|row| row["outcome"] == "worst");
    let worst: Vec<_> = worst.filter_map(|row| row["held_usd"].as_str()).map(usd).collect();
    // An attempt that another one followed was free, and says nothing of that one; nor does the
    // refusal of a repeat.
    let is_silent = rows.iter().all(|row| !row["parent"].is_null() || row["outcome"] == "refused");
    for scope in [caller.user_scope(), caller.key_scope()] {
        let places = caller.stack().places(&scope).await;
        let settled = places.iter().map(Books::settled).fold(Money::ZERO, plus);
        let is_here = |item: &&Item| {
            let of_place = |place: &Books| format!("#{}#0", place.scope);
            places.iter().any(|place| item.text("sk").ends_with(&of_place(place)))
        };
        let of_scope = tombstones.iter().filter(is_here);
        let mut unknown = of_scope.map(|item| item.money("a")).chain(worst.iter().copied());
        let mut wrong = |what: &str| {
            let rows = json!(rows);
            let violation =
                format!("{told}; {scope}: {what}: bill {bill}, settled {settled}, {rows}");
            report.violations.push(violation);
        };
        if places.iter().any(|place| place.item.names("h_").count() > 0) {
            wrong("a hold is left");
        }
        // What is committed and not settled is what the shares may commit, and nothing without.
        let allowed = places.iter().map(|place| place.item.money("ta")).fold(Money::ZERO, plus);
        if places[0].held() != allowed || places[0].item.money("tg") != allowed {
            wrong("what is granted is not what is allowed");
        }
        if places[1..].iter().any(|share| share.held() != Money::ZERO) {
            wrong("a share still holds");
        }
        if settled < bill {
            wrong("the bill is not covered");
        }
        if settled == bill {
            report.exact += 1;
        } else if unknown.any(|hold| hold == settled) {
            report.provisional += 1;
        } else if settled > bill && is_silent {
            report.untold += 1;
        } else if settled > bill {
            wrong("more than its hold is charged");
        }
    }
}

fn plus(one: Money, other: Money) -> Money {
    one.plus(other).expect("a sum")
}

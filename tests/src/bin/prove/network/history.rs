//! One history: calls, the queue, the sweep, and the books beside the bill.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farebox_aws::{Ask, Aws, Clock, Config, Ledger, LogQueue, Replies};
use farebox_core::{CallRecord, Decision, Labels, Money, Rid, Scope, Secret, Timestamp, Zone};
use farebox_ledger::{
    Answer, Attr, Budget, Claim, Key, Limits, Mode, Owner, Period, Settings, Table,
};
use farebox_logger::{Batch, Logger, Message as Received};
use farebox_scheduler::{Scheduler, Tick};
use futures_util::future::join;
use tokio::time::sleep;

use super::carrier::Network;
use super::owner::Change;
use super::services::Message;
use super::{BEGAN, CHANCE, Random, chance, now};

const SCOPES: [&str; 3] = ["user:u1", "key:k1", "org:o1"];
/// The most that is held; limits are a few times this.
const AMOUNT_MAX: u64 = 60;
/// All calls have ended, or died, by then.
const CALLS_MS: u64 = 60_000;
/// A message that fails comes again.
const AGAIN_MS: i64 = 30_000;
/// A message that is late comes then.
const LATE_MS: i64 = 40 * 60_000;
/// After it no hold is younger than the sweep wants.
const SWEEP_MINUTES: u32 = 25;

/// What a history came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub served: u64,
    pub refused: u64,
    pub died: u64,
    /// Metered calls whose hold was extended.
    pub extended: u64,
    /// Calls that another one with their key had been before.
    pub repeated: u64,
    /// Changes that the owner was told of as done.
    pub changed: u64,
    /// Histories that end with a share that has drawn.
    pub divided: u64,
    pub requests: u64,
    pub faults: u64,
    /// A mark of everything that was done.
    pub trace: u64,
}

impl Outcome {
    pub const fn add(&mut self, other: &Self) {
        self.served += other.served;
        self.refused += other.refused;
        self.died += other.died;
        self.extended += other.extended;
        self.repeated += other.repeated;
        self.changed += other.changed;
        self.divided += other.divided;
        self.requests += other.requests;
        self.faults += other.faults;
        self.trace ^= other.trace;
    }
}

/// What a call does and what its provider does with it.
#[derive(Clone, Copy)]
struct Plan {
    arrives_ms: u64,
    amount: Money,
    bill: Money,
    /// What chat understands of it.
    decision: Decision,
    thinks_ms: u64,
    dies_ms: Option<u64>,
    environment: usize,
    /// What a metered call's stream goes on to need, and to cost, beyond that.
    more: Option<(Money, Money)>,
    /// Calls with one key are one call to the caller.
    key: Option<u64>,
}

impl Plan {
    /// The most that may be held for it.
    fn most(&self) -> Money {
        let more = self.more.map_or(Money::ZERO, |(amount, _)| amount);
        self.amount.plus(more).expect("small")
    }
}

/// What is known of a call afterwards.
#[derive(Clone, Copy, Default)]
struct Fact {
    /// What the provider bills.
    bill: Money,
    decided: Option<Decision>,
    is_over: bool,
    /// The provider may bill it.
    is_paid: bool,
    is_extended: bool,
    is_repeat: bool,
}

/// The same for one seed for ever.
pub fn history(seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(World::new(seed).run())
}

/// The simulated services, the network before them, and the clients above it.
pub struct World {
    pub random: Random,
    pub network: Arc<Network>,
    pub aws: Aws,
}

impl World {
    /// Everything that is drawn by lot follows from the seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        CHANCE.with_borrow_mut(|chance| *chance = Random(random.next()));
        let network = Network::new(Random(random.next()));
        let mut config = Config::from_lookup(|variable| {
            let value = match variable {
                "FAREBOX_LEDGER_TABLE" => "ledger",
                "FAREBOX_MAIN_TABLE" => "main",
                "FAREBOX_LOGS_TABLE" => "logs",
                "FAREBOX_SECRET_PREFIX" => "farebox",
                "FAREBOX_PEPPER_SECRET" => "farebox/pepper",
                "FAREBOX_QUEUE_URL" => "https://sqs.us-east-1.amazonaws.com/1/queue",
                "AWS_REGION" => "us-east-1",
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "simulated",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .expect("a whole configuration");
        config.clock = Clock::simulated(now);
        config.chance = Some(chance);
        Self { random, aws: Aws::carried_by(config, network.clone()), network }
    }

    async fn run(mut self) -> Outcome {
        // In half of the histories a month ends among the calls.
        let start = ["2026-11-30T23:59:50Z", "2026-11-24T12:00:00Z"][self.pick(2)];
        let start = Timestamp::parse(start).expect("a time");
        BEGAN.set(Some((tokio::time::Instant::now(), start)));
        self.create_budgets();
        let environments: Vec<_> = (0..2).map(|_| Arc::new(Ledger::new(&self.aws))).collect();
        let logger = Logger::new(&self.aws);
        let mut calls = Vec::new();
        for _ in 0..3 + self.pick(6) {
            let plan = self.plan();
            let fact = Arc::new(Mutex::new(Fact::default()));
            let ledger = Arc::clone(&environments[plan.environment]);
            let call = tokio::spawn(call(self.aws.clone(), ledger, plan, Arc::clone(&fact)));
            if let Some(dies_ms) = plan.dies_ms {
                tokio::spawn(async move {
                    sleep(Duration::from_millis(dies_ms)).await;
                    call.abort();
                });
            }
            calls.push((plan, fact));
        }
        let changed = Arc::new(AtomicU64::new(0));
        for _ in 0..self.pick(4) {
            let change = Change::by_lot(&mut self.random, CALLS_MS / 4);
            tokio::spawn(change.make(self.aws.clone(), Arc::clone(&changed)));
        }
        self.deliver_for(&logger, CALLS_MS).await;
        // The sweep may meet the faults too; another one, later, does not.
        self.sweep(&logger).await;
        self.network.shared().is_faulty = false;
        self.sweep(&logger).await;
        self.sweep(&logger).await;
        self.outcome(&calls, changed.load(Ordering::Relaxed))
    }

    fn pick(&mut self, end: u64) -> usize {
        usize::try_from(self.random.below(end)).expect("a small number")
    }

    fn create_budgets(&mut self) {
        // One budget in mode hard makes all calls hold their worst case.
        let strict = [Mode::Hard, Mode::Balanced][self.pick(2)];
        for scope in SCOPES {
            let limits = limits(&mut self.random);
            let mode = [strict, strict, strict, Mode::Observe][self.pick(4)];
            let settings = Settings { mode, zone: Zone::utc(), limits, thresholds: vec![80] };
            let owner = Owner::new("main", scope.parse().expect("a scope"));
            let create = Budget::create(&owner, &settings, now());
            assert_eq!(self.network.shared().services.store.apply(&create), Answer::Applied);
        }
        let key = Key { table: Table::Main, pk: "K#k1".to_owned(), sk: "0".to_owned() };
        let mut item = key.item();
        item.insert("user".to_owned(), Attr::S("u1".to_owned()));
        let items = &mut self.network.shared().services.store.items;
        items.insert(key, item);
        // The control plane changes budgets of those that it knows.
        for sk in ["user:u1", "key:u1:k1"] {
            let key = Key { table: Table::Main, pk: "E#main".to_owned(), sk: sk.to_owned() };
            let item = key.item();
            items.insert(key, item);
        }
    }

    fn plan(&mut self) -> Plan {
        let pico = |pico: u64| Money::from_pico(pico.into()).expect("small");
        let amount = 1 + self.random.below(AMOUNT_MAX);
        let cost = pico(self.random.below(amount + 1));
        let (bill, decision) = match self.pick(8) {
            0 => (Money::ZERO, Decision::Void),
            1 => (cost, Decision::Worst),
            _ => (cost, Decision::Settle(cost)),
        };
        let more = (self.pick(2) == 0).then(|| {
            let amount = 1 + self.random.below(AMOUNT_MAX / 2);
            (pico(amount), pico(self.random.below(amount + 1)))
        });
        Plan {
            arrives_ms: self.random.below(12_000),
            amount: pico(amount),
            bill,
            decision,
            thinks_ms: self.random.below(5_000),
            dies_ms: (self.random.below(3) == 0).then(|| self.random.below(20_000)),
            environment: self.pick(2),
            more,
            key: (self.pick(3) == 0).then(|| self.random.below(2)),
        }
    }

    /// The queue's messages, each at least once, for some time.
    async fn deliver_for(&mut self, logger: &Logger, time_ms: u64) {
        let end = now().plus_ms(i64::try_from(time_ms).expect("short"));
        while now() < end {
            let is_idle = self.network.shared().services.queue.is_empty();
            sleep(Duration::from_millis(if is_idle { 5_000 } else { 500 })).await;
            let messages = self.receive();
            if messages.is_empty() {
                continue;
            }
            let records = messages.iter().enumerate().map(|(at, message)| Received {
                message_id: at.to_string(),
                body: message.body.clone(),
            });
            let batch = Batch { records: records.collect() };
            let failures = farebox_logger::handle(logger, batch).await;
            let mut shared = self.network.shared();
            for failed in failures.items {
                let message = &messages[failed.message_id.parse::<usize>().expect("a number")];
                let visible_ms = now().ms() + AGAIN_MS;
                shared.services.queue.push(Message { visible_ms, ..message.clone() });
            }
        }
    }

    /// Up to three visible messages; some of them will come once more.
    fn receive(&mut self) -> Vec<Message> {
        let mut shared = self.network.shared();
        let mut messages = Vec::new();
        let mut at = 0;
        while at < shared.services.queue.len() && messages.len() < 3 {
            if shared.services.queue[at].visible_ms > now().ms() {
                at += 1;
                continue;
            }
            let message = shared.services.queue.remove(at);
            // It comes after the sweep that has charged its call meanwhile.
            if shared.is_faulty && self.random.below(12) == 0 {
                let visible_ms = now().ms() + LATE_MS;
                shared.services.queue.push(Message { visible_ms, ..message });
                continue;
            }
            if self.random.below(4) == 0 {
                let visible_ms = now().ms() + AGAIN_MS;
                shared.services.queue.push(Message { visible_ms, ..message.clone() });
            }
            messages.push(message);
        }
        messages
    }

    /// Twenty-five minutes pass; then two runs of the scheduler at once, and the queue.
    pub async fn sweep(&mut self, logger: &Logger) {
        let minutes = now().seconds().div_euclid(60);
        let next = (minutes + i64::from(SWEEP_MINUTES)).div_euclid(5) * 5 + 5;
        let wait = next * 60_000 - now().ms();
        self.deliver_for(logger, u64::try_from(wait).expect("later")).await;
        let (one, two) = (Scheduler::new(&self.aws), Scheduler::new(&self.aws));
        let tick = Tick { time: now().to_string() };
        // A run that meets a fault says so; the next one goes on.
        let both =
            join(farebox_scheduler::handle(&one, &tick), farebox_scheduler::handle(&two, &tick));
        let _ = both.await;
        self.deliver_for(logger, CALLS_MS).await;
    }

    fn outcome(&self, calls: &[(Plan, Arc<Mutex<Fact>>)], changed: u64) -> Outcome {
        let shared = self.network.shared();
        let mut outcome = Outcome {
            requests: shared.requests.0,
            faults: shared.requests.1,
            trace: shared.services.trace,
            changed,
            ..Outcome::default()
        };
        let (mut least, mut most) = (0, 0);
        let mut paid = [0; 2];
        for (plan, fact) in calls {
            let fact = *fact.lock().expect("a fact");
            outcome.extended += u64::from(fact.is_extended);
            outcome.repeated += u64::from(fact.is_repeat);
            if let Some(key) = plan.key.filter(|_| fact.is_paid) {
                paid[usize::try_from(key).expect("two keys")] += 1;
            }
            match (fact.is_over, fact.decided) {
                (true, Some(decision)) => {
                    let charge = match decision {
                        Decision::Settle(cost) => cost,
                        Decision::Void => Money::ZERO,
                        Decision::Worst => plan.amount,
                    };
                    assert!(fact.bill <= charge, "I2: billed {} of {charge}", fact.bill);
                    least += charge.pico();
                    most += charge.pico();
                    outcome.served += 1;
                }
                (true, None) => outcome.refused += 1,
                // Between what the provider bills and what was held.
                (false, _) => {
                    least += fact.bill.pico();
                    most += plan.most().pico();
                    outcome.died += 1;
                }
            }
        }
        let mut of_key = 0;
        assert!(paid.iter().all(|times| *times <= 1), "one key was paid {paid:?} times");
        for scope in SCOPES {
            let owner = Owner::new("main", scope.parse().expect("a scope"));
            let (mut settled, mut held, mut granted) = (0, 0, 0);
            for (_, budget) in shared.services.places(&owner.budget().pk) {
                assert!(budget.holds.is_empty(), "I5: {scope} still holds");
                settled += budget.total.settled().pico();
                held += budget.total.held().pico();
                granted += budget.granted.get(&Period::Total).map_or(0, |granted| granted.pico());
            }
            assert_eq!(held, granted, "I3: {scope}");
            assert!(least <= settled, "I2: {scope} has {settled}, less than {least}");
            assert!(settled <= most, "I2: {scope} has {settled}, more than {most}");
            outcome.divided += u64::from(granted > 0);
            if scope == "key:k1" {
                of_key = settled;
            }
        }
        assert!(shared.services.queue.is_empty(), "messages are left");
        let summed = super::sums::charged(&shared.services.store, "key", "k1");
        // A process that dies between its settlement and its record leaves no row behind.
        if outcome.died == 0 {
            assert_eq!(summed, of_key, "the sums of usage are the books");
        }
        outcome
    }
}

/// Each with a limit or none, a few times what a call holds.
pub fn limits(random: &mut Random) -> Limits {
    let mut limit = || {
        let limit = i128::from(AMOUNT_MAX + random.below(4 * AMOUNT_MAX));
        (random.below(3) > 0).then(|| Money::from_pico(limit).expect("small"))
    };
    Limits { month: limit(), day: limit(), total: limit() }
}

/// A call, as chat makes it: claim → reserve → provider → settle ‖ log.
async fn call(aws: Aws, ledger: Arc<Ledger>, plan: Plan, fact: Arc<Mutex<Fact>>) {
    sleep(Duration::from_millis(plan.arrives_ms)).await;
    let random = u128::from(chance());
    let rid = Rid::new(now(), random);
    let replies = Replies::new(&aws);
    let claim = plan.key.map(|key| {
        let user = "u1".parse().expect("an id");
        Claim::new("main", &user, &format!("key{key}"), rid, "the same".to_owned())
    });
    let ends_at = now().plus_ms(CALLS_MS.cast_signed());
    if let Some(claim) = &claim
        && !matches!(replies.claim(claim, ends_at).await, Ok(None))
    {
        let mut fact = fact.lock().expect("a fact");
        (fact.is_over, fact.is_repeat) = (true, true);
        return;
    }
    let is_paid = attempt(&aws, &ledger, rid, random, &plan, &fact).await;
    // Where it fails, a repeat is told that nothing is known.
    let ended = async {
        match &claim {
            Some(claim) if is_paid => {
                let pepper = Secret::new("pepper".to_owned());
                drop(replies.keep(claim, None, &pepper).await);
            }
            Some(claim) => drop(replies.release(claim).await),
            None => {}
        }
    };
    ended.await;
    fact.lock().expect("a fact").is_over = true;
}

/// The one attempt of a call; whether it was charged.
async fn attempt(
    aws: &Aws,
    ledger: &Ledger,
    rid: Rid,
    random: u128,
    plan: &Plan,
    fact: &Mutex<Fact>,
) -> bool {
    let scopes: Vec<Scope> = SCOPES.iter().map(|scope| scope.parse().expect("a scope")).collect();
    let id = |text: &str| text.parse().expect("an id");
    let mut record = CallRecord::new(rid, "main".to_owned(), id("u1"), id("k1"));
    record.hold = Some(plan.amount);
    record.scopes.clone_from(&scopes);
    let tags = format!("team=t{},note=n{}", random % 3, random % 5);
    record.labels = Labels::of_header(&tags).expect("labels");
    let log = LogQueue::new(aws);
    let is_metered = plan.more.is_some() && ledger.meters(&scopes).await.unwrap_or(false);
    let ask = Ask { amount: plan.amount, is_metered };
    let mut held = match ledger.reserve(&scopes, rid, ask, None).await {
        Ok(held) => held,
        Err(refusal) => {
            if !refusal.parts.is_empty() {
                record.decision = Some(Decision::Void);
                record.parts = refusal.parts;
            }
            log.send(&record).await;
            return false;
        }
    };
    record.parts = held.parts();
    sleep(Duration::from_millis(plan.thinks_ms)).await;
    let is_paid = plan.decision != Decision::Void;
    with(fact, |fact| (fact.bill, fact.is_paid) = (plan.bill, is_paid));
    let mut decision = plan.decision;
    if let Some((more, cost)) = plan.more.filter(|_| held.is_metered) {
        let is_granted = ledger.extend(&mut held, plan.amount.plus(more).expect("small")).await;
        // The stream goes on as far as all scopes confirm, and costs no more.
        let bill = plan.bill.plus(cost).expect("small").min(held.amount);
        with(fact, |fact| fact.is_extended = is_granted);
        if is_paid {
            with(fact, |fact| fact.bill = bill);
        }
        decision = match decision {
            Decision::Void => Decision::Void,
            Decision::Settle(_) => Decision::Settle(bill),
            Decision::Worst => Decision::Settle(held.amount),
        };
        record.hold = Some(held.amount);
        record.parts = held.parts();
    }
    ledger.draw_ahead(held.shares()).await;
    sleep(Duration::from_millis(plan.thinks_ms)).await;
    with(fact, |fact| fact.decided = Some(decision));
    record.decision = Some(decision);
    record.outcome = match plan.decision {
        Decision::Settle(_) => farebox_core::Outcome::Settled,
        Decision::Void => farebox_core::Outcome::Void,
        Decision::Worst => farebox_core::Outcome::Worst,
    };
    join(ledger.end(&mut held, decision), log.send(&record)).await;
    is_paid
}

fn with(fact: &Mutex<Fact>, change: impl FnOnce(&mut Fact)) {
    change(&mut fact.lock().expect("a fact"));
}

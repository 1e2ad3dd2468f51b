//! The same storm on counters that are read and then written: the harness must see it overspend.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use farebox_core::Money;
use futures_util::StreamExt;
use futures_util::future::join;
use serde_json::{Value, json};

use super::{
    AT_FIRST, ENVIRONMENTS, LOWERED, Limits, MODEL, OF_A_DAY, Report, Storm, TOKENS, half,
};
use crate::caller::{DEMO_SECRET, openai};
use crate::contrast::bill_of;
use crate::moved::next_year;
use crate::relay::{Faults, Relays};
use crate::tables::request;
use crate::{Call, Moved, Stack, fresh, usd};

/// How often a request to the store is tried.
const TRIES_MAX: usize = 5;

/// A gateway that keeps a month's and a day's counter in the embedded store.
struct Control<'a> {
    stack: &'a Stack,
    relays: &'a Relays,
    mark: String,
    in_force: Mutex<InForce>,
}

/// What its owner and the calendar say.
#[derive(Clone, Copy)]
struct InForce {
    month: Money,
    day: Money,
    date: u32,
}

/// Runs the storm on it: the same callers, faults, midnight and lower limit. Its report has the
/// month's limit from before it was lowered: what is billed above it no order of events explains.
///
/// # Panics
/// Where the stack does not run.
pub async fn control(executable: &Path, storm: &Storm) -> Report {
    let year = next_year();
    let clock = Moved::start(executable, ENVIRONMENTS, &format!("{year}-05-12T23:59:00Z")).await;
    let relays = Relays::before(&clock.stack).await;
    let limits = Limits { callers: storm.callers };
    let [first, lowered, day] = [AT_FIRST, LOWERED, OF_A_DAY].map(|part| limits.percent(part));
    let control = Control {
        stack: &clock.stack,
        relays: &relays,
        mark: fresh("control"),
        in_force: Mutex::new(InForce { month: first, day, date: 12 }),
    };
    relays.set_faults(storm.faults);
    let ends = AtomicUsize::new(0);
    let calls = async {
        let calls = (0..storm.callers).map(|_| async {
            let end = control.call().await;
            ends.fetch_add(1, Ordering::SeqCst);
            end
        });
        let ends = futures_util::stream::iter(calls).buffer_unordered(storm.callers);
        ends.collect::<Vec<_>>().await
    };
    let changes = async {
        half(&ends, storm).await;
        clock.to(&format!("{year}-05-13T00:00:01Z"));
        control.change(InForce { month: lowered, day, date: 13 });
    };
    let (ended, ()) = join(calls, changes).await;
    relays.set_faults(Faults::default());
    relays.quiet().await;

    let mut report = Report { limit: first, requests: relays.counts(), ..Report::default() };
    for end in ended {
        match end {
            Ok(()) => report.served += 1,
            Err(code) => *report.refused.entry(code.to_owned()).or_default() += 1,
        }
    }
    report.bill = bill_of(control.stack, &control.mark).await;
    report.charged = control.counters().await.map_or(Money::ZERO, |(month, _)| month);
    if report.bill > first {
        report.violations.push(format!("billed {} above {first}", report.bill));
    }
    report
}

impl Control<'_> {
    fn change(&self, to: InForce) {
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    fn in_force(&self) -> InForce {
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: reads both counters, decides, writes both, and calls.
    async fn call(&self) -> Result<(), &'static str> {
        let (month, day) = self.counters().await.ok_or("unavailable")?;
        let cent = usd("0.01");
        let [month, day] = [month, day].map(|spent| spent.plus(cent).expect("a sum"));
        let limits = self.in_force();
        if month > limits.month || day > limits.day {
            return Err("budget_exceeded");
        }
        let number = |amount: Money| json!({"N": amount.pico().to_string()});
        let write = json!({
            "UpdateExpression": "SET month_spent = :m, #d = :d",
            "ExpressionAttributeNames": {"#d": self.day()},
            "ExpressionAttributeValues": {":m": number(month), ":d": number(day)},
        });
        self.ask("UpdateItem", &write).await.ok_or("unavailable")?;
        let model = MODEL.strip_prefix("demo/").unwrap_or(MODEL);
        let provider = self.stack.ready().url("demo_provider_url");
        let body = openai(model, &json!({"max_tokens": TOKENS}));
        let call = Call::post(format!("{provider}/v1/chat/completions"), &body);
        let call = call.bearer(DEMO_SECRET).with("x-client-request-id", &self.mark);
        call.send().await.expect(200);
        Ok(())
    }

    fn day(&self) -> String {
        format!("day_{}", self.in_force().date)
    }

    /// What the month and the day have spent.
    async fn counters(&self) -> Option<(Money, Money)> {
        let item = self.ask("GetItem", &json!({"ConsistentRead": true})).await?;
        let spent = |name: &str| {
            let pico = item["Item"][name]["N"].as_str();
            let pico = pico.map_or(0, |pico| pico.parse().expect("a number"));
            Money::from_pico(pico).expect("an amount")
        };
        Some((spent("month_spent"), spent(&self.day())))
    }

    /// One request to the store by way of the relay; `None` where it has failed too often.
    async fn ask(&self, operation: &str, more: &Value) -> Option<Value> {
        let mut body = json!({
            "TableName": "farebox-main",
            "Key": {"pk": {"S": format!("CONTROL#{}", self.mark)}, "sk": {"S": "0"}},
        });
        body.as_object_mut()?.extend(more.as_object()?.clone());
        for _ in 0..TRIES_MAX {
            let call = request(self.relays.database(), "DynamoDB_20120810", operation, &body);
            let Ok(mut open) = call.try_open().await else { continue };
            let mut answer = Vec::new();
            while let Ok(Some(piece)) = open.piece().await {
                answer.extend_from_slice(&piece);
            }
            if open.status.is_success() {
                return serde_json::from_slice(&answer).ok();
            }
        }
        None
    }
}

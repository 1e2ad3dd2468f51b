//! The owner among the calls: limits and zone of a budget change, and it is divided and united.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use farebox_aws::Aws;
use farebox_aws::control::{Change as Changed, Control, Entry, Expected, Trail};
use farebox_core::{Rid, Scope, Zone};
use farebox_ledger::{Limits, Settings};
use serde_json::Value;
use tokio::time::sleep;

use super::history::limits;
use super::{Random, chance, now};

/// Budgets that the simulated control plane knows.
const SCOPES: [&str; 2] = ["user:u1", "key:k1"];
/// Shares that a budget is divided into at most.
const SHARES_MAX: u64 = 2;
const ZONES: [&str; 2] = ["Asia/Tokyo", "America/Los_Angeles"];

/// One change.
pub struct Change {
    at_ms: u64,
    scope: Scope,
    limits: Limits,
    zone: Option<Zone>,
    shares: Option<u8>,
}

impl Change {
    /// Some change within a time.
    pub fn by_lot(random: &mut Random, within_ms: u64) -> Self {
        let mut pick = |end: u64| usize::try_from(random.below(end)).expect("a small number");
        let scope = SCOPES[pick(2)].parse().expect("a scope");
        let zone = (pick(3) == 0).then(|| Zone::parse(ZONES[pick(2)]).expect("a zone"));
        let shares = (pick(3) > 0).then(|| pick(SHARES_MAX + 1));
        let shares = shares.map(|count| u8::try_from(count).expect("few"));
        Self { at_ms: random.below(within_ms), scope, limits: limits(random), zone, shares }
    }

    /// Makes it, as the admin API does; counts it where the owner is told that it is done. What
    /// the network left undone is the next scan's.
    pub async fn make(self, aws: Aws, done: Arc<AtomicU64>) {
        sleep(Duration::from_millis(self.at_ms)).await;
        let entry = Entry {
            id: Rid::new(now(), u128::from(chance())),
            actor: "admin-key:root".to_owned(),
            role: "owner",
            action: "PUT".to_owned(),
            target: format!("/budgets/{}", self.scope),
            before: Value::Null,
        };
        let control = Control::new(&aws).on_trail(Trail::new(&aws, entry));
        let Ok(Some(budget)) = control.budget(&self.scope).await else { return };
        let before = budget.terms.settings;
        let zone = self.zone.unwrap_or_else(|| before.zone.clone());
        let settings = Settings { limits: self.limits, zone, ..before };
        let put = control.put_budget(&self.scope, &settings, Expected::Any, None, self.shares);
        if let Ok(Changed::Applied(_)) = put.await {
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

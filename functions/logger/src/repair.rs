//! Ending what the chat function left open.

use farebox_aws::Ledger;
use farebox_core::{CallRecord, Decision, ScopePart, Timestamp};
use farebox_ledger::{Budget, Ended};
use futures_util::future::join_all;

use crate::{Budgets, Failure};

/// No sweep of a call is possible earlier after its rid's time (money.md 3.4): until then no
/// tombstone can exist, so a hold that is gone was ended.
const SWEEP_MS: i64 = 390_000;

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// Counters have moved since the budgets were read, by these endings or by chat's own.
    pub is_changed: bool,
    /// The truth replaced a provisional charge.
    pub is_adjusted: bool,
}

/// Applies a record's decision wherever its budgets show that it has not been.
pub(crate) async fn finish(
    ledger: &Ledger,
    record: &CallRecord,
    budgets: &Budgets,
    now: Timestamp,
) -> Result<Repaired, Failure> {
    // A refused call with parts has voids without an answer; it was never sent to a provider.
    let decision = record.decision.unwrap_or(Decision::Void);
    let open = record.parts.iter().filter(|part| {
        let budget = budgets.get(&part.scope).and_then(Option::as_ref);
        is_open(part, record, budget, now)
    });
    let endings = open.map(async |part| {
        let ended = ledger.finish(record.rid, part, decision, record.hold).await;
        ended.map_err(|cause| Failure::NotEnded { scope: part.scope.clone(), cause })
    });
    let mut repaired = Repaired::default();
    for ended in join_all(endings).await {
        let ended = ended?;
        // One that is done already was open when it was read: chat ended it in between.
        repaired.is_changed = true;
        // By an earlier delivery of this message, which may have ended before it wrote its rows.
        repaired.is_adjusted |= matches!(ended, Ended::Adjusted | Ended::AdjustedBefore);
    }
    Ok(repaired)
}

/// Whether a part may still have to be ended. The read is cheaper than a write that fails.
fn is_open(part: &ScopePart, record: &CallRecord, budget: Option<&Budget>, now: Timestamp) -> bool {
    if part.ended {
        return false;
    }
    if part.unheld {
        return true;
    }
    let Some(budget) = budget else { return part.hold.is_some() };
    let is_held = budget.holds.contains_key(&record.rid);
    let is_unfenced = part.ambiguous && !budget.fences.contains_key(&record.rid);
    let may_be_swept = part.hold.is_some() && now.since(record.rid.made_at()) >= SWEEP_MS;
    is_held || is_unfenced || may_be_swept
}

#[cfg(test)]
pub(crate) mod tests {
    use farebox_core::Rid;
    use farebox_ledger::{Attr, Item};

    use super::*;

    const RID: &str = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F";

    pub(crate) fn record() -> CallRecord {
        let json = format!(
            r#"{{"request_id":"{RID}","rid":"{RID}","tenant":"main","user":"u1","key_id":"k1",
                "endpoint":"/v1/chat","outcome":"settled","decision":{{"settle":"1"}},
                "http_status":200,"started_at":1763900000000,"response_time_ms":5,
                "parts":[{{"scope":"user:u1","hold":"5.20261123.900","day":20261123}}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    pub(crate) fn budget(changes: &[(&str, Attr)]) -> Budget {
        let mut item = Item::from([("md".to_owned(), Attr::S("h".to_owned()))]);
        for (name, value) in [("ep", 1), ("lv", 3), ("n", 0), ("tc", 0), ("ts", 0)] {
            item.insert(name.to_owned(), Attr::N(value));
        }
        for (name, value) in changes {
            item.insert((*name).to_owned(), value.clone());
        }
        Budget::parse(&item).unwrap()
    }

    fn open(change: impl Fn(&mut ScopePart), budget: &Budget, after_ms: i64) -> bool {
        let mut record = record();
        change(&mut record.parts[0]);
        let now = record.rid.made_at().plus_ms(after_ms);
        is_open(&record.parts[0], &record, Some(budget), now)
    }

    #[test]
    fn a_hold_that_still_stands_is_open() {
        let held = budget(&[(&format!("h_{RID}"), Attr::S("5.20261123.900".to_owned()))]);

        assert!(open(|_| {}, &held, 0));
        assert!(!open(|_| {}, &budget(&[]), 0));
        assert!(!open(|part| part.ended = true, &held, 0));
    }

    #[test]
    fn an_ambiguous_part_is_open_until_it_is_fenced() {
        let fenced = budget(&[(&format!("x_{RID}"), Attr::N(9))]);

        assert!(open(|part| part.ambiguous = true, &budget(&[]), 0));
        assert!(!open(|part| part.ambiguous = true, &fenced, 0));
    }

    #[test]
    fn an_unheld_part_is_always_posted_once() {
        assert!(open(|part| part.unheld = true, &budget(&[]), 0));
    }

    #[test]
    fn a_late_record_looks_for_a_tombstone() {
        assert!(!open(|_| {}, &budget(&[]), 389_999));
        assert!(open(|_| {}, &budget(&[]), 390_000));
    }

    #[test]
    fn the_record_of_these_tests_is_a_record() {
        assert_eq!(record().rid, RID.parse::<Rid>().unwrap());
    }
}

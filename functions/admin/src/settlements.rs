//! Records that only a function's log kept (`farebox replay`).

use farebox_api::Enqueued;
use farebox_core::{CallRecord, Day, Decision, Error, Money, SCOPES_MAX, ScopePart, Timestamp};
use farebox_ledger::Hold;

use crate::Gate;
use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// A row of the log lives 90 days. Of a call whose row is gone nobody knows that its record was
/// here before: it would be added to the sums again.
const OLDEST_MS: i64 = 89 * 86_400_000;

/// `POST /admin/v1/settlements`: a record goes to the queue, as chat would have sent it. The
/// logger ends what is still open and nothing twice, so a repeat is harmless.
pub async fn enqueue(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let record: CallRecord = call.body()?;
    check(&record, &gate.aws().config().tenant, gate.aws().now())?;
    let text = serde_json::to_string(&record).map_err(Error::internal)?;
    gate.control.enqueue(&text).await?;
    Answer::ok(&Enqueued { request_id: record.request_id.to_string() })
}

/// What the logger would refuse five times is refused here, by field.
fn check(record: &CallRecord, tenant: &str, now: Timestamp) -> Result<(), Error> {
    if record.tenant != tenant {
        let rule = format!("is not that of this deployment, {tenant}");
        return Err(Error::malformed("tenant", rule));
    }
    if now.since(record.request_id.made_at()) > OLDEST_MS {
        let rule = "is of more than 89 days ago: its row may be gone, and it would count twice";
        return Err(Error::malformed("request_id", rule));
    }
    if record.parts.len().max(record.scopes.len()) > SCOPES_MAX {
        let rule = format!("a call is held in {SCOPES_MAX} scopes at most");
        return Err(Error::malformed("parts", rule));
    }
    if matches!(record.decision, Some(Decision::Settle(cost)) if cost < Money::ZERO) {
        return Err(Error::malformed("decision", "a cost is not below zero"));
    }
    record.parts.iter().enumerate().try_for_each(|(at, part)| check_part(at, part))
}

fn check_part(at: usize, part: &ScopePart) -> Result<(), Error> {
    let hold = part.hold.as_deref().map(str::parse::<Hold>).transpose();
    hold.map_err(|rule| Error::malformed(format!("parts[{at}].hold"), rule.to_string()))?;
    let day = Day::from_number(part.day);
    day.map_err(|rule| Error::malformed(format!("parts[{at}].day"), rule.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(change: impl Fn(&mut CallRecord)) -> Result<(), String> {
        record_after(60_000, change)
    }

    fn record_after(ms: i64, change: impl Fn(&mut CallRecord)) -> Result<(), String> {
        let rid: farebox_core::Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let (user, key) = ("u1".parse().unwrap(), "k1".parse().unwrap());
        let mut record = CallRecord::new(rid, "main".into(), user, key);
        record.parts = vec![ScopePart {
            scope: "user:u1".parse().unwrap(),
            hold: Some("5.20261123.900".into()),
            ambiguous: false,
            unheld: false,
            ended: false,
            day: 20_261_123,
        }];
        change(&mut record);
        let checked = check(&record, "main", rid.made_at().plus_ms(ms));
        checked.map_err(|error| error.field().unwrap().to_owned())
    }

    #[test]
    fn what_the_logger_cannot_finish_is_refused_by_its_field() {
        assert_eq!(record(|_| {}), Ok(()));
        let refused = |change: fn(&mut CallRecord)| record(change).unwrap_err();
        assert_eq!(refused(|one| one.tenant = "other".into()), "tenant");
        assert_eq!(refused(|one| one.parts[0].hold = Some("5".into())), "parts[0].hold");
        assert_eq!(refused(|one| one.parts[0].day = 20_261_399), "parts[0].day");
        let below = |one: &mut CallRecord| {
            one.decision = Some(Decision::Settle(Money::ONE_PICO.negated()));
        };
        assert_eq!(refused(below), "decision");
        assert_eq!(refused(|one| one.parts = vec![one.parts[0].clone(); 9]), "parts");
    }

    #[test]
    fn what_is_older_than_its_row_may_be_is_refused() {
        assert_eq!(record_after(OLDEST_MS, |_| {}), Ok(()));
        assert_eq!(record_after(OLDEST_MS + 1, |_| {}), Err("request_id".to_owned()));
    }
}

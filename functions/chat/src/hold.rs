//! Holding the money of a call, in as many rounds as it takes.

use farebox_aws::{Held, Refusal};
use farebox_core::{CallRecord, Decision, Error, Money, Rid, Scope};
use farebox_ledger::Wait;

use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::plan::{Candidate, Plan, first_plan, lower, may_fit, tightened};
use crate::relay::left_ms;
use crate::road::ATTEMPT_MS_MIN;
use crate::upstream::{self, Target};

/// How often one call may change: its cap is lowered, or its period ended under it.
const CHANGES_MAX: u32 = 2;
/// How long a call waits for room that open holds take (money.md 4.1-7), where its key does not
/// say it and its caller does not shorten it. Nothing is sent meanwhile, and the wait is taken off
/// the provider's time.
const ROOM_WAIT_MS: u64 = 5_000;
/// The same for a stream, whose caller expects to wait.
const ROOM_WAIT_STREAM_MS: u64 = 10_000;
/// The header by which a caller waits less; 0 is not at all.
const ROOM_WAIT_HEADER: &str = "x-farebox-room-wait-ms";

/// Reserves the plan's hold in every scope of the record; waits for what open holds take, and
/// lowers a cap that the caller left open to what the room affords; a metered call asks for less
/// before either, and a long prompt is counted where its bytes may be what refuses. Each round is
/// a new attempt with its own identity, the first one with `rid`.
///
/// # Errors
/// The refusal of the last round.
pub async fn reserve(
    gate: &Gate,
    mut wait: Wait,
    target: &Target<'_>,
    mut candidate: Candidate<'_>,
    mut plan: Plan,
    mut rid: Rid,
    record: &mut CallRecord,
) -> Result<(Plan, Held), Error> {
    let mut first: Option<Scope> = None;
    let (mut changes, mut may_count) = (0, true);
    loop {
        let round = gate.ledger.reserve(&record.scopes, rid, plan.ask(), first.as_ref());
        let refusal = match round.await {
            Ok(held) => return Ok((plan, held)),
            Err(refusal) => refusal,
        };
        record.rid = rid;
        record.hold = Some(plan.ask().amount);
        record.capacity_tenths = record.capacity_tenths.saturating_add(refusal.capacity_tenths);
        let Refusal { error, room, unspent, contended, parts, restart, .. } = refusal;
        if !parts.is_empty() {
            // Something of this attempt may still stand: its record must carry its identity.
            record.decision = Some(Decision::Void);
            record.parts = parts;
            return Err(error);
        }
        let mut smaller = None;
        if contended.is_some() || room.is_some() {
            smaller = plan.shrunk(candidate.price, room);
            if smaller.is_none() && may_count {
                may_count = false;
                smaller = tighten(gate, target, &mut candidate, &plan, room).await;
            }
        }
        let lowered = room.filter(|_| changes < CHANGES_MAX);
        let lowered = lowered.and_then(|room| lower(candidate, &plan, room));
        let used = &mut record.capacity_tenths;
        if let Some(smaller) = smaller {
            plan = smaller;
        } else if let Some(lowered) = lowered {
            (plan, changes) = (lowered, changes + 1);
        } else if let Some(scope) = &contended {
            if !gate.ledger.wait(&mut wait, scope, plan.ask().amount, used).await {
                return Err(error);
            }
        } else if let Some((scope, smallest)) =
            unspent.and_then(|(scope, unspent)| Some((scope, plan.smallest(candidate, unspent)?)))
        {
            // Not the money is at its end, only what open holds leave of it.
            if !gate.ledger.wait(&mut wait, &scope, smallest.ask().amount, used).await {
                return Err(Error::BudgetContention { scope });
            }
            // A metered hold can grow. A cap cannot, so it is lowered to the room that there is.
            plan = if smallest.metered.is_some() { smallest } else { first_plan(candidate)? };
            (changes, first) = (0, Some(scope));
        } else if restart && changes < CHANGES_MAX {
            changes += 1;
            // A budget may have changed to one that needs the worst case.
            if plan.metered.is_some() {
                candidate.metered = gate.ledger.meters(&record.scopes).await?;
                plan = first_plan(candidate)?;
            }
        } else {
            return Err(error);
        }
        first = contended.or(first);
        rid = gate.aws.new_rid();
    }
}

/// The same call with its prompt's length by the provider's own count, where that can help and
/// does.
async fn tighten(
    gate: &Gate,
    target: &Target<'_>,
    candidate: &mut Candidate<'_>,
    plan: &Plan,
    room: Option<Money>,
) -> Option<Plan> {
    if plan.outbound.bound.grows || !may_fit(*candidate, plan, room) {
        return None;
    }
    let (provider, call, facts) = (target.provider, candidate.call, candidate.resolved.facts());
    let request = target.wire.count(provider, call, &facts, &plan.outbound)?;
    let counted = upstream::count(&gate.http(None).ok()?, target, &request).await;
    candidate.counted = counted.map(|tokens| request.margin.above(tokens));
    tightened(*candidate, plan)
}

/// The waiting of a call: as long as its key says, at most until its provider would have no time
/// left, and no longer than its caller says.
///
/// # Errors
/// A header that is no number.
pub fn wait(
    gate: &Gate,
    incoming: &Incoming,
    of_key: Option<u64>,
    is_stream: bool,
) -> Result<Wait, Error> {
    let usual = if is_stream { ROOM_WAIT_STREAM_MS } else { ROOM_WAIT_MS };
    let most = of_key.unwrap_or(usual);
    let rest = u64::try_from(left_ms(gate.aws.now(), incoming, is_stream)).unwrap_or_default();
    let most = most.min(rest.saturating_sub(ATTEMPT_MS_MIN));
    let given = incoming.headers.get(ROOM_WAIT_HEADER).map(|given| {
        let given = given.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        given.ok_or_else(|| Error::malformed(ROOM_WAIT_HEADER, "is a number of milliseconds"))
    });
    let given = given.transpose()?.unwrap_or(most);
    Ok(Wait::new(most.min(given), gate.aws.now()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use farebox_aws::{Aws, Config};
    use farebox_ledger::{Owner, Waiting};
    use http::{HeaderMap, Method};

    use super::*;

    /// A call that gets its room when no time is left is sent, not answered, and charged.
    #[test]
    fn what_waits_for_room_leaves_its_provider_time() {
        let config = Config::from_lookup(|variable| match variable {
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
            variable => variable.ends_with("_TABLE").then(|| "local".to_owned()),
        });
        let gate = Gate::new(Aws::new(config.unwrap()));
        let owner = Owner::new("main", "user:u1".parse().unwrap());
        // So long ago it began, its invocation lasts so much longer, and so long it may wait.
        for (ago_ms, rest_ms, is_stream, most_ms) in [
            (0, 900_000, false, 5_000),
            (0, 900_000, true, 10_000),
            (0, 24_000, true, 3_000),
            (281_000, 600_000, false, 3_000),
            (281_000, 600_000, true, 10_000),
            (284_500, 600_000, false, 0),
        ] {
            let now = gate.aws.now();
            let incoming = Incoming {
                method: Method::POST,
                path: String::new(),
                query: Vec::new(),
                headers: HeaderMap::new(),
                body: Bytes::new(),
                request_id: Rid::new(now, 1),
                client_request_id: None,
                started_at: now.plus_ms(-ago_ms),
                ends_at: now.plus_ms(rest_ms),
                ip: None,
                user_agent: None,
            };
            let waits = |ms| {
                let mut wait = wait(&gate, &incoming, None, is_stream).unwrap();
                wait.step(&owner, now.plus_ms(ms), 0) != Waiting::GiveUp
            };

            assert!(!waits(most_ms + 500), "{ago_ms} {rest_ms} {is_stream}");
            assert_eq!(waits(most_ms - 500), most_ms > 0, "{ago_ms} {rest_ms} {is_stream}");
        }
    }
}

//! Holding the money of a call, in as many rounds as it takes.

use farebox_aws::{Held, KeyItem};
use farebox_core::{CallRecord, Decision, Error};

use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::plan::{Candidate, Plan, lower};

/// How often one call may reserve: once, and again after its cap was lowered or its period
/// ended under it.
const RESERVE_ROUNDS_MAX: u32 = 3;

/// Reserves the plan's hold in every scope; lowers a cap that the caller left open to what
/// the room affords. Each round is a new attempt with its own identity.
///
/// # Errors
/// The refusal of the last round.
pub async fn reserve(
    gate: &Gate,
    incoming: &Incoming,
    key: &KeyItem,
    candidate: Candidate<'_>,
    mut plan: Plan,
    record: &mut CallRecord,
) -> Result<(Plan, Held), Error> {
    let mut rid = incoming.request_id;
    let mut round = 1;
    loop {
        let refusal = match gate.ledger.reserve(&key.scopes, rid, plan.hold).await {
            Ok(held) => return Ok((plan, held)),
            Err(refusal) => refusal,
        };
        record.rid = rid;
        record.hold = Some(plan.hold);
        if !refusal.parts.is_empty() {
            // Something of this attempt may still stand: its record must carry its identity.
            record.decision = Some(Decision::Void);
            record.parts = refusal.parts;
            return Err(refusal.error);
        }
        match refusal.room.and_then(|room| lower(candidate, &plan, room)) {
            _ if round == RESERVE_ROUNDS_MAX => return Err(refusal.error),
            Some(lowered) => plan = lowered,
            None if refusal.restart => {}
            None => return Err(refusal.error),
        }
        rid = gate.aws.new_rid();
        round += 1;
    }
}

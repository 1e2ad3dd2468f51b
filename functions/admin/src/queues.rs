//! What waits behind the calls.

use farebox_api::Queues;
use farebox_aws::LogQueue;
use farebox_aws::expression::{Store, item};
use farebox_ledger::Pass;

use crate::Gate;
use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// `GET /admin/v1/queues`
pub async fn show(gate: &Gate, _call: &Call) -> Result<Answer, Refusal> {
    let aws = gate.aws();
    let config = aws.config();
    let queue = LogQueue::new(aws);
    let (waiting, in_flight) = queue.depth(&config.queue_url).await?;
    let dead_letters = match config.dead_letter_url.as_str() {
        "" => None,
        url => {
            // One that somebody is looking at is dead, too.
            let (waiting, looked_at) = queue.depth(url).await?;
            Some(waiting.saturating_add(looked_at))
        }
    };
    let pass = Store::patient(aws).fetch(&Pass::key(&config.tenant)).await?;
    let pass = pass.and_then(|found| Pass::parse(&item(found)).ok());
    let scanned_at = pass.map(|pass| pass.began.to_string());
    Answer::ok(&Queues { waiting, in_flight, dead_letters, scanned_at })
}

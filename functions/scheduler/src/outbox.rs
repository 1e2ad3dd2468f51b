//! Records that the queue did not take: forward them, then forget them.

use farebox_aws::expression::{Store, item};
use farebox_aws::{Aws, LogQueue};
use farebox_core::Timestamp;
use farebox_ledger::update::outbox_delete;
use farebox_ledger::{Attr, Key};
use tokio::time::Instant;

use crate::due::due;
use crate::{Failure, Scheduler};

/// Sends the due records to the queue, the oldest first; those that a run does not come to are the
/// next one's. A record that is sent twice is harmless.
pub(crate) async fn drain(all: &Scheduler, now: Timestamp) -> Result<(), Failure> {
    let aws = &all.aws;
    let due = due(aws, "OB#", now).await?;
    let (mut failure, ends) = (None, Instant::now() + all.pace.due);
    for key in due {
        if Instant::now() >= ends {
            break;
        }
        if let Err(error) = forward(aws, &key).await {
            tracing::warn!(sk = key.sk, %error, "a record stays in the outbox");
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn forward(aws: &Aws, key: &Key) -> Result<(), Failure> {
    let store = Store::patient(aws);
    // The index may show what another run has just forwarded.
    let Some(found) = store.fetch(key).await? else { return Ok(()) };
    let malformed = |detail: &str| farebox_aws::Error::Malformed {
        thing: "an outbox item".to_owned(),
        detail: detail.to_owned(),
    };
    let found = item(found);
    let Some(Attr::S(event)) = found.get("ev") else { return Err(malformed("ev").into()) };
    let rid = key.sk.parse().map_err(|_| malformed("sk"))?;
    LogQueue::new(aws).send_text(event).await?;
    store.record(&outbox_delete(rid)).await?;
    Ok(())
}

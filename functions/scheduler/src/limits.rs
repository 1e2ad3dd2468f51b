//! Limits whose end date has come: what was before comes back (money.md 3.6).

use farebox_aws::expression::{Failure as Unwritten, Store, item};
use farebox_aws::{Aws, Error};
use farebox_core::Timestamp;
use farebox_ledger::{Key, Owner, Temporary, Terms};

use crate::Failure;
use crate::due::due;

/// Ends every change that is due. One that cannot be read does not keep back the others.
pub(crate) async fn end(aws: &Aws, now: Timestamp) -> Result<(), Failure> {
    let mut failure = None;
    for key in due(aws, "LC#", now).await? {
        if let Err(error) = end_one(aws, &key, now).await {
            tracing::error!(metric = "limit_not_ended", pk = key.pk, %error);
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

async fn end_one(aws: &Aws, key: &Key, now: Timestamp) -> Result<(), Error> {
    let malformed = |error: farebox_ledger::Error| Error::Malformed {
        thing: format!("the limit with an end date {}", key.pk),
        detail: error.to_string(),
    };
    let store = Store::patient(aws);
    // The index may show what another run has just ended.
    let Some(found) = store.fetch(key).await? else { return Ok(()) };
    let temporary = Temporary::parse(&item(found)).map_err(malformed)?;
    if temporary.until > now {
        return Ok(());
    }
    let owner = Owner::from_pk(&key.pk).map_err(malformed)?;
    let Some(budget) = store.fetch(&owner.budget()).await? else {
        return Err(Error::NoBudget(owner.scope));
    };
    let terms = Terms::parse(&item(budget)).map_err(malformed)?;
    if !temporary.is_in_force(&terms) {
        store.record(&temporary.forget(&owner)).await?;
        return Ok(());
    }
    let scope = &owner.scope;
    match store.transact(&temporary.end(&owner, terms.epoch)).await.failure {
        None => tracing::info!(%scope, "a limit came to its end date"),
        // The budget moved since it was read, or another run was first: the next one looks again.
        Some(Unwritten::ConditionFailed | Unwritten::Cancelled) => {}
        Some(failure) => return Err(failure.error("TransactWriteItems")),
    }
    Ok(())
}

//! Limits whose end date has come: what was before comes back (money.md 3.6).

use farebox_aws::control::{Control, End, Entry, Trail};
use farebox_aws::expression::{Failure as Unwritten, Store, item};
use farebox_aws::{Aws, Error};
use farebox_core::{Scope, Timestamp};
use farebox_ledger::{Key, Owner, Settings, Temporary, Terms};
use serde_json::{Value, json};

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
    let (told, trail) = tell(aws, &temporary, scope, &terms.settings).await?;
    let ended = store.transact(&temporary.end(&owner, terms.epoch)).await.failure;
    let status = if ended.is_none() { 200 } else { 409 };
    trail.end(&told, End { status, after: json!({"settings": shown(&temporary.settings)}) }).await;
    match ended {
        None => tracing::info!(%scope, "a limit came to its end date"),
        // The budget moved since it was read, or another run was first: the next one looks again.
        Some(Unwritten::ConditionFailed | Unwritten::Cancelled) => {}
        Some(failure) => return Err(failure.error("TransactWriteItems")),
    }
    Ok(())
}

/// The audit has the end before it is made, as it has every change of a budget.
async fn tell(
    aws: &Aws,
    temporary: &Temporary,
    scope: &Scope,
    now: &Settings,
) -> Result<(Control, Trail), Error> {
    let before = json!({"until": temporary.until.to_string(), "settings": shown(now)});
    let entry = Entry {
        id: aws.new_rid(),
        actor: "scheduler:limits".to_owned(),
        role: "scheduler",
        action: "END".to_owned(),
        target: format!("/admin/v1/budgets/{scope}"),
        before,
    };
    let trail = Trail::new(aws, entry);
    let control = Control::new(aws).on_trail(trail.clone());
    control.begin().await.map_err(|error| Error::Unavailable {
        operation: "PutItem",
        cause: error.cause().to_owned(),
    })?;
    Ok((control, trail))
}

fn shown(settings: &Settings) -> Value {
    let limits = &settings.limits;
    let usd = |limit: Option<farebox_core::Money>| limit.map(|limit| limit.to_string());
    json!({
        "mode": settings.mode.name(),
        "time_zone": settings.zone.name(),
        "month_limit_usd": usd(limits.month),
        "day_limit_usd": usd(limits.day),
        "total_limit_usd": usd(limits.total),
        "alert_thresholds": settings.thresholds,
    })
}

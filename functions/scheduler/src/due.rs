//! The sparse index of what is due, and who takes it on.

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_aws::expression::{Failure as Unwritten, Store, again, classify, item};
use farebox_aws::{Aws, Error, random};
use farebox_core::Timestamp;
use farebox_ledger::update::DUE;
use farebox_ledger::{Item, Key, Table, alert};

/// Entries that one run takes on; the next run takes the others.
pub(crate) const DUE_MAX: usize = 500;

/// The keys of one kind (the start of their partition key) that are due, the oldest first.
pub(crate) async fn due(aws: &Aws, kind: &str, now: Timestamp) -> Result<Vec<Key>, Error> {
    let (mut keys, mut start) = (Vec::new(), None);
    loop {
        let page = again("Query", || async {
            let query = aws.dynamodb().query().table_name(&aws.config().main_table);
            let query =
                query.index_name("due").key_condition_expression("#due = :due AND #at <= :now");
            let query = query.expression_attribute_names("#due", "due");
            let query = query.expression_attribute_names("#at", "at");
            let value = AttributeValue::S(DUE.to_owned());
            let query = query.expression_attribute_values(":due", value);
            let value = AttributeValue::N(now.seconds().to_string());
            let query = query.expression_attribute_values(":now", value);
            let query = query.set_exclusive_start_key(start.clone());
            query.send().await.map_err(|error| classify(&error))
        });
        let page = page.await?;
        let found = page.items.unwrap_or_default().into_iter().filter_map(|mut item| {
            let mut text = |name: &str| match item.remove(name) {
                Some(AttributeValue::S(text)) => Some(text),
                _ => None,
            };
            Some(Key { table: Table::Main, pk: text("pk")?, sk: text("sk")? })
        });
        keys.extend(found.filter(|key| key.pk.starts_with(kind)));
        start = page.last_evaluated_key;
        if start.is_none() || keys.len() >= DUE_MAX {
            keys.truncate(DUE_MAX);
            return Ok(keys);
        }
    }
}

/// Leases what is to be told: under which name, and what it says. `None` where somebody else has it
/// or it is gone.
pub(crate) async fn take(
    store: &Store,
    key: &Key,
    now: Timestamp,
) -> Result<Option<(String, Item)>, Error> {
    let me = format!("{:032x}", random());
    // Once only: whether a repeat found its own lease could not be told.
    let leased = store.write(&alert::lease(key.clone(), &me, now)).await;
    match leased.failure {
        None => {}
        Some(Unwritten::ConditionFailed) => return Ok(None),
        Some(failure) => return Err(failure.error("UpdateItem")),
    }
    Ok(store.fetch(key).await?.map(|found| (me, item(found))))
}

//! The sparse index of what is due.

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_aws::expression::{again, classify};
use farebox_aws::{Aws, Error};
use farebox_core::Timestamp;
use farebox_ledger::update::DUE;
use farebox_ledger::{Key, Table};

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

//! DynamoDB by ledger values: one request a call.

use aws_sdk_dynamodb as dynamodb;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    Delete, KeysAndAttributes, Put, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use farebox_ledger::{Answer, Item, Key, Table, Transaction, Update, Verdict, Write};

use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{
    Attributes, Failure, Written, attributes, cancelled_by, classify, condition, key_attributes,
    names, tenths, values,
};

/// How often a request off the money path is sent before it fails.
const TRIES: u32 = 3;
/// Keys that one batch takes (DynamoDB's limit).
const BATCH_MAX: usize = 100;
const TOTAL: ReturnConsumedCapacity = ReturnConsumedCapacity::Total;
const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// DynamoDB by ledger values: one request a call, nothing is sent again.
#[derive(Clone)]
pub struct Store {
    aws: Aws,
    client: dynamodb::Client,
}

impl Store {
    /// With the limits of the money path.
    #[must_use]
    pub fn money(aws: &Aws) -> Self {
        Self { aws: aws.clone(), client: aws.money().clone() }
    }

    /// With patience, for everything else.
    #[must_use]
    pub fn patient(aws: &Aws) -> Self {
        Self { aws: aws.clone(), client: aws.dynamodb().clone() }
    }

    /// Sends a conditional write once.
    pub async fn write(&self, update: &Update) -> Written {
        match &update.write {
            // Boxed: the SDK's futures are kilobytes deep, and callers hold many at once.
            Write::Update(expression) => Box::pin(self.update(update, expression)).await,
            Write::Put(item) => Box::pin(self.put(update, item)).await,
            Write::Delete => Box::pin(self.delete(update)).await,
        }
    }

    /// Sends a transaction once, without a client token (W7). One action alone is a plain write,
    /// at half the price.
    pub async fn transact(&self, transaction: &Transaction) -> Written {
        if let [only] = transaction.actions.as_slice() {
            return self.write(only).await;
        }
        let actions: Result<Vec<_>, _> =
            transaction.actions.iter().map(|action| self.action(action)).collect();
        let actions = match actions {
            Ok(actions) => actions,
            Err(failure) => return Written::failed(failure, None),
        };
        let request = self.client.transact_write_items();
        let request = request.set_transact_items(Some(actions)).return_consumed_capacity(TOTAL);
        match Box::pin(request.send()).await {
            Ok(answer) => Written::applied(None, &answer.consumed_capacity.unwrap_or_default()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    cancelled_by(cancelled.cancellation_reasons())
                }
                _ => Written::failed(classify(&error), None),
            },
        }
    }

    /// Reads one item, once, with what it took in tenths of a unit.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn read(
        &self,
        key: &Key,
        is_consistent: bool,
    ) -> Result<(Option<Attributes>, u32), Failure> {
        let request = self.client.get_item().table_name(self.table(key.table));
        let request = request.set_key(Some(key_attributes(key))).consistent_read(is_consistent);
        let answer = Box::pin(request.return_consumed_capacity(TOTAL).send()).await;
        let answer = answer.map_err(|error| classify(&error))?;
        Ok((answer.item, tenths(answer.consumed_capacity.as_slice())))
    }

    /// Reads one item off the money path; a failure that may pass is tried again.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Refused`].
    pub async fn fetch(&self, key: &Key) -> Result<Option<Attributes>, Error> {
        Ok(again("GetItem", || self.read(key, true)).await?.0)
    }

    /// Reads items of one table, strongly consistent, in no order; absent ones are left out.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Refused`].
    pub async fn batch(&self, keys: &[Key]) -> Result<Vec<Attributes>, Error> {
        self.batch_counted(keys, &mut 0).await
    }

    /// The same; adds the capacity units that it used, in tenths.
    pub(crate) async fn batch_counted(
        &self,
        keys: &[Key],
        capacity_tenths: &mut u32,
    ) -> Result<Vec<Attributes>, Error> {
        let mut found = Vec::new();
        for keys in keys.chunks(BATCH_MAX) {
            let table = keys.first().map_or(Table::Ledger, |key| key.table);
            let mut wanted: Vec<_> = keys.iter().map(key_attributes).collect();
            let mut rounds = 0;
            while !wanted.is_empty() {
                let answer = again("BatchGetItem", || self.batch_once(table, &wanted)).await?;
                *capacity_tenths = capacity_tenths.saturating_add(answer.2);
                found.extend(answer.0);
                wanted = answer.1;
                rounds += 1;
                if rounds > TRIES && !wanted.is_empty() {
                    let cause = "some keys were never read".to_owned();
                    return Err(Error::Unavailable { operation: "BatchGetItem", cause });
                }
            }
        }
        Ok(found)
    }

    /// What one request finds, the keys that it left out, and what it used.
    async fn batch_once(
        &self,
        table: Table,
        keys: &[Attributes],
    ) -> Result<(Vec<Attributes>, Vec<Attributes>, u32), Failure> {
        let table = self.table(table);
        let wanted = KeysAndAttributes::builder();
        let wanted = wanted.set_keys(Some(keys.to_vec())).consistent_read(true).build();
        let wanted = wanted.map_err(|error| Failure::Rejected(error.to_string()))?;
        let request = self.client.batch_get_item().request_items(table, wanted);
        let answer = Box::pin(request.return_consumed_capacity(TOTAL).send()).await;
        let answer = answer.map_err(|error| classify(&error))?;
        let used = tenths(&answer.consumed_capacity.unwrap_or_default());
        let found = answer.responses.and_then(|mut by_table| by_table.remove(table));
        let left = answer.unprocessed_keys.and_then(|mut by_table| by_table.remove(table));
        let left = left.map(|left| left.keys).unwrap_or_default();
        Ok((found.unwrap_or_default(), left, used))
    }

    /// Writes off the money path; a failure that may pass is tried again, so the condition must
    /// make a repeat harmless. False where the condition failed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Refused`].
    pub async fn record(&self, update: &Update) -> Result<bool, Error> {
        let written = again("Write", || async {
            match self.write(update).await.failure {
                None => Ok(true),
                Some(Failure::ConditionFailed) => Ok(false),
                Some(failure) => Err(failure),
            }
        });
        written.await
    }

    /// Writes some items together off the money path, as [`Store::record`]. False where a
    /// condition failed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Refused`].
    pub async fn record_all(&self, transaction: &Transaction) -> Result<bool, Error> {
        let written = again("TransactWriteItems", || async {
            let written = self.transact(transaction).await;
            match (written.failure, written.answer) {
                (None, _) => Ok(true),
                (Some(Failure::ConditionFailed), _) => Ok(false),
                (Some(Failure::Cancelled), Answer::Cancelled(verdicts)) => {
                    let is_known = |verdict| matches!(verdict, &Verdict::ConditionFailed(_));
                    let conflict = || Failure::Throttled("TransactionConflict".to_owned());
                    if verdicts.iter().any(is_known) { Ok(false) } else { Err(conflict()) }
                }
                (Some(failure), _) => Err(failure),
            }
        });
        written.await
    }

    /// The name of a table in this deployment.
    #[must_use]
    pub fn table(&self, table: Table) -> &str {
        let config = self.aws.config();
        match table {
            Table::Ledger => &config.ledger_table,
            Table::Main => &config.main_table,
            Table::Logs => &config.logs_table,
        }
    }

    async fn update(&self, update: &Update, expression: &str) -> Written {
        let request = self.client.update_item().table_name(self.table(update.key.table));
        let answer = request
            .set_key(Some(key_attributes(&update.key)))
            .update_expression(expression)
            .set_condition_expression(condition(update))
            .set_expression_attribute_names(names(update))
            .set_expression_attribute_values(values(update))
            // Not NONE: the counters after the write make the `x-farebox-room-usd` headers
            // without a read, and cost nothing.
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ALL_OLD)
            .return_consumed_capacity(TOTAL)
            .send()
            .await;
        match answer {
            Ok(answer) => Written::applied(answer.attributes, answer.consumed_capacity.as_slice()),
            Err(error) => {
                use dynamodb::operation::update_item::UpdateItemError as Update;
                let old = match error.as_service_error() {
                    Some(Update::ConditionalCheckFailedException(old)) => old.item.clone(),
                    _ => None,
                };
                Written::failed(classify(&error), old)
            }
        }
    }

    async fn put(&self, update: &Update, item: &Item) -> Written {
        let request = self.client.put_item().table_name(self.table(update.key.table));
        let answer = request
            .set_item(Some(attributes(item)))
            .set_condition_expression(condition(update))
            .set_expression_attribute_names(names(update))
            .set_expression_attribute_values(values(update))
            .return_values_on_condition_check_failure(ALL_OLD)
            .return_consumed_capacity(TOTAL)
            .send()
            .await;
        match answer {
            Ok(answer) => Written::applied(None, answer.consumed_capacity.as_slice()),
            Err(error) => {
                use dynamodb::operation::put_item::PutItemError as Put;
                let old = match error.as_service_error() {
                    Some(Put::ConditionalCheckFailedException(old)) => old.item.clone(),
                    _ => None,
                };
                Written::failed(classify(&error), old)
            }
        }
    }

    async fn delete(&self, update: &Update) -> Written {
        let request = self.client.delete_item().table_name(self.table(update.key.table));
        let answer = request
            .set_key(Some(key_attributes(&update.key)))
            .set_condition_expression(condition(update))
            .set_expression_attribute_names(names(update))
            .set_expression_attribute_values(values(update))
            .return_consumed_capacity(TOTAL)
            .send()
            .await;
        match answer {
            Ok(answer) => Written::applied(None, answer.consumed_capacity.as_slice()),
            Err(error) => Written::failed(classify(&error), None),
        }
    }

    fn action(&self, update: &Update) -> Result<TransactWriteItem, Failure> {
        let table = self.table(update.key.table);
        let unbuilt = |error: dynamodb::error::BuildError| Failure::Rejected(error.to_string());
        let item = TransactWriteItem::builder();
        let item = match &update.write {
            Write::Update(expression) => item.update(
                dynamodb::types::Update::builder()
                    .table_name(table)
                    .set_key(Some(key_attributes(&update.key)))
                    .update_expression(expression)
                    .set_condition_expression(condition(update))
                    .set_expression_attribute_names(names(update))
                    .set_expression_attribute_values(values(update))
                    .return_values_on_condition_check_failure(ALL_OLD)
                    .build()
                    .map_err(unbuilt)?,
            ),
            Write::Put(fields) => item.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(attributes(fields)))
                    .set_condition_expression(condition(update))
                    .set_expression_attribute_names(names(update))
                    .set_expression_attribute_values(values(update))
                    .return_values_on_condition_check_failure(ALL_OLD)
                    .build()
                    .map_err(unbuilt)?,
            ),
            Write::Delete => item.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key_attributes(&update.key)))
                    .set_condition_expression(condition(update))
                    .set_expression_attribute_names(names(update))
                    .set_expression_attribute_values(values(update))
                    .build()
                    .map_err(unbuilt)?,
            ),
        };
        Ok(item.build())
    }
}

/// Sends a request off the money path up to three times, where a repeat is harmless.
///
/// # Errors
/// The last failure.
pub async fn again<T, F: Future<Output = Result<T, Failure>>>(
    operation: &'static str,
    request: impl Fn() -> F,
) -> Result<T, Error> {
    let mut tries = 1;
    loop {
        match Box::pin(request()).await {
            Ok(value) => return Ok(value),
            Err(failure) if tries < TRIES && failure.may_pass() => {
                let wait = 20_u64 << tries;
                tokio::time::sleep(core::time::Duration::from_millis(wait)).await;
                tries += 1;
            }
            Err(failure) => return Err(failure.error(operation)),
        }
    }
}

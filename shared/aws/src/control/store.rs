//! Reads and conditional writes of the tables off the money path, and secrets.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use farebox_core::{Error, Secret, Timestamp};

use super::audit::Trail;
use super::{Expected, Listed, PAGE_MAX};
use crate::Aws;
use crate::expression::{Failure, Store as LedgerStore, again, classify};

/// The attributes of an item.
pub type Attributes = HashMap<String, AttributeValue>;

/// Queries of one page of a list with a filter, each of [`PAGE_MAX`] rows.
pub(super) const QUERIES_MAX: usize = 40;
/// Rounds in which a batch read is completed.
const BATCH_ROUNDS_MAX: usize = 5;

/// The tables and secrets of the control plane. Reads need nothing; every write leaves a trail
/// first, and without one there is no write.
#[derive(Clone)]
pub struct Store {
    aws: Aws,
    trail: Option<Trail>,
}

/// One conditional change of an item of `main`.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    pk: String,
    sk: String,
    expression: String,
    condition: String,
    names: HashMap<String, String>,
    values: Attributes,
}

impl Changed {
    /// A change of one item.
    pub fn new(pk: &str, sk: &str, expression: &str, condition: &str) -> Self {
        Self {
            pk: pk.to_owned(),
            sk: sk.to_owned(),
            expression: expression.to_owned(),
            condition: condition.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a condition.
    pub fn require(mut self, condition: &str) -> Self {
        self.condition = match self.condition.is_empty() {
            true => condition.to_owned(),
            false => format!("{} AND {condition}", self.condition),
        };
        self
    }

    /// Names an attribute by placeholder.
    pub fn name(mut self, placeholder: &str, name: &str) -> Self {
        self.names.insert(placeholder.to_owned(), name.to_owned());
        self
    }

    /// Gives a value by placeholder.
    pub fn value(mut self, placeholder: &str, value: AttributeValue) -> Self {
        self.values.insert(placeholder.to_owned(), value);
        self
    }
}

impl Store {
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), trail: None }
    }

    /// The same store in somebody's name.
    pub fn on_trail(&self, trail: Trail) -> Self {
        Self { aws: self.aws.clone(), trail: Some(trail) }
    }

    pub const fn aws(&self) -> &Aws {
        &self.aws
    }

    fn main(&self) -> &str {
        &self.aws.config().main_table
    }

    /// In whose name writes are made.
    pub fn actor(&self) -> &str {
        self.trail.as_ref().map_or("", Trail::actor)
    }

    /// What every write does first.
    pub async fn begin(&self) -> Result<(), Error> {
        match &self.trail {
            Some(trail) => trail.begin(self).await,
            None => Err(Error::internal("a change without a trail")),
        }
    }

    /// Writes by ledger values.
    pub async fn ledger(&self) -> Result<LedgerStore, Error> {
        self.begin().await?;
        Ok(LedgerStore::patient(&self.aws))
    }

    /// An item of the trail itself, which is there already or is written.
    pub(super) async fn put_once(&self, item: Attributes) -> Result<(), Error> {
        let request = self.aws.dynamodb().put_item().table_name(self.main());
        let request = request.set_item(Some(item));
        let request = request.condition_expression("attribute_not_exists(pk)");
        let written = again("PutItem", || async {
            match request.clone().send().await.map_err(|error| classify(&error)) {
                Ok(_) | Err(Failure::ConditionFailed) => Ok(()),
                Err(failure) => Err(failure),
            }
        });
        Ok(written.await?)
    }

    /// Tells that something was used, which nobody decides and no trail tells. What ended
    /// meanwhile stays so.
    pub(super) async fn touch(&self, pk: &str, sk: &str, now: Timestamp) -> Result<(), Error> {
        let request = self.aws.dynamodb().update_item().table_name(self.main());
        let request = request
            .set_key(Some(key(pk, sk)))
            .update_expression("SET seen = :now")
            .condition_expression("st = :A")
            .expression_attribute_values(":now", number(now.seconds()))
            .expression_attribute_values(":A", text("A"));
        applied("UpdateItem", request.send().await).map(drop)
    }

    /// Items of a partition of `main` below a sort key, the last first, and whether there are
    /// more; strongly consistent.
    pub async fn newest(
        &self,
        pk: &str,
        below: &str,
        limit: u32,
    ) -> Result<(Vec<Attributes>, bool), Error> {
        let request = self
            .aws
            .dynamodb()
            .query()
            .table_name(self.main())
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression("pk = :pk AND sk < :below")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":below", text(below));
        let answer = again("Query", || async {
            request.clone().send().await.map_err(|error| classify(&error))
        });
        let answer = answer.await?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.is_some()))
    }

    /// One item of `main`, strongly consistent.
    pub async fn get(&self, pk: &str, sk: &str) -> Result<Option<Attributes>, Error> {
        let request = self.aws.dynamodb().get_item().table_name(self.main()).consistent_read(true);
        let request = request.set_key(Some(key(pk, sk)));
        let answer = again("GetItem", || async {
            request.clone().send().await.map_err(|error| classify(&error))
        });
        Ok(answer.await?.item)
    }

    /// A page of a partition of `main`, strongly consistent: the rows after the sort key
    /// `after`, and the last sort key where there is more.
    pub async fn query(
        &self,
        pk: &str,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Attributes>, Option<String>), Error> {
        let begins = ("pk = :pk AND begins_with(sk, :bound)", prefix);
        let keys = if prefix.is_empty() { ("pk = :pk", prefix) } else { begins };
        // A start outside of the list is an error of DynamoDB's; here it is the caller's.
        if after.is_some_and(|after| !after.starts_with(prefix)) {
            return Err(crate::Error::Cursor.into());
        }
        self.page(pk, keys, after, limit).await
    }

    /// A page of what `read` takes of a partition. Where that `is_sparse` it reads on until the
    /// page is full, nothing is left, or [`QUERIES_MAX`] queries are spent: then a page has fewer
    /// rows, and goes on from there.
    pub async fn search<T>(
        &self,
        (pk, prefix): (&str, &str),
        (limit, cursor): (u32, Option<&str>),
        is_sparse: bool,
        read: impl Fn(&Attributes) -> Option<T>,
    ) -> Result<Listed<T>, Error> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let size = if is_sparse { PAGE_MAX } else { limit };
        let (mut rows, mut next) = (Vec::new(), cursor.map(str::to_owned));
        for _ in 0..QUERIES_MAX {
            let (items, more) = self.query(pk, prefix, next.as_deref(), size).await?;
            for (place, item) in items.iter().enumerate() {
                rows.extend(read(item));
                if rows.len() == wanted {
                    let is_last = more.is_none() && place.saturating_add(1) == items.len();
                    let next = if is_last { None } else { read_text(item, "sk") };
                    return Ok(Listed { rows, next });
                }
            }
            next = more;
            if next.is_none() || !is_sparse {
                break;
            }
        }
        Ok(Listed { rows, next })
    }

    /// As [`Store::query`], of the rows whose sort key is not below `from`.
    pub async fn query_from(
        &self,
        pk: &str,
        from: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Attributes>, Option<String>), Error> {
        if after.is_some_and(|after| after < from) {
            return Err(crate::Error::Cursor.into());
        }
        self.page(pk, ("pk = :pk AND sk >= :bound", from), after, limit).await
    }

    async fn page(
        &self,
        pk: &str,
        (keys, bound): (&str, &str),
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Attributes>, Option<String>), Error> {
        let mut request = self
            .aws
            .dynamodb()
            .query()
            .table_name(self.main())
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression(keys)
            .expression_attribute_values(":pk", text(pk));
        if !bound.is_empty() {
            request = request.expression_attribute_values(":bound", text(bound));
        }
        if let Some(after) = after {
            request = request.set_exclusive_start_key(Some(key(pk, after)));
        }
        let answer = again("Query", || async {
            request.clone().send().await.map_err(|error| classify(&error))
        });
        let answer = answer.await?;
        let last = answer.last_evaluated_key.as_ref().and_then(|key| read_text(key, "sk"));
        Ok((answer.items.unwrap_or_default(), last))
    }

    /// Up to a hundred items of one table, strongly consistent, in no order.
    pub async fn batch(
        &self,
        table: &str,
        keys: Vec<(String, String)>,
    ) -> Result<Vec<Attributes>, Error> {
        let mut items = Vec::new();
        let mut wanted: Vec<Attributes> = keys.iter().map(|(pk, sk)| key(pk, sk)).collect();
        for _ in 0..BATCH_ROUNDS_MAX {
            if wanted.is_empty() {
                return Ok(items);
            }
            let request =
                KeysAndAttributes::builder().consistent_read(true).set_keys(Some(wanted)).build();
            let request = request.map_err(Error::internal)?;
            let request = self.aws.dynamodb().batch_get_item().request_items(table, request);
            let answer = again("BatchGetItem", || async {
                request.clone().send().await.map_err(|error| classify(&error))
            });
            let answer = answer.await?;
            items.extend(answer.responses.unwrap_or_default().remove(table).unwrap_or_default());
            let left = answer.unprocessed_keys.unwrap_or_default().remove(table);
            wanted = left.map(|left| left.keys).unwrap_or_default();
        }
        Err(Error::LedgerUnavailable { cause: "BatchGetItem left keys unread".to_owned() })
    }

    /// Writes a whole item of `main`; `false` where the condition does not hold.
    pub async fn put(&self, item: Attributes, condition: Option<&str>) -> Result<bool, Error> {
        self.begin().await?;
        let request = self.aws.dynamodb().put_item().table_name(self.main()).set_item(Some(item));
        let request = request.set_condition_expression(condition.map(str::to_owned));
        applied("PutItem", request.send().await)
    }

    /// Changes an item of `main`; its new attributes, or `None` where the condition does not
    /// hold.
    pub async fn change(&self, change: Changed) -> Result<Option<Attributes>, Error> {
        self.begin().await?;
        let names = Some(change.names).filter(|names| !names.is_empty());
        let values = Some(change.values).filter(|values| !values.is_empty());
        let condition = Some(change.condition).filter(|condition| !condition.is_empty());
        let request = self
            .aws
            .dynamodb()
            .update_item()
            .table_name(self.main())
            .set_key(Some(key(&change.pk, &change.sk)))
            .update_expression(change.expression)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew);
        match request.send().await {
            Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
            Err(error) if is_condition(&error) => Ok(None),
            Err(error) => Err(failed("UpdateItem", &error)),
        }
    }

    /// Deletes an item of `main` whose version `attribute` holds; `false` where there is none of
    /// that version.
    pub async fn delete(
        &self,
        pk: &str,
        sk: &str,
        attribute: &str,
        expected: Expected,
    ) -> Result<bool, Error> {
        self.begin().await?;
        let change =
            expected.guard(Changed::new(pk, sk, "", "attribute_exists(pk)"), attribute, false);
        let names = Some(change.names).filter(|names| !names.is_empty());
        let values = Some(change.values).filter(|values| !values.is_empty());
        let request = self.aws.dynamodb().delete_item().table_name(self.main());
        let request = request.set_key(Some(key(pk, sk)));
        let request = request.condition_expression(change.condition);
        let request = request.set_expression_attribute_names(names);
        let request = request.set_expression_attribute_values(values);
        applied("DeleteItem", request.send().await)
    }

    /// Writes a secret, and makes it where there is none.
    pub async fn put_secret(&self, name: &str, secret: &Secret) -> Result<(), Error> {
        self.begin().await?;
        let request = self.aws.secrets().put_secret_value().secret_id(name);
        match request.secret_string(secret.expose()).send().await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some("ResourceNotFoundException") => {}
            Err(error) => return Err(failed("PutSecretValue", &error)),
        }
        let request = self.aws.secrets().create_secret().name(name).secret_string(secret.expose());
        request.send().await.map_err(|error| failed("CreateSecret", &error))?;
        Ok(())
    }
}

/// The service's error as Farebox's.
fn failed<E: ProvideErrorMetadata>(
    operation: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> Error {
    classify(error).error(operation).into()
}

fn is_condition<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    classify(error) == Failure::ConditionFailed
}

fn applied<T, E: ProvideErrorMetadata>(
    operation: &'static str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if is_condition(&error) => Ok(false),
        Err(error) => Err(failed(operation, &error)),
    }
}

/// An item's key.
pub fn key(pk: &str, sk: &str) -> Attributes {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// A text attribute.
pub fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// A number attribute.
pub fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// A list of texts.
pub fn texts<T: ToString>(values: &[T]) -> AttributeValue {
    AttributeValue::L(values.iter().map(|value| AttributeValue::S(value.to_string())).collect())
}

/// A map of texts.
pub fn map(values: impl IntoIterator<Item = (String, AttributeValue)>) -> AttributeValue {
    AttributeValue::M(values.into_iter().collect())
}

/// Reads a text.
pub fn read_text(item: &Attributes, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

/// Reads a number.
pub fn read_number<T: core::str::FromStr>(item: &Attributes, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// Reads a list of texts.
pub fn read_texts(item: &Attributes, name: &str) -> Option<Vec<String>> {
    let list = item.get(name)?.as_l().ok()?;
    Some(list.iter().filter_map(|value| value.as_s().ok().cloned()).collect())
}

/// Reads a map of anything.
pub fn read_map<'item>(item: &'item Attributes, name: &str) -> Option<&'item Attributes> {
    item.get(name)?.as_m().ok()
}

/// A stored item that is not what Farebox writes.
pub fn malformed(thing: &str, name: &str) -> Error {
    crate::Error::malformed(thing, name).into()
}

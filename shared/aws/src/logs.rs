//! The table `logs`: one row a call.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farebox_core::{CallRecord, Day, EntityId, Outcome, Rid, ScopeKind};
use farebox_ledger::{Key, Table};

use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{Attributes, Store, again, classify};

mod search;

pub use search::{Search, Whose};

/// Seconds that a row is kept.
pub(crate) const KEPT_S: i64 = 90 * 86_400;
/// Rows of one page.
const PAGE_MAX: u32 = 100;
/// Days that one request looks back for its rows.
const DAYS_MAX: u32 = 31;

/// Call records as rows.
pub struct Logs {
    aws: Aws,
}

/// Some rows, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The records.
    pub rows: Vec<CallRecord>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Where a page begins: a row that was seen, or a day of which none was.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cursor {
    After { pk: String, rid: Rid },
    Day(Day),
}

/// Where a query of an index begins.
enum Start {
    /// At the newest row.
    Newest,
    /// At the row before this one.
    After(String, Rid),
    /// At this row, or where it would be.
    At(Rid),
}

impl Logs {
    /// The rows of a deployment.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone() }
    }

    /// The calls of a key, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn by_key(
        &self,
        key: &EntityId,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page, Error> {
        let start = match cursor.map(Cursor::decode).transpose()? {
            None => Start::Newest,
            Some(Cursor::After { pk, rid }) => Start::After(pk, rid),
            Some(Cursor::Day(_)) => return Err(Error::Cursor),
        };
        let limit = limit.clamp(1, PAGE_MAX);
        let (keys, has_more) = self.index("bykey", "keyid", key.as_str(), limit, start).await?;
        let next = keys.last().filter(|_| has_more).map(Cursor::after);
        Ok(Page { rows: self.rows(&keys).await?, next })
    }

    /// One call of a user, or one correction of its own books.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn own(&self, user: &EntityId, id: Rid) -> Result<Option<CallRecord>, Error> {
        Ok(self.get(user, id).await?.filter(|row| is_of(user, row)))
    }

    /// All calls of the UTC days from the last one backwards to the first, newest first. Looks
    /// back at most 31 days at a time; `next` goes on from there.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn between(
        &self,
        first: Day,
        last: Day,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page, Error> {
        let limit = limit.clamp(1, PAGE_MAX);
        let (mut day, mut start) = match cursor.map(Cursor::decode).transpose()? {
            None => (last, Start::Newest),
            Some(Cursor::Day(day)) => (day, Start::Newest),
            Some(Cursor::After { pk, rid }) => (rid.made_at().utc_day(), Start::After(pk, rid)),
        };
        let mut keys = Vec::new();
        for _ in 0..DAYS_MAX {
            if day < first {
                break;
            }
            let wanted = limit.saturating_sub(u32::try_from(keys.len()).unwrap_or(limit));
            let partition = format!("{}#{day}", self.aws.config().tenant);
            let start = core::mem::replace(&mut start, Start::Newest);
            let found = self.index("byday", "d", &partition, wanted, start).await?;
            keys.extend(found.0);
            if found.1 || keys.len() >= limit as usize {
                let next = keys.last().map(Cursor::after);
                return Ok(Page { rows: self.rows(&keys).await?, next });
            }
            day = day.previous();
        }
        let next = (day >= first).then(|| Cursor::Day(day).encode());
        Ok(Page { rows: self.rows(&keys).await?, next })
    }

    /// One call of a user.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get(&self, user: &EntityId, id: Rid) -> Result<Option<CallRecord>, Error> {
        let pk = partition_of(&self.aws.config().tenant, user, id);
        let key = Key { table: Table::Logs, pk, sk: id.to_string() };
        let found = Store::patient(&self.aws).fetch(&key).await?;
        found.map(|found| record(&found)).transpose()
    }

    /// One call, whoever made it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn find(&self, id: Rid) -> Result<Option<CallRecord>, Error> {
        let partition = format!("{}#{}", self.aws.config().tenant, id.made_at().utc_day());
        // Where the row would be: it is the first one at or before its own id.
        let (keys, _) = self.index("byday", "d", &partition, 1, Start::At(id)).await?;
        let keys: Vec<Key> = keys.into_iter().filter(|key| key.sk == id.to_string()).collect();
        Ok(self.rows(&keys).await?.pop())
    }

    /// Keys of rows by an index, newest first, and whether there are more.
    async fn index(
        &self,
        index: &str,
        attribute: &str,
        value: &str,
        limit: u32,
        start: Start,
    ) -> Result<(Vec<Key>, bool), Error> {
        let (after, at) = match start {
            Start::Newest => (None, None),
            Start::After(pk, rid) => (Some((pk, rid)), None),
            Start::At(rid) => (None, Some(AttributeValue::S(rid.to_string()))),
        };
        let start = after.map(|(pk, rid)| {
            // The sort key of `bykey` and `byday` alike is the rid, which is also the row's.
            Attributes::from([
                (attribute.to_owned(), AttributeValue::S(value.to_owned())),
                ("rid".to_owned(), AttributeValue::S(rid.to_string())),
                ("pk".to_owned(), AttributeValue::S(pk)),
                ("sk".to_owned(), AttributeValue::S(rid.to_string())),
            ])
        });
        let page = again("Query", || async {
            let query = self.aws.dynamodb().query().table_name(&self.aws.config().logs_table);
            let condition = if at.is_some() { "#k = :k AND rid <= :rid" } else { "#k = :k" };
            let query = query.index_name(index).key_condition_expression(condition);
            let query = at
                .iter()
                .fold(query, |query, rid| query.expression_attribute_values(":rid", rid.clone()));
            let query = query.expression_attribute_names("#k", attribute);
            let value = AttributeValue::S(value.to_owned());
            let query = query.expression_attribute_values(":k", value).scan_index_forward(false);
            let query = query.limit(i32::try_from(limit).unwrap_or(1));
            let query = query.set_exclusive_start_key(start.clone());
            query.send().await.map_err(|error| classify(&error))
        });
        let page = page.await?;
        let keys = page.items.unwrap_or_default().into_iter().filter_map(|mut row| {
            let mut text = |name: &str| match row.remove(name) {
                Some(AttributeValue::S(text)) => Some(text),
                _ => None,
            };
            Some(Key { table: Table::Logs, pk: text("pk")?, sk: text("sk")? })
        });
        Ok((keys.collect(), page.last_evaluated_key.is_some()))
    }

    /// The rows of keys, in their order; a row that expired meanwhile is left out.
    async fn rows(&self, keys: &[Key]) -> Result<Vec<CallRecord>, Error> {
        let found = Store::patient(&self.aws).batch(keys).await?;
        let mut rows = found.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        rows.sort_by_key(|row| core::cmp::Reverse(row.request_id));
        Ok(rows)
    }
}

impl Cursor {
    fn after(key: &Key) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}\n{}", key.sk, key.pk))
    }

    fn encode(&self) -> String {
        match self {
            Self::After { pk, rid } => URL_SAFE_NO_PAD.encode(format!("{rid}\n{pk}")),
            Self::Day(day) => URL_SAFE_NO_PAD.encode(day.to_string()),
        }
    }

    fn decode(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Cursor)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::Cursor)?;
        if let Some((rid, pk)) = text.split_once('\n') {
            let rid = rid.parse().map_err(|_| Error::Cursor)?;
            return Ok(Self::After { pk: pk.to_owned(), rid });
        }
        let day = text.parse().ok().and_then(|number| Day::from_number(number).ok());
        day.map(Self::Day).ok_or(Error::Cursor)
    }
}

/// The partition of a user's calls of one day.
pub(crate) fn partition_of(tenant: &str, user: &EntityId, id: Rid) -> String {
    format!("U#{tenant}#{user}#{}", id.made_at().utc_day())
}

/// Whether a row of a user's partition is the user's to see: the books of a team or an
/// organisation of the same name are not.
fn is_of(user: &EntityId, row: &CallRecord) -> bool {
    row.outcome != Outcome::Correction
        || row.parts.iter().any(|part| match part.scope.kind {
            ScopeKind::User => part.scope.id == *user,
            ScopeKind::Key => true,
            ScopeKind::Org | ScopeKind::Team => false,
        })
}

/// The record of a row.
pub(crate) fn record(row: &Attributes) -> Result<CallRecord, Error> {
    let text = row.get("rec").and_then(|rec| rec.as_s().ok());
    let text = text.ok_or_else(|| Error::malformed("a log row", "no rec"))?;
    serde_json::from_str(text).map_err(|error| Error::malformed("a log row", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever corrects, adds up or replays a row learns from them what stands in the books.
    #[test]
    fn receipts_and_tombstones_outlive_the_row_of_their_call() {
        use farebox_core::Money;
        use farebox_ledger::{Attr, Owner, Reach, Write, update};

        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let (made, day) = (rid.made_at(), Day::from_number(20_261_123).unwrap());
        let owner = Owner::new("main", "user:u1".parse().unwrap());
        let hold = "5.20261123.900".parse().unwrap();
        let swept = update::sweep(&owner, rid, &hold, made).actions.remove(1);
        let (cost, reach) = (Money::ONE_PICO, Reach::Open);
        let unheld = update::unheld_charge(&owner, rid, day, cost, reach, made).actions.remove(0);

        for put in [swept, unheld] {
            let Write::Put(item) = put.write else { panic!("not a put") };
            let Attr::N(ttl) = item["ttl"] else { panic!("no ttl") };
            assert!(ttl > i128::from(made.seconds() + KEPT_S), "{item:?}");
        }
    }

    #[test]
    fn a_cursor_round_trips_and_nothing_else_is_one() {
        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let day = Day::from_number(20_261_123).unwrap();
        for cursor in [Cursor::After { pk: "U#a#b".to_owned(), rid }, Cursor::Day(day)] {
            assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        }
        for text in ["", "!", "AAAA"] {
            assert_eq!(Cursor::decode(text), Err(Error::Cursor), "{text:?}");
        }
    }
}

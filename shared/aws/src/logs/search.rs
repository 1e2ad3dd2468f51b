//! Rows by who called, when, and whatever else they must be.
//!
//! Rows lie in partitions of a day, sorted by their ids, which begin with a time. So whose and
//! when are asked of DynamoDB; the rest is looked for in what it finds, until the page is full.

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::{CallRecord, Day, EntityId, Rid, Timestamp};
use farebox_ledger::{Key, Table};

use super::{KEPT_S, Logs, PAGE_MAX, Page, is_of, record};
use crate::error::Error;
use crate::expression::{Attributes, again, classify};

/// Queries of one search; each finds at most [`PAGE_MAX`] rows of at most one day.
const QUERIES_MAX: u32 = 40;
const HALF_A_DAY_MS: i64 = 43_200_000;

/// Whose rows.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'id> {
    /// All of them.
    All,
    /// The calls of a user and the corrections of its own books.
    User(&'id EntityId),
    /// The calls of a key.
    Key(&'id EntityId),
}

/// What a row must be besides.
pub type Fits<'row> = dyn Fn(&CallRecord) -> bool + Send + Sync + 'row;

/// What is looked for.
pub struct Search<'ask> {
    /// Whose rows.
    pub whose: Whose<'ask>,
    /// Those made from then on.
    pub from: Option<Timestamp>,
    /// Those made before.
    pub to: Option<Timestamp>,
    /// What they must be besides; `None` takes every row.
    pub fits: Option<&'ask Fits<'ask>>,
}

/// What one query has found.
struct Look {
    rows: Vec<CallRecord>,
    /// The oldest id that it has looked at, whether there is such a row or not.
    down_to: Rid,
}

impl Page {
    /// Where a search has ended that found more than fits into a page, or spent its queries.
    #[must_use]
    pub fn looked_back_to(&self) -> Option<Timestamp> {
        let next: Rid = self.next.as_ref()?.parse().ok()?;
        Some(next.made_at())
    }
}

impl Logs {
    /// The rows that fit, newest first. Reads on until the page is full, nothing is left, or
    /// `QUERIES_MAX` queries are spent: then `next` goes on from there, and the page may have
    /// fewer rows than `limit`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn search(
        &self,
        search: &Search<'_>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page, Error> {
        let limit = limit.clamp(1, PAGE_MAX);
        let now = self.aws.now();
        let kept = now.plus_ms(-KEPT_S * 1000);
        let first = Rid::new(search.from.map_or(kept, |from| from.max(kept)), 0);
        let tomorrow = now.utc_day().utc_noon().plus_ms(HALF_A_DAY_MS);
        let end = search.to.map_or(tomorrow, |to| to.min(tomorrow));
        let mut last = Rid::new(end, 0).previous();
        if let Some(cursor) = cursor {
            last = last.min(cursor.parse().map_err(|_| Error::Cursor)?);
        }
        let mut rows = Vec::new();
        for _ in 0..QUERIES_MAX {
            if last < first {
                return Ok(Page { rows, next: None });
            }
            let missing = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(limit));
            let wanted = if search.fits.is_some() { PAGE_MAX } else { missing };
            let look = self.look(search.whose, first, last, wanted).await?;
            last = look.down_to.previous();
            let oldest = look.rows.last().map(|row| row.request_id);
            for row in look.rows {
                if search.fits.is_some_and(|fits| !fits(&row)) {
                    continue;
                }
                let id = row.request_id;
                rows.push(row);
                if rows.len() >= limit as usize {
                    let rest = if Some(id) == oldest { last } else { id.previous() };
                    return Ok(Page { rows, next: (rest >= first).then(|| rest.to_string()) });
                }
            }
        }
        Ok(Page { rows, next: (last >= first).then(|| last.to_string()) })
    }

    /// The newest rows from one id to another: of one key, or of the day of the newer id.
    async fn look(
        &self,
        whose: Whose<'_>,
        first: Rid,
        last: Rid,
        limit: u32,
    ) -> Result<Look, Error> {
        let day = last.made_at().utc_day();
        let floor = first.max(start_of(day));
        let tenant = &self.aws.config().tenant;
        match whose {
            Whose::Key(key) => self.indexed("bykey", key.as_str(), (first, last), limit).await,
            Whose::All => {
                self.indexed("byday", &format!("{tenant}#{day}"), (floor, last), limit).await
            }
            Whose::User(user) => {
                let pk = format!("U#{tenant}#{user}#{day}");
                let (found, rest) = self.window(None, &pk, (floor, last), limit).await?;
                let rows = found.iter().map(record).collect::<Result<Vec<_>, _>>()?;
                let down_to = rest.unwrap_or(floor);
                Ok(Look {
                    rows: rows.into_iter().filter(|row| is_of(user, row)).collect(),
                    down_to,
                })
            }
        }
    }

    /// Rows by an index.
    async fn indexed(
        &self,
        index: &str,
        value: &str,
        window: (Rid, Rid),
        limit: u32,
    ) -> Result<Look, Error> {
        let (found, rest) = self.window(Some(index), value, window, limit).await?;
        let text = |row: &Attributes, name: &str| row.get(name)?.as_s().ok().cloned();
        let keys = found.iter().filter_map(|row| {
            Some(Key { table: Table::Logs, pk: text(row, "pk")?, sk: text(row, "sk")? })
        });
        let rows = self.rows(&keys.collect::<Vec<_>>()).await?;
        Ok(Look { rows, down_to: rest.unwrap_or(window.0) })
    }

    /// What one partition of the table, or of an index, has between two ids, the newest first;
    /// and the oldest id of it where there may be more.
    async fn window(
        &self,
        index: Option<&str>,
        value: &str,
        (first, last): (Rid, Rid),
        limit: u32,
    ) -> Result<(Vec<Attributes>, Option<Rid>), Error> {
        let (hash, range) = match index {
            None => ("pk", "sk"),
            Some("bykey") => ("keyid", "rid"),
            Some(_) => ("d", "rid"),
        };
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let page = again("Query", || async {
            let query = self.aws.dynamodb().query().table_name(&self.aws.config().logs_table);
            let query = query.set_index_name(index.map(str::to_owned)).scan_index_forward(false);
            let query = query.key_condition_expression("#k = :k AND #r BETWEEN :first AND :last");
            let query = query.expression_attribute_names("#k", hash);
            let query = query.expression_attribute_names("#r", range);
            let query = query.expression_attribute_values(":k", text(value));
            let query = query.expression_attribute_values(":first", text(&first.to_string()));
            let query = query.expression_attribute_values(":last", text(&last.to_string()));
            let query = query.limit(i32::try_from(limit).unwrap_or(1));
            query.send().await.map_err(|error| classify(&error))
        });
        let page = page.await?;
        let more = page.last_evaluated_key.as_ref().and_then(|key| key.get(range));
        let more = more.and_then(|more| more.as_s().ok()).map(|more| more.parse());
        let more = more.transpose().map_err(|error| Error::malformed("a log row's key", error))?;
        Ok((page.items.unwrap_or_default(), more))
    }
}

/// The least id of a day.
fn start_of(day: Day) -> Rid {
    Rid::new(day.utc_noon().plus_ms(-HALF_A_DAY_MS), 0)
}

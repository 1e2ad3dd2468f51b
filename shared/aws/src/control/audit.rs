//! Who changed what: two items a change, written once each and never again.
//!
//! The first says who is about to change what, and how it was; it is written before the change's
//! first write, and where it cannot be written there is no change. The second says what came of
//! it. A change whose second item is missing died half-way: it may be in force. The partitions
//! are UTC months, so that a list reads what it shows and no more.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::{Error, Month, Rid, Timestamp};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::store::{Attributes, Store, number, read_number, read_text, text};
use super::{Control, Listed};
use crate::Aws;

/// Sort keys are the request's id and one of these: the newest first, a change's end stands
/// before its beginning.
const BEGUN: &str = "a";
const ENDED: &str = "z";
/// Months that a list looks back where it is not told from when.
const MONTHS_BACK: u32 = 13;
/// Above every sort key.
const ALL: &str = "~";
/// Queries of one page: the months, and some pages that a filter emptied.
const QUERIES_MAX: usize = 20;
/// The longest `before` and `after`: an item has room for both.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Who is about to change what.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The request.
    pub id: Rid,
    /// Who: `admin-key:root`, `member:ada/k3f9a`, …
    pub actor: String,
    /// The role in which it acts.
    pub role: &'static str,
    /// The method of the request.
    pub action: String,
    /// The path of the request: what is changed.
    pub target: String,
    /// How it was, as the API shows it; null where it was not there.
    pub before: Value,
}

/// A change as the audit tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// The request.
    pub id: Rid,
    /// Who.
    pub actor: String,
    /// In which role.
    pub role: String,
    /// The method.
    pub action: String,
    /// The path.
    pub target: String,
    /// How it was.
    pub before: Value,
    /// How it ended; `None` where nobody told.
    pub end: Option<End>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The status of the answer; above 399 the change stopped half-way.
    pub status: u16,
    /// How it is now.
    pub after: Value,
}

/// Which changes a list shows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Of whom; with a `:` at its end, of all of that kind.
    pub actor: Option<String>,
    /// The method.
    pub action: Option<String>,
    /// What the path begins with.
    pub target: Option<String>,
}

/// The trail of one request: what its first write leaves before it.
#[derive(Clone)]
pub struct Trail(Arc<State>);

struct State {
    entry: Entry,
    pk: String,
    begun: OnceCell<()>,
}

impl Trail {
    /// Where the change of a request will be told.
    #[must_use]
    pub fn new(aws: &Aws, entry: Entry) -> Self {
        let pk = partition(&aws.config().tenant, entry.id.made_at().utc_day().month());
        Self(Arc::new(State { entry, pk, begun: OnceCell::new() }))
    }

    /// Who.
    pub(super) fn actor(&self) -> &str {
        &self.0.entry.actor
    }

    /// Tells the change once, before its first write.
    pub(super) async fn begin(&self, store: &Store) -> Result<(), Error> {
        let tell = || async {
            let entry = &self.0.entry;
            let fields = [
                ("actor", text(&entry.actor)),
                ("role", text(entry.role)),
                ("action", text(&entry.action)),
                ("target", text(&entry.target)),
                ("before", json(&entry.before)),
            ];
            self.put(store, BEGUN, fields).await
        };
        self.0.begun.get_or_try_init(tell).await.copied()
    }

    /// Tells what came of it, where it was begun. A failure is logged and not told to the caller:
    /// the change is in force, and the first item stands.
    pub async fn end(&self, control: &Control, end: End) {
        if self.0.begun.get().is_none() {
            return;
        }
        let fields = [("status", number(end.status)), ("after", json(&end.after))];
        if let Err(error) = self.put(&control.store, ENDED, fields).await {
            let (id, cause) = (self.0.entry.id, error.cause());
            tracing::error!(metric = "audit_unended", rid = %id, cause, "a change's end");
        }
    }

    async fn put<const N: usize>(
        &self,
        store: &Store,
        part: &str,
        fields: [(&str, AttributeValue); N],
    ) -> Result<(), Error> {
        let sk = format!("{}#{part}", self.0.entry.id);
        let mut item = super::store::key(&self.0.pk, &sk);
        item.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        // The id is this request's alone: what stands there is this item, written by an attempt
        // whose answer was lost.
        store.put_once(item).await
    }
}

impl Control {
    /// Tells the change of the trail, before whoever makes it without these tools makes it.
    ///
    /// # Errors
    /// Where it cannot be told: then it must not be made.
    pub async fn begin(&self) -> Result<(), Error> {
        self.store.begin().await
    }

    /// Performs what follows in somebody's name: its writes leave this trail.
    #[must_use]
    pub fn on_trail(&self, trail: Trail) -> Self {
        Self { store: self.store.on_trail(trail), ..self.clone() }
    }

    /// A page of changes, the newest first; of the last 13 months where the filter does not say
    /// from when. A page may have fewer rows than `limit`, and more behind it.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<AuditRow>, Error> {
        let today = self.aws().now().utc_day();
        let oldest = filter.from.map_or_else(
            || (0..MONTHS_BACK).fold(today.month(), |month, _| month.previous()),
            |from| from.utc_day().month(),
        );
        let (mut month, mut below) = match (cursor, filter.to) {
            (Some(cursor), _) => start(cursor)?,
            (None, Some(to)) => (to.utc_day().month(), Rid::new(to, 0).to_string()),
            (None, None) => (today.month(), ALL.to_owned()),
        };
        let mut rows = Vec::new();
        for _ in 0..QUERIES_MAX {
            if month < oldest {
                return Ok(Listed { rows, next: None });
            }
            // Two items a change, and one that tells whether the last one is whole.
            let wanted = limit.saturating_mul(2).saturating_add(1);
            let pk = partition(self.tenant(), month);
            let (items, has_more) = self.store.newest(&pk, &below, wanted).await?;
            let (read, next) = changes(&items, has_more);
            for row in read {
                if filter.from.is_some_and(|from| row.id.made_at() < from) {
                    return Ok(Listed { rows, next: None });
                }
                let after = format!("{month}.{}#", row.id);
                if filter.admits(&row) {
                    rows.push(row);
                }
                if u32::try_from(rows.len()).is_ok_and(|count| count >= limit) {
                    return Ok(Listed { rows, next: Some(after) });
                }
            }
            (month, below) = match next {
                Some(next) => (month, next),
                None => (month.previous(), ALL.to_owned()),
            };
        }
        Ok(Listed { rows, next: Some(format!("{month}.{below}")) })
    }
}

impl AuditFilter {
    fn admits(&self, row: &AuditRow) -> bool {
        let is_actor = self.actor.as_ref().is_none_or(|actor| {
            row.actor == *actor || (actor.ends_with(':') && row.actor.starts_with(actor))
        });
        let is_before = self.to.is_none_or(|to| row.id.made_at() < to);
        is_actor
            && is_before
            && self.action.as_ref().is_none_or(|action| row.action == *action)
            && self.target.as_ref().is_none_or(|target| row.target.starts_with(target))
    }
}

/// The changes of some items, the newest first, and where the rest begins. An end at the bottom
/// whose beginning was not read belongs to the rest.
fn changes(items: &[Attributes], has_more: bool) -> (Vec<AuditRow>, Option<String>) {
    let (mut rows, mut end, mut last) = (Vec::new(), None, None);
    for item in items {
        let Some(sk) = read_text(item, "sk") else { continue };
        let Some((id, part)) = sk.split_once('#') else { continue };
        let Ok(id) = id.parse::<Rid>() else { continue };
        if part == ENDED {
            let status = read_number(item, "status").unwrap_or_default();
            end = Some((id, End { status, after: value(item, "after") }));
            continue;
        }
        let known = |name| read_text(item, name).unwrap_or_default();
        rows.push(AuditRow {
            id,
            actor: known("actor"),
            role: known("role"),
            action: known("action"),
            target: known("target"),
            before: value(item, "before"),
            end: end.take().filter(|(of, _)| *of == id).map(|(_, end)| end),
        });
        last = Some(sk.clone());
    }
    (rows, last.filter(|_| has_more))
}

fn partition(tenant: &str, month: Month) -> String {
    format!("AU#{tenant}#{month}")
}

/// The month and the bound that a cursor says.
fn start(cursor: &str) -> Result<(Month, String), Error> {
    let read = || {
        let (month, below) = cursor.split_once('.')?;
        let month = Month::from_number(month.parse().ok()?).ok()?;
        let id = below.split('#').next()?;
        (below == ALL || id.parse::<Rid>().is_ok()).then(|| (month, below.to_owned()))
    };
    read().ok_or_else(|| crate::Error::Cursor.into())
}

fn json(value: &Value) -> AttributeValue {
    let written = value.to_string();
    if written.len() <= VALUE_BYTES_MAX {
        return text(&written);
    }
    text("{\"left_out\":\"longer than 64 KB\"}")
}

fn value(item: &Attributes, name: &str) -> Value {
    let written = read_text(item, name);
    written.and_then(|written| serde_json::from_str(&written).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F";
    const OLD: &str = "01KAQ4ZV0K7W1C9Y3T5B8D2E6F";

    fn item(sk: &str) -> Attributes {
        let mut item = super::super::store::key("AU#main#202611", sk);
        item.insert("actor".to_owned(), text("admin-key:root"));
        item.insert("after".to_owned(), text("{\"n\":1}"));
        item
    }

    #[test]
    fn an_end_belongs_to_its_own_beginning_only() {
        let items = [format!("{NEW}#z"), format!("{OLD}#a")].map(|sk| item(&sk));

        let (rows, next) = changes(&items, false);

        assert_eq!((rows.len(), &rows[0].end, next), (1, &None, None));
        let whole = [format!("{NEW}#z"), format!("{NEW}#a")].map(|sk| item(&sk));
        assert_eq!(changes(&whole, false).0[0].end.as_ref().unwrap().after["n"], 1);
    }

    #[test]
    fn an_end_without_its_beginning_is_left_for_the_next_page() {
        let items = [format!("{NEW}#z"), format!("{NEW}#a"), format!("{OLD}#z")];
        let items = items.map(|sk| item(&sk));

        let (rows, next) = changes(&items, true);

        assert_eq!(rows.len(), 1);
        assert!(next.clone().unwrap() > format!("{OLD}#z") && next.unwrap() <= format!("{NEW}#a"));
    }

    #[test]
    fn a_cursor_says_its_month_and_nothing_else_is_one() {
        let month = Month::from_number(202_611).unwrap();
        for below in [ALL.to_owned(), format!("{NEW}#"), format!("{NEW}#a")] {
            assert_eq!(start(&format!("202611.{below}")).unwrap(), (month, below));
        }
        for wrong in ["", "x", "202613.~", "202611", "202611.x", "202611.user:u1", "é.~"] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
    }
}

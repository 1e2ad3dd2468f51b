//! Price lists that an owner imports into a running deployment.
//!
//! A list is stored in parts under its version, and nothing reads them until one conditional write
//! names that version as the one in force: calls have the old list or the new one, never both.
//! Lists stay when another one takes their place.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::{Catalog, Error, Timestamp, catalog};

use super::owners::{VERSION, seconds};
use super::store::{Attributes, Changed, key, number, read_number, read_text, text};
use super::{Control, Expected, version};
use crate::directory::{LIST, part_key, parts_of};

/// Imported lists that are shown, the newest first.
const LISTS_SHOWN: u32 = 20;
/// Above every version.
const ALL: &str = "~";

/// An imported list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRow {
    /// The day of its prices, and a hash of its file.
    pub version: String,
    /// How many models it has.
    pub rows: u64,
    /// When it was imported.
    pub at: Timestamp,
    /// Who imported it.
    pub by: String,
    /// Changes with every change of what is in force.
    pub revision: u64,
}

impl ListRow {
    fn read(item: &Attributes) -> Option<Self> {
        Some(Self {
            version: read_text(item, "version")?,
            rows: read_number(item, "rows")?,
            at: seconds(read_number(item, "at")?),
            by: read_text(item, "by").unwrap_or_default(),
            revision: version::of(item, VERSION),
        })
    }
}

impl Control {
    /// Stores a list and puts it in force. `None` where another change was first.
    ///
    /// # Errors
    /// Where the table cannot be reached; it can be repeated.
    pub async fn import_list(
        &self,
        list: &Catalog,
        expected: Expected,
    ) -> Result<Option<ListRow>, Error> {
        let known = self.imported_list().await?;
        if !expected.admits(known.map_or(0, |known| known.revision)) {
            return Ok(None);
        }
        let (now, name) = (self.aws().now(), list.version());
        let parts = parts_of(list.bytes());
        let count = i128::try_from(parts.len()).map_err(Error::internal)?;
        for (place, part) in parts.enumerate() {
            let at = part_key(self.tenant(), name, place);
            let mut item = key(&at.pk, &at.sk);
            item.insert("b".to_owned(), AttributeValue::B(Blob::new(part)));
            self.store.put(item, None).await?;
        }
        let rows = i128::try_from(list.rows()).map_err(Error::internal)?;
        let fields = [
            ("version", text(name)),
            ("rows", number(rows)),
            ("at", number(now.seconds())),
            ("by", text(self.store.actor())),
        ];
        let mut item = key(&self.lists_pk(), name);
        item.extend(fields.clone().map(|(name, value)| (name.to_owned(), value)));
        self.store.put(item, None).await?;
        let set = "SET version = :version, #rows = :rows, #at = :at, #by = :by, parts = :parts, \
                   layout = :layout, v = :next";
        let change = Changed::new(&self.prices_pk(), LIST, set, "");
        let change = expected.guard(change, VERSION, false);
        let change = fields
            .into_iter()
            .fold(change, |change, (name, value)| change.value(&format!(":{name}"), value))
            .name("#rows", "rows")
            .name("#at", "at")
            .name("#by", "by")
            .value(":parts", number(count))
            .value(":layout", number(catalog::LAYOUT))
            .value(":next", number(version::next(now)));
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(ListRow::read))
    }

    /// The imported list that is named as in force; one that is compiled in may be newer.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn imported_list(&self) -> Result<Option<ListRow>, Error> {
        let item = self.store.get(&self.prices_pk(), LIST).await?;
        Ok(item.as_ref().and_then(ListRow::read))
    }

    /// The imported lists, those of the latest days first; twenty at most.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn imported_lists(&self) -> Result<Vec<ListRow>, Error> {
        let (items, _) = self.store.newest(&self.lists_pk(), ALL, LISTS_SHOWN).await?;
        Ok(items.iter().filter_map(ListRow::read).collect())
    }

    /// Goes back to the list that is compiled in; `false` where none of that version is in force.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn drop_list(&self, expected: Expected) -> Result<bool, Error> {
        self.store.delete(&self.prices_pk(), LIST, VERSION, expected).await
    }

    fn lists_pk(&self) -> String {
        format!("PL#{}", self.tenant())
    }
}

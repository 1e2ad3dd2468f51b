//! Price lists that an owner imports into a running deployment.
//!
//! A list is stored in parts under its version, and nothing reads them until one conditional write
//! names that version as the one in force: calls have the old list or the new one, never both.
//! Lists stay when another one takes their place.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::{Catalog, Error, Timestamp, catalog};

use super::owners::{VERSION, seconds};
use super::store::{Attributes, Changed, key, malformed, number, read_number, read_text, text};
use super::{Control, Expected, Listed, version};
use crate::directory::{LIST, part_key, parts_of};

/// Imported lists that are shown beside the one in force, the newest first.
const LISTS_SHOWN: u32 = 20;
/// Above every version.
const ALL: &str = "~";
/// What is copied from a list's item to the one that says what is in force.
const COPIED: [&str; 6] = ["version", "rows", "at", "by", "parts", "layout"];

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

/// An imported list, read whole.
#[derive(Debug)]
pub struct StoredList {
    /// The list.
    pub list: Catalog,
    item: Attributes,
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
        let mut item = key(&self.lists_pk(), name);
        let fields = [
            ("version", text(name)),
            ("rows", number(rows)),
            ("at", number(now.seconds())),
            ("by", text(self.store.actor())),
            ("parts", number(count)),
            ("layout", number(catalog::LAYOUT)),
        ];
        item.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        self.store.put(item.clone(), None).await?;
        self.name_list(&item, expected).await
    }

    /// An imported list, whichever is in force; `None` where none of that version was imported.
    ///
    /// # Errors
    /// [`Error::Malformed`] where it was stored by a Farebox that wrote lists in another way;
    /// where the table cannot be reached or the list is not whole.
    pub async fn list_of(&self, version: &str) -> Result<Option<StoredList>, Error> {
        let Some(item) = self.store.get(&self.lists_pk(), version).await? else { return Ok(None) };
        if read_number(&item, "layout") != Some(catalog::LAYOUT) {
            let rule = "was imported by another version of Farebox: import its file again";
            return Err(Error::malformed("version", rule));
        }
        let list = self.directory.stored_list(&item).await?;
        Ok(Some(StoredList { list, item }))
    }

    /// Puts an imported list in force again. `None` where another change was first.
    ///
    /// # Errors
    /// Where the table cannot be reached; it can be repeated.
    pub async fn switch_list(
        &self,
        stored: &StoredList,
        expected: Expected,
    ) -> Result<Option<ListRow>, Error> {
        self.name_list(&stored.item, expected).await
    }

    /// Says which list is in force: the one write that calls follow.
    async fn name_list(
        &self,
        item: &Attributes,
        expected: Expected,
    ) -> Result<Option<ListRow>, Error> {
        let set = COPIED.map(|name| format!("#{name} = :{name}")).join(", ");
        let set = format!("SET {set}, v = :next");
        let change = Changed::new(&self.prices_pk(), LIST, &set, "");
        let mut change = expected
            .guard(change, VERSION, false)
            .value(":next", number(version::next(self.aws().now())));
        for name in COPIED {
            let value = item.get(name).cloned().ok_or_else(|| malformed("a price list", name))?;
            change = change.name(&format!("#{name}"), name).value(&format!(":{name}"), value);
        }
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
    pub async fn latest_lists(&self) -> Result<Vec<ListRow>, Error> {
        Ok(self.imported_lists(LISTS_SHOWN, None).await?.rows)
    }

    /// A page of the imported lists, those of the latest days first.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn imported_lists(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<ListRow>, Error> {
        let (items, has_more) =
            self.store.newest(&self.lists_pk(), cursor.unwrap_or(ALL), limit).await?;
        let last = items.last().and_then(|item| read_text(item, "sk"));
        let rows = items.iter().filter_map(ListRow::read).collect();
        Ok(Listed { rows, next: last.filter(|_| has_more) })
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

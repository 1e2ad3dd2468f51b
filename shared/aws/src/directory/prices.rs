//! How the prices are read: the owner's items by one query, and an imported list once a version.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::{Catalog, Timestamp, catalog};
use farebox_ledger::{Key, Table};

use super::{Directory, LIST, Overrides, text};
use crate::error::Error;
use crate::expression::{Attributes, Store};

/// The age from which prices are read again off the path.
const PRICES_MS: i64 = 60_000;
/// The age from which prices are read again before a call: a thawed process met none in between.
const PRICES_STALE_MS: i64 = 600_000;
/// Overrides that a deployment may have.
const PRICES_MAX: usize = 10_000;
/// Bytes of one part of a list: an item of DynamoDB's has at most 400 KB.
const PART_BYTES: usize = 300_000;
/// Parts of a list.
const PARTS_MAX: usize = 20;

/// The parts in which a list is stored.
pub fn parts_of(list: &[u8]) -> impl ExactSizeIterator<Item = &[u8]> {
    list.chunks(PART_BYTES)
}

/// Where a part of a list is. A version's parts never change, so nobody reads half of two lists.
pub fn part_key(tenant: &str, version: &str, part: usize) -> Key {
    Key { table: Table::Main, pk: format!("PL#{tenant}#{version}"), sk: format!("{part:03}") }
}

impl Directory {
    /// The prices: as read before, unless they are ten minutes old.
    ///
    /// # Errors
    /// [`Error`] where they were never read and cannot be now.
    pub async fn prices(&self) -> Result<Arc<Overrides>, Error> {
        let mut cached = self.prices.lock().await;
        let now = self.aws.now();
        if let Some((prices, since)) = cached.as_ref()
            && (0..PRICES_STALE_MS).contains(&now.since(*since))
        {
            return Ok(Arc::clone(prices));
        }
        let prices = Arc::new(self.prices_now().await?);
        *cached = Some((Arc::clone(&prices), now));
        Ok(prices)
    }

    /// Reads the prices again where they are a minute old. A failure keeps the old ones.
    pub async fn refresh_prices(&self) {
        let mut cached = self.prices.lock().await;
        let now = self.aws.now();
        let is_young = |since: &Timestamp| (0..PRICES_MS).contains(&now.since(*since));
        if cached.as_ref().is_some_and(|(_, since)| is_young(since)) {
            return;
        }
        match self.prices_now().await {
            Ok(prices) => *cached = Some((Arc::new(prices), now)),
            Err(error) => tracing::warn!(%error, "prices were not refreshed"),
        }
    }

    /// The prices as they stand in the table.
    ///
    /// # Errors
    /// [`Error`] where they cannot be read, a list that is in force included: prices that might be
    /// too low are worse than none.
    pub async fn prices_now(&self) -> Result<Overrides, Error> {
        let pk = format!("P#{}", self.aws.config().tenant);
        let (mut items, mut next) = (Vec::new(), None);
        loop {
            let (found, after) = self.query(&pk, None, next).await?;
            items.extend(found);
            if items.len() > PRICES_MAX {
                return Err(Error::malformed("the price overrides", "more than 10000"));
            }
            next = after;
            if next.is_none() {
                break;
            }
        }
        let pointer = items.iter().find(|item| text(item, "sk") == Some(LIST));
        let mut overrides = Overrides::new(self.list(pointer).await?);
        items.iter().for_each(|item| overrides.add(item));
        Ok(overrides)
    }

    /// The list in force, as it stands in the table.
    ///
    /// # Errors
    /// [`Error`] where it cannot be read.
    pub async fn list_now(&self) -> Result<Catalog, Error> {
        let pk = format!("P#{}", self.aws.config().tenant);
        let key = Key { table: Table::Main, pk, sk: LIST.to_owned() };
        let pointer = Store::patient(&self.aws).fetch(&key).await?;
        self.list(pointer.as_ref()).await
    }

    /// The list in force: the imported one, unless the compiled one has newer prices.
    async fn list(&self, pointer: Option<&Attributes>) -> Result<Catalog, Error> {
        let Some(pointer) = pointer else { return Ok(Catalog::compiled()) };
        let malformed = |attribute: &str| Error::malformed("the price list", attribute);
        let version = text(pointer, "version").ok_or_else(|| malformed("version"))?;
        if catalog::is_older(version, catalog::VERSION) {
            return Ok(Catalog::compiled());
        }
        let mut known = self.list.lock().await;
        if known.version() != version {
            *known = self.stored_list(pointer).await?;
        }
        Ok(known.clone())
    }

    /// The list that an item tells of: the one of its import, or the one that says what is in
    /// force.
    pub(crate) async fn stored_list(&self, item: &Attributes) -> Result<Catalog, Error> {
        let malformed = |attribute: &str| Error::malformed("the price list", attribute);
        let version = text(item, "version").ok_or_else(|| malformed("version"))?;
        let layout = item.get("layout").and_then(|layout| layout.as_n().ok()?.parse().ok());
        if layout != Some(catalog::LAYOUT) {
            return Err(malformed("layout: import its file again"));
        }
        let parts = item.get("parts").and_then(|parts| parts.as_n().ok()?.parse().ok());
        let parts = parts.filter(|parts| *parts <= PARTS_MAX);
        let parts = parts.ok_or_else(|| malformed("parts"))?;
        self.stored(version, parts).await
    }

    /// A list from its parts, strongly consistent: the pointer may be a moment old.
    async fn stored(&self, version: &str, parts: usize) -> Result<Catalog, Error> {
        let (store, mut bytes) = (Store::money(&self.aws), Vec::new());
        let malformed = || Error::malformed("the price list", format!("{version} is not whole"));
        for part in 0..parts {
            let key = part_key(&self.aws.config().tenant, version, part);
            let item = store.fetch(&key).await?.ok_or_else(malformed)?;
            let Some(AttributeValue::B(part)) = item.get("b") else { return Err(malformed()) };
            bytes.extend_from_slice(part.as_ref());
        }
        Catalog::stored(version.to_owned(), bytes).ok_or_else(malformed)
    }
}

//! Items as the store holds them.

use std::collections::BTreeMap;

use farebox_core::Money;

use crate::Error;

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attr {
    /// A number; money is a count of pico-USD.
    N(i128),
    /// A text.
    S(String),
}

/// An item: attributes by name, `pk` and `sk` among them.
pub type Item = BTreeMap<String, Attr>;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Budgets only.
    Ledger,
    /// Tombstones, archives, alerts, outbox, keys and owners.
    Main,
    /// One row a call.
    Logs,
}

/// Where an item is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The table.
    pub table: Table,
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// An item that has its key and nothing else yet.
    #[must_use]
    pub fn item(&self) -> Item {
        Item::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }
}

/// A text attribute.
pub(crate) fn text(value: &str) -> Attr {
    Attr::S(value.to_owned())
}

/// A number attribute.
pub(crate) fn number(value: impl Into<i128>) -> Attr {
    Attr::N(value.into())
}

/// A money attribute.
pub(crate) fn money(value: Money) -> Attr {
    Attr::N(value.pico())
}

/// `a - b`. Two amounts are at most 10²⁷ each, so this never saturates.
pub(crate) fn difference(a: Money, b: Money) -> i128 {
    a.pico().saturating_sub(b.pico())
}

/// Reads a number of any width, where the attribute is there.
pub(crate) fn read_number<T: TryFrom<i128>>(item: &Item, name: &str) -> Result<Option<T>, Error> {
    match item.get(name) {
        None => Ok(None),
        Some(Attr::N(value)) => T::try_from(*value).map(Some).map_err(|_| malformed(name)),
        Some(Attr::S(_)) => Err(malformed(name)),
    }
}

/// Reads a text, where the attribute is there.
pub(crate) fn read_text<'item>(item: &'item Item, name: &str) -> Result<Option<&'item str>, Error> {
    match item.get(name) {
        None => Ok(None),
        Some(Attr::S(value)) => Ok(Some(value)),
        Some(Attr::N(_)) => Err(malformed(name)),
    }
}

/// Reads an amount, where the attribute is there.
pub(crate) fn read_money(item: &Item, name: &str) -> Result<Option<Money>, Error> {
    let pico = read_number::<i128>(item, name)?;
    pico.map(|pico| Money::from_pico(pico).map_err(|_| malformed(name))).transpose()
}

pub(crate) fn malformed(name: &str) -> Error {
    Error::Malformed(name.to_owned())
}

//! Limits with an end date (money.md 3.6): what comes back, and when.

use farebox_core::Timestamp;

use crate::Error;
use crate::budget::{Settings, Terms};
use crate::item::{Item, number, read_number, text};
use crate::scope::Owner;
use crate::update::{DUE, Transaction, Update, limit_change};

/// A change of a budget that ends by itself: kept beside the budget until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Temporary {
    /// When it ends.
    pub until: Timestamp,
    /// The version of the limits that it made. Any later change by the owner takes its place,
    /// and nothing comes back then.
    pub version: u64,
    /// What comes back.
    pub settings: Settings,
}

impl Temporary {
    /// Reads the item.
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub fn parse(item: &Item) -> Result<Self, Error> {
        let terms = Terms::parse(item)?;
        let at: i64 = read_number(item, "at")?.ok_or(Error::Missing("at"))?;
        let until = Timestamp::from_ms(at.saturating_mul(1000));
        Ok(Self { until, version: terms.version, settings: terms.settings })
    }

    /// Whether the change is still the last one that the owner made.
    #[must_use]
    pub const fn is_in_force(&self, terms: &Terms) -> bool {
        self.version == terms.version
    }

    /// The change and its end, both or neither: a raise must not stay for want of its end.
    #[must_use]
    pub fn begin(&self, owner: &Owner, settings: &Settings, epoch: u64) -> Transaction {
        let key = owner.temporary();
        let mut item = key.item();
        self.settings.write(&mut item);
        item.insert("ep".to_owned(), number(epoch));
        item.insert("lv".to_owned(), number(self.version));
        item.insert("due".to_owned(), text(DUE));
        item.insert("at".to_owned(), number(self.until.seconds()));
        let put = Update::put(key, item, "");
        Transaction { actions: vec![put, limit_change(owner, settings, epoch)] }
    }

    /// What was comes back, once: `epoch` is that of the budget as it was just read.
    #[must_use]
    pub fn end(&self, owner: &Owner, epoch: u64) -> Transaction {
        let back = limit_change(owner, &self.settings, epoch);
        Transaction { actions: vec![self.forget(owner), back] }
    }

    /// Another change took its place.
    #[must_use]
    pub fn forget(&self, owner: &Owner) -> Update {
        let mut delete = Update::delete(owner.temporary());
        delete.condition = "lv = :lv".to_owned();
        delete.value(":lv", number(self.version))
    }
}

//! What is taken off list prices.

use farebox_core::Error;
use farebox_core::pricing::Discount;

use super::owners::VERSION;
use super::store::{Attributes, Changed, number, read_text, text};
use super::{Control, Expected, Listed, version};
use crate::directory::DISCOUNT;

/// A discount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscountRow {
    /// What it comes off: `*`, `provider/*` or `provider/model`.
    pub target: String,
    /// How much, from when on.
    pub discount: Discount,
    /// Changes with every change of it.
    pub version: u64,
}

impl DiscountRow {
    fn read(item: &Attributes) -> Option<Self> {
        let discount = serde_json::from_str(&read_text(item, "spec")?).ok()?;
        let target = read_text(item, "sk")?.strip_prefix(DISCOUNT)?.to_owned();
        Some(Self { target, discount, version: version::of(item, VERSION) })
    }
}

impl Control {
    /// Sets a discount. The caller has checked it. `None` where another change was first.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn put_discount(
        &self,
        target: &str,
        discount: &Discount,
        expected: Expected,
    ) -> Result<Option<DiscountRow>, Error> {
        let spec = serde_json::to_string(discount).map_err(Error::internal)?;
        let change =
            Changed::new(&self.prices_pk(), &sk(target), "SET spec = :spec, v = :next", "");
        let change = expected
            .guard(change, VERSION, false)
            .value(":spec", text(&spec))
            .value(":next", number(version::next(self.aws().now())));
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(DiscountRow::read))
    }

    /// One discount.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn discount(&self, target: &str) -> Result<Option<DiscountRow>, Error> {
        let item = self.store.get(&self.prices_pk(), &sk(target)).await?;
        Ok(item.as_ref().and_then(DiscountRow::read))
    }

    /// A page of the discounts, by target.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn discounts(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<DiscountRow>, Error> {
        let (items, next) = self.store.query(&self.prices_pk(), DISCOUNT, cursor, limit).await?;
        Ok(Listed { rows: items.iter().filter_map(DiscountRow::read).collect(), next })
    }

    /// Takes a discount away, as if it had never been: one that ends has a term of 0 percent.
    /// `false` where there is none of that version.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn delete_discount(&self, target: &str, expected: Expected) -> Result<bool, Error> {
        self.store.delete(&self.prices_pk(), &sk(target), VERSION, expected).await
    }
}

fn sk(target: &str) -> String {
    format!("{DISCOUNT}{target}")
}

//! What a row of the log says about each scope's books.

use farebox_core::{CallRecord, Error, Money, Month, Outcome, Scope, ScopePart};
use farebox_ledger::Owner;

use super::Control;
use super::corrections::charged_parts;
use super::store::read_number;

impl Control {
    /// What a row charges, scope by scope. A provisional charge stands in tombstones: the row
    /// knows one scope of it only, and the truth may stand in a row of its own.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn charges(&self, row: &CallRecord) -> Result<Vec<(ScopePart, Money)>, Error> {
        if row.outcome == Outcome::Provisional {
            let charges = self.provisional(row).await?.into_iter();
            let open = charges.filter(|charge| charge.replaced_by.is_none());
            return Ok(open.filter_map(|charge| Some((charge.part, charge.charged?))).collect());
        }
        let amount = row.charged().unwrap_or_default();
        Ok(charged_parts(row).map(|part| (part.clone(), amount)).collect())
    }

    /// What the archive says of a closed month; `None` where it has none.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn archived(&self, scope: &Scope, month: Month) -> Result<Option<Money>, Error> {
        let key = Owner::new(self.tenant(), scope.clone()).archive(month);
        let found = self.store.get(&key.pk, &key.sk).await?;
        let settled = found.and_then(|found| read_number::<i128>(&found, "s"));
        Ok(settled.and_then(|pico| Money::from_pico(pico).ok()))
    }
}

//! What a row of the log says about each scope's books.

use core::iter::once;

use farebox_core::{CallRecord, Error, Money, Month, Outcome, Scope, ScopePart};
use farebox_ledger::Owner;

use super::Control;
use super::corrections::charged_parts;
use super::store::read_number;

/// More archives than 400 days have months.
const ARCHIVES_MAX: u32 = 24;

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

    /// What the archives say of a closed month, those of `shares` shares with the budget's own;
    /// `None` where there are none. A budget and its shares close each for itself.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn archived(
        &self,
        scope: &Scope,
        shares: u8,
        month: Month,
    ) -> Result<Option<Money>, Error> {
        let mut sum = None;
        for scope in once(scope.clone()).chain((0..shares).map(|share| scope.with_share(share))) {
            let key = Owner::new(self.tenant(), scope).archive(month);
            let found = self.store.get(&key.pk, &key.sk).await?;
            let settled = found.and_then(|found| read_number::<i128>(&found, "s"));
            if let Some(settled) = settled.and_then(|pico| Money::from_pico(pico).ok()) {
                sum = sum.unwrap_or(Money::ZERO).plus(settled);
            }
        }
        Ok(sum)
    }

    /// What all its archives say together, those of `shares` shares with the budget's own. An
    /// archive is kept for 400 days.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn archives(&self, scope: &Scope, shares: u8) -> Result<Money, Error> {
        let mut sum = Money::ZERO;
        for scope in once(scope.clone()).chain((0..shares).map(|share| scope.with_share(share))) {
            let pk = Owner::new(self.tenant(), scope).archives();
            let (found, _) = self.store.query(&pk, "M#", None, ARCHIVES_MAX).await?;
            for item in found {
                let settled = read_number::<i128>(&item, "s");
                let settled = settled.and_then(|pico| Money::from_pico(pico).ok());
                let more = sum.plus(settled.unwrap_or_default());
                sum = more.ok_or_else(|| Error::internal("a sum beyond all money"))?;
            }
        }
        Ok(sum)
    }
}

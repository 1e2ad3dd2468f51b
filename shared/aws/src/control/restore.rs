//! What a restored ledger needs before it may be used again.

use farebox_core::Error;
use farebox_ledger::{Owner, update};
use futures_util::future::join_all;

use super::store::{key, read_text};
use super::{Control, PAGE_MAX};
use crate::expression::{again, classify};

impl Control {
    /// Raises the epochs of a page of budgets by a million (money.md 3.6): how many, and where
    /// the next page begins.
    ///
    /// # Errors
    /// Where the ledger cannot be reached, or the cursor is none. Repeat it: an epoch that is
    /// raised twice is as good as one raised once.
    pub async fn raise_epochs(&self, cursor: Option<&str>) -> Result<(u32, Option<String>), Error> {
        let start = match cursor {
            None => None,
            Some(pk) if Owner::from_pk(pk).is_ok() => Some(key(pk, "0")),
            Some(_) => return Err(crate::Error::Cursor.into()),
        };
        let page = again("Scan", || async {
            let scan = self.aws().dynamodb().scan().table_name(&self.aws().config().ledger_table);
            let scan = scan.limit(i32::try_from(PAGE_MAX).unwrap_or(1)).projection_expression("pk");
            let scan = scan.consistent_read(true).set_exclusive_start_key(start.clone());
            scan.send().await.map_err(|error| classify(&error))
        });
        let page = page.await?;
        let store = self.store.ledger().await?;
        let items = page.items.unwrap_or_default();
        let owners = items.iter().filter_map(|item| {
            let owner = Owner::from_pk(&read_text(item, "pk")?).ok()?;
            (owner.tenant == self.tenant()).then_some(owner)
        });
        let raises = owners.map(async |owner| store.record(&update::restore_fence(&owner)).await);
        let mut raised = 0_u32;
        for is_raised in join_all(raises).await {
            raised = raised.saturating_add(u32::from(is_raised?));
        }
        let next = page.last_evaluated_key.as_ref().and_then(|last| read_text(last, "pk"));
        Ok((raised, next))
    }
}

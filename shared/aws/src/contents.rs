//! What requests and answers said: kept only where the owner switched it on, sealed, in the table
//! `logs`; and the erasure of all that is kept of a user.

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::{EntityId, Rid, Secret};
use farebox_ledger::{Key, Table, claim, update};
use futures_util::future::try_join_all;

use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{Store, again, classify};
use crate::seal::Sealer;

const DAY_MS: i64 = 86_400_000;
/// Items that one erasure takes: a few seconds.
const ERASED_MAX: i32 = 500;
/// Deletes under way at once.
const DELETES: usize = 25;

/// The content of a deployment.
pub struct Contents {
    aws: Aws,
}

impl Contents {
    /// That of a deployment.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone() }
    }

    /// Keeps the content of a call for so many days.
    ///
    /// # Errors
    /// [`Error`]; then some pieces may stand, which nobody can read alone.
    pub async fn keep(
        &self,
        user: &EntityId,
        rid: Rid,
        days: u32,
        plain: &[u8],
        pepper: &Secret,
    ) -> Result<(), Error> {
        let store = Store::patient(&self.aws);
        let expires_at = self.aws.now().plus_ms(i64::from(days).saturating_mul(DAY_MS));
        let pieces = Sealer::new(pepper).pieces(plain, |piece| self.key(user, rid, piece))?;
        let count = u32::try_from(pieces.len()).unwrap_or_default();
        let puts: Vec<_> = pieces
            .into_iter()
            .map(|(key, sealed)| update::content_put(key, &sealed, count, expires_at))
            .collect();
        try_join_all(puts.iter().map(|put| store.record(put))).await.map(drop)
    }

    /// The content of a call; `None` where none is kept, or not all of it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn read(
        &self,
        user: &EntityId,
        rid: Rid,
        pepper: &Secret,
    ) -> Result<Option<Vec<u8>>, Error> {
        let store = Store::patient(&self.aws);
        let Some(first) = store.fetch(&self.key(user, rid, 0)).await? else { return Ok(None) };
        let malformed = || Error::malformed("kept content", "n");
        let count = first.get("n").and_then(|count| count.as_n().ok()?.parse().ok());
        // DynamoDB deletes late what has expired; it is gone at its time all the same.
        let expires_at = first.get("ttl").and_then(|ttl| ttl.as_n().ok()?.parse::<i64>().ok());
        if expires_at.ok_or_else(malformed)? <= self.aws.now().seconds() {
            return Ok(None);
        }
        let count = count.ok_or_else(malformed)?;
        Sealer::new(pepper).read(&store, count, |piece| self.key(user, rid, piece)).await
    }

    /// Erases content of a user, and answers kept for its repeats: how many items, and whether
    /// there may be more.
    ///
    /// # Errors
    /// [`Error`]; it can be repeated.
    pub async fn erase(&self, user: &EntityId) -> Result<(u32, bool), Error> {
        let tenant = &self.aws.config().tenant;
        let content = self.key(user, Rid::new(self.aws.now(), 0), 0).pk;
        let replies = claim::partition(tenant, user);
        let (mut erased, mut more) = (0_u32, false);
        for (table, pk) in [(Table::Logs, content), (Table::Main, replies)] {
            let (keys, has_more) = self.pieces(table, &pk).await?;
            let store = Store::patient(&self.aws);
            let deletes: Vec<_> = keys.into_iter().map(update::content_delete).collect();
            for deletes in deletes.chunks(DELETES) {
                try_join_all(deletes.iter().map(|delete| store.record(delete))).await?;
            }
            erased = erased.saturating_add(u32::try_from(deletes.len()).unwrap_or(u32::MAX));
            more |= has_more;
        }
        Ok((erased, more))
    }

    /// The pieces of a partition, as many as one erasure takes. A claim is none.
    async fn pieces(&self, table: Table, pk: &str) -> Result<(Vec<Key>, bool), Error> {
        let (mut keys, mut next) = (Vec::new(), None);
        let name = Store::patient(&self.aws).table(table).to_owned();
        loop {
            let page = again("Query", || async {
                let query = self.aws.dynamodb().query().table_name(&name).consistent_read(true);
                let query = query.key_condition_expression("pk = :pk").projection_expression("sk");
                let query = query.set_exclusive_start_key(next.clone()).limit(ERASED_MAX);
                let query =
                    query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
                query.send().await.map_err(|error| classify(&error))
            });
            let page = page.await?;
            let sks = page.items.unwrap_or_default();
            let sks = sks.iter().filter_map(|item| item.get("sk")?.as_s().ok());
            let pieces = sks.filter(|sk| sk.contains('#'));
            keys.extend(pieces.map(|sk| Key { table, pk: pk.to_owned(), sk: sk.clone() }));
            next = page.last_evaluated_key;
            if next.is_none() || !keys.is_empty() {
                return Ok((keys, next.is_some()));
            }
        }
    }

    fn key(&self, user: &EntityId, rid: Rid, piece: u32) -> Key {
        update::content_key(&self.aws.config().tenant, user, rid, piece)
    }
}

//! Idempotency claims in `main`, and the answers kept with them (money.md 3.10).

use farebox_core::{Rid, Secret, Timestamp};
use farebox_ledger::{Answer, Claim, Found};
use futures_util::future::try_join_all;

use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{Failure, Store, again};
use crate::seal::Sealer;

/// Claims and kept answers.
pub struct Replies {
    aws: Aws,
}

impl Replies {
    /// Those of a deployment.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone() }
    }

    /// Takes the key of a claim for its call. `None`: it is taken; else what stands there.
    ///
    /// # Errors
    /// [`Error`]; the claim may have been written then, and nothing runs under it.
    pub async fn claim(&self, claim: &Claim, ends_at: Timestamp) -> Result<Option<Found>, Error> {
        let store = Store::patient(&self.aws);
        let now = self.aws.now();
        let take = claim.take(now, ends_at);
        let answer = again("PutItem", || async {
            let written = store.write(&take).await;
            match (written.failure, written.answer) {
                (None, _) => Ok(None),
                (Some(Failure::ConditionFailed), Answer::ConditionFailed(Some(old))) => {
                    Ok(Some(old))
                }
                (Some(failure), _) => Err(failure),
            }
        });
        let Some(old) = answer.await? else { return Ok(None) };
        let found = claim.found(&old, now);
        match found.map_err(|error| Error::malformed("an idempotency claim", error))? {
            Found::Own => Ok(None),
            found => Ok(Some(found)),
        }
    }

    /// Nothing was charged: the key is free again.
    ///
    /// # Errors
    /// [`Error`]; the key stays taken, and no call runs under it.
    pub async fn release(&self, claim: &Claim) -> Result<(), Error> {
        Store::patient(&self.aws).record(&claim.unbilled()).await.map(drop)
    }

    /// The call was charged: keeps its answer, then says so. Without an answer it says so alone.
    ///
    /// # Errors
    /// [`Error`]; a repeat is told that the outcome is unknown, and does not run.
    pub async fn keep(
        &self,
        claim: &Claim,
        reply: Option<&[u8]>,
        pepper: &Secret,
    ) -> Result<(), Error> {
        let store = Store::patient(&self.aws);
        let now = self.aws.now();
        let pieces = Sealer::new(pepper)
            .pieces(reply.unwrap_or_default(), |part| claim.part_key(claim.rid, part))?;
        let count = u32::try_from(pieces.len()).unwrap_or_default();
        let parts: Vec<_> = (0..)
            .zip(&pieces)
            .map(|(part, (_, sealed))| claim.part(part, count, sealed, now))
            .collect();
        try_join_all(parts.iter().map(|part| store.record(part))).await?;
        store.record(&claim.done(count)).await.map(drop)
    }

    /// The answer that is kept of a call with the same key; `None` where it was erased.
    ///
    /// # Errors
    /// [`Error`]; an answer that does not open is none.
    pub async fn read(
        &self,
        claim: &Claim,
        of: Rid,
        parts: u32,
        pepper: &Secret,
    ) -> Result<Option<Vec<u8>>, Error> {
        let store = Store::patient(&self.aws);
        Sealer::new(pepper).read(&store, parts, |part| claim.part_key(of, part)).await
    }
}

//! When a key and a credential were last used.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use farebox_aws::Aws;
use farebox_aws::expression::Store;
use farebox_core::{CallRecord, Timestamp};
use farebox_ledger::update::last_used;
use farebox_ledger::{Attr, Key, Table, Update, Write};

use crate::Failure;

/// Time between two records of the same thing's use. The writes' conditions say the same for
/// all environments together.
const EVERY_S: i64 = 300;
/// Things whose record is remembered. Forgotten together when full.
const KNOWN_MAX: usize = 10_000;

/// Records uses, each at most once in five minutes.
pub(crate) struct LastUsed {
    aws: Aws,
    known: Mutex<HashMap<(Key, String), Timestamp>>,
}

impl LastUsed {
    pub(crate) fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), known: Mutex::new(HashMap::new()) }
    }

    /// Records the use of a call's key and, where one was sent, of its credential.
    pub(crate) async fn put(&self, record: &CallRecord) -> Result<(), Failure> {
        let main = |pk: String, sk: &str| Key { table: Table::Main, pk, sk: sk.to_owned() };
        let at = record.started_at;
        let key = main(format!("K#{}", record.key_id), "0");
        self.record(key.clone(), String::new(), at, last_used(key, at)).await?;
        let (Some(owner), Some(provider), Some(_)) =
            (&record.credential_owner, &record.provider, &record.decision)
        else {
            return Ok(());
        };
        let entity = main(format!("E#{}", record.tenant), owner);
        let slot = match &record.credential {
            Some(name) => format!("{provider}/{name}"),
            None => provider.clone(),
        };
        let update = credential_used(entity.clone(), &slot, at);
        self.record(entity, slot, at, update).await
    }

    async fn record(
        &self,
        key: Key,
        part: String,
        at: Timestamp,
        update: Update,
    ) -> Result<(), Failure> {
        let known = (key, part);
        let last = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&known).copied();
        if last.is_some_and(|last| at.since(last) < EVERY_S * 1000) {
            return Ok(());
        }
        // A failed condition says that another environment was first, or that the thing is gone.
        Store::patient(&self.aws).record(&update).await?;
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KNOWN_MAX {
            all.clear();
        }
        all.insert(known, at);
        Ok(())
    }
}

/// The use of a credential, in its metadata at its owner's item.
fn credential_used(key: Key, provider: &str, at: Timestamp) -> Update {
    let name = |placeholder: &str, name: &str| (placeholder.to_owned(), name.to_owned());
    let value = |placeholder: &str, value| (placeholder.to_owned(), Attr::N(i128::from(value)));
    let condition = "attribute_exists(#ps.#p) AND (attribute_not_exists(#ps.#p.last_used_at) \
                     OR #ps.#p.last_used_at < :t_minus_300)";
    Update {
        key,
        write: Write::Update("SET #ps.#p.last_used_at = :t".to_owned()),
        condition: condition.to_owned(),
        names: vec![name("#ps", "providers"), name("#p", provider)],
        values: vec![
            value(":t", at.seconds()),
            value(":t_minus_300", at.seconds().saturating_sub(EVERY_S)),
        ],
    }
}

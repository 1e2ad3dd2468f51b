//! Rows of the log, and the sums that move with them (money.md 3.13).

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use farebox_core::rollup::{LABELS_COUNTED, Place, Sums, model_of, places};
use farebox_core::{CallRecord, Day, Month, Outcome, ScopeKind, Timestamp};
use farebox_ledger::{Answer, Attr, Item, Key, Table, Transaction, Verdict, update};

use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{Attributes, Failure, Store};
use crate::logs::{KEPT_S, partition_of};

/// Actions of one transaction: DynamoDB takes 100.
const ACTIONS_MAX: usize = 100;
/// How often a batch is tried as a whole before its rows are tried one by one.
const ROUNDS_TOGETHER: u32 = 3;
/// How often one row is tried; then its message comes back from the queue.
const ROUNDS_ALONE: u32 = 5;
/// The longest pause of a round: another transaction that moves the same sums takes milliseconds.
const PAUSE_MS: u64 = 60;
/// Labels of which it is remembered that they are told apart; forgotten together when full.
const KNOWN_MAX: usize = 20_000;
/// Longest id of a counted label: a sort key has 1,024 bytes.
const ID_BYTES_MAX: usize = 400;
/// On a row that has been counted: the labels that it counted to.
const COUNTED: &str = "ct";

/// Labels with their values.
type Pairs = Vec<(String, String)>;
/// Sums that a transaction moves, by copy, day, place and model.
type Differences = BTreeMap<(u32, Day, Place, String), Sums>;

/// Writes call records as rows, each with what it adds to the sums, both or neither.
pub struct LogWriter {
    aws: Aws,
    known: Mutex<HashSet<Key>>,
    full: Mutex<HashSet<Key>>,
}

/// One row that is to be written.
struct Planned<'r> {
    record: &'r CallRecord,
    key: Key,
    /// What stands there: its rank, and what it counted.
    seen: Option<(i64, Option<(CallRecord, Pairs)>)>,
}

impl LogWriter {
    /// The rows of a deployment.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), known: Mutex::default(), full: Mutex::default() }
    }

    /// Writes the rows of a batch: in one transaction where that fits, because calls of one
    /// moment mostly move the same sums; else one by one. A row that is there with as much
    /// knowledge or more stays, and counts as written.
    pub async fn put(&self, records: &[&CallRecord]) -> Vec<Result<(), Error>> {
        if Box::pin(self.rounds(records, ROUNDS_TOGETHER)).await.is_ok() {
            return records.iter().map(|_| Ok(())).collect();
        }
        let mut results = Vec::new();
        for record in records {
            results.push(Box::pin(self.rounds(&[record], ROUNDS_ALONE)).await);
        }
        results
    }

    /// Reads what is there and writes the difference, until nobody was faster.
    async fn rounds(&self, records: &[&CallRecord], rounds: u32) -> Result<(), Error> {
        let store = Store::patient(&self.aws);
        let mut last = Failure::ConditionFailed;
        for round in 0..rounds {
            if round > 0 {
                let jitter = self.aws.chance().checked_rem(PAUSE_MS).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(jitter << round.min(3))).await;
            }
            let mut is_done = true;
            for transaction in self.plan(records).await? {
                match store.transact(&transaction).await.failure {
                    None => {}
                    Some(failure @ Failure::Rejected(_)) => return Err(failure.error("Write")),
                    Some(failure) => {
                        is_done = false;
                        last = failure;
                    }
                }
            }
            if is_done {
                return Ok(());
            }
        }
        let cause = format!("others move the same sums: {last:?}");
        Err(Error::Unavailable { operation: "TransactWriteItems", cause })
    }

    /// What is still to be written of these, in transactions.
    async fn plan(&self, records: &[&CallRecord]) -> Result<Vec<Transaction>, Error> {
        let (mut transactions, mut puts, mut moved) = (Vec::new(), Vec::new(), Differences::new());
        for row in self.look(records).await? {
            let labels = self.counted(row.record).await?;
            let mut with_this = moved.clone();
            count(&mut with_this, &row, &labels);
            if puts.len() + 1 + 2 * with_this.len() > ACTIONS_MAX && !puts.is_empty() {
                transactions.push(self.transaction(core::mem::take(&mut puts), &moved));
                with_this.clear();
                count(&mut with_this, &row, &labels);
            }
            moved = with_this;
            let seen = row.seen.as_ref().map(|(rank, _)| *rank);
            let fields = fields(row.record, &labels)?;
            puts.push(update::log_put(row.key, fields, row.record.outcome, seen));
        }
        if !puts.is_empty() {
            transactions.push(self.transaction(puts, &moved));
        }
        Ok(transactions)
    }

    fn transaction(&self, puts: Vec<farebox_ledger::Update>, moved: &Differences) -> Transaction {
        let tenant = &self.aws.config().tenant;
        let mut actions = puts;
        let moved = moved.iter().filter(|(_, difference)| !difference.is_zero());
        actions.extend(moved.flat_map(|((shard, day, place, model), difference)| {
            update::rollup_add(tenant, *shard, *day, (place, model), difference)
        }));
        Transaction { actions }
    }

    /// The rows that know more than what is there, one a call.
    async fn look<'r>(&self, records: &[&'r CallRecord]) -> Result<Vec<Planned<'r>>, Error> {
        let mut best: BTreeMap<Key, &CallRecord> = BTreeMap::new();
        for record in records {
            let known = best.entry(key(record)).or_insert(record);
            if known.outcome.rank() < record.outcome.rank() {
                *known = record;
            }
        }
        let keys: Vec<Key> = best.keys().cloned().collect();
        let found = Store::patient(&self.aws).batch(&keys).await?;
        let mut seen = BTreeMap::new();
        for item in &found {
            let text = |name: &str| item.get(name)?.as_s().ok();
            let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else { continue };
            let key = Key { table: Table::Logs, pk: pk.clone(), sk: sk.clone() };
            seen.insert(key, read(item)?);
        }
        let rows = best.into_iter().map(|(key, record)| {
            let seen = seen.remove(&key);
            Planned { record, key, seen }
        });
        Ok(rows
            .filter(|row| row.seen.as_ref().is_none_or(|seen| seen.0 < row.record.outcome.rank()))
            .collect())
    }

    /// The labels that a row counts to: its first ones, as far as they can be told apart.
    async fn counted(&self, record: &CallRecord) -> Result<Pairs, Error> {
        let other = || update::OTHER.to_owned();
        let month = record.request_id.made_at().utc_day().month();
        let mut counted = Pairs::new();
        for (name, value) in record.labels.iter().take(LABELS_COUNTED) {
            let pair = if !self.admits(month, name, None).await? {
                (other(), other())
            } else if self.admits(month, name, Some(value)).await? {
                (name.to_owned(), value.to_owned())
            } else {
                (name.to_owned(), other())
            };
            if !counted.contains(&pair) {
                counted.push(pair);
            }
        }
        Ok(counted)
    }

    /// Whether a label's name, or a value of it, is told apart in a month; from now on, where
    /// there is room.
    async fn admits(&self, month: Month, name: &str, value: Option<&str>) -> Result<bool, Error> {
        let tenant = &self.aws.config().tenant;
        let child = update::label_key(tenant, month, name, value);
        if Place::Label(name.to_owned(), value.unwrap_or_default().to_owned()).id().len()
            > ID_BYTES_MAX
        {
            return Ok(false);
        }
        if locked(&self.known).contains(&child) {
            return Ok(true);
        }
        let (parent, most) = match value {
            Some(_) => (update::label_key(tenant, month, name, None), update::LABEL_VALUES_MAX),
            None => (update::label_key(tenant, month, "", None), update::LABEL_NAMES_MAX),
        };
        let is_full = locked(&self.full).contains(&parent);
        let is_admitted = if is_full {
            Store::patient(&self.aws).fetch(&child).await?.is_some()
        } else {
            self.admit(&parent, &child, most).await?
        };
        let remembered = if is_admitted { (&self.known, child) } else { (&self.full, parent) };
        let mut set = locked(remembered.0);
        if set.len() >= KNOWN_MAX {
            set.clear();
        }
        set.insert(remembered.1);
        Ok(is_admitted)
    }

    async fn admit(&self, parent: &Key, child: &Key, most: u32) -> Result<bool, Error> {
        let admit = update::label_admit(parent.clone(), child.clone(), most, self.aws.now());
        let store = Store::patient(&self.aws);
        let written = crate::expression::again("Write", || async {
            let written = store.transact(&admit).await;
            match (&written.answer, written.failure) {
                (Answer::Applied, _) => Ok(true),
                (Answer::Cancelled(verdicts), failure) => match verdicts.as_slice() {
                    [Verdict::ConditionFailed(_), ..] => Ok(true),
                    [_, Verdict::ConditionFailed(_)] => Ok(false),
                    _ => Err(Failure::Throttled(format!("{failure:?}"))),
                },
                (_, failure) => Err(failure.unwrap_or(Failure::Cancelled)),
            }
        });
        written.await
    }
}

fn locked(set: &Mutex<HashSet<Key>>) -> std::sync::MutexGuard<'_, HashSet<Key>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds what a row moves: what it counts, less what the row in its place has counted.
fn count(moved: &mut Differences, row: &Planned<'_>, labels: &Pairs) {
    let id = row.record.request_id;
    let (shard, day) = (update::shard_of(id), id.made_at().utc_day());
    let mut add = |record: &CallRecord, labels: &Pairs, is_taken_off: bool| {
        let (sums, model) = (Sums::of(record), model_of(record));
        for place in places(record, labels) {
            let cell = moved.entry((shard, day, place, model.clone())).or_default();
            if is_taken_off { cell.minus(&sums) } else { cell.plus(&sums) }
        }
    };
    add(row.record, labels, false);
    if let Some((_, Some((old, labels)))) = &row.seen {
        add(old, labels, true);
    }
}

fn key(record: &CallRecord) -> Key {
    let pk = partition_of(&record.tenant, &record.user, record.request_id);
    Key { table: Table::Logs, pk, sk: record.request_id.to_string() }
}

/// A row's rank and, where it was counted, what it was counted as. Rows of the time before sums
/// were kept have counted to none.
fn read(item: &Attributes) -> Result<(i64, Option<(CallRecord, Pairs)>), Error> {
    let rank = item.get("rk").and_then(|rank| rank.as_n().ok()?.parse().ok());
    let rank = rank.ok_or_else(|| Error::malformed("a log row", "no rk"))?;
    let Some(labels) = item.get(COUNTED).and_then(|labels| labels.as_s().ok()) else {
        return Ok((rank, None));
    };
    let labels =
        serde_json::from_str(labels).map_err(|error| Error::malformed("a log row", error))?;
    Ok((rank, Some((crate::logs::record(item)?, labels))))
}

/// The attributes of a row beside its key and rank.
fn fields(record: &CallRecord, labels: &Pairs) -> Result<Item, Error> {
    let malformed = |error| Error::malformed(format!("record {}", record.request_id), error);
    let json = serde_json::to_string(record).map_err(malformed)?;
    let labels = serde_json::to_string(labels).map_err(malformed)?;
    let made_at: Timestamp = record.request_id.made_at();
    let ttl = made_at.seconds().saturating_add(KEPT_S);
    let mut row = Item::from([
        ("rec".to_owned(), Attr::S(json)),
        (COUNTED.to_owned(), Attr::S(labels)),
        ("rid".to_owned(), Attr::S(record.request_id.to_string())),
        ("d".to_owned(), Attr::S(format!("{}#{}", record.tenant, made_at.utc_day()))),
        ("ttl".to_owned(), Attr::N(i128::from(ttl))),
    ]);
    // An entry in the books of a user or a team is no key's to read.
    let is_of_key = record.parts.iter().any(|part| part.scope.kind == ScopeKind::Key);
    if is_of_key || record.outcome != Outcome::Correction {
        row.insert("keyid".to_owned(), Attr::S(record.key_id.to_string()));
    }
    Ok(row)
}

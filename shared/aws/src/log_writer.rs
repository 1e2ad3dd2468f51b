//! Rows of the log, and the sums that move with them (money.md 3.13).

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use farebox_core::rollup::{LABELS_COUNTED, Place, Sums, model_of, places, set_of, written};
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
/// On the same: the set of labels, as one text.
const SET: &str = "cs";

/// Labels with their values.
type Pairs = Vec<(String, String)>;
/// What a row counts to beside its owners.
struct Counted {
    labels: Pairs,
    /// None on a row of the time before sets were counted.
    set: Option<String>,
}
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
    seen: Option<(i64, Option<(CallRecord, Counted)>)>,
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
            let counted = self.counted(row.record).await?;
            let mut with_this = moved.clone();
            count(&mut with_this, &row, &counted);
            // A set is one item, every other place two: at most so many actions.
            if puts.len() + 1 + 2 * with_this.len() > ACTIONS_MAX && !puts.is_empty() {
                transactions.push(self.transaction(core::mem::take(&mut puts), &moved));
                with_this.clear();
                count(&mut with_this, &row, &counted);
            }
            moved = with_this;
            let seen = row.seen.as_ref().map(|(rank, _)| *rank);
            let fields = fields(row.record, &counted)?;
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
    async fn counted(&self, record: &CallRecord) -> Result<Counted, Error> {
        let month = record.request_id.made_at().utc_day().month();
        let mut counted = Pairs::new();
        for (name, value) in record.labels.iter().take(LABELS_COUNTED) {
            let pair = if !self.admits_label(month, name, None).await? {
                (other(), other())
            } else if self.admits_label(month, name, Some(value)).await? {
                (name.to_owned(), value.to_owned())
            } else {
                (name.to_owned(), other())
            };
            if !counted.contains(&pair) {
                counted.push(pair);
            }
        }
        let set = self.set(record, month, &counted).await?;
        Ok(Counted { labels: counted, set: Some(set) })
    }

    /// The set that counted labels are: all of them together, where it is told apart; else the
    /// most trusted one, the key's where the key has any, and that there are others.
    async fn set(&self, record: &CallRecord, month: Month, of: &Pairs) -> Result<String, Error> {
        let whole = written(of);
        let (Some(place), Some(first)) = (set_of(record, &whole), of.first()) else {
            return Ok(whole);
        };
        let others = (other(), other());
        let mut rest = vec![first.clone()];
        rest.extend((of.len() > 1).then(|| others.clone()));
        for (is_rest, set) in [(false, whole), (true, written(&rest))] {
            let key =
                |set| update::set_key(&self.aws.config().tenant, month, &place.id(), is_rest, set);
            let (parent, child) = (key(None), key(Some(&set)));
            if set.len() <= ID_BYTES_MAX
                && self.admits(parent, child, update::LABEL_SETS_MAX).await?
            {
                return Ok(set);
            }
        }
        Ok(written(&[others]))
    }

    /// Whether a label's name, or a value of it, is told apart in a month.
    async fn admits_label(
        &self,
        month: Month,
        name: &str,
        value: Option<&str>,
    ) -> Result<bool, Error> {
        let tenant = &self.aws.config().tenant;
        let place = Place::Label(name.to_owned(), value.unwrap_or_default().to_owned());
        if place.id().len() > ID_BYTES_MAX {
            return Ok(false);
        }
        let (parent, most) = match value {
            Some(_) => (update::label_key(tenant, month, name, None), update::LABEL_VALUES_MAX),
            None => (update::label_key(tenant, month, "", None), update::LABEL_NAMES_MAX),
        };
        self.admits(parent, update::label_key(tenant, month, name, value), most).await
    }

    /// Whether one of its parent's children is told apart; from now on, where there is room.
    async fn admits(&self, parent: Key, child: Key, most: u32) -> Result<bool, Error> {
        if locked(&self.known).contains(&child) {
            return Ok(true);
        }
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

/// What stands for all that is not told apart.
fn other() -> String {
    update::OTHER.to_owned()
}

fn locked(set: &Mutex<HashSet<Key>>) -> std::sync::MutexGuard<'_, HashSet<Key>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds what a row moves: what it counts, less what the row in its place has counted.
fn count(moved: &mut Differences, row: &Planned<'_>, counted: &Counted) {
    let id = row.record.request_id;
    let (shard, day) = (update::shard_of(id), id.made_at().utc_day());
    let mut add = |record: &CallRecord, counted: &Counted, is_taken_off: bool| {
        let (sums, model) = (Sums::of(record), model_of(record));
        let set = counted.set.as_deref().and_then(|set| set_of(record, set));
        for place in places(record, &counted.labels).into_iter().chain(set) {
            let cell = moved.entry((shard, day, place, model.clone())).or_default();
            if is_taken_off { cell.minus(&sums) } else { cell.plus(&sums) }
        }
    };
    add(row.record, counted, false);
    if let Some((_, Some((old, counted)))) = &row.seen {
        add(old, counted, true);
    }
}

fn key(record: &CallRecord) -> Key {
    let pk = partition_of(&record.tenant, &record.user, record.request_id);
    Key { table: Table::Logs, pk, sk: record.request_id.to_string() }
}

/// A row's rank and, where it was counted, what it was counted as. Rows of the time before sums
/// were kept have counted to none.
fn read(item: &Attributes) -> Result<(i64, Option<(CallRecord, Counted)>), Error> {
    let rank = item.get("rk").and_then(|rank| rank.as_n().ok()?.parse().ok());
    let rank = rank.ok_or_else(|| Error::malformed("a log row", "no rk"))?;
    let Some(labels) = item.get(COUNTED).and_then(|labels| labels.as_s().ok()) else {
        return Ok((rank, None));
    };
    let labels =
        serde_json::from_str(labels).map_err(|error| Error::malformed("a log row", error))?;
    let set = item.get(SET).and_then(|set| set.as_s().ok()).cloned();
    Ok((rank, Some((crate::logs::record(item)?, Counted { labels, set }))))
}

/// The attributes of a row beside its key and rank.
fn fields(record: &CallRecord, counted: &Counted) -> Result<Item, Error> {
    let malformed = |error| Error::malformed(format!("record {}", record.request_id), error);
    let json = serde_json::to_string(record).map_err(malformed)?;
    let labels = serde_json::to_string(&counted.labels).map_err(malformed)?;
    let made_at: Timestamp = record.request_id.made_at();
    let ttl = made_at.seconds().saturating_add(KEPT_S);
    let mut row = Item::from([
        ("rec".to_owned(), Attr::S(json)),
        (COUNTED.to_owned(), Attr::S(labels)),
        (SET.to_owned(), Attr::S(counted.set.clone().unwrap_or_default())),
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

#[cfg(test)]
mod tests {
    use farebox_core::rollup::Counter;
    use farebox_core::{Decision, EntityId, Money};

    use super::*;

    fn record(outcome: Outcome, decision: Decision) -> CallRecord {
        let id: farebox_core::Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let (user, key): (EntityId, EntityId) = ("u1".parse().unwrap(), "k1".parse().unwrap());
        let hold = Money::from_pico(60).ok();
        let record = CallRecord::new(id, "main".into(), user, key);
        CallRecord { outcome, decision: Some(decision), hold, ..record }
    }

    fn counted(set: Option<&str>) -> Counted {
        Counted { labels: Pairs::new(), set: set.map(str::to_owned) }
    }

    /// What is charged in each place, where a provisional row of 60 is replaced by one of 50.
    fn moved(old: Option<&str>, new: &str) -> BTreeMap<String, i128> {
        let settled = record(Outcome::Settled, Decision::Settle(Money::from_pico(50).unwrap()));
        let provisional = record(Outcome::Provisional, Decision::Worst);
        let seen = Some((2, Some((provisional, counted(old)))));
        let row = Planned { key: key(&settled), record: &settled, seen };
        let mut moved = Differences::new();
        count(&mut moved, &row, &counted(Some(new)));
        let shown = moved.into_iter().map(|((_, _, place, _), sums)| {
            let set = if let Place::Set(_, _, set) = &place { set.as_str() } else { "" };
            (format!("{} {} {set}", place.kind(), place.id()), sums.get(Counter::Charged))
        });
        shown.collect()
    }

    #[test]
    fn a_row_in_anothers_place_moves_the_difference_wherever_either_counts() {
        let places = |sets: &[(&str, i128)]| {
            let owners = [("all - ", -10), ("key k1 ", -10), ("user u1 ", -10)];
            let all = owners.iter().chain(sets);
            all.map(|(place, sum)| ((*place).to_owned(), *sum)).collect::<BTreeMap<_, _>>()
        };

        assert_eq!(moved(Some("a=1"), "a=1"), places(&[("set key:k1 a=1", -10)]));
        let two = [("set key:k1 ", -60), ("set key:k1 a=1", 50)];
        assert_eq!(moved(Some(""), "a=1"), places(&two));
        // A row of the time before sets were counted takes nothing off them.
        assert_eq!(moved(None, "a=1"), places(&[("set key:k1 a=1", 50)]));
    }
}

//! Sums that move with the rows of the log (3.13).

use core::fmt;

use farebox_core::rollup::{Counter, Place, Sums};
use farebox_core::{Day, Month, Rid, Timestamp};

use super::{Transaction, Update};
use crate::item::{Key, Table, number};

/// Copies of each sum, by the row's id: one item takes 1,000 writes a second and one transaction
/// at a time. It may rise, never fall: readers add up all of them.
pub const SHARDS: u32 = 8;
/// Seconds that the sums of a day are kept; those of a month stay.
const DAY_KEPT_S: i64 = 400 * 86_400;

/// Names of labels that are told apart in one month.
pub const LABEL_NAMES_MAX: u32 = 100;
/// Values of one name that are told apart in one month.
pub const LABEL_VALUES_MAX: u32 = 1_000;
/// Sets of labels that are told apart in one month for each owner.
pub const LABEL_SETS_MAX: u32 = 1_000;
/// What stands for all others beyond these.
pub const OTHER: &str = "(other)";

/// A partition of sums: one kind of place, in one month, of some of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition<'a> {
    /// The deployment.
    pub tenant: &'a str,
    /// What [`Place::kind`] says.
    pub kind: &'a str,
    /// The month in UTC.
    pub month: Month,
    /// Below [`SHARDS`].
    pub shard: u32,
}

impl fmt::Display for Partition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R#{}#{}#{}#{:02}", self.tenant, self.kind, self.month, self.shard)
    }
}

/// Which copy of the sums a row moves: by the last digit of its id, which is random.
#[must_use]
pub fn shard_of(rid: Rid) -> u32 {
    const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let last = rid.to_string().chars().last().and_then(|last| DIGITS.find(last));
    let last = u32::try_from(last.unwrap_or_default()).unwrap_or_default();
    last.checked_rem(SHARDS).unwrap_or_default()
}

/// The partition of one day's sums by set of labels, of some of its rows: an export reads a day
/// and nothing beside it.
#[must_use]
pub fn set_partition(tenant: &str, day: Day, shard: u32) -> String {
    format!("R#{tenant}#set#{day}#{shard:02}")
}

/// Moves the sums of a place and model by a difference: those of the day, and of its month. A set
/// of labels has sums of the day alone.
#[must_use]
pub fn rollup_add(
    tenant: &str,
    shard: u32,
    day: Day,
    (place, model): (&Place, &str),
    difference: &Sums,
) -> Vec<Update> {
    let id = place.id();
    let (of_day, of_month) = if let Place::Set(_, _, labels) = place {
        let sk = format!("{id}#{model}#{labels}");
        (Key { table: Table::Logs, pk: set_partition(tenant, day, shard), sk }, None)
    } else {
        let partition = Partition { tenant, kind: place.kind(), month: day.month(), shard };
        let pk = partition.to_string();
        let sk = format!("D#{id}#{day}#{model}");
        let of_month = Key { table: Table::Logs, pk: pk.clone(), sk: format!("M#{id}#{model}") };
        (Key { table: Table::Logs, pk, sk }, Some(of_month))
    };
    let until = day.utc_noon().seconds().saturating_add(DAY_KEPT_S);
    let adds = Counter::ALL.iter().filter(|(counter, _)| difference.get(*counter) != 0);
    let adds = adds.map(|(_, name)| format!("{name} :{name}"));
    let adds = format!("ADD {}", adds.collect::<Vec<_>>().join(", "));
    let with_values = |mut update: Update| {
        for (counter, name) in Counter::ALL {
            let sum = difference.get(counter);
            if sum != 0 {
                update = update.value(&format!(":{name}"), number(sum));
            }
        }
        update
    };
    let of_day = Update::change(of_day, format!("SET #ttl = :ttl {adds}"), "")
        .name("#ttl", "ttl")
        .value(":ttl", number(until));
    let mut updates = vec![with_values(of_day)];
    updates.extend(of_month.map(|of_month| with_values(Update::change(of_month, adds, ""))));
    updates
}

/// Where it stands that a label is told apart in a month: a name, or a value of a name.
#[must_use]
pub fn label_key(tenant: &str, month: Month, name: &str, value: Option<&str>) -> Key {
    let pk = format!("R#{tenant}#labels#{month}");
    let sk = Place::Label(name.to_owned(), value.unwrap_or_default().to_owned()).id();
    let sk = if value.is_some() { format!("V#{sk}") } else { format!("N#{sk}") };
    Key { table: Table::Logs, pk, sk }
}

/// Where it stands that a set of labels is told apart in a month for an owner, as
/// [`Place::id`] has it; without a set it is their parent. What is left of sets beyond the most
/// of them has a parent of its own.
#[must_use]
pub fn set_key(tenant: &str, month: Month, owner: &str, is_rest: bool, set: Option<&str>) -> Key {
    let kind = if is_rest { 'T' } else { 'S' };
    let set = set.unwrap_or_default();
    let pk = format!("R#{tenant}#labels#{month}");
    Key { table: Table::Logs, pk, sk: format!("{kind}#{owner}#{set}") }
}

/// Tells a label apart from now on, where its parent has room for one more child. Once told
/// apart it stays so: what a row has counted to is found again.
#[must_use]
pub fn label_admit(parent: Key, child: Key, children_max: u32, now: Timestamp) -> Transaction {
    let until = now.seconds().saturating_add(DAY_KEPT_S);
    let mut item = child.item();
    item.insert("ttl".to_owned(), number(until));
    let put = Update::put(child, item, "attribute_not_exists(pk)");
    let count = Update::change(
        parent,
        "SET #ttl = :ttl ADD children :one",
        "attribute_not_exists(children) OR children < :max",
    );
    let count = count
        .name("#ttl", "ttl")
        .value(":ttl", number(until))
        .value(":one", number(1))
        .value(":max", number(children_max));
    Transaction { actions: vec![put, count] }
}

#[cfg(test)]
mod tests {
    use farebox_core::ScopeKind;

    use super::*;

    #[test]
    fn a_set_of_labels_has_a_sum_of_its_day_alone_in_the_partition_of_that_day() {
        let mut sums = Sums::default();
        sums.add(Counter::Charged, -5);
        let day = Day::from_number(20_261_123).unwrap();
        let set = Place::Set(ScopeKind::Key, "k1".parse().unwrap(), "team=a".to_owned());

        let moved = rollup_add("acme", 3, day, (&set, "openai/x"), &sums);

        let [only] = moved.as_slice() else { panic!("more than one: {moved:?}") };
        assert_eq!(only.key.pk, "R#acme#set#20261123#03");
        assert_eq!(only.key.sk, "key:k1#openai/x#team=a");
        assert_eq!(rollup_add("acme", 3, day, (&Place::All, "openai/x"), &sums).len(), 2);
    }
}

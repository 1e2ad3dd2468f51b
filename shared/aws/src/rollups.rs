//! Sums of usage, read: as many requests for a month of ten million calls as for one of ten.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farebox_core::rollup::{self, Counter, Sums, unescaped};
use farebox_core::{Day, Month, Zone};
use farebox_ledger::update::{Partition, SHARDS, set_partition};
use futures_util::future::join_all;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{Attributes, again, classify};

/// Queries that run at once.
const AT_ONCE: usize = 16;
/// Megabytes of sums that are read of one partition: some 30,000 items.
const PAGES_MAX: usize = 10;

/// The sums of a deployment.
pub struct Rollups {
    aws: Aws,
}

/// Which sums of one kind of place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of one place, by [`farebox_core::rollup::Place::id`].
    One(String),
    /// Those of every place whose id begins so.
    Beginning(String),
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What [`farebox_core::rollup::Place::kind`] says.
    pub kind: &'static str,
    /// Which of them.
    pub which: Which,
    /// The first day, in UTC.
    pub first: Day,
    /// The last day.
    pub last: Day,
    /// Days are to be told apart, in whole months too.
    pub by_day: bool,
}

/// Sums of one place, model and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The place among those of its kind, as it was written: `-`, `u1`, `team=search`.
    pub id: String,
    /// The day, where the sums are a day's.
    pub day: Option<Day>,
    /// The month.
    pub month: Month,
    /// `provider/model`, or `-`.
    pub model: String,
    /// The sums.
    pub sums: Sums,
}

/// Sums of one owner, model and set of labels, on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCell {
    /// `key:ID`, or the scope in whose books an entry stands.
    pub owner: String,
    /// `provider/model`, or `-`.
    pub model: String,
    /// The labels, as far as they are told apart.
    pub labels: BTreeMap<String, String>,
    /// The sums.
    pub sums: Sums,
}

/// Some sums of one copy by their sort keys, in order, and whether there are more behind them.
type Copied = (Vec<(String, Sums)>, bool);

/// One range of one partition.
struct Range {
    partition: String,
    month: Month,
    from: String,
    to: String,
}

impl Rollups {
    /// The sums of a deployment; reads nothing yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone() }
    }

    /// All sums that are asked for: 8 queries a month, more only where a partition has more
    /// than a megabyte of places and models. The copies of a sum come apart.
    ///
    /// # Errors
    /// [`Error::TooManySums`] where there are more places and models than one answer takes.
    pub async fn read(&self, ask: &Ask) -> Result<Vec<Cell>, Error> {
        let mut cells = Vec::new();
        for ranges in ranges(&self.aws.config().tenant, ask).chunks(AT_ONCE) {
            for found in join_all(ranges.iter().map(|range| self.range(range))).await {
                let days = ask.first..=ask.last;
                let is_asked = |cell: &Cell| cell.day.is_none_or(|day| days.contains(&day));
                cells.extend(found?.into_iter().filter(is_asked));
            }
        }
        Ok(cells)
    }

    /// A page of a day's sums by owner, model and set of labels, and where the next one begins: a
    /// query a copy, however many sums the day has.
    ///
    /// # Errors
    /// [`Error::Cursor`] where it is none of these pages.
    pub async fn of_day(
        &self,
        day: Day,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<SetCell>, Option<String>), Error> {
        let after = cursor.map(decoded).transpose()?;
        let tenant = &self.aws.config().tenant;
        let copies = (0..SHARDS).map(|shard| set_partition(tenant, day, shard));
        let pages = copies.map(|copy| self.sets(copy, after.as_deref(), limit));
        let pages: Result<Vec<_>, _> = join_all(pages).await.into_iter().collect();
        let (sets, next) = together(pages?, limit);
        let cells = sets.into_iter().filter_map(|(key, sums)| set_cell(&key, sums));
        Ok((cells.collect(), next.map(|next| URL_SAFE_NO_PAD.encode(next))))
    }

    /// Some sums of a copy by their sort keys, and whether there are more.
    async fn sets(
        &self,
        partition: String,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Copied, Error> {
        let page = again("Query", || async {
            let text = |text: &str| AttributeValue::S(text.to_owned());
            let query = self.aws.dynamodb().query().table_name(&self.aws.config().logs_table);
            let condition = if after.is_some() { "pk = :pk AND sk > :after" } else { "pk = :pk" };
            let query = query
                .key_condition_expression(condition)
                .expression_attribute_values(":pk", text(&partition))
                .set_limit(i32::try_from(limit).ok());
            let query = after.iter().fold(query, |query, after| {
                query.expression_attribute_values(":after", text(after))
            });
            query.send().await.map_err(|error| classify(&error))
        });
        let page = page.await?;
        let sets = page.items.unwrap_or_default().into_iter().filter_map(|item| {
            let key = item.get("sk")?.as_s().ok()?.clone();
            Some((key, sums(&item)))
        });
        Ok((sets.collect(), page.last_evaluated_key.is_some()))
    }

    async fn range(&self, range: &Range) -> Result<Vec<Cell>, Error> {
        let (mut cells, mut start) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = again("Query", || async {
                let text = |text: &str| AttributeValue::S(text.to_owned());
                let query = self.aws.dynamodb().query().table_name(&self.aws.config().logs_table);
                let query = query
                    .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                    .expression_attribute_values(":pk", text(&range.partition))
                    .expression_attribute_values(":from", text(&range.from))
                    .expression_attribute_values(":to", text(&range.to))
                    .set_exclusive_start_key(start.clone());
                query.send().await.map_err(|error| classify(&error))
            });
            let page = page.await?;
            let items = page.items.unwrap_or_default();
            cells.extend(items.iter().filter_map(|item| cell(item, range.month)));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(cells);
            }
        }
        Err(Error::TooManySums)
    }
}

/// The ranges that hold what is asked for: whole months by their own sums.
fn ranges(tenant: &str, ask: &Ask) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut day = ask.first;
    while day <= ask.last {
        let month = day.month();
        let end = Zone::utc().end_of_month(month);
        let (last, next) = (end.plus_ms(-1).utc_day().min(ask.last), end.utc_day());
        let is_whole = day.number().checked_rem(100) == Some(1) && last.number() == whole(month);
        let (from, to) = sort_keys(&ask.which, (day, last), is_whole && !ask.by_day);
        ranges.extend((0..SHARDS).map(|shard| Range {
            partition: Partition { tenant, kind: ask.kind, month, shard }.to_string(),
            month,
            from: from.clone(),
            to: to.clone(),
        }));
        if next <= day {
            break;
        }
        day = next;
    }
    ranges
}

/// The number of a month's last day.
fn whole(month: Month) -> u32 {
    Zone::utc().end_of_month(month).plus_ms(-1).utc_day().number()
}

/// Where the sums of some days begin and end in a partition. `~` is above every character of a
/// model's name and of an id but those beyond ASCII, so ids end at `\u{10ffff}`.
fn sort_keys(which: &Which, (first, last): (Day, Day), is_month: bool) -> (String, String) {
    let kind = if is_month { 'M' } else { 'D' };
    match which {
        Which::One(id) if is_month => (format!("M#{id}#"), format!("M#{id}#\u{10ffff}")),
        Which::One(id) => (format!("D#{id}#{first}#"), format!("D#{id}#{last}#\u{10ffff}")),
        Which::Beginning(start) => (format!("{kind}#{start}"), format!("{kind}#{start}\u{10ffff}")),
    }
}

fn cell(item: &Attributes, month: Month) -> Option<Cell> {
    let key = item.get("sk")?.as_s().ok()?;
    let mut parts = key.split('#');
    let kind = parts.next()?;
    let id = parts.next()?.to_owned();
    let day = match kind {
        "D" => Some(Day::from_number(parts.next()?.parse().ok()?).ok()?),
        _ => None,
    };
    let model = unescaped(parts.next()?);
    Some(Cell { id, day, month, model, sums: sums(item) })
}

fn sums(item: &Attributes) -> Sums {
    let mut sums = Sums::default();
    for (counter, name) in Counter::ALL {
        let sum = item.get(name).and_then(|sum| sum.as_n().ok()?.parse().ok());
        sums.add(counter, sum.unwrap_or_default());
    }
    sums
}

/// The sums of all copies by their sort keys, so many at most, and after which of them the next
/// page begins. Beyond the last one of a copy that has more behind it nobody knows all copies: a
/// copy's answer ends at a megabyte, wherever that is.
fn together(copies: Vec<Copied>, limit: usize) -> (BTreeMap<String, Sums>, Option<String>) {
    let ends = copies.iter().filter(|(_, has_more)| *has_more);
    let whole_until = ends.filter_map(|(found, _)| Some(found.last()?.0.clone())).min();
    let mut sets = BTreeMap::<String, Sums>::new();
    for (key, sums) in copies.into_iter().flat_map(|(found, _)| found) {
        if whole_until.as_ref().is_none_or(|until| key <= *until) {
            sets.entry(key).or_default().plus(&sums);
        }
    }
    let beyond = sets.keys().nth(limit).cloned();
    let next = match beyond {
        None => whole_until,
        Some(beyond) => {
            sets.split_off(&beyond);
            sets.keys().next_back().cloned()
        }
    };
    (sets, next)
}

/// None where nothing is left of the sums: they were taken off again.
fn set_cell(key: &str, sums: Sums) -> Option<SetCell> {
    let mut parts = key.splitn(3, '#');
    let owner = parts.next()?.to_owned();
    let (model, labels) = (unescaped(parts.next()?), rollup::read(parts.next()?));
    (!sums.is_zero()).then_some(SetCell { owner, model, labels, sums })
}

/// The sort key of a cursor.
fn decoded(cursor: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::Cursor)?;
    let key = String::from_utf8(bytes).map_err(|_| Error::Cursor)?;
    if key.is_empty() { Err(Error::Cursor) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u32) -> Day {
        Day::from_number(number).unwrap()
    }

    fn asked(first: u32, last: u32, by_day: bool) -> Vec<(String, String)> {
        let ask = Ask {
            kind: "user",
            which: Which::One("u1".to_owned()),
            first: day(first),
            last: day(last),
            by_day,
        };
        let ranges = ranges("main", &ask);
        assert_eq!(ranges.len() % SHARDS as usize, 0, "every copy is read");
        let one = |range: &Range| (range.partition.clone(), range.from.clone());
        ranges.iter().step_by(SHARDS as usize).map(one).collect()
    }

    #[test]
    fn whole_months_are_read_from_their_own_sums_and_the_rest_by_days() {
        let range = |month: &str, from: &str| (format!("R#main#user#{month}#00"), from.to_owned());

        assert_eq!(asked(20_261_101, 20_261_130, false), [range("202611", "M#u1#")]);
        assert_eq!(asked(20_261_101, 20_261_130, true), [range("202611", "D#u1#20261101#")]);
        assert_eq!(
            asked(20_261_215, 20_270_228, false),
            [range("202612", "D#u1#20261215#"), range("202701", "M#u1#"), range("202702", "M#u1#"),]
        );
        assert_eq!(asked(20_261_105, 20_261_105, false), [range("202611", "D#u1#20261105#")]);
        assert!(asked(20_261_106, 20_261_105, false).is_empty());
    }

    #[test]
    fn an_item_is_read_as_it_was_written() {
        let sums = {
            let mut sums = Sums::default();
            sums.add(Counter::Charged, -5);
            sums.add(Counter::Calls, 2);
            sums
        };
        let place = farebox_core::rollup::Place::Label("a".to_owned(), "x#1".to_owned());
        let updates = farebox_ledger::update::rollup_add(
            "main",
            3,
            day(20_261_105),
            (&place, "openai/gpt%23x"),
            &sums,
        );

        let read: Vec<_> = updates
            .into_iter()
            .map(|update| {
                let mut item = Attributes::new();
                item.insert("sk".to_owned(), AttributeValue::S(update.key.sk));
                for (name, value) in update.values {
                    if let (Some(name), farebox_ledger::Attr::N(sum)) =
                        (name.strip_prefix(':'), value)
                    {
                        item.insert(name.to_owned(), AttributeValue::N(sum.to_string()));
                    }
                }
                cell(&item, day(20_261_105).month()).unwrap()
            })
            .collect();

        let [of_day, of_month] = read.try_into().unwrap();
        assert_eq!((of_day.id.as_str(), of_day.day), ("a=x%231", Some(day(20_261_105))));
        assert_eq!((of_day.model.as_str(), &of_day.sums), ("openai/gpt#x", &sums));
        assert_eq!((of_month.day, &of_month.sums), (None, &sums));
    }

    #[test]
    fn no_sum_is_told_before_all_of_its_copies_are_read() {
        let copy = |keys: &str, has_more: bool| -> Copied {
            let mut one = Sums::default();
            one.add(Counter::Charged, 1);
            (keys.chars().map(|key| (key.to_string(), one.clone())).collect(), has_more)
        };
        let told = |copies: &[(&str, bool)], limit: usize| {
            let copies = copies.iter().map(|(keys, has_more)| copy(keys, *has_more)).collect();
            let (sets, next) = together(copies, limit);
            let sets = sets.into_iter();
            let sets: Vec<_> =
                sets.map(|(key, sums)| format!("{key}{}", sums.get(Counter::Charged))).collect();
            (sets.join(" "), next.unwrap_or_default())
        };
        let page = |sets: &str, next: &str| (sets.to_owned(), next.to_owned());

        assert_eq!(told(&[("abd", false), ("bd", false)], 9), page("a1 b2 d2", ""));
        assert_eq!(told(&[("abd", false), ("bd", false)], 2), page("a1 b2", "b"));
        // The first copy ends at `b`: it may have a `c` too, which the next page reads.
        assert_eq!(told(&[("ab", true), ("bcd", false)], 9), page("a1 b2", "b"));
        assert_eq!(told(&[("ab", true), ("a", true)], 9), page("a2", "a"));
        assert_eq!(told(&[("", false), ("ab", false)], 2), page("a1 b1", ""));
    }

    #[test]
    fn a_set_is_read_as_it_was_written_and_nothing_of_it_where_nothing_is_left() {
        let labels = [("a,b".to_owned(), "x#1=%".to_owned()), ("team".to_owned(), "é".to_owned())];
        let key = "k1".parse().unwrap();
        let set = rollup::Place::Set(farebox_core::ScopeKind::Key, key, rollup::written(&labels));
        let mut sums = Sums::default();
        sums.add(Counter::Charged, 7);
        let day = day(20_261_105);
        let written =
            farebox_ledger::update::rollup_add("main", 3, day, (&set, "openai/gpt%23x"), &sums);

        let [only] = written.as_slice() else { panic!("one sum: the day's") };
        let read = set_cell(&only.key.sk, sums.clone()).unwrap();

        assert_eq!((read.owner.as_str(), read.model.as_str()), ("key:k1", "openai/gpt#x"));
        assert_eq!(read.labels, labels.into_iter().collect());
        assert_eq!(read.sums, sums);
        assert_eq!(set_cell(&only.key.sk, Sums::default()), None);
        for wrong in ["", "!", "_w"] {
            assert_eq!(decoded(wrong), Err(Error::Cursor), "{wrong}");
        }
    }
}

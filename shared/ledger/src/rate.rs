//! Rate limits: requests and tokens of one minute, and calls under way, of one key or user.
//!
//! One item a limited scope, one conditional write a call: the condition is the limit, so it is
//! exact however many call at once. The item holds the present minute (`w`) with what began in it
//! (`r` requests, `t` tokens), and, where a call's end matters, a slot for each call under way
//! (`c_<rid>`, the second at which it is over at the latest) and their number (`n`). The first
//! call of a minute begins the counters anew. The slot of a process that died is past its end; it
//! is taken out by whoever finds no place.

use farebox_core::{RateLimits, Rid, Scope, Timestamp};

use crate::{Attr, Item, Key, Table, Update};

/// A slot outlives its call's invocation by this, as the sweep does a hold.
const GRACE_MS: i64 = 60_000;
/// The most dead slots that one write takes out.
const PURGE_MAX: usize = 50;
const MINUTE_MS: i64 = 60_000;

/// One call's place in the limits of one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Whose limits.
    pub scope: Scope,
    /// What they are.
    pub limits: RateLimits,
    key: Key,
    rid: Rid,
    tokens: u64,
    /// The minute of the clock in which it counts, since 1970.
    minute: i64,
    until_s: i64,
}

/// Which limit left no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Requests of this minute.
    Requests,
    /// Tokens of this minute.
    Tokens,
    /// The call alone reserves more tokens than a minute has.
    TooManyTokens,
    /// Calls under way.
    Concurrent,
}

/// What to do after a condition failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An attempt whose answer was lost has taken the place.
    Taken,
    /// Send this, which takes the place.
    Write(Update),
    /// Send this, which takes dead slots out, and then [`Take::write`].
    Purge(Update),
    /// There is no place.
    Refused(Limited),
}

impl Take {
    /// A place for a call that reserves `tokens` and ends at `ends_at` at the latest.
    #[must_use]
    pub fn new(
        tenant: &str,
        (scope, limits): (Scope, RateLimits),
        rid: Rid,
        tokens: u64,
        (now, ends_at): (Timestamp, Timestamp),
    ) -> Self {
        let pk = format!("RL#{tenant}#{scope}");
        let key = Key { table: Table::Main, pk, sk: "0".to_owned() };
        let minute = now.ms().div_euclid(MINUTE_MS);
        let until_s = ends_at.plus_ms(GRACE_MS).seconds();
        Self { scope, limits, key, rid, tokens, minute, until_s }
    }

    /// The write within the present minute.
    #[must_use]
    pub fn write(&self) -> Update {
        let mut set = String::new();
        let mut add = "ADD r :one, t :t".to_owned();
        let mut condition = "w = :w".to_owned();
        if self.limits.has_slots() {
            set.push_str("SET #c = :until ");
            add.push_str(", n :one");
            condition.push_str(" AND attribute_not_exists(#c)");
        }
        let rooms = [
            ("r", ":rroom", self.limits.requests_per_minute, 1),
            ("t", ":troom", self.limits.tokens_per_minute, self.tokens),
            ("n", ":nroom", self.limits.concurrent, 1),
        ];
        for (name, room, ..) in rooms.iter().filter(|(_, _, limit, _)| limit.is_some()) {
            condition.push_str(&format!(" AND {name} <= {room}"));
        }
        let mut update = Update::change(self.key.clone(), set + &add, &condition)
            .value(":one", Attr::N(1))
            .value(":t", Attr::N(self.tokens.into()))
            .value(":w", Attr::N(self.minute.into()));
        for (_, room, limit, more) in rooms {
            let Some(limit) = limit else { continue };
            let left = i128::from(limit).saturating_sub(more.into());
            update = update.value(room, Attr::N(left));
        }
        self.with_slot(update)
    }

    /// The write that begins a minute. It also makes `n`, which a limit set later may need.
    fn begin(&self) -> Update {
        let slots = self.limits.has_slots();
        let slot = if slots { ", #c = :until" } else { "" };
        let expression = format!("SET w = :w, r = :one, t = :t{slot} ADD n :more");
        let mut condition = "(attribute_not_exists(pk) OR w < :w)".to_owned();
        if slots {
            condition.push_str(" AND attribute_not_exists(#c)");
        }
        if self.limits.concurrent.is_some() {
            condition.push_str(" AND (attribute_not_exists(n) OR n <= :nroom)");
        }
        let mut update = Update::change(self.key.clone(), expression, &condition)
            .value(":one", Attr::N(1))
            .value(":more", Attr::N(slots.into()))
            .value(":t", Attr::N(self.tokens.into()))
            .value(":w", Attr::N(self.minute.into()));
        if let Some(limit) = self.limits.concurrent {
            update = update.value(":nroom", Attr::N(i128::from(limit).saturating_sub(1)));
        }
        self.with_slot(update)
    }

    /// What a failed condition means, by the item as it was.
    #[must_use]
    pub fn after(&mut self, old: Option<&Item>, now: Timestamp) -> Next {
        if self.limits.tokens_per_minute.is_some_and(|limit| self.tokens > limit) {
            return Next::Refused(Limited::TooManyTokens);
        }
        let Some(old) = old else { return Next::Write(self.begin()) };
        let count = |name: &str| match old.get(name) {
            Some(Attr::N(count)) => *count,
            _ => 0,
        };
        if old.contains_key(&self.slot()) {
            return Next::Taken;
        }
        let is_full = self.limits.concurrent.is_some_and(|limit| count("n") >= limit.into());
        if is_full {
            return match self.purge(old, now) {
                Some(purge) => Next::Purge(purge),
                None => Next::Refused(Limited::Concurrent),
            };
        }
        if count("w") < self.minute.into() {
            return Next::Write(self.begin());
        }
        // Another clock is ahead: its minute is the present one.
        self.minute = i64::try_from(count("w")).unwrap_or(self.minute);
        let exceeds = |name: &str, limit: Option<u64>, more: u64| {
            limit.is_some_and(|limit| count(name).saturating_add(more.into()) > limit.into())
        };
        if exceeds("r", self.limits.requests_per_minute, 1) {
            return Next::Refused(Limited::Requests);
        }
        if exceeds("t", self.limits.tokens_per_minute, self.tokens) {
            return Next::Refused(Limited::Tokens);
        }
        Next::Write(self.write())
    }

    /// Takes out the slots that are past their end; `None` where there is none.
    fn purge(&self, old: &Item, now: Timestamp) -> Option<Update> {
        let dead = old.iter().filter(|(name, value)| {
            name.starts_with("c_") && matches!(value, Attr::N(end) if *end < now.seconds().into())
        });
        let dead: Vec<_> = dead.take(PURGE_MAX).collect();
        let less = i128::try_from(dead.len()).ok().filter(|less| *less > 0)?;
        let (mut removed, mut conditions) = (Vec::new(), Vec::new());
        for at in 0..dead.len() {
            removed.push(format!("#c{at}"));
            conditions.push(format!("#c{at} = :u{at}"));
        }
        let expression = format!("ADD n :less REMOVE {}", removed.join(", "));
        let update = Update::change(self.key.clone(), expression, &conditions.join(" AND "));
        let update = update.value(":less", Attr::N(less.saturating_neg()));
        let named = dead.into_iter().enumerate().fold(update, |update, (at, (name, end))| {
            update.name(&format!("#c{at}"), name.as_str()).value(&format!(":u{at}"), end.clone())
        });
        Some(named)
    }

    /// The writes that end the call's place: the second only where the condition of the first
    /// fails, because the minute is over. `used` is what it used of its tokens; `None` says that
    /// it was refused, and never was a request. Nothing where its end does not matter.
    #[must_use]
    pub fn give_back(&self, used: Option<u64>) -> Vec<Update> {
        let is_taken_back = used.is_none();
        let less = i128::from(used.unwrap_or_default()).saturating_sub(self.tokens.into());
        let slots = self.limits.has_slots();
        if !slots && !is_taken_back {
            return Vec::new();
        }
        let mut within = "ADD t :less".to_owned();
        let mut condition = "w = :w".to_owned();
        if slots {
            within.push_str(", n :neg1");
            condition.push_str(" AND attribute_exists(#c)");
        }
        if is_taken_back {
            within.push_str(", r :back");
        }
        if slots {
            within.push_str(" REMOVE #c");
        }
        let mut first = Update::change(self.key.clone(), within, &condition)
            .value(":less", Attr::N(less))
            .value(":w", Attr::N(self.minute.into()));
        if is_taken_back {
            first = first.value(":back", Attr::N(-1));
        }
        if !slots {
            return vec![first];
        }
        let later = "ADD n :neg1 REMOVE #c";
        let later = Update::change(self.key.clone(), later, "attribute_exists(#c)");
        let ends =
            [first, later].map(|update| update.value(":neg1", Attr::N(-1)).name("#c", self.slot()));
        ends.to_vec()
    }

    /// What is left of requests and tokens after the write that took the place, by the attributes
    /// that it changed.
    #[must_use]
    pub fn left(&self, changed: &Item) -> (Option<u64>, Option<u64>) {
        let left = |name: &str, limit: Option<u64>| {
            let used = match changed.get(name) {
                Some(Attr::N(used)) => u64::try_from(*used).unwrap_or_default(),
                _ => 0,
            };
            limit.map(|limit| limit.saturating_sub(used))
        };
        (left("r", self.limits.requests_per_minute), left("t", self.limits.tokens_per_minute))
    }

    /// Milliseconds until the next minute.
    #[must_use]
    pub fn reset_ms(&self, now: Timestamp) -> u64 {
        let next = self.minute.saturating_add(1).saturating_mul(MINUTE_MS);
        u64::try_from(next.saturating_sub(now.ms())).unwrap_or_default()
    }

    fn slot(&self) -> String {
        format!("c_{}", self.rid)
    }

    fn with_slot(&self, update: Update) -> Update {
        if !self.limits.has_slots() {
            return update;
        }
        update.name("#c", self.slot()).value(":until", Attr::N(self.until_s.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Write;

    const RID: &str = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F";
    const MINUTE: i64 = 29_000_000;

    fn now() -> Timestamp {
        Timestamp::from_ms(MINUTE * MINUTE_MS + 1_500)
    }

    fn take(limits: RateLimits, tokens: u64) -> Take {
        let scope = ("user:u1".parse().unwrap(), limits);
        let times = (now(), now().plus_ms(900_000));
        Take::new("main", scope, RID.parse().unwrap(), tokens, times)
    }

    fn all() -> RateLimits {
        RateLimits {
            requests_per_minute: Some(3),
            tokens_per_minute: Some(100),
            concurrent: Some(2),
        }
    }

    fn item(counts: &[(&str, i64)]) -> Item {
        counts.iter().map(|(name, count)| ((*name).to_owned(), Attr::N((*count).into()))).collect()
    }

    #[test]
    fn a_place_is_one_write_whose_condition_is_the_limit() {
        let update = take(all(), 40).write();

        let Write::Update(expression) = &update.write else { panic!("no update") };
        assert_eq!(expression, "SET #c = :until ADD r :one, t :t, n :one");
        let condition = "w = :w AND attribute_not_exists(#c) AND r <= :rroom AND t <= :troom \
                         AND n <= :nroom";
        assert_eq!(update.condition, condition);
        let value = |name: &str| update.values.iter().find(|(known, _)| known == name).cloned();
        for (name, room) in [(":rroom", 2), (":troom", 60), (":nroom", 1)] {
            assert_eq!(value(name), Some((name.to_owned(), Attr::N(room))));
        }
        assert_eq!(update.key.pk, "RL#main#user:u1");
    }

    #[test]
    fn each_limit_refuses_by_its_name_and_only_it() {
        let of = |counts: &[(&str, i64)], tokens| {
            let mut take = take(all(), tokens);
            take.after(Some(&item(counts)), now())
        };
        let minute = ("w", MINUTE);

        let refused = |limited| Next::Refused(limited);
        assert_eq!(of(&[minute, ("r", 3), ("t", 0)], 40), refused(Limited::Requests));
        assert_eq!(of(&[minute, ("r", 2), ("t", 61)], 40), refused(Limited::Tokens));
        assert_eq!(of(&[minute, ("r", 0), ("n", 2)], 40), refused(Limited::Concurrent));
        assert_eq!(of(&[], 101), refused(Limited::TooManyTokens));
        // Another was faster, and there is room again.
        let again = of(&[minute, ("r", 2), ("t", 60), ("n", 1)], 40);
        assert_eq!(again, Next::Write(take(all(), 40).write()));
    }

    #[test]
    fn a_new_minute_counts_from_zero_and_keeps_what_is_under_way() {
        let mut take = take(all(), 40);

        for old in [None, Some(item(&[("w", MINUTE - 1), ("r", 3), ("t", 100), ("n", 1)]))] {
            let Next::Write(begin) = take.after(old.as_ref(), now()) else { panic!("refused") };
            let Write::Update(expression) = &begin.write else { panic!("no update") };
            assert_eq!(expression, "SET w = :w, r = :one, t = :t, #c = :until ADD n :more");
            assert!(begin.condition.ends_with("(attribute_not_exists(n) OR n <= :nroom)"));
        }
        let full = item(&[("w", MINUTE - 1), ("n", 2)]);
        assert_eq!(take.after(Some(&full), now()), Next::Refused(Limited::Concurrent));
    }

    #[test]
    fn a_clock_that_is_ahead_sets_the_minute() {
        let mut take = take(all(), 40);
        let ahead = item(&[("w", MINUTE + 1), ("r", 0), ("t", 0), ("n", 0)]);

        let Next::Write(write) = take.after(Some(&ahead), now()) else { panic!("refused") };

        assert!(write.values.contains(&(":w".to_owned(), Attr::N((MINUTE + 1).into()))));
        assert_eq!(take.reset_ms(now()), 2 * 60_000 - 1_500);
    }

    #[test]
    fn a_lost_answer_is_found_and_never_counted_twice() {
        let mut take = take(all(), 40);
        let slot = format!("c_{RID}");
        let full = item(&[("w", MINUTE), ("r", 3), ("t", 100), ("n", 2), (&slot, 9)]);

        assert_eq!(take.after(Some(&full), now()), Next::Taken);
    }

    #[test]
    fn slots_of_dead_processes_are_taken_out_and_those_of_living_ones_stay() {
        let mut take = take(all(), 40);
        let past = now().seconds() - 1;
        let counts = [("w", MINUTE), ("n", 2), ("c_A", past), ("c_B", now().seconds())];

        let Next::Purge(purge) = take.after(Some(&item(&counts)), now()) else { panic!("kept") };

        let Write::Update(expression) = &purge.write else { panic!("no update") };
        assert_eq!(expression, "ADD n :less REMOVE #c0");
        assert_eq!(purge.condition, "#c0 = :u0", "nobody else has taken it out");
        assert_eq!(purge.names, [("#c0".to_owned(), "c_A".to_owned())]);
        assert!(purge.values.contains(&(":less".to_owned(), Attr::N(-1))));
    }

    #[test]
    fn the_end_gives_back_what_was_not_used_once() {
        let ends = take(all(), 40).give_back(Some(15));

        let [within, later] = ends.as_slice() else { panic!("two") };
        let Write::Update(expression) = &within.write else { panic!("no update") };
        assert_eq!(expression, "ADD t :less, n :neg1 REMOVE #c");
        assert_eq!(within.condition, "w = :w AND attribute_exists(#c)");
        assert!(within.values.contains(&(":less".to_owned(), Attr::N(-25))));
        assert_eq!(later.condition, "attribute_exists(#c)");
        let requests = RateLimits { requests_per_minute: Some(3), ..RateLimits::default() };
        assert!(take(requests, 40).give_back(Some(15)).is_empty(), "its end does not matter");
        let refused = take(requests, 40).give_back(None);
        let Write::Update(expression) = &refused[0].write else { panic!("no update") };
        assert_eq!(expression, "ADD t :less, r :back");
    }
}

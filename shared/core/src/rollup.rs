//! What the rows of the log add up to, and where: sums by owner, label, provider and model.
//!
//! Usage over a month is answered from these sums and not from rows, so it takes as many reads
//! for ten million calls as for ten (money.md 3.13). A row counts to all calls, to its owners and
//! to its first labels, in each under its model; and, once, to the day of its key and its labels
//! together, which is what an export has a line of.

use std::collections::BTreeMap;

use crate::pricing::taken_off;
use crate::{CallRecord, EntityId, Money, Outcome, ScopeKind, Usage};

/// Labels of one call that are counted, the most trusted first; the rest stands in its row only.
/// It bounds the items that one row moves: 2 × (1 + 4 owners + 8 labels) + 1 = 27, or 54 where a
/// row takes the place of another that stood elsewhere, far below the 100 of a transaction.
pub const LABELS_COUNTED: usize = 8;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Calls that were admitted.
    Calls,
    /// Calls that Farebox refused.
    Refused,
    /// What was charged, with entries, in pico-USD.
    Charged,
    /// Of it: holds that are charged because nobody knows the cost.
    Unknown,
    /// Of it: admins' entries, signed.
    Entered,
    /// Of it: prompt tokens of every class, as far as the cost is known in parts.
    InputCost,
    /// Of it: completion tokens of every class.
    OutputCost,
    /// Of it: fees by the piece.
    Fees,
    /// How many pieces these fees are for.
    Pieces,
    /// Beside it: what discounts took off the list prices of prompt tokens.
    InputOff,
    /// The same of completion tokens.
    OutputOff,
    /// Prompt tokens that were neither read from the cache nor written to it.
    Prompt,
    /// Prompt tokens read from the provider's cache.
    Cached,
    /// Prompt tokens written to it.
    CacheWritten,
    /// Completion tokens without reasoning.
    Completion,
    /// Completion tokens of reasoning.
    Reasoning,
}

impl Counter {
    /// All of them, with the attributes in which their sums are kept.
    pub const ALL: [(Self, &'static str); 16] = [
        (Self::Calls, "c_calls"),
        (Self::Refused, "c_refused"),
        (Self::Charged, "c_usd"),
        (Self::Unknown, "c_unknown"),
        (Self::Entered, "c_entered"),
        (Self::InputCost, "c_in_usd"),
        (Self::OutputCost, "c_out_usd"),
        (Self::Fees, "c_fees"),
        (Self::Pieces, "c_pieces"),
        (Self::InputOff, "c_in_off"),
        (Self::OutputOff, "c_out_off"),
        (Self::Prompt, "c_prompt"),
        (Self::Cached, "c_cached"),
        (Self::CacheWritten, "c_written"),
        (Self::Completion, "c_completion"),
        (Self::Reasoning, "c_reasoning"),
    ];
}

/// Sums over calls, exact; what is not there is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<Counter, i128>);

impl Sums {
    /// What one row counts.
    #[must_use]
    pub fn of(record: &CallRecord) -> Self {
        let mut sums = Self::default();
        // Its call has a row of its own, in which the truth stands.
        let is_others = record.correction.as_ref().and_then(|correction| correction.of);
        if record.outcome == Outcome::Adjusted
            && is_others.is_some_and(|of| of != record.request_id)
        {
            return sums;
        }
        let charged = record.charged().unwrap_or_default();
        sums.add(Counter::Charged, charged.pico());
        // An attempt that another one followed is no call of its own.
        let calls = i128::from(record.parent.is_none());
        match record.outcome {
            Outcome::Correction => {
                sums.add(Counter::Entered, charged.pico());
                return sums;
            }
            Outcome::Refused => sums.add(Counter::Refused, 1),
            Outcome::Worst | Outcome::Provisional => {
                sums.add(Counter::Calls, calls);
                sums.add(Counter::Unknown, charged.pico());
            }
            Outcome::Void | Outcome::VoidInferred | Outcome::Settled | Outcome::Adjusted => {
                sums.add(Counter::Calls, calls);
            }
        }
        // An admin's figure, or the provider's own, takes the place of a cost whose parts were
        // another one's.
        if let Some(cost) = record.cost.filter(|cost| cost.total == charged) {
            sums.add(Counter::InputCost, cost.input.pico());
            sums.add(Counter::OutputCost, cost.output.pico());
            sums.add(Counter::Fees, cost.fees.pico());
            let prices = record.price_version.as_deref().unwrap_or_default();
            sums.add(Counter::InputOff, taken_off(prices, cost.input).pico());
            sums.add(Counter::OutputOff, taken_off(prices, cost.output).pico());
            let pieces = record.lines.iter().filter(|line| line.per == 1);
            sums.add(Counter::Pieces, pieces.map(|line| i128::from(line.count)).sum());
        }
        if let Some(usage) = &record.usage {
            sums.use_tokens(usage);
        }
        sums
    }

    /// One sum.
    #[must_use]
    pub fn get(&self, counter: Counter) -> i128 {
        self.0.get(&counter).copied().unwrap_or_default()
    }

    /// One sum of pico-USD; `None` beyond all money.
    #[must_use]
    pub fn money(&self, counter: Counter) -> Option<Money> {
        Money::from_pico(self.get(counter)).ok()
    }

    /// Adds to one sum.
    pub fn add(&mut self, counter: Counter, more: i128) {
        // A sum of DynamoDB has 38 digits, as an i128 has, and money never comes near it.
        let sum = self.get(counter).saturating_add(more);
        if sum == 0 {
            self.0.remove(&counter);
        } else {
            self.0.insert(counter, sum);
        }
    }

    /// Adds others to these.
    pub fn plus(&mut self, more: &Self) {
        more.iter().for_each(|(counter, sum)| self.add(counter, sum));
    }

    /// Takes others off these.
    pub fn minus(&mut self, less: &Self) {
        less.iter().for_each(|(counter, sum)| self.add(counter, sum.saturating_neg()));
    }

    /// Those that are not zero.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, i128)> {
        self.0.iter().map(|(counter, sum)| (*counter, *sum))
    }

    /// Whether all are zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn use_tokens(&mut self, usage: &Usage) {
        let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        for (counter, tokens) in [
            (Counter::Prompt, usage.prompt.saturating_add(usage.audio_prompt)),
            (Counter::Cached, usage.cached),
            (Counter::CacheWritten, written),
            (Counter::Completion, usage.completion.saturating_add(usage.audio_completion)),
            (Counter::Reasoning, usage.reasoning),
        ] {
            self.add(counter, i128::from(tokens));
        }
    }
}

/// Whose sums a row moves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Everybody's.
    All,
    /// An owner's.
    Owner(ScopeKind, EntityId),
    /// Those of the calls with a label.
    Label(String, String),
    /// Those of the calls of one owner whose labels are the same, by [`written`]. Every row but a
    /// refusal is in one of them and in no second: they are added up to what was charged.
    Set(ScopeKind, EntityId, String),
}

impl Place {
    /// `all`, `org`, `team`, `user`, `key`, `label` or `set`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Owner(kind, _) => kind.name(),
            Self::Label(..) => "label",
            Self::Set(..) => "set",
        }
    }

    /// Which one of its kind, as sort keys have it: without `#`. A set's is its owner's, and its
    /// labels stand apart.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::All => "-".to_owned(),
            Self::Owner(_, id) => id.to_string(),
            Self::Label(name, value) => {
                format!("{}={}", escaped(name).replace('=', "%3D"), escaped(value))
            }
            Self::Set(kind, id, _) => format!("{}:{id}", kind.name()),
        }
    }
}

/// The set that a row is in: its key's, or that of the owner in whose books an entry stands; `set`
/// is what [`written`] made of its labels. A refusal was charged nothing and is in none.
#[must_use]
pub fn set_of(record: &CallRecord, set: &str) -> Option<Place> {
    let is_of_call = record.correction.as_ref().is_some_and(|correction| correction.of.is_some());
    let (kind, id) = match record.outcome {
        Outcome::Refused => return None,
        Outcome::Correction if !is_of_call => {
            let scope = record.scopes.first()?;
            (scope.kind, &scope.id)
        }
        _ => (ScopeKind::Key, &record.key_id),
    };
    Some(Place::Set(kind, id.clone(), set.to_owned()))
}

/// Labels as one text, the same however they were ordered.
#[must_use]
pub fn written(labels: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{}={}", piece(name), piece(value));
    let mut pairs: Vec<_> = labels.iter().map(pair).collect();
    pairs.sort_unstable();
    pairs.join(",")
}

/// The labels of a text that [`written`] made.
#[must_use]
pub fn read(text: &str) -> BTreeMap<String, String> {
    let plain = |text: &str| unescaped(&text.replace("%2C", ","));
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}

/// A name or a value without what parts them.
fn piece(text: &str) -> String {
    escaped(text).replace('=', "%3D").replace(',', "%2C")
}

/// The places of a row; `labels` are those of its labels that are counted.
#[must_use]
pub fn places(record: &CallRecord, labels: &[(String, String)]) -> Vec<Place> {
    let mut places = vec![Place::All];
    let mut owner = |kind: ScopeKind, id: &EntityId| {
        let place = Place::Owner(kind, id.clone());
        if !places.contains(&place) {
            places.push(place);
        }
    };
    // An entry of no call stands in the books that it names and in no others.
    let is_of_call = record.correction.as_ref().is_some_and(|correction| correction.of.is_some());
    if record.outcome != Outcome::Correction || is_of_call {
        record.org.iter().for_each(|id| owner(ScopeKind::Org, id));
        record.team.iter().for_each(|id| owner(ScopeKind::Team, id));
        owner(ScopeKind::User, &record.user);
        owner(ScopeKind::Key, &record.key_id);
    }
    for scope in record.scopes.iter().filter(|scope| scope.model.is_none()) {
        owner(scope.kind, &scope.id);
    }
    places.extend(labels.iter().map(|(name, value)| Place::Label(name.clone(), value.clone())));
    places
}

/// `provider/model` of a row as sort keys have it; `-` where it was not known yet.
#[must_use]
pub fn model_of(record: &CallRecord) -> String {
    if let (Some(provider), Some(model)) = (&record.provider, &record.model) {
        return escaped(&format!("{provider}/{model}"));
    }
    let of_scope = record.scopes.iter().find_map(|scope| scope.model.as_ref());
    of_scope.map_or_else(|| "-".to_owned(), |model| escaped(model.as_str()))
}

/// A text without `#`, which parts the pieces of a key.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('#', "%23")
}

/// A text of a key as it was.
#[must_use]
pub fn unescaped(text: &str) -> String {
    text.replace("%3D", "=").replace("%23", "#").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::CostLine;
    use crate::{Cost, Decision, Rid, Scope};

    fn record(outcome: Outcome, decision: Decision) -> CallRecord {
        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let (user, key) = ("u1".parse().unwrap(), "k1".parse().unwrap());
        CallRecord {
            outcome,
            decision: Some(decision),
            hold: Money::from_pico(50).ok(),
            ..CallRecord::new(rid, "main".into(), user, key)
        }
    }

    fn pico(pico: i128) -> Money {
        Money::from_pico(pico).unwrap()
    }

    #[test]
    fn a_settled_row_counts_its_cost_in_parts_and_its_tokens() {
        let cost = Cost { input: pico(3), output: pico(4), fees: pico(0), total: pico(8) };
        let usage = Usage { prompt: 5, cached: 2, completion: 7, reasoning: 1, ..Usage::default() };
        let line = |per: u64, count: u64| CostLine {
            class: "web_searches".to_owned(),
            count,
            price_usd: "0".to_owned(),
            per,
            amount_usd: "0".to_owned(),
        };
        let settled = CallRecord {
            cost: Some(cost),
            lines: vec![line(1, 2), line(1_000_000, 5), line(1, 1)],
            usage: Some(usage),
            ..record(Outcome::Settled, Decision::Settle(pico(8)))
        };

        let sums = Sums::of(&settled);

        let counted = [Counter::Calls, Counter::Charged, Counter::InputCost, Counter::OutputCost];
        assert_eq!(counted.map(|counter| sums.get(counter)), [1, 8, 3, 4]);
        assert_eq!(sums.get(Counter::Pieces), 3, "tokens are no pieces");
        let tokens = [Counter::Prompt, Counter::Cached, Counter::Completion, Counter::Reasoning];
        assert_eq!(tokens.map(|counter| sums.get(counter)), [5, 2, 7, 1]);
        assert_eq!(sums.get(Counter::InputOff), 0, "no discount was applied");
        let version = Some("2026-11-23-25%".to_owned());
        let dear = Cost { input: pico(300), output: pico(600), fees: pico(7), total: pico(907) };
        let discounted = CallRecord {
            cost: Some(dear),
            price_version: version,
            decision: Some(Decision::Settle(pico(907))),
            ..settled.clone()
        };
        let sums = Sums::of(&discounted);
        let off = [Counter::InputOff, Counter::OutputOff, Counter::Fees];
        assert_eq!(off.map(|counter| sums.get(counter)), [100, 200, 7], "fees are charged in full");
        // The parts of another figure, an admin's or the provider's own, are not told.
        let adjusted = CallRecord { decision: Some(Decision::Settle(pico(9))), ..settled };
        assert_eq!(Sums::of(&adjusted).get(Counter::InputCost), 0);
    }

    #[test]
    fn each_ending_counts_for_what_it_is() {
        let of = |outcome, decision| {
            let sums = Sums::of(&record(outcome, decision));
            [Counter::Calls, Counter::Refused, Counter::Charged, Counter::Unknown, Counter::Entered]
                .map(|counter| sums.get(counter))
        };

        assert_eq!(of(Outcome::Refused, Decision::Void), [0, 1, 0, 0, 0]);
        assert_eq!(of(Outcome::Void, Decision::Void), [1, 0, 0, 0, 0]);
        assert_eq!(of(Outcome::Worst, Decision::Worst), [1, 0, 50, 50, 0]);
        assert_eq!(of(Outcome::Provisional, Decision::Worst), [1, 0, 50, 50, 0]);
        assert_eq!(of(Outcome::Correction, Decision::Settle(pico(-5))), [0, 0, -5, 0, -5]);
    }

    #[test]
    fn an_attempt_that_another_followed_counts_its_charge_and_no_call() {
        let worst = record(Outcome::Worst, Decision::Worst);
        let sums = Sums::of(&CallRecord { parent: Some(worst.rid), ..worst });

        assert_eq!((sums.get(Counter::Calls), sums.get(Counter::Charged)), (0, 50));
    }

    #[test]
    fn what_is_taken_off_again_leaves_nothing() {
        let sums = Sums::of(&record(Outcome::Worst, Decision::Worst));
        let mut difference = sums.clone();
        difference.minus(&sums);

        assert!(difference.is_zero() && difference.iter().next().is_none());
        difference.plus(&sums);
        assert_eq!(difference, sums);
    }

    #[test]
    fn a_call_counts_to_all_its_owners_once_and_an_entry_to_its_scope_alone() {
        let mut call = record(Outcome::Settled, Decision::Settle(pico(1)));
        call.team = Some("t1".parse().unwrap());
        call.scopes = ["org:o1", "user:u1", "key:k1", "model:user:u1/openai/gpt-x"]
            .map(|scope| scope.parse::<Scope>().unwrap())
            .to_vec();
        let ids = |record: &CallRecord, labels: &[(String, String)]| {
            let places = places(record, labels);
            places
                .iter()
                .map(|place| format!("{}:{}", place.kind(), place.id()))
                .collect::<Vec<_>>()
        };

        let label = ("a=b#".to_owned(), "50%=".to_owned());
        let found = ids(&call, &[label]);
        let expected = ["all:-", "team:t1", "user:u1", "key:k1", "org:o1", "label:a%3Db%23=50%25="];
        assert_eq!(found, expected);
        assert_eq!(model_of(&call), "openai/gpt-x");

        assert_eq!(set_of(&call, "a=b").map(|set| set.id()).as_deref(), Some("key:k1"));

        call.outcome = Outcome::Correction;
        call.scopes = vec!["org:o1".parse().unwrap()];
        assert_eq!(ids(&call, &[]), ["all:-", "org:o1"]);
        assert_eq!(set_of(&call, "").map(|set| set.id()).as_deref(), Some("org:o1"));
        call.outcome = Outcome::Refused;
        assert_eq!(set_of(&call, ""), None);
    }

    #[test]
    fn labels_are_one_text_in_any_order_and_come_back_from_it() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let labels = [pair("team", "a=b,c#%2C"), pair("a,b=%", "é")];
        let turned = [labels[1].clone(), labels[0].clone()];

        let text = written(&labels);

        assert_eq!(text, "a%2Cb%3D%25=é,team=a%3Db%2Cc%23%252C");
        assert_eq!(text, written(&turned));
        assert_eq!(read(&text), labels.into_iter().collect());
        assert!(written(&[]).is_empty() && read("").is_empty());
    }

    #[test]
    fn an_escaped_text_comes_back() {
        for text in ["plain", "a#b", "50%", "%23", "a=b", "%3D"] {
            assert_eq!(unescaped(&escaped(text).replace('=', "%3D")), text);
            assert!(!escaped(text).contains('#'));
        }
    }
}

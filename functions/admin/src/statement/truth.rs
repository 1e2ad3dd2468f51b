//! What a report determines of the calls whose cost nobody knew.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;

use farebox_aws::Overrides;
use farebox_core::pricing::{Price, Schedule};
use farebox_core::{CallRecord, Money, Reported, Usage};

use super::counts::{BATCH, Kind, Report, STANDARD, Share};

/// The longest that a call whose end nobody saw may have run: a function's time.
pub const LONGEST_MS: i64 = 900_000;

/// A call that was charged its hold, because nobody knew.
#[derive(Clone, Debug)]
pub struct Unknown {
    pub row: CallRecord,
    /// The budgets in which it is charged, each with its day.
    pub places: BTreeSet<(String, u32)>,
    /// What it is charged now: its hold, or what an earlier report made of it.
    pub charged: Money,
}

/// The calls of one model in the time of the report.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// Settled to the provider's own counts.
    pub settled: Vec<CallRecord>,
    pub unknown: Vec<Unknown>,
    /// Why what is left of the report is not the unknown calls' alone.
    pub blurred: Option<Open>,
}

/// What a report says of the unknown calls of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// What each of them cost, in their order.
    Determined(Vec<Money>),
    /// What they cost together, where they are charged in different budgets: whose it is it does
    /// not say. So each is charged the most that it can have cost, in the calls' order.
    AtMost(Money, Vec<Money>, Vec<Place>),
    /// Nothing.
    Open(Open),
}

/// What calls of different budgets can have cost in one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The budget.
    pub scope: String,
    /// Its day.
    pub day: u32,
    /// What the others cannot have cost.
    pub least: Money,
    /// What its own calls can have cost.
    pub most: Money,
}

impl Finding {
    /// Nothing yet, where the report may still grow.
    pub fn unless(self, is_early: bool) -> Self {
        if is_early && self != Self::Open(Open::None) { Self::Open(Open::Early) } else { self }
    }
}

/// Why calls are not determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    None,
    Early,
    Unnamed,
    ByHand,
    Uncounted,
    Edge,
    Less,
    More,
    Nameless,
    NotOurs,
    Untold,
    Scopes,
    TooDear,
}

impl Open {
    /// What it says, and what can be done.
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Early => "the time is not an hour past: import it again later",
            Self::Unnamed => "the report does not name the model",
            Self::ByHand => "an admin told a call's cost and not its counts",
            Self::Uncounted => "a call has counts that no report tells, or was not billed for them",
            Self::Edge => "a call ran at the end of the time: import it with the time after it",
            Self::Less => "the report has less than the settled calls used: it is not whole",
            Self::More => "the report has other requests: somebody calls beside Farebox",
            Self::Nameless => "a call whose process died may have used it",
            Self::NotOurs => "nothing tells its provider: correct it by hand",
            Self::Untold => {
                "it depends on a tier, place, search, cache write or length that is not told: \
                 group the report by them, in shorter times"
            }
            Self::Scopes => {
                "their sum is known, and they belong to different budgets: each is charged the \
                 most that it can be of it"
            }
            Self::TooDear => "it is more than they can have cost: somebody calls beside Farebox",
        }
    }
}

/// Calls by the budgets in which they are charged: the place of each in the list, and its hold.
type Groups<'a> = BTreeMap<&'a BTreeSet<(String, u32)>, Vec<(usize, Money)>>;

/// A call and the price of the model that it used.
struct Priced<'a> {
    row: &'a CallRecord,
    price: Price,
}

impl Calls {
    /// What is left of a report beside the settled calls, and whose it is. Less than nothing says
    /// that a settled call is not in it.
    pub fn find(&self, report: &Report, has_nameless: bool, prices: &Overrides) -> Finding {
        if self.unknown.is_empty() {
            return Finding::Open(Open::None);
        }
        let left = match self.left(report, self.unknown.len()) {
            Ok(left) => left,
            Err(open) => return Finding::Open(open),
        };
        if left.is_empty() {
            return Finding::Determined(vec![Money::ZERO; self.unknown.len()]);
        }
        if has_nameless {
            return Finding::Open(Open::Nameless);
        }
        let priced = self.unknown.iter().map(|unknown| {
            let row = &unknown.row;
            let (provider, model) = (row.provider.as_deref()?, row.model.as_deref()?);
            Some(Priced { row, price: price(prices, row, provider, model)? })
        });
        let Some(priced) = priced.collect::<Option<Vec<_>>>() else {
            return Finding::Open(Open::Untold);
        };
        match cost(report, &left, &priced) {
            Some(cost) => self.share_out(cost),
            None => Finding::Open(Open::Untold),
        }
    }

    /// The same of a report that says only what everything of its time cost: what is left beside
    /// the settled calls, whose costs are known.
    pub fn find_by_cost(&self, cost: Money, settled: Money, has_nameless: bool) -> Finding {
        if self.unknown.is_empty() {
            return Finding::Open(Open::None);
        }
        if let Some(open) = self.blurred {
            return Finding::Open(open);
        }
        match cost.minus(settled) {
            Some(left) if left < Money::ZERO => Finding::Open(Open::Less),
            Some(left) if has_nameless && left > Money::ZERO => Finding::Open(Open::Nameless),
            // What it cost at most says nothing of the least.
            Some(left) => match self.share_out(left) {
                Finding::AtMost(sum, most, places) => {
                    let least = |place| Place { least: Money::ZERO, ..place };
                    Finding::AtMost(sum, most, places.into_iter().map(least).collect())
                }
                found => found,
            },
            None => Finding::Open(Open::TooDear),
        }
    }

    /// What is left, by kind, where it is that of at most so many unknown calls; empty where
    /// nothing is.
    fn left(&self, report: &Report, calls: usize) -> Result<BTreeMap<Kind, Share>, Open> {
        if let Some(open) = self.blurred {
            return Err(open);
        }
        if report.is_empty() {
            return Err(Open::Unnamed);
        }
        if report.has_audio() {
            return Err(Open::Uncounted);
        }
        let mut left = report.beside(&self.settled);
        if left.values().any(|share| share.counts.usage().is_none()) {
            return Err(Open::Less);
        }
        let most = i128::try_from(calls).unwrap_or_default();
        let calls = left.values().map(|share| share.calls).sum::<Option<i128>>();
        left.retain(|_, share| !share.counts.is_zero());
        let least = i128::try_from(left.len()).unwrap_or(i128::MAX);
        match calls {
            Some(calls) if calls < least => Err(Open::Less),
            Some(calls) if calls > if left.is_empty() { 0 } else { most } => Err(Open::More),
            _ if least > most => Err(Open::More),
            _ => Ok(left),
        }
    }

    /// A sum that is known is each one's in proportion to the holds, so that it is the truth in
    /// every budget: only where all of them are charged in the same ones.
    fn share_out(&self, sum: Money) -> Finding {
        let found = match self.groups() {
            Some(groups) if groups.len() > 1 => self.at_most(sum, &groups),
            Some(groups) => {
                let holds = groups.into_values().flatten().map(|(_, held)| held);
                in_proportion(sum, &holds.collect::<Vec<_>>()).map(Finding::Determined)
            }
            None => None,
        };
        found.unwrap_or(Finding::Open(Open::TooDear))
    }

    /// The unknown calls, each with its hold, by the budgets in which they are charged; `None`
    /// where a hold is not known.
    fn groups(&self) -> Option<Groups<'_>> {
        let mut groups = Groups::new();
        for (at, unknown) in self.unknown.iter().enumerate() {
            groups.entry(&unknown.places).or_default().push((at, unknown.held()?));
        }
        Some(groups)
    }

    /// The calls of one set of budgets cost at most their holds, and at most the sum. A budget has
    /// whole groups, so what they are charged is never below what it was billed.
    fn at_most(&self, sum: Money, groups: &Groups<'_>) -> Option<Finding> {
        let total = |calls: &[(usize, Money)]| {
            calls.iter().try_fold(Money::ZERO, |sum, (_, held)| sum.plus(*held))
        };
        let all = groups.values().try_fold(Money::ZERO, |sum, calls| sum.plus(total(calls)?))?;
        if sum > all {
            return None;
        }
        let mut most = vec![Money::ZERO; self.unknown.len()];
        let mut held_in = BTreeMap::<&(String, u32), Money>::new();
        for (places, calls) in groups {
            let held = total(calls)?;
            let holds: Vec<Money> = calls.iter().map(|(_, held)| *held).collect();
            for ((at, _), part) in calls.iter().zip(in_proportion(held.min(sum), &holds)?) {
                *most.get_mut(*at)? = part;
            }
            for place in *places {
                let here = held_in.entry(place).or_insert(Money::ZERO);
                *here = here.plus(held)?;
            }
        }
        let places = held_in.into_iter().map(|((scope, day), held)| {
            let others = all.minus(held)?;
            let least = sum.minus(others)?.max(Money::ZERO);
            Some(Place { scope: scope.clone(), day: *day, least, most: held.min(sum) })
        });
        Some(Finding::AtMost(sum, most, places.collect::<Option<_>>()?))
    }
}

/// What the only call cost of which nobody knows provider and model, where no other is unknown and
/// one model alone has something left: then it is that call's.
pub fn find_nameless(
    unknown: &[Unknown],
    provider: &str,
    models: &[(&Report, &Calls)],
    prices: &Overrides,
) -> Finding {
    if models.iter().any(|(_, calls)| !calls.unknown.is_empty()) {
        return Finding::Open(Open::Nameless);
    }
    let mut strays = Vec::new();
    for (report, calls) in models {
        match calls.left(report, 1) {
            Ok(left) if left.is_empty() => {}
            Ok(left) => strays.push((report, left)),
            Err(Open::Unnamed) if calls.settled.is_empty() => {}
            Err(open) => return Finding::Open(open),
        }
    }
    let ([one], [(report, left)]) = (unknown, strays.as_slice()) else {
        return Finding::Open(Open::NotOurs);
    };
    let Some(price) = price(prices, &one.row, provider, &report.model) else {
        return Finding::Open(Open::Untold);
    };
    match cost(report, left, &[Priced { row: &one.row, price }]) {
        None => Finding::Open(Open::Untold),
        Some(cost) if one.held().is_none_or(|held| cost > held) => Finding::Open(Open::TooDear),
        Some(cost) => Finding::Determined(vec![cost]),
    }
}

impl Unknown {
    /// The most that it can have cost.
    fn held(&self) -> Option<Money> {
        self.row.hold
    }
}

fn price(prices: &Overrides, row: &CallRecord, provider: &str, model: &str) -> Option<Price> {
    prices.at(row.started_at).model(provider, model)?.price
}

/// What the calls cost together; `None` where it depends on what the report does not tell.
fn cost(report: &Report, left: &BTreeMap<Kind, Share>, calls: &[Priced<'_>]) -> Option<Money> {
    let mut sum = Money::ZERO;
    for (kind, share) in left {
        let usage = share.counts.usage()?;
        let mut costs = BTreeSet::new();
        for call in calls {
            let is_told = call.is_told(report);
            let is_one = calls.len() == 1 || call.is_linear(&usage);
            if !is_told || !is_one {
                return None;
            }
            call.costs(kind, usage, &mut costs)?;
        }
        let [cost] = Vec::from_iter(costs).try_into().ok()?;
        sum = sum.plus(cost)?;
    }
    Some(sum)
}

impl Priced<'_> {
    /// The report counts every class that the call may have used. None counts what other tools of
    /// the provider cost.
    fn is_told(&self, report: &Report) -> bool {
        let tools = match &self.row.asked {
            Some(asked) if asked.fee > Money::ZERO => false,
            Some(asked) => report.counts_searches() || asked.web_searches == 0,
            None => report.counts_searches(),
        };
        tools && (report.counts_writes() || !self.price.auto_cache_write)
    }

    /// Several calls cost what their counts cost together: no fee of a call, and no prompt long
    /// enough for other prices.
    fn is_linear(&self, usage: &Usage) -> bool {
        let cards = self.schedules().flat_map(|schedule| {
            once(&schedule.standard).chain(schedule.service_tiers.iter().map(|tier| &tier.card))
        });
        let mut thresholds = cards.flat_map(|card| &card.context_tiers);
        self.price.per_request.is_none_or(|fee| fee == Money::ZERO)
            && thresholds.all(|tier| usage.prompt_tokens() <= tier.above_tokens)
    }

    fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        once(&self.price.schedule).chain(self.price.periods.iter().map(|period| &period.schedule))
    }

    /// What the counts cost at every tier and place that the call may have had; `None` where one
    /// has no price.
    fn costs(&self, kind: &Kind, usage: Usage, costs: &mut BTreeSet<Money>) -> Option<()> {
        let asked = self.row.asked.as_ref();
        let tiers: Vec<String> = match (&kind.tier, asked) {
            (Some(tier), _) => vec![tier.clone()],
            // A provider may serve the usual tier in place of the one that was asked for.
            (None, Some(asked)) => {
                asked.service_tier.iter().cloned().chain([STANDARD.to_owned()]).collect()
            }
            (None, None) => {
                let tiers = self.schedules().flat_map(|schedule| &schedule.service_tiers);
                let names = tiers.map(|tier| tier.name.to_string()).filter(|tier| tier != BATCH);
                names.chain([STANDARD.to_owned()]).collect()
            }
        };
        let places = match (kind.is_us, asked) {
            (Some(is_us), _) => vec![is_us],
            (None, Some(asked)) if !asked.us_geography => vec![false],
            (None, _) => vec![false, true],
        };
        let ended = self.row.started_at.plus_ms(self.row.response_time_ms);
        for tier in &tiers {
            for us_geography in &places {
                let reported = Reported {
                    usage,
                    service_tier: Some(tier.clone()),
                    us_geography: *us_geography,
                    ..Reported::default()
                };
                let bill = self.price.bill_at(&reported, self.row.started_at, ended).ok()?;
                costs.insert(bill.cost.total);
            }
        }
        Some(())
    }
}

/// A sum in proportion to holds, none above its hold; `None` where it is more than all of them.
fn in_proportion(sum: Money, holds: &[Money]) -> Option<Vec<Money>> {
    let all = holds.iter().try_fold(Money::ZERO, |all, hold| all.plus(*hold))?;
    if sum > all || sum < Money::ZERO {
        return None;
    }
    let part = |hold: &Money| sum.pico().checked_mul(hold.pico())?.checked_div(all.pico().max(1));
    let mut parts = holds.iter().map(part).collect::<Option<Vec<_>>>()?;
    // What the divisions left, less than one for each: no part is at its hold unless all are.
    let mut rest = sum.pico().checked_sub(parts.iter().sum())?;
    for (part, hold) in parts.iter_mut().zip(holds) {
        if rest > 0 && *part < hold.pico() {
            *part = part.checked_add(1)?;
            rest = rest.checked_sub(1)?;
        }
    }
    parts.into_iter().map(|pico| Money::from_pico(pico).ok()).collect()
}

#[cfg(test)]
mod tests;

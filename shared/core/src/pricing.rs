//! What a call may cost before it is made, and what it cost after: one formula, one ceiling.
//!
//! ```text
//! amount = ⌈ Σ tokens of a class × price of the class / 1000 ⌉ + fees        [pUSD]
//! ```
//!
//! Prices are whole femto-USD per token, amounts whole pico-USD. [`Price::hold`] puts upper
//! bounds into the formula at the dearest prices that the call can reach; [`Price::cost`] and
//! [`Price::cost_at`] put in what the provider reported. So a cost within the bounds never
//! exceeds its hold (money.md, invariant I9). Where the provider states an amount of its own,
//! that is charged instead: [`Charge`].
//!
//! Where a provider leaves the price of a class out:
//!
//! | class | what is charged |
//! |---|---|
//! | cached prompt tokens | the input price |
//! | cache writes | asked for: the call is refused. Written all the same: the dearest input price |
//! | audio prompt or completion tokens | bounded for: refused. Used: an error, the hold decides |
//! | reasoning | the output price |
//! | completion (embedding models state none) | an error |

use std::borrow::Cow;

use crate::{Cost, Money, Reported, Timestamp};

mod bill;
mod charge;
pub(crate) mod decimal;
mod discount;
mod rates;

pub use bill::{Bill, CostLine, TOOLS};
pub use charge::{Charge, STATED_MAX};
pub use discount::{Discount, Term, taken_off};
pub use rates::{Card, ContextTier, FemtoPerToken, Period, Rates, Schedule, ServiceTier, When};

/// The most tokens of one class, and the most paid pieces, that one call may have. A thousand
/// times the largest context window there is: beyond it a count is a mistake. With
/// [`FemtoPerToken::MAX`] it keeps every sum below 10²⁷, far inside `i128`.
pub const TOKENS_MAX: u64 = 1_000_000_000;

/// Everything that is needed to price a call to one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Which prices these are: the catalogue's version or the override's. Log rows store it.
    pub version: Cow<'static, str>,
    /// The standing prices.
    pub schedule: Schedule,
    /// Prices of other times. A hold counts with the dearest of them.
    pub periods: Vec<Period>,
    /// A fee for every request.
    pub per_request: Option<Money>,
    /// A fee for every search that the provider runs.
    pub web_search: Option<Money>,
    /// The source states some price finer than the unit; the next whole unit was taken.
    pub rounded_up: bool,
    /// The provider writes its prompt cache unasked, so the write price bounds the input.
    pub auto_cache_write: bool,
}

/// Which writes to the provider's prompt cache a call asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheWrite {
    /// None.
    #[default]
    None,
    /// Of the short lifetime.
    FiveMinutes,
    /// Of the long lifetime; short ones may happen beside it.
    OneHour,
}

/// Upper bounds of one call, taken from the exact bytes that will be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// All prompt tokens.
    pub prompt_tokens: u64,
    /// All completion tokens: the cap that is sent times the choices asked for.
    pub completion_tokens: u64,
    /// Which cache writes are asked for.
    pub cache_write: CacheWrite,
    /// The prompt carries audio.
    pub audio_prompt: bool,
    /// The completion may carry audio.
    pub audio_completion: bool,
    /// Searches that the provider may run.
    pub web_searches: u64,
    /// The service tier that is sent; `None` where the provider has none.
    pub service_tier: Option<String>,
    /// Anthropic's `us` geography (1.1 times every token price) cannot be excluded.
    pub multiplier_us: bool,
    /// What the provider may charge beside every price of the model's.
    pub fee: Money,
}

/// Why a call cannot be priced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PricingError {
    /// The price list leaves out a class that the call needs.
    #[error("the price of {class} is unknown")]
    PriceUnknown {
        /// The class, such as `cache_write_1h`.
        class: &'static str,
    },
    /// The price list has no such service tier.
    #[error("the prices of service tier {tier} are unknown")]
    TierUnknown {
        /// The tier's name.
        tier: String,
    },
    /// The answer counts something that Farebox does not know: the hold is charged.
    #[error("the provider counts {field}, whose price is unknown")]
    UsageUnknown {
        /// The provider's name of the count.
        field: String,
    },
    /// A count beyond [`TOKENS_MAX`].
    #[error("{class} is beyond 1000000000")]
    TooMany {
        /// Which count.
        class: &'static str,
    },
    /// An amount beyond what [`Money`] carries.
    #[error("the amount is beyond the largest one")]
    TooLarge,
    /// A text is not a price.
    #[error(
        "{field} must be USD per 1000000 tokens as digits with at most one point, up to 1000000"
    )]
    NotAPrice {
        /// The field of the price row.
        field: &'static str,
    },
    /// A text is not a fee.
    #[error("{field} must be USD for one as digits with at most one point")]
    NotAFee {
        /// The field of the price row.
        field: &'static str,
    },
    /// A price of zero without `free: true`.
    #[error("{field} is zero: a zero price is a price only with free: true")]
    ZeroPrice {
        /// The field of the price row.
        field: &'static str,
    },
    /// A field that the row must have.
    #[error("{field} is missing")]
    Missing {
        /// The field of the price row.
        field: &'static str,
    },
    /// A field that contradicts `free: true`.
    #[error("{field} cannot stand beside free: true")]
    NotFree {
        /// The field of the price row.
        field: &'static str,
    },
}

impl PricingError {
    /// The field of the price row that is at fault.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::NotAPrice { field }
            | Self::NotAFee { field }
            | Self::ZeroPrice { field }
            | Self::Missing { field }
            | Self::NotFree { field } => Some(field),
            Self::PriceUnknown { .. }
            | Self::TierUnknown { .. }
            | Self::UsageUnknown { .. }
            | Self::TooMany { .. }
            | Self::TooLarge => None,
        }
    }
}

impl Price {
    /// The most that a call within `bound` can cost, at least one pico-USD.
    ///
    /// # Errors
    /// [`PricingError`] where a class that the call may use has no price, or a bound is beyond
    /// [`TOKENS_MAX`].
    pub fn hold(&self, bound: &Bound) -> Result<Money, PricingError> {
        within("prompt_tokens", bound.prompt_tokens)?;
        within("completion_tokens", bound.completion_tokens)?;
        within("web_searches", bound.web_searches)?;
        let mut most = 0;
        for schedule in self.schedules() {
            // A provider may fall back to its default tier, and a discount never lowers a hold.
            let sent = schedule.card(bound.service_tier.as_deref())?;
            for card in [&schedule.standard, sent] {
                for rates in card.rates_up_to(bound.prompt_tokens) {
                    most = most.max(self.bound_femto(rates, bound)?);
                }
            }
        }
        let tokens = pico_up(most, bound.multiplier_us)?;
        let fees = self.fees(bound.web_searches)?.plus(bound.fee);
        let sum = fees.and_then(|fees| tokens.plus(fees)).ok_or(PricingError::TooLarge)?;
        Ok(sum.max(Money::ONE_PICO))
    }

    /// What a call cost, where its time is not known: at the dearest of the price periods.
    ///
    /// A missing `service_tier` in `reported` means the default tier: a caller that sent
    /// another one must put it there. A total may exceed the hold (invariant I8).
    ///
    /// # Errors
    /// [`PricingError`] where a used class or the returned service tier has no price, or the
    /// answer counts something unknown. The hold is then the charge.
    pub fn cost(&self, reported: &Reported) -> Result<Cost, PricingError> {
        Ok(self.dearest(self.schedules(), reported)?.cost)
    }

    /// What a call cost that ran from `started` to `ended`: at the prices in force then, and at
    /// the dearest of them where the call touches two periods.
    ///
    /// # Errors
    /// As [`Self::cost`].
    pub fn cost_at(
        &self,
        reported: &Reported,
        started: Timestamp,
        ended: Timestamp,
    ) -> Result<Cost, PricingError> {
        Ok(self.bill_at(reported, started, ended)?.cost)
    }

    /// [`Self::cost_at`] with the lines that it is the sum of.
    ///
    /// # Errors
    /// As [`Self::cost`].
    pub fn bill_at(
        &self,
        reported: &Reported,
        started: Timestamp,
        ended: Timestamp,
    ) -> Result<Bill, PricingError> {
        // The last announced change at or before the start replaces the standing prices.
        let since = |period: &Period| match period.when {
            When::From(from) if from <= started => Some(from),
            _ => None,
        };
        let replaced_at = self.periods.iter().filter_map(since).max();
        let standing = replaced_at.is_none().then_some(&self.schedule);
        let others = self
            .periods
            .iter()
            .filter(|period| period.when.touches(started, ended))
            .filter(|period| match period.when {
                When::From(from) => replaced_at.is_none_or(|at| from >= at),
                When::Daily { .. } => true,
            })
            .map(|period| &period.schedule);
        self.dearest(standing.into_iter().chain(others), reported)
    }

    /// The most completion tokens whose hold fits into `room`; `None` where not even an answer
    /// of none fits, or the call has no price.
    #[must_use]
    pub fn completion_bound_within(&self, bound: &Bound, room: Money) -> Option<u64> {
        let mut bound = bound.clone();
        let mut fits = |completion_tokens: u64| {
            bound.completion_tokens = completion_tokens;
            self.hold(&bound).is_ok_and(|hold| hold <= room)
        };
        if !fits(0) {
            return None;
        }
        // The hold grows with the bound, so the largest that fits is found by halving. `low`
        // always fits, `high` is one more than may fit.
        let (mut low, mut high) = (0, TOKENS_MAX.saturating_add(1));
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            if fits(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// The least that a call can cost whose prompt has at least this many tokens: all of them
    /// read from the cache at the cheapest tier, and nothing answered.
    #[must_use]
    pub fn least(&self, prompt_tokens: u64) -> Money {
        let cards = self.schedules().flat_map(|schedule| {
            core::iter::once(&schedule.standard)
                .chain(schedule.service_tiers.iter().map(|tier| &tier.card))
        });
        let rates = cards.flat_map(|card| card.rates_up_to(u64::MAX));
        let cheapest = rates.flat_map(|rates| rates.cached.into_iter().chain([rates.input])).min();
        let femto = product(prompt_tokens, cheapest.unwrap_or(FemtoPerToken::FREE));
        let pico = femto.map(|femto| femto.div_euclid(FEMTO_PER_PICO)).unwrap_or_default();
        money(pico).unwrap_or_default()
    }

    /// The dearest of the standing prices of a prompt token and of a completion token, at which a
    /// short call is held too; `None` where a discount was taken off them, because the provider's
    /// own list does not show it.
    #[must_use]
    pub fn listed(&self) -> Option<(FemtoPerToken, Option<FemtoPerToken>)> {
        // A discount's version ends with its percentage.
        if self.version.ends_with('%') {
            return None;
        }
        let rates = self.schedules().map(|schedule| &schedule.standard.rates);
        let outputs = rates.clone().filter_map(|rates| rates.output.max(rates.reasoning)).max();
        rates.map(|rates| rates.input).max().map(|input| (input, outputs))
    }

    fn schedules(&self) -> impl Iterator<Item = &Schedule> + Clone {
        core::iter::once(&self.schedule).chain(self.periods.iter().map(|period| &period.schedule))
    }

    /// The bound in femto-USD at one set of prices.
    fn bound_femto(&self, rates: &Rates, bound: &Bound) -> Result<i128, PricingError> {
        let unknown = |class| PricingError::PriceUnknown { class };
        let mut input = rates.cached.map_or(rates.input, |cached| cached.max(rates.input));
        if bound.cache_write != CacheWrite::None || self.auto_cache_write {
            input = input.max(rates.cache_write_5m.ok_or(unknown("cache_write_5m"))?);
        }
        if bound.cache_write == CacheWrite::OneHour {
            input = input.max(rates.cache_write_1h.ok_or(unknown("cache_write_1h"))?);
        }
        if bound.audio_prompt {
            input = input.max(rates.audio_input.ok_or(unknown("audio_prompt"))?);
            input = rates.audio_cached.map_or(input, |cached| cached.max(input));
        }
        let input = product(bound.prompt_tokens, input)?;
        if bound.completion_tokens == 0 {
            return Ok(input);
        }
        let mut output = rates.output.ok_or(unknown("completion"))?;
        output = rates.reasoning.map_or(output, |reasoning| reasoning.max(output));
        if bound.audio_completion {
            output = output.max(rates.audio_output.ok_or(unknown("audio_completion"))?);
        }
        sum([Ok(input), product(bound.completion_tokens, output)])
    }

    /// Fees by the piece.
    fn fees(&self, web_searches: u64) -> Result<Money, PricingError> {
        let per_request = self.per_request.unwrap_or(Money::ZERO);
        if web_searches == 0 {
            return Ok(per_request);
        }
        let each = self.web_search.ok_or(PricingError::PriceUnknown { class: "web_searches" })?;
        i128::from(web_searches)
            .checked_mul(each.pico())
            .and_then(|pico| Money::from_pico(pico).ok())
            .and_then(|searches| searches.plus(per_request))
            .ok_or(PricingError::TooLarge)
    }

    /// The dearest bill among price lists.
    fn dearest<'a>(
        &self,
        schedules: impl Iterator<Item = &'a Schedule>,
        reported: &Reported,
    ) -> Result<Bill, PricingError> {
        let mut dearest: Option<Bill> = None;
        for schedule in schedules {
            let bill = self.bill_by(schedule, reported)?;
            if dearest.as_ref().is_none_or(|dearest| bill.cost.total > dearest.cost.total) {
                dearest = Some(bill);
            }
        }
        Ok(dearest.unwrap_or_default())
    }
}

fn within(class: &'static str, count: u64) -> Result<(), PricingError> {
    if count > TOKENS_MAX { Err(PricingError::TooMany { class }) } else { Ok(()) }
}

fn product(tokens: u64, price: FemtoPerToken) -> Result<i128, PricingError> {
    i128::from(tokens).checked_mul(i128::from(price.femto())).ok_or(PricingError::TooLarge)
}

fn sum<const N: usize>(parts: [Result<i128, PricingError>; N]) -> Result<i128, PricingError> {
    parts
        .into_iter()
        .try_fold(0_i128, |total, part| total.checked_add(part?).ok_or(PricingError::TooLarge))
}

/// Femto-USD as tenths: the surcharge of the `us` geography is 11 of them for 10.
fn tenths(femto: i128, us: bool) -> Result<i128, PricingError> {
    femto.checked_mul(if us { 11 } else { 10 }).ok_or(PricingError::TooLarge)
}

/// Ten-thousandths of a pico-USD in [`tenths`] of a femto-USD.
const TENTHS_PER_PICO: i128 = 10_000;

/// Femto-USD in a pico-USD.
const FEMTO_PER_PICO: i128 = 1_000;

/// The one ceiling.
fn pico_up(femto: i128, us: bool) -> Result<Money, PricingError> {
    let up = tenths(femto, us)?.checked_add(9_999).ok_or(PricingError::TooLarge)?;
    money(up.div_euclid(TENTHS_PER_PICO))
}

fn money(pico: i128) -> Result<Money, PricingError> {
    Money::from_pico(pico).map_err(|_| PricingError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_a_price_row_names_its_field_and_one_of_a_call_names_none() {
        let field = "input";
        let of_a_row = [
            PricingError::NotAPrice { field },
            PricingError::NotAFee { field },
            PricingError::ZeroPrice { field },
            PricingError::Missing { field },
            PricingError::NotFree { field },
        ];

        assert!(of_a_row.iter().all(|fault| fault.field() == Some(field)));
        assert_eq!(PricingError::TooLarge.field(), None);
    }
}

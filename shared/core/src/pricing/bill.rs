//! A cost line by line, exactly as it was added up.

use serde::{Deserialize, Serialize};

use super::{FemtoPerToken, Price, PricingError, Rates, Schedule, money, product, tenths, within};
use crate::{Cost, Money, Reported, Usage};

/// Tokens that a price in USD is stated for.
const TOKENS_PER_PRICE: u64 = 1_000_000;
/// Decimals of a tenth of a femto-USD, and of the same price for a million tokens.
const AMOUNT_DECIMALS: usize = 16;
const PRICE_DECIMALS: usize = 10;
/// Ten-thousandths of a pico-USD in [`tenths`] of a femto-USD.
const TENTHS_PER_PICO: i128 = 10_000;

/// The line of [`Reported::fees`].
pub const TOOLS: &str = "tools";

/// What one class of a call came to. The texts are exact decimals of USD, so the amounts add up
/// to the total but for its one ceiling to a whole pico-USD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostLine {
    /// The class of tokens (a field of [`Usage`]), `web_searches`, `request` for the fee of the
    /// request itself, or [`TOOLS`].
    pub class: String,
    /// How many.
    pub count: u64,
    /// The price of `per` of them, a surcharge of the region included.
    pub price_usd: String,
    /// 1,000,000 for tokens, 1 for fees.
    pub per: u64,
    /// Count times price, not rounded.
    pub amount_usd: String,
}

/// A cost and the lines that it is the sum of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// The sum.
    pub cost: Cost,
    /// The classes that were used.
    pub lines: Vec<CostLine>,
}

/// Tokens of one class at their price.
struct Tokens {
    class: &'static str,
    count: u64,
    price: FemtoPerToken,
}

impl Price {
    /// The bill by one price list.
    pub(super) fn bill_by(
        &self,
        schedule: &Schedule,
        reported: &Reported,
    ) -> Result<Bill, PricingError> {
        if reported.unbilled {
            return Ok(Bill::default());
        }
        if let Some(field) = reported.unknown_fields.first() {
            return Err(PricingError::UsageUnknown { field: field.clone() });
        }
        let usage = &reported.usage;
        let card = schedule.card(reported.service_tier.as_deref())?;
        let rates = card.rates_for(usage.prompt_tokens());
        let (prompt, completion) =
            (prompt_classes(rates, usage)?, completion_classes(rates, usage)?);
        let us = reported.us_geography;
        let (input, output) = (sum(&prompt, us)?, sum(&completion, us)?);
        within("web_searches", usage.web_searches)?;
        let fees = self.fees(usage.web_searches)?.plus(reported.fees);
        let fees = fees.ok_or(PricingError::TooLarge)?;
        let tokens = input.checked_add(output).and_then(|sum| sum.checked_add(TENTHS_PER_PICO - 1));
        // The one ceiling.
        let tokens = money(tokens.ok_or(PricingError::TooLarge)?.div_euclid(TENTHS_PER_PICO))?;
        let cost = Cost {
            input: money(input.div_euclid(TENTHS_PER_PICO))?,
            output: money(output.div_euclid(TENTHS_PER_PICO))?,
            fees,
            total: tokens.plus(fees).ok_or(PricingError::TooLarge)?,
        };
        let mut lines = Vec::new();
        for tokens in prompt.iter().chain(&completion) {
            lines.push(tokens.line(us)?);
        }
        lines.extend(fee("web_searches", usage.web_searches, self.web_search)?);
        lines.extend(fee("request", 1, self.per_request)?);
        lines.extend(fee(TOOLS, 1, Some(reported.fees))?);
        Ok(Bill { cost, lines })
    }
}

impl Tokens {
    fn line(&self, us: bool) -> Result<CostLine, PricingError> {
        let price = tenths(i128::from(self.price.femto()), us)?;
        let amount = tenths(product(self.count, self.price)?, us)?;
        Ok(CostLine {
            class: self.class.to_owned(),
            count: self.count,
            price_usd: exact(price, PRICE_DECIMALS),
            per: TOKENS_PER_PRICE,
            amount_usd: exact(amount, AMOUNT_DECIMALS),
        })
    }
}

/// The prompt's classes at their prices.
fn prompt_classes(rates: &Rates, usage: &Usage) -> Result<Vec<Tokens>, PricingError> {
    let cached = rates.cached.unwrap_or(rates.input);
    let cached = match rates.audio_cached {
        Some(audio) if usage.audio_prompt > 0 => cached.max(audio),
        _ => cached,
    };
    let write = |price: Option<FemtoPerToken>| price.unwrap_or_else(|| rates.dearest_input());
    used([
        ("prompt", usage.prompt, Some(rates.input)),
        ("cached", usage.cached, Some(cached)),
        ("cache_write_5m", usage.cache_write_5m, Some(write(rates.cache_write_5m))),
        ("cache_write_1h", usage.cache_write_1h, Some(write(rates.cache_write_1h))),
        ("audio_prompt", usage.audio_prompt, rates.audio_input),
    ])
}

/// The completion's classes at their prices.
fn completion_classes(rates: &Rates, usage: &Usage) -> Result<Vec<Tokens>, PricingError> {
    used([
        ("completion", usage.completion, rates.output),
        ("reasoning", usage.reasoning, rates.reasoning.or(rates.output)),
        ("audio_completion", usage.audio_completion, rates.audio_output),
    ])
}

/// The classes that were used; a price is needed only for them.
fn used<const N: usize>(
    classes: [(&'static str, u64, Option<FemtoPerToken>); N],
) -> Result<Vec<Tokens>, PricingError> {
    let used = classes.into_iter().filter(|(_, count, _)| *count > 0);
    let used = used.map(|(class, count, price)| {
        within(class, count)?;
        let price = price.ok_or(PricingError::PriceUnknown { class })?;
        Ok(Tokens { class, count, price })
    });
    used.collect()
}

/// What classes come to, in tenths of a femto-USD.
fn sum(classes: &[Tokens], us: bool) -> Result<i128, PricingError> {
    let femto = classes.iter().try_fold(0_i128, |sum, tokens| {
        sum.checked_add(product(tokens.count, tokens.price)?).ok_or(PricingError::TooLarge)
    })?;
    tenths(femto, us)
}

fn fee(class: &str, count: u64, each: Option<Money>) -> Result<Option<CostLine>, PricingError> {
    let Some(each) = each.filter(|each| count > 0 && *each > Money::ZERO) else { return Ok(None) };
    let amount = each.pico().checked_mul(i128::from(count)).ok_or(PricingError::TooLarge)?;
    Ok(Some(CostLine {
        class: class.to_owned(),
        count,
        price_usd: each.to_string(),
        per: 1,
        amount_usd: money(amount)?.to_string(),
    }))
}

/// A count of units of 10⁻ᵈ USD as a decimal text without needless zeros.
fn exact(units: i128, decimals: usize) -> String {
    let digits = format!("{units:0>width$}", width = decimals.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_texts_lose_nothing() {
        for (units, decimals, text) in [
            (0, 16, "0"),
            (1, 16, "0.0000000000000001"),
            (10_000_000_000, 10, "1"),
            (25_000_000_000, 10, "2.5"),
            (1_650_000_000, 10, "0.165"),
        ] {
            assert_eq!(exact(units, decimals), text);
        }
    }

    #[test]
    fn a_bill_shows_the_surcharge_in_its_prices() {
        let rate = |text| FemtoPerToken::parse(text).unwrap().0;
        let price = Price {
            version: "v1".into(),
            schedule: Schedule {
                standard: super::super::Card {
                    rates: Rates::new(rate("3"), Some(rate("15"))),
                    context_tiers: Vec::new(),
                },
                service_tiers: Vec::new(),
            },
            periods: Vec::new(),
            per_request: None,
            web_search: Money::parse_usd("0.01").ok(),
            rounded_up: false,
            auto_cache_write: false,
        };
        let usage = Usage { prompt: 1_000, completion: 7, web_searches: 2, ..Usage::default() };
        let reported = Reported { usage, us_geography: true, ..Reported::default() };

        let bill = price.bill_by(&price.schedule, &reported).unwrap();

        let lines: Vec<_> = bill
            .lines
            .iter()
            .map(|line| (&*line.class, line.count, &*line.price_usd, line.per, &*line.amount_usd))
            .collect();
        assert_eq!(
            lines,
            [
                ("prompt", 1_000, "3.3", 1_000_000, "0.0033"),
                ("completion", 7, "16.5", 1_000_000, "0.0001155"),
                ("web_searches", 2, "0.01", 1, "0.02"),
            ]
        );
        assert_eq!(bill.cost.total.to_string(), "0.0234155");
    }
}

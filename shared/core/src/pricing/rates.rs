//! Price lists: rates by token class, context tiers, service tiers and periods.

use std::borrow::Cow;

use super::{PricingError, decimal};
use crate::Timestamp;

/// A price: whole femto-USD per token. 1 USD per million tokens is 10⁹ of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FemtoPerToken(u64);

impl FemtoPerToken {
    /// Nothing per token.
    pub const FREE: Self = Self(0);
    /// The dearest price: one USD per token.
    pub const MAX: Self = Self(1_000_000_000_000_000);

    /// From a count of femto-USD per token; `None` beyond [`Self::MAX`].
    #[must_use]
    pub const fn new(femto: u64) -> Option<Self> {
        if femto > Self::MAX.0 { None } else { Some(Self(femto)) }
    }

    /// The count of femto-USD per token.
    #[must_use]
    pub const fn femto(self) -> u64 {
        self.0
    }

    /// The price as a decimal text of USD per million tokens.
    ///
    /// ```
    /// use farebox_core::FemtoPerToken;
    /// assert_eq!(FemtoPerToken::new(150_000_000).unwrap().usd_per_million(), "0.15");
    /// assert_eq!(FemtoPerToken::new(2_000_000_001).unwrap().usd_per_million(), "2.000000001");
    /// assert_eq!(FemtoPerToken::FREE.usd_per_million(), "0");
    /// ```
    #[must_use]
    pub fn usd_per_million(self) -> String {
        const USD: u64 = 1_000_000_000;
        let text = format!("{}.{:09}", self.0.div_euclid(USD), self.0.rem_euclid(USD));
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Reads a decimal text of USD per million tokens. The flag says that it was finer than one
    /// femto-USD per token and was rounded up.
    ///
    /// ```
    /// use farebox_core::FemtoPerToken;
    /// let (price, rounded_up) = FemtoPerToken::parse("0.15").unwrap();
    /// assert_eq!((price.femto(), rounded_up), (150_000_000, false));
    /// ```
    ///
    /// # Errors
    /// [`PricingError::NotAPrice`] with `field` as its name.
    pub fn parse(text: &str) -> Result<(Self, bool), PricingError> {
        Self::parse_field("price", text)
    }

    /// [`Self::parse`] with the name of the field for the error.
    pub(crate) fn parse_field(
        field: &'static str,
        text: &str,
    ) -> Result<(Self, bool), PricingError> {
        let refused = PricingError::NotAPrice { field };
        let (femto, rounded_up) = decimal::femto_per_token(text).map_err(|_| refused.clone())?;
        Ok((Self::new(femto).ok_or(refused)?, rounded_up))
    }
}

/// The prices of the token classes at one place in a price list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Prompt tokens.
    pub input: FemtoPerToken,
    /// Prompt tokens read from the cache.
    pub cached: Option<FemtoPerToken>,
    /// Prompt tokens written to the cache for five minutes, or for the only lifetime there is.
    pub cache_write_5m: Option<FemtoPerToken>,
    /// Prompt tokens written to the cache for the longer lifetime.
    pub cache_write_1h: Option<FemtoPerToken>,
    /// Prompt tokens of audio.
    pub audio_input: Option<FemtoPerToken>,
    /// Prompt tokens read from the cache in a call with audio: counts do not say which of the
    /// cached tokens are audio, so they are all charged at the dearer of the two.
    pub audio_cached: Option<FemtoPerToken>,
    /// Completion tokens; embedding models have none.
    pub output: Option<FemtoPerToken>,
    /// Reasoning tokens.
    pub reasoning: Option<FemtoPerToken>,
    /// Completion tokens of audio.
    pub audio_output: Option<FemtoPerToken>,
}

impl Rates {
    /// Only an input and an output price.
    #[must_use]
    pub const fn new(input: FemtoPerToken, output: Option<FemtoPerToken>) -> Self {
        Self {
            input,
            cached: None,
            cache_write_5m: None,
            cache_write_1h: None,
            audio_input: None,
            audio_cached: None,
            output,
            reasoning: None,
            audio_output: None,
        }
    }

    /// The dearest price that any prompt token can have.
    pub(super) fn dearest_input(&self) -> FemtoPerToken {
        [self.cached, self.cache_write_5m, self.cache_write_1h, self.audio_input, self.audio_cached]
            .into_iter()
            .flatten()
            .fold(self.input, FemtoPerToken::max)
    }
}

/// Other prices for the whole request once its prompt is longer than a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextTier {
    /// In force when the prompt has more tokens than this, cached and written ones included.
    pub above_tokens: u64,
    /// The prices, complete.
    pub rates: Rates,
}

/// The prices at one service tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The prices of a prompt below every threshold.
    pub rates: Rates,
    /// The thresholds, ascending.
    pub context_tiers: Vec<ContextTier>,
}

impl Card {
    /// The prices of a prompt of exactly this length.
    pub(super) fn rates_for(&self, prompt_tokens: u64) -> &Rates {
        self.context_tiers
            .iter()
            .rev()
            .find(|tier| prompt_tokens > tier.above_tokens)
            .map_or(&self.rates, |tier| &tier.rates)
    }

    /// The prices of every prompt up to this length.
    pub(super) fn rates_up_to(&self, prompt_tokens: u64) -> impl Iterator<Item = &Rates> {
        let reached = self.context_tiers.iter().filter(move |t| prompt_tokens > t.above_tokens);
        core::iter::once(&self.rates).chain(reached.map(|tier| &tier.rates))
    }
}

/// A named service tier and its prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTier {
    /// The name that the request or the answer carries: `priority`, `flex`, `batch`, `fast`.
    pub name: Cow<'static, str>,
    /// Its prices.
    pub card: Card,
}

/// A complete price list: the default tier and the named ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The default tier.
    pub standard: Card,
    /// The named tiers.
    pub service_tiers: Vec<ServiceTier>,
}

/// What providers call their default tier.
const STANDARD_TIERS: [&str; 6] = ["", "auto", "default", "standard", "standard_only", "on_demand"];

impl Schedule {
    /// The prices at a service tier.
    pub(super) fn card(&self, tier: Option<&str>) -> Result<&Card, PricingError> {
        let Some(tier) = tier.filter(|tier| !STANDARD_TIERS.contains(tier)) else {
            return Ok(&self.standard);
        };
        let named = |name: &str| self.service_tiers.iter().find(|row| row.name == name);
        // OpenAI renamed `priority` to `fast` in requests and kept the old name in answers.
        named(tier)
            .or_else(|| if tier == "fast" { named("priority") } else { None })
            .map(|row| &row.card)
            .ok_or_else(|| PricingError::TierUnknown { tier: tier.to_owned() })
    }
}

/// When other prices than the standing ones are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// From this instant on.
    From(Timestamp),
    /// Every day, or every day from Monday to Friday, in UTC.
    Daily {
        /// Windows as minutes of the day: from the first (included) to the second (excluded).
        windows: Vec<(u16, u16)>,
        /// Not on Saturday and Sunday.
        weekdays_only: bool,
    },
}

/// Prices of a time of day, or prices announced for a later date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// When they are in force.
    pub when: When,
    /// The prices.
    pub schedule: Schedule,
}

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

impl When {
    /// Whether any instant of a call is inside.
    pub(super) fn touches(&self, started: Timestamp, ended: Timestamp) -> bool {
        match self {
            Self::From(from) => *from <= ended,
            Self::Daily { windows, weekdays_only } => {
                let (first, last) = (day_number(started), day_number(ended));
                // A call longer than a day does not exist; if it does, it pays the peak.
                if last > first.saturating_add(1) {
                    return true;
                }
                (first..=last).filter(|day| !(*weekdays_only && is_weekend(*day))).any(|day| {
                    let midnight = day.saturating_mul(DAY_MS);
                    let at = |minute: u16| {
                        midnight.saturating_add(i64::from(minute).saturating_mul(MINUTE_MS))
                    };
                    windows
                        .iter()
                        .any(|(from, to)| started.ms() < at(*to) && ended.ms() >= at(*from))
                })
            }
        }
    }
}

/// Days since the epoch.
const fn day_number(at: Timestamp) -> i64 {
    at.ms().div_euclid(DAY_MS)
}

/// Day 0 of the epoch was a Thursday.
const fn is_weekend(day: i64) -> bool {
    matches!(day.rem_euclid(7), 2 | 3)
}

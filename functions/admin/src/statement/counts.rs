//! Counts by the classes that usage reports have, and what makes the same counts dearer.

use std::collections::BTreeMap;

use farebox_api::ReportedUsage;
use farebox_core::{CallRecord, Usage};

/// The usual service tier, by one name.
pub const STANDARD: &str = "standard";
/// A tier that no call of Farebox has: what it counts is not ours.
pub const BATCH: &str = "batch";

/// Counts by class: prompt, cached, written for five minutes and for an hour, output, searches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([i128; 6]);

/// What makes the same counts cost something else; `None` where the report does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The service tier.
    pub tier: Option<String>,
    /// Anthropic's `us` geography.
    pub is_us: Option<bool>,
}

/// What the rows of a report say of one model.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// As the first of them names it.
    pub model: String,
    rows: Vec<ReportedUsage>,
}

/// Counts of one kind, and of how many calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub counts: Counts,
    /// `None` where the report counts no calls.
    pub calls: Option<i128>,
}

impl Report {
    pub fn add(&mut self, row: ReportedUsage) {
        // A batch is nobody's who calls Farebox.
        if row.service_tier.as_deref() == Some(BATCH) {
            return;
        }
        if self.model.is_empty() {
            self.model.clone_from(&row.model);
        }
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn has_audio(&self) -> bool {
        self.rows.iter().any(|row| row.audio > 0)
    }

    pub fn counts_searches(&self) -> bool {
        self.rows.iter().all(|row| row.web_searches.is_some())
    }

    pub fn counts_writes(&self) -> bool {
        self.rows.iter().all(|row| row.cache_write_5m.is_some())
    }

    pub fn counts(&self) -> Counts {
        self.rows.iter().fold(Counts::default(), |sum, row| sum.plus(Counts::reported(row)))
    }

    /// What the report has beside the settled calls, by kind. Where a row leaves a tier or a place
    /// out, no row tells which calls had it, so they are taken together.
    pub fn beside(&self, settled: &[CallRecord]) -> BTreeMap<Kind, Share> {
        let (tiers, places) = (
            self.rows.iter().all(|row| row.service_tier.is_some()),
            self.rows.iter().all(|row| row.us_geography.is_some()),
        );
        let kind = |tier: Option<&str>, is_us: Option<bool>| Kind {
            tier: tier.filter(|_| tiers).map(named),
            is_us: is_us.filter(|_| places),
        };
        let mut left = BTreeMap::<Kind, Share>::new();
        for row in &self.rows {
            let share = left.entry(kind(row.service_tier.as_deref(), row.us_geography));
            let calls = row.calls.map(i128::from);
            let added = Share { counts: Counts::reported(row), calls };
            share.and_modify(|share| *share = share.plus(added)).or_insert(added);
        }
        for row in settled {
            let tier = row.service_tier.as_deref().unwrap_or(STANDARD);
            let share = left.entry(kind(Some(tier), Some(row.us_geography)));
            let used = Share { counts: self.of_settled(row).negated(), calls: Some(-1) };
            share.and_modify(|share| *share = share.plus(used)).or_insert(used);
        }
        left
    }

    /// A settled call as this report counts it.
    fn of_settled(&self, row: &CallRecord) -> Counts {
        let mut counts = Counts::used(&row.usage.unwrap_or_default());
        let [prompt, _, five, hour, _, searches] = &mut counts.0;
        if !self.counts_searches() {
            *searches = 0;
        }
        if !self.counts_writes() {
            *prompt = prompt.saturating_add(*five).saturating_add(*hour);
            (*five, *hour) = (0, 0);
        }
        counts
    }
}

/// A tier by one name.
fn named(tier: &str) -> String {
    let is_usual = matches!(tier, "" | "auto" | "default" | "standard_only" | "on_demand");
    if is_usual { STANDARD } else { tier }.to_owned()
}

impl Share {
    fn plus(self, other: Self) -> Self {
        let calls = self.calls.zip(other.calls).map(|(a, b)| a.saturating_add(b));
        Self { counts: self.counts.plus(other.counts), calls }
    }
}

impl Counts {
    fn of(counts: [u64; 6]) -> Self {
        Self(counts.map(i128::from))
    }

    fn reported(report: &ReportedUsage) -> Self {
        Self::of([
            report.prompt,
            report.cached,
            report.cache_write_5m.unwrap_or_default(),
            report.cache_write_1h,
            report.completion,
            report.web_searches.unwrap_or_default(),
        ])
    }

    /// Reports count reasoning among the output.
    pub fn used(usage: &Usage) -> Self {
        Self::of([
            usage.prompt.saturating_add(usage.audio_prompt),
            usage.cached,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.completion_tokens(),
            usage.web_searches,
        ])
    }

    /// `None` where something is below zero.
    pub fn usage(self) -> Option<Usage> {
        let [prompt, cached, cache_write_5m, cache_write_1h, completion, web_searches] =
            self.0.map(|count| u64::try_from(count).ok());
        Some(Usage {
            prompt: prompt?,
            cached: cached?,
            cache_write_5m: cache_write_5m?,
            cache_write_1h: cache_write_1h?,
            completion: completion?,
            web_searches: web_searches?,
            ..Usage::default()
        })
    }

    pub fn plus(self, other: Self) -> Self {
        let mut sum = self;
        sum.0.iter_mut().zip(other.0).for_each(|(a, b)| *a = a.saturating_add(b));
        sum
    }

    fn negated(self) -> Self {
        Self(self.0.map(i128::wrapping_neg))
    }

    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Tokens of every class.
    pub fn tokens(self) -> i128 {
        self.0.iter().take(5).fold(0_i128, |sum, count| sum.saturating_add(*count))
    }
}

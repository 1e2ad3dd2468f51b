//! The provider's own books: what it would charge, in integer pico-USD, kept apart from the
//! gateway's arithmetic so that tests can hold one against the other.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Value, json};

use super::behaviour::DemoPrice;

/// Entries kept; the oldest go first. The totals still count them.
const ENTRIES_MAX: usize = 100_000;

/// Longest request id copied into an entry, in bytes of the header.
const RID_BYTES_MAX: usize = 128;

/// pico-USD in one USD.
const PICO: u128 = 1_000_000_000_000;

/// Decimals of a price in USD per 1M tokens that are exact in pico-USD per token.
const PRICE_DECIMALS: usize = 6;

/// Token counts by billed class; the classes are disjoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Input that came from no cache and went to none.
    pub(super) prompt: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    pub(super) completion: u64,
    /// Searches that were run; they are no tokens and have a fee each.
    pub(super) searches: u64,
}

impl Tokens {
    /// All input, cached or not.
    pub(super) fn input(&self) -> u64 {
        self.prompt + self.cache_read + self.cache_write_5m + self.cache_write_1h
    }

    fn fees_pico(&self, price: &DemoPrice) -> u128 {
        // A price for a million tokens is a million times that of one piece.
        let each = price.search.map_or(0, |fee| pico_per_token(fee) * 1_000_000);
        u128::from(self.searches) * each
    }

    /// What these tokens cost at `price`, in pico-USD. Exact: no price is finer than the unit.
    pub(super) fn cost_pico(&self, price: &DemoPrice) -> u128 {
        let cached = |class: Option<&str>| pico_per_token(class.unwrap_or(price.input));
        [
            (self.prompt, pico_per_token(price.input)),
            (self.cache_read, cached(price.cache_read)),
            (self.cache_write_5m, cached(price.cache_write_5m)),
            (self.cache_write_1h, cached(price.cache_write_1h)),
            (self.completion, pico_per_token(price.output)),
        ]
        .into_iter()
        .map(|(tokens, pico)| u128::from(tokens) * pico)
        .chain([self.fees_pico(price)])
        .sum()
    }
}

/// How a call ended, from the provider's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    Served,
    Failed,
    Cut,
    Refused,
    Hung,
    Closed,
}

/// One call in the books.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    pub(super) model: &'static str,
    /// All input tokens, the cached ones included.
    prompt_tokens: u64,
    completion_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    usd: String,
    stream: bool,
    outcome: Ending,
    #[serde(skip_serializing_if = "Option::is_none")]
    rid: Option<String>,
    #[serde(skip)]
    pico: u128,
}

impl Entry {
    /// A call that is charged for `tokens`.
    pub(super) fn charged(
        price: &DemoPrice,
        tokens: Tokens,
        stream: bool,
        outcome: Ending,
        rid: Option<&str>,
    ) -> Self {
        let pico = tokens.cost_pico(price);
        Self {
            model: price.model,
            prompt_tokens: tokens.input(),
            completion_tokens: tokens.completion,
            cache_read_tokens: tokens.cache_read,
            cache_write_tokens: tokens.cache_write_5m + tokens.cache_write_1h,
            usd: usd(pico),
            stream,
            outcome,
            rid: rid.filter(|rid| rid.len() <= RID_BYTES_MAX).map(str::to_owned),
            pico,
        }
    }

    /// A call that is not charged, although `tokens` may be stated in its usage.
    pub(super) fn free(
        price: &DemoPrice,
        tokens: Tokens,
        stream: bool,
        outcome: Ending,
        rid: Option<&str>,
    ) -> Self {
        let charged = Self::charged(price, tokens, stream, outcome, rid);
        Self { pico: 0, usd: usd(0), ..charged }
    }
}

/// What the last POST on the wire carried: header names, never values.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct LastHeaders {
    pub(super) names: Vec<String>,
    pub(super) accept_encoding_identity: bool,
}

/// Which call of the books.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

/// The books. `calls` counts every call that reached a model, charged or not.
#[derive(Debug, Default)]
pub(super) struct Bill {
    calls: u64,
    pico: u128,
    entries: VecDeque<Entry>,
    posts: u64,
    last_headers: LastHeaders,
}

impl Bill {
    /// Counts a POST when its head has arrived, whatever becomes of it.
    pub(super) fn post(&mut self, headers: LastHeaders) {
        self.posts += 1;
        self.last_headers = headers;
    }

    /// Adds one completion token to a call that was entered before.
    pub(super) fn add_token(&mut self, Ticket(call): Ticket, price: &DemoPrice) {
        let dropped = self.calls - u64::try_from(self.entries.len()).unwrap_or(self.calls);
        let place = call.checked_sub(dropped).and_then(|place| usize::try_from(place).ok());
        let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) else { return };
        let more = pico_per_token(price.output);
        entry.completion_tokens += 1;
        entry.pico += more;
        entry.usd = usd(entry.pico);
        self.pico += more;
    }

    /// Enters one call.
    pub(super) fn enter(&mut self, entry: Entry) -> Ticket {
        let ticket = Ticket(self.calls);
        self.calls += 1;
        self.pico += entry.pico;
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        ticket
    }

    /// The answer to `GET /bill`.
    pub(super) fn as_json(&self) -> Value {
        json!({
            "calls": self.calls,
            "usd": usd(self.pico),
            "posts": self.posts,
            "last_headers": self.last_headers,
            "entries": self.entries,
        })
    }
}

/// An exact decimal string of USD without trailing zeros.
pub(super) fn usd(pico: u128) -> String {
    let text = format!("{}.{:012}", pico / PICO, pico % PICO);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A price in USD per 1M tokens as pico-USD per token. The table is tested to parse, so text that
/// does not is worth nothing here.
fn pico_per_token(usd_per_million: &str) -> u128 {
    let (whole, decimals) = usd_per_million.split_once('.').unwrap_or((usd_per_million, ""));
    format!("{whole}{decimals:0<PRICE_DECIMALS$}").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::behaviour::{Wire, model, prices};
    use super::*;

    #[test]
    fn usd_is_an_exact_decimal_without_trailing_zeros() {
        for (pico, text) in [
            (0, "0"),
            (1, "0.000000000001"),
            (500_000, "0.0000005"),
            (PICO, "1"),
            (10 * PICO + PICO / 2, "10.5"),
        ] {
            assert_eq!(usd(pico), text);
        }
    }

    #[test]
    fn every_price_of_the_table_is_exact_in_pico_usd() {
        assert_eq!(pico_per_token("0.50"), 500_000);
        assert_eq!(pico_per_token("1.25"), 1_250_000);
        assert_eq!(pico_per_token("10"), 10_000_000);

        for row in prices() {
            let all = [Some(row.input), Some(row.output), row.cache_read];
            for text in all.into_iter().chain([row.cache_write_5m, row.cache_write_1h]).flatten() {
                assert!(pico_per_token(text) > 0, "{} {text}", row.model);
                let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
                assert!(decimals <= PRICE_DECIMALS, "{} {text}", row.model);
            }
        }
    }

    #[test]
    fn each_class_has_its_own_price() {
        let claude = model(Wire::Anthropic, "claude").expect("a model");
        let tokens = Tokens {
            prompt: 1,
            cache_read: 10,
            cache_write_5m: 100,
            cache_write_1h: 1_000,
            completion: 10_000,
            searches: 0,
        };

        // 1×1 + 10×0.1 + 100×1.25 + 1000×2 + 10000×5 USD per 1M.
        assert_eq!(usd(tokens.cost_pico(claude)), "0.052127");
        let codex = model(Wire::Responses, "codex").expect("a model");
        let searched = Tokens { searches: 2, prompt: 2, ..Tokens::default() };
        assert_eq!(usd(searched.cost_pico(codex)), "0.020001");
    }

    #[test]
    fn the_bill_is_the_sum_of_its_charged_entries() {
        let chat = model(Wire::OpenAi, "chat").expect("a model");
        let tokens = Tokens { prompt: 3, completion: 5, ..Tokens::default() };
        let mut bill = Bill::default();

        bill.enter(Entry::charged(chat, tokens, false, Ending::Served, Some("r1")));
        bill.enter(Entry::charged(chat, tokens, true, Ending::Cut, None));
        bill.enter(Entry::free(chat, tokens, true, Ending::Refused, None));

        let json = bill.as_json();
        assert_eq!(json.pointer("/calls"), Some(&json!(3)));
        assert_eq!(json.pointer("/usd"), Some(&json!("0.000023")));
        assert_eq!(json.pointer("/entries/0/usd"), Some(&json!("0.0000115")));
        assert_eq!(json.pointer("/entries/0/rid"), Some(&json!("r1")));
        assert_eq!(json.pointer("/entries/2/usd"), Some(&json!("0")));
        assert_eq!(json.pointer("/entries/2/outcome"), Some(&json!("refused")));
    }
}

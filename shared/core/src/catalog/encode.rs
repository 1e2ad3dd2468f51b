//! Turns a price list's file into the sorted table of bytes that `table.rs` reads: the build
//! script the one that is compiled in, the admin function one that an owner imports.
//!
//! All numbers of fixed size are `u32`, little-endian. The table is, in this order: the counts
//! of providers, rows and aliases; one record a provider (name's place and length, first and
//! last row, first and last alias), a row (name's place and length, body's place) and an alias
//! (name's place and length, number of its row); the names; the bodies. A body is a sequence of
//! LEB128 numbers; an optional number is 0 or itself plus one.
//!
//! The build script includes this file too, so it uses nothing of the crate but the decimals.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::decimal;

type Row = Map<String, Value>;
type Rates = [Option<u64>; 9];
type Done<T> = Result<T, String>;

/// The classes in the order of the body; `table.rs` has the same order.
const CLASSES: [&str; 9] = [
    "input",
    "cached",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "audio_cached",
    "output",
    "reasoning",
    "audio_output",
];

const MODES: [&str; 4] = ["chat", "completion", "embedding", "responses"];

/// What a list may say.
const LIST: [&str; 5] = ["notice", "built_for", "sources", "unit", "rows"];
/// What a row may say beside its prices.
const FIELDS: [&str; 14] = [
    "provider",
    "model",
    "mode",
    "context_window",
    "max_output_tokens",
    "free",
    "auto_cache_write",
    "aliases",
    "derived",
    "per_request",
    "web_search",
    "service_tiers",
    "context_tiers",
    "periods",
];
/// What a service tier may.
const TIER: [&str; 1] = ["context_tiers"];
/// What a context tier may.
const LENGTH: [&str; 1] = ["above_tokens"];
/// What a price period may.
const PERIOD: [&str; 5] = ["from", "windows", "weekdays_only", "service_tiers", "context_tiers"];

/// Every price is for this many tokens, and a list that says otherwise is another kind of list.
const UNIT: &str = "USD per 1000000 tokens; per_request and web_search in USD";
/// The dearest price: one USD per token, in femto-USD.
const FEMTO_MAX: u64 = 1_000_000_000_000_000;
/// Longest name of a provider.
const PROVIDER_BYTES_MAX: usize = 64;
/// Longest name of a model.
const MODEL_BYTES_MAX: usize = 200;
/// Rows of one list.
const ROWS_MAX: usize = 50_000;
/// Faults that are told.
const FAULTS_MAX: usize = 50;
/// Minutes of a day.
const DAY_MINUTES: u64 = 1_440;

/// A price list as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The date that its prices were read for, and a hash of the file.
    pub version: String,
    /// The table.
    pub bytes: Vec<u8>,
}

/// What is wrong with a list. It quotes names, which are no secrets, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `rows[17] openai/gpt-x`, or a field of the whole list.
    pub place: String,
    /// The rule that it breaks.
    pub rule: String,
}

impl Fault {
    /// Of a place in the list.
    pub fn new(place: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { place: place.into(), rule: rule.into() }
    }
}

/// The table of a list's file.
///
/// # Errors
/// Every row that cannot be used, up to fifty; then there is no table.
pub fn encode(text: &str) -> Result<Encoded, Vec<Fault>> {
    let json: Value = serde_json::from_str(text)
        .map_err(|error| vec![Fault::new("body", format!("is not JSON: {error}"))])?;
    let said = json.as_object().into_iter().flat_map(Map::keys);
    if let Some(name) = said.into_iter().find(|name| !LIST.contains(&name.as_str())) {
        let name: String = name.chars().take(64).collect();
        return Err(vec![Fault::new(name, "is not a field of a price list")]);
    }
    let date = json.get("built_for").and_then(Value::as_str).filter(|date| is_date(date));
    let rule = "is the day that the prices are for, as 2026-11-23";
    let date = date.ok_or_else(|| vec![Fault::new("built_for", rule)])?;
    if json.get("unit").and_then(Value::as_str) != Some(UNIT) {
        return Err(vec![Fault::new("unit", format!("is {UNIT:?}"))]);
    }
    let rows = json.get("rows").and_then(Value::as_array).filter(|rows| !rows.is_empty());
    let rows = rows.filter(|rows| rows.len() <= ROWS_MAX);
    let rule = "is a list of 1 to 50000 rows";
    let rows = rows.ok_or_else(|| vec![Fault::new("rows", rule)])?;
    let table = Table::build(&named(rows)?)?;
    let whole = |rule: String| vec![Fault::new("rows", rule)];
    let bytes = table.bytes().map_err(whole)?;
    Ok(Encoded { version: format!("{date}.{:08x}", fingerprint(text.trim())), bytes })
}

/// The rows by provider and model.
fn named(rows: &[Value]) -> Result<BTreeMap<&str, BTreeMap<&str, &Row>>, Vec<Fault>> {
    let mut found: BTreeMap<&str, BTreeMap<&str, &Row>> = BTreeMap::new();
    let mut faults = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let place = format!("rows[{at}]");
        let named = row.as_object().and_then(|row| {
            let name = |field| row.get(field).and_then(Value::as_str);
            let provider = name("provider").filter(|name| is_name(name, PROVIDER_BYTES_MAX))?;
            let model = name("model").filter(|name| is_name(name, MODEL_BYTES_MAX))?;
            Some((provider, model, row))
        });
        let Some((provider, model, row)) = named else {
            faults.push(Fault::new(place, "is an object with a provider and a model"));
            continue;
        };
        let place = format!("{place} {provider}/{model}");
        if let Err(rule) = check(row) {
            faults.push(Fault::new(place, rule));
        } else if found.entry(provider).or_default().insert(model, row).is_some() {
            faults.push(Fault::new(place, "is in the list twice"));
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(told(faults)) }
}

fn told(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.truncate(FAULTS_MAX);
    faults
}

fn is_date(text: &str) -> bool {
    let is_digit = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(is_digit)
}

fn is_name(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a row says only what is known, each of its kind: a misspelt price would else be none.
fn check(row: &Row) -> Done<()> {
    of_kinds(row, &FIELDS)?;
    parts(row, PERIOD.as_slice())
}

/// The parts of a row or of a period.
fn parts(row: &Row, periods: &[&str]) -> Done<()> {
    for tier in list(row, "context_tiers") {
        of_kinds(tier.as_object().ok_or("a context tier is an object")?, &LENGTH)?;
    }
    for tier in row.get("service_tiers").and_then(Value::as_object).into_iter().flatten() {
        let tier = tier.1.as_object().ok_or("a service tier is an object")?;
        of_kinds(tier, &TIER)?;
        parts(tier, &[])?;
    }
    for period in list(row, "periods") {
        let period = period.as_object().ok_or("a period is an object")?;
        of_kinds(period, periods)?;
        parts(period, &[])?;
    }
    Ok(())
}

fn of_kinds(place: &Row, known: &[&str]) -> Done<()> {
    for (name, value) in place {
        let is_right = match name.as_str() {
            _ if CLASSES.contains(&name.as_str()) => value.is_string(),
            _ if !known.contains(&name.as_str()) => {
                let name: String = name.chars().take(64).collect();
                return Err(format!("{name} is not a field of it"));
            }
            "context_window" | "max_output_tokens" | "above_tokens" => value.is_u64(),
            "free" | "auto_cache_write" | "weekdays_only" => value.is_boolean(),
            "aliases" | "derived" => {
                value.as_array().is_some_and(|names| names.iter().all(Value::is_string))
            }
            "context_tiers" | "periods" | "windows" => value.is_array(),
            "service_tiers" => value.is_object(),
            "mode" => value.as_str().is_some_and(|mode| MODES.contains(&mode)),
            _ => value.is_string(),
        };
        if !is_right {
            return Err(format!("{name} is of another kind"));
        }
    }
    Ok(())
}

/// FNV-1a, folded to 32 bits: it tells catalogues apart and needs no crate.
fn fingerprint(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 32) ^ (hash & 0xffff_ffff)
}

fn list<'a>(row: &'a Row, name: &str) -> &'a [Value] {
    row.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[derive(Default)]
struct Table {
    providers: Vec<u32>,
    rows: Vec<u32>,
    aliases: Vec<u32>,
    names: String,
    places: BTreeMap<String, u32>,
    bodies: Vec<u8>,
    /// The row that is being written costs nothing: else a zero is no price.
    is_free: bool,
}

impl Table {
    fn build(rows: &BTreeMap<&str, BTreeMap<&str, &Row>>) -> Result<Self, Vec<Fault>> {
        let mut table = Self::default();
        let mut faults = Vec::new();
        for (provider, models) in rows {
            if let Err(rule) = table.provider(provider, models, &mut faults) {
                faults.push(Fault::new(*provider, rule));
            }
        }
        if faults.is_empty() { Ok(table) } else { Err(told(faults)) }
    }

    fn provider<'a>(
        &mut self,
        provider: &str,
        models: &BTreeMap<&'a str, &'a Row>,
        faults: &mut Vec<Fault>,
    ) -> Done<()> {
        let (first_row, first_alias) = (records(&self.rows)?, records(&self.aliases)?);
        let mut aliases = BTreeMap::new();
        for (model, row) in models {
            let number = records(&self.rows)?;
            let mut taken = None;
            for alias in list(row, "aliases").iter().filter_map(Value::as_str) {
                let is_free = is_name(alias, MODEL_BYTES_MAX) && !models.contains_key(alias);
                if !is_free || aliases.insert(alias, number).is_some() {
                    taken = Some("an alias of it is taken, or is no name".to_owned());
                }
            }
            let [at, length] = self.name(model)?;
            let body = small(self.bodies.len())?;
            if let Some(rule) = self.body(row).err().or(taken) {
                faults.push(Fault::new(format!("{provider}/{model}"), rule));
            }
            self.rows.extend([at, length, body]);
        }
        for (alias, row) in aliases {
            let [at, length] = self.name(alias)?;
            self.aliases.extend([at, length, row]);
        }
        let [at, length] = self.name(provider)?;
        let (last_row, last_alias) = (records(&self.rows)?, records(&self.aliases)?);
        self.providers.extend([at, length, first_row, last_row, first_alias, last_alias]);
        Ok(())
    }

    fn bytes(self) -> Done<Vec<u8>> {
        let providers = small(self.providers.chunks(6).count())?;
        let counts = [providers, records(&self.rows)?, records(&self.aliases)?];
        let head = [&counts[..], &self.providers, &self.rows, &self.aliases].concat();
        let mut bytes: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(small(self.names.len())?.to_le_bytes());
        bytes.extend(self.names.bytes());
        bytes.extend(self.bodies);
        Ok(bytes)
    }

    /// The place and length of a name, which is stored once.
    fn name(&mut self, name: &str) -> Done<[u32; 2]> {
        let at = match self.places.get(name) {
            Some(at) => *at,
            None => {
                let at = small(self.names.len())?;
                self.names.push_str(name);
                self.places.insert(name.to_owned(), at);
                at
            }
        };
        Ok([at, small(name.len())?])
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bodies.extend((value & 0x7f | 0x80).to_le_bytes().first());
            value >>= 7;
        }
        self.bodies.extend(value.to_le_bytes().first());
    }

    fn optional(&mut self, value: Option<u64>) -> Done<()> {
        self.number(value.map_or(Some(0), |value| value.checked_add(1)).ok_or("too large")?);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Done<()> {
        let [at, length] = self.name(text)?;
        self.number(at.into());
        self.number(length.into());
        Ok(())
    }

    fn body(&mut self, row: &Row) -> Done<()> {
        let mode = row.get("mode").and_then(Value::as_str);
        let mode = MODES.iter().position(|known| Some(*known) == mode);
        self.optional(mode.map(count))?;
        self.optional(row.get("context_window").and_then(Value::as_u64))?;
        self.optional(row.get("max_output_tokens").and_then(Value::as_u64))?;
        let is = |name: &str| row.get(name).and_then(Value::as_bool).unwrap_or(false);
        let mut rounded_up = false;
        let mut base = overlay(&Rates::default(), row, &mut rounded_up)?;
        self.is_free = is("free");
        if self.is_free {
            base = [Some(0), None, None, None, None, None, Some(0), None, None];
        }
        self.number(u64::from(base.first().is_some_and(Option::is_some)));
        if base.first() == Some(&None) {
            return Ok(());
        }
        self.number(u64::from(is("auto_cache_write")));
        for fee in ["per_request", "web_search"] {
            let pico = row.get(fee).and_then(Value::as_str).map(|usd| pico(usd, &mut rounded_up));
            self.optional(pico.transpose()?)?;
        }
        self.schedule(row, &base, &mut rounded_up)?;
        let periods = list(row, "periods");
        self.number(count(periods.len()));
        for period in periods {
            let period = period.as_object().ok_or("a period is not an object")?;
            self.when(period)?;
            let base = overlay(&Rates::default(), period, &mut rounded_up)?;
            self.schedule(period, &base, &mut rounded_up)?;
        }
        self.number(u64::from(rounded_up));
        Ok(())
    }

    fn when(&mut self, period: &Row) -> Done<()> {
        if let Some(from) = period.get("from").and_then(Value::as_str) {
            self.number(0);
            return self.text(from);
        }
        let windows = list(period, "windows");
        self.number(count(windows.len()));
        if windows.is_empty() {
            return Err("a period has from or windows".to_owned());
        }
        for window in windows {
            let minutes = window.as_array().filter(|minutes| minutes.len() == 2);
            for minute in minutes.ok_or("a window is two minutes of the day")? {
                let minute = minute.as_u64().filter(|minute| *minute <= DAY_MINUTES);
                self.number(minute.ok_or("a window is two minutes of the day")?);
            }
        }
        let weekdays_only = period.get("weekdays_only").and_then(Value::as_bool);
        self.number(u64::from(weekdays_only.unwrap_or(false)));
        Ok(())
    }

    fn schedule(&mut self, row: &Row, base: &Rates, rounded_up: &mut bool) -> Done<()> {
        self.card(row, base, rounded_up)?;
        let none = Map::new();
        let tiers = row.get("service_tiers").and_then(Value::as_object).unwrap_or(&none);
        self.number(count(tiers.len()));
        for (name, tier) in tiers {
            let tier = tier.as_object().ok_or("a service tier is not an object")?;
            self.text(name)?;
            let rates = overlay(base, tier, rounded_up)?;
            self.card(tier, &rates, rounded_up)?;
        }
        Ok(())
    }

    fn card(&mut self, row: &Row, rates: &Rates, rounded_up: &mut bool) -> Done<()> {
        self.rates(rates)?;
        let tiers = list(row, "context_tiers");
        self.number(count(tiers.len()));
        for tier in tiers {
            let tier = tier.as_object().ok_or("a context tier is not an object")?;
            let above = tier.get("above_tokens").and_then(Value::as_u64);
            self.number(above.ok_or("above_tokens is missing")?);
            let rates = overlay(rates, tier, rounded_up)?;
            self.rates(&rates)?;
        }
        Ok(())
    }

    fn rates(&mut self, rates: &Rates) -> Done<()> {
        if rates.first() == Some(&None) {
            return Err("input is missing".to_owned());
        }
        if rates.contains(&Some(0)) && !self.is_free {
            return Err("a price is zero and the row is not free".to_owned());
        }
        rates.iter().try_for_each(|rate| self.optional(*rate))
    }
}

fn small(number: usize) -> Done<u32> {
    u32::try_from(number).map_err(|_| "the list is too long".to_owned())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// How many records of three numbers there are.
fn records(numbers: &[u32]) -> Done<u32> {
    small(numbers.chunks(3).count())
}

/// Prices where the place names them, else those below.
fn overlay(below: &Rates, place: &Row, rounded_up: &mut bool) -> Done<Rates> {
    let mut rates = *below;
    for (rate, class) in rates.iter_mut().zip(CLASSES) {
        if let Some(text) = place.get(class).and_then(Value::as_str) {
            let (femto, finer) = decimal::femto_per_token(text)
                .ok()
                .filter(|(femto, _)| *femto <= FEMTO_MAX)
                .ok_or_else(|| format!("{class} is USD per million tokens, up to 1000000"))?;
            *rate = Some(femto);
            *rounded_up |= finer;
        }
    }
    Ok(rates)
}

/// A fee in USD as whole pico-USD: a thousand times finer than what the decimals give.
fn pico(usd: &str, rounded_up: &mut bool) -> Done<u64> {
    let (nano, finer) =
        decimal::femto_per_token(usd).map_err(|_| "a fee is a decimal text of USD")?;
    *rounded_up |= finer;
    Ok(nano.checked_mul(1_000).ok_or("a fee is too large")?)
}

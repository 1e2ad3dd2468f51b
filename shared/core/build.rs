//! Turns `src/catalog.json` into the sorted table of bytes that `src/catalog/table.rs` reads.
//!
//! All numbers of fixed size are `u32`, little-endian. The table is, in this order: the counts
//! of providers, rows and aliases; one record a provider (name's place and length, first and
//! last row, first and last alias), a row (name's place and length, body's place) and an alias
//! (name's place and length, number of its row); the names; the bodies. A body is a sequence of
//! LEB128 numbers; an optional number is 0 or itself plus one.

#[path = "src/pricing/decimal.rs"]
mod decimal;

use std::collections::BTreeMap;
use std::error::Error;
use std::{env, fs};

use serde_json::{Map, Value};

type Row = Map<String, Value>;
type Rates = [Option<u64>; 9];
type Done<T> = Result<T, Box<dyn Error>>;

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

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by its environment where to write"
)]
fn main() -> Done<()> {
    println!("cargo::rerun-if-changed=src/catalog.json");
    let text = fs::read_to_string("src/catalog.json")?;
    let json: Value = serde_json::from_str(&text)?;
    let date = json.get("built_for").and_then(Value::as_str).ok_or("built_for is missing")?;
    println!("cargo::rustc-env=FAREBOX_CATALOG_VERSION={date}.{:08x}", fingerprint(&text));
    let mut rows: BTreeMap<&str, BTreeMap<&str, &Row>> = BTreeMap::new();
    for row in json.get("rows").and_then(Value::as_array).ok_or("rows are missing")? {
        let row = row.as_object().ok_or("a row is not an object")?;
        let (provider, model) = (field(row, "provider")?, field(row, "model")?);
        if rows.entry(provider).or_default().insert(model, row).is_some() {
            return Err(format!("two rows of {provider} are named {model}").into());
        }
    }
    let table = Table::build(&rows)?;
    fs::write(format!("{}/catalog.bin", env::var("OUT_DIR")?), table.bytes(rows.len())?)?;
    Ok(())
}

/// FNV-1a, folded to 32 bits: it tells catalogues apart and needs no crate.
fn fingerprint(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 32) ^ (hash & 0xffff_ffff)
}

fn field<'a>(row: &'a Row, name: &str) -> Done<&'a str> {
    Ok(row.get(name).and_then(Value::as_str).ok_or_else(|| format!("{name} is missing"))?)
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
}

impl Table {
    fn build(rows: &BTreeMap<&str, BTreeMap<&str, &Row>>) -> Done<Self> {
        let mut table = Self::default();
        for (provider, models) in rows {
            let (first_row, first_alias) = (records(&table.rows)?, records(&table.aliases)?);
            let mut aliases = BTreeMap::new();
            for (model, row) in models {
                let number = records(&table.rows)?;
                for alias in list(row, "aliases").iter().filter_map(Value::as_str) {
                    if models.contains_key(alias) || aliases.insert(alias, number).is_some() {
                        return Err(format!("{provider}: the alias {alias} is taken").into());
                    }
                }
                let [at, length] = table.name(model)?;
                let body = u32::try_from(table.bodies.len())?;
                table.body(row).map_err(|error| format!("{provider} {model}: {error}"))?;
                table.rows.extend([at, length, body]);
            }
            for (alias, row) in aliases {
                let [at, length] = table.name(alias)?;
                table.aliases.extend([at, length, row]);
            }
            let [at, length] = table.name(provider)?;
            let (last_row, last_alias) = (records(&table.rows)?, records(&table.aliases)?);
            table.providers.extend([at, length, first_row, last_row, first_alias, last_alias]);
        }
        Ok(table)
    }

    fn bytes(self, providers: usize) -> Done<Vec<u8>> {
        let counts = [u32::try_from(providers)?, records(&self.rows)?, records(&self.aliases)?];
        let head = [&counts[..], &self.providers, &self.rows, &self.aliases].concat();
        let mut bytes: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(u32::try_from(self.names.len())?.to_le_bytes());
        bytes.extend(self.names.bytes());
        bytes.extend(self.bodies);
        Ok(bytes)
    }

    /// The place and length of a name, which is stored once.
    fn name(&mut self, name: &str) -> Done<[u32; 2]> {
        let at = match self.places.get(name) {
            Some(at) => *at,
            None => {
                let at = u32::try_from(self.names.len())?;
                self.names.push_str(name);
                self.places.insert(name.to_owned(), at);
                at
            }
        };
        Ok([at, u32::try_from(name.len())?])
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
        self.optional(mode.map(u64::try_from).transpose()?)?;
        self.optional(row.get("context_window").and_then(Value::as_u64))?;
        self.optional(row.get("max_output_tokens").and_then(Value::as_u64))?;
        let is = |name: &str| row.get(name).and_then(Value::as_bool).unwrap_or(false);
        let mut rounded_up = false;
        let mut base = overlay(&Rates::default(), row, &mut rounded_up)?;
        if is("free") {
            base = [Some(0), None, None, None, None, None, Some(0), None, None];
        } else if base.contains(&Some(0)) {
            return Err("a price is zero and the row is not free".into());
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
        self.number(u64::try_from(periods.len())?);
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
        self.number(u64::try_from(windows.len())?);
        for minute in windows.iter().filter_map(Value::as_array).flatten() {
            self.number(minute.as_u64().ok_or("a window is not in minutes")?);
        }
        let weekdays_only = period.get("weekdays_only").and_then(Value::as_bool);
        self.number(u64::from(weekdays_only.unwrap_or(false)));
        Ok(())
    }

    fn schedule(&mut self, row: &Row, base: &Rates, rounded_up: &mut bool) -> Done<()> {
        self.card(row, base, rounded_up)?;
        let none = Map::new();
        let tiers = row.get("service_tiers").and_then(Value::as_object).unwrap_or(&none);
        self.number(u64::try_from(tiers.len())?);
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
        self.number(u64::try_from(tiers.len())?);
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
            return Err("input is missing".into());
        }
        rates.iter().try_for_each(|rate| self.optional(*rate))
    }
}

/// How many records of three numbers there are.
fn records(numbers: &[u32]) -> Done<u32> {
    Ok(u32::try_from(numbers.chunks(3).count())?)
}

/// Prices where the place names them, else those below.
fn overlay(below: &Rates, place: &Row, rounded_up: &mut bool) -> Done<Rates> {
    let mut rates = *below;
    for (rate, class) in rates.iter_mut().zip(CLASSES) {
        if let Some(text) = place.get(class).and_then(Value::as_str) {
            let (femto, finer) = decimal::femto_per_token(text)
                .map_err(|refused| format!("{class} {text}: {refused:?}"))?;
            *rate = Some(femto);
            *rounded_up |= finer;
        }
    }
    Ok(rates)
}

/// A fee in USD as whole pico-USD: a thousand times finer than what the decimals give.
fn pico(usd: &str, rounded_up: &mut bool) -> Done<u64> {
    let (nano, finer) =
        decimal::femto_per_token(usd).map_err(|refused| format!("{usd}: {refused:?}"))?;
    *rounded_up |= finer;
    Ok(nano.checked_mul(1_000).ok_or("a fee is too large")?)
}

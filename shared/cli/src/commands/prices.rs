//! Prices: your own, what is taken off, and the list that they go before.

use std::path::Path;

use farebox_api::{
    Catalogue, CatalogueChange, CataloguePreview, Discount as Stored, DiscountList, ImportedList,
    ImportedLists, ModelPrices, Price as Override, PriceList, QuarantineList, Quarantined,
};
use farebox_core::Timestamp;
use reqwest::Method;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::removal::{Removal, remove};
use super::{filtered, model_path, path, table};
use crate::args::{Discount, Price, PriceChange};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox price …`
pub async fn price(client: &Client, command: Price) -> Result<Output, Failure> {
    match command {
        Price::Set(change) => {
            let path = model_path(&change.model)?;
            let base = client.base(&path, change.force.force).await?;
            let answer = client.put(&path, &spec(change), &base).await?;
            let text = prices_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Price::Show { model: Some(model), .. } => {
            let answer = client.get(&model_path(&model)?).await?;
            let text = prices_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Price::Show { model: None, provider } => {
            let path = filtered("prices", &[("provider", provider)]);
            let answer = client.all(&path, "prices").await?;
            let list: PriceList = answer.parse()?;
            Ok(Output::new(answer.body, prices_text(&list.prices)))
        }
        Price::Quarantine => {
            let answer = client.all(&path("quarantine"), "quarantine").await?;
            let list: QuarantineList = answer.parse()?;
            Ok(Output::new(answer.body, quarantine_text(&list.quarantine)))
        }
        Price::Acknowledge { model, force } => {
            let removal = Removal {
                path: model_path(&model)?.replacen("/prices/", "/quarantine/", 1),
                question: format!("Let calls to {model} go on at its price and limits?"),
                done: format!("Calls to {model} go on, within a minute."),
                force: force.force,
            };
            remove(client, removal, quarantine_text).await
        }
        Price::Delete { model, force } => {
            let removal = Removal {
                path: model_path(&model)?,
                question: format!("Go back to the catalogue's price of {model}?"),
                done: format!("{model} has the catalogue's price again, within a minute."),
                force: force.force,
            };
            remove(client, removal, prices_text).await
        }
        Price::Discount(command) => discount(client, command).await,
        Price::Catalogue => {
            let answer = client.get(&path("catalogue")).await?;
            let text = catalogue_text(&answer.parse()?);
            Ok(Output::new(answer.body, text))
        }
        Price::Refresh { file, apply } => refresh(client, &file, apply).await,
        Price::Versions => {
            let answer = client.all(&path("catalogue/lists"), "lists").await?;
            let found: ImportedLists = answer.parse()?;
            Ok(Output::new(answer.body, lists_text(&found.lists)))
        }
        Price::Switch { version, apply } => switch(client, &version, apply).await,
        Price::Restore(force) => {
            let removal = Removal {
                path: path("catalogue"),
                question: "Go back to the list that the code was built with?".to_owned(),
                done: "The list that the code was built with is in force, within a minute."
                    .to_owned(),
                force: force.force,
            };
            remove(client, removal, lists_in_force).await
        }
    }
}

async fn discount(client: &Client, command: Discount) -> Result<Output, Failure> {
    let of = |target: &str| {
        let segments: Vec<String> = target.split('/').map(encoded).collect();
        path(&format!("discounts/{}", segments.join("/")))
    };
    match command {
        Discount::Set { target, off, from } => {
            let list: DiscountList = client.all(&path("discounts"), "discounts").await?.parse()?;
            let now = list.discounts.into_iter().find(|found| found.target == target);
            let version = now.as_ref().map_or("0", |found| &found.version);
            // The version that was read: a change by somebody else in between is refused.
            let version = format!("\"{version}\"");
            let from = from.unwrap_or_else(|| crate::clock::now().to_string());
            let spec = with_term(now.map(|found| found.spec), &off, &from)?;
            let answer = client.send(Method::PUT, &of(&target), &spec, Some(&version)).await?;
            let text = discounts_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Discount::List => {
            let answer = client.all(&path("discounts"), "discounts").await?;
            let list: DiscountList = answer.parse()?;
            Ok(Output::new(answer.body, discounts_text(&list.discounts)))
        }
        Discount::Show { target } => {
            let answer = client.get(&of(&target)).await?;
            let text = discounts_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Discount::Delete { target, force } => {
            let removal = Removal {
                path: of(&target),
                question: format!("Take nothing off {target}, as if it had never been?"),
                done: format!("Nothing comes off {target}, within a minute."),
                force: force.force,
            };
            remove(client, removal, discounts_text).await
        }
    }
}

/// The terms with one more, or with another percentage from the same instant on.
fn with_term(spec: Option<Value>, off: &str, from: &str) -> Result<Value, Failure> {
    let read = |text: &str| {
        let next = "write it as 2026-12-01T00:00:00Z";
        Timestamp::parse(text).map_err(|_| Failure::new(format!("{text:?} is no time"), next))
    };
    let at = read(from)?;
    let terms = spec.and_then(|mut spec| spec.get_mut("terms").map(Value::take));
    let mut sorted = vec![(at, json!({"from": from, "off_percent": off}))];
    for term in terms.and_then(|terms| terms.as_array().cloned()).unwrap_or_default() {
        let began = read(term.get("from").and_then(Value::as_str).unwrap_or_default())?;
        if began != at {
            sorted.push((began, term));
        }
    }
    sorted.sort_by_key(|(began, _)| *began);
    let terms: Vec<Value> = sorted.into_iter().map(|(_, term)| term).collect();
    Ok(json!({"terms": terms}))
}

fn discounts_text(discounts: &[Stored]) -> String {
    table(&["TARGET", "NOW_%", "FROM AND PERCENT OFF"], discounts, |discount| {
        let terms = discount.spec.get("terms").and_then(Value::as_array);
        let text = |term: &Value, name| {
            term.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let terms = terms.into_iter().flatten();
        let terms: Vec<_> = terms
            .map(|term| format!("{} {}", text(term, "from"), text(term, "off_percent")))
            .collect();
        let now = cell(discount.off_percent.as_ref());
        vec![discount.target.clone(), now, terms.join(", ")]
    })
}

fn quarantine_text(rows: &[Quarantined]) -> String {
    table(&["MODEL", "REQUEST ID", "HOLD_USD", "COST_USD", "AT"], rows, |row| {
        let model = format!("{}/{}", row.provider, row.model);
        let (hold, cost) = (row.hold_usd.clone(), row.cost_usd.clone());
        vec![model, row.request_id.clone(), hold, cost, row.at.clone()]
    })
}

fn lists_in_force(lists: &[Catalogue]) -> String {
    lists.iter().map(catalogue_text).collect()
}

fn catalogue_text(list: &Catalogue) -> String {
    let mut text = format!(
        "{} is in force: {}, {} models (the code was built with {})",
        list.list_version, list.source, list.rows, list.compiled_version
    );
    if !list.earlier.is_empty() {
        text.push_str("\n\n");
        text.push_str(&lists_text(&list.earlier));
    }
    text
}

fn lists_text(lists: &[ImportedList]) -> String {
    table(&["IMPORTED", "MODELS", "AT", "BY"], lists, |list| {
        let (rows, at) = (list.rows.to_string(), list.imported_at.clone());
        vec![list.version.clone(), rows, at, list.imported_by.clone()]
    })
}

/// A look first, always; what is applied is based on the list that was looked at.
async fn refresh(client: &Client, file: &Path, apply: bool) -> Result<Output, Failure> {
    let unreadable = |error: String| {
        let next = "name a file such as shared/core/src/catalog.json of a newer Farebox";
        Failure::new(format!("{}: {error}", file.display()), next)
    };
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    // As it stands: its hash is a part of the list's version.
    let body = RawValue::from_string(text).map_err(|error| unreadable(error.to_string()))?;
    let now = client.get(&path("catalogue")).await?;
    let looked = client.send(Method::POST, &path("catalogue/preview"), &body, None).await?;
    let preview = preview_text(&looked.parse()?);
    if !apply {
        let next = format!(
            "\nNothing is changed. To import it: farebox price refresh {} --apply",
            file.display()
        );
        return Ok(Output::new(looked.body, preview + &next));
    }
    let etag = now.etag.as_deref();
    let stored = client.send(Method::PUT, &path("catalogue"), &body, etag).await?;
    let text =
        format!("{preview}\n{}\nCalls have it within a minute.", catalogue_text(&stored.parse()?));
    Ok(Output::new(stored.body, text))
}

/// The way back to a list that was imported: a look first, always, as with a new one.
async fn switch(client: &Client, version: &str, apply: bool) -> Result<Output, Failure> {
    let now = client.get(&path("catalogue/version")).await?;
    let list: Catalogue = now.parse()?;
    let looked = client.get(&path(&format!("catalogue/lists/{}", encoded(version)))).await;
    let looked = looked.map_err(|failure| {
        if version == list.compiled_version {
            let what = format!("{version} is the list that the code was built with");
            return Failure::new(what, "farebox price restore");
        }
        failure
    })?;
    let preview = preview_text(&looked.parse()?);
    if !apply {
        let next = format!(
            "\nNothing is changed. To put it in force: farebox price switch {version} --apply"
        );
        return Ok(Output::new(looked.body, preview + &next));
    }
    let (path, body) = (path("catalogue/version"), json!({"version": version}));
    let stored = client.send(Method::PUT, &path, &body, now.etag.as_deref()).await?;
    let text =
        format!("{preview}\n{}\nCalls have it within a minute.", catalogue_text(&stored.parse()?));
    Ok(Output::new(stored.body, text))
}

fn preview_text(preview: &CataloguePreview) -> String {
    let head = ["MODEL", "CHANGE", "FIELDS", "INPUT", "OUTPUT"];
    let arrow = |price: fn(&ModelPrices) -> Option<String>, row: &CatalogueChange| {
        let of = |prices: &Option<ModelPrices>| prices.as_ref().and_then(price);
        match (of(&row.before), of(&row.after)) {
            (before, after) if before == after => cell(after.as_ref()),
            (before, after) => format!("{} > {}", cell(before.as_ref()), cell(after.as_ref())),
        }
    };
    let mut text = table(&head, &preview.rows, |row| {
        let input = arrow(|prices| Some(prices.input.clone()), row);
        let output = arrow(|prices| prices.output.clone(), row);
        let model = format!("{}/{}", row.provider, row.model);
        vec![model, row.change.clone(), row.fields.join(" "), input, output]
    });
    if preview.rows_left_out > 0 {
        text.push_str(&format!("\nand {} of other providers, or more", preview.rows_left_out));
    }
    let CataloguePreview { added, removed, changed, unchanged, .. } = preview;
    text.push_str(&format!(
        "\n{} > {}: {added} added, {removed} removed, {changed} changed, {unchanged} as they are",
        preview.from_version, preview.version
    ));
    for warning in &preview.warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    text
}

fn spec(change: PriceChange) -> Value {
    let mut spec = Map::new();
    let texts = [
        ("input", change.input),
        ("output", change.output),
        ("cached_input", change.cached_input),
        ("cache_write_5m", change.cache_write_5m),
        ("cache_write_1h", change.cache_write_1h),
        ("web_search", change.web_search),
        ("per_request", change.per_request),
    ];
    for (name, price) in texts {
        if let Some(price) = price {
            spec.insert(name.to_owned(), Value::from(price));
        }
    }
    let limits = [
        ("context_window", change.context_window),
        ("max_output_tokens", change.max_output_tokens),
    ];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            spec.insert(name.to_owned(), Value::from(limit));
        }
    }
    if change.free {
        spec.insert("free".to_owned(), Value::from(true));
    }
    Value::Object(spec)
}

fn prices_text(prices: &[Override]) -> String {
    let head = ["MODEL", "VERSION", "PRICES (USD per million tokens) AND LIMITS"];
    let table = table(&head, prices, |price| {
        let model = format!("{}/{}", price.provider, price.model);
        let fields = price.spec.as_object().into_iter().flatten();
        let fields = fields.filter(|(_, value)| **value != Value::Bool(false));
        let fields: Vec<String> = fields
            .map(|(name, value)| format!("{name}={}", value.to_string().trim_matches('"')))
            .collect();
        vec![model, price.price_version.clone(), fields.join(" ")]
    });
    let lacking = prices.iter().filter(|price| !price.not_stated.is_empty()).map(|price| {
        let (provider, model) = (&price.provider, &price.model);
        let left = price.not_stated.join(", ");
        format!("\n{provider}/{model} has in the price list, and not in your own price: {left}")
    });
    table + &lacking.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_says_only_what_was_given() {
        let change = PriceChange { input: Some("2.5".into()), ..PriceChange::default() };

        assert_eq!(spec(change), serde_json::json!({"input": "2.5"}));
    }

    #[test]
    fn a_term_takes_its_place_by_time() {
        let term = |from: &str, off: &str| json!({"from": from, "off_percent": off});
        let (old, new) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let spec = with_term(None, "10", new).unwrap();

        let both = with_term(Some(spec), "5", old).unwrap();
        assert_eq!(both, json!({"terms": [term(old, "5"), term(new, "10")]}));
        let other = with_term(Some(both), "0", "2027-01-01T01:00:00+01:00").unwrap();
        assert_eq!(other["terms"][1], term("2027-01-01T01:00:00+01:00", "0"));
        assert_eq!(other["terms"].as_array().unwrap().len(), 2);
        assert!(with_term(None, "1", "tomorrow").is_err());
    }

    #[test]
    fn a_preview_shows_what_becomes_of_each_price() {
        let prices = |input: &str| {
            Some(ModelPrices {
                input: input.into(),
                output: Some("10".into()),
                ..Default::default()
            })
        };
        let row = CatalogueChange {
            provider: "openai".into(),
            model: "gpt-5".into(),
            change: "changed".into(),
            fields: vec!["input".into()],
            before: prices("1.25"),
            after: prices("1"),
        };
        let preview = CataloguePreview {
            version: "2026-12-01.a".into(),
            from_version: "2026-11-23.b".into(),
            changed: 1,
            unchanged: 5_851,
            rows: vec![row],
            warnings: vec!["look at it".into()],
            ..CataloguePreview::default()
        };

        let text = preview_text(&preview);

        assert!(text.contains("openai/gpt-5  changed  input   1.25 > 1  10"), "{text}");
        assert!(text.ends_with("1 changed, 5851 as they are\nwarning: look at it"), "{text}");
    }
}

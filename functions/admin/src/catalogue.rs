//! The price list: which one is in force, and how a newer one is imported.

use std::collections::BTreeMap;

use farebox_api::{
    Catalogue, CatalogueChange, CataloguePreview, ImportedList, ImportedLists, ModelPrices,
    PutCatalogueVersion,
};
use farebox_aws::control::{ListRow, StoredList};
use farebox_core::catalog::{self, Fault};
use farebox_core::{Catalog, Error, FemtoPerToken, Model};

use crate::Gate;
use crate::call::Call;
use crate::models::prices;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// Changes that a preview tells.
const ROWS_MAX: usize = 500;
/// Faults that a refusal tells.
const FAULTS_TOLD: usize = 5;
/// A price that falls below this part of what it was is more likely a mistake than a gift.
const FALL: u64 = 2;
/// Longest version: a day and a hash.
const VERSION_BYTES_MAX: usize = 64;

/// `GET /admin/v1/catalogue`
pub async fn show(gate: &Gate, _: &Call) -> Result<Answer, Refusal> {
    let imported = gate.control.imported_list().await?;
    answer(gate, imported).await
}

/// `POST /admin/v1/catalogue/preview`: what a list would change.
pub async fn preview(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let new = read(call)?;
    let prices = gate.control.prices_in_force().await?;
    Answer::ok(&compared(prices.list(), &new))
}

/// `PUT /admin/v1/catalogue`: a list comes into force, whole or not at all.
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let new = read(call)?;
    let row = gate.control.import_list(&new, call.expected()).await?;
    answer(gate, Some(row.ok_or_else(|| call.raced())?)).await
}

/// `DELETE /admin/v1/catalogue`: back to the list that the code was built with.
pub async fn delete(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if gate.control.imported_list().await?.is_none() {
        return Err(absent(call).into());
    }
    if gate.control.drop_list(call.expected()).await? {
        return Ok(Answer::empty());
    }
    Err(call.raced().into())
}

/// `GET /admin/v1/catalogue/lists`: those that were imported.
pub async fn lists(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.imported_lists(call.limit()?, call.cursor()).await?;
    let lists = page.rows.into_iter().map(list).collect();
    Answer::ok(&ImportedLists { lists, next_cursor: page.next })
}

/// `GET /admin/v1/catalogue/lists/{version}`: what an imported list would change.
pub async fn look(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let stored = stored(gate, call.parameter("version")).await?;
    let stored = stored.ok_or_else(|| absent(call))?;
    let prices = gate.control.prices_in_force().await?;
    Answer::ok(&compared(prices.list(), &stored.list))
}

/// `PUT /admin/v1/catalogue/version`: an imported list comes into force again. It is read whole
/// before anything names it.
pub async fn switch(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: PutCatalogueVersion = call.body()?;
    let built = catalog::VERSION;
    let Some(stored) = stored(gate, &body.version).await? else {
        let rule = if body.version == built {
            "is the list that the code was built with: DELETE /admin/v1/catalogue goes back to it"
        } else {
            "is no list that was imported: GET /admin/v1/catalogue/lists names them"
        };
        return Err(Error::malformed("version", rule).into());
    };
    not_older("version", stored.list.version())?;
    let row = gate.control.switch_list(&stored, call.expected()).await?;
    answer(gate, Some(row.ok_or_else(|| call.raced())?)).await
}

async fn stored(gate: &Gate, version: &str) -> Result<Option<StoredList>, Error> {
    let fits = (1..=VERSION_BYTES_MAX).contains(&version.len())
        && version.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        return Err(Error::malformed("version", "write it as it is listed: 2026-11-23.9f86d081"));
    }
    gate.control.list_of(version).await
}

/// The list of a body, every row of it looked at.
fn read(call: &Call) -> Result<Catalog, Error> {
    let list = Catalog::import(call.text()?).map_err(|faults| refused(&faults))?;
    not_older("built_for", list.version())?;
    Ok(list)
}

/// A list of an earlier day than the compiled one would never be in force.
fn not_older(field: &str, version: &str) -> Result<(), Error> {
    if !catalog::is_older(version, catalog::VERSION) {
        return Ok(());
    }
    let built = catalog::VERSION;
    let rule = format!("is of an earlier day than {built}, which the code was built with");
    Err(Error::malformed(field, rule))
}

fn refused(faults: &[Fault]) -> Error {
    let Some((first, others)) = faults.split_first() else {
        return Error::malformed("rows", "cannot be used");
    };
    let told =
        others.iter().take(FAULTS_TOLD).map(|fault| format!("{}: {}", fault.place, fault.rule));
    let told = core::iter::once(first.rule.clone()).chain(told).collect::<Vec<_>>().join("; ");
    let more = others.len().saturating_sub(FAULTS_TOLD);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    Error::malformed(first.place.as_str(), format!("{told}{more}"))
}

async fn answer(gate: &Gate, imported: Option<ListRow>) -> Result<Answer, Refusal> {
    let earlier = gate.control.latest_lists().await?;
    let revision = imported.as_ref().map_or(0, |row| row.revision);
    let in_force = imported.as_ref();
    let in_force = in_force.filter(|row| !catalog::is_older(&row.version, catalog::VERSION));
    let compiled = || u64::try_from(Catalog::compiled().rows()).unwrap_or_default();
    let shown = Catalogue {
        list_version: in_force.map_or(catalog::VERSION, |row| &row.version).to_owned(),
        version: revision.to_string(),
        source: in_force.map_or("compiled", |_| "imported").to_owned(),
        rows: in_force.map_or_else(compiled, |row| row.rows),
        compiled_version: catalog::VERSION.to_owned(),
        imported: imported.map(list),
        earlier: earlier.into_iter().map(list).collect(),
    };
    Answer::thing(&shown)
}

fn list(row: ListRow) -> ImportedList {
    ImportedList {
        version: row.version,
        rows: row.rows,
        imported_at: row.at.to_string(),
        imported_by: row.by,
    }
}

/// What a list would change.
fn compared(old: &Catalog, new: &Catalog) -> CataloguePreview {
    let mut preview = CataloguePreview {
        version: new.version().to_owned(),
        from_version: old.version().to_owned(),
        ..CataloguePreview::default()
    };
    let (mut falls, mut unpriced) = (Vec::new(), 0_u64);
    for (provider, models) in both(old, new) {
        let is_called = farebox_providers::find(&provider).is_some();
        for (before, after) in models.into_values() {
            let Some(change) = change(before.as_ref(), after.as_ref(), &mut preview) else {
                continue;
            };
            if is_called && has_fallen(before.as_ref(), after.as_ref()) {
                falls.push(format!("{provider}/{}", change.model));
            }
            let had = before.is_some_and(|model| model.price.is_some());
            let lost = had && after.is_none_or(|model| model.price.is_none());
            unpriced = unpriced.saturating_add(u64::from(is_called && lost));
            if is_called && preview.rows.len() < ROWS_MAX {
                preview.rows.push(change);
            } else {
                preview.rows_left_out = preview.rows_left_out.saturating_add(1);
            }
        }
    }
    warn(&mut preview, &falls, unpriced);
    preview
}

fn warn(preview: &mut CataloguePreview, falls: &[String], unpriced: u64) {
    if catalog::is_older(&preview.version, &preview.from_version) {
        preview.warnings.push("its prices are of an earlier day than those in force".to_owned());
    }
    if let Some(first) = falls.first() {
        let count = falls.len();
        let text = format!(
            "{count} models would cost less than half, such as {first}: a price that is too low \
             lets budgets be overspent"
        );
        preview.warnings.push(text);
    }
    if unpriced > 0 {
        preview.warnings.push(format!("calls to {unpriced} models would be refused: no price"));
    }
}

type Pair = (Option<Model>, Option<Model>);

/// The models of both lists, by provider and name.
fn both(old: &Catalog, new: &Catalog) -> BTreeMap<String, BTreeMap<String, Pair>> {
    let mut found: BTreeMap<String, BTreeMap<String, Pair>> = BTreeMap::new();
    for (list, is_new) in [(old, false), (new, true)] {
        for provider in list.providers() {
            let models = found.entry(provider.to_owned()).or_default();
            for model in list.models(provider) {
                let pair = models.entry(model.name.to_string()).or_default();
                *(if is_new { &mut pair.1 } else { &mut pair.0 }) = Some(model);
            }
        }
    }
    found
}

/// What changes of a model; counts it.
fn change(
    before: Option<&Model>,
    after: Option<&Model>,
    preview: &mut CataloguePreview,
) -> Option<CatalogueChange> {
    let fields = fields(before, after);
    let (count, name) = match (before, after) {
        (None, _) => (&mut preview.added, "added"),
        (_, None) => (&mut preview.removed, "removed"),
        _ if fields.is_empty() => (&mut preview.unchanged, ""),
        _ => (&mut preview.changed, "changed"),
    };
    *count = count.saturating_add(1);
    let model = after.or(before).filter(|_| !name.is_empty())?;
    Some(CatalogueChange {
        provider: model.provider.to_string(),
        model: model.name.to_string(),
        change: name.to_owned(),
        fields,
        before: before.and_then(shown),
        after: after.and_then(shown),
    })
}

fn shown(model: &Model) -> Option<ModelPrices> {
    model.price.as_ref().map(prices)
}

/// The names of what differs.
fn fields(before: Option<&Model>, after: Option<&Model>) -> Vec<String> {
    let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
    let (old, new) = (shown(before).unwrap_or_default(), shown(after).unwrap_or_default());
    let named = [
        ("input", old.input != new.input),
        ("output", old.output != new.output),
        ("cached_input", old.cached_input != new.cached_input),
        ("cache_write_5m", old.cache_write_5m != new.cache_write_5m),
        ("cache_write_1h", old.cache_write_1h != new.cache_write_1h),
        ("context_window", before.context_window != after.context_window),
        ("max_output_tokens", before.completion_max != after.completion_max),
        ("mode", before.mode != after.mode),
    ];
    let mut differing: Vec<_> = named.into_iter().filter(|(_, differs)| *differs).collect();
    let unversioned = |model: &Model| {
        let mut model = model.clone();
        if let Some(price) = &mut model.price {
            price.version = "".into();
        }
        model
    };
    if differing.is_empty() && unversioned(before) != unversioned(after) {
        differing.push(("other", true));
    }
    differing.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// Whether a price would be less than half of what it is.
fn has_fallen(before: Option<&Model>, after: Option<&Model>) -> bool {
    let rates = |model: &Model| {
        let rates = &model.price.as_ref()?.schedule.standard.rates;
        Some([Some(rates.input), rates.output])
    };
    let (Some(old), Some(new)) = (before.and_then(rates), after.and_then(rates)) else {
        return false;
    };
    let fell = |(old, new): (&FemtoPerToken, &FemtoPerToken)| {
        new.femto().saturating_mul(FALL) < old.femto()
    };
    old.iter().flatten().zip(new.iter().flatten()).any(fell)
}

//! The models that there are: the catalogue's, and the owner's prices before them.

use farebox_api::{Model as Shown, ModelList, ModelPrices};
use farebox_core::catalog::{Mode, Model};
use farebox_core::{FemtoPerToken, Price};

use crate::Gate;
use crate::call::Call;
use crate::credentials::provider;
use crate::owners::absent;
use crate::prices::names;
use crate::reply::{Answer, Refusal};

/// Femto-USD per token in one USD per million tokens.
const FEMTO_PER_USD: u64 = 1_000_000_000;

/// `GET /admin/v1/models?provider=&search=`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let provider: String = call.parsed_query("provider", "openai")?;
    let provider = self::provider(&provider)?;
    let search = call.query("search").unwrap_or_default().to_lowercase();
    let after = call.cursor().unwrap_or_default();
    let prices = gate.control.prices_in_force().await?;
    let prices = prices.at(gate.aws().now());
    let limit = usize::try_from(call.limit()?).unwrap_or(1);
    let is_wanted = |name: &str| name > after && name.to_lowercase().contains(&search);
    let mut page: Vec<_> = prices.models(provider).filter(|found| is_wanted(&found.name)).collect();
    page.sort_by(|a, b| a.name.cmp(&b.name));
    let has_more = page.len() > limit;
    page.truncate(limit);
    let next_cursor = page.last().filter(|_| has_more).map(|found| found.name.to_string());
    let is_own = |found: &Model| prices.overrides.own(provider, &found.name).is_some();
    let models = page.iter().map(|found| shown(found, is_own(found))).collect();
    Answer::ok(&ModelList { models, next_cursor })
}

/// `GET /admin/v1/models/{provider}/{model+}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let (provider, name) = names(call)?;
    let prices = gate.control.prices_in_force().await?;
    let found = prices.at(gate.aws().now()).model(provider, name).ok_or_else(|| absent(call))?;
    let is_own = prices.own(provider, &found.name).is_some();
    Answer::ok(&shown(&found, is_own))
}

fn shown(model: &Model, is_own: bool) -> Shown {
    let mode = match model.mode {
        Mode::Chat => "chat",
        Mode::Completion => "completion",
        Mode::Embedding => "embedding",
        Mode::Responses => "responses",
        Mode::Unknown => "unknown",
    };
    Shown {
        provider: model.provider.to_string(),
        model: model.name.to_string(),
        mode: mode.to_owned(),
        context_window: model.context_window,
        max_output_tokens: model.completion_max,
        source: if is_own { "owner" } else { "catalogue" }.to_owned(),
        price_version: model.price.as_ref().map(|price| price.version.to_string()),
        prices: model.price.as_ref().map(prices),
    }
}

pub(crate) fn prices(price: &Price) -> ModelPrices {
    let rates = &price.schedule.standard.rates;
    ModelPrices {
        input: usd(rates.input),
        output: rates.output.map(usd),
        cached_input: rates.cached.map(usd),
        cache_write_5m: rates.cache_write_5m.map(usd),
        cache_write_1h: rates.cache_write_1h.map(usd),
        web_search: price.web_search.map(|fee| fee.to_string()),
        per_request: price.per_request.map(|fee| fee.to_string()),
    }
}

/// USD per million tokens, exact.
fn usd(price: FemtoPerToken) -> String {
    let (whole, rest) = (price.femto() / FEMTO_PER_USD, price.femto() % FEMTO_PER_USD);
    let digits = format!("{rest:09}");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_shown_as_it_is_written() {
        for text in ["0", "0.15", "2.5", "10", "0.000000001", "123.456"] {
            assert_eq!(usd(FemtoPerToken::parse(text).unwrap().0), text);
        }
    }
}

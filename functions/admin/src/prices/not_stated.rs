//! What the price list states of a model and a price of one's own does not.

use farebox_core::{Catalog, PriceSpec};

/// By name, in the order in which a row of a list says them: prices that the own one leaves out by
/// their fields, and what no own price can say. Under one that is free only that which calls are
/// refused for: the rest would cost nothing either way.
pub fn not_stated(list: &Catalog, provider: &str, model: &str, own: &PriceSpec) -> Vec<String> {
    let listed = list.find(provider, model).and_then(|model| model.price);
    let Some(listed) = listed else { return Vec::new() };
    let (standard, rates) = (&listed.schedule.standard, &listed.schedule.standard.rates);
    let charged = !own.free;
    let has = |of: &Option<String>| of.is_some();
    let named = [
        ("cached_input", charged && rates.cached.is_some() && !has(&own.cached_input)),
        ("cache_write_5m", rates.cache_write_5m.is_some() && !has(&own.cache_write_5m)),
        ("cache_write_1h", rates.cache_write_1h.is_some() && !has(&own.cache_write_1h)),
        ("web_search", listed.web_search.is_some() && !has(&own.web_search)),
        ("per_request", charged && listed.per_request.is_some() && !has(&own.per_request)),
        ("reasoning", charged && rates.reasoning.is_some()),
        ("audio input", rates.audio_input.is_some()),
        ("audio output", rates.audio_output.is_some()),
        ("prices of other times", charged && !listed.periods.is_empty()),
    ];
    let mut left: Vec<String> = named
        .into_iter()
        .filter(|(_, is_left)| *is_left)
        .map(|(name, _)| name.to_owned())
        .collect();
    let lengths = standard.context_tiers.iter().filter(|_| charged);
    left.extend(lengths.map(|tier| format!("context tier above {} tokens", tier.above_tokens)));
    let tiers = listed.schedule.service_tiers.iter();
    left.extend(tiers.map(|tier| format!("service tier {}", tier.name)));
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list whose only model has all that a row can have.
    const ALL: &str = r#"{"notice": "", "built_for": "2030-01-01", "sources": [],
        "unit": "USD per 1000000 tokens; per_request and web_search in USD",
        "rows": [{"provider": "p", "model": "m", "input": "1", "output": "2", "cached": "0.1",
            "cache_write_5m": "1.5", "cache_write_1h": "2", "reasoning": "3", "audio_input": "4",
            "audio_cached": "0.4", "audio_output": "5", "web_search": "0.01",
            "per_request": "0.005",
            "context_tiers": [{"above_tokens": 200000, "input": "2", "output": "4"}],
            "service_tiers": {"flex": {"input": "0.5", "output": "1"},
                              "priority": {"input": "2", "output": "4"}},
            "periods": [{"from": "2031-01-01T00:00:00Z", "input": "2", "output": "4"}]}]}"#;

    fn told(spec: &str) -> Vec<String> {
        let list = Catalog::import(ALL).unwrap();
        not_stated(&list, "p", "m", &serde_json::from_str(spec).unwrap())
    }

    #[test]
    fn what_the_list_has_and_an_own_price_leaves_out_is_named() {
        let no_price_says = [
            "reasoning",
            "audio input",
            "audio output",
            "prices of other times",
            "context tier above 200000 tokens",
            "service tier flex",
            "service tier priority",
        ];
        let whole = r#"{"input": "1", "output": "2", "cached_input": "0.1", "web_search": "0.01",
            "cache_write_5m": "1.5", "cache_write_1h": "2", "per_request": "0.005"}"#;
        assert_eq!(told(whole), no_price_says);

        let fields =
            ["cached_input", "cache_write_5m", "cache_write_1h", "web_search", "per_request"];
        let all = [&fields[..], &no_price_says].concat();
        assert_eq!(told(r#"{"input": "1", "output": "2"}"#), all);
    }

    #[test]
    fn a_free_model_lacks_only_what_its_calls_are_refused_for() {
        let refused = [
            "cache_write_5m",
            "cache_write_1h",
            "web_search",
            "audio input",
            "audio output",
            "service tier flex",
            "service tier priority",
        ];
        assert_eq!(told(r#"{"free": true}"#), refused);
    }

    #[test]
    fn what_no_list_has_lacks_nothing() {
        let list = Catalog::import(ALL).unwrap();

        assert_eq!(not_stated(&list, "p", "other", &PriceSpec::default()), [""; 0]);
    }
}

//! An owner's own prices: what they replace of the list's, and what is refused.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use farebox_core::catalog::{Catalog, Model, PriceSpec};
use farebox_core::pricing::{Bound, FemtoPerToken, PricingError, Rates};
use farebox_core::{Money, Reported, Usage};

static LIST: Catalog = Catalog::compiled();

fn find(provider: &str, model: &str) -> Model {
    LIST.find(provider, model).unwrap_or_else(|| panic!("{provider}/{model} is not listed"))
}

fn femto(text: &str) -> Option<FemtoPerToken> {
    Some(FemtoPerToken::parse(text).unwrap().0)
}

fn spec(input: &str, output: &str) -> PriceSpec {
    let some = |text: &str| Some(text.to_owned());
    PriceSpec { input: some(input), output: some(output), ..PriceSpec::default() }
}

#[test]
fn an_override_makes_a_model_with_its_own_version() {
    let spec = PriceSpec { context_window: Some(9), ..spec("1.5", "3") };

    let model = spec.model(&LIST, "openai", "gpt-4o", "v7").unwrap();

    let price = model.price.unwrap();
    assert_eq!(price.version, "v7");
    assert_eq!(price.schedule.standard.rates, Rates::new(femto("1.5").unwrap(), femto("3")));
    assert_eq!(model.context_window, Some(9));
    assert_eq!(model.completion_max, find("openai", "gpt-4o").completion_max, "from the row");
    assert!(spec.model(&LIST, "my-own", "model", "v1").unwrap().completion_max.is_none());
}

#[test]
fn an_override_names_the_field_that_is_wrong() {
    let error = |spec: PriceSpec| spec.model(&LIST, "mine", "model", "v1").unwrap_err();

    assert_eq!(error(PriceSpec::default()), PricingError::Missing { field: "input" });
    let no_output = PriceSpec { output: None, ..spec("1", "1") };
    assert_eq!(error(no_output), PricingError::Missing { field: "output" });
    assert_eq!(error(spec("-1", "1")), PricingError::NotAPrice { field: "input" });
    assert_eq!(error(spec("1", "1e3")), PricingError::NotAPrice { field: "output" });
    assert_eq!(error(spec("1", "0")), PricingError::ZeroPrice { field: "output" });
    let zero = PriceSpec { cached_input: Some("0.0".to_owned()), ..spec("1", "1") };
    assert_eq!(error(zero), PricingError::ZeroPrice { field: "cached_input" });
    let free = PriceSpec { free: true, ..spec("0", "1") };
    assert_eq!(error(free), PricingError::NotFree { field: "output" });
}

#[test]
fn an_override_is_free_only_when_it_says_so() {
    let free = PriceSpec { free: true, ..PriceSpec::default() };
    let price = free.model(&LIST, "mine", "model", "v1").unwrap().price.unwrap();

    assert_eq!(price.hold(&Bound { prompt_tokens: 5, ..Bound::default() }), Ok(Money::ONE_PICO));
}

#[test]
fn an_override_holds_and_charges_its_fee_for_each_request() {
    let usd = |text: &str| Money::parse_usd(text).unwrap();
    let fee = |text: &str| PriceSpec { per_request: Some(text.to_owned()), ..spec("1", "2") };
    let made = |spec: PriceSpec| spec.model(&LIST, "perplexity", "sonar", "v1");

    let price = made(fee("0.005")).unwrap().price.unwrap();

    let bound = Bound { prompt_tokens: 3, completion_tokens: 5, ..Bound::default() };
    assert_eq!(price.hold(&bound), Ok(usd("0.005013")));
    let usage = Usage { prompt: 3, completion: 5, ..Usage::default() };
    let cost = price.cost(&Reported { usage, ..Reported::default() }).unwrap();
    assert_eq!((cost.fees, cost.total), (usd("0.005"), usd("0.005013")));
    let without = made(spec("1", "2")).unwrap().price.unwrap();
    assert_eq!(without.per_request, None, "the row's own fee is not mixed in");
    let field = "per_request";
    assert_eq!(made(fee("0")).unwrap_err(), PricingError::ZeroPrice { field });
    assert_eq!(made(fee("-1")).unwrap_err(), PricingError::ZeroPrice { field });
    assert_eq!(made(fee("a cent")).unwrap_err(), PricingError::NotAFee { field });
    let free = PriceSpec { free: true, input: None, output: None, ..fee("0.005") };
    assert_eq!(made(free).unwrap_err(), PricingError::NotFree { field });
}

#[test]
fn an_override_of_a_model_that_writes_unasked_needs_the_write_price() {
    let missing = spec("1", "1").model(&LIST, "openai", "gpt-6-sol", "v1").unwrap_err();
    assert_eq!(missing, PricingError::Missing { field: "cache_write_5m" });
    let stated = PriceSpec { cache_write_5m: Some("1.25".to_owned()), ..spec("1", "1") };

    let price = stated.model(&LIST, "openai", "gpt-6-sol", "v1").unwrap().price.unwrap();

    let bound = Bound { prompt_tokens: 4, ..Bound::default() };
    assert_eq!(price.hold(&bound).unwrap().pico(), 5_000_000);
}

#[test]
fn an_override_with_an_unknown_field_is_refused() {
    let error = serde_json::from_str::<PriceSpec>(r#"{"input":"1","ouput":"2"}"#).unwrap_err();

    assert!(error.to_string().contains("ouput"));
    let number = serde_json::from_str::<PriceSpec>(r#"{"input":1}"#);
    assert!(number.is_err(), "a price is a text");
}

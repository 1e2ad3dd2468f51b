//! The catalogue: what a look-up finds, and that every row is what its source says.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use farebox_core::catalog::{Catalog, Mode, Model, PriceSpec, VERSION, is_older};
use farebox_core::pricing::{Bound, FemtoPerToken, Rates};
use farebox_core::{Money, Reported, Usage};

static LIST: Catalog = Catalog::compiled();

fn find(provider: &str, model: &str) -> Model {
    LIST.find(provider, model).unwrap_or_else(|| panic!("{provider}/{model} is not listed"))
}

fn rates(provider: &str, model: &str) -> Rates {
    find(provider, model).price.unwrap().schedule.standard.rates
}

fn femto(text: &str) -> Option<FemtoPerToken> {
    if text.is_empty() { None } else { Some(FemtoPerToken::parse(text).unwrap().0) }
}

fn tier(provider: &str, model: &str, name: &str) -> Rates {
    let schedule = find(provider, model).price.unwrap().schedule;
    schedule.service_tiers.into_iter().find(|tier| tier.name == name).unwrap().card.rates
}

/// Rows of the price list as it was read for this catalogue, chosen by chance among those that
/// no correction and no rule of CATALOG.md touches: provider, model, context window (0: not
/// stated), and input, cached, write 5m, write 1h, output.
const SAMPLE: [(&str, &str, u64, [&str; 5]); 50] = [
    ("anthropic", "claude-opus-5", 1000000, ["5", "0.5", "6.25", "10", "25"]),
    ("aihubmix", "claude-fable-5", 1000000, ["11", "1.1", "13.75", "", "55"]),
    ("anthropic", "claude-sonnet-5-5", 1000000, ["2", "0.1", "2.5", "4", "10"]),
    ("azure-foundry", "deepseek-v3.1", 131072, ["1.23", "", "", "", "4.94"]),
    ("azure-foundry", "gpt-4.1", 1047576, ["2", "0.5", "", "", "8"]),
    ("databricks", "databricks-qwen35-122b-a10b", 256000, ["0.22", "", "", "", "2.2"]),
    ("deepinfra", "Qwen/Qwen3.8-Max", 256000, ["1.65", "0.206", "", "", "4.951"]),
    ("fireworks", "accounts/fireworks/models/minimax-m3", 512000, ["0.3", "0.06", "", "", "1.2"]),
    (
        "fireworks",
        "accounts/fireworks/models/nvidia-nemotron-nano-9b-v2",
        128000,
        ["0.2", "", "", "", "0.2"],
    ),
    (
        "fireworks",
        "accounts/fireworks/models/qwen3-coder-480b-instruct-bf16",
        262144,
        ["0.9", "", "", "", "0.9"],
    ),
    ("fireworks", "qwen3p7-plus", 262144, ["0.4", "0.08", "", "", "1.6"]),
    ("gemini", "gemini-2.5-flash-preview", 0, ["0.15", "", "", "", "0.6"]),
    ("gemini", "gemini-3.5-flash-lite", 1000000, ["0.3", "0.03", "", "", "2.5"]),
    ("groq", "llama2-70b-4096", 0, ["0.7", "", "", "", "0.8"]),
    ("groq", "meta-llama/llama-prompt-guard-2-22m", 512, ["0.03", "", "", "", "0.03"]),
    ("huggingface_hyperbolic", "deepseek-ai/DeepSeek-R1", 163840, ["2", "", "", "", "2"]),
    ("huggingface_novita", "meta-llama/Llama-3.1-8B-Instruct", 16384, ["0.02", "", "", "", "0.05"]),
    (
        "huggingface_nscale",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
        131072,
        ["0.1", "", "", "", "0.1"],
    ),
    ("kyma", "grok-4.5", 500000, ["2.73", "", "", "", "8.189"]),
    ("meta", "muse-wonder-1.0", 1048576, ["4", "0.2", "", "", "20"]),
    ("mistral", "mistral-small-24b-instruct-2501", 0, ["0.05", "", "", "", "0.08"]),
    ("mistral", "mixtral-8x22b-instruct", 0, ["2", "", "", "", "6"]),
    ("openai", "gpt-5.1-codex", 400000, ["1.25", "0.125", "", "", "10"]),
    ("openai", "gpt-6-cyber", 0, ["20", "2", "25", "", "100"]),
    ("openrouter", "aion-labs/aion-rp-llama-3.1-8b", 32768, ["0.8", "", "", "", "1.6"]),
    ("openrouter", "all-hands/openhands-lm-32b-v0.1", 0, ["2.6", "", "", "", "3.4"]),
    ("openrouter", "amazon/nova-premier-v1", 1000000, ["2.5", "0.625", "", "", "12.5"]),
    (
        "openrouter",
        "anthropic/claude-opus-4.6:batch",
        1000000,
        ["2.5", "0.25", "3.125", "", "12.5"],
    ),
    ("openrouter", "inclusionai/ling-3.1-flash", 262144, ["0.045", "0.009", "", "", "0.135"]),
    ("openrouter", "meta/muse-spark-1.3", 1048576, ["1.25", "0.15", "", "", "4.25"]),
    ("openrouter", "o1-mini", 0, ["1.1", "0.55", "", "", "4.4"]),
    ("openrouter", "openai/gpt-4.1-mini", 1047576, ["0.4", "0.1", "", "", "1.6"]),
    ("openrouter", "openai/gpt-5.5-pro:batch", 1050000, ["15", "", "", "", "90"]),
    ("openrouter", "openai/gpt-oss-20b", 131072, ["0.03", "0.009", "", "", "0.14"]),
    ("openrouter", "openai/o3-pro", 200000, ["20", "", "", "", "80"]),
    ("openrouter", "openai/o3:batch", 200000, ["1", "0.25", "", "", "4"]),
    ("openrouter", "openai/o4-mini", 200000, ["1.1", "0.275", "", "", "4.4"]),
    ("openrouter", "poolside/laguna-xs-2.1", 262144, ["0.06", "0.03", "", "", "0.12"]),
    ("openrouter", "qwen/qwen-turbo", 0, ["0.05", "", "", "", "0.2"]),
    ("openrouter", "relace/relace-search", 256000, ["1", "", "", "", "3"]),
    ("openrouter", "sao10k/l3.1-70b-hanami-x1", 16000, ["3", "", "", "", "3"]),
    ("openrouter", "upstage/solar-pro-3", 131072, ["0.15", "0.015", "", "", "0.6"]),
    ("openrouter", "x-ai/grok-code-fast-1", 256000, ["0.2", "0.02", "", "", "1.5"]),
    ("openrouter", "~openai/gpt-astra-latest", 1050000, ["10", "1", "12.5", "", "50"]),
    ("ovhcloud", "mamba-codestral-7B-v0.1", 256000, ["0.19", "", "", "", "0.19"]),
    ("quicksilverpro", "deepseek-v4.1-flash-1017", 1048576, ["0.098", "0.00294", "", "", "0.294"]),
    ("quicksilverpro", "qwen3.8-27b", 1000000, ["0.34", "0.068", "0.425", "", "2.04"]),
    ("together", "NousResearch/Nous-Hermes-2-Mixtral-8x7B-SFT", 0, ["0.9", "", "", "", "0.9"]),
    ("vercel", "openai/o3-mini", 200000, ["1.1", "0.55", "", "", "4.4"]),
    ("vertexai", "claude-opus-4-8@default", 1000000, ["5", "0.5", "6.25", "10", "25"]),
];

#[test]
fn a_sample_of_rows_equals_the_price_list() {
    for (provider, name, window, [input, cached, write_5m, write_1h, output]) in SAMPLE {
        let model = find(provider, name);
        assert_eq!(model.name, name);
        assert_eq!(model.context_window.unwrap_or(0), window, "{provider} {name}");
        let found = model.price.unwrap().schedule.standard.rates;
        assert_eq!(Some(found.input), femto(input), "{provider} {name}");
        assert_eq!(found.cached, femto(cached), "{provider} {name}");
        assert_eq!(found.cache_write_5m, femto(write_5m), "{provider} {name}");
        assert_eq!(found.cache_write_1h, femto(write_1h), "{provider} {name}");
        assert_eq!(found.output, femto(output), "{provider} {name}");
    }
}

#[test]
fn every_row_and_alias_of_the_file_is_in_the_table() {
    let json: serde_json::Value =
        serde_json::from_str(include_str!("../src/catalog.json")).unwrap();
    let rows = json["rows"].as_array().unwrap();
    let mut priced = 0;
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let (provider, name) = (text("provider"), text("model"));
        let model = find(provider, name);
        assert_eq!((&*model.provider, &*model.name), (provider, name));
        assert_eq!(model.context_window, row["context_window"].as_u64());
        assert_eq!(model.completion_max, row["max_output_tokens"].as_u64());
        for alias in row["aliases"].as_array().into_iter().flatten() {
            assert_eq!(find(provider, alias.as_str().unwrap()), model);
        }
        let free = row["free"] == true;
        let Some(price) = model.price else {
            assert!(row["input"].is_null() && !free, "{provider} {name}");
            continue;
        };
        priced += 1;
        let rates = price.schedule.standard.rates;
        assert_eq!(Some(rates.input), femto(if free { "0" } else { text("input") }));
        assert_eq!(rates.output, femto(if free { "0" } else { text("output") }));
        let counts = [
            (price.schedule.service_tiers.len(), row["service_tiers"].as_object().map(|m| m.len())),
            (price.periods.len(), row["periods"].as_array().map(Vec::len)),
        ];
        for (found, stated) in counts {
            assert_eq!(found, stated.unwrap_or(0), "{provider} {name}");
        }
        let mut bound = Bound { prompt_tokens: 1_000_000, ..Bound::default() };
        bound.completion_tokens = u64::from(rates.output.is_some());
        assert!(price.hold(&bound).is_ok(), "{provider} {name}");
    }
    assert_eq!(LIST.rows(), rows.len());
    assert!(priced >= 2_000, "{priced} priced models");
}

#[test]
fn a_name_is_exact() {
    assert!(LIST.find("openai", "gpt-4o").is_some());
    for (provider, model) in [
        ("openai", "GPT-4o"),
        ("openai", "gpt-4o "),
        ("openai", "gpt-4o-2031-01-01"),
        ("openai", ""),
        ("openai", "claude-opus-5"),
        ("OpenAI", "gpt-4o"),
        ("", ""),
        ("zzz", "gpt-4o"),
    ] {
        assert!(LIST.find(provider, model).is_none(), "{provider} {model}");
    }
}

#[test]
fn an_alias_finds_the_row_under_the_rows_name() {
    let model = find("anthropic", "claude-opus-5-latest");

    assert_eq!(model.name, "claude-opus-5");
    assert_eq!(model, find("anthropic", "claude-opus-5"));
    assert!(LIST.find("openai", "claude-opus-5-latest").is_none(), "of that provider only");
}

#[test]
fn an_alias_that_is_another_rows_name_resolves_to_that_row() {
    // The price list gives each of these names as an alias of another row, too.
    for (provider, name, input) in [
        // An alias of mistral-large, which costs 2.
        ("mistral", "mistral-large-latest", "0.5"),
        // Of mistral-medium-3-1, which costs 0.4.
        ("mistral", "mistral-medium", "1.5"),
        // Of grok-code-fast-1, which costs 0.2.
        ("xai", "grok-code-fast", "1"),
        // Of the dearer regional row.
        ("bedrock", "anthropic.claude-opus-5", "5"),
        ("fireworks", "accounts/fireworks/models/deepseek-v4-flash-0731", "0.22"),
    ] {
        assert_eq!(find(provider, name).name, name);
        assert_eq!(Some(rates(provider, name).input), femto(input), "{provider} {name}");
    }
}

#[test]
fn every_model_of_a_provider_is_listed_by_name() {
    let names: Vec<_> = LIST.models("anthropic").map(|model| model.name).collect();

    assert!(names.len() > 20);
    assert!(names.is_sorted());
    assert!(names.iter().any(|name| name == "claude-opus-5"));
    assert_eq!(LIST.models("nobody").count(), 0);
}

#[test]
fn a_bare_name_tells_its_providers() {
    let providers: Vec<_> = LIST.providers_of("claude-opus-5-latest").collect();
    assert!(providers.contains(&"anthropic"));
    let providers: Vec<_> = LIST.providers_of("gpt-4o").collect();
    assert!(providers.contains(&"openai") && providers.contains(&"azure"));
    assert!(!providers.contains(&"anthropic"));
    assert_eq!(LIST.providers_of("nothing-of-the-kind").count(), 0);
}

#[test]
fn the_version_is_the_date_and_a_hash() {
    let (date, hash) = VERSION.split_once('.').unwrap();

    assert_eq!((date.len(), hash.len()), (10, 8));
    assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(find("openai", "gpt-4o").price.unwrap().version, VERSION);
}

#[test]
fn a_zero_price_is_a_price_only_where_the_source_says_free() {
    let free = |provider, model| {
        let price = find(provider, model).price.unwrap();
        let used = Usage { prompt: 1_000, completion: 1_000, ..Usage::default() };
        price.cost(&Reported { usage: used, ..Reported::default() }).unwrap().total
    };
    assert_eq!(free("ollama", "llama3"), Money::ZERO);
    assert_eq!(free("lemonade", "gpt-oss-20b-mxfp4-GGUF"), Money::ZERO);
    assert_eq!(free("openrouter", "z-ai/glm-4.5-air:free"), Money::ZERO);
    for (provider, model) in [
        ("ollama", "gpt-oss:120b-cloud"),
        ("openrouter", "openrouter/free"),
        ("github-copilot", "gpt-4o"),
    ] {
        let unpriced = LIST.find(provider, model).is_none_or(|model| model.price.is_none());
        assert!(unpriced, "{provider} {model}");
    }
    let zero_and_not_free = ["openai", "anthropic", "gemini", "openrouter"]
        .into_iter()
        .flat_map(|provider| LIST.models(provider))
        .filter(|model| !model.name.ends_with("free"))
        .filter_map(|model| model.price)
        .any(|price| price.schedule.standard.rates.input == FemtoPerToken::FREE);
    assert!(!zero_and_not_free);
}

#[test]
fn a_row_without_a_price_is_listed_without_one() {
    let unpriced = LIST.models("github-copilot").chain(LIST.models("gigachat"));

    assert!(unpriced.filter(|model| model.price.is_none()).count() > 0);
}

#[test]
fn corrections_are_in_force() {
    assert_eq!(rates("openai", "gpt-3.5-turbo").cached, None);
    assert_eq!(rates("anthropic", "claude-sonnet-4-20250514").cache_write_1h, femto("6"));
    assert_eq!(rates("mistral", "codestral-latest").input, femto("0.3").unwrap());
    assert_eq!(find("mistral", "codestral-latest").context_window, Some(256_000));
    assert_eq!(rates("sambanova", "MiniMax-M3").output, femto("2.4"), "a new row");
    assert_eq!(tier("mistral", "mistral-small-latest", "priority").output, femto("1.05"));
    assert_eq!(tier("mistral", "mistral-large-4", "batch").input, femto("0.35").unwrap());
    let grok = find("xai", "grok-4.20-0309").price.unwrap().schedule.standard;
    assert_eq!(grok.context_tiers.first().unwrap().above_tokens, 199_999);
    let sonnet = find("anthropic", "claude-sonnet-4-5").price.unwrap().schedule.standard;
    assert!(sonnet.context_tiers.is_empty());
    let peak = find("deepseek", "deepseek-v4-flash-vision-exp").price.unwrap().periods;
    let peak = &peak.first().unwrap().schedule.standard.rates;
    assert_eq!((peak.input, peak.output), (femto("0.3").unwrap(), femto("1.2")));
}

#[test]
fn what_a_surface_cost_that_has_ended_is_no_price() {
    assert!(LIST.models("perplexity").count() > 0);
    for model in LIST.models("perplexity") {
        assert_eq!(model.price, None, "{}", model.name);
    }
    let own = PriceSpec {
        input: Some("1".to_owned()),
        output: Some("1".to_owned()),
        ..PriceSpec::default()
    };
    let sonar = own.model(&LIST, "perplexity", "sonar", "v1").unwrap();
    assert_eq!(sonar.context_window, find("perplexity", "sonar").context_window);
    assert!(sonar.price.is_some(), "its owner's own");
}

#[test]
fn a_price_finer_than_the_unit_is_flagged() {
    assert!(find("openrouter", "google/gemini-2.5-flash").price.unwrap().rounded_up);
    assert!(!find("openai", "gpt-4o").price.unwrap().rounded_up);
}

#[test]
fn models_that_write_their_cache_unasked_say_so() {
    let auto = |model| find("openai", model).price.unwrap().auto_cache_write;

    assert!(auto("gpt-5.6") && auto("gpt-6-sol") && auto("gpt-6.2-astra"));
    assert!(!auto("gpt-5.5") && !auto("gpt-4o"));
    assert!(!find("anthropic", "claude-opus-5").price.unwrap().auto_cache_write);
}

#[test]
fn a_service_tier_has_its_own_long_prices() {
    let schedule = find("openai", "gpt-5.5").price.unwrap().schedule;
    let priority = schedule.service_tiers.iter().find(|tier| tier.name == "priority").unwrap();
    let long = priority.card.context_tiers.first().unwrap();

    assert_eq!(long.above_tokens, 272_000);
    assert_eq!(long.rates.input, femto("25").unwrap(), "2.5 times for the tier, 2 for the length");
}

#[test]
fn modes_are_told_apart() {
    assert_eq!(find("openai", "gpt-4o").mode, Mode::Chat);
    assert_eq!(find("openai", "text-embedding-3-small").mode, Mode::Embedding);
    assert_eq!(rates("openai", "text-embedding-3-small").output, None);
}

/// A list of one model of OpenAI's, at these prices.
fn file(day: &str, row: &str) -> String {
    let unit = "USD per 1000000 tokens; per_request and web_search in USD";
    format!("{{\"built_for\":\"{day}\",\"unit\":\"{unit}\",\"rows\":[{row}]}}")
}

#[test]
fn the_file_of_the_compiled_list_imports_as_that_very_list() {
    let text = std::fs::read_to_string("src/catalog.json").unwrap();

    let list = Catalog::import(&text).unwrap();

    assert_eq!((list.version(), list.bytes()), (VERSION, LIST.bytes()));
}

#[test]
fn an_imported_list_stands_for_itself() {
    let row = concat!(
        r#"{"provider":"openai","model":"gpt-9","aliases":["gpt-9-latest"],"#,
        r#""input":"3","output":"9"}"#
    );
    let list = Catalog::import(&file("2027-01-31", row)).unwrap();

    let stored = Catalog::stored(list.version().to_owned(), list.bytes().to_vec()).unwrap();

    assert_eq!(stored.find("openai", "gpt-9-latest").unwrap().name, "gpt-9");
    assert_eq!(stored.find("openai", "gpt-9").unwrap().price.unwrap().version, list.version());
    assert!(stored.find("openai", "gpt-4o").is_none(), "a model that it leaves out is gone");
    assert_eq!((stored.rows(), stored.providers().collect::<Vec<_>>()), (1, vec!["openai"]));
    assert!(is_older(VERSION, stored.version()) && !is_older(stored.version(), VERSION));
}

#[test]
fn a_list_that_was_cut_is_no_list() {
    let cut = |bytes: usize| Catalog::stored("2027-01-31.x".into(), LIST.bytes()[..bytes].to_vec());

    for bytes in [0, 1, 11, 12, 4_000, LIST.bytes().len() / 2, LIST.bytes().len() - 1] {
        assert!(cut(bytes).is_none(), "{bytes}");
    }
}

#[test]
fn a_list_names_every_row_that_cannot_be_used() {
    let refused = |row: &str| {
        let faults = Catalog::import(&file("2027-01-31", row)).unwrap_err();
        faults
            .into_iter()
            .map(|fault| format!("{} {}", fault.place, fault.rule))
            .collect::<Vec<_>>()
    };
    let row = |more: &str| format!(r#"{{"provider":"p","model":"m"{more}}}"#);

    for (more, rule) in [
        (r#","input":1"#, "input is of another kind"),
        (r#","input":"1e3","output":"1""#, "input is USD per million tokens"),
        (r#","input":"-1","output":"1""#, "input is USD per million tokens"),
        (r#","input":"1000001","output":"1""#, "input is USD per million tokens"),
        (r#","input":"0","output":"1""#, "a price is zero and the row is not free"),
        (r#","input":"1","cached":"0""#, "a price is zero and the row is not free"),
        (
            r#","input":"1","service_tiers":{"flex":{"input":"0"}}"#,
            "a price is zero and the row is not free",
        ),
        (r#","input":"1","cache_read":"0.1""#, "cache_read is not a field of it"),
        (r#","input":"1","context_window":1.5"#, "context_window is of another kind"),
        (r#","input":"1","mode":"image""#, "mode is of another kind"),
        (r#","input":"1","context_tiers":[{"input":"2"}]"#, "above_tokens is missing"),
        (r#","input":"1","periods":[{"from":"soon","input":"2"}]"#, "is unreadable"),
        (r#","input":"1","periods":[{"windows":[[0]],"input":"2"}]"#, "a window is two minutes"),
        (r#","input":"1","periods":[{"input":"2"}]"#, "a period has from or windows"),
        (r#","input":"1","per_request":"x""#, "a fee is a decimal text"),
        (r#","input":"1","aliases":["m"]"#, "an alias of it is taken"),
    ] {
        let told = refused(&row(more));
        assert!(told.len() == 1 && told[0].contains(rule), "{more}: {told:?}");
    }
    let both = format!("{},{},3", row(r#","input":1"#), row(r#","x":1"#));
    assert_eq!(refused(&both).len(), 3, "all rows are looked at");
    assert!(refused(&format!("{0},{0}", row("")))[0].contains("twice"));
}

#[test]
fn a_list_of_another_format_is_none() {
    let whole = file("2027-01-31", r#"{"provider":"p","model":"m"}"#);

    assert!(Catalog::import(&whole).is_ok());
    for (from, to) in [
        ("2027-01-31", "31.1.2027"),
        ("1000000", "1000"),
        ("rows", "row"),
        ("[{\"provider\":\"p\",\"model\":\"m\"}]", "[]"),
        ("{\"built", "{{\"built"),
    ] {
        assert!(Catalog::import(&whole.replace(from, to)).is_err(), "{from} {to}");
    }
}

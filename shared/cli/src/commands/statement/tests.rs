use super::*;

fn read(text: &str, provider: &str) -> Result<Vec<PostStatement>, Failure> {
    let format = FORMATS.iter().find(|format| format.provider == provider).unwrap();
    let buckets = buckets(text, format, false)?;
    Ok(buckets.into_iter().map(|bucket| bucket.statement).collect())
}

#[test]
fn a_cost_report_is_read_to_the_pico_and_names_no_counts() {
    let cost = |text: &str, at: usize| {
        let bucket = buckets(text, &FORMATS[at], true).unwrap().pop().unwrap();
        assert!(bucket.statement.usage.is_empty());
        let cost = bucket.cost.unwrap();
        [cost.stated, cost.at_most].map(|amount| amount.to_string())
    };
    let openai = r#"{"data":[{"start_time":1,"end_time":2,"results":[
        {"amount":{"value":0.06,"currency":"usd"},"line_item":null},
        {"amount":{"value":1e-7,"currency":"usd"}}]}]}"#;
    let anthropic = r#"{"data":[{"starting_at":"2026-11-23T00:00:00Z",
        "ending_at":"2026-11-24T00:00:00Z",
        "results":[{"currency":"USD","amount":"123.45"}]}]}"#;

    // A float may mean a pico-USD more, a text half a unit of its last digit.
    assert_eq!(cost(openai, 0), ["0.0600001", "0.060000100002"]);
    assert_eq!(cost(anthropic, 1), ["1.2345", "1.23455"]);
    for wrong in [json!("x"), json!(null), json!("1e999"), json!("1.2.3")] {
        assert_eq!(amount(&wrong, 0), None, "{wrong}");
    }
    let least = Cost { stated: Money::ZERO, at_most: Money::ONE_PICO };
    assert_eq!(amount(&json!(1e-30), 0), Some(least));
}

#[test]
fn both_providers_reports_become_disjoint_classes() {
    let openai = r#"{"object":"page","data":[{"object":"bucket","start_time":1730419200,
        "end_time":1730505600,"results":[{"input_tokens":1000,"output_tokens":500,
        "input_cached_tokens":800,"num_model_requests":5,
        "model":"gpt-4o-mini-2024-07-18"}]}]}"#;
    let anthropic = r#"{"data":[{"starting_at":"2026-11-23T00:00:00Z",
        "ending_at":"2026-11-24T00:00:00Z","results":[{"uncached_input_tokens":7,
        "cache_creation":{"ephemeral_1h_input_tokens":2,"ephemeral_5m_input_tokens":1},
        "cache_read_input_tokens":3,"output_tokens":4,
        "server_tool_use":{"web_search_requests":6},"model":"claude-sonnet-4-20250514"}]}]}"#;

    let theirs = read(openai, "openai").unwrap();
    assert_eq!(theirs[0].from, "2024-11-01T00:00:00Z");
    let usage = &theirs[0].usage[0];
    assert_eq!(
        (usage.prompt, usage.cached, usage.completion, usage.calls),
        (200, 800, 500, Some(5))
    );

    // Two pages in one file.
    let theirs = read(&format!("{anthropic}\n{anthropic}"), "anthropic").unwrap();
    assert_eq!(theirs.len(), 2);
    let usage = &theirs[0].usage[0];
    assert_eq!([usage.prompt, usage.cached, usage.cache_write_1h], [7, 3, 2]);
    assert_eq!([usage.cache_write_5m, usage.web_searches], [Some(1), Some(6)]);
    assert_eq!((usage.completion, &usage.service_tier, usage.us_geography), (4, &None, None));
}

#[test]
fn a_result_says_at_which_tier_and_place_it_was_served_or_leaves_it_open() {
    for (provider, more, tier, is_us) in [
        ("openai", json!({"service_tier": "default", "batch": false}), "standard", "false"),
        ("openai", json!({"service_tier": "priority"}), "priority", "false"),
        ("openai", json!({"service_tier": "default", "batch": true}), "batch", "false"),
        ("openai", json!({"service_tier": null, "batch": false}), "?", "false"),
        ("anthropic", json!({"service_tier": "standard", "speed": "fast"}), "fast", "?"),
        ("anthropic", json!({"service_tier": "standard"}), "?", "?"),
        ("anthropic", json!({"speed": "fast", "inference_geo": "us"}), "?", "true"),
        ("anthropic", json!({"service_tier": "priority", "speed": "fast"}), "priority fast", "?"),
        (
            "anthropic",
            json!({"service_tier": "standard", "speed": "standard",
                   "inference_geo": "not_available"}),
            "standard",
            "false",
        ),
    ] {
        let mut result = json!({"model": "m", "input_tokens": 9, "uncached_input_tokens": 9,
            "output_tokens": 1, "num_model_requests": 1});
        result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let format = FORMATS.iter().find(|format| format.provider == provider).unwrap();
        let usage = (format.usage)(&result).unwrap();
        let place = usage.us_geography.map_or("?".to_owned(), |is_us| is_us.to_string());
        let told = usage.service_tier.as_deref().unwrap_or("?");
        assert_eq!((told, place.as_str()), (tier, is_us), "{result}");
    }
}

#[test]
fn openais_writes_are_no_plain_prompt_and_counts_that_do_not_add_up_are_refused() {
    let usage = |cached: u64, written: Value| {
        openai(&json!({"model": "m", "input_tokens": 100, "input_cached_tokens": cached,
            "input_cache_write_tokens": written, "output_tokens": 5,
            "output_audio_tokens": 2}))
    };
    let told = usage(60, json!(30)).unwrap();
    assert_eq!((told.prompt, told.cached, told.cache_write_5m), (10, 60, Some(30)));
    assert_eq!((told.audio, told.web_searches), (2, None));
    assert_eq!(usage(60, Value::Null).unwrap().cache_write_5m, None, "it does not count them");
    assert_eq!(usage(60, json!(41)), None);
    assert_eq!(usage(101, json!(0)), None);
    assert_eq!(openai(&json!({"model": "m", "input_tokens": 1})), None, "output is missing");
}

#[test]
fn the_buckets_of_a_day_are_one_where_they_follow_each_other() {
    let bucket = |from: &str, to: &str, prompt: u64, tier: &str| Bucket {
        statement: PostStatement {
            provider: "openai".to_owned(),
            from: format!("2026-11-{from}:00Z"),
            to: format!("2026-11-{to}:00Z"),
            usage: vec![ReportedUsage {
                model: "m".to_owned(),
                service_tier: Some(tier.to_owned()),
                calls: Some(1),
                prompt,
                ..ReportedUsage::default()
            }],
            cost_at_most_usd: None,
            apply: false,
        },
        cost: None,
    };
    let days = by_day(vec![
        bucket("23T22:00", "23T23:00", 1, "standard"),
        bucket("23T23:00", "24T00:00", 2, "standard"),
        bucket("24T00:00", "24T01:00", 4, "standard"),
        bucket("24T01:00", "24T02:00", 8, "flex"),
        bucket("24T03:00", "24T04:00", 16, "flex"),
    ]);
    let told = days.iter().map(|day| {
        let usage = day.statement.usage.iter().map(|one| (one.prompt, one.calls.unwrap()));
        (day.statement.to.get(8..16).unwrap(), usage.collect::<Vec<_>>())
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("24T00:00", vec![(3, 2)]),
            ("24T02:00", vec![(4, 1), (8, 1)]),
            ("24T04:00", vec![(16, 1)]),
        ]
    );
}

#[test]
fn what_is_no_report_is_refused() {
    for text in ["{", "{}", r#"{"data":[{}]}"#, r#"{"data":[],"has_more":true}"#] {
        assert!(read(text, "openai").is_err(), "{text}");
    }
    let ungrouped = r#"{"data":[{"start_time":1,"end_time":2,"results":[
        {"model":null,"input_tokens":1,"output_tokens":1}]}]}"#;
    let refused = read(ungrouped, "openai").unwrap_err().to_string();
    assert!(refused.contains("names no model") && refused.contains("grouped by model"));
}

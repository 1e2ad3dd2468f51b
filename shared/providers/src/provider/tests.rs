//! The table is what it says.

use super::*;

#[test]
fn names_are_unique_and_found() {
    for (place, provider) in PROVIDERS.iter().enumerate() {
        let first = PROVIDERS.iter().position(|other| other.name == provider.name);
        assert_eq!(first, Some(place), "{}", provider.name);
        assert!(find(provider.name).is_some());
        assert!(!provider.base_url.ends_with('/'), "{}", provider.name);
    }
    assert!(find("nobody").is_none());
}

#[test]
fn who_is_called_by_chat_completions_answers_them_in_its_own_bytes() {
    for provider in PROVIDERS {
        for format in [Format::Chat, Format::Completions] {
            let wire = (provider.wire)("m", format);
            let takes = wire.is_some_and(|wire| wire.takes(format));
            assert!(!takes || provider.faithful.contains(&format), "{}", provider.name);
        }
    }
}

#[test]
fn models_that_chat_completions_refuse_are_served_by_responses() {
    for (model, only) in [
        ("gpt-5-codex", true),
        ("gpt-5.1-codex-mini", true),
        ("codex-mini-latest", true),
        ("gpt-5-pro-2025-10-06", true),
        ("o3-pro", true),
        ("gpt-5-nano", false),
        ("gpt-4o", false),
        ("gemini-2.5-pro", false),
    ] {
        let wire = find("openai").unwrap().wire_for(model, Format::Chat).unwrap();
        assert_eq!(!wire.takes(Format::Chat), only, "{model}");
        let asked = find("openai").unwrap().wire_for(model, Format::Responses).unwrap();
        assert!(asked.takes(Format::Responses));
    }
}

#[test]
fn models_without_a_bound_are_known_by_name() {
    for (provider, model, unbounded) in [
        ("groq", "groq/compound-mini", true),
        ("groq", "llama-3.3-70b-versatile", false),
        ("openrouter", "openai/gpt-5.2:online", true),
        ("openrouter", "openrouter/auto", true),
        ("openrouter", "openai/gpt-5.2", false),
        ("perplexity", "sonar-deep-research", true),
        ("openai", "gpt-5.2", false),
    ] {
        assert_eq!((find(provider).unwrap().unbounded)(model), unbounded, "{model}");
    }
}

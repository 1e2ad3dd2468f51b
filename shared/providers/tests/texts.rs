//! Requests of embeddings and legacy completions: what is sent, and what bounds the cost.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use farebox_core::{ChatCall, Error, Format};
use farebox_providers::{Facts, Outbound, find};
use serde_json::{Value, json};

const FACTS: Facts<'_> = Facts {
    model: "upstream",
    context_window: Some(100),
    completion_max: Some(1_536),
    price: None,
};

fn send(provider: &str, facts: &Facts<'_>, call: &ChatCall) -> Result<Outbound, Error> {
    let provider = find(provider).unwrap();
    let wire = provider.wire_for(facts.model, call.format)?;
    wire.request(provider, call, facts, call.cap.unwrap(), call.stream)
}

fn embedding(input: &Value) -> ChatCall {
    let body = json!({"model": "m", "input": input, "dimensions": 8, "user": "u"});
    ChatCall::from_embeddings(body.to_string().as_bytes()).unwrap()
}

fn completion(rest: &Value) -> ChatCall {
    let mut body = rest.clone();
    body.as_object_mut().unwrap().insert("model".to_owned(), json!("m"));
    ChatCall::from_completions(body.to_string().as_bytes()).unwrap()
}

#[test]
fn an_embedding_goes_as_it_is_and_holds_no_completion() {
    let outbound = send("openai", &FACTS, &embedding(&json!(["ab", "c"]))).unwrap();

    let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
    let expected = json!({"model": "upstream", "input": ["ab", "c"], "dimensions": 8, "user": "u"});
    assert_eq!((outbound.path.as_ref(), sent), ("/embeddings", expected));
    // Three bytes, and eight marks for each text.
    assert_eq!((outbound.bound.prompt_tokens, outbound.cap), (19, 0));
}

#[test]
fn each_text_is_bounded_by_the_window_where_a_longer_one_is_refused() {
    let long = json!(["x".repeat(500), "y".repeat(500), [1, 2]]);

    let refused = send("openai", &FACTS, &embedding(&long)).unwrap();
    // Azure bills what it refuses for its length.
    let billed = send("azure", &FACTS, &embedding(&long)).unwrap();

    assert_eq!(refused.bound.prompt_tokens, 210);
    assert_eq!(billed.bound.prompt_tokens, 1_026);
}

#[test]
fn every_choice_of_every_prompt_is_bounded() {
    let facts = Facts { model: "gpt-3.5-turbo-instruct", ..FACTS };
    let call = completion(&json!({"prompt": ["ab", "c"], "best_of": 3, "max_tokens": 5_000,
        "stream": true}));

    let outbound = send("openai", &facts, &call).unwrap();

    let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!(outbound.path, "/completions");
    assert_eq!((&sent["best_of"], &sent["max_tokens"]), (&json!(3), &json!(1_536)));
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
    assert_eq!((outbound.cap, outbound.choices), (1_536, 6));
    assert!(outbound.bound.prompt_tokens > 16);
}

#[test]
fn who_serves_which_endpoint_is_in_the_rows() {
    for (provider, model, format, path) in [
        ("openai", "text-embedding-3-small", Format::Embeddings, Some("/embeddings")),
        ("mistral", "mistral-embed", Format::Embeddings, Some("/embeddings")),
        ("groq", "llama", Format::Embeddings, None),
        ("anthropic", "claude", Format::Embeddings, None),
        ("openai", "gpt-4o", Format::Completions, Some("/chat/completions")),
        ("openai", "davinci-002", Format::Completions, Some("/completions")),
        ("vllm", "llama", Format::Completions, Some("/completions")),
        ("anthropic", "claude", Format::Completions, Some("/messages")),
    ] {
        let call = match format {
            Format::Embeddings => embedding(&json!("a")),
            _ => completion(&json!({"prompt": "a"})),
        };
        let sent = send(provider, &Facts { model, ..FACTS }, &call).ok();
        assert_eq!(sent.as_ref().map(|sent| sent.path.as_ref()), path, "{provider}/{model}");
    }
}

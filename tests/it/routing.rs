//! Routes: a name that stands for several models.

use farebox_tests::{Answer, Caller, Settings, Stack, run};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::stacks::executable;

/// The routes of the shared stack. Environments read them when they are new, so they are set
/// before every call.
fn routes() -> Vec<(&'static str, Value)> {
    let to = |models: &[&str]| {
        let targets = models.iter().map(|model| json!({"model": format!("demo/{model}")}));
        json!({"targets": targets.collect::<Vec<_>>()})
    };
    let with = |models: &[&str], more: Value| {
        let mut route = to(models);
        let fields = more.as_object().unwrap().clone();
        route.as_object_mut().unwrap().extend(fields);
        route
    };
    let paid = || json!({"after_charge": true});
    let down = json!({"model": "openai/gpt-4o-mini"});
    let shared = |share: u32| {
        json!({"targets": [
            {"model": "demo/chat", "weight": share},
            {"model": "demo/claude", "weight": 100 - share},
        ]})
    };
    vec![
        ("fast", to(&["chat", "claude"])),
        ("halves", shared(50)),
        ("mostly", shared(98)),
        ("foreign", json!({"targets": [{"model": "openai/gpt-4o-mini"}, {"model": "demo/chat"}]})),
        ("chat", to(&["claude"])),
        ("busy-first", to(&["busy", "chat"])),
        ("locked-first", to(&["unauthorized", "chat"])),
        ("down-first", json!({"targets": [down, {"model": "demo/chat"}]})),
        ("fail-first", to(&["fail", "chat"])),
        ("cut-first", to(&["cut", "chat"])),
        ("fail-paid", with(&["fail", "chat"], paid())),
        ("cut-paid", with(&["cut", "chat"], paid())),
        ("refused-first", with(&["refuse", "chat"], paid())),
        ("all-fail", to(&["busy", "unauthorized"])),
        ("dear-first", to(&["cent", "chat"])),
        (
            "dear-or-cheap",
            with(&["cent", "cent-slow", "chat"], json!({"on_budget_refusal": "next"})),
        ),
        ("busy-then-dear", to(&["busy", "cent"])),
        ("fail-then-busy", with(&["fail", "busy"], paid())),
        ("again", with(&["busy-once", "chat"], json!({"retries": 1}))),
        ("impatient", with(&["busy", "chat"], json!({"retries": 3}))),
        ("unreachable", json!({"targets": [down], "retries": 2})),
        ("first-byte", with(&["hang"], json!({"timeouts": {"first_byte_ms": 300}}))),
        (
            "first-byte-paid",
            with(
                &["hang", "chat"],
                json!({
                    "timeouts": {"first_byte_ms": 300}, "after_charge": true,
                }),
            ),
        ),
        ("idle", with(&["drip"], json!({"timeouts": {"idle_ms": 20}}))),
        ("patient", with(&["drip"], json!({"timeouts": {"idle_ms": 2_000, "total_ms": 20_000}}))),
        ("total", with(&["drip"], json!({"timeouts": {"total_ms": 400}}))),
        ("storm", to(&["busy", "exact"])),
    ]
}

/// The stack with these routes.
pub async fn routed() -> &'static Stack {
    static ROUTED: OnceCell<Stack> = OnceCell::const_new();
    ROUTED
        .get_or_init(|| async {
            let stack = Stack::start(executable(), &Settings::default()).await;
            for (name, route) in routes() {
                let put = stack.admin(Method::PUT, &format!("/routes/{name}")).json(&route);
                put.with("if-match", "\"0\"").send().await.expect(200);
            }
            stack
        })
        .await
}

/// The model that a call to a name is answered by.
async fn served(caller: &Caller<'_>, name: &str) -> String {
    let answer = caller.complete(name, &json!({})).await.expect(200);
    let row = caller.row(answer.header("x-request-id").unwrap()).await;
    row["model"].as_str().unwrap().to_owned()
}

#[test]
fn a_name_leads_to_its_first_target_in_every_dialect() {
    run(async {
        let caller = Caller::new(routed().await).await;
        let said = json!([{"role": "user", "content": "hello"}]);

        for (path, body) in [
            ("/v1/chat/completions", json!({"model": "fast", "messages": said})),
            ("/v1/chat", json!({"model": "fast", "messages": said})),
            ("/v1/messages", json!({"model": "fast", "messages": said, "max_tokens": 9})),
        ] {
            let answer = caller.post(path, &body).send().await.expect(200);
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!((&row["provider"], &row["model"]), (&json!("demo"), &json!("chat")));
        }
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_route_goes_before_a_bare_model_of_its_name_and_never_before_a_full_one() {
    run(async {
        let caller = Caller::new(routed().await).await;

        assert_eq!(served(&caller, "chat").await, "claude");
        assert_eq!(served(&caller, "demo/chat").await, "chat");
    });
}

#[test]
fn weights_share_the_first_tries() {
    run(async {
        let caller = Caller::new(routed().await).await;
        // Twenty calls of which all go to one of two halves: once in half a million runs. Of sixty
        // the one with 2 of 100 has more than 12 once in 10^9 runs, and without weights 12 or fewer
        // once in half a million.
        for (name, calls, few) in [("halves", 20, 1..=19), ("mostly", 60, 0..=12)] {
            let mut of_claude = 0;
            for _ in 0..calls {
                let answer = caller.complete(name, &json!({"max_tokens": 3})).await.expect(200);
                let model = answer.json()["model"].as_str().unwrap().to_owned();
                of_claude += usize::from(model.contains("claude"));
            }
            assert!(few.contains(&of_claude), "{name}: {of_claude}");
        }
    });
}

#[test]
fn a_keys_models_and_its_credentials_hold_for_the_targets() {
    run(async {
        let stack = routed().await;
        let models = json!({"models": ["demo/claude", "openai/gpt-4o-mini"]});
        let caller = Caller::with_key(stack, &models).await;
        let nothing = Caller::with_key(stack, &json!({"models": ["demo/drip"]})).await;

        assert_eq!(served(&caller, "fast").await, "claude", "demo/chat is not allowed");
        let refused = caller.complete("foreign", &json!({})).await.expect(400);
        assert_eq!(refused.json()["error"]["code"], "no_active_credential");
        assert_eq!(nothing.complete("fast", &json!({})).await.code(), 403);
        assert_eq!(served(&Caller::new(stack).await, "foreign").await, "chat", "no credential");
        nothing.assert_untouched().await;
    });
}

#[test]
fn models_lists_the_routes_that_lead_somewhere() {
    run(async {
        let stack = routed().await;
        let caller = Caller::with_key(stack, &json!({"models": ["demo/claude"]})).await;

        let list = caller.read("/v1/models").await;
        let fast = caller.read("/v1/models/fast").await;

        let listed = |name: &str| {
            let models = list["data"].as_array().unwrap();
            models.iter().find(|model| model["id"] == name).cloned()
        };
        assert_eq!(listed("fast"), Some(fast.clone()));
        assert_eq!((&fast["object"], &fast["targets"]), (&json!("model"), &json!(["demo/claude"])));
        assert_eq!(listed("foreign"), None);
    });
}

#[test]
fn a_quote_of_a_route_is_of_its_first_target() {
    run(async {
        let caller = Caller::new(routed().await).await;
        let body = json!({"model": "fast", "messages": [{"role": "user", "content": "hello"}]});

        let quote = caller.post("/v1/quote", &body).send().await.expect(200).json();

        assert_eq!(quote["model"], "chat", "{quote}");
    });
}

#[test]
fn a_route_is_checked_before_it_is_stored_and_changed_from_a_version_that_was_seen() {
    run(async {
        let stack = routed().await;
        let path = "/routes/versions";
        let good = json!({"targets": [{"model": "demo/chat"}]});
        let put = |body: &Value, tag: &str| {
            stack.admin(Method::PUT, path).json(body).with("if-match", tag).send()
        };

        for (body, field) in [
            (json!({"targets": []}), "targets"),
            (json!({"targets": [{"model": "fast"}]}), "targets[0].model"),
            (json!({"targets": [{"model": "nobody/chat"}]}), "targets[0].model"),
            (
                json!({"targets": [{"model": "demo/chat"}, {"model": "demo/nothing"}]}),
                "targets[1].model",
            ),
            (json!({"targets": [{"model": "demo/chat", "share": 1}]}), "targets[0].share"),
        ] {
            let refused = put(&body, "*").await.expect(400);
            assert_eq!(refused.json()["error"]["field"], field, "{}", refused.text());
        }
        let unseen = stack.admin(Method::PUT, path).without("if-match").json(&good).send().await;
        assert_eq!(unseen.code(), 428);
        assert_eq!(stack.admin(Method::GET, path).send().await.code(), 404);

        let made = put(&good, "\"0\"").await.expect(200);
        let version = made.header("etag").unwrap().to_owned();
        assert_eq!(put(&good, "\"0\"").await.code(), 412);
        let changed = put(&good, &version).await.expect(200);
        assert_ne!(changed.header("etag"), Some(version.as_str()));
        let stale = put(&good, &version).await.expect(412);
        assert_eq!(stale.json()["error"]["current"]["name"], "versions");
        let listed = stack.read("/routes").await;
        assert!(listed["routes"].as_array().unwrap().iter().any(|one| one["name"] == "versions"));
        let prices = stack.read("/prices").await.to_string();
        assert!(!prices.contains("versions"), "a route is no price: {prices}");
        assert_eq!(stack.admin(Method::DELETE, path).send().await.code(), 204);
        assert_eq!(stack.admin(Method::DELETE, path).send().await.code(), 404);
    });
}

#[test]
fn a_target_without_a_price_is_stored_with_a_warning() {
    run(async {
        let stack = routed().await;
        let unpriced =
            farebox_core::Catalog::compiled().models("openai").find(|one| one.price.is_none());
        let Some(unpriced) = unpriced else { panic!("every model of the catalogue has a price") };
        let route = json!({"targets": [{"model": format!("openai/{}", unpriced.name)}]});

        let put = stack.admin(Method::PUT, "/routes/dear").json(&route).with("if-match", "*");
        let stored = put.send().await.expect(200).json();

        let warning = stored["warnings"][0].as_str().unwrap();
        assert!(warning.contains("has no price"), "{stored}");
    });
}

#[test]
fn what_a_provider_cannot_do_is_left_out_and_told_where_the_caller_asks_for_it() {
    run(async {
        let caller = Caller::new(routed().await).await;
        let send = |body: &Value, wish: &'static str| {
            let call = caller.post("/v1/chat/completions", body);
            call.with("x-farebox-drop-params", wish).send()
        };
        let mut body = json!({
            "model": "demo/claude", "max_tokens": 9, "seed": 7, "logprobs": true,
            "messages": [{"role": "user", "content": "hello"}],
        });

        let refused = send(&body, "false").await.expect(400);
        assert!(["seed", "logprobs"].contains(&refused.json()["error"]["param"].as_str().unwrap()));
        let answer = send(&body, "true").await.expect(200);
        let mut dropped: Vec<_> =
            answer.header("x-farebox-dropped-params").unwrap().split(", ").collect();
        dropped.sort_unstable();
        assert_eq!(dropped, ["logprobs", "seed"]);
        // To a model that can do it, it goes.
        body["model"] = json!("demo/chat");
        let answer = send(&body, "true").await.expect(200);
        assert_eq!(answer.header("x-farebox-dropped-params"), None);
        // What is asked for twice is no wish.
        body["model"] = json!("demo/claude");
        body["n"] = json!(2);
        assert_eq!(send(&body, "true").await.expect(400).json()["error"]["param"], "n");
        assert_eq!(
            send(&body, "yes").await.expect(400).json()["error"]["param"],
            "x-farebox-drop-params"
        );
        assert_eq!(caller.posts().len(), 2);
    });
}

#[test]
fn wishes_that_a_translation_leaves_out_are_told_and_demands_are_refused() {
    run(async {
        let caller = Caller::new(routed().await).await;
        let told = |answer: &Answer| {
            answer.header("x-farebox-dropped-params").unwrap_or_default().to_owned()
        };
        let said = json!([{"role": "user", "content": "hello"}]);
        let message = |model: &str, more: Value| {
            let mut body = json!({"model": model, "max_tokens": 2_000, "messages": said});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let call = caller.post("/v1/messages", &body);
            async move { call.send().await }
        };
        let wishes = json!({"inference_geo": "global", "cache_control": {"type": "ephemeral"},
            "context_management": {"edits": []}});
        let answer = message("demo/chat", wishes).await.expect(200);
        assert_eq!(told(&answer), "cache_control, context_management");
        let own = json!({"metadata": {"user_id": "u".repeat(65)}});
        let answer = message("demo/claude", own).await.expect(200);
        assert_eq!(told(&answer), "", "its own format has it");
        let demand = message("demo/chat", json!({"inference_geo": "us"})).await.expect(400);
        assert_eq!(demand.json()["error"]["field"], "inference_geo", "{}", demand.text());

        let body = json!({"model": "demo/claude", "input": "hello", "max_output_tokens": 9,
            "prompt_cache_key": "k", "max_tool_calls": 3});
        let answer = caller.post("/v1/responses", &body).send().await.expect(200);
        assert_eq!(told(&answer), "prompt_cache_key, max_tool_calls");

        let config = json!({"maxOutputTokens": 9, "audioTimestamp": true});
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}],
            "generationConfig": config});
        let path = "/v1beta/models/demo/claude:generateContent";
        let answer = caller.post(path, &body).send().await.expect(200);
        assert_eq!(told(&answer), "generationConfig.audioTimestamp");
    });
}

#[test]
fn a_key_leaves_options_out_unless_a_call_says_otherwise() {
    run(async {
        let caller = Caller::with_key(routed().await, &json!({"drop_params": true})).await;
        let body = json!({
            "model": "demo/claude", "max_tokens": 9, "seed": 7,
            "messages": [{"role": "user", "content": "hello"}],
        });
        let call = || caller.post("/v1/chat/completions", &body);

        let answer = call().send().await.expect(200);
        assert_eq!(answer.header("x-farebox-dropped-params"), Some("seed"));
        call().with("x-farebox-drop-params", "false").send().await.expect(400);
    });
}

//! Own prices, discounts and imported price lists.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use farebox_core::catalog::VERSION;
use serde_json::{Value, json};

use crate::world::{ADMIN_KEY, Reply, World};

const CATALOGUE: &str = "/admin/v1/catalogue";

/// A discount that began long ago.
pub fn discount(off_percent: &str) -> Value {
    json!({"terms": [{"from": "2026-01-01T00:00:00Z", "off_percent": off_percent}]})
}

/// A price list of one model.
pub fn list(day: &str) -> Value {
    of(day, &json!([{"provider": "openai", "model": "gpt-9", "input": "3", "output": "9"}]))
}

fn of(day: &str, rows: &Value) -> Value {
    let unit = "USD per 1000000 tokens; per_request and web_search in USD";
    json!({"built_for": day, "unit": unit, "rows": rows})
}

async fn get(world: &World, path: &str) -> Value {
    let shown = world.ask("GET", path, Value::Null).await;
    assert_eq!(shown.status, 200, "{path}: {}", shown.body);
    shown.body
}

/// The input price of a model in force, and which prices these are.
async fn price(world: &World, model: &str) -> (String, String) {
    let shown = get(world, &format!("/admin/v1/models/openai/{model}")).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&shown["prices"]["input"]), text(&shown["price_version"]))
}

#[tokio::test]
async fn a_page_of_prices_is_full_whatever_else_stands_beside_them() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        let route = json!({"targets": [{"model": "openai/gpt-4o"}]});
        world.ask("PUT", &format!("/admin/v1/routes/{name}"), route).await;
    }
    world.ask("PUT", "/admin/v1/discounts/*", discount("5")).await;
    for name in ["a", "b", "c"] {
        let spec = json!({"input": "1", "output": "1"});
        world.ask("PUT", &format!("/admin/v1/prices/alibaba/{name}"), spec).await;
    }

    let first = get(&world, "/admin/v1/prices?limit=2").await;

    let names = |page: &Value| -> Vec<Value> {
        page["prices"].as_array().unwrap().iter().map(|price| price["model"].clone()).collect()
    };
    assert_eq!(names(&first), ["a", "b"]);
    let cursor = first["next_cursor"].as_str().unwrap().replace('#', "%23");
    let rest = get(&world, &format!("/admin/v1/prices?cursor={cursor}").replace("%23", "#")).await;
    assert_eq!((names(&rest), &rest["next_cursor"]), (vec![json!("c")], &Value::Null));
    // Every provider that can have a price is above what stands beside the prices.
    for name in ["-x", "0x", "_x", "@"] {
        let path = format!("/admin/v1/prices/{name}/m");
        let refused = world.ask("PUT", &path, json!({"input": "1", "output": "1"})).await;
        assert_eq!(refused.body["error"]["field"], "provider", "{}", refused.body);
    }
    let outside = world.ask("GET", "/admin/v1/prices?cursor=@#a", Value::Null).await;
    assert_eq!(outside.status, 400, "a cursor of another list: {}", outside.body);
}

#[tokio::test]
async fn a_discount_is_set_shown_applied_and_taken_away() {
    let world = World::new().await;
    let (full, version) = price(&world, "gpt-4o").await;
    assert_eq!((full.as_str(), version.as_str()), ("2.5", VERSION));
    let path = "/admin/v1/discounts/openai/*";
    let terms = json!({"terms": [
        {"from": "2026-01-01T00:00:00Z", "off_percent": "12.5"},
        {"from": "2999-01-01T00:00:00Z", "off_percent": "50"},
    ]});

    let set = world.ask("PUT", path, terms.clone()).await;

    let version = set.etag.trim_matches('"');
    let shown =
        json!({"target": "openai/*", "version": version, "off_percent": "12.5", "spec": terms});
    assert_eq!(set.body, shown);
    assert_eq!(get(&world, path).await, set.body);
    assert_eq!(get(&world, "/admin/v1/discounts").await["discounts"], json!([set.body]));
    let off = ("2.1875".to_owned(), format!("{VERSION}-12.5%"));
    assert_eq!(price(&world, "gpt-4o").await, off, "2.5 less an eighth");
    let audit = get(&world, "/admin/v1/audit?target=/admin/v1/discounts").await;
    assert_eq!(audit["entries"][0]["before"], Value::Null);
    assert_eq!(audit["entries"][0]["after"]["off_percent"], "12.5");
    assert_eq!(world.ask("DELETE", path, Value::Null).await.status, 204);
    assert_eq!(price(&world, "gpt-4o").await.0, "2.5");
}

#[tokio::test]
async fn a_wrong_discount_is_refused_at_its_field() {
    let world = World::new().await;
    let term = |from: &str, off: &str| json!({"terms": [{"from": from, "off_percent": off}]});
    let now = "2026-01-01T00:00:00Z";
    for (path, body, field) in [
        ("*", term(now, "100"), "terms[0].off_percent"),
        ("*", term(now, "-1"), "terms[0].off_percent"),
        ("*", term(now, "1.23456"), "terms[0].off_percent"),
        ("*", json!({"terms": [{"from": now, "off_percent": 10}]}), "terms[0].off_percent"),
        ("*", term("today", "10"), "terms[0].from"),
        ("*", json!({"terms": []}), "terms"),
        ("*", json!({"terms": [], "off": "1"}), "off"),
        ("openai", discount("10"), "target"),
        ("nobody/*", discount("10"), "target"),
        ("openai/", discount("10"), "target"),
    ] {
        let path = format!("/admin/v1/discounts/{path}");
        let refused = world.ask("PUT", &path, body.clone()).await;
        let told = (refused.status, refused.body["error"]["field"].as_str());
        assert!(matches!(told.0, 400 | 404), "{path} {body}: {}", refused.body);
        assert!(told.0 == 404 || told.1 == Some(field), "{path} {body}: {}", refused.body);
    }
    assert_eq!(get(&world, "/admin/v1/discounts").await["discounts"], json!([]));
}

#[tokio::test]
async fn a_wrong_price_of_ones_own_is_refused_at_its_field() {
    let world = World::new().await;
    for (spec, field) in [
        (json!({"input": "1"}), "output"),
        (json!({"output": "1"}), "input"),
        (json!({"input": "1", "output": "ten"}), "output"),
        (json!({"input": "1", "output": "1", "cached_input": "0"}), "cached_input"),
        (json!({"input": "1", "output": "1", "web_search": "-1"}), "web_search"),
        (json!({"input": "1", "output": "1", "per_request": "0"}), "per_request"),
        (json!({"free": true, "per_request": "0.01"}), "per_request"),
        (json!({"free": true, "input": "1"}), "input"),
        (json!({"input": "1", "output": "1", "context_window": "x"}), "context_window"),
    ] {
        let refused = world.ask("PUT", "/admin/v1/prices/openai/x", spec.clone()).await;
        let told = (refused.status, &refused.body["error"]["field"]);
        assert_eq!(told, (400, &json!(field)), "{spec}: {}", refused.body);
    }
}

#[tokio::test]
async fn what_only_the_list_has_of_a_model_is_named_beside_ones_own_price() {
    let world = World::new().await;
    let row = json!({"provider": "openai", "model": "gpt-9", "input": "3", "output": "9",
        "cached": "0.3", "per_request": "0.01",
        "context_tiers": [{"above_tokens": 272_000, "input": "6", "output": "12"}],
        "service_tiers": {"priority": {"input": "6", "output": "18"}}});
    assert_eq!(world.ask("PUT", CATALOGUE, of("2030-01-01", &json!([row]))).await.status, 200);
    assert_eq!(get(&world, "/admin/v1/models/openai/gpt-9").await["prices"]["per_request"], "0.01");
    let path = "/admin/v1/prices/openai/gpt-9";
    let put = async |spec: Value| world.ask("PUT", path, spec).await.body;

    let set = put(json!({"input": "1", "output": "2", "per_request": "0.02"})).await;

    let lacks = ["cached_input", "context tier above 272000 tokens", "service tier priority"];
    assert_eq!(set["not_stated"], json!(lacks), "{set}");
    assert_eq!(set["spec"]["per_request"], "0.02");
    assert_eq!(get(&world, path).await, set);
    assert_eq!(get(&world, "/admin/v1/prices").await["prices"], json!([set]));
    let own = get(&world, "/admin/v1/models/openai/gpt-9").await;
    assert_eq!((&own["source"], &own["prices"]["per_request"]), (&json!("owner"), &json!("0.02")));
    // Nothing is left out of what no list has.
    assert_eq!(world.ask("DELETE", CATALOGUE, Value::Null).await.status, 204);
    assert_eq!(get(&world, path).await.get("not_stated"), None);
}

#[tokio::test]
async fn a_price_list_is_looked_at_imported_and_given_up() {
    let world = World::new().await;
    let compiled = get(&world, CATALOGUE).await;
    assert_eq!(
        (&compiled["list_version"], &compiled["source"]),
        (&json!(VERSION), &json!("compiled"))
    );
    let new = list("2030-01-01");

    let preview = world.ask("POST", &format!("{CATALOGUE}/preview"), new.clone()).await.body;

    let added = json!({
        "provider": "openai", "model": "gpt-9", "change": "added", "fields": [], "before": null,
        "after": {
            "input": "3", "output": "9",
            "cached_input": null, "cache_write_5m": null, "cache_write_1h": null,
        },
    });
    assert_eq!((&preview["added"], &preview["removed"]), (&json!(1), &compiled["rows"]));
    let last = preview["rows"].as_array().unwrap();
    assert!(last.len() == 500 && preview["rows_left_out"].as_u64() > Some(0));
    assert!(preview["warnings"].to_string().contains("would be refused"), "{preview}");
    assert_eq!(get(&world, CATALOGUE).await, compiled, "a look changes nothing");

    let stored = world.ask("PUT", CATALOGUE, new.clone()).await;
    assert_eq!(stored.status, 200, "{}", stored.body);
    let version = stored.body["list_version"].as_str().unwrap().to_owned();
    assert!(version.starts_with("2030-01-01."));
    assert_eq!((&stored.body["source"], &stored.body["rows"]), (&json!("imported"), &json!(1)));
    assert_eq!(price(&world, "gpt-9").await, ("3".to_owned(), version.clone()));
    let gone = world.ask("GET", "/admin/v1/models/openai/gpt-4o", Value::Null).await;
    assert_eq!(gone.status, 404, "a model that the list leaves out");
    let same = world.ask("POST", &format!("{CATALOGUE}/preview"), new).await.body;
    assert_eq!((&same["unchanged"], &same["rows"]), (&json!(1), &json!([])));

    // A second list: the first one stays among those that were imported.
    let cheaper = json!([{"provider": "openai", "model": "gpt-9", "input": "1", "output": "9"}]);
    let cheaper = of("2030-02-01", &cheaper);
    let preview = world.ask("POST", &format!("{CATALOGUE}/preview"), cheaper.clone()).await.body;
    assert_eq!(preview["rows"][0]["fields"], json!(["input"]), "{preview} {added}");
    assert!(preview["warnings"][0].as_str().unwrap().contains("openai/gpt-9"), "{preview}");
    let second = world.ask("PUT", CATALOGUE, cheaper).await.body;
    assert_eq!(second["earlier"][1]["version"], version.as_str(), "{second}");
    assert_eq!(price(&world, "gpt-9").await.0, "1");

    assert_eq!(world.ask("DELETE", CATALOGUE, Value::Null).await.status, 204);
    assert_eq!(world.ask("DELETE", CATALOGUE, Value::Null).await.status, 404);
    let back = get(&world, CATALOGUE).await;
    assert_eq!((&back["list_version"], &back["imported"]), (&json!(VERSION), &Value::Null));
    assert_eq!(price(&world, "gpt-4o").await.1, VERSION);
    let audit = get(&world, "/admin/v1/audit?target=/admin/v1/catalogue").await;
    let told: Vec<_> = audit["entries"].as_array().unwrap().iter().collect();
    assert_eq!(told.len(), 3, "two imports and the way back: {audit}");
    assert_eq!(
        (&told[2]["before"]["list_version"], &told[2]["after"]["list_version"]),
        (&json!(VERSION), &json!(version))
    );
}

/// A list of one model at a price.
fn priced(day: &str, input: &str) -> Value {
    of(day, &json!([{"provider": "openai", "model": "gpt-9", "input": input, "output": "9"}]))
}

async fn switch(world: &World, version: &str, tag: &str) -> Reply {
    let (path, body) = (format!("{CATALOGUE}/version"), json!({"version": version}));
    world.ask_with(ADMIN_KEY, "PUT", &path, body, &[("if-match", tag)]).await
}

#[tokio::test]
async fn an_imported_list_is_put_in_force_again_by_its_version() {
    let world = World::new().await;
    let mut versions = Vec::new();
    let mut tag = String::new();
    for (day, input) in [("2030-01-01", "3"), ("2030-02-01", "1"), ("2030-03-01", "5")] {
        let made = world.ask("PUT", CATALOGUE, priced(day, input)).await;
        versions.push(made.body["list_version"].as_str().unwrap().to_owned());
        tag = made.etag;
    }
    let lists = format!("{CATALOGUE}/lists");
    let names = |page: &Value| -> Vec<Value> {
        page["lists"].as_array().unwrap().iter().map(|list| list["version"].clone()).collect()
    };
    let first = get(&world, &format!("{lists}?limit=2")).await;
    assert_eq!(names(&first), [&*versions[2], &*versions[1]]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = get(&world, &format!("{lists}?limit=2&cursor={cursor}")).await;
    assert_eq!((names(&rest), &rest["next_cursor"]), (vec![json!(versions[0])], &Value::Null));

    let look = get(&world, &format!("{lists}/{}", versions[0])).await;
    assert_eq!(
        (&look["version"], &look["from_version"]),
        (&json!(versions[0]), &json!(versions[2]))
    );
    assert_eq!(look["rows"][0]["after"]["input"], "3", "{look}");
    assert_eq!(price(&world, "gpt-9").await.0, "5", "a look changes nothing");

    let back = switch(&world, &versions[0], &tag).await;
    assert_eq!(
        (back.status, &back.body["list_version"]),
        (200, &json!(versions[0])),
        "{}",
        back.body
    );
    assert_eq!(price(&world, "gpt-9").await, ("3".to_owned(), versions[0].clone()));
    assert_eq!(get(&world, CATALOGUE).await, back.body);
    assert_eq!(names(&get(&world, &lists).await).len(), 3, "no list goes away");
    // Somebody else's switch is based on what is no more in force: it is shown what is.
    let stale = switch(&world, &versions[1], &tag).await;
    assert_eq!((stale.status, &stale.etag), (412, &back.etag));
    assert_eq!(stale.body["error"]["current"], back.body);
    assert_eq!(switch(&world, &versions[1], "").await.status, 428);
    for unknown in ["2030-01-01.0", "", "a b", VERSION] {
        let refused = switch(&world, unknown, &back.etag).await;
        let told = (refused.status, &refused.body["error"]["field"]);
        assert_eq!(told, (400, &json!("version")), "{unknown}: {}", refused.body);
    }
    let audit = get(&world, "/admin/v1/audit?target=/admin/v1/catalogue/version").await;
    let told = &audit["entries"][0];
    assert_eq!(
        (&told["action"], audit["entries"].as_array().map(Vec::len)),
        (&json!("PUT"), Some(1))
    );
    assert_eq!(told["before"]["list_version"], json!(versions[2]));
    assert_eq!(told["after"]["list_version"], json!(versions[0]));
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_never_put_in_force() {
    let world = World::new().await;
    let lost = world.ask("PUT", CATALOGUE, priced("2030-01-01", "3")).await.body;
    let lost = lost["list_version"].as_str().unwrap();
    let now = world.ask("PUT", CATALOGUE, priced("2030-02-01", "1")).await;
    let aws = world.gate.aws();
    let (pk, sk) = (format!("PL#{}#{lost}", aws.config().tenant), "000".to_owned());
    let part = aws.dynamodb().delete_item().table_name("main");
    let part = part.key("pk", AttributeValue::S(pk)).key("sk", AttributeValue::S(sk));
    let part = part.return_values(ReturnValue::AllOld).send().await.unwrap();
    assert!(part.attributes.is_some(), "there was such a part");

    let refused = switch(&world, lost, &now.etag).await;

    assert!(refused.status >= 500, "{} {}", refused.status, refused.body);
    assert_eq!(price(&world, "gpt-9").await.0, "1");
    assert_eq!(get(&world, CATALOGUE).await, now.body);
}

async fn refused(world: &World, body: Value) -> Reply {
    let looked = world.ask("POST", &format!("{CATALOGUE}/preview"), body.clone()).await;
    let refused = world.ask("PUT", CATALOGUE, body).await;
    assert_eq!((looked.status, &looked.body), (refused.status, &refused.body));
    refused
}

#[tokio::test]
async fn a_list_with_one_wrong_row_changes_nothing_and_the_row_is_named() {
    let world = World::new().await;
    let good = json!({"provider": "openai", "model": "gpt-9", "input": "3", "output": "9"});
    let wrong = json!({"provider": "openai", "model": "gpt-8", "input": "three", "output": "9"});
    let zero = json!({"provider": "openai", "model": "gpt-7", "input": "0", "output": "9"});

    let both = refused(&world, of("2030-01-01", &json!([good, wrong, zero]))).await;

    let error = &both.body["error"];
    assert_eq!(both.status, 400, "{error}");
    assert_eq!(error["field"], "openai/gpt-7");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("zero") && message.contains("openai/gpt-8"), "{message}");
    let many: Vec<_> =
        (0..60).map(|n| json!({"provider": "p", "model": n.to_string(), "x": 1})).collect();
    let many = refused(&world, of("2030-01-01", &json!(many))).await.body;
    assert!(many["error"]["message"].as_str().unwrap().ends_with("and 44 more"), "{many}");
    for (body, field) in [
        (of("2020-01-01", &json!([good])), "built_for"),
        (of("soon", &json!([good])), "built_for"),
        (of("2030-01-01", &json!([])), "rows"),
        (json!([good]), "built_for"),
        (json!({}), "built_for"),
    ] {
        let told = refused(&world, body.clone()).await;
        assert_eq!((told.status, &told.body["error"]["field"]), (400, &json!(field)), "{body}");
    }
    assert_eq!(get(&world, CATALOGUE).await["source"], "compiled");
    assert_eq!(get(&world, CATALOGUE).await["earlier"], json!([]));
}

#[tokio::test]
async fn the_whole_file_that_is_compiled_in_can_be_imported_again() {
    let world = World::new().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/core/src/catalog.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (full, _) = price(&world, "gpt-4o").await;

    let preview = world.ask("POST", &format!("{CATALOGUE}/preview"), file.clone()).await.body;
    let stored = world.ask_with(ADMIN_KEY, "PUT", CATALOGUE, file, &[("if-match", "*")]).await;

    assert_eq!(
        (&preview["added"], &preview["removed"], &preview["changed"]),
        (&json!(0), &json!(0), &json!(0)),
        "{preview}"
    );
    assert_eq!((stored.status, &stored.body["source"]), (200, &json!("imported")));
    assert_eq!(price(&world, "gpt-4o").await.0, full, "in two parts, and whole");
}

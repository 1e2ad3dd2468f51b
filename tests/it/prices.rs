//! Prices that change while the gateway runs: discounts, and an imported list.

use farebox_core::{Catalog, Money};
use farebox_tests::caller::openai;
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Moved, run, usd};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::executable;

fn amount(row: &Value, field: &str) -> Money {
    usd(row[field].as_str().unwrap_or_else(|| panic!("no {field} in {row}")))
}

/// A quarter off: exact, because the demo's prices are whole dollars.
fn three_quarters(of: Money) -> Money {
    Money::from_pico(of.pico() / 4 * 3).unwrap()
}

#[test]
fn a_discount_binds_quote_hold_charge_and_rows_from_its_day_on() {
    run(async {
        let year = next_year();
        let clock = Moved::start(executable(), 1, &format!("{year}-05-12T12:00:00Z")).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        caller.limit_user(&json!({"month_limit_usd": "10"})).await;
        let options = json!({"max_tokens": 20});
        let terms = json!({"terms": [
            {"from": format!("{year}-05-12T12:05:00Z"), "off_percent": "25"},
            {"from": format!("{year}-05-12T13:00:00Z"), "off_percent": "0"},
        ]});
        stack.put("/discounts/demo/exact", &terms).await;
        let call = async || {
            let body = openai("demo/exact", &options);
            let quoted = caller.post("/v1/quote", &body).send().await.expect(200).json();
            let answer = caller.complete("demo/exact", &options).await.expect(200);
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!(quoted["hold_usd"], row["held_usd"], "{row}");
            assert_eq!(quoted["price_version"], row["price_version"]);
            row
        };

        let before = call().await;
        clock.to(&format!("{year}-05-12T12:05:00Z"));
        let off = call().await;
        clock.to(&format!("{year}-05-12T13:00:00Z"));
        let after = call().await;

        for field in ["held_usd", "cost_usd"] {
            let full = amount(&before, field);
            assert_eq!(amount(&off, field), three_quarters(full), "{field}: {off}");
            assert_eq!(amount(&after, field), full, "{field}: {after}");
        }
        assert!(off["price_version"].as_str().unwrap().ends_with("-25%"), "{off}");
        assert_eq!(before["price_version"], after["price_version"]);
        // The row's own lines are at the discounted rates and add up to its cost.
        let lines = off["lines"].as_array().unwrap().iter();
        let sum = lines.map(|line| amount(line, "amount_usd"));
        let sum = sum.reduce(|sum, line| sum.plus(line).unwrap()).unwrap();
        assert_eq!(sum, amount(&off, "cost_usd"), "{off}");
        let full = ["held_usd", "cost_usd"].map(|field| amount(&before, field));
        assert_eq!(full[0], full[1], "demo/exact costs its hold");
        let spent = [&before, &off, &after].map(|row| amount(row, "cost_usd"));
        let spent = spent.into_iter().reduce(|sum, cost| sum.plus(cost).unwrap()).unwrap();
        caller.user_books().await.assert_quiet();
        assert_eq!(caller.user_books().await.settled(), spent);
    });
}

#[test]
fn a_discount_that_was_told_late_is_entered_by_rating_again() {
    run(async {
        let year = next_year();
        let noon = format!("{year}-05-12T12:00:00Z");
        let clock = Moved::start(executable(), 1, &noon).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let answer = caller.complete("demo/exact", &json!({"max_tokens": 20})).await.expect(200);
        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        let terms =
            json!({"terms": [{"from": format!("{year}-05-12T00:00:00Z"), "off_percent": "25"}]});
        stack.put("/discounts/demo/exact", &terms).await;

        let day = format!("{year}-05-12");
        let body = json!({"from": day, "to": day, "model": "demo/exact", "apply": true});
        stack.drain().await;
        let rated =
            stack.admin(Method::POST, "/rerate").json(&body).send().await.expect(200).json();

        let new = rated["rows"][0]["new_price_version"].as_str().unwrap().to_owned();
        assert!(new.ends_with("-25%"), "{rated}");
        let less = three_quarters(amount(&row, "cost_usd"));
        assert_eq!(caller.user_books().await.settled(), less, "{rated}");
    });
}

#[test]
fn an_imported_list_prices_the_next_calls_and_rows_keep_the_version_of_theirs() {
    run(async {
        let year = next_year();
        let at = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &at(0)).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let options = json!({"max_tokens": 20});
        // An environment learns of it when its prices are a minute old, by a call of any model.
        let later = async |minute: u32| {
            clock.to(&at(minute));
            caller.complete("demo/chat", &options).await.expect(200);
        };
        // Without the price of `cargo local`, the model is the list's or nobody's.
        stack.admin(Method::DELETE, "/prices/demo/exact").send().await.expect(204);
        later(1).await;
        let unknown = caller.complete("demo/exact", &options).await;
        assert_eq!(unknown.expect(404).json()["error"]["code"], "model_not_found");
        let compiled = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/core/src/catalog.json"
        ));
        let mut file: Value = serde_json::from_str(&compiled.unwrap()).unwrap();
        file["built_for"] = json!(format!("{year}-05-12"));
        let row = json!({
            "provider": "demo", "model": "exact", "mode": "chat", "context_window": 100_000,
            "max_output_tokens": 1_000, "input": "1", "output": "2",
        });
        file["rows"].as_array_mut().unwrap().push(row);

        let looked = stack.admin(Method::POST, "/catalogue/preview").json(&file).send().await;
        let looked = looked.expect(200).json();
        assert_eq!((&looked["added"], &looked["changed"]), (&json!(1), &json!(0)), "{looked}");
        stack.put("/catalogue", &file).await;
        later(3).await;
        let first = caller.complete("demo/exact", &options).await.expect(200);
        let first = caller.row(first.header("x-request-id").unwrap()).await;
        assert_eq!(first["price_version"], looked["version"], "{first}");
        assert_eq!(amount(&first, "held_usd"), amount(&first, "cost_usd"), "{first}");

        file["rows"].as_array_mut().unwrap().last_mut().unwrap()["output"] = json!("20");
        stack.put("/catalogue", &file).await;
        later(5).await;
        let second = caller.complete("demo/exact", &options).await.expect(200);
        let second = caller.row(second.header("x-request-id").unwrap()).await;
        assert_ne!(second["price_version"], first["price_version"]);
        assert!(amount(&second, "cost_usd") > amount(&first, "cost_usd"), "{second}");
        let again = caller.row(first["request_id"].as_str().unwrap()).await;
        assert_eq!(again, first, "what was charged is explained by its own prices");

        stack.admin(Method::DELETE, "/catalogue").send().await.expect(204);
        later(7).await;
        caller.complete("demo/exact", &options).await.expect(404);
        let version = stack.read("/catalogue").await["list_version"].clone();
        assert_eq!(version, Catalog::compiled().version());
    });
}

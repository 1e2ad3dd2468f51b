//! Lists with a filter are full while there is more, and what the operator was told is looked at.

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_aws::expression::Store;
use farebox_core::Timestamp;
use farebox_ledger::alert::{Fault, Notice};
use serde_json::{Value, json};

use crate::roles::Cast;
use crate::world::World;

/// All rows of a list, page by page: how many each has, and what `name` gives of them.
async fn walked(world: &World, path: &str, field: &str, name: &str) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut names, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = world.ask("GET", &format!("/admin/v1/{path}{cursor}"), Value::Null).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        let rows = page.body[field].as_array().unwrap();
        sizes.push(rows.len());
        names.extend(rows.iter().map(|row| row[name].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next_cursor"].as_str() else { return (sizes, names) };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn the_limits_nearest_to_be_reached_are_found_among_many_in_one_request() {
    let world = World::new().await;
    let root = async |method: &str, path: &str, body: Value| {
        let reply = world.ask(method, &format!("/admin/v1/{path}"), body).await;
        assert!(reply.status < 300, "{path}: {}", reply.body);
        reply.body
    };
    // Beyond one page of owners.
    for place in 0..120 {
        root("PUT", &format!("users/u{place:03}"), json!({})).await;
    }
    for (user, limits, spent) in [
        ("u119", json!({"total_limit_usd": "1"}), "0.99"),
        ("u003", json!({"total_limit_usd": "100"}), "1"),
        ("u110", json!({"total_limit_usd": "1", "mode": "observe"}), "1.5"),
        ("u050", json!({"total_limit_usd": "2"}), "1"),
        ("u051", json!({}), "9"),
    ] {
        root("PUT", &format!("budgets/user:{user}"), limits).await;
        let scope = format!("user:{user}");
        let body = json!({"scope": scope, "amount_usd": spent, "reason": "Carried over"});
        root("POST", "corrections", body).await;
    }
    let ask = "budgets?kind=user&order=nearest";
    let ids = |found: &Value| -> Vec<String> {
        let rows = found["budgets"].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };

    let found = root("GET", ask, Value::Null).await;
    assert_eq!(ids(&found), ["u110", "u119", "u050", "u003"]);
    let told = json!({"budgets": 120, "limited": 4, "over": 1, "held_usd": "0"});
    assert_eq!((&found["nearest"], &found["next_cursor"]), (&told, &Value::Null));
    // The figures are of all of them, however few are shown.
    let found = root("GET", &format!("{ask}&limit=2"), Value::Null).await;
    assert_eq!((ids(&found), &found["nearest"]), (vec!["u110".into(), "u119".into()], &told));
    let found = root("GET", "budgets?kind=org&order=nearest", Value::Null).await;
    assert_eq!((ids(&found).len(), &found["nearest"]["budgets"]), (0, &json!(0)));
    let wrong = world.ask("GET", "/admin/v1/budgets?order=newest", Value::Null).await;
    assert_eq!((wrong.status, wrong.body["error"]["field"].as_str()), (400, Some("order")));
    let plain = root("GET", "budgets?kind=user&order=scope&limit=1", Value::Null).await;
    assert_eq!((ids(&plain), plain.get("nearest")), (vec!["u000".into()], None));
}

#[tokio::test]
async fn a_page_with_a_filter_is_full_while_there_is_more() {
    let world = World::new().await;
    let put = async |path: &str, body: Value| {
        let reply = world.ask("PUT", &format!("/admin/v1/{path}"), body).await;
        assert!(reply.status < 300, "{path}: {}", reply.body);
        reply.body
    };
    put("orgs/o1", json!({})).await;
    // Every fourth is of the organisation, beyond one query of the table.
    for place in 0..130 {
        let body = if place % 4 == 0 { json!({"org": "o1"}) } else { json!({}) };
        put(&format!("users/u{place:03}"), body).await;
    }
    let (sizes, users) = walked(&world, "users?org=o1&limit=15", "users", "id").await;
    assert_eq!(sizes, [15, 15, 3]);
    let wanted: Vec<_> = (0..130).step_by(4).map(|place| format!("u{place:03}")).collect();
    assert_eq!(users, wanted);

    // A name that sorts before its own beginning with more: cursors follow the table.
    let mut revoked = Vec::new();
    for user in ["u000", "u001", "u002"] {
        for place in 0..4 {
            let body = json!({"user": user, "name": "n"});
            let made = world.ask("POST", "/admin/v1/keys", body).await.body;
            let id = made["id"].as_str().unwrap().to_owned();
            if place % 2 == 0 {
                let path = format!("/admin/v1/keys/{id}");
                assert_eq!(world.ask("DELETE", &path, Value::Null).await.status, 200);
                revoked.push((user, id));
            }
        }
    }
    revoked.sort();
    let (sizes, keys) = walked(&world, "keys?state=revoked&limit=4", "keys", "id").await;
    assert_eq!(sizes, [4, 2]);
    assert_eq!(keys, revoked.into_iter().map(|(_, id)| id).collect::<Vec<_>>());

    for place in 0..6 {
        let role = if place % 2 == 0 { "auditor" } else { "admin" };
        let body = json!({"name": format!("n{place}"), "role": role});
        assert_eq!(world.ask("POST", "/admin/v1/admin-keys", body).await.status, 201);
        put(&format!("iam/arn:aws:iam::111122223333:role/R{place}"), json!({"role": role})).await;
    }
    let (sizes, _) = walked(&world, "admin-keys?role=admin&limit=2", "admin_keys", "id").await;
    assert_eq!(sizes, [2, 1]);
    let (sizes, roles) = walked(&world, "iam?role=auditor&limit=2", "principals", "arn").await;
    assert_eq!((sizes, roles.len()), (vec![2, 1], 3));

    let mut wanted = Vec::new();
    for place in 0..9 {
        let user = ["u000", "u001", "u002"][place % 3];
        let body = json!({"scope": format!("user:{user}"), "amount_usd": "1", "reason": "why",
                          "id": format!("c{place}")});
        let made = world.ask("POST", "/admin/v1/corrections", body).await;
        assert_eq!(made.status, 200, "{}", made.body);
        if user == "u002" {
            wanted.push(made.body["id"].as_str().unwrap().to_owned());
        }
    }
    let path = "corrections?scope=user:u002&limit=2";
    assert_eq!(walked(&world, path, "corrections", "id").await, (vec![2, 1], wanted));
}

/// An owner's entity, as it stands in the table.
async fn put_user(world: &World, user: String) {
    let aws = world.gate.aws();
    let fields = [("pk", format!("E#{}", aws.config().tenant)), ("sk", format!("user:{user}"))];
    let item = fields.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
    let put = aws.dynamodb().put_item().table_name("main").set_item(Some(item.into()));
    put.send().await.unwrap();
}

#[tokio::test]
async fn limits_beyond_two_thousand_owners_are_not_taken_for_none() {
    const OWNERS: u32 = 2_000;
    let world = World::new().await;
    for place in 0..OWNERS {
        put_user(&world, format!("u{place:04}")).await;
    }
    let set = async |user: &str| {
        for (path, body) in [
            (format!("users/{user}"), json!({})),
            (format!("budgets/user:{user}"), json!({"total_limit_usd": "1"})),
        ] {
            let reply = world.ask("PUT", &format!("/admin/v1/{path}"), body).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
    };
    set("u1999").await;
    set("z").await;
    let get = async |cursor: &str| {
        let path = format!("/admin/v1/budgets?kind=user&order=nearest{cursor}");
        let body = world.ask("GET", &path, Value::Null).await.body;
        let ids = body["budgets"].as_array().unwrap().iter();
        let ids: Vec<_> = ids.map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        (ids, body["nearest"]["limited"].clone(), body["next_cursor"].clone())
    };

    let (ids, limited, next) = get("").await;

    assert_eq!((ids, limited), (vec!["u1999".to_owned()], json!(1)));
    let next = next.as_str().expect("that there are more is told");
    let rest = get(&format!("&cursor={next}")).await;
    assert_eq!(rest, (vec!["z".to_owned()], json!(1), Value::Null));
}

#[tokio::test]
async fn open_requests_for_budget_stand_on_the_first_page_however_many_are_decided() {
    let cast = Cast::new().await;
    let mine = "/admin/v1/me/budget-requests";
    let mut last = String::new();
    for _ in 0..5 {
        let body = json!({"reason": "why", "day_limit_usd": "5"});
        let made = cast.ask('m', "POST", mine, body).await.body;
        last = made["id"].as_str().unwrap().to_owned();
        let path = format!("/admin/v1/budget-requests/u1/{last}");
        cast.ask('a', "PUT", &path, json!({"state": "denied"})).await;
    }
    let body = json!({"reason": "why", "day_limit_usd": "5"});
    let open = cast.ask('m', "POST", mine, body).await.body["id"].clone();

    let list = "budget-requests?state=open&limit=1";
    let (sizes, ids) = walked(&cast.world, list, "budget_requests", "id").await;

    assert_eq!((sizes, ids), (vec![1], vec![open.as_str().unwrap().to_owned()]));
    assert_ne!(open, json!(last));
}

#[tokio::test]
async fn limits_and_content_settings_are_listed_wherever_they_are_set() {
    let world = World::new().await;
    let put = async |path: String, body: Value| {
        let reply = world.ask("PUT", &format!("/admin/v1/{path}"), body).await;
        assert!(reply.status < 300, "{path}: {}", reply.body);
    };
    for user in ["u1", "u2", "u3"] {
        put(format!("users/{user}"), json!({})).await;
    }
    let made = world.ask("POST", "/admin/v1/keys", json!({"user": "u2", "name": "n"})).await.body;
    let key = format!("key:{}", made["id"].as_str().unwrap());
    for scope in ["user:u3", &key] {
        put(format!("limits/{scope}"), json!({"concurrent": 2})).await;
    }
    for (scope, days) in [("user:u1", 3), (&*key, 0)] {
        put(format!("content-log/{scope}"), json!({"days": days})).await;
    }

    for size in [1, 2] {
        let path = format!("limits?limit={size}");
        let (_, scopes) = walked(&world, &path, "limits", "scope").await;
        assert_eq!(scopes, ["user:u3", &key]);
        let path = format!("content-log?limit={size}");
        let (_, scopes) = walked(&world, &path, "settings", "scope").await;
        assert_eq!(scopes, ["user:u1", &key]);
    }
    // None that limits is none.
    put("limits/user:u3".to_owned(), json!({})).await;
    let left = world.ask("GET", "/admin/v1/limits", Value::Null).await.body;
    assert_eq!(left["limits"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["limits"][0]["concurrent"], 2);
}

#[tokio::test]
async fn what_the_operator_was_told_is_looked_at_once_and_open_no_more() {
    let cast = Cast::new().await;
    let aws = cast.world.gate.aws();
    let tenant = &aws.config().tenant;
    for (fault, subject, day, hour) in [
        (Fault::Unpriced, "openai/old", "20", 1),
        (Fault::Overrun, "openai/new", "22", 2),
        (Fault::Provisional, "user:u1", "21", 23),
        (Fault::Provisional, "user:u1", "22", 5),
        (Fault::CostDiffers, "openai/new", "21", 4),
    ] {
        let at = Timestamp::parse(&format!("2026-11-{day}T{hour:02}:00:00Z")).unwrap();
        let put = Notice::new(fault, subject.to_owned(), at).put(tenant, at);
        assert!(Store::patient(aws).record(&put).await.unwrap());
    }
    let newest_first = [
        "overrun/20261122/openai/new",
        "provisional/2026112205/user:u1",
        "provisional/2026112123/user:u1",
        "cost_differs/20261121/openai/new",
        "unpriced/20261120/openai/old",
    ];
    let list = "alerts/operator?";
    for size in [1, 2, 5, 100] {
        let path = format!("{list}limit={size}");
        let (_, ids) = walked(&cast.world, &path, "alerts", "id").await;
        assert_eq!(ids, newest_first, "{size}");
    }

    let path = format!("/admin/v1/alerts/operator/{}", newest_first[1]);
    let seen = cast.ask('d', "GET", &path, Value::Null).await;
    assert_eq!((seen.status, &seen.body["acknowledged_at"]), (200, &Value::Null));
    assert_eq!(seen.etag, "\"1\"");
    let key = cast.keys[&'a'].as_str();
    let bare = cast.world.ask_with(key, "DELETE", &path, Value::Null, &[]).await;
    assert_eq!(bare.status, 428);
    let seen = [("if-match", seen.etag.as_str())];
    let done = cast.world.ask_with(key, "DELETE", &path, Value::Null, &seen).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let by = done.body["acknowledged_by"].as_str().unwrap();
    assert!(by.starts_with("admin-key:"), "{by}");
    assert_eq!(cast.world.ask_with(key, "DELETE", &path, Value::Null, &seen).await.status, 412);
    // A second look changes nothing.
    let again = cast.ask('o', "DELETE", &path, Value::Null).await.body;
    assert_eq!(again, done.body);

    let mut open = newest_first.to_vec();
    open.remove(1);
    for size in [1, 3, 100] {
        let path = format!("{list}state=open&limit={size}");
        let (_, ids) = walked(&cast.world, &path, "alerts", "id").await;
        assert_eq!(ids, open, "{size}");
    }
    let (_, ids) = walked(&cast.world, &format!("{list}state=acknowledged"), "alerts", "id").await;
    assert_eq!(ids, [newest_first[1]]);
    for (path, field) in [
        ("alerts/operator?state=lost", "state"),
        ("alerts/operator/overrun", "alert"),
        ("alerts/operator/lost/20261122/x", "alert"),
        ("alerts/operator/overrun/day/x", "alert"),
    ] {
        let wrong = cast.ask('o', "GET", &format!("/admin/v1/{path}"), Value::Null).await;
        assert_eq!(wrong.body["error"]["field"], field, "{path}: {}", wrong.body);
    }
    let lost = cast.ask('o', "GET", "/admin/v1/alerts/operator?cursor=x", Value::Null).await;
    assert_eq!(lost.status, 400);
    let trail = cast.ask('d', "GET", "/admin/v1/audit?action=DELETE", Value::Null).await.body;
    let row = trail["entries"].as_array().unwrap().last().unwrap();
    assert_eq!((&row["target"], &row["before"]["version"]), (&json!(path), &json!("1")));
}

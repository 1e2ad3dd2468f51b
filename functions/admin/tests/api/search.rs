//! Calls are found by what they were, and pages are full while there is more.

use farebox_core::{CallRecord, Outcome, Rid};
use serde_json::Value;

use crate::own::{put, record};
use crate::roles::Cast;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// The ids on a page, and where the next one begins.
async fn page(cast: &Cast, role: char, path: &str) -> (Vec<String>, Option<String>) {
    let reply = cast.ask(role, "GET", path, Value::Null).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    let rows = reply.body["requests"].as_array().unwrap().iter();
    let ids = rows.map(|row| row["request_id"].as_str().unwrap().to_owned()).collect();
    (ids, reply.body["next_cursor"].as_str().map(str::to_owned))
}

/// All pages, with how many rows each has.
async fn all(cast: &Cast, role: char, path: &str) -> (Vec<String>, Vec<usize>) {
    let (mut seen, mut sizes, mut next) = (Vec::new(), Vec::new(), String::new());
    loop {
        assert!(sizes.len() < 20, "{path} has no end: {sizes:?}");
        let (ids, cursor) = page(cast, role, &format!("{path}{next}")).await;
        sizes.push(ids.len());
        seen.extend(ids);
        let Some(cursor) = cursor else { return (seen, sizes) };
        next = format!("&cursor={cursor}");
    }
}

/// A call so long ago, of a team and a provider.
async fn call(cast: &Cast, user: usize, ago_ms: i64, team: &str, outcome: Outcome) -> String {
    let aws = cast.world.gate.aws();
    let id = Rid::new(aws.now().plus_ms(-ago_ms), u128::from(ago_ms.unsigned_abs()));
    let (name, key) = (["u1", "u2"][user], &cast.members[user].0);
    let labels = [("team".to_owned(), team.to_owned())].into_iter().collect();
    let provider = Some(if team == "a" { "openai" } else { "anthropic" }.to_owned());
    let record = CallRecord { outcome, labels, provider, ..record(id, name, key) };
    put(&cast.world, &format!("user:{name}"), record).await;
    id.to_string()
}

#[tokio::test]
async fn a_filtered_page_is_full_while_there_is_more() {
    let cast = Cast::new().await;
    let mut wanted = Vec::new();
    for at in 0..150 {
        // One in thirty fits: five over two days, far apart.
        let team = if at % 30 == 29 { "a" } else { "b" };
        let id = call(&cast, at % 2, 20 * MINUTE_MS * i64::try_from(at).unwrap(), team, {
            Outcome::Settled
        });
        let id = id.await;
        if team == "a" {
            wanted.push(id);
        }
    }
    for (role, path) in [
        ('o', "/admin/v1/requests?label=team:a"),
        ('d', "/admin/v1/requests?provider=openai"),
        ('o', "/admin/v1/requests?user=u2&label=team:a"),
        ('a', &format!("/admin/v1/requests?key={}&label=team:a", cast.members[1].0)),
    ] {
        let (seen, sizes) = all(&cast, role, &format!("{path}&limit=2")).await;
        assert_eq!(seen, wanted, "{path}");
        assert_eq!(sizes[..2], [2, 2], "{path}");
        let (seen, _) = all(&cast, role, &format!("{path}&limit=100")).await;
        assert_eq!(seen, wanted, "{path}");
    }
    // All fit, and no page says that there is more where nothing is.
    let (seen, sizes) = all(&cast, 'o', "/admin/v1/requests?outcome=settled&limit=100").await;
    assert_eq!((seen.len(), &sizes[..2]), (150, &[100, 50][..]));
    assert!(sizes[2..].iter().all(|size| *size == 0) && sizes.len() < 6, "{sizes:?}");
    // A member's filters stay within its own calls, whatever they name.
    let (seen, _) = all(&cast, 'm', "/admin/v1/me/requests?label=team:b&limit=100").await;
    assert_eq!(seen.len(), 75);
    let theirs = format!("/admin/v1/me/requests?key={}", cast.members[1].0);
    assert_eq!(all(&cast, 'm', &theirs).await.0, [""; 0]);
    let mine = format!("/admin/v1/me/requests?key={}&outcome=settled", cast.members[0].0);
    assert_eq!(all(&cast, 'm', &mine).await.0.len(), 75);
}

/// One call in thirty is of this organisation and team.
#[tokio::test]
async fn calls_of_an_organisation_or_a_team_fill_pages_whoever_made_them() {
    let cast = Cast::new().await;
    let (mut of_org, mut of_team) = (Vec::new(), Vec::new());
    for at in 0..150 {
        let ago_ms = 20 * MINUTE_MS * i64::try_from(at).unwrap();
        let id = Rid::new(cast.world.gate.aws().now().plus_ms(-ago_ms), 7);
        let (name, key) = (["u1", "u2"][at % 2], &cast.members[at % 2].0);
        let org = if at % 30 == 29 { "acme" } else { "other" };
        let team = (at % 60 == 59).then(|| "search".parse().unwrap());
        let record = CallRecord {
            org: Some(org.parse().unwrap()),
            team: team.clone(),
            outcome: if at % 2 == 0 { Outcome::Refused } else { Outcome::Settled },
            ..record(id, name, key)
        };
        put(&cast.world, &format!("user:{name}"), record).await;
        if org == "acme" {
            of_org.push(id.to_string());
        }
        if team.is_some() {
            of_team.push(id.to_string());
        }
    }
    for (query, wanted) in [
        ("org=acme", &of_org),
        ("team=search", &of_team),
        ("org=acme&team=search&outcome=settled", &of_team),
        ("user=u2&org=acme", &of_org),
        ("user=u1&org=acme", &vec![]),
        ("org=search", &vec![]),
        ("team=acme", &vec![]),
        ("org=nobody", &vec![]),
    ] {
        let path = format!("/admin/v1/requests?{query}&limit=2");
        let (seen, sizes) = all(&cast, 'd', &path).await;
        assert_eq!(seen, *wanted, "{query}");
        assert!(wanted.is_empty() || sizes[0] == 2, "{query}: {sizes:?}");
    }
    // How far it was looked, where that is not the end.
    let path = "/admin/v1/requests?org=acme&limit=2";
    let reply = cast.ask('o', "GET", path, Value::Null).await;
    let back = reply.body["looked_back_to"].as_str().unwrap().to_owned();
    let second = reply.body["requests"][1]["started_at"].as_str().unwrap().to_owned();
    assert!(back <= second, "{back} {second}");
    let last = format!("/admin/v1/requests?user=u1&from={back}&to={second}");
    assert_eq!(cast.ask('o', "GET", &last, Value::Null).await.body["looked_back_to"], Value::Null);
    // A member's own calls are asked for by nobody's organisation.
    let refused = cast.ask('m', "GET", "/admin/v1/me/requests?org=acme", Value::Null).await;
    assert_eq!((refused.status, refused.body["error"]["field"].as_str()), (400, Some("org")));
    let wrong = cast.ask('o', "GET", "/admin/v1/requests?team=a/b", Value::Null).await;
    assert_eq!((wrong.status, wrong.body["error"]["field"].as_str()), (400, Some("team")));
}

#[tokio::test]
async fn calls_are_found_from_a_time_to_a_time() {
    let cast = Cast::new().await;
    let mut made = Vec::new();
    for hours in [1_i64, 30, 31, 80] {
        made.push(call(&cast, 0, hours * 60 * MINUTE_MS, "a", Outcome::Settled).await);
    }
    let now = cast.world.gate.aws().now();
    let at = |hours: i64| now.plus_ms(-hours * 60 * MINUTE_MS + MINUTE_MS).to_string();
    for path in ["/admin/v1/requests?", "/admin/v1/requests?user=u1&", "/admin/v1/me/requests?"] {
        let role = if path.contains("/me/") { 'm' } else { 'd' };
        for (query, wanted) in [
            (format!("from={}", at(40)), &made[..3]),
            (format!("to={}", at(30)), &made[1..]),
            (format!("from={}&to={}", at(32), at(30)), &made[1..3]),
            (format!("from={}&to={}&label=team:a&limit=1", at(81), at(30)), &made[1..]),
            (format!("from={}&to={}", at(30), at(32)), &[]),
        ] {
            // A long way back is told in pages, of which some have nothing.
            let (seen, _) = all(&cast, role, &format!("{path}{query}")).await;
            assert_eq!(seen, wanted, "{path}{query}");
        }
        let wrong = cast.ask(role, "GET", &format!("{path}from=yesterday"), Value::Null).await;
        assert_eq!(wrong.body["error"]["field"], "from", "{}", wrong.body);
    }
    let key = format!("/admin/v1/requests?key={}&from={}&to={}", cast.members[0].0, at(32), at(30));
    assert_eq!(page(&cast, 'o', &key).await, (made[1..3].to_vec(), None));
}

#[tokio::test]
async fn a_search_spends_a_bounded_number_of_reads_and_goes_on_from_there() {
    let cast = Cast::new().await;
    let old = call(&cast, 0, 60 * DAY_MS, "a", Outcome::Settled).await;
    let path = "/admin/v1/requests?label=team:a";
    // The caller is known from here on.
    cast.ask('o', "GET", "/admin/v1/session", Value::Null).await;
    cast.world.asked();

    let (seen, cursor) = page(&cast, 'o', path).await;

    assert_eq!((seen, cast.world.asked().operations()), (Vec::new(), "40 Query".to_owned()));
    let path = format!("{path}&cursor={}", cursor.unwrap());
    let (seen, cursor) = page(&cast, 'o', &path).await;
    assert_eq!(seen, [old]);
    // Rows are kept for 90 days: beyond them nothing is looked for.
    let path = format!("/admin/v1/requests?label=team:a&cursor={}", cursor.unwrap());
    assert_eq!(page(&cast, 'o', &path).await, (Vec::new(), None));
    assert_eq!(page(&cast, 'o', "/admin/v1/requests?user=nobody").await.0, [""; 0]);
    let wrong = cast.ask('o', "GET", "/admin/v1/requests?cursor=x", Value::Null).await;
    assert_eq!((wrong.status, wrong.body["error"]["field"].as_str()), (400, Some("cursor")));
}

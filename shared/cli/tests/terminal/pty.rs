//! What an operator sees on a terminal of 80 columns: the real command on a pseudo-terminal,
//! answers as the admin API gave them to `cargo local`, and the screens, kept in
//! `tests/shown/terminal`. `‹` and `›` stand for where bold begins and ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Answer, assert_shown, serve, typed_in_terminal};

const RECORDED: &str = include_str!("../answers/recorded.json");
const FIRST: &str = include_str!("../answers/first.json");
const REPORT: &str = include_str!("../answers/usage.json");
const CALL: &str = "01M8PVVDEH6VPZ4JMAK249GJHJ";
const COLUMNS: u32 = 80;

/// The answers that were recorded, by name.
fn recorded() -> BTreeMap<String, Value> {
    serde_json::from_str(RECORDED).unwrap()
}

fn good(start: &str, body: &Value) -> Answer {
    (format!("/admin/v1/{start}"), 200, body.to_string())
}

fn refused(start: &str, status: u16, code: &str, message: &str) -> Answer {
    let body = json!({"error": {"code": code, "message": message}});
    (format!("/admin/v1/{start}"), status, body.to_string())
}

/// What the terminal showed, as text.
fn screen(url: &str, line: &str) -> Option<String> {
    typed_screen(url, line, "")
}

/// The same, by somebody who types something.
fn typed_screen(url: &str, line: &str, typed: &str) -> Option<String> {
    let shown = typed_in_terminal(url, line, COLUMNS, typed)?;
    Some(shown.replace("\u{1b}[1m", "‹").replace("\u{1b}[0m", "›").replace("\r\n", "\n"))
}

/// A file of the operator's, in the folder of these tests.
fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A day's charges, as `export focus` reads them.
fn day() -> Value {
    let row = |labels: Value, charged: &str, input: &str, output: &str| {
        json!({"scope": "key:1a2b3c4d5e", "model": "demo/chat", "labels": labels, "calls": 1,
               "refused": 0, "charged_usd": charged, "unknown_usd": "0", "entered_usd": "0",
               "input_usd": input, "output_usd": output, "fees_usd": "0", "pieces": 0,
               "prompt_tokens": 5, "cached_tokens": 0, "cache_write_tokens": 0,
               "completion_tokens": 30, "reasoning_tokens": 0})
    };
    let rows = [
        row(json!({"team": "search"}), "0.0000625", "0.0000025", "0.00006"),
        row(json!({}), "0.0000625", "0.0000025", "0.00006"),
    ];
    json!({"day": "2020-01-05", "rows": rows, "next_cursor": null})
}

/// What the gateway answers to all of them.
fn answers() -> Vec<Answer> {
    let of = recorded();
    let empty = json!({"day": "", "rows": [], "next_cursor": null});
    let mut books: Value = serde_json::from_str(REPORT).unwrap();
    books["total"]["charged_usd"] = json!("0.000125");
    vec![
        good(&format!("requests/{CALL}"), &of["corrected"]),
        good("requests/01M8PVVDD3X89Y86KMPVP6MN1W", &of["request"]),
        good("requests?", &of["requests"]),
        good("budgets/user:demo", &of["budget"]),
        good("budgets/user:ann", &of["budget"]),
        good("budgets", &of["budgets"]),
        good("prices/demo/exact", &of["price"]),
        good("prices", &of["prices"]),
        good("routes/", &of["routes"]["routes"][0]),
        good("routes", &of["routes"]),
        good("charges", &of["charges"]),
        good("counters", &of["counters"]),
        good("keys", &of["keys"]),
        good("users/demo", &of["users"]["users"][0]),
        refused("users/", 404, "not_found", "There is nothing at users/ann."),
        good("users", &of["users"]),
        good("corrections?", &of["corrections"]),
        good("corrections", &of["correct"]),
        good("rerate", &of["rerate"]),
        good("usage/days/2020-01-05", &day()),
        good("usage/days", &empty),
        good("usage?by=month", &books),
        good("usage?", &serde_json::from_str(REPORT).unwrap()),
        good(
            "queues",
            &json!({"waiting": 0, "in_flight": 0, "dead_letters": 0,
                               "scanned_at": null}),
        ),
        good("session", &json!({"actor": "admin-key:root", "role": "owner"})),
        good("credentials", &json!({"credentials": [], "next_cursor": null})),
        good("", &json!({"channels": [], "alerts": [], "quarantine": [], "next_cursor": null})),
        ("/healthz".to_owned(), 200, json!({"status": "ok", "catalog": "2026-11-23"}).to_string()),
    ]
}

#[test]
fn each_command_shows_what_is_kept_on_a_terminal_of_80_columns() {
    let url = serve(answers());
    let people = file(
        "people.csv",
        "kind,id,name,org,user,labels,month_usd\nuser,demo,Demo user,demo,,,50\n\
         user,ann,Ann,demo,,,\nkey,demo,,,demo,,\nkey,ci,,,demo,team=search,\n",
    );
    let faulty = file("faulty.csv", "kind,id,month_usd\nuser,a b,\nuser,bob,lots\n");
    let export = Path::new(env!("CARGO_TARGET_TMPDIR")).join("focus.csv");
    let [people, faulty, export] = [&people, &faulty, &export].map(|path| path.display());
    for (name, line) in [
        ("explain", format!("explain {CALL}")),
        ("request", "requests show 01M8PVVDD3X89Y86KMPVP6MN1W".to_owned()),
        ("requests", "requests list --label team=search --from 2026-11-30".to_owned()),
        ("budget", "budget show user:demo".to_owned()),
        ("budget-set", "budget set user:demo --month 50".to_owned()),
        ("budgets", "budget show".to_owned()),
        ("price", "price show".to_owned()),
        ("price-set", "price set demo/exact --input 3 --output 15".to_owned()),
        ("route", "route list".to_owned()),
        ("route-set", "route set fast --target demo/chat=3 --target demo/exact".to_owned()),
        ("import", format!("import csv {people}")),
        ("import-faults", format!("import csv {faulty} --apply")),
        ("export", format!("export focus --month 2020-01 --output {export}")),
        ("correct", format!("correct --request {CALL} --cost-usd 0.001 --reason bill")),
        ("corrections", "corrections --scope user:demo".to_owned()),
        ("rerate", "rerate --from 2026-11-30 --to 2026-11-30".to_owned()),
        ("statement", "statement --month 2026-11 --by team,model".to_owned()),
        ("reconcile", "reconcile --month 2026-11 --scope user:demo".to_owned()),
        ("doctor", "doctor".to_owned()),
        ("absent", "user show ann".to_owned()),
    ] {
        // The bar of long work is another one each time: it goes to standard error.
        let long = ["import", "export", "rerate", "reconcile", "requests", "doctor"];
        let quiet = long.contains(&name);
        let line = if quiet { format!("{line} 2>/dev/null") } else { line };
        let Some(shown) = screen(&url, &line) else { return };
        let folder = env!("CARGO_TARGET_TMPDIR");
        let shown = shown.replace(folder, "FOLDER");
        assert_shown(&format!("terminal/{name}.txt"), &url, &timeless(&shown));
    }
    assert_eq!(std::fs::read_to_string(export.to_string()).unwrap().lines().count(), 5);
}

/// What the gateway answers to who types the first commands.
fn first_answers() -> Vec<Answer> {
    let of: BTreeMap<String, Value> = serde_json::from_str(FIRST).unwrap();
    let mut channels = json!({"channels": [{"channel": "ses", "target": "ops@example.com"}]});
    channels["next_cursor"] = Value::Null;
    vec![
        good("session", &of["session"]),
        good("orgs", &of["orgs"]),
        refused("users/new", 404, "not_found", "There is nothing at users/new."),
        good("users/ann", &of["users"]["users"][0]),
        good("users", &of["users"]),
        good("keys", &of["created"]),
        good("credentials/demo/demo", &of["credentials"]["credentials"][0]),
        good("credentials", &of["credentials"]),
        good("usage?by=", &of["by_model"]),
        good("usage", &of["usage"]),
        good("limits", &of["limits"]),
        good("alerts/channels", &channels),
        good("alerts", &of["alerts"]),
        good("audit", &of["audit"]),
        good("models", &of["models"]),
        good("requests", &of["tail"]),
        good("me/budgets", &of["my_budgets"]),
        good("me/keys", &of["my_keys"]),
        good("me", &of["me"]),
    ]
}

#[test]
fn the_first_commands_show_what_is_kept() {
    let url = serve(first_answers());
    for (name, line) in [
        ("whoami", "whoami"),
        ("user-add", "user add ann --name Ann"),
        ("users", "user list"),
        ("orgs", "org list"),
        ("key-create", "key create --user ann --name laptop --label team=search"),
        ("credentials", "credential list --user demo"),
        ("usage", "usage"),
        ("usage-by", "usage --by model --since 2026-11"),
        ("top", "top --once"),
        ("last", "requests tail -n 3"),
        ("limit", "limit show user:demo"),
        ("limit-set", "limit set user:demo --concurrent 5"),
        ("webhook", "webhook show"),
        ("alerts", "alerts user:demo"),
        ("audit", "audit -n 4"),
        ("models", "model list demo --search cl"),
        ("me", "me show"),
        ("my-budgets", "me budgets"),
        ("my-keys", "me key list"),
        ("profiles", "profile list"),
    ] {
        let Some(shown) = screen(&url, line) else { return };
        let now = shown.lines().find(|line| line.starts_with("farebox top")).unwrap_or_default();
        let shown = match now {
            "" => shown,
            now => shown.replacen(now, "farebox top   NOW", 1),
        };
        assert_shown(&format!("terminal/{name}.txt"), &url, &shown);
    }
    // Nobody is there.
    let Some(shown) = screen("http://127.0.0.1:9", "user list") else { return };
    assert_shown("terminal/nobody.txt", "http://127.0.0.1:9", &shown);
}

/// How long the answer took, and how far the clocks are apart, is another number each time.
fn timeless(shown: &str) -> String {
    let line = |line: &str| match line.split_once("in ").zip(line.split_once(" ms,")) {
        Some(((before, _), (_, after))) => format!("{before}in 1 ms,{after}"),
        None => line.to_owned(),
    };
    shown.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn new_calls_come_under_the_old_ones_and_a_failed_look_is_not_the_last() {
    let mut calls = recorded()["requests"]["requests"].as_array().unwrap().clone();
    let [refused_one, second, first] = [calls.remove(0), calls.remove(0), calls.remove(0)];
    let mut long = second.clone();
    long["request_id"] = json!("01M8PVVDHYPCCEN1NR867S9MB3");
    long["user"] = json!("somebody.with.a-long.name");
    let page = |calls: &[&Value], next: Value| json!({"requests": calls, "next_cursor": next});
    let away = |path: &str| refused(path, 503, "unavailable", "The log cannot be read now.");
    let behind = "requests?limit=100&cursor=p2";
    // Before anybody looked there were two, of which one is asked for; then more came than one
    // page has. The second look fails half-way, and the third has all that it would have had.
    let answers = vec![
        away(behind),
        good(behind, &page(&[&refused_one, &second], Value::Null)),
        good("requests?", &page(&[&second, &first], json!("p2"))),
        good("requests?", &page(&[&long], json!("p2"))),
        good("requests?", &page(&[&long], json!("p2"))),
        away("requests?"),
        refused("requests?", 403, "forbidden", "This key may not do that."),
    ];
    let url = serve(answers);

    let Some(shown) = screen(&url, "requests tail -n 1 -f") else { return };

    assert_shown("terminal/tail.txt", &url, &shown);
}

#[test]
fn a_picture_of_the_spend_stays_while_a_look_fails_and_ends_with_a_refusal() {
    let of: BTreeMap<String, Value> = serde_json::from_str(FIRST).unwrap();
    let answers = vec![
        good("usage?by=", &of["by_model"]),
        good("usage", &of["usage"]),
        refused("usage", 503, "unavailable", "The books cannot be read now."),
        good("usage", &of["usage"]),
        refused("usage", 403, "forbidden", "This key may not do that."),
    ];

    let Some(shown) = screen(&serve(answers), "top") else { return };

    let note = "note: The books cannot be read now. (unavailable); looking again in 2 s\n";
    let pictures: Vec<_> = shown.split("farebox top").collect();
    assert_eq!(pictures.len(), 3, "two of them: {shown}");
    assert!(pictures[1].contains("MODELS TODAY") && pictures[1].contains(note), "{shown}");
    assert!(!pictures[2].contains("note:"), "{shown}");
    let end = "error: This key may not do that. (forbidden)\n  next: give another admin key: \
               farebox login\n";
    assert!(pictures[2].ends_with(end), "{shown}");
}

#[test]
fn what_is_taken_away_is_shown_and_asked_for_and_somebody_elses_change_stays() {
    let key = recorded()["keys"]["keys"][0].clone();
    let id = key["id"].as_str().unwrap().to_owned();
    let mut newer = key.clone();
    newer["name"] = json!("renamed");
    let message = "It has changed since you read it. Read it again.";
    let stale = json!({"error": {"code": "precondition_failed", "message": message,
                                 "current": newer}});
    let stale = (format!("/admin/v1/keys/{id}"), 412, stale.to_string());
    let there = || good(&format!("keys/{id}"), &key);
    let line = format!("key revoke {id}");
    for (name, answers, typed) in [
        ("revoke", vec![there()], "y\n"),
        ("revoke-not", vec![there()], "\n"),
        ("revoke-late", vec![there(), stale], "y\n"),
    ] {
        let url = serve(answers);
        let Some(shown) = typed_screen(&url, &line, typed) else { return };
        assert_shown(&format!("terminal/{name}.txt"), &url, &shown);
    }
    let url = serve(vec![there()]);
    let piped = super::farebox(&url, &line).output().unwrap();
    assert_shown("revoke.txt", &url, &super::text(&piped));
}

#[test]
fn long_work_has_a_bar_on_a_terminal_and_none_in_a_pipe() {
    let fenced = |cursor: Value| json!({"raised": 3, "next_cursor": cursor});
    let answers = || {
        vec![
            good("restore-fence", &fenced(json!("a"))),
            good("restore-fence", &fenced(Value::Null)),
            good("users/u1/content", &json!({"erased": 25, "more": true})),
            good("users/u1/content", &json!({"erased": 2, "more": false})),
            good("settlements", &json!({"request_id": CALL})),
            good("reconcile", &json!({"lines": []})),
        ]
    };
    // Beside itself it would read what another run of it is writing.
    let own = |name: &str| format!("{}-{name}", std::process::id());
    let log = file(&own("settlements.log"), &"{\"farebox.settlement.v1\":{\"v\":1}}\n".repeat(2));
    let bucket = |day: u32| {
        json!({"start_time": 1_761_523_200 + 86_400 * day, "end_time": 1_761_609_600 + 86_400 * day,
               "results": []})
    };
    let usage = json!({"data": [bucket(0), bucket(1)], "has_more": false}).to_string();
    let usage = file(&own("usage.json"), &usage);
    for (line, what, done) in [
        (format!("replay {}", log.display()), "settlements", "2 settlements are sent"),
        ("restore-fence".to_owned(), "budgets", "6 budgets are fenced"),
        ("content erase u1".to_owned(), "items", "27 items of u1 are erased"),
        (
            format!("reconcile --import {} --provider openai", usage.display()),
            "buckets",
            "--apply corrects them",
        ),
    ] {
        let piped = super::farebox(&serve(answers()), &line).output().unwrap();
        assert!(piped.status.success() && piped.stderr.is_empty(), "{line}: {piped:?}");
        let Some(shown) = screen(&serve(answers()), &line) else { return };
        assert!(shown.contains(done), "{line}: {shown:?}");
        assert!(shown.contains(what) && shown.contains("\u{1b}["), "{line} has no bar: {shown:?}");
    }
}

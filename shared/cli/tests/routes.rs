//! Every route of the admin API has its command, every filter and every field its option, and every
//! change the version that was read. `docs/openapi.json` names the routes, the table below the
//! commands; each is run, and must have asked for its route with all that the route takes.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;

mod support;

/// Who asks for what: a route, and a command that asks for it; `-` where none need to. A route
/// stands several times where one command cannot say all that it takes.
const COMMANDS: &str = "
GET /users = user list --org o1 --team t1
GET /users/{id} = user show u1
PUT /users/{id} = user allow u1 --keys 2
PUT /users/{id} = user add u1 --name new --org o1 --team t1
DELETE /users/{id}/content = content erase u1
GET /orgs = org list
GET /orgs/{id} = org show o1
PUT /orgs/{id} = org add o1 --name new
GET /teams = team list
GET /teams/{id} = team show t1
PUT /teams/{id} = team add t1 --name new
GET /keys = key list --user u1 --state active
POST /keys = key create --user u1 --model a/b --max-cost-usd 1 --expires-at 2027-01-01T00:00:00Z \
    --clamp never --room-wait-ms 5 --drop-params --idle-ms 9 --label team=search
GET /keys/{id} = key show k1
PUT /keys/{id} = key set k1 --name new --model a/b --max-cost-usd 1 \
    --expires-at 2027-01-01T00:00:00Z --room-wait-ms 5 --drop-params true --total-ms 9 \
    --label team=search
DELETE /keys/{id} = key revoke k1
POST /keys/{id}/rotate = key rotate k1 --grace 1h
GET /credentials = credential list --user u1
GET /credentials/{owner}/{provider} = credential show u1 openai
PUT /credentials/{owner}/{provider} = credential set u1 openai --weight 2 \
    --base-url https://a.example
DELETE /credentials/{owner}/{provider} = credential disable u1 openai
GET /credentials/{owner}/{provider}/{name} = credential show u1 openai --name second
PUT /credentials/{owner}/{provider}/{name} = credential set u1 openai --name second --weight 2 \
    --base-url https://a.example
DELETE /credentials/{owner}/{provider}/{name} = credential disable u1 openai --name second
GET /budgets = budget show --kind org
GET /budgets = budget show --kind org --nearest
GET /budgets/{scope} = budget show user:u1
PUT /budgets/{scope} = budget set user:u1 --day 1 --month 2 --total 3 --shares 4 \
    --until 2027-01-01T00:00:00Z
GET /usage = usage --kind org
GET /usage = usage --by team --since 2026-10 --until 2026-11 --scope org:o1
GET /usage/days/{day} = export focus --month 2026-11
GET /models = model list openai --search 4o
GET /models/{provider}/{model} = model show openai/gpt-4o
GET /prices = price show --provider openai
GET /prices/{provider}/{model} = price show openai/x
PUT /prices/{provider}/{model} = price set openai/x --free
PUT /prices/{provider}/{model} = price set openai/x --input 1 --output 2 --cached-input 1 \
    --cache-write-5m 1 --cache-write-1h 1 --web-search 1 --per-request 1 --context-window 9 \
    --max-output-tokens 9
DELETE /prices/{provider}/{model} = price delete openai/x
GET /discounts = price discount list
GET /discounts/{target} = price discount show openai/*
PUT /discounts/{target} = price discount set openai/* --off 5
DELETE /discounts/{target} = price discount delete openai/*
GET /catalogue = price catalogue
PUT /catalogue = price refresh FILE --apply
DELETE /catalogue = price restore
POST /catalogue/preview = price refresh FILE
GET /catalogue/lists = price versions
GET /catalogue/lists/{version} = price switch 2026-11-23.9f
GET /catalogue/version = price switch 2026-11-23.9f
PUT /catalogue/version = price switch 2026-11-23.9f --apply
GET /quarantine = price quarantine
GET /quarantine/{provider}/{model} = price acknowledge openai/x
DELETE /quarantine/{provider}/{model} = price acknowledge openai/x
GET /routes = route list
GET /routes/{name} = route show fast
PUT /routes/{name} = route set fast --target openai/gpt-4o --after-charge true --retries 2 \
    --retry-patience-ms 9 --on-budget-refusal next --idle-ms 9
DELETE /routes/{name} = route delete fast
GET /limits = limit list
GET /limits/{scope} = limit show user:u1
PUT /limits/{scope} = limit set user:u1 --concurrent 5 --requests-per-minute 6 \
    --tokens-per-minute 7
GET /webhook = webhook delete
PUT /webhook = webhook set https://a.example
DELETE /webhook = webhook delete
GET /requests = requests list --user u1 --key k1 --org o1 --team t1 --provider openai --model x \
    --outcome settled --error no --label a=b --from 2026-11-01 --to 2026-11-02
GET /requests/{id} = requests show A1
GET /requests/{id}/content = content read A1
GET /content-log = content list
GET /content-log/{scope} = content show user:u1
PUT /content-log/{scope} = content set user:u1 --days 3
GET /alerts = alerts user:u1
GET /alerts = alerts
GET /alerts/channels = webhook show
GET /alerts/operator = alerts operator
GET /alerts/operator/{alert} = alerts acknowledge overrun/20261124/openai/x
DELETE /alerts/operator/{alert} = alerts acknowledge overrun/20261124/openai/x
POST /alerts/test = webhook test user:u1
GET /corrections = corrections --scope user:u1
POST /corrections = correct user:u1 --amount-usd -5 --reason refund --period 2026-11 --id r7
POST /corrections = correct --request A1 --cost-usd 0.5 --reason bill
POST /rerate = rerate --from 2026-11-01 --to 2026-11-02 --model openai/x --apply
POST /reconcile = reconcile --import REPORT --provider openai --apply
POST /reconcile = reconcile --import COSTS --provider openai
GET /charges = reconcile --month 2026-11
GET /counters/{scope} = reconcile --month 2026-11 --scope user:u1
POST /settlements = replay LOG
POST /restore-fence = restore-fence
GET /session = whoami
GET /openapi.json = - a description for other programs
GET /queues = doctor
GET /me = me show
GET /me/budgets = me budgets
GET /me/requests = me requests --key k1 --provider openai --model x --outcome settled --error no \
    --label a=b --from 2026-11-01 --to 2026-11-02
GET /me/requests/{id} = me request A1
GET /me/alerts = me alerts --key k1
GET /me/keys = me key list
POST /me/keys = me key create --model a/b --max-cost-usd 1 --expires-at 2027-01-01T00:00:00Z \
    --clamp never --room-wait-ms 5 --drop-params --idle-ms 9
GET /me/keys/{id} = me key show k1
PUT /me/keys/{id} = me key set k1 --name new --model a/b --max-cost-usd 1 \
    --expires-at 2027-01-01T00:00:00Z --room-wait-ms 5 --drop-params true --total-ms 9
DELETE /me/keys/{id} = me key revoke k1
POST /me/keys/{id}/rotate = me key rotate k1 --grace 1h
GET /me/credentials = me credential list
GET /me/credentials/{provider} = me credential show openai
PUT /me/credentials/{provider} = me credential set openai --weight 2
DELETE /me/credentials/{provider} = me credential disable openai
GET /me/credentials/{provider}/{name} = me credential show openai --name second
PUT /me/credentials/{provider}/{name} = me credential set openai --name second --weight 2
DELETE /me/credentials/{provider}/{name} = me credential disable openai --name second
GET /me/budget-requests = me budget-request list
POST /me/budget-requests = me budget-request create --month 9 --day 1 --total 99 --reason more \
    --until 2027-01-01T00:00:00Z
GET /me/budget-requests/{id} = me budget-request show A1
DELETE /me/budget-requests/{id} = me budget-request withdraw A1
GET /budget-requests = budget-request list --state open --user u1
GET /budget-requests/{user}/{id} = budget-request show u1 A1
PUT /budget-requests/{user}/{id} = budget-request deny u1 A1 --note later
PUT /budget-requests/{user}/{id} = budget-request approve u1 A1 --month 9 --day 1 --total 99 \
    --until 2027-01-01T00:00:00Z
GET /admin-keys = admin-key list --role auditor
POST /admin-keys = admin-key create --name Ann --role auditor --expires-at 2027-01-01T00:00:00Z
GET /admin-keys/{id} = admin-key show k1
DELETE /admin-keys/{id} = admin-key revoke k1
POST /admin-keys/{id}/rotate = admin-key rotate k1 --overlap-s 60
GET /iam = iam list --role admin
GET /iam/{arn} = iam show arn:aws:iam::111122223333:role/Ops
PUT /iam/{arn} = iam grant arn:aws:iam::111122223333:role/Ops --role admin
DELETE /iam/{arn} = iam revoke arn:aws:iam::111122223333:role/Ops
GET /sso = sso list
GET /sso/{subject} = sso show group:ops
PUT /sso/{subject} = sso set group:ops --role admin --user u1
DELETE /sso/{subject} = sso remove group:ops
GET /sso-sessions = sso sessions
GET /sso-sessions/{id} = sso session s1
DELETE /sso-sessions/{id} = sso end s1
GET /audit = audit --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z --actor admin-key:root \
    --action PUT --target /admin/v1/keys
";

/// What no option says: a route, its filter or field, and why none is needed.
const UNSAID: &str = "
GET /requests/{id} user = the id finds it
GET /alerts/operator state = `doctor` asks for the open ones; the list says which they are
";

/// Something of everything that a command reads before it changes.
const ANSWER: &str = r#"{"id":"k1","user":"u1","name":"n","state":"active","clamp":"missing",
    "created_at":"2026-11-23T00:00:00Z","mode":"hard","time_zone":"UTC","kind":"user",
    "version":"7","list_version":"2026-11-24.1a","price_version":"owner-1",
    "alert_thresholds":[],"periods":[],"scope":"user:u1","spec":{"terms":[]},
    "source":"imported","compiled_version":"2026-11-23.9f","earlier":[],"owner":"u1","weight":1,
    "updated_at":"2026-11-23T00:00:00Z","last_used_at":"2026-11-23T00:00:00Z","email":"a@b",
    "subject":"group:ops","role":"admin","arn":"arn:x","reason":"more","url":"https://a.example",
    "expires_at":"2027-01-01T00:00:00Z","request_id":"A1","hold_usd":"1","cost_usd":"2","at":"",
    "provider":"openai","model":"x","target":"openai/*","scopes":[],
    "routes":[{"name":"fast","version":"7","spec":{}}],
    "discounts":[{"target":"openai/*","version":"7","spec":{"terms":[]}}],
    "users":[],"keys":[],"budgets":[],"channels":[],"alerts":[],
    "quarantine":[],"limits":[],"settings":[],"waiting":0,"in_flight":0,"dead_letters":0,"rows":0,
    "status":"ok","catalog":"2026-11-23","actor":"admin-key:root",
    "charges":[],"next_cursor":null}"#;

/// What a look at a price list tells.
const LOOK: &str = r#"{"version":"2026-11-23.9f","from_version":"2026-11-24.1a","added":0,
    "removed":0,"changed":0,"unchanged":0,"rows":[],"rows_left_out":0,"warnings":[]}"#;

/// How often a command that has not asked yet is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One request, as it came.
struct Asked {
    /// Its method and path.
    line: String,
    /// What it said: the names of its query and of the fields of its body.
    said: BTreeSet<String>,
    /// The version that it is based on.
    version: Option<String>,
    /// What makes a repeat of it harmless.
    once: Option<String>,
}

/// Answers every request with the same, and tells what was asked for.
fn serve(body: &str) -> (String, Receiver<Asked>) {
    let body = body.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &body, &tell);
        }
    });
    (url, told)
}

fn answer(mut stream: TcpStream, body_of_all: &str, tell: &Sender<Asked>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let length = header("content-length: ").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    drop(stream.read_exact(&mut body));
    let first = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
    let (line, query) = first.split_once('?').unwrap_or((first, ""));
    let line = line.replacen("/admin/v1", "", 1);
    let is_look = line.contains("/catalogue/preview") || line.contains("/catalogue/lists/");
    let query = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let fields = body.as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let version = header("if-match: ").map(str::to_owned);
    let once = header("idempotency-key: ").map(str::to_owned);
    drop(tell.send(Asked { line, said: query.chain(fields).collect(), version, once }));
    let body = if is_look { LOOK } else { body_of_all };
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: \"7\"\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    drop(stream.write_all(text.as_bytes()));
}

/// Whether a request is for a route; what stands for a scope, a model or an ARN may have slashes.
fn fits(route: &str, request: &str) -> bool {
    let (wanted, found): (Vec<_>, Vec<_>) =
        (route.split('/').collect(), request.split('/').collect());
    let same = |(wanted, found): (&&str, &&str)| wanted.starts_with('{') || wanted == found;
    let is_long = ["{scope}", "{model}", "{arn}", "{target}", "{alert}"]
        .iter()
        .any(|end| route.ends_with(end));
    let length = wanted.len() == found.len() || (is_long && found.len() > wanted.len());
    length && wanted.iter().zip(&found).all(same)
}

/// A file that a command reads, in the folder of these tests.
fn file(name: &str, text: &str) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Runs a command until it ends, or has asked for a route where one is waited for; tells all that
/// it has asked for, and what it said.
fn run(line: &str, route: Option<&str>, body: &str) -> (Vec<Asked>, [String; 2]) {
    let list = r#"{"built_for":"2026-11-23.9f","unit":"usd","rows":[]}"#;
    let report = r#"{"data":[{"start_time":1761523200,"end_time":1761609600,"results":[]}]}"#;
    let record = match line.contains("LOG") {
        true => {
            sample(&description(), &serde_json::json!({"$ref": "#/components/schemas/Settlement"}))
        }
        false => Value::Null,
    };
    let log = format!("START\n{{\"farebox.settlement.v1\":{record}}}\nEND\n");
    let costs = "start_time,end_time,amount_value,amount_currency\n1,2,0.5,usd\n";
    let files = [("FILE", list), ("REPORT", report), ("COSTS", costs), ("LOG", log.as_str())];
    let line = files.iter().fold(line.to_owned(), |line, (name, text)| {
        if line.contains(name) { line.replace(name, &file(name, text)) } else { line }
    });
    let ((url, told), mut asked) = (serve(body), Vec::new());
    let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
    command.args(line.split_whitespace()).env_clear();
    let home = support::logged_in(&url);
    command.env("XDG_CONFIG_HOME", &home);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdin.take().unwrap().write_all(b"sk-secret\n"));
    loop {
        let has_ended = child.try_wait().unwrap().is_some();
        match told.recv_timeout(LOOK_EVERY) {
            Ok(request) => {
                let is_found = route.is_some_and(|route| fits(route, &request.line));
                asked.push(request);
                // `webhook test` waits for its alert: to have asked is enough here.
                if is_found {
                    break;
                }
            }
            Err(_) if has_ended => break,
            Err(_) => {}
        }
    }
    drop(child.kill());
    let output = child.wait_with_output().unwrap();
    drop(std::fs::remove_dir_all(home));
    let streams = [output.stdout, output.stderr];
    (asked, streams.map(|stream| String::from_utf8_lossy(&stream).into_owned()))
}

/// The description of the API.
fn description() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Its operations by route: the filters and fields that each takes, and which headers.
fn operations() -> BTreeMap<String, (BTreeSet<String>, Vec<String>)> {
    let all = description();
    let mut operations = BTreeMap::new();
    for (path, methods) in all["paths"].as_object().unwrap() {
        let path = path.replacen("/admin/v1", "", 1);
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let mut takes = BTreeSet::new();
            let mut headers = Vec::new();
            for parameter in parameters {
                let name = parameter["name"].as_str().unwrap();
                // Pages are turned by the command.
                if parameter["in"] == "query" && !["limit", "cursor"].contains(&name) {
                    takes.insert(name.to_owned());
                }
                if parameter["in"] == "header" {
                    headers.push(name.to_owned());
                }
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let at = body["$ref"].as_str().map(|at| at.trim_start_matches('#'));
            let body = at.map_or(body, |at| all.pointer(at).unwrap());
            let fields = body["properties"].as_object().into_iter().flatten();
            takes.extend(fields.map(|(name, _)| name.clone()).filter(|name| name != "cursor"));
            let route = format!("{} {path}", method.to_uppercase());
            operations.insert(route, (takes, headers));
        }
    }
    operations
}

/// The rows of the table.
fn rows() -> Vec<(&'static str, String)> {
    let whole = COMMANDS.trim().replace("\\\n", " ");
    let whole: &'static str = whole.leak();
    let rows = whole.lines().map(|line| line.split_once(" = ").unwrap());
    rows.map(|(route, line)| (route, line.to_owned())).collect()
}

#[test]
fn every_route_of_the_admin_api_has_its_command() {
    let operations = operations();
    let rows = rows();
    let named: BTreeSet<_> = rows.iter().map(|(route, _)| *route).collect();
    let routes: BTreeSet<_> = operations.keys().map(String::as_str).collect();
    assert_eq!(named, routes);

    let mut said = BTreeMap::<&str, BTreeSet<String>>::new();
    for (route, line) in rows.iter().filter(|(_, line)| !line.starts_with('-')) {
        let (asked, [_, told]) = run(line, Some(route), ANSWER);
        let found = asked.into_iter().rev().find(|request| fits(route, &request.line));
        let Some(found) = found else { panic!("farebox {line} did not ask for {route}: {told}") };
        said.entry(route).or_default().extend(found.said);
        // What was read is what is changed, and nothing that came in between.
        let takes = |name: &str| operations[*route].1.iter().any(|header| header == name);
        let version = takes("If-Match").then(|| "\"7\"".to_owned());
        assert_eq!(found.version, version, "farebox {line}");
        assert_eq!(found.once.is_some(), takes("Idempotency-Key"), "farebox {line}");
    }
    let unsaid = UNSAID.trim().lines().map(|line| line.split_once(" = ").unwrap().0);
    let unsaid: BTreeSet<String> = unsaid.map(str::to_owned).collect();
    let mut missing = BTreeSet::new();
    for (route, (takes, _)) in operations.iter().filter(|(route, _)| said.contains_key(&***route)) {
        missing.extend(takes.difference(&said[&**route]).map(|name| format!("{route} {name}")));
    }
    assert_eq!(missing, unsaid, "no option says it");
}

#[test]
fn by_force_nothing_is_read_and_whatever_is_there_gives_way() {
    for (route, line) in [
        ("DELETE /keys/{id}", "key revoke k1"),
        ("DELETE /credentials/{owner}/{provider}", "credential disable u1 openai"),
        ("PUT /credentials/{owner}/{provider}", "credential set u1 openai"),
        ("PUT /prices/{provider}/{model}", "price set openai/x --input 1"),
        ("DELETE /webhook", "webhook delete"),
    ] {
        let (asked, [_, told]) = run(&format!("{line} --force"), Some(route), ANSWER);
        let asked: Vec<_> = asked.iter().map(|request| &request.version).collect();
        assert_eq!(asked, [&Some("*".to_owned())], "{line}: {told}");
    }
}

/// Something that a schema allows, with every field that it has.
fn sample(all: &Value, schema: &Value) -> Value {
    if let Some(at) = schema["$ref"].as_str() {
        return sample(all, all.pointer(at.trim_start_matches('#')).unwrap());
    }
    for several in ["anyOf", "oneOf"] {
        let first = schema[several].as_array().into_iter().flatten();
        if let Some(first) = first.into_iter().find(|one| one["type"] != "null") {
            return sample(all, first);
        }
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    let kind = &schema["type"];
    match kind.get(0).unwrap_or(kind).as_str().unwrap_or_default() {
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let mut object: serde_json::Map<String, Value> =
                fields.map(|(name, field)| (name.clone(), sample(all, field))).collect();
            if schema["additionalProperties"].is_object() {
                object.insert("any".to_owned(), sample(all, &schema["additionalProperties"]));
            }
            object.into()
        }
        "array" => vec![sample(all, &schema["items"])].into(),
        "integer" => schema["minimum"].as_u64().unwrap_or(1).into(),
        "boolean" => true.into(),
        "string" if schema["format"] == "date-time" => "2026-11-23T09:00:00Z".into(),
        "string" => "1".into(),
        _ => serde_json::json!({"terms": []}),
    }
}

#[test]
fn what_is_shown_in_json_is_all_that_the_gateway_answered() {
    let all = description();
    // These make something of several answers, or change what they have read.
    let own = ["doctor", "export", "reconcile", "price switch", "price ack", "webhook delete"];
    let rows = rows();
    let shows = rows.iter().filter(|(route, line)| {
        route.starts_with("GET")
            && !line.starts_with('-')
            && !own.iter().any(|own| line.starts_with(own))
    });
    let mut lists = 0;
    for (route, line) in shows {
        let path = route.trim_start_matches("GET ");
        let answers = &all["paths"][format!("/admin/v1{path}")]["get"]["responses"]["200"];
        let mut schema = &answers["content"]["application/json"]["schema"];
        if let Some(at) = schema["$ref"].as_str() {
            schema = all.pointer(at.trim_start_matches('#')).unwrap();
        }
        // Usage is two: by budget, or added up by what is asked for.
        if let Some(both) = schema["anyOf"].as_array() {
            schema = &both[usize::from(line.contains("--by"))];
        }
        let mut body = sample(&all, schema);
        if let Some(cursor) = body.get_mut("next_cursor") {
            *cursor = Value::Null;
            lists += 1;
        }
        let (_, [shown, told]) = run(&format!("{line} --json"), None, &body.to_string());
        let shown: Value = serde_json::from_str(&shown).unwrap_or_default();
        assert_eq!(shown, body, "farebox {line} --json: {told}");
    }
    assert!(lists > 25, "only {lists} lists were looked at");
}

//! Every route of the admin API has its command. `docs/openapi.json` names the routes, the table
//! below the commands; each is run, and must have asked for its route.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;

/// Who asks for what: a route, and a command that asks for it; `-` where none need to.
const COMMANDS: &str = "
GET /users = user list
GET /users/{id} = user show u1
PUT /users/{id} = user allow u1 --keys 2
DELETE /users/{id}/content = content erase u1
GET /orgs = org list
GET /orgs/{id} = org show o1
PUT /orgs/{id} = org add o1 --name new
GET /teams = team list
GET /teams/{id} = team show t1
PUT /teams/{id} = team add t1 --name new
GET /keys = key list
POST /keys = key create --user u1
GET /keys/{id} = key show k1
PUT /keys/{id} = key set k1 --name new
DELETE /keys/{id} = key revoke k1
POST /keys/{id}/rotate = key rotate k1
GET /credentials = credential list --user u1
GET /credentials/{owner}/{provider} = credential show u1 openai
PUT /credentials/{owner}/{provider} = credential set u1 openai
DELETE /credentials/{owner}/{provider} = credential disable u1 openai
GET /credentials/{owner}/{provider}/{name} = credential show u1 openai --name second
PUT /credentials/{owner}/{provider}/{name} = credential set u1 openai --name second
DELETE /credentials/{owner}/{provider}/{name} = credential disable u1 openai --name second
GET /budgets = budget show
GET /budgets/{scope} = budget show user:u1
PUT /budgets/{scope} = budget set user:u1 --day 1
GET /usage = usage
GET /usage/days/{day} = export focus --month 2026-11
GET /models = model list openai
GET /models/{provider}/{model} = model show openai/gpt-4o
GET /prices = price show
GET /prices/{provider}/{model} = price show openai/x
PUT /prices/{provider}/{model} = price set openai/x --free
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
GET /quarantine/{provider}/{model} = - the list shows all of it
DELETE /quarantine/{provider}/{model} = price acknowledge openai/x
GET /routes = route list
GET /routes/{name} = route show fast
PUT /routes/{name} = route set fast --target openai/gpt-4o
DELETE /routes/{name} = route delete fast
GET /limits/{scope} = limit show user:u1
PUT /limits/{scope} = limit set user:u1 --concurrent 5
GET /webhook = - `webhook show` asks for all channels
PUT /webhook = webhook set https://a.example
DELETE /webhook = webhook delete
GET /requests = requests list --user u1
GET /requests/{id} = requests show A1
GET /requests/{id}/content = content read A1
GET /content-log/{scope} = content show user:u1
PUT /content-log/{scope} = content set user:u1 --days 3
GET /alerts = alerts user:u1
GET /alerts/channels = webhook show
GET /alerts/operator = alerts operator
POST /alerts/test = webhook test user:u1
GET /corrections = corrections
POST /corrections = correct user:u1 --amount-usd -5 --reason refund
POST /rerate = rerate --from 2026-11-01 --to 2026-11-02
POST /reconcile = - `reconcile --import` needs a provider's report: tests/it/reconcile.rs
GET /charges = reconcile --month 2026-11
GET /counters/{scope} = reconcile --month 2026-11 --scope user:u1
POST /settlements = - `replay` needs the lines of a log: tests/it/books.rs
POST /restore-fence = restore-fence
GET /session = whoami
GET /openapi.json = - a description for other programs
GET /queues = doctor
GET /me = me show
GET /me/budgets = me budgets
GET /me/requests = me requests
GET /me/requests/{id} = me request A1
GET /me/alerts = me alerts --key k1
GET /me/keys = me key list
POST /me/keys = me key create
GET /me/keys/{id} = me key show k1
PUT /me/keys/{id} = me key set k1 --name new
DELETE /me/keys/{id} = me key revoke k1
POST /me/keys/{id}/rotate = me key rotate k1
GET /me/credentials = me credential list
GET /me/credentials/{provider} = me credential show openai
PUT /me/credentials/{provider} = me credential set openai
DELETE /me/credentials/{provider} = me credential disable openai
GET /me/credentials/{provider}/{name} = me credential show openai --name second
PUT /me/credentials/{provider}/{name} = me credential set openai --name second
DELETE /me/credentials/{provider}/{name} = me credential disable openai --name second
GET /me/budget-requests = me budget-request list
POST /me/budget-requests = me budget-request create --month 9 --reason more
GET /me/budget-requests/{id} = me budget-request show A1
DELETE /me/budget-requests/{id} = me budget-request withdraw A1
GET /budget-requests = budget-request list --state open
GET /budget-requests/{user}/{id} = budget-request show u1 A1
PUT /budget-requests/{user}/{id} = budget-request deny u1 A1 --note later
GET /admin-keys = admin-key list --role auditor
POST /admin-keys = admin-key create --name Ann --role auditor
GET /admin-keys/{id} = admin-key show k1
DELETE /admin-keys/{id} = admin-key revoke k1
POST /admin-keys/{id}/rotate = admin-key rotate k1
GET /iam = iam list
GET /iam/{arn} = iam show arn:aws:iam::111122223333:role/Ops
PUT /iam/{arn} = iam grant arn:aws:iam::111122223333:role/Ops --role admin
DELETE /iam/{arn} = iam revoke arn:aws:iam::111122223333:role/Ops
GET /sso = sso list
GET /sso/{subject} = sso show group:ops
PUT /sso/{subject} = sso set group:ops --role admin
DELETE /sso/{subject} = sso remove group:ops
GET /sso-sessions = sso sessions
GET /sso-sessions/{id} = sso session s1
DELETE /sso-sessions/{id} = sso end s1
GET /audit = audit
";

/// Something of everything that a command reads before it changes.
const ANSWER: &str = r#"{"id":"k1","user":"u1","name":"n","state":"active","clamp":"missing",
    "created_at":"2026-11-23T00:00:00Z","mode":"hard","time_zone":"UTC","kind":"user",
    "version":"7","list_version":"2026-11-24.1a",
    "alert_thresholds":[],"periods":[],"scope":"user:u1","spec":{"terms":[]},
    "source":"imported","compiled_version":"2026-11-23.9f","earlier":[],
    "provider":"openai","model":"x","target":"openai/*","discounts":[],"scopes":[],"routes":[],
    "users":[],"keys":[],"budgets":[],"channels":[],"alerts":[],
    "quarantine":[],"waiting":0,"in_flight":0,"dead_letters":0,"rows":0,
    "status":"ok","catalog":"2026-11-23",
    "charges":[],"next_cursor":null}"#;

/// What a look at a price list tells.
const LOOK: &str = r#"{"version":"2026-11-23.9f","from_version":"2026-11-24.1a","added":0,
    "removed":0,"changed":0,"unchanged":0,"rows":[],"rows_left_out":0,"warnings":[]}"#;

/// How often a command that has not asked yet is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Answers every request with the same, and tells what was asked for.
fn serve() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &tell);
        }
    });
    (url, told)
}

fn answer(mut stream: TcpStream, tell: &Sender<String>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    drop(stream.read_exact(&mut body));
    let line = head.lines().next().unwrap_or_default();
    let line = line.split('?').next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
    drop(tell.send(line.replacen("/admin/v1", "", 1)));
    let is_look = line.contains("/catalogue/preview") || line.contains("/catalogue/lists/");
    let body = if is_look { LOOK } else { ANSWER };
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
    let is_long =
        ["{scope}", "{model}", "{arn}", "{target}"].iter().any(|end| route.ends_with(end));
    let length = wanted.len() == found.len() || (is_long && found.len() > wanted.len());
    length && wanted.iter().zip(&found).all(same)
}

#[test]
fn every_route_of_the_admin_api_has_its_command() {
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let description: Value =
        serde_json::from_str(&std::fs::read_to_string(description).unwrap()).unwrap();
    let routes: BTreeSet<String> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let path = path.replacen("/admin/v1", "", 1);
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let rows: Vec<(&str, &str)> =
        COMMANDS.trim().lines().map(|line| line.split_once(" = ").unwrap()).collect();
    let named: BTreeSet<String> = rows.iter().map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(named, routes);

    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("routes.json");
    std::fs::write(&file, r#"{"data":[]}"#).unwrap();
    for (route, line) in rows.iter().filter(|(_, line)| !line.starts_with('-')) {
        let ((url, told), mut asked) = (serve(), Vec::new());
        let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
        let line = line.replace("FILE", file.to_str().unwrap());
        command.args(line.split_whitespace()).env_clear();
        command.env("FAREBOX_URL", &url).env("FAREBOX_ADMIN_KEY", "sk-fba-test");
        command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdin.take().unwrap().write_all(b"sk-secret\n"));
        // `webhook test` waits for its alert: to have asked is enough here.
        let is_asked = |asked: &[String]| asked.iter().any(|request| fits(route, request));
        while !is_asked(&asked) {
            let has_ended = child.try_wait().unwrap().is_some();
            match told.recv_timeout(LOOK_EVERY) {
                Ok(request) => asked.push(request),
                Err(_) if has_ended => break,
                Err(_) => {}
            }
        }
        drop(child.kill());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(is_asked(&asked), "{route}: farebox {line} asked for {asked:?}: {said}");
    }
}

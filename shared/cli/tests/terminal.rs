//! What a terminal shows: the real command, answers as the admin API gave them to `cargo local`,
//! and the text that came of them, kept in `tests/shown`. `.ci/command.py` runs the same command
//! against the whole product, and types a secret at its prompt.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[path = "terminal/pty.rs"]
mod pty;
mod support;

/// Answers by the beginning of the path; the first that fits is given. Where one beginning stands
/// several times, each is given once and the last one for ever.
type Answers = &'static [(&'static str, u16, &'static str)];
/// The same, made by a test.
type Answer = (String, u16, String);

const REPORT: &str = include_str!("answers/usage.json");
const KEYS: &str = include_str!("answers/keys.json");
const AUDIT: &str = include_str!("answers/audit.json");
const LISTS: &str = include_str!("answers/lists.json");
const LOOK: &str = include_str!("answers/look.json");
const CATALOGUE: &str = include_str!("answers/catalogue.json");
const ADMIN_KEYS: &str = r#"{"admin_keys":[
    {"id":"a1b2c3d4e5","name":"Ann","role":"owner","state":"active",
     "created_at":"2026-11-23T09:00:00Z","version":"1839169267230001"},
    {"id":"f6g7h8i9j0","name":"Grafana","role":"auditor","state":"expired",
     "created_at":"2026-10-01T09:00:00Z","expires_at":"2026-11-01T00:00:00Z",
     "version":"1839169267230002"}],
    "next_cursor":null}"#;
const PRINCIPALS: &str = r#"{"principals":[
    {"arn":"arn:aws:iam::111122223333:role/Ops","role":"admin",
     "created_at":"2026-11-23T09:00:00Z","version":"1839169267230003"}],"next_cursor":null}"#;
const ASKS: &str = r#"{"budget_requests":[
    {"id":"01KAQ4ZV0M7W1C9Y3T5B8D2E6F","user":"lin","state":"open","month_limit_usd":"100",
     "reason":"The evaluation of the new model","created_at":"2026-11-23T09:00:00Z",
     "version":"1839169267230004"}],
    "next_cursor":null}"#;
const MODELS: &str = r#"{"models":[
    {"provider":"openai","model":"gpt-4o","mode":"chat","context_window":128000,
     "max_output_tokens":16384,"source":"catalogue","price_version":"2026-11-23.9f86d081",
     "prices":{"input":"2.5","output":"10","cached_input":"1.25","cache_write_5m":null,
     "cache_write_1h":null}},
    {"provider":"openai","model":"gpt-x","mode":"unknown","context_window":null,
     "max_output_tokens":null,"source":"catalogue","price_version":null,"prices":null}],
    "next_cursor":null}"#;
const ME: &str = r#"{"user":"lin","name":"Lin","key_id":"k1","self_service":
    {"keys":2,"key_max_cost_usd":"0.5","key_days":90,"key_models":["openai/*"],
     "credentials":false}}"#;
const USER: &str = r#"{"id":"lin","name":"Lin","org":"acme","self_service":
    {"keys":2,"key_max_cost_usd":"0.5","key_days":90,"key_models":["openai/*"],
     "credentials":false},"created_at":"2026-11-23T09:00:00Z","version":"1839169267230005"}"#;
const SESSION: &str = r#"{"actor":"iam:arn:aws:iam::111122223333:role/Ops","role":"admin"}"#;
const LABELS: &str = include_str!("answers/labels.json");
const NOTHING: &str = r#"{"users":[],"keys":[],"budgets":[],"channels":[],"alerts":[],
    "quarantine":[],"routes":[],"next_cursor":null}"#;
const QUEUES: &str = r#"{"waiting":0,"in_flight":0,"dead_letters":0,"scanned_at":null}"#;

/// A server that gives such answers, on a port of its own.
fn serve(mut answers: Vec<Answer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &mut answers);
        }
    });
    url
}

fn owned(answers: Answers) -> Vec<Answer> {
    let of =
        |(start, status, body): &(&str, u16, &str)| (start.to_string(), *status, body.to_string());
    answers.iter().map(of).collect()
}

fn answer(mut stream: TcpStream, answers: &mut Vec<Answer>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let at = answers.iter().position(|(start, ..)| path.starts_with(start));
    let found = at.map(|at| {
        let found = answers.remove(at);
        if !answers.iter().any(|(start, ..)| *start == found.0) {
            answers.insert(at, found.clone());
        }
        found
    });
    let absent = r#"{"error":{"code":"not_found","message":"no"}}"#;
    let (_, status, body) = found.unwrap_or((String::new(), 404, absent.to_owned()));
    // The body is read, or the command's writing of it fails.
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut given = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    drop(stream.read_exact(&mut given));
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         etag: \"7\"\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    drop(stream.write_all(text.as_bytes()));
}

fn farebox(url: &str, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
    command.args(line.split_whitespace()).env_clear();
    command.env("XDG_CONFIG_HOME", support::logged_in(url)).stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let [out, err] = streams;
    if err.is_empty() { out.into_owned() } else { format!("{out}--- stderr\n{err}") }
}

/// Compares with the kept text; what was shown instead is written where the message says.
#[track_caller]
fn assert_shown(name: &str, url: &str, shown: &str) {
    let shown = shown.replace(url, "http://farebox");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shown").join(name);
    let expected = std::fs::read_to_string(&kept).unwrap_or_default();
    if shown != expected {
        let other = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(other.parent().unwrap()).unwrap();
        std::fs::write(&other, &shown).unwrap();
        panic!(
            "not as kept:\n{shown}\nwhere it is right: cp {} {}",
            other.display(),
            kept.display()
        );
    }
}

#[test]
fn what_is_shown_is_what_is_kept() {
    const ALL: Answers = &[
        ("/admin/v1/usage?by=label:team%2Cmodel", 200, LABELS),
        ("/admin/v1/usage", 200, REPORT),
        ("/admin/v1/keys", 200, KEYS),
        ("/admin/v1/audit", 200, AUDIT),
        ("/admin/v1/catalogue/lists/2026-11-30.7b52009b", 200, LOOK),
        ("/admin/v1/catalogue/lists/", 404, r#"{"error":{"code":"not_found","message":"no"}}"#),
        ("/admin/v1/catalogue/lists", 200, LISTS),
        ("/admin/v1/catalogue", 200, CATALOGUE),
        ("/admin/v1/admin-keys", 200, ADMIN_KEYS),
        ("/admin/v1/iam", 200, PRINCIPALS),
        ("/admin/v1/budget-requests", 200, ASKS),
        ("/admin/v1/models", 200, MODELS),
        ("/admin/v1/me", 200, ME),
        ("/admin/v1/users/lin", 200, USER),
        ("/admin/v1/session", 200, SESSION),
    ];
    const EMPTY: Answers = &[
        ("/healthz", 200, r#"{"status":"ok","catalog":"2026-11-23"}"#),
        ("/admin/v1/queues", 200, QUEUES),
        ("/admin/v1/session", 200, SESSION),
        ("/admin/v1/", 200, NOTHING),
    ];
    const STRANGER: Answers = &[(
        "/admin/v1/",
        403,
        r#"{"error":{"code":"forbidden","message":"The admin API needs an admin key."}}"#,
    )];
    for (name, answers, line) in [
        ("usage.txt", ALL, "usage --by team,model --since 2026-11"),
        ("usage.json", ALL, "usage --by team,model --since 2026-11 --json"),
        ("statement.csv", ALL, "statement --month 2026-11 --by team,model"),
        ("audit.txt", ALL, "audit -n 2"),
        ("keys.txt", ALL, "key list"),
        ("versions.txt", ALL, "price versions"),
        ("switch.txt", ALL, "price switch 2026-11-30.7b52009b"),
        ("built.txt", ALL, "price switch 2026-11-23.9f86d081"),
        ("admin-keys.txt", ALL, "admin-key list"),
        ("iam.txt", ALL, "iam list"),
        ("budget-requests.txt", ALL, "budget-request list --state open"),
        ("models.txt", ALL, "model list openai"),
        ("me.txt", ALL, "me show"),
        ("user.txt", ALL, "user show lin"),
        ("whoami.txt", ALL, "whoami"),
        ("label.csv", ALL, "statement --month 2026-11 --by label:team,model"),
        ("doctor.txt", EMPTY, "doctor"),
        ("stranger.txt", STRANGER, "usage --by model"),
        ("wrong.txt", STRANGER, "usage --by model --since 0d"),
    ] {
        let url = serve(owned(answers));
        let output = farebox(&url, line).output().expect("farebox runs");
        let shown = text(&output);
        // How long the answer took is another number each time.
        let shown = match shown.split_once("in ").zip(shown.split_once(" ms,")) {
            Some(((before, _), (_, after))) if name == "doctor.txt" => {
                format!("{before}in 1 ms,{after}")
            }
            _ => shown,
        };
        assert_shown(name, &url, &shown);
        let is_bad = ["stranger.txt", "wrong.txt", "built.txt"].contains(&name);
        assert_eq!(output.status.success(), !is_bad, "{name}");
    }
}

#[test]
fn a_list_is_read_to_its_last_page_or_not_told_at_all() {
    let page = |number: usize, next: Option<&str>| {
        let user = format!(r#"{{"id":"u{number}","created_at":"2026","version":"1"}}"#);
        let next = next.map_or("null".to_owned(), |next| format!("{next:?}"));
        format!(r#"{{"users":[{user}],"next_cursor":{next}}}"#)
    };
    let of = |cursor: &str| match cursor {
        "" => "/admin/v1/users".to_owned(),
        cursor => format!("/admin/v1/users?cursor={cursor}"),
    };
    let mut answers = Vec::new();
    for number in (0..450).rev() {
        let (own, next) = (format!("c{number:03}"), format!("c{:03}", number + 1));
        let (own, next) = (if number == 0 { "" } else { &own }, (number < 449).then_some(&*next));
        answers.push((of(own), 200, page(number, next)));
    }
    let output = farebox(&serve(answers), "user list --json").output().unwrap();
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["users"].as_array().unwrap().len(), 450, "more pages than anybody looks at");
    assert_eq!(list["next_cursor"], serde_json::Value::Null);

    let again = vec![(of("c"), 200, page(1, Some("c"))), (of(""), 200, page(0, Some("c")))];
    let part = vec![(of("c"), 200, "{}".to_owned()), (of(""), 200, page(0, Some("c")))];
    let refused = r#"{"error":{"code":"unavailable","message":"no"}}"#.to_owned();
    let ends = vec![(of("c"), 503, refused), (of(""), 200, page(0, Some("c")))];
    for (answers, says) in [(again, "never end"), (part, "not whole"), (ends, "unavailable")] {
        let output = farebox(&serve(answers), "user list --json").output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains(says), "{error}");
    }
}

#[test]
fn a_shell_completes_commands_and_what_stands_below_them() {
    let of = |shell: &str| {
        let output = farebox("http://127.0.0.1:9", &format!("completion {shell}")).output();
        let output = output.unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = of(shell);
        for name in ["farebox", "budget-request", "--json"] {
            let is_there = script.contains(name) || script.contains(name.trim_start_matches('-'));
            assert!(is_there, "{shell}: {name}");
        }
    }
    // Bash itself, where there is one.
    let typed = "source /dev/stdin; complete -p farebox >&2; COMP_WORDS=(farebox \"$@\"); \
                 COMP_CWORD=$#; _farebox farebox \"${!#}\" \"\"; echo \"${COMPREPLY[@]}\"";
    for (words, wanted) in [
        (&["req"][..], "requests"),
        (&["requests", "ta"], "tail"),
        (&["completion", "z"], "zsh"),
        (&["price", "set", "--per"], "--per-request"),
    ] {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", typed, "bash"]).args(words).stdin(Stdio::piped());
        let Ok(mut bash) = bash.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
            return;
        };
        bash.stdin.take().unwrap().write_all(of("bash").as_bytes()).unwrap();
        let done = bash.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), wanted, "{words:?}: {done:?}");
        let registered = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(registered.contains("-F _farebox") && registered.contains(" farebox"), "{done:?}");
    }
}

#[test]
fn a_pipe_gets_no_colour_and_a_terminal_gets_a_bold_head() {
    const ALL: Answers = &[("/admin/v1/usage", 200, REPORT)];
    let url = serve(owned(ALL));
    let line = "usage --by team,model --since 2026-11";
    let piped = farebox(&url, line).output().unwrap();
    assert!(!text(&piped).contains('\u{1b}'), "{}", text(&piped));

    let Some(shown) = in_terminal(&url, line, 100) else { return };

    assert!(shown.contains("\u{1b}[1mTEAM"), "{shown:?}");
    let plain = shown.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "").replace("\r\n", "\n");
    assert_eq!(plain.trim(), text(&piped).trim(), "and else the same");
}

/// Runs the command on a pseudo-terminal of so many columns; none where the machine has no
/// `script` of util-linux.
fn in_terminal(url: &str, line: &str, columns: u32) -> Option<String> {
    typed_in_terminal(url, line, columns, "")
}

/// The same, by somebody who answers the question when it is there.
fn typed_in_terminal(url: &str, line: &str, columns: u32, typed: &str) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let run = format!("stty cols {columns} rows 40; exec {} {line}", env!("CARGO_BIN_EXE_farebox"));
    let mut command = Command::new("script");
    command.args(["-qec", &run, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm");
    let scratch = support::logged_in(url);
    command.env("XDG_CONFIG_HOME", &scratch);
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take().filter(|_| !typed.is_empty());
    let (mut shown, mut buffer) = (String::new(), [0; 4096]);
    let mut stdout = child.stdout.take()?;
    while let Ok(count @ 1..) = stdout.read(&mut buffer) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if shown.contains("[y/N]\r\n") {
            drop(stdin.take().map(|mut stdin| stdin.write_all(typed.as_bytes())));
        }
    }
    child.wait().ok()?;
    drop(std::fs::remove_dir_all(scratch));
    Some(shown)
}

//! What is made is made once, whatever becomes of the answers: a gateway that has done what it was
//! asked for, and whose answers are lost on their way.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

mod support;

/// Every command that makes something.
const CREATES: [&str; 9] = [
    "key create --user u1",
    "key rotate k1 --grace 1h",
    "me key create",
    "me key rotate k1",
    "me budget-request create --reason more",
    "admin-key create --name Ann --role auditor",
    "admin-key rotate k1",
    "correct user:u1 --amount-usd -5 --reason refund",
    "correct --request A1 --cost-usd 0.5 --reason bill",
];

/// Something of everything that these are answered.
const ANSWER: &str = r#"{"id":"k1","user":"u1","name":"n","state":"active","clamp":"missing",
    "created_at":"2026-11-23T00:00:00Z","version":"7","role":"auditor","secret":"sk-fb-local-x",
    "reason":"more","status":"entered","scopes":["user:u1"],"amount_usd":"-5"}"#;
const BROKEN: &str = r#"{"error":{"code":"internal_error","message":"Broken."}}"#;
const REFUSED: &str = r#"{"error":{"code":"invalid_request_error","message":"No."}}"#;

/// What becomes of the answer to a `POST`.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// The connection ends instead.
    Lost,
    /// A status, and its body.
    Given(u16, &'static str),
}
use Answer::{Given, Lost};

/// A `POST` as it came: its `Idempotency-Key`, and its body.
#[derive(Debug, PartialEq)]
struct Asked(String, String);

/// Answers each `POST` as is said, the last of them for ever; what only looks gets its answer.
fn serve(answers: &[Answer]) -> (String, Receiver<Asked>) {
    let mut answers = answers.to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (head, body) = read(&mut stream);
            let mut answer = Given(200, ANSWER);
            if head.starts_with("POST ") {
                let key = head.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
                drop(tell.send(Asked(key.unwrap_or_default().to_owned(), body)));
                answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
            }
            let Given(status, body) = answer else { continue };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\netag: \"7\"\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            drop(stream.write_all(format!("{head}{body}").as_bytes()));
        }
    });
    (url, told)
}

fn read(stream: &mut TcpStream) -> (String, String) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    drop(stream.read_exact(&mut body));
    (head, String::from_utf8_lossy(&body).into_owned())
}

fn farebox(url: &str, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
    command.args(line.split_whitespace()).env_clear();
    let home = support::logged_in(url);
    let output = command.env("XDG_CONFIG_HOME", &home).stdin(Stdio::null()).output().unwrap();
    drop(std::fs::remove_dir_all(home));
    output
}

/// The key of so many requests, all with the same one and the same body.
#[track_caller]
fn key_of(told: &Receiver<Asked>, count: usize) -> String {
    let asked: Vec<_> = told.try_iter().collect();
    assert!(asked.len() == count && asked.iter().all(|one| *one == asked[0]), "{asked:?}");
    asked.into_iter().next().unwrap().0
}

/// Each of them beside the others, for they wait before they ask again.
fn each(of: impl Fn(&'static str) + Sync) {
    std::thread::scope(|all| {
        let of = &of;
        for line in CREATES {
            all.spawn(move || of(line));
        }
    });
}

#[test]
fn what_got_no_answer_is_asked_for_again_by_the_same_key() {
    each(|line| {
        let mut keys = Vec::new();
        for first in [Lost, Given(503, BROKEN), Given(504, "<html>"), Given(200, ANSWER)] {
            let (url, told) = serve(&[first, Given(200, ANSWER)]);

            let output = farebox(&url, line);

            assert!(output.status.success(), "{line}: {output:?}");
            keys.push(key_of(&told, if first == Given(200, ANSWER) { 1 } else { 2 }));
        }
        assert!(keys.iter().all(|key| key.len() == 32), "{line}: {keys:?}");
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 4, "{line}: each command has a key of its own");
    });
}

#[test]
fn who_gets_no_answer_at_all_is_told_how_to_ask_again() {
    each(|line| {
        let bad = [(Lost, Lost), (Given(500, BROKEN), Lost), (Lost, Given(429, REFUSED))];
        for (first, second) in bad {
            let (url, told) = serve(&[first, second]);
            let output = farebox(&url, line);
            assert!(!output.status.success() && output.stdout.is_empty(), "{line}: {output:?}");
            let key = key_of(&told, 2);
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(text.contains(&format!("--idempotency-key {key}, ")), "{line}: {text}");

            let (url, told) = serve(&[Given(200, ANSWER)]);
            let output = farebox(&url, &format!("{line} --idempotency-key {key}"));
            assert!(output.status.success(), "{line}: {output:?}");
            assert_eq!(key_of(&told, 1), key);
        }
    });
}

#[test]
fn what_is_refused_or_was_never_sent_is_not_asked_for_again() {
    let (url, told) = serve(&[Given(400, REFUSED)]);
    let output = farebox(&url, CREATES[0]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("No.") && !text.contains("--idempotency-key"), "{text}");
    key_of(&told, 1);

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = farebox(&format!("http://{gone}"), CREATES[0]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not reachable") && !text.contains("--idempotency-key"), "{text}");

    let output = farebox(&url, "key create --user u1 --idempotency-key é");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("printable ASCII"), "{text}");
    assert_eq!(told.try_recv().ok(), None);
}

#[test]
fn a_key_that_an_import_may_have_made_is_told() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("once.csv");
    std::fs::write(&file, "kind,id,user\nkey,ci,u1\n").unwrap();
    let keys = r#"{"keys":[],"next_cursor":null,"users":[]}"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if read(&mut stream).0.starts_with("POST ") {
                continue;
            }
            let length = keys.len();
            let head = format!("HTTP/1.1 200 X\r\ncontent-length: {length}\r\n");
            drop(stream.write_all(format!("{head}connection: close\r\n\r\n{keys}").as_bytes()));
        }
    });

    let output = farebox(&url, &format!("import csv {} --apply", file.display()));

    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("farebox key list --user u1; farebox key rotate ID"), "{text}");
}

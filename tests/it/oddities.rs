//! What a provider may send instead of an answer: what the caller is told, what is charged, what
//! is counted, and that nothing of it leaks. One row an oddity, each whole and streamed, in every
//! format in which providers speak, over real sockets.

use std::panic::AssertUnwindSafe;

use farebox_core::Money;
use farebox_tests::tap::Step;
use farebox_tests::{Answer, Caller, fresh, run, until, usd};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use crate::eventstream;
use crate::forms::{FORMS, Form, OTHERS};
use crate::stacks::shared;

/// What must not get out, what must be told, and where nobody must go.
struct Marks {
    /// In the bodies.
    canary: String,
    /// The stored credential, which the provider repeats.
    secret: String,
    /// The provider's id of the request, and the header that tells it.
    id: String,
    id_header: &'static str,
    /// A user of the tap to whom redirects lead.
    trap: String,
    /// Its address.
    elsewhere: String,
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    /// An error with this status.
    Error(u16),
    /// A stream that has begun and ends in an error.
    Within,
    /// The answer.
    Answer,
}
use Told::{Answer as Whole, Error as Plain, Within};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Charge {
    Hold,
    Nothing,
}
use Charge::{Hold, Nothing};

/// The provider's bytes for a format, whole or streamed.
type Bytes = fn(&Form, &Marks, bool) -> Vec<u8>;

/// One row: its name, what is told of a whole answer and of a stream, what is charged, what is
/// counted, and the bytes.
type Row = (&'static str, [Told; 2], Charge, &'static str, Bytes);

const PLAIN: [Told; 2] = [Plain(502), Plain(502)];
const GOOD: [Told; 2] = [Whole, Whole];

const ROWS: &[Row] = &[
    ("a redirect", PLAIN, Hold, "redirect", |_, marks, _| redirect(302, marks)),
    ("a redirect that keeps the method", PLAIN, Hold, "redirect", |_, m, _| redirect(307, m)),
    ("a permanent redirect", PLAIN, Hold, "redirect", |_, marks, _| redirect(308, marks)),
    ("a page with status 502", PLAIN, Hold, "status", |_, marks, _| {
        answer("502 Bad Gateway", "text/html", marks, page(marks).as_bytes())
    }),
    ("an error with status 529", PLAIN, Hold, "status", |_, marks, _| {
        let body = json!({"error": {"message": marks.canary, "type": "overloaded_error"}});
        answer("529 Overloaded", "application/json", marks, body.to_string().as_bytes())
    }),
    ("a status that there is not", PLAIN, Hold, "status", |_, marks, _| {
        answer("999 Odd", "text/plain", marks, marks.canary.as_bytes())
    }),
    ("a page", PLAIN, Hold, "unreadable", |_, m, _| ok("text/html", m, page(m).as_bytes())),
    ("nothing", PLAIN, Hold, "unreadable", |_, m, s| ok(kind(s), m, b"")),
    ("no content", PLAIN, Hold, "unreadable", |_, marks, _| {
        format!("HTTP/1.1 204 No Content\r\n{}\r\n", headers(marks)).into_bytes()
    }),
    ("JSON of something else", PLAIN, Hold, "unreadable", |_, marks, stream| {
        ok(kind(stream), marks, json!({"hello": marks.canary}).to_string().as_bytes())
    }),
    ("truncated JSON", PLAIN, Hold, "unreadable", |form, marks, stream| {
        let whole = with_canary(&(form.whole)(&form.usage(json!(5), json!(2))), marks);
        let half = whole.get(..whole.len() - 9).unwrap();
        let body = if stream { format!("data: {half}\n\n") } else { half.to_owned() };
        ok(kind(stream), marks, body.as_bytes())
    }),
    ("bytes that are no text", PLAIN, Hold, "unreadable", |_, marks, stream| {
        let body = [b"data: {\"id\":\"\xff\xfe".as_slice(), marks.canary.as_bytes(), b"\"}\n\n"];
        ok(kind(stream), marks, &body.concat())
    }),
    ("wrong types", PLAIN, Hold, "unreadable", |form, marks, stream| {
        let mut body = (form.whole)(&form.usage(json!(5), json!(2)));
        body[form.list] = json!(marks.canary);
        if form.name == "responses" && stream {
            body = json!({"type": "response.completed", "response": marks.canary});
        }
        if form.provider == "anthropic" {
            body["type"] = if stream { json!("message_start") } else { json!("message") };
            body["message"] = json!(marks.canary);
        }
        let body = body.to_string();
        let body = if stream { format!("data: {body}\n\n") } else { body };
        ok(kind(stream), marks, body.as_bytes())
    }),
    ("a compressed answer", PLAIN, Hold, "unreadable", |_, marks, _| {
        let body = [b"\x1f\x8b\x08\0\0\0\0\0".as_slice(), marks.canary.as_bytes()].concat();
        answer("200 OK\r\ncontent-encoding: gzip", "application/json", marks, &body)
    }),
    ("an error with a good status", PLAIN, Hold, "reported", |form, marks, stream| {
        ok(kind(stream), marks, &form.bytes(&error_event(form, marks, stream)))
    }),
    ("an error after the first words", [Plain(502), Within], Hold, "reported", |form, m, s| {
        let (events, said) = (form.events)(&form.usage(json!(5), json!(2)));
        let before = if s { events[..said].concat() } else { String::new() };
        let bytes = [form.bytes(&before), form.bytes(&error_event(form, m, s))].concat();
        ok(kind(s), m, &bytes)
    }),
    ("an answer that is cut", [Plain(502), Within], Hold, "cut", |form, marks, stream| {
        let (events, said) = (form.events)(&form.usage(json!(5), json!(2)));
        let whole = with_canary(&(form.whole)(&Value::Null), marks);
        let body = if stream { events[..said].concat() } else { whole };
        let body = form.bytes(&body);
        promised(kind(stream), marks, &body, body.len() + 99)
    }),
    ("a stream that ends too soon", [Plain(502), Within], Hold, "", |form, marks, stream| {
        let (events, said) = (form.events)(&form.usage(json!(5), json!(2)));
        let body = if stream { events[..said].concat() } else { String::new() };
        ok(kind(stream), marks, &form.bytes(&body))
    }),
    ("no HTTP", PLAIN, Hold, "no_answer", |_, marks, _| {
        format!("SSH-2.0-OpenSSH_9.9 {}\r\n", marks.canary).into_bytes()
    }),
    ("a connection that ends", PLAIN, Hold, "no_answer", |_, _, _| Vec::new()),
    ("a head without an end", PLAIN, Hold, "no_answer", |_, marks, _| {
        let header = format!("x-odd: {}\r\n", marks.canary.repeat(40));
        ["HTTP/1.1 200 OK\r\n", &header.repeat(1_000), "\r\n"].concat().into_bytes()
    }),
    ("an answer above every bound", PLAIN, Hold, "too_long", |_, marks, stream| {
        // One line of 10 MB of a stream; a whole answer may be longer.
        let bytes = if stream { 10_000_000 } else { 34_000_000 };
        let line = format!("data: {{\"id\":\"{}{}\"}}\n\n", marks.canary, "x".repeat(bytes));
        ok(kind(stream), marks, line.as_bytes())
    }),
    ("no usage", GOOD, Hold, "usage_missing", |f, m, s| good(f, m, s, &Value::Null)),
    ("a count below zero", GOOD, Hold, "usage_missing", |form, marks, stream| {
        good(form, marks, stream, &form.usage(json!(-5), json!(2)))
    }),
    ("an absurd count", GOOD, Hold, "unpriced_usage", |form, marks, stream| {
        good(form, marks, stream, &form.usage(json!(5), json!(2_000_000_000_000_u64)))
    }),
    ("a count beyond every integer", GOOD, Hold, "usage_missing", |form, marks, stream| {
        let many: Value = serde_json::from_str("1e300").unwrap();
        good(form, marks, stream, &form.usage(many, json!(2)))
    }),
    ("a count that is a text", GOOD, Hold, "usage_missing", |form, marks, stream| {
        good(form, marks, stream, &form.usage(json!("many"), json!(2)))
    }),
    ("a flipped bit", [Plain(502), Within], Hold, "unreadable", |form, marks, stream| {
        // In a text it takes a brace away, in a binary message it makes the checksum wrong.
        let (events, said) = (form.events)(&form.usage(json!(5), json!(2)));
        let mut body = match stream {
            true => form.bytes(&events[..=said].concat()),
            false => with_canary(&(form.whole)(&Value::Null), marks).into_bytes(),
        };
        let at = body.iter().rposition(|byte| *byte == b'}').unwrap();
        body[at] ^= 1;
        ok(kind(stream), marks, &body)
    }),
    ("a key that is refused", PLAIN, Nothing, "", |_, marks, _| {
        let error = json!({"type": "authentication_error",
            "message": format!("Incorrect API key provided: {} {}", marks.secret, marks.canary)});
        let body = json!({"type": "error", "error": error});
        answer("401 No", "application/json", marks, body.to_string().as_bytes())
    }),
];

/// Whether the formats have no part in it: one of them is asked then.
fn is_alike(row: &Row) -> bool {
    ["redirect", "status", "no_answer", "too_long"].contains(&row.3)
}

fn kind(stream: bool) -> &'static str {
    if stream { "text/event-stream" } else { "application/json" }
}

fn headers(marks: &Marks) -> String {
    let Marks { id, id_header, secret, canary, .. } = marks;
    format!("{id_header}: {id}\r\nx-echo: Bearer {secret} {canary}\r\nconnection: close\r\n")
}

fn promised(kind: &str, marks: &Marks, body: &[u8], length: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{}\r\n",
        headers(marks)
    );
    [head.as_bytes(), body].concat()
}

fn ok(kind: &str, marks: &Marks, body: &[u8]) -> Vec<u8> {
    promised(kind, marks, body, body.len())
}

fn answer(status: &str, kind: &str, marks: &Marks, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{}\r\n",
        body.len(),
        headers(marks)
    );
    [head.as_bytes(), body].concat()
}

fn redirect(status: u16, marks: &Marks) -> Vec<u8> {
    let status = format!("{status} Elsewhere\r\nlocation: {}", marks.elsewhere);
    answer(&status, "text/html", marks, page(marks).as_bytes())
}

fn page(marks: &Marks) -> String {
    let Marks { canary, secret, .. } = marks;
    format!("<!DOCTYPE html>\n<html><body>\n<h1>{canary}</h1>\n{secret}\n</body></html>\n")
}

/// An answer whose words are the canary.
fn with_canary(answer: &Value, marks: &Marks) -> String {
    answer.to_string().replace("\"hi\"", &format!("\"{}\"", marks.canary))
}

/// An error as the format tells one, which repeats the credential.
fn error_event(form: &Form, marks: &Marks, stream: bool) -> String {
    let message = format!("Overloaded, and the key was {}", marks.secret);
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "code": 503,
        "status": "UNAVAILABLE", "message": message}});
    match (stream, form.provider) {
        (false, _) => error.to_string(),
        (true, "anthropic") => format!("event: error\ndata: {error}\n\n"),
        (true, "bedrock") => {
            let headers =
                [(":exception-type", "modelStreamErrorException"), (":message-type", "exception")];
            let frame = eventstream::message(&headers, &json!({"message": message}));
            frame.into_iter().map(char::from).collect()
        }
        (true, _) => format!("data: {error}\n\n"),
    }
}

/// A good answer with this usage.
fn good(form: &Form, marks: &Marks, stream: bool, usage: &Value) -> Vec<u8> {
    let body = match stream {
        true => (form.events)(usage).0.concat(),
        false => {
            let mut body = (form.whole)(usage);
            if usage.is_null() {
                body.as_object_mut().unwrap().remove(form.counts[2]);
            }
            body.to_string()
        }
    };
    ok(kind(stream), marks, &form.bytes(&body))
}

/// What came of one row in one format.
struct Came {
    what: String,
    row: &'static Row,
    stream: bool,
    marks: Marks,
    caller: Caller<'static>,
    form: &'static Form,
    answer: Answer,
}

async fn come(row: &'static Row, form: &'static Form, stream: bool) -> Came {
    let caller = Caller::new(shared().await).await;
    let tap = caller.stack().tap();
    let trap = fresh("trap");
    let marks = Marks {
        canary: fresh("canary-odd-"),
        secret: fresh("sk-odd-secret-"),
        id: fresh("req-odd-"),
        id_header: form.id_header,
        elsewhere: tap.base_url(&trap),
        trap,
    };
    // Who gets there is heard.
    tap.script(&marks.trap, vec![Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())]);
    let steps = vec![Step::Send((row.4)(form, &marks, stream))];
    let answer = form.send(&caller, &marks.secret, stream, steps).await;
    let what = format!("{}, {} {}", row.0, form.name, if stream { "streamed" } else { "whole" });
    Came { what, row, stream, marks, caller, form, answer }
}

impl Came {
    fn told(&self) -> Told {
        self.row.1[usize::from(self.stream)]
    }

    /// What the provider's own id of the request is told by.
    fn has_id(&self) -> bool {
        // Without a head there is none.
        self.row.3 != "no_answer"
    }

    fn assert_told(&self) {
        let Self { what, answer, .. } = self;
        let text = answer.text();
        match self.told() {
            Plain(status) => {
                assert_eq!(answer.code(), status, "{what}: {text}");
                assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
                let is_error = (self.form.is_error)(&answer.json(), status)
                    || self.row.2 == Nothing && text.contains("credential stored for it");
                assert!(is_error, "{what}: {text}");
                let retry = if self.row.2 == Nothing { None } else { Some("false") };
                assert!(retry.is_none() || answer.header("x-should-retry") == retry, "{what}");
            }
            Within => {
                assert_eq!(answer.code(), 200, "{what}: {text}");
                let last = answer.json_events().pop().unwrap();
                assert!((self.form.is_error)(&last, 502), "{what}: {text}");
            }
            Whole => {
                assert_eq!(answer.code(), 200, "{what}: {text}");
                let said = self.form.provider == "gemini" || text.contains("hi") || self.stream;
                assert!(said && !text.contains("provider_unavailable"), "{what}: {text}");
            }
        }
        let id = answer.header("x-farebox-provider-request-id");
        assert_eq!(id, self.has_id().then_some(self.marks.id.as_str()), "{what}: the id");
        for needle in [&self.marks.canary, &self.marks.secret] {
            assert!(!text.contains(needle.as_str()), "{what}: {needle} in {text}");
            let headers = format!("{:?}", answer.headers);
            assert!(!headers.contains(needle.as_str()), "{what}: {needle} in {headers}");
        }
    }

    async fn assert_booked(&self) {
        let Self { what, caller, answer, .. } = self;
        assert_eq!(caller.posts().len(), 1, "{what}: one POST");
        assert!(caller.stack().tap().seen(&self.marks.trap).is_empty(), "{what}: followed");
        let id = answer.header("x-request-id").unwrap();
        let row = caller.stack().read(&format!("/requests/{id}")).await;
        let hold = usd(row["hold_usd"].as_str().unwrap());
        let (outcome, charged) = match self.row.2 {
            Hold => ("worst", hold),
            Nothing => ("void_inferred", Money::ZERO),
        };
        assert!(hold > Money::ZERO, "{what}: {row}");
        assert_eq!(row["outcome"], outcome, "{what}: {row}");
        assert_eq!(usd(row["cost_usd"].as_str().unwrap()), charged, "{what}: {row}");
        assert_eq!(row["http_status"], answer.code(), "{what}: {row}");
        let theirs = self.has_id().then_some(self.marks.id.as_str());
        assert_eq!(row["provider_request_id"].as_str(), theirs, "{what}: {row}");
        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), charged, "{what}: {}", books.scope);
        }
    }

    fn is_bedrock_stream(&self) -> bool {
        self.form.provider == "bedrock" && self.stream
    }

    /// Whether a line of the log counts the oddity of this call.
    fn is_counted(&self, log: &str) -> bool {
        let counted = match self.row.3 {
            "" => return true,
            // A format that has no word for an error in an answer cannot read one: it is no answer,
            // or ends what came before it. Bedrock's stream has one, its whole answer has not.
            "reported" if !self.form.reports && !self.is_bedrock_stream() => {
                let fault = if self.answer.code() == 200 { "cut" } else { "unreadable" };
                format!("\"metric\":\"provider_fault\",\"fault\":\"{fault}\"")
            }
            metric if self.told() == Whole => format!("\"metric\":\"{metric}\""),
            fault => format!("\"metric\":\"provider_fault\",\"fault\":\"{fault}\""),
        };
        let id = self.answer.header("x-request-id").unwrap();
        log.lines().any(|line| line.contains(id) && line.contains(&counted))
    }
}

#[test]
fn an_odd_provider_is_told_charged_and_counted_and_nothing_of_it_leaks() {
    run(async {
        let each = ROWS.iter().enumerate().flat_map(|(at, row)| {
            let forms = FORMS.iter().chain(&OTHERS).enumerate();
            let count = FORMS.len() + OTHERS.len();
            let forms = forms.filter(move |(form, _)| !is_alike(row) || *form == at % count);
            forms.flat_map(move |(_, form)| {
                let ways = [(row, form, false), (row, form, true)];
                ways.into_iter().filter(|(_, form, stream)| form.streams || !stream)
            })
        });
        let came = stream::iter(each).map(|(row, form, stream)| come(row, form, stream));
        let came: Vec<_> = came.buffer_unordered(6).collect().await;
        assert!(came.len() > 250, "{} calls", came.len());
        let stack = shared().await;
        stack.drain().await;

        let mut wrong = Vec::new();
        for one in &came {
            let asserted = async {
                one.assert_told();
                one.assert_booked().await;
            };
            // All of the table is told, not its first fault.
            if AssertUnwindSafe(asserted).catch_unwind().await.is_err() {
                wrong.push(&one.what);
            }
        }
        assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), came.len());
        // The last of the lines is on its way through a pipe.
        let is_there =
            || async { came.iter().all(|one| one.is_counted(&stack.log())).then_some(()) };
        let counted = AssertUnwindSafe(until("the oddities are counted", is_there));
        if counted.catch_unwind().await.is_err() {
            let log = stack.log();
            let missing = came.iter().filter(|one| !one.is_counted(&log));
            let lines = |id: &str| -> Vec<_> {
                let lines = log.lines().filter(|line| line.contains(id));
                lines.filter(|line| line.contains("metric")).map(str::to_owned).collect()
            };
            let told =
                |one: &Came| (one.what.clone(), lines(one.answer.header("x-request-id").unwrap()));
            panic!("not counted: {:#?}", missing.map(told).collect::<Vec<_>>());
        }
        let (log, tables) = (stack.log(), stack.all_tables().await);
        for one in &came {
            for needle in [&one.marks.canary, &one.marks.secret] {
                for (place, text) in [("the log", &log), ("a table", &tables)] {
                    assert!(!text.contains(needle.as_str()), "{}: {needle} in {place}", one.what);
                }
            }
        }
        assert!(!log.contains("panicked"), "a panic in the log");
    });
}

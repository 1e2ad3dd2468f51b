//! What goes over the wire: one request each time one is performed, whatever the server does.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use farebox_aws::expression::{Failure, Store, Written};
use farebox_aws::{Ask, Aws, Config, Ledger, random};
use farebox_core::{Decision, Money, Scope};
use farebox_ledger::{Answer, Key, Table, Update, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request, once it has read it to its end.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    AnswerAndClose,
    Close,
    Nothing,
    Fail(u16),
}

/// A server that follows a script and counts.
struct Server {
    url: String,
    posts: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(script: &[Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script: VecDeque<Does> = script.iter().copied().collect();
        let script = Arc::new(Mutex::new(script));
        let (posts, connections) = (Arc::default(), Arc::default());
        let server = Self { url, posts: Arc::clone(&posts), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (script, posts) = (Arc::clone(&script), Arc::clone(&posts));
                tokio::spawn(async move {
                    serve(socket, &posts, || script.lock().unwrap().pop_front()).await;
                });
            }
        });
        server
    }

    fn counts(&self) -> (usize, usize) {
        (self.posts.load(Ordering::SeqCst), self.connections.load(Ordering::SeqCst))
    }
}

async fn serve(mut socket: TcpStream, posts: &AtomicUsize, next: impl Fn() -> Option<Does>) {
    while read_request(&mut socket).await {
        posts.fetch_add(1, Ordering::SeqCst);
        let does = next().unwrap_or(Does::Answer);
        let status = match does {
            Does::Answer | Does::AnswerAndClose => 200,
            Does::Fail(status) => status,
            Does::Close => return,
            Does::Nothing => {
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                return;
            }
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\n\
             content-length: 2\r\n\r\n{{}}"
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
        if matches!(does, Does::AnswerAndClose) {
            return;
        }
    }
}

/// Reads one whole POST; false where the client is gone.
async fn read_request(socket: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("POST "), "{head}");
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap() {
                return true;
            }
        }
        match socket.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

fn aws(url: &str, clock_file: Option<&str>) -> Aws {
    let config = Config::from_lookup(|variable| match variable {
        "FAREBOX_CLOCK_FILE" => clock_file.map(str::to_owned),
        "FAREBOX_QUEUE_URL" | "FAREBOX_SECRET_PREFIX" => Some("local".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
        name if name.ends_with("_TABLE") || name.ends_with("_SECRET") => Some("local".to_owned()),
        "AWS_REGION" => Some("eu-central-1".to_owned()),
        endpoint if endpoint.starts_with("AWS_ENDPOINT") => Some(url.to_owned()),
        _ => None,
    });
    Aws::new(config.unwrap())
}

fn write() -> Update {
    Update {
        key: Key { table: Table::Ledger, pk: "B#main#user:u1".to_owned(), sk: "0".to_owned() },
        write: Write::Update("SET a = :a".to_owned()),
        condition: String::new(),
        names: Vec::new(),
        values: vec![(":a".to_owned(), farebox_ledger::Attr::N(1))],
    }
}

async fn perform(store: &Store) -> Written {
    store.write(&write()).await
}

#[tokio::test]
async fn a_connection_is_used_again_while_the_server_keeps_it() {
    let server = Server::start(&[]).await;
    let store = Store::money(&aws(&server.url, None));

    for _ in 0..3 {
        assert_eq!(perform(&store).await.answer, Answer::Applied);
    }

    assert_eq!(server.counts(), (3, 1));
}

#[tokio::test]
async fn a_pooled_connection_that_the_server_closed_costs_no_request() {
    let server = Server::start(&[Does::AnswerAndClose, Does::AnswerAndClose]).await;
    let store = Store::money(&aws(&server.url, None));

    for _ in 0..3 {
        assert_eq!(perform(&store).await.answer, Answer::Applied);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    assert_eq!(server.counts(), (3, 3));
}

#[tokio::test]
async fn a_request_that_a_pooled_connection_swallowed_is_not_sent_again() {
    let server = Server::start(&[Does::Answer, Does::Close]).await;
    let store = Store::money(&aws(&server.url, None));
    perform(&store).await;

    let swallowed = perform(&store).await;

    assert_eq!(swallowed.answer, Answer::Ambiguous);
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(server.counts(), (2, 1), "two performed, two on the wire");
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_or_fails_is_not_tried_again_either() {
    for (does, expected) in [
        (Does::Close, Answer::Ambiguous),
        (Does::Fail(500), Answer::Ambiguous),
        (Does::Fail(503), Answer::Ambiguous),
        (Does::Fail(429), Answer::Throttled),
        (Does::Nothing, Answer::Ambiguous),
    ] {
        let server = Server::start(&[does]).await;
        let store = Store::money(&aws(&server.url, None));

        assert_eq!(perform(&store).await.answer, expected);
        assert_eq!(server.counts(), (1, 1));
    }
}

#[tokio::test]
async fn no_connection_is_definite() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);

    let written = perform(&Store::money(&aws(&url, None))).await;

    assert_eq!(written.answer, Answer::Throttled);
    assert!(matches!(written.failure, Some(Failure::NotSent(_))), "{:?}", written.failure);
}

#[tokio::test]
async fn a_thaw_drops_pooled_connections() {
    let file = std::env::temp_dir().join(format!("farebox-thaw-{}", random()));
    std::fs::write(&file, "0").unwrap();
    let server = Server::start(&[]).await;
    let store = Store::money(&aws(&server.url, file.to_str()));
    perform(&store).await;
    perform(&store).await;
    assert_eq!(server.counts(), (2, 1));

    std::fs::write(&file, "21000").unwrap();
    perform(&store).await;

    std::fs::remove_file(file).unwrap();
    assert_eq!(server.counts(), (3, 2));
}

#[tokio::test]
async fn a_ledger_that_cannot_be_reached_refuses_and_leaves_nothing_to_end() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let aws = aws(&url, None);
    let scopes: Vec<Scope> = vec!["user:u1".parse().unwrap(), "key:k1".parse().unwrap()];

    let reserved =
        Ledger::new(&aws).reserve(&scopes, aws.new_rid(), Ask::worst(Money::ONE_PICO), None).await;

    let Err(refusal) = reserved else { panic!("held: {:?}", Decision::Void) };
    assert_eq!(refusal.error.row().status, 503);
    assert!(refusal.parts.is_empty() && !refusal.restart);
}

//! Keys, routes, concurrency, and connections that end.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn two_hundred_calls_at_once_are_all_on_the_bill() {
    let address = start(quick()).await;
    let calls: Vec<_> = (0..200)
        .map(|_| tokio::spawn(async move { ask_openai(address, &said("exact", "storm")).await }))
        .collect();

    for call in calls {
        assert_eq!(call.await.expect("a call").status, 200);
    }

    let bytes = u128::try_from(said("exact", "storm").to_string().len()).expect("small");
    let bill = bill(address).await;
    assert_eq!((&bill["calls"], &bill["posts"]), (&json!(200), &json!(200)));
    assert_eq!(
        bill["usd"],
        crate::provider::bill::usd(200 * (bytes * 1_000_000 + 200 * 10_000_000))
    );
}

#[tokio::test]
async fn a_wrong_key_gets_the_providers_401() {
    let address = start(quick()).await;
    let body = said("chat", "hello").to_string();
    let length = body.len();
    let ask = |path: &str, key: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: d\r\nconnection: close\r\n{key}\
             content-length: {length}\r\n\r\n{body}"
        )
    };

    let none = send(address, &ask("/v1/chat/completions", "")).await;
    let wrong = send(address, &ask("/v1/chat/completions", "authorization: Bearer no\r\n")).await;
    let other = send(address, &ask("/v1/messages", "x-api-key: no\r\n")).await;
    let right = send(address, &ask("/v1/chat/completions", "x-api-key: demo-key\r\n")).await;

    assert_eq!((none.status, &none.json()["error"]["code"]), (401, &Value::Null));
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (401, &json!("invalid_api_key")));
    assert_eq!(other.status, 401);
    assert_eq!(other.json()["error"]["type"], "authentication_error");
    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn hang_waits_for_the_client_to_go() {
    let address = start(quick()).await;
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let body = said("hang", "hello").to_string();

    stream.write_all(request("POST", "/v1/chat/completions", &body, "").as_bytes()).await.unwrap();
    let answered = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    drop(stream);

    assert!(answered.is_err());
    let bill = bill(address).await;
    assert_eq!(bill["entries"][0]["outcome"], "hung");
    assert_eq!(bill["usd"], "0");
}

#[tokio::test]
async fn close_answers_once_and_counts_the_post_that_it_swallows() {
    let address = start(quick()).await;
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let body = said("close", "hello").to_string();
    let post = request("POST", "/v1/chat/completions", &body, "");

    stream.write_all(post.as_bytes()).await.unwrap();
    let mut bytes = vec![0; 64 * 1024];
    let first = stream.read(&mut bytes).await.unwrap();
    stream.write_all(post.as_bytes()).await.unwrap();
    let second = stream.read(&mut bytes).await.unwrap_or(0);

    assert!(first > 0);
    assert_eq!(second, 0);
    let bill = bill(address).await;
    assert_eq!((&bill["posts"], &bill["calls"]), (&json!(2), &json!(2)));
    assert_eq!(bill["entries"][1]["outcome"], "closed");
    assert_eq!(bill["entries"][1]["usd"], "0");
}

#[tokio::test]
async fn models_are_listed_in_the_dialect_asked_for_and_the_bill_resets() {
    let address = start(quick()).await;
    let end = "connection: close\r\n";
    let version = "connection: close\r\nanthropic-version: 2023-06-01\r\n";

    let openai_list = send(address, &request("GET", "/v1/models", "", end)).await.json();
    let anthropic_list = send(address, &request("GET", "/v1/models", "", version)).await.json();
    let one = send(address, &request("GET", "/v1/models/chat", "", end)).await;
    let none = send(address, &request("GET", "/v1/models/x", "", end)).await;
    let lost = send(address, &request("POST", "/v1/x", "", end)).await;
    let wrong = send(address, &request("GET", "/v1/chat/completions", "", end)).await;

    assert_eq!(openai_list["object"], "list");
    assert_eq!(openai_list["data"][0]["id"], "chat");
    assert_eq!(anthropic_list["first_id"], "claude");
    assert_eq!((one.status, none.status, lost.status, wrong.status), (200, 404, 404, 405));
    ask_openai(address, &said("chat", "hello")).await;
    let reset = send(address, &request("POST", "/bill/reset", "", end)).await.json();
    assert_eq!((&reset["calls"], &reset["posts"]), (&json!(0), &json!(0)));
    assert_eq!(bill(address).await["entries"], json!([]));
}

#[tokio::test]
async fn shutdown_ends_a_connection_that_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, quick(), async { drop(stopped.await) }));
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let body = said("hang", "hello").to_string();
    stream.write_all(request("POST", "/v1/chat/completions", &body, "").as_bytes()).await.unwrap();
    while bill(address).await["calls"] == 0 {}

    stop.send(()).expect("a server that listens");

    server.await.expect("a server").expect("a clean end");
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

//! The admin API against a real DynamoDB engine and a minimal Secrets Manager, over sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may stop at the first surprise"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use dynoxide::Database;
use farebox_admin::{Gate, answer};
use farebox_aws::control::{Control, Entry, Trail};
use farebox_aws::{Aws, Config};
use lambda_http::http::Request;
use lambda_http::{Body, RequestExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ADMIN_KEY: &str = "sk-fba-0123456789abcdefghijklmnopqrstuvwxyz-_ABCDE";

type Secrets = Arc<Mutex<HashMap<String, String>>>;

struct World {
    gate: Gate,
    secrets: Secrets,
}

struct Reply {
    status: u16,
    etag: String,
    body: Value,
}

impl World {
    async fn new() -> Self {
        let dynamodb = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dynamodb_url = format!("http://{}", dynamodb.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(dynamodb, Database::memory().unwrap()));
        let secrets = Secrets::default();
        secrets.lock().unwrap().insert("admin".into(), ADMIN_KEY.into());
        secrets.lock().unwrap().insert("pepper".into(), "p".repeat(64));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let secrets_url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve_secrets(listener, Arc::clone(&secrets)));

        let config = Config::from_lookup(|name| {
            let value = match name {
                "FAREBOX_LEDGER_TABLE" => "ledger",
                "FAREBOX_MAIN_TABLE" => "main",
                "FAREBOX_LOGS_TABLE" => "logs",
                "FAREBOX_QUEUE_URL" => "http://127.0.0.1:1/q",
                "FAREBOX_STAGE" => "local",
                "FAREBOX_SECRET_PREFIX" => "farebox/test",
                "FAREBOX_PEPPER_SECRET" => "pepper",
                "FAREBOX_ADMIN_KEY_SECRET" => "admin",
                "FAREBOX_ALLOWED_ORIGINS" => "http://127.0.0.1:4000",
                "AWS_REGION" => "us-east-1",
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "test",
                "AWS_ENDPOINT_URL_DYNAMODB" => dynamodb_url.as_str(),
                "AWS_ENDPOINT_URL_SECRETS_MANAGER" => secrets_url.as_str(),
                _ => return None,
            };
            Some(value.to_owned())
        });
        let aws = Aws::new(config.unwrap());
        for table in ["ledger", "main"] {
            create_table(&dynamodb_url, table).await;
        }
        Self { gate: Gate::new(&aws), secrets }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        self.ask_with(method, path, body, ADMIN_KEY, None).await
    }

    async fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: Value,
        key: &str,
        if_match: Option<&str>,
    ) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://x{path}"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        let body = if body.is_null() { Body::Empty } else { Body::from(body.to_string()) };
        let query: HashMap<String, Vec<String>> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]))
            .collect();
        let request = request.body(body).unwrap().with_raw_http_path(path);
        let response = answer(&self.gate, request.with_query_string_parameters(query)).await;
        assert_eq!(response.headers()["x-request-id"].len(), 26);
        let etag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = match response.into_body() {
            Body::Text(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            _ => Value::Null,
        };
        Reply { status, etag: etag.unwrap_or_default(), body }
    }

    fn secret(&self, name: &str) -> String {
        self.secrets.lock().unwrap().get(name).cloned().unwrap_or_default()
    }
}

async fn create_table(url: &str, table: &str) {
    let body = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    });
    let body = body.to_string();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         x-amz-target: DynamoDB_20120810.CreateTable\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=00\r\nx-amz-date: 20260101T000000Z\r\n\
         content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");
}

/// `GetSecretValue`, `PutSecretValue` and `CreateSecret`, one request a connection at a time.
async fn serve_secrets(listener: TcpListener, secrets: Secrets) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_connection(stream, Arc::clone(&secrets)));
    }
}

async fn serve_connection(mut stream: TcpStream, secrets: Secrets) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
            found.map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let wanted: usize = field("content-length").parse().unwrap_or(0);
        if body.len() < wanted {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        }
        let (status, answer) = perform(&field("x-amz-target"), body, &secrets);
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\n\
             content-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        bytes.clear();
    }
}

fn perform(target: &str, body: &str, secrets: &Secrets) -> (u16, Value) {
    let body: Value = serde_json::from_str(body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let mut secrets = secrets.lock().unwrap();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let id = if operation == "CreateSecret" { text("Name") } else { text("SecretId") };
    if operation != "CreateSecret" && !secrets.contains_key(&id) {
        return (400, json!({"__type": "ResourceNotFoundException", "message": "none"}));
    }
    if operation != "GetSecretValue" {
        secrets.insert(id.clone(), text("SecretString"));
    }
    (200, json!({"Name": id, "SecretString": secrets[&id]}))
}

#[tokio::test]
async fn a_user_gets_a_key_that_knows_its_credentials() {
    let world = World::new().await;
    let none = Value::Null;

    assert_eq!(world.ask("PUT", "/admin/v1/orgs/o1", json!({})).await.status, 200);
    let user = world.ask("PUT", "/admin/v1/users/u1", json!({"name": "Ann", "org": "o1"})).await;
    assert_eq!((user.status, user.body["org"].as_str()), (200, Some("o1")), "{}", user.body);
    let body = json!({"secret": "sk-org"});
    let set = world.ask("PUT", "/admin/v1/credentials/org:o1/openai", body).await;
    assert_eq!((set.status, set.body["state"].as_str()), (200, Some("active")), "{}", set.body);

    let body = json!({"user": "u1", "name": "ci", "models": ["openai/*"], "max_cost_usd": "0.5"});
    let made = world.ask("POST", "/admin/v1/keys", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let secret = made.body["secret"].as_str().unwrap();
    let key = farebox_core::GatewayKey::parse(secret).unwrap();
    assert_eq!(made.body["id"].as_str(), Some(key.id.as_str()));

    // The user's own goes before the organisation's, and the version rises.
    let read = world.gate_key(&key.id).await;
    assert_eq!(read.providers["openai"], "org:o1");
    let body = json!({"secret": "sk-own", "base_url": "http://127.0.0.1:4000/v1/"});
    let set = world.ask("PUT", "/admin/v1/credentials/u1/openai", body).await;
    assert_eq!(set.body["base_url"].as_str(), Some("http://127.0.0.1:4000/v1"), "{}", set.body);
    let after = world.gate_key(&key.id).await;
    assert_eq!(after.providers["openai"], "user:u1");
    assert!(after.cv > read.cv);
    let stored = world.secret("farebox/test/credentials/user/u1");
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored["openai"]["secret"], "sk-own");

    // Disabled: erased, and the organisation's is used again.
    let gone = world.ask("DELETE", "/admin/v1/credentials/u1/openai", none.clone()).await;
    assert_eq!((gone.status, gone.body["state"].as_str()), (200, Some("disabled")));
    assert_eq!(world.secret("farebox/test/credentials/user/u1"), "{}");
    assert_eq!(world.gate_key(&key.id).await.providers["openai"], "org:o1");
    let list = world.ask("GET", "/admin/v1/credentials?user=u1", none.clone()).await;
    assert_eq!(list.body["credentials"].as_array().map(Vec::len), Some(2), "{}", list.body);
    assert!(!list.body.to_string().contains("sk-"));

    let listed = world.ask("GET", "/admin/v1/keys?user=u1", none.clone()).await;
    assert_eq!(listed.body["keys"][0]["state"], "active");
    assert!(!listed.body.to_string().contains(secret));
    let path = format!("/admin/v1/keys/{}", key.id);
    assert_eq!(world.ask("DELETE", &path, none.clone()).await.body["state"], "revoked");
    assert!(!world.gate_key(&key.id).await.active);
    assert_eq!(world.ask("DELETE", "/admin/v1/keys/none", none).await.status, 404);
}

#[tokio::test]
async fn a_budget_changes_only_from_the_version_that_was_seen() {
    let world = World::new().await;
    let path = "/admin/v1/budgets/user:u1";
    assert_eq!(world.ask("GET", path, Value::Null).await.status, 404);
    world.ask("PUT", "/admin/v1/users/u1", json!({})).await;
    let seen = world.ask("GET", path, Value::Null).await;
    assert_eq!((seen.status, seen.body["mode"].as_str()), (200, Some("observe")));
    let limit = |usd: &str| json!({"month_limit_usd": usd, "alert_thresholds": [50, 80]});
    let put = async |usd: &str, tag: Option<&str>| {
        world.ask_with("PUT", path, limit(usd), ADMIN_KEY, tag).await
    };

    assert_eq!(put("100", None).await.status, 428);
    let first = put("100", Some(&seen.etag)).await;
    assert_eq!((first.status, first.body["mode"].as_str()), (200, Some("hard")), "{}", first.body);
    assert_eq!(first.body["periods"][0]["room_usd"], "100");
    let stale = put("200", Some(&seen.etag)).await;
    assert_eq!(stale.status, 412);
    assert_eq!(stale.body["error"]["current"]["month_limit_usd"], "100", "{}", stale.body);
    assert_eq!(stale.etag, first.etag);
    assert_eq!(put("300", Some("*")).await.body["month_limit_usd"], "300");
    assert_eq!(put("-1", Some("*")).await.body["error"]["field"], "month_limit_usd");
    let empty = world.ask_with("PUT", path, json!([]), ADMIN_KEY, Some("*")).await;
    assert_eq!(empty.status, 400);

    let usage = world.ask("GET", "/admin/v1/usage", Value::Null).await;
    assert_eq!(usage.body["scopes"][0]["periods"][0]["limit_usd"], "300", "{}", usage.body);
    assert_eq!(usage.body["next_cursor"], "key:");
    for (list, next) in [("key:", json!("org:")), ("org:", json!("team:")), ("team:", Value::Null)]
    {
        let rest = world.ask("GET", &format!("/admin/v1/usage?cursor={list}"), Value::Null).await;
        assert_eq!((rest.status, &rest.body["next_cursor"]), (200, &next), "{}", rest.body);
    }
    assert_eq!(world.ask("GET", "/admin/v1/usage?cursor=x", Value::Null).await.status, 400);
}

#[tokio::test]
async fn prices_and_the_webhook_are_set_shown_and_deleted() {
    let world = World::new().await;
    let path = "/admin/v1/prices/fireworks_ai/accounts/x";
    let set = world.ask("PUT", path, json!({"input": "2.5", "output": "10"})).await;
    assert_eq!(set.status, 200, "{}", set.body);
    assert_eq!(world.ask("GET", path, Value::Null).await.body["model"], "accounts/x");
    let list = world.ask("GET", "/admin/v1/prices", Value::Null).await;
    assert_eq!(list.body["prices"][0]["spec"]["input"], "2.5", "{}", list.body);
    assert_eq!(world.ask("PUT", path, json!({"input": "-1", "output": "1"})).await.status, 400);
    assert_eq!(world.ask("DELETE", path, Value::Null).await.status, 204);
    assert_eq!(world.ask("DELETE", path, Value::Null).await.status, 404);

    let path = "/admin/v1/webhook";
    let inside = world.ask("PUT", path, json!({"url": "https://169.254.169.254/"})).await;
    assert_eq!((inside.status, inside.body["error"]["field"].as_str()), (400, Some("url")));
    let set = world.ask("PUT", path, json!({"url": "https://hooks.example.com/f?x=1"})).await;
    assert_eq!(set.body["secret"].as_str(), Some(world.secret("farebox/test/webhook").as_str()));
    let again = world.ask("PUT", path, json!({"url": "https://hooks.example.com/g"})).await;
    assert_eq!(again.body["version"], 2);
    let shown = world.ask("GET", path, Value::Null).await;
    assert!(shown.body.get("secret").is_none() && shown.body["url"] == again.body["url"]);
    assert_eq!(world.ask("DELETE", path, Value::Null).await.status, 204);
    assert_eq!(world.ask("GET", path, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_change_is_told_with_what_was_before_and_without_secrets() {
    let world = World::new().await;
    world.ask("PUT", "/admin/v1/users/u1", json!({"name": "Ann"})).await;
    world.ask("PUT", "/admin/v1/users/u1", json!({"name": "Bea"})).await;
    let body = json!({"secret": "sk-canary"});
    world.ask("PUT", "/admin/v1/credentials/u1/openai", body).await;
    let made = world.ask("POST", "/admin/v1/keys", json!({"user": "u1", "name": "ci"})).await;
    world.ask("PUT", "/admin/v1/users/u1", json!({"name": ""})).await;
    world.ask("GET", "/admin/v1/users/u1", Value::Null).await;

    let told = world.ask("GET", "/admin/v1/audit", Value::Null).await.body;

    let entries = told["entries"].as_array().unwrap();
    let paths: Vec<_> = entries.iter().map(|one| one["target"].as_str().unwrap()).collect();
    let (user, credential) = ("/admin/v1/users/u1", "/admin/v1/credentials/u1/openai");
    // What was refused before its first write, and what was only read, changed nothing.
    assert_eq!(paths, ["/admin/v1/keys", credential, user, user]);
    let second = &entries[2];
    assert_eq!(
        (&second["before"]["name"], &second["after"]["name"]),
        (&json!("Ann"), &json!("Bea"))
    );
    assert_eq!(entries[3]["before"], Value::Null);
    for one in entries {
        assert_eq!((&one["actor"], &one["role"]), (&json!("admin-key:root"), &json!("owner")));
        assert_eq!(one["outcome"], "done");
    }
    let secret = made.body["secret"].as_str().unwrap();
    assert!(!told.to_string().contains("canary") && !told.to_string().contains(secret));
    assert_eq!(entries[0]["after"]["id"], made.body["id"]);
}

#[tokio::test]
async fn the_audit_is_paged_and_filtered_and_repeats_nothing() {
    let world = World::new().await;
    for number in 0..5 {
        let path = format!("/admin/v1/users/u{number}");
        world.ask("PUT", &path, json!({})).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/admin/v1/audit?limit=2".to_owned());
    loop {
        let page = world.ask("GET", &path, Value::Null).await.body;
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 2);
        seen.extend(entries.iter().map(|one| one["target"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/admin/v1/audit?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let wanted: Vec<_> = (0..5).rev().map(|number| format!("/admin/v1/users/u{number}")).collect();
    assert_eq!(seen, wanted);

    let count = async |query: &str| {
        let path = format!("/admin/v1/audit?{query}");
        let page = world.ask("GET", &path, Value::Null).await;
        page.body["entries"].as_array().map(Vec::len)
    };
    assert_eq!(count("target=/admin/v1/users/u3").await, Some(1));
    assert_eq!(count("actor=admin-key:").await, Some(5));
    assert_eq!(count("actor=admin-key").await, Some(0));
    assert_eq!(count("action=DELETE").await, Some(0));
    assert_eq!(count("from=2099-01-01T00:00:00Z").await, Some(0));
    assert_eq!(count("to=2026-01-01T00:00:00Z").await, Some(0));
    assert_eq!(count("from=yesterday").await, None);
    assert_eq!(count("cursor=user:u1").await, None);
}

#[tokio::test]
async fn nothing_is_written_without_a_trail_and_a_trail_is_written_once() {
    let world = World::new().await;
    let control = Control::new(world.gate.aws());
    let org = "o1".parse().unwrap();

    assert!(control.put_org(&org, None).await.is_err());
    assert_eq!(world.ask("GET", "/admin/v1/orgs/o1", Value::Null).await.status, 404);

    let id = world.gate.aws().new_rid();
    let entry = |actor: &str| Entry {
        id,
        actor: actor.to_owned(),
        role: "owner",
        action: "PUT".to_owned(),
        target: "/admin/v1/orgs/o1".to_owned(),
        before: Value::Null,
    };
    for actor in ["the first", "a second"] {
        let trail = Trail::new(world.gate.aws(), entry(actor));
        control.on_trail(trail).put_org(&org, None).await.unwrap();
    }
    let told = world.ask("GET", "/admin/v1/audit", Value::Null).await.body;
    assert_eq!(told["entries"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["entries"][0]["actor"], "the first");
    // Nobody told its end: it may be in force, and here it is.
    assert_eq!(told["entries"][0]["outcome"], "unknown");
}

#[tokio::test]
async fn a_stranger_gets_the_same_answer_everywhere() {
    let world = World::new().await;
    world.ask("PUT", "/admin/v1/users/u1", json!({})).await;
    let mut answers = Vec::new();
    for (method, path) in [
        ("GET", "/admin/v1/users/u1"),
        ("GET", "/admin/v1/users/u2"),
        ("PUT", "/admin/v1/nothing"),
        ("DELETE", "/admin/v1/webhook"),
    ] {
        for key in ["wrong", "sk-fba-wrong", "", &ADMIN_KEY[..ADMIN_KEY.len() - 1]] {
            let reply = world.ask_with(method, path, Value::Null, key, None).await;
            answers.push((reply.status, reply.body.to_string()));
        }
    }
    answers.dedup();

    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, 403);
    let page = world.ask_with("GET", "/admin/console", Value::Null, "", None).await;
    assert_eq!(page.status, 200);
}

impl World {
    /// The key as the chat function reads it, uncached.
    async fn gate_key(&self, id: &farebox_core::EntityId) -> farebox_aws::KeyItem {
        let directory = farebox_aws::Directory::new(self.gate.aws());
        let found = directory.key(id).await.unwrap().unwrap();
        Arc::unwrap_or_clone(found)
    }
}

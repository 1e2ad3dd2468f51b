//! A real DynamoDB engine and a minimal Secrets Manager, over sockets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use dynoxide::Database;
use farebox_admin::{Gate, answer};
use farebox_aws::{Aws, Config};
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
use lambda_http::http::{HeaderName, HeaderValue, Request};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::schema::surprises;

pub const ADMIN_KEY: &str = "sk-fba-0123456789abcdefghijklmnopqrstuvwxyz-_ABCDE";

/// Where browsers find the console, and the provider that its people sign in at.
const CONSOLE: &str = "https://farebox.example";
pub const ISSUER: &str = "https://id.example";

type Secrets = Arc<Mutex<HashMap<String, String>>>;
type Operations = Arc<Mutex<Asked>>;

/// What DynamoDB was asked for: how often, and half units of capacity that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    operations: BTreeMap<String, u32>,
    /// The requests, those that the SDK has sent again once.
    requests: BTreeSet<String>,
    pub read: u64,
    pub written: u64,
}
/// A request to DynamoDB that waits: its operation, whom to tell, and when it goes on.
type Held = Arc<Mutex<Option<(&'static str, oneshot::Sender<()>, oneshot::Receiver<()>)>>>;

/// One deployment.
pub struct World {
    pub gate: Gate,
    operations: Operations,
    held: Held,
    secrets: Secrets,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub etag: String,
    pub body: Value,
    /// All of it but for the request's identity.
    pub raw: String,
}

/// Who asks.
#[derive(Clone, Copy)]
pub enum By<'who> {
    /// Whoever has this key.
    Key(&'who str),
    /// An IAM principal whose signature API Gateway has checked.
    Signer(&'who str),
    /// A browser with the cookie of this session.
    Session(&'who str),
}

impl World {
    pub async fn new() -> Self {
        let database = Database::memory().unwrap();
        for (table, indexes) in [
            ("ledger", json!([])),
            ("main", json!([])),
            ("logs", json!([("bykey", "keyid"), ("byday", "d")])),
        ] {
            create_table(&database, table, &indexes);
        }
        let dynamodb = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = dynamodb.local_addr().unwrap();
        tokio::spawn(dynoxide::server::serve_on(dynamodb, database));
        let operations = Operations::default();
        let counted = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dynamodb_url = format!("http://{}", counted.local_addr().unwrap());
        let held = Held::default();
        tokio::spawn(count(counted, engine, Arc::clone(&operations), Arc::clone(&held)));
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
                "AWS_ENDPOINT_URL_SECRETS_MANAGER" | "AWS_ENDPOINT_URL_SQS" => &secrets_url,
                "FAREBOX_PUBLIC_URL" => CONSOLE,
                "FAREBOX_OIDC_ISSUER" => ISSUER,
                "FAREBOX_OIDC_CLIENT_ID" => "farebox",
                _ => return None,
            };
            Some(value.to_owned())
        });
        Self { gate: Gate::new(&Aws::new(config.unwrap())), operations, held, secrets }
    }

    /// By the deployment's own key; a change replaces whatever is there.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        self.ask_as(ADMIN_KEY, method, path, body).await
    }

    /// By any key; a change replaces whatever is there.
    pub async fn ask_as(&self, key: &str, method: &str, path: &str, body: Value) -> Reply {
        let any = [("if-match", "*")];
        let headers: &[_] = if matches!(method, "PUT" | "DELETE") { &any } else { &[] };
        self.ask_with(key, method, path, body, headers).await
    }

    /// By any key, with these headers.
    pub async fn ask_with(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Reply {
        self.ask_by(By::Key(key), method, path, body, headers).await
    }

    /// By an IAM principal whose signature API Gateway has checked.
    pub async fn ask_signed(&self, arn: &str, method: &str, path: &str, body: Value) -> Reply {
        self.ask_by(By::Signer(arn), method, path, body, &[("if-match", "*")]).await
    }

    /// By anybody.
    pub async fn ask_by(
        &self,
        by: By<'_>,
        method: &str,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Reply {
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request::builder()
            .method(method)
            .uri(format!("http://x{bare}"))
            .header("content-type", "application/json");
        let mut request = match by {
            By::Key(key) => request.header("authorization", format!("Bearer {key}")),
            By::Signer(_) => request.header("authorization", "AWS4-HMAC-SHA256 …"),
            By::Session(token) => request
                .header("cookie", format!("__Host-farebox-session={token}"))
                .header("origin", CONSOLE)
                .header("x-farebox-console", "1"),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::Empty } else { Body::from(body.to_string()) };
        let query: HashMap<String, Vec<String>> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]))
            .collect();
        let By::Signer(arn) = by else {
            let request = request.body(body).unwrap().with_raw_http_path(bare);
            let reply = self.send(request.with_query_string_parameters(query)).await;
            return as_told(method, path, reply);
        };
        let signed = format!("/iam{}", bare.trim_start_matches("/iam"));
        let request = request.body(body).unwrap().with_raw_http_path(&signed);
        let mut context = ApiGatewayProxyRequestContext::default();
        context.identity.user_arn = Some(arn.to_owned());
        let request = request.with_query_string_parameters(query);
        let request = request.with_request_context(RequestContext::ApiGatewayV1(context));
        as_told(method, path.trim_start_matches("/iam"), self.send(request).await)
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = answer(&self.gate, request).await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id.len(), 26);
        let etag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let text = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {value:?}");
        let mut headers: Vec<_> = response.headers().iter().map(text).collect();
        headers.sort_unstable();
        let text = match response.into_body() {
            Body::Text(text) => text,
            _ => String::new(),
        };
        let raw = format!("{status} {} {text}", headers.join("; ")).replace(&id, "REQUEST");
        let body = match serde_json::from_str(&text) {
            Ok(body) => body,
            Err(_) if text.is_empty() => Value::Null,
            Err(_) => Value::String(text),
        };
        Reply { status, etag: etag.unwrap_or_default(), body, raw }
    }

    /// What DynamoDB was asked for since the last time.
    pub fn asked(&self) -> Asked {
        std::mem::take(&mut *self.operations.lock().unwrap())
    }

    /// The next request of this operation waits: the first end tells when it is there, and it goes
    /// on when the second is told or dropped.
    pub fn hold(&self, operation: &'static str) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((there, arrives), (go, goes)) = (oneshot::channel(), oneshot::channel());
        *self.held.lock().unwrap() = Some((operation, there, goes));
        (arrives, go)
    }

    pub fn secret(&self, name: &str) -> String {
        self.secrets.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    /// The key as the chat function reads it, uncached.
    pub async fn gate_key(&self, id: &farebox_core::EntityId) -> farebox_aws::KeyItem {
        let directory = farebox_aws::Directory::new(self.gate.aws());
        let found = directory.key(id).await.unwrap().unwrap();
        Arc::unwrap_or_clone(found)
    }
}

/// An answer, which is what the description tells.
fn as_told(method: &str, path: &str, reply: Reply) -> Reply {
    let surprises = surprises(method, path, &reply);
    assert!(surprises.is_empty(), "{method} {path}: {surprises:#?}: {}", reply.raw);
    reply
}

/// Hands requests on between the SDK and the engine, which tells what each took, adds that up, and
/// lets one wait that is to be held.
async fn count(
    listener: TcpListener,
    engine: std::net::SocketAddr,
    operations: Operations,
    held: Held,
) {
    while let Ok((mut sdk, _)) = listener.accept().await {
        let (operations, held) = (Arc::clone(&operations), Arc::clone(&held));
        tokio::spawn(async move {
            let mut engine = TcpStream::connect(engine).await.unwrap();
            while let Some((head, body)) = message(&mut sdk).await {
                let operation = head.split_once("DynamoDB_20120810.").unwrap().1;
                let operation = operation.split('\r').next().unwrap().to_owned();
                let waits = held.lock().unwrap().take_if(|(waited, ..)| *waited == operation);
                if let Some((_, there, goes)) = waits {
                    let _ = there.send(());
                    let _ = goes.await;
                }
                let body = match body.contains("ReturnConsumedCapacity") {
                    true => body,
                    false => format!("{{\"ReturnConsumedCapacity\":\"TOTAL\",{}", &body[1..]),
                };
                let lines = head.lines().map(|line| match line.split_once(':') {
                    Some((name, _)) if name.eq_ignore_ascii_case("content-length") => {
                        format!("{name}: {}", body.len())
                    }
                    _ => line.to_owned(),
                });
                let head = lines.collect::<Vec<_>>().join("\r\n") + "\r\n\r\n";
                engine.write_all((head + &body).as_bytes()).await.unwrap();
                let Some((head, answer)) = message(&mut engine).await else { return };
                operations.lock().unwrap().add(&operation, body, &answer);
                if sdk.write_all((head + "\r\n\r\n" + &answer).as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// One message of HTTP: its head and its body, which are text.
async fn message(from: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let end = loop {
        if from.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, length)| length.trim().parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    let read = body.len();
    body.resize(length, 0);
    from.read_exact(&mut body[read..]).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

impl Asked {
    fn add(&mut self, operation: &str, request: String, answer: &str) {
        self.requests.insert(request);
        *self.operations.entry(operation.to_owned()).or_default() += 1;
        let answer: Value = serde_json::from_str(answer).unwrap_or_default();
        let tables = match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.clone(),
            one => vec![one.clone()],
        };
        for table in tables {
            let units = table["CapacityUnits"].to_string();
            let (whole, half) = units.split_once('.').unwrap_or((&units, "0"));
            let halves = whole.parse::<u64>().unwrap_or(0) * 2 + u64::from(half.starts_with('5'));
            let is_read = operation.contains("Get") || matches!(operation, "Query" | "Scan");
            *(if is_read { &mut self.read } else { &mut self.written }) += halves;
        }
    }

    /// How many requests, without what a busy machine made the SDK send again.
    pub fn different(&self) -> usize {
        self.requests.len()
    }

    /// Such as `1 GetItem, 2 Query`.
    pub fn operations(&self) -> String {
        let told = self.operations.iter();
        told.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    }
}

/// A table with indexes of keys alone: pairs of name and hash key, sorted by `rid`.
fn create_table(database: &Database, table: &str, indexes: &Value) {
    let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let schema = |hash: &str, range: &str| {
        json!([
            {"AttributeName": hash, "KeyType": "HASH"},
            {"AttributeName": range, "KeyType": "RANGE"},
        ])
    };
    let mut attributes = vec![attribute("pk"), attribute("sk")];
    let indexes = indexes.as_array().unwrap();
    attributes.extend(indexes.iter().map(|index| attribute(index[1].as_str().unwrap())));
    let indexes: Vec<_> = indexes
        .iter()
        .map(|index| {
            json!({
                "IndexName": index[0],
                "KeySchema": schema(index[1].as_str().unwrap(), "rid"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            })
        })
        .collect();
    let mut request = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema("pk", "sk"),
    });
    if !indexes.is_empty() {
        attributes.push(attribute("rid"));
        request["GlobalSecondaryIndexes"] = Value::from(indexes);
    }
    request["AttributeDefinitions"] = Value::from(attributes);
    database.create_table(serde_json::from_value(request).unwrap()).unwrap();
}

/// `GetSecretValue`, `PutSecretValue` and `CreateSecret`, and a queue that is empty; one request a
/// connection at a time.
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
    match target {
        "AmazonSQS.GetQueueAttributes" => return (200, json!({"Attributes": {}})),
        "AmazonSQS.SendMessage" => return (200, json!({"MessageId": "m"})),
        _ => {}
    }
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

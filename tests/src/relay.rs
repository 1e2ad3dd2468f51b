//! Between the functions and AWS: a relay before DynamoDB, and one before SQS and Secrets
//! Manager, that decides of every request what becomes of it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::kill::{Killer, Point};
use crate::stack::Stack;
use crate::tap::{Seen, read_request};
use crate::wire::Call;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrives and is answered.
    Passes,
    /// It arrives later.
    IsLate(Duration),
    /// It never arrives, and the connection breaks.
    IsLost,
    /// It is done, and the connection breaks before the answer.
    LosesItsAnswer,
    /// It is done twice, the second time after its answer.
    IsDoubled,
    /// It is refused, because there are too many.
    IsThrottled,
    /// It is not done, and answered with a fault of the service.
    FailsBefore,
    /// It is done, and answered with a fault of the service.
    FailsAfterwards,
}

/// Percent of the requests that do not simply pass, and the seed of which they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// 0 to 100.
    pub percent: u64,
    /// The same one makes the n-th request meet the same fate.
    pub seed: u64,
}

/// The relays of one stack.
#[derive(Clone, Debug, Default)]
pub struct Relays {
    shared: Arc<Shared>,
    database: String,
}

#[derive(Debug, Default)]
struct Shared {
    faults: Mutex<Faults>,
    killer: Mutex<Option<Killer>>,
    refused: Mutex<&'static [&'static str]>,
    requests: AtomicU64,
    faulty: AtomicU64,
    under_way: AtomicUsize,
}

/// One request that has come and is not done with.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn begins(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Relays {
    /// Puts the relays before the services of a stack; its functions start anew.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn before(stack: &Stack) -> Self {
        let mut relays = Self::default();
        let database = relays.relay(stack.ready().url("dynamodb_url")).await;
        relays.database.clone_from(&database);
        let services = relays.relay(stack.ready().url("services_url")).await;
        let variables = json!({
            "AWS_ENDPOINT_URL_DYNAMODB": database,
            "AWS_ENDPOINT_URL_SQS": services,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": services,
        });
        let url = format!("{}/_local/environment", stack.ready().url("services_url"));
        Call::new(Method::POST, url).json(&variables).send().await.expect(200);
        relays
    }

    /// Where DynamoDB's relay listens.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// From now on so many requests fail.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.shared.faults) = faults;
    }

    /// From now on one request is somebody's end.
    pub fn arm(&self, killer: Killer) {
        *lock(&self.shared.killer) = Some(killer);
    }

    /// From now on requests with one of these texts in head or body fail before they are done.
    pub fn refuse(&self, texts: &'static [&'static str]) {
        *lock(&self.shared.refused) = texts;
    }

    /// Requests so far, and those that did not simply pass.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.shared.requests), read(&self.shared.faulty))
    }

    /// Waits until nothing is under way: whoever moves a clock by more than a request may be late
    /// does so afterwards, as no request outlives the windows of sweep and fence.
    pub async fn quiet(&self) {
        let count = &self.shared.under_way;
        crate::until("no request is under way", async || {
            (count.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
    }

    async fn relay(&self, target: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let target = target.trim_start_matches("http://").to_owned();
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, target) = (Arc::clone(&shared), target.clone());
                // A connection ends in an error where a request is lost: that is its purpose.
                tokio::spawn(async move { drop(shared.converse(stream, target).await) });
            }
        });
        origin
    }
}

impl Shared {
    async fn converse(&self, stream: TcpStream, target: String) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (from_caller, mut to_caller) = stream.into_split();
        let mut from_caller = BufReader::new(from_caller);
        let mut upstream = Upstream { target, stream: None };
        while let Some(request) = read_request(&mut from_caller).await? {
            let _under_way = UnderWay::begins(&self.under_way);
            let killer = lock(&self.killer).clone();
            let meeting = killer.as_ref().map(Killer::meet);
            let ends = |point| meeting.as_ref().is_some_and(|meeting| meeting.ends_at(point));
            if ends(Point::BeforeSend) {
                return Ok(());
            }
            let fate = match self.is_refused(&request) {
                true => Fate::FailsBefore,
                false => self.fate(&request),
            };
            let answer = match fate {
                Fate::Passes => upstream.ask(&request).await?,
                Fate::IsLate(time) => {
                    tokio::time::sleep(time).await;
                    upstream.ask(&request).await?
                }
                Fate::IsLost => return Ok(()),
                Fate::LosesItsAnswer => return upstream.ask(&request).await.map(drop),
                Fate::IsDoubled => {
                    let answer = upstream.ask(&request).await?;
                    to_caller.write_all(&answer).await?;
                    upstream.ask(&request).await?;
                    continue;
                }
                Fate::IsThrottled => refusal(400, "ThrottlingException"),
                Fate::FailsBefore => refusal(500, "InternalServerError"),
                Fate::FailsAfterwards => {
                    upstream.ask(&request).await?;
                    refusal(500, "InternalServerError")
                }
            };
            if ends(Point::AfterSend) {
                return Ok(());
            }
            to_caller.write_all(&answer).await?;
            ends(Point::AfterReply);
        }
        Ok(())
    }

    fn is_refused(&self, request: &Seen) -> bool {
        let texts = *lock(&self.refused);
        let request = request.bytes();
        let request = String::from_utf8_lossy(&request);
        texts.iter().any(|text| request.contains(text))
    }

    fn fate(&self, request: &Seen) -> Fate {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let Faults { percent, seed } = *lock(&self.faults);
        let random = mixed(seed, number);
        if random % 100 >= percent {
            return Fate::Passes;
        }
        self.faulty.fetch_add(1, Ordering::Relaxed);
        let ms = (random >> 16) % 1_500;
        match (random >> 8) % 6 {
            0 => Fate::IsLate(Duration::from_millis(ms)),
            1 => Fate::IsLost,
            2 => Fate::LosesItsAnswer,
            // No client of ours sends a reserve twice by itself (W1), and TCP delivers it once.
            3 if !is_reserve(request) => Fate::IsDoubled,
            4 => Fate::IsThrottled,
            _ => Fate::FailsAfterwards,
        }
    }
}

fn is_reserve(request: &Seen) -> bool {
    String::from_utf8_lossy(&request.body).contains("SET #h = :h ADD")
}

/// A number that looks random, the same for the same two.
fn mixed(seed: u64, number: u64) -> u64 {
    let mut mixed = (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(number);
    for _ in 0..2 {
        mixed ^= mixed >> 30;
        mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    mixed ^ (mixed >> 31)
}

fn refusal(status: u16, code: &str) -> Vec<u8> {
    let body = json!({"__type": format!("com.amazonaws#{code}"), "message": "injected"});
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.0\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The service's side of one connection.
struct Upstream {
    target: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Upstream {
    /// Sends a request and reads its whole answer, which states its length.
    async fn ask(&mut self, request: &Seen) -> std::io::Result<Vec<u8>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.target).await?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        stream.write_all(&request.bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        answer.extend(body);
        self.stream = Some(stream);
        Ok(answer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

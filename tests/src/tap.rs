//! Between Farebox and the demo provider: a relay on one origin that sees every POST on the wire.
//!
//! A test's user has the base URL `<origin>/u/<user>`. The tap takes that prefix away, marks the
//! request with the user's name (so the provider's bill can be read by user), and passes bytes on
//! unchanged, the other way too: a connection that the provider cuts is cut for Farebox.
//! `<origin>/hook/<name>` records a webhook's deliveries. A user may be given written answers
//! instead ([`Tap::script`]): those of a provider that the demo provider is not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::kill::{Killer, Meeting, Point};

/// The header by which the demo provider marks an entry of its bill.
const MARK: &str = "x-client-request-id";

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Method and path.
    pub line: String,
    /// Headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// Which connection it came on.
    pub connection: usize,
}

/// What a provider answers to every request of a user.
#[derive(Clone, Debug)]
pub struct Script {
    /// The status.
    pub status: u16,
    /// `content-type`.
    pub kind: &'static str,
    /// Further headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body, in the pieces in which it is written.
    pub body: Vec<Vec<u8>>,
}

impl Script {
    /// A whole JSON body.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let body = vec![body.to_string().into_bytes()];
        Self { status, kind: "application/json", headers: &[], body }
    }

    fn head(&self) -> String {
        let length: usize = self.body.iter().map(Vec::len).sum();
        let (status, kind) = (self.status, self.kind);
        let mut head = format!("HTTP/1.1 {status} Scripted\r\ncontent-type: {kind}\r\n");
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + &format!("content-length: {length}\r\nconnection: close\r\n\r\n")
    }
}

impl From<Script> for Vec<Step> {
    fn from(script: Script) -> Self {
        let head = Step::Send(script.head().into_bytes());
        std::iter::once(head).chain(script.body.into_iter().map(Step::Send)).collect()
    }
}

/// One step of an answer as it goes over the wire, head and all. After the last one the
/// connection ends.
#[derive(Clone, Debug)]
pub enum Step {
    /// These bytes.
    Send(Vec<u8>),
    /// These bytes so many times, counted as they are taken from the provider.
    Repeat(Vec<u8>, usize, Arc<AtomicUsize>),
    /// Nothing, until somebody says so.
    Wait(Arc<Notify>),
}

/// Plays an answer, and ends the connection.
async fn play(steps: Vec<Step>, to: &mut (impl AsyncWriteExt + Unpin)) -> std::io::Result<()> {
    for step in steps {
        match step {
            Step::Send(bytes) => to.write_all(&bytes).await?,
            Step::Repeat(bytes, times, taken) => {
                for _ in 0..times {
                    to.write_all(&bytes).await?;
                    taken.fetch_add(bytes.len(), Ordering::Relaxed);
                }
            }
            Step::Wait(told) => told.notified().await,
        }
    }
    to.shutdown().await
}

/// The relay. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    origin: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    provider: String,
    connections: usize,
    seen: HashMap<String, Vec<Seen>>,
    refusals: HashMap<String, usize>,
    redirects: HashMap<String, String>,
    scripts: HashMap<String, Vec<Step>>,
    killer: Option<Killer>,
}

impl Tap {
    /// Listens on a free port.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let tap = Self { origin, ..Self::default() };
        let accepting = tap.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tap = accepting.clone();
                tokio::spawn(async move { drop(tap.converse(stream).await) });
            }
        });
        tap
    }

    /// Its origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The base URL of a user's credential.
    #[must_use]
    pub fn base_url(&self, user: &str) -> String {
        format!("{}/u/{user}", self.origin)
    }

    /// Says where the demo provider listens.
    pub fn set_provider(&self, url: &str) {
        let host = url.strip_prefix("http://").unwrap_or(url);
        let host = host.split('/').next().unwrap_or(host);
        self.lock(|shared| host.clone_into(&mut shared.provider));
    }

    /// The POSTs of a user, or the deliveries of a webhook, in order.
    #[must_use]
    pub fn seen(&self, name: &str) -> Vec<Seen> {
        self.lock(|shared| shared.seen.get(name).cloned().unwrap_or_default())
    }

    /// From now on one request to the provider is the end of who sent it.
    pub fn arm(&self, killer: Option<Killer>) {
        self.lock(|shared| shared.killer = killer);
    }

    /// From now on every request of a user has this answer, and the demo provider gets none.
    pub fn script(&self, user: &str, script: impl Into<Vec<Step>>) {
        self.lock(|shared| shared.scripts.insert(user.to_owned(), script.into()));
    }

    /// The same for the requests to one path only.
    pub fn script_at(&self, user: &str, path: &str, script: impl Into<Vec<Step>>) {
        let at = format!("{user}{path}");
        self.lock(|shared| shared.scripts.insert(at, script.into()));
    }

    /// The answer that was written for whom a request is of, which is then seen.
    fn scripted(&self, request: &Seen) -> Option<Vec<Step>> {
        let user = name_of(&request.line, "/u/")?;
        self.lock(|shared| {
            let path = request.line.split_once("/u/")?.1.split([' ', '?']).next()?;
            let script = shared.scripts.get(path).or_else(|| shared.scripts.get(&user)).cloned()?;
            shared.seen.entry(user).or_default().push(request.clone());
            Some(script)
        })
    }

    /// Makes the next deliveries of a webhook fail.
    pub fn refuse(&self, name: &str, times: usize) {
        self.lock(|shared| shared.refusals.insert(name.to_owned(), times));
    }

    /// Sends the deliveries of a webhook on to another one.
    pub fn send_on(&self, name: &str, other: &str) {
        let to = format!("{}/hook/{other}", self.origin);
        self.lock(|shared| shared.redirects.insert(name.to_owned(), to));
    }

    fn lock<T>(&self, read: impl FnOnce(&mut Shared) -> T) -> T {
        read(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let connection = self.lock(|shared| {
            shared.connections += 1;
            shared.connections
        });
        let (from_caller, mut to_caller) = stream.into_split();
        let mut from_caller = BufReader::new(from_caller);
        let Some(mut first) = read_request(&mut from_caller).await? else { return Ok(()) };
        first.connection = connection;
        if let Some(name) = name_of(&first.line, "/hook/") {
            return self.deliver(&name, first, &mut to_caller).await;
        }
        if let Some(script) = self.scripted(&first) {
            return play(script, &mut to_caller).await;
        }
        let to_caller = tokio::sync::Mutex::new(to_caller);
        let provider = self.lock(|shared| shared.provider.clone());
        let upstream = TcpStream::connect(provider).await?;
        upstream.set_nodelay(true)?;
        let (mut from_provider, mut to_provider) = upstream.into_split();
        let met: Mutex<Option<Meeting>> = Mutex::default();
        let requests = async {
            let mut next = Some(first);
            while let Some(mut request) = next {
                request.connection = connection;
                // A connection that was kept may carry the call of another user.
                if let Some(script) = self.scripted(&request) {
                    return play(script, &mut *to_caller.lock().await).await;
                }
                let meeting = self.lock(|shared| shared.killer.as_ref().map(Killer::meet));
                let ends = |point| meeting.as_ref().is_some_and(|meeting| meeting.ends_at(point));
                if ends(Point::BeforeSend) {
                    return Ok(());
                }
                let bytes = self.pass(&request);
                to_provider.write_all(&bytes).await?;
                if ends(Point::AfterSend) {
                    return Ok(());
                }
                *met.lock().unwrap_or_else(PoisonError::into_inner) = meeting;
                next = read_request(&mut from_caller).await?;
            }
            std::io::Result::Ok(())
        };
        let answers = async {
            let mut bytes = vec![0; 16 * 1024];
            loop {
                let read = from_provider.read(&mut bytes).await?;
                if read == 0 {
                    return std::io::Result::Ok(());
                }
                to_caller.lock().await.write_all(&bytes[..read]).await?;
                let meeting = met.lock().unwrap_or_else(PoisonError::into_inner).take();
                if meeting.is_some_and(|meeting| meeting.ends_at(Point::AfterReply)) {
                    return Ok(());
                }
            }
        };
        // Whichever side ends first ends both, as it would without a tap.
        tokio::select! {
            done = requests => done,
            done = answers => done,
        }
    }

    /// Records a request and writes it as the provider gets it.
    fn pass(&self, request: &Seen) -> Vec<u8> {
        let user = name_of(&request.line, "/u/").unwrap_or_default();
        let line = request.line.replacen(&format!("/u/{user}"), "", 1);
        let mut head = format!("{line} HTTP/1.1\r\n{MARK}: {user}\r\n");
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.lock(|shared| shared.seen.entry(user).or_default().push(request.clone()));
        [head.as_bytes(), &request.body].concat()
    }

    async fn deliver(
        &self,
        name: &str,
        request: Seen,
        to_caller: &mut (impl AsyncWriteExt + Unpin),
    ) -> std::io::Result<()> {
        let (refused, redirect) = self.lock(|shared| {
            shared.seen.entry(name.to_owned()).or_default().push(request);
            let redirect = shared.redirects.get(name).cloned();
            let refused = match shared.refusals.get_mut(name).filter(|left| **left > 0) {
                Some(left) => {
                    *left -= 1;
                    true
                }
                None => false,
            };
            (refused, redirect)
        });
        let status = match redirect {
            Some(to) => format!("307 Temporary Redirect\r\nlocation: {to}"),
            None if refused => "500 Internal Server Error".to_owned(),
            None => "204 No Content".to_owned(),
        };
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
        to_caller.write_all(answer.as_bytes()).await
    }
}

impl Seen {
    /// The request as it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} HTTP/1.1\r\n", self.line);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// What a webhook's signature must be: hex HMAC-SHA-256 of `timestamp.body`.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    #[must_use]
    pub fn expected_signature(&self, secret: &str) -> String {
        let timestamp = self.headers.get("farebox-timestamp").map_or("", String::as_str);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        for part in [timestamp.as_bytes(), b".", &self.body] {
            mac.update(part);
        }
        let hex: Vec<_> =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("v1={}", hex.concat())
    }
}

/// The segment after a prefix of a request line's path.
fn name_of(line: &str, prefix: &str) -> Option<String> {
    let path = line.split(' ').nth(1)?;
    let rest = path.strip_prefix(prefix)?;
    rest.split(['/', '?']).next().map(str::to_owned)
}

/// One request with a stated length; `None` at the end of the connection.
pub(crate) async fn read_request(
    from: &mut BufReader<OwnedReadHalf>,
) -> std::io::Result<Option<Seen>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match from.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(None),
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let line = first.rsplit_once(' ').map_or(first, |(line, _)| line).to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    from.read_exact(&mut body).await?;
    Ok(Some(Seen { line, headers, body, connection: 0 }))
}

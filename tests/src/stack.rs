//! One `farebox-local` process with everything in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::tap::Tap;
use crate::wire::{Answer, Call};

/// A start builds tables and seeds the demo; a debug build on a busy machine takes seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Variables that would put real money or another stack's settings into the stack under test.
const FOREIGN_VARIABLES: [&str; 21] = [
    "FAREBOX_OIDC_ISSUER",
    "FAREBOX_OIDC_CLIENT_ID",
    "FAREBOX_OIDC_CLIENT_SECRET",
    "FAREBOX_OIDC_SCOPES",
    "FAREBOX_OIDC_GROUPS_CLAIM",
    "FAREBOX_ALERT_TOPIC",
    "FAREBOX_ALERT_SENDER",
    "FAREBOX_ALERT_RECIPIENTS",
    "FAREBOX_STATEMENT_RECIPIENTS",
    "FAREBOX_STATEMENT_BY",
    "FAREBOX_LAKE_BUCKET",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "GEMINI_API_KEY",
    "GEMINI_BASE_URL",
    "FAREBOX_FUNCTION",
    "FAREBOX_CLOCK_FILE",
    "FAREBOX_TRACE_AWS",
    "AWS_PROFILE",
];

/// An origin that stacks allow and where nobody listens.
pub const UNREACHABLE: &str = "http://127.0.0.1:1";

/// What is printed of a stack's log where the test that has started it fails.
const LOG_LINES: usize = 20;

/// How a stack is started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--port`; 0 picks a free one.
    pub port: u16,
    /// `--environments`; 0 leaves the default.
    pub environments: u16,
    /// `--state`; memory only where there is none.
    pub state: Option<PathBuf>,
    /// `--clock`.
    pub clock: Option<PathBuf>,
    /// `--bootstrap`.
    pub bootstrap: Option<PathBuf>,
    /// `--services`.
    pub services: bool,
    /// `--chat-timeout`, in seconds; 0 leaves the default.
    pub chat_timeout: u16,
    /// Further origins that it may call.
    pub origins: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(&'static str, &'static str)>,
}

/// What the stack printed when it was ready.
#[derive(Clone, Debug)]
pub struct Ready(Value);

/// A running stack. Dropping it ends the process; so does the end of the test's own process.
#[derive(Debug)]
pub struct Stack {
    ready: Ready,
    tap: Tap,
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    /// The functions' log, where no state directory keeps it.
    log: Option<PathBuf>,
    keeper: Child,
    _keeper_stdin: Option<ChildStdin>,
}

impl Ready {
    /// A field of the line, as text.
    ///
    /// # Panics
    /// Where there is no such field.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        let value = self.0.get(field).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("the ready line has no {field}"))
    }

    /// A field of the line; null where there is none.
    #[must_use]
    pub fn value(&self, field: &str) -> &Value {
        &self.0[field]
    }

    /// A URL of the line without a slash at its end.
    #[must_use]
    pub fn url(&self, field: &str) -> &str {
        self.text(field).trim_end_matches('/')
    }
}

/// The command that starts a stack, as it would be typed.
#[must_use]
pub fn command(executable: &Path, settings: &Settings) -> Command {
    let mut command = Command::new(executable);
    command.arg("--port").arg(settings.port.to_string()).arg("--json");
    match &settings.state {
        Some(dir) => command.arg("--state").arg(dir),
        None => command.arg("--ephemeral"),
    };
    if settings.environments > 0 {
        command.arg("--environments").arg(settings.environments.to_string());
    }
    if let Some(file) = &settings.clock {
        command.arg("--clock").arg(file);
    }
    if let Some(dir) = &settings.bootstrap {
        command.arg("--bootstrap").arg(dir);
    }
    if settings.services {
        command.arg("--services");
    }
    if settings.chat_timeout > 0 {
        command.arg("--chat-timeout").arg(settings.chat_timeout.to_string());
    }
    for variable in FOREIGN_VARIABLES {
        command.env_remove(variable);
    }
    command.envs(settings.variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Stack {
    /// Starts a stack and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not get ready; with what it printed.
    pub async fn start(executable: &Path, settings: &Settings) -> Self {
        let tap = Tap::start().await;
        let mut command = command(executable, settings);
        // The tap stands before the demo provider and takes webhooks.
        let own = [tap.origin(), UNREACHABLE];
        let origins: Vec<&str> =
            own.into_iter().chain(settings.origins.iter().map(String::as_str)).collect();
        command.env("FAREBOX_ALLOWED_ORIGINS", origins.join(","));
        let mut child = command.spawn().expect("farebox-local starts");
        let (mut keeper, mut keeper_stdin) = keeper(child.id());
        let output = Arc::new(Mutex::new(Vec::new()));
        let (first, line) = oneshot::channel();
        collect(child.stdout.take(), &output, Some(first));
        collect(child.stderr.take(), &output, None);
        let line = tokio::time::timeout(START_TIMEOUT, line).await;
        let ready =
            line.ok().and_then(Result::ok).and_then(|line| serde_json::from_str(&line).ok());
        let Some(ready) = ready else {
            drop((child.kill(), child.wait(), keeper.kill(), keeper.wait()));
            let printed = output.lock().unwrap_or_else(PoisonError::into_inner).clone();
            panic!("the stack is not ready: {}", String::from_utf8_lossy(&printed));
        };
        let ready = Ready(ready);
        tap.set_provider(ready.url("demo_provider_url"));
        let log = ready.0.get("functions_log").and_then(Value::as_str).map(PathBuf::from);
        let log = log.filter(|_| settings.state.is_none());
        if let (Some(stdin), Some(log)) = (&mut keeper_stdin, &log) {
            writeln!(stdin, "{}", log.display()).expect("the keeper listens");
        }
        Self { ready, tap, child, output, log, keeper, _keeper_stdin: keeper_stdin }
    }

    /// What it printed when it was ready.
    #[must_use]
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The relay before its demo provider.
    #[must_use]
    pub const fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The URL of a path of its public API.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        // The base URL is what an SDK is given, so it may end in `/v1`.
        let base = self.ready.url("base_url");
        format!("{}{path}", base.strip_suffix("/v1").unwrap_or(base))
    }

    /// Lets the queue and its logger finish everything that was sent so far.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn drain(&self) {
        let url = format!("{}/_local/drain", self.ready.url("services_url"));
        Call::new(http::Method::POST, url).send().await.expect(200);
    }

    /// Runs the scheduler once, with this as the event's time (RFC 3339).
    ///
    /// # Panics
    /// Where it fails.
    pub async fn schedule(&self, time: &str) {
        self.try_schedule(time).await.expect(200);
    }

    /// The same; its answer is not 200 where one of its jobs has failed.
    pub async fn try_schedule(&self, time: &str) -> Answer {
        let url = format!("{}/_local/schedule?time={time}", self.ready.url("services_url"));
        Call::new(http::Method::POST, url).send().await
    }

    /// What SNS and SES were given, in order.
    ///
    /// # Panics
    /// Where the stack does not answer.
    pub async fn messages(&self) -> Vec<Value> {
        let url = format!("{}/_local/messages", self.ready.url("services_url"));
        let all = Call::get(url).send().await.expect(200).json();
        all.as_array().cloned().unwrap_or_default()
    }

    /// The calls to AWS since the last reset, as the local stack saw them.
    pub async fn aws_calls(&self) -> Value {
        let url = format!("{}/_local/calls", self.ready.url("services_url"));
        Call::get(url).send().await.expect(200).json()
    }

    /// Forgets the calls to AWS so far.
    pub async fn reset_aws_calls(&self) {
        let url = format!("{}/_local/calls/reset", self.ready.url("services_url"));
        Call::new(http::Method::POST, url).send().await.expect(200);
    }

    /// Everything that the stack and its functions have printed.
    #[must_use]
    pub fn log(&self) -> String {
        let printed = self.output.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut log = String::from_utf8_lossy(&printed).into_owned();
        let file = self.ready.0.get("functions_log").and_then(Value::as_str);
        if let Some(bytes) = file.and_then(|file| std::fs::read(file).ok()) {
            log.push_str(&String::from_utf8_lossy(&bytes));
        }
        log
    }

    /// The environment in which the stack runs its chat function, without the Runtime API.
    ///
    /// # Panics
    /// Where the ready line names no services.
    #[must_use]
    pub fn chat_environment(&self) -> Vec<(&'static str, String)> {
        let (services, database) = (self.ready.url("services_url"), self.ready.url("dynamodb_url"));
        let origins = format!("{},{}", self.ready.url("demo_provider_url"), self.tap.origin());
        [
            ("FAREBOX_LEDGER_TABLE", "farebox-ledger"),
            ("FAREBOX_MAIN_TABLE", "farebox-main"),
            ("FAREBOX_LOGS_TABLE", "farebox-logs"),
            ("FAREBOX_QUEUE_URL", &format!("{services}/000000000000/{}", crate::tables::QUEUE)),
            ("FAREBOX_STAGE", "local"),
            ("FAREBOX_SECRET_PREFIX", "farebox/local"),
            ("FAREBOX_PEPPER_SECRET", "farebox/local/pepper"),
            ("FAREBOX_ALLOWED_ORIGINS", &origins),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL_DYNAMODB", database),
            ("AWS_ENDPOINT_URL_SQS", services),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", services),
            ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
            ("AWS_LAMBDA_FUNCTION_NAME", "farebox-chat"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/farebox"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "figures"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
    }

    /// Presses Ctrl-C and waits for the end.
    ///
    /// # Panics
    /// Where it does not end.
    pub async fn interrupt(mut self) -> ExitStatus {
        signal("-INT", self.child.id());
        crate::until("Ctrl-C stops the stack", || {
            let ended = self.child.try_wait().expect("a child");
            std::future::ready(ended)
        })
        .await
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The keeper first: once the child is reaped its number may be another's.
        drop((self.keeper.kill(), self.keeper.wait()));
        drop((self.child.kill(), self.child.wait()));
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<_> = log.lines().rev().take(LOG_LINES).collect();
            last.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        drop(self.log.as_ref().map(std::fs::remove_file));
    }
}

/// Sends a signal to a process that the harness started.
///
/// # Panics
/// Where there is no `kill`.
pub fn signal(name: &str, pid: u32) {
    Command::new("kill").arg(name).arg(pid.to_string()).status().expect("kill runs");
}

/// Ends the stack when this process ends without dropping it, as a test process does: its
/// statics are never dropped, but its end of the pipe is closed. The first line in the pipe names
/// a file that goes with it.
fn keeper(pid: u32) -> (Child, Option<ChildStdin>) {
    let mut keeper = Command::new("sh")
        .arg("-c")
        .arg(format!("read -r log; cat >/dev/null; kill -9 {pid} 2>/dev/null; rm -f \"$log\""))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs");
    let stdin = keeper.stdin.take();
    (keeper, stdin)
}

/// Reads a pipe to its end, so that the writer never waits; tells the first line.
fn collect(
    pipe: Option<impl Read + Send + 'static>,
    output: &Arc<Mutex<Vec<u8>>>,
    mut first: Option<oneshot::Sender<String>>,
) {
    let (pipe, output) = (pipe.expect("a pipe"), output.clone());
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            if let Some(first) = first.take() {
                // Nobody listens any more where the start took too long.
                drop(first.send(String::from_utf8_lossy(&line).into_owned()));
            } else {
                output.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&line);
            }
            line.clear();
        }
    });
}

//! Execution environments: child processes that run one invocation at a time, as Lambda's do.
//!
//! ```text
//! invoke ─► permit ─► idle environment, or a new one ─► its `next` ─► its `response`
//!                                                                    │ next `next`
//!              permit comes back ◄── environment is idle again ◄─────┘
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::clock;
use crate::function::{FUNCTIONS, Function};
use crate::output::Output;

/// One event on its way to an environment.
pub struct Invocation {
    /// Lambda's request id.
    pub id: String,
    /// The event.
    pub event: Bytes,
    /// When the function is out of time, in ms since 1970 by the machine's clock.
    pub deadline_ms: i64,
}

/// What a function answers: its bytes as they come.
pub struct Answer {
    /// Whether the function streams (its first bytes are then the HTTP prelude).
    pub streams: bool,
    /// The bytes.
    pub body: mpsc::Receiver<Bytes>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The function reported an error, or its process ended.
    Failed(String),
    /// The function took longer than its timeout.
    TimedOut,
}

/// How children are started.
pub struct Launch {
    /// This executable.
    pub executable: PathBuf,
    /// Directory of release bootstraps to run instead.
    pub bootstrap: Option<PathBuf>,
    /// The environment of every child, until it is changed.
    pub variables: BTreeMap<String, String>,
    /// Origin of the Runtime API, with its scheme: only so may a path follow it.
    pub runtime_api: String,
    /// Lambda timeout of the chat function.
    pub chat_timeout: Duration,
}

/// All environments of all functions.
pub struct Environments {
    launch: Launch,
    variables: Mutex<BTreeMap<String, String>>,
    output: Arc<Output>,
    pools: BTreeMap<Function, Pool>,
    by_id: Mutex<BTreeMap<String, Arc<Environment>>>,
    started: AtomicU64,
}

struct Pool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Arc<Environment>>>,
}

/// One environment.
pub struct Environment {
    id: String,
    function: Function,
    next: mpsc::Sender<Waiting>,
    queue: tokio::sync::Mutex<mpsc::Receiver<Waiting>>,
    current: Mutex<Option<Current>>,
    is_alive: AtomicBool,
    kill: tokio::sync::Notify,
}

struct Waiting {
    invocation: Invocation,
    current: Current,
}

struct Current {
    id: String,
    reply: Option<oneshot::Sender<Result<Answer, Failure>>>,
    _permit: OwnedSemaphorePermit,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Environments {
    /// No environment yet; at most `most` for each function.
    #[must_use]
    pub fn new(launch: Launch, output: Arc<Output>, most: u16) -> Arc<Self> {
        let pool = || Pool {
            permits: Arc::new(Semaphore::new(usize::from(most))),
            idle: Mutex::new(Vec::new()),
        };
        Arc::new(Self {
            variables: Mutex::new(launch.variables.clone()),
            launch,
            output,
            pools: FUNCTIONS.into_iter().map(|function| (function, pool())).collect(),
            by_id: Mutex::new(BTreeMap::new()),
            started: AtomicU64::new(0),
        })
    }

    /// Sends an event to a free environment of a function, a new one where none is free; waits
    /// for one past the limit.
    ///
    /// # Errors
    /// [`Failure`], also where no process could be started.
    pub async fn invoke(
        self: &Arc<Self>,
        function: Function,
        event: Bytes,
    ) -> Result<Answer, Failure> {
        let no_pool = || Failure::Failed("no such function".to_owned());
        let pool = self.pools.get(&function).ok_or_else(no_pool)?;
        let permit = Arc::clone(&pool.permits).acquire_owned().await.map_err(|_| no_pool())?;
        let environment = self.free(function, pool)?;
        let id = clock::request_id();
        let timeout = function.timeout(self.launch.chat_timeout);
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let deadline_ms = clock::wall_ms().saturating_add(timeout_ms);
        let (reply, answer) = oneshot::channel();
        let current = Current { id: id.clone(), reply: Some(reply), _permit: permit };
        let waiting = Waiting { invocation: Invocation { id, event, deadline_ms }, current };
        if environment.next.send(waiting).await.is_err() {
            return Err(Failure::Failed("the environment ended".to_owned()));
        }
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::Failed("the environment ended".to_owned())),
            Err(_) => {
                environment.kill.notify_one();
                Err(Failure::TimedOut)
            }
        }
    }

    /// The environment with this id, where it lives.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Environment>> {
        lock(&self.by_id).get(id).cloned()
    }

    /// The environment waits for its next event: it is idle again.
    pub async fn next(&self, environment: &Arc<Environment>) -> Option<Invocation> {
        // A new one has none, is not idle and never was: its first event already waits for it.
        let finished = lock(&environment.current).take();
        if finished.is_some()
            && let Some(pool) = self.pools.get(&environment.function)
        {
            // First idle, then the permit: whoever gets it must find this environment.
            lock(&pool.idle).push(Arc::clone(environment));
        }
        drop(finished);
        let waiting = environment.queue.lock().await.recv().await?;
        *lock(&environment.current) = Some(waiting.current);
        if !environment.is_alive.load(Ordering::Acquire) {
            // Its process died while it waited, and `watch` has already failed what it had.
            environment.fail(Failure::Failed("the environment ended".to_owned()));
        }
        Some(waiting.invocation)
    }

    /// Sets variables of the environments that are started from now on, and ends the others.
    pub fn change(&self, variables: BTreeMap<String, String>) {
        lock(&self.variables).extend(variables);
        for pool in self.pools.values() {
            lock(&pool.idle).clear();
        }
        self.end();
    }

    /// Ends every environment.
    pub fn end(&self) {
        for environment in lock(&self.by_id).values() {
            // It may become idle before its process has ended; nobody is to find it then.
            environment.is_alive.store(false, Ordering::Release);
            environment.kill.notify_one();
        }
    }

    fn free(
        self: &Arc<Self>,
        function: Function,
        pool: &Pool,
    ) -> Result<Arc<Environment>, Failure> {
        loop {
            // The one used last: the others may be let go.
            let idle = lock(&pool.idle).pop();
            match idle {
                Some(idle) if idle.is_alive.load(Ordering::Acquire) => return Ok(idle),
                Some(_) => {}
                None => break,
            }
        }
        let serial = self.started.fetch_add(1, Ordering::Relaxed);
        let (next, queue) = mpsc::channel(1);
        let environment = Arc::new(Environment {
            id: format!("{}-{serial}", function.name()),
            function,
            next,
            queue: tokio::sync::Mutex::new(queue),
            current: Mutex::new(None),
            is_alive: AtomicBool::new(true),
            kill: tokio::sync::Notify::new(),
        });
        lock(&self.by_id).insert(environment.id.clone(), Arc::clone(&environment));
        let child = self.spawn(&environment).map_err(|error| {
            lock(&self.by_id).remove(&environment.id);
            Failure::Failed(format!("{} did not start: {error}", function.package()))
        })?;
        tokio::spawn(Arc::clone(self).watch(Arc::clone(&environment), child));
        Ok(environment)
    }

    fn spawn(&self, environment: &Environment) -> std::io::Result<Child> {
        let function = environment.function;
        let executable = match &self.launch.bootstrap {
            None => self.launch.executable.clone(),
            Some(dir) => dir.join(function.package()).join("bootstrap"),
        };
        let api = format!("{}/{}", self.launch.runtime_api, environment.id);
        let mut child = Command::new(executable)
            .env_clear()
            .envs(&*lock(&self.variables))
            .env("FAREBOX_FUNCTION", function.name())
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .env("AWS_LAMBDA_FUNCTION_NAME", function.package())
            .env("AWS_LAMBDA_LOG_STREAM_NAME", &environment.id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(copy(function, stdout, Arc::clone(&self.output)));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(copy(function, stderr, Arc::clone(&self.output)));
        }
        Ok(child)
    }

    /// Waits for the end of a child and fails what it had in hand.
    async fn watch(self: Arc<Self>, environment: Arc<Environment>, mut child: Child) {
        // `wait` would close it, and a child ends when its standard input does.
        let _stdin = child.stdin.take();
        let mut is_told = true;
        let ended = tokio::select! {
            ended = child.wait() => ended.map(|status| status.to_string()),
            () = environment.kill.notified() => {
                // That an idle one was let go is nothing that a reader has to know.
                is_told = lock(&environment.current).is_some();
                child.kill().await.map(|()| "killed".to_owned())
            }
        };
        environment.is_alive.store(false, Ordering::Release);
        lock(&self.by_id).remove(&environment.id);
        let how = ended.unwrap_or_else(|error| error.to_string());
        if is_told {
            self.output.line(environment.function.name(), &format!("environment ended: {how}"));
        }
        let failure = Failure::Failed(how);
        environment.fail(failure.clone());
        drop(lock(&environment.current).take());
        // An event that was on its way to the dead environment fails as well.
        let mut queue = environment.queue.lock().await;
        queue.close();
        while let Some(mut waiting) = queue.recv().await {
            if let Some(reply) = waiting.current.reply.take() {
                let _ = reply.send(Err(failure.clone()));
            }
        }
    }
}

impl Environment {
    /// The function answers the invocation `id`: gives the channel for its bytes, or `None` where
    /// it has no such invocation.
    pub fn answer(&self, id: &str, streams: bool) -> Option<mpsc::Sender<Bytes>> {
        let mut current = lock(&self.current);
        let current = current.as_mut().filter(|current| current.id == id)?;
        let reply = current.reply.take()?;
        let (sender, body) = mpsc::channel(64);
        let _ = reply.send(Ok(Answer { streams, body }));
        Some(sender)
    }

    /// The function reports an error, or is gone.
    pub fn fail(&self, failure: Failure) {
        let reply = lock(&self.current).as_mut().and_then(|current| current.reply.take());
        if let Some(reply) = reply {
            let _ = reply.send(Err(failure));
        }
    }
}

async fn copy(function: Function, from: impl AsyncRead + Unpin, output: Arc<Output>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        output.line(function.name(), &line);
    }
}

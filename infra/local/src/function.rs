//! The four functions, and how one of them is run inside a child process of this executable.

use std::io::Read;
use std::time::Duration;

/// A Lambda function of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// The HTTP API of callers.
    Chat,
    /// The HTTP API of the operator.
    Admin,
    /// Queue to log table.
    Logger,
    /// Each minute's jobs.
    Scheduler,
}

/// All of them, in the order in which they are listed.
pub const FUNCTIONS: [Function; 4] =
    [Function::Chat, Function::Admin, Function::Logger, Function::Scheduler];

impl Function {
    /// Its short name: the value of `FAREBOX_FUNCTION`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Admin => "admin",
            Self::Logger => "logger",
            Self::Scheduler => "scheduler",
        }
    }

    /// The name of its package and of its binary, also its name on Lambda here.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            Self::Chat => "farebox-chat",
            Self::Admin => "farebox-admin",
            Self::Logger => "farebox-logger",
            Self::Scheduler => "farebox-scheduler",
        }
    }

    /// The function's timeout, as in `infra/template.yaml`; chat's may be set.
    #[must_use]
    pub const fn timeout(self, chat: Duration) -> Duration {
        match self {
            Self::Chat => chat,
            Self::Admin => Duration::from_secs(30),
            Self::Scheduler => Duration::from_secs(55),
            Self::Logger => Duration::from_secs(60),
        }
    }

    /// The function with this short name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        FUNCTIONS.into_iter().find(|function| function.name() == name)
    }
}

/// Runs the function with this short name until its Runtime API goes away.
///
/// # Errors
/// What the function's `run` returned, or that there is no such function.
pub async fn run(name: &str) -> Result<(), lambda_runtime::Error> {
    match Function::named(name) {
        Some(Function::Chat) => farebox_chat::run().await,
        Some(Function::Admin) => farebox_admin::run().await,
        Some(Function::Logger) => farebox_logger::run().await,
        Some(Function::Scheduler) => farebox_scheduler::run().await,
        None => Err(format!("FAREBOX_FUNCTION: there is no function `{name}`").into()),
    }
}

/// Ends this process when standard input ends, which is when the parent is gone, however it died.
///
/// # Errors
/// Where no thread could be started.
pub fn exit_with_parent() -> std::io::Result<()> {
    std::thread::Builder::new().name("parent".into()).spawn(|| {
        let mut sink = [0_u8; 64];
        let mut parent = std::io::stdin().lock();
        while matches!(parent.read(&mut sink), Ok(read) if read > 0) {}
        std::process::exit(0);
    })?;
    Ok(())
}

//! The harness of the black-box tests: it starts the local stack as a child process and talks to
//! it over sockets, as a caller, an operator and an auditor would.
//!
//! | module | what it holds |
//! |---|---|
//! | [`stack`] | [`Stack`]: one `farebox-local` process, and what it printed when ready |
//! | [`browser`] | [`Browser`]: cookies and steps, as far as signing in needs |
//! | [`caller`] | [`Caller`]: a user with a key, its calls, and its part of the provider's bill |
//! | [`flood`] | answers without an end, and what chat's process holds meanwhile |
//! | [`kill`] | a campaign that kills chat's process at every boundary |
//! | [`moved`] | [`Moved`]: a stack whose clock a file moves |
//! | [`oidc`] | [`Oidc`]: an `OpenID` provider, honest or not |
//! | [`operator`] | the admin API |
//! | [`contrast`] | the contrast table: rows, and the gateways that they are measured on |
//! | [`process`] | what Linux tells of a process: its time and its memory |
//! | [`relay`] | [`Relays`]: between the functions and AWS; it injects faults |
//! | [`signed`] | requests of IAM principals, signed by AWS' own signer |
//! | [`tap`] | [`Tap`]: between Farebox and the demo provider; it sees every POST on the wire |
//! | [`tables`] | [`Item`]: what stands in the tables; [`Books`]: a budget as the ledger wrote it |
//! | [`wire`] | one HTTP request on one connection, whole or piece by piece |
//!
//! A test that needs nothing but its own user shares a stack with the others; one that moves the
//! clock, counts calls to AWS or stops the process has its own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a harness stops its test at the first surprise"
)]

pub mod browser;
pub mod caller;
pub mod contrast;
pub mod flood;
pub mod kill;
pub mod moved;
pub mod oidc;
pub mod operator;
pub mod process;
pub mod relay;
pub mod signed;
pub mod stack;
pub mod storm;
pub mod tables;
pub mod tap;
pub mod wire;

pub use browser::Browser;
pub use caller::Caller;
pub use moved::Moved;
pub use oidc::Oidc;
pub use relay::Relays;
pub use stack::{Settings, Stack};
pub use tables::{Books, Item};
pub use tap::Tap;
pub use wire::{Answer, Call, Open};

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use farebox_core::Money;

/// How long a condition may take to come true on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One runtime for all tests: what a shared stack needs must outlive the test that started it.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime")
});

/// Runs one test.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    RUNTIME.block_on(test)
}

/// Asks again until there is an answer.
///
/// # Panics
/// When there is none in [`PATIENCE`].
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let ends = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < ends, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An amount from its decimal text.
///
/// # Panics
/// Where the text is none.
#[must_use]
pub fn usd(text: &str) -> Money {
    Money::parse_usd(text).unwrap_or_else(|fault| panic!("{text:?} is no amount: {fault}"))
}

/// A short name that no other test has.
///
/// # Panics
/// Where the operating system has no randomness.
#[must_use]
pub fn fresh(prefix: &str) -> String {
    let mut bytes = [0_u8; 6];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}{hex}")
}

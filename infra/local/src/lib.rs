//! `cargo local`: the whole product on 127.0.0.1, without an account.
//!
//! ```text
//!  HTTP ─► gateway ─► environments ─► child processes: this executable again, running the real
//!             (proxy events)   ▲        lambda_runtime with one function each
//!                              │ runtime_api (next, response)
//!  schedule ───────────────────┘        │ the real AWS SDK, over HTTP
//!   (SQS to logger, each minute)        ▼
//!             dynamodb (dynoxide) · services (sqs, secrets, sns, ses) · provider (demo)
//! ```
//!
//! Nothing here calls a function's handler: what runs is what runs on Lambda.

pub mod aws_json;
pub mod client;
pub mod clock;
pub mod dynamodb;
pub mod environments;
pub mod error;
pub mod function;
pub mod gateway;
pub mod messages;
mod objects;
pub mod options;
pub mod output;
pub mod past;
pub mod provider;
pub mod runtime_api;
pub mod samples;
pub mod schedule;
pub mod secrets;
pub mod seed;
pub mod server;
pub mod services;
pub mod signature;
pub mod sqs;
pub mod stack;
pub mod state;
pub mod welcome;

use std::process::ExitCode;

use clap::Parser;

use crate::error::Error;
use crate::options::{Options, from_environment};

/// Runs the stack, or, in a child process, the function that its environment names.
#[must_use]
pub fn main() -> ExitCode {
    match from_environment("FAREBOX_FUNCTION") {
        Some(function) => child(&function),
        None => parent(Options::parse()),
    }
}

fn child(function: &str) -> ExitCode {
    let run = || -> Result<(), lambda_runtime::Error> {
        function::exit_with_parent()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(function::run(function))
    };
    ended(run().map_err(|error| (error.to_string(), 1)))
}

fn parent(options: Options) -> ExitCode {
    let run = || -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|cause| Error::System { what: "the runtime", cause })?;
        let ended = runtime.block_on(stack::run(options));
        // Long polls of children still stand; nobody waits for them.
        runtime.shutdown_background();
        ended
    };
    ended(run().map_err(|error| (error.to_string(), error.exit_code())))
}

fn ended(result: Result<(), (String, u8)>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err((sentence, code)) => {
            use std::io::Write;
            // There is nobody to tell that standard error is closed.
            let _ = writeln!(std::io::stderr(), "farebox-local: {sentence}");
            ExitCode::from(code)
        }
    }
}

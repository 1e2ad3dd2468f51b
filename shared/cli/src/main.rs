//! `farebox`: the operator's command, the admin API from a terminal.
//!
//! It talks to a laptop's stack and to AWS alike: a base URL and an admin key, from the profile
//! that `farebox login` writes. A secret is typed at a prompt or piped in: it is no argument,
//! because arguments stand in process lists and histories, and no variable, which every child
//! inherits.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod aws;
mod chart;
mod client;
mod clock;
mod commands;
mod failure;
mod print;
mod profile;
mod progress;
mod secret;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let as_json = args.json;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(args)),
        Err(error) => Err(failure::Failure::new(error.to_string(), "Try again.")),
    };
    match ended {
        Ok(output) => {
            print::out(&output.render(as_json));
            if output.is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(failure) => {
            print::err(&failure.render(as_json));
            ExitCode::FAILURE
        }
    }
}

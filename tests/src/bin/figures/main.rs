//! `cargo figures`: counts and ratios of the paid road, all taken in one run on one machine.
//!
//! | figure | how it is taken |
//! |---|---|
//! | calls to AWS | counted by the local stack for one warm chat |
//! | CPU seconds | user and system time of the function's process alone, from `/proc` |
//! | forwarder | a process of this executable: hyper in, hyper out, nothing between |
//! | empty function | a streaming function that answers nothing, under the same driver |
//! | AWS calls alone | a function that makes a chat's five calls and nothing else |
//! | content | the difference of long and short answers, so that all else of a call falls out |
//! | start | from `exec` to the first `next`, and the first call after it |

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise, and prints"
)]

mod content;
mod forwarder;
mod function;
mod load;
mod start;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The executables under measurement.
struct Built {
    local: PathBuf,
    chat: PathBuf,
    own: PathBuf,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => farebox_tests::run(report()),
        ["content"] => farebox_tests::run(async { content::report(&build()).await }),
        ["forwarder", provider] => farebox_tests::run(forwarder::serve(provider)),
        ["function", which] => function::run(which),
        _ => panic!("cargo figures takes nothing, or content; it calls itself with others"),
    }
}

async fn report() {
    let built = build();
    let bytes = std::fs::metadata(&built.chat).expect("a bootstrap").len();
    println!("bootstrap of chat, stripped: {}.{:02} MB", bytes / 1_000_000, bytes / 10_000 % 100);
    load::report(&built).await;
    content::report(&built).await;
    start::report(&built).await;
}

/// Builds what is measured, as it is deployed.
fn build() -> Built {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    if cfg!(debug_assertions) {
        println!("This is a debug build: the figures below mean nothing.");
    }
    // One at a time: together they would share features, and the bootstrap would not be the one
    // that is deployed.
    for package in ["farebox-local", "farebox-chat"] {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "-p", package]).current_dir(root);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs").success(), "{package} is built");
    }
    let own = std::env::current_exe().expect("this executable");
    let dir = own.parent().expect("a directory").to_path_buf();
    Built { local: dir.join("farebox-local"), chat: dir.join("farebox-chat"), own }
}

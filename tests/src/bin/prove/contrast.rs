//! `cargo prove contrast`: the contrast table, as markdown.
//!
//! The rows are in the harness (`farebox_tests::contrast`); a short form of them runs at every
//! change.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use farebox_tests::contrast::{self, HEAD, ROWS};
use farebox_tests::{Settings, Stack};

pub fn run(words: &[String]) -> ExitCode {
    let wanted = words.first().map(String::as_str).unwrap_or_default();
    farebox_tests::run(table(wanted))
}

/// Runs the rows whose name has these words in it.
async fn table(wanted: &str) -> ExitCode {
    let local = local();
    let judge = Stack::start(&local, &Settings::default()).await;
    let mut broken = Vec::new();
    println!("{HEAD}");
    for row in ROWS.iter().filter(|row| row.name.contains(wanted)) {
        let line = contrast::run(&local, &judge, row).await;
        println!("{}", line.markdown());
        if !line.keeps_the_promise() {
            broken.push(row.name);
        }
    }
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("VIOLATION in: {}", broken.join("; "));
    ExitCode::FAILURE
}

/// Builds the stack in the profile of this executable.
pub fn local() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "-q", "-p", "farebox-local"]).current_dir(root);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "farebox-local is built");
    std::env::current_exe().expect("this executable").with_file_name("farebox-local")
}

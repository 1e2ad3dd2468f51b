//! What the functions print: to the terminal, to a file, and counted where it tells of an AWS call.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::error::Error;
use crate::state;

/// How a function's line about an AWS call begins (`FAREBOX_TRACE_AWS`).
const TRACE: &str = "farebox.aws ";

/// Takes the functions' lines.
pub struct Output {
    to_terminal: bool,
    path: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    file: Option<File>,
    calls: BTreeMap<String, u64>,
    trace: Vec<String>,
}

/// The most traced calls that are kept since the last reset.
const TRACED_MAX: usize = 10_000;

impl Output {
    /// Lines go to `path`, and all but the informational ones to the terminal unless told not to.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(to_terminal: bool, path: Option<PathBuf>) -> Result<Self, Error> {
        let file = path.as_deref().map(state::append_to).transpose()?;
        let inner = Mutex::new(Inner { file, ..Inner::default() });
        Ok(Self { to_terminal, path, inner })
    }

    /// Where the lines are kept.
    #[must_use]
    pub const fn path(&self) -> Option<&PathBuf> {
        self.path.as_ref()
    }

    /// One line of a function.
    pub fn line(&self, function: &str, line: &str) {
        let mut inner = self.lock();
        if let Some(call) = line.strip_prefix(TRACE) {
            let mut words = call.split(' ');
            let (operation, table) = (words.next().unwrap_or(""), words.next().unwrap_or("-"));
            *inner.calls.entry(format!("{function} {operation} {table}")).or_default() += 1;
            if inner.trace.len() < TRACED_MAX {
                inner.trace.push(format!("{function} {call}"));
            }
            return;
        }
        if let Some(file) = &mut inner.file {
            // A log that cannot be written must not stop the stack.
            let _ = writeln!(file, "[{function}] {line}");
        }
        // What went well is in the file; a person at a terminal is shown the rest.
        if self.to_terminal && !line.contains("\"level\":\"INFO\"") {
            let _ = writeln!(std::io::stderr(), "[{function}] {line}");
        }
    }

    /// AWS calls since the last reset: counts by function, operation and table, and the calls.
    #[must_use]
    pub fn calls(&self) -> Value {
        let inner = self.lock();
        let total: u64 = inner.calls.values().sum();
        json!({"total": total, "by": inner.calls, "calls": inner.trace})
    }

    /// Forgets the counts.
    pub fn reset_calls(&self) {
        let mut inner = self.lock();
        inner.calls.clear();
        inner.trace.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traced_call_is_counted_and_not_shown() {
        let output = Output::open(false, None).unwrap();
        output.line("chat", "farebox.aws UpdateItem farebox-ledger 01K");
        output.line("chat", "farebox.aws UpdateItem farebox-ledger 01K");

        assert_eq!(output.calls()["by"]["chat UpdateItem farebox-ledger"], 2);
        output.reset_calls();
        assert_eq!(output.calls()["total"], 0);
    }
}

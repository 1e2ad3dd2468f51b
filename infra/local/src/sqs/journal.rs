//! What keeps an accepted message through Ctrl-C and through a kill: one line of JSON for each
//! change, appended before the change is answered. Receive counts and timeouts are not kept; after
//! a start every message is visible again.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::queue::Sent;
use crate::error::Error;
use crate::state;

/// Lines after which the file may be rewritten with the live messages only.
const LINES_BEFORE_REWRITE: usize = 10_000;

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A queue was created with these attributes.
    Create {
        /// Its name.
        queue: String,
        /// As in `CreateQueue`.
        attributes: Map<String, Value>,
    },
    /// A message was accepted.
    Send {
        /// The queue's name.
        queue: String,
        /// The message.
        message: Sent,
    },
    /// A message is done with, or has moved to another queue.
    Delete {
        /// The queue's name.
        queue: String,
        /// The message's id.
        id: String,
    },
    /// A queue was emptied.
    Purge {
        /// The queue's name.
        queue: String,
    },
}

/// The open file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl Journal {
    /// Reads the entries of an earlier run; none where the file does not exist.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Unreadable`].
    pub fn read(path: &Path) -> Result<Vec<Entry>, Error> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(state::file_error(path, cause)),
        };
        let mut entries = Vec::new();
        for line in text.split_inclusive('\n') {
            match serde_json::from_str(line) {
                Ok(entry) => entries.push(entry),
                // A kill in the middle of a line: its sender was never answered.
                Err(_) if !line.ends_with('\n') => break,
                Err(cause) => return Err(Error::Unreadable { path: path.to_path_buf(), cause }),
            }
        }
        Ok(entries)
    }

    /// Writes `entries` as the whole file and opens it for more.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn rewrite(path: &Path, entries: &[Entry]) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        for entry in entries {
            bytes.extend(line(path, entry)?);
        }
        state::write_atomically(path, &bytes)?;
        let file = state::append_to(path)?;
        Ok(Self { path: path.to_path_buf(), file, lines: entries.len() })
    }

    /// Appends changes in one write.
    ///
    /// # Errors
    /// [`Error::File`]; then the change must not be made.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for entry in entries {
            bytes.extend(line(&self.path, entry)?);
        }
        self.lines = self.lines.saturating_add(entries.len());
        self.file.write_all(&bytes).map_err(|cause| state::file_error(&self.path, cause))
    }

    /// Where the file is, once it holds so many lines beside `live` ones that a rewrite pays.
    #[must_use]
    pub fn overgrown(&self, live: usize) -> Option<&Path> {
        let worth_it = self.lines > LINES_BEFORE_REWRITE && self.lines / 4 > live;
        worth_it.then_some(self.path.as_path())
    }
}

fn line(path: &Path, entry: &Entry) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec(entry)
        .map_err(|cause| Error::Unreadable { path: path.to_path_buf(), cause })?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_by_a_kill_is_left_out() {
        let name = format!("farebox-journal-{}", crate::clock::request_id());
        let path = std::env::temp_dir().join(name);
        let entry = Entry::Purge { queue: "q".into() };
        let mut journal = Journal::rewrite(&path, &[]).unwrap();
        journal.append(std::slice::from_ref(&entry)).unwrap();
        journal.file.write_all(b"{\"purge\":{\"que").unwrap();

        assert_eq!(Journal::read(&path).unwrap(), [entry]);
        std::fs::remove_file(path).unwrap();
    }
}

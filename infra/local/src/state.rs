//! The state directory: its format, its lock, and files that are whole or absent.
//!
//! | file | holds |
//! |---|---|
//! | `format` | the number of this layout |
//! | `lock` | held while a stack runs on the directory |
//! | `dynamodb.sqlite` | the three tables |
//! | `secrets.json`, `queue.jsonl` | Secrets Manager and SQS |
//! | `local.json` | the demo key and the admin key, to be printed again |
//! | `functions.log` | what the functions printed |
//! | `s3` | objects of S3: a directory a bucket |
//! | `env` | written by `--services` |
//! | `clock` | while the samples are made, how far back the functions' clock is |
//!
//! Files with secrets can be read by their owner only.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The layout that this version reads and writes.
pub const FORMAT: u32 = 1;

/// A state directory that belongs to this process, or none with `--ephemeral`.
#[derive(Debug)]
pub struct State {
    dir: Option<PathBuf>,
    _lock: Option<File>,
}

impl State {
    /// No directory: everything lives in memory.
    #[must_use]
    pub const fn ephemeral() -> Self {
        Self { dir: None, _lock: None }
    }

    /// Opens `dir`, creating it where it does not exist, and locks it.
    ///
    /// # Errors
    /// [`Error::StateFormat`], [`Error::StateInUse`] and [`Error::File`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        create_private(dir).map_err(|cause| file_error(dir, cause))?;
        let format_file = dir.join("format");
        match std::fs::read_to_string(&format_file) {
            Ok(text) if text.trim() == FORMAT.to_string() => {}
            Ok(text) => return Err(other_format(dir, text.trim())),
            // Tables without a number were written before there was one.
            Err(_) if dir.join("dynamodb.sqlite").exists() => return Err(other_format(dir, "0")),
            Err(_) => write_atomically(&format_file, format!("{FORMAT}\n").as_bytes())?,
        }

        let lock_file = dir.join("lock");
        let lock = File::create(&lock_file).map_err(|cause| file_error(&lock_file, cause))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: Some(dir.to_path_buf()), _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(Error::StateInUse { dir: dir.to_path_buf() }),
            Err(TryLockError::Error(cause)) => Err(file_error(&lock_file, cause)),
        }
    }

    /// The path of a file in the directory, or `None` where nothing is written to disk.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(name))
    }
}

fn other_format(dir: &Path, found: &str) -> Error {
    Error::StateFormat {
        dir: dir.to_path_buf(),
        found: found.chars().take(20).collect(),
        expected: FORMAT,
    }
}

pub(crate) fn file_error(path: &Path, cause: std::io::Error) -> Error {
    Error::File { path: path.to_path_buf(), cause }
}

/// Writes a file that only its owner can read: first beside it, then in its place, so that a reader
/// (and a start after a kill) finds the old bytes or the new ones and nothing between.
///
/// # Errors
/// [`Error::File`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        // A leftover could have other permissions, which opening would keep.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private_file(OpenOptions::new().write(true).create_new(true), &beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|cause| file_error(path, cause))
}

/// Opens a file to append to, which only its owner can read.
///
/// # Errors
/// [`Error::File`].
pub fn append_to(path: &Path) -> Result<File, Error> {
    private_file(OpenOptions::new().append(true).create(true), path)
        .map_err(|cause| file_error(path, cause))
}

#[cfg(unix)]
fn private_file(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    options.open(path)
}

/// Creates a directory for its owner alone; one that exists keeps its permissions.
fn create_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(name: &str) -> PathBuf {
        let id = crate::clock::request_id();
        std::env::temp_dir().join(format!("farebox-state-{name}-{id}"))
    }

    #[test]
    fn a_directory_of_another_format_is_refused_by_its_number() {
        let dir = fresh("format");
        drop(State::open(&dir).unwrap());
        std::fs::write(dir.join("format"), "7\n").unwrap();

        let error = State::open(&dir).unwrap_err();

        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("format 7, this version reads format 1"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn two_stacks_cannot_share_a_directory() {
        let dir = fresh("lock");
        let first = State::open(&dir).unwrap();

        assert!(matches!(State::open(&dir), Err(Error::StateInUse { .. })));
        drop(first);
        assert!(State::open(&dir).is_ok());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_replaced_whole_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = fresh("write");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("secrets.json");

        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();

        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

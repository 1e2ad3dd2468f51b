//! A stack whose clock a file moves.

use std::path::{Path, PathBuf};

use farebox_core::Timestamp;

use crate::{Settings, Stack, fresh};

const DAY_MS: i64 = 86_400_000;

/// A stack of its own and the file that moves its clock.
#[derive(Debug)]
pub struct Moved {
    /// The stack.
    pub stack: Stack,
    file: PathBuf,
}

impl Moved {
    /// Starts a stack with this many environments of each function, at this time (RFC 3339).
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start(executable: &Path, environments: u16, time: &str) -> Self {
        let settings = Settings { environments, ..Settings::default() };
        Self::start_with(executable, settings, time).await
    }

    /// Starts a stack with more settings.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start_with(executable: &Path, settings: Settings, time: &str) -> Self {
        let file = std::env::temp_dir().join(fresh("farebox-clock-"));
        set(&file, time);
        let settings = Settings { clock: Some(file.clone()), ..settings };
        Self { stack: Stack::start(executable, &settings).await, file }
    }

    /// Moves its clock.
    ///
    /// # Panics
    /// Where this is no time.
    pub fn to(&self, time: &str) {
        set(&self.file, time);
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        // Nothing is lost where it stays.
        drop(std::fs::remove_file(&self.file));
    }
}

fn set(file: &Path, time: &str) {
    let wanted = Timestamp::parse(time).expect("a time").ms();
    let beside = file.with_extension("new");
    std::fs::write(&beside, (wanted - machine_ms()).to_string()).expect("a file");
    std::fs::rename(&beside, file).expect("a file");
}

/// Next year, so that no date of the machine is met.
///
/// # Panics
/// Where the machine's clock stands before 1970.
#[must_use]
pub fn next_year() -> i64 {
    1970 + machine_ms() / (365 * DAY_MS + DAY_MS / 4) + 1
}

fn machine_ms() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a date")
}

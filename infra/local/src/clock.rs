//! The time, and the random source: the only place in this crate that asks for either.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Error;

/// The wall clock, moved by the offset in the file of `--clock` where there is one.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_file: Option<PathBuf>,
}

impl Clock {
    /// A clock that adds the milliseconds found in `offset_file` at each reading.
    #[must_use]
    pub const fn new(offset_file: Option<PathBuf>) -> Self {
        Self { offset_file }
    }

    /// Milliseconds since 1970, with the offset. A file that is absent or is no number counts as 0:
    /// the functions read the same file and refuse it themselves.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let offset_ms = self
            .offset_file
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok())
            .and_then(|text| text.trim().parse::<i64>().ok())
            .unwrap_or(0);
        wall_ms().saturating_add(offset_ms)
    }

    /// The same instant as RFC 3339 in UTC with whole seconds, as EventBridge writes `time`.
    #[must_use]
    pub fn now_rfc3339(&self) -> String {
        let seconds = self.now_ms().div_euclid(1_000);
        jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
    }
}

/// Milliseconds since 1970 by the machine's clock, which no test moves: queues and deadlines use
/// it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one clock of the local stack")]
pub fn wall_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// `N` bytes from the operating system's random source.
///
/// # Errors
/// [`Error::System`] where the operating system has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|cause| Error::System {
        what: "the random source",
        cause: std::io::Error::other(cause.to_string()),
    })?;
    Ok(bytes)
}

/// A random identifier in the form of a UUID version 4, as AWS writes request ids.
#[must_use]
pub fn request_id() -> String {
    // An identifier need not be secret: where the random source fails, the clock must do.
    let number = random::<16>()
        .map_or_else(|_| u128::try_from(wall_ms()).unwrap_or_default(), u128::from_be_bytes);
    let version = (number & !(0xf << 76)) | (0x4 << 76);
    let uuid = (version & !(0x3 << 62)) | (0x2 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        uuid >> 96,
        (uuid >> 80) & 0xffff,
        (uuid >> 64) & 0xffff,
        (uuid >> 48) & 0xffff,
        uuid & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_uuid_version_4() {
        let id = request_id();

        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"));
    }

    #[test]
    fn a_clock_without_a_number_in_its_file_is_the_wall_clock() {
        let clock = Clock::new(Some(PathBuf::from("/nonexistent/clock")));

        assert!(clock.now_ms() - wall_ms() < 1_000);
        assert!(clock.now_rfc3339().ends_with('Z'));
    }
}

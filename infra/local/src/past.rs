//! The days before a first start. The samples' calls are made then, by the functions themselves:
//! their clock begins in the past, and goes forward as fast as the calls do, never back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::wall_ms;
use crate::environments::Environments;
use crate::error::Error;
use crate::schedule::Schedule;
use crate::state;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
/// How often the scheduler begins to look at all budgets.
const LOOK_MS: i64 = 5 * MINUTE_MS;
/// Names the file that the functions read their offset from.
const CLOCK_FILE: &str = "FAREBOX_CLOCK_FILE";

/// A stack whose functions live in the past. Nobody else may call it meanwhile.
pub struct Past {
    environments: Arc<Environments>,
    schedule: Arc<Schedule>,
    file: PathBuf,
    began_ms: i64,
}

impl Past {
    /// Sets the functions back by whole days.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn begin(
        environments: &Arc<Environments>,
        schedule: &Arc<Schedule>,
        file: PathBuf,
        days: i64,
    ) -> Result<Self, Error> {
        let (environments, schedule) = (Arc::clone(environments), Arc::clone(schedule));
        let past = Self { environments, schedule, file, began_ms: wall_ms() };
        past.write(past.began_ms - days * DAY_MS)?;
        past.set_clock(past.file.display().to_string());
        Ok(past)
    }

    /// Goes on to a minute of the day that was `days` ago in UTC, once everything that is under way
    /// has ended and the scheduler has looked at it: a leap would make the books' clocks lie.
    ///
    /// # Errors
    /// [`Error::File`].
    pub async fn go_on(&self, days: i64, minute: i64) -> Result<(), Error> {
        self.settle().await;
        let midnight = self.began_ms - self.began_ms.rem_euclid(DAY_MS);
        self.write(midnight - days * DAY_MS + minute * MINUTE_MS)
    }

    /// Back in the present, for good.
    pub async fn end(self) {
        self.settle().await;
        // The last minute in which the scheduler looks at all budgets: else `farebox doctor` would
        // find, until the next one, that nobody has looked at them for half a day.
        let now_ms = wall_ms();
        if self.write(now_ms - now_ms.rem_euclid(LOOK_MS)).is_ok() {
            self.settle().await;
        }
        // Whoever starts from now on knows no other clock than the machine's.
        self.set_clock(String::new());
        // Nobody reads it any more.
        let _ = std::fs::remove_file(&self.file);
    }

    async fn settle(&self) {
        // After 30 s there is something wrong that a message in the functions' log tells.
        self.schedule.drain().await;
        let clock = crate::clock::Clock::new(Some(self.file.clone()));
        // What it could not do it does in the present, within a minute.
        let _ = self.schedule.run(&clock.now_rfc3339()).await;
        self.schedule.drain().await;
    }

    fn write(&self, at_ms: i64) -> Result<(), Error> {
        let offset_ms = at_ms - wall_ms();
        state::write_atomically(&self.file, offset_ms.to_string().as_bytes())
    }

    fn set_clock(&self, file: String) {
        self.environments.change(BTreeMap::from([(CLOCK_FILE.to_owned(), file)]));
    }
}

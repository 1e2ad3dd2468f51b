//! How long what looks again and again goes on where looks fail.

use std::time::Duration;

use crate::failure::Failure;
use crate::print::{clean, err};

/// Between two looks.
pub const EVERY: Duration = Duration::from_secs(2);
/// Looks in a row that fail before it ends: with the waits between them half a minute.
const FAILURES_MAX: u32 = 5;

/// The looks that have failed in a row.
#[derive(Default)]
pub struct Patience(u32);

impl Patience {
    /// What a look has found. Where it failed and another one may not, it says so on standard
    /// error, waits, and gives `None`.
    ///
    /// # Errors
    /// The failure, where another look would end as this one, or too many have.
    pub async fn found<T>(&mut self, look: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match look {
            Ok(found) => {
                self.0 = 0;
                Ok(Some(found))
            }
            Err(failure) => {
                let wait = self.wait(&failure).ok_or_else(|| failure.clone())?;
                let (message, seconds) = (clean(failure.message()), wait.as_secs());
                err(&format!("note: {message}; looking again in {seconds} s"));
                tokio::time::sleep(wait).await;
                Ok(None)
            }
        }
    }

    /// How long the next look waits after a failure, each time twice as long; `None` where there
    /// is none.
    fn wait(&mut self, failure: &Failure) -> Option<Duration> {
        self.0 = self.0.saturating_add(1);
        if !failure.is_passing() || self.0 >= FAILURES_MAX {
            return None;
        }
        EVERY.checked_mul(2_u32.checked_pow(self.0.checked_sub(1)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_each_time_and_ends_at_the_fifth_failure_in_a_row() {
        let (mut patience, away) = (Patience::default(), Failure::new("away", "wait").passing());
        let mut waits = || patience.wait(&away).map(|wait| wait.as_secs());

        assert_eq!([(); 5].map(|()| waits()), [Some(2), Some(4), Some(8), Some(16), None]);
    }

    #[test]
    fn a_look_that_succeeds_begins_the_count_anew_and_a_refusal_ends_it_at_once() {
        let (mut patience, away) = (Patience(4), Failure::new("away", "wait").passing());
        let refused = Failure::new("no", "farebox login");
        let mut now = Box::pin(patience.found(Ok(7)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());

        let found = now.as_mut().poll(&mut context);

        assert!(matches!(found, std::task::Poll::Ready(Ok(Some(7)))));
        drop(now);
        assert_eq!(patience.wait(&away), Some(EVERY));
        assert_eq!(patience.wait(&refused), None);
    }
}

//! Trying again for a bounded time what may work a moment later: an election, a coordinator that still loads.

use super::{Client, Error, Topics};
use crate::progress::Progress;
use std::time::{Duration, Instant};

/// The first pause between two attempts; each is twice the one before, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Client {
    /// Calls `attempt` until it succeeds, fails for good, or the request timeout has passed since the first call. Metadata is
    /// asked anew in between, so that a broker id stands for its present address.
    ///
    /// # Errors
    /// The last attempt's.
    pub fn retrying<T>(&mut self, mut attempt: impl FnMut(&mut Client) -> Result<T, Error>) -> Result<T, Error> {
        let end = Instant::now() + self.settings().request_timeout;
        let mut pause = PAUSE_MIN;
        let mut progress = None;
        loop {
            match attempt(self) {
                Err(error) if error.is_retriable() && Instant::now() + pause < end => {
                    progress.get_or_insert_with(|| {
                        Progress::begin(self.settings().signs, format!("{error}; trying again"))
                    });
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                    // If this fails the next attempt says so better.
                    let _ = self.metadata(Topics::None);
                }
                outcome => return outcome,
            }
        }
    }
}

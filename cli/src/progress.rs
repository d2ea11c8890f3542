//! A sign of life from what takes longer than two seconds: on a terminal one line that changes, elsewhere a line now and then. All
//! of it on standard error.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long nothing is said.
const QUIET: Duration = Duration::from_secs(2);
/// How often the line on a terminal changes.
const TICK: Duration = Duration::from_millis(500);
/// How often a line is written where nobody watches.
const LINE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct State {
    done: usize,
    ended: bool,
}

/// Tells what is going on from two seconds after its making until it is dropped.
#[derive(Debug)]
pub struct Progress {
    shared: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins. `what` stands before the numbers: `reading the settings of topics`. A `total` of 0 means that only time is known.
    pub fn begin(watched: bool, what: impl Into<String>, total: usize) -> Self {
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let line = Line { what: what.into(), total, begun: Instant::now(), watched };
        let seen = Arc::clone(&shared);
        let thread = std::thread::spawn(move || line.follow(&seen, &mut std::io::stderr()));
        Progress { shared, thread: Some(thread) }
    }

    /// Says that so many of the total are done.
    pub fn done(&self, count: usize) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).done = count;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to give back; if it failed, only the sign of life did.
            let _ = thread.join();
        }
    }
}

struct Line {
    what: String,
    total: usize,
    begun: Instant,
    watched: bool,
}

impl Line {
    /// Writes until the end, then takes the line off the terminal.
    fn follow(&self, shared: &(Mutex<State>, Condvar), err: &mut dyn Write) {
        let (state, changed) = shared;
        let mut wait = QUIET;
        let mut said = false;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.ended {
            let (now, timeout) = changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            state = now;
            if timeout.timed_out() && !state.ended {
                let text = self.text(state.done, self.begun.elapsed());
                // Standard error that is gone wants no signs.
                let _ = if self.watched { write!(err, "\r{text}\x1b[K") } else { writeln!(err, "{text}") };
                let _ = err.flush();
                said = true;
                wait = if self.watched { TICK } else { LINE };
            }
        }
        if said && self.watched {
            let _ = write!(err, "\r\x1b[K");
            let _ = err.flush();
        }
    }

    fn text(&self, done: usize, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs();
        match self.total {
            0 => format!("{} … {seconds} s", self.what),
            total => {
                let left = match done {
                    0 => String::new(),
                    done => {
                        format!(", about {} s left", (seconds as usize * total.saturating_sub(done)).div_ceil(done))
                    }
                };
                format!("{} … {done} of {total}, {seconds} s{left}", self.what)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(total: usize) -> Line {
        Line { what: "reading".into(), total, begun: Instant::now(), watched: true }
    }

    #[test]
    fn numbers_and_the_time_that_is_left() {
        let text = |total, done, seconds| line(total).text(done, Duration::from_secs(seconds));
        assert_eq!(text(0, 0, 3), "reading … 3 s");
        assert_eq!(text(100, 0, 3), "reading … 0 of 100, 3 s");
        assert_eq!(text(100, 25, 3), "reading … 25 of 100, 3 s, about 9 s left");
    }

    #[test]
    fn what_ends_before_the_first_wait_says_nothing_and_is_not_waited_for() {
        let shared = (Mutex::new(State { done: 0, ended: true }), Condvar::new());
        let mut err = Vec::new();
        let start = Instant::now();
        line(0).follow(&shared, &mut err);
        assert!(err.is_empty() && start.elapsed() < QUIET);
    }
}

//! A sign of life from what takes longer than two seconds: on a terminal one line that changes, elsewhere a line now and then. All
//! of it on standard error.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where signs of life go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signs {
    /// Nowhere.
    #[default]
    None,
    /// Lines on standard error.
    Lines,
    /// One line on a terminal, which changes and goes away.
    Terminal,
}

/// How long nothing is said.
const QUIET: Duration = Duration::from_secs(2);
/// How often the line on a terminal changes.
const TICK: Duration = Duration::from_millis(500);
/// How often a line is written where nobody watches.
const LINE: Duration = Duration::from_secs(10);

/// Tells what is going on from two seconds after its making until it is dropped.
#[derive(Debug)]
pub struct Progress {
    /// Whether it has ended.
    shared: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins. `what` stands before the time: `waiting for an answer`.
    pub fn begin(signs: Signs, what: impl Into<String>) -> Self {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let line =
            Line { what: what.into(), begun: Instant::now(), on_terminal: signs == Signs::Terminal, quiet: QUIET };
        let thread = (signs != Signs::None).then(|| {
            let seen = Arc::clone(&shared);
            std::thread::spawn(move || line.follow(&seen, &mut std::io::stderr()))
        });
        Progress { shared, thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to give back; if it failed, only the sign of life did.
            let _ = thread.join();
        }
    }
}

struct Line {
    what: String,
    begun: Instant,
    on_terminal: bool,
    quiet: Duration,
}

impl Line {
    /// Writes until the end, then takes the line off the terminal.
    fn follow(&self, (ended, changed): &(Mutex<bool>, Condvar), err: &mut dyn Write) {
        let mut wait = self.quiet;
        let mut said = false;
        let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            let (now, timeout) = changed.wait_timeout(ended, wait).unwrap_or_else(PoisonError::into_inner);
            ended = now;
            if timeout.timed_out() && !*ended {
                let text = format!("{} … {} s", self.what, self.begun.elapsed().as_secs());
                // Standard error that is gone wants no signs.
                let _ = if self.on_terminal { write!(err, "\r{text}\x1b[K") } else { writeln!(err, "{text}") };
                let _ = err.flush();
                said = true;
                wait = if self.on_terminal { TICK } else { LINE };
            }
        }
        if said && self.on_terminal {
            let _ = write!(err, "\r\x1b[K");
            let _ = err.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(on_terminal: bool, quiet: Duration) -> Line {
        Line { what: "waiting".into(), begun: Instant::now(), on_terminal, quiet }
    }

    /// What is written in the fifty milliseconds after a quiet one.
    fn written(on_terminal: bool) -> String {
        let shared = (Mutex::new(false), Condvar::new());
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut err = Vec::new();
                line(on_terminal, Duration::from_millis(1)).follow(&shared, &mut err);
                String::from_utf8(err).unwrap()
            });
            std::thread::sleep(Duration::from_millis(50));
            *shared.0.lock().unwrap() = true;
            shared.1.notify_all();
            writer.join().unwrap()
        })
    }

    #[test]
    fn lines_stay_and_a_terminals_line_goes_away() {
        assert_eq!(written(false), "waiting … 0 s\n");
        assert_eq!(written(true), "\rwaiting … 0 s\x1b[K\r\x1b[K");
    }

    #[test]
    fn what_ends_before_the_first_wait_says_nothing_and_is_not_waited_for() {
        let shared = (Mutex::new(true), Condvar::new());
        let mut err = Vec::new();
        let start = Instant::now();
        line(true, QUIET).follow(&shared, &mut err);
        assert!(err.is_empty() && start.elapsed() < QUIET);
    }

    #[test]
    fn an_end_is_not_waited_for() {
        let start = Instant::now();
        drop(Progress::begin(Signs::Lines, "nothing"));
        assert!(start.elapsed() < QUIET);
    }
}

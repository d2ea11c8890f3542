//! The times of a run: when open-loop requests are due, when the counted window begins and ends, how busy the generator is.

use super::plan::{Pace, Plan, Window};
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// When open-loop requests are due, and on which connection.
pub(super) struct Schedule {
    begin: Instant,
    interval: Duration,
    connections: usize,
    count: u32,
}

impl Schedule {
    pub(super) fn new(plan: &Plan, begin: Instant) -> Option<Schedule> {
        let writers = plan.writers.as_ref()?;
        let Pace::Open { per_s } = writers.pace else { return None };
        Some(Schedule {
            begin,
            interval: Duration::from_secs_f64(1.0 / per_s),
            connections: writers.connections,
            count: 0,
        })
    }

    pub(super) fn next_due(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let due = self.begin + self.interval * self.count;
        if due > now {
            return None;
        }
        let conn = self.count as usize % self.connections;
        self.count += 1;
        Some((conn, due))
    }
}

/// When the counted window begins and ends.
pub(super) struct WindowClock {
    window: Window,
    begin: Instant,
    counting_since: Option<Instant>,
}

impl WindowClock {
    pub(super) fn new(window: Window, begin: Instant) -> WindowClock {
        WindowClock { window, begin, counting_since: None }
    }

    /// True once: when the warm-up has lasted long enough and enough was answered in it.
    pub(super) fn begins(&mut self, now: Instant, answered: u64, bytes: u64) -> bool {
        if self.counting_since.is_some() {
            return false;
        }
        let (w, lasted) = (&self.window, now - self.begin);
        let warm = lasted >= w.warm_up && answered >= w.warm_up_requests;
        let begins = warm || lasted >= w.warm_up_max || bytes >= w.warm_up_bytes_max;
        if begins {
            self.counting_since = Some(now);
        }
        begins
    }

    pub(super) fn ends(&self, now: Instant, bytes: u64) -> bool {
        let over = |since: Instant| now - since >= self.window.duration || bytes >= self.window.bytes_max;
        self.counting_since.is_some_and(over)
    }
}

/// How busy this thread is. A closed loop sleeps when there is nothing to do, so its CPU time tells; an open loop asks the
/// kernel again and again, so that it is never late, and only what it does between two such questions counts.
pub(super) struct Busy {
    spins: bool,
    worked: Duration,
    cpu_from: Duration,
}

impl Busy {
    pub(super) fn new(spins: bool) -> Busy {
        Busy { spins, worked: Duration::ZERO, cpu_from: cpu_time() }
    }

    pub(super) fn turned(&mut self, worked: bool, took: Duration) {
        if worked {
            self.worked += took;
        }
    }

    pub(super) fn share(&self, elapsed: Duration) -> f64 {
        let worked = if self.spins { self.worked } else { cpu_time().saturating_sub(self.cpu_from) };
        worked.as_secs_f64() / elapsed.as_secs_f64().max(1e-9)
    }
}

/// CPU time of this process.
pub(crate) fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_up_takes_its_time_and_its_work_but_not_for_ever() {
        let begin = Instant::now();
        let window = Window {
            warm_up: Duration::from_secs(2),
            warm_up_requests: 100,
            warm_up_max: Duration::from_secs(5),
            warm_up_bytes_max: 1_000,
            duration: Duration::from_secs(3),
            bytes_max: 50,
        };
        let begins = |s: u64, answered, bytes| {
            WindowClock::new(window, begin).begins(begin + Duration::from_secs(s), answered, bytes)
        };
        assert!(!begins(1, 100, 0), "too early");
        assert!(!begins(2, 99, 0), "too little work");
        assert!(begins(2, 100, 0));
        assert!(begins(5, 0, 0), "long enough");
        assert!(begins(0, 0, 1_000), "the disk is not filled by warming up");
        let mut clock = WindowClock::new(window, begin);
        assert!(!clock.ends(begin + Duration::from_secs(60), 60), "it has not begun");
        assert!(clock.begins(begin + Duration::from_secs(2), 100, 0));
        assert!(!clock.begins(begin + Duration::from_secs(3), 100, 0), "it begins once");
        assert!(!clock.ends(begin + Duration::from_secs(4), 49));
        assert!(clock.ends(begin + Duration::from_secs(4), 50));
        assert!(clock.ends(begin + Duration::from_secs(5), 0));
    }
}

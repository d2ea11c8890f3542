//! How long an honest client waits: produce and fetch, one after the other, counted in windows, so that one bad moment of a
//! shared machine is not taken for the broker's.

use super::{Broker, Client};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Requests in a window, which its p99 leaves one or two of out.
const REQUESTS: usize = 150;

/// Longest that a window may take.
const WINDOW_MAX: Duration = Duration::from_secs(2);

/// Windows of a measurement; the median of their p99 counts.
const WINDOWS: usize = 5;

/// Waits below this are as good as none, whatever they are compared with: a scheduler's slice on a machine with others.
/// A build without optimisation takes as long for a burst of a thousand single bytes.
pub const FLOOR: Duration = Duration::from_millis(if cfg!(debug_assertions) { 25 } else { 5 });

/// Measurements that may be taken before it is believed that the broker is slow and not the machine.
const ATTEMPTS: usize = 4;

/// An honest client that has a topic for itself.
pub struct Witness {
    client: Client,
    topic: String,
    produced: i64,
}

impl Witness {
    pub fn new(broker: &Broker, topic: &str) -> Witness {
        let mut client = broker.client();
        assert_eq!(client.create_topic(topic, 1), 0);
        Witness { client, topic: topic.to_owned(), produced: 0 }
    }

    /// Produces a record, which is on the disk then, and reads it.
    pub fn is_served(&mut self) {
        assert_eq!(self.client.produce(&self.topic, 0, &["x"]), (0, self.produced));
        assert_eq!(self.client.fetch(&self.topic, 0, self.produced).1, ["x"]);
        self.produced += 1;
    }

    /// The median of the windows' p99 of one produce and fetch.
    pub fn p99(&mut self) -> Duration {
        median((0..WINDOWS).map(|_| self.window()).collect())
    }

    fn window(&mut self) -> Duration {
        let (end, mut waits) = (Instant::now() + WINDOW_MAX, Vec::new());
        while waits.len() < REQUESTS && (Instant::now() < end || waits.is_empty()) {
            let begin = Instant::now();
            self.is_served();
            waits.push(begin.elapsed());
        }
        waits.sort_unstable();
        waits[(waits.len() * 99 / 100).saturating_sub(1)]
    }

    /// Asserts that the p99 is at most twice `before`, or twice that of `control` in the same seconds: a broker that nobody
    /// bothers, on the same machine. Returns both.
    pub fn assert_p99(&mut self, before: Duration, control: &mut Witness, what: &str) -> P99 {
        let mut seen = Vec::new();
        for _ in 0..ATTEMPTS {
            let (ours, theirs): (Vec<_>, Vec<_>) = (0..WINDOWS).map(|_| (self.window(), control.window())).unzip();
            let p99 = P99 { beside: median(ours), control: median(theirs) };
            if p99.beside <= (before.max(p99.control) * 2).max(FLOOR) {
                return p99;
            }
            seen.push(p99);
        }
        panic!("{what}: honest p99 {seen:?}, {before:?} before");
    }
}

/// What honest clients waited in the same seconds.
#[derive(Clone, Copy, Debug)]
pub struct P99 {
    /// Those of the broker that is bothered.
    pub beside: Duration,
    /// Those of another broker.
    pub control: Duration,
}

impl fmt::Display for P99 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2?} beside them (a broker without them, in the same seconds: {:.2?})", self.beside, self.control)
    }
}

/// Sets a flag when it goes, even by a panic: whoever works meanwhile ends.
pub struct Ends<'a>(pub &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

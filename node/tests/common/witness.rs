//! How long an honest client waits: produce and fetch, one after the other, counted in windows, so that one bad moment of a
//! shared machine is not taken for the broker's.

use super::{Broker, Client};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Requests in a window, which its p99 leaves one or two of out.
const REQUESTS: usize = 150;

/// Windows of a measurement; the median of their p99 counts.
const WINDOWS: usize = 5;

/// Waits below this are as good as none, whatever they are compared with: a scheduler's slice on a machine with others.
pub const FLOOR: Duration = Duration::from_millis(5);

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
        let one = |_| {
            let begin = Instant::now();
            self.is_served();
            begin.elapsed()
        };
        let mut waits: Vec<Duration> = (0..REQUESTS).map(one).collect();
        waits.sort_unstable();
        waits[REQUESTS * 99 / 100 - 1]
    }

    /// Asserts that the p99 is at most twice `before`, and returns it.
    pub fn assert_p99(&mut self, before: Duration, what: &str) -> Duration {
        let limit = (before * 2).max(FLOOR);
        let mut seen = Vec::new();
        for _ in 0..ATTEMPTS {
            let p99 = self.p99();
            if p99 <= limit {
                return p99;
            }
            seen.push(p99);
        }
        panic!("{what}: honest p99 {seen:?}, before {before:?}, allowed {limit:?}");
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

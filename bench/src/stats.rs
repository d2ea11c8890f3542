//! What a run measured, for people and for machines.

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest latency that is told apart from longer ones: one minute, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Points of the latency curve that results keep, in percent.
pub const CURVE: &[f64] =
    &[0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.99, 99.999, 100.0];

/// Microseconds, counted.
#[derive(Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "constant bounds that hdrhistogram documents as valid")]
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("valid bounds");
        Latency(histogram)
    }
}

impl Latency {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(us.clamp(1, LATENCY_MAX_US));
    }

    /// The value below which `percent` of all lie, in microseconds.
    pub fn at(&self, percent: f64) -> u64 {
        self.0.value_at_quantile(percent / 100.0)
    }
}

/// What happened in one second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Payload bytes.
    pub bytes: u64,
    /// The slowest answer, in microseconds: what a roll or a deletion costs shows here.
    pub slowest_us: u64,
}

/// One direction: what was produced, fetched, or delivered.
#[derive(Debug, Default)]
pub struct Side {
    /// From the intended send time to the whole answer.
    pub latency: Latency,
    /// Answered requests.
    pub requests: u64,
    /// Payload bytes: record batches written or read.
    pub bytes: u64,
    /// Records in them, where known.
    pub records: u64,
    /// Second by second.
    pub seconds: Vec<Second>,
}

impl Side {
    /// Counts one answer that came `at` after the window began.
    pub fn answered(&mut self, latency: Duration, bytes: usize, records: usize, at: Duration) {
        self.latency.record(latency);
        self.requests += 1;
        self.bytes += bytes as u64;
        self.records += records as u64;
        let second = at.as_secs() as usize;
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        let slot = &mut self.seconds[second];
        slot.bytes += bytes as u64;
        slot.slowest_us = slot.slowest_us.max(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    fn to_json(&self, elapsed: Duration) -> Value {
        let seconds = elapsed.as_secs_f64().max(1e-9);
        // The last second is a part of one.
        let whole = &self.seconds[..self.seconds.len().min(elapsed.as_secs() as usize)];
        json!({
            "mb_per_s": self.bytes as f64 / 1e6 / seconds,
            "requests_per_s": self.requests as f64 / seconds,
            "records_per_s": self.records as f64 / seconds,
            "bytes": self.bytes,
            "requests": self.requests,
            "p50_us": self.latency.at(50.0),
            "p99_us": self.latency.at(99.0),
            "p999_us": self.latency.at(99.9),
            "max_us": self.latency.at(100.0),
            "curve": CURVE.iter().map(|p| json!([p, self.latency.at(*p)])).collect::<Vec<_>>(),
            "timeline": whole.iter().map(|s| json!([s.bytes as f64 / 1e6, s.slowest_us])).collect::<Vec<_>>(),
        })
    }
}

/// Counters of one run.
#[derive(Debug, Default)]
pub struct Stats {
    /// What was produced.
    pub writes: Side,
    /// What was fetched.
    pub reads: Side,
    /// What was produced and came to a consumer that waits for it.
    pub delivered: Side,
    /// Length of the measured window.
    pub elapsed: Duration,
    /// Share of the window in which the generator's own thread was working, 0 to 1: near 1 it is the bottleneck.
    pub generator_busy: f64,
}

impl Stats {
    /// All figures by name; latencies in microseconds. Sides without an answer are left out.
    pub fn to_json(&self) -> Value {
        let mut out = json!({"seconds": self.elapsed.as_secs_f64(), "generator_busy": self.generator_busy});
        for (name, side) in [("writes", &self.writes), ("reads", &self.reads), ("delivered", &self.delivered)] {
            if side.requests > 0 {
                out[name] = side.to_json(self.elapsed);
            }
        }
        out
    }
}

/// One line for people.
impl std::fmt::Display for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        for (name, side) in [("produced", &self.writes), ("fetched", &self.reads), ("delivered", &self.delivered)] {
            if side.requests > 0 {
                let (mb, requests) = (side.bytes as f64 / 1e6 / seconds, side.requests as f64 / seconds);
                write!(f, "{name} {mb:.0} MB/s, {requests:.0} requests/s, latency µs")?;
                let l = &side.latency;
                write!(f, " p50 {} p99 {} p99.9 {} max {}; ", l.at(50.0), l.at(99.0), l.at(99.9), l.at(100.0))?;
            }
        }
        write!(f, "generator {:.0} % busy", self.generator_busy * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fall_into_their_second_and_the_begun_one_is_left_out() {
        let mut stats = Stats { elapsed: Duration::from_millis(2_500), ..Stats::default() };
        for (at_ms, us) in [(0, 10), (999, 400), (2_100, 20)] {
            stats.writes.answered(Duration::from_micros(us), 1_000_000, 1, Duration::from_millis(at_ms));
        }
        let json = stats.to_json();
        assert_eq!(json["writes"]["timeline"], json!([[2.0, 400], [0.0, 0]]));
        assert_eq!(json["writes"]["requests"], 3);
        assert!((json["writes"]["mb_per_s"].as_f64().unwrap() - 1.2).abs() < 1e-9);
        assert!(json.get("reads").is_none(), "nothing was read");
    }
}

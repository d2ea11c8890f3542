//! What a run measured, for people and for machines.

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest latency that is told apart from longer ones: one minute, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Counters of one run.
#[derive(Debug)]
pub struct Stats {
    /// Microseconds from the intended send time to the whole answer.
    pub latency: Histogram<u64>,
    /// Answered requests.
    pub requests: u64,
    /// Payload bytes: record batches written or read.
    pub bytes: u64,
    /// Records in them, where known.
    pub records: u64,
    /// Length of the measured window.
    pub elapsed: Duration,
    /// Share of the window in which the generator's own thread was working, 0 to 1: near 1 it is the bottleneck.
    pub generator_busy: f64,
}

impl Default for Stats {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "constant bounds that hdrhistogram documents as valid")]
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("valid bounds");
        Stats { latency, requests: 0, bytes: 0, records: 0, elapsed: Duration::ZERO, generator_busy: 0.0 }
    }
}

impl Stats {
    /// Counts one answer.
    pub fn answered(&mut self, latency: Duration, bytes: usize, records: usize) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latency.saturating_record(us.clamp(1, LATENCY_MAX_US));
        self.requests += 1;
        self.bytes += bytes as u64;
        self.records += records as u64;
    }

    /// Megabytes (10^6) a second.
    pub fn mb_per_s(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Requests a second.
    pub fn requests_per_s(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// All figures by name; latencies in microseconds.
    pub fn to_json(&self) -> Value {
        json!({
            "mb_per_s": self.mb_per_s(),
            "requests_per_s": self.requests_per_s(),
            "records_per_s": self.records as f64 / self.elapsed.as_secs_f64().max(1e-9),
            "bytes": self.bytes,
            "requests": self.requests,
            "seconds": self.elapsed.as_secs_f64(),
            "p50_us": self.latency.value_at_quantile(0.5),
            "p99_us": self.latency.value_at_quantile(0.99),
            "p999_us": self.latency.value_at_quantile(0.999),
            "max_us": self.latency.max(),
            "generator_busy": self.generator_busy,
        })
    }
}

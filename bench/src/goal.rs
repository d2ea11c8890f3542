//! Goals as data, and whether a measurement meets them. A goal is met only if the worse end of the confidence interval meets
//! it; if the median alone does, that is said.

use crate::estimate::Estimate;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in results.
    pub key: &'static str,
    /// For people.
    pub title: &'static str,
    /// Its unit.
    pub unit: &'static str,
}

/// Payload throughput.
pub const MB_PER_S: Metric = Metric { key: "mb_per_s", title: "throughput", unit: "MB/s" };
/// Answered requests.
pub const REQUESTS_PER_S: Metric = Metric { key: "requests_per_s", title: "requests", unit: "/s" };
/// The broker's CPU time for the payload.
pub const CPU_PER_GB: Metric = Metric { key: "cpu_s_per_gb", title: "broker CPU", unit: "s/GB" };
/// The broker's CPU time for a request.
pub const CPU_PER_REQUEST: Metric = Metric { key: "cpu_us_per_request", title: "broker CPU", unit: "µs/request" };
/// The broker's share of its core.
pub const CPU_SHARE: Metric = Metric { key: "cpu_share", title: "broker CPU", unit: "of a core" };
/// Median latency.
pub const P50: Metric = Metric { key: "p50_us", title: "p50", unit: "µs" };
/// 99th percentile.
pub const P99: Metric = Metric { key: "p99_us", title: "p99", unit: "µs" };
/// 99.9th percentile.
pub const P999: Metric = Metric { key: "p999_us", title: "p99.9", unit: "µs" };
/// Time from the start of the process to its first answers.
pub const READY: Metric = Metric { key: "ready_s", title: "ready", unit: "s" };
/// Resident memory.
pub const RESIDENT: Metric = Metric { key: "resident_mb", title: "resident", unit: "MB" };
/// Resident memory for each idle connection.
pub const PER_CONNECTION: Metric = Metric { key: "kib_per_connection", title: "per connection", unit: "KiB" };

/// Making partitions, until all have a leader.
pub const CREATED: Metric = Metric { key: "created_s", title: "created", unit: "s" };
/// Resident memory for each partition that nobody uses.
pub const PER_PARTITION: Metric = Metric { key: "kib_per_partition", title: "per partition", unit: "KiB" };
/// From a change of membership until a group is at rest.
pub const SETTLES: Metric = Metric { key: "settle_ms", title: "settled", unit: "ms" };

/// What is asked of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Ours divided by theirs, at least.
    RatioMin(f64),
    /// Ours divided by theirs, at most.
    RatioMax(f64),
    /// Ours divided by theirs at least, or ours so much of what fio wrote in the same minute.
    RatioMinOrDisk {
        /// The ratio.
        ratio: f64,
        /// The part of fio's throughput.
        disk: f64,
    },
    /// Ours, at most, whatever theirs is.
    AtMost(f64),
}

/// One goal of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// What of.
    pub metric: Metric,
    /// How much.
    pub bound: Bound,
}

/// What was measured, as far as a goal needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Ours.
    pub ours: Option<Estimate>,
    /// Ours divided by theirs, pair by pair.
    pub ratio: Option<Estimate>,
    /// Ours divided by fio, pair by pair.
    pub of_disk: Option<Estimate>,
}

/// Fewer pairs than this have no interval worth the name: nothing is met for certain by them.
const PAIRS_MIN: usize = 3;

/// Whether a goal was met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The whole interval meets it.
    Met,
    /// The median meets it, the interval reaches beyond, or comes of too few pairs.
    Unsure,
    /// The median misses it by so much of the goal: 0.2 means a fifth.
    Missed(f64),
    /// There is nothing to judge by.
    NotMeasured,
}

impl Goal {
    /// Judges.
    pub fn judge(&self, m: &Measured) -> Verdict {
        match self.bound {
            Bound::RatioMin(min) => at_least(m.ratio, min),
            Bound::RatioMax(max) => at_most(m.ratio, max),
            Bound::AtMost(max) => at_most(m.ours, max),
            Bound::RatioMinOrDisk { ratio, disk } => better(at_least(m.ratio, ratio), at_least(m.of_disk, disk)),
        }
    }

    /// For people: `throughput ≥ 8 ×`.
    pub fn text(&self) -> String {
        let Metric { title, unit, .. } = self.metric;
        match self.bound {
            Bound::RatioMin(min) => format!("{title} ≥ {min} ×"),
            Bound::RatioMax(max) => format!("{title} ≤ {max} ×"),
            Bound::RatioMinOrDisk { ratio, disk } => format!("{title} ≥ {ratio} × or {disk} of fio"),
            Bound::AtMost(max) => format!("{title} ≤ {max} {unit}"),
        }
    }

    /// Whether the goal compares with somebody.
    pub fn is_ratio(&self) -> bool {
        !matches!(self.bound, Bound::AtMost(_))
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Met => f.write_str("met"),
            Verdict::Unsure => f.write_str("met by the median, not for certain"),
            Verdict::Missed(by) => write!(f, "missed by {:.0} %", by * 100.0),
            Verdict::NotMeasured => f.write_str("not measured"),
        }
    }
}

fn at_least(value: Option<Estimate>, min: f64) -> Verdict {
    match value {
        None => Verdict::NotMeasured,
        Some(e) if e.low >= min && e.count >= PAIRS_MIN => Verdict::Met,
        Some(e) if e.median >= min => Verdict::Unsure,
        Some(e) => Verdict::Missed(1.0 - e.median / min),
    }
}

fn at_most(value: Option<Estimate>, max: f64) -> Verdict {
    match value {
        None => Verdict::NotMeasured,
        Some(e) if e.high <= max && e.count >= PAIRS_MIN => Verdict::Met,
        Some(e) if e.median <= max => Verdict::Unsure,
        Some(e) => Verdict::Missed(e.median / max - 1.0),
    }
}

/// The better of two ways to meet one goal.
fn better(a: Verdict, b: Verdict) -> Verdict {
    let rank = |v: &Verdict| match v {
        Verdict::Met => 0.0,
        Verdict::Unsure => 1.0,
        Verdict::Missed(by) => 2.0 + by.min(1e9),
        Verdict::NotMeasured => f64::INFINITY,
    };
    if rank(&a) <= rank(&b) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bound: Bound, ratio: (f64, f64, f64), expect: Verdict) {
        let estimate = Estimate { low: ratio.0, median: ratio.1, high: ratio.2, count: 5 };
        let measured = Measured { ours: Some(estimate), ratio: Some(estimate), of_disk: None };
        let got = Goal { metric: MB_PER_S, bound }.judge(&measured);
        match (got, expect) {
            (Verdict::Missed(a), Verdict::Missed(b)) => assert!((a - b).abs() < 1e-9, "{a} is not {b}"),
            _ => assert_eq!(got, expect, "{bound:?} of {ratio:?}"),
        }
    }

    #[test]
    fn the_worse_end_of_the_interval_decides() {
        check(Bound::RatioMin(8.0), (8.0, 9.0, 9.5), Verdict::Met);
        check(Bound::RatioMin(8.0), (7.9, 9.0, 9.5), Verdict::Unsure);
        check(Bound::RatioMin(8.0), (5.0, 6.0, 9.5), Verdict::Missed(0.25));
        check(Bound::RatioMax(0.1), (0.05, 0.08, 0.1), Verdict::Met);
        check(Bound::RatioMax(0.1), (0.05, 0.08, 0.11), Verdict::Unsure);
        check(Bound::RatioMax(0.1), (0.05, 0.15, 0.2), Verdict::Missed(0.5));
        check(Bound::AtMost(40.0), (30.0, 31.0, 32.0), Verdict::Met);
        check(Bound::AtMost(20.0), (30.0, 30.0, 32.0), Verdict::Missed(0.5));
    }

    #[test]
    fn two_pairs_settle_nothing() {
        let two = Estimate { low: 9.0, median: 9.0, high: 9.0, count: 2 };
        let goal = Goal { metric: MB_PER_S, bound: Bound::RatioMin(8.0) };
        assert_eq!(goal.judge(&Measured { ratio: Some(two), ..Measured::default() }), Verdict::Unsure);
    }

    #[test]
    fn the_disk_is_another_way_to_meet_a_throughput_goal() {
        let ratio = Estimate { low: 3.0, median: 3.0, high: 3.0, count: 5 };
        let disk = |v| Some(Estimate { low: v, median: v, high: v, count: 5 });
        let goal = Goal { metric: MB_PER_S, bound: Bound::RatioMinOrDisk { ratio: 4.0, disk: 0.8 } };
        let measured = |of_disk| Measured { ours: None, ratio: Some(ratio), of_disk };
        assert_eq!(goal.judge(&measured(disk(0.85))), Verdict::Met);
        assert_eq!(goal.judge(&measured(disk(0.2))), Verdict::Missed(0.25), "the nearer miss is told");
        assert_eq!(goal.judge(&measured(None)), Verdict::Missed(0.25), "without fio the ratio decides");
        assert_eq!(goal.judge(&Measured::default()), Verdict::NotMeasured);
    }
}

//! Results judged: each scenario with its figures, its ratios, its goals and what makes them doubtful.

use super::GENERATOR_BUSY_MAX;
use crate::estimate::Estimate;
use crate::goal::{Goal, Metric, Verdict};
use crate::load::Pace;
use crate::peers::Contender;
use crate::results::{Pair, Results, estimate, measured, usable};
use crate::scenario::{Produce, Scenario, Work};

/// How far from its rate an open loop may end, as a part of it: a backlog of the warm-up that is worked off counts, too.
const RATE_TOLERANCE: f64 = 0.02;

/// One goal, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The goal.
    pub goal: Goal,
    /// The ratio it was judged by, where it is one.
    pub ratio: Option<Estimate>,
    /// Ours.
    pub ours: Option<Estimate>,
    /// Ours in parts of fio's, where that may meet the goal.
    pub of_disk: Option<Estimate>,
    /// Whether it was met.
    pub verdict: Verdict,
}

/// One scenario's results.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Whose figures there are, ours first.
    pub contenders: Vec<Contender>,
    /// Pairs that count.
    pub pairs: Vec<&'a Pair>,
    /// All pairs.
    pub pairs_measured: usize,
    /// Its goals.
    pub goals: Vec<Judged>,
    /// What fio wrote.
    pub fio: Option<Estimate>,
    /// What makes it doubtful.
    pub warnings: Vec<String>,
}

/// Figures that are shown for a kind of work, beside those that goals name.
pub(super) fn columns(work: &Work) -> Vec<(&'static str, &'static str)> {
    let produce = [
        ("mb_per_s", "MB/s"),
        ("requests_per_s", "requests/s"),
        ("cpu_s_per_gb", "CPU s/GB"),
        ("cpu_us_per_request", "CPU µs/request"),
        ("p50_us", "p50 µs"),
        ("p99_us", "p99 µs"),
        ("p999_us", "p99.9 µs"),
        ("max_us", "max µs"),
        ("resident_mb", "resident MB"),
        ("generator_busy", "generator busy"),
    ];
    match work {
        Work::Produce(_) => produce.to_vec(),
        Work::Commits { .. } => {
            produce.iter().copied().filter(|(k, _)| !matches!(*k, "mb_per_s" | "cpu_s_per_gb")).collect()
        }
        Work::Fetch { .. } => produce.iter().copied().filter(|(k, _)| *k != "cpu_us_per_request").collect(),
        Work::Settle { .. } => vec![
            ("settle_ms", "settled ms"),
            ("join_ms", "after a join ms"),
            ("leave_ms", "after a leave ms"),
            ("again_ms", "right after another ms"),
            ("broker_ms", "once all know ms"),
            ("rounds", "rounds"),
            ("cpu_share", "CPU, of a core"),
        ],
        Work::Groups(_) => vec![
            ("cpu_share", "CPU, of a core"),
            ("requests_per_s", "requests/s"),
            ("resident_mb", "resident MB"),
            ("generator_busy", "generator busy"),
        ],
        Work::Cold => vec![
            ("mb_per_s", "read MB/s"),
            ("cpu_s_per_gb", "CPU s/GB"),
            ("p50_us", "produce p50 µs"),
            ("p99_us", "produce p99 µs"),
            ("quiet_p99_us", "p99 µs without reader"),
            ("resident_mb", "resident MB"),
            ("generator_busy", "generator busy"),
        ],
        Work::Java => vec![
            ("mb_per_s", "MB/s"),
            ("cpu_share", "CPU, of a core"),
            ("cpu_s_per_gb", "CPU s/GB"),
            ("p50_us", "end to end p50 µs"),
            ("p99_us", "end to end p99 µs"),
            ("p999_us", "p99.9 µs"),
            ("generator_busy", "generator busy"),
        ],
        Work::RestartLogs => vec![("ready_s", "ready s"), ("log_gb", "log GB"), ("resident_mb", "resident MB")],
        Work::RestartPartitions(_) => {
            vec![("ready_s", "ready s"), ("created_s", "created in s"), ("resident_before_mb", "resident MB")]
        }
        Work::CreatePartitions(_) => vec![
            ("created_s", "created in s"),
            ("kib_per_partition", "KiB per partition"),
            ("resident_mb", "resident MB"),
        ],
        Work::Idle => vec![("resident_mb", "resident MB"), ("cpu_share", "CPU, of a core")],
        Work::Connections(_) => vec![("kib_per_connection", "KiB per connection"), ("resident_mb", "resident MB")],
        Work::Append { .. } => {
            vec![("mb_per_s", "MB/s"), ("cpu_s_per_gb", "CPU s/GB"), ("p50_us", "p50 µs"), ("p99_us", "p99 µs")]
        }
    }
}

/// Judges every scenario that has results.
pub fn summarize<'a>(scenarios: &'a [Scenario], results: &'a Results) -> Vec<Row<'a>> {
    scenarios.iter().filter_map(|s| row(s, results.of(&s.name))).collect()
}

fn row<'a>(scenario: &'a Scenario, all: Vec<&'a Pair>) -> Option<Row<'a>> {
    if all.is_empty() {
        return None;
    }
    let pairs = usable(&all);
    let known = std::iter::once(scenario.ours).chain(scenario.rival).chain(scenario.others.iter().copied());
    let contenders: Vec<Contender> = known.filter(|c| pairs.iter().any(|p| p.of(c.id()).is_some())).collect();
    let goals = scenario.goals.iter().map(|goal| judged(scenario, &pairs, *goal)).collect();
    let fio = Estimate::of(&pairs.iter().filter_map(|p| p.fio_mb_per_s).collect::<Vec<_>>());
    let mut warnings = Vec::new();
    for c in &contenders {
        let busy = estimate(&pairs, c.id(), "generator_busy");
        if let Some(busy) = busy.filter(|b| b.median >= GENERATOR_BUSY_MAX && takes_a_generator(scenario)) {
            let share = busy.median * 100.0;
            warnings
                .push(format!("the generator was {share:.0} % busy against {}: its figure is a lower bound", c.name()));
        }
        warnings.extend(off_rate(scenario, &pairs, *c));
        if let Some(how) = pairs.iter().find_map(|p| p.of(c.id())?["memory_bound"].as_str()) {
            warnings.push(format!("{}: memory bound: {how}", c.name()));
        }
    }
    let noisy = all.len() - all.iter().filter(|p| p.is_quiet()).count();
    if noisy > 0 {
        warnings.push(format!("during {noisy} of {} pairs others took the processors (steal)", all.len()));
    }
    Some(Row { scenario, contenders, pairs, pairs_measured: all.len(), goals, fio, warnings })
}

/// An open loop whose rate was not held tells how long a queue got, not how fast answers are.
fn off_rate(scenario: &Scenario, pairs: &[&Pair], contender: Contender) -> Option<String> {
    let Work::Produce(Produce { pace: Pace::Open { per_s }, .. }) = scenario.work else { return None };
    let got = estimate(pairs, contender.id(), "requests_per_s")?.median;
    let off = (got / per_s - 1.0).abs() > RATE_TOLERANCE;
    off.then(|| format!("{} did not hold the rate: {got:.0} of {per_s:.0} requests a second", contender.name()))
}

/// The engine alone is its own generator.
fn takes_a_generator(scenario: &Scenario) -> bool {
    !matches!(scenario.work, Work::Append { .. })
}

fn judged(scenario: &Scenario, pairs: &[&Pair], goal: Goal) -> Judged {
    let m = measured(scenario, pairs, goal.metric);
    Judged {
        goal,
        ratio: m.ratio.filter(|_| goal.is_ratio()),
        ours: m.ours,
        of_disk: m.of_disk.filter(|_| matches!(goal.bound, crate::goal::Bound::RatioMinOrDisk { .. })),
        verdict: goal.judge(&m),
    }
}

impl Row<'_> {
    /// A contender's figure.
    pub fn estimate(&self, contender: Contender, key: &str) -> Option<Estimate> {
        estimate(&self.pairs, contender.id(), key)
    }

    /// Ours divided by the rival's.
    pub fn ratio(&self, key: &'static str) -> Option<Estimate> {
        measured(self.scenario, &self.pairs, Metric { key, title: "", unit: "" }).ratio
    }

    /// The pair whose throughput ratio is the middle one: what is drawn second by second is one run, not a mixture.
    pub fn typical(&self) -> Option<&Pair> {
        let ours = self.scenario.ours.id();
        let mut pairs = self.pairs.clone();
        let key = |p: &Pair| p.figure(ours, "mb_per_s").unwrap_or(f64::NAN);
        pairs.sort_by(|a, b| key(a).total_cmp(&key(b)));
        pairs.get(pairs.len() / 2).copied()
    }
}

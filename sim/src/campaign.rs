//! Many seeds: on all cores, of both levels, with everything counted, and a failing one shrunk to what it needs.

use crate::cluster::{self, Feature, Plan, Violation};
use crate::logs;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Every so many seeds one is for the logs by themselves.
const LOGS_EVERY: u64 = 5;

/// Which part of the product a run drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The whole node with its clients.
    Cluster,
    /// One shard's logs.
    Logs,
}

/// What a finished run adds to a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Virtual time.
    pub time: Duration,
    /// Real time.
    pub real: Duration,
    /// Kills and power cuts.
    pub crashes: u64,
    /// Requests answered, or steps of a log.
    pub ops: u64,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// Hash over everything that happened.
    pub trace: u64,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The kind of promise that was broken.
    pub kind: String,
    /// When, in virtual time.
    pub at: Duration,
    /// For people.
    pub text: String,
}

/// Everything that a campaign did.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seeds that were run.
    pub runs: u64,
    /// Of all of the cluster's together.
    pub sum: Done,
    /// Of those of the logs by themselves.
    pub logs: Done,
    /// Seeds that found something.
    pub failed: Vec<(Level, u64, Found)>,
}

/// Runs a seed; an assertion that fails in the node counts as found.
pub fn caught(level: Level, seed: u64) -> Result<Done, Found> {
    match level {
        Level::Cluster => caught_plan(&Plan::draw(seed)),
        Level::Logs => guarded(|| {
            let summary = logs::run_drawn(seed, logs::STEPS_DEFAULT, |_| ()).map_err(|finding| Found {
                kind: "Logs".to_owned(),
                at: Duration::ZERO,
                text: finding.to_string(),
            })?;
            let logs::Summary { time, crashes, ops, trace, .. } = summary;
            Ok(Done { time, crashes, ops, trace, ..Done::default() })
        }),
    }
}

/// Runs a plan of the cluster.
pub fn caught_plan(plan: &Plan) -> Result<Done, Found> {
    guarded(|| {
        let summary = cluster::run(plan, &mut |_| ()).map_err(|finding| Found {
            kind: finding.violation.kind(),
            at: finding.at,
            text: finding.to_string(),
        })?;
        let crashes = summary.kills + summary.power_cuts;
        let (time, ops, faults, trace) = (summary.time, summary.answers, summary.faults, summary.trace);
        Ok(Done { time, crashes, ops, faults, trace, ..Done::default() })
    })
}

fn guarded(run: impl FnOnce() -> Result<Done, Found>) -> Result<Done, Found> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        let violation = Violation::Panic(text);
        Err(Found { kind: violation.kind(), at: Duration::ZERO, text: violation.to_string() })
    })
}

/// Runs `seeds`, `threads` at a time, until `time` is over.
pub fn campaign(seeds: Range<u64>, time: Duration, threads: usize, twice: bool, tell: &(dyn Fn(&str) + Sync)) -> Tally {
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let work = || {
        while began.elapsed() < time {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let level = if seed.is_multiple_of(LOGS_EVERY) { Level::Logs } else { Level::Cluster };
            let start = Instant::now();
            let mut outcome = caught(level, seed).map(|done| Done { real: start.elapsed(), ..done });
            if twice && let Ok(once) = &outcome {
                outcome = repeat(level, seed, once);
            }
            if let Err(found) = &outcome {
                tell(&format!("{found}\n  again: {}", command(level, seed)));
            }
            #[expect(clippy::expect_used, reason = "nothing panics while it is held")]
            tally.lock().expect("a tally").add(level, seed, outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    tally.into_inner().unwrap_or_default()
}

/// Runs a seed once more, which must go the same way.
fn repeat(level: Level, seed: u64, once: &Done) -> Result<Done, Found> {
    let again = Done { real: once.real, ..caught(level, seed)? };
    if again == *once {
        return Ok(again);
    }
    let violation = Violation::Nondeterministic(once.trace, again.trace);
    Err(Found { kind: violation.kind(), at: again.time, text: format!("seed {seed}: {violation}") })
}

fn command(level: Level, seed: u64) -> String {
    let level = if level == Level::Logs { " --logs" } else { "" };
    format!("cargo run --release -p sim -- --seed {seed}{level} --trace")
}

impl Tally {
    fn add(&mut self, level: Level, seed: u64, outcome: Result<Done, Found>) {
        self.runs += 1;
        match outcome {
            Err(found) => self.failed.push((level, seed, found)),
            Ok(done) => {
                let sum = if level == Level::Logs { &mut self.logs } else { &mut self.sum };
                sum.time += done.time;
                sum.real += done.real;
                sum.crashes += done.crashes;
                sum.ops += done.ops;
                for (fault, count) in done.faults {
                    *sum.faults.entry(fault).or_default() += count;
                }
            }
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Takes away from a failing plan what it does not need to fail in the same way: features one after the other, then
/// clients, shards and time. Each try is a run; what is left is the smallest plan that was seen to fail.
pub fn shrink(plan: &Plan, tell: &dyn Fn(&str)) -> Option<(Plan, Found)> {
    let mut best = (plan.clone(), caught_plan(plan).err()?);
    let attempt = |best: &mut (Plan, Found), smaller: Plan, what: &str| match caught_plan(&smaller) {
        Err(again) if again.kind == best.1.kind => {
            tell(&format!("{what}: {again}"));
            *best = (smaller, again);
            true
        }
        _ => false,
    };
    for feature in Feature::ALL.into_iter().rev().filter(|feature| plan.has(*feature)) {
        let smaller = best.0.without(feature);
        attempt(&mut best, smaller, &format!("without {feature}"));
    }
    while best.0.clients > 1 {
        let smaller = Plan { clients: best.0.clients - 1, ..best.0.clone() };
        if !attempt(&mut best, smaller, "one client less") {
            break;
        }
    }
    while best.0.shards > 1 {
        let smaller = Plan { shards: best.0.shards - 1, ..best.0.clone() };
        if !attempt(&mut best, smaller, "one shard less") {
            break;
        }
    }
    while best.0.seconds > 1 {
        let smaller = Plan { seconds: best.0.seconds / 2, ..best.0.clone() };
        if !attempt(&mut best, smaller, "half the time") {
            break;
        }
    }
    Some(best)
}

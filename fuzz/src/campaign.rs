//! A run over a target: inputs are chosen, damaged, checked, and kept where they reached something new. A long run gives
//! its targets turns of equal time, so that the cheap ones get more inputs.

use std::time::{Duration, Instant};

use crate::check::{Cost, check};
use crate::corpus::{Corpus, keep_failed};
use crate::coverage::Coverage;
use crate::mutate::{Rng, mutate};
use crate::{Target, coverage};

/// One target's turn in a long run.
const TURN: Duration = Duration::from_millis(500);
/// Between two lines of a long run.
const REPORT: Duration = Duration::from_secs(60);
/// Further damage to an input that was good, before another is chosen.
const DESCENDANTS: usize = 8;

/// What was seen of one target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Inputs.
    pub executions: u64,
    /// Time that they took, with all that is around them.
    pub time: Duration,
    /// The largest part of its memory allowance that an input took.
    pub memory_share: f64,
    /// The most bytes that an input held.
    pub peak_bytes: usize,
    /// The longest that an input took, in its best of several runs.
    pub slowest: Duration,
}

impl Tally {
    fn note(&mut self, cost: &Cost) {
        self.executions += 1;
        self.memory_share = self.memory_share.max(cost.memory_share);
        self.peak_bytes = self.peak_bytes.max(cost.peak_bytes);
        self.slowest = self.slowest.max(cost.time);
    }
}

/// One target under way.
pub struct Campaign {
    /// Which.
    pub target: &'static Target,
    /// What was seen so far.
    pub tally: Tally,
    corpus: Corpus,
    coverage: Coverage,
    rng: Rng,
    input: Vec<u8>,
}

impl Campaign {
    /// Checks seeds, regressions and what earlier runs kept. Everything after follows from `seed` and those.
    pub fn begin(target: &'static Target, seed: u64) -> Result<Campaign, String> {
        let (corpus, kept) = Corpus::load(target);
        let (tally, coverage) = (Tally::default(), Coverage::default());
        let mut campaign = Campaign { target, tally, corpus, coverage, rng: Rng(seed), input: Vec::new() };
        let begin = Instant::now();
        for index in 0..campaign.corpus.inputs().len() {
            campaign.input.clone_from(&campaign.corpus.inputs()[index]);
            campaign.run_input()?;
        }
        for input in kept {
            campaign.input = input;
            if campaign.run_input()? {
                campaign.corpus.add(&campaign.input);
            }
        }
        campaign.tally.time += begin.elapsed();
        Ok(campaign)
    }

    /// Damages inputs for so long, or until so many were run.
    pub fn run_for(&mut self, time: Duration, executions: u64) -> Result<(), String> {
        let begin = Instant::now();
        let end = self.tally.executions.saturating_add(executions);
        while begin.elapsed() < time && self.tally.executions < end {
            self.input.clear();
            self.input.extend_from_slice(self.corpus.pick(&mut self.rng));
            for _ in 0..DESCENDANTS {
                let other = self.corpus.pick(&mut self.rng);
                mutate(&mut self.rng, &mut self.input, other);
                if self.run_input()? {
                    self.corpus.keep(&self.input);
                }
            }
        }
        self.tally.time += begin.elapsed();
        Ok(())
    }

    /// One line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Tally { executions, time, memory_share, peak_bytes, slowest } = self.tally;
        let rate = executions as f64 / time.as_secs_f64().max(1e-9);
        format!(
            "{:<18}{executions:>12} inputs {rate:>10.0}/s   memory {:>5.1} % of allowed, {:>6} KiB at most   \
             slowest {:>9.1} us   {:>6} edges {:>6} kept",
            self.target.name,
            100.0 * memory_share,
            peak_bytes / 1024,
            slowest.as_secs_f64() * 1e6,
            self.coverage.edges(),
            self.corpus.inputs().len(),
        )
    }

    fn run_input(&mut self) -> Result<bool, String> {
        match check(self.target, &self.input, &mut self.coverage, self.tally.slowest) {
            Ok(cost) => {
                self.tally.note(&cost);
                Ok(cost.is_new)
            }
            Err(finding) => Err(format!("{}: {finding}; {}", self.target.name, keep_failed(self.target, &self.input))),
        }
    }
}

/// All `targets` in turns, until so many inputs were run in all. Prints as it goes, and a table at the end. Findings do not
/// stop the others; the target that has one stops.
pub fn long_run(targets: &[&'static Target], seed: u64, executions: u64) -> Result<(), String> {
    println!("long run: {executions} inputs over {} targets, seed {seed}, {}", targets.len(), counters());
    let (begin, mut reported) = (Instant::now(), Instant::now());
    let mut findings = Vec::new();
    let mut campaigns = Vec::new();
    for target in targets {
        match Campaign::begin(target, seed) {
            Ok(campaign) => campaigns.push((campaign, true)),
            Err(finding) => findings.push(finding),
        }
    }
    let total = |campaigns: &[(Campaign, bool)]| campaigns.iter().map(|(one, _)| one.tally.executions).sum::<u64>();
    while total(&campaigns) < executions && campaigns.iter().any(|(_, runs)| *runs) {
        for (campaign, runs) in campaigns.iter_mut().filter(|(_, runs)| *runs) {
            if let Err(finding) = campaign.run_for(TURN, executions) {
                eprintln!("{finding}");
                findings.push(finding);
                *runs = false;
            }
        }
        if reported.elapsed() > REPORT {
            reported = Instant::now();
            println!("{:>6} s: {} inputs", begin.elapsed().as_secs(), total(&campaigns));
        }
    }
    campaigns.iter().for_each(|(campaign, _)| println!("{}", campaign.summary()));
    let (total, time) = (total(&campaigns), begin.elapsed());
    let rate = total as f64 / time.as_secs_f64();
    println!("{total} inputs in {:.0} s, {rate:.0}/s, {} findings", time.as_secs_f64(), findings.len());
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

/// Whether a run can tell what is new.
#[must_use]
pub fn counters() -> &'static str {
    if coverage::is_measured() { "guided by coverage" } else { "without coverage: built without its flags" }
}

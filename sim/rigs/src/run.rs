//! A run: lives after each other until so many faults have happened.

use crate::disk;
use crate::life::{Life, LifeError, LifeOptions};
use crate::random::Random;
use crate::read_back::Look;
use crate::summary::Summary;
use std::time::{Duration, Instant};

/// Faults that one data folder goes through.
const FAULTS_A_LIFE: u64 = 25;
/// Violations of one look that are printed.
const PRINTED_MAX: usize = 3;

/// What to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Each life.
    pub life: LifeOptions,
    /// How many faults.
    pub times: u64,
    /// Decides the plan: moments, sizes, drivers.
    pub seed: u64,
    /// The run ends here at the latest, with the faults that it has.
    pub time_max: Duration,
    /// End with the first loss.
    pub until_loss: bool,
}

/// Goes through with it. `tell` gets a line for each violation and now and then one of progress.
pub fn run(options: &RunOptions, mut tell: impl FnMut(&str)) -> Result<Summary, LifeError> {
    disk::remove_leftovers(&options.life.folder)?;
    let begun = Instant::now();
    let mut summary = Summary::new(options.life.fault, &options.life.node.durability);
    let mut seeds = Random::new(options.seed);
    while summary.faults < options.times
        && begun.elapsed() < options.time_max
        && !(options.until_loss && summary.lost > 0)
    {
        let times = (options.times - summary.faults).min(FAULTS_A_LIFE);
        live(&options.life, seeds.bits(), times, begun + options.time_max, &mut summary, &mut tell)?;
        summary.time = begun.elapsed();
        tell(&format!("{summary}"));
    }
    Ok(summary)
}

/// One life. It ends early with its first violation: everything after that would only repeat it.
fn live(
    options: &LifeOptions,
    seed: u64,
    times: u64,
    until: Instant,
    summary: &mut Summary,
    tell: &mut impl FnMut(&str),
) -> Result<(), LifeError> {
    let mut life = Life::begin(options, seed)?;
    for _ in 0..times {
        let (look, moment) = life.turn()?;
        let is_wrong = judge(&look, summary, tell);
        moment.inspect(|&moment| summary.count(moment));
        if is_wrong || Instant::now() > until {
            return Ok(());
        }
    }
    judge(&life.finish()?, summary, tell);
    Ok(())
}

/// True when something was wrong.
fn judge(look: &Look, summary: &mut Summary, tell: &mut impl FnMut(&str)) -> bool {
    summary.add(look);
    let faults = summary.faults;
    for violation in look.violations.iter().take(PRINTED_MAX) {
        tell(&format!("after fault {faults}: {:?}: {violation}", violation.class().0));
    }
    if look.violations.len() > PRINTED_MAX {
        tell(&format!("… and {} more", look.violations.len() - PRINTED_MAX));
    }
    if !look.evidence.is_empty() {
        tell(&look.evidence);
    }
    !look.violations.is_empty()
}

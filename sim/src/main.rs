//! `sim`: runs seeds, prints what they did, and for a violation the seed that shows it again.

use clap::Parser;
use sim::logs::{STEPS_DEFAULT, Summary, Violation, run};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Simulates shards on disks that lose what they may lose.
#[derive(Parser)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Goes on with the seeds behind it for so many minutes; without it only the first one runs.
    #[arg(long)]
    minutes: Option<f64>,
    /// Steps of each run.
    #[arg(long, default_value_t = STEPS_DEFAULT)]
    steps: u64,
    /// Prints each step, and where every log stands before it.
    #[arg(long)]
    trace: bool,
}

/// The seed that runs, for the report of a panic.
static SEED: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let options = Options::parse();
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        eprintln!("seed {}: an assertion of the engine failed", SEED.load(Ordering::Relaxed));
        default(panic);
    }));
    let began = Instant::now();
    let time = Duration::from_secs_f64(options.minutes.unwrap_or_default() * 60.0);
    let mut total = Summary::default();
    let (mut seeds, mut violations) = (0_u64, 0_u64);
    for seed in options.seed.. {
        SEED.store(seed, Ordering::Relaxed);
        match simulate(seed, &options, seeds == 0) {
            Ok(done) => {
                total.time += done.time;
                total.crashes += done.crashes;
                total.stops += done.stops;
                total.ops += done.ops;
            }
            Err(finding) => {
                violations += 1;
                eprintln!("{finding}\n  again: cargo run --release -p sim -- --seed {seed} --steps {}", options.steps);
            }
        }
        seeds += 1;
        if began.elapsed() >= time {
            break;
        }
    }
    let hours = total.time.as_secs_f64() / 3600.0;
    let Summary { crashes, stops, ops, .. } = total;
    println!(
        "{seeds} seeds, {hours:.1} simulated hours, {crashes} crashes, {stops} clean stops, {ops} ops, {violations} violations"
    );
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a seed; the first one twice, because a seed that does not repeat its run proves nothing.
fn simulate(seed: u64, options: &Options, is_first: bool) -> Result<Summary, String> {
    let tell = |step: &str| {
        if options.trace {
            println!("{step}");
        }
    };
    let once = run(seed, options.steps, tell).map_err(|finding| finding.to_string())?;
    if is_first {
        let again = run(seed, options.steps, |_| ()).map_err(|finding| finding.to_string())?;
        if again != once {
            return Err(format!("seed {seed}: {}", Violation::Nondeterministic(once.trace, again.trace)));
        }
    }
    Ok(once)
}

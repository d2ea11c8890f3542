//! `sim`: runs seeds, prints what they did, and for a violation the seed that shows it again.

use clap::Parser;
use sim::campaign::{Tally, campaign, caught_plan, shrink};
use sim::cluster::{self, Feature, Plan};
use sim::planted::{self, PLANTED};
use sim::{logs, reach};
use std::num::NonZero;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs are many small allocations, as the node's are.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulates Ringlog with its clients on disks, networks and clocks that misbehave. Without --minutes it runs one seed, twice.
#[derive(Parser)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Goes on with the seeds behind it for so many minutes, on all cores.
    #[arg(long)]
    minutes: Option<f64>,
    /// Seeds that --minutes runs at most.
    #[arg(long, default_value_t = u64::MAX / 2)]
    seeds: u64,
    /// Threads for --minutes and --planted; all cores if nothing is said.
    #[arg(long)]
    threads: Option<usize>,
    /// Runs each seed of --minutes twice and compares.
    #[arg(long)]
    twice: bool,
    /// One shard's logs by themselves instead of the whole node (for one seed).
    #[arg(long)]
    logs: bool,
    /// Leaves features of the seed out, e.g. --without kill,slow-disk.
    #[arg(long, value_delimiter = ',', value_name = "FEATURE")]
    without: Vec<Feature>,
    /// Virtual seconds until the faults stop.
    #[arg(long)]
    seconds: Option<u64>,
    /// Clients at most.
    #[arg(long)]
    clients: Option<usize>,
    /// Shards of the node.
    #[arg(long)]
    shards: Option<usize>,
    /// Prints what happens to the node.
    #[arg(long)]
    trace: bool,
    /// Takes away from a failing seed what it does not need to fail.
    #[arg(long)]
    shrink: bool,
    /// Plants each known bug and shows that it is caught; a name, or a part of one, plants only those. Needs a build with
    /// RUSTFLAGS='--cfg planted', see `cargo xtask planted`.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    planted: Option<String>,
    /// How long a planted bug may stay hidden, in seconds.
    #[arg(long, default_value_t = 300)]
    patience: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let ok = match (&options.planted, options.minutes) {
        (Some(name), _) => examine(name, &options),
        (None, Some(minutes)) => search(&options, minutes),
        (None, None) => one(&options),
    };
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn threads(options: &Options) -> usize {
    options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// One seed, twice, because a seed that does not repeat its run proves nothing.
fn one(options: &Options) -> bool {
    if options.logs {
        return one_of_logs(options);
    }
    let mut plan = Plan::draw(options.seed);
    options.without.iter().for_each(|feature| plan = plan.without(*feature));
    plan.seconds = options.seconds.unwrap_or(plan.seconds);
    plan.clients = options.clients.unwrap_or(plan.clients);
    plan.shards = options.shards.unwrap_or(plan.shards);
    let names: Vec<String> = plan.features.iter().map(Feature::to_string).collect();
    println!(
        "seed {}: {} s, {} clients, {} shards, {}",
        plan.seed,
        plan.seconds,
        plan.clients,
        plan.shards,
        names.join(" ")
    );
    if options.shrink {
        return shrunk(&plan);
    }
    let began = Instant::now();
    let once = cluster::run(&plan, &mut |line| {
        if options.trace {
            println!("{line}");
        }
    });
    let real = began.elapsed();
    match (once, caught_plan(&plan)) {
        (Err(finding), _) => {
            println!("{finding}");
            false
        }
        (Ok(once), Ok(again)) if once.trace == again.trace => {
            println!("{once:#?}\n{:.0} x real time", once.time.as_secs_f64() / real.as_secs_f64());
            true
        }
        (Ok(once), again) => {
            println!("the second run differs: trace {:016x}, then {again:?}", once.trace);
            false
        }
    }
}

fn one_of_logs(options: &Options) -> bool {
    let tell = |step: &str| {
        if options.trace {
            println!("{step}");
        }
    };
    match logs::run_drawn(options.seed, logs::STEPS_DEFAULT, tell) {
        Ok(summary) => println!("{summary:?}"),
        Err(finding) => println!("{finding}"),
    }
    logs::run_drawn(options.seed, logs::STEPS_DEFAULT, |_| ()).is_ok()
}

fn shrunk(plan: &Plan) -> bool {
    quiet();
    let Some((least, found)) = shrink(plan, &|line| println!("{line}")) else {
        println!("this seed finds nothing");
        return true;
    };
    let left_out: Vec<String> =
        Plan::draw(plan.seed).features.difference(&least.features).map(Feature::to_string).collect();
    let without = if left_out.is_empty() { String::new() } else { format!(" --without {}", left_out.join(",")) };
    println!(
        "{found}\n  again: cargo run --release -p sim -- --seed {} --seconds {} --clients {} --shards {}{without} --trace",
        least.seed, least.seconds, least.clients, least.shards
    );
    false
}

/// An assertion that fails is a finding with its seed, not a page of its own.
fn quiet() {
    std::panic::set_hook(Box::new(|_| ()));
}

fn search(options: &Options, minutes: f64) -> bool {
    quiet();
    let (began, threads) = (Instant::now(), threads(options));
    let time = Duration::from_secs_f64(minutes * 60.0);
    let tally =
        campaign(options.seed..options.seed + options.seeds, time, threads, options.twice, &|line| eprintln!("{line}"));
    report(&tally, began.elapsed(), threads);
    tally.failed.is_empty()
}

fn report(tally: &Tally, real: Duration, threads: usize) {
    let Tally { runs, sum, logs, failed } = tally;
    let hours = |time: Duration| time.as_secs_f64() / 3600.0;
    println!(
        "{runs} seeds in {:.2} core-hours: {:.2} simulated hours of clusters with {} crashes, {:.1} of logs alone with {}",
        hours(real) * threads as f64,
        hours(sum.time),
        sum.crashes,
        hours(logs.time),
        logs.crashes
    );
    let rate = |amount: f64, time: Duration| amount / time.as_secs_f64().max(1e-9);
    println!(
        "clusters: {:.0} x real time a core at {:.0} answers a simulated second ({:.0} answers a second of a core)",
        rate(sum.time.as_secs_f64(), sum.real),
        rate(sum.ops as f64, sum.time),
        rate(sum.ops as f64, sum.real)
    );
    sum.faults.iter().for_each(|(fault, count)| println!("  {count:>8} {fault}"));
    println!("{} of {} marks reached", reach::MARKS.len() - reach::missing().len(), reach::MARKS.len());
    reach::missing().iter().for_each(|mark| println!("  not reached: {mark}"));
    println!("{} violations", failed.len());
}

fn examine(name: &str, options: &Options) -> bool {
    if !cfg!(planted) {
        eprintln!("this build has no planted bugs; `cargo xtask planted` makes one that has");
        return false;
    }
    quiet();
    let bugs: Vec<&'static str> = PLANTED.iter().copied().filter(|bug| bug.contains(name)).collect();
    let patience = Duration::from_secs(options.patience);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let missed = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads(options) {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let verdict = planted::examine(bug, patience);
                    let hours = verdict.simulated.as_secs_f64() / 3600.0;
                    let (runs, real) = (verdict.runs, verdict.real.as_secs_f64());
                    match verdict.found {
                        Some(found) => {
                            println!("caught  {bug}: {runs} runs, {hours:.2} simulated hours, {real:.0} s; {found}")
                        }
                        None => {
                            missed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            println!("MISSED  {bug}: {runs} runs, {hours:.2} simulated hours, {real:.0} s");
                        }
                    }
                }
            });
        }
    });
    let missed = missed.into_inner();
    println!("{} of {} planted bugs caught", bugs.len() - missed, bugs.len());
    missed == 0
}

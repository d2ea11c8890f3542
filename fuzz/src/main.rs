//! The runner for stable Rust. `cargo xtask fuzz` builds it with the compiler's counters, which tell what is new.
//!
//! `fuzz TARGET|all|list [--seconds N] [--executions N] [--seed N] [--input FILE]`. With `--executions`, the targets take
//! turns until so many inputs were run in all; else each runs for the seconds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use fuzz::campaign::{Campaign, counters, long_run};
use fuzz::check::check;
use fuzz::coverage::Coverage;
use fuzz::meter::Meter;
use fuzz::{TARGETS, Target};

#[global_allocator]
static METER: Meter = Meter;

struct Options {
    targets: Vec<&'static Target>,
    time: Duration,
    executions: Option<u64>,
    seed: u64,
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!(
                "{message}\nusage: fuzz TARGET|all|list [--seconds N] [--executions N] [--seed N] [--input FILE]"
            );
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(finding) => {
            eprintln!("{finding}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let name = args.next().ok_or("which target?")?;
    let targets: Vec<_> = match name.as_str() {
        "list" => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            vec![]
        }
        "all" => TARGETS.iter().collect(),
        name => vec![TARGETS.iter().find(|target| target.name == name).ok_or(format!("no target {name}"))?],
    };
    let mut options = Options { targets, time: Duration::from_secs(10), executions: None, seed: 1, input: None };
    while let Some(option) = args.next() {
        let value = args.next().ok_or(format!("{option} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{option} {value}: {error}"));
        match option.as_str() {
            "--seconds" => options.time = Duration::from_secs(number()?),
            "--executions" => options.executions = Some(number()?),
            "--seed" => options.seed = number()?,
            "--input" => options.input = Some(value.into()),
            _ => return Err(format!("no option {option}")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    if let Some(path) = &options.input {
        let input = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        return options.targets.iter().try_for_each(|target| {
            let cost = check(target, &input, &mut Coverage::default(), Duration::ZERO);
            cost.map(|cost| println!("{}: passes: {cost:?}", target.name))
        });
    }
    if let Some(executions) = options.executions {
        return long_run(&options.targets, options.seed, executions);
    }
    if options.targets.is_empty() {
        return Ok(());
    }
    println!("seed {}, {}", options.seed, counters());
    for target in &options.targets {
        let mut campaign = Campaign::begin(target, options.seed)?;
        campaign.run_for(options.time, u64::MAX)?;
        println!("{}", campaign.summary());
    }
    Ok(())
}

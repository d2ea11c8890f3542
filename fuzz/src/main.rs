//! The runner for stable Rust: damages seeds for some seconds and checks every input for panics, memory and time.
//!
//! `fuzz TARGET|all|list [--seconds N] [--seed N] [--input FILE]`. It does not measure coverage; cargo-fuzz does.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzz::meter::{Meter, peak_bytes};
use fuzz::mutate::{Rng, mutate};
use fuzz::{TARGETS, Target};

#[global_allocator]
static METER: Meter = Meter;

const INPUT_TIME_MAX: Duration = Duration::from_millis(100);
/// A slow input has to be slow every time: other programs use the machine too.
const SLOW_REPEATS: usize = 4;

struct Options {
    targets: Vec<&'static Target>,
    time: Duration,
    seed: u64,
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\nusage: fuzz TARGET|all|list [--seconds N] [--seed N] [--input FILE]");
            return ExitCode::from(2);
        }
    };
    for target in &options.targets {
        if let Err(finding) = run(target, &options) {
            eprintln!("{}: {finding}", target.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
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
    let mut options = Options { targets, time: Duration::from_secs(10), seed: 1, input: None };
    while let Some(option) = args.next() {
        let value = args.next().ok_or(format!("{option} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{option} {value}: {error}"));
        match option.as_str() {
            "--seconds" => options.time = Duration::from_secs(number()?),
            "--seed" => options.seed = number()?,
            "--input" => options.input = Some(value.into()),
            _ => return Err(format!("no option {option}")),
        }
    }
    Ok(options)
}

fn run(target: &Target, options: &Options) -> Result<(), String> {
    if let Some(path) = &options.input {
        let input = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        return check(target, &input).map(|()| println!("{}: passes", target.name));
    }
    let seeds = (target.seeds)();
    for seed in &seeds {
        check(target, seed).map_err(|finding| keep(target, seed, &finding))?;
    }
    let mut rng = Rng(options.seed);
    let start = Instant::now();
    let mut inputs = 0_u64;
    let mut input = Vec::new();
    while start.elapsed() < options.time {
        input.clear();
        input.extend_from_slice(&seeds[rng.below(seeds.len())]);
        let other = rng.below(seeds.len());
        mutate(&mut rng, &mut input, &seeds[other]);
        check(target, &input).map_err(|finding| keep(target, &input, &finding))?;
        inputs += 1;
    }
    println!("{}: {} seeds, {inputs} inputs, seed {}, no finding", target.name, seeds.len(), options.seed);
    Ok(())
}

/// Feeds one input and holds it to its allowances.
fn check(target: &Target, input: &[u8]) -> Result<(), String> {
    let mut fastest = Duration::MAX;
    for _ in 0..SLOW_REPEATS {
        let start = Instant::now();
        let mut panicked = false;
        let peak = peak_bytes(|| panicked = catch_unwind(|| (target.fuzz)(input)).is_err());
        fastest = fastest.min(start.elapsed());
        if panicked {
            return Err("it panicked".into());
        }
        let allowed = target.memory.allowed_bytes(input.len());
        if peak > allowed {
            return Err(format!("{} bytes of input took {peak} bytes of memory, {allowed} allowed", input.len()));
        }
        if fastest <= INPUT_TIME_MAX {
            return Ok(());
        }
    }
    Err(format!("{} bytes of input took {fastest:?} at best, {INPUT_TIME_MAX:?} allowed", input.len()))
}

/// Writes a failing input where it can be run again.
fn keep(target: &Target, input: &[u8], finding: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let path = folder.join(format!("{}-{:08x}", target.name, protocol::crc::crc32c(input)));
    match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input)) {
        Ok(()) => format!("{finding}; the input is in {}", path.display()),
        Err(error) => format!("{finding}; the input could not be kept: {error}"),
    }
}

//! Command line of the rigs: see `--help`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use rigs::disk::FileSystem;
use rigs::life::{Fault, LifeOptions, missing};
use rigs::node::{NodeOptions, find_binary};
use rigs::run::{RunOptions, run};
use rigs::summary::Summary;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Faults that are real: kills or cuts off the binary `ringlog` under load, starts it again, and reads everything back.
///
/// The binary is the one beside this program, or the one that RINGLOG_BIN names. Ends with 0 when nothing was wrong, and
/// with 77 when this machine cannot have such faults.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// SIGKILL under load, during starts and during clean stops.
    Kill(Options),
    /// Power cuts on a file system of the rig's own on a loop device; needs root.
    Powercut {
        /// Which file system.
        #[arg(long, value_enum)]
        fs: Fs,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Args)]
struct Options {
    /// How many faults.
    #[arg(long, default_value_t = 20)]
    times: u64,
    /// Decides moments, sizes and drivers; a random one if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// When the node acknowledges.
    #[arg(long, value_enum, default_value_t = Durability::Fsync)]
    durability: Durability,
    /// The driver of every start; otherwise they take turns by chance.
    #[arg(long, value_enum)]
    io: Option<Driver>,
    /// Where data folders and loop files are made.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Stop here at the latest.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    minutes: u64,
    /// A bug to plant in the node, which must have been built with `--cfg planted`.
    #[arg(long, value_name = "NAME")]
    planted: Option<String>,
    /// Succeed when acknowledged records were lost, and end with the first loss.
    #[arg(long)]
    expect_loss: bool,
    /// Copy the data here when something is wrong with it.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// How to say the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fs {
    Ext4,
    Xfs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Durability {
    Fsync,
    Interval,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum Driver {
    Uring,
    Posix,
    TokioUring,
    Glommio,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// As test runners say that a test was skipped.
const NOT_HERE: u8 = 77;

fn main() -> ExitCode {
    let (fault, options) = match Cli::parse().command {
        Cmd::Kill(options) => (Fault::Kill, options),
        Cmd::Powercut { fs: Fs::Ext4, options } => (Fault::PowerCut(FileSystem::Ext4), options),
        Cmd::Powercut { fs: Fs::Xfs, options } => (Fault::PowerCut(FileSystem::Xfs), options),
    };
    if let Some(reason) = missing(fault, &options.dir) {
        eprintln!("rigs: not here: {reason}");
        return ExitCode::from(NOT_HERE);
    }
    match go(fault, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("rigs: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn go(fault: Fault, options: Options) -> Result<(), String> {
    let (expects_loss, output) = (options.expect_loss, options.output);
    let may_lose = matches!(fault, Fault::PowerCut(_)) && !matches!(options.durability, Durability::Fsync);
    let options = run_options(fault, options)?;
    eprintln!("rigs: seed {}, binary {}", options.seed, options.life.node.binary.display());
    let summary = run(&options, |line| eprintln!("rigs: {line}")).map_err(|error| error.to_string())?;
    match output {
        Output::Text => println!("{summary}"),
        Output::Json => println!("{}", summary.json()),
    }
    verdict(&summary, expects_loss, may_lose)
}

fn run_options(fault: Fault, options: Options) -> Result<RunOptions, String> {
    let durability = match options.durability {
        Durability::Fsync => "fsync",
        Durability::Interval => "interval",
        Durability::None => "none",
    };
    let io = options.io.map(|io| match io {
        Driver::Uring => "uring",
        Driver::Posix => "posix",
        Driver::TokioUring => "tokio-uring",
        Driver::Glommio => "glommio",
    });
    let binary = find_binary().ok_or("no binary `ringlog` beside this program; build it with `cargo build -p node`")?;
    let node = NodeOptions { binary, durability: durability.into(), io: "auto", shards: 1, planted: options.planted };
    Ok(RunOptions {
        life: LifeOptions { fault, folder: options.dir, node, io, keep: options.keep },
        times: options.times,
        seed: options.seed.unwrap_or_else(|| u64::from(std::process::id()) ^ since_epoch_ns()),
        time_max: Duration::from_secs(options.minutes * 60),
        until_loss: options.expect_loss,
    })
}

fn since_epoch_ns() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64)
}

/// A power cut may take what was acknowledged without a flush; it may still neither double, reorder nor invent.
fn verdict(summary: &Summary, expects_loss: bool, may_lose: bool) -> Result<(), String> {
    if expects_loss {
        let missed = || format!("{} faults, and no loss was found where one was planted", summary.faults);
        return if summary.lost > 0 { Ok(()) } else { Err(missed()) };
    }
    let is_right = summary.duplicated + summary.reordered + summary.phantom == 0;
    if summary.is_clean() || (may_lose && is_right) { Ok(()) } else { Err("the promise was broken, see above".into()) }
}

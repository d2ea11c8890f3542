//! Command line of the load generator and the comparison: see `--help`.

use bench::compare::{self, Options};
use bench::load::{self, Job, Plan};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Drives any Kafka broker, and compares Ringlog with Kafka 4.3.1 on the same core.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Produce as fast as the broker answers (closed loop), or at a fixed rate (open loop).
    Produce {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        records: Records,
    },
    /// Read partitions from their start, again and again.
    Fetch {
        #[command(flatten)]
        target: Target,
        /// Most bytes an answer may hold.
        #[arg(long, default_value_t = 1_000_000)]
        max_bytes: i32,
    },
    /// Produce at a fixed rate and measure until a long-polling consumer has each record.
    EndToEnd {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        records: Records,
    },
    /// Run scenarios on Ringlog and on Kafka in turn and print the table.
    Compare(Compare),
}

#[derive(Args)]
struct Target {
    /// The broker.
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: SocketAddr,
    /// An existing topic.
    #[arg(long, default_value = "bench")]
    topic: String,
    /// How many partitions of it to use.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Outstanding requests a connection.
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Measured seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that which are not counted.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Ends the run early after this many bytes.
    #[arg(long, default_value_t = u64::MAX)]
    bytes_max: u64,
    /// Print one JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Records {
    /// Bytes of a batch; 1 for one record a batch.
    #[arg(long, default_value_t = 16_000)]
    batch: usize,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 100)]
    record: usize,
    /// Requests a second over all connections; without it, closed loop.
    #[arg(long)]
    rate: Option<f64>,
    /// The acks field: 0, 1 or -1.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    acks: i16,
}

#[derive(Args)]
struct Compare {
    /// Scenario names; all when none is given.
    scenarios: Vec<String>,
    /// Pairs a scenario.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measured seconds a run.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds of the same load before that, not counted.
    #[arg(long, default_value_t = 15)]
    settle: u64,
    /// Our binary.
    #[arg(long, default_value = "target/release/ringlog")]
    ringlog: PathBuf,
    /// Our I/O driver.
    #[arg(long, default_value = "auto")]
    io: String,
    /// Folder with Kafka's jars, as `cargo xtask install` leaves them.
    #[arg(long, default_value = ".cache/kafka/libs")]
    kafka: PathBuf,
    /// Measure ours alone.
    #[arg(long)]
    without_kafka: bool,
    /// Folder on the disk to be measured.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Processor of the broker.
    #[arg(long, default_value_t = 0)]
    broker_cpu: usize,
    /// Processor of the load.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Most bytes a run may write.
    #[arg(long, default_value_t = 30_000_000_000)]
    bytes_max: u64,
    /// Also write all figures to this file, as JSON.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Cmd::Produce { target, records } => drive(&target, Job::Produce, &records),
        Cmd::EndToEnd { target, records } => drive(&target, Job::EndToEnd, &records),
        Cmd::Fetch { target, max_bytes } => {
            drive(&target, Job::Fetch { max_bytes }, &Records { batch: 1, record: 1, rate: None, acks: 1 })
        }
        Cmd::Compare(args) => compare(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn drive(target: &Target, job: Job, records: &Records) -> Result<(), String> {
    if matches!(job, Job::EndToEnd) && records.rate.is_none() {
        return Err("end-to-end needs --rate: a closed loop would measure its own queue".into());
    }
    let plan = Plan {
        address: target.bootstrap,
        topic: target.topic.clone(),
        partitions: target.partitions,
        job,
        connections: target.connections,
        depth: target.depth,
        rate: records.rate,
        batch_bytes: records.batch,
        record_bytes: records.record,
        acks: records.acks,
        warm_up: Duration::from_secs(target.warm_up),
        duration: Duration::from_secs(target.seconds),
        bytes_max: target.bytes_max,
    };
    let stats = load::run(&plan).map_err(|e| e.to_string())?;
    let figures = stats.to_json();
    if target.json {
        println!("{figures}");
    } else {
        println!(
            "{:.0} MB/s, {:.0} requests/s, latency µs p50 {} p99 {} p99.9 {} max {}, generator {:.0} % busy",
            stats.mb_per_s(),
            stats.requests_per_s(),
            figures["p50_us"],
            figures["p99_us"],
            figures["p999_us"],
            figures["max_us"],
            stats.generator_busy * 100.0
        );
    }
    Ok(())
}

fn compare(args: Compare) -> Result<(), String> {
    if !args.ringlog.exists() {
        return Err(format!("{} is not there: `cargo build --release -p node` first", args.ringlog.display()));
    }
    if !args.without_kafka && !args.kafka.exists() {
        return Err(format!("{} is not there: `cargo xtask install` fetches Kafka 4.3.1", args.kafka.display()));
    }
    let options = Options {
        ringlog: args.ringlog,
        io: args.io,
        kafka_libs: (!args.without_kafka).then_some(args.kafka),
        scenarios: args.scenarios,
        rounds: args.rounds,
        seconds: args.seconds,
        settle_seconds: args.settle,
        dir: args.dir,
        broker_cpu: args.broker_cpu,
        load_cpu: args.load_cpu,
        bytes_max: args.bytes_max,
    };
    let results = compare::run(&options).map_err(|e| e.to_string())?;
    if let Some(path) = args.out {
        let text = format!("{results:#}\n");
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

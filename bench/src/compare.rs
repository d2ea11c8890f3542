//! Runs scenarios on our broker and on Kafka in turn, on the same core, and prints figures side by side.
//!
//! Rounds are interleaved (ours, Kafka, ours, Kafka …) because a shared machine drifts; the ratio is taken pair by pair
//! and its median printed. The load runs on another core, in a process of its own.

use crate::brokers::{Broker, BrokerError, Kind, disk_mb_per_s};
use crate::{frames, load};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// What is driven, and against which settings of the topic.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// For the table.
    pub title: &'static str,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Arguments of the load generator.
    pub load: &'static [&'static str],
    /// Data to write before a fetch scenario, in bytes.
    pub fill_bytes: u64,
    /// Small segments and retention by size, so that files are recycled during the run.
    pub steady_retention: bool,
}

/// Every scenario, in the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "1m",
        title: "produce 1 MB batches, 1 connection, growing log",
        partitions: 1,
        load: &["produce", "--batch", "1000000", "--record", "10000", "--connections", "1", "--depth", "1"],
        fill_bytes: 0,
        steady_retention: false,
    },
    Scenario {
        name: "1m-pipelined",
        title: "produce 1 MB batches, 1 connection, 5 in flight, growing log",
        partitions: 1,
        load: &["produce", "--batch", "1000000", "--record", "10000", "--connections", "1", "--depth", "5"],
        fill_bytes: 0,
        steady_retention: false,
    },
    Scenario {
        name: "1m-steady",
        title: "produce 1 MB batches, 1 connection, 5 in flight, steady retention",
        partitions: 1,
        load: &["produce", "--batch", "1000000", "--record", "10000", "--connections", "1", "--depth", "5"],
        fill_bytes: 0,
        steady_retention: true,
    },
    Scenario {
        name: "16k",
        title: "produce 16 KB batches, 64 connections, growing log",
        partitions: 4,
        load: &["produce", "--batch", "16000", "--record", "1000", "--connections", "64", "--depth", "1"],
        fill_bytes: 0,
        steady_retention: false,
    },
    Scenario {
        name: "16k-steady",
        title: "produce 16 KB batches, 64 connections, steady retention",
        partitions: 4,
        load: &["produce", "--batch", "16000", "--record", "1000", "--connections", "64", "--depth", "1"],
        fill_bytes: 0,
        steady_retention: true,
    },
    Scenario {
        name: "100b",
        title: "produce one 100-byte record a request, 64 connections, 16 in flight",
        partitions: 4,
        load: &["produce", "--batch", "1", "--record", "100", "--connections", "64", "--depth", "16"],
        fill_bytes: 0,
        steady_retention: false,
    },
    Scenario {
        name: "open",
        title: "produce 16 KB batches at 12,000 a second, open loop",
        partitions: 4,
        load: &["produce", "--batch", "16000", "--record", "1000", "--connections", "64", "--rate", "12000"],
        fill_bytes: 0,
        steady_retention: true,
    },
    Scenario {
        name: "fetch",
        title: "fetch from memory, 1 MB answers, 1 connection",
        partitions: 1,
        load: &["fetch", "--max-bytes", "1000000", "--connections", "1", "--depth", "1"],
        fill_bytes: 24_000_000,
        steady_retention: false,
    },
    Scenario {
        name: "e2e",
        title: "produce to consume, 1 KB records at 2,000 a second",
        partitions: 4,
        load: &["end-to-end", "--batch", "1", "--record", "1000", "--connections", "4", "--rate", "2000"],
        fill_bytes: 0,
        steady_retention: false,
    },
];

/// How to compare.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our binary.
    pub ringlog: PathBuf,
    /// Our `--io` flag.
    pub io: String,
    /// Kafka's jars; `None` measures ours alone.
    pub kafka_libs: Option<PathBuf>,
    /// Names of [`SCENARIOS`]; empty for all.
    pub scenarios: Vec<String>,
    /// Pairs a scenario.
    pub rounds: usize,
    /// Measured seconds a run.
    pub seconds: u64,
    /// Seconds of the same load before that, not counted: a JVM on one core compiles for that long.
    pub settle_seconds: u64,
    /// Folder on the disk to be measured.
    pub dir: PathBuf,
    /// Processor of the broker.
    pub broker_cpu: usize,
    /// Processor of the load.
    pub load_cpu: usize,
    /// Most bytes a run may write.
    pub bytes_max: u64,
}

/// Why the comparison ended.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The load generator.
    #[error("load for '{scenario}' on {broker}: {reason}")]
    Load {
        /// Which scenario.
        scenario: String,
        /// Which broker.
        broker: &'static str,
        /// What it said.
        reason: String,
    },
    /// A name that is not a scenario's.
    #[error("no scenario '{0}'; there are: {names}", names = SCENARIOS.iter().map(|s| s.name).collect::<Vec<_>>().join(", "))]
    Unknown(String),
}

/// Runs everything and returns the results, also printed as a table while they come.
pub fn run(options: &Options) -> Result<Value, CompareError> {
    for name in &options.scenarios {
        if !SCENARIOS.iter().any(|s| s.name == name) {
            return Err(CompareError::Unknown(name.clone()));
        }
    }
    let mut all = Vec::new();
    println!("Ringlog acknowledges after the device has it (durability=fsync); Kafka does not sync (its default).");
    println!(
        "Broker on core {}, load on core {}, {} rounds of {} s, interleaved; medians.\n",
        options.broker_cpu, options.load_cpu, options.rounds, options.seconds
    );
    for scenario in
        SCENARIOS.iter().filter(|s| options.scenarios.is_empty() || options.scenarios.iter().any(|n| n == s.name))
    {
        let disk = disk_mb_per_s(&options.dir, options.load_cpu);
        println!(
            "{} ({}); fio, same minute: {}",
            scenario.title,
            scenario.name,
            disk.map_or("not installed".into(), |d| format!("{d:.0} MB/s"))
        );
        println!(
            "  {:<10}{:>10}{:>11}{:>11}{:>10}{:>10}{:>11}{:>10}{:>7}",
            "", "MB/s", "requests/s", "CPU-s/GB", "p50 µs", "p99 µs", "p99.9 µs", "RSS MiB", "load"
        );
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let ours = measure(
                options,
                scenario,
                &Kind::Ringlog { binary: options.ringlog.clone(), io: options.io.clone() },
                "ringlog",
            )?;
            let kafka = options
                .kafka_libs
                .as_ref()
                .map(|libs| measure(options, scenario, &Kind::Kafka { libs: libs.clone() }, "Kafka"))
                .transpose()?;
            rounds.push((ours, kafka));
        }
        print_rows(&rounds);
        all.push(json!({"scenario": scenario.name, "title": scenario.title, "fio_mb_per_s": disk,
            "rounds": rounds.iter().map(|(o, k)| json!({"ringlog": o, "kafka": k})).collect::<Vec<_>>()}));
    }
    Ok(json!({"durability": {"ringlog": "fsync", "kafka": "none"}, "seconds": options.seconds, "results": all}))
}

/// The columns of the table.
const COLUMNS: &[&str] =
    &["mb_per_s", "requests_per_s", "cpu_s_per_gb", "p50_us", "p99_us", "p999_us", "resident_mib", "generator_busy"];

fn print_rows(rounds: &[(Value, Option<Value>)]) {
    let ours: Vec<&Value> = rounds.iter().map(|(o, _)| o).collect();
    let kafka: Vec<&Value> = rounds.iter().filter_map(|(_, k)| k.as_ref()).collect();
    let row = |name: &str, of: &dyn Fn(&str) -> f64, digits: usize| {
        let cells: Vec<String> = COLUMNS
            .iter()
            .zip([10, 11, 11, 10, 10, 11, 10, 7])
            .map(|(c, w)| {
                let places = if digits > 0 || matches!(*c, "cpu_s_per_gb" | "generator_busy") { 2 } else { 0 };
                format!("{:>w$.places$}", of(c))
            })
            .collect();
        println!("  {name:<10}{}", cells.concat());
    };
    row("ringlog", &|c| median(ours.iter().map(|v| figure(v, c)).collect()), 0);
    if !kafka.is_empty() {
        row("Kafka", &|c| median(kafka.iter().map(|v| figure(v, c)).collect()), 0);
        row("ratio", &|c| median(ours.iter().zip(&kafka).map(|(o, k)| figure(o, c) / figure(k, c)).collect()), 2);
    }
    println!();
}

fn figure(v: &Value, column: &str) -> f64 {
    v[column].as_f64().unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One run on a fresh broker.
fn measure(options: &Options, scenario: &Scenario, kind: &Kind, who: &'static str) -> Result<Value, CompareError> {
    let failed = |reason: String| CompareError::Load { scenario: scenario.name.into(), broker: who, reason };
    let properties = [
        ("log.retention.check.interval.ms".to_owned(), "1000".to_owned()),
        ("log.initial.task.delay.ms".to_owned(), "1000".to_owned()),
    ];
    let broker = Broker::start(kind, options.broker_cpu, &options.dir, &properties)?;
    let topic = "bench";
    let mut configs = Vec::new();
    if scenario.steady_retention {
        configs.push(("segment.bytes".to_owned(), (128 << 20).to_string()));
        configs.push(("retention.bytes".to_owned(), (512 << 20).to_string()));
        configs.push(("file.delete.delay.ms".to_owned(), "1000".to_owned()));
    }
    let create = frames::create_topic(topic, scenario.partitions, &configs).map_err(|e| failed(e.to_string()))?;
    let answer = load::ask(broker.address, &create).map_err(|e| failed(e.to_string()))?;
    frames::created(&answer).map_err(|e| failed(e.to_string()))?;
    // Leaders may take a moment after creation.
    std::thread::sleep(std::time::Duration::from_millis(500));
    if scenario.fill_bytes > 0 {
        let bytes_max = scenario.fill_bytes.to_string();
        let fill = [
            "produce",
            "--batch",
            "1000000",
            "--record",
            "10000",
            "--connections",
            "1",
            "--depth",
            "1",
            "--bytes-max",
            &bytes_max,
            "--seconds",
            "30",
            "--warm-up",
            "0",
        ];
        drive(options, &broker, scenario, &fill).map_err(&failed)?;
    }
    // A run without figures first: on one core a JVM compiles for many seconds.
    let settle = options.settle_seconds.to_string();
    let before_warm = scenario
        .load
        .iter()
        .copied()
        .chain(["--seconds", &settle, "--warm-up", "0", "--bytes-max", "10000000000"])
        .collect::<Vec<_>>();
    drive(options, &broker, scenario, &before_warm).map_err(&failed)?;
    let seconds = options.seconds.to_string();
    let bytes_max = options.bytes_max.to_string();
    let args: Vec<&str> = scenario
        .load
        .iter()
        .copied()
        .chain(["--seconds", &seconds, "--warm-up", "0", "--bytes-max", &bytes_max])
        .collect();
    let before = broker.usage();
    let mut result = drive(options, &broker, scenario, &args).map_err(&failed)?;
    let after = broker.usage();
    let gb = figure(&result, "bytes") / 1e9;
    result["cpu_s_per_gb"] = json!((after.cpu_s - before.cpu_s) / gb);
    result["cpu_share"] = json!((after.cpu_s - before.cpu_s) / figure(&result, "seconds"));
    result["resident_mib"] = json!(after.resident / (1 << 20));
    Ok(result)
}

/// Runs the load generator as a process of its own on its core.
fn drive(options: &Options, broker: &Broker, scenario: &Scenario, args: &[&str]) -> Result<Value, String> {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new("taskset")
        .args(["-c", &options.load_cpu.to_string()])
        .arg(me)
        .args(args)
        .args([
            "--bootstrap",
            &broker.address.to_string(),
            "--topic",
            "bench",
            "--partitions",
            &scenario.partitions.to_string(),
            "--json",
        ])
        .output()
        .map_err(|e| format!("taskset: {e}; is util-linux installed?"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("{e} in the generator's output"))
}

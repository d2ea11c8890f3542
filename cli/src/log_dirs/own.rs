//! `ringlog log-dirs`: what each folder of each broker holds.

use super::read::{self, LogDir};
use crate::client::Topics;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::{ClusterArgs, Output, print_json};
use crate::table::Table;
use clap::Args;
use serde_json::{Value, json};

/// `ringlog log-dirs`.
#[derive(Clone, Debug, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct LogDirsArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Only these topics.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Only these brokers.
    #[arg(long = "broker", value_name = "ID")]
    brokers: Vec<i32>,
    /// A line for every partition.
    #[arg(long)]
    partitions: bool,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Does what was asked.
pub fn run(args: &LogDirsArgs, io: &mut Io<'_>) -> Outcome {
    let mut client = args.cluster.connect(io)?;
    let cluster = client.metadata(Topics::None)?;
    if let Some(id) = read::missing(&cluster, &args.brokers).first() {
        let known: Vec<String> = cluster.brokers.iter().map(|broker| broker.id.to_string()).collect();
        return Err(Failure::not_found(format!("there is no broker {id}; there are {}", known.join(", "))));
    }
    let all = cluster.brokers.iter().map(|broker| broker.id);
    let brokers: Vec<i32> = all.filter(|id| args.brokers.is_empty() || args.brokers.contains(id)).collect();
    let dirs = read::read(&mut client, &brokers, &args.topics)?;
    match args.output {
        Output::Json => {
            let dirs: Vec<Value> = dirs.iter().map(document).collect();
            print_json(io, &json!({ "schema": "ringlog.log-dirs/v1", "log_dirs": dirs }))?;
        }
        Output::Table if args.partitions => by_partition(&dirs).print(io.out)?,
        Output::Table => by_folder(&dirs).print(io.out)?,
    }
    let broken = dirs.iter().filter_map(|dir| {
        let words = |code| format!("broker {}: {} is out of service ({code})", dir.broker, dir.path);
        dir.error.map(|code| Failure::failed(words(code)))
    });
    crate::failure::all(broken.collect())
}

fn by_folder(dirs: &[LogDir]) -> Table {
    let mut table = Table::new(&["BROKER", "FOLDER", "PARTITIONS", "BYTES", "FREE", "TOTAL"]);
    for dir in dirs {
        let bytes: i64 = dir.replicas.iter().map(|replica| replica.size_bytes).sum();
        let dash = |bytes: Option<i64>| bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        table.row(vec![
            dir.broker.to_string(),
            dir.path.clone(),
            dir.replicas.len().to_string(),
            bytes.to_string(),
            dash(dir.usable_bytes),
            dash(dir.total_bytes),
        ]);
    }
    table
}

fn by_partition(dirs: &[LogDir]) -> Table {
    let mut table = Table::new(&["BROKER", "FOLDER", "TOPIC", "PARTITION", "BYTES", "LAG", "MOVING"]);
    for dir in dirs {
        for replica in &dir.replicas {
            table.row(vec![
                dir.broker.to_string(),
                dir.path.clone(),
                replica.topic.clone(),
                replica.partition.to_string(),
                replica.size_bytes.to_string(),
                replica.offset_lag.to_string(),
                if replica.is_future { "yes" } else { "no" }.to_owned(),
            ]);
        }
    }
    table
}

fn document(dir: &LogDir) -> Value {
    let replicas = dir.replicas.iter().map(|replica| {
        json!({
            "topic": replica.topic, "partition": replica.partition, "bytes": replica.size_bytes,
            "offset_lag": replica.offset_lag, "future": replica.is_future,
        })
    });
    json!({
        "broker": dir.broker, "path": dir.path, "error": dir.error.map(|code| code.name()),
        "total_bytes": dir.total_bytes, "usable_bytes": dir.usable_bytes, "replicas": replicas.collect::<Vec<_>>(),
    })
}

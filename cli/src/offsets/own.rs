//! `ringlog offsets`: first and last offsets, or where a point in time lies.

use super::which::{self, Rule};
use crate::client::{At, Client, Cluster, FoundOffset, Isolation, Topics};
use crate::failure::{self, Failure, Outcome};
use crate::io::Io;
use crate::options::{ClusterArgs, Output, print_json};
use crate::table::Table;
use clap::Args;
use protocol::ErrorCode;
use serde_json::json;

/// `ringlog offsets`.
#[derive(Clone, Debug, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct OffsetsArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The topics; all but the cluster's own if none is named.
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// One point in place of first and end: earliest, latest, max-timestamp, or milliseconds since 1970.
    #[arg(long, value_name = "POINT", allow_hyphen_values = true)]
    time: Option<String>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Does what was asked.
pub fn run(args: &OffsetsArgs, io: &mut Io<'_>) -> Outcome {
    let point = args.time.as_deref().map(which::point).transpose()?;
    let mut client = args.cluster.connect(io)?;
    let cluster = client.metadata(Topics::All)?;
    let partitions = chosen(&args.topics, &cluster)?;
    match point {
        Some(at) => one_point(&mut client, &cluster, &partitions, at, args.output, io),
        None => both_ends(&mut client, &cluster, &partitions, args.output, io),
    }
}

fn chosen<'a>(names: &[String], cluster: &'a Cluster) -> Result<Vec<(&'a str, i32)>, Failure> {
    if names.is_empty() {
        return Ok(which::partitions(cluster, &[Rule::of(None, None)?], false));
    }
    let mut partitions = Vec::new();
    for name in names {
        let known = || cluster.topics.iter().map(|topic| topic.name.as_str());
        let words = || format!("topic `{name}` does not exist ({})", ErrorCode::UnknownTopicOrPartition);
        let topic = cluster.topic(name).ok_or_else(|| Failure::not_found(words()).did_you_mean(name, known()))?;
        partitions.extend(topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.index)));
    }
    Ok(partitions)
}

fn ask(
    client: &mut Client,
    cluster: &Cluster,
    partitions: &[(&str, i32)],
    at: At,
) -> Result<Vec<FoundOffset>, Failure> {
    let wanted: Vec<_> = partitions.iter().map(|(topic, partition)| (*topic, *partition, at)).collect();
    Ok(client.list_offsets(cluster, &wanted, Isolation::ReadUncommitted)?)
}

fn one_point(
    client: &mut Client,
    cluster: &Cluster,
    partitions: &[(&str, i32)],
    at: At,
    output: Output,
    io: &mut Io<'_>,
) -> Outcome {
    let mut table = Table::new(&["TOPIC", "PARTITION", "OFFSET", "TIMESTAMP"]);
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for FoundOffset { topic, partition, result } in ask(client, cluster, partitions, at)? {
        match result {
            Ok((offset, timestamp)) => {
                let known = |number: i64| Some(number).filter(|number| *number >= 0);
                rows.push(json!({ "topic": topic, "partition": partition, "offset": known(offset), "timestamp": known(timestamp) }));
                table.row(vec![topic, partition.to_string(), dash(known(offset)), dash(known(timestamp))]);
            }
            Err(error) => failures.push(Failure::from(error)),
        }
    }
    match output {
        Output::Table => table.print(io.out)?,
        Output::Json => print_json(io, &json!({ "schema": "ringlog.offsets.at/v1", "partitions": rows }))?,
    }
    failure::all(failures)
}

fn dash(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn both_ends(
    client: &mut Client,
    cluster: &Cluster,
    partitions: &[(&str, i32)],
    output: Output,
    io: &mut Io<'_>,
) -> Outcome {
    let first = ask(client, cluster, partitions, At::Earliest)?;
    let end = ask(client, cluster, partitions, At::Latest)?;
    let mut table = Table::new(&["TOPIC", "PARTITION", "FIRST", "END", "RECORDS"]);
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    // Both lists are sorted the same way and have every partition that was asked.
    for (FoundOffset { topic, partition, result }, end) in first.into_iter().zip(end) {
        match (result, end.result) {
            (Ok((first, _)), Ok((end, _))) => {
                // Compaction leaves gaps: offsets, not records, where it is on; hence at most.
                let between = (end - first).max(0);
                rows.push(json!({ "topic": topic, "partition": partition, "first": first, "end": end, "records_max": between }));
                table.row(vec![topic, partition.to_string(), first.to_string(), end.to_string(), between.to_string()]);
            }
            (Err(error), _) | (_, Err(error)) => failures.push(Failure::from(error)),
        }
    }
    match output {
        Output::Table => table.print(io.out)?,
        Output::Json => print_json(io, &json!({ "schema": "ringlog.offsets/v1", "partitions": rows }))?,
    }
    failure::all(failures)
}

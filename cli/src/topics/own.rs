//! `ringlog topics`: list, describe, create, add-partitions, delete.

use super::change::{self, MorePartitions, NewTopic};
use super::read::{self, Described};
use crate::client::{Client, Cluster, Error, Topics};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::{ClusterArgs, Output, print_json};
use crate::table::Table;
use crate::topic_filter::TopicFilter;
use clap::{Args, Subcommand};
use protocol::ErrorCode;
use serde_json::{Value, json};

/// `ringlog topics`.
#[derive(Clone, Debug, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct TopicsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Names, partitions and replicas of topics.
    List {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Only topics whose whole name matches.
        #[arg(long = "match", value_name = "REGEX")]
        pattern: Option<String>,
        /// The cluster's own topics too.
        #[arg(long)]
        internal: bool,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Partitions, leaders and changed settings of topics.
    Describe {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The topics; all but the cluster's own if none is named.
        #[arg(value_name = "TOPIC")]
        topics: Vec<String>,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make a topic.
    Create {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Its name.
        topic: String,
        /// How many partitions [default: the broker's num.partitions].
        #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// How many replicas of each [default: the broker's default.replication.factor].
        #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
        replication_factor: Option<i16>,
        /// A setting; may be repeated.
        #[arg(short, long, value_name = "NAME=VALUE")]
        config: Vec<String>,
        /// It is fine if the topic exists.
        #[arg(long)]
        if_not_exists: bool,
        /// Only ask the broker whether it could be made.
        #[arg(long)]
        dry_run: bool,
    },
    /// Give a topic more partitions. Records with keys go elsewhere from then on.
    AddPartitions {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The topic.
        topic: String,
        /// How many there shall be in all.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        total: i32,
    },
    /// Delete topics with all their records.
    Delete {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The topics, by their names.
        #[arg(value_name = "TOPIC", required = true)]
        topics: Vec<String>,
        /// It is fine if a topic does not exist.
        #[arg(long)]
        if_exists: bool,
    },
}

/// Does what was asked.
pub fn run(args: &TopicsArgs, io: &mut Io<'_>) -> Outcome {
    match &args.action {
        Action::List { cluster, pattern, internal, output } => {
            list(&mut cluster.connect(io)?, pattern.as_deref(), *internal, *output, io)
        }
        Action::Describe { cluster, topics, output } => describe(&mut cluster.connect(io)?, topics, *output, io),
        Action::Create { cluster, topic, partitions, replication_factor, config, if_not_exists, dry_run } => {
            let configs = config.iter().map(|text| setting(text)).collect::<Result<_, _>>()?;
            let (partitions, replication_factor) = (*partitions, *replication_factor);
            let topic =
                NewTopic { name: topic.clone(), partitions, replication_factor, assignment: Vec::new(), configs };
            create(&mut cluster.connect(io)?, &topic, *if_not_exists, *dry_run, io)
        }
        Action::AddPartitions { cluster, topic, total } => add_partitions(&mut cluster.connect(io)?, topic, *total, io),
        Action::Delete { cluster, topics, if_exists } => delete(&mut cluster.connect(io)?, topics, *if_exists, io),
    }
}

fn setting(text: &str) -> Result<(String, String), Failure> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| Failure::usage(format!("--config {text}: expected NAME=VALUE")))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn list(client: &mut Client, pattern: Option<&str>, internal: bool, output: Output, io: &mut Io<'_>) -> Outcome {
    let filter = pattern.map(|pattern| TopicFilter::new("--match", pattern)).transpose()?;
    let mut cluster = client.metadata(Topics::All)?;
    cluster.topics.retain(|topic| internal || !topic.is_internal);
    cluster.topics.retain(|topic| filter.as_ref().is_none_or(|filter| filter.matches(&topic.name)));
    match output {
        Output::Json => print_json(io, &json!({ "schema": "ringlog.topics/v1", "topics": listed(&cluster) })),
        Output::Table => {
            let mut table = Table::new(&["TOPIC", "PARTITIONS", "REPLICAS"]);
            for topic in &cluster.topics {
                let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
                table.row(vec![topic.name.clone(), topic.partitions.len().to_string(), replicas.to_string()]);
            }
            Ok(table.print(io.out)?)
        }
    }
}

fn listed(cluster: &Cluster) -> Vec<Value> {
    let row = |topic: &crate::client::Topic| {
        json!({
            "name": topic.name, "id": topic.id.to_string(), "internal": topic.is_internal,
            "partitions": topic.partitions.len(),
            "replication_factor": topic.partitions.first().map_or(0, |partition| partition.replicas.len()),
        })
    };
    cluster.topics.iter().map(row).collect()
}

fn describe(client: &mut Client, names: &[String], output: Output, io: &mut Io<'_>) -> Outcome {
    let cluster = client.metadata(Topics::All)?;
    let names: Vec<&str> = match names {
        [] => cluster.topics.iter().filter(|topic| !topic.is_internal).map(|topic| topic.name.as_str()).collect(),
        names => names.iter().map(String::as_str).collect(),
    };
    if let Some(missing) = names.iter().find(|name| cluster.topic(name).is_none()) {
        return Err(no_such_topic(missing, &cluster));
    }
    let described =
        if names.is_empty() { Vec::new() } else { read::by_name(client, &names, read::PARTITIONS_PER_ANSWER)? };
    if output == Output::Json {
        let topics: Vec<Value> = described.iter().map(document).collect();
        return print_json(io, &json!({ "schema": "ringlog.topics.describe/v1", "topics": topics }));
    }
    for (at, topic) in described.iter().enumerate() {
        if at > 0 {
            writeln!(io.out)?;
        }
        print_one(topic, io)?;
    }
    Ok(())
}

fn no_such_topic(name: &str, cluster: &Cluster) -> Failure {
    let known = cluster.topics.iter().map(|topic| topic.name.as_str());
    let words = format!("topic `{name}` does not exist ({})", ErrorCode::UnknownTopicOrPartition);
    Failure::not_found(words).did_you_mean(name, known)
}

fn print_one(topic: &Described, io: &mut Io<'_>) -> Outcome {
    writeln!(io.out, "{}  {}", topic.topic.name, topic.topic.id)?;
    for setting in topic.configs.iter().filter(|setting| !setting.is_default) {
        writeln!(io.out, "  {}={}", setting.name, setting.value.as_deref().unwrap_or("(secret)"))?;
    }
    let mut table = Table::new(&["PARTITION", "LEADER", "REPLICAS", "IN SYNC"]);
    for partition in &topic.topic.partitions {
        let leader = partition.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        table.row(vec![partition.index.to_string(), leader, ids(&partition.replicas), ids(&partition.isr)]);
    }
    Ok(table.print(io.out)?)
}

fn document(topic: &Described) -> Value {
    let changed = topic.configs.iter().filter(|setting| !setting.is_default);
    let configs: serde_json::Map<String, Value> =
        changed.map(|setting| (setting.name.clone(), json!(setting.value))).collect();
    let partitions = topic.topic.partitions.iter().map(|partition| {
        json!({
            "partition": partition.index, "leader": partition.leader, "leader_epoch": partition.leader_epoch,
            "replicas": partition.replicas, "isr": partition.isr, "offline": partition.offline,
        })
    });
    json!({
        "name": topic.topic.name, "id": topic.topic.id.to_string(), "internal": topic.topic.is_internal,
        "configs": configs, "partitions": partitions.collect::<Vec<_>>(),
    })
}

fn create(client: &mut Client, topic: &NewTopic, if_not_exists: bool, dry_run: bool, io: &mut Io<'_>) -> Outcome {
    match change::create(client, topic, dry_run) {
        Err(error) if if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => {
            io.notice(format!("topic `{}` exists already", topic.name));
            Ok(())
        }
        Err(error) => Err(with_hint(error, topic)),
        Ok(()) if dry_run => Ok(writeln!(io.out, "Topic {} could be created.", topic.name)?),
        Ok(()) => Ok(writeln!(io.out, "Created topic {}.", topic.name)?),
    }
}

/// The nearest known name where a setting's name is wrong.
fn with_hint(error: Error, topic: &NewTopic) -> Failure {
    let known = crate::configs::names::TOPIC;
    let failure = Failure::from(error);
    match topic.configs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => failure.did_you_mean(name, known.iter().copied()),
        None => failure,
    }
}

fn add_partitions(client: &mut Client, topic: &str, total: i32, io: &mut Io<'_>) -> Outcome {
    let cluster = client.metadata(Topics::All)?;
    let before = cluster.topic(topic).ok_or_else(|| no_such_topic(topic, &cluster))?.partitions.len();
    let more = MorePartitions { topic: topic.to_owned(), count: total, assignment: Vec::new() };
    for (_, result) in change::grow(client, &[more])? {
        result?;
    }
    Ok(writeln!(io.out, "Topic {topic} has {total} partitions; it had {before}.")?)
}

fn delete(client: &mut Client, names: &[String], if_exists: bool, io: &mut Io<'_>) -> Outcome {
    let cluster = client.metadata(Topics::All)?;
    let (there, missing): (Vec<&str>, Vec<&str>) =
        names.iter().map(String::as_str).partition(|name| cluster.topic(name).is_some());
    if let (Some(name), false) = (missing.first(), if_exists) {
        return Err(no_such_topic(name, &cluster).hint("nothing was deleted"));
    }
    let mut failures = Vec::new();
    for (name, result) in if there.is_empty() { Vec::new() } else { change::delete(client, &there)? } {
        match result {
            Ok(()) => writeln!(io.out, "Deleted topic {name}.")?,
            Err(error) => failures.push(Failure::from(error)),
        }
    }
    crate::failure::all(failures)
}

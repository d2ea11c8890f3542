//! `kafka-get-offsets`: Kafka 4.3.1's options and standard output.
//!
//! Deviations, all of them outside standard output: a partition that fails makes the exit code 1, where Kafka's tool ends with 0;
//! `--help` ends with 0, a wrong command line with 2, a topic that is not there with 5.

use super::which::{self, Rule};
use crate::client::{FoundOffset, Isolation, Topics};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::KafkaArgs;
use clap::Args;

/// The options of `kafka-get-offsets`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct GetOffsetsArgs {
    #[command(flatten)]
    cluster: KafkaArgs,
    /// What --bootstrap-server was called before Kafka 3.0.
    #[arg(long, value_name = "HOST:PORT,…", hide = true, allow_hyphen_values = true)]
    broker_list: Option<String>,
    /// The topic, as a regular expression; all topics if it is missing.
    #[arg(long, value_name = "TOPIC", allow_hyphen_values = true)]
    topic: Option<String>,
    /// Partitions of it; all if it is missing.
    #[arg(long, value_name = "N,…", allow_hyphen_values = true)]
    partitions: Option<String>,
    /// Topics with partitions: t1:1, t2:0-3 (without 3), t3, t4:5-, t5:-3.
    #[arg(long, value_name = "TOPIC:PARTITIONS,…", allow_hyphen_values = true)]
    topic_partitions: Option<String>,
    /// The point: latest (-1), earliest (-2), max-timestamp (-3), earliest-local (-4), latest-tiered (-5),
    /// earliest-pending-upload (-6), or milliseconds since 1970.
    #[arg(long, value_name = "POINT", default_value = "latest", allow_hyphen_values = true)]
    time: String,
    /// Leave the cluster's own topics out.
    #[arg(long)]
    exclude_internal_topics: bool,
}

/// Runs the tool.
pub fn run(args: &GetOffsetsArgs, io: &mut Io<'_>) -> Outcome {
    if args.cluster.version {
        return crate::applet::print_version(io);
    }
    let rules = match &args.topic_partitions {
        Some(_) if args.topic.is_some() || args.partitions.is_some() => {
            return Err(Failure::usage("--topic-partitions does not go with --topic or --partitions"));
        }
        Some(list) => Rule::list(list)?,
        None => vec![Rule::of(args.topic.as_deref(), args.partitions.as_deref())?],
    };
    let at = which::point(&args.time)?;
    let mut client = args.cluster.or_older("--broker-list", args.broker_list.as_deref(), io).connect(io)?;
    let cluster = client.metadata(Topics::All)?;
    let partitions = which::partitions(&cluster, &rules, !args.exclude_internal_topics);
    if partitions.is_empty() {
        let failure = Failure::not_found("no partition of any topic fits");
        let known = cluster.topics.iter().map(|topic| topic.name.as_str());
        return Err(failure.did_you_mean(args.topic.as_deref().unwrap_or_default(), known));
    }
    let wanted: Vec<_> = partitions.into_iter().map(|(topic, partition)| (topic, partition, at)).collect();
    print(client.list_offsets(&cluster, &wanted, Isolation::ReadUncommitted)?, io)
}

/// By topic and partition as text, as Kafka's tool sorts them: `a-10` before `a-2`.
fn print(mut found: Vec<FoundOffset>, io: &mut Io<'_>) -> Outcome {
    found.sort_by_key(|found| format!("{}-{}", found.topic, found.partition));
    let mut failures = Vec::new();
    for found in found {
        match found.result {
            // No record answers the question.
            Ok((-1, _)) => {}
            Ok((offset, _)) => writeln!(io.out, "{}:{}:{offset}", found.topic, found.partition)?,
            Err(error) => failures.push(Failure::from(error)),
        }
    }
    crate::failure::all(failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_as_text_and_unknown_offsets_left_out() {
        let row = |partition, offset| FoundOffset { topic: "a".into(), partition, result: Ok((offset, -1)) };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut io = Io { out: &mut out, err: &mut err, watched: false };
        print(vec![row(2, 5), row(10, 7), row(0, -1)], &mut io).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a:10:7\na:2:5\n");
    }
}

//! `kafka-topics`: Kafka 4.3.1's options and standard output.
//!
//! Deviations, all of them outside standard output: `--help` ends with 0, a wrong command line with 2, a topic that is not
//! there with 5; no stack traces.

mod args;
mod show;

pub use args::TopicsArgs;

use super::change::{self, MorePartitions, NewTopic, PerTopic};
use super::read::{self, Described};
use crate::client::{Client, Cluster, Error, Topics};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::java;
use crate::topic_filter::TopicFilter;
use args::{Action, parse_config};
use protocol::{ErrorCode, Uuid};
use show::print_topic;

/// Why an action did not happen: one that Kafka's tool prints with these words, or one in the way of it.
enum Stop {
    Said(String, Failure),
    Other(Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match &error {
            Error::Refused { code, message, .. } => {
                let words = message.clone().unwrap_or_else(|| code.message().to_owned());
                Stop::Said(words, error.into())
            }
            _ => Stop::Other(error.into()),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Other(failure)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Stop::Other(error.into())
    }
}

/// What Kafka's tool refuses by itself, in its words.
fn stop(words: impl Into<String>) -> Stop {
    let words = words.into();
    Stop::Said(words.clone(), Failure::failed(words))
}

/// Runs the tool.
pub fn run(args: &TopicsArgs, io: &mut Io<'_>) -> Outcome {
    if args.cluster.version {
        return crate::applet::print_version(io);
    }
    let action = args.action()?;
    args.check(action, io)?;
    let mut client = args.cluster.connect(io)?;
    let done = match action {
        Action::Create => create(args, &mut client, io),
        Action::List => list(args, &mut client, io),
        Action::Describe => describe(args, &mut client, io),
        Action::Alter => alter(args, &mut client),
        Action::Delete => delete(args, &mut client),
    };
    done.or_else(|stop| match stop {
        Stop::Other(failure) => Err(failure),
        Stop::Said(words, failure) => {
            writeln!(io.out, "Error while executing topic command : {words}")?;
            Err(failure.already_said())
        }
    })
}

fn create(args: &TopicsArgs, client: &mut Client, io: &mut Io<'_>) -> Result<(), Stop> {
    let name = args.topic.clone().unwrap_or_default();
    let configs = args.config.iter().map(|text| parse_config(text)).collect::<Result<Vec<_>, _>>()?;
    let assignment = args.assignment()?;
    check_names(&configs)?;
    if name.contains(['.', '_']) {
        writeln!(
            io.out,
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid \
             issues it is best to use either, but not both."
        )?;
    }
    let replication_factor = match args.replication_factor {
        None => None,
        Some(factor) => Some(
            i16::try_from(factor)
                .ok()
                .filter(|factor| *factor >= 1)
                .ok_or_else(|| stop(format!("The replication factor must be between 1 and {} inclusive", i16::MAX)))?,
        ),
    };
    if args.partitions.is_some_and(|count| count < 1) {
        return Err(stop("The partitions must be greater than 0"));
    }
    let topic = NewTopic { name, partitions: args.partitions, replication_factor, assignment, configs };
    match change::create(client, &topic, false) {
        Err(error) if args.if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(writeln!(io.out, "Created topic {}.", topic.name)?),
    }
}

/// Kafka's tool knows the names of settings and refuses others itself.
fn check_names(configs: &[(String, String)]) -> Result<(), Stop> {
    let known = crate::configs::names::TOPIC;
    match configs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => {
            let words = format!("Unknown topic config name: {name}");
            Err(Stop::Said(words.clone(), Failure::failed(words).did_you_mean(name, known.iter().copied())))
        }
    }
}

/// The names that `--topic` and `--exclude-internal` leave, in order.
fn selected(args: &TopicsArgs, cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let filter = args.topic.as_deref().map(|text| TopicFilter::new("--topic", text)).transpose()?;
    let keeps = |topic: &&crate::client::Topic| {
        filter.as_ref().is_none_or(|filter| filter.matches(&topic.name))
            && !(args.exclude_internal && topic.is_internal)
    };
    Ok(cluster.topics.iter().filter(keeps).map(|topic| topic.name.clone()).collect())
}

/// The same; an error if `--topic` leaves nothing and `--if-exists` does not excuse it.
fn required(args: &TopicsArgs, cluster: &Cluster) -> Result<Vec<String>, Stop> {
    let names = selected(args, cluster)?;
    match args.topic.as_deref() {
        Some(wanted) if names.is_empty() && !wanted.is_empty() && !args.if_exists => {
            let words = format!("Topic '{wanted}' does not exist as expected");
            let known = cluster.topics.iter().map(|topic| topic.name.as_str());
            Err(Stop::Said(words.clone(), Failure::not_found(words).did_you_mean(wanted, known)))
        }
        _ => Ok(names),
    }
}

fn list(args: &TopicsArgs, client: &mut Client, io: &mut Io<'_>) -> Result<(), Stop> {
    let cluster = client.metadata(Topics::All)?;
    Ok(writeln!(io.out, "{}", selected(args, &cluster)?.join("\n"))?)
}

fn describe(args: &TopicsArgs, client: &mut Client, io: &mut Io<'_>) -> Result<(), Stop> {
    let cluster = client.metadata(Topics::All)?;
    for topic in described(args, client, &cluster, io)? {
        print_topic(args, &topic, &cluster, io)?;
    }
    Ok(())
}

/// The topics to show, in the order in which Kafka's tool shows them.
fn described(
    args: &TopicsArgs,
    client: &mut Client,
    cluster: &Cluster,
    io: &mut Io<'_>,
) -> Result<Vec<Described>, Stop> {
    let id = match args.topic_id.as_deref() {
        None => None,
        Some(text) => {
            Some(text.parse::<Uuid>().map_err(|error| Failure::usage(format!("--topic-id {text}: {error}")))?)
        }
    };
    if let Some(id) = id.filter(|id| !id.is_zero()) {
        if args.if_exists && args.topic.is_some() {
            writeln!(
                io.out,
                "Only topic id will be used when both --topic and --topic-id are specified and topicId is not Uuid.ZERO_UUID"
            )?;
        }
        return match read::by_id(client, id)? {
            Some(topic) => Ok(vec![topic]),
            None if args.if_exists => Ok(Vec::new()),
            None => {
                let words = format!("TopicId '{id}' does not exist as expected");
                Err(Stop::Said(words.clone(), Failure::not_found(words)))
            }
        };
    }
    let mut names = required(args, cluster)?;
    let count = names.len();
    java::hash_order(&mut names, count, |name| java::string_hash(name));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let per_answer = args.partition_size_limit_per_response.unwrap_or(read::PARTITIONS_PER_ANSWER);
    Ok(read::by_name(client, &names, per_answer)?)
}

fn alter(args: &TopicsArgs, client: &mut Client) -> Result<(), Stop> {
    let assignment = args.assignment()?;
    let count = args.partitions.unwrap_or_default();
    let cluster = client.metadata(Topics::All)?;
    let names = required(args, &cluster)?;
    let more = |name: String| {
        let now = cluster.topic(&name).map_or(0, |topic| topic.partitions.len());
        MorePartitions { topic: name, count, assignment: assignment.iter().skip(now).cloned().collect() }
    };
    let more: Vec<MorePartitions> = names.into_iter().map(more).collect();
    if more.is_empty() {
        return Ok(());
    }
    first_error(change::grow(client, &more)?)
}

fn delete(args: &TopicsArgs, client: &mut Client) -> Result<(), Stop> {
    let cluster = client.metadata(Topics::All)?;
    let names = required(args, &cluster)?;
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    first_error(change::delete(client, &names)?)
}

/// Kafka's tool tells of the first that failed.
fn first_error(results: Vec<PerTopic>) -> Result<(), Stop> {
    results.into_iter().try_for_each(|(_, result)| result.map_err(Stop::from))
}

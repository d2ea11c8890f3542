//! `kafka-topics`: Kafka 4.3.1's options and standard output.
//!
//! Deviations, all of them outside standard output: `--help` ends with 0, a wrong command line with 2, a topic that is not
//! there with 5; no stack traces.

use super::change::{self, MorePartitions, NewTopic};
use super::read::{self, Described, Trouble};
use crate::client::{Client, Cluster, Error, Partition, Topics};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::java;
use crate::options::KafkaArgs;
use crate::topic_filter::TopicFilter;
use clap::Args;
use protocol::{ErrorCode, Uuid};

/// The options of `kafka-topics`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct TopicsArgs {
    #[command(flatten)]
    cluster: KafkaArgs,
    /// Make a topic.
    #[arg(long, help_heading = "Actions (exactly one)")]
    create: bool,
    /// Print the names of all topics.
    #[arg(long, help_heading = "Actions (exactly one)")]
    list: bool,
    /// Print partitions, leaders, replicas and changed settings.
    #[arg(long, help_heading = "Actions (exactly one)")]
    describe: bool,
    /// Add partitions to topics.
    #[arg(long, help_heading = "Actions (exactly one)")]
    alter: bool,
    /// Delete topics with all their records.
    #[arg(long, help_heading = "Actions (exactly one)")]
    delete: bool,
    /// The topic; a regular expression except with --create.
    #[arg(long, value_name = "TOPIC", allow_hyphen_values = true)]
    topic: Option<String>,
    /// The topic to describe, by its id.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    topic_id: Option<String>,
    /// How many partitions the topic gets [create: the broker's num.partitions]. More partitions change where keys go.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    partitions: Option<i32>,
    /// How many replicas each partition gets [the broker's default.replication.factor].
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    replication_factor: Option<i32>,
    /// Brokers by hand: a colon between replicas, a comma between partitions.
    #[arg(long, value_name = "ID:ID,…", allow_hyphen_values = true)]
    replica_assignment: Option<String>,
    /// A setting of the new topic; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    config: Vec<String>,
    /// No effect since Kafka 4.0; kafka-configs takes settings back.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    delete_config: Vec<String>,
    /// With --alter, --delete, --describe: a topic that does not exist is fine.
    #[arg(long)]
    if_exists: bool,
    /// With --create: a topic that exists is fine.
    #[arg(long)]
    if_not_exists: bool,
    /// With --list, --describe: leave the cluster's own topics out.
    #[arg(long)]
    exclude_internal: bool,
    /// With --describe: only partitions with fewer replicas in sync than replicas.
    #[arg(long)]
    under_replicated_partitions: bool,
    /// With --describe: only partitions with fewer replicas in sync than min.insync.replicas.
    #[arg(long)]
    under_min_isr_partitions: bool,
    /// With --describe: only partitions with exactly min.insync.replicas in sync.
    #[arg(long)]
    at_min_isr_partitions: bool,
    /// With --describe: only partitions whose leader cannot be reached.
    #[arg(long)]
    unavailable_partitions: bool,
    /// With --describe: only topics with settings of their own, without partitions.
    #[arg(long)]
    topics_with_overrides: bool,
    /// With --describe: partitions that the broker may put into one answer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partition_size_limit_per_response: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    List,
    Describe,
    Alter,
    Delete,
}

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

impl TopicsArgs {
    fn action(&self) -> Result<Action, Failure> {
        let given = [
            (self.create, Action::Create),
            (self.list, Action::List),
            (self.describe, Action::Describe),
            (self.alter, Action::Alter),
            (self.delete, Action::Delete),
        ];
        let mut given = given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, action)| action);
        match (given.next(), given.next()) {
            (Some(action), None) => Ok(action),
            _ => Err(Failure::usage("exactly one of --list, --describe, --create, --alter and --delete is needed")),
        }
    }

    /// Options that the action needs or cannot have.
    fn check(&self, action: Action, io: &mut Io<'_>) -> Outcome {
        use Action::{Alter, Create, Delete, Describe, List};
        let rules: [(bool, &str, &[Action]); 14] = [
            (self.partitions.is_some(), "--partitions", &[Create, Alter]),
            (!self.config.is_empty(), "--config", &[Create]),
            (self.replication_factor.is_some(), "--replication-factor", &[Create]),
            (self.replica_assignment.is_some(), "--replica-assignment", &[Create, Alter]),
            (self.if_exists, "--if-exists", &[Alter, Delete, Describe]),
            (self.if_not_exists, "--if-not-exists", &[Create]),
            (self.exclude_internal, "--exclude-internal", &[List, Describe]),
            (self.under_replicated_partitions, "--under-replicated-partitions", &[Describe]),
            (self.under_min_isr_partitions, "--under-min-isr-partitions", &[Describe]),
            (self.at_min_isr_partitions, "--at-min-isr-partitions", &[Describe]),
            (self.unavailable_partitions, "--unavailable-partitions", &[Describe]),
            (self.topics_with_overrides, "--topics-with-overrides", &[Describe]),
            (self.topic_id.is_some(), "--topic-id", &[Describe]),
            (self.partition_size_limit_per_response.is_some(), "--partition-size-limit-per-response", &[Describe]),
        ];
        if let Some((_, option, with)) = rules.iter().find(|(given, _, with)| *given && !with.contains(&action)) {
            let with: Vec<String> =
                with.iter().map(|action| format!("--{}", format!("{action:?}").to_lowercase())).collect();
            let failure = Failure::usage(format!("{option} goes with {} only", with.join(", ")));
            return Err(if *option == "--config" {
                failure.hint("kafka-configs changes the settings of a topic")
            } else {
                failure
            });
        }
        self.check_together(action)?;
        if !self.delete_config.is_empty() {
            io.notice("--delete-config has had no effect since Kafka 4.0; use kafka-configs --alter --delete-config");
        }
        Ok(())
    }

    fn check_together(&self, action: Action) -> Outcome {
        let is_change = matches!(action, Action::Create | Action::Alter | Action::Delete);
        if is_change && self.topic.is_none() {
            return Err(Failure::usage("--topic is missing"));
        }
        if action == Action::Alter && self.partitions.is_none() {
            return Err(
                Failure::usage("--alter needs --partitions").hint("kafka-configs changes the settings of a topic")
            );
        }
        if action == Action::Describe && self.if_exists && self.topic.is_none() && self.topic_id.is_none() {
            return Err(Failure::usage("--describe --if-exists needs --topic or --topic-id"));
        }
        let counts = self.partitions.is_some() || self.replication_factor.is_some();
        if action == Action::Create && self.replica_assignment.is_some() && counts {
            return Err(Failure::usage(
                "--replica-assignment says how many; leave out --partitions and --replication-factor",
            ));
        }
        if self.topics_with_overrides && !self.troubles().is_empty() {
            return Err(Failure::usage(
                "--topics-with-overrides shows no partitions and cannot go with a filter of partitions",
            ));
        }
        Ok(())
    }

    fn troubles(&self) -> Vec<Trouble> {
        let given = [
            (self.under_replicated_partitions, Trouble::UnderReplicated),
            (self.unavailable_partitions, Trouble::Unavailable),
            (self.under_min_isr_partitions, Trouble::UnderMinIsr),
            (self.at_min_isr_partitions, Trouble::AtMinIsr),
        ];
        given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, trouble)| trouble).collect()
    }

    fn assignment(&self) -> Result<Vec<Vec<i32>>, Stop> {
        self.replica_assignment.as_deref().filter(|text| !text.is_empty()).map_or(Ok(Vec::new()), parse_assignment)
    }
}

/// `1:2,2:3`: brokers of partition 0, then of partition 1.
fn parse_assignment(text: &str) -> Result<Vec<Vec<i32>>, Stop> {
    let mut rows: Vec<Vec<i32>> = Vec::new();
    for (index, part) in text.split(',').enumerate() {
        let id = |id: &str| id.trim().parse::<i32>().map_err(|_| stop(format!("For input string: \"{}\"", id.trim())));
        let row: Vec<i32> = part.split(':').map(id).collect::<Result<_, _>>()?;
        let twice: Vec<String> =
            row.iter().enumerate().filter(|(at, id)| row[..*at].contains(id)).map(|(_, id)| id.to_string()).collect();
        if !twice.is_empty() {
            return Err(stop(format!(
                "Partition replica lists may not contain duplicate entries: {}",
                twice.join(",")
            )));
        }
        if rows.first().is_some_and(|first| first.len() != row.len()) {
            return Err(stop(format!("Partition {index} has different replication factor: {row:?}")));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// `name=value`, white space around the first `=` ignored, nothing behind a second one.
fn parse_config(text: &str) -> Result<(String, String), Stop> {
    match text.split('=').map(str::trim).collect::<Vec<_>>().as_slice() {
        [name, value] if !value.is_empty() => Ok(((*name).to_owned(), (*value).to_owned())),
        _ => Err(stop(
            "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".",
        )),
    }
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

fn print_topic(args: &TopicsArgs, topic: &Described, cluster: &Cluster, io: &mut Io<'_>) -> std::io::Result<()> {
    let troubles = args.troubles();
    let has_overrides = topic.configs.iter().any(|setting| !setting.is_default);
    if troubles.is_empty() && (!args.topics_with_overrides || has_overrides) {
        writeln!(io.out, "{}", head(topic))?;
    }
    if args.topics_with_overrides {
        return Ok(());
    }
    let min_isr = topic.min_isr();
    for partition in &topic.topic.partitions {
        if troubles.is_empty() || troubles.iter().any(|trouble| trouble.is_that_of(partition, min_isr, cluster)) {
            writeln!(io.out, "{}", line(topic, partition))?;
        }
    }
    Ok(())
}

/// A topic's first line.
fn head(topic: &Described) -> String {
    let mut settings: Vec<_> = topic.configs.iter().collect();
    java::hash_order(&mut settings, 16, |setting| java::string_hash(&setting.name));
    let changed = settings.iter().filter(|setting| !setting.is_default);
    let changed: Vec<String> =
        changed.map(|setting| format!("{}={}", setting.name, setting.value.as_deref().unwrap_or("null"))).collect();
    let id = if topic.topic.id.is_zero() { String::new() } else { format!("\tTopicId: {}", topic.topic.id) };
    let replicas = topic.topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    format!(
        "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {replicas}\tConfigs: {}",
        topic.topic.name,
        topic.topic.partitions.len(),
        changed.join(",")
    )
}

/// A partition's line.
fn line(topic: &Described, partition: &Partition) -> String {
    let leader = partition.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let elr = topic.elr.get(&partition.index);
    format!(
        "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}\tElr: {}\tLastKnownElr: {}",
        topic.topic.name,
        partition.index,
        ids(&partition.replicas),
        ids(&partition.isr),
        elr.map_or_else(|| "N/A".to_owned(), |elr| ids(&elr.eligible)),
        elr.map_or_else(|| "N/A".to_owned(), |elr| ids(&elr.last_known)),
    )
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
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
fn first_error(results: Vec<(String, Result<(), Error>)>) -> Result<(), Stop> {
    results.into_iter().try_for_each(|(_, result)| result.map_err(Stop::from))
}

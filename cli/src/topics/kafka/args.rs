//! The options of `kafka-topics`, and which of them go together.

use super::super::read::Trouble;
use super::{Stop, stop};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::KafkaArgs;
use clap::Args;

/// The options of `kafka-topics`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct TopicsArgs {
    #[command(flatten)]
    pub(super) cluster: KafkaArgs,
    /// Make a topic.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) create: bool,
    /// Print the names of all topics.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) list: bool,
    /// Print partitions, leaders, replicas and changed settings.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) describe: bool,
    /// Add partitions to topics.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) alter: bool,
    /// Delete topics with all their records.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) delete: bool,
    /// The topic; a regular expression except with --create.
    #[arg(long, value_name = "TOPIC", allow_hyphen_values = true)]
    pub(super) topic: Option<String>,
    /// The topic to describe, by its id.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(super) topic_id: Option<String>,
    /// How many partitions the topic gets [create: the broker's num.partitions]. More partitions change where keys go.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(super) partitions: Option<i32>,
    /// How many replicas each partition gets [the broker's default.replication.factor].
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(super) replication_factor: Option<i32>,
    /// Brokers by hand: a colon between replicas, a comma between partitions.
    #[arg(long, value_name = "ID:ID,…", allow_hyphen_values = true)]
    pub(super) replica_assignment: Option<String>,
    /// A setting of the new topic; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub(super) config: Vec<String>,
    /// No effect since Kafka 4.0; kafka-configs takes settings back.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(super) delete_config: Vec<String>,
    /// With --alter, --delete, --describe: a topic that does not exist is fine.
    #[arg(long)]
    pub(super) if_exists: bool,
    /// With --create: a topic that exists is fine.
    #[arg(long)]
    pub(super) if_not_exists: bool,
    /// With --list, --describe: leave the cluster's own topics out.
    #[arg(long)]
    pub(super) exclude_internal: bool,
    /// With --describe: only partitions with fewer replicas in sync than replicas.
    #[arg(long)]
    pub(super) under_replicated_partitions: bool,
    /// With --describe: only partitions with fewer replicas in sync than min.insync.replicas.
    #[arg(long)]
    pub(super) under_min_isr_partitions: bool,
    /// With --describe: only partitions with exactly min.insync.replicas in sync.
    #[arg(long)]
    pub(super) at_min_isr_partitions: bool,
    /// With --describe: only partitions whose leader cannot be reached.
    #[arg(long)]
    pub(super) unavailable_partitions: bool,
    /// With --describe: only topics with settings of their own, without partitions.
    #[arg(long)]
    pub(super) topics_with_overrides: bool,
    /// With --describe: partitions that the broker may put into one answer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) partition_size_limit_per_response: Option<i32>,
}

/// What the tool is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    List,
    Describe,
    Alter,
    Delete,
}

impl TopicsArgs {
    pub(super) fn action(&self) -> Result<Action, Failure> {
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
    pub(super) fn check(&self, action: Action, io: &mut Io<'_>) -> Outcome {
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

    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let given = [
            (self.under_replicated_partitions, Trouble::UnderReplicated),
            (self.unavailable_partitions, Trouble::Unavailable),
            (self.under_min_isr_partitions, Trouble::UnderMinIsr),
            (self.at_min_isr_partitions, Trouble::AtMinIsr),
        ];
        given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, trouble)| trouble).collect()
    }

    pub(super) fn assignment(&self) -> Result<Vec<Vec<i32>>, Stop> {
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
pub(super) fn parse_config(text: &str) -> Result<(String, String), Stop> {
    match text.split('=').map(str::trim).collect::<Vec<_>>().as_slice() {
        [name, value] if !value.is_empty() => Ok(((*name).to_owned(), (*value).to_owned())),
        _ => Err(stop(
            "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: TopicsArgs,
    }

    fn args(line: &str) -> TopicsArgs {
        Line::try_parse_from(["kafka-topics"].into_iter().chain(line.split_whitespace())).expect(line).args
    }

    fn checked(line: &str) -> Result<Action, Failure> {
        let args = args(line);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let action = args.action()?;
        args.check(action, &mut Io { out: &mut out, err: &mut err, watched: false })?;
        Ok(action)
    }

    #[test]
    fn options_that_go_together() {
        for (line, expect) in [
            ("--list", Action::List),
            ("--list --topic a.* --exclude-internal", Action::List),
            ("--create --topic a --partitions 3 --config a=b --config c=d --if-not-exists", Action::Create),
            ("--create --topic=a --replica-assignment 1:2,2:1", Action::Create),
            ("--alter --topic a --partitions 3 --if-exists", Action::Alter),
            ("--delete --topic a --if-exists", Action::Delete),
            ("--describe --under-replicated-partitions --unavailable-partitions", Action::Describe),
            ("--describe --topic-id x --if-exists", Action::Describe),
        ] {
            assert_eq!(checked(line).expect(line), expect, "{line}");
        }
    }

    #[test]
    fn options_that_do_not() {
        for line in [
            "--topic a",
            "--list --describe",
            "--create",
            "--create --topic a --partitions 1 --replica-assignment 1",
            "--alter --topic a",
            "--alter --topic a --partitions 2 --config a=b",
            "--list --if-exists",
            "--delete --topic a --topic-id x",
            "--describe --if-exists",
            "--describe --topics-with-overrides --at-min-isr-partitions",
        ] {
            assert_eq!(checked(line).expect_err(line).exit, crate::exit::Exit::Usage, "{line}");
        }
    }

    fn words(stop: Stop) -> String {
        let Stop::Said(words, _) = stop else { panic!("Kafka's tool prints this") };
        words
    }

    #[test]
    fn brokers_by_hand() {
        let parsed = |text| parse_assignment(text).map_err(words);
        assert_eq!(parsed("1:2,2:1"), Ok(vec![vec![1, 2], vec![2, 1]]));
        assert_eq!(parsed("1 : 2"), Ok(vec![vec![1, 2]]));
        assert_eq!(parsed("1:1"), Err("Partition replica lists may not contain duplicate entries: 1".to_owned()));
        assert_eq!(parsed("1:2,1"), Err("Partition 1 has different replication factor: [1]".to_owned()));
        assert_eq!(parsed("x"), Err("For input string: \"x\"".to_owned()));
    }

    #[test]
    fn settings() {
        let parsed = |text| parse_config(text).map_err(words);
        assert_eq!(parsed(" a = b "), Ok(("a".to_owned(), "b".to_owned())));
        for text in ["a", "a=", "a=b=c"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}

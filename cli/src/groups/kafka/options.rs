//! The options of `kafka-consumer-groups`, and which of them go together.

use crate::client::{Client, Error};
use crate::failure::{Failure, Outcome};
use crate::groups::read;
use crate::groups::reset::Scenario;
use crate::groups::time;
use crate::io::Io;
use crate::options::KafkaArgs;
use clap::Args;
use std::path::PathBuf;

/// The options of `kafka-consumer-groups`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct GroupsArgs {
    #[command(flatten)]
    pub(super) cluster: KafkaArgs,
    /// Print the names of all consumer groups.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) list: bool,
    /// Print offsets and lag, members or state of groups.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) describe: bool,
    /// Delete groups that have no members.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) delete: bool,
    /// Set where a group without members goes on.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) reset_offsets: bool,
    /// Forget what a group has committed for topics.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) delete_offsets: bool,
    /// Check a pattern for the topics of a subscription.
    #[arg(long, value_name = "REGEX", help_heading = "Actions (exactly one)", allow_hyphen_values = true)]
    pub(super) validate_regex: Option<String>,
    /// A group; may be repeated.
    #[arg(long, value_name = "GROUP", allow_hyphen_values = true)]
    pub(super) group: Vec<String>,
    /// All consumer groups.
    #[arg(long)]
    pub(super) all_groups: bool,
    /// A topic, or some of its partitions as topic:0,1,2; may be repeated.
    #[arg(long, value_name = "TOPIC", allow_hyphen_values = true)]
    pub(super) topic: Vec<String>,
    /// With --reset-offsets: every topic that the group has committed.
    #[arg(long)]
    pub(super) all_topics: bool,
    /// With --describe: the members and how many partitions they have.
    #[arg(long)]
    pub(super) members: bool,
    /// With --describe: offsets and lag of each partition, which is what it shows anyway.
    #[arg(long)]
    pub(super) offsets: bool,
    /// With --describe: the group's state; with --list: the states, or only groups in one of these.
    #[arg(long, value_name = "STATE,…", num_args = 0..=1, default_missing_value = "")]
    pub(super) state: Option<String>,
    /// With --list: the types, or only groups of these.
    #[arg(long = "type", value_name = "TYPE,…", num_args = 0..=1, default_missing_value = "")]
    pub(super) kind: Option<String>,
    /// With --describe: more columns.
    #[arg(long)]
    pub(super) verbose: bool,
    /// Milliseconds that an answer may take [default: 30000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) timeout: Option<u64>,
    /// Print what a reset would do.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do it.
    #[arg(long)]
    pub(super) execute: bool,
    /// Print the reset's offsets as lines that --from-file reads.
    #[arg(long)]
    pub(super) export: bool,
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
}

/// Where a reset goes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Scenarios of a reset (exactly one)")]
pub(super) struct ScenarioArgs {
    /// To this offset.
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(super) to_offset: Option<i64>,
    /// To the offsets of the lines topic,partition,offset of a file, or group,topic,partition,offset.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(super) from_file: Option<PathBuf>,
    /// To the first record at or after a moment: YYYY-MM-DDThh:mm:ss.sss, UTC unless a zone follows.
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    pub(super) to_datetime: Option<String>,
    /// To the first record that is no older than PnDTnHnMnS.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) by_duration: Option<String>,
    /// To the beginning.
    #[arg(long)]
    pub(super) to_earliest: bool,
    /// To the end.
    #[arg(long)]
    pub(super) to_latest: bool,
    /// To what is committed now.
    #[arg(long)]
    pub(super) to_current: bool,
    /// So many records forward, or backward if negative.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(super) shift_by: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    List,
    Describe,
    Delete,
    ResetOffsets,
    DeleteOffsets,
    ValidateRegex,
}

/// The states that `--list --state` takes, as Kafka lists them.
pub(super) const STATES: [&str; 7] =
    ["Empty", "Assigning", "Stable", "Reconciling", "CompletingRebalance", "Dead", "PreparingRebalance"];
/// The types that `--list --type` takes.
pub(super) const TYPES: [&str; 2] = ["Consumer", "Classic"];

impl GroupsArgs {
    pub(super) fn action(&self) -> Result<Action, Failure> {
        let given = [
            (self.list, Action::List),
            (self.describe, Action::Describe),
            (self.delete, Action::Delete),
            (self.reset_offsets, Action::ResetOffsets),
            (self.delete_offsets, Action::DeleteOffsets),
            (self.validate_regex.is_some(), Action::ValidateRegex),
        ];
        let mut given = given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, action)| action);
        match (given.next(), given.next()) {
            (Some(action), None) => Ok(action),
            _ => Err(Failure::usage(
                "exactly one of --list, --describe, --delete, --reset-offsets, --delete-offsets and --validate-regex is needed",
            )),
        }
    }

    /// Options that the action needs or cannot have.
    pub(super) fn check(&self, action: Action, io: &mut Io<'_>) -> Outcome {
        use Action::{Delete, DeleteOffsets, Describe, List, ResetOffsets};
        let is_list_or_describe = [List, Describe];
        let rules: [(bool, &str, &[Action]); 13] = [
            (!self.group.is_empty(), "--group", &[Describe, Delete, ResetOffsets, DeleteOffsets]),
            (self.all_groups, "--all-groups", &[Describe, Delete, ResetOffsets]),
            (!self.topic.is_empty(), "--topic", &[ResetOffsets, DeleteOffsets]),
            (self.all_topics, "--all-topics", &[ResetOffsets]),
            (self.members, "--members", &[Describe]),
            (self.offsets, "--offsets", &[Describe]),
            (self.verbose, "--verbose", &[Describe]),
            (self.state.is_some(), "--state", &is_list_or_describe),
            (self.kind.is_some(), "--type", &[List]),
            (self.dry_run, "--dry-run", &[ResetOffsets]),
            (self.execute, "--execute", &[ResetOffsets]),
            (self.export, "--export", &[ResetOffsets]),
            (self.scenario.given() > 0, "a scenario of a reset", &[ResetOffsets]),
        ];
        if let Some((_, option, with)) = rules.iter().find(|(given, _, with)| *given && !with.contains(&action)) {
            let with: Vec<_> = with.iter().map(|action| option_of(*action)).collect();
            return Err(Failure::usage(format!("{option} goes with {} only", with.join(", "))));
        }
        self.check_together(action)?;
        if action == ResetOffsets && !self.dry_run && !self.execute {
            io.notice(
                "nothing is changed without --execute; from Kafka 5.0 on one of --dry-run and --execute is demanded",
            );
        }
        Ok(())
    }

    pub(super) fn check_together(&self, action: Action) -> Outcome {
        let wants_groups = matches!(action, Action::Describe | Action::Delete | Action::ResetOffsets);
        if wants_groups && self.group.is_empty() != self.all_groups {
            return Err(Failure::usage(format!("{} needs --group or --all-groups, not both", option_of(action))));
        }
        if action == Action::DeleteOffsets && (self.group.len() != 1 || self.topic.is_empty()) {
            return Err(Failure::usage("--delete-offsets needs one --group and --topic"));
        }
        let views = [self.members, self.offsets, self.state.is_some()].iter().filter(|is| **is).count();
        if action == Action::Describe && views > 1 {
            return Err(Failure::usage("--describe takes one of --members, --offsets and --state"));
        }
        if action == Action::Describe && self.state.as_ref().is_some_and(|state| !state.is_empty()) {
            return Err(Failure::usage("--describe takes --state without a value"));
        }
        if action == Action::ResetOffsets {
            self.check_reset()?;
        }
        Ok(())
    }

    pub(super) fn check_reset(&self) -> Outcome {
        if self.dry_run && self.execute {
            return Err(Failure::usage("--dry-run and --execute exclude each other"));
        }
        if self.scenario.given() != 1 {
            return Err(Failure::usage(
                "--reset-offsets needs one of --to-earliest, --to-latest, --to-current, --to-offset, --to-datetime, \
                 --by-duration, --shift-by and --from-file",
            ));
        }
        if self.scenario.from_file.is_none() && self.topic.is_empty() && !self.all_topics {
            return Err(Failure::usage("--reset-offsets needs --topic or --all-topics"));
        }
        Ok(())
    }

    /// The groups that the command is about, in the order in which Kafka's tool takes them.
    pub(super) fn groups(&self, client: &mut Client) -> Result<Vec<String>, Error> {
        if !self.all_groups {
            return Ok(self.group.clone());
        }
        Ok(read::list(client, &[], &[])?.into_iter().map(|group| group.id).collect())
    }
}

impl ScenarioArgs {
    pub(super) fn given(&self) -> usize {
        let given = [
            self.to_offset.is_some(),
            self.from_file.is_some(),
            self.to_datetime.is_some(),
            self.by_duration.is_some(),
            self.to_earliest,
            self.to_latest,
            self.to_current,
            self.shift_by.is_some(),
        ];
        given.iter().filter(|is| **is).count()
    }

    /// The scenario, unless it comes from a file, which names groups.
    pub(super) fn scenario(&self) -> Result<Option<Scenario>, Failure> {
        let wrong = |error: time::TimeError| Failure::usage(error.to_string());
        Ok(Some(match self {
            ScenarioArgs { to_offset: Some(offset), .. } => Scenario::Offset(*offset),
            ScenarioArgs { shift_by: Some(by), .. } => Scenario::ShiftBy(*by),
            ScenarioArgs { to_datetime: Some(text), .. } => Scenario::Moment(time::moment(text).map_err(wrong)?),
            ScenarioArgs { by_duration: Some(text), .. } => Scenario::ago(text).map_err(wrong)?,
            ScenarioArgs { to_earliest: true, .. } => Scenario::Earliest,
            ScenarioArgs { to_latest: true, .. } => Scenario::Latest,
            ScenarioArgs { to_current: true, .. } => Scenario::Current,
            _ => return Ok(None),
        }))
    }
}

fn option_of(action: Action) -> &'static str {
    match action {
        Action::List => "--list",
        Action::Describe => "--describe",
        Action::Delete => "--delete",
        Action::ResetOffsets => "--reset-offsets",
        Action::DeleteOffsets => "--delete-offsets",
        Action::ValidateRegex => "--validate-regex",
    }
}

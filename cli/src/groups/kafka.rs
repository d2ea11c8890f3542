//! `kafka-consumer-groups`: Kafka 4.3.1's options. What it prints is in [`print`](super::print).
//!
//! Deviations, all of them outside standard output: no stack traces; a group, topic or partition that is not there, and any
//! deletion or reset that failed, ends with another code than 0.

use super::plan::{self, Place};
use super::print;
use super::reset::{self, Prepared, ResetError, Scenario};
use super::time;
use super::{change, read};
use crate::client::{Client, Error, Topics};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::java;
use crate::options::KafkaArgs;
use clap::Args;
use protocol::ErrorCode;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The options of `kafka-consumer-groups`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct GroupsArgs {
    #[command(flatten)]
    cluster: KafkaArgs,
    /// Print the names of all consumer groups.
    #[arg(long, help_heading = "Actions (exactly one)")]
    list: bool,
    /// Print offsets and lag, members or state of groups.
    #[arg(long, help_heading = "Actions (exactly one)")]
    describe: bool,
    /// Delete groups that have no members.
    #[arg(long, help_heading = "Actions (exactly one)")]
    delete: bool,
    /// Set where a group without members goes on.
    #[arg(long, help_heading = "Actions (exactly one)")]
    reset_offsets: bool,
    /// Forget what a group has committed for topics.
    #[arg(long, help_heading = "Actions (exactly one)")]
    delete_offsets: bool,
    /// Check a pattern for the topics of a subscription.
    #[arg(long, value_name = "REGEX", help_heading = "Actions (exactly one)", allow_hyphen_values = true)]
    validate_regex: Option<String>,
    /// A group; may be repeated.
    #[arg(long, value_name = "GROUP", allow_hyphen_values = true)]
    group: Vec<String>,
    /// All consumer groups.
    #[arg(long)]
    all_groups: bool,
    /// A topic, or some of its partitions as topic:0,1,2; may be repeated.
    #[arg(long, value_name = "TOPIC", allow_hyphen_values = true)]
    topic: Vec<String>,
    /// With --reset-offsets: every topic that the group has committed.
    #[arg(long)]
    all_topics: bool,
    /// With --describe: the members and how many partitions they have.
    #[arg(long)]
    members: bool,
    /// With --describe: offsets and lag of each partition, which is what it shows anyway.
    #[arg(long)]
    offsets: bool,
    /// With --describe: the group's state; with --list: the states, or only groups in one of these.
    #[arg(long, value_name = "STATE,…", num_args = 0..=1, default_missing_value = "")]
    state: Option<String>,
    /// With --list: the types, or only groups of these.
    #[arg(long = "type", value_name = "TYPE,…", num_args = 0..=1, default_missing_value = "")]
    kind: Option<String>,
    /// With --describe: more columns.
    #[arg(long)]
    verbose: bool,
    /// Milliseconds that an answer may take [default: 30000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Print what a reset would do.
    #[arg(long)]
    dry_run: bool,
    /// Do it.
    #[arg(long)]
    execute: bool,
    /// Print the reset's offsets as lines that --from-file reads.
    #[arg(long)]
    export: bool,
    #[command(flatten)]
    scenario: ScenarioArgs,
}

/// Where a reset goes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Scenarios of a reset (exactly one)")]
struct ScenarioArgs {
    /// To this offset.
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    to_offset: Option<i64>,
    /// To the offsets of the lines topic,partition,offset of a file, or group,topic,partition,offset.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    from_file: Option<PathBuf>,
    /// To the first record at or after a moment: YYYY-MM-DDThh:mm:ss.sss, UTC unless a zone follows.
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    to_datetime: Option<String>,
    /// To the first record that is no older than PnDTnHnMnS.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    by_duration: Option<String>,
    /// To the beginning.
    #[arg(long)]
    to_earliest: bool,
    /// To the end.
    #[arg(long)]
    to_latest: bool,
    /// To what is committed now.
    #[arg(long)]
    to_current: bool,
    /// So many records forward, or backward if negative.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift_by: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    List,
    Describe,
    Delete,
    ResetOffsets,
    DeleteOffsets,
    ValidateRegex,
}

/// The states that `--list --state` takes, as Kafka lists them.
const STATES: [&str; 7] =
    ["Empty", "Assigning", "Stable", "Reconciling", "CompletingRebalance", "Dead", "PreparingRebalance"];
/// The types that `--list --type` takes.
const TYPES: [&str; 2] = ["Consumer", "Classic"];

/// Why an action did not happen: what Kafka's tool says on standard output with the code for it, or anything else.
enum Stop {
    Said(String, Failure),
    Other(Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match &error {
            Error::Refused { code, message, .. } => {
                Stop::Said(print::exception(*code, message.as_deref()), error.into())
            }
            _ => Stop::Other(error.into()),
        }
    }
}

impl From<ResetError> for Stop {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Client(Error::Refused { what, code: code @ ErrorCode::UnknownTopicOrPartition, .. }) => {
                Stop::Said(print::message(code, None), Failure::not_found(format!("{what} does not exist")))
            }
            ResetError::Client(error) => error.into(),
            ResetError::NothingToShift { .. } => Stop::Other(Failure::failed(error.to_string())),
            ResetError::NoSuchPartitions(_) => Stop::Said(error.to_string(), Failure::not_found(error.to_string())),
            ResetError::NoLeader(_) => Stop::Said(error.to_string(), Failure::failed(error.to_string())),
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

/// Runs the tool.
pub fn run(args: &GroupsArgs, io: &mut Io<'_>) -> Outcome {
    if args.cluster.version {
        return crate::applet::print_version(io);
    }
    let action = args.action()?;
    args.check(action, io)?;
    if action == Action::ValidateRegex {
        return validate_regex(args.validate_regex.as_deref().unwrap_or_default(), io);
    }
    let (mut settings, _) = args.cluster.settings(io, &[])?;
    if let Some(ms) = args.timeout {
        settings.request_timeout = Duration::from_millis(ms);
    }
    let mut client = Client::connect(settings)?;
    let done = match action {
        Action::List => list(args, &mut client, io),
        Action::Describe => describe(args, &mut client, io),
        Action::Delete => delete(args, &mut client, io),
        Action::ResetOffsets => reset_offsets(args, &mut client, io),
        Action::DeleteOffsets => delete_offsets(args, &mut client, io),
        Action::ValidateRegex => Ok(()),
    };
    done.or_else(|stop| match stop {
        Stop::Other(failure) => Err(failure),
        Stop::Said(words, failure) => {
            writeln!(io.out, "\nError: Executing consumer group command failed due to {words}")?;
            Err(failure.already_said())
        }
    })
}

impl GroupsArgs {
    fn action(&self) -> Result<Action, Failure> {
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
    fn check(&self, action: Action, io: &mut Io<'_>) -> Outcome {
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

    fn check_together(&self, action: Action) -> Outcome {
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

    fn check_reset(&self) -> Outcome {
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
    fn groups(&self, client: &mut Client) -> Result<Vec<String>, Error> {
        if !self.all_groups {
            return Ok(self.group.clone());
        }
        Ok(read::list(client, &[], &[])?.into_iter().map(|group| group.id).collect())
    }
}

impl ScenarioArgs {
    fn given(&self) -> usize {
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
    fn scenario(&self) -> Result<Option<Scenario>, Failure> {
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

fn validate_regex(pattern: &str, io: &mut Io<'_>) -> Outcome {
    match regex::Regex::new(pattern) {
        Ok(_) => Ok(writeln!(io.out, "The regular expression `{pattern}` is valid.")?),
        Err(error) => {
            let text = error.to_string();
            let cause = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            writeln!(io.out, "The regular expression `{pattern}` is invalid: {cause}.")?;
            Err(Failure::failed("").already_said())
        }
    }
}

/// The names among `known` that a list with commas asks for.
fn filter(text: Option<&str>, what: &str, known: &[&str]) -> Result<Vec<String>, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let find = |name: &str| known.iter().find(|known| known.eq_ignore_ascii_case(name.trim()));
    let named = |name| {
        let wrong = || Failure::usage(format!("Invalid {what} list '{text}'. Valid {what} are: {}", known.join(", ")));
        find(name).map(|name| (*name).to_owned()).ok_or_else(|| wrong().did_you_mean(name, known.iter().copied()))
    };
    text.split(',').map(named).collect()
}

fn list(args: &GroupsArgs, client: &mut Client, io: &mut Io<'_>) -> Result<(), Stop> {
    let states = filter(args.state.as_deref(), "states", &STATES)?;
    let types = filter(args.kind.as_deref(), "types", &TYPES)?;
    let types: Vec<_> = types.iter().map(|kind| kind.to_lowercase()).collect();
    let mut groups = read::list(client, &states, &types)?;
    java::hash_order(&mut groups, 16, |group| java::string_hash(&group.id));
    Ok(print::list(&groups, args.kind.is_some(), args.state.is_some(), io.out)?)
}

fn describe(args: &GroupsArgs, client: &mut Client, io: &mut Io<'_>) -> Result<(), Stop> {
    let mut names = args.groups(client)?;
    names.sort();
    names.dedup();
    let known = |client: &mut Client| read::list(client, &[], &[]).unwrap_or_default();
    let mut groups = Vec::new();
    for name in &names {
        match read::describe(client, name) {
            Ok(group) => groups.push(group),
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {
                let words = print::exception(ErrorCode::GroupIdNotFound, Some(&not_found_words(&error, name)));
                let known: Vec<_> = known(client).into_iter().map(|group| group.id).collect();
                let failure = Failure::from(error).did_you_mean(name, known.iter().map(String::as_str));
                return Err(Stop::Said(words, failure));
            }
            Err(error) => return Err(error.into()),
        }
    }
    for group in &groups {
        if args.members {
            print::members(group, args.verbose, io)?;
        } else if args.state.is_some() {
            print::state(group, args.verbose, io)?;
        } else {
            let rows = super::lag::of_group(client, group)?;
            print::offsets(group, &rows, args.verbose, io)?;
        }
    }
    Ok(())
}

/// The broker's words for a group that is not there; before DescribeGroups had any, Kafka's clients said these.
fn not_found_words(error: &Error, name: &str) -> String {
    match error {
        Error::Refused { message: Some(message), .. } => message.clone(),
        _ => format!("Group {name} not found."),
    }
}

fn delete(args: &GroupsArgs, client: &mut Client, io: &mut Io<'_>) -> Result<(), Stop> {
    let mut names = args.groups(client)?;
    java::hash_order(&mut names, 16, |name| java::string_hash(name));
    let mut failed = Vec::new();
    let mut deleted = Vec::new();
    for name in names {
        match change::delete(client, &name) {
            Ok(()) => deleted.push(name),
            Err(error @ Error::Refused { .. }) => failed.push((name, error)),
            Err(error) => return Err(error.into()),
        }
    }
    print::deleted(&deleted, &failed, io.out)?;
    match failed.into_iter().next() {
        None => Ok(()),
        Some((_, error)) => Err(Stop::Other(Failure::from(error).already_said())),
    }
}

fn delete_offsets(args: &GroupsArgs, client: &mut Client, io: &mut Io<'_>) -> Result<(), Stop> {
    let group = &args.group[0];
    let parsed = args.topic.iter().map(|topic| plan::parse_topic(topic)).collect::<Result<Vec<_>, _>>();
    let parsed = parsed.map_err(|error| Failure::usage(error.to_string()))?;
    let names: Vec<&str> = parsed.iter().map(|(topic, _)| topic.as_str()).collect();
    let cluster = client.metadata(Topics::Named(&names))?;
    let (mut places, mut missing): (Vec<Place>, Vec<String>) = (Vec::new(), Vec::new());
    for (topic, partitions) in &parsed {
        match (partitions, cluster.topic(topic)) {
            (Some(partitions), _) => places.extend(partitions.iter().map(|partition| (topic.clone(), *partition))),
            (None, Some(found)) => places.extend(found.partitions.iter().map(|p| (topic.clone(), p.index))),
            (None, None) => missing.push(topic.clone()),
        }
    }
    let outcome = if places.is_empty() { Ok(BTreeMap::new()) } else { change::delete_offsets(client, group, &places) };
    let outcome = match outcome {
        Err(error @ Error::Refused { .. }) => Err(error),
        Err(error) => return Err(error.into()),
        Ok(rows) => Ok(rows),
    };
    let failed = print::deleted_offsets(group, &places, &missing, outcome, io.out)?;
    failed.map_or(Ok(()), |failure| Err(Stop::Other(failure)))
}

fn reset_offsets(args: &GroupsArgs, client: &mut Client, io: &mut Io<'_>) -> Result<(), Stop> {
    let scenario = args.scenario.scenario()?;
    let plans = args.scenario.from_file.as_ref().map(|path| read_plan(args, path)).transpose()?;
    let mut prepared_of: Vec<(String, Vec<(Place, i64)>)> = Vec::new();
    let mut failure = None;
    for name in args.groups(client)? {
        if let Some(state) = active_state(client, &name)? {
            let words = format!(
                "Assignments can only be reset if the group '{name}' is inactive, but the current state is {state}."
            );
            writeln!(io.out, "\nError: {words}")?;
            failure = Some(Failure::failed(words).already_said());
            prepared_of.push((name, Vec::new()));
            continue;
        }
        let scenario = match (&scenario, &plans) {
            (Some(scenario), _) => scenario.clone(),
            (None, Some(plans)) if plans.contains_key(&name) => Scenario::Plan(plans[&name].clone()),
            (None, _) => {
                writeln!(io.out, "\nError: No reset plan for group {name} found")?;
                failure = Some(Failure::not_found("").already_said());
                prepared_of.push((name, Vec::new()));
                continue;
            }
        };
        let places = places_to_reset(args, client, &name)?;
        let prepared = reset::prepare(client, &name, &places, &scenario)?;
        prepared.moved.iter().for_each(|moved| io.notice(moved));
        let offsets = in_order(&places, &prepared, io)?;
        if args.execute && !offsets.is_empty() {
            change::commit(client, &name, &offsets)?;
        }
        prepared_of.push((name, offsets));
    }
    java::hash_order(&mut prepared_of, 16, |(name, _)| java::string_hash(name));
    if args.export {
        print::export(&prepared_of, args.group.len() == 1, io.out)?;
    } else {
        print::reset(&prepared_of, io.out)?;
    }
    failure.map_or(Ok(()), |failure| Err(Stop::Other(failure)))
}

/// The state of a group that has members; none for one without, or that does not exist, which a reset creates.
fn active_state(client: &mut Client, group: &str) -> Result<Option<String>, Error> {
    match read::describe(client, group) {
        Ok(group) if matches!(group.state.as_str(), "Empty" | "Dead") => Ok(None),
        Ok(group) => Ok(Some(group.state)),
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The offsets in the order in which Kafka's tool prints them: that of its hash map, after a warning for each partition that
/// had no record for the moment asked for.
fn in_order(places: &[Place], prepared: &Prepared, io: &mut Io<'_>) -> std::io::Result<Vec<(Place, i64)>> {
    let mut offsets: Vec<_> = prepared.offsets.iter().map(|(place, offset)| (place.clone(), *offset)).collect();
    let at = |place: &Place| places.iter().position(|other| other == place);
    offsets.sort_by_key(|(place, _)| at(place));
    java::hash_order(&mut offsets, 16, |((topic, partition), _)| java::topic_partition_hash(topic, *partition));
    for ((topic, partition), _) in offsets.iter().filter(|(place, _)| prepared.without_record.contains(place)) {
        writeln!(
            io.out,
            "\nWarn: Partition {partition} from topic {topic} is empty. Falling back to latest known offset."
        )?;
    }
    Ok(offsets)
}

fn places_to_reset(args: &GroupsArgs, client: &mut Client, group: &str) -> Result<Vec<Place>, Stop> {
    if args.all_topics {
        return Ok(read::committed(client, group)?.into_keys().collect());
    }
    let parsed = args.topic.iter().map(|topic| plan::parse_topic(topic)).collect::<Result<Vec<_>, _>>();
    let parsed = parsed.map_err(|error| Failure::usage(error.to_string()))?;
    Ok(reset::existing(client, &parsed)?)
}

/// The offsets of each group that a file names; lines without a group belong to the only one asked for.
fn read_plan(args: &GroupsArgs, path: &PathBuf) -> Result<BTreeMap<String, BTreeMap<Place, i64>>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let wrong = |error: plan::PlanError| Failure::usage(format!("{}: {error}", path.display()));
    let mut plans: BTreeMap<String, BTreeMap<Place, i64>> = BTreeMap::new();
    for row in plan::parse_csv(&text).map_err(wrong)? {
        let only = (args.group.len() == 1).then(|| args.group[0].clone());
        let group = row.group.or(only).ok_or(plan::PlanError::GroupMissing).map_err(wrong)?;
        plans.entry(group).or_default().insert((row.topic, row.partition), row.offset);
    }
    Ok(plans)
}

//! `kafka-consumer-groups`: Kafka 4.3.1's options. What it prints is in [`print`](super::print).
//!
//! Deviations, all of them outside standard output: no stack traces; a group, topic or partition that is not there, and any
//! deletion or reset that failed, ends with another code than 0.

mod options;

pub use options::GroupsArgs;

use super::plan::{self, Place};
use super::print;
use super::reset::{self, Prepared, ResetError, Scenario};
use super::{change, read};
use crate::client::{Client, Error, Topics};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::java;
use options::{Action, STATES, TYPES};
use protocol::ErrorCode;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

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

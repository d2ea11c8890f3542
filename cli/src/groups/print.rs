//! What `kafka-consumer-groups` prints, character for character.

use super::lag::Row;
use super::plan::{self, Place};
use super::read::{Group, Kind, Listed};
use super::table;
use crate::client::Error;
use crate::failure::Failure;
use crate::io::Io;
use crate::java;
use protocol::ErrorCode;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What stands where nothing is known.
const MISSING: &str = "-";

/// An error as Java prints its exception.
pub(crate) fn exception(code: ErrorCode, message: Option<&str>) -> String {
    format!("{}: {}", java::exception_class(code), self::message(code, message))
}

/// The broker's words, or what Kafka's clients say by themselves.
pub(crate) fn message(code: ErrorCode, message: Option<&str>) -> String {
    message.map(str::to_owned).unwrap_or_else(|| match code {
        ErrorCode::GroupIdNotFound => "The group id does not exist.".to_owned(),
        ErrorCode::NonEmptyGroup => "The group is not empty.".to_owned(),
        ErrorCode::InvalidGroupId => "The configured groupId is invalid.".to_owned(),
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.".to_owned(),
        ErrorCode::GroupSubscribedToTopic => {
            "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.".to_owned()
        }
        ErrorCode::GroupAuthorizationFailed => "Group authorization failed.".to_owned(),
        ErrorCode::TopicAuthorizationFailed => "Topic authorization failed.".to_owned(),
        code => format!("{}.", code.message()),
    })
}

/// `--list`.
pub(crate) fn list(groups: &[Listed], with_type: bool, with_state: bool, out: &mut dyn Write) -> io::Result<()> {
    if !with_type && !with_state {
        return groups.iter().try_for_each(|group| writeln!(out, "{}", group.id));
    }
    let longest = groups.iter().map(|group| group.id.encode_utf16().count()).max().unwrap_or(0);
    let mut columns = vec![("GROUP", Some(longest.max(15) + 10))];
    if with_type {
        columns.push(("TYPE", Some(20)));
    }
    if with_state {
        columns.push(("STATE", Some(20)));
    }
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let mut row = vec![group.id.clone()];
            row.extend(with_type.then(|| group.kind.clone()));
            row.extend(with_state.then(|| group.state.clone()));
            row
        })
        .collect();
    let lines = table::lines(&columns, &vec![false; columns.len()], &rows);
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Says on standard error what the state means for what follows. False if nothing follows.
fn announce(group: &Group, io: &mut Io<'_>) -> io::Result<()> {
    io.out.flush()?;
    match group.state.as_str() {
        "Empty" => writeln!(io.err, "\nConsumer group '{}' has no active members.", group.id),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            writeln!(io.err, "\nWarning: Consumer group '{}' is rebalancing.", group.id)
        }
        _ => Ok(()),
    }
}

/// `--describe --offsets`.
pub(crate) fn offsets(group: &Group, rows: &[Row], verbose: bool, io: &mut Io<'_>) -> io::Result<()> {
    announce(group, io)?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut columns = vec![("GROUP", Some(15)), ("TOPIC", Some(15)), ("PARTITION", Some(10))];
    if verbose {
        columns.push(("LEADER-EPOCH", Some(15)));
    }
    columns.extend([("CURRENT-OFFSET", Some(15)), ("LOG-END-OFFSET", Some(15)), ("LAG", Some(15))]);
    columns.extend([("CONSUMER-ID", Some(15)), ("HOST", Some(15)), ("CLIENT-ID", None)]);
    let grows: Vec<bool> =
        columns.iter().map(|(title, _)| matches!(*title, "GROUP" | "TOPIC" | "CONSUMER-ID" | "HOST")).collect();
    let cells: Vec<_> = rows.iter().map(|row| offset_row(group, row, verbose)).collect();
    for line in table::lines(&columns, &grows, &cells) {
        write!(io.out, "\n{line}")?;
    }
    writeln!(io.out)
}

fn offset_row(group: &Group, row: &Row, verbose: bool) -> Vec<String> {
    let number = |number: Option<i64>| number.map_or(MISSING.to_owned(), |number| number.to_string());
    let place = row.place.as_ref();
    let member = row.member.map(|at| &group.members[at]);
    let mut cells = vec![
        group.id.clone(),
        place.map_or(MISSING.to_owned(), |place| place.0.clone()),
        number(place.map(|place| i64::from(place.1))),
    ];
    if verbose {
        cells.push(number(row.committed.and_then(|committed| committed.leader_epoch).map(i64::from)));
    }
    cells.extend([number(row.committed.map(|committed| committed.offset)), number(row.end), number(row.lag())]);
    cells.extend([
        member.map_or(MISSING.to_owned(), |member| member.id.clone()),
        member.map_or(MISSING.to_owned(), |member| member.host.clone()),
        member.map_or(MISSING.to_owned(), |member| member.client.clone()),
    ]);
    cells
}

/// `--describe --members`.
pub(crate) fn members(group: &Group, verbose: bool, io: &mut Io<'_>) -> io::Result<()> {
    announce(group, io)?;
    let with_instance = group.members.iter().any(|member| member.instance.is_some());
    let with_upgraded =
        verbose && group.kind == Kind::Consumer && group.members.iter().any(|member| member.is_upgraded == Some(false));
    let mut columns = vec![("GROUP", Some(15)), ("CONSUMER-ID", Some(15))];
    if with_instance {
        columns.push(("GROUP-INSTANCE-ID", Some(17)));
    }
    columns.extend([("HOST", Some(15)), ("CLIENT-ID", Some(15)), ("#PARTITIONS", Some(15))]);
    if verbose {
        columns.extend([("CURRENT-EPOCH", Some(15)), ("CURRENT-ASSIGNMENT", Some(20))]);
        columns.extend([("TARGET-EPOCH", Some(15)), ("TARGET-ASSIGNMENT", Some(20))]);
    }
    if with_upgraded {
        columns.push(("UPGRADED", Some(15)));
    }
    let grows: Vec<bool> =
        columns.iter().map(|(title, _)| !matches!(*title, "#PARTITIONS" | "CURRENT-EPOCH" | "TARGET-EPOCH")).collect();
    let row = |member: &super::read::Member| {
        let mut cells = vec![group.id.clone(), member.id.clone()];
        cells.extend(with_instance.then(|| member.instance.clone().unwrap_or_default()));
        cells.extend([member.host.clone(), member.client.clone(), member.assigned.len().to_string()]);
        if verbose {
            let epoch = |epoch: Option<i32>| epoch.map_or(MISSING.to_owned(), |epoch| epoch.to_string());
            cells.extend([epoch(member.epoch), assignment(&member.assigned)]);
            cells.extend([epoch(group.epochs.map(|(_, target)| target)), assignment(&member.target)]);
        }
        let upgraded = || member.is_upgraded.map_or(MISSING.to_owned(), |is| is.to_string());
        cells.extend(with_upgraded.then(upgraded));
        cells
    };
    let rows: Vec<_> = group.members.iter().map(row).collect();
    let end = if verbose { "" } else { " " };
    writeln!(io.out)?;
    table::lines(&columns, &grows, &rows).iter().try_for_each(|line| writeln!(io.out, "{line}{end}"))
}

/// `topic:0,1;other:2`.
fn assignment(places: &[Place]) -> String {
    if places.is_empty() {
        return MISSING.to_owned();
    }
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    places.iter().for_each(|(topic, partition)| by_topic.entry(topic).or_default().push(*partition));
    let mut parts: Vec<String> = by_topic
        .into_iter()
        .map(|(topic, mut partitions)| {
            partitions.sort_unstable();
            format!("{topic}:{}", partitions.iter().map(i32::to_string).collect::<Vec<_>>().join(","))
        })
        .collect();
    parts.sort();
    parts.join(";")
}

/// `--describe --state`.
pub(crate) fn state(group: &Group, verbose: bool, io: &mut Io<'_>) -> io::Result<()> {
    announce(group, io)?;
    let at = &group.coordinator;
    let coordinator = format!("{}:{}  ({})", at.address.host, at.address.port, at.id);
    let mut columns = vec![("GROUP", Some(15)), ("COORDINATOR (ID)", Some(25)), ("ASSIGNMENT-STRATEGY", Some(20))];
    columns.push(("STATE", Some(20)));
    if verbose {
        columns.extend([("GROUP-EPOCH", Some(15)), ("TARGET-ASSIGNMENT-EPOCH", Some(25))]);
    }
    columns.push(("#MEMBERS", None));
    let grows: Vec<bool> = columns.iter().map(|(title, _)| matches!(*title, "GROUP" | "COORDINATOR (ID)")).collect();
    let assignor = if group.assignor.is_empty() { MISSING.to_owned() } else { group.assignor.clone() };
    let mut cells = vec![group.id.clone(), coordinator, assignor, group.state.clone()];
    if verbose {
        let epoch = |epoch: Option<i32>| epoch.map_or(MISSING.to_owned(), |epoch| epoch.to_string());
        cells.extend([epoch(group.epochs.map(|epochs| epochs.0)), epoch(group.epochs.map(|epochs| epochs.1))]);
    }
    cells.push(group.members.len().to_string());
    for line in table::lines(&columns, &grows, &[cells]) {
        write!(io.out, "\n{line}")?;
    }
    writeln!(io.out)
}

/// `--delete`.
pub(crate) fn deleted(deleted: &[String], failed: &[(String, Error)], out: &mut dyn Write) -> io::Result<()> {
    if failed.is_empty() {
        return writeln!(out, "Deletion of requested consumer groups ('{}') was successful.", deleted.join(", "));
    }
    writeln!(out, "\nError: Deletion of some consumer groups failed:")?;
    for (group, error) in failed {
        let words = match error {
            Error::Refused { code, message, .. } => exception(*code, message.as_deref()),
            error => error.to_string(),
        };
        writeln!(out, "* Group '{group}' could not be deleted due to: {words}")?;
    }
    if deleted.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nThese consumer groups were deleted successfully: '{}'", deleted.join("', '"))
}

/// `--delete-offsets`; the failure that the command ends with, if anything failed.
pub(crate) fn deleted_offsets(
    group: &str,
    places: &[Place],
    missing: &[String],
    outcome: Result<BTreeMap<Place, Result<(), Error>>, Error>,
    out: &mut dyn Write,
) -> io::Result<Option<Failure>> {
    let mut rows: BTreeMap<Place, Result<(), Error>> = BTreeMap::new();
    let not_there = |topic: &String| Error::Refused {
        what: format!("topic `{topic}`"),
        code: ErrorCode::UnknownTopicOrPartition,
        message: None,
    };
    rows.extend(missing.iter().map(|topic| ((topic.clone(), -1), Err(not_there(topic)))));
    let mut top = None;
    match outcome {
        Ok(outcome) => {
            let worst = outcome.values().find_map(|row| row.as_ref().err().and_then(Error::code));
            top = worst.map(|_| "Encountered some partition-level error, see the follow-up details.".to_owned());
            rows.extend(outcome);
        }
        Err(error) => {
            let code = error.code().unwrap_or(ErrorCode::UnknownServerError);
            top = Some(message(code, None)).or(top);
            let of =
                |place: &Place| (place.clone(), Err(Error::Refused { what: group.to_owned(), code, message: None }));
            rows.extend(places.iter().map(of));
        }
    }
    match top {
        None => writeln!(out, "Request succeeded for deleting offsets from group {group}.")?,
        Some(words) => writeln!(out, "\nError: {words}")?,
    }
    let columns = [("TOPIC", Some(15)), ("PARTITION", Some(10)), ("STATUS", Some(15))];
    let cells: Vec<_> = rows.iter().map(|(place, row)| deleted_row(place, row)).collect();
    for line in table::lines(&columns, &[true, false, false], &cells) {
        write!(out, "\n{line}")?;
    }
    writeln!(out)?;
    Ok(rows.into_values().find_map(Result::err).map(|error| Failure::from(error).already_said()))
}

fn deleted_row((topic, partition): &Place, row: &Result<(), Error>) -> Vec<String> {
    let partition = if *partition < 0 { MISSING.to_owned() } else { partition.to_string() };
    let status = match row {
        Ok(()) => "Successful".to_owned(),
        Err(error) => format!("Error: {}", exception(error.code().unwrap_or(ErrorCode::UnknownServerError), None)),
    };
    vec![topic.clone(), partition, status]
}

/// What a reset does.
pub(crate) fn reset(groups: &[(String, Vec<(Place, i64)>)], out: &mut dyn Write) -> io::Result<()> {
    if !groups.is_empty() {
        // Also of groups without a row.
        let longest = groups.iter().map(|(group, _)| group.encode_utf16().count()).max().unwrap_or(0);
        let columns =
            [("GROUP", Some(longest.max(15))), ("TOPIC", Some(15)), ("PARTITION", Some(10)), ("NEW-OFFSET", None)];
        let row = |group: &String, ((topic, partition), offset): &(Place, i64)| {
            vec![group.clone(), topic.clone(), partition.to_string(), offset.to_string()]
        };
        let rows: Vec<_> =
            groups.iter().flat_map(|(group, offsets)| offsets.iter().map(move |offset| row(group, offset))).collect();
        for line in table::lines(&columns, &[true, true, false, false], &rows) {
            write!(out, "\n{line}")?;
        }
    }
    writeln!(out)
}

/// The same as lines that `--from-file` reads.
pub(crate) fn export(groups: &[(String, Vec<(Place, i64)>)], is_single: bool, out: &mut dyn Write) -> io::Result<()> {
    for (group, offsets) in groups {
        for ((topic, partition), offset) in offsets {
            let group = if is_single { String::new() } else { format!("{},", plan::quote(group)) };
            writeln!(out, "{group}{},{partition},{offset}", plan::quote(topic))?;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_as_java_names_them() {
        for (code, text) in [
            (ErrorCode::NonEmptyGroup, "GroupNotEmptyException: The group is not empty."),
            (ErrorCode::GroupIdNotFound, "GroupIdNotFoundException: The group id does not exist."),
            (
                ErrorCode::UnknownTopicOrPartition,
                "UnknownTopicOrPartitionException: This server does not host this topic-partition.",
            ),
        ] {
            assert_eq!(exception(code, None), format!("org.apache.kafka.common.errors.{text}"));
        }
        assert!(exception(ErrorCode::GroupIdNotFound, Some("Group g not found.")).ends_with(": Group g not found."));
    }

    #[test]
    fn assignments() {
        let places = [("b", 1), ("a", 10), ("a", 2)].map(|(topic, partition)| (topic.to_owned(), partition));
        assert_eq!(assignment(&places), "a:2,10;b:1");
        assert_eq!(assignment(&[]), "-");
    }
}

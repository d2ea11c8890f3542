//! `ringlog groups`: list, describe, reset, delete, delete-offsets, status.

use super::plan::{self, Place};
use super::read::{self, Group, Member};
use super::reset::{self, ResetError, Scenario};
use super::status::{self, StatusArgs};
use super::{change, lag, time};
use crate::client::{Client, Error};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::{ClusterArgs, Output, print_json};
use crate::table::Table;
use crate::watch::WatchArgs;
use clap::{Args, Subcommand};
use protocol::ErrorCode;
use serde_json::{Value, json};

/// `ringlog groups`.
#[derive(Clone, Debug, Args)]
#[command(after_help = crate::exit::EXIT_CODES, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct GroupsArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Say of each partition whether its group keeps up, and why: OK, WARN, STOP, STALL or REWIND.
    #[arg(long)]
    status: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    look: StatusArgs,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Names, types and states of groups.
    List {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Members, offsets and lag of groups.
    Describe {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The groups.
        #[arg(value_name = "GROUP", required = true)]
        groups: Vec<String>,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Say whether groups keep up, and why not. The same as `ringlog groups --status`.
    Status {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        look: StatusArgs,
    },
    /// Set where a group without members goes on. Shows what it would do, unless --execute is there.
    Reset {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The group.
        group: String,
        /// earliest, latest, current, an offset, +N or -N from where it is, @MOMENT, or @-DURATION (@-PT1H).
        #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
        to: String,
        /// A topic, or some of its partitions as topic:0,1; all that the group has committed if none is named.
        #[arg(short, long, value_name = "TOPIC")]
        topic: Vec<String>,
        /// Do it.
        #[arg(long)]
        execute: bool,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Delete groups that have no members.
    Delete {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The groups.
        #[arg(value_name = "GROUP", required = true)]
        groups: Vec<String>,
    },
    /// Forget what a group has committed for topics.
    DeleteOffsets {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The group.
        group: String,
        /// A topic, or some of its partitions as topic:0,1.
        #[arg(short, long, value_name = "TOPIC", required = true)]
        topic: Vec<String>,
    },
}

/// Runs the command.
pub fn run(args: &GroupsArgs, io: &mut Io<'_>) -> Outcome {
    match &args.action {
        None if args.status => status::run(&args.look, &mut args.cluster.connect(io)?, io),
        None => {
            Err(Failure::usage("nothing was asked for").hint("ringlog groups list, describe, status, reset, delete"))
        }
        Some(Action::Status { cluster, look }) => status::run(look, &mut cluster.connect(io)?, io),
        Some(Action::List { cluster, output }) => list(&mut cluster.connect(io)?, *output, io),
        Some(Action::Describe { cluster, groups, output, watch }) => {
            let mut client = cluster.connect(io)?;
            watch.run(*output == Output::Json, io, |io| describe(&mut client, groups, *output, io))
        }
        Some(Action::Reset { cluster, group, to, topic, execute, output }) => {
            let wanted = Wanted { group, to, topics: topic, execute: *execute };
            reset(&mut cluster.connect(io)?, &wanted, *output, io)
        }
        Some(Action::Delete { cluster, groups }) => delete(&mut cluster.connect(io)?, groups, io),
        Some(Action::DeleteOffsets { cluster, group, topic }) => {
            delete_offsets(&mut cluster.connect(io)?, group, topic, io)
        }
    }
}

fn list(client: &mut Client, output: Output, io: &mut Io<'_>) -> Outcome {
    let mut groups = read::list(client, &[], &[])?;
    groups.sort_by(|a, b| a.id.cmp(&b.id));
    if output == Output::Json {
        let row = |group: &read::Listed| json!({ "group": group.id, "type": group.kind, "state": group.state });
        let groups: Vec<Value> = groups.iter().map(row).collect();
        return print_json(io, &json!({ "schema": "ringlog.groups/v1", "groups": groups }));
    }
    let mut table = Table::new(&["GROUP", "TYPE", "STATE"]);
    groups.into_iter().for_each(|group| table.row(vec![group.id, group.kind, group.state]));
    Ok(table.print(io.out)?)
}

fn with_names(client: &mut Client, error: Error, name: &str) -> Failure {
    let is_missing = error.code() == Some(ErrorCode::GroupIdNotFound);
    let failure = Failure::from(error);
    match read::list(client, &[], &[]) {
        Ok(known) if is_missing => failure.did_you_mean(name, known.iter().map(|group| group.id.as_str())),
        _ => failure,
    }
}

fn describe(client: &mut Client, names: &[String], output: Output, io: &mut Io<'_>) -> Outcome {
    let mut documents = Vec::new();
    for name in names {
        let group = match read::describe(client, name) {
            Ok(group) => group,
            Err(error) => return Err(with_names(client, error, name)),
        };
        let rows = lag::of_group(client, &group)?;
        if output == Output::Json {
            documents.push(document(&group, &rows));
        } else {
            print_group(&group, &rows, io)?;
        }
    }
    if output == Output::Json {
        return print_json(io, &json!({ "schema": "ringlog.groups.describe/v1", "groups": documents }));
    }
    Ok(())
}

fn print_group(group: &Group, rows: &[lag::Row], io: &mut Io<'_>) -> Outcome {
    let assignor = if group.assignor.is_empty() { "no assignor" } else { &group.assignor };
    let (count, at) = (group.members.len(), &group.coordinator);
    writeln!(
        io.out,
        "group {}: {}, {:?}, {assignor}, {count} members, coordinator {} ({}:{})",
        group.id, group.state, group.kind, at.id, at.address.host, at.address.port
    )?;
    if !rows.is_empty() {
        let mut table = Table::new(&["TOPIC", "PARTITION", "OFFSET", "END", "LAG", "MEMBER", "CLIENT", "HOST"]);
        rows.iter().for_each(|row| table.row(cells(group, row)));
        table.print(io.out)?;
    }
    for member in group.members.iter().filter(|member| member.assigned.is_empty()) {
        writeln!(io.out, "{} ({}, {}) has no partitions", member.id, member.client, member.host)?;
    }
    Ok(writeln!(io.out)?)
}

fn cells(group: &Group, row: &lag::Row) -> Vec<String> {
    let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
    let member = row.member.map(|at| &group.members[at]);
    let text = |of: fn(&Member) -> &String| member.map_or("-".to_owned(), |member| of(member).clone());
    let (topic, partition) = row.place.clone().unwrap_or_default();
    vec![
        topic,
        partition.to_string(),
        number(row.committed.map(|committed| committed.offset)),
        number(row.end),
        number(row.lag()),
        text(|member| &member.id),
        text(|member| &member.client),
        text(|member| &member.host),
    ]
}

fn document(group: &Group, rows: &[lag::Row]) -> Value {
    let places = |places: &[Place]| -> Vec<Value> {
        places.iter().map(|(topic, partition)| json!({ "topic": topic, "partition": partition })).collect()
    };
    let members = group.members.iter().map(|member| {
        json!({
            "member": member.id, "instance": member.instance, "client": member.client, "host": member.host,
            "epoch": member.epoch, "assigned": places(&member.assigned), "target": places(&member.target),
        })
    });
    let offsets = rows.iter().map(|row| {
        let (topic, partition) = row.place.clone().unwrap_or_default();
        json!({
            "topic": topic, "partition": partition, "offset": row.committed.map(|committed| committed.offset),
            "end": row.end, "lag": row.lag(), "member": row.member.map(|at| group.members[at].id.clone()),
        })
    });
    json!({
        "group": group.id,
        "type": format!("{:?}", group.kind),
        "state": group.state,
        "assignor": group.assignor,
        "coordinator": group.coordinator.id,
        "members": members.collect::<Vec<_>>(),
        "offsets": offsets.collect::<Vec<_>>(),
    })
}

/// A reset as it was asked for.
struct Wanted<'a> {
    group: &'a str,
    to: &'a str,
    topics: &'a [String],
    execute: bool,
}

fn scenario(text: &str) -> Result<Scenario, Failure> {
    let number = |text: &str| text.parse::<i64>().map_err(|_| wrong_place(text));
    Ok(match text {
        "earliest" | "start" => Scenario::Earliest,
        "latest" | "end" => Scenario::Latest,
        "current" => Scenario::Current,
        _ => match (text.chars().next(), text.get(1..).unwrap_or_default()) {
            (Some('+'), rest) => Scenario::ShiftBy(number(rest)?),
            (Some('-'), rest) => Scenario::ShiftBy(-number(rest)?),
            (Some('@'), rest) => match rest.strip_prefix('-') {
                Some(ago) => Scenario::ago(ago).map_err(|error| Failure::usage(format!("--to: {error}")))?,
                None => Scenario::Moment(time::moment(rest).map_err(|error| Failure::usage(format!("--to: {error}")))?),
            },
            _ => Scenario::Offset(number(text)?),
        },
    })
}

fn wrong_place(text: &str) -> Failure {
    Failure::usage(format!("--to {text}: expected earliest, latest, current, an offset, +N, -N, @MOMENT or @-DURATION"))
}

fn reset(client: &mut Client, wanted: &Wanted<'_>, output: Output, io: &mut Io<'_>) -> Outcome {
    let scenario = scenario(wanted.to)?;
    let group = wanted.group;
    match read::describe(client, group) {
        Ok(found) if !matches!(found.state.as_str(), "Empty" | "Dead") => {
            let text = format!("group `{group}` is {} and has {} members", found.state, found.members.len());
            return Err(Failure::failed(text).hint("stop its consumers first: they would go on where they are"));
        }
        Err(error) if error.code() != Some(ErrorCode::GroupIdNotFound) => return Err(error.into()),
        _ => {}
    }
    let parsed = parse_topics(wanted.topics)?;
    let places = if parsed.is_empty() {
        read::committed(client, group)?.into_keys().collect()
    } else {
        reset::existing(client, &parsed).map_err(failed)?
    };
    if places.is_empty() {
        return Err(
            Failure::not_found(format!("group `{group}` has committed nothing")).hint("name topics with --topic")
        );
    }
    let before = read::committed(client, group)?;
    let prepared = reset::prepare(client, group, &places, &scenario).map_err(failed)?;
    prepared.moved.iter().for_each(|moved| io.notice(moved));
    let offsets: Vec<(Place, i64)> = prepared.offsets.into_iter().collect();
    if wanted.execute {
        change::commit(client, group, &offsets)?;
    } else {
        io.notice("nothing was changed; --execute does it");
    }
    let was = |place: &Place| before.get(place).map(|committed| committed.offset);
    if output == Output::Json {
        let row = |(place, offset): &(Place, i64)| json!({ "topic": place.0, "partition": place.1, "before": was(place), "offset": offset });
        let rows: Vec<Value> = offsets.iter().map(row).collect();
        let document =
            json!({ "schema": "ringlog.groups.reset/v1", "group": group, "executed": wanted.execute, "offsets": rows });
        return print_json(io, &document);
    }
    let mut table = Table::new(&["TOPIC", "PARTITION", "BEFORE", "OFFSET"]);
    for (place, offset) in &offsets {
        let before = was(place).map_or("-".to_owned(), |offset| offset.to_string());
        table.row(vec![place.0.clone(), place.1.to_string(), before, offset.to_string()]);
    }
    Ok(table.print(io.out)?)
}

fn failed(error: ResetError) -> Failure {
    match error {
        ResetError::Client(error) => error.into(),
        ResetError::NoSuchPartitions(_) => Failure::not_found(error.to_string()),
        error => Failure::failed(error.to_string()),
    }
}

fn parse_topics(topics: &[String]) -> Result<Vec<plan::Asked>, Failure> {
    topics.iter().map(|topic| plan::parse_topic(topic).map_err(|error| Failure::usage(error.to_string()))).collect()
}

fn delete(client: &mut Client, names: &[String], io: &mut Io<'_>) -> Outcome {
    let mut failure = None;
    for name in names {
        match change::delete(client, name) {
            Ok(()) => writeln!(io.out, "deleted {name}")?,
            Err(error) => {
                let failed = with_names(client, error, name);
                failed.report(io.err)?;
                failure = Some(failed.already_said());
            }
        }
    }
    failure.map_or(Ok(()), |failure| Err(Failure { hints: Vec::new(), ..failure }))
}

fn delete_offsets(client: &mut Client, group: &str, topics: &[String], io: &mut Io<'_>) -> Outcome {
    let places = reset::existing(client, &parse_topics(topics)?).map_err(failed)?;
    let outcome = match change::delete_offsets(client, group, &places) {
        Ok(outcome) => outcome,
        Err(error) => return Err(with_names(client, error, group)),
    };
    let mut failure = None;
    for ((topic, partition), row) in outcome {
        match row {
            Ok(()) => writeln!(io.out, "forgot {topic}-{partition}")?,
            Err(error) => failure = Some(Failure::from(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_go_on_at() {
        assert_eq!(scenario("latest").expect("good"), Scenario::Latest);
        assert_eq!(scenario("+5").expect("good"), Scenario::ShiftBy(5));
        assert_eq!(scenario("-5").expect("good"), Scenario::ShiftBy(-5));
        assert_eq!(scenario("17").expect("good"), Scenario::Offset(17));
        assert_eq!(scenario("@1970-01-01T00:00:01").expect("good"), Scenario::Moment(1000));
        assert!(matches!(scenario("@-PT1H").expect("good"), Scenario::Moment(_)));
        for wrong in ["soon", "@x", "@-x", "+", ""] {
            assert_eq!(scenario(wrong).expect_err("wrong").exit, crate::exit::Exit::Usage, "{wrong}");
        }
    }
}

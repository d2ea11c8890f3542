//! `ringlog groups --status`: prints the verdict over groups.

use super::read::{self, Group};
use super::reset;
use super::verdict::{self, Span};
use crate::client::{Client, Error};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::{Output, print_json};
use crate::status::rules::Tolerance;
use crate::status::{Commit, GroupVerdict, Partition, judge_group};
use crate::table::Table;
use crate::watch::WatchArgs;
use clap::Args;
use protocol::ErrorCode;
use serde_json::{Value, json};
use std::time::Duration;

/// What to look at, and what to let pass.
#[derive(Clone, Debug, Args)]
pub(super) struct StatusArgs {
    /// The groups; all if none is named. May be repeated.
    #[arg(short, long, value_name = "GROUP|all")]
    group: Vec<String>,
    /// How many commits of each partition count, and over how many intervals the log's end is looked at.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    window: u16,
    /// Seconds of an interval.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    interval: f64,
    /// Commits within so many seconds of each other count as one.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    min_distance: f64,
    /// A lag up to this is none.
    #[arg(long, value_name = "RECORDS", default_value_t = 0)]
    allowed_lag: u64,
    /// The share of the window, from 0 to 1, below which a partition is not judged.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    minimum_complete: f32,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    watch: WatchArgs,
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected seconds, such as 10 or 0.5".to_owned())?;
    if (0.0..=1e6).contains(&value) { Ok(value) } else { Err("expected 0 to 1000000 seconds".to_owned()) }
}

/// A group with its verdict.
struct Judged {
    group: Group,
    partitions: Vec<(String, i32, Partition)>,
    verdict: GroupVerdict,
}

/// Runs the command.
pub(super) fn run(args: &StatusArgs, client: &mut Client, io: &mut Io<'_>) -> Outcome {
    args.watch.run(args.output == Output::Json, io, |io| look(args, client, io))
}

fn look(args: &StatusArgs, client: &mut Client, io: &mut Io<'_>) -> Outcome {
    let is_all = args.group.is_empty() || args.group.iter().any(|group| group == "all");
    let mut known: Vec<String> = read::list(client, &[], &[])?.into_iter().map(|group| group.id).collect();
    known.sort();
    let names = if is_all { known.clone() } else { args.group.clone() };
    let mut judged = Vec::new();
    for name in &names {
        match judge_one(args, client, name) {
            // It may go while all are looked at.
            Err(failure) if is_all && failure.exit == crate::exit::Exit::NotFound => {}
            Err(failure) => return Err(failure.did_you_mean(name, known.iter().map(String::as_str))),
            Ok(one) => judged.push(one),
        }
    }
    if judged.is_empty() {
        io.notice("the cluster has no groups");
    }
    match args.output {
        Output::Json => {
            let groups: Vec<Value> = judged.iter().map(document).collect();
            print_json(io, &json!({ "schema": "ringlog.groups.status/v1", "groups": groups }))
        }
        Output::Table => judged.iter().try_for_each(|one| table(one, io)),
    }
}

fn judge_one(args: &StatusArgs, client: &mut Client, name: &str) -> Result<Judged, Failure> {
    let group = match read::describe(client, name) {
        Err(error @ Error::Refused { code: ErrorCode::GroupIdNotFound, .. }) => return Err(error.into()),
        group => group?,
    };
    let span = Span {
        slots: usize::from(args.window),
        interval: Duration::from_secs_f64(args.interval),
        min_distance: Duration::from_secs_f64(args.min_distance),
    };
    let now_ms = reset::now_ms();
    let partitions = verdict::partitions(client, name, span, now_ms)?;
    let tolerance = Tolerance { allowed_lag: args.allowed_lag, minimum_complete: args.minimum_complete };
    let verdict = judge_group(&partitions, now_ms, tolerance);
    Ok(Judged { group, partitions, verdict })
}

fn table(judged: &Judged, io: &mut Io<'_>) -> Outcome {
    let verdict = &judged.verdict;
    let count = judged.partitions.len();
    writeln!(
        io.out,
        "group {}: {} ({}, {count} partitions, {} complete, lag {})",
        judged.group.id,
        verdict.status,
        judged.group.state,
        percent(verdict.complete),
        verdict.total_lag
    )?;
    if count > 0 {
        let mut table = Table::new(&["TOPIC", "PARTITION", "STATUS", "LAG", "COMPLETE", "CLIENT", "WHY"]);
        for ((topic, number, partition), (_, _, verdict)) in judged.partitions.iter().zip(&verdict.partitions) {
            let owner = owner(&judged.group, topic, *number);
            table.row(vec![
                topic.clone(),
                number.to_string(),
                verdict.status.to_string(),
                partition.current_lag.to_string(),
                percent(verdict.complete),
                owner.map_or("-".to_owned(), |member| member.client.clone()),
                verdict.reason.to_string(),
            ]);
        }
        table.print(io.out)?;
    }
    Ok(writeln!(io.out)?)
}

fn percent(share: f32) -> String {
    format!("{:.0}%", share * 100.0)
}

fn owner<'a>(group: &'a Group, topic: &str, partition: i32) -> Option<&'a read::Member> {
    group.members.iter().find(|member| member.assigned.iter().any(|(t, p)| t == topic && *p == partition))
}

fn document(judged: &Judged) -> Value {
    let verdict = &judged.verdict;
    let rows = judged.partitions.iter().zip(&verdict.partitions);
    let partitions = rows.map(|((topic, number, partition), (_, _, verdict))| {
        let owner = owner(&judged.group, topic, *number);
        let commits = partition.window.commits();
        json!({
            "topic": topic,
            "partition": number,
            "status": verdict.status.to_string(),
            "reason": verdict.reason.to_string(),
            "complete": share(verdict.complete),
            "current_lag": partition.current_lag,
            "start": commits.first().map(commit),
            "end": commits.last().map(commit),
            "owner": owner.map(|member| member.host.clone()),
            "client_id": owner.map(|member| member.client.clone()),
        })
    });
    json!({
        "group": judged.group.id,
        "state": judged.group.state,
        "status": verdict.status.to_string(),
        "complete": share(verdict.complete),
        "partition_count": judged.partitions.len(),
        "total_lag": verdict.total_lag,
        "max_lag": verdict.max_lag.as_ref().map(|(topic, partition)| json!({ "topic": topic, "partition": partition })),
        "partitions": partitions.collect::<Vec<_>>(),
    })
}

/// A share with four digits: what is left of it is noise of 32 bits.
fn share(share: f32) -> f64 {
    (f64::from(share) * 1e4).round() / 1e4
}

fn commit(commit: &Commit) -> Value {
    json!({ "offset": commit.offset, "timestamp": commit.timestamp_ms, "lag": commit.lag })
}

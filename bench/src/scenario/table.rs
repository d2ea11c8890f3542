//! Every scenario, in the order of the table of goals. Thresholds stand here and nowhere else.

use super::{Produce, Scenario, Work};
use crate::goal::{
    Bound, CPU_PER_GB, CPU_PER_REQUEST, CPU_SHARE, CREATED, Goal, MB_PER_S, Metric, P50, P99, P999, PER_CONNECTION,
    PER_PARTITION, READY, REQUESTS_PER_S, RESIDENT, SETTLES,
};
use crate::load::Pace;
use crate::members::Protocol;
use crate::peers::contender::{ENGINE, FIO, KAFKA, KAFKA_FSYNC, NATS, RINGLOG, RINGLOG_NONE};

/// The part of fio's throughput that also meets a throughput goal.
const OF_DISK: f64 = 0.8;

/// A Java producer keeps this many requests in flight.
const PIPELINE: usize = 5;

fn goal(metric: Metric, bound: Bound) -> Goal {
    Goal { metric, bound }
}

fn throughput(ratio: f64) -> Goal {
    goal(MB_PER_S, Bound::RatioMinOrDisk { ratio, disk: OF_DISK })
}

fn scenario(row: u8, name: impl Into<String>, title: impl Into<String>, work: Work, goals: Vec<Goal>) -> Scenario {
    let (name, title) = (name.into(), title.into());
    Scenario { name, row, title, work, ours: RINGLOG, rival: Some(KAFKA), others: Vec::new(), goals, quick: false }
}

fn quick(scenario: Scenario) -> Scenario {
    Scenario { quick: true, ..scenario }
}

fn beside_nats(scenario: Scenario) -> Scenario {
    Scenario { others: vec![NATS], ..scenario }
}

const CLOSED: Produce = Produce {
    partitions: 4,
    connections: 64,
    pace: Pace::Closed { depth: 1 },
    batch: 16_000,
    record: 1_000,
    steady: false,
};

/// All of them.
pub fn all() -> Vec<Scenario> {
    let mut all = produce_large();
    all.extend(produce_16k());
    all.extend(durable());
    all.extend(small_and_synced());
    all.extend(open_loop());
    all.push(java());
    all.extend(fetch());
    all.push(cold());
    all.extend(restart());
    all.extend(memory());
    all.extend(append());
    all.push(tax());
    all.push(commits());
    all.extend(groups());
    all
}

/// A growing log, and one in steady retention.
fn both(row: u8, name: &str, title: &str, work: Produce, goals: &[Goal]) -> [Scenario; 2] {
    [(false, "", "growing log"), (true, "-steady", "steady retention")].map(|(steady, suffix, how)| {
        let work = Work::Produce(Produce { steady, ..work });
        beside_nats(scenario(row, format!("{name}{suffix}"), format!("{title}, {how}"), work, goals.to_vec()))
    })
}

/// Rows 1 and 2.
fn produce_large() -> Vec<Scenario> {
    let one = Produce { partitions: 1, connections: 1, pace: Pace::Closed { depth: PIPELINE }, ..CLOSED };
    let (mb, kb64) = (1_000_000, 64_000);
    let serial = Produce { pace: Pace::Closed { depth: 1 }, batch: mb, record: 10_000, ..one };
    let one_goals = [throughput(8.0), goal(CPU_PER_GB, Bound::RatioMax(0.10))];
    let many_goals = [throughput(2.5), goal(CPU_PER_GB, Bound::RatioMax(0.3))];
    let one_mb = Produce { batch: mb, record: 10_000, ..one };
    let many_mb = Produce { batch: mb, record: 10_000, ..CLOSED };
    let [a, b] = both(1, "1m-1", "produce 1 MB, 1 connection, 5 in flight", one_mb, &one_goals);
    let [c, d] = both(1, "1m-64", "produce 1 MB, 64 connections", many_mb, &many_goals);
    let [e, f] = both(
        2,
        "64k-1",
        "produce 64 KB, 1 connection, 5 in flight",
        Produce { batch: kb64, ..one },
        &[throughput(5.0)],
    );
    let [g, h] =
        both(2, "64k-64", "produce 64 KB, 64 connections", Produce { batch: kb64, ..CLOSED }, &[throughput(2.2)]);
    let title = "produce 1 MB, 1 connection, one at a time, growing log";
    let alone = scenario(0, "1m-1-serial", title, Work::Produce(serial), Vec::new());
    vec![quick(a), b, alone, quick(c), d, quick(e), f, quick(g), h]
}

/// Row 3.
fn produce_16k() -> Vec<Scenario> {
    let title = |p: i32| format!("produce 16 KB, 64 connections, {p} partitions");
    let work = |partitions| Produce { partitions, ..CLOSED };
    let [a, b] = both(3, "16k-4p", &title(4), work(4), &[throughput(4.0)]);
    let [c, _] = both(3, "16k-100p", &title(100), work(100), &[throughput(3.0)]);
    let [d, _] = both(3, "16k-1000p", &title(1_000), work(1_000), &[throughput(2.0)]);
    vec![quick(a), b, quick(c), d]
}

/// Our durable writes by active partitions.
fn durable() -> Vec<Scenario> {
    let one = |partitions: i32| {
        let title = format!("durable produce 16 KB, 64 connections, {partitions} active partitions");
        let work = Work::Produce(Produce { partitions, ..CLOSED });
        let made = scenario(0, format!("durable-{partitions}p"), title, work, Vec::new());
        Scenario { rival: None, ..made }
    };
    [1, 10, 100, 1_000, 10_000].map(one).into()
}

/// Rows 4 and 5.
fn small_and_synced() -> Vec<Scenario> {
    let small = Work::Produce(Produce { pace: Pace::Closed { depth: 16 }, batch: 1, record: 100, ..CLOSED });
    let title = "produce one 100-byte record a request, 64 connections, 16 in flight";
    let goals = vec![goal(REQUESTS_PER_S, Bound::RatioMin(8.0)), goal(CPU_PER_REQUEST, Bound::AtMost(2.0))];
    let small = quick(beside_nats(scenario(4, "100b", title, small, goals)));
    let synced = Work::Produce(Produce { partitions: 100, ..CLOSED });
    let title = "produce 16 KB, 64 connections, 100 partitions, both synced";
    let goals = vec![goal(REQUESTS_PER_S, Bound::RatioMin(20.0)), goal(P99, Bound::RatioMax(0.1))];
    let synced = quick(beside_nats(scenario(5, "16k-100p-fsync", title, synced, goals)));
    vec![small, Scenario { rival: Some(KAFKA_FSYNC), ..synced }]
}

/// Row 6.
fn open_loop() -> Vec<Scenario> {
    let work = Work::Produce(Produce { connections: 16, pace: Pace::Open { per_s: 12_000.0 }, ..CLOSED });
    let title = "produce 16 KB at 12,000 a second, open loop, 16 connections";
    let synced =
        vec![goal(P50, Bound::RatioMax(1.8)), goal(P99, Bound::RatioMax(0.05)), goal(P999, Bound::RatioMax(0.1))];
    let synced = quick(scenario(6, "open-16k", title, work.clone(), synced));
    let title = format!("{title}, ours not synced either");
    let none = quick(scenario(6, "open-16k-none", title, work, vec![goal(P50, Bound::RatioMax(1.2))]));
    vec![synced, Scenario { ours: RINGLOG_NONE, ..none }]
}

/// Row 7.
fn java() -> Scenario {
    let title = "1 KB records from Kafka's Java producer at 50 MB/s, acks=all; end to end at the same rate";
    let goals = vec![goal(CPU_SHARE, Bound::RatioMax(0.25)), goal(P99, Bound::RatioMax(0.5))];
    quick(scenario(7, "java-50mb", title, Work::Java, goals))
}

/// Row 8.
fn fetch() -> Vec<Scenario> {
    let one = |name: &str, size: &str, max_bytes, consumers, goals| {
        let title = format!("fetch from memory, {size} answers, consumers of one partition: {consumers}");
        scenario(8, name, title, Work::Fetch { max_bytes, consumers }, goals)
    };
    let cpu = |max| vec![goal(CPU_PER_GB, Bound::RatioMax(max))];
    vec![
        quick(one("fetch-64k", "64 KB", 64_000, 1, cpu(0.35))),
        quick(one("fetch-1m", "1 MB", 1_000_000, 1, cpu(0.6))),
        one("fetch-8m", "8 MB", 8_000_000, 1, cpu(1.4)),
        one("fetch-1m-8c", "1 MB", 1_000_000, 8, Vec::new()),
        quick(one("fetch-1m-32c", "1 MB", 1_000_000, 32, vec![goal(MB_PER_S, Bound::RatioMin(1.5))])),
    ]
}

/// Row 9.
fn cold() -> Scenario {
    let title = "fetch 2.5 GiB from disk, 1 GiB of memory in all, while 20 MB/s are produced";
    let goals = vec![goal(MB_PER_S, Bound::RatioMin(1.5)), goal(P99, Bound::RatioMax(0.2))];
    quick(scenario(9, "cold", title, Work::Cold, goals))
}

/// Row 10.
fn restart() -> Vec<Scenario> {
    let logs = vec![goal(READY, Bound::RatioMax(0.05))];
    let many = vec![
        goal(READY, Bound::RatioMax(0.1)),
        goal(READY, Bound::AtMost(1.0)),
        goal(PER_PARTITION, Bound::AtMost(8.0)),
    ];
    vec![
        quick(scenario(
            10,
            "restart-logs",
            "start after kill -9 with large logs, 20 partitions",
            Work::RestartLogs,
            logs,
        )),
        scenario(
            10,
            "restart-10k",
            "start after kill -9 with 10,000 partitions, and their memory with a record each",
            Work::RestartPartitions(10_000),
            many,
        ),
        scenario(
            10,
            "create-10k",
            "making 10,000 partitions, and their memory while they are empty",
            Work::CreatePartitions(10_000),
            vec![goal(CREATED, Bound::RatioMax(0.15)), goal(PER_PARTITION, Bound::AtMost(8.0))],
        ),
    ]
}

/// Row 11.
fn memory() -> Vec<Scenario> {
    let idle = vec![goal(RESIDENT, Bound::AtMost(40.0))];
    let each = vec![goal(PER_CONNECTION, Bound::AtMost(8.0))];
    vec![
        quick(scenario(11, "idle", "resident memory, idle, no topics", Work::Idle, idle)),
        quick(scenario(
            11,
            "idle-10k",
            "resident memory with 10,000 idle connections",
            Work::Connections(10_000),
            each,
        )),
    ]
}

/// Row 12.
fn append() -> Vec<Scenario> {
    [("append-64k", 64 << 10, 16), ("append-1m", 1 << 20, 4)]
        .map(|(name, block, depth)| {
            let title = format!("append by the engine alone, {} KiB, {depth} under way", block >> 10);
            let goals = vec![goal(MB_PER_S, Bound::RatioMin(0.85))];
            let made = quick(scenario(12, name, title, Work::Append { block, depth }, goals));
            Scenario { ours: ENGINE, rival: Some(FIO), ..made }
        })
        .into()
}

/// Row 13.
fn tax() -> Scenario {
    let title = "durability tax: 16 KB, 64 connections, 4 partitions, synced against not";
    let goals = vec![goal(MB_PER_S, Bound::RatioMin(0.75))];
    let made = quick(scenario(13, "tax-16k", title, Work::Produce(CLOSED), goals));
    Scenario { rival: Some(RINGLOG_NONE), ..made }
}

/// Row 14.
fn commits() -> Scenario {
    let title = "OffsetCommit for one partition, 64 connections, 5 in flight";
    let work = Work::Commits { connections: 64, depth: PIPELINE };
    quick(scenario(14, "commits", title, work, vec![goal(REQUESTS_PER_S, Bound::RatioMin(5.0))]))
}

/// Rows 15 and 16.
fn groups() -> Vec<Scenario> {
    let settle = |protocol: Protocol| {
        let title = format!("100 members over 1,000 partitions, one joins or leaves, {} protocol", protocol.name());
        let work = Work::Settle { members: 100, partitions: 1_000, protocol };
        scenario(
            15,
            format!("group-settle-{}", protocol.name()),
            title,
            work,
            vec![goal(SETTLES, Bound::RatioMax(0.5))],
        )
    };
    let title = "1,000 groups of one member, a heartbeat every 3 s each";
    let live = scenario(16, "groups-1000", title, Work::Groups(1_000), vec![goal(CPU_SHARE, Bound::AtMost(0.05))]);
    vec![quick(settle(Protocol::Classic)), settle(Protocol::Consumer), quick(live)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_goal_and_every_name_is_one() {
        let all = all();
        let rows: BTreeSet<u8> = all.iter().filter(|s| !s.goals.is_empty()).map(|s| s.row).collect();
        assert_eq!(rows, (1..=16).collect());
        let names: BTreeSet<&str> = all.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')));
    }

    #[test]
    fn a_quick_run_looks_at_every_row() {
        let rows: BTreeSet<u8> = all().iter().filter(|s| s.quick).map(|s| s.row).collect();
        assert_eq!(rows, (1..=16).collect());
    }

    #[test]
    fn goals_that_compare_have_somebody_to_compare_with() {
        for s in all() {
            assert!(s.rival.is_some() || s.goals.iter().all(|g| !g.is_ratio()), "{}", s.name);
            assert_ne!(Some(s.ours), s.rival, "{}", s.name);
        }
    }
}

//! Keys about groups of every protocol, and about their offsets.

use super::{BrokerKey, int, list, long, short};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::{BUFFERS, NEW_GROUPS, OFFSETS, THREADS};
use crate::config::value::Rule::{Any, AnyOf, Min, Range};

pub(super) const KEYS: &[BrokerKey] = &[
    int("group.coordinator.append.linger.ms", Some("-1"), Min(-1), Fixed)
        .unused(BUFFERS, "How long the coordinator collects records before it writes them; -1 decides by load."),
    int("group.coordinator.background.threads", Some("2"), Min(1), Fixed)
        .unused(THREADS, "Threads that compute assignments and match regular expressions."),
    int("group.coordinator.cached.buffer.max.bytes", Some("1048588"), Min(524_288), Cluster)
        .unused(BUFFERS, "Largest buffer that the coordinator keeps for its next write."),
    list(
        "group.coordinator.rebalance.protocols",
        Some("classic,consumer,streams"),
        AnyOf(&["consumer", "classic", "share", "streams"]),
        Fixed,
    )
    .unused(NEW_GROUPS, "Protocols that groups may speak."),
    int("group.coordinator.threads", Some("4"), Min(1), Fixed).unused(THREADS, "Threads that run the coordinator."),
    int("group.heartbeat.hold.ms", Some("5000"), Range(0, 20_000), Cluster).used(
        "Ours: how long the answer to a heartbeat that has nothing to tell waits for news, so that members hear of a rebalance at \
         once; for clients known to bear it, and never as long as their heartbeat interval. 0 answers at once, as Kafka does.",
    ),
    int("group.initial.rebalance.delay.ms", Some("3000"), Any, Fixed)
        .used("How long a new group waits for more members before its first assignment."),
    int("group.max.session.timeout.ms", Some("1800000"), Any, Fixed)
        .used("Longest session timeout that a group member may ask for."),
    int("group.max.size", Some("2147483647"), Min(1), Fixed).used("Most members of a group."),
    long("group.members.bytes.max", Some("268435456"), Min(1_048_576), Fixed).used(
        "Ours: memory that what members of all groups say about themselves may take, in bytes; further members are refused.",
    ),
    int("group.min.session.timeout.ms", Some("6000"), Any, Fixed)
        .used("Shortest session timeout that a group member may ask for."),
    int("offset.metadata.max.bytes", Some("4096"), Any, Fixed)
        .used("Longest text that a consumer may store with an offset."),
    int("offsets.commit.timeout.ms", Some("5000"), Min(1), Fixed)
        .unused(OFFSETS, "How long a commit of offsets may wait for the followers."),
    int("offsets.load.buffer.size", Some("5242880"), Min(1), Fixed)
        .unused(BUFFERS, "Bytes that are read at a time when a coordinator takes over groups."),
    long("offsets.retention.check.interval.ms", Some("600000"), Min(1), Fixed)
        .used("Time between two looks for offsets to be forgotten."),
    int("offsets.retention.minutes", Some("10080"), Min(1), Fixed)
        .used("How long offsets of a group without members are kept."),
    int("offsets.topic.compression.codec", Some("0"), Any, Fixed)
        .unused(OFFSETS, "Number of the codec that commits are stored with."),
    int("offsets.topic.num.partitions", Some("50"), Min(1), Fixed)
        .used("Partitions of __consumer_offsets when it is made."),
    short("offsets.topic.replication.factor", Some("3"), Min(1), Fixed)
        .used("Replicas of __consumer_offsets when it is made, or as many as there are brokers if fewer."),
    int("offsets.topic.segment.bytes", Some("104857600"), Min(1), Fixed)
        .used("Segment size of __consumer_offsets when it is made."),
];

//! Keys about share groups (KIP-932).

use super::{BrokerKey, int, list, short};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::{PURGATORY, SHARE, THREADS};
use crate::config::value::Rule::{Any, Min, Range};

pub(super) const KEYS: &[BrokerKey] = &[
    int("group.share.assignment.interval.ms", Some("1000"), Min(0), Cluster)
        .unused(SHARE, "Least time between two assignments of a share group."),
    list("group.share.assignors", Some("simple"), Any, Fixed).unused(SHARE, "Assignors that share groups may use."),
    int("group.share.delivery.count.limit", Some("5"), Range(2, 10), Fixed)
        .unused(SHARE, "How often a record is handed out before it is given up."),
    int("group.share.heartbeat.interval.ms", Some("5000"), Min(1), Fixed)
        .unused(SHARE, "How often a member of a share group is to be heard of."),
    int("group.share.max.assignment.interval.ms", Some("15000"), Min(0), Fixed)
        .unused(SHARE, "Largest assignment interval of a share group's own."),
    int("group.share.max.delivery.count.limit", Some("10"), Range(5, 25), Fixed)
        .unused(SHARE, "Largest number of deliveries of a share group's own."),
    int("group.share.max.heartbeat.interval.ms", Some("15000"), Min(1), Fixed)
        .unused(SHARE, "Largest heartbeat interval of a share group's own."),
    int("group.share.max.partition.max.record.locks", Some("4000"), Range(2000, 10000), Fixed)
        .unused(SHARE, "Largest number of records of a partition in hand of a share group's own."),
    int("group.share.max.record.lock.duration.ms", Some("60000"), Range(30000, 3_600_000), Fixed)
        .unused(SHARE, "Longest time in hand of a share group's own."),
    int("group.share.max.session.timeout.ms", Some("60000"), Min(1), Fixed)
        .unused(SHARE, "Largest session timeout of a share group's own."),
    int("group.share.max.share.sessions", Some("2000"), Min(1), Fixed)
        .unused(SHARE, "Most fetch sessions of share groups."),
    int("group.share.max.size", Some("200"), Range(1, 1000), Fixed).unused(SHARE, "Most members of a share group."),
    int("group.share.min.assignment.interval.ms", Some("0"), Min(0), Fixed)
        .unused(SHARE, "Smallest assignment interval of a share group's own."),
    int("group.share.min.delivery.count.limit", Some("2"), Range(2, 5), Fixed)
        .unused(SHARE, "Smallest number of deliveries of a share group's own."),
    int("group.share.min.heartbeat.interval.ms", Some("5000"), Min(1), Fixed)
        .unused(SHARE, "Smallest heartbeat interval of a share group's own."),
    int("group.share.min.partition.max.record.locks", Some("100"), Range(100, 2000), Fixed)
        .unused(SHARE, "Smallest number of records of a partition in hand of a share group's own."),
    int("group.share.min.record.lock.duration.ms", Some("15000"), Range(1000, 30000), Fixed)
        .unused(SHARE, "Shortest time in hand of a share group's own."),
    int("group.share.min.session.timeout.ms", Some("45000"), Min(1), Fixed)
        .unused(SHARE, "Smallest session timeout of a share group's own."),
    int("group.share.partition.max.record.locks", Some("2000"), Range(100, 10000), Fixed)
        .unused(SHARE, "Records of a partition that may be in the hands of members at a time."),
    int("group.share.record.lock.duration.ms", Some("30000"), Range(1000, 3_600_000), Fixed)
        .unused(SHARE, "How long a record stays with one member before another gets it."),
    int("group.share.session.timeout.ms", Some("45000"), Min(1), Fixed)
        .unused(SHARE, "Silence after which a member of a share group is removed."),
    int("share.coordinator.append.linger.ms", Some("-1"), Min(-1), Fixed).unused(
        SHARE,
        "How long the coordinator of share groups collects records before it writes them; -1 decides by load.",
    ),
    int("share.coordinator.cached.buffer.max.bytes", Some("1048588"), Min(524_288), Cluster)
        .unused(SHARE, "Largest buffer that the coordinator of share groups keeps for its next write."),
    int("share.coordinator.load.buffer.size", Some("5242880"), Min(1), Fixed)
        .unused(SHARE, "Bytes that are read at a time when a coordinator takes over share groups."),
    int("share.coordinator.snapshot.update.records.per.snapshot", Some("500"), Range(0, 500), Fixed)
        .unused(SHARE, "Changes of a share group's partition after which its state is written as a whole."),
    int("share.coordinator.state.topic.compression.codec", Some("0"), Any, Fixed)
        .unused(SHARE, "Number of the codec that states of share groups are stored with."),
    short("share.coordinator.state.topic.min.isr", Some("2"), Min(1), Fixed)
        .unused(SHARE, "In-sync replicas that a state of a share group needs."),
    int("share.coordinator.state.topic.num.partitions", Some("50"), Min(1), Fixed)
        .unused(SHARE, "Partitions of the topic with the states of share groups."),
    short("share.coordinator.state.topic.replication.factor", Some("3"), Min(1), Fixed)
        .unused(SHARE, "Replicas of the topic with the states of share groups."),
    int("share.coordinator.state.topic.segment.bytes", Some("104857600"), Min(1), Fixed)
        .unused(SHARE, "Segment size of the topic with the states of share groups."),
    int("share.coordinator.threads", Some("1"), Min(1), Fixed)
        .unused(THREADS, "Threads that run the coordinator of share groups."),
    int("share.coordinator.write.timeout.ms", Some("5000"), Min(1), Fixed)
        .unused(SHARE, "How long a state of a share group may wait for the followers."),
    int("share.fetch.purgatory.purge.interval.requests", Some("1000"), Any, Fixed)
        .unused(PURGATORY, "Finished ShareFetch requests that are kept before their memory is given back."),
];

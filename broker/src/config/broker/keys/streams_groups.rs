//! Keys about streams groups (KIP-1071).

use super::{BrokerKey, int};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::STREAMS;
use crate::config::value::Rule::Min;

pub(super) const KEYS: &[BrokerKey] = &[
    int("group.streams.assignment.interval.ms", Some("1000"), Min(0), Cluster)
        .unused(STREAMS, "Least time between two assignments of a streams group."),
    int("group.streams.heartbeat.interval.ms", Some("5000"), Min(1), Fixed)
        .unused(STREAMS, "How often a member of a streams group is to be heard of."),
    int("group.streams.initial.rebalance.delay.ms", Some("3000"), Min(0), Fixed)
        .unused(STREAMS, "How long a new streams group waits for more members before its first assignment."),
    int("group.streams.max.assignment.interval.ms", Some("15000"), Min(0), Fixed)
        .unused(STREAMS, "Largest assignment interval of a streams group's own."),
    int("group.streams.max.heartbeat.interval.ms", Some("15000"), Min(1), Fixed)
        .unused(STREAMS, "Largest heartbeat interval of a streams group's own."),
    int("group.streams.max.session.timeout.ms", Some("60000"), Min(1), Fixed)
        .unused(STREAMS, "Largest session timeout of a streams group's own."),
    int("group.streams.max.size", Some("2147483647"), Min(1), Fixed)
        .unused(STREAMS, "Most members of a streams group."),
    int("group.streams.max.standby.replicas", Some("2"), Min(0), Fixed)
        .unused(STREAMS, "Largest number of standby copies of a streams group's own."),
    int("group.streams.min.assignment.interval.ms", Some("0"), Min(0), Fixed)
        .unused(STREAMS, "Smallest assignment interval of a streams group's own."),
    int("group.streams.min.heartbeat.interval.ms", Some("5000"), Min(1), Fixed)
        .unused(STREAMS, "Smallest heartbeat interval of a streams group's own."),
    int("group.streams.min.session.timeout.ms", Some("45000"), Min(1), Fixed)
        .unused(STREAMS, "Smallest session timeout of a streams group's own."),
    int("group.streams.num.standby.replicas", Some("0"), Min(0), Fixed)
        .unused(STREAMS, "Standby copies of each task of a streams group."),
    int("group.streams.session.timeout.ms", Some("45000"), Min(1), Fixed)
        .unused(STREAMS, "Silence after which a member of a streams group is removed."),
];

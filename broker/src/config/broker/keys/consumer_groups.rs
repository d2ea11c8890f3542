//! Keys about groups of the consumer protocol (KIP-848).

use super::{BrokerKey, int, list, string};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::value::Rule::{AnyOf, Min, OneOf};

pub(super) const KEYS: &[BrokerKey] = &[
    int("group.consumer.assignment.interval.ms", Some("1000"), Min(0), Cluster)
        .used("Least time between two assignments of a consumer group, so that changes are collected."),
    list("group.consumer.assignors", Some("uniform,range"), AnyOf(&["uniform", "range"]), Fixed)
        .used("Assignors that consumer groups may use, the default first."),
    int("group.consumer.heartbeat.interval.ms", Some("5000"), Min(1), Fixed)
        .used("How often a member of a consumer group is to be heard of."),
    int("group.consumer.max.assignment.interval.ms", Some("15000"), Min(0), Fixed)
        .used("Largest assignment interval of a group's own."),
    int("group.consumer.max.heartbeat.interval.ms", Some("15000"), Min(1), Fixed)
        .used("Largest heartbeat interval of a group's own."),
    int("group.consumer.max.session.timeout.ms", Some("60000"), Min(1), Fixed)
        .used("Largest session timeout of a group's own."),
    int("group.consumer.max.size", Some("2147483647"), Min(1), Fixed).used("Most members of a consumer group."),
    string(
        "group.consumer.migration.policy",
        Some("bidirectional"),
        OneOf(&["bidirectional", "upgrade", "downgrade", "disabled"]),
        Fixed,
    )
    .used("Which way a group may change between the classic and the consumer protocol while it has members."),
    int("group.consumer.min.assignment.interval.ms", Some("0"), Min(0), Fixed)
        .used("Smallest assignment interval of a group's own."),
    int("group.consumer.min.heartbeat.interval.ms", Some("5000"), Min(1), Fixed)
        .used("Smallest heartbeat interval of a group's own."),
    int("group.consumer.min.session.timeout.ms", Some("45000"), Min(1), Fixed)
        .used("Smallest session timeout of a group's own."),
    int("group.consumer.regex.refresh.interval.ms", Some("600000"), Min(10000), Fixed)
        .used("How often subscriptions by regular expression are matched again though no topic changed."),
    int("group.consumer.session.timeout.ms", Some("45000"), Min(1), Fixed)
        .used("Silence after which a member of a consumer group is removed."),
];

//! Keys about what brokers of a cluster do for each other.

use super::{BrokerKey, boolean, int, long, string};
use crate::config::broker::Scope::Fixed;
use crate::config::broker::why::{CONTROLLED, ONE_NODE};
use crate::config::value::Rule::{Any, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    boolean("auto.leader.rebalance.enable", Some("true"), Any, Fixed)
        .unused(ONE_NODE, "Whether partitions go back to their preferred leaders by themselves."),
    int("broker.heartbeat.interval.ms", Some("2000"), Any, Fixed)
        .unused(ONE_NODE, "How often a broker tells the controller that it is alive."),
    int("broker.session.timeout.ms", Some("9000"), Any, Fixed)
        .unused(ONE_NODE, "Silence after which the controller takes a broker for dead."),
    boolean("controlled.shutdown.enable", Some("true"), Any, Fixed)
        .unused(CONTROLLED, "Whether a broker that is stopped gives up its partitions first."),
    string("inter.broker.listener.name", None, Any, Fixed)
        .unused(ONE_NODE, "Listener that brokers reach each other at."),
    long("leader.imbalance.check.interval.seconds", Some("300"), Min(1), Fixed)
        .unused(ONE_NODE, "How often is looked for partitions that have lost their preferred leader."),
    int("replica.fetch.backoff.ms", Some("1000"), Min(0), Fixed)
        .unused(ONE_NODE, "Pause of a follower after a fetch that failed."),
    int("replica.fetch.max.bytes", Some("1048576"), Min(0), Fixed)
        .unused(ONE_NODE, "Bytes of a partition that a follower asks for at a time."),
    int("replica.fetch.min.bytes", Some("1"), Any, Fixed)
        .unused(ONE_NODE, "Bytes that a leader waits for before it answers a follower."),
    int("replica.fetch.response.max.bytes", Some("10485760"), Min(0), Fixed)
        .unused(ONE_NODE, "Bytes that a follower asks for at a time, all partitions together."),
    int("replica.fetch.wait.max.ms", Some("500"), Any, Fixed)
        .unused(ONE_NODE, "Longest that a leader lets a follower wait for records."),
    long("replica.high.watermark.checkpoint.interval.ms", Some("5000"), Any, Fixed)
        .unused(ONE_NODE, "How often high watermarks are written down."),
    long("replica.lag.time.max.ms", Some("30000"), Any, Fixed)
        .unused(ONE_NODE, "How long a follower may lag before it is no longer in sync."),
    string("replica.selector.class", None, Any, Fixed)
        .unused(ONE_NODE, "Class that chooses the replica that a consumer reads from."),
    int("replica.socket.receive.buffer.bytes", Some("65536"), Any, Fixed)
        .unused(ONE_NODE, "Receive buffer of a follower's connection."),
    int("replica.socket.timeout.ms", Some("30000"), Any, Fixed)
        .unused(ONE_NODE, "How long a follower waits for its leader's answer."),
    long("socket.connection.setup.timeout.max.ms", Some("30000"), Any, Fixed)
        .unused(ONE_NODE, "Longest that a broker tries to connect to another, after several failures."),
    long("socket.connection.setup.timeout.ms", Some("10000"), Any, Fixed)
        .unused(ONE_NODE, "How long a broker tries to connect to another at first."),
    long("unclean.leader.election.interval.ms", Some("300000"), Min(1), Fixed)
        .unused(ONE_NODE, "How often is looked for partitions without a leader that any replica may lead."),
];

//! Keys about transactions and idempotent producers.

use super::{BrokerKey, boolean, int, short};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::{RECOVERY, TXN};
use crate::config::value::Rule::{Any, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    int("add.partitions.to.txn.retry.backoff.max.ms", Some("100"), Min(0), Fixed)
        .unused(TXN, "Longest pause before a partition is added to a transaction again."),
    int("add.partitions.to.txn.retry.backoff.ms", Some("20"), Min(1), Fixed)
        .unused(TXN, "First pause before a partition is added to a transaction again."),
    int("producer.id.expiration.check.interval.ms", Some("600000"), Min(1), Fixed)
        .unused(RECOVERY, "How often is looked for idempotent producers to be forgotten."),
    int("producer.id.expiration.ms", Some("86400000"), Min(1), Cluster)
        .used("Silence after which an idempotent producer is forgotten."),
    int("transaction.abort.timed.out.transaction.cleanup.interval.ms", Some("10000"), Min(1), Fixed)
        .unused(TXN, "How often is looked for transactions that took too long."),
    int("transaction.max.timeout.ms", Some("900000"), Min(1), Fixed)
        .unused(TXN, "Longest timeout that a transaction may ask for."),
    boolean("transaction.partition.verification.enable", Some("true"), Any, Cluster)
        .unused(TXN, "Whether is checked that a partition belongs to a transaction before its records are taken."),
    int("transaction.remove.expired.transaction.cleanup.interval.ms", Some("3600000"), Min(1), Fixed)
        .unused(TXN, "How often is looked for transactional ids to be forgotten."),
    int("transaction.state.log.load.buffer.size", Some("5242880"), Min(1), Fixed)
        .unused(TXN, "Bytes that are read at a time when a coordinator takes over transactions."),
    int("transaction.state.log.min.isr", Some("2"), Min(1), Fixed)
        .unused(TXN, "In-sync replicas that a state of a transaction needs."),
    int("transaction.state.log.num.partitions", Some("50"), Min(1), Fixed)
        .unused(TXN, "Partitions of the topic with the states of transactions."),
    short("transaction.state.log.replication.factor", Some("3"), Min(1), Fixed)
        .unused(TXN, "Replicas of the topic with the states of transactions."),
    int("transaction.state.log.segment.bytes", Some("104857600"), Min(1), Fixed)
        .unused(TXN, "Segment size of the topic with the states of transactions."),
    boolean("transaction.two.phase.commit.enable", Some("false"), Any, Fixed)
        .unused(TXN, "Whether a producer may leave the decision over a transaction to somebody else."),
    int("transactional.id.expiration.ms", Some("604800000"), Min(1), Fixed)
        .unused(TXN, "Silence after which a transactional id is forgotten."),
];

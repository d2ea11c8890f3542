//! Keys about compaction; some supply the value of a topic key.

use super::{BrokerKey, boolean, double, int, long};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::{COMPACTION, THREADS};
use crate::config::value::Rule::{Any, Fraction, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    long("log.cleaner.backoff.ms", Some("15000"), Min(0), Cluster)
        .used("Time between two looks for a log to compact while there is none."),
    long("log.cleaner.dedupe.buffer.size", Some("134217728"), Any, Cluster).used(
        "Memory for the keys of compactions, in bytes, shared by all cores and held only while one runs; what \
         does not fit is left for the next pass. A change counts from the next pass on.",
    ),
    long("log.cleaner.delete.retention.ms", Some("86400000"), Min(0), Cluster)
        .used("How long the mark of a deleted key is kept, for topics without a delete.retention.ms."),
    boolean("log.cleaner.enable", Some("true"), Any, Fixed)
        .used("Whether compacted topics are compacted; without it they keep everything."),
    double("log.cleaner.io.buffer.load.factor", Some("0.9"), Any, Cluster)
        .unused(COMPACTION, "How full the memory for keys of a compaction may become."),
    int("log.cleaner.io.buffer.size", Some("524288"), Min(0), Cluster)
        .unused(COMPACTION, "Memory that a compaction reads and writes through."),
    double("log.cleaner.io.max.bytes.per.second", Some("1.7976931348623157E308"), Any, Cluster)
        .used("Bytes that compactions read and write together, a second, at most; a pass that is under way follows."),
    long("log.cleaner.max.compaction.lag.ms", Some("9223372036854775807"), Min(1), Cluster)
        .used("Longest that a record waits for compaction, for topics without a max.compaction.lag.ms."),
    double("log.cleaner.min.cleanable.ratio", Some("0.5"), Fraction(0.0, 1.0), Cluster)
        .used("Share of new bytes that makes a compaction worth it, for topics without a min.cleanable.dirty.ratio."),
    long("log.cleaner.min.compaction.lag.ms", Some("0"), Min(0), Cluster)
        .used("Shortest that a record is safe from compaction, for topics without a min.compaction.lag.ms."),
    int("log.cleaner.threads", Some("1"), Min(0), Cluster).unused(THREADS, "Threads that compact."),
];

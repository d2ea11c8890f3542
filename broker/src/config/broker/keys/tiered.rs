//! Keys about tiered storage.

use super::{BrokerKey, boolean, int, long, short, string};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::{NO_TIER, TIERED};
use crate::config::value::Rule::{Any, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    boolean("follower.fetch.last.tiered.offset.enable", Some("false"), Any, Cluster)
        .unused(TIERED, "Whether a new follower begins where the tiered part of a log ends."),
    int("remote.fetch.max.wait.ms", Some("500"), Min(1), Cluster)
        .unused(TIERED, "Longest that a fetch waits for tiered storage."),
    long("remote.list.offsets.request.timeout.ms", Some("30000"), Min(1), Cluster)
        .unused(TIERED, "Longest that ListOffsets waits for tiered storage."),
    long("remote.log.index.file.cache.total.size.bytes", Some("1073741824"), Min(1), Cluster)
        .unused(TIERED, "Disk space for indexes of tiered segments."),
    int("remote.log.manager.copier.thread.pool.size", Some("10"), Min(1), Cluster)
        .unused(TIERED, "Threads that copy segments to tiered storage."),
    long("remote.log.manager.copy.max.bytes.per.second", Some("9223372036854775807"), Min(1), Cluster)
        .unused(TIERED, "Bytes a second that go to tiered storage at most."),
    int("remote.log.manager.copy.quota.window.num", Some("11"), Min(1), Fixed)
        .unused(TIERED, "Samples over which copying to tiered storage is measured."),
    int("remote.log.manager.copy.quota.window.size.seconds", Some("1"), Min(1), Fixed)
        .unused(TIERED, "Length of a sample of copying to tiered storage."),
    int("remote.log.manager.expiration.thread.pool.size", Some("10"), Min(1), Cluster)
        .unused(TIERED, "Threads that delete old segments from tiered storage."),
    long("remote.log.manager.fetch.max.bytes.per.second", Some("9223372036854775807"), Min(1), Cluster)
        .unused(TIERED, "Bytes a second that come from tiered storage at most."),
    int("remote.log.manager.fetch.quota.window.num", Some("11"), Min(1), Fixed)
        .unused(TIERED, "Samples over which reading from tiered storage is measured."),
    int("remote.log.manager.fetch.quota.window.size.seconds", Some("1"), Min(1), Fixed)
        .unused(TIERED, "Length of a sample of reading from tiered storage."),
    int("remote.log.manager.follower.thread.pool.size", Some("2"), Min(1), Cluster)
        .unused(TIERED, "Threads that keep followers informed of tiered storage."),
    long("remote.log.manager.task.interval.ms", Some("30000"), Min(1), Fixed)
        .unused(TIERED, "How often is looked for segments to be copied or deleted in tiered storage."),
    int("remote.log.manager.thread.pool.size", Some("2"), Min(1), Fixed)
        .unused(TIERED, "Threads for all work on tiered storage."),
    int("remote.log.metadata.custom.metadata.max.bytes", Some("128"), Min(0), Fixed)
        .unused(TIERED, "Largest note of its own that a storage may add to a segment."),
    string(
        "remote.log.metadata.manager.class.name",
        Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"),
        Any,
        Fixed,
    )
    .unused(TIERED, "Class that keeps account of tiered segments."),
    string("remote.log.metadata.manager.class.path", None, Any, Fixed)
        .unused(TIERED, "Where the class that keeps account of tiered segments is found."),
    string("remote.log.metadata.manager.impl.prefix", Some("rlmm.config."), Any, Fixed)
        .unused(TIERED, "Beginning of the keys meant for the class that keeps account of tiered segments."),
    string("remote.log.metadata.manager.listener.name", None, Any, Fixed)
        .unused(TIERED, "Listener that the account of tiered segments is reached at."),
    short("remote.log.metadata.topic.min.isr", Some("2"), Min(1), Fixed)
        .unused(TIERED, "In-sync replicas that the account of tiered segments needs."),
    int("remote.log.metadata.topic.num.partitions", Some("50"), Min(1), Fixed)
        .unused(TIERED, "Partitions of the topic with the account of tiered segments."),
    short("remote.log.metadata.topic.replication.factor", Some("3"), Min(1), Fixed)
        .unused(TIERED, "Replicas of the topic with the account of tiered segments."),
    int("remote.log.reader.max.pending.tasks", Some("100"), Min(1), Fixed)
        .unused(TIERED, "Reads of tiered storage that may wait."),
    int("remote.log.reader.threads", Some("10"), Min(1), Cluster).unused(TIERED, "Threads that read tiered storage."),
    string("remote.log.storage.manager.class.name", None, Any, Fixed)
        .unused(TIERED, "Class that is the tiered storage."),
    string("remote.log.storage.manager.class.path", None, Any, Fixed)
        .unused(TIERED, "Where the class that is the tiered storage is found."),
    string("remote.log.storage.manager.impl.prefix", Some("rsm.config."), Any, Fixed)
        .unused(TIERED, "Beginning of the keys meant for the class that is the tiered storage."),
    boolean("remote.log.storage.system.enable", Some("false"), Any, Fixed)
        .refused(NO_TIER, "Whether old segments may move to tiered storage."),
];

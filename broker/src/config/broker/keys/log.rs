//! Keys about logs; most supply the value of a topic key.

use super::{BrokerKey, boolean, int, list, long, string};
use crate::config::DurabilityClass;
use crate::config::broker::Scope::{Broker, Cluster, Fixed};
use crate::config::broker::why::RECOVERY;
use crate::config::value::Rule::{Any, AnyOf, DefaultOr, Min, OneOf, Range};

pub(super) const KEYS: &[BrokerKey] = &[
    int("compression.gzip.level", Some("-1"), DefaultOr(1, 9), Cluster)
        .used("Effort of gzip for topics without a compression.gzip.level; -1 leaves it to the codec."),
    int("compression.lz4.level", Some("9"), Range(1, 17), Cluster)
        .used("Effort of lz4 for topics without a compression.lz4.level."),
    string(
        "compression.type",
        Some("producer"),
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        Cluster,
    )
    .used(
        "The codec of stored batches for topics without a compression.type; \"producer\" keeps each batch as \
         it came.",
    ),
    int("compression.zstd.level", Some("3"), Range(-131_072, 22), Cluster)
        .used("Effort of zstd for topics without a compression.zstd.level."),
    list("cordoned.log.dirs", Some(""), Any, Broker)
        .used("Folders of log.dirs that new partitions keep away from, or *."),
    string("durability", Some("fsync"), OneOf(DurabilityClass::WORDS), Fixed)
        .used("Ours: when a write is acknowledged, for topics that do not say: \"fsync\", \"interval\" or \"none\"."),
    list("log.cleanup.policy", Some("delete"), AnyOf(&["compact", "delete"]), Cluster)
        .used("Whether old data is deleted, compacted or both, for topics without a cleanup.policy."),
    list("log.dir", Some("/tmp/kafka-logs"), Any, Fixed).used("Folder for data, where log.dirs is not set."),
    long("log.dir.failure.timeout.ms", Some("30000"), Min(1), Fixed).unused(
        RECOVERY,
        "How long a broker that cannot tell the controller of a failed folder waits before it stops.",
    ),
    list("log.dirs", None, Any, Fixed).used("Folders for data; new partitions go to the emptiest."),
    long("log.flush.interval.messages", Some("9223372036854775807"), Min(1), Cluster).used(
        "Records after which a log is flushed at the latest, for topics without a flush.messages: setting it flushes before each \
         acknowledgement.",
    ),
    long("log.flush.interval.ms", None, Any, Cluster)
        .used("Longest that an acknowledged write waits for its flush, for topics without a flush.ms."),
    int("log.flush.offset.checkpoint.interval.ms", Some("60000"), Min(0), Fixed)
        .unused(RECOVERY, "How often is written down how far logs are flushed."),
    long("log.flush.scheduler.interval.ms", Some("9223372036854775807"), Any, Fixed)
        .used("The value of log.flush.interval.ms where that is not set."),
    int("log.flush.start.offset.checkpoint.interval.ms", Some("60000"), Min(0), Fixed)
        .unused(RECOVERY, "How often is written down where logs start."),
    int("log.index.interval.bytes", Some("4096"), Min(0), Cluster)
        .used("Bytes between two entries of an index, for topics without an index.interval.bytes."),
    int("log.index.size.max.bytes", Some("10485760"), Min(4), Cluster)
        .used("Size of a full index, which closes its segment, for topics without a segment.index.bytes."),
    long("log.initial.task.delay.ms", Some("30000"), Min(0), Fixed)
        .unused(RECOVERY, "How long the work on logs that is done now and then waits after a start."),
    long("log.local.retention.bytes", Some("-2"), Min(-2), Cluster)
        .used("With tiered storage, the size that stays on local disks, for topics without a local.retention.bytes."),
    long("log.local.retention.ms", Some("-2"), Min(-2), Cluster)
        .used("With tiered storage, how long data stays on local disks, for topics without a local.retention.ms."),
    long("log.message.timestamp.after.max.ms", Some("3600000"), Min(0), Cluster)
        .used("How far timestamps may lie in the future, for topics without a message.timestamp.after.max.ms."),
    long("log.message.timestamp.before.max.ms", Some("9223372036854775807"), Min(0), Cluster)
        .used("How far timestamps may lie in the past, for topics without a message.timestamp.before.max.ms."),
    string("log.message.timestamp.type", Some("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]), Cluster).used(
        "Whether records keep their producer's time or get the broker's, for topics without a \
         message.timestamp.type.",
    ),
    boolean("log.preallocate", Some("false"), Any, Cluster)
        .used("Whether segments get all of their space at once, for topics without a preallocate."),
    long("log.retention.bytes", Some("-1"), Any, Cluster)
        .used("Size of a partition above which its oldest segments go, for topics without a retention.bytes."),
    long("log.retention.check.interval.ms", Some("300000"), Min(1), Fixed)
        .used("Time between two looks for segments to be deleted."),
    int("log.retention.hours", Some("168"), Any, Fixed)
        .used("The value of log.retention.minutes where that is not set, in hours."),
    int("log.retention.minutes", None, Any, Fixed)
        .used("The value of log.retention.ms where that is not set, in minutes."),
    long("log.retention.ms", None, Any, Cluster)
        .used("How long records are kept at least, for topics without a retention.ms; -1 keeps them for ever."),
    int("log.roll.hours", Some("168"), Min(1), Fixed).used("The value of log.roll.ms where that is not set, in hours."),
    int("log.roll.jitter.hours", Some("0"), Min(0), Fixed)
        .used("The value of log.roll.jitter.ms where that is not set, in hours."),
    long("log.roll.jitter.ms", None, Any, Cluster)
        .used("Random time by which segments are closed earlier, at most, for topics without a segment.jitter.ms."),
    long("log.roll.ms", None, Any, Cluster).used("Age at which a segment is closed, for topics without a segment.ms."),
    long("log.scrub.bytes.per.second", Some("16777216"), Min(1), Fixed).used(
        "Ours: how fast stored records are read again and verified, at most, in bytes a second of the whole \
         node.",
    ),
    long("log.scrub.interval.ms", Some("604800000"), Min(0), Fixed).used(
        "Ours: time between the beginnings of two passes in which all stored records are read again and \
         verified, so that rot is found before somebody needs them; 0 never does.",
    ),
    int("log.segment.bytes", Some("1073741824"), Min(1_048_576), Cluster)
        .used("Size at which a segment is closed, for topics without a segment.bytes."),
    long("log.segment.delete.delay.ms", Some("60000"), Min(0), Cluster)
        .used("How long the file of a deleted segment stays, for topics without a file.delete.delay.ms."),
    int("message.max.bytes", Some("1048588"), Min(0), Cluster)
        .used("Largest record batch that is taken, for topics without a max.message.bytes."),
    int("min.insync.replicas", Some("1"), Min(1), Cluster)
        .used("In-sync replicas that a write with acks=all needs, for topics without a min.insync.replicas."),
    boolean("unclean.leader.election.enable", Some("false"), Any, Cluster).used(
        "Whether a replica that lacks acknowledged records may lead, for topics without an \
         unclean.leader.election.enable.",
    ),
];

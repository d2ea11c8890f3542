//! The configuration keys of a topic: Kafka 4.3.1's thirty-three and our own `durability`, each with its type, rule,
//! default, the broker keys that stand in where the topic says nothing, and what it means.
//!
//! What the values come to for one topic is in [`topic_settings`](super::topic_settings).

use super::durability::DurabilityClass;
use super::value::{Kind, Refusal, Rule, check};

/// How the value of a broker key becomes the value of a topic key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As it is.
    Same,
    /// Minutes, to be milliseconds.
    Minutes,
    /// Hours, to be milliseconds.
    Hours,
}

/// A broker key that supplies a topic key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The broker key.
    pub key: &'static str,
    /// Its unit.
    pub unit: Unit,
}

impl Synonym {
    /// The broker's value in the topic key's unit. Numbers that would overflow stop at the largest.
    pub fn convert(&self, value: &str) -> String {
        let factor = match self.unit {
            Unit::Same => return value.to_owned(),
            Unit::Minutes => 60_000,
            Unit::Hours => 3_600_000,
        };
        match value.trim().parse::<i64>() {
            Ok(number) if number < 0 => "-1".to_owned(),
            Ok(number) => number.saturating_mul(factor).to_string(),
            Err(_) => value.to_owned(),
        }
    }
}

/// One topic configuration key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopicKey {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What its value must satisfy.
    pub rule: Rule,
    /// The value when nobody says anything.
    pub default: &'static str,
    /// Broker keys that supply the value, strongest first.
    pub synonyms: &'static [Synonym],
    /// What it means.
    pub doc: &'static str,
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static TopicKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Checks one override. Unknown keys are refused, as Kafka does for topics.
pub fn validate(name: &str, value: &str) -> Result<(), Refusal> {
    let Some(key) = find(name) else {
        let message = format!("Unknown topic config name: {name}");
        return Err(Refusal::saying(name, value, message, "this is not a configuration of topics"));
    };
    check(name, key.kind, key.rule, value)?;
    refuse_what_is_not_there(name, value)
}

/// Tiered storage would move data; taking the setting without acting on it would mislead.
fn refuse_what_is_not_there(name: &str, value: &str) -> Result<(), Refusal> {
    if name == "remote.storage.enable" && value.trim().eq_ignore_ascii_case("true") {
        let message = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.";
        return Err(Refusal::saying(name, value, message, "only false is allowed"));
    }
    Ok(())
}

const fn same(key: &'static str) -> Synonym {
    Synonym { key, unit: Unit::Same }
}

const NEVER: &str = "9223372036854775807";

const fn key(
    name: &'static str,
    kind: Kind,
    rule: Rule,
    default: &'static str,
    synonyms: &'static [Synonym],
    doc: &'static str,
) -> TopicKey {
    TopicKey { name, kind, rule, default, synonyms, doc }
}

/// All keys, sorted by name. `durability` is ours; everything else is Kafka 4.3.1's `LogConfig`.
pub const KEYS: &[TopicKey] = &[
    key(
        "cleanup.policy",
        Kind::List,
        Rule::AnyOf(&["compact", "delete"]),
        "delete",
        &[same("log.cleanup.policy")],
        "What happens to old data: \"delete\" drops whole segments by age and size, \"compact\" keeps the newest record of \
         every key, both do both, and an empty list keeps everything.",
    ),
    key(
        "compression.gzip.level",
        Kind::Int,
        Rule::DefaultOr(1, 9),
        "-1",
        &[same("compression.gzip.level")],
        "Effort of gzip where the broker compresses; -1 leaves it to the codec.",
    ),
    key(
        "compression.lz4.level",
        Kind::Int,
        Rule::Range(1, 17),
        "9",
        &[same("compression.lz4.level")],
        "Effort of lz4 where the broker compresses.",
    ),
    key(
        "compression.type",
        Kind::String,
        Rule::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        &[same("compression.type")],
        "The codec that stored batches have. \"producer\" keeps each batch as its producer sent it.",
    ),
    key(
        "compression.zstd.level",
        Kind::Int,
        Rule::Range(-131_072, 22),
        "3",
        &[same("compression.zstd.level")],
        "Effort of zstd where the broker compresses.",
    ),
    key(
        "delete.retention.ms",
        Kind::Long,
        Rule::Min(0),
        "86400000",
        &[same("log.cleaner.delete.retention.ms")],
        "How long a compacted topic keeps the mark that a key was deleted, so that slow readers still see it.",
    ),
    key(
        "durability",
        Kind::String,
        Rule::OneOf(DurabilityClass::WORDS),
        "fsync",
        &[same("durability")],
        "When a write is acknowledged: \"fsync\" once the device has it, \"interval\" once written with a flush every \
         flush.ms, \"none\" once written. Not a setting of Kafka.",
    ),
    key(
        "file.delete.delay.ms",
        Kind::Long,
        Rule::Min(0),
        "60000",
        &[same("log.segment.delete.delay.ms")],
        "Time between taking a segment out of service and removing its file.",
    ),
    key(
        "flush.messages",
        Kind::Long,
        Rule::Min(1),
        NEVER,
        &[same("log.flush.interval.messages")],
        "Records after which a log is flushed at the latest. Setting it asks for a flush before every acknowledgement, which is \
         never later.",
    ),
    key(
        "flush.ms",
        Kind::Long,
        Rule::Min(0),
        NEVER,
        &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
        "Longest time that an acknowledged write may wait for its flush. Setting it asks for interval durability.",
    ),
    key(
        "follower.replication.throttled.replicas",
        Kind::List,
        Rule::Replicas,
        "",
        &[],
        "Replicas whose fetching is held to the follower's throttle: partition:broker pairs, or * for all. One broker fetches \
         nothing.",
    ),
    key(
        "index.interval.bytes",
        Kind::Int,
        Rule::Min(0),
        "4096",
        &[same("log.index.interval.bytes")],
        "Bytes of log between two entries of its index.",
    ),
    key(
        "leader.replication.throttled.replicas",
        Kind::List,
        Rule::Replicas,
        "",
        &[],
        "Replicas whose serving is held to the leader's throttle: partition:broker pairs, or * for all. One broker serves no \
         follower.",
    ),
    key(
        "local.retention.bytes",
        Kind::Long,
        Rule::Min(-2),
        "-2",
        &[same("log.local.retention.bytes")],
        "With tiered storage, the size that stays on local disks; -2 means as retention.bytes.",
    ),
    key(
        "local.retention.ms",
        Kind::Long,
        Rule::Min(-2),
        "-2",
        &[same("log.local.retention.ms")],
        "With tiered storage, how long data stays on local disks; -2 means as retention.ms.",
    ),
    key(
        "max.compaction.lag.ms",
        Kind::Long,
        Rule::Min(1),
        NEVER,
        &[same("log.cleaner.max.compaction.lag.ms")],
        "Longest time that a record may wait before compaction considers it.",
    ),
    key(
        "max.message.bytes",
        Kind::Int,
        Rule::Min(0),
        "1048588",
        &[same("message.max.bytes")],
        "Largest record batch that is taken, in bytes as sent.",
    ),
    key(
        "message.timestamp.after.max.ms",
        Kind::Long,
        Rule::Min(0),
        "3600000",
        &[same("log.message.timestamp.after.max.ms")],
        "How far a record's timestamp may lie in the future. Has no effect with LogAppendTime.",
    ),
    key(
        "message.timestamp.before.max.ms",
        Kind::Long,
        Rule::Min(0),
        NEVER,
        &[same("log.message.timestamp.before.max.ms")],
        "How far a record's timestamp may lie in the past. Has no effect with LogAppendTime.",
    ),
    key(
        "message.timestamp.type",
        Kind::String,
        Rule::OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        &[same("log.message.timestamp.type")],
        "Whether records carry the time their producer gave them or the time the broker took them.",
    ),
    key(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        Rule::Fraction(0.0, 1.0),
        "0.5",
        &[same("log.cleaner.min.cleanable.ratio")],
        "Share of a log that must be new since the last compaction before the next one is worth it.",
    ),
    key(
        "min.compaction.lag.ms",
        Kind::Long,
        Rule::Min(0),
        "0",
        &[same("log.cleaner.min.compaction.lag.ms")],
        "Shortest time that a record stays as it was written before compaction may drop it.",
    ),
    key(
        "min.insync.replicas",
        Kind::Int,
        Rule::Min(1),
        "1",
        &[same("min.insync.replicas")],
        "In-sync replicas that a write with acks=all needs, at most as many as the partition has; with fewer it is refused.",
    ),
    key(
        "preallocate",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[same("log.preallocate")],
        "Whether a segment gets the space of segment.bytes with its first batch; what is left is given back when it is closed. \
         Otherwise space grows by need.",
    ),
    key(
        "remote.log.copy.disable",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[],
        "With tiered storage, stops copying segments while those already copied stay readable.",
    ),
    key(
        "remote.log.delete.on.disable",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[],
        "Whether turning tiered storage off deletes what it had stored.",
    ),
    key(
        "remote.storage.enable",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[],
        "Whether the topic's old segments move to tiered storage.",
    ),
    key(
        "retention.bytes",
        Kind::Long,
        Rule::Any,
        "-1",
        &[same("log.retention.bytes")],
        "Size that a partition may reach before its oldest segments are deleted; -1 sets no limit.",
    ),
    key(
        "retention.ms",
        Kind::Long,
        Rule::Min(-1),
        "604800000",
        &[
            same("log.retention.ms"),
            Synonym { key: "log.retention.minutes", unit: Unit::Minutes },
            Synonym { key: "log.retention.hours", unit: Unit::Hours },
        ],
        "How long a record is kept at least before its segment may be deleted; -1 keeps it for ever.",
    ),
    key(
        "segment.bytes",
        Kind::Int,
        Rule::Min(1_048_576),
        "1073741824",
        &[same("log.segment.bytes")],
        "Size of one file of the log. Retention and compaction work on whole files.",
    ),
    key(
        "segment.index.bytes",
        Kind::Int,
        Rule::Min(4),
        "10485760",
        &[same("log.index.size.max.bytes")],
        "A segment is closed when an index of this size is full in Kafka's format: 8 bytes for each index.interval.bytes, 12 \
         where the newest timestamp rose. Our own index files are as large as what they hold.",
    ),
    key(
        "segment.jitter.ms",
        Kind::Long,
        Rule::Min(0),
        "0",
        &[same("log.roll.jitter.ms"), Synonym { key: "log.roll.jitter.hours", unit: Unit::Hours }],
        "Upper end of the random time taken off segment.ms, so that many partitions do not roll at once.",
    ),
    key(
        "segment.ms",
        Kind::Long,
        Rule::Min(1),
        "604800000",
        &[same("log.roll.ms"), Synonym { key: "log.roll.hours", unit: Unit::Hours }],
        "Age at which a segment is closed even though it is not full.",
    ),
    key(
        "unclean.leader.election.enable",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[same("unclean.leader.election.enable")],
        "Whether a replica that lacks acknowledged records may lead when no other is left. That loses those records.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The public topic configurations of Kafka 4.3.1.
    const KAFKA: [&str; 33] = [
        "cleanup.policy",
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.type",
        "compression.zstd.level",
        "delete.retention.ms",
        "file.delete.delay.ms",
        "flush.messages",
        "flush.ms",
        "follower.replication.throttled.replicas",
        "index.interval.bytes",
        "leader.replication.throttled.replicas",
        "local.retention.bytes",
        "local.retention.ms",
        "max.compaction.lag.ms",
        "max.message.bytes",
        "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms",
        "message.timestamp.type",
        "min.cleanable.dirty.ratio",
        "min.compaction.lag.ms",
        "min.insync.replicas",
        "preallocate",
        "remote.log.copy.disable",
        "remote.log.delete.on.disable",
        "remote.storage.enable",
        "retention.bytes",
        "retention.ms",
        "segment.bytes",
        "segment.index.bytes",
        "segment.jitter.ms",
        "segment.ms",
        "unclean.leader.election.enable",
    ];

    #[test]
    fn the_table_is_kafkas_and_durability() {
        let ours: Vec<&str> = KEYS.iter().map(|key| key.name).filter(|name| *name != "durability").collect();
        assert_eq!(ours, KAFKA, "names, order and number");
        assert!(find("durability").is_some());
        assert!(KEYS.is_sorted_by_key(|key| key.name));
    }

    #[test]
    fn every_default_obeys_its_own_rule() {
        for key in KEYS {
            assert_eq!(validate(key.name, key.default), Ok(()), "{}", key.name);
            assert!(key.doc.ends_with('.'), "{}", key.name);
        }
    }

    #[test]
    fn refusals() {
        for (name, value) in [
            ("cleanup.policy", "shred"),
            ("compression.type", "brotli"),
            ("segment.bytes", "1000"),
            ("retention.ms", "-2"),
            ("max.message.bytes", "9999999999"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("durability", "maybe"),
            ("remote.storage.enable", "true"),
            ("message.format.version", "3.0"),
            ("no.such.key", "1"),
        ] {
            let refusal = validate(name, value).expect_err(name);
            assert_eq!((refusal.key.as_str(), refusal.value.as_str()), (name, value));
        }
        assert_eq!(validate("cleanup.policy", ""), Ok(()), "an empty list keeps everything");
    }

    #[test]
    fn units_convert_without_overflow() {
        let hours = Synonym { key: "log.retention.hours", unit: Unit::Hours };
        for (value, expect) in [("168", "604800000"), ("-1", "-1"), (NEVER, NEVER), ("0", "0")] {
            assert_eq!(hours.convert(value), expect);
        }
    }
}

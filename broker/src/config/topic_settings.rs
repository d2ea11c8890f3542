//! What all layers of configuration come to for one topic, typed.

use super::durability::{self, DurabilityClass, Wishes};
use super::layers::{Layers, Source, Values};
use super::topic;
use super::value::{boolean, words_of};
use crate::store::{Durability, LogSettings};

/// `cleanup.policy`. Neither set: nothing is ever removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Keep the newest record of each key.
    pub compact: bool,
    /// Delete segments by age and size.
    pub delete: bool,
}

/// `compression.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent it.
    Producer,
    /// None.
    Uncompressed,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4.
    Lz4,
    /// zstd.
    Zstd,
}

/// `message.timestamp.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's.
    LogAppendTime,
}

/// `*.replication.throttled.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// Every replica.
    All,
    /// These pairs of partition and broker.
    Pairs(Vec<(i32, i32)>),
}

/// The typed configuration of one topic. Names and units are those of Kafka's keys.
#[expect(missing_docs, reason = "each field is the key of the same name in config::topic, described there")]
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSettings {
    pub cleanup_policy: CleanupPolicy,
    pub compression_type: CompressionType,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub follower_throttled_replicas: ThrottledReplicas,
    pub leader_throttled_replicas: ThrottledReplicas,
    pub index_interval_bytes: i32,
    pub local_retention_bytes: i64,
    pub local_retention_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub max_message_bytes: i32,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_type: TimestampType,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    pub remote_log_copy_disable: bool,
    pub remote_log_delete_on_disable: bool,
    pub remote_storage_enable: bool,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election_enable: bool,
    /// What the precedence of [`durability::choose`] came to.
    pub durability: Durability,
}

impl TopicSettings {
    /// Resolves every key for a topic with these overrides. Values were checked when they were accepted; one that does
    /// not parse all the same (an older version took it) counts as the default.
    pub fn resolve(layers: Layers<'_>, overrides: &Values, internal: bool) -> Self {
        let look = Look { layers, overrides };
        Self {
            cleanup_policy: cleanup(&look.text("cleanup.policy")),
            compression_type: compression(&look.text("compression.type")),
            compression_gzip_level: look.int("compression.gzip.level"),
            compression_lz4_level: look.int("compression.lz4.level"),
            compression_zstd_level: look.int("compression.zstd.level"),
            delete_retention_ms: look.long("delete.retention.ms"),
            file_delete_delay_ms: look.long("file.delete.delay.ms"),
            flush_messages: look.long("flush.messages"),
            flush_ms: look.long("flush.ms"),
            follower_throttled_replicas: replicas(&look.text("follower.replication.throttled.replicas")),
            leader_throttled_replicas: replicas(&look.text("leader.replication.throttled.replicas")),
            index_interval_bytes: look.int("index.interval.bytes"),
            local_retention_bytes: look.long("local.retention.bytes"),
            local_retention_ms: look.long("local.retention.ms"),
            max_compaction_lag_ms: look.long("max.compaction.lag.ms"),
            max_message_bytes: look.int("max.message.bytes"),
            message_timestamp_after_max_ms: look.long("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: look.long("message.timestamp.before.max.ms"),
            message_timestamp_type: timestamp(&look.text("message.timestamp.type")),
            min_cleanable_dirty_ratio: look.parsed("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: look.long("min.compaction.lag.ms"),
            min_insync_replicas: look.int("min.insync.replicas"),
            preallocate: look.flag("preallocate"),
            remote_log_copy_disable: look.flag("remote.log.copy.disable"),
            remote_log_delete_on_disable: look.flag("remote.log.delete.on.disable"),
            remote_storage_enable: look.flag("remote.storage.enable"),
            retention_bytes: look.long("retention.bytes"),
            retention_ms: look.long("retention.ms"),
            segment_bytes: look.int("segment.bytes"),
            segment_index_bytes: look.int("segment.index.bytes"),
            segment_jitter_ms: look.long("segment.jitter.ms"),
            segment_ms: look.long("segment.ms"),
            unclean_leader_election_enable: look.flag("unclean.leader.election.enable"),
            durability: durability::choose(look.wishes(internal)),
        }
    }

    /// The part that storage acts on.
    pub fn log_settings(&self) -> LogSettings {
        LogSettings {
            segment_bytes: u64::from(self.segment_bytes.unsigned_abs()),
            segment_ms: self.roll_ms(),
            segment_jitter_ms: self.segment_jitter_ms,
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
            delete_policy: self.cleanup_policy.delete,
            compact_policy: self.cleanup_policy.compact,
            delete_retention_ms: self.delete_retention_ms,
            min_compaction_lag_ms: self.min_compaction_lag_ms,
            max_compaction_lag_ms: self.max_compaction_lag_ms,
            min_cleanable_ppm: (self.min_cleanable_dirty_ratio * 1e6) as u32,
            index_interval_bytes: self.index_interval_bytes.unsigned_abs(),
            segment_index_bytes: self.segment_index_bytes.unsigned_abs(),
            preallocate: self.preallocate,
            file_delete_delay_ms: self.file_delete_delay_ms.unsigned_abs(),
            durability: self.durability,
        }
    }
}

impl TopicSettings {
    /// What waits in the active segment cannot be compacted, so a compacted log rolls within its longest lag.
    fn roll_ms(&self) -> i64 {
        if self.cleanup_policy.compact { self.segment_ms.min(self.max_compaction_lag_ms) } else { self.segment_ms }
    }
}

struct Look<'a> {
    layers: Layers<'a>,
    overrides: &'a Values,
}

impl Look<'_> {
    fn text(&self, name: &str) -> String {
        let Some(key) = topic::find(name) else { unreachable!("{name} is in the table: every call is tested") };
        let (value, _) = self.layers.topic_value(key, self.overrides);
        match topic::validate(name, &value) {
            Ok(()) => value.trim().to_owned(),
            Err(_) => key.default.to_owned(),
        }
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> T {
        match self.text(name).parse() {
            Ok(value) => value,
            Err(_) => unreachable!("{name} was checked against its type"),
        }
    }

    fn int(&self, name: &str) -> i32 {
        self.parsed(name)
    }

    fn long(&self, name: &str) -> i64 {
        self.parsed(name)
    }

    fn flag(&self, name: &str) -> bool {
        boolean(&self.text(name)).unwrap_or(false)
    }

    fn explicit(&self, name: &str) -> Option<String> {
        let key = topic::find(name)?;
        let (_, source) = self.layers.topic_value(key, self.overrides);
        (source != Source::Default).then(|| self.text(name))
    }

    fn wishes(&self, internal: bool) -> Wishes {
        let number = |name| self.explicit(name).and_then(|text| text.parse().ok());
        let broker = self.layers.said(["durability"].into_iter()).next();
        Wishes {
            internal,
            topic: self.overrides.get("durability").and_then(|word| DurabilityClass::parse(word.trim())),
            explicit_flush_messages: number("flush.messages"),
            explicit_flush_ms: number("flush.ms"),
            broker: broker
                .and_then(|(_, word, _)| DurabilityClass::parse(word.trim()))
                .unwrap_or(DurabilityClass::Fsync),
        }
    }
}

fn cleanup(list: &str) -> CleanupPolicy {
    CleanupPolicy {
        compact: words_of(list).any(|word| word == "compact"),
        delete: words_of(list).any(|word| word == "delete"),
    }
}

fn compression(word: &str) -> CompressionType {
    match word {
        "uncompressed" => CompressionType::Uncompressed,
        "gzip" => CompressionType::Gzip,
        "snappy" => CompressionType::Snappy,
        "lz4" => CompressionType::Lz4,
        "zstd" => CompressionType::Zstd,
        _ => CompressionType::Producer,
    }
}

fn timestamp(word: &str) -> TimestampType {
    if word == "LogAppendTime" { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
}

fn replicas(list: &str) -> ThrottledReplicas {
    if list == "*" {
        return ThrottledReplicas::All;
    }
    let pair = |word: &str| {
        let (partition, broker) = word.split_once(':')?;
        Some((partition.parse().ok()?, broker.parse().ok()?))
    };
    ThrottledReplicas::Pairs(words_of(list).filter_map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn resolve(overrides: &[(&str, &str)], dynamic: &[(&str, &str)], statics: &[(&str, &str)]) -> TopicSettings {
        let (broker, cluster, statics) = (values(dynamic), Values::new(), values(statics));
        let layers = Layers { broker: &broker, cluster: &cluster, statics: &statics };
        TopicSettings::resolve(layers, &values(overrides), false)
    }

    #[test]
    fn defaults_are_kafkas_and_durable() {
        let settings = resolve(&[], &[], &[]);
        assert_eq!(settings.retention_ms, 604_800_000);
        assert_eq!(settings.segment_bytes, 1 << 30);
        assert_eq!(settings.max_message_bytes, 1_048_588);
        assert_eq!(settings.cleanup_policy, CleanupPolicy { compact: false, delete: true });
        assert_eq!(settings.durability, Durability::Fsync);
        assert!(settings.log_settings().delete_policy);
    }

    #[test]
    fn the_strongest_layer_wins() {
        for (overrides, dynamic, statics, expect) in [
            (&[][..], &[][..], &[("log.retention.hours", "1")][..], 3_600_000),
            (&[], &[], &[("log.retention.hours", "1"), ("log.retention.minutes", "2")], 120_000),
            (&[], &[], &[("log.retention.minutes", "2"), ("log.retention.ms", "3")], 3),
            (&[], &[("log.retention.ms", "4")], &[("log.retention.ms", "3")], 4),
            (&[("retention.ms", "5")], &[("log.retention.ms", "4")], &[], 5),
            (&[("retention.ms", "junk")], &[], &[], 604_800_000),
        ] {
            assert_eq!(resolve(overrides, dynamic, statics).retention_ms, expect);
        }
    }

    #[test]
    fn an_explicit_flush_setting_speaks_where_durability_does_not() {
        assert_eq!(resolve(&[("flush.ms", "20")], &[], &[]).durability, Durability::Interval { ms: 20 });
        assert_eq!(resolve(&[], &[], &[("durability", "none")]).durability, Durability::None);
        assert_eq!(resolve(&[("durability", "fsync")], &[], &[("durability", "none")]).durability, Durability::Fsync);
        let flushed = resolve(&[], &[], &[("durability", "none"), ("log.flush.interval.messages", "1")]);
        assert_eq!(flushed.durability, Durability::Fsync);
    }

    #[test]
    fn words_become_types() {
        let settings = resolve(
            &[
                ("cleanup.policy", "compact,delete"),
                ("compression.type", "zstd"),
                ("message.timestamp.type", "LogAppendTime"),
                ("leader.replication.throttled.replicas", "0:1,2:3"),
                ("follower.replication.throttled.replicas", "*"),
            ],
            &[],
            &[],
        );
        assert_eq!(settings.cleanup_policy, CleanupPolicy { compact: true, delete: true });
        assert_eq!(settings.compression_type, CompressionType::Zstd);
        assert_eq!(settings.message_timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(settings.leader_throttled_replicas, ThrottledReplicas::Pairs(vec![(0, 1), (2, 3)]));
        assert_eq!(settings.follower_throttled_replicas, ThrottledReplicas::All);
    }
}

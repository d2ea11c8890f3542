//! What an operator can set about groups, under Kafka's names and defaults.

use super::consumer::settings::ConsumerSettings;
use crate::settings::BrokerSettings;

/// Settings of the coordinator.
#[derive(Clone, Debug)]
pub(crate) struct GroupSettings {
    /// `group.min.session.timeout.ms`.
    pub(crate) session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub(crate) session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) initial_rebalance_delay_ms: u64,
    /// `group.max.size`.
    pub(crate) members_max: usize,
    /// `offset.metadata.max.bytes`; UTF-16 units, as Kafka counts.
    pub(crate) offset_metadata_units_max: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub(crate) offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub(crate) retention_check_interval_ms: u64,
    /// Largest batch that `__consumer_offsets` takes (`max.message.bytes` of the topic, once there is one).
    pub(crate) batch_bytes_max: usize,
    /// The shard's share of `group.members.bytes.max`.
    pub(crate) member_bytes_max: usize,
    /// `group.consumer.*`.
    pub(crate) consumer: ConsumerSettings,
}

impl GroupSettings {
    /// Those of one of so many shards.
    pub(crate) fn of_shard(settings: &BrokerSettings, shards: u16) -> Self {
        let count = |value: i32| usize::try_from(value).unwrap_or(0);
        Self {
            session_timeout_ms_min: settings.group_min_session_timeout_ms,
            session_timeout_ms_max: settings.group_max_session_timeout_ms,
            initial_rebalance_delay_ms: u64::try_from(settings.group_initial_rebalance_delay_ms).unwrap_or(0),
            members_max: count(settings.group_max_size),
            offset_metadata_units_max: count(settings.offset_metadata_max_bytes),
            offsets_retention_ms: i64::from(settings.offsets_retention_minutes) * 60_000,
            retention_check_interval_ms: u64::try_from(settings.offsets_retention_check_interval_ms)
                .unwrap_or(0)
                .max(1),
            member_bytes_max: settings.group_members_bytes_max / usize::from(shards.max(1)),
            consumer: ConsumerSettings::from(settings),
            ..Self::default()
        }
    }
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            members_max: i32::MAX as usize,
            offset_metadata_units_max: 4_096,
            offsets_retention_ms: 10_080 * 60 * 1_000,
            retention_check_interval_ms: 600_000,
            batch_bytes_max: 1_048_588,
            member_bytes_max: 256 << 20,
            consumer: ConsumerSettings::from(&BrokerSettings::default()),
        }
    }
}

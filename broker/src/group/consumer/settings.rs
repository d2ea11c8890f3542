//! What an operator can set about groups of the new protocol: `group.consumer.*` of the broker, and what a group has of its own.

use super::assignor::Assignor;
use crate::settings::BrokerSettings;

/// Which way a group may change between the protocols while it has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MigrationPolicy {
    /// From classic to consumer.
    pub(crate) upgrades: bool,
    /// From consumer to classic.
    pub(crate) downgrades: bool,
}

impl MigrationPolicy {
    /// The policy of that name, in any letter case; Kafka's default for another.
    fn named(name: &str) -> Self {
        let is = |word: &str| name.trim().eq_ignore_ascii_case(word);
        let none = is("disabled");
        MigrationPolicy { upgrades: !none && !is("downgrade"), downgrades: !none && !is("upgrade") }
    }
}

/// `group.consumer.*`.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerSettings {
    /// For a group without a configuration of its own.
    pub(crate) group: GroupConfig,
    /// `group.consumer.min.session.timeout.ms` and `…max…`, which bound a group's own.
    pub(crate) session_timeout_ms: (u64, u64),
    /// `group.consumer.min.heartbeat.interval.ms` and `…max…`.
    pub(crate) heartbeat_interval_ms: (u64, u64),
    /// `group.consumer.min.assignment.interval.ms` and `…max…`.
    pub(crate) assignment_interval_ms: (u64, u64),
    /// `group.consumer.max.size`.
    pub(crate) members_max: usize,
    /// `group.consumer.assignors`, the default first.
    pub(crate) assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`.
    pub(crate) migration: MigrationPolicy,
    /// `group.consumer.regex.refresh.interval.ms`.
    pub(crate) regex_refresh_interval_ms: u64,
}

/// What a group may have of its own (KIP-848, GROUP resources).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupConfig {
    /// `consumer.session.timeout.ms`.
    pub(crate) session_timeout_ms: u64,
    /// `consumer.heartbeat.interval.ms`.
    pub(crate) heartbeat_interval_ms: u64,
    /// `consumer.assignment.interval.ms`.
    pub(crate) assignment_interval_ms: u64,
}

impl ConsumerSettings {
    /// The first of the list.
    pub(crate) fn default_assignor(&self) -> Assignor {
        self.assignors.first().copied().unwrap_or(Assignor::Uniform)
    }

    /// Their names, for a client that asked for another.
    pub(crate) fn assignor_names(&self) -> String {
        self.assignors.iter().map(|assignor| assignor.name()).collect::<Vec<_>>().join(", ")
    }

    /// What a group's own configuration comes to within the broker's bounds. `find` looks one key up.
    pub(crate) fn group_config(&self, find: impl Fn(&str) -> Option<u64>) -> GroupConfig {
        let value =
            |key: &str, default: u64, (min, max): (u64, u64)| find(key).map_or(default, |own| own.max(min).min(max));
        let GroupConfig { session_timeout_ms, heartbeat_interval_ms, assignment_interval_ms } = self.group;
        GroupConfig {
            session_timeout_ms: value("consumer.session.timeout.ms", session_timeout_ms, self.session_timeout_ms),
            heartbeat_interval_ms: value(
                "consumer.heartbeat.interval.ms",
                heartbeat_interval_ms,
                self.heartbeat_interval_ms,
            ),
            assignment_interval_ms: value(
                "consumer.assignment.interval.ms",
                assignment_interval_ms,
                self.assignment_interval_ms,
            ),
        }
    }
}

impl From<&BrokerSettings> for ConsumerSettings {
    fn from(settings: &BrokerSettings) -> Self {
        let ms =
            |key: &str, default: u64| settings.statics.get(key).and_then(|v| v.trim().parse().ok()).unwrap_or(default);
        let assignors = settings
            .statics
            .get("group.consumer.assignors")
            .map(|list| list.split(',').filter_map(|name| Assignor::named(name.trim())).collect::<Vec<_>>());
        let policy = settings.statics.get("group.consumer.migration.policy");
        ConsumerSettings {
            group: GroupConfig {
                session_timeout_ms: ms("group.consumer.session.timeout.ms", 45_000),
                heartbeat_interval_ms: ms("group.consumer.heartbeat.interval.ms", 5_000),
                assignment_interval_ms: ms("group.consumer.assignment.interval.ms", 1_000),
            },
            session_timeout_ms: (
                ms("group.consumer.min.session.timeout.ms", 45_000),
                ms("group.consumer.max.session.timeout.ms", 60_000),
            ),
            heartbeat_interval_ms: (
                ms("group.consumer.min.heartbeat.interval.ms", 5_000),
                ms("group.consumer.max.heartbeat.interval.ms", 15_000),
            ),
            assignment_interval_ms: (
                ms("group.consumer.min.assignment.interval.ms", 0),
                ms("group.consumer.max.assignment.interval.ms", 15_000),
            ),
            members_max: usize::try_from(ms("group.consumer.max.size", i32::MAX as u64)).unwrap_or(usize::MAX),
            assignors: assignors.filter(|list| !list.is_empty()).unwrap_or(vec![Assignor::Uniform, Assignor::Range]),
            migration: MigrationPolicy::named(policy.map_or("bidirectional", String::as_str)),
            regex_refresh_interval_ms: ms("group.consumer.regex.refresh.interval.ms", 600_000),
        }
    }
}

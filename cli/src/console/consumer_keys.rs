//! A consumer's properties, as Kafka names them, and what they mean for a [`Plan`](super::consume::Plan).

use super::assign::Assignor;
use super::consume::Reset;
use super::keys::Keys;
use super::member::GroupSettings;
use crate::client::{FetchLimits, Isolation};
use crate::failure::Failure;
use std::time::Duration;

/// The keys that have an effect here, besides those of every client.
pub(super) const KNOWN: &[&str] = &[
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "enable.auto.commit",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "metadata.max.age.ms",
    "partition.assignment.strategy",
    "session.timeout.ms",
];

/// `auto.offset.reset`.
pub(super) fn reset(keys: &Keys) -> Result<Option<Reset>, Failure> {
    match keys.text("auto.offset.reset") {
        None => Ok(None),
        Some("earliest") => Ok(Some(Reset::Earliest)),
        Some("latest") => Ok(Some(Reset::Latest)),
        Some("none") => Ok(Some(Reset::None)),
        Some(value) => {
            let text = format!("auto.offset.reset={value} is not usable: expected earliest, latest or none");
            Err(Failure::usage(text))
        }
    }
}

/// How much to fetch at once.
pub(super) fn limits(keys: &Keys, isolation: Isolation) -> Result<FetchLimits, Failure> {
    let default = FetchLimits::default();
    let bytes = "a number of bytes";
    Ok(FetchLimits {
        max_wait: keys.millis("fetch.max.wait.ms")?.unwrap_or(default.max_wait),
        min_bytes: keys.parsed("fetch.min.bytes", bytes)?.unwrap_or(default.min_bytes),
        max_bytes: keys.parsed("fetch.max.bytes", bytes)?.unwrap_or(default.max_bytes),
        partition_max_bytes: keys.parsed("max.partition.fetch.bytes", bytes)?.unwrap_or(default.partition_max_bytes),
        isolation,
    })
}

/// `read_committed` or `read_uncommitted`.
pub(super) fn isolation(text: &str) -> Result<Isolation, Failure> {
    match text {
        "read_uncommitted" => Ok(Isolation::ReadUncommitted),
        "read_committed" => Ok(Isolation::ReadCommitted),
        other => {
            let text = format!("isolation level {other} is not usable: expected read_committed or read_uncommitted");
            Err(Failure::usage(text))
        }
    }
}

/// How to be a member of a group.
pub(super) fn group(keys: &Keys, group: String) -> Result<GroupSettings, Failure> {
    let is_modern = match keys.text("group.protocol").map(str::to_ascii_lowercase).as_deref() {
        None | Some("classic") => false,
        Some("consumer") => true,
        Some(other) => {
            let text = format!("group.protocol={other} is not usable: expected classic or consumer");
            return Err(Failure::usage(text));
        }
    };
    let or = |key, default| Ok::<_, Failure>(keys.millis(key)?.unwrap_or(Duration::from_millis(default)));
    Ok(GroupSettings {
        group,
        instance: keys.text("group.instance.id").map(str::to_owned),
        is_modern,
        remote_assignor: keys.text("group.remote.assignor").map(str::to_owned),
        assignors: assignors(keys)?,
        session_timeout: or("session.timeout.ms", 45_000)?,
        heartbeat_interval: or("heartbeat.interval.ms", 3_000)?,
        max_poll_interval: or("max.poll.interval.ms", 300_000)?,
    })
}

/// `partition.assignment.strategy`; Kafka's default lets a group go over to the cooperative one.
fn assignors(keys: &Keys) -> Result<Vec<Assignor>, Failure> {
    let Some(list) = keys.text("partition.assignment.strategy") else {
        return Ok(vec![Assignor::Range, Assignor::CooperativeSticky]);
    };
    let one = |name: &str| {
        Assignor::by_name(name).ok_or_else(|| {
            let text = format!("partition.assignment.strategy: there is no assignor {} here", name.trim());
            Failure::usage(text).hint("there are RangeAssignor, RoundRobinAssignor and CooperativeStickyAssignor")
        })
    };
    list.split(',').map(one).collect()
}

/// How often to commit; never without a group.
pub(super) fn auto_commit(keys: &Keys, in_group: bool) -> Result<Option<Duration>, Failure> {
    let every = keys.millis("auto.commit.interval.ms")?.unwrap_or(Duration::from_secs(5));
    Ok((in_group && keys.is("enable.auto.commit")?.unwrap_or(true)).then_some(every))
}

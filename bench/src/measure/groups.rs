//! Groups: how long one takes to come to rest, and what many cost that only live.

use super::commits::wait_for_coordinator;
use super::drive::flags;
use super::{Job, MeasureError};
use crate::members::Protocol;
use crate::peers::Broker;
use serde_json::Value;

const TOPIC: &str = "bench";

/// Members of a classic group say that they live as often as the Java client's, in milliseconds.
const HEARTBEAT_MS: u64 = 3_000;

pub(super) fn settle(
    job: &Job<'_>,
    members: usize,
    partitions: i32,
    protocol: Protocol,
) -> Result<Value, MeasureError> {
    let broker = ready(job, partitions, 1)?;
    let words = job.members(
        "settle",
        &[
            ("--members", members.to_string()),
            ("--partitions", partitions.to_string()),
            ("--protocol", protocol.name().to_owned()),
        ],
    );
    job.drive(&broker, &words)
}

pub(super) fn live(job: &Job<'_>, groups: usize) -> Result<Value, MeasureError> {
    let broker = ready(job, 1, groups)?;
    let words = job.members(
        "live",
        &[("--groups", groups.to_string()), ("--members", "1".to_owned()), ("--partitions", "1".to_owned())],
    );
    job.drive(&broker, &words)
}

/// A broker with the topic, and a coordinator for every group.
fn ready(job: &Job<'_>, partitions: i32, groups: usize) -> Result<Broker, MeasureError> {
    let broker = job.start()?;
    job.topic(&broker, TOPIC, partitions, None)?;
    // Groups spread over the partitions of `__consumer_offsets`, which are loaded one by one.
    for group in 0..groups.min(200) {
        wait_for_coordinator(&broker, &format!("warm-{group}"), TOPIC)?;
    }
    Ok(broker)
}

impl Job<'_> {
    fn members(&self, command: &str, more: &[(&str, String)]) -> Vec<String> {
        let timing = self.timing();
        let warm_s = if self.is_jvm() { timing.warm_jvm_s } else { timing.warm_s };
        let mut words = vec![command.to_owned()];
        words.extend(flags(more));
        words.extend(flags(&[
            ("--topic", TOPIC.to_owned()),
            ("--heartbeat-ms", HEARTBEAT_MS.to_string()),
            ("--seconds", timing.seconds.to_string()),
            ("--warm-up", warm_s.to_string()),
        ]));
        words
    }
}

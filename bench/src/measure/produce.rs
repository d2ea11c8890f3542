//! Produce and fetch: a topic, a load, its window.

use super::drive::{flags, of_side};
use super::{Job, MeasureError};
use crate::disk;
use crate::load::Pace;
use crate::scenario::Produce;
use serde_json::Value;

const TOPIC: &str = "bench";

/// What all partitions together keep in steady retention, in bytes.
const RETAINED: u64 = 2 << 30;

/// What a fetch reads round and round, in bytes: it fits into the memory that ours keeps of recent batches, and any page cache.
const HOT_BYTES: u64 = 32_000_000;

pub(super) fn produce(job: &Job<'_>, work: &Produce) -> Result<Value, MeasureError> {
    let broker = job.start()?;
    let retain = work.steady.then(|| RETAINED / u64::try_from(work.partitions).unwrap_or(1));
    job.topic(&broker, TOPIC, work.partitions, retain)?;
    // A growing log may take half of what is free.
    let free = disk::free_bytes(&job.context.dir);
    let (warm_max, bytes_max) = if work.steady { (u64::MAX, u64::MAX) } else { (free / 6, free / 3) };
    let mut words = vec!["produce".to_owned()];
    words.extend(load_flags(work));
    words.extend(job.protocol());
    words.extend(job.window(warm_max, bytes_max));
    Ok(of_side(job.drive(&broker, &words)?, "writes"))
}

/// The load generator's flags for a produce load.
pub(super) fn load_flags(work: &Produce) -> Vec<String> {
    let pace = match work.pace {
        Pace::Closed { depth } => ("--depth", depth.to_string()),
        Pace::Open { per_s } => ("--rate", per_s.to_string()),
    };
    flags(&[
        ("--topic", TOPIC.to_owned()),
        ("--partitions", work.partitions.to_string()),
        ("--connections", work.connections.to_string()),
        ("--batch", work.batch.to_string()),
        ("--record", work.record.to_string()),
        pace,
    ])
}

pub(super) fn fetch(job: &Job<'_>, max_bytes: i32, consumers: usize) -> Result<Value, MeasureError> {
    let broker = job.start()?;
    job.topic(&broker, TOPIC, 1, None)?;
    job.drive(&broker, &job.fill(TOPIC, 1, 16_000, HOT_BYTES))?;
    let mut words = vec!["fetch".to_owned()];
    words.extend(flags(&[
        ("--topic", TOPIC.to_owned()),
        ("--max-bytes", max_bytes.to_string()),
        ("--connections", consumers.to_string()),
    ]));
    words.extend(job.window(u64::MAX, u64::MAX));
    Ok(of_side(job.drive(&broker, &words)?, "reads"))
}

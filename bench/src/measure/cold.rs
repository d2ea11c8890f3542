//! A consumer reads a log from disk that is larger than the memory, while others produce to another topic.
//!
//! Broker and page cache share one bound on memory, where a control group can be made; where not, the files are put out of the
//! page cache beforehand, which is the weaker form: what is read ahead then stays. Which it was is kept with the figures.

use super::drive::{flags, of_side};
use super::{Job, MeasureError};
use crate::disk;
use crate::peers::MemoryGroup;
use serde_json::{Value, json};

const COLD: &str = "cold";
const HOT: &str = "hot";
const PARTITIONS: i32 = 4;

/// Kafka's heap in that bound: it leaves half of it to the page cache, which Kafka lives on.
const KAFKA_HEAP_MIB: u64 = 384;

/// 16 KB batches a second that are produced meanwhile: 20 MB/s.
const RATE: &str = "1250";

pub(super) fn run(job: &Job<'_>) -> Result<Value, MeasureError> {
    let group = MemoryGroup::new(job.timing().cold_limit).ok();
    let broker = job.start_with(group.as_ref(), KAFKA_HEAP_MIB)?;
    job.topic(&broker, COLD, PARTITIONS, None)?;
    job.topic(&broker, HOT, PARTITIONS, None)?;
    job.drive(&broker, &job.fill(COLD, PARTITIONS, 64_000, job.timing().cold_bytes))?;
    let mut quiet = vec!["produce".to_owned()];
    quiet.extend(producers());
    quiet.extend(job.window(u64::MAX, u64::MAX));
    let quiet = of_side(job.drive(&broker, &quiet)?, "writes");
    // Once to warm up the code that reads, once to measure.
    catch_up(job, &broker)?;
    let measured = catch_up(job, &broker)?;
    let (reads, writes) = (measured["reads"].clone(), measured["writes"].clone());
    let mut figures = of_side(measured, "reads");
    for key in ["p50_us", "p99_us", "p999_us", "max_us", "curve"] {
        figures[format!("fetch_{key}")] = reads[key].clone();
        figures[key] = writes[key].clone();
    }
    figures["quiet_p99_us"] = quiet["p99_us"].clone();
    figures["memory_bound"] = match &group {
        Some(group) => json!(format!("control group of {} MiB", group.limit >> 20)),
        None => json!("none: no control group can be made here; files put out of the page cache"),
    };
    Ok(figures)
}

fn catch_up(job: &Job<'_>, broker: &crate::peers::Broker) -> Result<Value, MeasureError> {
    disk::evict(broker.folder());
    let mut words = vec!["catch-up".to_owned()];
    words.extend(producers());
    words.extend(flags(&[
        ("--cold-topic", COLD.to_owned()),
        ("--cold-partitions", PARTITIONS.to_string()),
        ("--max-bytes", "1000000".to_owned()),
        ("--warm-up", "0".to_owned()),
        ("--seconds", "300".to_owned()),
    ]));
    job.drive(broker, &words)
}

fn producers() -> Vec<String> {
    flags(&[
        ("--topic", HOT.to_owned()),
        ("--partitions", PARTITIONS.to_string()),
        ("--connections", "4".to_owned()),
        ("--batch", "16000".to_owned()),
        ("--record", "1000".to_owned()),
        ("--rate", RATE.to_owned()),
    ])
}

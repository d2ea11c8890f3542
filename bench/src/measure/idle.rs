//! Memory of a broker that does nothing, alone and with many connections.

use super::{Job, MeasureError, restart};
use crate::{frames, load};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Until a start's work is over.
const SETTLE: Duration = Duration::from_secs(3);
/// Over which idle CPU time is taken.
const WATCHED: Duration = Duration::from_secs(3);

pub(super) fn resident(job: &Job<'_>) -> Result<Value, MeasureError> {
    let broker = job.start()?;
    std::thread::sleep(SETTLE);
    let before = broker.usage();
    std::thread::sleep(WATCHED);
    let after = broker.usage();
    let cpu_share = (after.cpu_s - before.cpu_s) / WATCHED.as_secs_f64();
    Ok(json!({"resident_mb": after.resident as f64 / 1e6, "cpu_share": cpu_share}))
}

/// From the first request until every partition has a leader; then what they hold in memory while nothing happens.
pub(super) fn partitions(job: &Job<'_>, partitions: i32) -> Result<Value, MeasureError> {
    let broker = job.start()?;
    std::thread::sleep(SETTLE);
    let before = broker.usage().resident;
    let topics = restart::topics_of(partitions);
    let begin = Instant::now();
    for (topic, partitions) in &topics {
        job.topic(&broker, topic, *partitions, None)?;
    }
    topics.iter().try_for_each(|topic| restart::until_led(&broker, topic))?;
    let created = begin.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE + WATCHED);
    let after = broker.usage().resident;
    let each = after.saturating_sub(before) as f64 / 1024.0 / f64::from(partitions);
    Ok(json!({"created_s": created, "kib_per_partition": each, "resident_mb": after as f64 / 1e6}))
}

/// Each connection has said what every client says first, and had its answer.
pub(super) fn connections(job: &Job<'_>, count: usize) -> Result<Value, MeasureError> {
    let broker = job.start()?;
    std::thread::sleep(SETTLE);
    let before = broker.usage().resident;
    let greeting = frames::versions()?;
    let mut open = Vec::with_capacity(count);
    for n in 0..count {
        let mut socket = TcpStream::connect(broker.address).map_err(|error| refused(n, error))?;
        load::ask_on(&mut socket, &greeting).map_err(|error| refused(n, error))?;
        open.push(socket);
    }
    std::thread::sleep(WATCHED);
    let after = broker.usage().resident;
    let each = after.saturating_sub(before) as f64 / 1024.0 / count as f64;
    Ok(json!({"kib_per_connection": each, "resident_mb": after as f64 / 1e6, "connections": open.len()}))
}

fn refused(n: usize, error: std::io::Error) -> MeasureError {
    MeasureError::Ask { what: format!("connection {n}"), error }
}

//! SIGKILL under load, then the same command on what is left: time from the start of the process until every partition has a
//! leader and takes records.

use super::drive::flags;
use super::{Job, MeasureError};
use crate::frames;
use crate::load::ask;
use crate::peers::Broker;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TOPIC: &str = "restart";

/// Partitions of the large logs: a gigabyte each in the full run, so that all of it is in begun segments, where a recovery
/// must look.
const PARTITIONS: i32 = 20;

/// How long a start may take, in seconds.
const READY_WITHIN_S: u64 = 900;

pub(super) fn logs(job: &Job<'_>) -> Result<Value, MeasureError> {
    let mut broker = job.start()?;
    job.topic(&broker, TOPIC, PARTITIONS, None)?;
    let bytes = job.timing().restart_bytes;
    job.drive(&broker, &job.fill(TOPIC, PARTITIONS, 64_000, bytes))?;
    let mut figures = killed_under_load(job, &mut broker, PARTITIONS)?;
    figures["log_gb"] = json!(bytes as f64 / 1e9);
    Ok(figures)
}

pub(super) fn partitions(job: &Job<'_>, partitions: i32) -> Result<Value, MeasureError> {
    let mut broker = job.start()?;
    let begin = Instant::now();
    job.topic(&broker, TOPIC, partitions, None)?;
    let created = begin.elapsed().as_secs_f64();
    // Each partition gets a record or two, so that none is an empty folder.
    let mut words = vec!["produce".to_owned()];
    words.extend(flags(&[
        ("--topic", TOPIC.to_owned()),
        ("--partitions", partitions.to_string()),
        ("--connections", "50".to_owned()),
        ("--batch", "1".to_owned()),
        ("--record", "100".to_owned()),
        ("--warm-up", "0".to_owned()),
        ("--seconds", "300".to_owned()),
        ("--bytes-max", (u64::try_from(partitions).unwrap_or(0) * 2 * 170).to_string()),
    ]));
    job.drive(&broker, &words)?;
    let resident = broker.usage().resident;
    let mut figures = killed_under_load(job, &mut broker, partitions)?;
    figures["created_s"] = json!(created);
    figures["resident_before_mb"] = json!(resident as f64 / 1e6);
    Ok(figures)
}

fn killed_under_load(job: &Job<'_>, broker: &mut Broker, partitions: i32) -> Result<Value, MeasureError> {
    std::thread::scope(|scope| {
        let address = broker.address;
        let load = scope.spawn(move || some_load(address, partitions));
        std::thread::sleep(Duration::from_millis(1_500));
        let begin = broker.kill_and_restart();
        // It ends by itself when the broker is gone.
        let acknowledged = load.join().unwrap_or(0);
        let ready = ready_after(broker, partitions, begin?)?;
        let resident = broker.usage().resident;
        Ok(json!({"ready_s": ready.as_secs_f64(), "acknowledged_before_kill": acknowledged,
            "resident_mb": resident as f64 / 1e6, "fsync": job.contender.durability()}))
    })
}

/// Produces to partitions in turn until the connection breaks; returns how many batches were acknowledged.
fn some_load(address: std::net::SocketAddr, partitions: i32) -> u64 {
    let (batch, _) = frames::batch(16_000, 1_000, 0);
    let Ok(mut socket) = std::net::TcpStream::connect(address) else { return 0 };
    let mut count = 0;
    for partition in (0..partitions).cycle() {
        let Ok(request) = frames::produce(TOPIC, partition, -1, &batch) else { return count };
        match crate::load::ask_on(&mut socket, &request).map(|answer| frames::produced(&answer)) {
            Ok(Ok(_)) => count += 1,
            Ok(Err(_)) | Err(_) => return count,
        }
    }
    count
}

fn ready_after(broker: &Broker, partitions: i32, begin: Instant) -> Result<Duration, MeasureError> {
    let metadata = frames::metadata(TOPIC)?;
    let (batch, _) = frames::batch(1, 100, 0);
    // Every partition is led and some, spread over all, take a record.
    let step = usize::try_from(partitions / 16).unwrap_or(1).max(1);
    let produce: Vec<Vec<u8>> =
        (0..partitions).step_by(step).map(|p| frames::produce(TOPIC, p, -1, &batch)).collect::<Result<_, _>>()?;
    let led = |answer: Vec<u8>| frames::leaders(&answer).ok() == usize::try_from(partitions).ok();
    while begin.elapsed() < Duration::from_secs(READY_WITHIN_S) {
        if ask(broker.address, &metadata).is_ok_and(led) {
            let takes =
                |request: &Vec<u8>| ask(broker.address, request).is_ok_and(|answer| frames::produced(&answer).is_ok());
            if produce.iter().all(takes) {
                return Ok(begin.elapsed());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(MeasureError::Late { what: "a start after SIGKILL".into(), seconds: READY_WITHIN_S })
}

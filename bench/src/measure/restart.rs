//! SIGKILL under load, then the same command on what is left: time from the start of the process until every partition has a
//! leader and some, spread over all, take records. With many partitions also what each of them, with a record, holds in memory
//! while nobody uses it.

use super::drive::flags;
use super::{Job, MeasureError};
use crate::frames;
use crate::load::ask;
use crate::peers::Broker;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Partitions of the large logs: a gigabyte each in the full run, so that all of it is in begun segments, where a recovery
/// must look.
const PARTITIONS: i32 = 20;

/// Most partitions of one topic: Kafka refuses ten thousand in one request.
const TOPIC_PARTITIONS: i32 = 1_000;

/// How many partitions of a topic must take a record before it counts as ready.
const TRIED: i32 = 16;

/// Until a start's work is over.
const SETTLE: Duration = Duration::from_secs(3);

/// How long a start may take, in seconds.
const READY_WITHIN_S: u64 = 900;

/// Until a broker that nobody uses has given back what it will: ours looks every ten seconds for what lies idle.
const IDLE: Duration = Duration::from_secs(30);

/// A topic and its partitions.
pub(super) type Topic = (String, i32);

pub(super) fn logs(job: &Job<'_>) -> Result<Value, MeasureError> {
    let mut broker = job.start()?;
    let topics = [("restart".to_owned(), PARTITIONS)];
    job.topic(&broker, &topics[0].0, PARTITIONS, None)?;
    let bytes = job.timing().restart_bytes;
    job.drive(&broker, &job.fill(&topics[0].0, PARTITIONS, 64_000, bytes))?;
    let mut figures = killed_under_load(job, &mut broker, &topics)?;
    figures["log_gb"] = json!(bytes as f64 / 1e9);
    Ok(figures)
}

pub(super) fn partitions(job: &Job<'_>, partitions: i32) -> Result<Value, MeasureError> {
    let mut broker = job.start()?;
    std::thread::sleep(SETTLE);
    let empty = broker.usage().resident;
    let topics = topics_of(partitions);
    let begin = Instant::now();
    for (topic, partitions) in &topics {
        job.topic(&broker, topic, *partitions, None)?;
    }
    let created = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    for (topic, partitions) in &topics {
        job.drive(&broker, &a_record_each(topic, *partitions))?;
    }
    let written = begin.elapsed().as_secs_f64();
    std::thread::sleep(IDLE);
    let resident = broker.usage().resident;
    let mut figures = killed_under_load(job, &mut broker, &topics)?;
    let each = resident.saturating_sub(empty) as f64 / 1024.0 / f64::from(partitions);
    figures["created_s"] = json!(created);
    figures["first_records_s"] = json!(written);
    figures["kib_per_partition"] = json!(each);
    figures["resident_before_mb"] = json!(resident as f64 / 1e6);
    Ok(figures)
}

/// So many partitions, in topics that any broker takes.
pub(super) fn topics_of(partitions: i32) -> Vec<Topic> {
    let count = (partitions / TOPIC_PARTITIONS).max(1);
    (0..count).map(|n| (format!("restart-{n}"), partitions / count)).collect()
}

/// Waits until all partitions of a topic have a leader.
pub(super) fn until_led(broker: &Broker, topic: &Topic) -> Result<(), MeasureError> {
    let (metadata, wanted) = (frames::metadata(&topic.0)?, usize::try_from(topic.1).unwrap_or(0));
    let begin = Instant::now();
    while !ask(broker.address, &metadata).is_ok_and(|answer| frames::leaders(&answer).is_ok_and(|n| n == wanted)) {
        if begin.elapsed() > Duration::from_secs(READY_WITHIN_S) {
            return Err(MeasureError::Late { what: "a new topic's leaders".into(), seconds: READY_WITHIN_S });
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Each partition gets a record or two, so that none is an empty folder.
fn a_record_each(topic: &str, partitions: i32) -> Vec<String> {
    let bytes = u64::try_from(partitions).unwrap_or(0) * 2 * 170;
    let mut words = vec!["produce".to_owned()];
    words.extend(flags(&[
        ("--topic", topic.to_owned()),
        ("--partitions", partitions.to_string()),
        ("--connections", "50".to_owned()),
        ("--batch", "1".to_owned()),
        ("--record", "100".to_owned()),
        ("--warm-up", "0".to_owned()),
        ("--seconds", "300".to_owned()),
        ("--bytes-max", bytes.to_string()),
    ]));
    words
}

fn killed_under_load(job: &Job<'_>, broker: &mut Broker, topics: &[Topic]) -> Result<Value, MeasureError> {
    std::thread::scope(|scope| {
        let address = broker.address;
        let load = scope.spawn(move || some_load(address, &topics[0]));
        std::thread::sleep(Duration::from_millis(1_500));
        let begin = broker.kill_and_restart();
        // It ends by itself when the broker is gone.
        let acknowledged = load.join().unwrap_or(0);
        let ready = ready_after(broker, topics, begin?)?;
        let resident = broker.usage().resident;
        Ok(json!({"ready_s": ready.as_secs_f64(), "acknowledged_before_kill": acknowledged,
            "resident_mb": resident as f64 / 1e6, "durability": job.contender.durability()}))
    })
}

/// Produces to partitions in turn until the connection breaks; returns how many batches were acknowledged.
fn some_load(address: std::net::SocketAddr, (topic, partitions): &Topic) -> u64 {
    let (batch, _) = frames::batch(16_000, 1_000, 0);
    let Ok(mut socket) = std::net::TcpStream::connect(address) else { return 0 };
    let mut count = 0;
    for partition in (0..*partitions).cycle() {
        let Ok(request) = frames::produce(topic, partition, -1, &batch) else { return count };
        match crate::load::ask_on(&mut socket, &request).map(|answer| frames::produced(&answer)) {
            Ok(Ok(_)) => count += 1,
            Ok(Err(_)) | Err(_) => return count,
        }
    }
    count
}

fn ready_after(broker: &Broker, topics: &[Topic], begin: Instant) -> Result<Duration, MeasureError> {
    for topic in topics {
        let wanted = Wanted::of(topic)?;
        while !wanted.is_there(broker) {
            if begin.elapsed() > Duration::from_secs(READY_WITHIN_S) {
                return Err(MeasureError::Late { what: "a start after SIGKILL".into(), seconds: READY_WITHIN_S });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(begin.elapsed())
}

/// What a topic must answer.
struct Wanted {
    metadata: Vec<u8>,
    leaders: usize,
    produce: Vec<Vec<u8>>,
}

impl Wanted {
    fn of((topic, partitions): &Topic) -> Result<Wanted, MeasureError> {
        let (batch, _) = frames::batch(1, 100, 0);
        let step = usize::try_from(partitions / TRIED).unwrap_or(1).max(1);
        let produce = (0..*partitions).step_by(step).map(|p| frames::produce(topic, p, -1, &batch));
        Ok(Wanted {
            metadata: frames::metadata(topic)?,
            leaders: usize::try_from(*partitions).unwrap_or(0),
            produce: produce.collect::<Result<_, _>>()?,
        })
    }

    fn is_there(&self, broker: &Broker) -> bool {
        let led = |answer: Vec<u8>| frames::leaders(&answer).is_ok_and(|n| n == self.leaders);
        let taken = |answer: Vec<u8>| frames::produced(&answer).is_ok();
        ask(broker.address, &self.metadata).is_ok_and(led)
            && self.produce.iter().all(|request| ask(broker.address, request).is_ok_and(taken))
    }
}

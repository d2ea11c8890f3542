//! What compacting a log costs: a topic is filled with many versions of few keys, then its policy is changed to `compact`, and the
//! broker is watched until the log is small. Meanwhile somebody produces to another topic at a fixed rate, as before.
//!
//! CPU time counts from the change of policy until the log is small, less what the same load took in the same time before.

use crate::frames::{self, AnswerError};
use crate::load::{self, LoadError, Pace, Plan as Load, Sends, Window, Writers};
use crate::peers::Contender;
use crate::peers::process::{Broker, BrokerError, Setup, Tools};
use protocol::EncodeError;
use protocol::batch::BatchBuilder;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const DIRTY: &str = "dirty";
const OTHER: &str = "other";

/// Requests under way while the topic is filled.
const DEPTH: usize = 16;

/// One version of a key in so many is the last one.
const VERSIONS: u64 = 10;

/// The log counts as small once it has this many times the bytes of its newest records, or fewer.
const SMALL: f64 = 1.5;

/// How long a broker may take, in seconds.
const WITHIN_S: u64 = 1800;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes to fill the topic with.
    pub bytes: u64,
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Requests of 1 KB a second that others send meanwhile.
    pub rate: f64,
    /// Seconds in which these are measured before.
    pub idle: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Bytes of the log before and after.
    pub before: u64,
    /// See `before`.
    pub after: u64,
    /// From the change of policy until the log was small, in seconds.
    pub seconds: f64,
    /// CPU time of the broker in that time, less that of the other load, in seconds.
    pub cpu_s: f64,
    /// The others' 99th percentile before, in microseconds.
    pub idle_p99_us: u64,
    /// The same meanwhile.
    pub busy_p99_us: u64,
}

impl Figures {
    /// Megabytes of dirty log a second of CPU time.
    pub fn mb_per_cpu_s(&self) -> f64 {
        self.before as f64 / 1e6 / self.cpu_s.max(0.001)
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A connection.
    #[error("filling the topic: {0}")]
    Fill(#[from] io::Error),
    /// The broker refused something.
    #[error("{what}: {error}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its answer.
        error: AnswerError,
    },
    /// A request could not be encoded.
    #[error("encoding a request: {0}")]
    Encode(#[from] EncodeError),
    /// The other load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The log stayed large.
    #[error("the log has {bytes} bytes after {WITHIN_S} s, at most {wanted} were expected")]
    Large {
        /// What it has.
        bytes: u64,
        /// What was expected.
        wanted: u64,
    },
}

/// Starts a broker on `cpu` with a folder under `parent` and measures.
pub fn run(contender: Contender, tools: &Tools, cpu: usize, parent: &Path, plan: &Plan) -> Result<Figures, Error> {
    let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let properties = [property("log.cleaner.backoff.ms", "200"), property("log.cleaner.threads", "1")];
    let heap = tools.kafka.heap_mib;
    let setup = Setup { contender, tools, cpu, parent, properties: &properties, group: None, kafka_heap_mib: heap };
    let broker = Broker::start(&setup)?;
    let configs = [
        property("cleanup.policy", "delete"),
        property("segment.bytes", &plan.segment_bytes.to_string()),
        property("min.cleanable.dirty.ratio", "0.01"),
        property("file.delete.delay.ms", "0"),
    ];
    make(&broker, DIRTY, &configs)?;
    make(&broker, OTHER, &[])?;
    let live = fill(&broker, plan)?;
    let folder = log_folder(broker.folder());
    // A JVM gets faster by work; what it takes for that is not what the load takes.
    others(&broker, plan, plan.idle * 2)?;
    let idle = others(&broker, plan, plan.idle)?;
    let idle_cpu_per_s = idle.1;
    let before = log_bytes(&folder);
    let (begin, cpu) = (Instant::now(), broker.usage().cpu_s);
    let change = frames::set_topic_config(DIRTY, "cleanup.policy", "compact")?;
    frames::altered(&load::ask(broker.address, &change)?)
        .map_err(|error| Error::Refused { what: "changing the policy", error })?;
    // What is in the active segment stays as it is.
    let wanted = (live as f64 * SMALL) as u64 + plan.segment_bytes;
    let mut busy_p99_us = 0;
    let (after, seconds, cpu_s) = loop {
        let (p99, _) = others(&broker, plan, Duration::from_secs(1))?;
        busy_p99_us = p99.max(busy_p99_us);
        let (bytes, seconds) = (log_bytes(&folder), begin.elapsed().as_secs_f64());
        if bytes <= wanted {
            break (bytes, seconds, broker.usage().cpu_s - cpu - idle_cpu_per_s * seconds);
        }
        if seconds > WITHIN_S as f64 {
            return Err(Error::Large { bytes, wanted });
        }
    };
    Ok(Figures { before, after, seconds, cpu_s, idle_p99_us: idle.0, busy_p99_us })
}

fn make(broker: &Broker, topic: &str, configs: &[(String, String)]) -> Result<(), Error> {
    let answer = load::ask(broker.address, &frames::create_topic(topic, 1, configs)?)?;
    frames::created(&answer).map_err(|error| Error::Refused { what: "making a topic", error })
}

/// Fills the topic; the bytes of the newest record of each key.
fn fill(broker: &Broker, plan: &Plan) -> Result<u64, Error> {
    let per_batch = (plan.batch_bytes / (plan.record_bytes + 16)).max(1);
    let batches = plan.bytes / plan.batch_bytes as u64;
    let keys = (batches * per_batch as u64 / VERSIONS).max(1);
    let mut socket = TcpStream::connect(broker.address)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut under_way, mut bytes) = (0, 0);
    for _ in 0..batches {
        let mut builder = BatchBuilder::new();
        for _ in 0..per_batch {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = ((state >> 20) % keys).to_be_bytes();
            let value: Vec<u8> = (0..plan.record_bytes).map(|at| (state >> (at % 56)) as u8).collect();
            builder.append(now_ms(), Some(&key), Some(&value), &[]);
        }
        let batch = builder.build();
        bytes += batch.len() as u64;
        socket.write_all(&frames::produce(DIRTY, 0, 1, &batch)?)?;
        under_way += 1;
        if under_way == DEPTH {
            answer(&mut socket)?;
            under_way -= 1;
        }
    }
    for _ in 0..under_way {
        answer(&mut socket)?;
    }
    Ok(bytes / VERSIONS)
}

fn answer(socket: &mut TcpStream) -> Result<(), Error> {
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix)?;
    let mut answer = vec![0; u32::from_be_bytes(prefix) as usize];
    socket.read_exact(&mut answer)?;
    frames::produced(&answer).map(drop).map_err(|error| Error::Refused { what: "filling the topic", error })
}

/// 99th percentile of the other load in microseconds, and CPU seconds of the broker a second.
fn others(broker: &Broker, plan: &Plan, duration: Duration) -> Result<(u64, f64), Error> {
    let writers = Writers {
        topic: OTHER.to_owned(),
        partitions: 1,
        connections: 4,
        pace: Pace::Open { per_s: plan.rate },
        batch_bytes: 1_000,
        record_bytes: 1_000,
        acks: -1,
        sends: Sends::Batches,
    };
    let window = Window { warm_up: Duration::from_millis(200), duration, ..Window::default() };
    let load = Load { address: broker.address, writers: Some(writers), readers: None, window };
    let mut began = (Instant::now(), broker.usage().cpu_s);
    let stats = load::run(&load, || began = (Instant::now(), broker.usage().cpu_s))?;
    let cpu_per_s = (broker.usage().cpu_s - began.1) / began.0.elapsed().as_secs_f64();
    Ok((stats.writes.latency.at(99.0), cpu_per_s))
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The folder of the topic's only partition, wherever the broker keeps it.
fn log_folder(root: &Path) -> PathBuf {
    let name = format!("{DIRTY}-0");
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy() == name {
                return entry.path();
            }
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    root.join(name)
}

/// Bytes of its segments; those that wait for their removal do not count.
fn log_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let segments = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "log"));
    segments.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

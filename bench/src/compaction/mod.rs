//! What compacting a log costs. Two topics are filled with the same data, ten versions of each key; then the policy of one after the
//! other is changed to `compact`, and the broker is watched until it has written down that everything below the active segment
//! is clean.
//!
//! ```text
//!   fill both │ warm up │ others alone │ others and the first log │ the second log alone │
//!                         p99: idle      p99: meanwhile             CPU time
//! ```
//! Others produce to and fetch from a third topic at a fixed rate. The CPU time is that of the whole process over exactly one
//! compaction beside which nothing happens; it is the second, so that a JVM has its code compiled by then.

mod fill;
mod watch;

use crate::frames::{self, AnswerError};
use crate::load::{self, Goes, LoadError, Pace, Plan as Load, Readers, Sends, Window, Writers};
use crate::peers::Contender;
use crate::peers::process::{Broker, BrokerError, Setup, Tools};
use crate::stats::Stats;
use protocol::EncodeError;
use protocol::compress::Codec;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use watch::LogFolder;

/// The log that is compacted while others work, and the one that is compacted alone.
const DIRTY: [&str; 2] = ["beside", "alone"];

/// Topics of the others: to warm up, alone, meanwhile.
const OTHERS: [&str; 3] = ["warm-up", "before", "meanwhile"];

/// Between two looks at a log.
const LOOK: Duration = Duration::from_millis(5);

/// How long a broker may take.
const WITHIN: Duration = Duration::from_secs(1800);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes to fill each topic with, as they are stored.
    pub bytes: u64,
    /// Bytes of a batch before its compression.
    pub batch_bytes: usize,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// How batches are compressed.
    pub codec: Codec,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Requests of 1 KB a second that others send meanwhile.
    pub rate: f64,
    /// For how long they are measured before.
    pub idle: Duration,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            bytes: 512_000_000,
            batch_bytes: 16_000,
            record_bytes: 100,
            codec: Codec::None,
            segment_bytes: 64 << 20,
            rate: 1_000.0,
            idle: Duration::from_secs(10),
        }
    }
}

/// What others notice, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noticed {
    /// 99th percentile of their requests from the time they were due.
    pub produced_p99_us: u64,
    /// The same until a consumer has what was produced.
    pub delivered_p99_us: u64,
    /// The slowest delivery.
    pub slowest_us: u64,
}

impl Noticed {
    fn of(stats: &Stats) -> Noticed {
        Noticed {
            produced_p99_us: stats.writes.latency.at(99.0),
            delivered_p99_us: stats.delivered.latency.at(99.0),
            slowest_us: stats.delivered.latency.at(100.0),
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Bytes of the sealed segments of the log that was compacted alone, before and after.
    pub before: u64,
    /// See `before`.
    pub after: u64,
    /// From the change of policy until that log was clean, in seconds.
    pub seconds: f64,
    /// CPU time of the broker in that time, in seconds.
    pub cpu_s: f64,
    /// From the change of policy until the other log was clean, beside the others.
    pub seconds_beside: f64,
    /// The others alone.
    pub idle: Noticed,
    /// The same meanwhile.
    pub busy: Noticed,
}

impl Figures {
    /// Megabytes of dirty log a second of CPU time.
    pub fn mb_per_cpu_s(&self) -> f64 {
        self.before as f64 / 1e6 / self.cpu_s.max(0.001)
    }

    /// How much later others have what they asked for, 1 for not at all: the worse of producing and fetching.
    pub fn slower(&self) -> f64 {
        let ratio = |busy: u64, idle: u64| busy as f64 / idle.max(1) as f64;
        let produced = ratio(self.busy.produced_p99_us, self.idle.produced_p99_us);
        produced.max(ratio(self.busy.delivered_p99_us, self.idle.delivered_p99_us))
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
    /// The broker keeps its data where nobody looks.
    #[error("no folder {name} below {root}")]
    NoFolder {
        /// Which.
        name: String,
        /// Where.
        root: PathBuf,
    },
    /// The log stayed dirty.
    #[error("{topic} is not clean after {seconds} s; {bytes} bytes are in its sealed segments")]
    Dirty {
        /// Which.
        topic: &'static str,
        /// How long it had.
        seconds: u64,
        /// What it has.
        bytes: u64,
    },
}

/// Starts a broker on `cpu` with a folder under `parent` and measures.
pub fn run(contender: Contender, tools: &Tools, cpu: usize, parent: &Path, plan: &Plan) -> Result<Figures, Error> {
    let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    // It is to find its work at once. All else is each broker's default: one thread, no bound on bytes a second.
    let properties = [property("log.cleaner.backoff.ms", "100")];
    let heap = tools.kafka.heap_mib;
    let setup = Setup { contender, tools, cpu, parent, properties: &properties, group: None, kafka_heap_mib: heap };
    let broker = Broker::start(&setup)?;
    let configs = [
        property("cleanup.policy", "delete"),
        property("segment.bytes", &plan.segment_bytes.to_string()),
        property("min.cleanable.dirty.ratio", "0.01"),
    ];
    OTHERS.iter().try_for_each(|topic| make(&broker, topic, &[]))?;
    for topic in DIRTY {
        make(&broker, topic, &configs)?;
        fill::fill(broker.address, topic, plan)?;
    }
    let [beside, alone] = DIRTY;
    others(&broker, OTHERS[0], plan, || false)?;
    let idle = Noticed::of(&others(&broker, OTHERS[1], plan, || false)?);
    let (busy, seconds_beside) = compact_beside(&broker, beside, plan)?;
    let log = LogFolder::find(broker.folder(), alone)?;
    let (before, cpu_s) = (log.sealed_bytes(), broker.usage().cpu_s);
    let seconds = compact(&broker, alone)?;
    let cpu_s = broker.usage().cpu_s - cpu_s;
    Ok(Figures { before, after: log.sealed_bytes(), seconds, cpu_s, seconds_beside, idle, busy })
}

fn make(broker: &Broker, topic: &str, configs: &[(String, String)]) -> Result<(), Error> {
    let answer = load::ask(broker.address, &frames::create_topic(topic, 1, configs)?)?;
    frames::created(&answer).map_err(|error| Error::Refused { what: "making a topic", error })
}

/// Lets a log be compacted; how long that took, in seconds.
fn compact(broker: &Broker, topic: &'static str) -> Result<f64, Error> {
    let log = LogFolder::find(broker.folder(), topic)?;
    let begin = Instant::now();
    let change = frames::set_topic_config(topic, "cleanup.policy", "compact")?;
    frames::altered(&load::ask(broker.address, &change)?)
        .map_err(|error| Error::Refused { what: "changing the policy", error })?;
    while !log.is_clean() {
        if begin.elapsed() > WITHIN {
            return Err(Error::Dirty { topic, seconds: WITHIN.as_secs(), bytes: log.sealed_bytes() });
        }
        std::thread::sleep(LOOK);
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// The same while others work; also what they noticed from the change of policy until the log was clean.
fn compact_beside(broker: &Broker, topic: &'static str, plan: &Plan) -> Result<(Noticed, f64), Error> {
    let (begun, clean) = (AtomicBool::new(false), AtomicBool::new(false));
    let plan = Plan { idle: WITHIN, ..plan.clone() };
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !begun.load(Ordering::Acquire) && !clean.load(Ordering::Acquire) {
                std::thread::sleep(LOOK);
            }
            let seconds = compact(broker, topic);
            clean.store(true, Ordering::Release);
            seconds
        });
        let load = load_of(broker, OTHERS[2], &plan);
        let stats = load::run_until(&load, || begun.store(true, Ordering::Release), || clean.load(Ordering::Acquire));
        clean.store(true, Ordering::Release);
        let seconds = watcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((Noticed::of(&stats?), seconds?))
    })
}

fn others(broker: &Broker, topic: &str, plan: &Plan, enough: impl Fn() -> bool) -> Result<Stats, Error> {
    Ok(load::run_until(&load_of(broker, topic, plan), || (), enough)?)
}

fn load_of(broker: &Broker, topic: &str, plan: &Plan) -> Load {
    let writers = Writers {
        topic: topic.to_owned(),
        partitions: 1,
        connections: 4,
        pace: Pace::Open { per_s: plan.rate },
        batch_bytes: 1_000,
        record_bytes: 1_000,
        acks: -1,
        sends: Sends::Batches,
    };
    let readers =
        Readers { topic: topic.to_owned(), partitions: 1, connections: 1, max_bytes: 1 << 20, goes: Goes::Follow };
    let window = Window { warm_up: Duration::from_millis(500), duration: plan.idle, ..Window::default() };
    Load { address: broker.address, writers: Some(writers), readers: Some(readers), window }
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

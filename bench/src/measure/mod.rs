//! One run of one scenario on one fresh broker: started, warmed up, measured, killed, its folder removed. What the kinds of
//! work have in common is here, each kind has a file of its own.

mod append;
mod cold;
mod commits;
mod drive;
mod groups;
mod idle;
mod java;
mod produce;
mod restart;

pub use drive::BEGIN;

use crate::disk;
use crate::frames::{self, AnswerError};
use crate::load::{self, nats};
use crate::peers::{Broker, BrokerError, Contender, MemoryGroup, Peer, Setup, Tools};
use crate::scenario::{Scenario, Timing, Work};
use serde_json::Value;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where and how it is measured.
#[derive(Clone, Debug)]
pub struct Context {
    /// The programs.
    pub tools: Tools,
    /// Folder on the disk to be measured.
    pub dir: std::path::PathBuf,
    /// Processor of the broker.
    pub broker_cpu: usize,
    /// Processor of the load.
    pub load_cpu: usize,
    /// How long.
    pub timing: Timing,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// A broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A request of ours.
    #[error("{what}: {error}")]
    Ask {
        /// What was asked for.
        what: String,
        /// The cause.
        error: std::io::Error,
    },
    /// The broker refused one.
    #[error("{what}: {error}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The cause.
        error: AnswerError,
    },
    /// A request could not be encoded.
    #[error("encoding a request: {0}")]
    Encode(#[from] protocol::EncodeError),
    /// The load generator, or another program that drives.
    #[error("{program}: {reason}")]
    Load {
        /// Which program.
        program: String,
        /// What it said.
        reason: String,
    },
    /// Partitions without a leader, a broker that does not come back.
    #[error("{what} did not happen within {seconds} s")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// Work that this contender cannot do.
    #[error("{0} cannot do this")]
    Cannot(&'static str),
}

/// The figures of one run.
pub fn run(context: &Context, scenario: &Scenario, contender: Contender) -> Result<Value, MeasureError> {
    // What the run before left in the page cache is written first.
    disk::settle();
    let job = Job { context, contender };
    match &scenario.work {
        Work::Produce(work) => produce::produce(&job, work),
        Work::Fetch { max_bytes, consumers } => produce::fetch(&job, *max_bytes, *consumers),
        Work::Commits { connections, depth } => commits::run(&job, *connections, *depth),
        Work::Settle { members, partitions, protocol } => groups::settle(&job, *members, *partitions, *protocol),
        Work::Groups(count) => groups::live(&job, *count),
        Work::Cold => cold::run(&job),
        Work::Java => java::run(&job),
        Work::RestartLogs => restart::logs(&job),
        Work::RestartPartitions(partitions) => restart::partitions(&job, *partitions),
        Work::CreatePartitions(partitions) => idle::partitions(&job, *partitions),
        Work::Idle => idle::resident(&job),
        Work::Connections(count) => idle::connections(&job, *count),
        Work::Append { block, depth } => append::run(&job, *block, *depth),
    }
}

/// One run.
struct Job<'a> {
    context: &'a Context,
    contender: Contender,
}

impl Job<'_> {
    fn timing(&self) -> &Timing {
        &self.context.timing
    }

    fn is_jvm(&self) -> bool {
        self.contender.peer == Peer::Kafka
    }

    fn start(&self) -> Result<Broker, MeasureError> {
        self.start_with(None, self.context.tools.kafka.heap_mib)
    }

    fn start_with(&self, group: Option<&MemoryGroup>, kafka_heap_mib: u64) -> Result<Broker, MeasureError> {
        let properties = [
            ("log.retention.check.interval.ms".to_owned(), "1000".to_owned()),
            ("log.initial.task.delay.ms".to_owned(), "1000".to_owned()),
        ];
        let setup = Setup {
            contender: self.contender,
            tools: &self.context.tools,
            cpu: self.context.broker_cpu,
            parent: &self.context.dir,
            properties: &properties,
            group,
            kafka_heap_mib,
        };
        Ok(Broker::start(&setup)?)
    }

    /// Makes a topic in the contender's durability class and waits until all of it is led. `retain`: bytes of a partition that
    /// are kept, in four segments.
    fn topic(&self, broker: &Broker, name: &str, partitions: i32, retain: Option<u64>) -> Result<(), MeasureError> {
        if self.contender.peer == Peer::Nats {
            let bytes_max = retain.and_then(|b| i64::try_from(b).ok()).unwrap_or(-1);
            let made = nats::create_streams(broker.address, partitions, bytes_max);
            return made.map_err(|error| MeasureError::Ask { what: "making streams".into(), error });
        }
        let mut configs: Vec<(String, String)> =
            self.contender.topic_settings().map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
        if let Some(bytes) = retain {
            configs.push(("segment.bytes".to_owned(), (bytes / 4).to_string()));
            configs.push(("retention.bytes".to_owned(), bytes.to_string()));
            configs.push(("file.delete.delay.ms".to_owned(), "1000".to_owned()));
        }
        let what = || format!("making topic '{name}' with {partitions} partitions");
        let answer = load::ask(broker.address, &frames::create_topic(name, partitions, &configs)?)
            .map_err(|error| MeasureError::Ask { what: what(), error })?;
        match frames::created(&answer) {
            // Kafka says so when many partitions take longer than a request may; it goes on.
            Ok(()) | Err(AnswerError::Code(7)) => wait_for_leaders(broker, name, partitions, Duration::from_secs(300)),
            Err(error) => Err(MeasureError::Refused { what: what(), error }),
        }
    }
}

/// Until every partition of a topic has a leader that serves it: Kafka's metadata name one a moment before it does.
fn wait_for_leaders(broker: &Broker, topic: &str, partitions: i32, within: Duration) -> Result<(), MeasureError> {
    let request = frames::metadata(topic)?;
    let begin = Instant::now();
    let mut served = 0;
    while begin.elapsed() < within {
        let led = load::ask(broker.address, &request).ok().and_then(|answer| frames::leaders(&answer).ok());
        if led == usize::try_from(partitions).ok() {
            served = serving(broker, topic, served, partitions)?;
            if served == partitions {
                return Ok(());
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let what = format!("a leader for each of {partitions} partitions");
    Err(MeasureError::Late { what, seconds: within.as_secs() })
}

/// The first partition from `from` on that does not answer a fetch of its start.
fn serving(broker: &Broker, topic: &str, from: i32, partitions: i32) -> Result<i32, MeasureError> {
    let Ok(mut socket) = TcpStream::connect(broker.address) else { return Ok(from) };
    for partition in from..partitions {
        let mut fetch = frames::FetchTemplate::new(topic, partition, 1, 0)?;
        let serves = |answer: Vec<u8>| matches!(frames::fetch_head(&answer, answer.len()), Ok(Some(_)));
        if !load::ask_on(&mut socket, fetch.at(0)).is_ok_and(serves) {
            return Ok(partition);
        }
    }
    Ok(partitions)
}

/// Whether `path` is there, with what to do when it is not.
pub fn present(path: &Path, cure: &str) -> Result<(), String> {
    if path.exists() { Ok(()) } else { Err(format!("{} is not there: {cure}", path.display())) }
}

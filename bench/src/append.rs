//! The engine's log alone, in this process: batches appended with so many under way, each counted when it is durable. What is
//! left out is the network, the protocol and the broker. The log is in steady retention, so that its files are recycled, as
//! fio's is written over.

use crate::stats::Stats;
use engine::io::posix::PosixDriver;
use engine::io::uring::UringDriver;
use engine::io::{Driver, Owner};
use engine::log::{Append, AppendError, Durability, LogConfig, LogId, LogLimits, LogName, LogSet, ShardDir};
use engine::shard::Io;
use protocol::batch::layout::{ATTRIBUTES, HEADER_LEN};
use protocol::batch::{Attributes, BatchHeader};
use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of a batch.
    pub block: usize,
    /// Batches appended and not yet durable.
    pub depth: usize,
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub duration: Duration,
    /// `uring`, `posix`, or `auto`.
    pub io: String,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder, or a driver.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The kernel refuses io_uring.
    #[error("io_uring is refused here: {0}")]
    Refused(#[from] engine::io::uring::UringRefused),
    /// A driver that only the broker has.
    #[error("the engine alone runs on uring or posix, not on '{0}'")]
    Driver(String),
    /// The log.
    #[error("append: {0}")]
    Append(#[from] AppendError),
}

/// A log and the loop under it.
struct Log {
    io: Io,
    set: LogSet,
    id: LogId,
}

/// Runs a plan in a folder of its own under `dir`.
pub fn run(plan: &Plan, dir: &Path) -> Result<Stats, Error> {
    let folder = tempfile::Builder::new().prefix("ringlog-append-").tempdir_in(dir)?;
    let mut log = Log::open(folder.path(), driver(&plan.io)?);
    let batch = batch(plan.block);
    let begin = Instant::now();
    let measure_from = begin + plan.warm_up;
    let end = measure_from + plan.duration;
    let mut stats = Stats::default();
    let mut under_way: VecDeque<Instant> = VecDeque::new();
    let mut counted = log.durable();
    let mut cpu_from = crate::load::cpu_time();
    let mut counting = false;
    loop {
        let now = Instant::now();
        if !counting && now >= measure_from {
            (counting, stats, cpu_from) = (true, Stats::default(), crate::load::cpu_time());
        }
        if now >= end {
            break;
        }
        while under_way.len() < plan.depth && log.append(&batch)? {
            under_way.push_back(now);
        }
        log.turn();
        let now = Instant::now();
        while counted < log.durable() {
            counted += 1;
            if let Some(since) = under_way.pop_front() {
                let at = now.saturating_duration_since(measure_from);
                stats.writes.answered(now - since, batch.len(), 1, at);
            }
        }
    }
    stats.elapsed = measure_from.elapsed();
    let cpu = crate::load::cpu_time().saturating_sub(cpu_from);
    stats.generator_busy = cpu.as_secs_f64() / stats.elapsed.as_secs_f64();
    log.io.abandon_tasks();
    Ok(stats)
}

/// The figures as a broker's would be, with this process in the broker's place.
pub fn to_json(stats: &Stats) -> serde_json::Value {
    let mut figures = stats.to_json();
    let mut inner = figures["writes"].take();
    let cpu_s = stats.generator_busy * stats.elapsed.as_secs_f64();
    inner["seconds"] = stats.elapsed.as_secs_f64().into();
    inner["cpu_share"] = stats.generator_busy.into();
    inner["cpu_s_per_gb"] = (cpu_s / (stats.writes.bytes as f64 / 1e9)).into();
    inner
}

fn driver(io: &str) -> Result<Box<dyn Driver>, Error> {
    Ok(match io {
        "uring" => Box::new(UringDriver::new()?),
        "posix" => Box::new(PosixDriver::new()?),
        "auto" => match UringDriver::new() {
            Ok(driver) => Box::new(driver),
            Err(_) => Box::new(PosixDriver::new()?),
        },
        other => return Err(Error::Driver(other.to_owned())),
    })
}

impl Log {
    fn open(data: &Path, driver: Box<dyn Driver>) -> Log {
        let io = Io::new(driver);
        let dirs = vec![ShardDir { path: data.to_owned(), incarnation: 1 }];
        let limits = LogLimits { retention_check_ms: 100, ..LogLimits::default() };
        let mut set = LogSet::new(io.clone(), limits, 0, dirs);
        let config = LogConfig {
            durability: Durability::Fsync,
            segment_bytes: 256 << 20,
            retention_bytes: 512 << 20,
            file_delete_delay_ms: 500,
            ..LogConfig::default()
        };
        let id = set.create(LogName { dir: data.join("bench-0") }, [1; 16], 0, config, 0);
        Log { io, set, id }
    }

    fn durable(&self) -> i64 {
        self.set.offsets(self.id).durable
    }

    /// False when the log takes no more for now.
    fn append(&mut self, batch: &[u8]) -> Result<bool, AppendError> {
        let base = self.set.offsets(self.id).end;
        let append = Append {
            bytes: batch,
            base_offset: base,
            last_offset: base,
            leader_epoch: 0,
            max_timestamp: self.io.wall().0,
            offset_of_max_timestamp: base,
        };
        match self.set.append(self.id, append) {
            Ok(_) => Ok(true),
            Err(AppendError::Busy) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One turn of a shard's loop, parked until something completes unless something was just said: whoever appends has
    /// work then.
    fn turn(&mut self) {
        let mut dones = Vec::new();
        self.io.turn(&mut dones);
        for done in dones.into_iter().filter(|done| done.token.owner() == Owner::Log) {
            self.set.handle(done);
        }
        self.set.pump(self.io.now(), self.io.wall());
        let mut said = false;
        while self.set.poll_event().is_some() {
            said = true;
        }
        if !said {
            self.io.park(self.set.next_deadline());
        }
    }
}

/// A batch of so many bytes with one record's worth of offsets and a right checksum.
fn batch(bytes: usize) -> Vec<u8> {
    let mut header = BatchHeader {
        base_offset: 0,
        batch_length: i32::try_from(bytes - 12).unwrap_or(i32::MAX),
        leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: 0,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 1,
    };
    let mut batch = header.encode().to_vec();
    batch.resize(bytes, 7);
    header.crc = protocol::crc::crc32c(&batch[ATTRIBUTES..]);
    batch[..HEADER_LEN].copy_from_slice(&header.encode());
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_durable_and_in_files() {
        let plan = Plan {
            block: 64 << 10,
            depth: 4,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(200),
            io: "posix".into(),
        };
        let dir = tempfile::tempdir().unwrap();
        let stats = run(&plan, dir.path()).unwrap();
        assert!(stats.writes.requests > 0, "nothing became durable in 200 ms");
        assert_eq!(stats.writes.bytes, stats.writes.requests * (64 << 10));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the folder is removed");
    }

    #[test]
    fn a_driver_that_is_the_brokers_alone_is_refused() {
        assert!(matches!(driver("glommio"), Err(Error::Driver(name)) if name == "glommio"));
    }
}

//! The door to the log tests: a shard's loop over any driver, batches whose content follows from their offset and timestamp, and
//! reading everything back from memory or disk.

use engine::io::glommio::GlommioDriver;
use engine::io::sim::SimWorld;
use engine::io::tokio_uring::TokioUringDriver;
use engine::io::uring::UringDriver;
use engine::io::{Done, Driver, Owner};
use engine::log::{
    Append, AppendError, AppendInfo, CompactionTerms, LogConfig, LogEvent, LogId, LogLimits, LogName, LogSet, Read,
    ReadError, RecoveredLog, ShardDir, recover, scan_data_dir,
};
use engine::mem::Slice;
use engine::shard::Io;
use protocol::batch::layout::{ATTRIBUTES, HEADER_LEN};
use protocol::batch::{Attributes, BatchHeader, iter_batches};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub(crate) const UID: [u8; 16] = *b"topic-id-16bytes";

/// Turns before a wait is given up: far more than anything here needs.
const TURNS_MAX: usize = 200_000;

/// Snapshot, and base offsets of the batches behind it.
pub(crate) type Recovered = (Option<(i64, Vec<u8>)>, Vec<i64>);

pub(crate) struct Rig {
    pub(crate) io: Io,
    pub(crate) set: Option<LogSet>,
    pub(crate) events: Vec<LogEvent>,
    pub(crate) data: PathBuf,
    /// Logs that were there at the start, by folder name.
    pub(crate) logs: BTreeMap<String, LogId>,
    /// False while nobody has spoilt anything: then the scrub must find nothing.
    pub(crate) tolerates_damage: bool,
    /// What recovery said of each log.
    pub(crate) reports: Vec<String>,
    /// Topic ids, by folder name.
    pub(crate) uids: BTreeMap<String, [u8; 16]>,
    /// Last offsets of batches that compaction leaves even without records.
    pub(crate) last_batches: Vec<i64>,
    /// Snapshot and batches behind it that recovery handed back, by folder name.
    pub(crate) recovered: BTreeMap<String, Recovered>,
}

/// Settings that make everything happen with little data.
pub(crate) fn small() -> LogConfig {
    LogConfig { segment_bytes: 64 << 10, file_delete_delay_ms: 100, retention_ms: -1, ..LogConfig::default() }
}

pub(crate) fn limits() -> LogLimits {
    LogLimits {
        retention_check_ms: 50,
        checkpoint_ms: 5,
        idle_ms: 50,
        spares_max: 0,
        scrub_interval_ms: 20,
        scrub_bytes_per_s: 64 << 20,
        ..LogLimits::default()
    }
}

impl Rig {
    /// Boots on `data` as the node does: scan, recover, adopt.
    pub(crate) fn boot(driver: Box<dyn Driver>, data: &Path, config: &LogConfig, limits: LogLimits) -> Rig {
        Rig::try_boot(driver, data, config, limits).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn try_boot(
        driver: Box<dyn Driver>,
        data: &Path,
        config: &LogConfig,
        limits: LogLimits,
    ) -> Result<Rig, String> {
        let io = Io::new(driver);
        let (task_io, path) = (io.clone(), data.to_owned());
        let task = async move {
            let found = scan_data_dir(&task_io, &path).await.map_err(|error| error.to_string())?;
            let mut logs = Vec::new();
            for log in found.logs {
                logs.push(recover(&task_io, log.name, log.hints).await.map_err(|error| error.to_string())?);
            }
            Ok((found.incarnation, logs))
        };
        let limit = TURNS_MAX;
        let (incarnation, logs) = block_on(&io, limit, task)?;
        let dirs = vec![ShardDir { path: data.to_owned(), incarnation }];
        let set = LogSet::new(io.clone(), limits, 0, dirs);
        let mut rig = Rig {
            io,
            set: Some(set),
            events: Vec::new(),
            data: data.to_owned(),
            logs: BTreeMap::new(),
            tolerates_damage: false,
            reports: Vec::new(),
            uids: BTreeMap::new(),
            last_batches: Vec::new(),
            recovered: BTreeMap::new(),
        };
        // A folder that a crash left before it said whose it is: the node makes such a log anew.
        let is_somebodys = |log: &RecoveredLog| log.uid != [0; 16] || !log.segments().is_empty();
        logs.into_iter().filter(is_somebodys).for_each(|log| rig.adopt(log, config));
        Ok(rig)
    }

    fn adopt(&mut self, mut log: RecoveredLog, config: &LogConfig) {
        let folder = log.name.dir.file_name().unwrap().to_string_lossy().into_owned();
        self.reports.extend(log.report.iter().map(|repair| format!("{:?} {}", repair.action, repair.reason)));
        self.uids.insert(folder.clone(), log.uid);
        let behind = log.batches_after_snapshot.iter().map(|(header, _)| header.base_offset).collect();
        self.recovered.insert(folder.clone(), (log.snapshot.take(), behind));
        let id = self.set().adopt(log, config.clone());
        self.logs.insert(folder, id);
    }

    pub(crate) fn set(&mut self) -> &mut LogSet {
        self.set.as_mut().unwrap()
    }

    pub(crate) fn create(&mut self, folder: &str, config: LogConfig) -> LogId {
        self.create_partition(folder, 0, config)
    }

    pub(crate) fn create_partition(&mut self, folder: &str, partition: i32, config: LogConfig) -> LogId {
        let name = LogName { dir: self.data.join(folder) };
        self.set().create(name, UID, partition, config, 0)
    }

    /// One turn of the loop.
    pub(crate) fn turn(&mut self) {
        let mut dones: Vec<Done> = Vec::new();
        self.io.turn(&mut dones);
        for done in dones {
            assert_eq!(done.token.owner(), Owner::Log);
            self.set().handle(done);
        }
        let (now, wall) = (self.io.now(), self.io.wall());
        self.set().pump(now, wall);
        while let Some(event) = self.set().poll_event() {
            let is_damage = matches!(event, LogEvent::Damaged { .. });
            assert!(self.tolerates_damage || !is_damage, "nobody spoilt anything: {event:?}");
            if let LogEvent::Uncompacted { id } = event {
                let terms = CompactionTerms { upto: i64::MAX, last_batches: self.last_batches.clone() };
                self.set().compact(id, terms);
            }
            self.events.push(event);
        }
        let deadline = self.set().next_deadline();
        self.io.park(deadline);
    }

    /// Turns until `ready`.
    pub(crate) fn until(&mut self, what: &str, mut ready: impl FnMut(&mut Rig) -> bool) {
        for _ in 0..TURNS_MAX {
            if ready(self) {
                return;
            }
            self.turn();
        }
        panic!("waited in vain for {what}; events {:?}", self.events);
    }

    pub(crate) fn until_durable(&mut self, id: LogId) {
        self.until("durable", |rig| {
            let offsets = rig.set().offsets(id);
            offsets.durable == offsets.end
        });
    }

    pub(crate) fn until_event(&mut self, what: &str, wanted: impl Fn(&LogEvent) -> bool) {
        self.until(what, |rig| rig.events.iter().any(&wanted));
    }

    /// Lets `ms` of the shard's time pass.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.io.now().plus_millis(ms);
        let io = self.io.clone();
        let timer = io.clone();
        io.spawn(async move { timer.sleep_until(end).await });
        self.until("time", |rig| rig.io.now() >= end);
        self.turn();
    }

    /// Appends the batch that belongs at the log's end: `records` records, about `bytes` bytes.
    pub(crate) fn append(&mut self, id: LogId, records: i32, bytes: usize) -> Result<AppendInfo, AppendError> {
        self.append_at(id, records, bytes, 1000)
    }

    pub(crate) fn append_at(
        &mut self,
        id: LogId,
        records: i32,
        bytes: usize,
        timestamp: i64,
    ) -> Result<AppendInfo, AppendError> {
        let base = self.set().offsets(id).end;
        let batch = batch(base, records, bytes, timestamp);
        let append = Append {
            bytes: &batch,
            base_offset: base,
            last_offset: base + i64::from(records) - 1,
            leader_epoch: 7,
            max_timestamp: timestamp,
            offset_of_max_timestamp: base + i64::from(records) - 1,
        };
        self.set().append(id, append)
    }

    /// Runs a task to its end, turning the whole loop.
    pub(crate) fn run<T: 'static>(&mut self, task: impl Future<Output = T> + 'static) -> T {
        let slot = Rc::new(RefCell::new(None));
        let result = Rc::clone(&slot);
        self.io.spawn(async move {
            let value = task.await;
            result.replace(Some(value));
        });
        self.until("a task", |_| slot.borrow().is_some());
        slot.take().unwrap()
    }

    /// Batches from `from` on, from memory or disk as they come.
    pub(crate) fn fetch(&mut self, id: LogId, from: i64, max_bytes: usize) -> Result<Vec<Slice>, ReadError> {
        match self.set().read(id, from, max_bytes, i64::MAX, true) {
            Read::Bytes(slices) => Ok(slices),
            Read::Disk(plan) => {
                let task = self.set().read_disk(plan);
                self.run(task)
            }
            Read::End => Ok(Vec::new()),
            Read::OutOfRange => panic!("offset {from} is out of range"),
        }
    }

    /// Every batch from the log's start, each verified; returns base and last offsets.
    pub(crate) fn read_all(&mut self, id: LogId) -> Vec<(i64, i64)> {
        let offsets = self.set().offsets(id);
        let mut at = offsets.start;
        let mut seen = Vec::new();
        while at < offsets.end {
            let slices = self.fetch(id, at, 32 << 10).unwrap_or_else(|error| panic!("reading {at}: {error}"));
            let found = verify(&slices);
            let Some(&(_, last)) = found.last() else { break };
            seen.extend(found);
            at = last + 1;
        }
        seen
    }

    /// Checks that the log's batches follow each other without a hole up to its end, and are what was appended.
    pub(crate) fn check_whole(&mut self, id: LogId) {
        let offsets = self.set().offsets(id);
        let batches = self.read_all(id);
        if let Some(&(first, _)) = batches.first() {
            assert!(first <= offsets.start, "first batch {first}, start {}", offsets.start);
        }
        for pair in batches.windows(2) {
            assert_eq!(pair[0].1 + 1, pair[1].0, "a hole or an overlap");
        }
        let end = batches.last().map_or(offsets.start, |&(_, last)| last + 1);
        assert_eq!(end, offsets.end, "read up to");
    }

    /// Ends the set cleanly.
    pub(crate) fn shutdown(mut self) {
        let deadline = self.io.now().plus_millis(10_000);
        let set = self.set.take().unwrap();
        set.shutdown(deadline, |_| {}).unwrap();
    }
}

/// Turns an `Io` without a set until `task` has ended, or so many turns went by.
pub(crate) fn block_on<T: 'static>(
    io: &Io,
    turns: usize,
    task: impl Future<Output = Result<T, String>> + 'static,
) -> Result<T, String> {
    let slot = Rc::new(RefCell::new(None));
    let result = Rc::clone(&slot);
    io.spawn(async move {
        let value = task.await;
        result.replace(Some(value));
    });
    let mut dones = Vec::new();
    for _ in 0..turns {
        io.turn(&mut dones);
        if let Some(value) = slot.take() {
            return value;
        }
        io.park(None);
    }
    Err("the task did not end".to_owned())
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.io.abandon_tasks();
    }
}

/// A batch whose bytes follow from its offset and timestamp, as a producer would send it: base offset 0, no epoch.
pub(crate) fn batch(base: i64, records: i32, bytes: usize, timestamp: i64) -> Vec<u8> {
    let body = bytes.saturating_sub(HEADER_LEN);
    let mut header = BatchHeader {
        base_offset: 0,
        batch_length: (HEADER_LEN - 12 + body) as i32,
        leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: records - 1,
        base_timestamp: timestamp,
        max_timestamp: timestamp,
        producer_id: base % 2,
        producer_epoch: 0,
        base_sequence: 0,
        record_count: records,
    };
    let mut batch = header.encode().to_vec();
    batch.extend((0..body).map(|at| content(base ^ timestamp, at)));
    header.crc = protocol::crc::crc32c(&batch[ATTRIBUTES..]);
    batch[..HEADER_LEN].copy_from_slice(&header.encode());
    batch
}

fn content(base: i64, at: usize) -> u8 {
    ((base as usize).wrapping_mul(31).wrapping_add(at.wrapping_mul(7)) >> 2) as u8 | 1
}

/// Base and last offset of every batch in `slices`, each checked byte by byte.
pub(crate) fn verify(slices: &[Slice]) -> Vec<(i64, i64)> {
    let mut seen = Vec::new();
    for slice in slices {
        let mut batches = iter_batches(slice);
        for view in batches.by_ref() {
            let view = view.unwrap();
            view.check_crc().unwrap();
            let base = view.base_offset();
            let wrong =
                view.body().iter().enumerate().find(|&(at, &byte)| byte != content(base ^ view.max_timestamp(), at));
            assert!(wrong.is_none(), "batch {base} holds somebody else's bytes at {wrong:?}");
            assert_eq!(view.leader_epoch(), 7, "the epoch was patched");
            seen.push((base, view.last_offset()));
        }
        assert_eq!(batches.position(), slice.len(), "only whole batches are handed out");
    }
    seen
}

/// Runs a test over every driver, each with an empty data folder.
pub(crate) fn on_every_driver(test: impl Fn(&dyn Fn() -> Box<dyn Driver>, &Path)) {
    let world = SimWorld::new(1);
    world.write_file("/data/.keep", b"").unwrap();
    test(&|| Box::new(world.restart()), Path::new("/data"));

    let folder = tempfile::tempdir().unwrap();
    test(&|| Box::new(engine::io::posix::PosixDriver::new().unwrap()), folder.path());

    if let Err(refused) = UringDriver::new() {
        assert!(
            std::env::var_os("RINGLOG_EXPECT_NO_URING").is_some(),
            "{refused}. If that is right here, set RINGLOG_EXPECT_NO_URING=1"
        );
        return;
    }
    let rings: [&dyn Fn() -> Box<dyn Driver>; 3] =
        [&|| Box::new(UringDriver::new().unwrap()), &|| Box::new(TokioUringDriver::new().unwrap()), &|| {
            Box::new(GlommioDriver::new().unwrap())
        }];
    for ring in rings {
        let folder = tempfile::tempdir().unwrap();
        test(ring, folder.path());
    }
}

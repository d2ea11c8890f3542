//! All logs of one shard: one machine, driven by the shard's loop.
//!
//! Calling order, once a turn: [`LogSet::handle`] for each completion of `Owner::Log`, any commands and getters,
//! [`LogSet::pump`], then [`LogSet::poll_event`] until it is empty; park no longer than [`LogSet::next_deadline`].
//! Commands change state at once and never wait; what takes time runs in tasks that hand back one [`Outcome`].

mod append;
mod checkpoint;
mod compact;
mod drive;
mod health;
mod journal;
mod outcome;
mod read;
mod relocate;
mod remove;
mod retain;
mod scrub;
mod seal;
mod shutdown;
mod snapshot;
mod truncate;

pub use compact::{CompactionPace, CompactionTerms};
pub(super) use journal::LogJournal;
pub(super) use relocate::Relocation;
pub use relocate::{FutureLog, RelocateError};
pub(super) use remove::remove_folder;
pub use shutdown::{Shutdown, ShutdownError};

use super::config::{LogConfig, LogId, LogLimits, LogName};
use super::epochs::Epochs;
use super::event::{LogEvent, LogOffsets};
use super::files::ReadFiles;
use super::reader::IndexCache;
use super::recovery::RecoveredLog;
use super::state::{Health, Log};
use crate::io::{Done, Op, Owner, Token};
use crate::mem::Gauge;
use crate::shard::{Class, Io};
use crate::time::{Mono, Wall};
use outcome::Outcome;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A data folder as this shard uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDir {
    /// The data folder.
    pub path: PathBuf,
    /// Counts the starts of this data folder, from [`scan_data_dir`](super::recovery::scan_data_dir).
    pub incarnation: u64,
}

/// See the module.
pub struct LogSet {
    io: Io,
    limits: LogLimits,
    shard: u16,
    dirs: BTreeMap<PathBuf, DirState>,
    logs: Vec<Option<Box<Log>>>,
    ops: Ops,
    outcomes: Rc<RefCell<VecDeque<Outcome>>>,
    background: Class,
    catch_up: Class,
    files: Rc<RefCell<ReadFiles>>,
    indexes: Rc<RefCell<IndexCache>>,
    /// Counts what was read from disk.
    read_held: Gauge,
    /// Logs that may have something to do.
    dirty: VecDeque<LogId>,
    timers: BTreeSet<(Mono, LogId)>,
    events: VecDeque<LogEvent>,
    /// Folders that are being renamed away; a new log of that name waits.
    leaving: BTreeSet<PathBuf>,
    /// Memory of all tails, in bytes.
    held: usize,
    /// Logs in the order in which their chunks were made.
    evict: VecDeque<LogId>,
    /// Appended and not yet written, in bytes.
    unwritten: u64,
    /// Bytes of batches that were copied into tails, ever.
    copied: u64,
    /// Bytes of begun blocks that were copied, for the next chunk or for a write of whole blocks, ever.
    edges: u64,
    serial: u64,
    now: Mono,
    wall: Wall,
    retention_at: Mono,
    idle_at: Option<Mono>,
    /// The set ends; tasks look at it too.
    closing: Rc<Cell<bool>>,
    scrub: scrub::Scrub,
    relocations: relocate::Pace,
    compacting: compact::Compacting,
}

/// What the set knows of a data folder.
struct DirState {
    incarnation: u64,
    /// When the durable offsets are to be written; none while nothing changed.
    checkpoint_at: Option<Mono>,
    checkpointing: Rc<Cell<bool>>,
    /// One writer of the checkpoint file at a time, in the order of what they wrote down.
    lock: Class,
    /// Zero-written spares, ready to take.
    spares: Vec<(PathBuf, u64)>,
    sparing: bool,
    journal: journal::Journal,
}

/// What an op of the writer was for.
#[derive(Clone, Debug)]
enum LogOp {
    Write { id: LogId, base: i64, range: std::ops::Range<u64> },
    Sync { id: LogId, base: i64, upto: u64 },
    Reserve { id: LogId, base: i64, upto: u64 },
    Journal { data: PathBuf, sequence: u64 },
}

/// Pending ops by token payload.
#[derive(Default)]
struct Ops {
    slots: Vec<Option<LogOp>>,
    free: Vec<usize>,
}

impl Ops {
    fn begin(&mut self, op: LogOp) -> Token {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[at] = Some(op);
        Token::new(Owner::Log, at as u64)
    }

    fn end(&mut self, token: Token) -> LogOp {
        let at = token.payload() as usize;
        let Some(op) = self.slots.get_mut(at).and_then(Option::take) else {
            panic!("op {at} of the log set completed twice")
        };
        self.free.push(at);
        op
    }

    fn pending(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl LogSet {
    /// An empty set for logs in `dirs`, which exist. `shard` names this shard's private files.
    pub fn new(io: Io, limits: LogLimits, shard: u16, dirs: Vec<ShardDir>) -> LogSet {
        let background = Class::new(&io, limits.background_ops);
        let catch_up = Class::new(&io, limits.catch_up_ops);
        let files = Rc::new(RefCell::new(ReadFiles::new(limits.read_files_max)));
        let (now, wall) = (io.now(), io.wall());
        let closing = Rc::new(Cell::new(false));
        let scrub = scrub::Scrub::new(&io, &limits, background.clone(), Rc::clone(&closing));
        let relocations = relocate::Pace::new(&io, limits.relocate_bytes_per_s);
        let compacting = compact::Compacting::new(now, &limits);
        let dirs = dirs.into_iter().map(|dir| (dir.path, DirState::new(&io, dir.incarnation))).collect();
        LogSet {
            retention_at: now.plus_millis(limits.retention_check_ms),
            io,
            limits,
            shard,
            dirs,
            logs: Vec::new(),
            ops: Ops::default(),
            outcomes: Rc::default(),
            background,
            catch_up,
            files,
            indexes: Rc::default(),
            read_held: Gauge::default(),
            dirty: VecDeque::new(),
            timers: BTreeSet::new(),
            events: VecDeque::new(),
            leaving: BTreeSet::new(),
            held: 0,
            evict: VecDeque::new(),
            unwritten: 0,
            copied: 0,
            edges: 0,
            serial: 0,
            now,
            wall,
            idle_at: None,
            closing,
            scrub,
            relocations,
            compacting,
        }
    }

    /// Makes an empty log in memory; folder and file appear with the first write. `uid` is the topic's id. The data
    /// folder must be one of the set's.
    pub fn create(
        &mut self,
        name: LogName,
        uid: [u8; 16],
        partition: i32,
        config: LogConfig,
        start_offset: i64,
    ) -> LogId {
        assert!(self.dirs.contains_key(name.data_dir()), "{} is no folder of this set", name.data_dir().display());
        let mut log = Log::new(name, uid, partition, self.limits.bound(config), start_offset);
        log.jitter_ms = self.jitter(&log.config);
        self.add(log)
    }

    /// Takes a recovered log into service.
    pub fn adopt(&mut self, recovered: RecoveredLog, config: LogConfig) -> LogId {
        assert!(self.dirs.contains_key(recovered.name.data_dir()), "a log is adopted where its data folder is");
        let mut log = recovered.into_log(self.limits.bound(config));
        log.jitter_ms = self.jitter(&log.config);
        let id = self.add(log);
        self.note_checkpoint(id);
        id
    }

    fn add(&mut self, mut log: Log) -> LogId {
        log.last_used = self.now;
        self.logs.push(Some(Box::new(log)));
        LogId(u32::try_from(self.logs.len() - 1).unwrap_or_else(|_| unreachable!("memory ends before 2^32 logs")))
    }

    fn jitter(&self, config: &LogConfig) -> i64 {
        let bound = config.segment_jitter_ms.min(config.segment_ms).max(0) as u64;
        if bound == 0 { 0 } else { (self.io.random() % bound) as i64 }
    }

    /// Changes settings from now on.
    pub fn set_config(&mut self, id: LogId, config: LogConfig) {
        let config = self.limits.bound(config);
        let jitter = self.jitter(&config);
        let Some(log) = self.log_mut(id) else { return };
        log.config = config;
        log.jitter_ms = jitter;
        self.mark_dirty(id);
    }

    /// Where the log stands; zeros for a deleted one.
    pub fn offsets(&self, id: LogId) -> LogOffsets {
        self.log(id).map_or_else(LogOffsets::default, |log| LogOffsets {
            start: log.start,
            durable: log.durable,
            end: log.end,
        })
    }

    /// The data folder that the log lies in.
    pub fn data_dir(&self, id: LogId) -> Option<&Path> {
        self.log(id).map(|log| log.name.data_dir())
    }

    /// Bytes of batches in all segments.
    pub fn size_bytes(&self, id: LogId) -> u64 {
        self.log(id).map_or(0, Log::size_bytes)
    }

    /// Base offset, exclusive end and bytes of each segment, oldest first.
    pub fn segments(&self, id: LogId) -> Vec<(i64, i64, u64)> {
        let segments = self.log(id).into_iter().flat_map(|log| &log.segments);
        segments.map(|segment| (segment.base, segment.end, segment.bytes)).collect()
    }

    /// Base offset and largest timestamp (milliseconds, -1 without one) of each segment, oldest first.
    pub fn segment_times(&self, id: LogId) -> Vec<(i64, i64)> {
        let segments = self.log(id).into_iter().flat_map(|log| &log.segments);
        segments.map(|segment| (segment.base, segment.max_timestamp)).collect()
    }

    /// The largest timestamp in the log, in milliseconds, and an offset that has it (the last of its batch, where
    /// nobody looked closer). `None` when no batch has a timestamp.
    pub fn max_timestamp(&self, id: LogId) -> Option<(i64, i64)> {
        let segments = self.log(id)?.segments.iter();
        let newest = segments.rev().max_by_key(|segment| segment.max_timestamp)?;
        (newest.max_timestamp >= 0).then_some((newest.max_timestamp, newest.offset_of_max_timestamp))
    }

    /// Which leader epoch began where.
    pub fn epochs(&self, id: LogId) -> Option<&Epochs> {
        self.log(id).map(|log| &log.epochs)
    }

    /// The largest known epoch not above `epoch` and the first offset past it (OffsetForLeaderEpoch).
    pub fn end_offset_for_epoch(&self, id: LogId, epoch: i32) -> Option<(i32, i64)> {
        let log = self.log(id)?;
        log.epochs.end_offset_for(epoch, log.end)
    }

    /// Bytes of tail memory of all logs.
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// The next thing that happened, in order.
    pub fn poll_event(&mut self) -> Option<LogEvent> {
        self.events.pop_front()
    }

    /// When [`LogSet::pump`] wants to be called at the latest.
    pub fn next_deadline(&self) -> Option<Mono> {
        if !self.dirty.is_empty() || !self.outcomes.borrow().is_empty() {
            return Some(self.now);
        }
        let logs = self.logs.iter().any(Option::is_some);
        let scrub = self.scrub.deadline(self.now).filter(|_| logs && !self.closing.get());
        let compacting = self.compacting.deadline().filter(|_| logs && !self.closing.get());
        let logs = logs.then_some(self.retention_at);
        let timer = self.timers.first().map(|&(at, _)| at);
        let checkpoint =
            self.dirs.values().filter(|dir| !dir.checkpointing.get()).filter_map(|dir| dir.checkpoint_at).min();
        [logs, scrub, compacting, timer, checkpoint, self.idle_at].into_iter().flatten().min()
    }

    fn log(&self, id: LogId) -> Option<&Log> {
        self.logs.get(id.0 as usize)?.as_deref().filter(|log| !matches!(log.health, Health::Deleting { .. }))
    }

    fn log_mut(&mut self, id: LogId) -> Option<&mut Log> {
        self.logs.get_mut(id.0 as usize)?.as_deref_mut().filter(|log| !matches!(log.health, Health::Deleting { .. }))
    }

    /// The log even while it is being deleted.
    fn any_log_mut(&mut self, id: LogId) -> Option<&mut Log> {
        self.logs.get_mut(id.0 as usize)?.as_deref_mut()
    }

    fn mark_dirty(&mut self, id: LogId) {
        if let Some(log) = self.logs.get_mut(id.0 as usize).and_then(Option::as_deref_mut)
            && !std::mem::replace(&mut log.is_dirty, true)
        {
            self.dirty.push_back(id);
        }
    }

    /// As [`LogSet::mark_dirty`], for a log that the caller holds.
    fn mark_dirty_held(&mut self, id: LogId, log: &mut Log) {
        if !std::mem::replace(&mut log.is_dirty, true) {
            self.dirty.push_back(id);
        }
    }

    fn submit(&mut self, what: LogOp, op: Op) {
        let token = self.ops.begin(what);
        self.io.submit(token, op);
    }

    /// Starts a task on the files of `id`, which hands back one outcome.
    fn start(&mut self, id: LogId, task: impl Future<Output = outcome::Result> + 'static) {
        if let Some(log) = self.any_log_mut(id) {
            log.tasks += 1;
        }
        let outcomes = Rc::clone(&self.outcomes);
        self.io.spawn(async move {
            let result = task.await;
            outcomes.borrow_mut().push_back(Outcome { id, result });
        });
    }

    /// A number that no other private file of this run has.
    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Takes a completion of `Owner::Log`.
    pub fn handle(&mut self, done: Done) {
        let what = self.ops.end(done.token);
        let id = match what {
            LogOp::Write { id, base, range } => {
                self.write_done(id, base, &range, done.result);
                id
            }
            LogOp::Sync { id, base, upto } => {
                self.sync_done(id, base, upto, done.result);
                id
            }
            LogOp::Reserve { id, base, upto } => {
                self.reserve_done(id, base, upto, done.result);
                id
            }
            LogOp::Journal { data, sequence } => return self.block_done(&data, sequence, done.result),
        };
        self.mark_dirty(id);
    }

    /// Does everything that is due: submits writes and flushes, rolls, seals, retains, checkpoints.
    pub fn pump(&mut self, now: Mono, wall: Wall) {
        self.now = now;
        self.wall = wall;
        self.take_outcomes();
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            self.mark_dirty(id);
        }
        if self.retention_at <= now {
            self.retention_at = now.plus_millis(self.limits.retention_check_ms);
            self.check_retention();
        }
        for _ in 0..self.dirty.len() {
            if let Some(id) = self.dirty.pop_front() {
                self.drive(id);
            }
        }
        self.pump_journals();
        self.give_back_idle();
        self.scrub();
        self.look_for_compaction();
        self.write_checkpoints();
    }
}

impl DirState {
    fn new(io: &Io, incarnation: u64) -> DirState {
        DirState {
            incarnation,
            checkpoint_at: None,
            checkpointing: Rc::default(),
            lock: Class::new(io, 1),
            spares: Vec::new(),
            sparing: false,
            journal: journal::Journal::default(),
        }
    }
}

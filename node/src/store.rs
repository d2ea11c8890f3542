//! The broker's [`Store`] over the engine's logs: two vocabularies side by side, and which data folder a new log gets.

use crate::budget::CleanerShare;
use broker::config::CleanerSettings;
use broker::io::ReadFault;
use broker::log_dirs::DirId;
use broker::partition::METADATA_LOG;
use broker::store::{
    Append, AppendRefused, BatchFacts, Chunk, Durability, Future, Home, LogId, LogOffsets, LogPlace, LogSettings,
    LogSpec, MoveRefused, ReadRange, Store, StoreEvent, StoreRead,
};
use engine::log::{self, AppendError, CompactionTerms, LeasedAppend, LogConfig, LogEvent, LogLimits, LogName, LogSet};
use engine::mem::{Buf, Gauge, Lease, Slice};
use engine::shard::Io;
use std::collections::BTreeSet;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Shared bytes of the engine, as the broker knows them.
#[derive(Clone, Debug)]
pub enum Mem {
    /// Any of the engine's memory.
    Slice(Slice),
    /// Bytes of a batch that lie where a log would have them. While nobody else holds it, the log can take it over.
    Leased(Arc<Lease>, Range<usize>),
}

impl Deref for Mem {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Mem::Slice(slice) => slice,
            Mem::Leased(lease, range) => &lease.as_slice()[range.clone()],
        }
    }
}

impl Chunk for Mem {
    fn slice(&self, range: Range<usize>) -> Mem {
        match self {
            Mem::Slice(slice) => Mem::Slice(slice.slice(range)),
            Mem::Leased(lease, outer) => {
                assert!(range.start <= range.end && range.end <= outer.len(), "{range:?} is not inside {outer:?}");
                Mem::Leased(Arc::clone(lease), outer.start + range.start..outer.start + range.end)
            }
        }
    }

    fn from_vec(bytes: Vec<u8>) -> Mem {
        Mem::Slice(Slice::from(bytes))
    }
}

impl Mem {
    /// What a log lent, with what was received into it.
    pub fn leased(lease: Lease) -> Mem {
        let range = 0..lease.as_slice().len();
        Mem::Leased(Arc::new(lease), range)
    }

    /// As the engine knows it. Leased bytes are nobody else's to keep, so they are copied.
    pub fn into_slice(self) -> Slice {
        match self {
            Mem::Slice(slice) => slice,
            leased @ Mem::Leased(..) => Slice::copy_of(&leased),
        }
    }

    /// The lease, if these bytes are all of it and nobody else holds it; otherwise the bytes as they were.
    fn into_lease(self) -> Result<Lease, Mem> {
        match self {
            Mem::Leased(lease, range) if range == (0..lease.as_slice().len()) => {
                Arc::try_unwrap(lease).map_err(|lease| Mem::Leased(lease, range))
            }
            other => Err(other),
        }
    }
}

/// The logs of one shard.
pub struct EngineStore {
    /// The machine behind; the shard's loop drives it.
    pub logs: LogSet,
    /// The folders of `log.dirs`, in order.
    dirs: Vec<Folder>,
    /// Where looking for the emptiest begins, so that shards with as many logs everywhere do not all choose the same.
    first_dir: usize,
    /// Logs that may lie in a folder that cannot be read.
    hidden: BTreeSet<LogId>,
    /// Folder of the metadata log.
    metadata_dir: PathBuf,
    /// Bytes of record sets that were appended as they came, ever.
    produced_bytes: u64,
    /// What was rebuilt for old clients and somebody still holds.
    rebuilt: Gauge,
    share: CleanerShare,
}

/// A folder of `log.dirs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is, as logs there are found.
    pub path: PathBuf,
    /// It can be used.
    pub is_online: bool,
    /// New logs keep away from it.
    pub is_cordoned: bool,
    /// Logs that this shard has there.
    pub logs: usize,
}

impl EngineStore {
    /// A store that puts new logs into `dirs`, the first of which can be used, and the metadata log in its own.
    pub fn new(logs: LogSet, shard: u16, dirs: Vec<Folder>, metadata_dir: PathBuf, share: CleanerShare) -> EngineStore {
        assert!(dirs.first().is_some_and(|dir| dir.is_online), "a broker has a data folder");
        let first_dir = usize::from(shard) % dirs.len();
        let (hidden, rebuilt) = (BTreeSet::new(), Gauge::default());
        EngineStore { logs, dirs, first_dir, hidden, metadata_dir, produced_bytes: 0, rebuilt, share }
    }

    /// A log has moved from the folder where it was counted to another one.
    pub fn recount(&mut self, from: &Path, to: &Path) {
        if let Some(folder) = self.dirs.iter_mut().find(|folder| folder.path == from) {
            folder.logs = folder.logs.saturating_sub(1);
        }
        self.count(to);
    }

    /// The folders of `log.dirs`, in order.
    pub fn dirs(&self) -> &[Folder] {
        &self.dirs
    }

    /// Bytes of clients' record sets that were appended as they came, ever.
    pub fn produced_bytes(&self) -> u64 {
        self.produced_bytes
    }

    /// Takes the logs out, to close them; what is left is an empty store.
    pub fn take_logs(&mut self, io: &Io) -> LogSet {
        std::mem::replace(&mut self.logs, LogSet::new(io.clone(), LogLimits::default(), 0, Vec::new()))
    }

    /// Notes a log that recovery found in `dir`.
    pub fn count(&mut self, dir: &Path) {
        if let Some(folder) = self.dirs.iter_mut().find(|folder| folder.path == dir) {
            folder.logs += 1;
        }
    }

    /// Reads what is in memory, or says what to read from disk.
    pub fn look(&self, log: LogId, range: ReadRange) -> log::Read {
        let ReadRange { from, upto, max_bytes, at_least_one } = range;
        self.logs.read(engine_id(log), from, max_bytes, upto, at_least_one)
    }

    /// Appends records, taking their memory over if they were received where the log wants them.
    fn append_or_take(&mut self, log: LogId, records: &mut Mem, facts: BatchFacts) -> Result<(), AppendRefused> {
        let lease = match std::mem::replace(records, Mem::Slice(Slice::empty())).into_lease() {
            Ok(lease) => lease,
            Err(shared) => {
                *records = shared;
                return self.append(log, facts.with(records));
            }
        };
        let BatchFacts { base_offset, last_offset, leader_epoch, max_timestamp } = facts;
        let offset_of_max_timestamp = last_offset;
        let batch =
            LeasedAppend { lease, base_offset, last_offset, leader_epoch, max_timestamp, offset_of_max_timestamp };
        match self.logs.append_leased(engine_id(log), batch) {
            Ok(_) => Ok(()),
            Err((error, batch)) => {
                *records = Mem::leased(batch.lease);
                Err(refused(error))
            }
        }
    }

    /// Which folder takes the next log: the one with the fewest of this shard's, as in Kafka, unless somebody has chosen.
    fn home(&mut self, home: Home) -> PathBuf {
        let count = self.dirs.len();
        let usable = |at: &usize| self.dirs[*at].is_online;
        let chosen = if let Home::Dir(dir) = home { Some(usize::from(dir.0)) } else { None };
        let in_turn = || (0..count).map(|step| (self.first_dir + step) % count).filter(usable);
        let open = in_turn().filter(|at| !self.dirs[*at].is_cordoned).min_by_key(|at| self.dirs[*at].logs);
        // Where all are cordoned, a partition that the metadata lists has to lie somewhere all the same.
        let emptiest = open.or_else(|| in_turn().min_by_key(|at| self.dirs[*at].logs)).unwrap_or(0);
        let at = chosen.filter(|at| *at < count && usable(at)).unwrap_or(emptiest);
        let folder = &mut self.dirs[at];
        folder.logs += 1;
        folder.path.clone()
    }

    fn dir_of(&self, path: &Path) -> Option<DirId> {
        let at = self.dirs.iter().position(|folder| folder.path == path)?;
        u16::try_from(at).ok().map(DirId)
    }
}

impl Store for EngineStore {
    type Chunk = Mem;

    fn create(&mut self, spec: &LogSpec) -> LogId {
        let folder = format!("{}-{}", spec.topic, spec.partition);
        let dir = match spec.home {
            _ if spec.topic_id == METADATA_LOG.topic.0 => self.metadata_dir.clone(),
            Home::Offline => {
                // No file of that name is touched: the log takes no appends.
                let name = LogName { dir: self.dirs[0].path.join(folder) };
                let hidden = log::RecoveredLog::hidden(name, spec.topic_id, spec.partition);
                let id = broker_id(self.logs.adopt(hidden, config(&spec.settings)));
                self.hidden.insert(id);
                return id;
            }
            home => self.home(home).join(folder),
        };
        broker_id(self.logs.create(LogName { dir }, spec.topic_id, spec.partition, config(&spec.settings), 0))
    }

    fn configure(&mut self, log: LogId, settings: &LogSettings) {
        self.logs.set_config(engine_id(log), config(settings));
    }

    fn delete(&mut self, log: LogId) {
        if let Some(LogPlace { dir: Some(dir), .. }) = Some(self.place(log)) {
            let folder = &mut self.dirs[usize::from(dir.0)];
            folder.logs = folder.logs.saturating_sub(1);
        }
        self.hidden.remove(&log);
        self.logs.delete(engine_id(log));
    }

    fn append(&mut self, log: LogId, batch: Append<'_>) -> Result<(), AppendRefused> {
        let append = log::Append {
            bytes: batch.bytes,
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            leader_epoch: batch.leader_epoch,
            max_timestamp: batch.max_timestamp,
            offset_of_max_timestamp: batch.last_offset,
        };
        self.logs.append(engine_id(log), append).map(drop).map_err(refused)
    }

    fn append_chunk(&mut self, log: LogId, records: &mut Mem, facts: BatchFacts) -> Result<(), AppendRefused> {
        let bytes = records.len() as u64;
        let appended = self.append_or_take(log, records, facts);
        self.produced_bytes += if appended.is_ok() { bytes } else { 0 };
        appended
    }

    fn read(&mut self, log: LogId, range: ReadRange) -> StoreRead<Mem> {
        match self.look(log, range) {
            log::Read::Bytes(slices) => StoreRead::Bytes(chunks(slices)),
            log::Read::Disk(_) => StoreRead::Disk,
            log::Read::End => StoreRead::End,
            log::Read::OutOfRange => StoreRead::OutOfRange,
        }
    }

    fn offsets(&self, log: LogId) -> LogOffsets {
        let log::LogOffsets { start, durable, end } = self.logs.offsets(engine_id(log));
        LogOffsets { start, durable, end }
    }

    fn advance_start(&mut self, log: LogId, to: i64) {
        self.logs.advance_start(engine_id(log), to);
    }

    fn end_of_epoch(&self, log: LogId, epoch: i32) -> Option<(i32, i64)> {
        self.logs.end_offset_for_epoch(engine_id(log), epoch)
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, i64)> {
        self.logs.max_timestamp(engine_id(log))
    }

    fn size_bytes(&self, log: LogId) -> u64 {
        self.logs.size_bytes(engine_id(log))
    }

    fn segments(&self, log: LogId) -> Vec<(i64, i64)> {
        self.logs.segment_times(engine_id(log))
    }

    fn hold_rebuilt(&mut self, bytes: Vec<u8>) -> Mem {
        let mut buf = Buf::counted(bytes.len(), &self.rebuilt);
        buf.extend_from_slice(&bytes);
        Mem::Slice(buf.freeze())
    }

    fn rebuilt_bytes(&self) -> usize {
        self.rebuilt.bytes()
    }

    fn place(&self, log: LogId) -> LogPlace {
        let dir = self.logs.data_dir(engine_id(log)).filter(|_| !self.hidden.contains(&log));
        let future = self.logs.future(engine_id(log)).and_then(|future| {
            let dir = self.dir_of(&future.data_dir)?;
            Some(Future { dir, size_bytes: future.bytes, end: future.end })
        });
        LogPlace { dir: dir.and_then(|dir| self.dir_of(dir)), future }
    }

    fn move_log(&mut self, log: LogId, to: DirId) -> Result<(), MoveRefused> {
        let folder = self.dirs.get(usize::from(to.0)).filter(|folder| folder.is_online).ok_or(MoveRefused)?;
        let path = folder.path.clone();
        self.logs.relocate(engine_id(log), &path).map_err(|_| MoveRefused)
    }

    fn compact(&mut self, log: LogId, upto: i64, last_batches: Vec<i64>) {
        self.logs.compact(engine_id(log), CompactionTerms { upto, last_batches });
    }

    fn set_cleaner(&mut self, settings: &CleanerSettings) {
        self.logs.set_compaction_pace(&self.share.pace(settings));
    }

    fn put_snapshot(&mut self, log: LogId, upto: i64, state: Vec<u8>) {
        self.logs.put_snapshot(engine_id(log), upto, state);
    }
}

/// The engine's name of a log.
pub fn engine_id(log: LogId) -> log::LogId {
    log::LogId(log.0)
}

/// The broker's name of a log.
pub fn broker_id(log: log::LogId) -> LogId {
    LogId(log.0)
}

/// Slices as the broker knows them.
pub fn chunks(slices: Vec<Slice>) -> Vec<Mem> {
    slices.into_iter().map(Mem::Slice).collect()
}

fn refused(error: AppendError) -> AppendRefused {
    match error {
        AppendError::Fenced | AppendError::Deleted => AppendRefused::Fenced,
        AppendError::Full => AppendRefused::Full,
        AppendError::Busy => AppendRefused::Busy,
    }
}

/// The engine's form of a topic's settings.
pub fn config(settings: &LogSettings) -> LogConfig {
    LogConfig {
        segment_bytes: settings.segment_bytes,
        segment_ms: settings.segment_ms,
        segment_jitter_ms: settings.segment_jitter_ms,
        retention_ms: settings.retention_ms,
        retention_bytes: settings.retention_bytes,
        delete_policy: settings.delete_policy,
        compact_policy: settings.compact_policy,
        delete_retention_ms: settings.delete_retention_ms,
        min_compaction_lag_ms: settings.min_compaction_lag_ms,
        max_compaction_lag_ms: settings.max_compaction_lag_ms,
        min_cleanable_ppm: settings.min_cleanable_ppm,
        index_interval_bytes: settings.index_interval_bytes,
        durability: match settings.durability {
            Durability::Fsync => log::Durability::Fsync,
            Durability::Interval { ms } => log::Durability::Interval { ms },
            Durability::None => log::Durability::None,
        },
        file_delete_delay_ms: settings.file_delete_delay_ms,
        segment_index_bytes: settings.segment_index_bytes,
        preallocate: settings.preallocate,
    }
}

/// What the broker is told of an event; the rest concerns files and the log file of the process only.
pub fn store_event(event: &LogEvent) -> Option<StoreEvent> {
    let broker_id = |id: &log::LogId| LogId(id.0);
    match event {
        LogEvent::Durable { id, upto } => Some(StoreEvent::Durable { log: broker_id(id), upto: *upto }),
        LogEvent::Rejected { id, from } => Some(StoreEvent::Rejected { log: broker_id(id), from: *from }),
        LogEvent::Fenced { id, .. } => Some(StoreEvent::Fenced { log: broker_id(id) }),
        LogEvent::StartMoved { id, start } => Some(StoreEvent::StartMoved { log: broker_id(id), start: *start }),
        LogEvent::Sealed { id, .. } => Some(StoreEvent::Sealed { log: broker_id(id) }),
        LogEvent::Healed { .. }
        | LogEvent::Damaged { .. }
        | LogEvent::Truncated { .. }
        | LogEvent::Relocated { .. }
        | LogEvent::NotRelocated { .. }
        | LogEvent::Deleted { .. } => None,
        LogEvent::Uncompacted { id } => Some(StoreEvent::Uncompacted { log: broker_id(id) }),
    }
}

/// The broker's form of a failed read.
pub fn fault(error: log::ReadError) -> ReadFault {
    match error {
        log::ReadError::Gone => ReadFault::Gone,
        corrupt @ log::ReadError::Corrupt { .. } => {
            marks::reached!("node: damaged records were refused");
            tracing::error!("stored records are damaged: {corrupt}");
            ReadFault::Corrupt(corrupt.to_string())
        }
        io @ log::ReadError::Io { .. } => {
            tracing::error!("cannot read: {io}");
            ReadFault::Io(io.to_string())
        }
    }
}

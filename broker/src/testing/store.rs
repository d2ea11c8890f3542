//! Storage in vectors. Nothing is durable before [`Memory::flush`]; a test says what is full, busy, cold or broken.

use crate::config::CleanerSettings;
use crate::io::ReadFault;
use crate::log_dirs::DirId;
use crate::store::{
    Append, AppendRefused, Chunk, Future, Home, LogId, LogOffsets, LogPlace, LogSettings, LogSpec, MoveRefused,
    ReadRange, Store, StoreEvent, StoreRead,
};
use protocol::batch::{HEADER_LEN, patch};
use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::sync::{Arc, Weak};

/// Shared bytes.
#[derive(Clone, Debug)]
pub struct MemoryChunk {
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Deref for MemoryChunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

impl Chunk for MemoryChunk {
    fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.end <= self.range.len(), "{range:?} of {} bytes", self.range.len());
        let start = self.range.start + range.start;
        MemoryChunk { bytes: Arc::clone(&self.bytes), range: start..self.range.start + range.end }
    }

    fn from_vec(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        MemoryChunk { bytes: Arc::new(bytes), range }
    }
}

/// One stored batch.
#[derive(Clone, Debug)]
struct Stored {
    base: i64,
    last: i64,
    epoch: i32,
    max_timestamp: i64,
    bytes: MemoryChunk,
}

/// One log.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) spec: LogSpec,
    batches: Vec<Stored>,
    offsets: LogOffsets,
    /// Reads below this offset go to the disk.
    cold_below: i64,
    fenced: bool,
    pub(super) snapshot: Option<(i64, Vec<u8>)>,
    /// What the last compaction was told.
    pub(super) compaction: Option<(i64, Vec<i64>)>,
    pub(super) deleted: bool,
    place: LogPlace,
}

/// What is wrong with the disk under reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoiled {
    /// Every read of this log fails its checksum.
    Corrupt(LogId),
    /// Every read of this log fails.
    Io(LogId),
}

/// The storage of one shard.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(super) logs: BTreeMap<LogId, Log>,
    next: u32,
    /// How compaction was told to go about last.
    pub cleaner: Option<CleanerSettings>,
    /// Appends to refuse as Busy.
    pub busy: usize,
    /// No room: appends are refused as Full.
    pub full: bool,
    /// Appends are durable at once.
    pub instant: bool,
    /// What was rebuilt, as long as somebody holds it.
    rebuilt: Vec<Weak<Vec<u8>>>,
    /// Bytes that count as rebuilt and held besides.
    pub rebuilt_elsewhere: usize,
    /// Reads from disk fail.
    pub spoiled: Vec<Spoiled>,
    events: Vec<StoreEvent>,
}

impl Memory {
    /// Makes everything durable that was appended.
    pub fn flush(&mut self) {
        for (id, log) in &mut self.logs {
            if log.offsets.durable < log.offsets.end && !log.fenced {
                log.offsets.durable = log.offsets.end;
                self.events.push(StoreEvent::Durable { log: *id, upto: log.offsets.end });
            }
        }
    }

    /// Whether [`Memory::flush`] has something to do.
    pub fn is_dirty(&self) -> bool {
        self.logs.values().any(|log| log.offsets.durable < log.offsets.end && !log.fenced)
    }

    /// Takes what storage has to say.
    pub fn take_events(&mut self) -> Vec<StoreEvent> {
        std::mem::take(&mut self.events)
    }

    /// The disk turned out full: what is not durable is dropped.
    pub fn reject(&mut self, log: LogId) {
        let Some(found) = self.logs.get_mut(&log) else { return };
        let from = found.offsets.durable;
        found.batches.retain(|batch| batch.base < from);
        found.offsets.end = from;
        self.events.push(StoreEvent::Rejected { log, from });
    }

    /// An I/O error ends the log's service.
    pub fn fence(&mut self, log: LogId) {
        if let Some(found) = self.logs.get_mut(&log) {
            found.fenced = true;
            self.events.push(StoreEvent::Fenced { log });
        }
    }

    /// How far the copy of a log that is being moved has come; at its end it takes the log's place.
    pub fn copy_to(&mut self, log: LogId, end: i64) {
        let size_bytes = self.size_bytes(log);
        let Some(log) = self.logs.get_mut(&log) else { return };
        let Some(future) = &mut log.place.future else { return };
        (future.end, future.size_bytes) = (end, size_bytes);
        if end == log.offsets.end {
            log.place = LogPlace { dir: Some(future.dir), future: None };
        }
    }

    /// Seals the segment of a log.
    pub fn seal(&mut self, log: LogId) {
        self.events.push(StoreEvent::Sealed { log });
    }

    /// Moves what was stored so far out of memory.
    pub fn cool(&mut self) {
        for log in self.logs.values_mut() {
            log.cold_below = log.offsets.end;
        }
    }

    /// The log of a partition.
    pub fn log_of(&self, topic_id: [u8; 16], partition: i32) -> Option<LogId> {
        let is_it = |log: &Log| !log.deleted && log.spec.topic_id == topic_id && log.spec.partition == partition;
        self.logs.iter().find(|(_, log)| is_it(log)).map(|(id, _)| *id)
    }

    /// All stored bytes of a log.
    pub fn bytes_of(&self, log: LogId) -> Vec<u8> {
        self.logs[&log].batches.iter().flat_map(|batch| batch.bytes.to_vec()).collect()
    }

    /// Settings of a log, and whether it was deleted.
    pub fn settings_of(&self, log: LogId) -> (&LogSettings, bool) {
        (&self.logs[&log].spec.settings, self.logs[&log].deleted)
    }

    /// How far a log was to be compacted last, and which batches were to stay.
    pub fn compaction_of(&self, log: LogId) -> Option<&(i64, Vec<i64>)> {
        self.logs[&log].compaction.as_ref()
    }

    /// The state that was kept for a log.
    pub fn snapshot_of(&self, log: LogId) -> Option<&(i64, Vec<u8>)> {
        self.logs[&log].snapshot.as_ref()
    }

    /// Makes everything below `offset` unreadable: whoever needs it finds nothing.
    pub fn lose_below(&mut self, log: LogId, offset: i64) {
        if let Some(found) = self.logs.get_mut(&log) {
            found.batches.retain(|batch| batch.base >= offset);
        }
    }

    /// Forgets what was not durable, as a power cut does.
    pub(super) fn crash(&mut self) {
        self.events.clear();
        for log in self.logs.values_mut() {
            let durable = log.offsets.durable;
            log.batches.retain(|batch| batch.base < durable);
            log.offsets.end = durable;
            log.cold_below = durable;
            log.fenced = false;
        }
        self.logs.retain(|_, log| !log.deleted);
    }

    /// Headers of the batches from `offset` on.
    pub(super) fn headers_from(&self, log: LogId, offset: i64) -> Vec<[u8; HEADER_LEN]> {
        let batches = self.logs[&log].batches.iter().filter(|batch| batch.base >= offset);
        batches.filter_map(|batch| batch.bytes.first_chunk().copied()).collect()
    }

    pub(super) fn read_disk(&self, log: LogId, range: ReadRange) -> Result<Vec<MemoryChunk>, ReadFault> {
        for spoiled in &self.spoiled {
            match spoiled {
                Spoiled::Corrupt(bad) if *bad == log => return Err(ReadFault::Corrupt("a flipped bit".to_owned())),
                Spoiled::Io(bad) if *bad == log => return Err(ReadFault::Io("bad sector".to_owned())),
                _ => {}
            }
        }
        match self.logs.get(&log) {
            Some(found) if !found.deleted => Ok(found.range(range)),
            _ => Err(ReadFault::Gone),
        }
    }

    pub(super) fn find_time(&self, log: LogId, timestamp: i64) -> Result<Option<MemoryChunk>, ReadFault> {
        let found = self.logs.get(&log).filter(|log| !log.deleted).ok_or(ReadFault::Gone)?;
        let live = found.batches.iter().filter(|batch| batch.last >= found.offsets.start);
        Ok(live.into_iter().find(|batch| batch.max_timestamp >= timestamp).map(|batch| batch.bytes.clone()))
    }
}

/// The first directory stands for the emptiest.
fn dir_of(home: Home) -> Option<DirId> {
    match home {
        Home::Any => Some(DirId(0)),
        Home::Dir(dir) => Some(dir),
        Home::Offline => None,
    }
}

impl Log {
    fn range(&self, range: ReadRange) -> Vec<MemoryChunk> {
        let mut pieces: Vec<MemoryChunk> = Vec::new();
        let mut left = range.max_bytes;
        for batch in self.batches.iter().filter(|batch| batch.last >= range.from && batch.base < range.upto) {
            if batch.bytes.len() > left && !(pieces.is_empty() && range.at_least_one) {
                break;
            }
            left = left.saturating_sub(batch.bytes.len());
            pieces.push(batch.bytes.clone());
        }
        pieces
    }
}

impl Store for Memory {
    type Chunk = MemoryChunk;

    fn create(&mut self, spec: &LogSpec) -> LogId {
        let id = LogId(self.next);
        self.next += 1;
        let log = Log {
            spec: spec.clone(),
            batches: Vec::new(),
            offsets: LogOffsets::default(),
            cold_below: 0,
            fenced: spec.home == Home::Offline,
            snapshot: None,
            compaction: None,
            deleted: false,
            place: LogPlace { dir: dir_of(spec.home), future: None },
        };
        self.logs.insert(id, log);
        id
    }

    fn configure(&mut self, log: LogId, settings: &LogSettings) {
        if let Some(log) = self.logs.get_mut(&log) {
            log.spec.settings = settings.clone();
        }
    }

    fn delete(&mut self, log: LogId) {
        if let Some(log) = self.logs.get_mut(&log) {
            log.deleted = true;
        }
    }

    fn append(&mut self, id: LogId, batch: Append<'_>) -> Result<(), AppendRefused> {
        let Some(log) = self.logs.get_mut(&id) else { return Err(AppendRefused::Fenced) };
        if log.fenced {
            return Err(AppendRefused::Fenced);
        }
        if self.full {
            return Err(AppendRefused::Full);
        }
        if self.busy > 0 {
            self.busy -= 1;
            return Err(AppendRefused::Busy);
        }
        assert_eq!(batch.base_offset, log.offsets.end, "an append goes to the log's end");
        let mut bytes = batch.bytes.to_vec();
        patch(&mut bytes, batch.base_offset, batch.leader_epoch);
        log.batches.push(Stored {
            base: batch.base_offset,
            last: batch.last_offset,
            epoch: batch.leader_epoch,
            max_timestamp: batch.max_timestamp,
            bytes: MemoryChunk::from_vec(bytes),
        });
        log.offsets.end = batch.last_offset + 1;
        if self.instant {
            log.offsets.durable = log.offsets.end;
            self.events.push(StoreEvent::Durable { log: id, upto: log.offsets.end });
        }
        Ok(())
    }

    fn read(&mut self, log: LogId, range: ReadRange) -> StoreRead<MemoryChunk> {
        let Some(log) = self.logs.get(&log) else { return StoreRead::OutOfRange };
        if range.from < log.offsets.start || range.from > log.offsets.end {
            return StoreRead::OutOfRange;
        }
        if range.from >= range.upto {
            return StoreRead::End;
        }
        if range.from < log.cold_below { StoreRead::Disk } else { StoreRead::Bytes(log.range(range)) }
    }

    fn offsets(&self, log: LogId) -> LogOffsets {
        self.logs[&log].offsets
    }

    fn advance_start(&mut self, log: LogId, to: i64) {
        if let Some(log) = self.logs.get_mut(&log) {
            log.offsets.start = log.offsets.start.max(to);
        }
    }

    fn end_of_epoch(&self, log: LogId, epoch: i32) -> Option<(i32, i64)> {
        let of_epoch = self.logs.get(&log)?.batches.iter().filter(|batch| batch.epoch <= epoch);
        of_epoch.map(|batch| (batch.epoch, batch.last + 1)).max()
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, i64)> {
        let batches = self.logs.get(&log)?.batches.iter();
        let best = batches.max_by_key(|batch| (batch.max_timestamp, std::cmp::Reverse(batch.base)))?;
        Some((best.max_timestamp, best.base))
    }

    fn size_bytes(&self, log: LogId) -> u64 {
        self.logs[&log].batches.iter().map(|batch| batch.bytes.len() as u64).sum()
    }

    fn segments(&self, log: LogId) -> Vec<(i64, i64)> {
        self.logs[&log].batches.iter().map(|batch| (batch.base, batch.max_timestamp)).collect()
    }

    fn hold_rebuilt(&mut self, bytes: Vec<u8>) -> MemoryChunk {
        self.rebuilt.retain(|held| held.strong_count() > 0);
        let chunk = MemoryChunk::from_vec(bytes);
        self.rebuilt.push(Arc::downgrade(&chunk.bytes));
        chunk
    }

    fn rebuilt_bytes(&self) -> usize {
        self.rebuilt_elsewhere + self.rebuilt.iter().filter_map(Weak::upgrade).map(|held| held.len()).sum::<usize>()
    }

    fn place(&self, log: LogId) -> LogPlace {
        self.logs[&log].place
    }

    fn move_log(&mut self, log: LogId, to: DirId) -> Result<(), MoveRefused> {
        let log = self.logs.get_mut(&log).filter(|log| !log.fenced).ok_or(MoveRefused)?;
        let goes = log.place.dir != Some(to);
        let end = log.offsets.start;
        log.place.future = goes.then_some(Future { dir: to, size_bytes: 0, end });
        Ok(())
    }

    fn compact(&mut self, log: LogId, upto: i64, last_batches: Vec<i64>) {
        if let Some(log) = self.logs.get_mut(&log) {
            log.compaction = Some((upto, last_batches));
        }
    }

    fn set_cleaner(&mut self, settings: &CleanerSettings) {
        self.cleaner = Some(*settings);
    }

    fn put_snapshot(&mut self, log: LogId, upto: i64, state: Vec<u8>) {
        if let Some(log) = self.logs.get_mut(&log) {
            log.snapshot = Some((upto, state));
        }
    }
}

//! One log as the set holds it: its segments, writers, memory and health.

use super::chunk::TailMemory;
use super::compact::mark::Mark as CompactionMark;
use super::config::{Durability, LogConfig, LogName};
use super::epochs::Epochs;
use super::files::OpenFile;
use super::index::SegmentIndex;
use super::kafka_indexes::KafkaIndexes;
use super::names;
use super::scan::Damage;
use super::set::{LogJournal, Relocation};
use super::writer::{Mark, Writer, WriterFile};
use crate::time::{Mono, Wall};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

pub(super) struct Log {
    pub(super) name: LogName,
    /// Topic id.
    pub(super) uid: [u8; 16],
    pub(super) partition: i32,
    pub(super) config: LogConfig,
    /// First readable offset; see [`Log::check_order`].
    pub(super) start: i64,
    /// Next offset.
    pub(super) end: i64,
    /// Everything below is durable by the log's setting.
    pub(super) durable: i64,
    pub(super) health: Health,
    /// Oldest first; consecutive in offsets. Empty until the first append.
    pub(super) segments: VecDeque<Segment>,
    /// Write sides of the youngest segments; the last one is the active segment's.
    pub(super) writers: VecDeque<Writer>,
    pub(super) tail: TailMemory,
    /// Bytes of its next chunk.
    pub(super) chunk_len: usize,
    pub(super) epochs: Epochs,
    /// A file made ahead for the next segment.
    pub(super) prepared: Option<Prepared>,
    /// Files of ours that retention took out of service, to be written again.
    pub(super) recycled: Vec<PathBuf>,
    pub(super) preparing: bool,
    /// True once the folder and its metadata are durable.
    pub(super) has_folder: bool,
    /// Tasks that touch the log's files; deletion waits for them.
    pub(super) tasks: u32,
    /// True while the id lies in the set's queue.
    pub(super) is_dirty: bool,
    pub(super) last_used: Mono,
    pub(super) rate: Rate,
    /// When the next interval flush is due.
    pub(super) flush_at: Option<Mono>,
    /// Bad batches that recovery found below what was durable.
    pub(super) damaged: bool,
    /// Recovery could not read it: nothing that is known of it here is worth writing down.
    pub(super) unreadable: bool,
    pub(super) snapshot: Option<(i64, Vec<u8>)>,
    pub(super) snapshot_writing: bool,
    /// Offsets of the snapshots on disk, ascending.
    pub(super) snapshots: Vec<i64>,
    pub(super) jitter_ms: i64,
    pub(super) journal: LogJournal,
    /// A truncation that was asked for and met a full disk, or a log that was changing its folder.
    pub(super) truncate_to: Option<i64>,
    /// It is being moved to another data folder.
    pub(super) relocation: Option<Box<Relocation>>,
    pub(super) compaction: Compaction,
}

/// Where a log stands with its compaction.
#[derive(Default)]
pub(super) struct Compaction {
    /// As on disk, but for a first dirty offset that came down since.
    pub(super) mark: CompactionMark,
    /// Not looked at before.
    pub(super) retry_at: Mono,
    /// Attempts in a row that failed.
    pub(super) failures: u32,
    /// Ends the pass that is under way.
    pub(super) stop: Option<Rc<Cell<bool>>>,
    /// Offsets of the segments whose files are being replaced: they cannot leave.
    pub(super) swapping: Option<Range<i64>>,
}

/// What a log may do.
pub(super) enum Health {
    Good,
    /// The disk is full; what is in flight finishes before the rest is dropped.
    Draining {
        needed: u64,
    },
    /// The disk is full; looked at again at this time.
    Full {
        probe_at: Mono,
        probing: bool,
        needed: u64,
    },
    /// An I/O error; nothing is written any more.
    Fenced,
    /// A suffix is being removed, once nothing is in flight.
    Cutting {
        to: i64,
        why: Cut,
        started: bool,
    },
    /// It stands still: its copy in another data folder takes its place.
    Switching {
        started: bool,
    },
    /// Its files are being removed, once nothing is in flight.
    Deleting {
        started: bool,
    },
}

/// Why a suffix is removed, and so what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The disk is full; this many bytes were wanted.
    Full { needed: u64 },
    /// The owner said so.
    Asked,
}

pub(super) struct Segment {
    pub(super) base: i64,
    /// Exclusive end.
    pub(super) end: i64,
    pub(super) bytes: u64,
    pub(super) max_timestamp: i64,
    pub(super) offset_of_max_timestamp: i64,
    /// Timestamp of its first batch, in milliseconds; -1 where there is none or nobody looked.
    pub(super) first_timestamp: i64,
    /// Wall clock at its creation, for batches without timestamps.
    pub(super) created: Wall,
    pub(super) path: PathBuf,
    pub(super) index: SegmentIndexState,
    /// What Kafka's index files of it would hold; of importance while it is the active one.
    pub(super) kafka_indexes: KafkaIndexes,
    /// False once the file is out of service; readers look before they believe what they read.
    pub(super) alive: Rc<Cell<bool>>,
    /// True for a file that we wrote from its first byte on and never cut: it may be recycled.
    pub(super) ours: bool,
    /// Complete, flushed, cut to its length, and indexed in a file of its own.
    pub(super) is_sealed: bool,
    /// What the scrub found in it; shared with reads that are under way.
    pub(super) damage: Rc<RefCell<Vec<Damage>>>,
    /// The file, while its name changes.
    pub(super) unsettled: Option<Rc<OpenFile>>,
}

pub(super) enum SegmentIndexState {
    /// In memory, growing or just sealed.
    Memory(Rc<SegmentIndex>),
    /// In its own file, loaded when wanted.
    File,
}

/// An open file under a private name.
pub(super) struct Prepared {
    pub(super) path: PathBuf,
    pub(super) file: Rc<OpenFile>,
    pub(super) reserved: u64,
    pub(super) stale: bool,
}

/// Bytes a second, smoothed over seconds.
#[derive(Default)]
pub(super) struct Rate {
    since: Mono,
    bytes: u64,
    pub(super) bytes_per_s: u64,
}

impl Rate {
    pub(super) fn note(&mut self, now: Mono, bytes: u64) {
        self.bytes += bytes;
        let elapsed_ms = now.since(self.since).as_millis() as u64;
        if elapsed_ms >= 500 {
            self.bytes_per_s = self.bytes.saturating_mul(1000) / elapsed_ms;
            self.bytes = 0;
            self.since = now;
        }
    }
}

impl Log {
    pub(super) fn new(name: LogName, uid: [u8; 16], partition: i32, config: LogConfig, start: i64) -> Log {
        Log {
            name,
            uid,
            partition,
            config,
            start,
            end: start,
            durable: start,
            health: Health::Good,
            segments: VecDeque::new(),
            writers: VecDeque::new(),
            tail: TailMemory::with_carry(Vec::new()),
            chunk_len: 0,
            epochs: Epochs::default(),
            prepared: None,
            recycled: Vec::new(),
            preparing: false,
            has_folder: false,
            tasks: 0,
            is_dirty: false,
            last_used: Mono(0),
            rate: Rate::default(),
            flush_at: None,
            damaged: false,
            unreadable: false,
            snapshot: None,
            snapshot_writing: false,
            snapshots: Vec::new(),
            jitter_ms: 0,
            journal: LogJournal::default(),
            truncate_to: None,
            relocation: None,
            compaction: Compaction::default(),
        }
    }

    /// True when durable means flushed.
    pub(super) fn flushes(&self) -> bool {
        self.config.durability == Durability::Fsync
    }

    /// True when nothing of the log is in flight and no task touches its files.
    pub(super) fn is_quiet(&self) -> bool {
        self.tasks == 0 && !self.is_copied() && self.journal.in_flight == 0 && self.writers.iter().all(Writer::is_quiet)
    }

    /// True while a step of its move to another data folder is under way.
    pub(super) fn is_copied(&self) -> bool {
        self.relocation.as_ref().is_some_and(|moving| moving.is_busy)
    }

    /// The one rule of the offsets: start, durable and end ascend, whatever was asked in whatever order. On disk it is
    /// start ≤ durable ≤ what recovery finds (see [`Log::promise`]), so that no record ever lies below the start.
    pub(super) fn check_order(&self) {
        let (start, durable, end) = (self.start, self.durable, self.end);
        assert!(start <= durable && durable <= end, "{}: {start}..{durable}..{end}", self.name.dir.display());
    }

    /// Ends a pass over the log, because its files are needed for something else.
    pub(super) fn stop_compaction(&self) {
        self.compaction.stop.iter().for_each(|stop| stop.set(true));
    }

    /// The log ends here at the latest, and so do the other offsets.
    pub(super) fn lower_end(&mut self, end: i64) {
        self.compaction.mark.first_dirty = self.compaction.mark.first_dirty.min(end);
        self.end = self.end.min(end);
        self.durable = self.durable.min(end);
        self.start = self.start.min(end);
    }

    /// How far the start may rise: what is durable and not about to be removed.
    pub(super) fn start_max(&self) -> i64 {
        let cut = match self.health {
            Health::Cutting { to, .. } => to,
            _ => self.truncate_to.unwrap_or(i64::MAX),
        };
        self.durable.min(cut)
    }

    /// Start and durable offset as a checkpoint says them: a power cut certainly leaves that much, so no recovered log
    /// ends below its start. `is_drained` when everything is flushed, as a clean stop leaves it.
    pub(super) fn promise(&self, is_drained: bool) -> (i64, i64) {
        let durable = if is_drained && matches!(self.health, Health::Good) { self.durable } else { self.floor() };
        (self.start.min(durable), durable)
    }

    /// Which segment ends, as far as it is promised, at `durable`, and the chained checksum of its headers up to there;
    /// `None` where it has been sealed since, and its index says so.
    pub(super) fn header_proof(&self, durable: i64) -> Option<(i64, u32)> {
        let ends_there = |writer: &&Writer| writer.base < durable && writer.durable().offset == durable;
        self.writers.iter().find(ends_there).map(|writer| (writer.base, writer.durable().header_crc))
    }

    /// What a power cut certainly leaves. Without a flush before the acknowledgement only sealed segments count.
    fn floor(&self) -> i64 {
        if self.flushes() {
            return self.durable;
        }
        let sealed = self.segments.iter().take_while(|segment| segment.is_sealed).last().map(|sealed| sealed.end);
        let oldest = self.segments.front().map_or(self.start, |oldest| oldest.base);
        sealed.unwrap_or(oldest).min(self.durable)
    }

    /// True when a suffix may be removed now: nothing is in flight, and what stays is on the device.
    pub(super) fn may_cut(&self) -> bool {
        let asked = matches!(self.health, Health::Cutting { why: Cut::Asked, .. });
        self.is_quiet() && (!asked || self.writers.iter().all(Writer::is_written))
    }

    /// Bytes of all segments.
    pub(super) fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Index in `segments` of the one that holds `offset`.
    pub(super) fn segment_of(&self, offset: i64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base <= offset).checked_sub(1)
    }

    /// Opens a new, empty active segment at the log's end.
    pub(super) fn begin_segment(&mut self, wall: Wall) {
        let base = self.end;
        if self.segments.is_empty() {
            // Most logs of a broker with many have one segment ever; the usual first step makes room for four.
            self.segments.reserve_exact(1);
            self.writers.reserve_exact(1);
        }
        self.segments.push_back(Segment {
            base,
            end: base,
            bytes: 0,
            first_timestamp: -1,
            max_timestamp: -1,
            offset_of_max_timestamp: -1,
            created: wall,
            path: names::segment(&self.name.dir, base),
            index: SegmentIndexState::Memory(Rc::new(SegmentIndex::new(base))),
            kafka_indexes: KafkaIndexes::EMPTY,
            alive: Rc::new(Cell::new(true)),
            ours: true,
            is_sealed: false,
            damage: Rc::default(),
            unsettled: None,
        });
        let mut writer = Writer::new(base, Mark { position: 0, offset: base, header_crc: 0 });
        writer.unnamed = true;
        self.writers.push_back(writer);
    }

    /// Closes the active segment: it takes no more batches and is sealed once it is flushed.
    pub(super) fn close_active(&mut self) {
        if let Some(writer) = self.writers.back_mut() {
            writer.closed = true;
        }
    }

    /// Where the write side of `base` stands, if it has one.
    pub(super) fn writer_mut(&mut self, base: i64) -> Option<&mut Writer> {
        self.writers.iter_mut().find(|writer| writer.base == base)
    }

    /// Gives back what a log needs only while it is written to: files, and the room of its lists.
    pub(super) fn rest(&mut self) {
        self.writers.iter_mut().for_each(Writer::shrink);
        for writer in self.writers.iter_mut().filter(|writer| writer.is_quiet() && writer.is_synced()) {
            writer.file = WriterFile::Closed;
        }
    }
}

impl Segment {
    /// The index in memory, to grow it; only the active segment has one to itself.
    pub(super) fn index_mut(&mut self) -> &mut SegmentIndex {
        match &mut self.index {
            SegmentIndexState::Memory(index) => Rc::make_mut(index),
            SegmentIndexState::File => panic!("segment {} is sealed, its index does not grow", self.base),
        }
    }
}

//! Removing a suffix (follower truncation, a full disk) and raising the start (DeleteRecords).

use super::LogSet;
use super::outcome::{CutEnd, Result};
use crate::io::OpenMode;
use crate::log::config::LogId;
use crate::log::event::LogEvent;
use crate::log::files::{OpenFile, read_mode};
use crate::log::index::SegmentIndex;
use crate::log::limits::BLOCK_BYTES;
use crate::log::scan::{ScanLimits, scan_segment};
use crate::log::state::{Cut, Health, Log, SegmentIndexState};
use crate::log::tasks::FloorJob;
use crate::log::writer::{Mark, Writer};
use crate::log::{names, tasks};
use crate::shard::Io;
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

impl LogSet {
    /// Removes every batch that reaches to or past `to_offset`, durably; `Truncated` says when and where the log ends
    /// then. Appends are busy meanwhile. Not below the log's start; nothing happens at or past its end.
    pub fn truncate_suffix(&mut self, id: LogId, to_offset: i64) {
        let Some(log) = self.log_mut(id) else { return };
        if !matches!(log.health, Health::Good | Health::Full { .. }) {
            return;
        }
        let to = to_offset.max(log.start);
        if to >= log.end {
            let end = log.end;
            log.epochs.truncate_suffix(end);
            self.events.push_back(LogEvent::Truncated { id, end });
            return;
        }
        log.health = Health::Cutting { to, why: Cut::Asked, started: false };
        self.mark_dirty(id);
    }

    /// Nothing is in flight: forgets the suffix in memory and starts removing it on disk.
    pub(super) fn start_cut(&mut self, id: LogId, log: &mut Log) {
        let Health::Cutting { to, started, .. } = &mut log.health else { return };
        *started = true;
        let to = *to;
        let Some(at) = log.segment_of(to) else {
            // Nothing was ever written.
            log.end = to;
            return;
        };
        self.held -= log.tail.reset(Vec::new());
        self.unwritten -= log.writers.iter_mut().map(Writer::forget_unwritten).sum::<u64>();
        let mut obsolete = Vec::new();
        for segment in log.segments.drain(at + 1..) {
            segment.alive.set(false);
            obsolete.extend([names::index(&log.name.dir, segment.base), segment.path]);
        }
        let base = log.segments[at].base;
        log.segments[at].alive.replace(false);
        obsolete.push(names::index(&log.name.dir, base));
        self.files.borrow_mut().forget_log(id);
        self.indexes.borrow_mut().forget_log(id);
        let unnamed = log.writers.iter().find(|writer| writer.base == base).is_some_and(|writer| writer.unnamed);
        log.writers.clear();
        // A snapshot above the new end must not be taken for one of other records that reach that offset later.
        obsolete
            .extend(log.snapshots.extract_if(.., |upto| *upto > to).map(|upto| names::snapshot(&log.name.dir, upto)));
        log.snapshot.take_if(|(upto, _)| *upto > to);
        log.end = to;
        let lowers_floor = to < log.durable;
        log.durable = log.durable.min(to);
        log.floor_max = base;
        let floor = lowers_floor.then(|| self.floor_job(log.name.data_dir(), Some(log))).flatten();
        let path = log.segments[at].path.clone();
        let job =
            CutJob { io: self.io.clone(), path, base, to, unnamed, folder_exists: log.has_folder, obsolete, floor };
        let interval = log.config.index_interval_bytes;
        self.start_on(id, log, async move { Result::Cut { base, result: job.run(interval).await } });
    }

    pub(super) fn apply_cut(&mut self, id: LogId, base: i64, cut: CutEnd) {
        let Some(log) = self.any_log_mut(id) else { return };
        let Health::Cutting { why, .. } = log.health else { return };
        let Some(segment) = log.segments.back_mut() else { return };
        assert!(segment.base == base, "a cut ends with the segment it cut");
        let end = Mark { position: cut.index.bytes, offset: cut.index.end_offset };
        segment.end = end.offset;
        segment.bytes = end.position;
        segment.max_timestamp = cut.index.max_timestamp;
        segment.offset_of_max_timestamp = cut.index.offset_of_max_timestamp;
        segment.index = SegmentIndexState::Memory(Rc::new(cut.index));
        segment.alive = Rc::new(Cell::new(true));
        segment.is_sealed = false;
        segment.ours = false;
        let mut writer = Writer::new(base, end);
        writer.unnamed = !cut.exists;
        log.writers.push_back(writer);
        log.tail.reset(cut.carry);
        log.end = end.offset;
        log.epochs.truncate_suffix(end.offset);
        log.floor_max = i64::MAX;
        let advanced = (end.offset > log.durable).then_some(end.offset);
        log.durable = end.offset;
        if let Some(upto) = advanced {
            self.events.push_back(LogEvent::Durable { id, upto });
        }
        self.after_cut(id, why, end.offset);
        self.note_checkpoint(id);
    }

    /// Raises the first readable offset (DeleteRecords); never lowers it, never past what is durable. Whole segments
    /// below are removed.
    pub fn advance_start(&mut self, id: LogId, new_start: i64) {
        let Some(log) = self.log_mut(id) else { return };
        let to = new_start.min(log.durable);
        if to > log.start {
            self.move_start(id, to);
            self.remove_below_start(id);
            self.checkpoint_now(id);
        }
    }

    pub(super) fn move_start(&mut self, id: LogId, start: i64) {
        let Some(log) = self.any_log_mut(id) else { return };
        log.start = start;
        log.epochs.truncate_prefix(start);
        self.events.push_back(LogEvent::StartMoved { id, start });
    }
}

/// Removing a suffix on disk.
struct CutJob {
    io: Io,
    path: PathBuf,
    base: i64,
    to: i64,
    /// The file may not exist.
    unnamed: bool,
    folder_exists: bool,
    obsolete: Vec<PathBuf>,
    /// A checkpoint that must be durable first, because it lowers what is promised.
    floor: Option<FloorJob>,
}

impl CutJob {
    async fn run(self, interval_bytes: u32) -> io::Result<CutEnd> {
        if let Some(floor) = self.floor {
            floor.run(&self.io).await?;
        }
        // Youngest first, so that a crash in between leaves no gap.
        for path in self.obsolete.iter().rev() {
            tasks::unlink(&self.io, path).await?;
        }
        let dir = self.path.parent().unwrap_or(std::path::Path::new(".")).to_owned();
        let reader = match OpenFile::open(&self.io, &self.path, read_mode(&self.io)).await {
            Err(error) if self.unnamed && error.kind() == io::ErrorKind::NotFound => {
                if self.folder_exists {
                    tasks::sync_dir(&self.io, &dir).await?;
                }
                return Ok(CutEnd { index: SegmentIndex::new(self.base), carry: Vec::new(), exists: false });
            }
            opened => opened?,
        };
        let limits = ScanLimits { interval_bytes, upto: self.to, ..ScanLimits::default() };
        let scanned = scan_segment(&self.io, &reader, SegmentIndex::new(self.base), &limits, |_, _| {}).await?;
        drop(reader);
        let writer = OpenFile::open(&self.io, &self.path, OpenMode::Write).await?;
        tasks::set_len(&self.io, &writer, scanned.index.bytes).await?;
        tasks::sync_data(&self.io, &writer).await?;
        tasks::sync_dir(&self.io, &dir).await?;
        assert!((scanned.carry.len() as u64) < BLOCK_BYTES, "a scan carries one begun block");
        Ok(CutEnd { index: scanned.index, carry: scanned.carry, exists: true })
    }
}

//! Removing a suffix (follower truncation, a full disk) and raising the start (DeleteRecords).

use super::LogSet;
use super::health::Trouble;
use super::outcome::{CutEnd, Result, Suffix};
use crate::io::OpenMode;
use crate::log::compact::mark::Mark;
use crate::log::config::LogId;
use crate::log::event::LogEvent;
use crate::log::files::{OpenFile, read_mode};
use crate::log::index::SegmentIndex;
use crate::log::kafka_indexes::KafkaIndexes;
use crate::log::limits::BLOCK_BYTES;
use crate::log::scan::{ScanLimits, Stop, scan_segment};
use crate::log::state::{Cut, Health, Log, Segment, SegmentIndexState};
use crate::log::tasks::FloorJob;
use crate::log::writer::{Mark as End, Writer};
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
        if !matches!(log.health, Health::Good | Health::Full { .. } | Health::Switching { .. }) {
            return;
        }
        let to = to_offset.max(log.start);
        if to >= log.end {
            let end = log.end;
            log.epochs.truncate_suffix(end);
            self.events.push_back(LogEvent::Truncated { id, end });
            return;
        }
        if matches!(log.health, Health::Switching { .. }) {
            // Its files change their folder just now, which cannot wait: the cut follows.
            log.truncate_to = Some(to);
            return;
        }
        log.health = Health::Cutting { to, why: Cut::Asked, started: false };
        log.stop_compaction();
        self.mark_dirty(id);
    }

    /// Nothing is in flight: forgets the suffix in memory and starts looking for the batch that the cut falls into.
    pub(super) fn start_cut(&mut self, id: LogId, log: &mut Log) {
        let Health::Cutting { to, started, .. } = &mut log.health else { return };
        *started = true;
        let to = *to;
        LogSet::restart_relocation(log);
        let Some(at) = log.segment_of(to) else { unreachable!("a cut is between the log's start and its end") };
        self.held -= log.tail.reset(Vec::new());
        self.unwritten -= log.writers.iter_mut().map(Writer::forget_unwritten).sum::<u64>();
        let mut obsolete = Vec::new();
        for segment in log.segments.drain(at + 1..) {
            segment.alive.set(false);
            obsolete.extend([segment.path, names::index(&log.name.dir, segment.base)]);
        }
        let Segment { base, path, alive, .. } = &log.segments[at];
        let (base, path) = (*base, path.clone());
        alive.set(false);
        obsolete.push(names::index(&log.name.dir, base));
        self.files.borrow_mut().forget_log(id);
        self.indexes.borrow_mut().forget_log(id);
        let unnamed = log.writers.iter().find(|writer| writer.base == base).is_some_and(|writer| writer.unnamed);
        // Those of older segments may have a flush and a seal before them.
        log.writers.retain(|writer| writer.base < base);
        let cut = Suffix { path, base, unnamed, obsolete, lowers_floor: to < log.durable };
        log.lower_end(to);
        let (io, interval) = (self.io.clone(), log.config.index_interval_bytes);
        self.start_on(id, log, async move {
            let result = measure(&io, &cut, to, interval).await;
            Result::Measured { cut, result }
        });
    }

    /// Where the log will end is known: less is promised, then the suffix is removed.
    pub(super) fn measured(&mut self, id: LogId, cut: Suffix, result: io::Result<CutEnd>) {
        let Suffix { path, base, mut obsolete, lowers_floor, .. } = cut;
        let end = match result {
            Ok(end) => end,
            Err(error) => return self.fence(id, &Trouble::at_segment("cut", base, error)),
        };
        let Some(log) = self.any_log_mut(id) else { return };
        if !matches!(log.health, Health::Cutting { started: true, .. }) {
            return;
        }
        let upto = end.index.end_offset;
        log.lower_end(upto);
        // A snapshot above the new end must not be taken for one of other records that reach that offset later.
        let gone = log.snapshots.extract_if(.., |known| *known > upto);
        obsolete.extend(gone.map(|known| names::snapshot(&log.name.dir, known)));
        log.snapshot.take_if(|(known, _)| *known > upto);
        let (data, folder_exists) = (log.name.data_dir().to_owned(), log.has_folder);
        // What is appended from here on has no gaps, and the journal may hold it.
        let mark = &mut log.compaction.mark;
        let mark = (mark.gaps_below > upto).then(|| {
            *mark = Mark { gaps_below: upto, first_dirty: mark.first_dirty.min(upto) };
            (log.name.dir.clone(), *mark)
        });
        let floor = lowers_floor.then(|| self.floor_job(&data, None, false)).flatten();
        let job = CutJob { io: self.io.clone(), path, end, folder_exists, obsolete, floor, mark };
        self.start(id, async move { Result::Cut { base, result: job.run().await } });
    }

    pub(super) fn apply_cut(&mut self, id: LogId, base: i64, cut: CutEnd) {
        let Some(log) = self.any_log_mut(id) else { return };
        let Health::Cutting { why, .. } = log.health else { return };
        let Some(segment) = log.segments.back_mut() else { return };
        let SegmentIndex { bytes: position, end_offset: offset, header_crc, .. } = cut.index;
        let end = End { position, offset, header_crc };
        assert!(
            segment.base == base && log.end == end.offset,
            "a cut ends with the segment it cut, where it was measured"
        );
        segment.end = end.offset;
        segment.bytes = end.position;
        segment.max_timestamp = cut.index.max_timestamp;
        segment.offset_of_max_timestamp = cut.index.offset_of_max_timestamp;
        segment.first_timestamp = cut.index.first_timestamp;
        segment.kafka_indexes = KafkaIndexes::of(&cut.index);
        segment.index = SegmentIndexState::Memory(Rc::new(cut.index));
        segment.alive = Rc::new(Cell::new(true));
        segment.is_sealed = false;
        segment.ours = false;
        let mut writer = Writer::new(base, end);
        writer.unnamed = !cut.exists;
        log.writers.push_back(writer);
        log.tail.reset(cut.carry);
        log.epochs.truncate_suffix(end.offset);
        self.after_cut(id, why, end.offset);
        self.note_checkpoint(id);
    }

    /// Raises the first readable offset (DeleteRecords); never lowers it, never past what is durable or into a suffix
    /// that is being removed. Whole segments below are removed.
    pub fn advance_start(&mut self, id: LogId, new_start: i64) {
        let Some(log) = self.log_mut(id) else { return };
        let to = new_start.min(log.start_max());
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

/// Finds the batch that reaches `to`, and changes nothing: what is left before it.
async fn measure(io: &Io, cut: &Suffix, to: i64, interval_bytes: u32) -> io::Result<CutEnd> {
    let file = match OpenFile::open(io, &cut.path, read_mode(io)).await {
        Err(error) if cut.unnamed && error.kind() == io::ErrorKind::NotFound => {
            return Ok(CutEnd { index: SegmentIndex::new(cut.base), carry: Vec::new(), exists: false });
        }
        opened => opened?,
    };
    let limits = ScanLimits { interval_bytes, upto: to, ..ScanLimits::default() };
    let scanned = scan_segment(io, &file, SegmentIndex::new(cut.base), &limits, |_, _| {}).await?;
    assert!((scanned.carry.len() as u64) < BLOCK_BYTES, "a scan carries one begun block");
    let end = scanned.index.end_offset;
    if scanned.stop != Stop::Limit && end != to {
        // Cutting here would take batches that stay, on the word of one that is not what was written.
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("offset {end}: {}", scanned.stop)));
    }
    Ok(CutEnd { index: scanned.index, carry: scanned.carry, exists: true })
}

/// Removing a suffix on disk.
struct CutJob {
    io: Io,
    path: PathBuf,
    end: CutEnd,
    folder_exists: bool,
    obsolete: Vec<PathBuf>,
    /// A checkpoint that must be durable first, because it lowers what is promised.
    floor: Option<FloorJob>,
    /// What is to be remembered of compaction from then on.
    mark: Option<(PathBuf, Mark)>,
}

impl CutJob {
    async fn run(self) -> io::Result<CutEnd> {
        if let Some(floor) = self.floor {
            floor.run(&self.io).await?;
        }
        if let Some((dir, mark)) = self.mark {
            mark.write(&self.io, &dir).await?;
        }
        // Youngest first, so that a crash in between leaves no gap; and each index before its segment.
        for path in self.obsolete.iter().rev() {
            tasks::unlink(&self.io, path).await?;
        }
        let dir = self.path.parent().unwrap_or(std::path::Path::new("."));
        if self.folder_exists || self.end.exists {
            tasks::sync_dir(&self.io, dir).await?;
        }
        // Only now: an index that came back would vouch for a file whose cut is half done.
        if self.end.exists {
            let file = OpenFile::open(&self.io, &self.path, OpenMode::Write).await?;
            tasks::set_len(&self.io, &file, self.end.index.bytes).await?;
            tasks::sync_data(&self.io, &file).await?;
        }
        Ok(self.end)
    }
}

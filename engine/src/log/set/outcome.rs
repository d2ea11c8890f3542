//! What tasks hand back to the set, and what the set makes of it.

use super::{LogSet, compact::Step, health::Trouble, journal::Made, relocate};
use crate::log::config::LogId;
use crate::log::files::OpenFile;
use crate::log::index::SegmentIndex;
use crate::log::state::Prepared;
use crate::log::writer::WriterFile;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

/// The end of one task. It changes nothing by itself.
pub(super) struct Outcome {
    pub(super) id: LogId,
    pub(super) result: Result,
}

pub(super) enum Result {
    /// The writer's file is open.
    Opened { base: i64, result: io::Result<Opened> },
    /// A file for the next segment is ready under a private name.
    Prepared(io::Result<Prepared>),
    /// A prepared file has its real name, durably.
    Named { base: i64, result: io::Result<()> },
    /// A segment is flushed, cut and indexed.
    Sealed { base: i64, result: io::Result<()> },
    /// It is known where the log ends once its suffix is gone.
    Measured { cut: Suffix, result: io::Result<CutEnd> },
    /// A suffix is gone.
    Cut { base: i64, result: io::Result<CutEnd> },
    /// The disk has this much room.
    Probed(io::Result<u64>),
    /// Files out of service were dealt with; a file that may be written again comes with it.
    Removed(Option<PathBuf>),
    /// A zero-written file of this length is ready.
    Spare(io::Result<(PathBuf, u64)>),
    /// A journal for this data folder is ready.
    Journal { data: PathBuf, made: io::Result<Made> },
    /// A pass of compaction has come so far.
    Compaction(Step),
    /// The snapshot is durable, or was given up with a warning.
    Snapshot,
    /// The folder has its deleted name.
    FolderRenamed(io::Result<()>),
    /// The folder is gone.
    Deleted,
    /// A move of the log has come further. Not one of the log's tasks.
    Relocating(relocate::Step),
}

/// An open segment, ready to be written.
pub(super) struct Opened {
    pub(super) file: Rc<OpenFile>,
    /// Space that writes may use, in bytes.
    pub(super) reserved: u64,
    /// See [`Writer::stale`](crate::log::writer::Writer).
    pub(super) stale: bool,
}

/// The files of a suffix that is removed.
pub(super) struct Suffix {
    /// The segment in which the log ends then.
    pub(super) path: PathBuf,
    pub(super) base: i64,
    /// The file may not exist.
    pub(super) unnamed: bool,
    /// What goes as a whole, oldest first.
    pub(super) obsolete: Vec<PathBuf>,
    /// Something durable is removed, so less has to be promised first.
    pub(super) lowers_floor: bool,
}

/// What is left of a segment whose suffix was removed.
pub(super) struct CutEnd {
    pub(super) index: SegmentIndex,
    /// Bytes of the begun block.
    pub(super) carry: Vec<u8>,
    /// False when there is no file: it was never made.
    pub(super) exists: bool,
}

impl LogSet {
    pub(super) fn take_outcomes(&mut self) {
        loop {
            let next = self.outcomes.borrow_mut().pop_front();
            let Some(Outcome { id, result }) = next else { return };
            if let Some(log) = self.any_log_mut(id)
                && !matches!(result, Result::Relocating(_))
            {
                log.tasks -= 1;
            }
            self.take_outcome(id, result);
            self.mark_dirty(id);
        }
    }

    fn take_outcome(&mut self, id: LogId, result: Result) {
        match result {
            Result::Opened { base, result } => self.opened(id, base, result),
            Result::Prepared(result) => self.prepared(id, result),
            Result::Named { base, result } => match result {
                Ok(()) => self.named(id, base),
                Err(error) => self.trouble(id, Trouble::at_segment("name", base, error)),
            },
            Result::Sealed { base, result } => self.sealed(id, base, result),
            Result::Measured { cut, result } => self.measured(id, cut, result),
            Result::Cut { base, result } => self.cut_done(id, base, result),
            Result::Probed(free) => self.probed(id, free),
            Result::Removed(recycled) => self.removed(id, recycled),
            Result::Spare(result) => self.spared(id, result),
            Result::Journal { data, made } => self.journal_made(&data, made),
            Result::Compaction(step) => self.compaction(id, step),
            Result::Snapshot => self.snapshot_written(id),
            Result::FolderRenamed(result) => self.folder_renamed(id, result),
            Result::Deleted => self.deleted(id),
            Result::Relocating(step) => self.relocating(id, step),
        }
    }

    fn opened(&mut self, id: LogId, base: i64, result: io::Result<Opened>) {
        match result {
            Ok(opened) => {
                let Some(log) = self.any_log_mut(id) else { return };
                log.has_folder = true;
                let Some(writer) = log.writer_mut(base) else { return };
                writer.file = WriterFile::Open(opened.file);
                writer.reserved = opened.reserved;
                // A recycled file that was closed while it was idle is one still.
                writer.stale |= opened.stale;
                writer.unnamed = false;
                writer.rough = false;
            }
            Err(error) => {
                if let Some(writer) = self.any_log_mut(id).and_then(|log| log.writer_mut(base)) {
                    writer.file = WriterFile::Closed;
                }
                self.trouble(id, Trouble::at_segment("open", base, error));
            }
        }
    }

    fn prepared(&mut self, id: LogId, result: io::Result<Prepared>) {
        let Some(log) = self.any_log_mut(id) else { return };
        log.preparing = false;
        match result {
            Ok(prepared) => log.prepared = Some(prepared),
            // Without a prepared file the roll makes its own, and meets the same trouble if it is still there.
            Err(error) => tracing::debug!(log = %log.name.dir.display(), %error, "no segment was prepared ahead"),
        }
    }

    fn named(&mut self, id: LogId, base: i64) {
        if let Some(writer) = self.any_log_mut(id).and_then(|log| log.writer_mut(base)) {
            writer.unnamed = false;
        }
    }
}

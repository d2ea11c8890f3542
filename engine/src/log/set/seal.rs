//! Completing a segment: once all of it is flushed it is cut to its length, its index gets a file, and its descriptor
//! is closed.

use super::LogSet;
use super::drive::is_complete;
use super::health::Trouble;
use super::outcome::Result;
use crate::io::OpenMode;
use crate::log::config::LogId;
use crate::log::event::LogEvent;
use crate::log::files::OpenFile;
use crate::log::index::SegmentIndex;
use crate::log::state::SegmentIndexState;
use crate::log::writer::WriterFile;
use crate::log::{names, tasks};
use crate::shard::{Class, Io};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

impl LogSet {
    /// Starts sealing every segment whose write side is complete.
    pub(super) fn retire_writers(&mut self, id: LogId) {
        loop {
            let Some(log) = self.log_mut(id) else { return };
            if !log.writers.front().is_some_and(is_complete) {
                return;
            }
            let Some(writer) = log.writers.pop_front() else { return };
            let base = writer.base;
            let Some(segment) = log.segments.iter().find(|segment| segment.base == base) else { continue };
            let SegmentIndexState::Memory(index) = &segment.index else { continue };
            // A descriptor may have been given back while the segment was idle.
            let file = if let WriterFile::Open(file) = writer.file { Some(file) } else { None };
            let segment_path = segment.path.clone();
            let (index, bytes, path) = (Rc::clone(index), segment.bytes, names::index(&log.name.dir, base));
            let (io, class) = (self.io.clone(), self.background.clone());
            self.start(id, async move {
                Result::Sealed { base, result: seal(io, class, file, segment_path, bytes, index, path).await }
            });
        }
    }

    pub(super) fn sealed(&mut self, id: LogId, base: i64, result: io::Result<()>) {
        if let Err(error) = result {
            // Batches are safe; what failed is the cut or the index, which a restart repairs.
            return self.trouble(id, Trouble::at_segment("seal", base, error));
        }
        let indexes = Rc::clone(&self.indexes);
        let Some(log) = self.log_mut(id) else { return };
        let Some(segment) = log.segments.iter_mut().find(|segment| segment.base == base) else { return };
        segment.is_sealed = true;
        let end = segment.end;
        if let SegmentIndexState::Memory(index) = std::mem::replace(&mut segment.index, SegmentIndexState::File) {
            indexes.borrow_mut().keep(id, base, index);
        }
        self.events.push_back(LogEvent::Sealed { id, base, end });
    }
}

async fn seal(
    io: Io,
    class: Class,
    file: Option<Rc<OpenFile>>,
    segment: PathBuf,
    bytes: u64,
    index: Rc<SegmentIndex>,
    path: PathBuf,
) -> io::Result<()> {
    let _turn = class.acquire().await;
    let file = match file {
        Some(file) => file,
        None => OpenFile::open(&io, &segment, OpenMode::Write).await?,
    };
    tasks::set_len(&io, &file, bytes).await?;
    tasks::sync_data(&io, &file).await?;
    let archived = index.to_file().map_err(|error| io::Error::other(error.to_string()))?;
    tasks::replace(&io, &path, archived).await
}

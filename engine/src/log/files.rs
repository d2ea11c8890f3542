//! Open files: closed when the last user lets go, and a bounded cache of those opened for reading.

use super::config::LogId;
use crate::io::{FileId, Op, OpenMode};
use crate::shard::Io;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;

/// One open file. Whoever has an op in flight on it holds a clone of the `Rc`.
pub(super) struct OpenFile {
    io: Io,
    pub(super) id: FileId,
    /// Bytes when it was opened.
    pub(super) len: u64,
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile").field("id", &self.id).field("len", &self.len).finish_non_exhaustive()
    }
}

impl OpenFile {
    pub(super) async fn open(io: &Io, path: &Path, mode: OpenMode) -> io::Result<Rc<OpenFile>> {
        let done = io.call(Op::Open { path: path.to_owned(), mode, len: 0 }).await;
        let id = FileId(done.result?);
        let Op::Open { len, .. } = done.op else { unreachable!("a completion returns its op") };
        Ok(Rc::new(OpenFile { io: io.clone(), id, len }))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.io.detach(Op::Close { file: self.id });
    }
}

/// How this shard opens segments for writing.
pub(super) fn write_mode(io: &Io) -> OpenMode {
    if io.caps().direct { OpenMode::WriteDirect } else { OpenMode::Write }
}

/// How this shard opens segments for reading: past the page cache where that works, so that what is read is what the
/// device holds.
pub(super) fn read_mode(io: &Io) -> OpenMode {
    if io.caps().direct { OpenMode::ReadDirect } else { OpenMode::Read }
}

/// Segments open for reading, least recently used first out.
pub(super) struct ReadFiles {
    max: usize,
    clock: u64,
    open: BTreeMap<(LogId, i64), (u64, Rc<OpenFile>)>,
}

impl ReadFiles {
    pub(super) fn new(max: usize) -> ReadFiles {
        ReadFiles { max, clock: 0, open: BTreeMap::new() }
    }

    pub(super) fn find(&mut self, log: LogId, segment: i64) -> Option<Rc<OpenFile>> {
        self.clock += 1;
        let (used, file) = self.open.get_mut(&(log, segment))?;
        *used = self.clock;
        Some(Rc::clone(file))
    }

    pub(super) fn keep(&mut self, log: LogId, segment: i64, file: &Rc<OpenFile>) {
        self.clock += 1;
        if self.open.len() >= self.max {
            let oldest = self.open.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            oldest.and_then(|key| self.open.remove(&key));
        }
        self.open.insert((log, segment), (self.clock, Rc::clone(file)));
    }

    pub(super) fn forget(&mut self, log: LogId, segment: i64) {
        self.open.remove(&(log, segment));
    }

    pub(super) fn forget_log(&mut self, log: LogId) {
        self.open.retain(|&(of, _), _| of != log);
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

/// An error that says the disk is full, and nothing worse.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

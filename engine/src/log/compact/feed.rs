//! The batches of a sealed segment, one after the other, each proven before it is shown.

use super::breath::Breath;
use super::pass::{CleanError, Source};
use crate::log::files::{OpenFile, read_mode};
use crate::log::limits::{BLOCK_BYTES, READ_BYTES};
use crate::log::scan::{Next, judge, read_at};
use crate::mem::Buf;
use crate::shard::Io;
use protocol::batch::BatchView;
use protocol::batch::layout::HEADER_LEN;
use std::path::PathBuf;
use std::rc::Rc;

/// See the module. Alternate [`Feed::fill`], which waits, and [`Feed::next`] until it has none.
pub(super) struct Feed {
    file: Rc<OpenFile>,
    path: PathBuf,
    limit: u64,
    position: u64,
    /// Lowest offset that the next batch may have.
    expected: i64,
    buf: Option<Buf>,
    buf_at: u64,
    /// Bytes to read at a time: room for two of the largest batches so far.
    wanted: usize,
    has_moved: bool,
}

impl Feed {
    pub(super) async fn open(io: &Io, source: &Source) -> Result<Feed, CleanError> {
        let failed = |error| CleanError::Io { file: source.path.clone(), error };
        let file = OpenFile::open(io, &source.path, read_mode(io)).await.map_err(failed)?;
        Ok(Feed {
            file,
            path: source.path.clone(),
            limit: source.bytes,
            position: 0,
            expected: source.base,
            buf: None,
            buf_at: 0,
            wanted: READ_BYTES,
            has_moved: true,
        })
    }

    /// Reads on; false at the segment's end.
    pub(super) async fn fill(&mut self, io: &Io, breath: &mut Breath) -> Result<bool, CleanError> {
        if self.position >= self.limit {
            return Ok(false);
        }
        if !self.has_moved && self.wanted as u64 >= self.limit - self.position + BLOCK_BYTES {
            return Err(self.damaged("the file ends inside a batch"));
        }
        let at = self.position - self.position % BLOCK_BYTES;
        let most = (self.limit - at).next_multiple_of(BLOCK_BYTES);
        let len = (self.wanted as u64).min(most) as usize;
        let turn = breath.turn(io, len).await?;
        self.buf = None;
        let failed = |error| CleanError::Io { file: self.path.clone(), error };
        self.buf = Some(read_at(io, &self.file, at, len).await.map_err(failed)?);
        drop(turn);
        breath.rested(io);
        self.buf_at = at;
        self.has_moved = false;
        Ok(true)
    }

    /// The next batch that lies in what was read.
    pub(super) fn next(&mut self) -> Result<Option<BatchView<'_>>, CleanError> {
        let Some(buf) = &self.buf else { return Ok(None) };
        let skip = (self.position - self.buf_at) as usize;
        let remaining = self.limit - self.position;
        let bytes = buf.as_slice().get(skip..).unwrap_or_default();
        if remaining == 0 {
            return Ok(None);
        }
        if bytes.len() < HEADER_LEN {
            return Ok(None);
        }
        match judge(bytes, remaining, self.expected, true) {
            Next::Partial(needed) => {
                let twice = (2 * needed).next_multiple_of(BLOCK_BYTES as usize) + BLOCK_BYTES as usize;
                self.wanted = self.wanted.max(twice);
                Ok(None)
            }
            Next::Bad(stop) => {
                let (file, position) = (self.path.clone(), self.position);
                Err(CleanError::Damaged { file, position, reason: stop.to_string() })
            }
            Next::Batch(view) => {
                self.position += view.size_bytes() as u64;
                self.expected = view.next_offset();
                self.has_moved = true;
                Ok(Some(view))
            }
        }
    }

    fn damaged(&self, reason: &str) -> CleanError {
        CleanError::Damaged { file: self.path.clone(), position: self.position, reason: reason.to_owned() }
    }
}

//! The file that takes the place of a group of segments, while it is written: whole blocks, with its index beside it in memory.

use super::breath::Breath;
use super::pass::CleanError;
use crate::io::{Op, OpenMode};
use crate::log::config::LogConfig;
use crate::log::files::OpenFile;
use crate::log::index::{Indexed, SegmentIndex};
use crate::log::kafka_indexes::KafkaIndexes;
use crate::log::limits::{BLOCK_BYTES, READ_BYTES};
use crate::log::tasks;
use crate::mem::Buf;
use crate::shard::Io;
use protocol::batch::BatchHeader;
use protocol::batch::layout::HEADER_LEN;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

/// Bytes of one write.
const WRITE_BYTES: usize = READ_BYTES;

pub(super) struct Output {
    file: Rc<OpenFile>,
    path: PathBuf,
    /// Where the staged bytes go.
    at: u64,
    staged: Buf,
    /// Whole buffers that wait to be written.
    full: Vec<Buf>,
    index: SegmentIndex,
    interval_bytes: u32,
}

impl Output {
    pub(super) async fn create(io: &Io, path: PathBuf, base: i64, interval_bytes: u32) -> Result<Output, CleanError> {
        let made = async {
            // What an earlier attempt left.
            tasks::unlink(io, &path).await?;
            let mode = if io.caps().direct { OpenMode::CreateDirect } else { OpenMode::Write };
            OpenFile::open(io, &path, mode).await
        };
        let file = made.await.map_err(|error| CleanError::Io { file: path.clone(), error })?;
        let staged = Buf::with_capacity(WRITE_BYTES);
        let index = SegmentIndex::new(base);
        Ok(Output { file, path, at: 0, staged, full: Vec::new(), index, interval_bytes })
    }

    /// Bytes of batches so far.
    pub(super) fn bytes(&self) -> u64 {
        self.index.bytes
    }

    /// Whether Kafka's index files would surely have room for a segment of `bytes` behind what is there: it has an entry each
    /// `index_interval_bytes` at most, and no batch is smaller than its header.
    pub(super) fn indexes_take(&self, bytes: u64, config: &LogConfig) -> bool {
        let entries = bytes / u64::from(config.index_interval_bytes.max(HEADER_LEN as u32)) + 1;
        KafkaIndexes::of(&self.index).have_room_for(entries, config.segment_index_bytes)
    }

    /// Takes a batch behind the others.
    pub(super) fn put(&mut self, batch: &[u8]) {
        let Some(raw) = batch.first_chunk() else { unreachable!("a batch has a header") };
        let header = BatchHeader::decode(raw);
        let indexed = Indexed {
            header: raw,
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            leader_epoch: header.leader_epoch,
            max_timestamp: header.max_timestamp,
            offset_of_max_timestamp: header.last_offset(),
            len: batch.len(),
        };
        self.index.note(&indexed, self.interval_bytes);
        let mut rest = batch;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(self.staged.spare_len()));
            self.staged.extend_from_slice(now);
            rest = later;
            if self.staged.spare_len() == 0 {
                self.full.push(std::mem::replace(&mut self.staged, Buf::with_capacity(WRITE_BYTES)));
            }
        }
    }

    /// Writes what is whole.
    pub(super) async fn flush(&mut self, io: &Io, breath: &mut Breath) -> Result<(), CleanError> {
        for buf in std::mem::take(&mut self.full) {
            self.write(io, breath, buf).await?;
        }
        Ok(())
    }

    async fn write(&mut self, io: &Io, breath: &mut Breath, buf: Buf) -> Result<(), CleanError> {
        let len = buf.len();
        let turn = breath.turn(io, len).await?;
        let op = Op::WriteV { file: self.file.id, at: self.at, bufs: vec![buf.freeze()] };
        let done = io.call(op).await.result;
        drop(turn);
        breath.rested(io);
        done.map_err(|error| self.failed(error))?;
        self.at += len as u64;
        Ok(())
    }

    /// Writes the rest and makes all of it durable; the index of what there is.
    pub(super) async fn finish(mut self, io: &Io, breath: &mut Breath) -> Result<SegmentIndex, CleanError> {
        self.flush(io, breath).await?;
        let mut rest = std::mem::replace(&mut self.staged, Buf::with_capacity(0));
        if !rest.is_empty() {
            rest.fill_zero(rest.len().next_multiple_of(BLOCK_BYTES as usize) - rest.len());
            self.write(io, breath, rest).await?;
        }
        let synced = async {
            tasks::set_len(io, &self.file, self.index.bytes).await?;
            if marks::planted!("engine: swap what compaction has not flushed") {
                return Ok(());
            }
            tasks::sync_data(io, &self.file).await
        };
        synced.await.map_err(|error| self.failed(error))?;
        Ok(self.index)
    }

    fn failed(&self, error: io::Error) -> CleanError {
        CleanError::Io { file: self.path.clone(), error }
    }
}

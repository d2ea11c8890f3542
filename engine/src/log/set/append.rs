//! Appending in memory, lending room for what is to be appended, and rolling the active segment.

use super::LogSet;
use crate::log::chunk::{Appended, chunk_len};
use crate::log::config::{LogId, LogLimits};
use crate::log::event::{Append, AppendError, AppendInfo, Body, Facts, LeasedAppend};
use crate::log::index::Indexed;
use crate::log::limits::BLOCK_BYTES;
use crate::log::space::{RollQuestion, should_roll};
use crate::log::state::{Cut, Health, Log, Segment, SegmentIndexState};
use crate::mem::Lease;
use crate::time::Wall;
use protocol::batch::layout::HEADER_LEN;

impl LogSet {
    /// Copies one validated batch to the log's end and patches base offset and leader epoch in the copy. Synchronous;
    /// [`LogEvent::Durable`](crate::log::LogEvent::Durable) or `Rejected` follows.
    pub fn append(&mut self, id: LogId, batch: Append<'_>) -> Result<AppendInfo, AppendError> {
        let facts = batch.facts();
        self.may_append(id, &facts)?;
        Ok(self.take(id, &facts, Body::Elsewhere(batch.bytes)))
    }

    /// As [`LogSet::append`], for a batch in a lease: nothing is copied if the lease is still the log's next bytes. A
    /// refused batch comes back.
    pub fn append_leased(&mut self, id: LogId, batch: LeasedAppend) -> Result<AppendInfo, (AppendError, LeasedAppend)> {
        let facts = batch.facts();
        match self.may_append(id, &facts) {
            Ok(()) => Ok(self.take(id, &facts, Body::Leased(batch.lease))),
            Err(error) => Err((error, batch)),
        }
    }

    /// Lends the log's next `len` bytes, to receive a batch into. Promises nothing: any other append revokes the lease,
    /// and whoever holds it then appends a copy. None where the log would not take such a batch now, or not there.
    pub fn lease(&mut self, id: LogId, len: usize) -> Option<Lease> {
        let (wall, now, budget) = (self.wall, self.now, self.limits.tail_cache_bytes);
        if self.unwritten + len as u64 > busy_above(&self.limits, len) {
            return None;
        }
        let log = self.log_mut(id)?;
        log.accepts().ok()?;
        let active = log.segments.back()?;
        let (segment, position) = (active.base, active.bytes);
        // Its offsets and timestamps are not known yet: taken to be as of the newest batch.
        if log.would_roll(active, len, log.end, active.max_timestamp, wall) {
            return None;
        }
        log.chunk_len = chunk_len(log.rate.bytes_per_s, log.chunk_len, budget);
        let (lease, grown) = log.tail.lease(segment, position, log.end, len, log.chunk_len)?;
        log.last_used = now;
        self.account_chunk(id, grown, position);
        Some(lease)
    }

    /// Bytes of batches that were copied into tails; a batch that was received in its place adds nothing.
    pub fn copied_bytes(&self) -> u64 {
        self.copied
    }

    /// Bytes of begun blocks that were copied: less than a block for each new chunk, and for each write.
    pub fn edge_bytes(&self) -> u64 {
        self.edges
    }

    fn may_append(&self, id: LogId, batch: &Facts) -> Result<(), AppendError> {
        let Some(log) = self.log(id) else { return Err(AppendError::Deleted) };
        log.accepts()?;
        assert!(batch.base_offset == log.end, "append at {} of a log that ends at {}", batch.base_offset, log.end);
        assert!(batch.last_offset >= batch.base_offset, "a batch has offsets");
        assert!(batch.len >= HEADER_LEN, "a validated batch has a header");
        let busy = self.unwritten + batch.len as u64 > busy_above(&self.limits, batch.len);
        if busy { Err(AppendError::Busy) } else { Ok(()) }
    }

    fn take(&mut self, id: LogId, batch: &Facts, body: Body<'_>) -> AppendInfo {
        let (wall, now, budget) = (self.wall, self.now, self.limits.tail_cache_bytes);
        let Some(log) = self.log_mut(id) else { unreachable!("may_append found the log") };
        let rolled = log.make_room(batch, wall);
        let info = log.place(rolled);
        log.last_used = now;
        log.chunk_len = chunk_len(log.rate.bytes_per_s, log.chunk_len, budget);
        let appended = log.remember(batch, body, &info, log.chunk_len);
        self.unwritten += batch.len as u64;
        self.copied += appended.copied as u64;
        self.account_chunk(id, appended.grown, info.position);
        self.mark_dirty(id);
        info
    }

    /// A new chunk of `grown` bytes, if there is one, begins with what the block at `position` held.
    fn account_chunk(&mut self, id: LogId, grown: usize, position: u64) {
        if grown == 0 {
            return;
        }
        self.edges += position % BLOCK_BYTES;
        self.held += grown;
        self.evict.push_back(id);
        self.evict_over_budget();
        self.idle_at.get_or_insert(self.now.plus_millis(self.limits.idle_ms));
    }

    /// Gives back the oldest written chunks while the tails hold more than their budget; a few at a time, so that many
    /// logs that cannot give anything cost an append nothing.
    pub(super) fn evict_over_budget(&mut self) {
        for _ in 0..self.evict.len().min(EVICTIONS_MAX) {
            if self.held <= self.limits.tail_cache_bytes {
                return;
            }
            let Some(id) = self.evict.pop_front() else { return };
            let Some(log) = self.any_log_mut(id) else { continue };
            let freed = log.give_back_oldest();
            if freed.is_none() && !log.tail.is_empty() {
                self.evict.push_back(id);
            }
            self.held -= freed.unwrap_or(0);
        }
    }
}

/// Logs that one call asks for memory.
const EVICTIONS_MAX: usize = 16;

/// One batch is always taken, however small the budget.
fn busy_above(limits: &LogLimits, batch: usize) -> u64 {
    limits.unwritten_bytes_max.max(batch) as u64
}

impl Log {
    /// The oldest chunk if it is written, or the last one if all of it is.
    fn give_back_oldest(&mut self) -> Option<usize> {
        let Log { tail, writers, .. } = self;
        let older = tail.evict_oldest(|segment, end| {
            writers.iter().find(|writer| writer.base == segment).is_none_or(|writer| writer.written() >= end)
        });
        let all_written = writers.iter().all(|writer| writer.is_written() && writer.is_quiet());
        older.or_else(|| all_written.then(|| tail.evict_all()))
    }

    fn accepts(&self) -> Result<(), AppendError> {
        match self.health {
            Health::Good => Ok(()),
            Health::Draining { .. } | Health::Full { .. } => Err(AppendError::Full),
            Health::Fenced => Err(AppendError::Fenced),
            Health::Switching { .. } if marks::planted!("engine: append while a log changes its folder") => Ok(()),
            Health::Cutting { why: Cut::Asked, .. } | Health::Switching { .. } => Err(AppendError::Busy),
            Health::Cutting { why: Cut::Full { .. }, .. } => Err(AppendError::Full),
            Health::Deleting { .. } => Err(AppendError::Deleted),
        }
    }

    /// Makes sure that the active segment takes the batch; true when that meant a new one.
    fn make_room(&mut self, batch: &Facts, wall: Wall) -> bool {
        let Some(active) = self.segments.back() else {
            self.begin_segment(wall);
            return true;
        };
        let roll = self.would_roll(active, batch.len, batch.last_offset, batch.max_timestamp, wall);
        if roll {
            self.close_active();
            self.begin_segment(wall);
        }
        roll
    }

    fn would_roll(&self, active: &Segment, len: usize, last_offset: i64, max_timestamp: i64, wall: Wall) -> bool {
        let or_wall = |timestamp: i64, wall: Wall| if timestamp >= 0 { timestamp } else { wall.0 };
        let first = match &active.index {
            SegmentIndexState::Memory(index) => index.first_timestamp,
            SegmentIndexState::File => panic!("the active segment's index is in memory"),
        };
        let ask = RollQuestion {
            bytes: active.bytes,
            base_offset: active.base,
            first_timestamp: or_wall(first, active.created),
            batch_bytes: len as u64,
            last_offset,
            timestamp: if first >= 0 { or_wall(max_timestamp, wall) } else { wall.0 },
            jitter_ms: self.jitter_ms,
            indexes: active.kafka_indexes,
        };
        should_roll(&ask, &self.config)
    }

    fn place(&self, rolled: bool) -> AppendInfo {
        let Some(active) = self.segments.back() else { unreachable!("make_room left an active segment") };
        AppendInfo { segment: active.base, position: active.bytes, rolled }
    }

    fn remember(&mut self, batch: &Facts, body: Body<'_>, info: &AppendInfo, chunk_len: usize) -> Appended {
        let mut header = [0; HEADER_LEN];
        header.copy_from_slice(&body.bytes()[..HEADER_LEN]);
        protocol::batch::patch(&mut header, batch.base_offset, batch.leader_epoch);
        let appended = self.tail.append(info.segment, info.position, batch, body, chunk_len);
        let len = batch.len;
        let indexed = Indexed {
            header: &header,
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            leader_epoch: batch.leader_epoch,
            max_timestamp: batch.max_timestamp,
            offset_of_max_timestamp: batch.offset_of_max_timestamp,
            len,
        };
        self.end = batch.last_offset + 1;
        self.epochs.note(batch.leader_epoch, batch.base_offset);
        let interval = self.config.index_interval_bytes;
        let Some(active) = self.segments.back_mut() else { unreachable!("make_room left an active segment") };
        let index = active.index_mut();
        let is_entry = index.note(&indexed, interval);
        let (header_crc, max_timestamp) = (index.header_crc, index.max_timestamp);
        if is_entry {
            active.kafka_indexes.add(max_timestamp);
        }
        if let Some(writer) = self.writers.back_mut() {
            writer.appended(len as u64, self.end, header_crc);
        }
        if active.bytes == 0 {
            active.first_timestamp = batch.max_timestamp;
        }
        active.bytes += len as u64;
        active.end = self.end;
        if batch.max_timestamp > active.max_timestamp {
            active.max_timestamp = batch.max_timestamp;
            active.offset_of_max_timestamp = batch.offset_of_max_timestamp;
        }
        appended
    }
}

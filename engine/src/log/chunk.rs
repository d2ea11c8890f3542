//! One chunk of a log's tail memory, and the list of them.
//!
//! ```text
//!   segment position   start                                             start + len
//!   chunk              | carried block | batch | batch | batch ......... |   room    |
//! ```
//! A chunk begins at a block boundary of its segment. The bytes of the block that was already begun are carried over
//! from the chunk before, so that every block of the file can be written from one chunk. A batch never straddles chunks.
//!
//! The room of the last chunk may be lent to the receive of one batch. Whatever else is appended meanwhile goes into a new
//! chunk: the lent room is then no room of the log any more, and its batch is copied when it comes.

use super::event::{Body, Facts};
use super::limits::{
    BLOCK_BYTES, CHUNK_MARK_BYTES, CHUNK_MAX, CHUNK_MIN, CHUNK_SIZES, LEASE_PAUSE_APPENDS, WRITE_SLICES_MAX,
};
use super::peek::Peek;
use crate::mem::{Buf, Lease, Slice, Tail};
use std::collections::VecDeque;
use std::ops::Range;

struct Chunk {
    /// Base offset of the segment it belongs to.
    segment: i64,
    /// Position in the segment's file of its first byte; a multiple of the block.
    start: u64,
    tail: Tail,
    /// Bytes that belong to batches of earlier chunks; never read from here.
    carried: usize,
    len: usize,
    base_offset: i64,
    end_offset: i64,
    /// Base offset and place of some batches, ascending; the first batch is always among them.
    marks: Vec<(i64, usize)>,
}

/// Recent batches of one log, oldest first. Consecutive chunks continue each other in offsets.
#[derive(Default)]
pub(super) struct TailMemory {
    chunks: VecDeque<Chunk>,
    /// The begun block of the active segment while no chunk holds it.
    carry: Vec<u8>,
    /// Appends before the next lease, after one was revoked.
    lease_pause: u32,
}

/// What an append to memory cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Appended {
    /// Bytes of memory held in addition.
    pub(super) grown: usize,
    /// Bytes of the batch that were copied.
    pub(super) copied: usize,
}

/// How large a log's next chunk should be that writes so many bytes a second and whose last chunk had `last` bytes: about
/// 20 ms worth, so that an idle partition holds kilobytes; never more than an eighth of the shard's budget. Few sizes, and
/// a log changes between them with some reluctance: memory that one chunk gives back is then what the next one takes.
pub(super) fn chunk_len(bytes_per_s: u64, last: usize, budget: usize) -> usize {
    let wanted = usize::try_from(bytes_per_s / 50).unwrap_or(CHUNK_MAX);
    let step = |len: &usize| *len >= wanted;
    let fits = CHUNK_SIZES.iter().copied().find(step).unwrap_or(CHUNK_MAX);
    let kept = if fits < last && last <= fits.saturating_mul(4) { last } else { fits };
    kept.min((budget / 8).next_power_of_two()).clamp(CHUNK_MIN, CHUNK_MAX)
}

/// What a read from memory found.
pub(super) enum Found {
    /// Whole batches from the one that contains the offset on.
    Bytes(Vec<Slice>),
    /// The offset lies below what is in memory.
    Below,
    /// No batch at or past the offset ends at or below the limit.
    Nothing,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.len as u64
    }

    fn valid(&self) -> Slice {
        self.tail.slice(0..self.len)
    }

    /// Place of the first batch whose last offset is at or past `offset`.
    fn place_of(&self, bytes: &[u8], offset: i64) -> Option<usize> {
        let after = self.marks.partition_point(|&(base, _)| base <= offset);
        let mut at = self.marks.get(after.saturating_sub(1))?.1;
        while let Some(batch) = Peek::at(bytes.get(at..)?) {
            if batch.last_offset >= offset {
                return Some(at);
            }
            at += batch.len;
        }
        None
    }
}

impl TailMemory {
    /// Memory whose active segment ends inside a block that holds `carry`.
    pub(super) fn with_carry(carry: Vec<u8>) -> TailMemory {
        assert!((carry.len() as u64) < BLOCK_BYTES, "only a begun block is carried");
        TailMemory { carry, ..TailMemory::default() }
    }

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.tail.capacity()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// First offset that is in memory.
    pub(super) fn first_offset(&self) -> Option<i64> {
        self.chunks.front().map(|chunk| chunk.base_offset)
    }

    /// Places a batch at `position` of `segment`, which is where the log ends, and patches it there: a copy, unless it was
    /// received in this very place. A new chunk holds `chunk_len` bytes or the batch.
    pub(super) fn append(
        &mut self,
        segment: i64,
        position: u64,
        batch: &Facts,
        body: Body<'_>,
        chunk_len: usize,
    ) -> Appended {
        let last = self.chunks.back().filter(|chunk| chunk.segment == segment && chunk.end() == position);
        let in_place = matches!((&body, last), (Body::Leased(lease), Some(chunk)) if chunk.tail.has_lent(lease));
        let fits = last.is_some_and(|chunk| chunk.tail.room() >= batch.len);
        let revokes = !in_place && last.is_some_and(|chunk| chunk.tail.is_leased());
        self.lease_pause = if revokes { LEASE_PAUSE_APPENDS } else { self.lease_pause.saturating_sub(1) };
        let mut grown = 0;
        if !in_place && (!fits || revokes) {
            grown = self.begin_chunk(segment, position, batch.base_offset, batch.len, chunk_len);
        }
        let Some(chunk) = self.chunks.back_mut() else { unreachable!("there is a chunk that fits now") };
        let (placed, copied) = match body {
            Body::Leased(lease) if in_place => (chunk.tail.accept(lease), 0),
            body => (chunk.tail.append(body.bytes()), batch.len),
        };
        protocol::batch::patch(chunk.tail.unpublished_mut(), batch.base_offset, batch.leader_epoch);
        chunk.tail.publish();
        if chunk.marks.last().is_none_or(|&(_, at)| placed.start - at >= CHUNK_MARK_BYTES) {
            chunk.marks.push((batch.base_offset, placed.start));
        }
        chunk.len = placed.end;
        chunk.end_offset = batch.last_offset + 1;
        Appended { grown, copied }
    }

    /// Lends `len` bytes at `position` of `segment`, where the log ends at `end_offset`, and says how much more memory is
    /// held. None while other room is lent, and for a while after a lease was revoked.
    pub(super) fn lease(
        &mut self,
        segment: i64,
        position: u64,
        end_offset: i64,
        len: usize,
        chunk_len: usize,
    ) -> Option<(Lease, usize)> {
        let last = self.chunks.back().filter(|chunk| chunk.segment == segment && chunk.end() == position);
        if self.lease_pause > 0 || last.is_some_and(|chunk| chunk.tail.is_leased()) {
            return None;
        }
        let mut grown = 0;
        if last.is_none_or(|chunk| chunk.tail.room() < len) {
            grown = self.begin_chunk(segment, position, end_offset, len, chunk_len);
        }
        let chunk = self.chunks.back_mut()?;
        Some((chunk.tail.lease(len), grown))
    }

    fn begin_chunk(
        &mut self,
        segment: i64,
        position: u64,
        base_offset: i64,
        batch_len: usize,
        chunk_len: usize,
    ) -> usize {
        let begun = (position % BLOCK_BYTES) as usize;
        let carried = self.begun_block(segment, position, begun);
        let len = (begun + batch_len).next_multiple_of(BLOCK_BYTES as usize).max(chunk_len);
        let mut tail = Tail::new(len);
        tail.append(&carried);
        tail.publish();
        self.chunks.push_back(Chunk {
            segment,
            start: position - begun as u64,
            tail,
            carried: begun,
            len: begun,
            base_offset,
            end_offset: base_offset,
            marks: Vec::new(),
        });
        self.carry = Vec::new();
        len
    }

    fn begun_block(&self, segment: i64, position: u64, begun: usize) -> Vec<u8> {
        if begun == 0 {
            return Vec::new();
        }
        match self.chunks.back().filter(|last| last.segment == segment) {
            Some(last) => {
                assert!(last.end() == position, "a segment is appended to at its end");
                last.valid()[last.len - begun..].to_vec()
            }
            None => {
                assert!(self.carry.len() == begun, "{} bytes carried, {begun} begun", self.carry.len());
                self.carry.clone()
            }
        }
    }

    /// Whole batches from the one that contains `from`, up to `max_bytes`, none that ends past `upto`.
    pub(super) fn read(&self, from: i64, upto: i64, max_bytes: usize, at_least_one: bool) -> Found {
        let Some(first) = self.first_offset() else { return Found::Below };
        if from < first {
            return Found::Below;
        }
        let begin = self.chunks.partition_point(|chunk| chunk.end_offset <= from);
        let mut found = Vec::new();
        let mut room = max_bytes;
        for chunk in self.chunks.iter().skip(begin) {
            let bytes = chunk.valid();
            let start = if found.is_empty() { chunk.place_of(&bytes, from) } else { Some(chunk.carried) };
            let Some(start) = start else { continue };
            let whole = whole_batches(chunk, &bytes, start, upto, room, at_least_one && found.is_empty());
            let complete = whole.end == chunk.len;
            if whole.start < whole.end {
                room = room.saturating_sub(whole.len());
                found.push(bytes.slice(whole));
            }
            if !complete || room == 0 {
                break;
            }
        }
        if found.is_empty() { Found::Nothing } else { Found::Bytes(found) }
    }

    /// The first batch in memory that reaches `from` and whose largest timestamp is at or past `timestamp`.
    pub(super) fn first_at_or_after(&self, from: i64, timestamp: i64) -> Option<(Peek, Slice)> {
        self.chunks.iter().find_map(|chunk| {
            let bytes = chunk.valid();
            let mut at = chunk.carried;
            while let Some(batch) = Peek::at(&bytes[at..]) {
                if batch.last_offset >= from && batch.max_timestamp >= timestamp {
                    return Some((batch, bytes.slice(at..at + batch.len)));
                }
                at += batch.len;
            }
            None
        })
    }

    /// The bytes `range` of `segment` as slices for a write. `range.start` is a block boundary. With `pad`, a begun
    /// block at the end is copied and filled up with zeros.
    pub(super) fn write_slices(&self, segment: i64, range: Range<u64>, pad: bool) -> (Vec<Slice>, u64) {
        let mut slices = Vec::new();
        let mut at = range.start;
        while at < range.end && slices.len() < WRITE_SLICES_MAX - 1 {
            let Some(chunk) = self.chunks.iter().rev().find(|c| c.segment == segment && c.start <= at) else {
                panic!("bytes {at}.. of segment {segment} left memory before they were written")
            };
            let next = self.chunks.iter().find(|c| c.segment == segment && c.start > at).map_or(u64::MAX, |c| c.start);
            let end = range.end.min(chunk.end()).min(next);
            assert!(at < end, "bytes {at}..{} of segment {segment} are not in memory", range.end);
            push_for_write(&mut slices, chunk, at, end, pad);
            at = end;
        }
        (slices, at)
    }

    /// Replaces everything by a begun block; returns what was freed.
    pub(super) fn reset(&mut self, carry: Vec<u8>) -> usize {
        let held = self.held_bytes();
        *self = TailMemory::with_carry(carry);
        held
    }

    /// Gives back the oldest chunk if it is not the last and `is_written` agrees; returns its size.
    pub(super) fn evict_oldest(&mut self, is_written: impl Fn(i64, u64) -> bool) -> Option<usize> {
        let oldest = self.chunks.front()?;
        if self.chunks.len() < 2 || !is_written(oldest.segment, oldest.end()) {
            return None;
        }
        self.chunks.pop_front().map(|chunk| chunk.tail.capacity())
    }

    /// Gives back the chunks of the segments below `offset`, a border of segments, which are written; returns what was freed.
    pub(super) fn forget_below(&mut self, offset: i64) -> usize {
        let mut freed = 0;
        while let Some(oldest) = self.chunks.front().filter(|chunk| chunk.segment < offset) {
            freed += oldest.tail.capacity();
            self.chunks.pop_front();
        }
        freed
    }

    /// Gives back everything; the caller knows that all of it is written. The begun block stays. Returns what was freed.
    pub(super) fn evict_all(&mut self) -> usize {
        let Some(last) = self.chunks.back() else { return 0 };
        let begun = last.len % BLOCK_BYTES as usize;
        let carry = last.valid()[last.len - begun..].to_vec();
        let held = self.held_bytes();
        self.chunks.clear();
        self.carry = carry;
        held
    }
}

/// The longest run of whole batches from `start` that the limits allow, as a range of the chunk.
fn whole_batches(
    chunk: &Chunk,
    bytes: &[u8],
    start: usize,
    upto: i64,
    room: usize,
    at_least_one: bool,
) -> Range<usize> {
    if chunk.end_offset <= upto && chunk.len - start <= room {
        return start..chunk.len;
    }
    let mut end = start;
    while let Some(batch) = Peek::at(&bytes[end..chunk.len]) {
        let first = end == start && at_least_one;
        if batch.last_offset >= upto || (!first && end + batch.len - start > room) {
            break;
        }
        end += batch.len;
    }
    start..end
}

fn push_for_write(slices: &mut Vec<Slice>, chunk: &Chunk, at: u64, end: u64, pad: bool) {
    let from = (at - chunk.start) as usize;
    let to = (end - chunk.start) as usize;
    let whole = if pad { to - to % BLOCK_BYTES as usize } else { to };
    if from < whole {
        slices.push(chunk.tail.slice(from..whole));
    }
    if whole < to {
        let mut bounce = Buf::with_capacity(BLOCK_BYTES as usize);
        bounce.extend_from_slice(&chunk.tail.slice(whole..to));
        bounce.fill_zero(BLOCK_BYTES as usize - (to - whole));
        slices.push(bounce.freeze());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_size_of_chunks_while_its_rate_wavers() {
        let budget = 256 << 20;
        for (bytes_per_s, last, expected) in [
            (0, 0, CHUNK_MIN),
            (40 << 20, 0, 1 << 20),
            (60 << 20, 1 << 20, CHUNK_MAX),
            (40 << 20, CHUNK_MAX, CHUNK_MAX),
            (10 << 20, CHUNK_MAX, 256 << 10),
            (u64::MAX, 0, CHUNK_MAX),
        ] {
            assert_eq!(chunk_len(bytes_per_s, last, budget), expected, "{bytes_per_s} B/s after {last}");
        }
        assert_eq!(chunk_len(u64::MAX, 0, 64 << 10), CHUNK_MIN, "never more than an eighth of the budget");
    }
}

//! Random scripts over a log's tail memory, held against the plain bytes of each segment: appends that are copied and
//! appends received in place, leases that are revoked, rolls, reads, searches by time, writes with and without padding,
//! evictions. What readers got earlier must not change while the writer goes on behind it.

use super::chunk::{Found, TailMemory};
use super::event::{Body, Facts};
use super::limits::{BLOCK_BYTES, CHUNK_MIN};
use super::peek::Peek;
use crate::io::sim::Rng;
use crate::mem::{Buf, Lease, Slice};
use protocol::batch::layout;
use std::collections::BTreeMap;

const SCRIPTS: u64 = if cfg!(miri) { 3 } else { 150 };
const STEPS: usize = if cfg!(miri) { 60 } else { 250 };

/// The log as it should be.
struct World {
    rng: Rng,
    memory: TailMemory,
    /// Bytes of each segment by base offset, and how many of them are on the disk.
    segments: BTreeMap<i64, (Vec<u8>, u64)>,
    active: i64,
    /// Every batch so far.
    batches: Vec<Placed>,
    end_offset: i64,
    lease: Option<Buf>,
    held: usize,
    reached: BTreeMap<&'static str, u32>,
    /// Answers of earlier reads.
    kept: Vec<(Slice, Vec<u8>)>,
}

#[derive(Clone)]
struct Placed {
    base: i64,
    last: i64,
    timestamp: i64,
    bytes: Vec<u8>,
}

impl World {
    /// A log that begins in the middle of a segment, inside a block.
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let before: Vec<u8> = (0..BLOCK_BYTES + rng.below(BLOCK_BYTES)).map(|at| at as u8).collect();
        let carry = before[BLOCK_BYTES as usize..].to_vec();
        let on_disk = before.len() as u64;
        World {
            rng,
            memory: TailMemory::with_carry(carry),
            segments: BTreeMap::from([(0, (before, on_disk))]),
            active: 0,
            batches: Vec::new(),
            end_offset: 100,
            lease: None,
            held: 0,
            reached: BTreeMap::new(),
            kept: Vec::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    fn step(&mut self) {
        match self.below(10) {
            0..3 => self.append(),
            3 => self.lend(),
            4 => self.read(),
            5 => self.find_time(),
            6 => self.write(),
            7 => self.evict(),
            8 if self.below(4) == 0 => self.roll(),
            8 => self.read(),
            _ if self.below(4) == 0 => self.evict_all(),
            _ => self.write(),
        }
        assert_eq!(self.memory.held_bytes(), self.held);
        assert!(self.kept.iter().all(|(slice, bytes)| **slice == **bytes), "what was read has changed");
    }

    fn reach(&mut self, state: &'static str) {
        *self.reached.entry(state).or_default() += 1;
    }

    fn position(&self) -> u64 {
        self.segments[&self.active].0.len() as u64
    }

    fn chunk_len(&mut self) -> usize {
        CHUNK_MIN << self.below(2)
    }

    /// A batch as a producer sends it: offsets from zero.
    fn batch(&mut self) -> Placed {
        let size = if self.below(8) == 0 { 20_000 } else { 1_500 };
        let len = layout::HEADER_LEN + self.below(size) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| self.rng.next_u64() as u8).collect();
        let (delta, timestamp) = (self.below(5) as i32, self.below(1000) as i64);
        let rest = (len - layout::LENGTH_PREFIX_LEN) as i32;
        bytes[layout::BATCH_LENGTH..][..4].copy_from_slice(&rest.to_be_bytes());
        bytes[layout::LAST_OFFSET_DELTA..][..4].copy_from_slice(&delta.to_be_bytes());
        bytes[layout::MAX_TIMESTAMP..][..8].copy_from_slice(&timestamp.to_be_bytes());
        Placed { base: self.end_offset, last: self.end_offset + i64::from(delta), timestamp, bytes }
    }

    fn append(&mut self) {
        let mut batch = self.batch();
        let received = if self.rng.coin() { self.receive(&batch.bytes) } else { None };
        let was_received = received.is_some();
        let body = received.map_or(Body::Elsewhere(&batch.bytes), Body::Leased);
        let facts = Facts {
            len: batch.bytes.len(),
            base_offset: batch.base,
            last_offset: batch.last,
            leader_epoch: 3,
            max_timestamp: batch.timestamp,
            offset_of_max_timestamp: batch.last,
        };
        let (position, chunk_len) = (self.position(), self.chunk_len());
        let appended = self.memory.append(self.active, position, &facts, body, chunk_len);
        match (was_received, appended.copied) {
            (true, 0) => self.reach("appended in place"),
            (true, copied) if copied == facts.len => self.reach("copied out of a revoked lease"),
            (false, copied) if copied == facts.len => {}
            other => panic!("a batch is copied whole or not at all: {other:?}"),
        }
        self.held += appended.grown;
        protocol::batch::patch(&mut batch.bytes, batch.base, 3);
        if let Some((bytes, _)) = self.segments.get_mut(&self.active) {
            bytes.extend(&batch.bytes);
        }
        self.end_offset = batch.last + 1;
        self.batches.push(batch);
    }

    /// The batch in memory that the log lent, with something behind it that is not for the log.
    fn receive(&mut self, bytes: &[u8]) -> Option<Lease> {
        let mut buf = self.lease.take_if(|buf| buf.capacity() >= bytes.len())?;
        buf.extend_from_slice(bytes);
        buf.fill_zero(buf.spare_len().min(5));
        let mut lease = Lease::from_buf(buf).expect("the log lent it");
        lease.truncate(bytes.len());
        Some(lease)
    }

    fn lend(&mut self) {
        let len = layout::HEADER_LEN + self.below(3_000) as usize;
        let (position, chunk_len) = (self.position(), self.chunk_len());
        if let Some((lease, grown)) = self.memory.lease(self.active, position, self.end_offset, len, chunk_len) {
            self.held += grown;
            self.lease = Some(lease.into_buf());
        }
    }

    fn offset(&mut self) -> i64 {
        100 + self.below((self.end_offset - 100) as u64 + 3) as i64
    }

    fn read(&mut self) {
        let (from, upto, max_bytes, at_least_one) =
            (self.offset(), self.offset(), self.below(30_000) as usize, self.rng.coin());
        let found = self.memory.read(from, upto, max_bytes, at_least_one);
        let Some(first) = self.memory.first_offset().filter(|first| from >= *first) else {
            return assert!(matches!(found, Found::Below), "{from} is not in memory");
        };
        let mut expected: Vec<u8> = Vec::new();
        for batch in self.batches.iter().filter(|batch| batch.base >= first && batch.last >= from) {
            let fits = expected.len() + batch.bytes.len() <= max_bytes || (expected.is_empty() && at_least_one);
            if batch.last >= upto || !fits {
                break;
            }
            expected.extend(&batch.bytes);
        }
        let slices = match found {
            Found::Bytes(slices) => {
                self.reach(if slices.len() > 1 { "read from several chunks" } else { "read from one chunk" });
                slices
            }
            Found::Nothing => Vec::new(),
            Found::Below => panic!("{from} is in memory from {first} on"),
        };
        assert!(joined(&slices) == expected, "from {from} upto {upto}, {max_bytes} bytes, {at_least_one}");
        self.kept.extend(slices.into_iter().map(|slice| (slice.clone(), slice.to_vec())));
        let surplus = self.kept.len().saturating_sub(8);
        self.kept.drain(..surplus);
    }

    fn find_time(&mut self) {
        let (from, timestamp) = (self.offset(), self.below(1000) as i64);
        let first = self.memory.first_offset().unwrap_or(i64::MAX);
        let is_hit = |batch: &&Placed| batch.base >= first && batch.last >= from && batch.timestamp >= timestamp;
        let found = self.memory.first_at_or_after(from, timestamp);
        let expected = self.batches.iter().find(is_hit);
        assert_eq!(found.is_some(), expected.is_some());
        if let (Some((peek, slice)), Some(batch)) = (found, expected) {
            assert!(*slice == *batch.bytes && Peek::at(&slice) == Some(peek) && peek.base_offset == batch.base);
        }
    }

    /// Writes what is not on the disk yet of the oldest such segment.
    fn write(&mut self) {
        let behind = self.segments.iter().find(|(_, (bytes, on_disk))| *on_disk < bytes.len() as u64);
        let Some((&segment, (bytes, on_disk))) = behind else { return };
        let (start, len, on_disk) = (on_disk - on_disk % BLOCK_BYTES, bytes.len() as u64, *on_disk);
        let end = on_disk + 1 + self.rng.below(len - on_disk);
        let pad = self.rng.coin();
        let (slices, upto) = self.memory.write_slices(segment, start..end, pad);
        assert_eq!(upto, end, "nothing is left out below the limit of slices");
        let written = joined(&slices);
        let (wanted, padding) = written.split_at((end - start) as usize);
        assert!(*wanted == bytes[start as usize..end as usize], "segment {segment}, {start}..{end}");
        let padding_len = if pad { end.next_multiple_of(BLOCK_BYTES) - end } else { 0 };
        assert_eq!(padding, vec![0; padding_len as usize]);
        if pad {
            assert!(slices.iter().all(Slice::is_aligned), "a direct write takes whole blocks");
        }
        if let Some((_, on_disk)) = self.segments.get_mut(&segment) {
            *on_disk = end;
        }
    }

    fn evict(&mut self) {
        let segments = &self.segments;
        let freed = self.memory.evict_oldest(|segment, end| segments[&segment].1 >= end);
        if let Some(freed) = freed {
            self.held -= freed;
            self.reach("gave up the oldest chunk");
        }
    }

    fn is_all_written(&self) -> bool {
        self.segments.values().all(|(bytes, on_disk)| *on_disk == bytes.len() as u64)
    }

    fn evict_all(&mut self) {
        while !self.is_all_written() {
            self.write();
        }
        let begun = self.position() % BLOCK_BYTES;
        let bytes = &self.segments[&self.active].0;
        let freed = if self.rng.coin() {
            self.memory.reset(bytes[bytes.len() - begun as usize..].to_vec())
        } else {
            self.memory.evict_all()
        };
        self.held -= freed;
        assert!(self.memory.is_empty());
        self.reach("gave up everything");
    }

    fn roll(&mut self) {
        if self.position() > 0 {
            self.active = self.end_offset;
            self.segments.insert(self.active, (Vec::new(), 0));
        }
    }
}

#[test]
fn every_script_does_what_plain_bytes_do() {
    let mut reached: BTreeMap<_, u32> = BTreeMap::new();
    for seed in 0..SCRIPTS {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.reached.into_iter().for_each(|(state, count)| *reached.entry(state).or_default() += count);
    }
    // Scripts that never come here prove little.
    assert!(cfg!(miri) || reached.len() == 6 && reached.values().all(|count| *count > 20), "{reached:?}");
}

fn joined(slices: &[Slice]) -> Vec<u8> {
    let mut all = Vec::new();
    slices.iter().for_each(|slice| all.extend_from_slice(slice));
    all
}

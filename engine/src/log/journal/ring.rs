//! Where the next block of a journal goes, and which part of the file may be written again. It does no I/O.
//!
//! ```text
//!   region 0            region 1            region 2            region 3
//!   | block | block |.. | block | block     |                   | block | block | block |
//!     still needed        ^ written now       free                still needed, older
//! ```
//! Blocks follow each other within a region, and regions follow each other round the file. A region is written again from
//! its beginning once every log has in its segments, flushed, what the region holds of it, and a durable block says so:
//! otherwise a torn write there would look like the loss of what was needed. Room for one empty block that can say it is
//! kept at the end of each region.

use crate::log::config::LogId;
use crate::log::limits::{BLOCK_BYTES, JOURNAL_REGIONS};
use std::collections::{BTreeMap, VecDeque};

pub(in crate::log) struct Ring {
    region_bytes: u64,
    regions: [Region; JOURNAL_REGIONS],
    /// The region that is being written.
    current: usize,
    /// Next free byte in it.
    at: u64,
    next_sequence: u64,
    /// Every block below is durable.
    durable_below: u64,
    /// What durable blocks say is needed at the earliest.
    durable_needed: u64,
    flights: VecDeque<Flight>,
}

#[derive(Default)]
struct Region {
    /// Sequence of its first block, 0 while it has none.
    first: u64,
    /// Sequence of its last block.
    last: u64,
    /// Up to where each log's segment must be flushed before the region is free.
    pins: BTreeMap<(LogId, i64), u64>,
}

struct Flight {
    sequence: u64,
    needed: u64,
    done: bool,
    stretches: Vec<Stretch>,
    /// Logs of which every earlier record is void with this block.
    voids: Vec<LogId>,
}

/// Bytes of one segment that a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct Stretch {
    pub(in crate::log) id: LogId,
    pub(in crate::log) base: i64,
    pub(in crate::log) upto: u64,
}

/// Where the next block may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) enum Room {
    /// At this position of the file, and it may be so long.
    At(u64, u64),
    /// Nowhere yet: an empty block at this position has to say first that the next region is free.
    Marker(u64),
    /// Nowhere: the next region is still needed, or its marker is on the way.
    Full,
}

/// What became durable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::log) struct Landed {
    pub(in crate::log) stretches: Vec<Stretch>,
    pub(in crate::log) voids: Vec<LogId>,
}

impl Ring {
    /// The ring of an empty file of `bytes`.
    pub(in crate::log) fn new(bytes: u64) -> Ring {
        Ring {
            region_bytes: bytes / JOURNAL_REGIONS as u64,
            regions: Default::default(),
            current: 0,
            at: 0,
            next_sequence: 1,
            durable_below: 1,
            durable_needed: 1,
            flights: VecDeque::new(),
        }
    }

    pub(in crate::log) fn flights(&self) -> usize {
        self.flights.len()
    }

    pub(in crate::log) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The last block that is durable with all before it; 0 before the first.
    pub(in crate::log) fn durable(&self) -> u64 {
        self.durable_below - 1
    }

    /// The oldest block that holds something its segment may not have.
    pub(in crate::log) fn needed(&self) -> u64 {
        let pinned = self.regions.iter().filter(|region| !region.pins.is_empty()).map(|region| region.first);
        pinned.chain([self.regions[self.current].first]).filter(|&first| first > 0).min().unwrap_or(self.next_sequence)
    }

    /// The longest block that fits a region.
    pub(in crate::log) fn block_max(&self) -> u64 {
        self.region_bytes - BLOCK_BYTES
    }

    /// Where a block of `len` bytes may go now.
    pub(in crate::log) fn room(&self, len: u64) -> Room {
        assert!(len <= self.block_max(), "a block of {len} bytes fits no region");
        let here = self.current as u64 * self.region_bytes + self.at;
        if self.at + len <= self.block_max() {
            return Room::At(here, self.block_max() - self.at);
        }
        let next = (self.current + 1) % JOURNAL_REGIONS;
        let Region { last, pins, .. } = &self.regions[next];
        let is_free = pins.is_empty() || marks::planted!("engine: write the journal over what is needed");
        match (is_free, *last < self.durable_needed) {
            (true, true) => Room::At(next as u64 * self.region_bytes, self.block_max()),
            (true, false) if self.at < self.region_bytes && self.flights.iter().all(|f| f.needed <= *last) => {
                Room::Marker(here)
            }
            _ => Room::Full,
        }
    }

    /// A block of `len` bytes goes to `place`, which is where [`Ring::room`] said.
    pub(in crate::log) fn begin(&mut self, place: u64, len: u64, stretches: Vec<Stretch>, voids: Vec<LogId>) {
        let (sequence, needed) = (self.next_sequence, self.needed());
        if place / self.region_bytes != self.current as u64 {
            self.current = (self.current + 1) % JOURNAL_REGIONS;
            self.at = 0;
            if self.regions[self.current].first > 0 {
                marks::reached!("engine: the journal went round");
            }
            self.regions[self.current] = Region::default();
        }
        assert!(place == self.current as u64 * self.region_bytes + self.at, "a block at {place} follows no other");
        assert!(self.at + len <= self.region_bytes, "a block ends with its region at the latest");
        let region = &mut self.regions[self.current];
        if self.at == 0 {
            region.first = sequence;
        }
        region.last = sequence;
        self.at += len;
        for stretch in &stretches {
            let upto = region.pins.entry((stretch.id, stretch.base)).or_default();
            *upto = stretch.upto.max(*upto);
        }
        self.next_sequence += 1;
        self.flights.push_back(Flight { sequence, needed, done: false, stretches, voids });
    }

    /// The write of block `sequence` completed. What is durable now is what it and all before it hold: a replay ends at the
    /// first block that is missing.
    pub(in crate::log) fn completed(&mut self, sequence: u64) -> Landed {
        let flight = self.flights.iter_mut().find(|flight| flight.sequence == sequence);
        let Some(flight) = flight else { panic!("block {sequence} of the journal was not in flight") };
        flight.done = true;
        if marks::planted!("engine: take a block of the journal for durable before those in front of it") {
            let stretches = std::mem::take(&mut flight.stretches);
            let voids = std::mem::take(&mut flight.voids);
            return Landed { stretches, voids };
        }
        let mut landed = Landed::default();
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.done) {
            self.durable_below = flight.sequence + 1;
            self.durable_needed = self.durable_needed.max(flight.needed);
            landed.stretches.extend(flight.stretches);
            landed.voids.extend(flight.voids);
        }
        landed
    }

    /// The journal failed: what was under way counts as never written. Returns it.
    pub(in crate::log) fn abandon(&mut self) -> Landed {
        let mut lost = Landed::default();
        for flight in self.flights.drain(..) {
            lost.stretches.extend(flight.stretches);
            lost.voids.extend(flight.voids);
        }
        lost
    }

    /// The segment `base` of a log is flushed up to `synced`.
    pub(in crate::log) fn release(&mut self, id: LogId, base: i64, synced: u64) {
        for region in &mut self.regions {
            if region.pins.get(&(id, base)).is_some_and(|upto| *upto <= synced) {
                region.pins.remove(&(id, base));
            }
        }
    }

    /// Nothing of a log matters any more.
    pub(in crate::log) fn release_log(&mut self, id: LogId) {
        for region in &mut self.regions {
            region.pins.retain(|&(of, _), _| of != id);
        }
    }

    /// True while a log has something here that its segments may not have.
    pub(in crate::log) fn pins(&self, id: LogId) -> bool {
        let of = (id, i64::MIN)..=(id, i64::MAX);
        self.regions.iter().any(|region| region.pins.range(of.clone()).next().is_some())
    }

    pub(in crate::log) fn is_unpinned(&self) -> bool {
        self.regions.iter().all(|region| region.pins.is_empty())
    }

    /// Logs whose segments should be filled and flushed so that the ring goes on turning: those of the oldest regions, once
    /// less than half of the file is free.
    pub(in crate::log) fn pressing(&self) -> impl Iterator<Item = (LogId, i64)> {
        let others = (1..JOURNAL_REGIONS).map(|ahead| &self.regions[(self.current + ahead) % JOURNAL_REGIONS]);
        let near = others.take(JOURNAL_REGIONS / 2);
        near.flat_map(|region| region.pins.keys().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u64 = 10 * BLOCK_BYTES;

    /// A block of `LEN` fills a region but for the marker.
    fn ring() -> Ring {
        Ring::new((LEN + BLOCK_BYTES) * JOURNAL_REGIONS as u64)
    }

    fn stretch(id: u32, upto: u64) -> Stretch {
        Stretch { id: LogId(id), base: 0, upto }
    }

    fn begin(ring: &mut Ring, len: u64, id: u32, upto: u64) -> Room {
        let room = ring.room(len);
        match room {
            Room::At(at, _) => ring.begin(at, len, vec![stretch(id, upto)], Vec::new()),
            Room::Marker(at) => ring.begin(at, BLOCK_BYTES, Vec::new(), Vec::new()),
            Room::Full => {}
        }
        room
    }

    #[test]
    fn blocks_follow_each_other_and_straddle_no_region() {
        let mut ring = ring();
        let region = LEN + BLOCK_BYTES;
        for (blocks, at) in [(6, 0), (4, 6 * BLOCK_BYTES), (6, region), (6, 2 * region)] {
            assert!(
                matches!(begin(&mut ring, blocks * BLOCK_BYTES, 1, 1), Room::At(to, _) if to == at),
                "{blocks} at {at}"
            );
        }
    }

    #[test]
    fn a_region_is_written_again_only_when_a_durable_block_says_that_nobody_needs_it() {
        let (mut ring, region) = (ring(), LEN + BLOCK_BYTES);
        for n in 0..JOURNAL_REGIONS as u64 {
            assert_eq!(begin(&mut ring, LEN, 1 + n as u32 % 2, n + 1), Room::At(n * region, LEN));
            ring.completed(n + 1);
        }
        assert_eq!(ring.room(1), Room::Full);
        ring.release(LogId(1), 0, 0);
        assert_eq!(ring.room(1), Room::Full, "flushed, but not so far");
        ring.release(LogId(1), 0, 1);
        assert_eq!(ring.needed(), 2, "the second region's block is the oldest now");
        let end = JOURNAL_REGIONS as u64 * region - BLOCK_BYTES;
        assert_eq!(begin(&mut ring, LEN, 9, 1), Room::Marker(end), "nothing durable says so yet");
        assert_eq!(ring.room(LEN), Room::Full, "one marker is enough");
        ring.completed(JOURNAL_REGIONS as u64 + 1);
        assert_eq!(begin(&mut ring, LEN, 9, 1), Room::At(0, LEN));
    }

    #[test]
    fn what_is_durable_has_no_gap() {
        let mut ring = ring();
        for n in 1..=3 {
            begin(&mut ring, BLOCK_BYTES, n, 1);
        }
        assert_eq!(ring.completed(2), Landed::default());
        assert_eq!(ring.durable(), 0);
        let landed = ring.completed(1);
        assert_eq!(landed.stretches, [stretch(1, 1), stretch(2, 1)]);
        assert_eq!((ring.durable(), ring.flights()), (2, 1));
        assert_eq!(ring.abandon().stretches, [stretch(3, 1)]);
        assert_eq!((ring.durable(), ring.flights()), (2, 0));
    }

    #[test]
    fn the_oldest_regions_press_before_the_ring_is_full() {
        let mut ring = ring();
        for n in 0..JOURNAL_REGIONS as u64 / 2 {
            assert_eq!(ring.pressing().count(), 0, "{n} regions are begun");
            begin(&mut ring, LEN, n as u32, 1);
        }
        begin(&mut ring, LEN, 99, 1);
        assert_eq!(ring.pressing().next(), Some((LogId(0), 0)));
        assert!(ring.pins(LogId(0)) && !ring.pins(LogId(77)));
        ring.release_log(LogId(0));
        assert_eq!(ring.pressing().next(), None);
    }
}

//! Ring and reader against each other: whatever was durable and is not in its segment yet is found in the file after a
//! crash at any moment, and a crash is never taken for damage.

use super::block::{Block, Place};
use super::read::read_journal;
use super::ring::{Ring, Room, Stretch};
use crate::io::sim::Rng;
use crate::log::config::LogId;
use crate::log::limits::{BLOCK_BYTES, JOURNAL_REGIONS};
use crate::mem::Slice;
use std::collections::BTreeMap;

const BYTES: u64 = JOURNAL_REGIONS as u64 * 4 * BLOCK_BYTES;

struct Walk {
    rng: Rng,
    ring: Ring,
    file: Vec<u8>,
    /// Blocks under way: sequence, position, bytes.
    flights: Vec<(u64, u64, Slice)>,
    /// Bytes of each log that were given to the journal, are durable there, and are flushed in the segment.
    logs: [(u64, u64, u64); 3],
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let (ring, file) = (Ring::new(BYTES), vec![0; BYTES as usize]);
        Walk { rng: Rng::new(seed), ring, file, flights: Vec::new(), logs: [(0, 0, 0); 3] }
    }

    fn step(&mut self) {
        match self.rng.below(4) {
            0 | 1 => self.begin(),
            2 if !self.flights.is_empty() => self.land(),
            _ => self.flush(),
        }
    }

    fn begin(&mut self) {
        if self.flights.len() == 3 {
            return;
        }
        let mut records = Vec::new();
        let mut stretches = Vec::new();
        for (n, log) in self.logs.iter_mut().enumerate() {
            let len = self.rng.below(3000);
            if self.rng.coin() && len > 0 {
                let place = Place { uid: [n as u8; 16], partition: 0, base: 0, position: log.0 };
                records.push((place, vec![Slice::from(vec![n as u8; len as usize])]));
                log.0 += len;
                stretches.push(Stretch { id: LogId(n as u32), base: 0, upto: log.0 });
            }
        }
        let payload: usize = records.iter().map(|(_, slices)| super::PLACE_LEN + slices[0].len()).sum();
        let len = Block::len_with(payload);
        let at = match self.ring.room(len) {
            Room::At(at, most) => {
                assert!(len <= most);
                at
            }
            Room::Marker(at) => {
                self.undo(&stretches, &records);
                (records, stretches) = (Vec::new(), Vec::new());
                at
            }
            Room::Full => return self.undo(&stretches, &records),
        };
        let sequence = self.ring.next_sequence();
        let block = Block { sequence, nonce: 77, needed: self.ring.needed(), durable: self.ring.durable() };
        let bytes = block.seal(&records);
        self.ring.begin(at, bytes.len() as u64, stretches, Vec::new());
        self.flights.push((sequence, at, bytes));
    }

    fn undo(&mut self, stretches: &[Stretch], records: &[(Place, Vec<Slice>)]) {
        for (stretch, (place, _)) in stretches.iter().zip(records) {
            self.logs[stretch.id.0 as usize].0 = place.position;
        }
    }

    fn land(&mut self) {
        let n = self.rng.below(self.flights.len() as u64) as usize;
        let (sequence, at, bytes) = self.flights.remove(n);
        self.file[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
        for stretch in self.ring.completed(sequence).stretches {
            self.logs[stretch.id.0 as usize].1 = stretch.upto;
        }
    }

    fn flush(&mut self) {
        let n = self.rng.below(3) as usize;
        self.logs[n].2 = self.logs[n].1;
        self.ring.release(LogId(n as u32), 0, self.logs[n].2);
    }

    /// What a power cut leaves: of what was under way each sector is there or not.
    fn check(&mut self) {
        let mut left = self.file.clone();
        for (_, at, bytes) in &self.flights {
            let keep = self.rng.below(3);
            for (n, sector) in bytes.chunks(512).enumerate() {
                if keep == 1 || (keep == 2 && self.rng.coin()) {
                    let at = *at as usize + n * 512;
                    left[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
        let live = read_journal(&left).unwrap_or_else(|damage| panic!("{damage:?} after a crash"));
        let mut found: BTreeMap<u8, u64> = BTreeMap::new();
        for record in live {
            let upto = record.place.position + record.bytes.len() as u64;
            let known = found.entry(record.place.uid[0]).or_default();
            *known = upto.max(*known);
        }
        for (n, &(_, durable, flushed)) in self.logs.iter().enumerate() {
            let found = found.get(&(n as u8)).copied().unwrap_or(0);
            assert!(
                found.max(flushed) >= durable,
                "log {n}: durable {durable}, flushed {flushed}, in the journal {found}"
            );
        }
    }
}

#[test]
fn what_is_durable_is_found_after_a_crash_at_any_moment() {
    for seed in 0..60 {
        let mut walk = Walk::new(seed);
        for _ in 0..400 {
            walk.step();
            walk.check();
        }
    }
}

//! The newest offset of each key, in a fixed amount of memory: 128 bits of hash instead of the key. Two keys with one hash
//! would be taken for one; with a random seed that happens to one pass over 10^9 keys in 10^20.

use crate::shard::Io;
use std::ops::Range;
use twox_hash::XxHash3_128;

/// Bytes of one slot: hash, and the offset plus one, so that zeros are an empty slot.
const SLOT_BYTES: usize = 24;
/// Slots in use at most, of four.
const LOAD_OF_FOUR: usize = 3;
/// Slots that are made and given back together, 768 KiB: all at once would be milliseconds for whoever waits.
const CHUNK_SLOTS: usize = 1 << 15;
/// However small the budget, so many keys fit.
const KEYS_MIN: usize = 64;
/// A bit for every offset may take so small a part of what the keys take.
const LIVE_PART: usize = 4;

/// A hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct KeyHash(u64, u64);

pub(in crate::log) struct Keys {
    seed: u64,
    slots: usize,
    /// Empty until one of its slots is used.
    chunks: Vec<Vec<[u64; 3]>>,
    used: usize,
}

impl Keys {
    /// Room for `keys` keys, as far as `budget_bytes` allow.
    pub(in crate::log) fn new(seed: u64, keys: u64, budget_bytes: usize) -> Keys {
        let affordable = budget_bytes / SLOT_BYTES;
        let wanted = usize::try_from(keys).unwrap_or(usize::MAX).saturating_mul(4) / LOAD_OF_FOUR + 1;
        let slots = wanted.min(affordable).max(KEYS_MIN * 4 / LOAD_OF_FOUR + 1);
        Keys { seed, slots, chunks: vec![Vec::new(); slots.div_ceil(CHUNK_SLOTS)], used: 0 }
    }

    pub(in crate::log) fn hash(&self, key: &[u8]) -> KeyHash {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, key);
        KeyHash((hash >> 64) as u64, hash as u64)
    }

    /// Brings what is known of these keys near, all at once: one after the other, each would be waited for.
    pub(in crate::log) fn touch(&self, keys: impl Iterator<Item = KeyHash>) {
        // Independent loads, which a processor has in flight together; the sum keeps them from being left out.
        let sum = keys.fold(0_u64, |sum, key| sum.wrapping_add(self.slot(self.home(key))[2]));
        std::hint::black_box(sum);
    }

    /// Notes that the newest record with this key is at `offset`; false when there is no room for one more key.
    pub(in crate::log) fn note(&mut self, key: KeyHash, offset: i64) -> bool {
        let at = self.place(key);
        if self.slot(at)[2] == 0 {
            if self.used * 4 >= self.slots * LOAD_OF_FOUR {
                return false;
            }
            self.used += 1;
        }
        let first = at - at % CHUNK_SLOTS;
        let chunk = &mut self.chunks[at / CHUNK_SLOTS];
        if chunk.is_empty() {
            *chunk = vec![[0; 3]; CHUNK_SLOTS.min(self.slots - first)];
        }
        chunk[at - first] = [key.0, key.1, offset as u64 + 1];
        true
    }

    /// Offset of the newest record with this key.
    pub(in crate::log) fn newest(&self, key: KeyHash) -> Option<i64> {
        let [_, _, offset] = self.slot(self.place(key));
        (offset as i64).checked_sub(1).filter(|offset| *offset >= 0)
    }

    /// Number of keys.
    pub(in crate::log) fn len(&self) -> usize {
        self.used
    }

    /// Gives the memory back, a piece a turn.
    pub(in crate::log) async fn give_back(&mut self, io: &Io) {
        for chunk in std::mem::take(&mut self.chunks) {
            drop(chunk);
            io.yield_now().await;
        }
    }

    /// The offsets that the keys have, all of which lie in `from..upto`; none where a bit for each of these would be too much
    /// beside the keys. A chunk a turn.
    pub(in crate::log) async fn live(&self, io: &Io, from: i64, upto: i64) -> Option<Live> {
        let span = usize::try_from(upto - from).ok()?;
        if span / 8 > self.slots * SLOT_BYTES / LIVE_PART {
            return None;
        }
        let mut live = Live { from, upto, bits: vec![0; span.div_ceil(64)] };
        for chunk in &self.chunks {
            chunk.iter().filter(|slot| slot[2] != 0).for_each(|slot| live.set(slot[2] as i64 - 1));
            io.yield_now().await;
        }
        Some(live)
    }

    /// Where the search for a key begins.
    fn home(&self, key: KeyHash) -> usize {
        ((u128::from(key.0) * self.slots as u128) >> 64) as usize
    }

    fn slot(&self, at: usize) -> [u64; 3] {
        self.chunks[at / CHUNK_SLOTS].get(at % CHUNK_SLOTS).copied().unwrap_or_default()
    }

    /// The slot that holds the key or would: the search ends because a quarter of the slots is empty.
    fn place(&self, key: KeyHash) -> usize {
        let mut at = self.home(key);
        while let slot = self.slot(at)
            && slot[2] != 0
            && slot[..2] != [key.0, key.1]
        {
            at += 1;
            if at == self.slots {
                at = 0;
            }
        }
        at
    }
}

/// One bit an offset: whether the newest record of a key is there. For what the keys were learned from this says the same as
/// [`Keys::newest`], without a key.
#[derive(Clone, Debug)]
pub(in crate::log) struct Live {
    from: i64,
    upto: i64,
    bits: Vec<u64>,
}

impl Live {
    /// What it says something about.
    pub(in crate::log) fn range(&self) -> Range<i64> {
        self.from..self.upto
    }

    fn covers(&self, offset: i64) -> bool {
        self.range().contains(&offset)
    }

    pub(in crate::log) fn has(&self, offset: i64) -> bool {
        let at = (offset - self.from) as usize;
        self.covers(offset) && self.bits[at / 64] >> (at % 64) & 1 == 1
    }

    /// Whether nothing of `first..=last` is.
    pub(in crate::log) fn has_none(&self, first: i64, last: i64) -> bool {
        self.covers(first) && self.covers(last) && !(first..=last).any(|offset| self.has(offset))
    }

    fn set(&mut self, offset: i64) {
        if self.covers(offset) {
            let at = (offset - self.from) as usize;
            self.bits[at / 64] |= 1 << (at % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn it_is_a_map_until_it_is_full() {
        let mut keys = Keys::new(7, 1 << 20, 30_000);
        let mut oracle = HashMap::new();
        let mut state = 1_u64;
        for offset in 0..50_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = ((state >> 33) % 1300).to_be_bytes();
            let hash = keys.hash(&key);
            assert_eq!(keys.newest(hash), oracle.get(&key).copied());
            let is_known = oracle.contains_key(&key);
            let noted = keys.note(hash, offset);
            assert!(noted || !is_known, "a known key always has room");
            if noted {
                oracle.insert(key, offset);
            }
        }
        assert_eq!(keys.len(), oracle.len());
        assert_eq!(keys.len(), 30_000 / SLOT_BYTES * LOAD_OF_FOUR / 4 + 1, "three quarters of the slots");
    }

    #[test]
    fn what_is_live_is_what_is_newest() {
        let world = crate::io::sim::SimWorld::new(1);
        let io = Io::new(Box::new(world.driver()));
        let mut keys = Keys::new(7, 5_000, 1 << 20);
        let mut newest = HashMap::new();
        for offset in 1_000..6_000_i64 {
            let key = (offset.wrapping_mul(2_654_435_761) % 997).to_be_bytes();
            assert!(keys.note(keys.hash(&key), offset));
            newest.insert(key, offset);
        }
        let asked = io.clone();
        let live = io.block_on(async move { keys.live(&asked, 1_000, 6_000).await }, drop).unwrap();
        let live_offsets: std::collections::BTreeSet<i64> = newest.into_values().collect();
        for offset in 0..7_000 {
            assert_eq!(live.has(offset), live_offsets.contains(&offset), "{offset}");
        }
        let first = *live_offsets.first().unwrap();
        assert!(live.has_none(1_000, first - 1) && !live.has_none(1_000, first) && !live.has_none(999, 1_000));
    }

    #[test]
    fn few_keys_of_many_offsets_have_no_bits() {
        let world = crate::io::sim::SimWorld::new(1);
        let io = Io::new(Box::new(world.driver()));
        let asked = io.clone();
        let keys = Keys::new(7, 1 << 40, 24 << 10);
        assert!(io.block_on(async move { keys.live(&asked, 0, 1 << 40).await }, drop).is_none());
    }

    #[test]
    fn memory_follows_the_keys_and_ends_with_the_budget() {
        assert!(Keys::new(0, 1000, 1 << 30).slots < 1500);
        assert_eq!(Keys::new(0, u64::MAX, 24 << 10).slots, 1024);
        let mut large = Keys::new(0, 1 << 20, 1 << 30);
        assert!(large.chunks.iter().all(Vec::is_empty), "nothing is held before it is used");
        assert!((0..1 << 20).all(|key: u64| large.note(large.hash(&key.to_be_bytes()), key as i64)));
        assert!((0..1 << 20).all(|key: u64| large.newest(large.hash(&key.to_be_bytes())) == Some(key as i64)));
        let mut none = Keys::new(0, 0, 0);
        assert!((0..KEYS_MIN as u64).all(|key| none.note(KeyHash(key, key), 1)));
    }

    #[test]
    fn the_seed_decides() {
        let (a, b) = (Keys::new(1, 1, 1000), Keys::new(2, 1, 1000));
        assert_ne!(a.hash(b"key"), b.hash(b"key"));
        assert_eq!(a.hash(b"key"), a.hash(b"key"));
    }
}

//! What must be true of a compacted partition: of each key the newest record is there, where it was; what is deleted does not
//! come back. A record's key and whether it deletes follow from who sent it, which a header of the record says.

use super::truth::{BatchKey, is_record_value, record_key};
use super::violation::{Place, Violation};
use protocol::batch::{BatchView, Limits};
use std::collections::BTreeMap;

/// Keys of all compacted topics: few, so that most records are soon old.
const KEYS: u32 = 11;

/// Application key and whether the record is a tombstone, by the record's identity.
pub(crate) fn keyed(id: &[u8; 16]) -> (u8, bool) {
    let hash = id.iter().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    ((hash % KEYS) as u8, (hash >> 16).is_multiple_of(5))
}

/// A record that was read: offset and key.
pub(crate) type Seen = (i64, u8);

/// What is known of the keys of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// Offset of the newest record of each key, and whether it is a tombstone.
    newest: BTreeMap<u8, (i64, bool)>,
    /// Records that were missing although nothing newer with their key is known; the highest offset of each key.
    owed: BTreeMap<u8, i64>,
    /// Tombstones that were seen to be gone by right: key and offset, in the order in which that was learned.
    buried: Vec<(u8, i64)>,
}

impl Keys {
    /// A batch is known to be stored at `base`.
    pub(crate) fn placed(&mut self, batch: BatchKey, base: i64, count: u32) {
        for index in 0..count {
            let (key, is_tombstone) = keyed(&record_key(batch, index, count));
            let offset = base + i64::from(index);
            let newest = self.newest.entry(key).or_insert((offset, is_tombstone));
            if newest.0 <= offset {
                *newest = (offset, is_tombstone);
            }
            self.owed.retain(|of, owed| *of != key || *owed >= offset);
        }
    }

    /// Only these batches are left after a loss that was allowed.
    pub(crate) fn settle(&mut self, left: impl Iterator<Item = (i64, u32, BatchKey)>) {
        self.newest.clear();
        self.owed.clear();
        left.for_each(|(base, count, batch)| self.placed(batch, base, count));
    }

    pub(crate) fn buried_count(&self) -> usize {
        self.buried.len()
    }

    /// A read from `from` gave `records`, where the batches `known` were stored. It was asked for when `buried` tombstones were
    /// known to be gone.
    pub(crate) fn read(
        &mut self,
        at: &Place,
        from: i64,
        known: &[(i64, u32, BatchKey)],
        records: &[Seen],
        tombstones_stay: bool,
        buried: usize,
    ) -> Result<(), Violation> {
        for &(offset, key) in records {
            let deleted = self.buried.iter().take(buried).find(|(of, deleted)| *of == key && *deleted > offset);
            if let Some(&(_, deleted)) = deleted {
                return Err(Violation::ValueBack { at: at.clone(), key, deleted, offset });
            }
        }
        for &(base, count, batch) in known {
            for index in 0..count {
                let offset = base + i64::from(index);
                if offset >= from && records.binary_search_by_key(&offset, |(offset, _)| *offset).is_err() {
                    self.missing(keyed(&record_key(batch, index, count)), offset, tombstones_stay);
                }
            }
        }
        Ok(())
    }

    fn missing(&mut self, (key, is_tombstone): (u8, bool), offset: i64, tombstones_stay: bool) {
        if self.newest.get(&key).is_some_and(|(newest, _)| *newest > offset) {
            marks::reached!("sim: a record was compacted away");
            return;
        }
        if is_tombstone && !tombstones_stay {
            marks::reached!("sim: a tombstone was compacted away");
            if !self.buried.contains(&(key, offset)) {
                self.buried.push((key, offset));
            }
            return;
        }
        let owed = self.owed.entry(key).or_insert(offset);
        *owed = offset.max(*owed);
    }

    /// Keys whose newest record is missing, and where that was.
    pub(crate) fn debts(&self) -> impl Iterator<Item = (u8, i64)> {
        self.owed.iter().map(|(key, offset)| (*key, *offset))
    }
}

/// A batch and how many records it had.
type Whose = Option<(BatchKey, u32)>;

/// The records of a batch and whose it is, once everything that is left of it is right; nobody's without records.
pub(crate) fn contents(view: &BatchView<'_>) -> Result<(Vec<Seen>, Whose), String> {
    view.check_crc().map_err(|error| error.to_string())?;
    let records = view.records(&Limits::default()).map_err(|error| error.to_string())?;
    let (mut batch, mut seen) = (None, Vec::new());
    for record in records.iter() {
        let record = record.map_err(|error| error.to_string())?;
        let header = record.headers().next().filter(|header| header.key == b"id");
        let id = header.and_then(|header| header.value?.try_into().ok()).ok_or("a record without its identity")?;
        let (of, index, count) = identity(&id);
        let (key, is_tombstone) = keyed(&id);
        let is_right = record.key == Some(&[key])
            && record.value.is_none() == is_tombstone
            && record.value.is_none_or(|value| is_record_value(&id, value))
            && record.offset == view.base_offset() + i64::from(index)
            && batch.is_none_or(|known| known == (of, count));
        if !is_right {
            return Err(format!("the record at {} is not what {of} has as number {index}", record.offset));
        }
        batch = Some((of, count));
        seen.push((record.offset, key));
    }
    Ok((seen, batch))
}

fn identity(id: &[u8; 16]) -> (BatchKey, u32, u32) {
    let word = |at: usize| u32::from_be_bytes([id[at], id[at + 1], id[at + 2], id[at + 3]]);
    (BatchKey { producer: word(0), serial: word(4) }, word(8), word(12))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One batch of four records a step, by its base; the keys follow from the serial.
    fn batch(serial: u32) -> BatchKey {
        BatchKey { producer: 1, serial }
    }

    fn key_of(serial: u32) -> (u8, bool) {
        keyed(&record_key(batch(serial), 0, 1))
    }

    /// Two serials with the same key, the first no tombstone and the second as wanted.
    fn pair(is_tombstone: bool) -> (u32, u32) {
        let all = || (0..500_u32).flat_map(|a| (a + 1..500).map(move |b| (a, b)));
        let fits = |(a, b): &(u32, u32)| key_of(*a).0 == key_of(*b).0 && !key_of(*a).1 && key_of(*b).1 == is_tombstone;
        all().find(fits).unwrap()
    }

    fn place() -> Place {
        Place("t".to_owned(), 0)
    }

    #[test]
    fn an_old_record_may_go_and_the_newest_may_not() {
        let (old, new) = pair(false);
        let mut keys = Keys::default();
        keys.placed(batch(old), 10, 1);
        keys.placed(batch(new), 20, 1);
        let known = [(10, 1, batch(old)), (20, 1, batch(new))];
        keys.read(&place(), 0, &known, &[(20, key_of(new).0)], true, 0).unwrap();
        assert_eq!(keys.debts().next(), None);
        keys.read(&place(), 0, &known, &[(10, key_of(old).0)], true, 0).unwrap();
        assert_eq!(keys.debts().next(), Some((key_of(new).0, 20)));
        keys.placed(batch(new), 30, 1);
        assert_eq!(keys.debts().next(), None, "a newer one came to light");
    }

    #[test]
    fn what_was_deleted_does_not_come_back() {
        let (old, new) = pair(true);
        let mut keys = Keys::default();
        keys.placed(batch(old), 10, 1);
        keys.placed(batch(new), 20, 1);
        let known = [(10, 1, batch(old)), (20, 1, batch(new))];
        keys.read(&place(), 0, &known, &[], true, 0).unwrap();
        assert_eq!(keys.debts().next(), Some((key_of(new).0, 20)), "tombstones stay here");
        let mut keys = Keys { owed: BTreeMap::new(), ..keys };
        keys.read(&place(), 0, &known, &[], false, 0).unwrap();
        assert_eq!((keys.debts().next(), keys.buried_count()), (None, 1));
        let seen = [(10, key_of(old).0)];
        keys.read(&place(), 0, &known[..1], &seen, false, 0).unwrap();
        let back = keys.read(&place(), 0, &known[..1], &seen, false, 1);
        assert!(matches!(back, Err(Violation::ValueBack { deleted: 20, offset: 10, .. })), "{back:?}");
    }
}

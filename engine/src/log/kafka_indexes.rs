//! How full the two index files would be that Kafka keeps beside a segment, by which a segment is rolled too
//! (`segment.index.bytes`). We keep neither: our own index is sized by what it holds, and Kafka makes its files anew when it
//! opens a folder. [`SegmentIndex`] says when an entry would be added.

use super::index::SegmentIndex;

/// Bytes of an entry of Kafka's `.index`: relative offset and position.
const OFFSET_ENTRY_BYTES: u64 = 8;

/// Bytes of an entry of Kafka's `.timeindex`: timestamp and relative offset.
const TIME_ENTRY_BYTES: u64 = 12;

/// Entries of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KafkaIndexes {
    offsets: u64,
    times: u64,
    /// Timestamp of the last entry, in milliseconds; times are added only if they rise.
    newest_ms: i64,
}

impl KafkaIndexes {
    /// Of a segment without batches.
    pub(super) const EMPTY: KafkaIndexes = KafkaIndexes { offsets: 0, times: 0, newest_ms: -1 };

    /// Of a segment that is there already. What our index tells of times is the largest before the next entry, so there may
    /// be a few entries more than while the segment grew.
    pub(super) fn of(index: &SegmentIndex) -> KafkaIndexes {
        let mut indexes = KafkaIndexes::EMPTY;
        // The first batch of a segment has an entry of ours and none of Kafka's.
        let later = index.entries.iter().skip(2).map(|entry| entry.max_timestamp_before);
        let last = (index.entries.len() > 1).then_some(index.max_timestamp);
        later.chain(last).for_each(|max_timestamp| indexes.add(max_timestamp));
        indexes
    }

    /// An entry is added; `max_timestamp` is the largest of the segment up to and with its batch.
    pub(super) fn add(&mut self, max_timestamp: i64) {
        self.offsets += 1;
        if max_timestamp > self.newest_ms {
            self.newest_ms = max_timestamp;
            self.times += 1;
        }
    }

    /// True when files of at most `bytes` would take no more: Kafka keeps the last entry of times for the roll.
    pub(super) fn are_full(&self, bytes: u32) -> bool {
        !self.have_room_for(1, bytes)
    }

    /// True when so many entries more would fit into files of at most `bytes`.
    pub(super) fn have_room_for(&self, entries: u64, bytes: u32) -> bool {
        let bytes = u64::from(bytes);
        self.offsets + entries <= bytes / OFFSET_ENTRY_BYTES && self.times + entries < bytes / TIME_ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::index::Indexed;
    use protocol::batch::layout::HEADER_LEN;

    fn check(timestamps: impl Iterator<Item = i64>, bytes: u32, full_after: u64) {
        let (mut index, mut indexes) = (SegmentIndex::new(0), KafkaIndexes::EMPTY);
        for (at, max_timestamp) in timestamps.enumerate() {
            let (header, offset) = (&[0; HEADER_LEN], at as i64);
            let batch = Indexed {
                header,
                base_offset: offset,
                last_offset: offset,
                leader_epoch: 0,
                max_timestamp,
                offset_of_max_timestamp: offset,
                len: 100,
            };
            if index.note(&batch, 99) {
                indexes.add(index.max_timestamp);
            }
            assert_eq!(KafkaIndexes::of(&index), indexes, "told from the index as it grew");
            if indexes.are_full(bytes) {
                return assert_eq!(index.batches, full_after);
            }
        }
        panic!("they never became full");
    }

    #[test]
    fn the_smaller_number_of_entries_counts() {
        // The first batch has no entry. Ten entries of times, one of them for the roll.
        check(1.., 120, 10);
        // Times that stand still take no entries, so the offsets fill up.
        check(std::iter::repeat(5), 120, 16);
        check(std::iter::repeat(-1), 120, 16);
        check(1.., 131, 10);
        check(1.., 24, 2);
    }

    #[test]
    fn files_without_room_for_an_entry_are_always_full() {
        for bytes in [4, 8, 12, 23] {
            assert!(KafkaIndexes::EMPTY.are_full(bytes), "{bytes}");
        }
        assert!(!KafkaIndexes::EMPTY.are_full(24));
    }
}

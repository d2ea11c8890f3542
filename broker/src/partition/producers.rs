//! What a partition remembers of its idempotent producers: the epoch, and the last five batches with their offsets.
//!
//! Here: telling a new batch from a repeated, an old and a misplaced one. Sequences count records and wrap from 2^31 - 1 to 0.
//! The bytes of a snapshot are in `snapshot`; transactions are not here.

use crate::limits::{PRODUCER_BATCHES_MAX, PRODUCERS_PER_PARTITION_MAX};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The producer fields of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// Producer id, 0 or more.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence of the first record.
    pub first: i32,
    /// Sequence of the last record.
    pub last: i32,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Sequence of the first record.
    pub first: i32,
    /// Sequence of the last record.
    pub last: i32,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Largest timestamp, milliseconds: the append time where the topic says so.
    pub timestamp: i64,
}

/// What a client may know of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Largest timestamp of its last batch, milliseconds.
    pub last_timestamp: i64,
}

/// Why a sequenced batch is not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// A newer incarnation of the producer wrote already (INVALID_PRODUCER_EPOCH).
    #[error("producer {producer_id} has epoch {current}, got {got}")]
    StaleEpoch {
        /// The producer.
        producer_id: i64,
        /// The partition's epoch for it.
        current: i16,
        /// The batch's.
        got: i16,
    },
    /// Records before this batch are missing (OUT_OF_ORDER_SEQUENCE_NUMBER).
    #[error("producer {producer_id}: expected sequence {expected}, got {got}")]
    OutOfOrder {
        /// The producer.
        producer_id: i64,
        /// The sequence that comes next.
        expected: i32,
        /// The batch's first.
        got: i32,
    },
    /// Appended so long ago that its offset is forgotten (DUPLICATE_SEQUENCE_NUMBER).
    #[error("producer {producer_id}: sequence {got} was appended before, its offset is no longer known")]
    Forgotten {
        /// The producer.
        producer_id: i64,
        /// The batch's first sequence.
        got: i32,
    },
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) epoch: i16,
    /// Wall clock of the last append, milliseconds.
    pub(super) seen_ms: i64,
    /// Oldest first, never empty.
    pub(super) batches: VecDeque<Remembered>,
}

/// All producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: BTreeMap<i64, Producer>,
    /// Who was silent longest: (`seen_ms`, producer id), one for every entry of `by_id`.
    by_age: BTreeSet<(i64, i64)>,
    /// Producers of which storage dropped everything that was remembered: when they were seen, their epoch, and the sequence
    /// of the first batch dropped. What comes behind it must not be taken before it.
    dropped: BTreeMap<i64, (i64, i16, i32)>,
}

/// The sequence after `last`.
fn next(last: i32) -> i32 {
    if last == i32::MAX { 0 } else { last + 1 }
}

/// How far `to` lies behind `from` on the ring of 2^31 sequences.
fn distance(from: i32, to: i32) -> i32 {
    to.wrapping_sub(from) & i32::MAX
}

impl Producers {
    /// Number of producers.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no producer is known.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Looks whether `batch` may be appended. `Some` is the earlier append of the very same batch.
    ///
    /// An unknown producer may start at any sequence: its state may have expired or been deleted with its records
    /// (`ProducerAppendInfo.checkSequence` of Kafka 4.3.1).
    pub fn check(&self, batch: &Sequenced) -> Result<Option<Remembered>, SequenceError> {
        let producer_id = batch.producer_id;
        let Some(known) = self.by_id.get(&producer_id) else { return self.check_dropped(batch).map(|()| None) };
        if batch.epoch < known.epoch {
            return Err(SequenceError::StaleEpoch { producer_id, current: known.epoch, got: batch.epoch });
        }
        if batch.epoch > known.epoch {
            return match batch.first {
                0 => Ok(None),
                got => Err(SequenceError::OutOfOrder { producer_id, expected: 0, got }),
            };
        }
        if marks::planted!("broker: store a repeated batch again") {
            return Ok(None);
        }
        if let Some(same) = known.batches.iter().find(|old| old.first == batch.first && old.last == batch.last) {
            return Ok(Some(*same));
        }
        known.check_next(batch).map(|()| None)
    }

    fn check_dropped(&self, batch: &Sequenced) -> Result<(), SequenceError> {
        let Sequenced { producer_id, epoch, first: got, .. } = *batch;
        match self.dropped.get(&producer_id) {
            Some(&(_, of, expected)) if of == epoch && (1..i32::MAX / 2).contains(&distance(expected, got)) => {
                Err(SequenceError::OutOfOrder { producer_id, expected, got })
            }
            _ => Ok(()),
        }
    }

    /// Remembers an appended batch.
    pub fn record(&mut self, batch: &Sequenced, base_offset: i64, timestamp: i64, now_ms: i64) {
        let remembered = Remembered {
            first: batch.first,
            last: batch.last,
            base_offset,
            last_offset: base_offset + i64::from(distance(batch.first, batch.last)),
            timestamp,
        };
        let mut batches = VecDeque::new();
        if let Some(old) = self.take(batch.producer_id)
            && old.epoch == batch.epoch
        {
            batches = old.batches;
        }
        if batches.len() == PRODUCER_BATCHES_MAX {
            batches.pop_front();
        }
        batches.push_back(remembered);
        self.put(batch.producer_id, Producer { epoch: batch.epoch, seen_ms: now_ms, batches });
    }

    /// Forgets the batches from offset `from` on: storage dropped them before they were acknowledged.
    pub fn forget_from(&mut self, from: i64) {
        for (id, producer) in &mut self.by_id {
            let oldest = producer.batches.front().map_or(0, |batch| batch.first);
            producer.batches.retain(|batch| batch.base_offset < from);
            if producer.batches.is_empty() && self.dropped.len() < PRODUCERS_PER_PARTITION_MAX {
                self.dropped.insert(*id, (producer.seen_ms, producer.epoch, oldest));
            }
        }
        self.by_age.retain(|(_, id)| self.by_id.get(id).is_some_and(|producer| !producer.batches.is_empty()));
        self.by_id.retain(|_, producer| !producer.batches.is_empty());
    }

    /// Forgets producers whose last append was `expiration_ms` ago or earlier.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        while let Some(&(seen_ms, id)) = self.by_age.first()
            && now_ms.saturating_sub(seen_ms) >= expiration_ms
        {
            self.take(id);
        }
        self.dropped.retain(|_, (seen_ms, ..)| now_ms.saturating_sub(*seen_ms) < expiration_ms);
    }

    /// Every producer, by id.
    pub fn active(&self) -> impl Iterator<Item = Active> + '_ {
        self.iter().map(|(producer_id, producer)| {
            let last = producer.batches.back();
            Active {
                producer_id,
                epoch: producer.epoch,
                last_sequence: last.map_or(-1, |batch| batch.last),
                last_timestamp: last.map_or(-1, |batch| batch.timestamp),
            }
        })
    }

    /// Last offset of each producer's last batch.
    pub(super) fn last_offsets(&self) -> impl Iterator<Item = i64> + '_ {
        self.by_id.values().filter_map(|producer| Some(producer.batches.back()?.last_offset))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    pub(super) fn put(&mut self, id: i64, producer: Producer) {
        self.take(id);
        while self.by_id.len() >= PRODUCERS_PER_PARTITION_MAX
            && let Some(&(_, oldest)) = self.by_age.first()
        {
            self.take(oldest);
        }
        self.dropped.remove(&id);
        self.by_age.insert((producer.seen_ms, id));
        self.by_id.insert(id, producer);
    }

    fn take(&mut self, id: i64) -> Option<Producer> {
        let producer = self.by_id.remove(&id)?;
        self.by_age.remove(&(producer.seen_ms, id));
        Some(producer)
    }
}

impl Producer {
    /// Whether `batch`, of this epoch and none of the remembered ones, comes next.
    fn check_next(&self, batch: &Sequenced) -> Result<(), SequenceError> {
        let producer_id = batch.producer_id;
        let (Some(oldest), Some(newest)) = (self.batches.front(), self.batches.back()) else { return Ok(()) };
        let expected = next(newest.last);
        if batch.first == expected {
            return Ok(());
        }
        // Behind the oldest remembered batch by less than half the ring: appended once, and forgotten since.
        let behind = distance(batch.last, oldest.first);
        if behind > 0 && behind < i32::MAX / 2 && self.batches.len() == PRODUCER_BATCHES_MAX {
            return Err(SequenceError::Forgotten { producer_id, got: batch.first });
        }
        Err(SequenceError::OutOfOrder { producer_id, expected, got: batch.first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(epoch: i16, first: i32, last: i32) -> Sequenced {
        Sequenced { producer_id: 7, epoch, first, last }
    }

    /// Appends batches of ten records; batch `i` has sequences and offsets `10 i ..= 10 i + 9`.
    fn after(batches: i32) -> Producers {
        let mut producers = Producers::default();
        for i in 0..batches {
            let batch = seq(0, 10 * i, 10 * i + 9);
            assert_eq!(producers.check(&batch), Ok(None));
            producers.record(&batch, i64::from(10 * i), 5, 1000);
        }
        producers
    }

    #[test]
    fn what_may_follow() {
        let producers = after(7);
        let offset_of = |batch| producers.check(&batch).map(|found| found.map(|batch| batch.base_offset));
        assert_eq!(offset_of(seq(0, 70, 79)), Ok(None));
        assert_eq!(offset_of(seq(0, 60, 69)), Ok(Some(60)));
        assert_eq!(offset_of(seq(0, 20, 29)), Ok(Some(20)));
        assert_eq!(offset_of(seq(0, 10, 19)), Err(SequenceError::Forgotten { producer_id: 7, got: 10 }));
        assert_eq!(offset_of(seq(0, 80, 89)), Err(SequenceError::OutOfOrder { producer_id: 7, expected: 70, got: 80 }));
        assert_eq!(offset_of(seq(0, 60, 64)), Err(SequenceError::OutOfOrder { producer_id: 7, expected: 70, got: 60 }));
        assert_eq!(offset_of(seq(1, 0, 3)), Ok(None));
        assert_eq!(offset_of(seq(1, 70, 71)), Err(SequenceError::OutOfOrder { producer_id: 7, expected: 0, got: 70 }));
        assert_eq!(offset_of(Sequenced { producer_id: 8, ..seq(3, 500, 501) }), Ok(None));
    }

    #[test]
    fn an_old_epoch_is_fenced() {
        let mut producers = after(1);
        producers.record(&seq(2, 0, 4), 10, 5, 1000);
        let stale = SequenceError::StaleEpoch { producer_id: 7, current: 2, got: 0 };
        assert_eq!(producers.check(&seq(0, 0, 9)), Err(stale));
        assert_eq!(producers.check(&seq(2, 0, 4)).unwrap().unwrap().base_offset, 10);
    }

    #[test]
    fn sequences_wrap() {
        let mut producers = Producers::default();
        producers.record(&seq(0, i32::MAX - 1, i32::MAX), 0, 5, 1000);
        assert_eq!(producers.check(&seq(0, 0, 0)), Ok(None));
        producers.record(&seq(0, 0, 0), 2, 5, 1000);
        let over = seq(0, i32::MAX - 1, 1);
        producers.record(&over, 100, 5, 1000);
        assert_eq!(producers.check(&over).unwrap().unwrap().last_offset, 103);
    }

    #[test]
    fn what_storage_dropped_is_forgotten() {
        let mut producers = after(4);
        producers.forget_from(20);
        assert_eq!(producers.check(&seq(0, 20, 29)), Ok(None));
        assert_eq!(producers.check(&seq(0, 10, 19)).unwrap().unwrap().base_offset, 10);
        producers.forget_from(0);
        assert!(producers.is_empty() && producers.by_age.is_empty());
    }

    #[test]
    fn what_follows_a_dropped_batch_is_not_taken_before_it() {
        let mut producers = after(3);
        producers.forget_from(0);
        assert!(matches!(
            producers.check(&seq(0, 10, 19)),
            Err(SequenceError::OutOfOrder { expected: 0, got: 10, .. })
        ));
        assert_eq!(producers.check(&seq(0, 0, 9)), Ok(None));
        assert_eq!(producers.check(&seq(1, 0, 9)), Ok(None), "a new epoch starts anew");
        producers.record(&seq(0, 0, 9), 0, 5, 1000);
        assert_eq!(producers.check(&seq(0, 10, 19)), Ok(None));
    }

    #[test]
    fn silence_expires() {
        let mut producers = after(1);
        producers.record(&Sequenced { producer_id: 9, ..seq(0, 0, 0) }, 10, 5, 2000);
        producers.expire(2500, 1500);
        assert_eq!(producers.iter().map(|(id, _)| id).collect::<Vec<_>>(), [9]);
        producers.expire(3500, 1500);
        assert!(producers.is_empty() && producers.by_age.is_empty());
    }
}

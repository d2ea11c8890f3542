//! Producer state as bytes, so that recovery reads the log from the last snapshot on instead of from its start.
//!
//! ```text
//! version u8 = 1 · count u32 · count × { producer id i64 · epoch i16 · last append ms i64 · n u8 ·
//!     n × { first sequence i32 · last sequence i32 · base offset i64 · timestamp i64 } }
//! ```
//! All integers are big-endian. Checksum and file belong to storage; bytes that do not fit this layout are refused, and the
//! state is then rebuilt from the whole log.

use super::producers::{Producer, Producers, Remembered};
use crate::limits::{PRODUCER_BATCHES_MAX, PRODUCERS_PER_PARTITION_MAX};
use std::collections::VecDeque;

const VERSION: u8 = 1;
const PRODUCER_BYTES: usize = 8 + 2 + 8 + 1;
const BATCH_BYTES: usize = 4 + 4 + 8 + 8;

/// Why bytes are no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by a version of this program that is not known here.
    #[error("producer snapshot version {got}, only {VERSION} is known")]
    Version {
        /// The first byte.
        got: u8,
    },
    /// The bytes end early or late, or a count is beyond its limit.
    #[error("producer snapshot of {len} bytes is malformed")]
    Malformed {
        /// Length of the bytes.
        len: usize,
    },
}

/// The bytes of `producers`.
pub fn encode(producers: &Producers) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + producers.len() * (PRODUCER_BYTES + BATCH_BYTES));
    out.push(VERSION);
    out.extend_from_slice(&(producers.len() as u32).to_be_bytes());
    for (id, producer) in producers.iter() {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&producer.epoch.to_be_bytes());
        out.extend_from_slice(&producer.seen_ms.to_be_bytes());
        out.push(producer.batches.len() as u8);
        for batch in &producer.batches {
            out.extend_from_slice(&batch.first.to_be_bytes());
            out.extend_from_slice(&batch.last.to_be_bytes());
            out.extend_from_slice(&batch.base_offset.to_be_bytes());
            out.extend_from_slice(&batch.timestamp.to_be_bytes());
        }
    }
    out
}

/// The producers that `bytes` hold.
pub fn decode(bytes: &[u8]) -> Result<Producers, SnapshotError> {
    let malformed = SnapshotError::Malformed { len: bytes.len() };
    let (version, mut rest) = bytes.split_first().ok_or(malformed)?;
    if *version != VERSION {
        return Err(SnapshotError::Version { got: *version });
    }
    let mut producers = Producers::default();
    let count = take(&mut rest).map(u32::from_be_bytes).ok_or(malformed)? as usize;
    if count > PRODUCERS_PER_PARTITION_MAX || count > rest.len() / PRODUCER_BYTES {
        return Err(malformed);
    }
    for _ in 0..count {
        let (id, producer) = decode_producer(&mut rest).ok_or(malformed)?;
        producers.put(id, producer);
    }
    if rest.is_empty() && producers.len() == count { Ok(producers) } else { Err(malformed) }
}

fn decode_producer(rest: &mut &[u8]) -> Option<(i64, Producer)> {
    let id = i64::from_be_bytes(take(rest)?);
    let epoch = i16::from_be_bytes(take(rest)?);
    let seen_ms = i64::from_be_bytes(take(rest)?);
    let [count] = take(rest)?;
    if count == 0 || usize::from(count) > PRODUCER_BATCHES_MAX {
        return None;
    }
    let batches = (0..count).map(|_| decode_batch(rest)).collect::<Option<VecDeque<_>>>()?;
    Some((id, Producer { epoch, seen_ms, batches }))
}

fn decode_batch(rest: &mut &[u8]) -> Option<Remembered> {
    let first = i32::from_be_bytes(take(rest)?);
    let last = i32::from_be_bytes(take(rest)?);
    let base_offset = i64::from_be_bytes(take(rest)?);
    let timestamp = i64::from_be_bytes(take(rest)?);
    let last_offset = base_offset.checked_add(i64::from(last.wrapping_sub(first) & i32::MAX))?;
    (first >= 0 && last >= 0 && base_offset >= 0).then_some(Remembered {
        first,
        last,
        base_offset,
        last_offset,
        timestamp,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::super::producers::Sequenced;
    use super::*;

    fn sample() -> Producers {
        let mut producers = Producers::default();
        for i in 0..20 {
            let batch =
                Sequenced { producer_id: i % 4, epoch: 3, first: 10 * (i / 4) as i32, last: 10 * (i / 4) as i32 + 9 };
            producers.record(&batch, 100 * i, 5, 1000 + i);
        }
        producers
    }

    #[test]
    fn round_trip() {
        assert_eq!(decode(&encode(&sample())), Ok(sample()));
        assert_eq!(decode(&encode(&Producers::default())), Ok(Producers::default()));
    }

    #[test]
    fn every_cut_and_an_extra_byte_are_refused() {
        let bytes = encode(&sample());
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), Err(SnapshotError::Malformed { len }));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(decode(&longer), Err(SnapshotError::Malformed { len: longer.len() }));
    }

    #[test]
    fn unknown_versions_and_huge_counts_are_refused() {
        assert_eq!(decode(&[2, 0, 0, 0, 0]), Err(SnapshotError::Version { got: 2 }));
        assert_eq!(decode(&[1, 0xff, 0xff, 0xff, 0xff]), Err(SnapshotError::Malformed { len: 5 }));
    }
}

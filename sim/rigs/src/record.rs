//! Values that say who they are: every byte follows from the producer, the partition, the sequence and the life, so that a
//! value read back proves itself, or proves that nobody sent it.
//!
//! ```text
//!  0          4        8          16
//!  ┌──────────┬────────┬──────────┬──────────────────────────────────────
//!  │ producer │ place  │ sequence │ random bytes that follow from these …
//!  │ u32      │ u32    │ u64      │ and the life's salt
//!  └──────────┴────────┴──────────┴──────────────────────────────────────
//! ```

use crate::random::Random;

const HEADER_LEN: usize = 16;
/// One in so many values is large: its batch is received straight into the log, which starts at 32 KiB.
const LARGE_ONE_IN: u64 = 48;
const LARGE_MIN: u64 = 36_000;
const LARGE_SPREAD: u64 = 100_000;
const SMALL_SPREAD: u64 = 400;

/// Who sent a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The producer's number within its life.
    pub producer: u32,
    /// The partition, as its place in [`places`](crate::places).
    pub place: u32,
    /// Counts this producer's records in this partition, from 0.
    pub sequence: u64,
}

/// The value that belongs to `identity` in the life of `salt`.
pub fn value(salt: u64, identity: Identity) -> Vec<u8> {
    let mut random = stream(salt, identity);
    let mut bytes = Vec::with_capacity(len(&mut random) + 8);
    let end = bytes.capacity() - 8;
    bytes.extend_from_slice(&identity.producer.to_be_bytes());
    bytes.extend_from_slice(&identity.place.to_be_bytes());
    bytes.extend_from_slice(&identity.sequence.to_be_bytes());
    while bytes.len() < end {
        bytes.extend_from_slice(&random.bits().to_be_bytes());
    }
    bytes.truncate(end);
    bytes
}

/// Who sent `bytes`; `None` when no producer of this life did.
pub fn identify(salt: u64, bytes: &[u8]) -> Option<Identity> {
    let producer = u32::from_be_bytes(*bytes.first_chunk()?);
    let place = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
    let sequence = u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let identity = Identity { producer, place, sequence };
    (value(salt, identity) == bytes).then_some(identity)
}

fn stream(salt: u64, Identity { producer, place, sequence }: Identity) -> Random {
    let mut random = Random::new(salt ^ (u64::from(producer) << 32) ^ u64::from(place));
    Random::new(random.bits() ^ sequence)
}

fn len(random: &mut Random) -> usize {
    let bytes = match random.below(LARGE_ONE_IN) {
        0 => LARGE_MIN + random.below(LARGE_SPREAD),
        _ => random.below(SMALL_SPREAD),
    };
    HEADER_LEN + bytes as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(sequence: u64) -> Identity {
        Identity { producer: 3, place: 5, sequence }
    }

    #[test]
    fn a_value_is_known_by_every_byte() {
        for sequence in 0..100 {
            let good = value(7, identity(sequence));
            assert_eq!(identify(7, &good), Some(identity(sequence)));
            assert_eq!(identify(8, &good).filter(|_| good.len() > HEADER_LEN), None, "of another life");
            for at in [0, 4, 8, 15, good.len() - 1] {
                let mut bad = good.clone();
                bad[at] ^= 1;
                assert_eq!(
                    identify(7, &bad).filter(|_| good.len() > HEADER_LEN + 8),
                    None,
                    "byte {at} of {}",
                    good.len()
                );
            }
            assert_eq!(identify(7, &good[..good.len() - 1]), None);
        }
    }

    #[test]
    fn some_values_are_received_in_their_place() {
        let large = (0..10_000).filter(|&n| value(1, identity(n)).len() > 32 << 10).count();
        assert!((100..400).contains(&large), "{large} of 10,000");
    }
}

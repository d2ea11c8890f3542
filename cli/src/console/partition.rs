//! Which partition a record goes to: by its key as every Kafka client does it, or, without a key, to one that sticks
//! until its batch is full.

/// The seed that Kafka's producers hash keys with.
const SEED: u32 = 0x9747_b28c;
/// The multiplier of murmur2 for 32 bits.
const M: u32 = 0x5bd1_e995;

/// murmur2 as Kafka's Java client computes it.
#[must_use]
pub(crate) fn murmur2(bytes: &[u8]) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "a key of 4 GiB is no key: a batch holds less")]
    let mut hash = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        rest.iter().enumerate().for_each(|(at, &byte)| hash ^= u32::from(byte) << (8 * at));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition, of so many, that records with this key go to.
#[must_use]
pub(crate) fn for_key(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// Chooses for records without a key: the same partition until [`Sticky::full`] says that a batch is done.
#[derive(Debug)]
pub(crate) struct Sticky {
    current: Option<u32>,
    random: u64,
}

impl Sticky {
    /// Begins somewhere that depends on `seed`.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        Self { current: None, random: seed | 1 }
    }

    /// Which of these partitions is next; those whose leader answers. `available` is not empty.
    pub(crate) fn choose(&mut self, available: &[u32]) -> u32 {
        if let Some(current) = self.current
            && available.contains(&current)
        {
            return current;
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let at = (self.random >> 11) as usize % available.len();
        self.current = Some(available[at]);
        available[at]
    }

    /// The batch of the current partition is complete; the next record may go elsewhere.
    pub(crate) fn full(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that Kafka's own murmur2 gives for these keys.
    #[test]
    fn hashes_are_kafkas() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
        assert_eq!(murmur2(b"abc").cast_signed(), 479_470_107);
    }

    #[test]
    fn a_record_without_key_stays_until_the_batch_is_full() {
        let mut sticky = Sticky::new(7);
        let available = [0, 1, 2, 3];
        let first = sticky.choose(&available);
        assert!((0..20).all(|_| sticky.choose(&available) == first));
        let mut seen: Vec<_> = (0..50)
            .map(|_| {
                sticky.full();
                sticky.choose(&available)
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, available);
        assert_eq!(sticky.choose(&[9]), 9);
    }
}

//! Deterministic random values for the fields of messages; those of whole messages are generated in `samples`.

use protocol::{Bytes, Records, Str, Uuid};

/// SplitMix64: small, seeded, good enough to fill fields.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> usize {
        (self.next() % end) as usize
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn vec<T: Sample>(&mut self, version: i16) -> Vec<T> {
        (0..self.below(4)).map(|_| T::sample(self, version)).collect()
    }

    fn bytes(&mut self, end: u64) -> Vec<u8> {
        (0..self.below(end)).map(|_| self.next() as u8).collect()
    }
}

/// A random value that survives encoding in `version`.
pub(crate) trait Sample {
    fn sample(rng: &mut Rng, version: i16) -> Self;
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Sample for $t {
            /// Small values and extremes as often as any others.
            fn sample(rng: &mut Rng, _: i16) -> Self {
                match rng.below(4) {
                    0 => <$t>::MIN,
                    1 => <$t>::MAX,
                    2 => rng.below(100) as $t,
                    _ => rng.next() as $t,
                }
            }
        }
    )*};
}

integers!(i8 i16 u16 i32 i64);

impl Sample for f64 {
    /// Never NaN, which equals nothing.
    fn sample(rng: &mut Rng, version: i16) -> Self {
        i32::sample(rng, version).into()
    }
}

impl Sample for bool {
    fn sample(rng: &mut Rng, _: i16) -> Self {
        rng.one_in(2)
    }
}

impl Sample for Uuid {
    fn sample(rng: &mut Rng, _: i16) -> Self {
        Self(std::array::from_fn(|_| rng.next() as u8))
    }
}

impl Sample for Str<'static> {
    /// Now and then long enough for a length of two bytes in the compact encoding.
    fn sample(rng: &mut Rng, _: i16) -> Self {
        let len = if rng.one_in(8) { 130 + rng.below(200) } else { rng.below(12) };
        Self::Owned((0..len).map(|_| ['a', 'Z', '-', 'é', '日'][rng.below(5)]).collect())
    }
}

impl Sample for Bytes<'static> {
    fn sample(rng: &mut Rng, _: i16) -> Self {
        Self::Owned(rng.bytes(40))
    }
}

impl Sample for Records<'static> {
    fn sample(rng: &mut Rng, _: i16) -> Self {
        const BYTES: &[u8] = b"not a batch, but this crate's messages never look inside";
        if rng.one_in(8) { Self::Null } else { Self::Bytes(&BYTES[..rng.below(BYTES.len() as u64)]) }
    }
}

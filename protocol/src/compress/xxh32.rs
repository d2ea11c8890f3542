//! XXH32 with seed zero, the checksum inside lz4 frames. Used by `lz4.rs` only; record batches have CRC-32C.

const PRIME_1: u32 = 0x9E37_79B1;
const PRIME_2: u32 = 0x85EB_CA77;
const PRIME_3: u32 = 0xC2B2_AE3D;
const PRIME_4: u32 = 0x27D4_EB2F;
const PRIME_5: u32 = 0x1656_67B1;
const STRIPE_LEN: usize = 16;

/// A running XXH32: four lanes fed with 16 bytes at a time, and the bytes that do not fill a stripe yet.
pub(super) struct Xxh32 {
    lanes: [u32; 4],
    pending: [u8; STRIPE_LEN],
    pending_len: usize,
    total_len: u64,
}

impl Xxh32 {
    pub(super) fn new() -> Self {
        let lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, 0_u32.wrapping_sub(PRIME_1)];
        Xxh32 { lanes, pending: [0; STRIPE_LEN], pending_len: 0, total_len: 0 }
    }

    pub(super) fn of(bytes: &[u8]) -> u32 {
        let mut hash = Xxh32::new();
        hash.update(bytes);
        hash.finish()
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.total_len += bytes.len() as u64;
        if self.pending_len > 0 {
            let count = bytes.len().min(STRIPE_LEN - self.pending_len);
            self.pending[self.pending_len..self.pending_len + count].copy_from_slice(&bytes[..count]);
            self.pending_len += count;
            bytes = &bytes[count..];
            if self.pending_len < STRIPE_LEN {
                return;
            }
            let stripe = self.pending;
            self.stripe(&stripe);
        }
        let (stripes, rest) = bytes.as_chunks::<STRIPE_LEN>();
        for stripe in stripes {
            self.stripe(stripe);
        }
        self.pending[..rest.len()].copy_from_slice(rest);
        self.pending_len = rest.len();
    }

    fn stripe(&mut self, stripe: &[u8; STRIPE_LEN]) {
        let (words, _) = stripe.as_chunks::<4>();
        for (lane, word) in self.lanes.iter_mut().zip(words) {
            let mixed = lane.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIME_2));
            *lane = mixed.rotate_left(13).wrapping_mul(PRIME_1);
        }
    }

    pub(super) fn finish(&self) -> u32 {
        let [a, b, c, d] = self.lanes;
        let mut hash = if self.total_len >= STRIPE_LEN as u64 {
            let halves = a.rotate_left(1).wrapping_add(b.rotate_left(7));
            halves.wrapping_add(c.rotate_left(12)).wrapping_add(d.rotate_left(18))
        } else {
            PRIME_5
        };
        hash = hash.wrapping_add(self.total_len as u32);
        let (words, bytes) = self.pending[..self.pending_len].as_chunks::<4>();
        for word in words {
            hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIME_3));
            hash = hash.rotate_left(17).wrapping_mul(PRIME_4);
        }
        for byte in bytes {
            hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIME_5));
            hash = hash.rotate_left(11).wrapping_mul(PRIME_1);
        }
        hash = (hash ^ (hash >> 15)).wrapping_mul(PRIME_2);
        hash = (hash ^ (hash >> 13)).wrapping_mul(PRIME_3);
        hash ^ (hash >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::Xxh32;

    #[test]
    fn published_vectors() {
        assert_eq!(Xxh32::of(b""), 0x02CC_5D05);
        assert_eq!(Xxh32::of(b"a"), 0x550D_7456);
        assert_eq!(Xxh32::of(b"abc"), 0x32D1_53FF);
        assert_eq!(Xxh32::of(b"Nobody inspects the spammish repetition"), 0xE229_3B2F);
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        let data: Vec<u8> = (0..200).collect();
        for split in 0..data.len() {
            let mut hash = Xxh32::new();
            hash.update(&data[..split]);
            hash.update(&data[split..]);
            assert_eq!(hash.finish(), Xxh32::of(&data), "split at {split}");
        }
    }
}

//! Damage to an input, reproducible from a seed.

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

const BYTES: [u8; 8] = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff];
const INTEGERS: [i32; 8] = [0, 1, -1, 2, 1 << 16, 1 << 24, i32::MAX, i32::MIN];
const VARINTS: [&[u8]; 4] =
    [&[0x80, 0x01], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &[0x80; 6]];
/// Inputs do not grow beyond this.
const LEN_MAX: usize = 256 * 1024;

/// One to sixteen mutations of `input`; `other` lends a piece of itself.
pub fn mutate(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1_usize << rng.below(5) {
        if input.is_empty() {
            input.push(rng.next() as u8);
        }
        // Formats keep their lengths in front: half of the damage goes there.
        let reach = if rng.below(2) == 0 { input.len().min(64) } else { input.len() };
        let at = rng.below(reach);
        match rng.below(9) {
            0 => input[at] ^= 1 << rng.below(8),
            1 => input[at] = rng.next() as u8,
            2 => input[at] = BYTES[rng.below(BYTES.len())],
            3 => overwrite(input, at, &INTEGERS[rng.below(INTEGERS.len())].to_be_bytes()),
            4 => overwrite(input, at, &INTEGERS[rng.below(INTEGERS.len())].to_le_bytes()),
            5 => overwrite(input, at, VARINTS[rng.below(VARINTS.len())]),
            6 => {
                let end = (at + 1 + rng.below(16)).min(input.len());
                input.drain(at..end);
            }
            7 if input.len() < LEN_MAX && !other.is_empty() => {
                let from = rng.below(other.len());
                let to = (from + 1 + rng.below(64)).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            _ if rng.below(4) == 0 => input.truncate(at),
            _ => input[at] = input[at].wrapping_add(1),
        }
    }
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in input[at..].iter_mut().zip(bytes) {
        *place = *byte;
    }
}

//! Damage to an input, reproducible from a seed: to any bytes, and to what looks like a format's own joints - lengths and
//! counts, versions, runs of tagged fields.

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound as u64) as usize
    }
}

const BYTES: [u8; 8] = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff];
const INTEGERS: [i32; 8] = [0, 1, -1, 2, 1 << 16, 1 << 24, i32::MAX, i32::MIN];
const VARINTS: [&[u8]; 4] =
    [&[0x80, 0x01], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &[0x80; 6]];
/// Sections of tagged fields (KIP-482): one unknown, two of the same number, one that claims more than there is, one
/// nested in another, a count without fields.
const TAGS: [&[u8]; 5] = [&[1, 9, 3, 1, 2, 3], &[2, 0, 1, 0, 0, 1, 0], &[1, 0, 0x7f], &[1, 5, 4, 1, 0, 1, 0], &[0x20]];
/// Inputs do not grow beyond this.
const LEN_MAX: usize = 256 * 1024;
/// A text that is longer than the classic encoding's 16-bit lengths can say.
const LONG_TEXT: usize = 33_000;

/// One to sixteen mutations of `input`; `other` lends a piece of itself.
pub fn mutate(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1_usize << rng.below(5) {
        if input.is_empty() {
            input.push(rng.next_u64() as u8);
        }
        match rng.below(3) {
            0 => joint(rng, input, other),
            _ => bytes(rng, input, other),
        }
    }
}

/// Any bytes.
fn bytes(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    // Formats keep their lengths in front: half of the damage goes there.
    let reach = if rng.below(2) == 0 { input.len().min(64) } else { input.len() };
    let at = rng.below(reach);
    match rng.below(9) {
        0 => input[at] ^= 1 << rng.below(8),
        1 => input[at] = rng.next_u64() as u8,
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

/// What looks like a joint of the format.
fn joint(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    match rng.below(6) {
        // The version of a request lies at 2, that of a message or record in front.
        0 => {
            let at = [1, 3][rng.below(2)].min(input.len() - 1);
            input[at] = input[at].wrapping_add([1, 0xff, 2, 0xfe][rng.below(4)]);
        }
        1 | 2 => {
            if let Some((at, width, len)) = find_length(rng, input) {
                damage_length(rng, input, at, width, len);
            }
        }
        // A byte of zero at the end of a struct is often the count of its tagged fields.
        3 if input.len() < LEN_MAX => {
            let from = rng.below(input.len());
            let at = input[from..].iter().position(|&byte| byte == 0).map_or(input.len() - 1, |at| from + at);
            input.splice(at..=at, TAGS[rng.below(TAGS.len())].iter().copied());
        }
        // The front of one and the end of another, as for a version of its own.
        4 if !other.is_empty() => {
            let at = rng.below(input.len());
            input.truncate(at);
            input.extend_from_slice(&other[at.min(other.len() - 1)..]);
            input.truncate(LEN_MAX);
        }
        // The same stretch twice: a list's item, or a whole record.
        _ if input.len() < LEN_MAX => {
            let from = rng.below(input.len());
            let to = (from + 1 + rng.below(128)).min(input.len());
            let copy = input[from..to].to_vec();
            input.splice(to..to, copy);
        }
        _ => {}
    }
}

/// A place whose bytes read as the length of no more than what follows: where it is, its bytes, and what it says. One byte
/// stands for a compact length, which is one more.
fn find_length(rng: &mut Rng, input: &[u8]) -> Option<(usize, usize, usize)> {
    for _ in 0..8 {
        let at = rng.below(input.len());
        let rest = &input[at..];
        let (width, len) = match (rng.below(3), rest) {
            (0, &[a, b, c, d, ..]) => (4, u32::from_be_bytes([a, b, c, d]) as usize),
            (1, &[a, b, ..]) => (2, usize::from(u16::from_be_bytes([a, b]))),
            (_, &[a, ..]) => (1, usize::from(a).saturating_sub(1)),
            _ => continue,
        };
        if len > 0 && len <= rest.len() - width {
            return Some((at, width, len));
        }
    }
    None
}

/// Makes a length wrong by little or much, or right for other contents.
fn damage_length(rng: &mut Rng, input: &mut Vec<u8>, at: usize, width: usize, len: usize) {
    let end = at + width + len;
    let left = input.len() - at - width;
    let wanted = match rng.below(8) {
        0 => len + 1,
        1 => len - 1,
        2 => left,
        3 => left + 1,
        4 => 0,
        // The contents go, or come twice, and the length says so.
        5 => {
            input.drain(at + width..end);
            0
        }
        6 if input.len() + len < LEN_MAX => {
            let copy = input[at + width..end].to_vec();
            input.splice(end..end, copy);
            2 * len
        }
        7 if width == 1 && rng.below(64) == 0 && input.len() + LONG_TEXT < LEN_MAX => {
            input.splice(end..end, vec![b'x'; LONG_TEXT - len]);
            let compact = LONG_TEXT + 1;
            let varint = [compact as u8 | 0x80, (compact >> 7) as u8 | 0x80, (compact >> 14) as u8];
            input.splice(at..=at, varint);
            return;
        }
        _ => i32::MAX as usize,
    };
    match width {
        4 => overwrite(input, at, &(wanted as u32).to_be_bytes()),
        2 => overwrite(input, at, &(wanted as u16).to_be_bytes()),
        _ => overwrite(input, at, &[(wanted + 1).min(0x7f) as u8]),
    }
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in input[at..].iter_mut().zip(bytes) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any input, however short, survives any damage, and stays below its bound.
    #[test]
    fn damage_has_bounds() {
        let mut rng = Rng(1);
        let mut input = Vec::new();
        for step in 0..200_000 {
            let other = [&b""[..], b"a", &[0; 300]][step % 3];
            mutate(&mut rng, &mut input, other);
            assert!(input.len() <= LEN_MAX + LONG_TEXT);
        }
    }

    /// Lengths of every width are found, and made to fit contents that came twice.
    #[test]
    fn lengths_are_found() {
        let mut rng = Rng(1);
        for (input, width) in [(&[0, 0, 0, 3, 7, 7, 7][..], 4), (&[0, 3, 7, 7, 7], 2), (&[4, 9, 9, 9], 1)] {
            let found =
                (0..1000).filter_map(|_| find_length(&mut rng, input)).find(|found| (found.0, found.1) == (0, width));
            assert_eq!(found, Some((0, width, 3)));
        }
    }
}

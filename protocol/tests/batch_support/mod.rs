//! What the batch and codec tests share: seeded randomness and plain data of several natures.
#![allow(dead_code, reason = "each test binary uses a part")]

/// SplitMix64: one seed reproduces a test.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Bytes that do not compress.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Bytes that compress as log lines do.
    pub(crate) fn text(&mut self, len: usize) -> Vec<u8> {
        const WORDS: [&[u8]; 6] = [b"offset ", b"partition ", b"leader ", b"0123 ", b"committed\n", b"epoch="];
        let mut text = Vec::with_capacity(len + 10);
        while text.len() < len {
            text.extend_from_slice(WORDS[self.below(WORDS.len())]);
        }
        text.truncate(len);
        text
    }
}

/// The bytes that a string of hexadecimal digits spells; blanks are for the reader.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| match (byte as char).to_digit(16) {
        Some(digit) => digit as u8,
        None => panic!("{byte:#x} is no hexadecimal digit"),
    };
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

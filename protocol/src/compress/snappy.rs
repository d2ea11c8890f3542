//! snappy as Kafka's clients send it: blocks in the xerial framing of snappy-java, or, from librdkafka's older releases and
//! some others, one raw block without any framing. We read both and write the former.
//!
//! ```text
//! xerial: 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 | lowest compatible version i32 | ( block length i32 | raw block )*
//! ```
//! All integers are big-endian. A header may stand again where a block length is expected: concatenated streams are one.

use std::io::{self, Read};

use super::{Codec, CompressError};

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Magic and two version numbers.
const HEADER_LEN: usize = 16;
const VERSION: i32 = 1;
/// snappy-java's default block.
pub(super) const BLOCK_BYTES: usize = 32 * 1024;
/// The densest element, a copy of 64 bytes, takes 3: no block expands beyond 64/3.
const EXPANSION_MAX: usize = 22;

pub(super) fn compress(input: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    input.chunks(BLOCK_BYTES).for_each(|chunk| writer.block(chunk));
    writer.out
}

/// Writes the framing, block by block.
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    encoder: snap::raw::Encoder,
    block: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Writer {
        let version = VERSION.to_be_bytes();
        let out = [&MAGIC[..], &version, &version].concat();
        Writer { out, encoder: snap::raw::Encoder::new(), block: Vec::new() }
    }

    /// Appends `chunk`, of at most [`BLOCK_BYTES`], as one block.
    pub(super) fn block(&mut self, chunk: &[u8]) {
        self.block.resize(snap::raw::max_compress_len(chunk.len()).max(self.block.len()), 0);
        let len = compress_block(&mut self.encoder, chunk, &mut self.block);
        self.out.extend_from_slice(&(len as u32).to_be_bytes());
        self.out.extend_from_slice(&self.block[..len]);
    }
}

#[expect(clippy::expect_used, reason = "the buffer was sized by max_compress_len for the largest chunk")]
fn compress_block(encoder: &mut snap::raw::Encoder, chunk: &[u8], block: &mut [u8]) -> usize {
    encoder.compress(chunk, block).expect("the buffer holds the worst case")
}

/// Decodes block by block; a block's declared size is believed only as far as its bytes and the cap justify.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    position: usize,
    end: usize,
    left_bytes: usize,
    cap_bytes: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8], cap_bytes: usize) -> Self {
        let framed = input.starts_with(&MAGIC);
        Reader { rest: input, framed, block: Vec::new(), position: 0, end: 0, left_bytes: cap_bytes, cap_bytes }
    }

    fn next_block(&mut self) -> Result<(), CompressError> {
        if !self.framed {
            return self.decode(self.rest.len());
        }
        while self.rest.starts_with(&MAGIC) {
            self.take(HEADER_LEN)?;
        }
        if self.rest.is_empty() {
            return Ok(());
        }
        let len = self.take(4)?.iter().fold(0_u32, |len, byte| len << 8 | u32::from(*byte));
        self.decode(len as usize)
    }

    fn decode(&mut self, compressed_len: usize) -> Result<(), CompressError> {
        let compressed = self.take(compressed_len)?;
        let declared = snap::raw::decompress_len(compressed).map_err(corrupt)?;
        if declared > compressed.len().saturating_mul(EXPANSION_MAX) {
            let reason = format!("{} bytes cannot hold the declared {declared}", compressed.len());
            return Err(CompressError::corrupt(Codec::Snappy, reason));
        }
        if declared > self.left_bytes {
            return Err(CompressError::TooLarge { cap_bytes: self.cap_bytes });
        }
        let held_max = super::held_bytes_max(compressed_len);
        if declared > held_max {
            return Err(CompressError::TooLarge { cap_bytes: held_max });
        }
        if self.block.len() < declared {
            self.block.resize(declared, 0);
        }
        self.end = snap::raw::Decoder::new().decompress(compressed, &mut self.block).map_err(corrupt)?;
        self.position = 0;
        self.left_bytes -= self.end;
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CompressError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CompressError::Truncated { codec: Codec::Snappy })?;
        self.rest = rest;
        Ok(taken)
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.position == self.end && !self.rest.is_empty() {
            self.next_block()?;
        }
        let mut ready = &self.block[self.position..self.end];
        let count = ready.read(out)?;
        self.position += count;
        Ok(count)
    }
}

fn corrupt(error: snap::Error) -> CompressError {
    CompressError::corrupt(Codec::Snappy, error.to_string())
}

//! lz4 frames. The blocks are lz4_flex's, or by level of effort lz4's own; the frame around them is read here, because a library that sizes its buffers from
//! the seven header bytes would give 8 MiB to whoever sends those, and because a frame without its end mark has to be an
//! error. Written frames are what Kafka's `Lz4BlockOutputStream` writes: independent blocks of 64 KiB, no content checksum.
//!
//! ```text
//! frame: 04 22 4D 18 | FLG | BD | content size u64 if FLG.3 | dictionary id u32 if FLG.0 | HC | block* | 00000000 | content hash u32 if FLG.2
//! block: length u32, top bit: stored as is | bytes | block hash u32 if FLG.4
//! FLG: version 01 in bits 7-6, independent blocks 5, block hashes 4, content size 3, content hash 2, reserved 1, dictionary 0
//! BD:  block size in bits 6-4: 4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB; HC: second byte of the hash of FLG..HC
//! ```
//! All integers are little-endian. Frames may follow one another, and skippable frames between them are skipped. Frames that
//! need a dictionary and the legacy format are refused, as Kafka does.

use std::io::{self, Read, Write};

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::xxh32::Xxh32;
use super::{Codec, CompressError};

const MAGIC: u32 = 0x184D_2204;
const SKIPPABLE_MAGICS: std::ops::RangeInclusive<u32> = 0x184D_2A50..=0x184D_2A5F;
const STORED_BIT: u32 = 1 << 31;
/// How far back a linked block may point.
const HISTORY_BYTES: usize = 64 * 1024;
/// One byte extends a match by at most 255; the constant covers a block's tokens.
const EXPANSION_MAX: usize = 255;
const EXPANSION_SLACK: usize = 64;

/// Kafka's default, which is not the ninth level of effort there either, but the fast way.
const LEVEL_FAST: i32 = 9;
/// The library's highest. Kafka takes levels up to 17; those above the highest are the highest.
const LEVEL_MAX: i32 = 12;

/// Writes one frame.
pub(super) enum Writer {
    /// The fast way.
    Fast(FrameEncoder<Vec<u8>>),
    /// By level of effort.
    Level(lz4::Encoder<Vec<u8>>),
}

impl Writer {
    #[expect(clippy::expect_used, reason = "a vector takes the header")]
    pub(super) fn new(level: Option<i32>) -> Writer {
        let Some(level) = level.filter(|level| *level != LEVEL_FAST) else {
            let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
            return Writer::Fast(FrameEncoder::with_frame_info(frame, Vec::new()));
        };
        let encoder = lz4::EncoderBuilder::new()
            .level(level.clamp(1, LEVEL_MAX).unsigned_abs())
            .block_size(lz4::BlockSize::Max64KB)
            .block_mode(lz4::BlockMode::Independent)
            .checksum(lz4::ContentChecksum::NoChecksum)
            .block_checksum(lz4::liblz4::BlockChecksum::NoBlockChecksum)
            .build(Vec::new());
        Writer::Level(encoder.expect("a vector takes the header"))
    }

    pub(super) fn write_all(&mut self, plain: &[u8]) -> io::Result<()> {
        match self {
            Writer::Fast(encoder) => encoder.write_all(plain),
            Writer::Level(encoder) => encoder.write_all(plain),
        }
    }

    /// Compressed bytes so far; some of what went in is held back.
    pub(super) fn written(&self) -> usize {
        match self {
            Writer::Fast(encoder) => encoder.get_ref().len(),
            Writer::Level(encoder) => encoder.writer().len(),
        }
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Writer::Fast(encoder) => encoder.finish().map_err(io::Error::other),
            Writer::Level(encoder) => {
                let (out, result) = encoder.finish();
                result.map(|()| out)
            }
        }
    }
}

#[expect(clippy::expect_used, reason = "a vector takes every byte")]
pub(super) fn compress(level: Option<i32>, input: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(level);
    writer.write_all(input).expect("a vector takes every byte");
    writer.finish().expect("a vector takes every byte")
}

/// Makes the header checksum of a frame that [`writer`] wrote what messages of magic 0 have: Kafka's first lz4 stream
/// hashed the magic number as well, and clients of that time insist on it (KAFKA-3160).
pub(crate) fn break_header_checksum(frame: &mut [u8]) {
    if let Some((head, [checksum, ..])) = frame.split_at_mut_checked(PLAIN_HEADER_LEN) {
        *checksum = (Xxh32::of(head) >> 8) as u8;
    }
}

/// Magic, FLG and BD: what comes before the checksum in a header that has neither content size nor dictionary.
const PLAIN_HEADER_LEN: usize = 4 + 2;

/// What a frame's descriptor says, and what has been seen of its content.
struct Frame {
    block_bytes_max: usize,
    linked: bool,
    block_hashes: bool,
    content_hash: Option<Xxh32>,
    content_len: Option<u64>,
    seen_len: u64,
}

/// Decodes block by block into one buffer that starts with the history linked blocks point into.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    frame: Option<Frame>,
    /// `[earlier blocks | block]`, the last up to `end`; `position..end` has not been handed out.
    buffer: Vec<u8>,
    position: usize,
    end: usize,
    /// Whether the header checksum is what the format says; see [`break_header_checksum`].
    is_header_checked: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Reader { rest: input, frame: None, buffer: Vec::new(), position: 0, end: 0, is_header_checked: true }
    }

    /// Of frames in messages of magic 0, whose header checksum says nothing.
    pub(super) fn of_magic_0(input: &'a [u8]) -> Self {
        Reader { is_header_checked: false, ..Reader::new(input) }
    }

    /// Makes the next block ready; one step of header, block or end mark.
    fn step(&mut self) -> Result<(), CompressError> {
        let Some(mut frame) = self.frame.take() else {
            self.frame = self.frame_header()?;
            (self.position, self.end) = (0, 0);
            return Ok(());
        };
        let word = self.u32()?;
        if word == 0 {
            return self.finish_frame(&frame);
        }
        self.block(word, &frame)?;
        let plain = &self.buffer[self.position..self.end];
        frame.seen_len += plain.len() as u64;
        if let Some(hash) = &mut frame.content_hash {
            hash.update(plain);
        }
        self.frame = Some(frame);
        Ok(())
    }

    /// Reads a frame's descriptor; `None` after a skippable frame.
    fn frame_header(&mut self) -> Result<Option<Frame>, CompressError> {
        let magic = self.u32()?;
        if SKIPPABLE_MAGICS.contains(&magic) {
            let len = self.u32()? as usize;
            self.take(len)?;
            return Ok(None);
        }
        if magic != MAGIC {
            return Err(corrupt(format!("magic {magic:#010x} is not a frame's")));
        }
        let descriptor = self.rest;
        let [flags, sizes] = self.array()?;
        if flags >> 6 != 1 || flags & 2 != 0 || sizes & 0x8f != 0 {
            return Err(corrupt(format!("frame flags {flags:#04x} {sizes:#04x} are not of version 1")));
        }
        if flags & 1 != 0 {
            return Err(corrupt("the frame needs a dictionary"));
        }
        let content_len = if flags & 8 != 0 { Some(u64::from_le_bytes(self.array()?)) } else { None };
        let expected = (Xxh32::of(&descriptor[..descriptor.len() - self.rest.len()]) >> 8) as u8;
        let [found] = self.array()?;
        if found != expected && self.is_header_checked {
            return Err(corrupt(format!("header checksum {found:#04x}, expected {expected:#04x}")));
        }
        Ok(Some(Frame {
            block_bytes_max: block_bytes_max(sizes >> 4)?,
            linked: flags & 0x20 == 0,
            block_hashes: flags & 0x10 != 0,
            content_hash: (flags & 4 != 0).then(Xxh32::new),
            content_len,
            seen_len: 0,
        }))
    }

    /// Where the next block of at most `room` bytes goes. Linked blocks are laid one behind the other, and the history moves
    /// to the front only once the buffer is used up, so that a stream of tiny blocks does not cost 64 KiB of copying each.
    fn place(&mut self, room: usize, frame: &Frame) -> usize {
        if !frame.linked {
            return 0;
        }
        if self.end + room > 2 * HISTORY_BYTES + frame.block_bytes_max {
            self.buffer.copy_within(self.end - HISTORY_BYTES..self.end, 0);
            self.end = HISTORY_BYTES;
        }
        self.end
    }

    fn block(&mut self, word: u32, frame: &Frame) -> Result<(), CompressError> {
        let block = self.packed_block(word, frame)?;
        let room = block.room(frame);
        let start = self.place(room, frame);
        if self.buffer.len() < start + room {
            self.buffer.resize(start + room, 0);
        }
        let (history, plain) = self.buffer.split_at_mut(start);
        let count = block.unpack(&mut plain[..room], history)?;
        self.position = start;
        self.end = start + count;
        Ok(())
    }

    /// Takes the block that begins with `word`.
    fn packed_block(&mut self, word: u32, frame: &Frame) -> Result<Block<'a>, CompressError> {
        let len = (word & !STORED_BIT) as usize;
        if len > frame.block_bytes_max {
            return Err(corrupt(format!("block of {len} bytes, the frame allows {}", frame.block_bytes_max)));
        }
        let bytes = self.take(len)?;
        if frame.block_hashes {
            self.expect_hash(Xxh32::of(bytes))?;
        }
        Ok(Block { bytes, stored: word & STORED_BIT != 0 })
    }

    /// As [`unpack`], behind the `end` bytes of earlier frames.
    fn unpack_frame(&mut self, mut frame: Frame, out: &mut [u8], mut end: usize) -> Result<usize, CompressError> {
        let begin = end;
        loop {
            let word = self.u32()?;
            if word == 0 {
                self.finish_frame(&frame)?;
                return Ok(end);
            }
            let block = self.packed_block(word, &frame)?;
            let (before, after) = out.split_at_mut(end);
            let room = block.room(&frame).min(after.len());
            let history = if frame.linked { &before[begin.max(end.saturating_sub(HISTORY_BYTES))..] } else { &[] };
            let count = block.unpack(&mut after[..room], history)?;
            frame.seen_len += count as u64;
            if let Some(hash) = &mut frame.content_hash {
                hash.update(&after[..count]);
            }
            end += count;
        }
    }

    fn finish_frame(&mut self, frame: &Frame) -> Result<(), CompressError> {
        if let Some(expected) = frame.content_len.filter(|len| *len != frame.seen_len) {
            return Err(corrupt(format!("content of {} bytes, the header says {expected}", frame.seen_len)));
        }
        frame.content_hash.as_ref().map_or(Ok(()), |hash| self.expect_hash(hash.finish()))
    }

    fn expect_hash(&mut self, expected: u32) -> Result<(), CompressError> {
        match self.u32()? {
            found if found == expected => Ok(()),
            found => Err(corrupt(format!("checksum {found:#010x}, expected {expected:#010x}"))),
        }
    }

    fn u32(&mut self) -> Result<u32, CompressError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CompressError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CompressError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// A block as it travels.
struct Block<'a> {
    bytes: &'a [u8],
    /// Not compressed.
    stored: bool,
}

impl Block<'_> {
    /// Most bytes that it can be.
    fn room(&self, frame: &Frame) -> usize {
        let len = self.bytes.len();
        if self.stored { len } else { (len * EXPANSION_MAX + EXPANSION_SLACK).min(frame.block_bytes_max) }
    }

    fn unpack(&self, out: &mut [u8], history: &[u8]) -> Result<usize, CompressError> {
        let len = self.bytes.len();
        if self.stored {
            out.get_mut(..len).ok_or_else(|| corrupt("no room"))?.copy_from_slice(self.bytes);
            return Ok(len);
        }
        lz4_flex::block::decompress_into_with_dict(self.bytes, out, history).map_err(|error| corrupt(error.to_string()))
    }
}

/// All plain bytes of `input`, straight into `out`; an error where they are more, too.
pub(super) fn unpack(input: &[u8], out: &mut [u8]) -> Result<usize, CompressError> {
    let mut reader = Reader::new(input);
    let mut end = 0;
    while !reader.rest.is_empty() {
        if let Some(frame) = reader.frame_header()? {
            end = reader.unpack_frame(frame, out, end)?;
        }
    }
    Ok(end)
}

/// What [`writer`] begins a frame with.
const HEADER: [u8; PLAIN_HEADER_LEN + 1] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];

/// Bytes of a block that [`writer`] writes.
const BLOCK_BYTES: usize = 64 * 1024;

/// As [`compress`], behind `out` and with the hash table of an earlier call.
pub(super) fn pack(input: &[u8], out: &mut Vec<u8>, table: &mut CompressTable) {
    out.extend_from_slice(&HEADER);
    for chunk in input.chunks(BLOCK_BYTES) {
        let at = out.len();
        out.resize(at + 4 + get_maximum_output_size(chunk.len()), 0);
        let packed = compress_into_with_table(chunk, &mut out[at + 4..], table).ok().filter(|&len| len < chunk.len());
        out.truncate(at + 4 + packed.unwrap_or(0));
        if packed.is_none() {
            out.extend_from_slice(chunk);
        }
        let word = packed.map_or(chunk.len() as u32 | STORED_BIT, |len| len as u32);
        out[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.position == self.end && (self.frame.is_some() || !self.rest.is_empty()) {
            self.step()?;
        }
        let mut ready = &self.buffer[self.position..self.end];
        let count = ready.read(out)?;
        self.position += count;
        Ok(count)
    }
}

const TRUNCATED: CompressError = CompressError::Truncated { codec: Codec::Lz4 };

fn block_bytes_max(code: u8) -> Result<usize, CompressError> {
    match code {
        4..=7 => Ok(1 << (8 + 2 * u32::from(code))),
        _ => Err(corrupt(format!("block size code {code} is not one of 4 to 7"))),
    }
}

fn corrupt(reason: impl Into<String>) -> CompressError {
    CompressError::corrupt(Codec::Lz4, reason)
}

#[cfg(test)]
mod tests {
    use super::super::{compress, decompress_capped};
    use super::*;

    /// Words in no order, so that looking longer finds more.
    fn text() -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        (0..40_000).flat_map(|_| format!("{} ", next() * 7919).into_bytes()).collect()
    }

    #[test]
    fn levels_are_efforts_and_the_default_is_the_fast_way() {
        let text = text();
        let at = |level| compress(Codec::Lz4, level, &text);
        let fast = at(None);
        assert_eq!(at(Some(LEVEL_FAST)), fast);
        let (low, high) = (at(Some(1)), at(Some(LEVEL_MAX)));
        assert!(high.len() * 100 < low.len() * 95, "{} {}", high.len(), low.len());
        assert_eq!(at(Some(17)), high, "Kafka's highest is the library's");
        for frame in [&fast, &low, &high] {
            assert_eq!(frame[..7], fast[..7], "the same kind of frame");
            assert_eq!(decompress_capped(Codec::Lz4, frame, text.len()), Ok(text.clone()));
        }
        assert_eq!(decompress_capped(Codec::Lz4, &at_length(0), 0), Ok(Vec::new()));
    }

    fn at_length(len: usize) -> Vec<u8> {
        compress(Codec::Lz4, Some(5), &vec![0; len])
    }
}

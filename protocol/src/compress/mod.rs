//! The five codecs of a record batch: none, gzip, snappy, lz4 and zstd, in the framings that Kafka's clients write.
//!
//! Here: the codec's number, compression into a vector, and decompression that stops at a cap chosen by the caller and
//! never allocates from a length it merely read. Which codec a batch uses, and what its bytes mean once they are plain, is
//! `batch`'s business.
//!
//! | id | codec | framing read | framing written |
//! |----|-------|--------------|-----------------|
//! | 0 | none | as is | as is |
//! | 1 | gzip | RFC 1952, one or more members | one member |
//! | 2 | snappy | xerial blocks, or one raw block | xerial, blocks of 32 KiB |
//! | 3 | lz4 | lz4 frames, linked or independent blocks, optional checksums | one frame, independent blocks of 64 KiB |
//! | 4 | zstd | one or more frames | one frame |

mod codecs;
mod gzip;
mod lz4;
mod snappy;
mod transcode;
mod xxh32;
mod zstd;

pub use codecs::Codecs;
pub(crate) use lz4::break_header_checksum;
pub(crate) use transcode::Encoder;
pub use transcode::transcode;

use std::io::{self, Read};

/// A compression codec, numbered as in the low three bits of a batch's attributes (Kafka's `CompressionType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// Bytes as they are.
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Google's snappy, in Java's xerial framing.
    Snappy = 2,
    /// The lz4 frame format.
    Lz4 = 3,
    /// Zstandard, RFC 8878; only Produce 7 and Fetch 10 onwards may carry it (KIP-110).
    Zstd = 4,
}

impl Codec {
    /// Every codec, in the order of its number.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The codec with this number, if there is one.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Codec> {
        Codec::ALL.get(usize::from(id)).copied()
    }

    /// The number in a batch's attributes.
    #[must_use]
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The name that `compression.type` uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

/// Why compressed bytes were not turned into plain ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressError {
    /// The plain bytes are more than the caller allows.
    #[error("decompressed size exceeds the cap of {cap_bytes} bytes")]
    TooLarge {
        /// The cap that was reached.
        cap_bytes: usize,
    },
    /// The input ends before its format says so.
    #[error("{} data is truncated", .codec.name())]
    Truncated {
        /// The codec of the input.
        codec: Codec,
    },
    /// The input is not in the codec's format, or fails the format's own checksum.
    #[error("{} data is corrupt: {reason}", .codec.name())]
    Corrupt {
        /// The codec of the input.
        codec: Codec,
        /// What the decoder objected to.
        reason: String,
    },
}

impl CompressError {
    fn corrupt(codec: Codec, reason: impl Into<String>) -> Self {
        CompressError::Corrupt { codec, reason: reason.into() }
    }

    /// Gives an error that came through `Read` its type back.
    pub(crate) fn from_io(codec: Codec, error: io::Error) -> Self {
        match error.downcast::<CompressError>() {
            Ok(typed) => typed,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => CompressError::Truncated { codec },
            Err(error) => CompressError::corrupt(codec, error.to_string()),
        }
    }
}

impl From<CompressError> for io::Error {
    fn from(error: CompressError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Compresses `input`. `level` is the codec's own scale and is clamped into its range: gzip 0 to 9, zstd as the library
/// has it (-131072 to 22), lz4 1 to 12; snappy has none and ignores it. `None` is Kafka's default: gzip 6, zstd 3, lz4's fast way.
#[must_use]
pub fn compress(codec: Codec, level: Option<i32>, input: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => input.to_vec(),
        Codec::Gzip => gzip::compress(level, input),
        Codec::Snappy => snappy::compress(input),
        Codec::Lz4 => lz4::compress(level, input),
        Codec::Zstd => zstd::compress(level, input),
    }
}

/// Decompresses all of `input`, or fails once the plain bytes pass `cap_bytes`.
///
/// The vector grows with what was really produced: at most twice the plain bytes, never past the cap.
pub fn decompress_capped(codec: Codec, input: &[u8], cap_bytes: usize) -> Result<Vec<u8>, CompressError> {
    if codec == Codec::None {
        return if input.len() > cap_bytes { Err(CompressError::TooLarge { cap_bytes }) } else { Ok(input.to_vec()) };
    }
    let mut decoder = Decoder::new(codec, input, cap_bytes)?;
    let mut out = vec![0; input.len().saturating_mul(2).max(4096).min(cap_bytes)];
    let mut filled = 0;
    loop {
        if filled == out.len() && filled < cap_bytes {
            out.resize(filled.saturating_mul(2).min(cap_bytes), 0);
        }
        // At the cap one more byte is asked for: the decoder answers with the end or with `TooLarge`.
        let mut probe = [0];
        let room = if filled < out.len() { &mut out[filled..] } else { &mut probe[..] };
        let count = decoder.read(room).map_err(|error| CompressError::from_io(codec, error))?;
        if count == 0 {
            out.truncate(filled);
            return Ok(out);
        }
        filled += count;
    }
}

/// Memory that decompressing `input_bytes` may hold at a time: as large blocks and windows as producers make by default, and for
/// large inputs in proportion to what came.
const fn held_bytes_max(input_bytes: usize) -> usize {
    let in_proportion = input_bytes.saturating_mul(4);
    if in_proportion > HELD_BYTES { in_proportion } else { HELD_BYTES }
}

/// Memory that decompressing even a short input may hold.
const HELD_BYTES: usize = 7 << 20;

/// Reads plain bytes out of compressed ones, within the cap it was made with.
///
/// Memory held while reading, beside the input: gzip its 32 KiB window, snappy one block (at most 22 times its compressed
/// bytes), lz4 one block (at most 4 MiB and at most 255 times its compressed bytes) and 64 KiB of history, zstd its window.
/// Snappy's block and zstd's window are refused where they would be more than [`held_bytes_max`]. Errors come as `io::Error` with a [`CompressError`] inside.
pub struct Decoder<'a> {
    codec: Codec,
    source: Source<'a>,
    left_bytes: usize,
    cap_bytes: usize,
}

enum Source<'a> {
    None(&'a [u8]),
    Gzip(Box<gzip::Reader<'a>>),
    Snappy(snappy::Reader<'a>),
    Lz4(Box<lz4::Reader<'a>>),
    Zstd(zstd::Reader<'a>),
}

impl<'a> Decoder<'a> {
    /// A reader of the plain bytes of `input`, of which it hands out at most `cap_bytes`.
    pub fn new(codec: Codec, input: &'a [u8], cap_bytes: usize) -> Result<Self, CompressError> {
        // No codec encodes nothing as nothing, though some libraries shrug at it.
        if codec != Codec::None && input.is_empty() {
            return Err(CompressError::Truncated { codec });
        }
        let source = match codec {
            Codec::None => Source::None(input),
            Codec::Gzip => Source::Gzip(Box::new(gzip::reader(input))),
            Codec::Snappy => Source::Snappy(snappy::Reader::new(input, cap_bytes)),
            Codec::Lz4 => Source::Lz4(Box::new(lz4::Reader::new(input))),
            Codec::Zstd => Source::Zstd(zstd::reader(input)?),
        };
        let cap_bytes = if codec == Codec::Zstd { zstd::cap(input, cap_bytes) } else { cap_bytes };
        Ok(Decoder { codec, source, left_bytes: cap_bytes, cap_bytes })
    }

    /// As [`Decoder::new`], for messages of magic 0: their lz4 frames have a header checksum over the wrong bytes, which is
    /// not looked at.
    pub fn for_magic_0(codec: Codec, input: &'a [u8], cap_bytes: usize) -> Result<Self, CompressError> {
        let mut decoder = Decoder::new(codec, input, cap_bytes)?;
        if codec == Codec::Lz4 {
            decoder.source = Source::Lz4(Box::new(lz4::Reader::of_magic_0(input)));
        }
        Ok(decoder)
    }

    fn read_source(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.source {
            Source::None(rest) => rest.read(out),
            Source::Gzip(reader) => reader.read(out),
            Source::Snappy(reader) => reader.read(out),
            Source::Lz4(reader) => reader.read(out),
            Source::Zstd(reader) => reader.read(out),
        };
        count.map_err(|error| CompressError::from_io(self.codec, error).into())
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.left_bytes == 0 {
            return match self.read_source(&mut [0])? {
                0 => Ok(0),
                _ => Err(CompressError::TooLarge { cap_bytes: self.cap_bytes }.into()),
            };
        }
        let room = out.len().min(self.left_bytes);
        let count = self.read_source(&mut out[..room])?;
        self.left_bytes -= count;
        Ok(count)
    }
}

//! Zstandard (RFC 8878) by the reference library; several frames in a row are one stream.
//!
//! A frame's header names the window that its decoder has to keep. We accept up to 2^27 bytes, the library's own default and
//! so what Kafka accepts: levels 20 to 22 declare 2^25 to 2^27 whatever the batch's size, and a producer may use them. The
//! library reserves the window in one allocation that it does not touch until data arrives, so what becomes resident is never
//! more than the plain bytes handed out. Where the window is larger than decompression may hold, those are capped instead: such
//! a batch is fine as long as it is not large. The frames behind the first may then have no larger window than it.

use std::io::Write;

use ::zstd::zstd_safe::{self, CCtx};

use super::{Codec, CompressError, held_bytes_max};

/// log2 of the largest window accepted.
const WINDOW_LOG_MAX: u32 = 27;
/// The bit of a frame's descriptor that says that there is no window but the content.
const SINGLE_SEGMENT: u8 = 0x20;
/// Kafka's default (`compression.zstd.level`), and the library's.
const LEVEL_DEFAULT: i32 = 3;

pub(super) type Reader<'a> = ::zstd::stream::read::Decoder<'static, &'a [u8]>;

pub(super) fn reader(input: &[u8]) -> Result<Reader<'_>, CompressError> {
    let typed = |error| CompressError::from_io(Codec::Zstd, error);
    let mut decoder = Reader::with_buffer(input).map_err(typed)?;
    let window_log_max = if is_heavy(input) { WINDOW_LOG_MAX } else { held_bytes_max(input.len()).ilog2() };
    decoder.window_log_max(window_log_max).map_err(typed)?;
    Ok(decoder)
}

/// The cap for an input whose first frame wants much to be held.
pub(super) fn cap(input: &[u8], cap_bytes: usize) -> usize {
    if is_heavy(input) { cap_bytes.min(held_bytes_max(input.len())) } else { cap_bytes }
}

/// Whether the first frame's window is larger than decompression may hold. RFC 8878, 3.1.1.1: magic, descriptor, and then either
/// the window's exponent and mantissa, or none and the content's size in its place.
fn is_heavy(input: &[u8]) -> bool {
    let Some((descriptor, rest)) = input.get(4..).and_then(|rest| rest.split_first()) else { return false };
    let window = match rest {
        [byte, ..] if descriptor & SINGLE_SEGMENT == 0 => {
            let base = 1_u64 << (10 + (byte >> 3));
            base + base / 8 * u64::from(byte & 7)
        }
        _ => ::zstd::zstd_safe::get_frame_content_size(input).ok().flatten().unwrap_or(0),
    };
    window > 1 << held_bytes_max(input.len()).ilog2()
}

pub(super) type Writer = ::zstd::stream::write::Encoder<'static, Vec<u8>>;

#[expect(clippy::expect_used, reason = "the level is in range")]
pub(super) fn writer(level: Option<i32>) -> Writer {
    let range = ::zstd::compression_level_range();
    let level = level.unwrap_or(LEVEL_DEFAULT).clamp(*range.start(), *range.end());
    Writer::new(Vec::new(), level).expect("the level is in range")
}

/// As [`compress`] without a level, behind `out` and with the context of an earlier call.
#[expect(clippy::expect_used, reason = "the room is what the library asks for")]
pub(super) fn pack(input: &[u8], out: &mut Vec<u8>, context: &mut CCtx<'static>) {
    let at = out.len();
    out.resize(at + zstd_safe::compress_bound(input.len()), 0);
    let len = context.compress(&mut out[at..], input, LEVEL_DEFAULT).expect("the room is what the library asks for");
    out.truncate(at + len);
}

#[expect(clippy::expect_used, reason = "a vector takes every byte")]
pub(super) fn compress(level: Option<i32>, input: &[u8]) -> Vec<u8> {
    let mut encoder = writer(level);
    encoder.write_all(input).expect("a vector takes every byte");
    encoder.finish().expect("a vector takes every byte")
}

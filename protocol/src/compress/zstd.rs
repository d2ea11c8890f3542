//! Zstandard (RFC 8878) by the reference library; several frames in a row are one stream.
//!
//! A frame's header names the window that its decoder has to keep. We accept up to 2^27 bytes, the library's own default and
//! so what Kafka accepts: levels 20 to 22 declare 2^25 to 2^27 whatever the batch's size, and a producer may use them. The
//! library reserves the window in one allocation that it does not touch until data arrives, so a short hostile frame costs
//! address space, not memory; what becomes resident is never more than the plain bytes handed out, which the cap bounds.

use std::io::Write;

use super::{Codec, CompressError};

/// log2 of the largest window accepted.
const WINDOW_LOG_MAX: u32 = 27;
/// Kafka's default (`compression.zstd.level`), and the library's.
const LEVEL_DEFAULT: i32 = 3;

pub(super) type Reader<'a> = ::zstd::stream::read::Decoder<'static, &'a [u8]>;

pub(super) fn reader(input: &[u8]) -> Result<Reader<'_>, CompressError> {
    let typed = |error| CompressError::from_io(Codec::Zstd, error);
    let mut decoder = Reader::with_buffer(input).map_err(typed)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(typed)?;
    Ok(decoder)
}

#[expect(clippy::expect_used, reason = "the level is in range and a vector takes every byte")]
pub(super) fn compress(level: Option<i32>, input: &[u8]) -> Vec<u8> {
    let range = ::zstd::compression_level_range();
    let level = level.unwrap_or(LEVEL_DEFAULT).clamp(*range.start(), *range.end());
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), level).expect("the level is in range");
    encoder.write_all(input).expect("a vector takes every byte");
    encoder.finish().expect("a vector takes every byte")
}

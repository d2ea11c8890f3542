//! gzip (RFC 1952) by flate2: several members in a row are one stream, as `GZIPInputStream` has it.

use std::io::Write;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// zlib's own default, and Kafka's (`compression.gzip.level` -1).
const LEVEL_DEFAULT: u32 = 6;
const LEVEL_MAX: u32 = 9;

pub(super) type Reader<'a> = MultiGzDecoder<&'a [u8]>;

pub(super) fn reader(input: &[u8]) -> Reader<'_> {
    MultiGzDecoder::new(input)
}

pub(super) fn writer(level: Option<i32>) -> GzEncoder<Vec<u8>> {
    // A negative level is zlib's way to ask for the default.
    let level = level.and_then(|level| u32::try_from(level).ok()).unwrap_or(LEVEL_DEFAULT).min(LEVEL_MAX);
    GzEncoder::new(Vec::new(), Compression::new(level))
}

#[expect(clippy::expect_used, reason = "writing to a vector cannot fail")]
pub(super) fn compress(level: Option<i32>, input: &[u8]) -> Vec<u8> {
    let mut encoder = writer(level);
    encoder.write_all(input).expect("a vector takes every byte");
    encoder.finish().expect("a vector takes every byte")
}

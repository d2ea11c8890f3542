//! Every bound of decoding, beside the reason that it is enough.
//!
//! Bounds of record batches and decompression stand with their modules.

/// Bytes of memory that decoding may allocate for each byte that arrived.
///
/// The densest real request, a list of one-letter topic names, costs 24 bytes of memory (a [`crate::Str`]) for every 3
/// bytes on the wire: 8. Twice that leaves room for structs whose optional parts are all absent.
pub const BUDGET_PER_BYTE: usize = 16;

/// Memory that any frame may use, however short it is, so that small requests with large structs always decode.
pub const BUDGET_FLOOR: usize = 64 * 1024;

/// Longest encoding of an unsigned 32-bit varint: five groups of seven bits.
pub const VARINT_BYTES_MAX: usize = 5;

/// Longest string or byte field in the classic encoding, whose length is an `i16`.
pub const CLASSIC_STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Longest string, byte field or array in any encoding: lengths travel as `i32`, or as an unsigned varint of length + 1.
pub const LENGTH_MAX: usize = i32::MAX as usize;

/// The budget of a frame of `bytes` bytes.
#[must_use]
pub const fn budget(bytes: usize) -> usize {
    bytes.saturating_mul(BUDGET_PER_BYTE).saturating_add(BUDGET_FLOOR)
}

const _: () = assert!(BUDGET_PER_BYTE >= 2 * size_of::<crate::Str<'_>>() / 3, "short strings in a list must fit");
const _: () = assert!(CLASSIC_STRING_BYTES_MAX < LENGTH_MAX);

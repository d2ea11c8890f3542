//! Bounds on what reading one batch may cost, and why they fit.

/// The fewest bytes one record takes: length, attributes, two deltas, null key, null value, no headers, one byte each.
pub const RECORD_LEN_MIN: usize = 7;

/// The fewest bytes one record header takes: an empty key and a null value.
pub const RECORD_HEADER_LEN_MIN: usize = 2;

/// Plain bytes of one compressed batch, unless the caller knows better: 128 MiB. A batch of the default
/// `max.message.bytes` (1 MiB) reaches that at a ratio of 128, beyond what real data compresses to.
pub const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// Plain bytes of one batch for each byte that the topic allows a batch to have. A client that made the batch larger is told
/// that it is too large, and the Java producer then splits it.
pub const DECOMPRESSED_PER_BYTE: usize = 32;

/// What the caller allows one batch to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Plain bytes that decompression may produce before it is refused.
    pub decompressed_bytes_max: usize,
}

impl Limits {
    /// For a topic that allows batches of `batch_bytes_max` (`max.message.bytes`): what a batch expands to costs time, during
    /// which its shard does nothing else.
    #[must_use]
    pub fn for_batches_of(batch_bytes_max: usize) -> Limits {
        let in_proportion = batch_bytes_max.saturating_mul(DECOMPRESSED_PER_BYTE);
        Limits { decompressed_bytes_max: in_proportion.min(DECOMPRESSED_BYTES_MAX) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { decompressed_bytes_max: DECOMPRESSED_BYTES_MAX }
    }
}

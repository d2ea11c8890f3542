//! The few header fields that the hot path walks by, read in place from bytes that were validated before.

use protocol::batch::layout::{
    BASE_OFFSET, BATCH_LENGTH, HEADER_LEN, LAST_OFFSET_DELTA, LENGTH_PREFIX_LEN, MAX_TIMESTAMP,
};

/// One batch inside memory that holds whole, validated batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peek {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) max_timestamp: i64,
    /// Bytes of the whole batch.
    pub(super) len: usize,
}

impl Peek {
    /// The batch at the front of `bytes`; `None` where they are too short for the batch, or it is none.
    pub(super) fn at(bytes: &[u8]) -> Option<Peek> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let base_offset = i64::from_be_bytes(field(header, BASE_OFFSET));
        let rest = usize::try_from(i32::from_be_bytes(field(header, BATCH_LENGTH))).ok()?;
        let len = rest + LENGTH_PREFIX_LEN;
        let delta = i32::from_be_bytes(field(header, LAST_OFFSET_DELTA));
        let max_timestamp = i64::from_be_bytes(field(header, MAX_TIMESTAMP));
        let last_offset = base_offset.checked_add(i64::from(delta))?;
        (len >= HEADER_LEN && len <= bytes.len()).then_some(Peek { base_offset, last_offset, max_timestamp, len })
    }
}

fn field<const N: usize>(header: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

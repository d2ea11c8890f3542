//! The two changes a broker makes to a batch in place. Everything else leaves the bytes as the producer sent them.

use crate::crc::crc32c;

use super::header::{Attributes, put};
use super::layout::{self, HEADER_LEN};

/// Assigns the offset and the leader epoch: twelve bytes outside the checksum, which stays right.
///
/// # Panics
/// If `batch` is shorter than a header, which a parsed batch never is.
pub fn patch(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    assert!(batch.len() >= HEADER_LEN, "{} bytes are no batch", batch.len());
    put(batch, layout::BASE_OFFSET, base_offset.to_be_bytes());
    put(batch, layout::LEADER_EPOCH, leader_epoch.to_be_bytes());
}

/// Makes the broker's clock the timestamp of every record (`message.timestamp.type=LogAppendTime`): sets the flag and the
/// maximum timestamp, and computes the checksum anew, one pass over the batch. The records keep their deltas, which readers
/// ignore from then on.
///
/// # Panics
/// If `batch` is shorter than a header, which a parsed batch never is.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    assert!(batch.len() >= HEADER_LEN, "{} bytes are no batch", batch.len());
    // The flag is in the low byte of the attributes.
    batch[layout::ATTRIBUTES + 1] |= Attributes::LOG_APPEND_TIME as u8;
    put(batch, layout::MAX_TIMESTAMP, now_ms.to_be_bytes());
    seal(batch);
}

/// Writes the checksum of the bytes as they are now.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc32c(&batch[layout::ATTRIBUTES..]);
    put(batch, layout::CRC, crc.to_be_bytes());
}

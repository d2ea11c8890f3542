//! The same records in another codec (`compression.type`): the header stays, the stream of records is decompressed and
//! compressed again without being there as a whole.

use super::edit::seal;
use super::header::put;
use super::layout::{self, HEADER_LEN, LENGTH_PREFIX_LEN};
use super::{BatchError, BatchView, Limits};
use crate::compress::{Codec, CompressError, Decoder, transcode};

/// `batch` with its records compressed by `codec`, in at most `batch_bytes_max`; `max_timestamp` is that of its records, in
/// milliseconds. `level` as in [`compress`](crate::compress::compress).
pub fn recompress(
    batch: &BatchView<'_>,
    codec: Codec,
    level: Option<i32>,
    max_timestamp: i64,
    batch_bytes_max: usize,
    limits: &Limits,
) -> Result<Vec<u8>, BatchError> {
    let records = Decoder::new(batch.codec(), batch.body(), limits.decompressed_bytes_max)?;
    let too_large = |error| match error {
        CompressError::TooLarge { cap_bytes } if cap_bytes != limits.decompressed_bytes_max => {
            BatchError::TooLarge { got_bytes: HEADER_LEN + cap_bytes + 1, max_bytes: batch_bytes_max }
        }
        error => error.into(),
    };
    let room = batch_bytes_max.min(i32::MAX as usize).saturating_sub(HEADER_LEN);
    let body = transcode(records, codec, level, room).map_err(too_large)?;
    let mut bytes = [&batch.bytes()[..HEADER_LEN], &body].concat();
    let length = (bytes.len() - LENGTH_PREFIX_LEN) as i32;
    put(&mut bytes, layout::BATCH_LENGTH, length.to_be_bytes());
    put(&mut bytes, layout::MAX_TIMESTAMP, max_timestamp.to_be_bytes());
    let flags = bytes[layout::ATTRIBUTES + 1];
    bytes[layout::ATTRIBUTES + 1] = flags & !CODEC_BITS | codec.id();
    seal(&mut bytes);
    Ok(bytes)
}

/// The codec's bits in the low byte of the attributes.
const CODEC_BITS: u8 = 7;

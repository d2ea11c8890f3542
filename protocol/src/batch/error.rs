//! What can be wrong with a batch, by cause, and the error code that Kafka answers for it.
//!
//! The numbers are those of Kafka's `Errors`; their names for the rest of the crate are in the messages, which this module
//! does not depend on.

use crate::compress::CompressError;

use super::layout::HEADER_LEN;

const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;

/// Why bytes are not an acceptable record batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end inside the batch. At the end of a fetch response or of a log this is a partial batch, not damage.
    #[error("the batch needs {needed} bytes and {got} are there")]
    Truncated {
        /// Bytes the batch takes, as far as is known.
        needed: usize,
        /// Bytes that are there.
        got: usize,
    },
    /// The length field is smaller than a header, or negative.
    #[error("batch length {got}, at least {} expected", HEADER_LEN - super::layout::LENGTH_PREFIX_LEN)]
    Length {
        /// The length field.
        got: i32,
    },
    /// A format that is not magic 2.
    #[error("magic {got}, expected 2")]
    Magic {
        /// The magic byte.
        got: i8,
    },
    /// The checksum does not match the bytes.
    #[error("CRC-32C {computed:#010x}, the batch says {stored:#010x}")]
    Crc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The attributes name a codec that does not exist.
    #[error("unknown compression type {got}")]
    UnknownCodec {
        /// The codec's number.
        got: u8,
    },
    /// A codec that the version of the request does not allow (KIP-110: zstd from Produce 7 on).
    #[error("compression type {got} is not allowed in this version of the request")]
    CodecNotAllowed {
        /// The codec's number.
        got: u8,
    },
    /// Count, last offset delta and base offset do not fit together.
    #[error("{records} records with last offset delta {last_offset_delta} from offset {base_offset}")]
    Counts {
        /// The record count.
        records: i32,
        /// The last offset delta.
        last_offset_delta: i32,
        /// The base offset.
        base_offset: i64,
    },
    /// A produced record set that does not hold exactly one batch.
    #[error("a produced record set holds exactly one batch; {extra_bytes} bytes follow the first")]
    NotOneBatch {
        /// Bytes behind the first batch.
        extra_bytes: usize,
    },
    /// A produced record set with no bytes.
    #[error("the record set is empty")]
    Empty,
    /// A producer has to count from zero.
    #[error("base offset {got}, expected 0 from a client")]
    BaseOffset {
        /// The base offset.
        got: i64,
    },
    /// Control batches are the brokers' own.
    #[error("clients may not write control batches")]
    ControlFromClient,
    /// Producer id, epoch and sequence do not fit together.
    #[error("producer id {producer_id}, epoch {producer_epoch}, base sequence {base_sequence} do not belong together")]
    Sequence {
        /// The producer id.
        producer_id: i64,
        /// The producer epoch.
        producer_epoch: i16,
        /// The base sequence.
        base_sequence: i32,
    },
    /// The batch is larger than the topic allows.
    #[error("batch of {got_bytes} bytes, the topic allows {max_bytes}")]
    TooLarge {
        /// The whole batch, header included.
        got_bytes: usize,
        /// `max.message.bytes`.
        max_bytes: usize,
    },
    /// A timestamp outside the window that the topic allows around now.
    #[error("timestamp {got_ms} ms lies outside {earliest_ms} to {latest_ms} ms")]
    Timestamp {
        /// The timestamp.
        got_ms: i64,
        /// The earliest allowed.
        earliest_ms: i64,
        /// The latest allowed.
        latest_ms: i64,
    },
    /// A client marked its batch as LogAppendTime, which is for the broker to do.
    #[error("clients may not write batches with LogAppendTime")]
    LogAppendTimeFromClient,
    /// The records do not decompress.
    #[error(transparent)]
    Compression(#[from] CompressError),
    /// A record, or the run of records, breaks the format.
    #[error("record {index}: {reason}")]
    Record {
        /// Which record, from 0.
        index: i32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A record without a key for a compacted topic.
    #[error("record {index} has no key, which a compacted topic requires")]
    KeyMissing {
        /// Which record, from 0.
        index: i32,
    },
}

impl BatchError {
    /// The error code of the partition's answer, as Kafka 4.3.1 chooses it in `ProduceRequest`, `UnifiedLog` and
    /// `LogValidator`. Two are ours: an unknown codec is UNSUPPORTED_COMPRESSION_TYPE where Kafka ends in
    /// UNKNOWN_SERVER_ERROR, and plain bytes beyond the cap, which Kafka has not, are MESSAGE_TOO_LARGE.
    #[must_use]
    pub fn kafka_error(&self) -> i16 {
        match self {
            BatchError::Length { .. } | BatchError::Crc { .. } => CORRUPT_MESSAGE,
            // Kafka knows magic 0 and 1 and refuses them in Produce 3 on; anything else it takes for damage.
            BatchError::Magic { got: 0 | 1 } => INVALID_RECORD,
            BatchError::Magic { .. } => CORRUPT_MESSAGE,
            BatchError::Compression(CompressError::TooLarge { .. }) | BatchError::TooLarge { .. } => MESSAGE_TOO_LARGE,
            BatchError::Compression(_) => CORRUPT_MESSAGE,
            BatchError::UnknownCodec { .. } | BatchError::CodecNotAllowed { .. } => UNSUPPORTED_COMPRESSION_TYPE,
            BatchError::Timestamp { .. } | BatchError::LogAppendTimeFromClient => INVALID_TIMESTAMP,
            BatchError::Truncated { .. }
            | BatchError::Counts { .. }
            | BatchError::NotOneBatch { .. }
            | BatchError::Empty
            | BatchError::BaseOffset { .. }
            | BatchError::ControlFromClient
            | BatchError::Sequence { .. }
            | BatchError::Record { .. }
            | BatchError::KeyMissing { .. } => INVALID_RECORD,
        }
    }

    /// Whether the bytes merely end too early, so that more of them could make a batch.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        matches!(self, BatchError::Truncated { .. })
    }
}

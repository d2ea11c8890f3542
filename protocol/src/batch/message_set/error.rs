//! What can be wrong with a message set, by cause, and the error code that Kafka 3.9 answers for it.

use super::message::Magic;
use crate::compress::CompressError;

const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;

/// Why bytes are not an acceptable message set. `index` counts messages from 0, those inside a wrapper where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageSetError {
    /// There is no message.
    #[error("the message set is empty")]
    Empty,
    /// The bytes end inside a message.
    #[error("message {index} needs {needed} bytes and {got} are there")]
    Truncated {
        /// Which message.
        index: i32,
        /// Bytes that it takes.
        needed: usize,
        /// Bytes that are there.
        got: usize,
    },
    /// The size cannot be that of a message.
    #[error("message {index} has size {got}, at least {least} expected")]
    Size {
        /// Which message.
        index: i32,
        /// The size field.
        got: i32,
        /// The smallest size of its magic.
        least: usize,
    },
    /// A magic that is neither 0 nor 1.
    #[error("message {index} has magic {got}, expected 0 or 1")]
    UnknownMagic {
        /// Which message.
        index: i32,
        /// The magic byte.
        got: i8,
    },
    /// A magic that is not that of the first message, or of the wrapper.
    #[error("message {index} has magic {got} in a set of magic {expected}")]
    MixedMagic {
        /// Which message.
        index: i32,
        /// The magic byte.
        got: i8,
        /// The magic of the set.
        expected: Magic,
    },
    /// The checksum does not match the bytes.
    #[error("message {index}: CRC-32 {computed:#010x}, the message says {stored:#010x}")]
    Crc {
        /// Which message.
        index: i32,
        /// The checksum in the message.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// Key and value do not fill the message.
    #[error("message {index}: {reason}")]
    Fields {
        /// Which message.
        index: i32,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A codec that messages do not have: zstd, or none at all.
    #[error("message {index} has compression type {got}; messages have gzip (1), snappy (2) or lz4 (3)")]
    Codec {
        /// Which message.
        index: i32,
        /// The codec's number.
        got: u8,
    },
    /// A wrapper that is not the whole set.
    #[error("message {index} is compressed; a produced set has one compressed message or none")]
    NotAlone {
        /// Which message.
        index: i32,
    },
    /// A wrapper inside a wrapper.
    #[error("message {index} inside a compressed message is compressed itself")]
    Nested {
        /// Which message.
        index: i32,
    },
    /// A wrapper without a value, or without a message in it.
    #[error("a compressed message has no messages in it")]
    EmptyWrapper,
    /// A client marked a message as LogAppendTime, which is for the broker to do.
    #[error("message {index}: clients may not write messages with LogAppendTime")]
    LogAppendTimeFromClient {
        /// Which message.
        index: i32,
    },
    /// What it comes to is more than is allowed.
    #[error("the messages come to more than {max_bytes} bytes")]
    TooLarge {
        /// The bound that was passed.
        max_bytes: usize,
    },
    /// The wrapper does not decompress.
    #[error(transparent)]
    Compression(#[from] CompressError),
}

impl MessageSetError {
    /// The error code of the partition's answer, as Kafka 3.9.1 chooses it in `UnifiedLog` and `LogValidator`. Ours: bytes
    /// that end inside a message, which Kafka cuts off in silence, are CORRUPT_MESSAGE.
    #[must_use]
    pub fn kafka_error(&self) -> i16 {
        use MessageSetError as E;
        match self {
            E::Truncated { .. } | E::Size { .. } | E::UnknownMagic { .. } | E::Crc { .. } => CORRUPT_MESSAGE,
            E::TooLarge { .. } | E::Compression(CompressError::TooLarge { .. }) => MESSAGE_TOO_LARGE,
            E::Compression(_) => CORRUPT_MESSAGE,
            E::Codec { .. } => UNSUPPORTED_COMPRESSION_TYPE,
            E::LogAppendTimeFromClient { .. } => INVALID_TIMESTAMP,
            E::Empty
            | E::MixedMagic { .. }
            | E::Fields { .. }
            | E::NotAlone { .. }
            | E::Nested { .. }
            | E::EmptyWrapper => INVALID_RECORD,
        }
    }
}

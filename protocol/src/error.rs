//! Why bytes are not a message, and why a message cannot be bytes. Error codes on the wire are in `error_code`.

use crate::version::VersionRange;

/// Why bytes were refused. `at` is the position in the frame, in bytes, where the refused item begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame ends before the item does.
    #[error("at byte {at}: {needed} more bytes needed, {left} left")]
    Truncated {
        /// Position in the frame.
        at: usize,
        /// Bytes the item takes.
        needed: usize,
        /// Bytes that remain.
        left: usize,
    },
    /// A count that the remaining bytes cannot hold.
    #[error("at byte {at}: {count} items of at least {item_bytes} bytes, {left} bytes left")]
    Count {
        /// Position in the frame.
        at: usize,
        /// Items announced.
        count: usize,
        /// Smallest size of one item on the wire.
        item_bytes: usize,
        /// Bytes that remain.
        left: usize,
    },
    /// The memory for the items exceeds what the frame's size justifies.
    #[error("at byte {at}: {wanted} bytes of memory wanted, {left} left of the frame's budget")]
    Budget {
        /// Position in the frame.
        at: usize,
        /// Bytes of memory the items take.
        wanted: usize,
        /// Bytes left in the budget.
        left: usize,
    },
    /// A length below −1, or −1 where the length is not a nullable one.
    #[error("at byte {at}: length {got}")]
    Length {
        /// Position in the frame.
        at: usize,
        /// The length as read.
        got: i64,
    },
    /// Null where the message does not allow it.
    #[error("at byte {at}: null is not allowed here")]
    Null {
        /// Position in the frame.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("at byte {at}: string is not UTF-8")]
    Utf8 {
        /// Position in the frame.
        at: usize,
    },
    /// A varint longer than five bytes, or above 2³²−1.
    #[error("at byte {at}: varint exceeds 32 bits")]
    Varint {
        /// Position in the frame.
        at: usize,
    },
    /// A tagged field whose value is shorter than its declared size.
    #[error("at byte {at}: tag {tag} declares {declared} bytes, its value takes {read}")]
    TagSize {
        /// Position of the value in the frame.
        at: usize,
        /// The tag.
        tag: u32,
        /// Size in the tag's header.
        declared: usize,
        /// Bytes its value took.
        read: usize,
    },
    /// Bytes follow the message.
    #[error("at byte {at}: {left} bytes follow the message")]
    Trailing {
        /// Position in the frame.
        at: usize,
        /// Bytes that follow.
        left: usize,
    },
    /// A version of the message that this crate does not know.
    #[error("version {got} of a message known in {known}")]
    Version {
        /// The version asked for.
        got: i16,
        /// What is known.
        known: VersionRange,
    },
    /// An API key that no supported Kafka release has.
    #[error("API key {got} is unknown")]
    ApiKey {
        /// The key as read.
        got: i16,
    },
}

/// Why a message has no bytes in the version asked for: always a mistake of the caller, never of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A version of the message that this crate does not know.
    #[error("version {got} of a message known in {known}")]
    Version {
        /// The version asked for.
        got: i16,
        /// What is known.
        known: VersionRange,
    },
    /// A field holds a value that matters, and the version has no place for it.
    #[error("field {field} is set, and version {version} does not have it")]
    FieldNotInVersion {
        /// Kafka's name of the field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Null where the version does not allow it.
    #[error("field {field} is null, and version {version} does not allow that")]
    Null {
        /// Kafka's name of the field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A string, byte field, record set or array longer than its length field can say.
    #[error("{len} bytes or items, {max} fit")]
    TooLong {
        /// Length of the value.
        len: usize,
        /// What fits.
        max: usize,
    },
}

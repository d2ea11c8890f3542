//! What fields of messages are made of, besides integers and ids.

use std::borrow::Cow;
use std::ops::Range;

/// Text of a message; decoding borrows it from the frame.
pub type Str<'a> = Cow<'a, str>;

/// Opaque bytes of a message; decoding borrows them from the frame.
pub type Bytes<'a> = Cow<'a, [u8]>;

/// The record batches of one partition, inside Produce requests and Fetch responses.
///
/// The default is *empty*, not null as in Kafka's own classes: librdkafka refuses a Fetch response with null records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records<'a> {
    /// No record set at all.
    Null,
    /// Record batches, in place.
    Bytes(&'a [u8]),
    /// Record batches that the caller sends from where they lie; encoding only.
    External {
        /// The caller's name for the bytes; comes back in [`Piece::External`].
        tag: u32,
        /// How many bytes they are.
        len: u32,
    },
}

impl Default for Records<'_> {
    fn default() -> Self {
        Self::Bytes(&[])
    }
}

impl<'a> Records<'a> {
    /// Bytes on the wire, length field aside.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::External { len, .. } => *len as usize,
        }
    }

    /// Whether there is no byte of records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, where this value has them.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Null | Self::External { .. } => None,
        }
    }

    /// Where in `frame` the bytes lie; `None` unless they were decoded from that very frame.
    ///
    /// ```
    /// # use protocol::Records;
    /// let frame = [1, 2, 3, 4, 5];
    /// assert_eq!(Records::Bytes(&frame[1..4]).range_in(&frame), Some(1..4));
    /// assert_eq!(Records::Null.range_in(&frame), None);
    /// ```
    #[must_use]
    pub fn range_in(&self, frame: &[u8]) -> Option<Range<usize>> {
        let bytes = self.bytes()?;
        let start = bytes.as_ptr().addr().checked_sub(frame.as_ptr().addr())?;
        let end = start.checked_add(bytes.len())?;
        (end <= frame.len()).then_some(start..end)
    }
}

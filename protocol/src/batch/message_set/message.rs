//! One message: reading it out of bytes that nobody has checked, and writing its head.

use super::MessageSetError;
use crate::batch::{NO_TIMESTAMP, layout};
use crate::crc::{Crc32, crc32};
use std::fmt;

/// Offset and size: what the size does not count.
pub(super) const PREFIX_LEN: usize = layout::LENGTH_PREFIX_LEN;
/// Where the attributes lie, in both formats.
const ATTRIBUTES: usize = layout::MAGIC + 1;
/// Codec in the attributes.
const CODEC_MASK: u8 = 0x07;
/// LogAppendTime in the attributes of magic 1.
pub(super) const LOG_APPEND_TIME: u8 = 0x08;

/// The format of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Magic {
    /// Without timestamps; Produce and Fetch 0 and 1.
    V0 = 0,
    /// With timestamps (KIP-32); Produce 2, Fetch 2 and 3.
    V1 = 1,
}

impl fmt::Display for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", *self as u8)
    }
}

impl Magic {
    fn from_byte(byte: u8) -> Option<Magic> {
        [Magic::V0, Magic::V1].into_iter().find(|magic| *magic as u8 == byte)
    }

    /// From the start of a message to its key's length.
    pub(super) const fn head_len(self) -> usize {
        match self {
            Magic::V0 => ATTRIBUTES + 1,
            Magic::V1 => ATTRIBUTES + 1 + 8,
        }
    }

    /// The smallest size field: no key, no value.
    pub(super) const fn size_min(self) -> usize {
        self.head_len() + 2 * 4 - PREFIX_LEN
    }

    /// Bytes of a message with this key and value, prefix included.
    pub(super) fn message_len(self, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        PREFIX_LEN + self.size_min() + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)
    }
}

/// One message whose checksum is right. A wrapper is shown as it is; what is in it is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its offset: absolute, or, inside a wrapper of magic 1, counted from the first.
    pub offset: i64,
    /// Its format.
    pub magic: Magic,
    /// Codec and flags.
    pub attributes: u8,
    /// Milliseconds since the epoch, -1 for none; magic 0 has none.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; null is a tombstone.
    pub value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// The codec's number; 0 for a message that is no wrapper.
    #[must_use]
    pub fn codec(&self) -> u8 {
        self.attributes & CODEC_MASK
    }

    /// Whether the broker chose the timestamp.
    #[must_use]
    pub fn has_append_time(&self) -> bool {
        self.magic == Magic::V1 && self.attributes & LOG_APPEND_TIME != 0
    }

    /// Reads the message that is all of `bytes`, the `index`th; `set` is the magic that it must have.
    pub(super) fn read(bytes: &'a [u8], index: i32, set: Option<Magic>) -> Result<Self, MessageSetError> {
        let magic = check_magic(bytes, index, set)?;
        let least = magic.size_min();
        if bytes.len() < PREFIX_LEN + least {
            let got = bytes.len().saturating_sub(PREFIX_LEN) as i32;
            return Err(MessageSetError::Size { index, got, least });
        }
        let stored = u32::from_be_bytes(field(bytes, PREFIX_LEN));
        let computed = crc32(&bytes[layout::MAGIC..]);
        if stored != computed {
            return Err(MessageSetError::Crc { index, stored, computed });
        }
        let fields = |reason| MessageSetError::Fields { index, reason };
        let (key, rest) = nullable(&bytes[magic.head_len()..]).map_err(fields)?;
        let (value, rest) = nullable(rest).map_err(fields)?;
        if !rest.is_empty() {
            return Err(fields("it is longer than its key and value"));
        }
        let timestamp = match magic {
            Magic::V0 => NO_TIMESTAMP,
            Magic::V1 => i64::from_be_bytes(field(bytes, ATTRIBUTES + 1)),
        };
        let offset = i64::from_be_bytes(field(bytes, layout::BASE_OFFSET));
        Ok(Message { offset, magic, attributes: bytes[ATTRIBUTES], timestamp, key, value })
    }
}

/// The magic, which decides about everything that follows, is looked at before the size.
fn check_magic(bytes: &[u8], index: i32, set: Option<Magic>) -> Result<Magic, MessageSetError> {
    let Some(&got) = bytes.get(layout::MAGIC) else {
        let got = bytes.len().saturating_sub(PREFIX_LEN) as i32;
        return Err(MessageSetError::Size { index, got, least: Magic::V0.size_min() });
    };
    match (Magic::from_byte(got), set) {
        (Some(magic), None) => Ok(magic),
        (Some(magic), Some(expected)) if magic == expected => Ok(magic),
        // A batch of magic 2 is a format of its own, which a set may not have among its messages.
        (known, Some(expected)) if known.is_some() || got == 2 => {
            Err(MessageSetError::MixedMagic { index, got: got as i8, expected })
        }
        _ => Err(MessageSetError::UnknownMagic { index, got: got as i8 }),
    }
}

/// Bytes of a whole message by the first [`PREFIX_LEN`] of them.
pub(super) fn len_by_prefix(prefix: &[u8; PREFIX_LEN], index: i32) -> Result<usize, MessageSetError> {
    let size = i32::from_be_bytes(field(prefix, layout::BATCH_LENGTH));
    match usize::try_from(size) {
        Ok(len) if len >= Magic::V0.size_min() => Ok(PREFIX_LEN + len),
        _ => Err(MessageSetError::Size { index, got: size, least: Magic::V0.size_min() }),
    }
}

/// A length and as many bytes, or null.
fn nullable(bytes: &[u8]) -> Result<(Option<&[u8]>, &[u8]), &'static str> {
    const SHORT: &str = "it is shorter than its lengths say";
    let (len, rest) = bytes.split_first_chunk().ok_or(SHORT)?;
    match i32::from_be_bytes(*len) {
        -1 => Ok((None, rest)),
        len => {
            let len = usize::try_from(len).map_err(|_| "a length is below -1")?;
            let (taken, rest) = rest.split_at_checked(len).ok_or(SHORT)?;
            Ok((Some(taken), rest))
        }
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// Iterates over the messages of a set as they lie there; the first flaw is the last item.
#[must_use]
pub fn messages(set: &[u8]) -> Messages<'_> {
    Messages { rest: set, index: 0, magic: None, stopped: false }
}

/// See [`messages`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    index: i32,
    magic: Option<Magic>,
    stopped: bool,
}

impl<'a> Messages<'a> {
    fn message(&mut self) -> Result<Message<'a>, MessageSetError> {
        let (index, got) = (self.index, self.rest.len());
        let Some(prefix) = self.rest.first_chunk() else {
            return Err(MessageSetError::Truncated { index, needed: PREFIX_LEN + Magic::V0.size_min(), got });
        };
        let needed = len_by_prefix(prefix, index)?;
        let (message, rest) =
            self.rest.split_at_checked(needed).ok_or(MessageSetError::Truncated { index, needed, got })?;
        self.rest = rest;
        let message = Message::read(message, index, self.magic)?;
        self.magic = Some(message.magic);
        self.index += 1;
        Ok(message)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, MessageSetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped || self.rest.is_empty() {
            return None;
        }
        let message = self.message();
        self.stopped = message.is_err();
        Some(message)
    }
}

/// Hands the bytes of a message to `put`, piece by piece: head and lengths are built, key and value are as they are.
pub(super) fn write(message: &Message<'_>, mut put: impl FnMut(&[u8])) {
    let Message { offset, magic, attributes, timestamp, key, value } = *message;
    let size = magic.message_len(key, value) - PREFIX_LEN;
    let stamp = timestamp.to_be_bytes();
    let stamp: &[u8] = if magic == Magic::V1 { &stamp } else { &[] };
    let flags = [magic as u8, attributes];
    let (key_len, value_len) = (nullable_len(key), nullable_len(value));
    let body = [&flags[..], stamp, &key_len, key.unwrap_or_default(), &value_len, value.unwrap_or_default()];
    let mut crc = Crc32::new();
    body.iter().for_each(|piece| crc.update(piece));
    put(&offset.to_be_bytes());
    put(&(size as i32).to_be_bytes());
    put(&crc.finish().to_be_bytes());
    body.iter().for_each(|piece| put(piece));
}

/// A length as the format stores it.
fn nullable_len(bytes: Option<&[u8]>) -> [u8; 4] {
    bytes.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes()
}

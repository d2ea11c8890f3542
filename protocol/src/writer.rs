//! Messages to bytes: a scatter list, so that record batches are sent from where they lie.
//!
//! Every message is written twice over the same code: once into a [`Measure`], which finds its mistakes and its size,
//! and then into the [`Writer`], which reserves once. A message that fails leaves the writer as it was.

use crate::error::EncodeError;
use crate::limits::{CLASSIC_STRING_BYTES_MAX, LENGTH_MAX, VARINT_BYTES_MAX};
use crate::types::Records;
use crate::uuid::Uuid;

/// Bytes of the length in front of every frame.
pub const FRAME_LENGTH_BYTES: usize = 4;

/// One stretch of an encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes that the writer made.
    Bytes(Vec<u8>),
    /// Bytes that the caller has: see [`Records::External`].
    External {
        /// The caller's name for them.
        tag: u32,
        /// How many they are.
        len: u32,
    },
}

/// Collects encoded messages.
///
/// ```text
/// ProduceResponse…      FetchResponse with two partitions from memory
/// [Bytes            ]   [Bytes][External 0][Bytes][External 1][Bytes]
/// ```
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// Own bytes of all stretches, back to back.
    bytes: Vec<u8>,
    /// External stretches, in order. Invariant: `at` never decreases.
    cuts: Vec<Cut>,
    /// Bytes of all external stretches.
    external_bytes: usize,
}

/// External bytes that belong between two own ones.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// How many own bytes come before.
    at: usize,
    tag: u32,
    len: u32,
}

/// Where a frame began; made by [`Writer::begin_frame`].
#[derive(Debug)]
#[must_use = "a frame without its length is not a frame"]
pub struct FrameStart {
    own: usize,
    total: usize,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that reuses the memory of `bytes`, behind what they already hold.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Bytes written, external ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.external_bytes
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scatter list. Where external pieces were written, the own bytes around them are copied into one piece each.
    #[must_use]
    pub fn finish(self) -> Vec<Piece> {
        let writer = match self.into_bytes() {
            Ok(bytes) if bytes.is_empty() => return Vec::new(),
            Ok(bytes) => return vec![Piece::Bytes(bytes)],
            Err(writer) => writer,
        };
        let mut pieces = Vec::with_capacity(2 * writer.cuts.len() + 1);
        let mut from = 0;
        for cut in &writer.cuts {
            push_own(&mut pieces, &writer.bytes[from..cut.at]);
            pieces.push(Piece::External { tag: cut.tag, len: cut.len });
            from = cut.at;
        }
        push_own(&mut pieces, &writer.bytes[from..]);
        pieces
    }

    /// The bytes; the writer itself where external pieces were written.
    pub fn into_bytes(self) -> Result<Vec<u8>, Self> {
        if self.cuts.is_empty() { Ok(self.bytes) } else { Err(self) }
    }

    /// Leaves room for a frame's length, which [`Writer::end_frame`] fills in.
    pub fn begin_frame(&mut self) -> FrameStart {
        let start = FrameStart { own: self.bytes.len(), total: self.len() };
        self.bytes.extend_from_slice(&[0; FRAME_LENGTH_BYTES]);
        start
    }

    /// Fills in the length of the frame that began at `start`, external bytes included.
    pub fn end_frame(&mut self, start: FrameStart) -> Result<(), EncodeError> {
        let len = self.len() - start.total - FRAME_LENGTH_BYTES;
        let wire = i32::try_from(len).map_err(|_| EncodeError::TooLong { len, max: LENGTH_MAX })?;
        self.bytes[start.own..start.own + FRAME_LENGTH_BYTES].copy_from_slice(&wire.to_be_bytes());
        Ok(())
    }

    /// Encodes `message`: measured, reserved for, written.
    pub(crate) fn message(&mut self, message: &impl Wire, version: i16) -> Result<(), EncodeError> {
        let mut measure = Measure::default();
        message.write(&mut measure, version)?;
        self.bytes.reserve(measure.own);
        message.write(self, version)
    }
}

fn push_own(pieces: &mut Vec<Piece>, own: &[u8]) {
    if !own.is_empty() {
        pieces.push(Piece::Bytes(own.to_vec()));
    }
}

/// A struct that knows its fields' order in every version.
pub(crate) trait Wire {
    fn write<S: Sink>(&self, sink: &mut S, version: i16) -> Result<(), EncodeError>;
}

/// Counts what a message takes.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    /// Bytes that the writer itself will hold.
    pub(crate) own: usize,
}

/// Where encoded fields go.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
    fn external(&mut self, tag: u32, len: u32);

    #[inline]
    fn bool(&mut self, value: bool) {
        self.put(&[u8::from(value)]);
    }
    #[inline]
    fn i8(&mut self, value: i8) {
        self.put(&value.to_be_bytes());
    }
    #[inline]
    fn i16(&mut self, value: i16) {
        self.put(&value.to_be_bytes());
    }
    #[inline]
    fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }
    #[inline]
    fn i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }
    #[inline]
    fn i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }
    #[inline]
    fn f64(&mut self, value: f64) {
        self.put(&value.to_be_bytes());
    }
    #[inline]
    fn uuid(&mut self, value: Uuid) {
        self.put(&value.0);
    }

    #[inline]
    fn varint(&mut self, mut value: u32) {
        let mut bytes = [0; VARINT_BYTES_MAX];
        let mut len = 0;
        while value >= 0x80 {
            bytes[len] = value as u8 | 0x80;
            value >>= 7;
            len += 1;
        }
        bytes[len] = value as u8;
        self.put(&bytes[..=len]);
    }

    /// A length of at most `max`: plus one as a varint, or as 32 classic bits.
    #[inline]
    fn length(&mut self, len: usize, flexible: bool) -> Result<(), EncodeError> {
        let wire = i32::try_from(len).map_err(|_| EncodeError::TooLong { len, max: LENGTH_MAX })?;
        if flexible {
            self.varint(wire.cast_unsigned() + 1);
        } else {
            self.i32(wire);
        }
        Ok(())
    }

    /// Null bytes, records or list.
    #[inline]
    fn null(&mut self, flexible: bool) {
        if flexible { self.varint(0) } else { self.i32(-1) }
    }

    #[inline]
    fn null_string(&mut self, flexible: bool) {
        if flexible { self.varint(0) } else { self.i16(-1) }
    }

    #[inline]
    fn string(&mut self, value: &str, flexible: bool) -> Result<(), EncodeError> {
        if flexible {
            self.length(value.len(), true)?;
        } else {
            let too_long = EncodeError::TooLong { len: value.len(), max: CLASSIC_STRING_BYTES_MAX };
            self.i16(i16::try_from(value.len()).map_err(|_| too_long)?);
        }
        self.put(value.as_bytes());
        Ok(())
    }

    #[inline]
    fn bytes(&mut self, value: &[u8], flexible: bool) -> Result<(), EncodeError> {
        self.length(value.len(), flexible)?;
        self.put(value);
        Ok(())
    }

    #[inline]
    fn records(&mut self, value: &Records<'_>, flexible: bool) -> Result<(), EncodeError> {
        match *value {
            Records::Null => self.null(flexible),
            Records::Bytes(bytes) => self.bytes(bytes, flexible)?,
            Records::External { tag, len } => {
                self.length(len as usize, flexible)?;
                self.external(tag, len);
            }
        }
        Ok(())
    }

    /// Bytes written so far, external ones aside.
    fn own_bytes(&self) -> usize;

    /// Puts the size of what was written since `start` in front of it.
    fn insert_size(&mut self, start: usize) -> Result<(), EncodeError>;

    /// Begins the value of tagged field `tag`; [`Sink::end_tag`] ends it.
    #[inline]
    fn begin_tag(&mut self, tag: u32) -> usize {
        self.varint(tag);
        self.own_bytes()
    }

    /// Ends the tagged field whose value began at `start`.
    #[inline]
    fn end_tag(&mut self, start: usize) -> Result<(), EncodeError> {
        self.insert_size(start)
    }
}

impl Sink for Writer {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn external(&mut self, tag: u32, len: u32) {
        if len > 0 {
            self.cuts.push(Cut { at: self.bytes.len(), tag, len });
            self.external_bytes += len as usize;
        }
    }

    fn own_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn insert_size(&mut self, start: usize) -> Result<(), EncodeError> {
        let end = self.bytes.len();
        // The size goes behind the value, then both change places: tagged values are short and rare.
        self.varint(tagged_size(end - start)?);
        self.bytes[start..].rotate_left(end - start);
        Ok(())
    }
}

impl Sink for Measure {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.own += bytes.len();
    }

    #[inline]
    fn external(&mut self, _: u32, _: u32) {}

    fn own_bytes(&self) -> usize {
        self.own
    }

    fn insert_size(&mut self, start: usize) -> Result<(), EncodeError> {
        self.varint(tagged_size(self.own - start)?);
        Ok(())
    }
}

fn tagged_size(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len).map_err(|_| EncodeError::TooLong { len, max: u32::MAX as usize })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_records_split_the_bytes() {
        let mut writer = Writer::new();
        let start = writer.begin_frame();
        writer.i8(7);
        writer.records(&Records::External { tag: 3, len: 100 }, true).unwrap();
        writer.records(&Records::External { tag: 4, len: 0 }, false).unwrap();
        writer.end_frame(start).unwrap();
        let expect = [
            Piece::Bytes(vec![0, 0, 0, 106, 7, 101]),
            Piece::External { tag: 3, len: 100 },
            Piece::Bytes(vec![0, 0, 0, 0]),
        ];
        assert_eq!(writer.finish(), expect);
    }

    #[test]
    fn a_classic_string_has_sixteen_bits_of_length() {
        let long = "x".repeat(40_000);
        let mut writer = Writer::new();
        assert_eq!(writer.string(&long, false), Err(EncodeError::TooLong { len: 40_000, max: 32_767 }));
        writer.string(&long, true).unwrap();
        assert_eq!(writer.len(), 40_003);
    }
}

//! A cursor over the bytes of one frame: bounded, borrowing, never panicking.
//!
//! What the bytes mean is in `messages`; the bounds themselves are in `limits`.

use std::borrow::Cow;

use crate::error::DecodeError;
use crate::limits::{self, VARINT_BYTES_MAX};
use crate::types::{Bytes, Records, Str};
use crate::uuid::Uuid;

/// Reads a frame from front to back.
///
/// Every count is held against the bytes that remain, and the memory of every list is charged to a budget that the
/// frame's size sets, before it is allocated.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The frame up to the current limit: its end, or the end of the tagged field being read.
    frame: &'a [u8],
    /// Next byte to read. Invariant: never beyond `frame`.
    position: usize,
    /// Bytes of memory that may still be allocated.
    budget: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first byte of `frame` (the bytes behind the four of its length).
    #[must_use]
    pub fn new(frame: &'a [u8]) -> Self {
        Self { frame, position: 0, budget: limits::budget(frame.len()) }
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.frame.len() - self.position
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The 16-bit integer `ahead` bytes further, without moving.
    pub fn peek_i16(&self, ahead: usize) -> Result<i16, DecodeError> {
        let rest = self.frame[self.position..].get(ahead..).unwrap_or_default();
        match rest.first_chunk() {
            Some(bytes) => Ok(i16::from_be_bytes(*bytes)),
            None => Err(DecodeError::Truncated { at: self.position + ahead, needed: 2, left: rest.len() }),
        }
    }

    /// Ends reading: an error if bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { at: self.position, left }),
        }
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let rest = &self.frame[self.position..];
        let Some(bytes) = rest.get(..len) else {
            return Err(DecodeError::Truncated { at: self.position, needed: len, left: rest.len() });
        };
        self.position += len;
        Ok(bytes)
    }

    #[inline]
    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let at = self.position;
        let rest = &self.frame[at..];
        let bytes = rest.first_chunk().ok_or(DecodeError::Truncated { at, needed: N, left: rest.len() })?;
        self.position += N;
        Ok(*bytes)
    }

    /// One byte, zero for false.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// A signed byte.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array_of()?))
    }

    /// A big-endian 16-bit integer.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array_of()?))
    }

    /// A big-endian unsigned 16-bit integer.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array_of()?))
    }

    /// A big-endian 32-bit integer.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array_of()?))
    }

    /// A big-endian 64-bit integer.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array_of()?))
    }

    /// A big-endian IEEE 754 double.
    #[inline]
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_be_bytes(self.array_of()?))
    }

    /// Sixteen bytes of id.
    #[inline]
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.array_of()?))
    }

    /// An unsigned varint: seven bits a byte, lowest first (KIP-482).
    #[inline]
    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let at = self.position;
        let mut value = 0u64;
        for i in 0..VARINT_BYTES_MAX {
            let [byte] = self.array_of()?;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| DecodeError::Varint { at });
            }
        }
        Err(DecodeError::Varint { at })
    }

    /// A length or count: `None` for null. Flexible versions send it plus one as a varint, classic ones as it is.
    #[inline]
    fn length(&mut self, flexible: bool, classic: impl Fn(&mut Self) -> Result<i32, DecodeError>) -> LengthResult {
        let at = self.position;
        let len = if flexible { i64::from(self.varint()?) - 1 } else { i64::from(classic(self)?) };
        match usize::try_from(len) {
            Ok(len) if len <= limits::LENGTH_MAX => Ok(Some(len)),
            Err(_) if len == -1 => Ok(None),
            _ => Err(DecodeError::Length { at, got: len }),
        }
    }

    /// A string or null.
    #[inline]
    pub fn string_opt(&mut self, flexible: bool) -> Result<Option<Str<'a>>, DecodeError> {
        let Some(len) = self.length(flexible, |r| r.i16().map(i32::from))? else { return Ok(None) };
        let at = self.position;
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::Utf8 { at })?;
        Ok(Some(Cow::Borrowed(text)))
    }

    /// A string.
    #[inline]
    pub fn string(&mut self, flexible: bool) -> Result<Str<'a>, DecodeError> {
        let at = self.position;
        self.string_opt(flexible)?.ok_or(DecodeError::Null { at })
    }

    /// Bytes or null; in classic versions their length has 32 bits, unlike a string's.
    #[inline]
    pub fn bytes_opt(&mut self, flexible: bool) -> Result<Option<Bytes<'a>>, DecodeError> {
        let Some(len) = self.length(flexible, Self::i32)? else { return Ok(None) };
        Ok(Some(Cow::Borrowed(self.take(len)?)))
    }

    /// Bytes.
    #[inline]
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes<'a>, DecodeError> {
        let at = self.position;
        self.bytes_opt(flexible)?.ok_or(DecodeError::Null { at })
    }

    /// The record batches of one partition, in place.
    #[inline]
    pub fn records(&mut self, flexible: bool) -> Result<Records<'a>, DecodeError> {
        match self.length(flexible, Self::i32)? {
            None => Ok(Records::Null),
            Some(len) => Ok(Records::Bytes(self.take(len)?)),
        }
    }

    /// A list or null. `item_bytes` is the smallest size of an item on the wire, `read` reads one.
    #[inline]
    pub fn array_opt<T>(
        &mut self,
        flexible: bool,
        item_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let at = self.position;
        let Some(count) = self.length(flexible, Self::i32)? else { return Ok(None) };
        self.charge(at, count, item_bytes, size_of::<T>())?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(Some(items))
    }

    /// A list. `item_bytes` is the smallest size of an item on the wire, `read` reads one.
    #[inline]
    pub fn array<T>(
        &mut self,
        flexible: bool,
        item_bytes: usize,
        read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let at = self.position;
        self.array_opt(flexible, item_bytes, read)?.ok_or(DecodeError::Null { at })
    }

    /// Holds `count` items against the bytes that remain and takes their memory from the budget.
    #[inline]
    fn charge(&mut self, at: usize, count: usize, item_bytes: usize, item_size: usize) -> Result<(), DecodeError> {
        debug_assert!(item_bytes > 0, "an item of no bytes would make every count fit");
        let left = self.remaining();
        if count > left / item_bytes {
            return Err(DecodeError::Count { at, count, item_bytes, left });
        }
        let wanted = count.saturating_mul(item_size);
        match self.budget.checked_sub(wanted) {
            Some(budget) => self.budget = budget,
            None => return Err(DecodeError::Budget { at, wanted, left: self.budget }),
        }
        Ok(())
    }

    /// The presence byte of a nullable struct: whether it follows.
    #[inline]
    pub fn present(&mut self) -> Result<bool, DecodeError> {
        let at = self.position;
        match self.i8()? {
            -1 => Ok(false),
            1 => Ok(true),
            got => Err(DecodeError::Length { at, got: got.into() }),
        }
    }

    /// The presence of a nullable struct in a tagged field, where Kafka counts in varints: 0 is null, 1 that it follows.
    #[inline]
    pub fn present_in_tag(&mut self) -> Result<bool, DecodeError> {
        let at = self.position;
        match self.varint()? {
            0 => Ok(false),
            1 => Ok(true),
            got => Err(DecodeError::Length { at, got: got.into() }),
        }
    }

    /// The tagged fields at the end of a flexible struct (KIP-482). `read` takes those it knows and says so; others
    /// are stepped over.
    #[inline]
    pub fn tags(
        &mut self,
        mut read: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let at = self.position;
        let count = self.varint()? as usize;
        // A tag is at least its number and its size, one byte each.
        if count > self.remaining() / 2 {
            return Err(DecodeError::Count { at, count, item_bytes: 2, left: self.remaining() });
        }
        for _ in 0..count {
            self.tag(&mut read)?;
        }
        Ok(())
    }

    /// The tagged fields of a struct that knows none.
    #[inline]
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(false))
    }

    fn tag(&mut self, read: &mut impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>) -> Result<(), DecodeError> {
        let tag = self.varint()?;
        let declared = self.varint()? as usize;
        let (frame, at) = (self.frame, self.position);
        if declared > self.remaining() {
            return Err(DecodeError::Truncated { at, needed: declared, left: self.remaining() });
        }
        self.frame = &frame[..at + declared];
        if !read(self, tag)? {
            self.position = at + declared;
        }
        if self.remaining() > 0 {
            return Err(DecodeError::TagSize { at, tag, declared, read: self.position - at });
        }
        self.frame = frame;
        Ok(())
    }
}

type LengthResult = Result<Option<usize>, DecodeError>;

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T>(
        bytes: &'a [u8],
        f: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        f(&mut Reader::new(bytes))
    }

    #[test]
    fn varints() {
        let table: [(&[u8], Result<u32, DecodeError>); 6] = [
            (&[0], Ok(0)),
            (&[0xac, 0x02], Ok(300)),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], Ok(u32::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0x1f], Err(DecodeError::Varint { at: 0 })),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0], Err(DecodeError::Varint { at: 0 })),
            (&[0x80], Err(DecodeError::Truncated { at: 1, needed: 1, left: 0 })),
        ];
        for (bytes, expect) in table {
            assert_eq!(read(bytes, Reader::varint), expect, "{bytes:02x?}");
        }
    }

    #[test]
    fn strings() {
        assert_eq!(read(&[0, 2, b'h', b'i'], |r| r.string(false)).unwrap(), "hi");
        assert_eq!(read(&[3, b'h', b'i'], |r| r.string(true)).unwrap(), "hi");
        assert_eq!(read(&[0xff, 0xff], |r| r.string_opt(false)), Ok(None));
        assert_eq!(read(&[0], |r| r.string_opt(true)), Ok(None));
        assert_eq!(read(&[0], |r| r.string(true)), Err(DecodeError::Null { at: 0 }));
        assert_eq!(read(&[0xff, 0xfe], |r| r.string_opt(false)), Err(DecodeError::Length { at: 0, got: -2 }));
        assert_eq!(read(&[2, 0xff], |r| r.string(true)), Err(DecodeError::Utf8 { at: 1 }));
    }

    #[test]
    fn a_count_must_fit_the_bytes_that_follow() {
        let two_billion = [0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4];
        let expect = Err(DecodeError::Count { at: 0, count: i32::MAX as usize, item_bytes: 4, left: 4 });
        assert_eq!(read(&two_billion, |r| r.array(false, 4, Reader::i32)), expect);
    }

    #[test]
    fn memory_is_charged_before_it_is_allocated() {
        let mut bytes = vec![0; 100_004];
        bytes[..4].copy_from_slice(&100_000i32.to_be_bytes());
        let got = read(&bytes, |r| r.array(false, 1, |r| r.i8().map(|b| [b; 1024])));
        let left = limits::budget(bytes.len());
        assert_eq!(got.unwrap_err(), DecodeError::Budget { at: 0, wanted: 102_400_000, left });
    }

    #[test]
    fn tags_known_and_unknown() {
        // Two tags: 7 is unknown and skipped, 1 holds an i16.
        let bytes = [2, 7, 3, 9, 9, 9, 1, 2, 0, 5, 42];
        let mut reader = Reader::new(&bytes);
        let mut value = 0;
        reader
            .tags(|r, tag| {
                if tag == 1 {
                    value = r.i16()?;
                }
                Ok(tag == 1)
            })
            .unwrap();
        assert_eq!((value, reader.remaining()), (5, 1));
    }

    #[test]
    fn a_tag_is_as_long_as_it_says() {
        let long = read(&[1, 0, 3, 0, 0, 0], |r| r.tags(|r, _| r.i16().map(|_| true)));
        assert_eq!(long, Err(DecodeError::TagSize { at: 3, tag: 0, declared: 3, read: 2 }));
        let short = read(&[1, 0, 1, 0, 0, 0], |r| r.tags(|r, _| r.i16().map(|_| true)));
        assert_eq!(short, Err(DecodeError::Truncated { at: 3, needed: 2, left: 1 }));
    }

    #[test]
    fn bytes_behind_the_message() {
        let mut reader = Reader::new(&[1, 2, 3]);
        reader.i8().unwrap();
        assert_eq!(reader.finish(), Err(DecodeError::Trailing { at: 1, left: 2 }));
    }
}

//! The grammar of one record, in the one place that knows it: the reader that borrows and the check that only passes over
//! the bytes both go through here.
//!
//! ```text
//! record:  length varint | attributes i8 | timestamp Δ varlong | offset Δ varint | key | value | header count varint | header*
//! key and value: length varint, -1 for null | bytes
//! header:  key length varint | key | value length varint, -1 for null | value
//! ```
//! `length` counts what follows it and has to come out exactly. Lengths below -1, which Kafka reads as null, are refused.

use std::io::{self, BufRead};

use crate::compress::{Codec, CompressError};

use super::BatchError;
use super::limits::RECORD_HEADER_LEN_MIN;
use super::varint::{Cursor, Stop};

/// A record up to its headers; `T` is what became of key and value.
pub(super) struct Fields<T> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<T>,
    pub(super) value: Option<T>,
    pub(super) header_count: u32,
}

/// What is wrong with a record.
#[derive(Debug)]
pub(super) enum Flaw {
    Reason(&'static str),
    Source(io::Error),
}

impl From<Stop> for Flaw {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::End => Flaw::Reason("it is shorter than its lengths say"),
            Stop::Overlong => Flaw::Reason("a varint has too many bits"),
            Stop::Source(error) => Flaw::Source(error),
        }
    }
}

impl Flaw {
    pub(super) fn at(self, index: i32, codec: Codec) -> BatchError {
        match self {
            Flaw::Reason(reason) => BatchError::Record { index, reason },
            Flaw::Source(error) => BatchError::Compression(CompressError::from_io(codec, error)),
        }
    }
}

/// Reads a record up to its header count and leaves the cursor fenced to the record's end.
#[inline]
pub(super) fn open<R: BufRead, T>(
    cursor: &mut Cursor<R>,
    take: impl Fn(&mut Cursor<R>, u32) -> Result<T, Stop>,
) -> Result<Fields<T>, Flaw> {
    cursor.allow(u64::MAX);
    let length = u32::try_from(cursor.varint()?).map_err(|_| Flaw::Reason("its length is negative"))?;
    cursor.allow(u64::from(length));
    // The attributes of a record have no meaning yet.
    cursor.byte()?;
    let timestamp_delta = cursor.varlong()?;
    let offset_delta = cursor.varint()?;
    let key = nullable_len(cursor)?.map(|len| take(cursor, len)).transpose()?;
    let value = nullable_len(cursor)?.map(|len| take(cursor, len)).transpose()?;
    let header_count = u32::try_from(cursor.varint()?).map_err(|_| Flaw::Reason("its header count is negative"))?;
    if u64::from(header_count) * RECORD_HEADER_LEN_MIN as u64 > cursor.left() {
        return Err(Flaw::Reason("it has no room for its headers"));
    }
    Ok(Fields { timestamp_delta, offset_delta, key, value, header_count })
}

/// Passes over the headers; the record has to end with them.
#[inline]
pub(super) fn close<R: BufRead>(cursor: &mut Cursor<R>, header_count: u32) -> Result<(), Flaw> {
    for _ in 0..header_count {
        let len = key_len(cursor)?;
        cursor.skip(u64::from(len))?;
        if let Some(len) = nullable_len(cursor)? {
            cursor.skip(u64::from(len))?;
        }
    }
    if cursor.left() == 0 { Ok(()) } else { Err(Flaw::Reason("it is longer than its fields")) }
}

/// The length of a header's key, which cannot be null.
pub(super) fn key_len<R: BufRead>(cursor: &mut Cursor<R>) -> Result<u32, Flaw> {
    u32::try_from(cursor.varint()?).map_err(|_| Flaw::Reason("a header key has a negative length"))
}

/// A length, or `None` for null.
#[inline]
pub(super) fn nullable_len<R: BufRead>(cursor: &mut Cursor<R>) -> Result<Option<u32>, Flaw> {
    match cursor.varint()? {
        -1 => Ok(None),
        len => u32::try_from(len).map(Some).map_err(|_| Flaw::Reason("a length is below -1")),
    }
}

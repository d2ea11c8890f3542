//! The records of a batch, borrowed from its bytes or from what they decompress to.

use std::borrow::Cow;

use crate::compress::{self, Codec};

use super::fields::{self, Flaw};
use super::header::TimestampType;
use super::varint::Cursor;
use super::view::BatchView;
use super::{BatchError, Limits};

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the log.
    pub offset: i64,
    /// Milliseconds since the epoch: the producer's, or the batch's append time.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; null is a tombstone.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// The headers in the order they were written, duplicates kept.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// UTF-8 by convention; brokers do not look.
    pub key: &'a [u8],
    /// Any bytes, or null.
    pub value: Option<&'a [u8]>,
}

/// Iterates over a record's headers, which were checked with the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (header, rest) = read_header(self.bytes)?;
        self.bytes = rest;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// The records of one batch, plain.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    body: Cow<'a, [u8]>,
    start: RecordsStart,
}

/// What turns a record's deltas into its offset and timestamp.
#[derive(Clone, Copy, Debug)]
struct RecordsStart {
    count: i32,
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl<'a> Records<'a> {
    pub(super) fn open(batch: &BatchView<'a>, limits: &Limits) -> Result<Self, BatchError> {
        let body = match batch.codec() {
            Codec::None => Cow::Borrowed(batch.body()),
            // A batch that compaction emptied has nothing to decompress.
            _ if batch.record_count() == 0 => Cow::Borrowed(&[][..]),
            codec => Cow::Owned(compress::decompress_capped(codec, batch.body(), limits.decompressed_bytes_max)?),
        };
        let append_time = (batch.timestamp_type() == TimestampType::LogAppendTime).then_some(batch.max_timestamp());
        let start = RecordsStart {
            count: batch.record_count(),
            base_offset: batch.base_offset(),
            last_offset_delta: batch.last_offset_delta(),
            base_timestamp: batch.base_timestamp(),
            append_time,
        };
        Ok(Records { body, start })
    }

    /// The records in order. A flaw is the last item; so are bytes behind the last record.
    #[must_use]
    pub fn iter(&self) -> RecordsIter<'_> {
        RecordsIter { cursor: Cursor::new(&self.body), start: self.start, index: 0, stopped: false }
    }

    /// The plain bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }
}

impl<'r> IntoIterator for &'r Records<'_> {
    type Item = Result<Record<'r>, BatchError>;
    type IntoIter = RecordsIter<'r>;

    fn into_iter(self) -> RecordsIter<'r> {
        self.iter()
    }
}

/// See [`Records::iter`].
pub struct RecordsIter<'r> {
    cursor: Cursor<&'r [u8]>,
    start: RecordsStart,
    index: i32,
    stopped: bool,
}

impl<'r> RecordsIter<'r> {
    fn record(&mut self) -> Result<Record<'r>, Flaw> {
        let fields = fields::open(&mut self.cursor, |cursor, len| cursor.take(len as usize))?;
        let before = self.cursor.rest();
        fields::close(&mut self.cursor, fields.header_count)?;
        let header_bytes = &before[..before.len() - self.cursor.rest().len()];
        if fields.offset_delta < 0 || fields.offset_delta > self.start.last_offset_delta {
            return Err(Flaw::Reason("its offset lies outside the batch"));
        }
        let created = self.start.base_timestamp.wrapping_add(fields.timestamp_delta);
        Ok(Record {
            offset: self.start.base_offset + i64::from(fields.offset_delta),
            timestamp: self.start.append_time.unwrap_or(created),
            key: fields.key,
            value: fields.value,
            headers: Headers { bytes: header_bytes, left: fields.header_count },
        })
    }
}

impl<'r> Iterator for RecordsIter<'r> {
    type Item = Result<Record<'r>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped {
            return None;
        }
        let record = if self.index < self.start.count {
            self.record()
        } else if self.cursor.rest().is_empty() {
            return None;
        } else {
            Err(Flaw::Reason("bytes follow the last record"))
        };
        self.stopped = record.is_err();
        let record = record.map_err(|flaw| flaw.at(self.index, Codec::None));
        self.index += i32::from(!self.stopped);
        Some(record)
    }
}

fn read_header(bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let mut cursor = Cursor::new(bytes);
    let key_len = fields::key_len(&mut cursor).ok()?;
    let key = cursor.take(key_len as usize).ok()?;
    let value_len = fields::nullable_len(&mut cursor).ok()?;
    let value = value_len.map(|len| cursor.take(len as usize)).transpose().ok()?;
    Some((Header { key, value }, cursor.rest()))
}

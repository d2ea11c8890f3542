//! Builds a batch record by record: for internal topics, markers, compaction, the load generator and tests. What producers
//! send is never rebuilt.

use crate::compress::{self, Codec};

use super::edit::seal;
use super::header::{Attributes, BatchHeader};
use super::layout::{self, HEADER_LEN};
use super::records::Header;
use super::varint::{put_varint, put_varlong, varlong_len};
use super::{MAGIC, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP};

/// A batch in the making: describe it, [`append`](Self::append) the records, [`build`](Self::build).
///
/// ```
/// use protocol::batch::{BatchBuilder, BatchView};
/// let mut builder = BatchBuilder::new().producer(7, 0, 42);
/// builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[]);
/// let bytes = builder.build();
/// let (batch, rest) = BatchView::parse(&bytes).unwrap();
/// assert_eq!((batch.record_count(), batch.base_sequence(), rest.len()), (1, 42, 0));
/// ```
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    codec: Codec,
    level: Option<i32>,
    /// Room for the header, then the records, plain.
    bytes: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An uncompressed batch at offset 0 without a producer id.
    #[must_use]
    pub fn new() -> Self {
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0,
            leader_epoch: NO_LEADER_EPOCH,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: -1,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            record_count: 0,
        };
        BatchBuilder { header, codec: Codec::None, level: None, bytes: vec![0; HEADER_LEN] }
    }

    /// Compresses the records with `codec`; `level` as in [`compress::compress`].
    #[must_use]
    pub fn compression(mut self, codec: Codec, level: Option<i32>) -> Self {
        (self.codec, self.level) = (codec, level);
        self
    }

    /// Offset of the first record and epoch of the leader that appends it.
    #[must_use]
    pub fn position(mut self, base_offset: i64, leader_epoch: i32) -> Self {
        (self.header.base_offset, self.header.leader_epoch) = (base_offset, leader_epoch);
        self
    }

    /// The idempotent producer, and the sequence of the first record.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Makes the batch part of its producer's transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.attributes.0 |= Attributes::TRANSACTIONAL;
        self
    }

    /// Makes the records control records.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.header.attributes.0 |= Attributes::CONTROL;
        self
    }

    /// Adds a record at the next offset. `timestamp_ms` is milliseconds since the epoch, or -1 for none.
    ///
    /// # Panics
    /// If the record is beyond what the format's 32-bit lengths express.
    pub fn append(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        let offset_delta = self.header.last_offset_delta + 1;
        self.append_at(offset_delta, timestamp_ms, key, value, headers);
    }

    /// Adds a record at `offset_delta` from the base offset: compaction leaves gaps.
    ///
    /// # Panics
    /// If the offset does not lie behind the last one, or the record is beyond the format's 32-bit lengths.
    pub fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        assert!(offset_delta > self.header.last_offset_delta, "offset delta {offset_delta} goes back");
        if self.header.record_count == 0 {
            (self.header.base_timestamp, self.header.max_timestamp) = (timestamp_ms, timestamp_ms);
        }
        let timestamp_delta = timestamp_ms.wrapping_sub(self.header.base_timestamp);
        self.put_record(timestamp_delta, offset_delta, key, value, headers);
        self.header.last_offset_delta = offset_delta;
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp_ms);
        self.header.record_count += 1;
    }

    /// Number of records so far.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Bytes of the batch so far, before compression.
    #[must_use]
    pub fn plain_size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The finished batch, checksum included. Without records it is an empty batch with one offset, as compaction leaves it.
    #[must_use]
    pub fn build(mut self) -> Vec<u8> {
        let mut batch = if self.codec == Codec::None || self.header.record_count == 0 {
            self.bytes
        } else {
            self.header.attributes = self.header.attributes.with_codec(self.codec);
            let body = compress::compress(self.codec, self.level, &self.bytes[HEADER_LEN..]);
            let mut batch = Vec::with_capacity(HEADER_LEN + body.len());
            batch.resize(HEADER_LEN, 0);
            batch.extend_from_slice(&body);
            batch
        };
        self.header.last_offset_delta = self.header.last_offset_delta.max(0);
        self.header.batch_length = len_i32(batch.len() - layout::LENGTH_PREFIX_LEN);
        batch[..HEADER_LEN].copy_from_slice(&self.header.encode());
        seal(&mut batch);
        batch
    }

    fn put_record(
        &mut self,
        timestamp_delta: i64,
        offset_delta: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        let headers_len: usize =
            headers.iter().map(|header| nullable_len(Some(header.key)) + nullable_len(header.value)).sum();
        let fixed = 1 + varlong_len(timestamp_delta) + varlong_len(i64::from(offset_delta));
        let payload = nullable_len(key) + nullable_len(value) + varlong_len(headers.len() as i64) + headers_len;
        put_varint(&mut self.bytes, len_i32(fixed + payload));
        self.bytes.push(0);
        put_varlong(&mut self.bytes, timestamp_delta);
        put_varint(&mut self.bytes, offset_delta);
        put_nullable(&mut self.bytes, key);
        put_nullable(&mut self.bytes, value);
        put_varint(&mut self.bytes, len_i32(headers.len()));
        for header in headers {
            put_nullable(&mut self.bytes, Some(header.key));
            put_nullable(&mut self.bytes, header.value);
        }
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(out, len_i32(bytes.len()));
            out.extend_from_slice(bytes);
        }
        None => put_varint(out, -1),
    }
}

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_len(bytes.len() as i64) + bytes.len())
}

/// A length of ours as the format stores it.
fn len_i32(len: usize) -> i32 {
    assert!(i32::try_from(len).is_ok(), "{len} bytes do not fit a 32-bit length");
    len as i32
}

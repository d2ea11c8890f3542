//! A batch whose structure is proven: what stands behind a [`BatchView`] can be walked, patched and served.
//!
//! Proven: the length, magic 2, a known codec, counts and offsets that fit together. Not proven, because it costs a pass over
//! the bytes and the caller knows whether it happened already: the checksum ([`BatchView::check_crc`]) and the records.

use crate::compress::Codec;
use crate::crc::crc32c;

use super::header::{Attributes, BatchHeader, TimestampType};
use super::layout::{self, HEADER_LEN};
use super::limits::{Limits, RECORD_LEN_MIN};
use super::records::Records;
use super::{BatchError, MAGIC};

/// One whole batch, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchView<'a> {
    bytes: &'a [u8],
    header: BatchHeader,
    codec: Codec,
}

impl<'a> BatchView<'a> {
    /// Takes the first batch off `bytes` and returns it with what follows.
    ///
    /// Batches that compaction thinned or emptied are fine here: fewer records than offsets, even none.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let size = size_of_first(bytes)?;
        let truncated = BatchError::Truncated { needed: size, got: bytes.len() };
        let (batch, rest) = bytes.split_at_checked(size).ok_or(truncated)?;
        let Some(head) = batch.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::Length { got: (size - layout::LENGTH_PREFIX_LEN) as i32 });
        };
        let header = BatchHeader::decode(head);
        let codec = header.attributes.codec().map_err(|got| BatchError::UnknownCodec { got })?;
        let view = BatchView { bytes: batch, header, codec };
        view.check_counts()?;
        Ok((view, rest))
    }

    /// Compares the checksum with the bytes.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c(&self.bytes[layout::ATTRIBUTES..]);
        if computed == self.header.crc { Ok(()) } else { Err(BatchError::Crc { stored: self.header.crc, computed }) }
    }

    /// The records, decompressed if need be; `limits` bounds what that may cost. The checksum is not looked at.
    pub fn records(&self, limits: &Limits) -> Result<Records<'a>, BatchError> {
        Records::open(self, limits)
    }

    /// Shows offset and timestamp (milliseconds) of every record to `visit`, in order. Compressed records are looked at in a
    /// stream: however much they are, little of them is in memory.
    pub fn each_timestamp(&self, limits: &Limits, visit: impl FnMut(i64, i64)) -> Result<(), BatchError> {
        super::check::each_timestamp(self, limits, visit)
    }

    fn check_counts(&self) -> Result<(), BatchError> {
        let BatchHeader { base_offset, last_offset_delta, record_count, .. } = self.header;
        let fits = base_offset >= 0
            && last_offset_delta >= 0
            && record_count >= 0
            && i64::from(record_count) <= i64::from(last_offset_delta) + 1
            && base_offset.checked_add(i64::from(last_offset_delta) + 1).is_some();
        let justified = self.codec != Codec::None || record_count as usize <= self.body().len() / RECORD_LEN_MIN;
        if fits && justified {
            return Ok(());
        }
        Err(BatchError::Counts { records: record_count, last_offset_delta, base_offset })
    }

    /// The whole batch, header included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records as they travel, compressed or not.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// The header's fields.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(&self) -> i64 {
        self.header.base_offset
    }

    /// Offset of the last record, or of the place it had before compaction took it.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.header.last_offset()
    }

    /// The offset behind the batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.header.next_offset()
    }

    /// Last offset less base offset.
    #[must_use]
    pub fn last_offset_delta(&self) -> i32 {
        self.header.last_offset_delta
    }

    /// Epoch of the leader that appended the batch, -1 before that.
    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        self.header.leader_epoch
    }

    /// The checksum in the header.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.header.crc
    }

    /// Codec and flags.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.header.attributes
    }

    /// The codec of the records.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Who chose the timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.header.attributes.timestamp_type()
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.header.attributes.has(Attributes::TRANSACTIONAL)
    }

    /// Whether the records are control records.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.header.attributes.has(Attributes::CONTROL)
    }

    /// When compaction may drop the batch's tombstones and markers, milliseconds, where that has been decided (KIP-534).
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.header.attributes.has(Attributes::DELETE_HORIZON).then_some(self.header.base_timestamp)
    }

    /// What the records' timestamps count from, milliseconds.
    #[must_use]
    pub fn base_timestamp(&self) -> i64 {
        self.header.base_timestamp
    }

    /// Largest timestamp, milliseconds.
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// Producer id, -1 without idempotence.
    #[must_use]
    pub fn producer_id(&self) -> i64 {
        self.header.producer_id
    }

    /// Producer epoch, -1 without idempotence.
    #[must_use]
    pub fn producer_epoch(&self) -> i16 {
        self.header.producer_epoch
    }

    /// Sequence of the first record, -1 without idempotence.
    #[must_use]
    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    /// Sequence of the last record. Sequences wrap to 0 behind `i32::MAX` (Kafka's `DefaultRecordBatch.incrementSequence`).
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        match self.header.base_sequence {
            sequence if sequence < 0 => sequence,
            sequence => ((i64::from(sequence) + i64::from(self.header.last_offset_delta)) & i64::from(i32::MAX)) as i32,
        }
    }

    /// Whether the producer is idempotent.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.header.producer_id >= 0
    }

    /// Number of records.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }
}

/// Bytes that the batch at the front of `bytes` takes; checks the magic first, since older formats are shorter.
fn size_of_first(bytes: &[u8]) -> Result<usize, BatchError> {
    let Some(prefix) = bytes.first_chunk::<{ layout::CRC }>() else {
        return Err(BatchError::Truncated { needed: HEADER_LEN, got: bytes.len() });
    };
    let [.., a, b, c, d, _, _, _, _, magic] = *prefix;
    let length = i32::from_be_bytes([a, b, c, d]);
    let size = usize::try_from(length).ok().and_then(|length| length.checked_add(layout::LENGTH_PREFIX_LEN));
    match size {
        // No format of any version is shorter than what precedes its magic.
        Some(size) if size >= layout::CRC => match magic as i8 {
            MAGIC => Ok(size),
            got => Err(BatchError::Magic { got }),
        },
        _ => Err(BatchError::Length { got: length }),
    }
}

//! The 61 bytes in front of the records, decoded as they stand: nothing here is proven.
//!
//! Recovery scans and `dump-log` work on this type, because they have to show and judge headers that are wrong. Whoever
//! wants facts takes a [`BatchView`](super::BatchView).

use crate::compress::Codec;

use super::layout::{self, HEADER_LEN};

/// Who chose the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker, one for the whole batch: its maximum timestamp.
    LogAppendTime,
}

/// The attributes of a batch: codec in bits 0 to 2, then one flag a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC_MASK: i16 = 0x07;
    /// Set when the broker chose the timestamp.
    pub const LOG_APPEND_TIME: i16 = 0x08;
    /// Set when the batch belongs to a transaction.
    pub const TRANSACTIONAL: i16 = 0x10;
    /// Set when the records are control records.
    pub const CONTROL: i16 = 0x20;
    /// Set when the base timestamp holds the time from which compaction may drop tombstones and markers (KIP-534).
    pub const DELETE_HORIZON: i16 = 0x40;

    /// The codec, or its number where there is no such codec.
    pub fn codec(self) -> Result<Codec, u8> {
        let id = (self.0 & Self::CODEC_MASK) as u8;
        Codec::from_id(id).ok_or(id)
    }

    /// The same flags with another codec.
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Self {
        Attributes(self.0 & !Self::CODEC_MASK | i16::from(codec.id()))
    }

    /// Who chose the timestamps.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.has(Self::LOG_APPEND_TIME) { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    /// Whether any of these bits is set.
    #[must_use]
    pub fn has(self, bits: i16) -> bool {
        self.0 & bits != 0
    }
}

/// A batch header as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes that follow the length field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch, -1 before that.
    pub leader_epoch: i32,
    /// Format version.
    pub magic: i8,
    /// CRC-32C of the bytes from the attributes on.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Offset of the last record less the base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamps count from, milliseconds; the delete horizon where that flag is set.
    pub base_timestamp: i64,
    /// Largest timestamp, milliseconds; the append time where the broker chose it.
    pub max_timestamp: i64,
    /// Producer id, -1 without idempotence.
    pub producer_id: i64,
    /// Producer epoch, -1 without idempotence.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 without idempotence.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the fields; every value of every byte has a reading.
    #[must_use]
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        BatchHeader {
            base_offset: i64::from_be_bytes(field(bytes, layout::BASE_OFFSET)),
            batch_length: i32::from_be_bytes(field(bytes, layout::BATCH_LENGTH)),
            leader_epoch: i32::from_be_bytes(field(bytes, layout::LEADER_EPOCH)),
            magic: i8::from_be_bytes(field(bytes, layout::MAGIC)),
            crc: u32::from_be_bytes(field(bytes, layout::CRC)),
            attributes: Attributes(i16::from_be_bytes(field(bytes, layout::ATTRIBUTES))),
            last_offset_delta: i32::from_be_bytes(field(bytes, layout::LAST_OFFSET_DELTA)),
            base_timestamp: i64::from_be_bytes(field(bytes, layout::BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(field(bytes, layout::MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(field(bytes, layout::PRODUCER_ID)),
            producer_epoch: i16::from_be_bytes(field(bytes, layout::PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(field(bytes, layout::BASE_SEQUENCE)),
            record_count: i32::from_be_bytes(field(bytes, layout::RECORD_COUNT)),
        }
    }

    /// The 61 bytes of these fields.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, layout::BASE_OFFSET, self.base_offset.to_be_bytes());
        put(&mut bytes, layout::BATCH_LENGTH, self.batch_length.to_be_bytes());
        put(&mut bytes, layout::LEADER_EPOCH, self.leader_epoch.to_be_bytes());
        put(&mut bytes, layout::MAGIC, self.magic.to_be_bytes());
        put(&mut bytes, layout::CRC, self.crc.to_be_bytes());
        put(&mut bytes, layout::ATTRIBUTES, self.attributes.0.to_be_bytes());
        put(&mut bytes, layout::LAST_OFFSET_DELTA, self.last_offset_delta.to_be_bytes());
        put(&mut bytes, layout::BASE_TIMESTAMP, self.base_timestamp.to_be_bytes());
        put(&mut bytes, layout::MAX_TIMESTAMP, self.max_timestamp.to_be_bytes());
        put(&mut bytes, layout::PRODUCER_ID, self.producer_id.to_be_bytes());
        put(&mut bytes, layout::PRODUCER_EPOCH, self.producer_epoch.to_be_bytes());
        put(&mut bytes, layout::BASE_SEQUENCE, self.base_sequence.to_be_bytes());
        put(&mut bytes, layout::RECORD_COUNT, self.record_count.to_be_bytes());
        bytes
    }

    /// Bytes of the whole batch, or `None` where the length field cannot be true.
    #[must_use]
    pub fn size_bytes(&self) -> Option<usize> {
        let size = usize::try_from(self.batch_length).ok()?.checked_add(layout::LENGTH_PREFIX_LEN)?;
        (size >= HEADER_LEN).then_some(size)
    }

    /// Offset of the last record; saturates where the fields are nonsense.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset behind the batch; saturates where the fields are nonsense.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }
}

/// The `N` bytes at `at`, a constant of `layout`.
pub(super) fn field<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// Writes a field at `at`, a constant of `layout`.
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&field);
}

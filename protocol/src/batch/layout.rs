//! Where each field of a batch header lies. The only place in the crate that states these numbers; `mod.rs` draws them.

/// Offset of the first record, i64.
pub const BASE_OFFSET: usize = 0;
/// Bytes that follow this field, i32.
pub const BATCH_LENGTH: usize = BASE_OFFSET + 8;
/// Epoch of the leader that appended the batch, i32.
pub const LEADER_EPOCH: usize = BATCH_LENGTH + 4;
/// Format version, i8; at the same place in every format that Kafka ever had.
pub const MAGIC: usize = LEADER_EPOCH + 4;
/// CRC-32C of everything from [`ATTRIBUTES`] on, u32.
pub const CRC: usize = MAGIC + 1;
/// Codec and flags, i16.
pub const ATTRIBUTES: usize = CRC + 4;
/// Offset of the last record less the base offset, i32.
pub const LAST_OFFSET_DELTA: usize = ATTRIBUTES + 2;
/// Timestamp the records' deltas count from, i64 milliseconds.
pub const BASE_TIMESTAMP: usize = LAST_OFFSET_DELTA + 4;
/// Largest timestamp, i64 milliseconds.
pub const MAX_TIMESTAMP: usize = BASE_TIMESTAMP + 8;
/// Producer id, i64.
pub const PRODUCER_ID: usize = MAX_TIMESTAMP + 8;
/// Producer epoch, i16.
pub const PRODUCER_EPOCH: usize = PRODUCER_ID + 8;
/// Sequence of the first record, i32.
pub const BASE_SEQUENCE: usize = PRODUCER_EPOCH + 2;
/// Number of records, i32.
pub const RECORD_COUNT: usize = BASE_SEQUENCE + 4;
/// Length of the header: where the records begin.
pub const HEADER_LEN: usize = RECORD_COUNT + 4;

/// The bytes that [`BATCH_LENGTH`] does not count: base offset and the length itself.
pub const LENGTH_PREFIX_LEN: usize = LEADER_EPOCH;

const _: () = assert!(HEADER_LEN == 61, "Kafka's DefaultRecordBatch.RECORD_BATCH_OVERHEAD");
const _: () = assert!(CRC < ATTRIBUTES && LEADER_EPOCH < CRC, "what the broker patches lies outside the CRC");

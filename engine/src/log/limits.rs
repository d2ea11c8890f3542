//! Bounds of the log, and why they fit together.

use crate::mem::BLOCK;
use protocol::batch::layout::HEADER_LEN;

/// The unit of direct writes, in bytes.
pub(super) const BLOCK_BYTES: u64 = BLOCK as u64;

/// Most slices of one vectored write: the kernel's IOV_MAX.
pub(super) const WRITE_SLICES_MAX: usize = 1024;

/// Smallest chunk of tail memory, in bytes: what an idle partition holds.
pub(super) const CHUNK_MIN: usize = 4 * BLOCK;

/// Largest chunk of tail memory unless one batch is larger, in bytes; also the buffer pool's largest class.
pub(super) const CHUNK_MAX: usize = 4 << 20;

/// Sizes of chunks, in bytes.
pub(super) const CHUNK_SIZES: [usize; 5] = [CHUNK_MIN, 64 << 10, 256 << 10, 1 << 20, CHUNK_MAX];

/// Appends after a revoked lease before the log lends again: with two producers in turn, every lease would be revoked and
/// every revocation begins a chunk.
pub(super) const LEASE_PAUSE_APPENDS: u32 = 16;

/// Batches closer together than this share an entry of a chunk's index, in bytes: finding one walks at most that far.
pub(super) const CHUNK_MARK_BYTES: usize = 2048;

/// First step in which a segment reserves space, in bytes.
pub(super) const GROW_MIN: u64 = 16 << 10;

/// Largest step in which a segment reserves space, in bytes.
pub(super) const GROW_MAX: u64 = 64 << 20;

/// Bytes of one read of a recovery scan or a cold read.
pub(super) const READ_BYTES: usize = 1 << 20;

/// Bytes of a log that are copied in one go when it is moved to another data folder. No more than this is left to be copied when
/// the log stands still.
pub(super) const RELOCATE_BYTES: usize = 1 << 20;

/// The last pause before a file that is not there counts as missing: half of how long folders may take to change their names while
/// somebody reads, in milliseconds.
pub(super) const MISSING_MS_MAX: u64 = 1024;

/// Bytes of one zero-write that prepares a spare.
pub(super) const ZERO_BYTES: usize = 1 << 20;

/// Parts of a journal that are written again one after the other.
pub(super) const JOURNAL_REGIONS: usize = 8;

/// A journal smaller than this is not worth having, in bytes.
pub(super) const JOURNAL_BYTES_MIN: u64 = 128 << 10;

/// Most bytes of one block of a journal.
pub(super) const JOURNAL_BLOCK_MAX: u64 = 1 << 20;

/// Blocks of a journal that are written side by side.
pub(super) const JOURNAL_IN_FLIGHT: usize = 2;

/// What a log has to make durable in one go from this many bytes on is worth a flush of its own: written once instead of
/// twice.
pub(super) const JOURNAL_BYPASS: u64 = 64 << 10;

/// A segment that is so many bytes behind the journal is filled.
pub(super) const JOURNAL_FILL: u64 = 256 << 10;

/// Segments that are filled and flushed side by side to free a part of the journal.
pub(super) const JOURNAL_DRAINS: usize = 16;

/// Small flushes are counted for so long before it is decided whether a journal is worth its space, in milliseconds.
pub(super) const JOURNAL_WINDOW_MS: u64 = 1000;

/// Largest sealed index that is loaded, in bytes: one entry a block of a segment of 2 GiB, with room to spare.
pub(super) const INDEX_BYTES_MAX: u64 = 64 << 20;

/// Sealed indexes kept in memory a shard.
pub(super) const INDEXES_CACHED: usize = 64;

/// Largest producer snapshot or checkpoint that is loaded, in bytes.
pub(super) const STATE_BYTES_MAX: u64 = 256 << 20;

/// Segments that one cold read may look into before it finds a batch.
pub(super) const PLAN_SEGMENTS_MAX: usize = 8;

/// Positions and relative offsets of an index are 32 bits, as Kafka's are.
pub(super) const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

/// Milliseconds between two looks at a full disk.
pub(super) const FULL_PROBE_MS: u64 = 1000;

/// Free bytes that end a log's "disk full", beyond what its next step needs.
pub(super) const FULL_RESERVE_BYTES: u64 = 1 << 20;

/// From a start to the first look of the scrub, in milliseconds: a start has enough to do.
pub(super) const SCRUB_FIRST_MS: u64 = 60_000;

/// How long compaction works before it lets everything else of its shard go first, in microseconds. Somebody who comes in between
/// waits for that and one piece more, so less than half a millisecond.
pub(super) const CLEAN_SLICE_US: u64 = 150;

/// Bytes that it goes through at most in that time: where time stands still meanwhile, as in the simulator, others get their turns,
/// too.
pub(super) const CLEAN_SLICE_BYTES: usize = 256 << 10;

/// Records that are gone through in one piece.
pub(super) const CLEAN_RECORDS: usize = 512;

/// Segments that become one at most: what a pass has written of them is lost when it has to end in between.
pub(super) const CLEAN_SEGMENTS_MAX: usize = 64;

/// A pass that waits for its turn looks so often whether it is still wanted, in milliseconds.
pub(super) const CLEAN_WAIT_MS: u64 = 100;

/// Longest time to the next attempt at a log that could not be cleaned, in milliseconds.
pub(super) const CLEAN_RETRY_MS_MAX: u64 = 3_600_000;

/// Snapshots kept a log: the newest may lie above what a crash leaves.
pub(super) const SNAPSHOTS_KEPT: usize = 2;

/// Room behind the end in which recovery of a recycled file must find zeros, in bytes: less would let old bytes
/// complete a header.
pub(super) const STOPPER_BYTES: u64 = HEADER_LEN as u64;

const _: () = assert!(CHUNK_MIN >= 2 * BLOCK, "a chunk holds a carried block and something new");
const _: () = assert!(CHUNK_MIN.is_power_of_two() && CHUNK_MAX.is_power_of_two(), "chunks double from min to max");
const _: () = assert!(GROW_MIN.is_multiple_of(BLOCK_BYTES) && GROW_MAX.is_multiple_of(BLOCK_BYTES), "whole blocks");
const _: () = assert!(READ_BYTES.is_multiple_of(BLOCK) && ZERO_BYTES.is_multiple_of(BLOCK), "whole blocks");
const _: () =
    assert!(JOURNAL_BYTES_MIN / JOURNAL_REGIONS as u64 >= 4 * BLOCK_BYTES, "a region holds some and a marker");
const _: () = assert!(JOURNAL_REGIONS >= 4, "half of the regions are filled behind while the others are written");
const _: () = assert!(CHUNK_MARK_BYTES < BLOCK, "a mark a block at least");
const _: () = assert!(STOPPER_BYTES < BLOCK_BYTES, "one more block is always enough");

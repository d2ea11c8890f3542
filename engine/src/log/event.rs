//! What a log set answers and reports: results of calls, errors by cause, and events.

use super::config::LogId;
use super::scan::Damage;
use crate::mem::Lease;
use std::path::PathBuf;

/// One batch to append: exactly one, validated, in format v2.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// The batch. Its base offset and leader epoch are patched in the copy.
    pub bytes: &'a [u8],
    /// Offset of its first record: the log's end.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Epoch of the leader that appends it.
    pub leader_epoch: i32,
    /// Largest timestamp in the batch, in milliseconds; -1 where it has none.
    pub max_timestamp: i64,
    /// Offset of the record with that timestamp where the caller knows it, else of the batch's last record.
    pub offset_of_max_timestamp: i64,
}

/// One batch to append that was received into a lease of the log: as [`Append`], with the bytes in place.
#[derive(Debug)]
pub struct LeasedAppend {
    /// The batch: everything that arrived in the lease.
    pub lease: Lease,
    /// Offset of its first record: the log's end.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Epoch of the leader that appends it.
    pub leader_epoch: i32,
    /// Largest timestamp in the batch, in milliseconds; -1 where it has none.
    pub max_timestamp: i64,
    /// Offset of the record with that timestamp where the caller knows it, else of the batch's last record.
    pub offset_of_max_timestamp: i64,
}

/// What both kinds of append say of their batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) len: usize,
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) max_timestamp: i64,
    pub(super) offset_of_max_timestamp: i64,
}

/// The bytes of a batch and where they lie.
#[derive(Debug)]
pub(super) enum Body<'a> {
    /// Somebody else's memory.
    Elsewhere(&'a [u8]),
    /// Memory that a log lent, not necessarily still the next bytes of it.
    Leased(Lease),
}

impl Body<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Body::Elsewhere(bytes) => bytes,
            Body::Leased(lease) => lease.as_slice(),
        }
    }
}

impl Append<'_> {
    pub(super) fn facts(&self) -> Facts {
        let Append { bytes, base_offset, last_offset, leader_epoch, max_timestamp, offset_of_max_timestamp } = *self;
        let len = bytes.len();
        Facts { len, base_offset, last_offset, leader_epoch, max_timestamp, offset_of_max_timestamp }
    }
}

impl LeasedAppend {
    pub(super) fn facts(&self) -> Facts {
        Facts {
            len: self.lease.as_slice().len(),
            base_offset: self.base_offset,
            last_offset: self.last_offset,
            leader_epoch: self.leader_epoch,
            max_timestamp: self.max_timestamp,
            offset_of_max_timestamp: self.offset_of_max_timestamp,
        }
    }
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    /// Base offset of the segment.
    pub segment: i64,
    /// Position of the batch in the segment's file, in bytes.
    pub position: u64,
    /// True when the batch opened a new segment.
    pub rolled: bool,
}

/// Why an append was refused; nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A write or flush failed earlier, or recovery found rot; the log takes nothing until a restart has verified it.
    #[error("the log was fenced after an I/O error")]
    Fenced,
    /// The disk has no room. Appends work again once it has.
    #[error("the disk is full")]
    Full,
    /// The shard's memory budget is spent, or the log is being truncated; try again after a turn.
    #[error("the log is busy")]
    Busy,
    /// The log was deleted.
    #[error("the log is deleted")]
    Deleted,
}

/// Why a read from disk failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes on disk are not what was written; they are not handed out.
    #[error("{file}: batch at byte {position} with base offset {base_offset}: {reason}")]
    Corrupt {
        /// The segment's file.
        file: PathBuf,
        /// Where the batch begins, in bytes.
        position: u64,
        /// What its header says, or the offset that was expected there.
        base_offset: i64,
        /// What is wrong.
        reason: String,
    },
    /// The device or file system answered with an error.
    #[error("{file}: {message}")]
    Io {
        /// The file.
        file: PathBuf,
        /// The system's message.
        message: String,
    },
    /// Retention, truncation or deletion took the segment away meanwhile: ask again.
    #[error("the segment is gone")]
    Gone,
}

/// Something that the log set found out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// Every offset below `upto` is durable by the log's setting.
    Durable {
        /// Which log.
        id: LogId,
        /// Exclusive end of what is durable.
        upto: i64,
    },
    /// The disk was full: everything from `from` on was dropped before it was acknowledged.
    Rejected {
        /// Which log.
        id: LogId,
        /// First offset that is gone: the log's new end.
        from: i64,
    },
    /// The disk has room again.
    Healed {
        /// Which log.
        id: LogId,
    },
    /// An I/O error ended the log's service until a restart.
    Fenced {
        /// Which log.
        id: LogId,
        /// What happened, with the file.
        error: String,
    },
    /// The first readable offset moved up.
    StartMoved {
        /// Which log.
        id: LogId,
        /// The new first offset.
        start: i64,
    },
    /// A segment is complete, flushed and cut to its length: a good moment for a snapshot.
    Sealed {
        /// Which log.
        id: LogId,
        /// First offset of the segment.
        base: i64,
        /// Exclusive end of the segment.
        end: i64,
    },
    /// A log is due for compaction: its owner answers with [`compact`](super::LogSet::compact). Said again later if he does not.
    Uncompacted {
        /// Which log.
        id: LogId,
    },
    /// [`truncate_suffix`](super::LogSet::truncate_suffix) is done, durably. A start inside the batch that was cut came
    /// down to the new end.
    Truncated {
        /// Which log.
        id: LogId,
        /// The log's new end.
        end: i64,
    },
    /// The scrub found bytes that are not what was written. Reads of these records fail from now on; where the damage has
    /// no records, the file follows from others.
    Damaged {
        /// Which log.
        id: LogId,
        /// The file.
        file: PathBuf,
        /// Where in it, and which records.
        damage: Damage,
    },
    /// The log lies in another data folder now.
    Relocated {
        /// Which log.
        id: LogId,
        /// The data folder that it lay in.
        from: PathBuf,
        /// The data folder.
        to: PathBuf,
    },
    /// A move of the log was given up; it is where it was.
    NotRelocated {
        /// Which log.
        id: LogId,
        /// Why, with the file.
        error: String,
    },
    /// The log's files are removed.
    Deleted {
        /// Which log.
        id: LogId,
    },
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOffsets {
    /// First offset that can be read.
    pub start: i64,
    /// Exclusive end of what is durable.
    pub durable: i64,
    /// Next offset to be written.
    pub end: i64,
}

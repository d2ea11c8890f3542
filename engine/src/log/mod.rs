//! Partition logs: append, read, flush, recovery, retention. What lies on disk is stated in `engine/FORMAT.md`.
//!
//! Reading order: [`LogConfig`] and the events are the vocabulary; `chunk` is a log's memory, `writer` its way to the
//! device, `index` and `scan` what is known and proven of a segment, `reader` the cold reads; [`LogSet`] puts them
//! together for one shard, and `recovery` brings logs back. Offsets, epochs and producer state are decided by the owner
//! above; nothing here knows a Kafka request.

mod config;
mod event;
mod limits;

mod names;

mod envelope;

mod copies;
mod epochs;
mod floor;
mod index;
mod kafka_files;
mod kafka_indexes;
mod peek;
mod scan;

mod check;

mod journal;

mod compact;

mod chunk;
#[cfg(test)]
mod chunk_oracle;
mod space;
mod writer;

mod files;
mod reader;
mod tasks;

mod relocate;
mod retention;
mod scrub;
mod state;

mod set;

mod recovery;

mod dump;
mod verify;

#[cfg(feature = "testing")]
pub mod testing;

pub use config::{Durability, LogConfig, LogId, LogLimits, LogName};
pub use copies::{TopicSeal, first_difference, open_copy, seal_copy};
pub use dump::{DumpEnd, DumpError, UNDERSTOOD, dump};
pub use envelope::EnvelopeError;
pub use epochs::Epochs;
pub use event::{Append, AppendError, AppendInfo, LeasedAppend, LogEvent, LogOffsets, ReadError};
pub use floor::{FloorEntry, FloorFile};
pub use index::{IndexEntry, SegmentIndex};
pub use kafka_files::base64_url;
pub use names::{COPY, is_log_folder};
pub use reader::{Read, ReadPlan, TimeHit};
pub use recovery::{
    Action, DataDir, DataDirError, FoundLog, RecoverError, RecoverHints, RecoveredLog, Repair, recover, scan_data_dir,
    settle_moves,
};
pub use scan::{Damage, Stop};
pub use set::{CompactionPace, CompactionTerms, FutureLog, LogSet, RelocateError, ShardDir, Shutdown, ShutdownError};
pub use tasks::{read_whole, replace, unlink};
pub use verify::{Advice, Finding, Verified, verify};

//! What a run may find: each is a promise of the log that was broken.

use engine::log::ShutdownError;

/// A broken promise. `log` is the folder's name; offsets are the log's.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named by the message")]
pub enum Violation {
    /// Durable records are gone.
    #[error("{log}: {promised} was durable, recovered up to {end}")]
    Lost { log: String, promised: i64, end: i64 },
    /// The whole log is gone.
    #[error("{log}: {durable} was durable, the folder is gone")]
    LogLost { log: String, durable: i64 },
    /// A log that was deleted, or never made.
    #[error("{log}: came back after it was deleted")]
    Resurrected { log: String },
    /// More than what was appended.
    #[error("{log}: ends at {end}, only {appended} was appended")]
    Phantom { log: String, end: i64, appended: i64 },
    /// A batch that was not appended there, or no longer is.
    #[error("{log}: the batch at {offset} is not the one that was appended there")]
    Changed { log: String, offset: i64 },
    /// Something between two batches, or nothing where a batch must be.
    #[error("{log}: expected a batch at {expected}, got {got:?}")]
    Hole { log: String, expected: i64, got: Option<i64> },
    /// The first offset is past what anybody asked for, or went back over a clean stop.
    #[error("{log}: starts at {got}, expected {expected}")]
    Start { log: String, got: i64, expected: i64 },
    /// Durable was reported of what was never appended, or went back.
    #[error("{log}: durable up to {upto} reported after {durable}, the end is {end}")]
    Durable { log: String, upto: i64, durable: i64, end: i64 },
    /// A truncation ended elsewhere than asked.
    #[error("{log}: cut to {got}, expected {expected}")]
    Cut { log: String, got: i64, expected: i64 },
    /// A read failed.
    #[error("{log}: reading {offset}: {error}")]
    Read { log: String, offset: i64, error: String },
    /// The wrong batch for a timestamp.
    #[error("{log}: timestamp {timestamp} is in {got:?}, expected {expected:?}")]
    Time { log: String, timestamp: i64, got: Option<i64>, expected: Option<i64> },
    /// A snapshot that was not put, or of a state that was taken back.
    #[error("{log}: snapshot of {upto} is not one that was put")]
    Snapshot { log: String, upto: i64 },
    /// The batches behind the snapshot are not those of idempotent producers there.
    #[error("{log}: producers' batches from {from}: recovered {got:?}, appended {expected:?}")]
    Producers { log: String, from: i64, got: Vec<i64>, expected: Vec<i64> },
    /// The log serves no more although no disk failed.
    #[error("{log}: out of service: {reason}")]
    OutOfService { log: String, reason: String },
    /// The data folder could not be opened.
    #[error("start failed: {0}")]
    Boot(String),
    /// Something never happened.
    #[error("waited in vain for {0}")]
    Stuck(String),
    /// A clean stop failed.
    #[error("stop failed: {0}")]
    Shutdown(#[from] ShutdownError),
    /// The same seed went another way.
    #[error("two runs of the seed differ: traces {0:016x} and {1:016x}")]
    Nondeterministic(u64, u64),
}

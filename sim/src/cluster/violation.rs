//! What a run may find: each is a promise to a Kafka user that was broken.

use super::truth::BatchKey;
use protocol::ErrorCode;
use std::fmt;

/// A partition, as in `orders-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(pub String, pub i32);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// A broken promise.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named by the message")]
pub enum Violation {
    /// Acknowledged records are gone.
    #[error("{at}: records up to {promised} were acknowledged or read, it ends at {end}")]
    Lost { at: Place, promised: i64, end: i64 },
    /// Rot was taken for a tail that was never acknowledged.
    #[error(
        "{at}: a bit has flipped in what was flushed up to {kept_below}, and a batch was put at {base} instead of it"
    )]
    Replaced { at: Place, kept_below: i64, base: i64 },
    /// A batch is in the log twice.
    #[error("{at}: {batch} is at {first} and at {second}")]
    Duplicate { at: Place, batch: BatchKey, first: i64, second: i64 },
    /// Two batches of one producer stand in another order than they were sent.
    #[error("{at}: {batch} is at {base}, out of the order in which its producer sent")]
    Reordered { at: Place, batch: BatchKey, base: i64 },
    /// Records that nobody sent there.
    #[error("{at}: at {offset} is a batch that nobody sent: {what}")]
    Phantom { at: Place, offset: i64, what: String },
    /// One offset has two contents.
    #[error("{at}: {offset} was {first} and is {second}")]
    Conflict { at: Place, offset: i64, first: BatchKey, second: BatchKey },
    /// A poll left records out or gave some again.
    #[error("{at}: a poll from {expected} went on with {got}")]
    Skipped { at: Place, expected: i64, got: i64 },
    /// The newest record of a key is gone from a compacted topic.
    #[error("{at}: the newest record of key {key}, at {offset}, is gone")]
    ValueLost { at: Place, key: u8, offset: i64 },
    /// A key was deleted, its tombstone is gone by right, and an older record of it is there.
    #[error("{at}: key {key} was deleted at {deleted}, and its record at {offset} is back")]
    ValueBack { at: Place, key: u8, deleted: i64, offset: i64 },
    /// The high watermark went back.
    #[error("{at}: the high watermark went from {from} back to {to}")]
    WatermarkWentBack { at: Place, from: i64, to: i64 },
    /// Records past the high watermark were served.
    #[error("{at}: a batch up to {last} was served, the high watermark is {high}")]
    PastWatermark { at: Place, last: i64, high: i64 },
    /// The log start went back, or past what anybody asked for.
    #[error("{at}: the log start went from {from} to {to}, at most {allowed} was asked for")]
    Start { at: Place, from: i64, to: i64, allowed: i64 },
    /// A topic that was created is not there.
    #[error("topic {0} was created and is gone")]
    TopicLost(String),
    /// A topic that was deleted is there, or its records are.
    #[error("topic {0} was deleted and is back: {1}")]
    TopicBack(String, String),
    /// A topic is configured as nobody acknowledged.
    #[error("topic {topic} is configured as {got}, known is {known}")]
    Config { topic: String, known: String, got: String },
    /// A committed offset went back.
    #[error("group {group}, {at}: {acknowledged} was committed, {got} came back (at most {issued} was asked for)")]
    OffsetWentBack { group: String, at: Place, acknowledged: i64, issued: i64, got: i64 },
    /// A group without members has other offsets than somebody left it with.
    #[error("group {group}, {at}: {known:?} was committed, {got:?} came back")]
    Ledger { group: String, at: Place, known: Vec<Option<i64>>, got: Option<i64> },
    /// A group that has offsets is not there.
    #[error("group {0} has committed offsets and is not listed")]
    GroupLost(String),
    /// A log lies in no folder, in two, or elsewhere than where it was moved.
    #[error("{at}: {what}")]
    Folder { at: Place, what: String },
    /// An administrator was told something that is not so.
    #[error("{who}: {what} says {got}")]
    Told { who: String, what: &'static str, got: String },
    /// Two members of one generation own a partition.
    #[error("group {group}, generation {generation}: partition {partition} belongs to {first} and to {second}")]
    TwoOwners { group: String, generation: i32, partition: i32, first: String, second: String },
    /// A member was given a partition that another still uses.
    #[error("group {group}: partition {partition} was given to {second} while {first} uses it")]
    TwoHolders { group: String, partition: i32, first: String, second: String },
    /// A generation number was used again.
    #[error("group {group}: generation {got} began after generation {known}")]
    GenerationWentBack { group: String, known: i32, got: i32 },
    /// A commit of a generation that was over was taken.
    #[error("group {group}: a commit of generation {old} was taken after generation {current} began")]
    Zombie { group: String, old: i32, current: i32 },
    /// The broker does not know what an idempotent producer sent last.
    #[error("{at}: {batch} follows what was acknowledged, the answer is {code}")]
    SequenceForgotten { at: Place, batch: BatchKey, code: ErrorCode },
    /// A producer id that somebody has already.
    #[error("producer id {0} was given out twice")]
    ProducerIdTwice(i64),
    /// Answers on one connection are not in the order of the requests.
    #[error("{who}: the answer to request {expected} was due, request {got} was answered")]
    AnswersOutOfOrder { who: String, expected: i32, got: i32 },
    /// An answer that cannot be understood.
    #[error("{who}: {what}: {error}")]
    Answer { who: String, what: &'static str, error: String },
    /// An error code that has no reason.
    #[error("{who}: {what} was answered by {code}")]
    Code { who: String, what: &'static str, code: String },
    /// No progress although nothing is broken any more.
    #[error("no progress within {seconds} s after the last fault: {who}")]
    Stuck { who: String, seconds: u64 },
    /// The node cannot start although nothing on its disk is damaged.
    #[error("the node does not start: {0}")]
    NoStart(String),
    /// A clean stop failed although nothing is broken.
    #[error("the node does not stop cleanly: {0}")]
    Stop(String),
    /// An assertion of the node failed.
    #[error("the node panicked: {0}")]
    Panic(String),
    /// The same seed went another way.
    #[error("two runs of the seed differ: traces {0:016x} and {1:016x}")]
    Nondeterministic(u64, u64),
}

impl Violation {
    /// The kind of promise, by which a shrinker knows it again.
    pub fn kind(&self) -> String {
        let text = format!("{self:?}");
        text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
    }
}

/// An error code by its name.
pub(crate) fn name_of(code: i16) -> String {
    ErrorCode::try_from(code).map_or_else(|_| code.to_string(), |code| code.name().to_owned())
}

//! What a run of the load generator does, and why one may end without figures.

use crate::frames::AnswerError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The broker.
    pub address: SocketAddr,
    /// Who produces.
    pub writers: Option<Writers>,
    /// Who fetches.
    pub readers: Option<Readers>,
    /// What is counted.
    pub window: Window,
}

/// Connections that produce to partitions in turn: connection `i` writes to partition `i mod partitions`, or walks over
/// several where there are more partitions than connections, so that a partition has one writer then.
#[derive(Clone, Debug)]
pub struct Writers {
    /// An existing topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// Connections.
    pub connections: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// Size of a batch in bytes; below one record's size it holds that one.
    pub batch_bytes: usize,
    /// Size of a record's value in bytes.
    pub record_bytes: usize,
    /// The acks field.
    pub acks: i16,
    /// What their requests are.
    pub sends: Sends,
}

/// What a writer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sends {
    /// Produce, with one batch for one partition.
    #[default]
    Batches,
    /// OffsetCommit, with one offset for one partition; connection `i` commits for group `bench-i`.
    Commits,
}

impl Sends {
    /// The group that a connection commits for.
    pub fn group(conn: usize) -> String {
        format!("bench-{conn}")
    }
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many are outstanding on each connection.
    Closed {
        /// How many.
        depth: usize,
    },
    /// At fixed times.
    Open {
        /// Requests a second over all connections.
        per_s: f64,
    },
}

/// Connections that fetch; connection `i` reads partition `i mod partitions`, one request at a time.
#[derive(Clone, Debug)]
pub struct Readers {
    /// An existing topic whose batches are all of one size.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// Connections.
    pub connections: usize,
    /// Most bytes an answer may hold.
    pub max_bytes: i32,
    /// Where they go.
    pub goes: Goes,
}

/// Where readers go when they reach the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// To the start again.
    Round,
    /// Nowhere: when all have, the run is over.
    Once,
    /// They wait for more: latency counts from the time at which a batch was due until its reader has it. The topic is the
    /// writers' and was empty, and it has a reader for each partition.
    Follow,
}

/// What is counted: after a warm-up by time and by work, for so long and so many bytes at most.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Least length of the warm-up.
    pub warm_up: Duration,
    /// Least number of answers in it: a JVM gets faster by work, not by time.
    pub warm_up_requests: u64,
    /// It ends after this long or this many bytes, whatever was reached.
    pub warm_up_max: Duration,
    /// See `warm_up_max`.
    pub warm_up_bytes_max: u64,
    /// Counted.
    pub duration: Duration,
    /// Ends the run early, so that a fast disk is not filled.
    pub bytes_max: u64,
}

impl Default for Window {
    fn default() -> Window {
        Window {
            warm_up: Duration::from_secs(2),
            warm_up_requests: 0,
            warm_up_max: Duration::from_secs(60),
            warm_up_bytes_max: u64::MAX,
            duration: Duration::from_secs(10),
            bytes_max: u64::MAX,
        }
    }
}

/// Why a run ended without figures.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A socket failed.
    #[error("connection {conn}: {error}")]
    Socket {
        /// Which connection.
        conn: usize,
        /// The cause.
        error: io::Error,
    },
    /// The broker refused a request, or answered what cannot be.
    #[error("connection {conn}: {error}")]
    Answer {
        /// Which connection.
        conn: usize,
        /// The cause.
        error: AnswerError,
    },
    /// JetStream refused a message.
    #[error("connection {conn}: JetStream answered {answer}")]
    Refused {
        /// Which connection.
        conn: usize,
        /// Its words.
        answer: String,
    },
    /// No answer for a long time.
    #[error("no answer for {0} s")]
    Stalled(u64),
    /// A request could not be encoded.
    #[error("encoding a request: {0}")]
    Encode(#[from] protocol::EncodeError),
    /// The poller failed.
    #[error("poll: {0}")]
    Poll(#[from] io::Error),
}

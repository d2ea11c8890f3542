//! Members of groups that speak the protocol themselves, all in one thread: what is measured is the broker and not a client's
//! library. [`classic`] and [`consumer`] are the members of the two protocols, each a machine that is told an answer and
//! says what to do next; [`crew`] has their connections and the loop; [`run`] says what they do and what is counted.

mod classic;
mod consumer;
mod crew;
mod run;

pub use run::{Figures, Plan, heartbeats, settle};

use crate::frames::AnswerError;
use std::io;
use std::time::Duration;

/// A member's longest silence in milliseconds: the Java client's default.
const SESSION_TIMEOUT_MS: i32 = 45_000;

/// How long members wait for each other in milliseconds: the Java client's `max.poll.interval.ms`.
const REBALANCE_TIMEOUT_MS: i32 = 300_000;

/// Before a request is sent again that the coordinator was not ready for.
const RETRY: Duration = Duration::from_millis(50);

/// Which protocol members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// JoinGroup, SyncGroup, Heartbeat; the leader assigns.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848); the broker assigns.
    Consumer,
}

impl Protocol {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Classic => "classic",
            Protocol::Consumer => "consumer",
        }
    }
}

/// What a member does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Sends this at once.
    Send(Vec<u8>),
    /// Sends what [`Member::due`] says after this long.
    After(Duration),
    /// Sends what [`Member::due`] says so long after its last request, or now if that is over.
    Since(Duration),
    /// Nothing that was not due already.
    Wait,
    /// Nothing: it has left.
    Nothing,
}

/// Where a member is: a generation or epoch, and how many partitions it has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    generation: i32,
    partitions: usize,
}

/// A member of either protocol.
#[derive(Debug)]
enum Member {
    Classic(classic::Classic),
    Consumer(consumer::Consumer),
}

impl Member {
    /// What it sends now that its time has come: to join, or a sign of life.
    fn due(&mut self) -> Result<Vec<u8>, MembersError> {
        match self {
            Member::Classic(member) => member.due(),
            Member::Consumer(member) => member.due(),
        }
    }

    /// Takes the answer, without its length prefix, to what it sent last.
    fn answered(&mut self, answer: &[u8]) -> Result<Next, MembersError> {
        match self {
            Member::Classic(member) => member.answered(answer),
            Member::Consumer(member) => member.answered(answer),
        }
    }

    /// How soon after a heartbeat it sends the next one, whatever is under way; none for one that waits for the answer.
    fn overlaps(&self) -> Option<Duration> {
        match self {
            Member::Classic(member) => member.overlaps(),
            Member::Consumer(_) => None,
        }
    }

    /// Between two of its heartbeats.
    fn interval(&self) -> Duration {
        match self {
            Member::Classic(member) => member.interval(),
            Member::Consumer(member) => member.interval(),
        }
    }

    /// Its last words.
    fn leave(&mut self) -> Result<Vec<u8>, MembersError> {
        match self {
            Member::Classic(member) => member.leave(),
            Member::Consumer(member) => member.leave(),
        }
    }

    /// Where it is; nowhere while it joins.
    fn place(&self) -> Option<Place> {
        match self {
            Member::Classic(member) => member.place(),
            Member::Consumer(member) => member.place(),
        }
    }
}

/// Why members could not do what they should.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// A socket failed.
    #[error("member {member}: {error}")]
    Socket {
        /// Which member.
        member: usize,
        /// The cause.
        error: io::Error,
    },
    /// The broker refused a request, or answered what cannot be.
    #[error("{what}: {error}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// The cause.
        error: AnswerError,
    },
    /// A request could not be encoded.
    #[error("encoding a request: {0}")]
    Encode(#[from] protocol::EncodeError),
    /// The poller failed.
    #[error("poll: {0}")]
    Poll(#[from] io::Error),
    /// The group did not come to rest.
    #[error("{0} after {1} s")]
    Late(String, u64),
}

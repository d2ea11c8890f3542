//! Why a request has no good answer. What a command makes of it, exit code and hint, is in [`report`](crate::report).

use super::address::Address;
use protocol::{ApiKey, DecodeError, EncodeError, ErrorCode, VersionRange};
use std::fmt;
use std::io;
use std::time::Duration;

/// What can go wrong between a command and the cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address of the list led to a broker.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A connection that worked has broken.
    #[error("the connection to {address} broke: {cause}")]
    Lost {
        /// The broker.
        address: Address,
        /// What the kernel says.
        cause: io::Error,
    },
    /// No answer in time.
    #[error("{address} has not answered {api:?} within {} ms", .after.as_millis())]
    Late {
        /// The broker.
        address: Address,
        /// What was asked.
        api: ApiKey,
        /// How long it had.
        after: Duration,
    },
    /// The broker does not serve the API in any version that we speak.
    #[error("{address} does not serve {api:?}{}", versions(.ours, .theirs))]
    NotServed {
        /// The broker.
        address: Address,
        /// The API.
        api: ApiKey,
        /// The versions that we speak.
        ours: VersionRange,
        /// The versions that it serves, if it serves any.
        theirs: Option<VersionRange>,
    },
    /// An answer that is none.
    #[error("{address} answered {api:?} with bytes that cannot be read: {cause}")]
    Unreadable {
        /// The broker.
        address: Address,
        /// What was asked.
        api: ApiKey,
        /// Where and how.
        cause: DecodeError,
    },
    /// What is asked cannot be said in the version that both sides speak.
    #[error("{address} serves {api:?} up to version {version}, which cannot say what is asked: {cause}")]
    Unsayable {
        /// The broker.
        address: Address,
        /// What was asked.
        api: ApiKey,
        /// The version both speak.
        version: i16,
        /// The field that has no place.
        cause: EncodeError,
    },
    /// A broker id that metadata does not know.
    #[error("the cluster has no broker {id}; it has {}", list(.known))]
    UnknownBroker {
        /// The id.
        id: i32,
        /// The ids it has.
        known: Vec<i32>,
    },
    /// The cluster understood and said no.
    #[error("{}", refusal(.what, *.code, .message))]
    Refused {
        /// What was asked, to stand before a colon: `topic "a"`.
        what: String,
        /// Kafka's error.
        code: ErrorCode,
        /// The broker's own words.
        message: Option<String>,
    },
}

fn versions(ours: &VersionRange, theirs: &Option<VersionRange>) -> String {
    match theirs {
        None => String::new(),
        Some(theirs) => format!(" in versions {ours}, only in {theirs}"),
    }
}

fn list(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

fn refusal(what: &str, code: ErrorCode, message: &Option<String>) -> String {
    let words = message.as_deref().map_or(code.message(), |message| message.trim_end_matches('.'));
    if what.is_empty() { format!("{words} ({code})") } else { format!("{what}: {words} ({code})") }
}

impl Error {
    /// `Ok` for code 0, otherwise the refusal that a response field stands for.
    pub fn check(code: i16, message: Option<&str>, what: impl FnOnce() -> String) -> Result<(), Error> {
        if code == 0 {
            return Ok(());
        }
        // A code from a newer Kafka is still an error: it keeps its number in the words.
        let (code, message) = match ErrorCode::try_from(code) {
            Ok(known) => (known, message.map(str::to_owned)),
            Err(unknown) => (ErrorCode::UnknownServerError, Some(unknown.to_string())),
        };
        Err(Error::Refused { what: what(), code, message })
    }

    /// Kafka's error, where the cluster gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same request may succeed a moment later. A topic that does not exist is not waited for.
    pub fn is_retriable(&self) -> bool {
        match self {
            Error::Lost { .. } => true,
            Error::Refused { code, .. } => code.is_retriable() && *code != ErrorCode::UnknownTopicOrPartition,
            _ => false,
        }
    }
}

/// Every address that was tried, with what stopped it.
#[derive(Debug)]
pub struct Unreachable {
    /// In the order they were tried.
    pub attempts: Vec<(Address, Cause)>,
    /// Whether the cluster gave the address, not the user: a broker answered, and said where others, or itself, are.
    pub named_by_cluster: bool,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to a broker")?;
        for (address, cause) in &self.attempts {
            write!(f, "\n  {address}: {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Unreachable {}

/// What stopped one address.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The name leads nowhere.
    #[error("the name cannot be resolved ({0})")]
    Name(String),
    /// The machine answers, nothing listens.
    #[error("connection refused: nothing listens on this port")]
    RefusedConnection,
    /// No answer at all.
    #[error("no answer within {} ms (wrong address, or a firewall drops packets)", .0.as_millis())]
    Timeout(Duration),
    /// Connected, but what came is no answer of a Kafka broker.
    #[error("something listens, but it does not speak Kafka's protocol in plaintext ({0})")]
    NotKafka(String),
    /// Anything else the kernel says.
    #[error("{0}")]
    Io(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i16, message: Option<&str>) -> Error {
        Error::check(code, message, || "topic \"a\"".to_owned()).unwrap_err()
    }

    #[test]
    fn a_code_of_zero_is_no_error() {
        assert!(Error::check(0, None, String::new).is_ok());
    }

    #[test]
    fn the_brokers_words_come_first() {
        let table = [
            (
                refused(36, Some("Topic 'a' already exists.")),
                "topic \"a\": Topic 'a' already exists (TOPIC_ALREADY_EXISTS)",
            ),
            (refused(36, None), "topic \"a\": a topic of this name exists (TOPIC_ALREADY_EXISTS)"),
            (refused(999, None), "topic \"a\": error code 999 is unknown (UNKNOWN_SERVER_ERROR)"),
        ];
        for (error, expect) in table {
            assert_eq!(error.to_string(), expect);
        }
    }

    #[test]
    fn what_is_worth_waiting_for() {
        assert!(refused(6, None).is_retriable(), "a leader that moved");
        assert!(!refused(3, None).is_retriable(), "a topic that is not there");
        assert!(!refused(36, None).is_retriable());
    }

    #[test]
    fn every_address_is_named_with_its_cause() {
        let attempts = vec![
            (Address::new("a", 1), Cause::RefusedConnection),
            (Address::new("b", 2), Cause::Timeout(Duration::from_secs(3))),
        ];
        let text = Unreachable { attempts, named_by_cluster: false }.to_string();
        assert!(
            text.contains("\n  a:1: connection refused") && text.contains("\n  b:2: no answer within 3000 ms"),
            "{text}"
        );
    }
}

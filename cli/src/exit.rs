//! What the exit codes mean. They are the same for every command, in both faces.

use protocol::ErrorCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked was done.
    Done = 0,
    /// The operation failed, in whole or in part.
    Failed = 1,
    /// The command line makes no sense; nothing was tried.
    Usage = 2,
    /// No broker can be reached.
    Unreachable = 3,
    /// The cluster refuses this client.
    Denied = 4,
    /// A topic, group, broker or record that was named is not there.
    NotFound = 5,
    /// The time was up before the answer.
    TimedOut = 6,
}

/// The table for `--help`.
pub const EXIT_CODES: &str = "Exit codes:
  0  done                              4  not authorized
  1  failed, in whole or in part       5  a topic, group, broker, … that was named is not there
  2  the command line makes no sense   6  the time was up before the answer
  3  no broker can be reached";

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        use ErrorCode as E;
        match code {
            E::None => Exit::Done,
            E::UnknownTopicOrPartition | E::UnknownTopicId | E::GroupIdNotFound | E::ResourceNotFound => Exit::NotFound,
            E::LogDirNotFound | E::TransactionalIdNotFound | E::UnknownMemberId => Exit::NotFound,
            E::TopicAuthorizationFailed | E::GroupAuthorizationFailed | E::ClusterAuthorizationFailed => Exit::Denied,
            E::TransactionalIdAuthorizationFailed | E::SaslAuthenticationFailed => Exit::Denied,
            E::DelegationTokenAuthorizationFailed => Exit::Denied,
            E::RequestTimedOut => Exit::TimedOut,
            _ => Exit::Failed,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_kafka_and_their_exit_codes() {
        for (code, expect) in [
            (ErrorCode::None, 0),
            (ErrorCode::TopicAlreadyExists, 1),
            (ErrorCode::TopicAuthorizationFailed, 4),
            (ErrorCode::UnknownTopicOrPartition, 5),
            (ErrorCode::GroupIdNotFound, 5),
            (ErrorCode::RequestTimedOut, 6),
        ] {
            assert_eq!(Exit::from(code) as u8, expect, "{code}");
        }
    }
}

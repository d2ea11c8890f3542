//! Why a batch was not written, and what that means for it and for those behind it.

use crate::client::Error;
use crate::failure::Failure;
use protocol::ErrorCode;

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Sending it again may work; whether it was written is not known.
    Again,
    /// A batch before it is missing: it was not written, and cannot be under its sequence.
    Resequence,
    /// Smaller batches may be taken.
    Split,
    /// It was refused for good.
    None,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) remedy: Remedy,
    pub(super) failure: Failure,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble { remedy: remedy(&error), failure: error.into() }
    }
}

fn remedy(error: &Error) -> Remedy {
    use ErrorCode as E;
    match error {
        Error::Lost { .. } | Error::Late { .. } | Error::Unreachable(_) | Error::UnknownBroker { .. } => Remedy::Again,
        Error::Refused {
            code: E::OutOfOrderSequenceNumber | E::UnknownProducerId | E::InvalidProducerEpoch, ..
        } => Remedy::Resequence,
        Error::Refused { code: E::MessageTooLarge | E::RecordListTooLarge, .. } => Remedy::Split,
        Error::Refused { code: E::UnknownTopicOrPartition, .. } => Remedy::Again,
        error if error.is_retriable() => Remedy::Again,
        _ => Remedy::None,
    }
}

//! Answers that wait until a change of the metadata is done.

use protocol::messages::alter_configs::AlterConfigsResponse;
use protocol::messages::create_partitions::CreatePartitionsResponse;
use protocol::messages::create_topics::CreateTopicsResponse;
use protocol::messages::delete_topics::DeleteTopicsResponse;
use protocol::messages::incremental_alter_configs::IncrementalAlterConfigsResponse;
use protocol::{EncodeError, ErrorCode, Writer};

/// The answer to a request that changes metadata, as it will be if the change succeeds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    CreateTopics(CreateTopicsResponse<'static>),
    DeleteTopics(DeleteTopicsResponse<'static>),
    CreatePartitions(CreatePartitionsResponse<'static>),
    AlterConfigs(AlterConfigsResponse<'static>),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse<'static>),
}

impl Answer {
    /// The change failed: everything that would have succeeded did not.
    pub(crate) fn fail(&mut self, code: ErrorCode) {
        let fail = |error_code: &mut i16, message: &mut Option<protocol::Str<'static>>| {
            if *error_code == ErrorCode::None.code() {
                *error_code = code.code();
                *message = Some("The change could not be recorded, or not in time".into());
            }
        };
        match self {
            Self::CreateTopics(answer) => {
                answer.topics.iter_mut().for_each(|topic| fail(&mut topic.error_code, &mut topic.error_message));
            }
            Self::DeleteTopics(answer) => {
                answer.responses.iter_mut().for_each(|topic| fail(&mut topic.error_code, &mut topic.error_message));
            }
            Self::CreatePartitions(answer) => {
                answer.results.iter_mut().for_each(|topic| fail(&mut topic.error_code, &mut topic.error_message));
            }
            Self::AlterConfigs(answer) => {
                let resources = answer.responses.iter_mut();
                resources.for_each(|resource| fail(&mut resource.error_code, &mut resource.error_message));
            }
            Self::IncrementalAlterConfigs(answer) => {
                let resources = answer.responses.iter_mut();
                resources.for_each(|resource| fail(&mut resource.error_code, &mut resource.error_message));
            }
        }
    }

    pub(crate) fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        match self {
            Self::CreateTopics(answer) => answer.encode(writer, version),
            Self::DeleteTopics(answer) => answer.encode(writer, version),
            Self::CreatePartitions(answer) => answer.encode(writer, version),
            Self::AlterConfigs(answer) => answer.encode(writer, version),
            Self::IncrementalAlterConfigs(answer) => answer.encode(writer, version),
        }
    }
}

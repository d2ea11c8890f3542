//! What consumers ask of their coordinator: who it is, and that it keeps their offsets. Members of groups are in
//! [`members`](crate::members).

use super::{AnswerError, frame, i16_at, i32_at};
use protocol::messages::api_versions::ApiVersionsRequest;
use protocol::messages::find_coordinator::FindCoordinatorRequest;
use protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::{ApiKey, EncodeError};

/// The last version without flexible encoding.
pub(super) const COMMIT_VERSION: i16 = 7;
const FIND_VERSION: i16 = 2;

/// The first version that names the client.
const INTRODUCTION_VERSION: i16 = 3;

/// An OffsetCommit request for one partition, from a consumer that chose its partitions itself: such a group has no
/// members, so that what is measured is the commit and no rebalance.
pub fn commit(group: &str, topic: &str, partition: i32, offset: i64) -> Result<Vec<u8>, EncodeError> {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        committed_metadata: Some("".into()),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    frame(ApiKey::OffsetCommit, COMMIT_VERSION, |w| request.encode(w, COMMIT_VERSION))
}

/// The error of an OffsetCommit answer (without its length prefix) for one partition.
pub fn committed(answer: &[u8]) -> Result<(), AnswerError> {
    // correlation, throttle, topic count, name, partition count, index, error
    let name = i16_at(answer, 12)?.max(0) as usize;
    code(i16_at(answer, 14 + name + 4 + 4)?)
}

/// The ApiVersions request with which a client says who it is.
pub fn introduction(software: &str, version: &str) -> Result<Vec<u8>, EncodeError> {
    let request = ApiVersionsRequest { client_software_name: software.into(), client_software_version: version.into() };
    frame(ApiKey::ApiVersions, INTRODUCTION_VERSION, |w| request.encode(w, INTRODUCTION_VERSION))
}

/// A FindCoordinator request for a group; the first one makes a broker create `__consumer_offsets`.
pub fn find_coordinator(group: &str) -> Result<Vec<u8>, EncodeError> {
    let request = FindCoordinatorRequest { key: group.into(), ..Default::default() };
    frame(ApiKey::FindCoordinator, FIND_VERSION, |w| request.encode(w, FIND_VERSION))
}

/// The error of a FindCoordinator answer (without its length prefix).
pub fn coordinator_found(answer: &[u8]) -> Result<(), AnswerError> {
    i32_at(answer, 4)?;
    code(i16_at(answer, 8)?)
}

fn code(code: i16) -> Result<(), AnswerError> {
    if code == 0 { Ok(()) } else { Err(AnswerError::Code(code)) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::answer;
    use super::*;
    use protocol::Reader;
    use protocol::messages::find_coordinator::FindCoordinatorResponse;
    use protocol::messages::offset_commit::{
        OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    };

    #[test]
    fn a_commit_says_what_it_should_and_its_answer_is_understood() {
        let bytes = commit("group", "topic", 3, 77).unwrap();
        let mut r = Reader::new(&bytes[4..]);
        protocol::RequestHeader::decode(&mut r).unwrap();
        let request = OffsetCommitRequest::decode(&mut r, COMMIT_VERSION).unwrap();
        assert_eq!((&*request.group_id, request.generation_id_or_member_epoch), ("group", -1));
        let partition = &request.topics[0].partitions[0];
        assert_eq!((partition.partition_index, partition.committed_offset), (3, 77));
        for error_code in [0, 25] {
            let partition = OffsetCommitResponsePartition { partition_index: 3, error_code };
            let topic =
                OffsetCommitResponseTopic { name: "topic".into(), partitions: vec![partition], ..Default::default() };
            let response = OffsetCommitResponse { topics: vec![topic], ..Default::default() };
            let bytes = answer(|w| response.encode(w, COMMIT_VERSION));
            match committed(&bytes[4..]) {
                Ok(()) => assert_eq!(error_code, 0),
                Err(error) => assert!(matches!(error, AnswerError::Code(25)), "{error}"),
            }
            assert!((4..bytes.len()).all(|cut| committed(&bytes[4..cut]).is_err()), "half an answer is none");
        }
    }

    #[test]
    fn a_coordinator_that_is_not_there_yet_is_an_error() {
        for error_code in [0, 15] {
            let response = FindCoordinatorResponse { error_code, ..Default::default() };
            let bytes = answer(|w| response.encode(w, FIND_VERSION));
            assert_eq!(coordinator_found(&bytes[4..]).is_ok(), error_code == 0);
        }
    }
}

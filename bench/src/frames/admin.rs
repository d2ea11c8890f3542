//! What a run asks before and after the load: topics made, partitions led, a greeting.

use super::{AnswerError, frame, i16_at};
use protocol::messages::api_versions::ApiVersionsRequest;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use protocol::{ApiKey, EncodeError, Reader};

const CREATE_VERSION: i16 = 4;
const METADATA_VERSION: i16 = 8;
const ALTER_VERSION: i16 = 0;
/// Number of the resource type and of the operation.
const TOPIC: i8 = 2;
const SET: i8 = 0;

/// A CreateTopics request for one topic.
pub fn create_topic(topic: &str, partitions: i32, configs: &[(String, String)]) -> Result<Vec<u8>, EncodeError> {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: topic.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|(k, v)| CreatableTopicConfig { name: k.into(), value: Some(v.into()) })
                .collect(),
            ..Default::default()
        }],
        timeout_ms: 60_000,
        validate_only: false,
    };
    frame(ApiKey::CreateTopics, CREATE_VERSION, |w| request.encode(w, CREATE_VERSION))
}

/// The error code of a CreateTopics answer (without its length prefix) with one topic.
pub fn created(answer: &[u8]) -> Result<(), AnswerError> {
    let name = i16_at(answer, 12)?.max(0) as usize;
    match i16_at(answer, 14 + name)? {
        0 => Ok(()),
        code => Err(AnswerError::Code(code)),
    }
}

/// An IncrementalAlterConfigs request that sets one key of a topic.
pub fn set_topic_config(topic: &str, key: &str, value: &str) -> Result<Vec<u8>, EncodeError> {
    let config = AlterableConfig { name: key.into(), config_operation: SET, value: Some(value.into()) };
    let resource = AlterConfigsResource { resource_type: TOPIC, resource_name: topic.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    frame(ApiKey::IncrementalAlterConfigs, ALTER_VERSION, |w| request.encode(w, ALTER_VERSION))
}

/// The error code of an IncrementalAlterConfigs answer (without its length prefix) about one resource.
pub fn altered(answer: &[u8]) -> Result<(), AnswerError> {
    // correlation, throttle time, count, code
    match i16_at(answer, 12)? {
        0 => Ok(()),
        code => Err(AnswerError::Code(code)),
    }
}

/// A Metadata request for one topic that must exist.
pub fn metadata(topic: &str) -> Result<Vec<u8>, EncodeError> {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(topic.into()), ..Default::default() }]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    frame(ApiKey::Metadata, METADATA_VERSION, |w| request.encode(w, METADATA_VERSION))
}

/// How many partitions of a Metadata answer (without its length prefix) have a leader and no error.
pub fn leaders(answer: &[u8]) -> Result<usize, AnswerError> {
    let mut r = Reader::new(answer.get(4..).ok_or(AnswerError::Short(answer.len()))?);
    let response = MetadataResponse::decode(&mut r, METADATA_VERSION)?;
    let partitions = response.topics.iter().filter(|t| t.error_code == 0).flat_map(|t| &t.partitions);
    Ok(partitions.filter(|p| p.error_code == 0 && p.leader_id >= 0).count())
}

/// An ApiVersions request: what a client says first.
pub fn versions() -> Result<Vec<u8>, EncodeError> {
    frame(ApiKey::ApiVersions, 0, |w| ApiVersionsRequest::default().encode(w, 0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::answer;
    use super::*;
    use protocol::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};

    #[test]
    fn only_led_partitions_without_error_count() {
        let partition = |partition_index, error_code, leader_id| MetadataResponsePartition {
            partition_index,
            error_code,
            leader_id,
            ..Default::default()
        };
        let partitions = vec![partition(0, 0, 1), partition(1, 5, -1), partition(2, 0, 1), partition(3, 0, -1)];
        let topic = MetadataResponseTopic { name: Some("t".into()), partitions, ..Default::default() };
        let response = MetadataResponse { topics: vec![topic], ..Default::default() };
        let bytes = answer(|w| response.encode(w, METADATA_VERSION));
        assert_eq!(leaders(&bytes[4..]).unwrap(), 2);
        assert!(leaders(&bytes[4..30]).is_err());
    }
}

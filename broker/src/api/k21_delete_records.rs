//! DeleteRecords, key 21, versions 0 to 2.
//!
//! Behaviour: raises a partition's first offset, never lowers it; -1 stands for the high watermark. Answers with the first offset
//! as it is then. An offset above the high watermark or below -1 is OFFSET_OUT_OF_RANGE, an internal topic
//! INVALID_TOPIC_EXCEPTION, a topic that is compacted and not deleted POLICY_VIOLATION.
//!
//! KIPs: 107. Deviations: with one replica the answer waits for nothing, so `timeout_ms` is not looked at.

use crate::front::gather::{Gather, Kind, Parts};
use crate::front::message::{Ask, Tell};
use crate::image::TopicImage;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// Raises the starts of the partitions that one request names.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(DeleteRecordsRequest::decode)?;
    let mut parts = Parts::new();
    for asked in &body.topics {
        parts.topic(Arc::from(&*asked.name), Uuid::ZERO);
        let topic = broker.topic_by_name(&asked.name).and_then(deletable);
        for partition in &asked.partitions {
            let place =
                topic.as_ref().map_err(|code| *code).and_then(|topic| broker.locate(topic, partition.partition_index));
            match place {
                Err(code) => parts.told(partition.partition_index, Tell::Deleted(Err(code))),
                Ok((owner, key)) => parts.ask(owner, key, Ask::DeleteRecords { offset: partition.offset }),
            }
        }
    }
    broker.gather(request.origin, &request.header, None, parts, Kind::DeleteRecords);
    Ok(())
}

fn deletable(topic: Arc<TopicImage>) -> Result<Arc<TopicImage>, ErrorCode> {
    if topic.internal {
        return Err(ErrorCode::InvalidTopicException);
    }
    let policy = topic.settings.cleanup_policy;
    if policy.compact && !policy.delete { Err(ErrorCode::PolicyViolation) } else { Ok(topic) }
}

/// Answers once every part is in.
pub(crate) fn finish<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>) {
    let mut slots = gather.slots.iter();
    let topics = gather.topics.iter().map(|topic| DeleteRecordsTopicResult {
        name: (&*topic.name).into(),
        partitions: topic.partitions.iter().zip(&mut slots).map(|(index, slot)| encode(*index, slot)).collect(),
    });
    let response = DeleteRecordsResponse { topics: topics.collect(), ..DeleteRecordsResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn encode<C>(partition_index: i32, slot: &Option<Tell<C>>) -> DeleteRecordsPartitionResult {
    let (code, low_watermark) = match slot {
        Some(Tell::Deleted(Ok(start))) => (ErrorCode::None, *start),
        Some(Tell::Deleted(Err(code))) => (*code, -1),
        _ => (ErrorCode::UnknownServerError, -1),
    };
    DeleteRecordsPartitionResult { partition_index, low_watermark, error_code: code.code() }
}

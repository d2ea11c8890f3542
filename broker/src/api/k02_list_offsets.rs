//! ListOffsets, key 2, versions 1 to 11; 0 for clients before 0.10.1.
//!
//! Behaviour: for each partition the offset of the first record at or past a timestamp, or one of Kafka's sentinels: -1 latest (the
//! high watermark), -2 earliest, -3 the record with the largest timestamp (from 7, KIP-734), -4 earliest on local disks (from
//! 8, KIP-405), -5 latest tiered (from 9, KIP-1005) and -6 earliest waiting for upload (from 11, KIP-1023), which without
//! tiering are unknown. Unknown is offset and timestamp -1 without an error. A sentinel that the version does not have is
//! UNSUPPORTED_VERSION, a partition that is asked twice INVALID_REQUEST. Timestamps are compared record by record, which
//! decompresses one batch. From version 4 on the client's leader epoch is checked and the record's is told (KIP-320).
//!
//! Version 0 answers a list: where segments begin that had begun by the timestamp, newest first, as many as asked; for -1 the high
//! watermark before them, for -2 the log's start.
//!
//! Deviations: a segment's age is its largest timestamp where Kafka 3.9 took its file's. The isolation level changes nothing yet, since there are no transactions; `timeout_ms` neither, since nothing is
//! remote. Followers (replica id 0 and above) get TOPIC_AUTHORIZATION_FAILED: replication does not go through here.

use crate::front::gather::{Gather, Kind, Parts};
use crate::front::message::{Ask, ListAsk, Listed, Tell};
use crate::partition::lookup;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use protocol::{ErrorCode, Uuid};
use std::collections::BTreeSet;
use std::sync::Arc;

/// From this version on a partition's answer is one offset, and no list.
const ONE_OFFSET_SINCE: i16 = 1;
/// From this version on answers have the leader epoch.
const EPOCHS_SINCE: i16 = 4;

/// Finds the offsets that one request asks for.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(ListOffsetsRequest::decode)?;
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for (name, partition) in body.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| (&topic.name, p))) {
        let place = (name.clone(), partition.partition_index);
        if !seen.insert(place.clone()) {
            twice.insert(place);
        }
    }
    let mut parts = Parts::new();
    for asked in &body.topics {
        parts.topic(Arc::from(&*asked.name), Uuid::ZERO);
        let topic = broker.topic_by_name(&asked.name);
        for partition in &asked.partitions {
            let checked = if body.replica_id >= 0 {
                Err(ErrorCode::TopicAuthorizationFailed)
            } else if twice.contains(&(asked.name.clone(), partition.partition_index)) {
                Err(ErrorCode::InvalidRequest)
            } else {
                check_timestamp(partition.timestamp, request.header.version)
            };
            let place = checked
                .and_then(|()| topic.as_ref().map_err(|code| *code))
                .and_then(|topic| broker.locate(topic, partition.partition_index));
            match place {
                Err(code) => parts.told(partition.partition_index, Tell::Listed(Err(code))),
                Ok((owner, key)) => parts.ask(owner, key, ask(partition, request.header.version)),
            }
        }
    }
    broker.gather(request.origin, &request.header, None, parts, Kind::ListOffsets);
    Ok(())
}

fn ask<C>(partition: &ListOffsetsPartition, version: i16) -> Ask<C> {
    let timestamp = partition.timestamp;
    if version < ONE_OFFSET_SINCE {
        return Ask::ListSegments { timestamp, count_max: partition.max_num_offsets.max(0).unsigned_abs() as usize };
    }
    Ask::ListOffset(ListAsk { timestamp, current_epoch: partition.current_leader_epoch })
}

fn check_timestamp(timestamp: i64, version: i16) -> Result<(), ErrorCode> {
    let since = match timestamp {
        0.. | lookup::LATEST | lookup::EARLIEST => 0,
        lookup::MAX_TIMESTAMP => 7,
        lookup::EARLIEST_LOCAL => 8,
        lookup::LATEST_TIERED => 9,
        lookup::EARLIEST_PENDING_UPLOAD => 11,
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    if version >= since { Ok(()) } else { Err(ErrorCode::UnsupportedVersion) }
}

/// Answers once every part is in.
pub(crate) fn finish<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>) {
    let version = gather.header.version;
    let mut slots = gather.slots.iter();
    let topics = gather.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: (&*topic.name).into(),
        partitions: topic
            .partitions
            .iter()
            .zip(&mut slots)
            .map(|(index, slot)| encode(version, *index, slot))
            .collect(),
    });
    let response = ListOffsetsResponse { topics: topics.collect(), ..ListOffsetsResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn encode<C>(version: i16, partition_index: i32, slot: &Option<Tell<C>>) -> ListOffsetsPartitionResponse {
    if let Some(Tell::Segments(Ok(offsets))) = slot {
        let old_style_offsets = offsets.clone();
        return ListOffsetsPartitionResponse { partition_index, old_style_offsets, ..Default::default() };
    }
    let (code, listed) = match slot {
        Some(Tell::Segments(Err(code))) => (*code, Listed::NONE),
        Some(Tell::Listed(Ok(listed))) => (ErrorCode::None, *listed),
        Some(Tell::Listed(Err(code))) => (*code, Listed::NONE),
        _ => (ErrorCode::UnknownServerError, Listed::NONE),
    };
    let Listed { timestamp, offset, epoch } = listed;
    let leader_epoch = if version >= EPOCHS_SINCE { epoch } else { -1 };
    let error_code = code.code();
    ListOffsetsPartitionResponse { partition_index, error_code, timestamp, offset, leader_epoch, ..Default::default() }
}

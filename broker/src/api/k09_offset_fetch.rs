//! OffsetFetch, key 9, versions 1 to 10; 0, which read ZooKeeper, is answered like 1, but for a partition without an offset: that is
//! UNKNOWN_TOPIC_OR_PARTITION with offset -1, as it was.
//!
//! Behaviour: durable offsets only; -1 where a group has none, also for groups that do not exist. Without topics (null, from
//! version 2 on) all offsets of the group. From version 8 on several groups at once, each with its own error, which may live on
//! several shards.
//!
//! KIPs: 320 (leader epoch), 447 (require_stable: nothing is unstable before transactions commit offsets), 709 (several groups),
//! 848 (member epoch, of groups of the new protocol), 516 (topic ids from version 10 on). Deviations: none known.

use crate::group::gather::{Ask, FetchAsk, FetchTell, FetchTopic, GroupGather, Tell};
use crate::group::offsets::Committed;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// First version with several groups.
const GROUPS_SINCE: i16 = 8;
/// First version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 10;
/// From this version on a partition without an offset is no error.
const NONE_SINCE: i16 = 1;
/// First version with an error for the whole answer.
const TOP_ERROR_SINCE: i16 = 2;

/// Looks up the offsets of one request.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(OffsetFetchRequest::decode)?;
    let version = request.header.version;
    let asks = if version >= GROUPS_SINCE {
        body.groups.iter().map(|group| ask_group(broker, group, version)).collect()
    } else {
        let topics = body.topics.as_ref().map(|topics| {
            let topic = topics.iter().map(|t| FetchTopic {
                name: Arc::from(&*t.name),
                id: [0; 16],
                partitions: t.partition_indexes.clone(),
            });
            topic.collect()
        });
        vec![FetchAsk { group: (&*body.group_id).into(), reader: None, topics }]
    };
    let asks = asks.into_iter().map(|ask| (broker.ask_about_group(ask.group.as_str()), Ask::Fetch(ask)));
    let asks = asks.collect();
    broker.gather_groups(request.origin, &request.header, asks);
    Ok(())
}

fn ask_group<S: Store>(broker: &Broker<S>, group: &OffsetFetchRequestGroup<'_>, version: i16) -> FetchAsk {
    let name = |name: &str, id: Uuid| match version >= TOPIC_IDS_SINCE {
        true => broker.image.topic_by_id(id).map_or_else(|| Arc::from(""), |topic| topic.name.clone()),
        false => Arc::from(name),
    };
    let topics = group.topics.as_ref().map(|topics| {
        let topic = topics.iter().map(|t| FetchTopic {
            name: name(&t.name, t.topic_id),
            id: t.topic_id.0,
            partitions: t.partition_indexes.clone(),
        });
        topic.collect()
    });
    let reader = group.member_id.as_deref().map(|member| (member.into(), group.member_epoch));
    FetchAsk { group: (&*group.group_id).into(), reader, topics }
}

/// Answers once every group was looked up.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, gather: &GroupGather, tells: &[Tell]) {
    let version = gather.header.version;
    let fetched = tells.iter().filter_map(|tell| match tell {
        Tell::Fetched(fetched) => Some(fetched),
        Tell::Described { .. } | Tell::DescribedConsumer { .. } | Tell::Deleted(..) | Tell::Listed(..) => None,
    });
    let response = if version >= GROUPS_SINCE {
        let groups = fetched.map(|tell| encode_group(broker, tell, version)).collect();
        OffsetFetchResponse { groups, ..OffsetFetchResponse::default() }
    } else {
        fetched.map(|tell| encode_single(tell, version)).next().unwrap_or_default()
    };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn encode_group<'a, S: Store>(broker: &Broker<S>, tell: &'a FetchTell, version: i16) -> OffsetFetchResponseGroup<'a> {
    let mut response = OffsetFetchResponseGroup {
        group_id: tell.group.as_str().into(),
        error_code: tell.error.code(),
        ..OffsetFetchResponseGroup::default()
    };
    if tell.error != ErrorCode::None {
        return response;
    }
    for (topic, found) in &tell.topics {
        let is_named = topic.id == [0; 16];
        let known = broker.image.topic(&topic.name).filter(|_| is_named).map(|t| t.id.0);
        let id = known.unwrap_or(topic.id);
        // Offsets of a topic that is gone, or never was, cannot be named by id.
        if version >= TOPIC_IDS_SINCE && is_named && known.is_none() {
            continue;
        }
        let missing = version >= TOPIC_IDS_SINCE && topic.name.is_empty();
        let error = if missing { ErrorCode::UnknownTopicId } else { ErrorCode::None };
        let partitions = topic.partitions.iter().zip(found).map(|(index, committed)| {
            let offset = Offset::from(committed.as_ref());
            OffsetFetchResponsePartitions {
                partition_index: *index,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch,
                metadata: Some(offset.metadata.into()),
                error_code: error.code(),
            }
        });
        response.topics.push(OffsetFetchResponseTopics {
            name: (&*topic.name).into(),
            topic_id: Uuid(id),
            partitions: partitions.collect(),
        });
    }
    response
}

/// Versions 0 to 7. The first two have no error but those of partitions.
fn encode_single(tell: &FetchTell, version: i16) -> OffsetFetchResponse<'_> {
    if tell.error != ErrorCode::None && version >= TOP_ERROR_SINCE {
        return OffsetFetchResponse { error_code: tell.error.code(), ..OffsetFetchResponse::default() };
    }
    let missing = match tell.error {
        ErrorCode::None => ErrorCode::UnknownTopicOrPartition,
        error => error,
    };
    let topics = tell.topics.iter().map(|(topic, found)| OffsetFetchResponseTopic {
        name: (&*topic.name).into(),
        partitions: topic
            .partitions
            .iter()
            .zip(found)
            .map(|(index, committed)| {
                let offset = Offset::from(committed.as_ref());
                OffsetFetchResponsePartition {
                    partition_index: *index,
                    committed_offset: offset.offset,
                    committed_leader_epoch: offset.leader_epoch,
                    metadata: Some(offset.metadata.into()),
                    error_code: if version < NONE_SINCE && committed.is_none() { missing } else { tell.error }.code(),
                }
            })
            .collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), ..OffsetFetchResponse::default() }
}

/// An offset as the wire has it.
struct Offset<'a> {
    offset: i64,
    leader_epoch: i32,
    metadata: &'a str,
}

impl<'a> From<Option<&'a Committed>> for Offset<'a> {
    fn from(committed: Option<&'a Committed>) -> Self {
        match committed {
            Some(c) => Offset { offset: c.offset, leader_epoch: c.leader_epoch, metadata: &c.metadata },
            None => Offset { offset: -1, leader_epoch: -1, metadata: "" },
        }
    }
}

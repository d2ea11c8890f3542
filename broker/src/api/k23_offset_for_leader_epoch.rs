//! OffsetForLeaderEpoch, key 23, versions 2 to 4; 0 and 1 for clients before 2.1.
//!
//! Behaviour: the largest epoch not above the asked one, and the offset past its last record; both -1 where nothing that old is
//! known or the epoch lies in the future. The epoch that the client believes current is checked first
//! (FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH).
//!
//! KIPs: 101, 279, 320. Deviations: none known.

use crate::front::gather::{Gather, Kind, Parts};
use crate::front::message::{Ask, Tell};
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// Finds where the epochs ended that one request asks for.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(OffsetForLeaderEpochRequest::decode)?;
    let mut parts = Parts::new();
    for asked in &body.topics {
        parts.topic(Arc::from(&*asked.topic), Uuid::ZERO);
        let topic = broker.topic_by_name(&asked.topic);
        for partition in &asked.partitions {
            let place = topic.as_ref().map_err(|code| *code).and_then(|t| broker.locate(t, partition.partition));
            let (current_epoch, epoch) = (partition.current_leader_epoch, partition.leader_epoch);
            match place {
                Err(code) => parts.told(partition.partition, Tell::EpochEnded(Err(code))),
                Ok((owner, key)) => parts.ask(owner, key, Ask::EpochEnd { current_epoch, epoch }),
            }
        }
    }
    broker.gather(request.origin, &request.header, None, parts, Kind::EpochEnd);
    Ok(())
}

/// Answers once every part is in.
pub(crate) fn finish<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>) {
    let mut slots = gather.slots.iter();
    let topics = gather.topics.iter().map(|topic| OffsetForLeaderTopicResult {
        topic: (&*topic.name).into(),
        partitions: topic.partitions.iter().zip(&mut slots).map(|(index, slot)| encode(*index, slot)).collect(),
    });
    let response = OffsetForLeaderEpochResponse { topics: topics.collect(), ..OffsetForLeaderEpochResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn encode<C>(partition: i32, slot: &Option<Tell<C>>) -> EpochEndOffset {
    let (code, (leader_epoch, end_offset)) = match slot {
        Some(Tell::EpochEnded(Ok(ended))) => (ErrorCode::None, *ended),
        Some(Tell::EpochEnded(Err(code))) => (*code, (-1, -1)),
        _ => (ErrorCode::UnknownServerError, (-1, -1)),
    };
    EpochEndOffset { error_code: code.code(), partition, leader_epoch, end_offset }
}

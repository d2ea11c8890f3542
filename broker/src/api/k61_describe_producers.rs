//! DescribeProducers, key 61, version 0.
//!
//! Behaviour: what a partition remembers of its producers: id, epoch, the last sequence and its timestamp. A producer that was
//! silent for `producer.id.expiration.ms` is forgotten and not listed.
//!
//! KIPs: 664. Deviations: without transactions no coordinator has spoken (-1) and none is open (-1).

use crate::front::gather::{Gather, Kind, Parts};
use crate::front::message::{Ask, Tell, Ticket};
use crate::partition::PartitionKey;
use crate::partition::producers::Active;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// Asks the owners of the partitions.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(DescribeProducersRequest::decode)?;
    let mut parts = Parts::new();
    for asked in &body.topics {
        parts.topic(Arc::from(&*asked.name), Uuid::ZERO);
        let topic = broker.topic_by_name(&asked.name);
        for &index in &asked.partition_indexes {
            match topic.as_ref().map_err(|code| *code).and_then(|topic| broker.locate(topic, index)) {
                Err(code) => parts.told(index, Tell::Producers(Err(code))),
                Ok((owner, key)) => parts.ask(owner, key, Ask::Producers),
            }
        }
    }
    broker.gather(request.origin, &request.header, None, parts, Kind::Producers);
    Ok(())
}

impl<S: Store> Broker<S> {
    /// Says what a partition here remembers of its producers.
    pub(crate) fn describe_producers(&mut self, ticket: Ticket, key: PartitionKey) {
        let told = match self.partitions.get(&key) {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            Some(partition) => partition.check_online().map(|()| partition.producers.active().collect()),
        };
        self.tell(ticket, Tell::Producers(told));
    }
}

/// Answers once every part is in.
pub(crate) fn finish<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>) {
    let mut slots = gather.slots.iter();
    let topics = gather.topics.iter().map(|topic| TopicResponse {
        name: (&*topic.name).into(),
        partitions: topic.partitions.iter().zip(&mut slots).map(|(index, slot)| encode(*index, slot)).collect(),
    });
    let response = DescribeProducersResponse { topics: topics.collect(), ..DescribeProducersResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn encode<C>(partition_index: i32, slot: &Option<Tell<C>>) -> PartitionResponse<'static> {
    let (code, producers) = match slot {
        Some(Tell::Producers(Ok(producers))) => (ErrorCode::None, &producers[..]),
        Some(Tell::Producers(Err(code))) => (*code, &[][..]),
        _ => (ErrorCode::UnknownServerError, &[][..]),
    };
    let state = |active: &Active| ProducerState {
        producer_id: active.producer_id,
        producer_epoch: i32::from(active.epoch),
        last_sequence: active.last_sequence,
        last_timestamp: active.last_timestamp,
        coordinator_epoch: -1,
        current_txn_start_offset: -1,
    };
    PartitionResponse {
        partition_index,
        error_code: code.code(),
        active_producers: producers.iter().map(state).collect(),
        ..PartitionResponse::default()
    }
}

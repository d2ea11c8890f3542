//! Produce, key 0, versions 3 to 13; 0 to 2 for clients before 0.11, see `legacy`. Where these are not served, their version is
//! listed all the same (KAFKA-18659) and the connection is closed.
//!
//! Behaviour: each partition succeeds or fails for itself. The answer waits until the records are durable by the topic's setting,
//! for acks=1 as for acks=all. acks=0 gets no answer; if a part of it fails the connection is closed, so that the producer
//! notices. Record sets are borrowed from the request's frame all the way to storage; the message sets of versions 0 to 2 are
//! made batches by the partition's shard.
//!
//! | error | when |
//! |---|---|
//! | INVALID_REQUIRED_ACKS | acks other than -1, 0, 1 |
//! | INVALID_TXN_STATE | transactional id, or a transactional batch: transactions are not supported yet |
//! | UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID | no such partition, by name (to 12) or id (13) |
//! | INVALID_TOPIC_EXCEPTION | an internal topic, unless the client calls itself `__admin_client` |
//! | CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE, INVALID_TIMESTAMP | the record set itself |
//! | OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH | idempotent producers |
//! | KAFKA_STORAGE_ERROR | disk full, or the log was fenced by an I/O error |
//! | REQUEST_TIMED_OUT | not durable within `timeout_ms`; the records may become so later |
//!
//! KIPs: 98 (idempotence), 467 (record errors), 516 (topic ids), 951 (leader hints: none to give on one node).
//!
//! Deviations: acks=1 is as durable as acks=all. A batch older than the five remembered ones of its producer is
//! DUPLICATE_SEQUENCE_NUMBER, which clients take for success; Kafka 4.3.1 says OUT_OF_ORDER_SEQUENCE_NUMBER. A repeated
//! batch that is not durable yet waits for its original. Only the first bad record is listed, Kafka lists all. Producers
//! expire by the time of their last append, in Kafka by their last record's timestamp. A `timeout_ms` below five seconds counts as five.

use crate::front::gather::{AskedTopic, Gather, Kind, Parts};
use crate::front::message::{Ask, Failure, ProduceAsk, Produced, Tell};
use crate::image::TopicImage;
use crate::io::Effect;
use crate::legacy::PRODUCE_BATCHES_SINCE;
use crate::limits::PRODUCE_WAIT_MIN_MS;
use crate::request::{Refusal, Request};
use crate::store::{Chunk, LogId};
use crate::{Broker, Store};
use protocol::large_produce::TopicRef;
use protocol::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use protocol::{ApiKey, ErrorCode, supported};
use std::sync::Arc;

/// Kafka's own admin tools may write to internal topics under this client id (`AdminUtils.ADMIN_CLIENT_ID`).
const ADMIN_CLIENT: &str = "__admin_client";

/// Appends the record sets of one request.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    produce(broker, request, None)
}

/// Appends `records` as the record set of a request that has one partition and left it empty.
pub(crate) fn handle_split<S: Store>(
    broker: &mut Broker<S>,
    request: &Request<S::Chunk>,
    records: S::Chunk,
) -> Result<(), Refusal> {
    let (key, version) = (request.header.key, request.header.version);
    if key != ApiKey::Produce || !supported(key).is_some_and(|range| range.contains(version)) {
        return Err(Refusal::Version { key, version });
    }
    produce(broker, request, Some(records))
}

/// Where a large batch would be appended: None unless the partition is on this shard and takes batches as they come, now.
/// A promise of nothing.
pub(crate) fn place_of<S: Store>(broker: &Broker<S>, topic: &TopicRef<'_>, index: i32, bytes: usize) -> Option<LogId> {
    let topic = match topic {
        TopicRef::Name(name) => broker.topic_by_name(name),
        TopicRef::Id(id) => broker.topic_by_id(*id),
    };
    let topic = topic.ok().filter(|topic| !topic.internal)?;
    let (owner, key) = broker.locate(&topic, index).ok()?;
    let partition = broker.partitions.get(&key).filter(|_| owner == broker.me)?;
    let rules = &partition.rules;
    let as_it_comes = !rules.log_append_time && rules.codec.is_none() && bytes <= rules.batch_bytes_max;
    (as_it_comes && partition.parked.is_empty()).then_some(partition.log)
}

fn produce<S: Store>(
    broker: &mut Broker<S>,
    request: &Request<S::Chunk>,
    mut apart: Option<S::Chunk>,
) -> Result<(), Refusal> {
    let body = request.body(ProduceRequest::decode)?;
    let refused = match (body.acks, &body.transactional_id) {
        (-1..=1, None) => None,
        (-1..=1, Some(_)) => Some(transactional()),
        _ => Some(ErrorCode::InvalidRequiredAcks.into()),
    };
    let mut parts = Parts::new();
    for data in &body.topic_data {
        let terms = Terms { refused: refused.as_ref(), acks: body.acks };
        add_topic(broker, request, data, terms, &mut apart, &mut parts);
    }
    // Nobody waits for acks=0; everybody else no longer than they said.
    let timeout_ms = u64::from(body.timeout_ms.max(0).unsigned_abs()).max(PRODUCE_WAIT_MIN_MS);
    let deadline_ms = (body.acks != 0).then_some(broker.now.mono_ms + timeout_ms);
    broker.gather(request.origin, &request.header, deadline_ms, parts, Kind::Produce { acks: body.acks });
    Ok(())
}

/// What holds for all partitions of a request.
#[derive(Clone, Copy)]
struct Terms<'a> {
    refused: Option<&'a Failure>,
    acks: i16,
}

fn transactional() -> Failure {
    let message = Some("transactions are not supported".to_owned());
    Failure { code: ErrorCode::InvalidTxnState, message, record: None }
}

fn add_topic<S: Store>(
    broker: &Broker<S>,
    request: &Request<S::Chunk>,
    data: &TopicProduceData<'_>,
    terms: Terms<'_>,
    apart: &mut Option<S::Chunk>,
    parts: &mut Parts<S::Chunk>,
) {
    let by_id = request.header.version >= 13;
    let id = data.topic_id;
    let topic = if by_id { broker.topic_by_id(id) } else { broker.topic_by_name(&data.name) };
    let topic = topic.and_then(|topic| writable(topic, request));
    let name = match &topic {
        Ok(topic) => Arc::clone(&topic.name),
        Err(_) => Arc::from(&*data.name),
    };
    parts.topic(name, id);
    for partition in &data.partition_data {
        let place = topic.as_ref().map_err(|code| *code).and_then(|topic| broker.locate(topic, partition.index));
        match (terms.refused, place) {
            (Some(failure), _) => parts.told(partition.index, Tell::Produced(Err(failure.clone()))),
            (None, Err(code)) => parts.told(partition.index, Tell::Produced(Err(code.into()))),
            (None, Ok((owner, key))) => {
                let records = apart.take().unwrap_or_else(|| records_of(&request.frame, partition));
                let zstd_allowed = request.header.version >= 7;
                let message_set = request.header.version < PRODUCE_BATCHES_SINCE;
                let ask = ProduceAsk { records, durable: terms.acks != 0, zstd_allowed, message_set };
                parts.ask(owner, key, Ask::Produce(ask));
            }
        }
    }
}

fn writable<C>(topic: Arc<TopicImage>, request: &Request<C>) -> Result<Arc<TopicImage>, ErrorCode> {
    if topic.internal && request.header.client_id.as_deref() != Some(ADMIN_CLIENT) {
        return Err(ErrorCode::InvalidTopicException);
    }
    Ok(topic)
}

/// The record set, sharing the frame's memory. Null and empty ones are refused later, as having no batch.
fn records_of<C: Chunk>(frame: &C, data: &PartitionProduceData<'_>) -> C {
    let range = data.records.range_in(frame).unwrap_or(0..0);
    frame.slice(range)
}

/// Answers once every part is in.
pub(crate) fn finish<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>, acks: i16) {
    if acks == 0 {
        return finish_silently(broker, gather);
    }
    let mut results = gather.slots.iter().map(result_of);
    let mut responses = Vec::with_capacity(gather.topics.len());
    for topic in &gather.topics {
        let partition_responses =
            topic.partitions.iter().zip(&mut results).map(|(index, result)| encode(*index, result)).collect();
        responses.push(TopicProduceResponse { name: name_of(topic), topic_id: topic.id, partition_responses });
    }
    let response = ProduceResponse { responses, ..ProduceResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn name_of(topic: &AskedTopic) -> protocol::Str<'_> {
    (&*topic.name).into()
}

fn finish_silently<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>) {
    match gather.slots.iter().find_map(|slot| result_of(slot).err()) {
        None => broker.effects.push_back(Effect::NoReply { conn: gather.origin.conn, seq: gather.origin.seq }),
        Some(failure) => {
            let reason = format!("a produce request with acks=0 failed: {}", failure.code);
            broker.close(gather.origin, &Refusal::Unanswerable(reason));
        }
    }
}

fn result_of<C>(slot: &Option<Tell<C>>) -> Result<Produced, Failure> {
    match slot {
        Some(Tell::Produced(result)) => result.clone(),
        _ => Err(ErrorCode::UnknownServerError.into()),
    }
}

fn encode(index: i32, result: Result<Produced, Failure>) -> PartitionProduceResponse<'static> {
    match result {
        Ok(produced) => PartitionProduceResponse {
            index,
            base_offset: produced.base_offset,
            log_append_time_ms: produced.append_time_ms,
            log_start_offset: produced.log_start,
            ..PartitionProduceResponse::default()
        },
        Err(failure) => {
            let record_errors = failure.record.map(|record| BatchIndexAndErrorMessage {
                batch_index: record,
                batch_index_error_message: failure.message.clone().map(Into::into),
            });
            PartitionProduceResponse {
                index,
                error_code: failure.code.code(),
                base_offset: -1,
                record_errors: record_errors.into_iter().collect(),
                error_message: failure.message.map(Into::into),
                ..PartitionProduceResponse::default()
            }
        }
    }
}

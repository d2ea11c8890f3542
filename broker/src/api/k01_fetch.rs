//! Fetch, key 1, versions 4 to 18.
//!
//! Behaviour: returns whole batches from the asked offset up to the high watermark, which is what is durable. The first batch found
//! comes whole even beyond the limits. With fewer than `min_bytes` the answer waits, at most `max_wait_ms`, for partitions to
//! grow; nothing polls. Any error ends the wait. Records are pieces of the log, sent as they are; an empty set is empty, never null.
//! With sessions (from 7, KIP-227) only what changed is told.
//!
//! | error | when |
//! |---|---|
//! | FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR | for the whole request |
//! | UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID | no such partition, by name (to 12) or id (from 13) |
//! | OFFSET_OUT_OF_RANGE | below the log's start or above its end |
//! | FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH | the client's epoch is older or newer than ours |
//! | CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR | what the disk has is damaged, or cannot be read |
//! | TOPIC_AUTHORIZATION_FAILED | a follower's fetch (replica id 0 and above): replication does not go through here |
//!
//! KIPs: 74 (limits), 227, 320 (epochs), 392 (no preferred replica on one node), 516 (topic ids), 595 (diverging epoch), 951.
//!
//! Deviations: the last stable offset is the high watermark and there are no aborted transactions, since there are no
//! transactions. Batches are never cut at a limit, they are left out. With several shards each may read up to the limit; what
//! does not fit the answer is left for the next fetch.

use crate::front::gather::{Gather, Kind, Parts};
use crate::front::message::{Ask, FetchAsk, Fetched, Tell};
use crate::front::sessions::{FINAL_EPOCH, INITIAL_EPOCH, News, Place, Told, TopicRef, Want};
use crate::io::ShardId;
use crate::request::{Header, Refusal, Request};
use crate::{Broker, Chunk, Origin, Store};
use protocol::messages::fetch::{EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use protocol::{ErrorCode, Records, Uuid};
use std::sync::Arc;

/// From this version on topics are named by id.
const IDS_SINCE: i16 = 13;

/// What the answer to a fetch needs besides its parts.
#[derive(Debug)]
pub(crate) struct FetchWait {
    bytes_min: usize,
    bytes_max: usize,
    read_committed: bool,
    session: SessionUse,
    /// What each slot was asked.
    places: Vec<(Place, Want)>,
    /// Shards that may be watching partitions for this fetch.
    pub(crate) watchers: Vec<ShardId>,
    /// The wait is over; only parts that are under way are waited for.
    pub(crate) expired: bool,
}

/// How a fetch uses sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionUse {
    None,
    /// A new one, if there is room.
    Open,
    Resume {
        id: i32,
        epoch: i32,
    },
}

/// Reads what one request asks for, now or when there is enough.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(FetchRequest::decode)?;
    let by_id = request.header.version >= IDS_SINCE;
    let replica_id = if request.header.version >= 15 { body.replica_state.replica_id } else { body.replica_id };
    let planned =
        if replica_id >= 0 { Ok((SessionUse::None, wants(&body, by_id))) } else { plan(broker, &body, by_id) };
    let (session, places) = match planned {
        Ok(planned) => planned,
        Err(code) => {
            refuse(broker, request.origin, &request.header, code);
            return Ok(());
        }
    };
    let bytes_max = body.max_bytes.min(broker.settings.fetch_max_bytes).max(0).unsigned_abs() as usize;
    let waits = body.max_wait_ms > 0;
    let bytes_min = if waits { (body.min_bytes.max(0).unsigned_abs() as usize).min(bytes_max) } else { 0 };
    let mut wait = FetchWait {
        bytes_min,
        bytes_max,
        read_committed: body.isolation_level == 1,
        session,
        places,
        watchers: Vec::new(),
        expired: !waits,
    };
    let parts = ask(broker, &mut wait, replica_id >= 0);
    let deadline_ms = waits.then(|| broker.now.mono_ms + u64::from(body.max_wait_ms.unsigned_abs()));
    broker.gather(request.origin, &request.header, deadline_ms, parts, Kind::Fetch(wait));
    Ok(())
}

/// Decides what to fetch, and for which session.
fn plan<S: Store>(
    broker: &mut Broker<S>,
    body: &FetchRequest<'_>,
    by_id: bool,
) -> Result<(SessionUse, Vec<(Place, Want)>), ErrorCode> {
    let (id, epoch) = (body.session_id, body.session_epoch);
    match epoch {
        INITIAL_EPOCH | FINAL_EPOCH => {
            if id != 0 {
                broker.sessions.remove(id);
            }
            let session = if epoch == INITIAL_EPOCH { SessionUse::Open } else { SessionUse::None };
            Ok((session, wants(body, by_id)))
        }
        _ => {
            let forgotten: Vec<Place> = body
                .forgotten_topics_data
                .iter()
                .flat_map(|topic| {
                    let name = topic_ref(&topic.topic, topic.topic_id, by_id);
                    topic.partitions.iter().map(move |index| (name.clone(), *index))
                })
                .collect();
            let now_ms = broker.now.mono_ms;
            let places = broker.sessions.resume(id, epoch, by_id, wants(body, by_id), &forgotten, now_ms)?;
            let session = if places.is_empty() { SessionUse::None } else { SessionUse::Resume { id, epoch } };
            Ok((session, places))
        }
    }
}

fn topic_ref(name: &str, id: Uuid, by_id: bool) -> TopicRef {
    if by_id { TopicRef::Id(id) } else { TopicRef::Name(Arc::from(name)) }
}

fn wants(body: &FetchRequest<'_>, by_id: bool) -> Vec<(Place, Want)> {
    let mut wants = Vec::new();
    for topic in &body.topics {
        let name = topic_ref(&topic.topic, topic.topic_id, by_id);
        wants.extend(topic.partitions.iter().map(|partition| {
            let want = Want {
                offset: partition.fetch_offset,
                bytes_max: partition.partition_max_bytes,
                current_epoch: partition.current_leader_epoch,
                last_epoch: partition.last_fetched_epoch,
            };
            ((name.clone(), partition.partition), want)
        }));
    }
    wants
}

/// The parts of a fetch, in order; consecutive partitions of one topic share its entry in the answer.
fn ask<S: Store>(broker: &Broker<S>, wait: &mut FetchWait, is_follower: bool) -> Parts<S::Chunk> {
    let mut parts = Parts::new();
    let mut last: Option<&TopicRef> = None;
    let mut topic = Err(ErrorCode::UnknownTopicOrPartition);
    for ((name, index), want) in &wait.places {
        if last != Some(name) {
            last = Some(name);
            topic = match name {
                TopicRef::Name(name) => broker.topic_by_name(name),
                TopicRef::Id(id) => broker.topic_by_id(*id),
            };
            match name {
                TopicRef::Name(name) => parts.topic(Arc::clone(name), Uuid::ZERO),
                TopicRef::Id(id) => parts.topic(Arc::default(), *id),
            }
        }
        let place = match &topic {
            _ if is_follower => Err(ErrorCode::TopicAuthorizationFailed),
            Ok(topic) => broker.locate(topic, *index),
            Err(code) => Err(*code),
        };
        match place {
            Err(code) => parts.told(*index, Tell::Fetched(Fetched::failed(code))),
            Ok((owner, key)) => {
                if wait.bytes_min > 0 && !wait.watchers.contains(&owner) {
                    wait.watchers.push(owner);
                }
                let ask = FetchAsk {
                    offset: want.offset,
                    bytes_max: want.bytes_max.max(0).unsigned_abs() as usize,
                    budget: wait.bytes_max,
                    current_epoch: want.current_epoch,
                    last_epoch: want.last_epoch,
                    bytes_min: wait.bytes_min,
                };
                parts.ask(owner, key, Ask::Fetch(ask));
            }
        }
    }
    parts
}

fn fetched_of<C>(slot: &Option<Tell<C>>) -> Option<&Fetched<C>> {
    match slot {
        Some(Tell::Fetched(fetched)) => Some(fetched),
        _ => None,
    }
}

fn is_trouble<C>(fetched: &Fetched<C>) -> bool {
    fetched.code != ErrorCode::None || fetched.diverging.is_some()
}

impl FetchWait {
    /// Whether the answer need not wait any longer.
    pub(crate) fn is_enough<C: Chunk>(&self, slots: &[Option<Tell<C>>]) -> bool {
        if self.expired || self.bytes_min == 0 || slots.is_empty() {
            return true;
        }
        let mut found = 0;
        for fetched in slots.iter().filter_map(fetched_of) {
            found += fetched.size_bytes();
            if is_trouble(fetched) || found >= self.bytes_min {
                return true;
            }
        }
        false
    }
}

fn refuse<S: Store>(broker: &mut Broker<S>, origin: Origin, header: &Header, code: ErrorCode) {
    let response = FetchResponse { error_code: code.code(), ..FetchResponse::default() };
    broker.respond(origin, header, |writer, version| response.encode(writer, version));
}

/// Answers with what the parts found.
pub(crate) fn finish<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>, wait: &FetchWait) {
    let records = within(gather, wait.bytes_max);
    let lost = Fetched::failed(ErrorCode::UnknownServerError);
    let fetched: Vec<&Fetched<S::Chunk>> = gather.slots.iter().map(|slot| fetched_of(slot).unwrap_or(&lost)).collect();
    let (session_id, told) = match settle(broker, wait, &fetched, &records) {
        Ok(settled) => settled,
        Err(code) => return refuse(broker, gather.origin, &gather.header, code),
    };
    if session_id != 0
        && let Some(conn) = broker.front.conns.get_mut(&gather.origin.conn)
    {
        conn.session = Some(session_id);
    }
    let mut responses: Vec<FetchableTopicResponse<'_>> = Vec::new();
    let mut slot = 0;
    for topic in &gather.topics {
        let mut partitions = Vec::new();
        for index in &topic.partitions {
            if told.as_ref().is_none_or(|told| told[slot]) {
                partitions.push(encode(*index, slot, fetched[slot], &records[slot], wait.read_committed));
            }
            slot += 1;
        }
        if !partitions.is_empty() {
            let (topic, topic_id) = ((&*topic.name).into(), topic.id);
            responses.push(FetchableTopicResponse { topic, topic_id, partitions });
        }
    }
    let response = FetchResponse { session_id, responses, ..FetchResponse::default() };
    let version = gather.header.version;
    broker.respond_with(gather.origin, &gather.header, &records, |writer| response.encode(writer, version));
}

/// The records of each slot that fit the answer: the first set whole, of the others what stays below the limit.
fn within<C: Chunk>(gather: &Gather<C>, bytes_max: usize) -> Vec<Vec<C>> {
    let mut taken = 0;
    let fits = |slot: &Option<Tell<C>>| {
        let Some(fetched) = fetched_of(slot) else { return Vec::new() };
        let bytes = fetched.size_bytes();
        if taken > 0 && taken + bytes > bytes_max {
            return Vec::new();
        }
        taken += bytes;
        fetched.pieces.clone()
    };
    gather.slots.iter().map(fits).collect()
}

/// The session id to answer with and, in a resumed session, which slots are told.
fn settle<S: Store>(
    broker: &mut Broker<S>,
    wait: &FetchWait,
    fetched: &[&Fetched<S::Chunk>],
    records: &[Vec<S::Chunk>],
) -> Result<(i32, Option<Vec<bool>>), ErrorCode> {
    let news = wait.places.iter().zip(fetched).zip(records).map(|(((place, want), fetched), records)| {
        let told = Told { high_watermark: fetched.high_watermark, log_start: fetched.log_start };
        let news = News { told, has_records: !records.is_empty(), is_trouble: is_trouble(fetched) };
        (place.clone(), *want, news)
    });
    match wait.session {
        SessionUse::None => Ok((0, None)),
        SessionUse::Open => {
            let by_id = matches!(wait.places.first(), Some(((TopicRef::Id(_), _), _)));
            Ok((broker.sessions.open(by_id, news.collect(), broker.now.mono_ms), None))
        }
        SessionUse::Resume { id, epoch } => {
            let news: Vec<_> = news.map(|(place, _, news)| (place, news)).collect();
            Ok((id, Some(broker.sessions.select(id, epoch, &news)?)))
        }
    }
}

fn encode<C: Chunk>(
    partition_index: i32,
    slot: usize,
    fetched: &Fetched<C>,
    records: &[C],
    read_committed: bool,
) -> PartitionData<'static> {
    let bytes: usize = records.iter().map(|piece| piece.len()).sum();
    let diverging = fetched.diverging.map(|(epoch, end_offset)| EpochEndOffset { epoch, end_offset });
    PartitionData {
        partition_index,
        error_code: fetched.code.code(),
        high_watermark: fetched.high_watermark,
        last_stable_offset: fetched.high_watermark,
        log_start_offset: fetched.log_start,
        diverging_epoch: diverging.unwrap_or_default(),
        aborted_transactions: read_committed.then(Vec::new),
        preferred_read_replica: -1,
        records: Records::External { tag: slot as u32, len: bytes as u32 },
        ..PartitionData::default()
    }
}

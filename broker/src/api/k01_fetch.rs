//! Fetch, key 1, versions 4 to 18; 0 to 3 for clients before 0.11, see `legacy`.
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
//! Versions 0 to 3 answer message sets (magic 0 to 1, magic 1 from 2 on), converted at the connection's shard; batches of zstd are
//! UNSUPPORTED_COMPRESSION_TYPE there. Where all that was read of a partition is nothing for such a client (control batches), what
//! follows is read for it, up to [`SKIPS_MAX`] times. Up to version 5 KAFKA_STORAGE_ERROR is told as NOT_LEADER_OR_FOLLOWER, as Kafka does.
//!
//! Deviations: the last stable offset is the high watermark and there are no aborted transactions, since there are no
//! transactions. Batches are never cut at a limit, they are left out. With several shards each may read up to the limit; what
//! does not fit the answer is left for the next fetch.

use crate::front::gather::{Gather, Kind, Parts};
use crate::front::message::{Ask, FetchAsk, Fetched, Tell};
use crate::front::sessions::{FINAL_EPOCH, INITIAL_EPOCH, News, Place, Told, TopicRef, Want};
use crate::io::ShardId;
use crate::legacy::{FETCH_BATCHES_SINCE, FETCH_WHOLE_FIRST_SINCE, Lowered, lower};
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
    /// How often it may still be read on, where there was nothing for an old client.
    skips_left: u8,
}

/// How often one fetch of an old client reads on: beyond so many limits full of control batches it is answered with nothing.
const SKIPS_MAX: u8 = 16;

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
        skips_left: SKIPS_MAX,
    };
    let parts = ask(broker, &mut wait, request.header.version, replica_id >= 0);
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
fn ask<S: Store>(broker: &Broker<S>, wait: &mut FetchWait, version: i16, is_follower: bool) -> Parts<S::Chunk> {
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
                    first_of_each: version < FETCH_WHOLE_FIRST_SINCE,
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
    let lost = Fetched::failed(ErrorCode::UnknownServerError);
    let mut fetched: Vec<&Fetched<S::Chunk>> =
        gather.slots.iter().map(|slot| fetched_of(slot).unwrap_or(&lost)).collect();
    let mut records = within(gather, wait.bytes_max);
    let lowered: Vec<Fetched<S::Chunk>>;
    if gather.header.version < FETCH_BATCHES_SINCE {
        lowered = match lower_all(broker, gather.header.version, wait, &fetched, &records) {
            Ok(lowered) => lowered,
            Err(onward) => return read_on(broker, gather, onward),
        };
        records = lowered.iter().map(|fetched| fetched.pieces.clone()).collect();
        fetched = lowered.iter().collect();
    }
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
                let mut data = encode(*index, slot, fetched[slot], &records[slot], wait.read_committed);
                data.error_code = known_to(gather.header.version, fetched[slot].code).code();
                partitions.push(data);
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

/// Clients up to version 5 do not know KAFKA_STORAGE_ERROR and would not try again.
fn known_to(version: i16, code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::KafkaStorageError if version <= 5 => ErrorCode::NotLeaderOrFollower,
        code => code,
    }
}

/// The message sets of a fetch before version 4; or, where a partition has nothing but batches that the client cannot have, the
/// wait with which to read on behind these. Answering it with what the others have would leave it where it is for ever.
fn lower_all<S: Store>(
    broker: &mut Broker<S>,
    version: i16,
    wait: &FetchWait,
    fetched: &[&Fetched<S::Chunk>],
    records: &[Vec<S::Chunk>],
) -> Result<Vec<Fetched<S::Chunk>>, FetchWait> {
    let mut told = Vec::with_capacity(fetched.len());
    let mut places = wait.places.clone();
    let mut onward = false;
    let Broker { store, settings, .. } = broker;
    for (((_, want), fetched), pieces) in places.iter_mut().zip(fetched).zip(records) {
        match lower(store, settings, version, want, fetched, pieces) {
            Lowered::Told(lowered) => told.push(lowered),
            Lowered::Onward(offset) => {
                (onward, want.offset) = (true, offset);
                told.push(Fetched { pieces: Vec::new(), ..(*fetched).clone() });
            }
        }
    }
    if !onward || wait.skips_left == 0 {
        return Ok(told);
    }
    let FetchWait { bytes_min, bytes_max, read_committed, session, expired, .. } = *wait;
    let (skips_left, watchers) = (wait.skips_left - 1, Vec::new());
    Err(FetchWait { bytes_min, bytes_max, read_committed, session, places, watchers, expired, skips_left })
}

/// Begins an old client's fetch again, further on.
fn read_on<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>, mut wait: FetchWait) {
    let parts = ask(broker, &mut wait, gather.header.version, false);
    broker.gather(gather.origin, &gather.header, gather.deadline_ms, parts, Kind::Fetch(wait));
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

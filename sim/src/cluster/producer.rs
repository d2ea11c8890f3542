//! A producer of one partition: plain or idempotent, several requests in flight, patient as Kafka's own.

use super::keyed::keyed;
use super::old;
use super::process::NEVER;
use super::remote::{Ctx, Heard, Remote};
use super::truth::{BatchKey, Part, Standing, record_key, record_value};
use super::violation::Violation;
use super::wire::Answer;
use engine::time::Mono;
use protocol::batch::BatchBuilder;
use protocol::compress::Codec;
use protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use protocol::{ApiKey, ErrorCode, Records};
use std::collections::VecDeque;

/// How a producer wants its records acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sent once, whatever becomes of it; acks as on the wire.
    Plain { acks: i16 },
    /// Sent again until it is known to be there, once.
    Idempotent,
}

/// What a producer does.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) kind: Kind,
    /// Requests in flight at most.
    pub(crate) window: usize,
    /// Time between two batches, in milliseconds.
    pub(crate) gap_ms: u64,
    /// Bytes of a record, at most.
    pub(crate) record_bytes: u64,
    pub(crate) codec: Codec,
    /// The version of Produce of a client that Kafka 4.0 turned away.
    pub(crate) old: Option<i16>,
    /// Few keys, again and again, some of them deleted.
    pub(crate) compacts: bool,
}

struct Batch {
    key: BatchKey,
    bytes: Vec<u8>,
}

/// See the module.
pub(crate) struct Producer {
    pub(crate) remote: Remote,
    number: u32,
    pub(crate) part: Part,
    habits: Habits,
    /// Producer id and epoch, once there is one.
    id: Option<(i64, i16)>,
    /// Order is promised within a session: a connection, or a producer id.
    session: u32,
    serial: u32,
    sequence: i32,
    /// Not yet known to be there, oldest first; the first `sent` of them are on their way.
    queue: VecDeque<Batch>,
    sent: usize,
    /// One of those on their way has failed: those behind it will, and all are sent again.
    rewinds: bool,
    next_at: Mono,
    done: bool,
    is_calm: bool,
}

impl Producer {
    pub(crate) fn new(remote: Remote, number: u32, part: Part, habits: Habits) -> Producer {
        Producer {
            remote,
            number,
            part,
            habits,
            id: None,
            session: 0,
            serial: 0,
            sequence: 0,
            queue: VecDeque::new(),
            sent: 0,
            rewinds: false,
            next_at: Mono(0),
            done: false,
            is_calm: false,
        }
    }

    pub(crate) fn due(&self) -> Mono {
        if self.done {
            return NEVER;
        }
        let waits_for_id = self.habits.kind == Kind::Idempotent && self.id.is_none() && self.remote.is_waiting();
        let has_more = self.sent < self.queue.len() || (self.queue.len() < self.habits.window && !self.is_calm);
        let sends = has_more && !self.rewinds && !waits_for_id;
        let next = if sends { self.next_at } else { NEVER };
        if self.remote.conn().is_none() { next.max(self.remote.due()) } else { next.min(self.remote.due()) }
    }

    /// Nothing is outstanding, an id for it neither, or its partition refuses for good reason.
    pub(crate) fn is_settled(&self, ctx: &Ctx<'_>) -> bool {
        let waits = !self.queue.is_empty() || self.remote.is_waiting();
        self.done || !waits || ctx.truth.look(self.part).is_damaged
    }

    /// What is outstanding.
    pub(crate) fn plight(&self) -> String {
        let (queued, sent, id) = (self.queue.len(), self.sent, self.id);
        let state = (self.rewinds, self.remote.is_waiting(), self.next_at, self.remote.due());
        format!("{:?} of {:?} with id {id:?}: {sent} of {queued} sent, {state:?}", self.habits.kind, self.part)
    }

    pub(crate) fn act(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Violation> {
        loop {
            match self.remote.hear(ctx)? {
                Heard::Answer(answer) => self.answered(ctx, &answer)?,
                Heard::Lost => self.lost(),
                Heard::Nothing => break,
            }
        }
        self.is_calm = ctx.is_calm;
        self.done |= matches!(ctx.truth.topics[self.part.topic].standing, Standing::Leaving | Standing::Deleted);
        if self.done || !self.remote.open(ctx) || self.rewinds || ctx.now < self.next_at {
            return Ok(());
        }
        if self.habits.kind == Kind::Idempotent && self.id.is_none() {
            self.ask_for_id(ctx.now);
            return Ok(());
        }
        self.send_all(ctx);
        Ok(())
    }

    fn ask_for_id(&mut self, now: Mono) {
        if let Some(link) = self.remote.link()
            && link.in_flight() == 0
        {
            let request = InitProducerIdRequest {
                transactional_id: None,
                producer_id: -1,
                producer_epoch: -1,
                ..Default::default()
            };
            link.ask(now, ApiKey::InitProducerId, 4, |writer| request.encode(writer, 4));
        }
    }

    fn send_all(&mut self, ctx: &mut Ctx<'_>) {
        while self.sent < self.habits.window {
            if self.sent == self.queue.len() {
                if ctx.is_calm || ctx.now < self.next_at {
                    return;
                }
                self.make(ctx);
            }
            self.send(ctx);
        }
    }

    /// The next batch, at the end of the queue.
    fn make(&mut self, ctx: &mut Ctx<'_>) {
        let rng = &mut self.remote.rng;
        self.next_at = ctx.now.plus_millis(1 + rng.below(2 * self.habits.gap_ms));
        let key = BatchKey { producer: self.number, serial: self.serial };
        let bytes = 1 + rng.below(self.habits.record_bytes) as u32;
        let count = if bytes > 10_000 { 1 } else { 1 + rng.below(4) as u32 };
        let mut builder = BatchBuilder::new().compression(self.habits.codec, None);
        if let Some((id, epoch)) = self.id {
            builder = builder.producer(id, epoch, self.sequence);
        }
        for index in 0..count {
            let id = record_key(key, index, count);
            let value = record_value(&id, bytes as usize);
            if self.habits.compacts {
                let (key, is_tombstone) = keyed(&id);
                let header = protocol::batch::Header { key: b"id", value: Some(&id) };
                builder.append(ctx.wall_ms, Some(&[key]), Some(&value[..]).filter(|_| !is_tombstone), &[header]);
            } else {
                builder.append(ctx.wall_ms, Some(&id), Some(&value), &[]);
            }
        }
        ctx.truth.sends(self.part, key, self.session, count, bytes);
        self.serial += 1;
        self.sequence += count as i32;
        let bytes = builder.build();
        let bytes = self.habits.old.map_or_else(|| bytes.clone(), |version| old::set_of(&bytes, version));
        self.queue.push_back(Batch { key, bytes });
    }

    /// Sends the first batch that is not on its way.
    fn send(&mut self, ctx: &Ctx<'_>) {
        let topic = &ctx.truth.topics[self.part.topic];
        let version = match self.habits.old {
            Some(version) => version,
            None if topic.id.is_some() && self.number.is_multiple_of(2) => 13,
            None => 3 + (self.number % 10) as i16,
        };
        let records = Records::Bytes(&self.queue[self.sent].bytes);
        let topic_data = vec![TopicProduceData {
            name: topic.name.clone().into(),
            topic_id: topic.id.unwrap_or_default(),
            partition_data: vec![PartitionProduceData { index: self.part.index, records }],
        }];
        let acks = if let Kind::Plain { acks } = self.habits.kind { acks } else { -1 };
        let request = ProduceRequest { transactional_id: None, acks, timeout_ms: 20_000, topic_data };
        let Some(link) = self.remote.link() else { return };
        if acks == 0 {
            link.tell(ApiKey::Produce, version, |writer| request.encode(writer, version));
            self.queue.remove(self.sent);
        } else {
            link.ask(ctx.now, ApiKey::Produce, version, |writer| request.encode(writer, version));
            self.sent += 1;
        }
    }

    fn lost(&mut self) {
        match self.habits.kind {
            // Nobody will ever know what became of them.
            Kind::Plain { .. } => {
                self.queue.drain(..self.sent);
                self.session += 1;
            }
            Kind::Idempotent => {}
        }
        (self.sent, self.rewinds) = (0, false);
    }

    fn answered(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        if answer.asked.key == ApiKey::InitProducerId {
            return self.take_id(ctx, answer);
        }
        let (code, base) = answer.body(&self.remote.who, "Produce", |reader, version| {
            let response = ProduceResponse::decode(reader, version)?;
            let part = response.responses.first().and_then(|topic| topic.partition_responses.first());
            Ok(part.map_or((-1, -1), |part| (part.error_code, part.base_offset)))
        })?;
        match ErrorCode::try_from(code) {
            Ok(ErrorCode::None) => self.acknowledged(ctx, base),
            Ok(_) if self.rewinds || self.done => self.fail(ctx),
            Ok(code @ (ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId)) => {
                self.forgotten(ctx, code)
            }
            Ok(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId)
                if ctx.truth.topics[self.part.topic].standing != Standing::Exists =>
            {
                self.fail(ctx)
            }
            _ => {
                self.remote.check_code(ctx, "Produce", code)?;
                self.fail(ctx)
            }
        }
    }

    fn take_id(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let (code, id, epoch) = answer.body(&self.remote.who, "InitProducerId", |reader, version| {
            let response = InitProducerIdResponse::decode(reader, version)?;
            Ok((response.error_code, response.producer_id, response.producer_epoch))
        })?;
        if code != 0 {
            self.next_at = ctx.now.plus_millis(100);
            return self.remote.check_code(ctx, "InitProducerId", code);
        }
        if !ctx.truth.producer_ids.insert(id) {
            return Err(Violation::ProducerIdTwice(id));
        }
        self.id = Some((id, epoch));
        Ok(())
    }

    fn acknowledged(&mut self, ctx: &mut Ctx<'_>, base: i64) -> Result<(), Violation> {
        if self.rewinds {
            // It went through although one before it failed: only a plain producer's does.
            self.sent -= 1;
            self.rewinds = self.sent > 0;
            return Ok(());
        }
        let Some(batch) = self.queue.pop_front() else { return Ok(()) };
        self.sent -= 1;
        ctx.truth.acknowledges(self.part, batch.key, base)
    }

    /// The oldest batch on its way was not stored.
    fn fail(&mut self, ctx: &Ctx<'_>) -> Result<(), Violation> {
        self.sent -= 1;
        self.next_at = ctx.now.plus_millis(100);
        match self.habits.kind {
            Kind::Plain { .. } => {
                self.queue.pop_front();
            }
            Kind::Idempotent => self.rewinds = self.sent > 0,
        }
        if self.habits.kind == Kind::Idempotent && self.sent == 0 {
            self.rewinds = false;
        }
        Ok(())
    }

    /// The broker does not know the sequence before: where nothing may be lost, that is a loss.
    fn forgotten(&mut self, ctx: &mut Ctx<'_>, code: ErrorCode) -> Result<(), Violation> {
        let topic = &ctx.truth.topics[self.part.topic];
        let is_excused = topic.was_weak || ctx.truth.look(self.part).is_damaged;
        if let Some(batch) = self.queue.front()
            && !is_excused
        {
            return Err(Violation::SequenceForgotten { at: ctx.truth.place(self.part), batch: batch.key, code });
        }
        // As Kafka's producer does: a new id, and what was unanswered is left to its fate.
        self.queue.clear();
        self.remote.hang_up(ctx.now);
        (self.sent, self.rewinds, self.id, self.sequence) = (0, false, None, 0);
        self.session += 1;
        Ok(())
    }
}

//! A consumer of some partitions: polls from the start, now and then from elsewhere again, and checks every batch.

use super::old;
use super::process::NEVER;
use super::remote::{Ctx, Heard, Remote};
use super::truth::{Part, Standing, Truth};
use super::violation::{Violation, name_of};
use super::wire::Answer;
use engine::time::Mono;
use protocol::batch::iter_batches;
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use protocol::{ApiKey, ErrorCode, Records};

/// One partition that is read.
struct Reading {
    part: Part,
    /// The next offset; unknown until the log start was asked for.
    position: Option<i64>,
    /// Watermark and log start that were known when the last request was sent.
    known: (i64, i64),
    /// The last watermark that was told to this consumer.
    high: i64,
    /// Deletions that were seen to be over when the last request was sent.
    buried: usize,
}

/// See the module.
pub(crate) struct Consumer {
    pub(crate) remote: Remote,
    readings: Vec<Reading>,
    version: i16,
    max_wait_ms: i32,
    max_bytes: i32,
    /// One poll in so many goes back to somewhere earlier; 0 never.
    seeks: u64,
    next_at: Mono,
    /// The last error code.
    refusal: i16,
}

/// A part of a fetch answer that outlives its frame.
struct Fetched {
    topic: String,
    index: i32,
    code: i16,
    high: i64,
    start: i64,
    records: Vec<u8>,
}

impl Consumer {
    pub(crate) fn new(mut remote: Remote, parts: &[Part]) -> Consumer {
        let rng = &mut remote.rng;
        let version = 4 + rng.below(9) as i16;
        let (max_wait_ms, max_bytes) = (50 + rng.below(450) as i32, [2_000, 50_000, 1 << 20][rng.below(3) as usize]);
        let seeks = [0, 10, 60][rng.below(3) as usize];
        let readings =
            parts.iter().map(|part| Reading { part: *part, position: None, known: (0, 0), high: -1, buried: 0 });
        Consumer {
            readings: readings.collect(),
            version,
            max_wait_ms,
            max_bytes,
            seeks,
            next_at: Mono(0),
            refusal: 0,
            remote,
        }
    }

    pub(crate) fn due(&self) -> Mono {
        if self.readings.is_empty() {
            return NEVER;
        }
        let next = if self.remote.is_waiting() { NEVER } else { self.next_at };
        if self.remote.conn().is_none() { next.max(self.remote.due()) } else { next.min(self.remote.due()) }
    }

    /// Speaks the version of an old client.
    pub(crate) fn of_version(self, old: Option<i16>) -> Consumer {
        match old {
            // It gives up on a message that is larger than it wants.
            Some(version) => Consumer { version, ..self }.in_large_steps(),
            None => self,
        }
    }

    /// Reads as much at a time as it can get.
    pub(crate) fn in_large_steps(self) -> Consumer {
        Consumer { max_bytes: 1 << 20, ..self }
    }

    /// None of its topics is left.
    pub(crate) fn is_out_of_work(&self) -> bool {
        self.readings.is_empty()
    }

    /// Everything there is was read.
    pub(crate) fn is_settled(&self, ctx: &Ctx<'_>) -> bool {
        self.has_read_all(ctx.truth)
    }

    /// True when it is where everything ends that is known.
    pub(crate) fn has_read_all(&self, truth: &Truth) -> bool {
        self.readings.iter().all(|reading| is_read(reading, truth))
    }

    /// What it has not read, and the last refusal.
    pub(crate) fn plight(&self, ctx: &Ctx<'_>) -> String {
        let behind = self.readings.iter().filter(|reading| !is_read(reading, ctx.truth)).map(|reading| {
            let promised = ctx.truth.look(reading.part).promised;
            let place = ctx.truth.place(reading.part);
            format!("{place} at {:?} of {} ({promised} promised)", reading.position, reading.high)
        });
        format!("{}; last error {}", behind.collect::<Vec<_>>().join(", "), name_of(self.refusal))
    }

    pub(crate) fn act(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Violation> {
        loop {
            match self.remote.hear(ctx)? {
                Heard::Answer(answer) if answer.asked.key == ApiKey::Fetch => self.fetched(ctx, &answer)?,
                Heard::Answer(answer) => self.listed(ctx, &answer)?,
                Heard::Lost => {}
                Heard::Nothing => break,
            }
        }
        self.readings.retain(|reading| ctx.truth.topics[reading.part.topic].standing == Standing::Exists);
        if ctx.now >= self.next_at && !self.readings.is_empty() && !self.remote.is_waiting() && self.remote.open(ctx) {
            self.ask(ctx);
        }
        Ok(())
    }

    fn ask(&mut self, ctx: &Ctx<'_>) {
        self.next_at = ctx.now.plus_millis(self.remote.rng.below(40));
        if !ctx.is_calm && self.seeks > 0 && self.remote.rng.below(self.seeks) == 0 {
            self.seek(ctx);
        }
        for reading in &mut self.readings {
            let partition = ctx.truth.look(reading.part);
            reading.known = (partition.high, partition.start);
            reading.buried = partition.keys.buried_count();
        }
        match self.readings.iter().position(|reading| reading.position.is_none()) {
            Some(lost) => self.ask_start(ctx, lost),
            None => self.ask_fetch(ctx),
        }
    }

    fn seek(&mut self, ctx: &Ctx<'_>) {
        let at = self.remote.rng.below(self.readings.len() as u64) as usize;
        let partition = ctx.truth.look(self.readings[at].part);
        let room = (partition.high - partition.start).max(0) as u64 + 1;
        self.readings[at].position = Some(partition.start + self.remote.rng.below(room) as i64);
    }

    fn ask_start(&mut self, ctx: &Ctx<'_>, lost: usize) {
        let part = self.readings[lost].part;
        let partitions = vec![ListOffsetsPartition {
            partition_index: part.index,
            current_leader_epoch: -1,
            timestamp: -2,
            ..Default::default()
        }];
        let topics = vec![ListOffsetsTopic { name: ctx.truth.topics[part.topic].name.clone().into(), partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::ListOffsets, 5, |writer| request.encode(writer, 5));
        }
    }

    fn ask_fetch(&mut self, ctx: &Ctx<'_>) {
        // To come to the end within a bound, however small the steps were.
        let max_bytes = if ctx.is_calm { 1 << 20 } else { self.max_bytes };
        let topics = self.readings.iter().map(|reading| FetchTopic {
            topic: ctx.truth.topics[reading.part.topic].name.clone().into(),
            partitions: vec![FetchPartition {
                partition: reading.part.index,
                current_leader_epoch: -1,
                fetch_offset: reading.position.unwrap_or_default(),
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: max_bytes,
                ..Default::default()
            }],
            ..Default::default()
        });
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: self.max_wait_ms,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: topics.collect(),
            ..Default::default()
        };
        let version = self.version;
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::Fetch, version, |writer| request.encode(writer, version));
        }
    }

    fn listed(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let (name, index, code, offset) = answer.body(&self.remote.who, "ListOffsets", |reader, version| {
            let response = ListOffsetsResponse::decode(reader, version)?;
            let topic = response.topics.first();
            let part = topic.and_then(|topic| topic.partitions.first());
            let name = topic.map_or_else(String::new, |topic| topic.name.to_string());
            Ok(part.map_or((name.clone(), -1, -1, -1), |p| (name, p.partition_index, p.error_code, p.offset)))
        })?;
        let Some(at) = self.find(ctx, &name, index) else { return Ok(()) };
        match ErrorCode::try_from(code) {
            Ok(ErrorCode::None) => {
                let (part, known) = (self.readings[at].part, self.readings[at].known.1);
                ctx.truth.log_start(part, offset, known)?;
                self.readings[at].position = Some(offset);
                Ok(())
            }
            _ => self.failed(ctx, "ListOffsets", at, code),
        }
    }

    fn find(&self, ctx: &Ctx<'_>, topic: &str, index: i32) -> Option<usize> {
        let is_it =
            |reading: &Reading| reading.part.index == index && ctx.truth.topics[reading.part.topic].name == topic;
        self.readings.iter().position(is_it)
    }

    fn fetched(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let (code, parts) = answer.body(&self.remote.who, "Fetch", |reader, version| {
            let response = FetchResponse::decode(reader, version)?;
            let parts = response.responses.iter().flat_map(|topic| {
                topic.partitions.iter().map(|partition| Fetched::new(&topic.topic, partition)).collect::<Vec<_>>()
            });
            Ok((response.error_code, parts.collect::<Vec<_>>()))
        })?;
        if code != 0 {
            return self.remote.check_code(ctx, "Fetch", code);
        }
        for fetched in parts {
            if let Some(at) = self.find(ctx, &fetched.topic, fetched.index) {
                self.take(ctx, at, &fetched)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, ctx: &mut Ctx<'_>, at: usize, fetched: &Fetched) -> Result<(), Violation> {
        let (part, known) = (self.readings[at].part, self.readings[at].known);
        match ErrorCode::try_from(fetched.code) {
            Ok(ErrorCode::None) => {}
            Ok(ErrorCode::OffsetOutOfRange) if self.may_be_out(ctx, at) => {
                self.readings[at].position = None;
                return Ok(());
            }
            _ => {
                return self.failed(ctx, "Fetch", at, fetched.code);
            }
        }
        ctx.truth.watermark(part, fetched.high, known.0)?;
        if fetched.start >= 0 {
            ctx.truth.log_start(part, fetched.start, known.1)?;
        }
        self.readings[at].high = fetched.high;
        let Some(mut position) = self.readings[at].position else { return Ok(()) };
        if self.version <= old::FETCH_MAX {
            let next = old::read(ctx.truth, part, position, fetched.high, &fetched.records)?;
            self.readings[at].position = Some(next);
            return Ok(());
        }
        let mut is_first = true;
        for view in iter_batches(&fetched.records) {
            let place = || ctx.truth.place(part);
            let view = view.map_err(|error| Violation::Phantom {
                at: place(),
                offset: position,
                what: format!("bytes that are no batch: {error}"),
            })?;
            let (base, last) = (view.base_offset(), view.last_offset());
            let compacts = ctx.truth.topics[part.topic].compacts.is_some();
            let follows = match (is_first, compacts) {
                (true, false) => base <= position && position <= last,
                (true, true) => position <= last,
                (false, false) => base == position,
                (false, true) => base >= position,
            };
            if !follows {
                return Err(Violation::Skipped { at: place(), expected: position, got: base });
            }
            if last >= fetched.high {
                return Err(Violation::PastWatermark { at: place(), last, high: fetched.high });
            }
            position = if compacts {
                ctx.truth.reads_compacted(part, position, &view, self.readings[at].buried)? + 1
            } else {
                ctx.truth.reads(part, &view)? + 1
            };
            is_first = false;
        }
        self.readings[at].position = Some(position);
        Ok(())
    }

    /// Whether the position may be outside of the log: below its start, or lost with what was there.
    fn may_be_out(&self, ctx: &Ctx<'_>, at: usize) -> bool {
        let reading = &self.readings[at];
        let topic = &ctx.truth.topics[reading.part.topic];
        let partition = ctx.truth.look(reading.part);
        let position = reading.position.unwrap_or_default();
        topic.forgets || position < partition.start_asked || position > partition.high || partition.is_damaged
    }

    fn failed(&mut self, ctx: &Ctx<'_>, what: &'static str, at: usize, code: i16) -> Result<(), Violation> {
        self.next_at = ctx.now.plus_millis(200);
        self.refusal = code;
        let part = self.readings[at].part;
        let gone = [ErrorCode::UnknownTopicOrPartition.code(), ErrorCode::UnknownTopicId.code()].contains(&code);
        if gone && ctx.truth.topics[part.topic].standing != Standing::Exists {
            return Ok(());
        }
        let storage = [ErrorCode::KafkaStorageError.code(), ErrorCode::CorruptMessage.code()].contains(&code);
        if storage && ctx.truth.look(part).is_damaged {
            return Ok(());
        }
        self.remote.check_code(ctx, what, code)
    }
}

fn is_read(reading: &Reading, truth: &Truth) -> bool {
    let partition = truth.look(reading.part);
    partition.is_damaged || (reading.position == Some(reading.high) && reading.high >= partition.promised)
}

impl Fetched {
    fn new(topic: &str, data: &PartitionData<'_>) -> Fetched {
        let records = if let Records::Bytes(bytes) = data.records { bytes.to_vec() } else { Vec::new() };
        Fetched {
            topic: topic.to_owned(),
            index: data.partition_index,
            code: data.error_code,
            high: data.high_watermark,
            start: data.log_start_offset,
            records,
        }
    }
}

//! Whoever administers the cluster: makes topics, adds partitions, deletes records and topics, and looks whether what
//! was answered is what is there. One thing at a time, each tried until it is answered.

use super::configs::{self, Alteration, Known};
use super::process::NEVER;
use super::remote::{Ctx, Heard, Remote};
use super::truth::{Part, Partition, Promise, Standing, Topic};
use super::violation::{Violation, name_of};
use super::wire::Answer;
use engine::time::Mono;
use protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic};
use protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use protocol::messages::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use protocol::{ApiKey, ErrorCode, Uuid};

/// What an administrator may do, besides making the first topics.
#[derive(Clone, Debug)]
pub(crate) struct Duties {
    /// Topics to make at the start.
    pub(crate) topics: usize,
    /// Time between two deeds, in milliseconds.
    pub(crate) gap_ms: u64,
    pub(crate) creates: bool,
    pub(crate) deletes: bool,
    pub(crate) adds_partitions: bool,
    pub(crate) deletes_records: bool,
    /// Topics of weaker durability, with retention, with formats of their own.
    pub(crate) weak: bool,
    pub(crate) retention: bool,
    pub(crate) rewriting: bool,
    /// Topics that keep the newest record of each key.
    pub(crate) compacted: bool,
    /// Alters configurations of topics, and looks at them.
    pub(crate) configures: bool,
}

/// What is being done, until it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Deed {
    Create(usize),
    Delete(usize),
    Grow { topic: usize, to: usize },
    DeleteRecords { part: Part, upto: i64, known: i64 },
    Configure(Alteration),
    LookAtConfigs,
    Look,
}

/// See the module.
pub(crate) struct Admin {
    pub(crate) remote: Remote,
    duties: Duties,
    deed: Option<Deed>,
    /// Settings of topics, by number.
    configs: Vec<Vec<(&'static str, String)>>,
    next_at: Mono,
    /// Topics that came to be since somebody asked.
    pub(crate) born: Vec<usize>,
    /// Partitions that came to be since somebody asked.
    pub(crate) grown: Vec<Part>,
}

/// Topics that exist at a time, at most.
const TOPICS_MAX: usize = 6;

impl Admin {
    pub(crate) fn new(remote: Remote, duties: Duties) -> Admin {
        let (configs, born, grown) = (Vec::new(), Vec::new(), Vec::new());
        Admin { remote, duties, deed: None, configs, next_at: Mono(0), born, grown }
    }

    pub(crate) fn due(&self) -> Mono {
        let next = if self.remote.is_waiting() { NEVER } else { self.next_at };
        if self.remote.conn().is_none() { next.max(self.remote.due()) } else { next.min(self.remote.due()) }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.deed.is_none()
    }

    pub(crate) fn act(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Violation> {
        loop {
            match self.remote.hear(ctx)? {
                Heard::Answer(answer) => self.answered(ctx, &answer)?,
                Heard::Lost => {}
                Heard::Nothing => break,
            }
        }
        if ctx.now < self.next_at || self.remote.is_waiting() || !self.remote.open(ctx) {
            return Ok(());
        }
        if self.deed.is_none() && !ctx.is_calm {
            self.deed = self.choose(ctx);
        }
        match self.deed.clone() {
            Some(deed) => self.ask(ctx, deed),
            None => self.next_at = ctx.now.plus_millis(self.duties.gap_ms),
        }
        Ok(())
    }

    fn choose(&mut self, ctx: &mut Ctx<'_>) -> Option<Deed> {
        if ctx.truth.topics.len() < self.duties.topics {
            return Some(self.invent(ctx));
        }
        let existing: Vec<usize> =
            (0..ctx.truth.topics.len()).filter(|&topic| ctx.truth.topics[topic].standing == Standing::Exists).collect();
        let rng = &mut self.remote.rng;
        if self.duties.configures && rng.below(3) == 0 {
            let topic = existing.get(rng.below(existing.len().max(1) as u64) as usize).copied();
            return Some(match rng.below(3) {
                0 => Deed::LookAtConfigs,
                _ => Deed::Configure(Alteration::draw(ctx.truth, topic, rng)),
            });
        }
        let dice = rng.below(10);
        let topic = existing.get(rng.below(existing.len().max(1) as u64) as usize).copied();
        match (dice, topic) {
            (0..2, _) if self.duties.creates && existing.len() < TOPICS_MAX => Some(self.invent(ctx)),
            (2, Some(topic)) if self.duties.deletes && existing.len() > 1 => {
                ctx.truth.topics[topic].standing = Standing::Leaving;
                Some(Deed::Delete(topic))
            }
            (3, Some(topic)) if self.duties.adds_partitions && ctx.truth.topics[topic].partitions.len() < 6 => {
                Some(Deed::Grow { topic, to: ctx.truth.topics[topic].partitions.len() + 1 })
            }
            // As Kafka, the broker deletes no records of a compacted topic.
            (4..6, Some(topic)) if self.duties.deletes_records && ctx.truth.topics[topic].compacts.is_none() => {
                let index = rng.below(ctx.truth.topics[topic].partitions.len() as u64) as i32;
                let part = Part { topic, index };
                let partition = ctx.truth.partition(part);
                let room = (partition.high - partition.start).max(0) as u64 + 1;
                let upto = partition.start + rng.below(room) as i64;
                partition.start_asked = partition.start_asked.max(upto);
                Some(Deed::DeleteRecords { part, upto, known: partition.start })
            }
            _ => Some(Deed::Look),
        }
    }

    /// A topic that was never there, with settings that make much happen with little data.
    fn invent(&mut self, ctx: &mut Ctx<'_>) -> Deed {
        let rng = &mut self.remote.rng;
        let pick = |rng: &mut engine::io::sim::Rng, values: &[i64]| values[rng.below(values.len() as u64) as usize];
        let mut configs = vec![
            ("segment.ms", pick(rng, &[500, 5_000, 3_600_000]).to_string()),
            ("file.delete.delay.ms", pick(rng, &[0, 100, 60_000]).to_string()),
            // Clocks jump by days here.
            ("message.timestamp.after.max.ms", i64::MAX.to_string()),
            ("index.interval.bytes", pick(rng, &[512, 4096]).to_string()),
        ];
        let mut promise = Promise::PowerCut;
        if self.duties.weak && rng.below(4) == 0 {
            promise = Promise::Kill;
            let interval = rng.coin();
            configs.push(("durability", if interval { "interval" } else { "none" }.to_owned()));
            if interval {
                configs.push(("flush.ms", pick(rng, &[10, 1_000, 60_000]).to_string()));
            }
        }
        let compacts = (self.duties.compacted && rng.below(2) == 0).then(|| rng.coin());
        if let Some(tombstones_stay) = compacts {
            configs.push(("cleanup.policy", "compact".to_owned()));
            configs.push(("min.cleanable.dirty.ratio", ["0.01", "0.5"][rng.below(2) as usize].to_owned()));
            configs.push(("delete.retention.ms", if tombstones_stay { i64::MAX } else { 0 }.to_string()));
            configs.retain(|(name, _)| *name != "segment.ms");
            configs.push(("segment.ms", pick(rng, &[100, 500, 2_000]).to_string()));
        }
        let forgets = compacts.is_none() && self.duties.retention && rng.below(3) == 0;
        let (bytes, ms) = if forgets { (pick(rng, &[-1, 60_000]), pick(rng, &[-1, 20_000])) } else { (-1, -1) };
        configs.push(("retention.bytes", bytes.to_string()));
        configs.push(("retention.ms", ms.to_string()));
        if self.duties.rewriting && rng.below(4) == 0 {
            configs.push(match rng.below(3) {
                0 => ("message.timestamp.type", "LogAppendTime".to_owned()),
                1 => ("compression.type", "lz4".to_owned()),
                _ => ("compression.type", "uncompressed".to_owned()),
            });
        }
        let number = ctx.truth.topics.len();
        let partitions = vec![Partition::default(); 1 + rng.below(3) as usize];
        let (name, id, standing) = (format!("t{number}"), None, Standing::Asked);
        let (was_weak, known) = (promise == Promise::Kill, Known::made(&configs));
        ctx.truth.topics.push(Topic {
            name,
            id,
            standing,
            promise,
            forgets,
            was_weak,
            compacts,
            configs: known,
            partitions,
        });
        self.configs.push(configs);
        Deed::Create(number)
    }

    fn ask(&mut self, ctx: &Ctx<'_>, deed: Deed) {
        let now = ctx.now;
        let Some(link) = self.remote.link() else { return };
        match deed {
            Deed::Create(topic) => {
                let known = &ctx.truth.topics[topic];
                let configs = self.configs[topic].iter();
                let configs = configs
                    .map(|(name, value)| CreatableTopicConfig {
                        name: (*name).into(),
                        value: Some(value.clone().into()),
                    })
                    .collect();
                let topics = vec![CreatableTopic {
                    name: known.name.clone().into(),
                    num_partitions: known.partitions.len() as i32,
                    replication_factor: 1,
                    configs,
                    ..Default::default()
                }];
                let request = CreateTopicsRequest { topics, timeout_ms: 20_000, validate_only: false };
                link.ask(now, ApiKey::CreateTopics, 7, |writer| request.encode(writer, 7));
            }
            Deed::Delete(topic) => {
                let topic_names = vec![ctx.truth.topics[topic].name.clone().into()];
                let request = DeleteTopicsRequest { topic_names, timeout_ms: 20_000, ..Default::default() };
                link.ask(now, ApiKey::DeleteTopics, 5, |writer| request.encode(writer, 5));
            }
            Deed::Grow { topic, to } => {
                let name = ctx.truth.topics[topic].name.clone().into();
                let topics = vec![CreatePartitionsTopic { name, count: to as i32, assignments: None }];
                let request = CreatePartitionsRequest { topics, timeout_ms: 20_000, validate_only: false };
                link.ask(now, ApiKey::CreatePartitions, 3, |writer| request.encode(writer, 3));
            }
            Deed::DeleteRecords { part, upto, .. } => {
                let name = ctx.truth.topics[part.topic].name.clone().into();
                let partitions = vec![DeleteRecordsPartition { partition_index: part.index, offset: upto }];
                let topics = vec![DeleteRecordsTopic { name, partitions }];
                let request = DeleteRecordsRequest { topics, timeout_ms: 20_000 };
                link.ask(now, ApiKey::DeleteRecords, 2, |writer| request.encode(writer, 2));
            }
            Deed::Configure(alteration) => alteration.ask(ctx.truth, link, now),
            Deed::LookAtConfigs => configs::describe(ctx.truth, link, now),
            Deed::Look => {
                let request = MetadataRequest { topics: None, ..Default::default() };
                link.ask(now, ApiKey::Metadata, 12, |writer| request.encode(writer, 12));
            }
        }
    }

    fn answered(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        self.next_at = ctx.now.plus_millis(1 + self.remote.rng.below(2 * self.duties.gap_ms));
        if ctx.truth.topics.len() < self.duties.topics {
            self.next_at = ctx.now;
        }
        let Some(deed) = self.deed.clone() else { return Ok(()) };
        let settled = match deed {
            Deed::Create(topic) => self.created(ctx, answer, topic)?,
            Deed::Delete(topic) => self.deleted(ctx, answer, topic)?,
            Deed::Grow { topic, to } => self.grew(ctx, answer, topic, to)?,
            Deed::DeleteRecords { part, known, .. } => self.records_deleted(ctx, answer, part, known)?,
            Deed::Configure(alteration) => {
                let again = alteration.answered(ctx.truth, &self.remote.who, answer)?;
                if let Some(code) = again {
                    self.next_at = ctx.now.plus_millis(200);
                    self.remote.check_code(ctx, "an alteration", code)?;
                }
                again.is_none()
            }
            Deed::LookAtConfigs => {
                configs::check(ctx.truth, &self.remote.who, answer)?;
                true
            }
            Deed::Look => {
                check_metadata(&self.remote.who, ctx, answer)?;
                true
            }
        };
        if settled {
            self.deed = None;
        }
        Ok(())
    }

    fn created(&mut self, ctx: &mut Ctx<'_>, answer: &Answer, topic: usize) -> Result<bool, Violation> {
        let (code, id, message) = answer.body(&self.remote.who, "CreateTopics", |reader, version| {
            let response = CreateTopicsResponse::decode(reader, version)?;
            let first = response.topics.first();
            let message = first.and_then(|t| t.error_message.as_deref()).unwrap_or_default().to_owned();
            Ok(first.map_or((-1, Uuid::default(), message.clone()), |t| (t.error_code, t.topic_id, message)))
        })?;
        let known = &mut ctx.truth.topics[topic];
        match ErrorCode::try_from(code) {
            Ok(ErrorCode::None) => known.id = Some(id),
            // The answer to an earlier try was lost.
            Ok(ErrorCode::TopicAlreadyExists) => {}
            Ok(code) if !code.is_retriable() => {
                let (who, code) = (self.remote.who.clone(), format!("{code}: {message}"));
                return Err(Violation::Code { who, what: "CreateTopics", code });
            }
            _ => {
                self.next_at = ctx.now.plus_millis(200);
                return self.remote.check_code(ctx, "CreateTopics", code).map(|()| false);
            }
        }
        known.standing = Standing::Exists;
        self.born.push(topic);
        Ok(true)
    }

    fn deleted(&mut self, ctx: &mut Ctx<'_>, answer: &Answer, topic: usize) -> Result<bool, Violation> {
        let code = answer.body(&self.remote.who, "DeleteTopics", |reader, version| {
            let response = DeleteTopicsResponse::decode(reader, version)?;
            Ok(response.responses.first().map_or(-1, |topic| topic.error_code))
        })?;
        match ErrorCode::try_from(code) {
            Ok(ErrorCode::None | ErrorCode::UnknownTopicOrPartition) => {
                ctx.truth.topics[topic].standing = Standing::Deleted;
                Ok(true)
            }
            _ => {
                self.next_at = ctx.now.plus_millis(200);
                self.remote.check_code(ctx, "DeleteTopics", code).map(|()| false)
            }
        }
    }

    fn grew(&mut self, ctx: &mut Ctx<'_>, answer: &Answer, topic: usize, to: usize) -> Result<bool, Violation> {
        let code = answer.body(&self.remote.who, "CreatePartitions", |reader, version| {
            let response = CreatePartitionsResponse::decode(reader, version)?;
            Ok(response.results.first().map_or(-1, |topic| topic.error_code))
        })?;
        match ErrorCode::try_from(code) {
            // The second means that the answer to an earlier try was lost.
            Ok(ErrorCode::None | ErrorCode::InvalidPartitions) => {
                ctx.truth.topics[topic].partitions.push(Partition::default());
                self.grown.push(Part { topic, index: to as i32 - 1 });
                Ok(true)
            }
            _ => {
                self.next_at = ctx.now.plus_millis(200);
                self.remote.check_code(ctx, "CreatePartitions", code).map(|()| false)
            }
        }
    }

    fn records_deleted(
        &mut self,
        ctx: &mut Ctx<'_>,
        answer: &Answer,
        part: Part,
        known: i64,
    ) -> Result<bool, Violation> {
        let (code, low) = answer.body(&self.remote.who, "DeleteRecords", |reader, version| {
            let response = DeleteRecordsResponse::decode(reader, version)?;
            let part = response.topics.first().and_then(|topic| topic.partitions.first());
            Ok(part.map_or((-1, -1), |part| (part.error_code, part.low_watermark)))
        })?;
        match ErrorCode::try_from(code) {
            Ok(ErrorCode::None) => ctx.truth.log_start(part, low, known).map(|()| true),
            // A restart or damage may have taken what was to be deleted.
            Ok(ErrorCode::OffsetOutOfRange) => Ok(true),
            _ => self.remote.check_code(ctx, "DeleteRecords", code).map(|()| true),
        }
    }
}

/// Holds the cluster's topics against what was answered to those who made and deleted them.
pub(crate) fn check_metadata(who: &str, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
    let found = answer.body(who, "Metadata", |reader, version| {
        let response = MetadataResponse::decode(reader, version)?;
        let topics = response.topics.iter().map(|topic| {
            let name = topic.name.as_deref().unwrap_or_default().to_owned();
            (name, topic.topic_id, topic.error_code, topic.partitions.len())
        });
        Ok(topics.collect::<Vec<_>>())
    })?;
    for topic in &mut ctx.truth.topics {
        let there = found.iter().find(|(name, ..)| *name == topic.name);
        match (topic.standing, there) {
            (Standing::Exists, None) => return Err(Violation::TopicLost(topic.name.clone())),
            (Standing::Exists, Some((_, id, code, partitions))) => {
                let known = *topic.id.get_or_insert(*id);
                if known != *id || *code != 0 || *partitions < topic.partitions.len() {
                    let what = format!("{} with id {id}, {partitions} partitions, {}", topic.name, name_of(*code));
                    return Err(Violation::TopicLost(what));
                }
            }
            (Standing::Deleted, Some((_, id, ..))) => {
                return Err(Violation::TopicBack(topic.name.clone(), format!("as {id}")));
            }
            _ => {}
        }
    }
    Ok(())
}

//! Questions about the cluster, its topics and their partitions, one API each, and what their answers must be.

use super::{Deed, Outcome};
use crate::cluster::remote::Ctx;
use crate::cluster::truth::{Part, Standing};
use crate::cluster::violation::Violation;
use crate::cluster::wire::{Answer, Link};
use engine::io::sim::Rng;
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, TopicRequest as ProducersOf,
};
use protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use protocol::messages::list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use protocol::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use protocol::{ApiKey, ErrorCode};

/// A broker that there is, and one that there is not.
const BROKERS: [i32; 2] = [1, 99];
const CLUSTER: &str = "a simulated cluster 00";
const OF_TOPICS: i8 = 2;
/// Partitions on a page: fewer than most clusters here have.
const PAGE: i32 = 3;
/// A topic that is only ever validated.
const NEVER: &str = "never";

/// One question.
#[derive(Clone, Debug)]
pub(super) enum Look {
    Versions,
    Cluster,
    /// All topics page by page: where the page begins, what must be on it or behind it, and what has been on those before.
    Topics {
        from: Option<(String, i32)>,
        owed: Vec<(usize, usize)>,
        seen: Vec<String>,
    },
    /// Which topics have configurations; those that must be among them.
    Resources {
        owed: Vec<usize>,
    },
    Unregister {
        broker: i32,
    },
    /// Whether a topic could be made.
    Validate,
    Producers(Part),
    /// Where the first epoch of a partition ends, and the watermark that was known when it was asked.
    Epoch {
        part: Part,
        high: i64,
    },
}

impl Look {
    fn topics() -> Look {
        Look::Topics { from: None, owed: Vec::new(), seen: Vec::new() }
    }

    pub(super) fn draw(part: Option<Part>, rng: &mut Rng) -> Look {
        match (rng.below(10), part) {
            (0, _) => Look::Versions,
            (1, _) => Look::Cluster,
            (2, _) => Look::Resources { owed: Vec::new() },
            (3, _) => Look::Unregister { broker: BROKERS[rng.below(2) as usize] },
            (4, _) => Look::Validate,
            (5 | 6, Some(part)) => Look::Producers(part),
            (7 | 8, Some(part)) => Look::Epoch { part, high: 0 },
            _ => Look::topics(),
        }
    }

    /// Each question once.
    pub(super) fn all(parts: &[Part]) -> Vec<Look> {
        let mut looks = vec![Look::Versions, Look::Cluster, Look::Resources { owed: Vec::new() }, Look::Validate];
        looks.extend(BROKERS.map(|broker| Look::Unregister { broker }));
        looks.extend(parts.iter().flat_map(|part| [Look::Producers(*part), Look::Epoch { part: *part, high: 0 }]));
        looks.push(Look::topics());
        looks
    }

    pub(super) fn part(&self) -> Option<Part> {
        match self {
            Look::Producers(part) | Look::Epoch { part, .. } => Some(*part),
            _ => None,
        }
    }

    pub(super) fn ask(&mut self, ctx: &Ctx<'_>, link: &mut Link) {
        let (now, topics) = (ctx.now, &ctx.truth.topics);
        let existing = || topics.iter().enumerate().filter(|(_, topic)| topic.standing == Standing::Exists);
        match self {
            Look::Versions => {
                let request =
                    ApiVersionsRequest { client_software_name: "sim".into(), client_software_version: "1".into() };
                link.ask(now, ApiKey::ApiVersions, 4, |writer| request.encode(writer, 4));
            }
            Look::Cluster => {
                let request = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
                link.ask(now, ApiKey::DescribeCluster, 2, |writer| request.encode(writer, 2));
            }
            Look::Topics { from, owed, .. } => {
                if from.is_none() {
                    *owed = existing().map(|(at, topic)| (at, topic.partitions.len())).collect();
                }
                let cursor = from.as_ref().map(|(topic, partition_index)| Cursor {
                    topic_name: topic.as_str().into(),
                    partition_index: *partition_index,
                });
                let request =
                    DescribeTopicPartitionsRequest { topics: Vec::new(), response_partition_limit: PAGE, cursor };
                link.ask(now, ApiKey::DescribeTopicPartitions, 0, |writer| request.encode(writer, 0));
            }
            Look::Resources { owed } => {
                *owed = existing().map(|(at, _)| at).collect();
                let request = ListConfigResourcesRequest { resource_types: vec![OF_TOPICS] };
                link.ask(now, ApiKey::ListConfigResources, 1, |writer| request.encode(writer, 1));
            }
            Look::Unregister { broker } => {
                let request = UnregisterBrokerRequest { broker_id: *broker };
                link.ask(now, ApiKey::UnregisterBroker, 0, |writer| request.encode(writer, 0));
            }
            Look::Validate => {
                let topic = CreatableTopic {
                    name: NEVER.into(),
                    num_partitions: 2,
                    replication_factor: 1,
                    ..Default::default()
                };
                let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 20_000, validate_only: true };
                link.ask(now, ApiKey::CreateTopics, 7, |writer| request.encode(writer, 7));
            }
            Look::Producers(part) => {
                let name = topics[part.topic].name.clone().into();
                let topics = vec![ProducersOf { name, partition_indexes: vec![part.index] }];
                let request = DescribeProducersRequest { topics };
                link.ask(now, ApiKey::DescribeProducers, 0, |writer| request.encode(writer, 0));
            }
            Look::Epoch { part, high } => {
                *high = ctx.truth.look(*part).high;
                let partition =
                    OffsetForLeaderPartition { partition: part.index, current_leader_epoch: -1, leader_epoch: 0 };
                let topic = topics[part.topic].name.clone().into();
                let topics = vec![OffsetForLeaderTopic { topic, partitions: vec![partition] }];
                let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
                link.ask(now, ApiKey::OffsetForLeaderEpoch, 4, |writer| request.encode(writer, 4));
            }
        }
    }

    pub(super) fn check(&self, who: &str, ctx: &Ctx<'_>, answer: &Answer) -> Result<Outcome, Violation> {
        match self {
            Look::Versions => check_versions(who, answer),
            Look::Cluster => check_cluster(who, answer),
            Look::Topics { owed, seen, .. } => check_page(who, ctx, answer, owed, seen),
            Look::Resources { owed } => check_resources(who, ctx, answer, owed),
            Look::Unregister { broker } => check_unregistered(who, answer, *broker),
            Look::Validate => check_validated(who, answer),
            Look::Producers(part) => check_producers(who, ctx, answer, *part),
            Look::Epoch { part, high } => check_epoch(who, ctx, answer, *part, *high),
        }
    }
}

fn wrong<T>(who: &str, what: &'static str, got: String) -> Result<T, Violation> {
    Err(Violation::Told { who: who.to_owned(), what, got })
}

/// Everything that is asked here must be offered.
fn check_versions(who: &str, answer: &Answer) -> Result<Outcome, Violation> {
    const WHAT: &str = "ApiVersions";
    const ASKED: [ApiKey; 12] = [
        ApiKey::OffsetDelete,
        ApiKey::DeleteGroups,
        ApiKey::ListGroups,
        ApiKey::DescribeGroups,
        ApiKey::ConsumerGroupDescribe,
        ApiKey::DescribeLogDirs,
        ApiKey::AlterReplicaLogDirs,
        ApiKey::DescribeCluster,
        ApiKey::DescribeProducers,
        ApiKey::DescribeTopicPartitions,
        ApiKey::ListConfigResources,
        ApiKey::UnregisterBroker,
    ];
    let (code, keys) = answer.body(who, WHAT, |reader, version| {
        let response = ApiVersionsResponse::decode(reader, version)?;
        Ok((response.error_code, response.api_keys.iter().map(|api| api.api_key).collect::<Vec<_>>()))
    })?;
    if code != 0 {
        return Ok(Outcome::Again(WHAT, code));
    }
    match ASKED.iter().find(|key| !keys.contains(&(**key as i16))) {
        Some(key) => wrong(who, WHAT, format!("that {key:?} is not served")),
        None => Ok(Outcome::Done),
    }
}

fn check_cluster(who: &str, answer: &Answer) -> Result<Outcome, Violation> {
    const WHAT: &str = "DescribeCluster";
    let (code, told) = answer.body(who, WHAT, |reader, version| {
        let response = DescribeClusterResponse::decode(reader, version)?;
        let brokers: Vec<(i32, bool)> =
            response.brokers.iter().map(|broker| (broker.broker_id, broker.is_fenced)).collect();
        Ok((response.error_code, (response.cluster_id.to_string(), response.controller_id, brokers)))
    })?;
    match told {
        _ if code != 0 => Ok(Outcome::Again(WHAT, code)),
        told if told == (CLUSTER.to_owned(), BROKERS[0], vec![(BROKERS[0], false)]) => Ok(Outcome::Done),
        told => wrong(who, WHAT, format!("{told:?}")),
    }
}

/// One page; topics that were there from the first page to the last must be on one of them, whole.
fn check_page(
    who: &str,
    ctx: &Ctx<'_>,
    answer: &Answer,
    owed: &[(usize, usize)],
    seen: &[String],
) -> Result<Outcome, Violation> {
    const WHAT: &str = "DescribeTopicPartitions";
    let (page, next) = answer.body(who, WHAT, |reader, version| {
        let response = DescribeTopicPartitionsResponse::decode(reader, version)?;
        let topics = response.topics.iter().map(|topic| {
            let name = topic.name.as_deref().unwrap_or_default().to_owned();
            (name, topic.error_code, topic.partitions.iter().map(|p| p.partition_index).collect::<Vec<_>>())
        });
        let next = response.next_cursor.as_ref().map(|at| (at.topic_name.to_string(), at.partition_index));
        Ok((topics.collect::<Vec<_>>(), next))
    })?;
    let mut seen = seen.to_vec();
    for (name, code, partitions) in page {
        if code != 0 {
            return Ok(Outcome::Again(WHAT, code));
        }
        if name == NEVER {
            return Err(Violation::TopicBack(name, "it was only validated".to_owned()));
        }
        seen.extend(partitions.iter().map(|index| format!("{name}-{index}")));
    }
    if next.is_some() {
        return Ok(Outcome::Next(Deed::Look(Look::Topics { from: next, owed: owed.to_vec(), seen })));
    }
    let still = owed.iter().filter(|(topic, _)| ctx.truth.topics[*topic].standing == Standing::Exists);
    for (topic, partitions) in still {
        let name = &ctx.truth.topics[*topic].name;
        let count = |index: &usize| seen.iter().filter(|seen| **seen == format!("{name}-{index}")).count();
        if let Some(index) = (0..*partitions).find(|index| count(index) != 1) {
            return Err(Violation::TopicLost(format!("{name}: {WHAT} has partition {index} {} times", count(&index))));
        }
    }
    Ok(Outcome::Done)
}

fn check_resources(who: &str, ctx: &Ctx<'_>, answer: &Answer, owed: &[usize]) -> Result<Outcome, Violation> {
    const WHAT: &str = "ListConfigResources";
    let (code, names) = answer.body(who, WHAT, |reader, version| {
        let response = ListConfigResourcesResponse::decode(reader, version)?;
        let names: Vec<String> = response.config_resources.iter().map(|of| of.resource_name.to_string()).collect();
        Ok((response.error_code, names))
    })?;
    if code != 0 {
        return Ok(Outcome::Again(WHAT, code));
    }
    let topics = owed.iter().map(|topic| &ctx.truth.topics[*topic]);
    let lost = topics.filter(|topic| topic.standing == Standing::Exists).find(|topic| !names.contains(&topic.name));
    lost.map_or(Ok(Outcome::Done), |topic| Err(Violation::TopicLost(format!("{}: {WHAT} lacks it", topic.name))))
}

fn check_unregistered(who: &str, answer: &Answer, broker: i32) -> Result<Outcome, Violation> {
    const WHAT: &str = "UnregisterBroker";
    let code =
        answer.body(who, WHAT, |reader, version| Ok(UnregisterBrokerResponse::decode(reader, version)?.error_code))?;
    let is_there = broker == BROKERS[0];
    let expected = if is_there { ErrorCode::InvalidRequest } else { ErrorCode::BrokerIdNotRegistered };
    if code == expected.code() { Ok(Outcome::Done) } else { Ok(Outcome::Again(WHAT, code)) }
}

fn check_validated(who: &str, answer: &Answer) -> Result<Outcome, Violation> {
    const WHAT: &str = "CreateTopics";
    let code = answer.body(who, WHAT, |reader, version| {
        let response = CreateTopicsResponse::decode(reader, version)?;
        Ok(response.topics.first().map_or(-1, |topic| topic.error_code))
    })?;
    if code == 0 { Ok(Outcome::Done) } else { Ok(Outcome::Again(WHAT, code)) }
}

/// Only who was given an id is remembered by it.
fn check_producers(who: &str, ctx: &Ctx<'_>, answer: &Answer, part: Part) -> Result<Outcome, Violation> {
    const WHAT: &str = "DescribeProducers";
    let (code, ids) = answer.body(who, WHAT, |reader, version| {
        let response = DescribeProducersResponse::decode(reader, version)?;
        let Some(part) = response.topics.first().and_then(|topic| topic.partitions.first()) else {
            return Ok((-1, Vec::new()));
        };
        let ids: Vec<i64> = part.active_producers.iter().map(|producer| producer.producer_id).collect();
        Ok((part.error_code, ids))
    })?;
    if code != 0 {
        return Ok(refused(ctx, part, WHAT, code));
    }
    match ids.into_iter().find(|id| !ctx.truth.producer_ids.contains(id)) {
        Some(id) => wrong(who, WHAT, format!("that {id} writes to {}, which nobody was given", ctx.truth.place(part))),
        None => Ok(Outcome::Done),
    }
}

/// There is one epoch for ever, as long as there is one node: it ends where the log does.
fn check_epoch(who: &str, ctx: &Ctx<'_>, answer: &Answer, part: Part, high: i64) -> Result<Outcome, Violation> {
    const WHAT: &str = "OffsetForLeaderEpoch";
    let (code, epoch, end) = answer.body(who, WHAT, |reader, version| {
        let response = OffsetForLeaderEpochResponse::decode(reader, version)?;
        let part = response.topics.first().and_then(|topic| topic.partitions.first());
        Ok(part.map_or((-1, -1, -1), |part| (part.error_code, part.leader_epoch, part.end_offset)))
    })?;
    if code != 0 {
        return Ok(refused(ctx, part, WHAT, code));
    }
    if epoch == 0 && end < high && !ctx.truth.look(part).is_damaged {
        return wrong(who, WHAT, format!("that {} ends at {end}, at least {high} is known", ctx.truth.place(part)));
    }
    Ok(Outcome::Done)
}

/// A partition that the disk has damaged may refuse anything.
fn refused(ctx: &Ctx<'_>, part: Part, what: &'static str, code: i16) -> Outcome {
    if ctx.truth.look(part).is_damaged { Outcome::Done } else { Outcome::Again(what, code) }
}

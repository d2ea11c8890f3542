//! Where a group shall go on: each scenario of a reset, worked out against what the logs hold.

use super::plan::{self, Place};
use super::read;
use super::time::{self, TimeError};
use crate::client::{At, Client, Cluster, Error, Isolation, Topics};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

/// What to set offsets to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Earliest,
    Latest,
    /// What is committed; the end of the log where nothing is.
    Current,
    Offset(i64),
    ShiftBy(i64),
    /// The first record at or after this time, in milliseconds since 1970.
    Moment(i64),
    /// Each partition's own offset.
    Plan(BTreeMap<Place, i64>),
}

/// The offsets to set, and what the user should know about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) offsets: BTreeMap<Place, i64>,
    /// Partitions without a record at or after the moment, which are set to their end.
    pub(crate) without_record: BTreeSet<Place>,
    /// Offsets that lay outside the log, and what became of them.
    pub(crate) moved: Vec<String>,
}

/// Why a reset cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResetError {
    #[error(transparent)]
    Client(#[from] Error),
    #[error("Cannot shift offset for partition {topic}-{partition} since there is no current committed offset")]
    NothingToShift { topic: String, partition: i32 },
    #[error("The partitions \"{}\" do not exist", places(.0))]
    NoSuchPartitions(Vec<Place>),
    #[error("The partitions \"{}\" have no leader", places(.0))]
    NoLeader(Vec<Place>),
}

fn places(places: &[Place]) -> String {
    places.iter().map(|(topic, partition)| format!("{topic}-{partition}")).collect::<Vec<_>>().join(",")
}

impl Scenario {
    /// So long before now.
    pub(crate) fn ago(duration: &str) -> Result<Self, TimeError> {
        Ok(Scenario::Moment(now_ms().saturating_sub(time::duration(duration)?)))
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The partitions of `wanted`, all of a topic's where none is named.
///
/// # Errors
/// Topics and partitions that are not there, and partitions that nobody leads.
pub(crate) fn existing(client: &mut Client, wanted: &[plan::Asked]) -> Result<Vec<Place>, ResetError> {
    let names: BTreeSet<&str> = wanted.iter().map(|(topic, _)| topic.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let cluster = client.metadata(Topics::Named(&names))?;
    let mut found = Vec::new();
    for (topic, partitions) in wanted {
        let all =
            || -> Result<Vec<i32>, Error> { Ok(cluster.require(topic)?.partitions.iter().map(|p| p.index).collect()) };
        let partitions = partitions.clone().map_or_else(all, Ok)?;
        found.extend(partitions.into_iter().map(|partition| (topic.clone(), partition)));
    }
    check(&cluster, &found)?;
    Ok(found)
}

fn check(cluster: &Cluster, places: &[Place]) -> Result<(), ResetError> {
    let find = |place: &&Place| cluster.topic(&place.0)?.partitions.iter().find(|p| p.index == place.1);
    let missing: Vec<_> = places.iter().filter(|place| find(place).is_none()).cloned().collect();
    if !missing.is_empty() {
        return Err(ResetError::NoSuchPartitions(missing));
    }
    let without: Vec<_> =
        places.iter().filter(|place| find(place).is_some_and(|p| p.leader.is_none())).cloned().collect();
    if without.is_empty() { Ok(()) } else { Err(ResetError::NoLeader(without)) }
}

/// Works a scenario out for a group's partitions.
pub(crate) fn prepare(
    client: &mut Client,
    group: &str,
    places: &[Place],
    scenario: &Scenario,
) -> Result<Prepared, ResetError> {
    match scenario {
        Scenario::Earliest => at(client, places, At::Earliest),
        Scenario::Latest => at(client, places, At::Latest),
        Scenario::Moment(ms) => at_moment(client, places, *ms),
        Scenario::Offset(offset) => {
            let asked = places.iter().map(|place| (place.clone(), *offset)).collect();
            within_log(client, asked)
        }
        Scenario::Plan(asked) => {
            let asked_of: Vec<_> = asked.keys().cloned().collect();
            check(&cluster_of(client, &asked_of)?, &asked_of)?;
            within_log(client, asked.clone())
        }
        Scenario::ShiftBy(by) => shifted(client, group, places, *by),
        Scenario::Current => current(client, group, places),
    }
}

/// The picture of the cluster with these partitions' topics.
pub(crate) fn cluster_of(client: &mut Client, places: &[Place]) -> Result<Cluster, Error> {
    let names: BTreeSet<&str> = places.iter().map(|(topic, _)| topic.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    client.metadata(Topics::Named(&names))
}

/// A point of each log. Every partition must answer.
fn points(client: &mut Client, places: &[Place], at: At) -> Result<BTreeMap<Place, i64>, ResetError> {
    let cluster = cluster_of(client, places)?;
    let wanted: Vec<_> = places.iter().map(|(topic, partition)| (topic.as_str(), *partition, at)).collect();
    let found = client.list_offsets(&cluster, &wanted, Isolation::ReadUncommitted)?;
    let points = found.into_iter().map(|row| Ok(((row.topic, row.partition), row.result?.0)));
    Ok(points.collect::<Result<_, Error>>()?)
}

fn at(client: &mut Client, places: &[Place], at: At) -> Result<Prepared, ResetError> {
    Ok(Prepared { offsets: points(client, places, at)?, ..Prepared::default() })
}

fn at_moment(client: &mut Client, places: &[Place], ms: i64) -> Result<Prepared, ResetError> {
    let mut offsets = points(client, places, At::Time(ms.max(0)))?;
    let without: Vec<Place> =
        offsets.iter().filter(|(_, offset)| **offset < 0).map(|(place, _)| place.clone()).collect();
    offsets.extend(points(client, &without, At::Latest)?);
    Ok(Prepared { offsets, without_record: without.into_iter().collect(), ..Prepared::default() })
}

fn within_log(client: &mut Client, asked: BTreeMap<Place, i64>) -> Result<Prepared, ResetError> {
    let places: Vec<Place> = asked.keys().cloned().collect();
    let begins = points(client, &places, At::Earliest)?;
    let ends = points(client, &places, At::Latest)?;
    let mut prepared = Prepared::default();
    for (place, asked) in asked {
        let begin = begins.get(&place).copied().unwrap_or(0);
        let end = ends.get(&place).copied().unwrap_or(i64::MAX);
        let (offset, moved) = plan::clamp(asked, begin, end);
        if let Some(why) = moved {
            let (topic, partition) = &place;
            let text = format!(
                "New offset ({asked}) is {why} for topic partition {topic}-{partition}. Value will be set to {offset}"
            );
            prepared.moved.push(text);
        }
        prepared.offsets.insert(place, offset);
    }
    Ok(prepared)
}

fn shifted(client: &mut Client, group: &str, places: &[Place], by: i64) -> Result<Prepared, ResetError> {
    let committed = read::committed(client, group)?;
    let mut asked = BTreeMap::new();
    for place in places {
        let nothing = || ResetError::NothingToShift { topic: place.0.clone(), partition: place.1 };
        let offset = committed.get(place).ok_or_else(nothing)?.offset;
        asked.insert(place.clone(), offset.saturating_add(by));
    }
    within_log(client, asked)
}

fn current(client: &mut Client, group: &str, places: &[Place]) -> Result<Prepared, ResetError> {
    let committed = read::committed(client, group)?;
    let without: Vec<Place> = places.iter().filter(|place| !committed.contains_key(*place)).cloned().collect();
    let mut offsets = points(client, &without, At::Latest)?;
    for place in places {
        if let Some(committed) = committed.get(place) {
            offsets.insert(place.clone(), committed.offset);
        }
    }
    Ok(Prepared { offsets, ..Prepared::default() })
}

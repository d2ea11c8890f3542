//! The verdict over a group out of what the cluster remembers: commits from `__consumer_offsets`, and the ends of logs at
//! those moments from the records' timestamps. The rules are in [`status`](crate::status).
//!
//! A moment's end is the offset of the first record at or after it. Where producers give the timestamps, it is as good as
//! their clocks.

use super::plan::Place;
use super::{lag, read, reset};
use crate::client::{At, Client, Cluster, Error, FetchFrom, FetchLimits, Isolation};
use crate::console::records_of;
use crate::failure::Failure;
use crate::status::history::{self, History};
use crate::status::{Partition, Window};
use std::collections::BTreeMap;
use std::time::Duration;

/// The topic that keeps commits.
const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// How many of its newest records are looked at first; eight times as many with each further look.
const LOOK: i64 = 2_000;
/// What is looked at in the end, at most.
const LOOK_MAX: i64 = 2_000_000;

/// How to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Commits of a partition that count, and intervals that the log's end is looked at.
    pub(crate) slots: usize,
    /// The time between two looks at the end of a log.
    pub(crate) interval: Duration,
    /// Commits that follow each other more closely count as one.
    pub(crate) min_distance: Duration,
}

/// The partitions of a group with their windows, in order.
pub(crate) fn partitions(
    client: &mut Client,
    group: &str,
    span: Span,
    now_ms: i64,
) -> Result<Vec<(String, i32, Partition)>, Failure> {
    let committed = read::committed(client, group)?;
    let places: Vec<Place> = committed.keys().cloned().collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut windows = windows(client, group, &places, span)?;
    let ends = lag::ends(client, &places)?;
    let cluster = reset::cluster_of(client, &places)?;
    with_lags(client, &cluster, &mut windows, &ends)?;
    let past = past_ends(client, &cluster, &ends, span, now_ms)?;
    let mut partitions = Vec::new();
    for (place, committed) in committed {
        // A topic that was deleted has nothing left to read.
        let Some(&end) = ends.get(&place) else { continue };
        let window = windows.remove(&place).unwrap_or_else(|| Window::new(span.slots, 0));
        let current_lag = u64::try_from(end - committed.offset).unwrap_or(0);
        let broker_offsets = past.get(&place).cloned().unwrap_or_default();
        partitions.push((place.0, place.1, Partition { window, broker_offsets, current_lag }));
    }
    Ok(partitions)
}

/// The last commits of these partitions, without their lags.
fn windows(client: &mut Client, group: &str, places: &[Place], span: Span) -> Result<BTreeMap<Place, Window>, Failure> {
    let of_topic = [(OFFSETS_TOPIC.to_owned(), 0)];
    let cluster = reset::cluster_of(client, &of_topic)?;
    let count = i32::try_from(cluster.require(OFFSETS_TOPIC)?.partitions.len()).unwrap_or(i32::MAX);
    let partition = history::partition_of(group, count);
    let begin = point(client, &cluster, partition, At::Earliest)?;
    let end = point(client, &cluster, partition, At::Latest)?;
    let mut look = LOOK;
    loop {
        let from = end.saturating_sub(look).max(begin);
        let mut history = History::new(group, span.slots, millis(span.min_distance));
        read_commits(client, &cluster, partition, from, end, &mut history)?;
        if from <= begin || look >= LOOK_MAX || history.is_full_for(places) {
            return Ok(history.into_windows());
        }
        look = look.saturating_mul(8);
    }
}

fn point(client: &mut Client, cluster: &Cluster, partition: i32, at: At) -> Result<i64, Failure> {
    let found = client.list_offsets(cluster, &[(OFFSETS_TOPIC, partition, at)], Isolation::ReadUncommitted)?;
    let missing = || Failure::failed(format!("{OFFSETS_TOPIC}-{partition} does not say where it begins and ends"));
    Ok(found.into_iter().next().ok_or_else(missing)?.result?.0)
}

fn read_commits(
    client: &mut Client,
    cluster: &Cluster,
    partition: i32,
    mut from: i64,
    end: i64,
    into: &mut History,
) -> Result<(), Failure> {
    while from < end {
        let leader = cluster.leader(OFFSETS_TOPIC, partition)?;
        let wanted = FetchFrom { topic: OFFSETS_TOPIC, partition, offset: from };
        for row in client.fetch(leader, &[wanted], &FetchLimits::default())? {
            let next = records_of(row, from, |key, value| {
                history::read(key, value).into_iter().for_each(|entry| into.take(entry));
            })?;
            // Compaction leaves gaps, but never at the end that was just named.
            if next <= from {
                let text =
                    format!("{OFFSETS_TOPIC}-{partition} gives nothing from offset {from} on, and ends at {end}");
                return Err(Failure::failed(text));
            }
            from = next;
        }
    }
    Ok(())
}

/// Ends of logs at moments, one for each partition that has one; the end now where no record is as new.
fn ends_at(
    client: &mut Client,
    cluster: &Cluster,
    moments: &[(Place, i64)],
    ends: &BTreeMap<Place, i64>,
) -> Result<BTreeMap<Place, i64>, Error> {
    let wanted: Vec<_> = moments
        .iter()
        .filter(|(place, _)| ends.contains_key(place))
        .map(|((topic, partition), ms)| (topic.as_str(), *partition, At::Time((*ms).max(0))))
        .collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = client.list_offsets(cluster, &wanted, Isolation::ReadUncommitted)?;
    let mut at = BTreeMap::new();
    for row in found {
        let place = (row.topic, row.partition);
        let end = ends.get(&place).copied().unwrap_or(0);
        let offset = row.result?.0;
        at.insert(place, if offset < 0 { end } else { offset });
    }
    Ok(at)
}

/// Gives each commit the lag of its time: one question for the first of every window, one for the second, and so on.
fn with_lags(
    client: &mut Client,
    cluster: &Cluster,
    windows: &mut BTreeMap<Place, Window>,
    ends: &BTreeMap<Place, i64>,
) -> Result<(), Error> {
    let longest = windows.values().map(|window| window.commits().len()).max().unwrap_or(0);
    for slot in 0..longest {
        let moment =
            |(place, window): (&Place, &Window)| Some((place.clone(), window.commits().get(slot)?.timestamp_ms));
        let moments: Vec<_> = windows.iter().filter_map(moment).collect();
        let at = ends_at(client, cluster, &moments, ends)?;
        for (place, window) in windows.iter_mut() {
            if let (Some(end), Some(commit)) = (at.get(place), window.commits_mut().get_mut(slot)) {
                commit.lag = Some(u64::try_from(end - commit.offset).unwrap_or(0));
            }
        }
    }
    Ok(())
}

/// The ends of the logs now, one interval ago, two intervals ago …
fn past_ends(
    client: &mut Client,
    cluster: &Cluster,
    ends: &BTreeMap<Place, i64>,
    span: Span,
    now_ms: i64,
) -> Result<BTreeMap<Place, Vec<i64>>, Error> {
    let mut past: BTreeMap<Place, Vec<i64>> = ends.iter().map(|(place, end)| (place.clone(), vec![*end])).collect();
    for back in 1..span.slots {
        let ago = millis(span.interval).saturating_mul(i64::try_from(back).unwrap_or(i64::MAX));
        let moments: Vec<_> = ends.keys().map(|place| (place.clone(), now_ms.saturating_sub(ago))).collect();
        for (place, end) in ends_at(client, cluster, &moments, ends)? {
            past.entry(place).or_default().push(end);
        }
    }
    Ok(past)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

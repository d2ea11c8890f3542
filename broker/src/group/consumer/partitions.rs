//! Sets of partitions by topic id, as assignments are made of.

use protocol::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// Partitions of topics. Invariant, kept by [`insert`]: no inner set is empty.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// Adds one partition.
pub(crate) fn insert(partitions: &mut Partitions, topic: Uuid, partition: i32) {
    partitions.entry(topic).or_default().insert(partition);
}

/// Whether a partition is in it.
pub(crate) fn contains(partitions: &Partitions, topic: Uuid, partition: i32) -> bool {
    partitions.get(&topic).is_some_and(|of| of.contains(&partition))
}

/// Every partition, in order.
pub(crate) fn iter(partitions: &Partitions) -> impl Iterator<Item = (Uuid, i32)> {
    partitions.iter().flat_map(|(topic, of)| of.iter().map(move |partition| (*topic, *partition)))
}

/// Whether all of `part` is in `whole`.
pub(crate) fn is_subset(part: &Partitions, whole: &Partitions) -> bool {
    iter(part).all(|(topic, partition)| contains(whole, topic, partition))
}

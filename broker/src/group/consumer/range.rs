//! The `range` assignor: each topic is cut into one run of partitions for each subscriber, longer ones first. Subscribers are
//! taken in one order for all topics, so that topics with equal numbers of partitions are joined up. As in Kafka it follows from the
//! subscriptions alone, and static members keep their place by their instance.

use super::assignor::{Spec, SpecMember};
use super::partitions::{self, Partitions};
use protocol::Uuid;
use std::collections::BTreeMap;

pub(super) fn assign(spec: &Spec) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..spec.members.len()).collect();
    order.sort_by_key(|index| place(&spec.members[*index]));
    let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for index in order {
        for topic in spec.members[index].topics.iter() {
            subscribers.entry(*topic).or_default().push(index);
        }
    }
    let mut all = vec![Partitions::new(); spec.members.len()];
    for (topic, subscribers) in subscribers {
        let count = spec.topics.get(&topic).copied().unwrap_or(0);
        cut(count, subscribers.len(), |at, partition| partitions::insert(&mut all[subscribers[at]], topic, partition));
    }
    all
}

/// Static members first.
fn place(member: &SpecMember) -> (bool, &str) {
    (!member.is_static, &member.name)
}

fn cut(count: i32, parts: usize, mut give: impl FnMut(usize, i32)) {
    let (count, mut next) = (usize::try_from(count).unwrap_or(0), 0);
    for at in 0..parts {
        let length = count / parts + usize::from(at < count % parts);
        for _ in 0..length {
            give(at, next);
            next += 1;
        }
    }
}

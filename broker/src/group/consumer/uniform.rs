//! The `uniform` assignor: as even as subscriptions allow, and sticky: no partition moves that need not.
//!
//! Where all members subscribe to the same topics there are quotas, and one pass does it. Elsewhere partitions go to the least
//! loaded subscriber, and then move from one that has two more to one that has two fewer until there is no such pair.

use super::assignor::Spec;
use super::partitions::{self, Partitions};
use protocol::Uuid;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

/// A partition.
type At = (Uuid, i32);

pub(super) fn assign(spec: &Spec) -> Vec<Partitions> {
    let Some(first) = spec.members.first() else { return Vec::new() };
    let is_same =
        spec.members.iter().all(|member| Rc::ptr_eq(&member.topics, &first.topics) || member.topics == first.topics);
    if is_same { homogeneous(spec) } else { heterogeneous(spec) }
}

/// What each member had and may keep, as far as nobody before it has it: of damage, or of members that were made from classic ones,
/// two may claim the same.
fn kept(spec: &Spec) -> (Vec<Vec<At>>, HashSet<At>) {
    let mut taken = HashSet::new();
    let of = |member: &super::assignor::SpecMember, taken: &mut HashSet<(Uuid, i32)>| -> Vec<(Uuid, i32)> {
        let there = |(topic, partition): &(Uuid, i32)| {
            spec.topics.get(topic).is_some_and(|count| (0..*count).contains(partition))
                && member.topics.binary_search(topic).is_ok()
        };
        partitions::iter(&member.before).filter(there).filter(|at| taken.insert(*at)).collect()
    };
    let kept = spec.members.iter().map(|member| of(member, &mut taken)).collect();
    (kept, taken)
}

fn homogeneous(spec: &Spec) -> Vec<Partitions> {
    let total: usize = spec.topics.values().map(|count| usize::try_from(*count).unwrap_or(0)).sum();
    let (quota, mut larger) = (total / spec.members.len(), total % spec.members.len());
    let (mut kept, mut taken) = kept(spec);
    for own in &mut kept {
        let keeps_one_more = own.len() > quota && larger > 0;
        larger -= usize::from(keeps_one_more);
        for at in own.drain((quota + usize::from(keeps_one_more)).min(own.len())..) {
            taken.remove(&at);
        }
    }
    let mut free = free(spec, &taken);
    for own in &mut kept {
        if own.len() < quota {
            own.extend(free.by_ref().take(quota - own.len()));
        }
    }
    // What is left is at most one each, for those that did not keep one more.
    for own in kept.iter_mut().filter(|own| own.len() == quota) {
        own.extend(free.by_ref().take(1));
    }
    collect(kept)
}

fn free<'a>(spec: &'a Spec, taken: &'a HashSet<(Uuid, i32)>) -> impl Iterator<Item = (Uuid, i32)> + 'a {
    let all = spec.topics.iter().flat_map(|(topic, count)| (0..*count).map(move |partition| (*topic, partition)));
    all.filter(|at| !taken.contains(at))
}

fn collect(all: Vec<Vec<(Uuid, i32)>>) -> Vec<Partitions> {
    let gather = |own: Vec<(Uuid, i32)>| {
        own.into_iter().fold(Partitions::new(), |mut all, (topic, partition)| {
            partitions::insert(&mut all, topic, partition);
            all
        })
    };
    all.into_iter().map(gather).collect()
}

/// A topic with those who subscribe to it, and what each of them has of it.
struct Topic {
    id: Uuid,
    /// Partitions by member. Invariant: a key for each subscriber.
    shares: BTreeMap<usize, BTreeSet<i32>>,
}

fn heterogeneous(spec: &Spec) -> Vec<Partitions> {
    let (kept, taken) = kept(spec);
    let mut loads: Vec<usize> = kept.iter().map(Vec::len).collect();
    let mut topics = topics_of(spec, &kept);
    // Topics that few can take first: the others can make up for them.
    topics.sort_by_key(|topic| (topic.shares.len(), topic.id));
    let mut free_of: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in free(spec, &taken) {
        free_of.entry(topic).or_default().push(partition);
    }
    for topic in &mut topics {
        spread(topic, &free_of.remove(&topic.id).unwrap_or_default(), &mut loads);
    }
    // Every move makes the sum of the squares of the loads smaller, so that this ends.
    loop {
        let mut moved = false;
        topics.iter_mut().for_each(|topic| moved |= level(topic, &mut loads));
        if !moved {
            break;
        }
    }
    let mut all = vec![Partitions::new(); spec.members.len()];
    for topic in topics {
        for (member, share) in topic.shares.into_iter().filter(|(_, share)| !share.is_empty()) {
            all[member].insert(topic.id, share);
        }
    }
    all
}

fn topics_of(spec: &Spec, kept: &[Vec<(Uuid, i32)>]) -> Vec<Topic> {
    let mut topics: BTreeMap<Uuid, Topic> = BTreeMap::new();
    for (index, member) in spec.members.iter().enumerate() {
        for id in member.topics.iter() {
            let topic = topics.entry(*id).or_insert_with(|| Topic { id: *id, shares: BTreeMap::new() });
            topic.shares.insert(index, BTreeSet::new());
        }
    }
    for (index, own) in kept.iter().enumerate() {
        for (id, partition) in own {
            if let Some(share) = topics.get_mut(id).and_then(|topic| topic.shares.get_mut(&index)) {
                share.insert(*partition);
            }
        }
    }
    topics.into_values().collect()
}

/// Gives each partition to the subscriber with the least load.
fn spread(topic: &mut Topic, free: &[i32], loads: &mut [usize]) {
    let mut order: BTreeSet<(usize, usize)> = topic.shares.keys().map(|member| (loads[*member], *member)).collect();
    for partition in free {
        let Some((load, member)) = order.pop_first() else { return };
        if let Some(share) = topic.shares.get_mut(&member) {
            share.insert(*partition);
        }
        loads[member] = load + 1;
        order.insert((load + 1, member));
    }
}

/// Moves partitions of the topic between its subscribers as long as one that has some is two ahead of another. Whether any moved.
fn level(topic: &mut Topic, loads: &mut [usize]) -> bool {
    let mut order: BTreeSet<(usize, usize)> = topic.shares.keys().map(|member| (loads[*member], *member)).collect();
    let mut givers: BTreeSet<(usize, usize)> = topic
        .shares
        .iter()
        .filter(|(_, share)| !share.is_empty())
        .map(|(member, _)| (loads[*member], *member))
        .collect();
    let mut moved = false;
    while let (Some(&(most, giver)), Some(&(least, taker))) = (givers.last(), order.first()) {
        if most < least + 2 {
            break;
        }
        let Some(partition) = topic.shares.get_mut(&giver).and_then(BTreeSet::pop_last) else { break };
        if let Some(share) = topic.shares.get_mut(&taker) {
            share.insert(partition);
        }
        for (member, before, after) in [(giver, most, most - 1), (taker, least, least + 1)] {
            loads[member] = after;
            order.remove(&(before, member));
            order.insert((after, member));
            givers.remove(&(before, member));
            if topic.shares.get(&member).is_some_and(|share| !share.is_empty()) {
                givers.insert((after, member));
            }
        }
        moved = true;
    }
    moved
}

//! Properties of both assignors over random members, subscriptions and histories: everything is assigned, to one member each, to one
//! that subscribes; `uniform` is even and moves no more than it must, `range` is what Kafka's formula says.

use super::model::Dice;
use crate::group::consumer::assignor::{Assignor, Spec, SpecMember};
use crate::group::consumer::partitions::{self, Partitions};
use protocol::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

const SEEDS: u64 = 400;

fn topic(index: u64) -> Uuid {
    Uuid([index as u8 + 1; 16])
}

fn member(name: u64, topics: &[Uuid], before: Partitions) -> SpecMember {
    let mut topics = topics.to_vec();
    topics.sort_unstable();
    SpecMember {
        name: format!("m{name:03}").into(),
        is_static: false,
        topics: Rc::from(topics),
        before: Arc::new(before),
    }
}

/// Some topics, some members; each subscribes to all of them, or to some.
fn draw(dice: &mut Dice, is_same: bool) -> Spec {
    let topics: BTreeMap<Uuid, i32> = (0..1 + dice.below(5)).map(|t| (topic(t), 1 + dice.below(12) as i32)).collect();
    let all: Vec<Uuid> = topics.keys().copied().collect();
    let members = (0..1 + dice.below(8)).map(|name| {
        let some: Vec<Uuid> = all.iter().copied().filter(|_| is_same || dice.below(3) > 0).collect();
        member(name, &some, Partitions::new())
    });
    of_read_topics(members.collect(), topics)
}

/// As the coordinator makes it: topics that somebody reads, subscriptions to topics that are there.
fn of_read_topics(mut members: Vec<SpecMember>, mut topics: BTreeMap<Uuid, i32>) -> Spec {
    topics.retain(|topic, _| members.iter().any(|member| member.topics.contains(topic)));
    for member in &mut members {
        member.topics = member.topics.iter().copied().filter(|topic| topics.contains_key(topic)).collect();
    }
    Spec { members, topics }
}

/// The same a while later: members went and came, topics grew, went and came.
fn change(dice: &mut Dice, spec: &Spec, assigned: Vec<Partitions>, is_same: bool) -> Spec {
    let mut topics = spec.topics.clone();
    match dice.below(4) {
        0 => topics.values_mut().for_each(|count| *count += dice.below(3) as i32),
        1 => _ = topics.insert(topic(5), 4),
        2 if topics.len() > 1 => _ = topics.pop_first(),
        _ => {}
    }
    let all: Vec<Uuid> = topics.keys().copied().collect();
    let mut members = Vec::new();
    for (old, before) in spec.members.iter().zip(assigned) {
        let wants: Vec<Uuid> = if is_same { all.clone() } else { old.topics.to_vec() };
        if dice.below(5) > 0 {
            members.push(SpecMember { before: Arc::new(before), ..member(0, &wants, Partitions::new()) });
            members.last_mut().unwrap().name = old.name.clone();
        }
    }
    for name in 100..100 + dice.below(3) {
        let wants: Vec<Uuid> = all.iter().copied().filter(|_| is_same || dice.below(2) > 0).collect();
        members.push(member(name, &wants, Partitions::new()));
    }
    of_read_topics(members, topics)
}

/// Every partition of a topic that somebody reads, once, at somebody who reads it.
fn check_complete(spec: &Spec, assigned: &[Partitions]) {
    assert_eq!(assigned.len(), spec.members.len());
    let mut seen = BTreeSet::new();
    for (member, own) in spec.members.iter().zip(assigned) {
        for (topic, partition) in partitions::iter(own) {
            assert!(member.topics.contains(&topic), "{} does not read {topic}", member.name);
            assert!((0..spec.topics[&topic]).contains(&partition));
            assert!(seen.insert((topic, partition)), "assigned twice");
        }
        assert!(own.values().all(|of| !of.is_empty()));
    }
    let total: i32 = spec.topics.values().sum();
    assert_eq!(seen.len(), total as usize, "partitions are left over");
}

/// Nobody has two more than another who could take one of them.
fn check_even(spec: &Spec, assigned: &[Partitions]) {
    let loads: Vec<usize> = assigned.iter().map(|own| partitions::iter(own).count()).collect();
    for (giver, own) in assigned.iter().enumerate() {
        for topic in own.keys() {
            let takers = spec.members.iter().enumerate().filter(|(_, member)| member.topics.contains(topic));
            for (taker, _) in takers {
                assert!(loads[giver] < loads[taker] + 2, "{giver} has {} and {taker} {}", loads[giver], loads[taker]);
            }
        }
    }
}

/// With one subscription for all, exactly as many move as new sizes make necessary.
fn check_sticky(spec: &Spec, assigned: &[Partitions]) {
    let valid =
        |own: &Partitions| partitions::iter(own).filter(|(t, p)| spec.topics.get(t).is_some_and(|c| p < c)).count();
    let kept: usize = spec
        .members
        .iter()
        .zip(assigned)
        .map(|(member, own)| {
            partitions::iter(&member.before).filter(|(t, p)| partitions::contains(own, *t, *p)).count()
        })
        .sum();
    let total: usize = spec.topics.values().map(|count| *count as usize).sum();
    let (quota, mut larger) = (total / spec.members.len(), total % spec.members.len());
    let mut best = 0;
    for had in spec.members.iter().map(|member| valid(&member.before)) {
        let one_more = had > quota && larger > 0;
        larger -= usize::from(one_more);
        best += had.min(quota + usize::from(one_more));
    }
    assert_eq!(kept, best, "partitions moved that need not have");
}

#[test]
fn uniform_over_random_histories() {
    for seed in 0..SEEDS {
        for is_same in [true, false] {
            let mut dice = Dice::of(seed);
            let mut spec = draw(&mut dice, is_same);
            for _ in 0..6 {
                let assigned = Assignor::Uniform.assign(&spec);
                check_complete(&spec, &assigned);
                check_even(&spec, &assigned);
                if is_same && !spec.members.is_empty() {
                    check_sticky(&spec, &assigned);
                }
                let again = spec.members.iter().zip(&assigned);
                let again = again.map(|(m, own)| SpecMember { before: Arc::new(own.clone()), ..m.clone() }).collect();
                let again = Spec { members: again, topics: spec.topics.clone() };
                assert_eq!(Assignor::Uniform.assign(&again), assigned, "nothing changed and something moved");
                spec = change(&mut dice, &spec, assigned, is_same);
            }
        }
    }
}

#[test]
fn range_over_random_histories() {
    for seed in 0..SEEDS {
        for is_same in [true, false] {
            let mut dice = Dice::of(seed);
            let spec = draw(&mut dice, is_same);
            let assigned = Assignor::Range.assign(&spec);
            check_complete(&spec, &assigned);
            for (topic, count) in &spec.topics {
                let readers: Vec<_> =
                    spec.members.iter().zip(&assigned).filter(|(m, _)| m.topics.contains(topic)).collect();
                let sizes: Vec<usize> =
                    readers.iter().map(|(_, own)| own.get(topic).map_or(0, BTreeSet::len)).collect();
                assert!(sizes.windows(2).all(|pair| pair[0] == pair[1] || pair[0] == pair[1] + 1), "{sizes:?}");
                let joined: Vec<i32> =
                    readers.iter().flat_map(|(_, own)| own.get(topic).into_iter().flatten().copied()).collect();
                if !readers.is_empty() {
                    assert_eq!(joined, (0..*count).collect::<Vec<_>>(), "each has one run, in order");
                }
            }
        }
    }
}

#[test]
fn range_joins_topics_of_one_size_up_and_static_members_keep_their_place() {
    let topics = BTreeMap::from([(topic(0), 5), (topic(1), 5)]);
    let both = [topic(0), topic(1)];
    let mut members = vec![member(1, &both, Partitions::new()), member(2, &both, Partitions::new())];
    members[1].is_static = true;
    let assigned = Assignor::Range.assign(&Spec { members, topics });
    for own in &assigned {
        assert_eq!(own[&topic(0)], own[&topic(1)]);
    }
    assert_eq!(assigned[1][&topic(0)], BTreeSet::from([0, 1, 2]), "the static one is first");
}

#[test]
fn a_claim_of_two_is_given_to_one() {
    let mine = Partitions::from([(topic(0), BTreeSet::from([0, 1]))]);
    let members = vec![member(1, &[topic(0)], mine.clone()), member(2, &[topic(0)], mine)];
    let spec = Spec { members, topics: BTreeMap::from([(topic(0), 2)]) };
    check_complete(&spec, &Assignor::Uniform.assign(&spec));
}

#[test]
fn a_large_group_is_assigned_at_once() {
    let topics: BTreeMap<Uuid, i32> = (0..10).map(|t| (topic(t), 100)).collect();
    let all: Vec<Uuid> = topics.keys().copied().collect();
    let shared: Rc<[Uuid]> = Rc::from(all);
    let one = |name| SpecMember { topics: shared.clone(), ..member(name, &[], Partitions::new()) };
    let spec = Spec { members: (0..100).map(one).collect(), topics };
    let assigned = Assignor::Uniform.assign(&spec);
    assert!(assigned.iter().all(|own| partitions::iter(own).count() == 10));
}

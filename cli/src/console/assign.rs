//! Who reads what: the strategies by which the leader of a classic group divides partitions among its members. They give
//! what Kafka's own give, so that any client may be the leader of a mixed group.

use std::collections::{BTreeMap, BTreeSet};

/// A partition by the name of its topic.
pub(crate) type Place = (String, i32);

/// A strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// Of each topic, every member gets neighbouring partitions.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// As even as can be, moving as little as can be, and what moves is given up first.
    CooperativeSticky,
}

/// What a member said when it joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) id: String,
    /// The instance id of a static member.
    pub(crate) instance: Option<String>,
    pub(crate) topics: Vec<String>,
    pub(crate) owned: Vec<Place>,
    /// In which it got what it owns.
    pub(crate) generation: i32,
}

/// Each member's partitions.
pub(crate) type Assignment = BTreeMap<String, Vec<Place>>;

impl Assignor {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// By the name on the wire, or that of Kafka's class.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        let class = name.trim().rsplit('.').next().unwrap_or_default();
        let all = [Assignor::Range, Assignor::RoundRobin, Assignor::CooperativeSticky];
        let classes = ["RangeAssignor", "RoundRobinAssignor", "CooperativeStickyAssignor"];
        all.into_iter().zip(classes).find(|(it, known)| it.name() == class || *known == class).map(|(it, _)| it)
    }

    /// Divides the partitions, of which `counts` says how many each topic has; topics that do not exist are not in it.
    pub(crate) fn assign(self, members: &[Subscriber], counts: &BTreeMap<String, i32>) -> Assignment {
        let mut members: Vec<&Subscriber> = members.iter().collect();
        // Static members first, by the id that survives a restart, so that restarts move nothing.
        members.sort_by_key(|member| (member.instance.is_none(), member.instance.clone(), member.id.clone()));
        match self {
            Assignor::Range => range(&members, counts),
            Assignor::RoundRobin => round_robin(&members, counts),
            Assignor::CooperativeSticky => give_up_first(&members, sticky(&members, counts)),
        }
    }
}

fn empty(members: &[&Subscriber]) -> Assignment {
    members.iter().map(|member| (member.id.clone(), Vec::new())).collect()
}

fn wants(member: &Subscriber, topic: &str) -> bool {
    member.topics.iter().any(|wanted| wanted == topic)
}

fn range(members: &[&Subscriber], counts: &BTreeMap<String, i32>) -> Assignment {
    let mut assignment = empty(members);
    for (topic, &count) in counts {
        let readers: Vec<_> = members.iter().filter(|member| wants(member, topic)).collect();
        let Ok(len) = i32::try_from(readers.len()) else { continue };
        if len == 0 {
            continue;
        }
        let mut next = 0;
        for (at, reader) in (0..).zip(readers) {
            let share = count / len + i32::from(at < count % len);
            let places = (next..next + share).map(|partition| (topic.clone(), partition));
            assignment.entry(reader.id.clone()).or_default().extend(places);
            next += share;
        }
    }
    assignment
}

fn round_robin(members: &[&Subscriber], counts: &BTreeMap<String, i32>) -> Assignment {
    let mut assignment = empty(members);
    let mut next = 0;
    for (topic, &count) in counts {
        if !members.iter().any(|member| wants(member, topic)) {
            continue;
        }
        for partition in 0..count {
            while !wants(members[next % members.len()], topic) {
                next += 1;
            }
            let id = members[next % members.len()].id.clone();
            assignment.entry(id).or_default().push((topic.clone(), partition));
            next += 1;
        }
    }
    assignment
}

/// Keeps what members own, gives what is free to whoever has least, then moves single partitions until no move helps.
fn sticky(members: &[&Subscriber], counts: &BTreeMap<String, i32>) -> Assignment {
    let mut assignment = empty(members);
    let mut free: BTreeSet<Place> = counts
        .iter()
        .filter(|(topic, _)| members.iter().any(|member| wants(member, topic)))
        .flat_map(|(topic, &count)| (0..count).map(|partition| (topic.clone(), partition)))
        .collect();
    // Who got a partition in the newest generation owns it; an older claim is of a member that was away.
    let mut claims: Vec<_> = members.iter().flat_map(|member| member.owned.iter().map(move |p| (*member, p))).collect();
    claims.sort_by_key(|(member, _)| std::cmp::Reverse(member.generation));
    for (member, place) in claims {
        if wants(member, &place.0) && free.remove(place) {
            assignment.entry(member.id.clone()).or_default().push(place.clone());
        }
    }
    for place in free {
        let readers = members.iter().filter(|member| wants(member, &place.0));
        if let Some(least) = readers.min_by_key(|member| assignment[&member.id].len()) {
            assignment.entry(least.id.clone()).or_default().push(place);
        }
    }
    while let Some((from, to, place)) = improvement(members, &assignment) {
        assignment.entry(from).or_default().retain(|other| *other != place);
        assignment.entry(to).or_default().push(place);
    }
    assignment.values_mut().for_each(|places| places.sort());
    assignment
}

/// A partition whose move makes two members more alike: each such move lowers the sum of squares, so that they end.
fn improvement(members: &[&Subscriber], assignment: &Assignment) -> Option<(String, String, Place)> {
    let mut from: Vec<_> = assignment.iter().collect();
    from.sort_by_key(|(_, places)| std::cmp::Reverse(places.len()));
    for (id, places) in from {
        for place in places.iter().rev() {
            let readers = members.iter().filter(|member| wants(member, &place.0) && member.id != *id);
            let Some(least) = readers.min_by_key(|member| assignment[&member.id].len()) else { continue };
            if assignment[&least.id].len() + 1 < places.len() {
                return Some((id.clone(), least.id.clone(), place.clone()));
            }
        }
    }
    None
}

/// Takes what another member still owns off the new owner: that one gives it up in this round and a next one follows.
fn give_up_first(members: &[&Subscriber], mut assignment: Assignment) -> Assignment {
    for member in members {
        let owned: BTreeSet<&Place> = member.owned.iter().collect();
        for (id, places) in &mut assignment {
            if *id != member.id {
                places.retain(|place| !owned.contains(place));
            }
        }
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str]) -> Subscriber {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Subscriber { id: id.to_owned(), topics, ..Subscriber::default() }
    }

    fn owning(mut member: Subscriber, generation: i32, owned: &[(&str, i32)]) -> Subscriber {
        member.owned = owned.iter().map(|&(topic, partition)| (topic.to_owned(), partition)).collect();
        member.generation = generation;
        member
    }

    fn check(assignor: Assignor, members: &[Subscriber], counts: &[(&str, i32)], expect: &str) {
        let counts = counts.iter().map(|&(topic, count)| (topic.to_owned(), count)).collect();
        let assignment = assignor.assign(members, &counts);
        let text = |places: &Vec<Place>| places.iter().map(|(t, p)| format!("{t}{p}")).collect::<Vec<_>>().join(" ");
        let got: Vec<_> = assignment.iter().map(|(id, places)| format!("{id}: {}", text(places))).collect();
        assert_eq!(got.join(", "), expect);
    }

    #[test]
    fn range_gives_neighbours_of_each_topic() {
        let members = [member("b", &["x", "y"]), member("a", &["x", "y"])];
        check(Assignor::Range, &members, &[("x", 3), ("y", 3)], "a: x0 x1 y0 y1, b: x2 y2");
        let members = [member("b", &["x"]), member("a", &["x", "y"]), member("c", &[])];
        check(Assignor::Range, &members, &[("x", 3), ("y", 1)], "a: x0 x1 y0, b: x2, c: ");
    }

    #[test]
    fn static_members_come_first() {
        let mut fixed = member("z", &["x"]);
        fixed.instance = Some("one".to_owned());
        check(Assignor::Range, &[member("a", &["x"]), fixed], &[("x", 3)], "a: x2, z: x0 x1");
    }

    #[test]
    fn round_robin_deals_in_turn() {
        let members = [member("a", &["x", "y"]), member("b", &["y"])];
        check(Assignor::RoundRobin, &members, &[("x", 2), ("y", 3)], "a: x0 x1 y1, b: y0 y2");
    }

    #[test]
    fn sticky_moves_little_and_takes_only_what_was_given_up() {
        let first = owning(member("a", &["x"]), 1, &[("x", 0), ("x", 1), ("x", 2), ("x", 3)]);
        let members = [first, member("b", &["x"])];
        // In the first round a gives up two, which b gets in the next.
        check(Assignor::CooperativeSticky, &members, &[("x", 4)], "a: x0 x1, b: ");
        let members = [owning(member("a", &["x"]), 2, &[("x", 0), ("x", 1)]), member("b", &["x"])];
        check(Assignor::CooperativeSticky, &members, &[("x", 4)], "a: x0 x1, b: x2 x3");
    }

    #[test]
    fn of_two_owners_the_later_generation_is_believed() {
        let members = [owning(member("a", &["x"]), 1, &[("x", 0)]), owning(member("b", &["x"]), 2, &[("x", 0)])];
        // b keeps it, a loses it; neither may hold it while the other believes that it does.
        check(Assignor::CooperativeSticky, &members, &[("x", 1)], "a: , b: ");
    }

    #[test]
    fn every_partition_has_one_reader_whatever_they_subscribe_to() {
        let mut seed = 1_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let topics = ["x", "y", "z"];
            let members: Vec<_> = (0..=next(4))
                .map(|n| member(&n.to_string(), &topics[usize::try_from(next(3)).expect("small")..]))
                .collect();
            let counts: BTreeMap<_, _> =
                topics.iter().map(|topic| ((*topic).to_owned(), i32::try_from(next(7)).expect("small"))).collect();
            for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::CooperativeSticky] {
                let mut all: Vec<_> = assignor.assign(&members, &counts).into_values().flatten().collect();
                all.sort();
                let wanted = |topic: &str| members.iter().any(|member| wants(member, topic));
                let expect: Vec<_> = counts
                    .iter()
                    .filter(|(topic, _)| wanted(topic))
                    .flat_map(|(topic, &count)| (0..count).map(|p| (topic.clone(), p)))
                    .collect();
                assert_eq!(all, expect, "{assignor:?}");
            }
        }
    }

    #[test]
    fn names() {
        let class = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        assert_eq!(Assignor::by_name(class), Some(Assignor::CooperativeSticky));
        assert_eq!(Assignor::by_name("range"), Some(Assignor::Range));
        assert_eq!(Assignor::by_name("com.acme.Mine"), None);
    }
}

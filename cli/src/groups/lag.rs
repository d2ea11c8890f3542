//! What a group has read and what it has still to read, partition by partition.

use super::plan::Place;
use super::read::{self, Committed, Group, Member};
use super::reset;
use crate::client::{At, Client, Error, Isolation};
use std::collections::{BTreeMap, BTreeSet};

/// A partition that a group has committed, or that one of its members has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// None for a member without partitions.
    pub(crate) place: Option<Place>,
    pub(crate) committed: Option<Committed>,
    pub(crate) end: Option<i64>,
    /// Its index in the group's members.
    pub(crate) member: Option<usize>,
}

impl Row {
    /// Records that are left to read.
    pub(crate) fn lag(&self) -> Option<i64> {
        Some(self.end? - self.committed?.offset)
    }
}

/// The rows in the order of Kafka's tool: members with the most partitions first, then what nobody has.
pub(crate) fn of_group(client: &mut Client, group: &Group) -> Result<Vec<Row>, Error> {
    let committed = read::committed(client, &group.id)?;
    let places: BTreeSet<Place> =
        committed.keys().cloned().chain(group.members.iter().flat_map(|member| member.assigned.clone())).collect();
    let places: Vec<Place> = places.into_iter().collect();
    let ends = ends(client, &places)?;
    Ok(rows(&group.members, &committed, &ends))
}

/// Ends of logs. Partitions that are gone, or that nobody leads, have none.
pub(crate) fn ends(client: &mut Client, places: &[Place]) -> Result<BTreeMap<Place, i64>, Error> {
    let cluster = reset::cluster_of(client, places)?;
    let wanted: Vec<_> = places.iter().map(|(topic, partition)| (topic.as_str(), *partition, At::Latest)).collect();
    let found = client.list_offsets(&cluster, &wanted, Isolation::ReadUncommitted)?;
    let known = found.into_iter().filter_map(|row| Some(((row.topic, row.partition), row.result.ok()?.0)));
    Ok(known.collect())
}

fn rows(members: &[Member], committed: &BTreeMap<Place, Committed>, ends: &BTreeMap<Place, i64>) -> Vec<Row> {
    let row = |place: &Place, member| Row {
        place: Some(place.clone()),
        committed: committed.get(place).copied(),
        end: ends.get(place).copied(),
        member,
    };
    let mut busy: Vec<usize> = (0..members.len()).filter(|&at| !members[at].assigned.is_empty()).collect();
    busy.sort_by_key(|&at| std::cmp::Reverse(members[at].assigned.len()));
    let mut rows = Vec::new();
    for at in busy {
        let mut places = members[at].assigned.clone();
        places.sort_by_key(|(_, partition)| *partition);
        rows.extend(places.iter().map(|place| row(place, Some(at))));
    }
    let held: BTreeSet<&Place> = members.iter().flat_map(|member| &member.assigned).collect();
    let mut free: Vec<&Place> = committed.keys().filter(|place| !held.contains(place)).collect();
    free.sort_by_key(|(_, partition)| *partition);
    rows.extend(free.into_iter().map(|place| row(place, None)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_with_more_come_first_and_orphans_last() {
        let member = |id: &str, assigned: &[i32]| Member {
            id: id.to_owned(),
            instance: None,
            client: String::new(),
            host: String::new(),
            assigned: assigned.iter().map(|&partition| ("t".to_owned(), partition)).collect(),
            target: Vec::new(),
            epoch: None,
            is_upgraded: None,
        };
        let members = [member("a", &[3]), member("b", &[]), member("c", &[2, 1])];
        let at = |offset| Committed { offset, leader_epoch: None };
        let committed = [(0, 5), (1, 7)].map(|(partition, offset)| (("t".to_owned(), partition), at(offset)));
        let ends = [(0, 9), (1, 7), (2, 4)].map(|(partition, end)| (("t".to_owned(), partition), end));
        let rows = rows(&members, &committed.into(), &ends.into());
        let seen: Vec<_> = rows.iter().map(|row| (row.place.as_ref().map(|p| p.1), row.member, row.lag())).collect();
        assert_eq!(
            seen,
            [(Some(1), Some(2), Some(0)), (Some(2), Some(2), None), (Some(3), Some(0), None), (Some(0), None, Some(4))]
        );
    }
}

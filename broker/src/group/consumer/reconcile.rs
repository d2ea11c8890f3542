//! How a member gets from what it has to its target: it gives up first, reports that it did, and is given what nobody holds any
//! more. A pure function; who calls it and writes the outcome down is `advance`.

use super::member::{ConsumerMember, Progress};
use super::partitions::{self, Partitions};
use protocol::Uuid;

/// Where a member is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// Epoch of the assignment.
    pub(crate) epoch: i32,
    /// The member's part of it.
    pub(crate) partitions: &'a Partitions,
}

/// A member's next state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// Its epoch.
    pub(crate) epoch: i32,
    /// How far it is.
    pub(crate) progress: Progress,
    /// What it may use.
    pub(crate) assigned: Partitions,
    /// What it must give up.
    pub(crate) revoking: Partitions,
}

/// The member's next state, or `None` when it stays. `owned` is what the member says it uses, where it says so; `is_free` whether
/// nobody holds a partition.
pub(crate) fn next(
    member: &ConsumerMember,
    target: Target<'_>,
    owned: Option<&Partitions>,
    is_free: impl Fn(Uuid, i32) -> bool,
) -> Option<Next> {
    let epoch = match member.progress {
        Progress::Stable if member.epoch == target.epoch => return None,
        Progress::Unrevoked if still_uses(owned, &member.revoking) => return None,
        // It gave up what it was asked to, which is a step of its own even if more is asked of it next.
        Progress::Unrevoked => member.epoch.saturating_add(1),
        Progress::Stable | Progress::Unreleased => member.epoch,
    };
    let next = towards(member, epoch, target, owned, is_free);
    let is_same = next.epoch == member.epoch
        && next.progress == member.progress
        && next.assigned == member.assigned
        && next.revoking == member.revoking;
    (!is_same).then_some(next)
}

fn towards(
    member: &ConsumerMember,
    epoch: i32,
    target: Target<'_>,
    owned: Option<&Partitions>,
    is_free: impl Fn(Uuid, i32) -> bool,
) -> Next {
    let (mut assigned, mut revoking) = (Partitions::new(), Partitions::new());
    for (topic, partition) in partitions::iter(&member.assigned) {
        let stays = partitions::contains(target.partitions, topic, partition);
        partitions::insert(if stays { &mut assigned } else { &mut revoking }, topic, partition);
    }
    if !revoking.is_empty() && still_uses(owned, &revoking) {
        return Next { epoch, progress: Progress::Unrevoked, assigned, revoking };
    }
    let mut waits = false;
    for (topic, partition) in partitions::iter(target.partitions) {
        if partitions::contains(&member.assigned, topic, partition) {
            continue;
        }
        if is_free(topic, partition) {
            partitions::insert(&mut assigned, topic, partition);
        } else {
            waits = true;
        }
    }
    let progress = if waits { Progress::Unreleased } else { Progress::Stable };
    Next { epoch: target.epoch, progress, assigned, revoking: Partitions::new() }
}

/// Whether the member may still be using some of these: it does unless it says otherwise.
fn still_uses(owned: Option<&Partitions>, some: &Partitions) -> bool {
    if marks::planted!("broker: take a partition for given up before its owner says so") {
        return false;
    }
    owned.is_none_or(|owned| partitions::iter(owned).any(|(topic, p)| partitions::contains(some, topic, p)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::consumer::member::Facts;

    const TOPIC: Uuid = Uuid([1; 16]);

    fn set(partitions: &[i32]) -> Partitions {
        partitions.iter().fold(Partitions::new(), |mut all, p| {
            partitions::insert(&mut all, TOPIC, *p);
            all
        })
    }

    fn member(epoch: i32, progress: Progress, assigned: &[i32], revoking: &[i32]) -> ConsumerMember {
        let member = ConsumerMember::new(Facts::unknown());
        ConsumerMember { epoch, progress, assigned: set(assigned), revoking: set(revoking), ..member }
    }

    fn state(epoch: i32, progress: Progress, assigned: &[i32], revoking: &[i32]) -> Option<Next> {
        Some(Next { epoch, progress, assigned: set(assigned), revoking: set(revoking) })
    }

    #[test]
    fn every_step_of_a_member() {
        use Progress::{Stable, Unreleased, Unrevoked};
        let nothing: Option<&[i32]> = None;
        // Before; target epoch and partitions; what the member says it owns; partitions that others hold; after.
        let table = [
            (member(2, Stable, &[1], &[]), (2, &[1][..]), nothing, &[][..], None),
            (member(1, Stable, &[], &[]), (2, &[1, 2]), nothing, &[], state(2, Stable, &[1, 2], &[])),
            (member(1, Stable, &[1, 2], &[]), (2, &[1]), nothing, &[], state(1, Unrevoked, &[1], &[2])),
            (member(1, Stable, &[1, 2], &[]), (2, &[1]), Some(&[1][..]), &[], state(2, Stable, &[1], &[])),
            (member(1, Unrevoked, &[1], &[2]), (2, &[1]), nothing, &[], None),
            (member(1, Unrevoked, &[1], &[2]), (2, &[1]), Some(&[1, 2]), &[], None),
            (member(1, Unrevoked, &[1], &[2]), (2, &[1]), Some(&[1]), &[], state(2, Stable, &[1], &[])),
            (member(1, Unrevoked, &[1], &[2]), (3, &[3]), Some(&[1]), &[], state(2, Unrevoked, &[], &[1])),
            (member(1, Stable, &[], &[]), (2, &[1]), nothing, &[1], state(2, Unreleased, &[], &[])),
            (member(1, Stable, &[], &[]), (2, &[1, 2]), nothing, &[1], state(2, Unreleased, &[2], &[])),
            (member(2, Unreleased, &[2], &[]), (2, &[1, 2]), nothing, &[1], None),
            (member(2, Unreleased, &[2], &[]), (2, &[1, 2]), nothing, &[], state(2, Stable, &[1, 2], &[])),
            (member(2, Unreleased, &[2], &[]), (3, &[1]), nothing, &[], state(2, Unrevoked, &[], &[2])),
        ];
        for (row, (before, (epoch, target), owned, held, after)) in table.into_iter().enumerate() {
            let owned = owned.map(set);
            let target = Target { epoch, partitions: &set(target) };
            assert_eq!(next(&before, target, owned.as_ref(), |_, p| !held.contains(&p)), after, "row {row}");
        }
    }
}

//! Who holds which partition of a group of the consumer protocol, as its members were told. There a partition passes from one to the
//! other within an epoch of the group, so that what counts is the time: nobody may be given what another still uses.

use super::groups::Group;
use super::truth::Part;
use super::violation::Violation;
use engine::time::Mono;

/// A member that uses a partition.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    member: String,
    /// Until then the broker may not take it for gone: a session after the last heartbeat that it took.
    until: Mono,
}

impl Group {
    /// A member was told that it may use exactly these, and took that in.
    pub(crate) fn holds(
        &mut self,
        name: &str,
        member: &str,
        parts: &[Part],
        until: Mono,
        now: Mono,
    ) -> Result<(), Violation> {
        self.lets_go(member);
        for part in parts {
            self.last_holders.insert(*part, member.to_owned());
            let holder = Holder { member: member.to_owned(), until };
            let other = self.holders.insert(*part, holder).filter(|other| other.until > now);
            if let Some(other) = other {
                let (group, partition) = (name.to_owned(), part.index);
                return Err(Violation::TwoHolders { group, partition, first: other.member, second: member.to_owned() });
            }
        }
        Ok(())
    }

    /// Whether somebody else was told that it may use the partition since this member was.
    pub(crate) fn was_passed_on(&self, part: Part, member: &str) -> bool {
        self.last_holders.get(&part).is_some_and(|last| last != member)
    }

    /// A member uses nothing any more.
    pub(crate) fn lets_go(&mut self, member: &str) {
        self.holders.retain(|_, holder| holder.member != member);
    }

    /// Whether somebody who is alive uses the partition.
    pub(crate) fn is_held(&self, part: Part, now: Mono) -> bool {
        self.holders.get(&part).is_some_and(|holder| holder.until > now)
    }
}

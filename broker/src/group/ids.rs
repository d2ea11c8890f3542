//! Names inside the coordinator: groups, members, static instances, and the numbers that tie answers to questions.
//! Text ids are reference-counted, because timers, maps and records all hold them.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id! {
    /// A group's name, `group.id` of its members.
    GroupId
}

text_id! {
    /// One member of one group, named by the coordinator: a prefix, a dash and a random UUID.
    MemberId
}

text_id! {
    /// `group.instance.id` of a static member (KIP-345).
    InstanceId
}

/// One request that waits for its answer; given by the caller of the coordinator, answered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// One write of records that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AppendToken(pub(crate) u64);

/// Tells a group from an earlier one of the same name. Never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Incarnation(pub(crate) u64);

/// A source of member ids. Its seed comes from whoever owns randomness.
#[derive(Debug)]
pub(crate) struct MemberIds {
    state: u128,
}

impl MemberIds {
    /// Ids from a seed that no earlier process and no other shard used.
    pub(crate) fn new(seed: u128) -> Self {
        Self { state: seed }
    }

    /// `prefix-uuid`, as Kafka forms it from the client id or the instance id.
    pub(crate) fn next(&mut self, prefix: &str) -> MemberId {
        let mut bits = u128::from(self.word()) << 64 | u128::from(self.word());
        // Version 4 and variant 1 of RFC 9562.
        bits = bits & !(0xf << 76) | 0x4 << 76;
        bits = bits & !(0x3 << 62) | 0x2 << 62;
        let (a, b, c) = (bits >> 96, bits >> 80 & 0xffff, bits >> 64 & 0xffff);
        let (d, e) = (bits >> 48 & 0xffff, bits & 0xffff_ffff_ffff);
        MemberId::from(format!("{prefix}-{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}"))
    }

    /// A bare UUID in Kafka's own spelling, for a member of the new protocol that did not choose one.
    pub(crate) fn next_bare(&mut self) -> MemberId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.word().to_be_bytes());
        bytes[8..].copy_from_slice(&self.word().to_be_bytes());
        MemberId::from(protocol::Uuid(bytes).to_string())
    }

    /// The next 64 bits: a Weyl sequence over 128 bits through the finaliser of splitmix64.
    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let mut word = (self.state >> 64) as u64 ^ (self.state as u64).rotate_left(32);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn member_ids_are_a_prefix_and_a_version_4_uuid() {
        let mut ids = MemberIds::new(7);
        let id = ids.next("consumer-1");
        let uuid = id.as_str().strip_prefix("consumer-1-").unwrap();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn member_ids_do_not_repeat() {
        let mut ids = MemberIds::new(0);
        let seen: HashSet<MemberId> = (0..10_000).map(|_| ids.next("m")).collect();
        assert_eq!(seen.len(), 10_000);
    }
}

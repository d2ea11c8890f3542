//! One member of a consumer group: what it said about itself, and how far it is on the way to its target.

use super::partitions::{self, Partitions};
use crate::group::ids::InstanceId;
use crate::group::member::{Protocol, bytes_of};
use crate::group::memory::{Charge, MemberMemory};
use protocol::Uuid;
use std::sync::Arc;

/// Member epoch of a static member that said it would be back (KIP-848).
pub(crate) const LEFT_FOR_NOW: i32 = -2;

/// Bytes of a name of a topic in memory besides its letters: reference counts, and the pointer to it.
const NAME_OVERHEAD_BYTES: usize = 32;

/// What a member said about itself; one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
    /// Where it is.
    pub(crate) rack: Option<Arc<str>>,
    /// As in the header of its last request.
    pub(crate) client_id: Arc<str>,
    /// `/address`, as Java prints it.
    pub(crate) client_host: Arc<str>,
    /// Topics it subscribes to by name. Sorted, each once.
    pub(crate) names: Arc<[Arc<str>]>,
    /// Topics it subscribes to by pattern; an empty one is none.
    pub(crate) regex: Option<Arc<str>>,
    /// Longest wait for it to give partitions up.
    pub(crate) rebalance_timeout_ms: i32,
    /// The assignor that it votes for.
    pub(crate) assignor: Option<Arc<str>>,
    /// Set for a member that speaks the classic protocol.
    pub(crate) classic: Option<Classic>,
}

/// What only members of the classic protocol have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Classic {
    /// Longest silence.
    pub(crate) session_timeout_ms: i32,
    /// In order of preference, as it joined with.
    pub(crate) protocols: Arc<[Protocol]>,
}

impl Facts {
    /// Of a member that has said nothing yet.
    pub(crate) fn unknown() -> Self {
        Facts {
            instance: None,
            rack: None,
            client_id: "".into(),
            client_host: "".into(),
            names: Arc::from([]),
            regex: None,
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
        }
    }

    /// Bytes of what it says.
    pub(crate) fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + NAME_OVERHEAD_BYTES).sum();
        let classic = self.classic.as_ref().map_or(0, |classic| bytes_of(&classic.protocols));
        names + self.regex.as_ref().map_or(0, |regex| regex.len()) + classic
    }

    /// Whether the other one subscribes to something else.
    pub(crate) fn subscribes_otherwise(&self, other: &Facts) -> bool {
        self.names != other.names || self.pattern() != other.pattern()
    }

    /// Its pattern, if that is one.
    pub(crate) fn pattern(&self) -> Option<&Arc<str>> {
        self.regex.as_ref().filter(|regex| !regex.is_empty())
    }
}

/// Topic names as [`Facts`] keep them.
pub(crate) fn sorted_names<'a>(names: impl Iterator<Item = &'a str>) -> Arc<[Arc<str>]> {
    let mut sorted: Vec<Arc<str>> = names.map(Arc::from).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into()
}

/// How far a member is. The numbers are those of Kafka's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has all of its target.
    Stable = 0,
    /// It has to give partitions up first.
    Unrevoked = 1,
    /// Others have to give partitions up first.
    Unreleased = 2,
}

impl From<i8> for Progress {
    /// A state that Kafka may have later counts as one in which everything is compared with the target again.
    fn from(code: i8) -> Self {
        match code {
            0 => Progress::Stable,
            1 => Progress::Unrevoked,
            _ => Progress::Unreleased,
        }
    }
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerMember {
    /// What it said.
    pub(crate) facts: Facts,
    /// The target it has reached; 0 before the first, [`LEFT_FOR_NOW`] while it is away.
    pub(crate) epoch: i32,
    /// The epoch before: what a member says that missed an answer.
    pub(crate) previous_epoch: i32,
    /// How far it is.
    pub(crate) progress: Progress,
    /// What it may use.
    pub(crate) assigned: Partitions,
    /// What it has to give up, and may still be using.
    pub(crate) revoking: Partitions,
    /// What it costs.
    pub(crate) charge: Charge,
}

impl ConsumerMember {
    /// One that has just come.
    pub(crate) fn new(facts: Facts) -> Self {
        ConsumerMember {
            facts,
            epoch: 0,
            previous_epoch: 0,
            progress: Progress::Stable,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
            charge: Charge::default(),
        }
    }

    /// It costs what it says now.
    pub(crate) fn charge_to(&mut self, memory: &MemberMemory) {
        self.charge = memory.charge(self.facts.bytes());
    }

    /// Whether it has all of the target of that epoch.
    pub(crate) fn has_reached(&self, epoch: i32) -> bool {
        self.progress == Progress::Stable && self.epoch == epoch
    }

    /// Whether it speaks the classic protocol.
    pub(crate) fn is_classic(&self) -> bool {
        self.facts.classic.is_some()
    }

    /// Everything it may be using.
    pub(crate) fn held(&self) -> impl Iterator<Item = (Uuid, i32)> {
        partitions::iter(&self.assigned).chain(partitions::iter(&self.revoking))
    }
}

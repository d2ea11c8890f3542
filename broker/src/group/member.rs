//! One member of a group: what it supports, what it was assigned, and which request of it waits.

use super::ids::{InstanceId, Ticket};
use super::memory::{Charge, MemberMemory};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One way of assigning that a member supports, with what it wants assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// `range`, `cooperative-sticky`, `default` …
    pub(crate) name: Arc<str>,
    /// Opaque to the coordinator, but for the topics of protocol type `consumer`.
    pub(crate) metadata: Arc<[u8]>,
}

/// The request of a member that is not answered yet. There is never more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaiting {
    /// None.
    Nothing,
    /// JoinGroup, until the join phase completes.
    Join(Ticket),
    /// SyncGroup, until the leader's assignment is durable.
    Sync(Ticket),
}

/// A member that joined.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Set for static members; the group maps it back to the member.
    pub(crate) instance: Option<InstanceId>,
    /// As in the header of its JoinGroup.
    pub(crate) client_id: Arc<str>,
    /// `/address`, as Java prints it.
    pub(crate) client_host: Arc<str>,
    /// Longest wait for it to rejoin.
    pub(crate) rebalance_timeout_ms: i32,
    /// Longest silence.
    pub(crate) session_timeout_ms: i32,
    /// In order of preference; names are unique as far as the client keeps to the protocol.
    pub(crate) protocols: Vec<Protocol>,
    /// From the leader's SyncGroup of the current generation; empty before.
    pub(crate) assignment: Arc<[u8]>,
    /// Joined for the first time and was not answered yet: its session timeout is not running.
    pub(crate) is_new: bool,
    /// Which request waits.
    pub(crate) awaiting: Awaiting,
    /// What it costs.
    pub(crate) charge: Charge,
}

/// Bytes of what a member supports.
pub(crate) fn bytes_of(protocols: &[Protocol]) -> usize {
    protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len()).sum()
}

impl Member {
    /// It costs what it says now.
    pub(crate) fn charge_to(&mut self, memory: &MemberMemory) {
        self.charge = memory.charge(bytes_of(&self.protocols) + self.assignment.len());
    }

    /// Whether its JoinGroup waits.
    pub(crate) fn awaits_join(&self) -> bool {
        matches!(self.awaiting, Awaiting::Join(_))
    }

    /// Whether being silent is fine: a member whose request waits cannot send heartbeats. New ones time out all the same.
    pub(crate) fn is_excused(&self) -> bool {
        !self.is_new && self.awaiting != Awaiting::Nothing
    }

    /// Whether `protocols` is, in order and bytes, what it joined with.
    pub(crate) fn matches(&self, protocols: &[Protocol]) -> bool {
        self.protocols == protocols
    }

    /// What it sent for the protocol; empty for one that it does not support.
    pub(crate) fn metadata(&self, protocol: &str) -> Arc<[u8]> {
        let found = self.protocols.iter().find(|p| &*p.name == protocol);
        found.map_or_else(|| Arc::from([]), |p| p.metadata.clone())
    }

    /// The candidate it likes best.
    pub(crate) fn vote(&self, candidates: &BTreeSet<Arc<str>>) -> Option<Arc<str>> {
        self.protocols.iter().map(|p| &p.name).find(|name| candidates.contains(*name)).cloned()
    }

    /// Whether it supports a protocol.
    pub(crate) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|p| &*p.name == protocol)
    }
}

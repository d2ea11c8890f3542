//! The front of a shard: takes requests off its connections, sends each part to the shard that owns it, gathers, answers.
//!
//! [`message`] is what shards say to each other, [`gather`] collects the parts of one request, [`sessions`] remembers what
//! consumers fetch (KIP-227), [`traffic`] which shard a connection works for, [`patience`] whether its client waits for news. What a part means is the API's own file; what it does is `partition`.

pub mod gather;
pub mod message;
pub mod patience;
pub mod sessions;
pub mod traffic;

pub use message::{Message, Ticket};
pub use patience::Patience;
pub use traffic::Baggage;

use crate::io::ConnId;
use gather::Gather;
use patience::OpenBeat;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use traffic::Traffic;

/// One accepted connection.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// Our address as the client reached it.
    pub(crate) local: SocketAddr,
    /// Whose partitions it asked for lately.
    pub(crate) traffic: Traffic,
    /// The fetch session that it used last.
    pub(crate) session: Option<i32>,
    /// What its client does while a heartbeat is not answered.
    pub(crate) patience: Patience,
    /// Its heartbeat that may be waiting.
    pub(crate) beat: Option<OpenBeat>,
}

impl Conn {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr) -> Conn {
        Conn { peer, local, traffic: Traffic::default(), session: None, patience: Patience::None, beat: None }
    }
}

/// The connections of one shard and the requests that wait for parts.
#[derive(Debug)]
pub(crate) struct Front<C> {
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    /// By a number that is never reused.
    pub(crate) gathers: BTreeMap<u64, Gather<C>>,
    /// When each gather gives up waiting: (monotonic ms, gather).
    pub(crate) deadlines: BTreeSet<(u64, u64)>,
    next_gather: u64,
}

impl<C> Front<C> {
    pub(crate) fn new() -> Self {
        Front { conns: BTreeMap::new(), gathers: BTreeMap::new(), deadlines: BTreeSet::new(), next_gather: 0 }
    }

    /// Keeps a gather until its last part or its deadline.
    pub(crate) fn open(&mut self, gather: Gather<C>) -> u64 {
        let id = self.next_gather;
        self.next_gather += 1;
        if let Some(deadline_ms) = gather.deadline_ms {
            self.deadlines.insert((deadline_ms, id));
        }
        self.gathers.insert(id, gather);
        id
    }

    /// Takes a gather out: it is complete, late or no longer wanted.
    pub(crate) fn close(&mut self, id: u64) -> Option<Gather<C>> {
        let gather = self.gathers.remove(&id)?;
        if let Some(deadline_ms) = gather.deadline_ms {
            self.deadlines.remove(&(deadline_ms, id));
        }
        Some(gather)
    }

    /// The first gather whose deadline has come.
    pub(crate) fn late(&self, mono_ms: u64) -> Option<u64> {
        self.deadlines.first().filter(|(deadline_ms, _)| *deadline_ms <= mono_ms).map(|(_, id)| *id)
    }
}

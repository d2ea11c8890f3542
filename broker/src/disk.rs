//! Reads that are out at the disk, and who wants them.

use crate::Broker;
use crate::front::message::{Fetched, ListAsk, Ticket};
use crate::io::ReadFault;
use crate::partition::PartitionKey;
use crate::store::{LogId, Store};
use std::collections::BTreeMap;

/// Who wants what was read.
#[derive(Clone, Debug)]
pub(crate) enum DiskWait<C> {
    /// A part of a fetch; the answer but for its pieces.
    Fetch { ticket: Ticket, key: PartitionKey, fetched: Fetched<C> },
    /// A look-up of an offset that needs one batch.
    Lookup { ticket: Ticket, key: PartitionKey, ask: ListAsk },
    /// The replay of an internal log.
    Replay(LogId),
}

/// The reads of one shard, by a number that is never reused.
#[derive(Debug)]
pub(crate) struct Disk<C> {
    waits: BTreeMap<u64, DiskWait<C>>,
    next: u64,
}

impl<C> Disk<C> {
    pub(crate) fn new() -> Self {
        Disk { waits: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn open(&mut self, wait: DiskWait<C>) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.waits.insert(ticket, wait);
        ticket
    }

    fn close(&mut self, ticket: u64) -> Option<DiskWait<C>> {
        self.waits.remove(&ticket)
    }
}

impl<S: Store> Broker<S> {
    /// The disk answered [`Effect::ReadDisk`](crate::Effect::ReadDisk).
    pub(crate) fn read_done(&mut self, ticket: u64, result: Result<Vec<S::Chunk>, ReadFault>) {
        match self.disk.close(ticket) {
            Some(DiskWait::Fetch { ticket, key, fetched }) => self.fetched_from_disk(ticket, key, fetched, result),
            Some(DiskWait::Lookup { ticket, key, ask }) => self.looked_up(ticket, key, &ask, result),
            Some(DiskWait::Replay(log)) => self.replay_read(log, result),
            None => {}
        }
    }

    /// The disk answered [`Effect::FindTime`](crate::Effect::FindTime).
    pub(crate) fn time_found(&mut self, ticket: u64, result: Result<Option<S::Chunk>, ReadFault>) {
        if let Some(DiskWait::Lookup { ticket, key, ask }) = self.disk.close(ticket) {
            self.looked_up(ticket, key, &ask, result.map(|batch| batch.into_iter().collect()));
        }
    }
}

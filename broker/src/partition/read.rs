//! Serving fetches from one shard's partitions: what can be read now, reads from disk, and watches for what comes later.

use super::{Partition, PartitionKey};
use crate::Broker;
use crate::disk::DiskWait;
use crate::front::message::{FetchAsk, Fetched, Tell, Ticket};
use crate::io::{Effect, ReadFault, ShardId};
use crate::store::{LogId, ReadRange, Store, StoreRead};
use protocol::ErrorCode;

/// What the parts of one message may still take of the answer.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: usize,
    /// Bytes found, and bytes asked of the disk, so far.
    found: usize,
    failed: bool,
}

/// What reading a partition came to.
enum Found<C> {
    Now(Fetched<C>),
    /// Batches up to the high watermark, from disk.
    Disk(LogId, ReadRange, Fetched<C>),
}

impl<S: Store> Broker<S> {
    /// Reads the parts of one fetch that are at this shard, in order, within one budget. If they come to fewer bytes than the
    /// fetch wants, they are watched.
    pub(crate) fn fetch(&mut self, parts: &[(Ticket, PartitionKey, FetchAsk)]) {
        let Some((_, _, first)) = parts.first() else { return };
        let mut budget = Budget { left: first.budget, found: 0, failed: false };
        let mut told = Vec::with_capacity(parts.len());
        for (ticket, key, ask) in parts {
            if let Some(fetched) = self.read_part(*ticket, *key, ask, &mut budget) {
                told.push((*ticket, fetched));
            }
        }
        if budget.found < first.bytes_min && !budget.failed {
            for (ticket, key, ask) in parts {
                self.watch(*ticket, *key, *ask);
            }
        }
        for (ticket, fetched) in told {
            self.tell(ticket, Tell::Fetched(fetched));
        }
    }

    fn read_part(
        &mut self,
        ticket: Ticket,
        key: PartitionKey,
        ask: &FetchAsk,
        budget: &mut Budget,
    ) -> Option<Fetched<S::Chunk>> {
        let found = match self.partitions.get(&key) {
            Some(partition) => find(&mut self.store, partition, ask, budget),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        };
        match found {
            Ok(Found::Now(fetched)) => {
                let bytes = fetched.size_bytes();
                budget.found += bytes;
                budget.left = budget.left.saturating_sub(bytes);
                budget.failed |= fetched.diverging.is_some();
                Some(fetched)
            }
            Ok(Found::Disk(log, range, fetched)) => {
                // What the disk refused last time it will probably refuse again; it must not take the others' place.
                if !self.partitions.get(&key).is_some_and(|partition| partition.refused_by_disk) {
                    budget.found += range.max_bytes.max(1);
                    budget.left = budget.left.saturating_sub(range.max_bytes);
                }
                self.read_disk(log, range, DiskWait::Fetch { ticket, key, fetched });
                None
            }
            Err(code) => {
                budget.failed = true;
                Some(Fetched::failed(code))
            }
        }
    }

    pub(crate) fn read_disk(&mut self, log: LogId, range: ReadRange, wait: DiskWait<S::Chunk>) {
        let may_be_empty = matches!(wait, DiskWait::Fetch { .. });
        let ticket = self.disk.open(wait);
        self.effects.push_back(Effect::ReadDisk { ticket, log, range, may_be_empty });
    }

    /// The disk answered a fetch.
    pub(crate) fn fetched_from_disk(
        &mut self,
        ticket: Ticket,
        key: PartitionKey,
        mut fetched: Fetched<S::Chunk>,
        result: Result<Vec<S::Chunk>, ReadFault>,
    ) {
        let failed = matches!(result, Err(ReadFault::Io(_) | ReadFault::Corrupt(_)));
        self.partitions.get_mut(&key).into_iter().for_each(|partition| partition.refused_by_disk = failed);
        match result {
            Ok(pieces) => fetched.pieces = pieces,
            // Its topic was deleted meanwhile; to be told of an offset, a consumer would look for another one.
            Err(ReadFault::Gone) if !self.partitions.contains_key(&key) => {
                fetched = Fetched::failed(ErrorCode::UnknownTopicOrPartition);
            }
            Err(fault) => {
                let name = self.partitions.get(&key).map_or("deleted", |partition| &partition.name);
                tracing::error!(topic = name, partition = key.index, ?fault, "fetch failed on disk");
                fetched = Fetched::failed(fault_code(&fault));
            }
        }
        self.tell(ticket, Tell::Fetched(fetched));
    }

    fn watch(&mut self, ticket: Ticket, key: PartitionKey, ask: FetchAsk) {
        if let Some(partition) = self.partitions.get_mut(&key) {
            partition.watches.insert(ticket, ask);
            self.watching.entry((ticket.shard, ticket.gather)).or_default().push((ticket, key));
        }
    }

    /// Ends the watches of one fetch.
    pub(crate) fn unwatch(&mut self, shard: ShardId, gather: u64) {
        for (ticket, key) in self.watching.remove(&(shard, gather)).unwrap_or_default() {
            if let Some(partition) = self.partitions.get_mut(&key) {
                partition.watches.remove(&ticket);
            }
        }
    }

    /// The high watermark moved: reads again for everybody who waits at this partition.
    pub(crate) fn wake_watches(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get(&key) else { return };
        let watches: Vec<_> = partition.watches.iter().map(|(ticket, ask)| (*ticket, *ask)).collect();
        for (ticket, ask) in watches {
            // An earlier one of this round may have answered the fetch, which ends its watches.
            let still = self.partitions.get(&key).is_some_and(|partition| partition.watches.contains_key(&ticket));
            let mut budget = Budget { left: ask.budget, found: 0, failed: false };
            if still && let Some(fetched) = self.read_part(ticket, key, &ask, &mut budget) {
                self.tell(ticket, Tell::Fetched(fetched));
            }
        }
    }
}

fn find<S: Store>(
    store: &mut S,
    partition: &Partition<S::Chunk>,
    ask: &FetchAsk,
    budget: &Budget,
) -> Result<Found<S::Chunk>, ErrorCode> {
    partition.check_epoch(ask.current_epoch)?;
    let offsets = partition.offsets;
    let mut fetched = Fetched {
        code: ErrorCode::None,
        high_watermark: if marks::planted!("broker: publish the watermark early") {
            offsets.end
        } else {
            offsets.durable
        },
        log_start: offsets.start,
        diverging: diverging(store, partition, ask),
        pieces: Vec::new(),
    };
    if fetched.diverging.is_some() {
        return Ok(Found::Now(fetched));
    }
    if ask.offset < offsets.start || ask.offset > offsets.end {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let range = ReadRange {
        from: ask.offset,
        upto: offsets.durable,
        max_bytes: ask.bytes_max.min(budget.left),
        at_least_one: budget.found == 0 || ask.first_of_each,
    };
    if range.from >= range.upto || (range.max_bytes == 0 && !range.at_least_one) {
        return Ok(Found::Now(fetched));
    }
    match store.read(partition.log, range) {
        StoreRead::Bytes(pieces) => fetched.pieces = pieces,
        StoreRead::End => {}
        StoreRead::Disk => return Ok(Found::Disk(partition.log, range, fetched)),
        StoreRead::OutOfRange => return Err(ErrorCode::OffsetOutOfRange),
    }
    Ok(Found::Now(fetched))
}

/// Where the epoch of the client's last record ended, if that is before what the client has.
fn diverging<S: Store>(store: &S, partition: &Partition<S::Chunk>, ask: &FetchAsk) -> Option<(i32, i64)> {
    if ask.last_epoch < 0 {
        return None;
    }
    let (epoch, end) = store.end_of_epoch(partition.log, ask.last_epoch).unwrap_or((-1, -1));
    (epoch < ask.last_epoch || end < ask.offset).then_some((epoch, end))
}

/// Kafka's code for a failed read.
pub(crate) fn fault_code(fault: &ReadFault) -> ErrorCode {
    match fault {
        ReadFault::Corrupt(_) => ErrorCode::CorruptMessage,
        ReadFault::Io(_) => ErrorCode::KafkaStorageError,
        ReadFault::Gone => ErrorCode::OffsetOutOfRange,
    }
}

//! Finding offsets at one shard's partitions: by name, by time, by epoch; and raising a log's start.

use super::read::fault_code;
use super::{Partition, PartitionKey};
use crate::Broker;
use crate::disk::DiskWait;
use crate::front::message::{ListAsk, Listed, Tell, Ticket};
use crate::io::{Effect, ReadFault};
use crate::limits::LOOKUP_BYTES;
use crate::store::{Chunk, LogOffsets, ReadRange, Store, StoreRead};
use protocol::ErrorCode;
use protocol::batch::{BatchView, Limits};

/// Kafka's sentinels for a timestamp (`ListOffsetsRequest`).
pub(crate) const LATEST: i64 = -1;
pub(crate) const EARLIEST: i64 = -2;
pub(crate) const MAX_TIMESTAMP: i64 = -3;
pub(crate) const EARLIEST_LOCAL: i64 = -4;
pub(crate) const LATEST_TIERED: i64 = -5;
pub(crate) const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// What looking into one batch came to.
enum Look {
    Found(Listed),
    /// Not in there, but maybe from this offset on.
    Onward(i64),
}

impl<S: Store> Broker<S> {
    /// Finds an offset; the ticket is told.
    pub(crate) fn list_offset(&mut self, ticket: Ticket, key: PartitionKey, ask: ListAsk) {
        let listed = match self.partitions.get(&key) {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            Some(partition) => match partition.check_epoch(ask.current_epoch) {
                Err(code) => Err(code),
                Ok(()) => match named(&self.store, partition, ask.timestamp) {
                    Some(listed) => Ok(listed),
                    None => return self.look_up(ticket, key, &ask),
                },
            },
        };
        self.tell(ticket, Tell::Listed(listed));
    }

    /// Asks storage for the batch that a look-up needs.
    fn look_up(&mut self, ticket: Ticket, key: PartitionKey, ask: &ListAsk) {
        let Some(partition) = self.partitions.get(&key) else { return };
        let log = partition.log;
        if ask.timestamp >= 0 {
            let disk_ticket = self.disk.open(DiskWait::Lookup { ticket, key, ask: *ask });
            self.effects.push_back(Effect::FindTime { ticket: disk_ticket, log, timestamp: ask.timestamp });
            return;
        }
        match self.store.max_timestamp(log).filter(|(_, offset)| *offset < partition.offsets.durable) {
            Some((_, offset)) => self.look_from(ticket, key, ask, offset),
            None => self.tell(ticket, Tell::Listed(Ok(Listed::NONE))),
        }
    }

    /// Looks into the batches from `offset` on, one after the other, until the answer or the disk.
    fn look_from(&mut self, ticket: Ticket, key: PartitionKey, ask: &ListAsk, mut offset: i64) {
        loop {
            let Some(partition) = self.partitions.get(&key) else {
                return self.tell(ticket, Tell::Listed(Err(ErrorCode::UnknownTopicOrPartition)));
            };
            let upto = partition.offsets.durable;
            let range = ReadRange { from: offset, upto, max_bytes: LOOKUP_BYTES, at_least_one: true };
            let look = match self.store.read(partition.log, range) {
                StoreRead::Bytes(pieces) => look_into(partition, ask, &pieces),
                StoreRead::Disk => {
                    let log = partition.log;
                    return self.read_disk(log, range, DiskWait::Lookup { ticket, key, ask: *ask });
                }
                StoreRead::End | StoreRead::OutOfRange => Ok(Look::Found(Listed::NONE)),
            };
            match look {
                Ok(Look::Onward(next)) => offset = next,
                Ok(Look::Found(listed)) => return self.tell(ticket, Tell::Listed(Ok(listed))),
                Err(code) => return self.tell(ticket, Tell::Listed(Err(code))),
            }
        }
    }

    /// The disk answered a look-up.
    pub(crate) fn looked_up(
        &mut self,
        ticket: Ticket,
        key: PartitionKey,
        ask: &ListAsk,
        result: Result<Vec<S::Chunk>, ReadFault>,
    ) {
        let look = match (self.partitions.get(&key), result) {
            (None, _) => Err(ErrorCode::UnknownTopicOrPartition),
            (Some(partition), Ok(pieces)) => look_into(partition, ask, &pieces),
            (Some(_), Err(fault)) => Err(fault_code(&fault)),
        };
        match look {
            Ok(Look::Onward(next)) => self.look_from(ticket, key, ask, next),
            Ok(Look::Found(listed)) => self.tell(ticket, Tell::Listed(Ok(listed))),
            Err(code) => self.tell(ticket, Tell::Listed(Err(code))),
        }
    }

    /// Lists where segments begin that had begun by a time, newest first, the end of what may be read as the newest of all.
    pub(crate) fn list_segments(&mut self, ticket: Ticket, key: PartitionKey, timestamp: i64, count_max: usize) {
        let listed = match self.partitions.get(&key) {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            Some(partition) => partition.check_online().map(|()| {
                let segments = self.store.segments(partition.log);
                segment_offsets(partition.offsets, &segments, timestamp, count_max)
            }),
        };
        self.tell(ticket, Tell::Segments(listed));
    }

    /// Raises the log's start.
    pub(crate) fn delete_records(&mut self, ticket: Ticket, key: PartitionKey, offset: i64) {
        let result = match self.partitions.get_mut(&key) {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            Some(partition) if partition.is_offline => Err(ErrorCode::KafkaStorageError),
            Some(partition) => {
                let to = if offset == -1 { partition.offsets.durable } else { offset };
                if to < 0 || to > partition.offsets.durable {
                    Err(ErrorCode::OffsetOutOfRange)
                } else {
                    if to > partition.offsets.start {
                        self.store.advance_start(partition.log, to);
                        partition.offsets.start = to;
                    }
                    Ok(partition.offsets.start)
                }
            }
        };
        self.tell(ticket, Tell::Deleted(result));
        self.wake_watches(key);
    }

    /// Finds where an epoch ended.
    pub(crate) fn epoch_end(&mut self, ticket: Ticket, key: PartitionKey, current_epoch: i32, epoch: i32) {
        let result = match self.partitions.get(&key) {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            Some(partition) => partition.check_epoch(current_epoch).map(|()| {
                if epoch == partition.leader_epoch {
                    (epoch, partition.offsets.end)
                } else if epoch > partition.leader_epoch {
                    (-1, -1)
                } else {
                    self.store.end_of_epoch(partition.log, epoch).unwrap_or((-1, -1))
                }
            }),
        };
        self.tell(ticket, Tell::EpochEnded(result));
    }
}

/// The answers that need no batch.
fn named<S: Store>(store: &S, partition: &Partition<S::Chunk>, timestamp: i64) -> Option<Listed> {
    let offsets = partition.offsets;
    match timestamp {
        LATEST => Some(Listed { timestamp: -1, offset: offsets.durable, epoch: partition.leader_epoch }),
        EARLIEST | EARLIEST_LOCAL => {
            let epoch = epoch_at(store, partition, offsets.start);
            Some(Listed { timestamp: -1, offset: offsets.start, epoch })
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Some(Listed::NONE),
        _ if offsets.start >= offsets.durable => Some(Listed::NONE),
        _ => None,
    }
}

/// The answer of ListOffsets 0. Kafka tells a segment's age by its file's time of modification; here it is its largest
/// timestamp, which survives a copy.
fn segment_offsets(offsets: LogOffsets, segments: &[(i64, i64)], timestamp: i64, count_max: usize) -> Vec<i64> {
    let LogOffsets { start, durable, .. } = offsets;
    let mut all: Vec<(i64, i64)> = segments
        .iter()
        .map(|(base, newest_ms)| ((*base).max(start), *newest_ms))
        .filter(|(base, _)| *base < durable)
        .collect();
    all.dedup_by_key(|(base, _)| *base);
    // An empty log has one offset, which is start and end.
    if all.is_empty() && timestamp == EARLIEST {
        return vec![start; 1.min(count_max)];
    }
    let upto = match timestamp {
        LATEST => all.len(),
        EARLIEST => 1,
        wanted => all.partition_point(|(_, newest_ms)| *newest_ms <= wanted),
    };
    let end = (timestamp == LATEST).then_some(durable);
    end.into_iter().chain(all[..upto.min(all.len())].iter().rev().map(|(base, _)| *base)).take(count_max).collect()
}

/// The epoch of the record at `offset`: the first one that ends behind it.
fn epoch_at<S: Store>(store: &S, partition: &Partition<S::Chunk>, offset: i64) -> i32 {
    let (mut low, mut high) = (0, partition.leader_epoch);
    while low < high {
        let middle = low + (high - low) / 2;
        match store.end_of_epoch(partition.log, middle) {
            Some((_, end)) if end > offset => high = middle,
            _ => low = middle + 1,
        }
    }
    low
}

fn look_into<C: Chunk>(partition: &Partition<C>, ask: &ListAsk, pieces: &[C]) -> Result<Look, ErrorCode> {
    let joined;
    let bytes: &[u8] = match pieces {
        [] => return Ok(Look::Found(Listed::NONE)),
        [one] => one,
        more => {
            joined = more.iter().map(|piece| &piece[..]).collect::<Vec<_>>().concat();
            &joined
        }
    };
    let damaged = |_| ErrorCode::CorruptMessage;
    let (batch, _) = BatchView::parse(bytes).map_err(damaged)?;
    let mut best: Option<Listed> = None;
    batch
        .each_timestamp(&Limits::default(), |offset, timestamp| {
            if offset < partition.offsets.start || offset >= partition.offsets.durable {
                return;
            }
            let is_better = match ask.timestamp {
                MAX_TIMESTAMP => best.is_none_or(|best| best.timestamp < timestamp),
                wanted => best.is_none() && timestamp >= wanted,
            };
            if is_better {
                best = Some(Listed { timestamp, offset, epoch: batch.leader_epoch() });
            }
        })
        .map_err(damaged)?;
    let next = batch.next_offset();
    match best {
        Some(best) => Ok(Look::Found(best)),
        None if ask.timestamp >= 0 && next < partition.offsets.durable => Ok(Look::Onward(next)),
        None => Ok(Look::Found(Listed::NONE)),
    }
}

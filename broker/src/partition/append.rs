//! Appending: from a record set to storage, and from what became durable to who waited for it.

use super::accept::{Accepted, Verdict, accept};
use super::{Parked, Partition, PartitionKey, Waiter};
use crate::Broker;
use crate::append_then::Then;
use crate::front::message::{Failure, ProduceAsk, Produced, Tell, Ticket};
use crate::legacy::{Raised, raise};
use crate::limits::{SNAPSHOT_INTERVAL_BYTES, SPARSE_BYTES_MAX};
use crate::partition::producers::Sequenced;
use crate::partition::snapshot;
use crate::store::{Append, AppendRefused, BatchFacts, Chunk, Store};
use protocol::ErrorCode;
use protocol::batch::BatchView;
use std::borrow::Cow;

/// What an attempt to append came to.
enum Outcome {
    /// The waiter is told later, or was told.
    Settled,
    /// Storage has no memory now.
    Busy,
}

/// A small record set that has to wait gets memory of its own: it may lie in a buffer that is many times as large.
fn keep<C: Chunk>(ask: &mut ProduceAsk<C>) {
    if ask.records.len() <= SPARSE_BYTES_MAX {
        ask.records = C::from_vec(ask.records.to_vec());
    }
}

impl<S: Store> Broker<S> {
    /// Appends a record set to a partition of this shard; the ticket is told how it ended.
    pub(crate) fn produce(&mut self, ticket: Ticket, key: PartitionKey, mut ask: ProduceAsk<S::Chunk>) {
        let Some(partition) = self.partitions.get_mut(&key) else {
            return self.tell_produced(ticket, Err(ErrorCode::UnknownTopicOrPartition.into()));
        };
        if !partition.parked.is_empty() {
            keep(&mut ask);
            partition.parked.push_back(Parked::Produce(ticket, ask));
            return;
        }
        if let Outcome::Busy = self.try_produce(ticket, key, &mut ask) {
            keep(&mut ask);
            self.park(key, Parked::Produce(ticket, ask));
        }
    }

    /// Appends a batch of our own.
    pub(crate) fn append_own(&mut self, key: PartitionKey, batch: Vec<u8>, then: Then) {
        if let Outcome::Busy = self.try_own(key, &batch, then) {
            self.park(key, Parked::Own(batch, then));
        }
    }

    fn park(&mut self, key: PartitionKey, parked: Parked<S::Chunk>) {
        if let Some(partition) = self.partitions.get_mut(&key) {
            partition.parked.push_back(parked);
            self.parked.insert(key);
        }
    }

    /// Tries again what storage had no memory for, in the order it came.
    pub(crate) fn retry_parked(&mut self) {
        for key in std::mem::take(&mut self.parked) {
            self.retry_parked_of(key);
        }
    }

    fn retry_parked_of(&mut self, key: PartitionKey) {
        while let Some(mut parked) = self.partitions.get_mut(&key).and_then(|partition| partition.parked.pop_front()) {
            let outcome = match &mut parked {
                Parked::Produce(ticket, ask) => self.try_produce(*ticket, key, ask),
                Parked::Own(batch, then) => self.try_own(key, batch, *then),
            };
            if let Outcome::Busy = outcome {
                if let Some(partition) = self.partitions.get_mut(&key) {
                    partition.parked.push_front(parked);
                    self.parked.insert(key);
                }
                return;
            }
        }
    }

    fn try_produce(&mut self, ticket: Ticket, key: PartitionKey, ask: &mut ProduceAsk<S::Chunk>) -> Outcome {
        let Some(partition) = self.partitions.get_mut(&key) else {
            self.tell_produced(ticket, Err(ErrorCode::UnknownTopicOrPartition.into()));
            return Outcome::Settled;
        };
        if ask.message_set {
            match raise(&mut self.store, &self.settings, &ask.records, &partition.rules) {
                // If it is zstd by now, that is the topic's choice and not the client's.
                Raised::Batch(batch) => (ask.records, ask.zstd_allowed) = (batch, true),
                Raised::AsItCame => {}
                Raised::Later => return Outcome::Busy,
                Raised::Refused(failure) => {
                    self.tell_produced(ticket, Err(failure));
                    return Outcome::Settled;
                }
            }
            ask.message_set = false;
        }
        let now_ms = self.now.wall_ms;
        let verdict = accept(&ask.records, ask.zstd_allowed, &partition.rules, &partition.producers, now_ms);
        let (end, produced) = match verdict {
            Err(failure) => {
                self.tell_produced(ticket, Err(failure));
                return Outcome::Settled;
            }
            Ok(Verdict::Repeated(earlier)) => {
                marks::reached!("broker: a batch was sent again and was there");
                let append_time_ms = if partition.rules.log_append_time { earlier.timestamp } else { -1 };
                let log_start = partition.offsets.start;
                (earlier.last_offset + 1, Produced { base_offset: earlier.base_offset, append_time_ms, log_start })
            }
            Ok(Verdict::Append(accepted)) => {
                let taken = Taken::from(accepted);
                match store_taken(&mut self.store, partition, &mut ask.records, &taken, now_ms) {
                    Ok(produced) => (partition.offsets.end, produced),
                    Err(AppendRefused::Busy) => {
                        marks::reached!("broker: an append waited for memory");
                        return Outcome::Busy;
                    }
                    Err(refused) => {
                        self.tell_produced(ticket, Err(storage_failure(refused)));
                        return Outcome::Settled;
                    }
                }
            }
        };
        if ask.durable && end > partition.offsets.durable && !marks::planted!("broker: acknowledge what is appended") {
            partition.wait(end, Waiter::Produce(ticket, produced));
        } else {
            self.tell_produced(ticket, Ok(produced));
        }
        Outcome::Settled
    }

    fn try_own(&mut self, key: PartitionKey, batch: &[u8], then: Then) -> Outcome {
        let Some(partition) = self.partitions.get_mut(&key) else {
            self.own_done.push_back((then, Err(ErrorCode::NotLeaderOrFollower)));
            return Outcome::Settled;
        };
        let Ok((view, _)) = BatchView::parse(batch) else {
            self.own_done.push_back((then, Err(ErrorCode::UnknownServerError)));
            return Outcome::Settled;
        };
        let base_offset = partition.offsets.end;
        let append = Append {
            bytes: batch,
            base_offset,
            last_offset: base_offset + i64::from(view.last_offset_delta()),
            leader_epoch: partition.leader_epoch,
            max_timestamp: view.max_timestamp(),
        };
        match self.store.append(partition.log, append) {
            Ok(()) => {
                partition.offsets.end = append.last_offset + 1;
                partition.wait(partition.offsets.end, Waiter::Then(then));
                Outcome::Settled
            }
            Err(AppendRefused::Busy) => Outcome::Busy,
            Err(AppendRefused::Fenced | AppendRefused::Full) => {
                self.own_done.push_back((then, Err(ErrorCode::KafkaStorageError)));
                Outcome::Settled
            }
        }
    }

    /// Ends a parked append that will not be tried again.
    pub(crate) fn fail_parked(&mut self, parked: Parked<S::Chunk>, code: ErrorCode) {
        match parked {
            Parked::Produce(ticket, _) => self.tell_produced(ticket, Err(code.into())),
            Parked::Own(_, then) => self.own_done.push_back((then, Err(code))),
        }
    }

    pub(crate) fn tell_produced(&mut self, ticket: Ticket, result: Result<Produced, Failure>) {
        self.tell(ticket, Tell::Produced(result));
    }

    /// Everything below `upto` is durable: moves the high watermark and tells who waited for that.
    pub(crate) fn durable(&mut self, key: PartitionKey, upto: i64) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        if upto <= partition.offsets.durable {
            return;
        }
        partition.offsets.durable = upto;
        if let Some((covers, state)) = partition.snapshots.taken.take_if(|(covers, _)| *covers <= upto) {
            partition.snapshots.kept = Some(covers);
            self.store.put_snapshot(partition.log, covers, state);
        }
        let ready = partition.pending.partition_point(|pending| pending.end <= upto);
        let ready: Vec<_> = partition.pending.drain(..ready).collect();
        for pending in ready {
            match pending.waiter {
                Waiter::Produce(ticket, produced) => self.tell_produced(ticket, Ok(produced)),
                Waiter::Then(then) => self.own_done.push_back((then, Ok(()))),
            }
        }
        self.wake_watches(key);
    }

    /// Storage dropped everything from `from` on before it was acknowledged.
    pub(crate) fn rejected(&mut self, key: PartitionKey, from: i64) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        partition.offsets.end = from;
        partition.producers.forget_from(from);
        partition.snapshots.taken.take_if(|(covers, _)| *covers > from);
        let kept = partition.pending.partition_point(|pending| pending.end <= from);
        let lost: Vec<_> = partition.pending.drain(kept..).collect();
        for pending in lost {
            self.fail_waiter(pending.waiter, ErrorCode::KafkaStorageError);
        }
    }

    /// An I/O error ended the log's service: whoever waits learns it, readers keep what is durable.
    pub(crate) fn fenced(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        partition.snapshots.taken = None;
        let lost: Vec<_> = partition.pending.drain(..).collect();
        for pending in lost {
            self.fail_waiter(pending.waiter, ErrorCode::KafkaStorageError);
        }
        self.retry_parked_of(key);
    }
}

/// What was accepted, apart from the bytes: those are the asker's, unless they had to be rebuilt.
struct Taken {
    rebuilt: Option<Vec<u8>>,
    bytes: usize,
    last_offset_delta: i32,
    max_timestamp: i64,
    append_time_ms: i64,
    sequenced: Option<Sequenced>,
}

impl From<Accepted<'_>> for Taken {
    fn from(accepted: Accepted<'_>) -> Taken {
        let Accepted { bytes, last_offset_delta, max_timestamp, append_time_ms, sequenced } = accepted;
        let len = bytes.len();
        let rebuilt = match bytes {
            Cow::Borrowed(_) => None,
            Cow::Owned(rebuilt) => Some(rebuilt),
        };
        Taken { rebuilt, bytes: len, last_offset_delta, max_timestamp, append_time_ms, sequenced }
    }
}

fn store_taken<S: Store>(
    store: &mut S,
    partition: &mut Partition<S::Chunk>,
    records: &mut S::Chunk,
    taken: &Taken,
    now_ms: i64,
) -> Result<Produced, AppendRefused> {
    let base_offset = partition.offsets.end;
    let last_offset = base_offset + i64::from(taken.last_offset_delta);
    let (leader_epoch, max_timestamp) = (partition.leader_epoch, taken.max_timestamp);
    let facts = BatchFacts { base_offset, last_offset, leader_epoch, max_timestamp };
    match &taken.rebuilt {
        Some(rebuilt) => store.append(partition.log, facts.with(rebuilt))?,
        None => store.append_chunk(partition.log, records, facts)?,
    }
    partition.offsets.end = last_offset + 1;
    if let Some(sequenced) = &taken.sequenced {
        partition.producers.record(sequenced, base_offset, max_timestamp, now_ms);
        partition.snapshots.bytes_since += taken.bytes as u64;
        if partition.snapshots.bytes_since >= SNAPSHOT_INTERVAL_BYTES {
            partition.take_snapshot();
        }
    }
    Ok(Produced { base_offset, append_time_ms: taken.append_time_ms, log_start: partition.offsets.start })
}

fn storage_failure(refused: AppendRefused) -> Failure {
    Failure { code: ErrorCode::KafkaStorageError, message: Some(refused.to_string()), record: None }
}

impl<C> Partition<C> {
    /// Takes the producers' state as of the log's end; it is kept once all of that is durable. A crash in between must not
    /// find state of records that are gone.
    pub(crate) fn take_snapshot(&mut self) {
        self.snapshots.taken = Some((self.offsets.end, snapshot::encode(&self.producers)));
        self.snapshots.bytes_since = 0;
    }
}

//! Reading an internal log from start to end, batch by batch, so that its owner can rebuild what it knows. While that runs, the
//! owner is loading and says so to its clients.

use crate::Broker;
use crate::disk::DiskWait;
use crate::io::ReadFault;
use crate::limits::REPLAY_STEP_BYTES;
use crate::partition::PartitionKey;
use crate::store::{Chunk, LogId, ReadRange, Store, StoreRead};
use protocol::batch::{BatchError, iter_batches};

/// Whose state a replay rebuilds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayOf {
    /// The controller's, from the metadata log.
    Controller,
    /// The group coordinator's, from this partition of `__consumer_offsets`.
    Offsets(i32),
}

/// One replay under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replay {
    of: ReplayOf,
    /// The next offset to read.
    next: i64,
    /// Where the log ended when the replay began.
    end: i64,
}

impl<S: Store> Broker<S> {
    /// Begins to replay a log of this shard from offset `from` on, or from its start if that is later. Its owner is called for each batch, and once at the end.
    pub(crate) fn start_replay(&mut self, key: PartitionKey, of: ReplayOf, from: i64) {
        let Some(partition) = self.partitions.get(&key) else { return };
        if partition.is_offline {
            return self.replay_done(of, Err(ReadFault::Io("its log could not be read at the start".to_owned())));
        }
        let (log, offsets) = (partition.log, partition.offsets);
        self.replays.insert(log, Replay { of, next: offsets.start.max(from), end: offsets.end });
        self.replay(log);
    }

    /// Reads on until the end or the disk.
    fn replay(&mut self, log: LogId) {
        while let Some(replay) = self.replays.get(&log).copied() {
            if replay.next >= replay.end {
                return self.replay_ends(log, Ok(()));
            }
            let range =
                ReadRange { from: replay.next, upto: replay.end, max_bytes: REPLAY_STEP_BYTES, at_least_one: true };
            match self.store.read(log, range) {
                StoreRead::Bytes(pieces) => self.replay_pieces(log, &pieces),
                StoreRead::Disk => return self.read_disk(log, range, DiskWait::Replay(log)),
                StoreRead::End => return self.replay_ends(log, Ok(())),
                StoreRead::OutOfRange => return self.replay_ends(log, Err(ReadFault::Gone)),
            }
        }
    }

    /// The disk answered a replay.
    pub(crate) fn replay_read(&mut self, log: LogId, result: Result<Vec<S::Chunk>, ReadFault>) {
        match result {
            Ok(pieces) if pieces.is_empty() => self.replay_ends(log, Ok(())),
            Ok(pieces) => {
                self.replay_pieces(log, &pieces);
                self.replay(log);
            }
            Err(fault) => self.replay_ends(log, Err(fault)),
        }
    }

    fn replay_pieces(&mut self, log: LogId, pieces: &[S::Chunk]) {
        let Some(Replay { of, next, .. }) = self.replays.get(&log).copied() else { return };
        match self.replay_batches(of, next, pieces) {
            Ok(read) if read > next => {
                if let Some(replay) = self.replays.get_mut(&log) {
                    replay.next = read;
                }
            }
            Ok(_) => self.replay_ends(log, Err(ReadFault::Corrupt(format!("no batch at offset {next}")))),
            Err(error) => self.replay_ends(log, Err(ReadFault::Corrupt(error.to_string()))),
        }
    }

    /// Hands the batches in `pieces` to their owner and returns the offset behind them.
    fn replay_batches(&mut self, of: ReplayOf, from: i64, pieces: &[S::Chunk]) -> Result<i64, BatchError> {
        let joined = joined(pieces);
        let mut next = from;
        for batch in iter_batches(&joined) {
            let batch = batch?;
            self.replayed(of, &batch);
            next = batch.next_offset();
        }
        Ok(next)
    }

    fn replay_ends(&mut self, log: LogId, result: Result<(), ReadFault>) {
        if let Some(replay) = self.replays.remove(&log) {
            self.replay_done(replay.of, result);
        }
    }
}

/// The bytes of all pieces, copied only where there are several.
fn joined<C: Chunk>(pieces: &[C]) -> std::borrow::Cow<'_, [u8]> {
    match pieces {
        [one] => (&one[..]).into(),
        several => several.iter().map(|piece| &piece[..]).collect::<Vec<_>>().concat().into(),
    }
}

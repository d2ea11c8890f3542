//! What of one batch stays. First the dirty batches are learned from, then all are thinned; a batch is gone through in pieces, and
//! between two of them everybody else of the shard gets a turn.

use super::breath::Breath;
use super::keys::{KeyHash, Keys, Live};
use super::pass::CleanError;
use crate::log::limits::CLEAN_RECORDS;
use crate::shard::Io;
use crate::time::Wall;
use protocol::batch::{BatchError, BatchView, Limits, Opened, Thinned, Thinner, Walk};
use std::collections::BTreeSet;

/// See the module. It travels with its pass.
pub(in crate::log) struct Sieve {
    keys: Keys,
    live: Option<Live>,
    /// What has never been cleaned begins here.
    from: i64,
    /// The keys know every record of what was never cleaned below.
    upto: i64,
    wall: Wall,
    delete_retention_ms: i64,
    /// Last offsets of batches that stay even without records.
    last_batches: BTreeSet<i64>,
    thinner: Thinner,
    limits: Limits,
    /// Keys of the records that are gone through, in order; of those that have none, none.
    hashes: Vec<Option<(KeyHash, i64)>>,
}

/// Why a batch was not gone through.
pub(super) enum Stuck {
    Batch(BatchError),
    Clean(CleanError),
}

impl From<BatchError> for Stuck {
    fn from(error: BatchError) -> Stuck {
        Stuck::Batch(error)
    }
}

impl From<CleanError> for Stuck {
    fn from(error: CleanError) -> Stuck {
        Stuck::Clean(error)
    }
}

impl Sieve {
    /// For a log that was never cleaned from `from` on.
    pub(in crate::log) fn new(
        keys: Keys,
        from: i64,
        wall: Wall,
        delete_retention_ms: i64,
        last_batches: BTreeSet<i64>,
    ) -> Sieve {
        Sieve {
            keys,
            live: None,
            from,
            upto: from,
            wall,
            delete_retention_ms,
            last_batches,
            thinner: Thinner::default(),
            limits: Limits::default(),
            hashes: Vec::new(),
        }
    }

    /// Number of keys.
    pub(in crate::log) fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Takes the records of a batch into the keys; the offset of the first one that has no room.
    pub(super) async fn learn(
        &mut self,
        io: &Io,
        breath: &mut Breath,
        batch: &BatchView<'_>,
    ) -> Result<Option<i64>, Stuck> {
        if batch.is_control() || batch.last_offset() < self.from {
            return Ok(None);
        }
        let opened = self.open(io, breath, batch).await?;
        let mut walk = Walk::default();
        loop {
            let from = self.from;
            let goes_on = self.hash_next(&opened, &mut walk, |offset| offset >= from)?;
            for &(key, offset) in self.hashes.iter().flatten() {
                if !self.keys.note(key, offset) {
                    return Ok(Some(offset));
                }
            }
            if !goes_on {
                return Ok(None);
            }
            breath.pause(io, 0).await?;
        }
    }

    /// Everything below `upto` was learned.
    pub(super) async fn learned(&mut self, io: &Io, upto: i64) {
        self.upto = upto;
        self.live = self.keys.live(io, self.from, upto).await;
    }

    /// What [`Sieve::thin`] or [`Sieve::empty`] made last.
    pub(super) fn rebuilt(&self) -> &[u8] {
        self.thinner.rebuilt()
    }

    /// Takes all records of a batch away.
    pub(super) fn empty(&mut self, batch: &BatchView<'_>) {
        self.thinner.empty(batch);
    }

    /// Gives the memory of the keys back.
    pub(in crate::log) async fn give_back(&mut self, io: &Io) {
        self.live = None;
        self.keys.give_back(io).await;
    }

    /// What stays of a batch; [`Sieve::rebuilt`] has it where it is not all of it.
    pub(super) async fn thin(&mut self, io: &Io, breath: &mut Breath, batch: &BatchView<'_>) -> Result<Thinned, Stuck> {
        if batch.is_control() || batch.base_offset() >= self.upto {
            return Ok(Thinned::All);
        }
        let thinned = self.thin_records(io, breath, batch).await?;
        if thinned != Thinned::Nothing || !self.last_batches.contains(&batch.last_offset()) {
            return Ok(thinned);
        }
        if batch.record_count() == 0 {
            return Ok(Thinned::All);
        }
        self.thinner.empty(batch);
        Ok(Thinned::Rebuilt)
    }

    async fn thin_records(&mut self, io: &Io, breath: &mut Breath, batch: &BatchView<'_>) -> Result<Thinned, Stuck> {
        if self.live.as_ref().is_some_and(|live| live.has_none(batch.base_offset(), batch.last_offset())) {
            return Ok(Thinned::Nothing);
        }
        let is_over = batch.delete_horizon_ms().is_some_and(|over| over <= self.wall.0);
        let is_over = is_over || marks::planted!("engine: compaction drops tombstones at once");
        let opened = self.open(io, breath, batch).await?;
        let mut walk = Walk::default();
        while self.keep_next(&opened, &mut walk, is_over)? {
            breath.pause(io, 0).await?;
        }
        // A tombstone gets its horizon when everything older with its key is gone, which is known of whole batches only.
        let horizon = self.wall.0.saturating_add(self.delete_retention_ms);
        let thinned = self.thinner.decide(&opened, (batch.last_offset() < self.upto).then_some(horizon));
        while thinned == Thinned::Rebuilt && !self.thinner.rebuild(&opened) {
            breath.pause(io, 0).await?;
        }
        Ok(thinned)
    }

    /// Hashes the keys of the next records as far as they are `wanted`; true while there are more records.
    fn hash_next(
        &mut self,
        opened: &Opened<'_>,
        walk: &mut Walk,
        wanted: impl Fn(i64) -> bool,
    ) -> Result<bool, BatchError> {
        let Sieve { keys, hashes, thinner, .. } = self;
        hashes.clear();
        let goes_on = thinner.look(opened, walk, CLEAN_RECORDS, |record| {
            let key = record.key.filter(|_| wanted(record.offset));
            hashes.push(key.map(|key| (keys.hash(key), record.offset)));
        })?;
        keys.touch(hashes.iter().flatten().map(|&(key, _)| key));
        Ok(goes_on)
    }

    /// Notes which of the next records stay; true while there are more.
    fn keep_next(&mut self, opened: &Opened<'_>, walk: &mut Walk, is_over: bool) -> Result<bool, BatchError> {
        let mut ahead = *walk;
        // What the bits know nobody has to ask for by its key.
        let (upto, known) = (self.upto, self.live.as_ref().map_or(self.upto..self.upto, Live::range));
        self.hash_next(opened, &mut ahead, |offset| offset < upto && !known.contains(&offset))?;
        let Sieve { keys, live, hashes, thinner, .. } = self;
        let mut hashes = hashes.iter();
        thinner.keep(opened, walk, CLEAN_RECORDS, |record| {
            let key = hashes.next().copied().flatten();
            // As in Kafka, records without a key, from before the topic was compacted, go.
            record.offset >= upto
                || record.key.is_some()
                    && (record.has_value || !is_over)
                    && is_newest(record.offset, keys, live.as_ref(), key)
        })
    }

    async fn open<'a>(&mut self, io: &Io, breath: &mut Breath, batch: &BatchView<'a>) -> Result<Opened<'a>, Stuck> {
        let mut opened = self.thinner.open(batch, &self.limits)?;
        while !self.thinner.unpack(&mut opened)? {
            breath.pause(io, 0).await?;
        }
        Ok(opened)
    }
}

/// Whether no newer record has this one's key, which was looked for unless the bits know.
fn is_newest(offset: i64, keys: &Keys, live: Option<&Live>, key: Option<(KeyHash, i64)>) -> bool {
    let is_missed = marks::planted!("engine: compaction takes the newest record of a key too");
    match key {
        Some((key, _)) if is_missed => keys.newest(key).is_none(),
        Some((key, _)) => keys.newest(key).is_none_or(|newest| newest <= offset),
        None => !is_missed && live.is_some_and(|live| live.has(offset)),
    }
}

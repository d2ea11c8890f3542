//! One pass over a log, in steps that each end with a value: read the dirty part into the keys, then write each group of
//! segments anew. Nothing of the log is changed here; what a step has written lies beside it until the set agrees.

use super::choose::joins;
use super::feed::Feed;
use super::keys::Keys;
use super::mark::Mark;
use super::output::Output;
use crate::log::config::LogConfig;
use crate::log::files::{OpenFile, read_mode};
use crate::log::index::SegmentIndex;
use crate::log::limits::{CLEAN_SEGMENTS_MAX, CLEAN_SLICE_BYTES, CLEAN_WAIT_MS, INDEX_BYTES_MAX};
use crate::log::{names, tasks};
use crate::shard::{Class, Io};
use crate::time::{Mono, Wall};
use protocol::batch::{BatchError, BatchView, Limits, RawRecord, Thinned, Thinner};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Why a log was not cleaned.
#[derive(Debug, thiserror::Error)]
pub(in crate::log) enum CleanError {
    /// Its segments left service, or the shard ends.
    #[error("given up: the log changed meanwhile")]
    Stopped,
    /// The device or file system answered with an error.
    #[error("{file}: {error}")]
    Io { file: PathBuf, error: io::Error },
    /// What is stored is not what was written.
    #[error("{file}: byte {position}: {reason}")]
    Damaged { file: PathBuf, position: u64, reason: String },
    /// A batch whose checksum is right holds no records.
    #[error("{file}: batch with base offset {base_offset}: {error}")]
    Batch { file: PathBuf, base_offset: i64, error: BatchError },
}

/// A sealed segment to be cleaned.
#[derive(Clone, Debug)]
pub(in crate::log) struct Source {
    pub(in crate::log) base: i64,
    /// Exclusive end.
    pub(in crate::log) end: i64,
    pub(in crate::log) bytes: u64,
    pub(in crate::log) path: PathBuf,
    /// False once the file is out of service.
    pub(in crate::log) alive: Rc<Cell<bool>>,
    /// When it was begun.
    pub(in crate::log) created: Wall,
}

/// How a pass goes about: clients first, never faster than so many bytes a second, and never beside a clean stop.
pub(in crate::log) struct Breath {
    pub(in crate::log) class: Class,
    pub(in crate::log) bytes_per_s: u64,
    /// When the next bytes may be read or written.
    pub(in crate::log) next: Mono,
    pub(in crate::log) closing: Rc<Cell<bool>>,
    /// Set by the log when it needs its files for something else.
    pub(in crate::log) stop: Rc<Cell<bool>>,
}

impl Breath {
    /// Before `bytes` are read or written.
    pub(super) async fn turn(&mut self, io: &Io, bytes: usize) -> Result<(), CleanError> {
        while self.next > io.now() && !self.is_stopped() {
            io.sleep_until(self.next.min(io.now().plus_millis(CLEAN_WAIT_MS))).await;
        }
        let cost_ns = (bytes as u64).saturating_mul(1_000_000_000) / self.bytes_per_s.max(1);
        self.next = Mono(io.now().0.saturating_add(cost_ns));
        self.check()
    }

    /// Between two slices of work: everything else that is ready goes first.
    async fn pause(&mut self, io: &Io) -> Result<(), CleanError> {
        io.yield_now().await;
        self.check()
    }

    fn is_stopped(&self) -> bool {
        self.closing.get() || self.stop.get()
    }

    fn check(&self) -> Result<(), CleanError> {
        if self.is_stopped() { Err(CleanError::Stopped) } else { Ok(()) }
    }
}

/// What a pass did so far.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::log) struct Done {
    pub(in crate::log) bytes_before: u64,
    pub(in crate::log) bytes_after: u64,
    pub(in crate::log) keys: usize,
}

/// A pass over a log; it travels with its steps.
pub(in crate::log) struct Pass {
    pub(in crate::log) dir: PathBuf,
    pub(in crate::log) config: LogConfig,
    /// Oldest first, as far as the pass may reach.
    pub(in crate::log) sources: Vec<Source>,
    /// What has never been cleaned begins here.
    pub(in crate::log) from: i64,
    /// The keys know every record below; set by [`Pass::learn`].
    pub(in crate::log) upto: i64,
    /// What is remembered while the pass lasts.
    pub(in crate::log) mark: Mark,
    /// The first source that is still to do.
    pub(in crate::log) cursor: usize,
    /// The last batch of the source before the cursor, without records, if none of them stays.
    pub(in crate::log) border: Option<Vec<u8>>,
    /// Last offsets of batches that stay even without records.
    pub(in crate::log) last_batches: BTreeSet<i64>,
    pub(in crate::log) began: Mono,
    pub(in crate::log) wall: Wall,
    pub(in crate::log) keys: Keys,
    pub(in crate::log) breath: Breath,
    pub(in crate::log) done: Done,
    pub(in crate::log) thinner: Thinner,
    pub(in crate::log) limits: Limits,
}

/// What takes the place of a group.
pub(in crate::log) struct Cleaned {
    pub(in crate::log) sources: Vec<Source>,
    pub(in crate::log) index: SegmentIndex,
    /// The new file, open for reading whatever it is called meanwhile.
    pub(in crate::log) file: Rc<OpenFile>,
}

impl Pass {
    /// Memory for the keys of `span` offsets, within a budget.
    pub(in crate::log) fn keys(io: &Io, span: i64, budget_bytes: usize) -> Keys {
        Keys::new(io.random(), span.unsigned_abs(), budget_bytes)
    }

    /// Reads the dirty part; it ends where the memory for keys does.
    pub(in crate::log) async fn learn(&mut self, io: &Io) -> Result<(), CleanError> {
        let (from, mut upto) = (self.from, self.from);
        let dirty: Vec<Source> = self.sources.iter().filter(|source| source.end > from).cloned().collect();
        for source in dirty {
            let mut feed = Feed::open(io, &source).await?;
            while feed.fill(io, &mut self.breath).await? {
                let mut since = 0;
                while let Some(batch) = feed.next()? {
                    since += batch.size_bytes();
                    let full = learn_batch(&mut self.keys, &mut self.thinner, &self.limits, &batch, from);
                    let full = full.map_err(|error| failed(&source, &batch, error))?;
                    if let Some(at) = full {
                        self.upto = at;
                        return Ok(());
                    }
                    if since >= CLEAN_SLICE_BYTES {
                        since = 0;
                        self.breath.pause(io).await?;
                    }
                }
            }
            upto = source.end;
        }
        self.upto = upto;
        Ok(())
    }

    /// True when every segment that the keys know something of is written.
    pub(in crate::log) fn is_done(&self) -> bool {
        self.sources.get(self.cursor).is_none_or(|next| next.base >= self.upto)
    }

    /// Writes what stays of the segments from the cursor on into one; the cursor moves behind them. `None` where that is
    /// everything, as it was.
    pub(in crate::log) async fn clean(&mut self, io: &Io) -> Result<Option<Cleaned>, CleanError> {
        let Some(first) = self.sources.get(self.cursor) else { return Ok(None) };
        let path = names::cleaned(&self.dir, first.base);
        match self.write(io, &path).await {
            Ok(Some((sources, index))) => {
                self.done.bytes_before += sources.iter().map(|source| source.bytes).sum::<u64>();
                self.done.bytes_after += index.bytes;
                let opened = OpenFile::open(io, &path, read_mode(io)).await;
                let file = opened.map_err(|error| CleanError::Io { file: path, error })?;
                Ok(Some(Cleaned { sources, index, file }))
            }
            Ok(None) => {
                tasks::unlink(io, &path).await.map_err(|error| CleanError::Io { file: path, error })?;
                Ok(None)
            }
            Err(error) => {
                // A leftover is removed by the next pass or the next start.
                let _ = tasks::unlink(io, &path).await;
                Err(error)
            }
        }
    }

    async fn write(&mut self, io: &Io, path: &Path) -> Result<Option<(Vec<Source>, SegmentIndex)>, CleanError> {
        self.breath.check()?;
        let base = self.sources[self.cursor].base;
        let mut out = Output::create(io, path.to_owned(), base, self.config.index_interval_bytes).await?;
        let (from, mut epochs) = (self.cursor, Vec::new());
        let mut changed = false;
        while let Some(source) = self.next_source(from, &out).cloned() {
            self.cursor += 1;
            // An empty batch at a border is not needed where the segment goes on.
            self.border = None;
            add_epochs(&mut epochs, io, &source).await;
            changed |= self.copy(io, &source, &mut out).await?;
        }
        if let Some(border) = self.border.take() {
            out.put(&border);
        }
        if !changed && self.cursor == from + 1 {
            return Ok(None);
        }
        let mut index = out.finish(io, &mut self.breath).await?;
        index.epochs = with_noted(epochs, &index.epochs);
        Ok(Some((self.sources[from..self.cursor].to_vec(), index)))
    }

    /// The segment at the cursor, if what is being written may take it over.
    fn next_source(&self, from: usize, out: &Output) -> Option<&Source> {
        let next = self.sources.get(self.cursor).filter(|next| next.base < self.upto)?;
        let base = self.sources[from].base;
        let joins = || {
            joins(base, out.bytes(), &(next.base..next.end), next.bytes, &self.config)
                && out.indexes_take(next.bytes, &self.config)
        };
        let taken = self.cursor - from;
        (taken == 0 || (taken < CLEAN_SEGMENTS_MAX && joins())).then_some(next)
    }

    /// Copies what stays of a segment; true when that is not all of it.
    async fn copy(&mut self, io: &Io, source: &Source, out: &mut Output) -> Result<bool, CleanError> {
        let mut changed = false;
        let mut feed = Feed::open(io, source).await?;
        while feed.fill(io, &mut self.breath).await? {
            let mut since = 0;
            while let Some(batch) = feed.next()? {
                since += batch.size_bytes();
                let kept = self.thin(&batch).map_err(|error| failed(source, &batch, error))?;
                match kept {
                    Thinned::All => out.put(batch.bytes()),
                    Thinned::Rebuilt => out.put(self.thinner.rebuilt()),
                    Thinned::Nothing if batch.next_offset() == source.end => {
                        self.thinner.empty(&batch);
                        self.border = Some(self.thinner.rebuilt().to_vec());
                        // Left where it is, the next pass would find the same.
                        changed |= batch.record_count() > 0;
                        continue;
                    }
                    Thinned::Nothing => {}
                }
                changed |= kept != Thinned::All;
                if since >= CLEAN_SLICE_BYTES {
                    since = 0;
                    self.breath.pause(io).await?;
                }
            }
            out.flush(io, &mut self.breath).await?;
        }
        Ok(changed)
    }

    /// What stays of a batch.
    fn thin(&mut self, batch: &BatchView<'_>) -> Result<Thinned, BatchError> {
        if batch.is_control() || batch.base_offset() >= self.upto {
            return Ok(Thinned::All);
        }
        // A tombstone gets its horizon when everything older with its key is gone, which is known of whole batches only.
        let horizon = self.wall.0.saturating_add(self.config.delete_retention_ms);
        let horizon = (batch.last_offset() < self.upto).then_some(horizon);
        let is_over = batch.delete_horizon_ms().is_some_and(|over| over <= self.wall.0);
        let is_over = is_over || marks::planted!("engine: compaction drops tombstones at once");
        let (keys, upto) = (&self.keys, self.upto);
        let thinned = self.thinner.thin(batch, &self.limits, horizon, |record| stays(record, keys, upto, is_over))?;
        if thinned != Thinned::Nothing || !self.last_batches.contains(&batch.last_offset()) {
            return Ok(thinned);
        }
        if batch.record_count() == 0 {
            return Ok(Thinned::All);
        }
        self.thinner.empty(batch);
        Ok(Thinned::Rebuilt)
    }
}

fn stays(record: &RawRecord<'_>, keys: &Keys, upto: i64, is_over: bool) -> bool {
    if record.offset >= upto {
        return true;
    }
    // As in Kafka, records without a key, from before the topic was compacted, go.
    let Some(key) = record.key else { return false };
    let newest = keys.newest(keys.hash(key));
    let is_newest = newest.is_none_or(|newest| newest <= record.offset);
    let is_newest = if marks::planted!("engine: compaction takes the newest record of a key too") {
        newest.is_none()
    } else {
        is_newest
    };
    is_newest && (record.has_value || !is_over)
}

/// Takes the records of a batch from `from` on into the keys; the offset of the first one that has no room.
fn learn_batch(
    keys: &mut Keys,
    thinner: &mut Thinner,
    limits: &Limits,
    batch: &BatchView<'_>,
    from: i64,
) -> Result<Option<i64>, BatchError> {
    if batch.is_control() || batch.last_offset() < from {
        return Ok(None);
    }
    let mut full = None;
    thinner.each(batch, limits, |record| {
        let Some(key) = record.key.filter(|_| record.offset >= from) else { return true };
        if !keys.note(keys.hash(key), record.offset) {
            full = Some(record.offset);
        }
        full.is_none()
    })?;
    Ok(full)
}

fn failed(source: &Source, batch: &BatchView<'_>, error: BatchError) -> CleanError {
    CleanError::Batch { file: source.path.clone(), base_offset: batch.base_offset(), error }
}

/// Adds the leader epochs that a segment's index knows.
async fn add_epochs(epochs: &mut Vec<(i32, i64)>, io: &Io, source: &Source) {
    let dir = source.path.parent().unwrap_or(Path::new("."));
    let file = tasks::read_whole(io, &names::index(dir, source.base), INDEX_BYTES_MAX).await;
    let index = file.ok().and_then(|file| SegmentIndex::from_file(&file).ok());
    for (epoch, offset) in
        index.filter(|index| index.base_offset == source.base).into_iter().flat_map(|index| index.epochs)
    {
        if epochs.last().is_none_or(|&(last, _)| epoch > last) {
            epochs.push((epoch, offset));
        }
    }
}

/// Where an epoch began is known of the old indexes, though the batch it began with may be gone. One of them may be missing, so
/// what the batches that stay say counts as well: each is held against these epochs when it is read.
fn with_noted(mut known: Vec<(i32, i64)>, noted: &[(i32, i64)]) -> Vec<(i32, i64)> {
    for &(epoch, offset) in noted {
        if let Err(at) = known.binary_search_by_key(&epoch, |&(epoch, _)| epoch) {
            known.insert(at, (epoch, offset));
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_old_indexes_come_first_and_none_of_the_batches_is_left_out() {
        let known = vec![(1, 0), (3, 20), (4, 30)];
        assert_eq!(
            with_noted(known.clone(), &[(1, 5), (2, 10), (4, 31), (5, 40)]),
            [(1, 0), (2, 10), (3, 20), (4, 30), (5, 40)]
        );
        assert_eq!(with_noted(known.clone(), &[]), known);
        assert_eq!(with_noted(Vec::new(), &[(2, 10)]), [(2, 10)]);
    }
}

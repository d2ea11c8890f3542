//! Choosing what is compacted next, and taking into service what a pass has written. One pass at a time; the log's owner is
//! asked first, because only he knows what may be cleaned and which batch is a producer's last.
//!
//! ```text
//!   look ── Uncompacted ──> owner ── compact() ──> learn ─> clean a group ─> commit ─> switch in memory ─> finish ┐
//!                                                           └──────────── the next group ────────────────────────┘
//! ```
//! While files change their names the log has a task, so that deletion and truncation wait, and their segments cannot leave.

use super::LogSet;
use super::health::Trouble;
use super::outcome::Result as Outcome;
use crate::log::compact::breath::Breath;
use crate::log::compact::choose::{Candidate, Dirty, look};
use crate::log::compact::keys::Keys;
use crate::log::compact::mark::Mark;
use crate::log::compact::pass::{CleanError, Cleaned, Done, Pass, Source};
use crate::log::compact::sieve::Sieve;
use crate::log::compact::swap;
use crate::log::config::{LogId, LogLimits};
use crate::log::event::LogEvent;
use crate::log::files::is_full;
use crate::log::kafka_indexes::KafkaIndexes;
use crate::log::limits::CLEAN_RETRY_MS_MAX;
use crate::log::names::FileKind;
use crate::log::state::{Health, Log, Segment, SegmentIndexState};
use crate::log::{names, tasks};
use crate::shard::Io;
use crate::time::{Mono, Wall};
use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where the set stands with compaction.
pub(super) struct Compacting {
    /// When to look for a log; none while it is switched off.
    at: Option<Mono>,
    running: Option<LogId>,
    /// Between two looks.
    backoff_ms: Option<u64>,
    keys_bytes: usize,
    /// A pass that is under way follows it.
    bytes_per_s: Rc<Cell<u64>>,
}

/// What of compaction changes at run time; what is `None` is as it was when the set was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionPace {
    /// Between two looks for a log to compact, in milliseconds. A set that compacts nothing goes on doing so.
    pub backoff_ms: Option<u64>,
    /// Memory for the keys of one pass, in bytes; the next one has it.
    pub keys_bytes: Option<usize>,
    /// Bytes a second that passes may read and write together.
    pub bytes_per_s: Option<u64>,
}

/// What the owner of a log says to its compaction.
#[derive(Clone, Debug, Default)]
pub struct CompactionTerms {
    /// Nothing from this offset on is touched: the high watermark.
    pub upto: i64,
    /// Last offset of each producer's last batch: these batches stay even without records, for their sequence numbers.
    pub last_batches: Vec<i64>,
}

/// How far a pass has come.
pub(super) enum Step {
    /// A group was written beside the log; none where nothing of it changed.
    Cleaned(Box<Pass>, Option<Box<Cleaned>>),
    /// It is durable that the group is replaced.
    Committed(Box<Pass>, Box<Cleaned>),
    /// Its files have their names; of its index only if it could be written.
    Placed { pass: Box<Pass>, base: i64, has_index: bool },
    /// What is cleaned now was written down.
    Ended(Box<Pass>, Mark),
    /// It ends here and is tried again later.
    Failed(CleanError),
    /// Files have half of their new names.
    Torn { base: i64, error: io::Error },
}

impl Compacting {
    pub(super) fn new(now: Mono, limits: &LogLimits) -> Compacting {
        Compacting {
            at: limits.clean_backoff_ms.map(|ms| now.plus_millis(ms)),
            running: None,
            backoff_ms: limits.clean_backoff_ms,
            keys_bytes: limits.clean_keys_bytes,
            bytes_per_s: Rc::new(Cell::new(limits.clean_bytes_per_s)),
        }
    }

    /// When the set has to look again.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.at.filter(|_| self.running.is_none())
    }
}

impl LogSet {
    /// Compacts at this pace from now on.
    pub fn set_compaction_pace(&mut self, pace: &CompactionPace) {
        let (limits, compacting) = (&self.limits, &mut self.compacting);
        compacting.backoff_ms = limits.clean_backoff_ms.map(|at_start| pace.backoff_ms.unwrap_or(at_start));
        compacting.keys_bytes = pace.keys_bytes.unwrap_or(limits.clean_keys_bytes);
        compacting.bytes_per_s.set(pace.bytes_per_s.unwrap_or(limits.clean_bytes_per_s));
        // Who makes it shorter does not want to wait for the end of a long one.
        let soonest = compacting.backoff_ms.map(|ms| self.now.plus_millis(ms));
        compacting.at = compacting.at.and_then(|at| soonest.map(|soonest| at.min(soonest)));
    }

    /// Looks for a log to compact once it is time; its owner then calls [`LogSet::compact`].
    pub(super) fn look_for_compaction(&mut self) {
        let Some(backoff_ms) = self.compacting.backoff_ms else { return };
        if self.closing.get() || self.compacting.deadline().is_none_or(|at| at > self.now) {
            return;
        }
        // Something is always left to breathe: a look may find the same log again.
        let next = self.now.plus_millis(backoff_ms.max(1));
        self.compacting.at = Some(next);
        let Some(id) = self.dirtiest() else { return };
        if let Some(log) = self.log_mut(id) {
            log.compaction.retry_at = next;
        }
        self.events.push_back(LogEvent::Uncompacted { id });
    }

    /// The log with the largest dirty part among those that are due.
    fn dirtiest(&self) -> Option<LogId> {
        let due = |(at, log): (usize, &Option<Box<Log>>)| {
            let log = log.as_deref().filter(|log| log.compaction.retry_at <= self.now)?;
            let dirty = log.dirty(i64::MAX, self.wall).filter(|dirty| dirty.is_due(&log.config))?;
            Some((LogId(at as u32), dirty.ratio))
        };
        let due = self.logs.iter().enumerate().filter_map(due);
        due.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(id, _)| id)
    }

    /// Compacts the log as far as `terms` allow, in the background: the answer to [`LogEvent::Uncompacted`]. Nothing happens
    /// when there is nothing to do for it any more.
    pub fn compact(&mut self, id: LogId, terms: CompactionTerms) {
        if self.compacting.running.is_some() || self.closing.get() {
            return;
        }
        let (io, wall, now) = (self.io.clone(), self.wall, self.now);
        let Some(log) = self.log(id) else { return };
        let Some(dirty) = log.dirty(terms.upto, wall) else { return };
        let stop = Rc::new(Cell::new(false));
        let keys = Keys::new(io.random(), (dirty.upto - dirty.from).unsigned_abs(), self.compacting.keys_bytes);
        let bytes_per_s = Rc::clone(&self.compacting.bytes_per_s);
        let last_batches = terms.last_batches.into_iter().collect();
        let pass = Pass {
            dir: log.name.dir.clone(),
            config: log.config.clone(),
            sources: log.sources(&dirty),
            from: dirty.from,
            upto: dirty.from,
            mark: Mark::default(),
            cursor: 0,
            border: None,
            began: now,
            sieve: Sieve::new(keys, dirty.from, wall, log.config.delete_retention_ms, last_batches),
            breath: Breath::new(&io, self.background.clone(), bytes_per_s, Rc::clone(&self.closing), Rc::clone(&stop)),
            done: Done::default(),
        };
        let Some(log) = self.log_mut(id) else { return };
        log.compaction.stop = Some(stop);
        // Before the first gap, and before a truncation might have to take it back.
        let mark = Mark { gaps_below: dirty.upto.max(log.compaction.mark.gaps_below), ..log.compaction.mark };
        log.compaction.mark = mark;
        self.compacting.running = Some(id);
        self.start(id, async move { Outcome::Compaction(begin(&io, Box::new(pass), mark).await) });
    }

    pub(super) fn compaction(&mut self, id: LogId, step: Step) {
        match step {
            Step::Cleaned(pass, None) => self.next_group(id, pass),
            Step::Cleaned(pass, Some(cleaned)) => self.cleaned(id, pass, cleaned),
            Step::Committed(pass, cleaned) => self.committed(id, pass, *cleaned),
            Step::Placed { pass, base, has_index } => self.placed(id, pass, base, has_index),
            Step::Ended(pass, mark) => self.compacted(id, &pass, mark),
            Step::Failed(error) => self.compaction_failed(id, &error),
            Step::Torn { base, error } => {
                self.end_compaction(id);
                self.fence(id, &Trouble::at_segment("replace by its compacted form", base, error));
            }
        }
    }

    fn next_group(&mut self, id: LogId, mut pass: Box<Pass>) {
        let io = self.io.clone();
        self.start(id, async move {
            if pass.is_done() {
                return Outcome::Compaction(end(&io, pass).await);
            }
            Outcome::Compaction(match pass.clean(&io).await {
                Ok(cleaned) => Step::Cleaned(pass, cleaned.map(Box::new)),
                Err(error) => Step::Failed(error),
            })
        });
    }

    /// A group is written: its segments must still be what was read.
    fn cleaned(&mut self, id: LogId, pass: Box<Pass>, cleaned: Box<Cleaned>) {
        let io = self.io.clone();
        let (Some(first), Some(last)) = (cleaned.sources.first(), cleaned.sources.last()) else { return };
        let (base, end) = (first.base, last.end);
        // A clean stop may have gone on without it.
        let is_current = !self.closing.get() && self.log(id).is_some_and(|log| log.still_has(&cleaned.sources));
        if let Some(log) = self.log_mut(id).filter(|_| is_current) {
            log.compaction.swapping = Some(base..end);
        }
        self.start(id, async move {
            if !is_current {
                // A leftover is removed by the next pass or the next start.
                let _ = tasks::unlink(&io, &names::cleaned(&pass.dir, base)).await;
                return Outcome::Compaction(Step::Failed(CleanError::Stopped));
            }
            Outcome::Compaction(commit(&io, pass, cleaned, base).await)
        });
    }

    /// From here on the log has the new segment. Its file has another name yet, so it is read by its descriptor.
    fn committed(&mut self, id: LogId, pass: Box<Pass>, cleaned: Cleaned) {
        let Cleaned { sources, index, file } = cleaned;
        let (files, indexes) = (Rc::clone(&self.files), Rc::clone(&self.indexes));
        let Some(log) = self.any_log_mut(id) else { return };
        let (Some(first), Some(last)) = (sources.first(), sources.last()) else { return };
        let (base, end) = (first.base, last.end);
        for segment in log.segments.iter().filter(|segment| (base..end).contains(&segment.base)) {
            segment.alive.set(false);
            files.borrow_mut().forget(id, segment.base);
            indexes.borrow_mut().forget(id, segment.base);
        }
        let index = Rc::new(index);
        log.replace(&sources, &index, file);
        // What a move has copied is not what the log has any more.
        LogSet::restart_relocation(log);
        let freed = log.tail.forget_below(end);
        self.held -= freed;
        let others: Vec<_> = sources.iter().skip(1).map(|source| source.base).collect();
        let io = self.io.clone();
        marks::reached!("engine: segments were replaced by their compacted form");
        self.start(id, async move {
            if let Err(error) = swap::finish(&io, &pass.dir, base, &others).await {
                return Outcome::Compaction(Step::Torn { base, error });
            }
            let has_index = write_index(&io, names::index(&pass.dir, base), &index).await;
            Outcome::Compaction(Step::Placed { pass, base, has_index })
        });
    }

    fn placed(&mut self, id: LogId, pass: Box<Pass>, base: i64, has_index: bool) {
        let indexes = Rc::clone(&self.indexes);
        let Some(log) = self.any_log_mut(id) else { return };
        log.compaction.swapping = None;
        if let Some(segment) = log.segments.iter_mut().find(|segment| segment.base == base) {
            segment.unsettled = None;
            if has_index
                && let SegmentIndexState::Memory(index) = std::mem::replace(&mut segment.index, SegmentIndexState::File)
            {
                indexes.borrow_mut().keep(id, base, index);
            }
        }
        self.remove_below_start(id);
        self.next_group(id, pass);
    }

    fn compacted(&mut self, id: LogId, pass: &Pass, mark: Mark) {
        self.end_compaction(id);
        let (now, wall) = (self.now, self.wall);
        let Some(log) = self.any_log_mut(id) else { return };
        // A truncation meanwhile may have lowered what counts.
        log.compaction.mark.first_dirty = mark.first_dirty.min(log.end);
        log.compaction.failures = 0;
        let Done { bytes_before, bytes_after, keys } = pass.done;
        let ms = now.since(pass.began).as_millis() as u64;
        tracing::info!(
            log = %log.name.dir.display(), from = pass.from, upto = pass.upto, keys, bytes_before, bytes_after, ms, "compacted"
        );
        // What did not fit into memory goes on at once.
        let goes_on = log.dirty(i64::MAX, wall).is_some_and(|dirty| dirty.is_due(&log.config));
        if goes_on && pass.upto > pass.from {
            log.compaction.retry_at = now;
        }
        self.compacting.at = Some(now);
    }

    fn compaction_failed(&mut self, id: LogId, error: &CleanError) {
        self.end_compaction(id);
        let (now, backoff_ms) = (self.now, self.compacting.backoff_ms.unwrap_or_default().max(1));
        let Some(log) = self.any_log_mut(id) else { return };
        if matches!(error, CleanError::Stopped) {
            log.compaction.retry_at = now.plus_millis(backoff_ms);
            return;
        }
        log.compaction.failures += 1;
        let wait_ms = backoff_ms.saturating_mul(1 << log.compaction.failures.min(16)).min(CLEAN_RETRY_MS_MAX);
        log.compaction.retry_at = now.plus_millis(wait_ms);
        let log = log.name.dir.display();
        match error {
            CleanError::Io { error, .. } if is_full(error) => {
                tracing::warn!(%log, wait_ms, "not compacted: the disk has no room for the compacted form; tried again later");
            }
            error => {
                tracing::error!(%log, wait_ms, %error, "not compacted; it is served as it is, and tried again later")
            }
        }
    }

    fn end_compaction(&mut self, id: LogId) {
        self.compacting.running = None;
        if let Some(log) = self.any_log_mut(id) {
            log.compaction.stop = None;
            log.compaction.swapping = None;
        }
    }
}

async fn begin(io: &Io, mut pass: Box<Pass>, mark: Mark) -> Step {
    if let Err(error) = remove_leftovers(io, &pass.dir).await {
        return Step::Failed(CleanError::Io { file: pass.dir.clone(), error });
    }
    if let Err(error) = pass.learn(io).await {
        return Step::Failed(error);
    }
    pass.done.keys = pass.sieve.key_count();
    // A start has to know where there may be gaps.
    pass.mark = mark;
    let written = if marks::planted!("engine: forget where compaction leaves gaps") {
        Ok(())
    } else {
        mark.write(io, &pass.dir).await
    };
    match written {
        Ok(()) => Step::Cleaned(pass, None),
        Err(error) => Step::Failed(CleanError::Io { file: pass.dir.join(names::COMPACTED), error }),
    }
}

/// Removes what earlier passes wrote and could not remove. With one of these below it a start would take a replacement for part of
/// a split that Kafka did not finish, and undo it when what it replaces is gone already.
async fn remove_leftovers(io: &Io, dir: &Path) -> io::Result<()> {
    for entry in tasks::list(io, dir).await? {
        if let FileKind::Cleaned(_) = FileKind::of(&entry.name) {
            tasks::unlink(io, &dir.join(entry.name)).await?;
        }
    }
    Ok(())
}

async fn commit(io: &Io, pass: Box<Pass>, cleaned: Box<Cleaned>, base: i64) -> Step {
    let Err(error) = swap::commit(io, &pass.dir, base).await else { return Step::Committed(pass, cleaned) };
    // It may have a name that the next start takes for the point of no return.
    match swap::undo(io, &pass.dir, base).await {
        Ok(()) => Step::Failed(CleanError::Io { file: names::swap(&pass.dir, base), error }),
        Err(_) => Step::Torn { base, error },
    }
}

/// Without it the next start walks the segment.
async fn write_index(io: &Io, path: PathBuf, index: &crate::log::index::SegmentIndex) -> bool {
    let written = match index.to_file() {
        Ok(file) => tasks::replace(io, &path, file).await,
        Err(error) => Err(io::Error::other(error.to_string())),
    };
    if let Err(error) = &written {
        tracing::warn!(file = %path.display(), %error, "index not written: the next start reads the segment");
    }
    written.is_ok()
}

async fn end(io: &Io, mut pass: Box<Pass>) -> Step {
    pass.sieve.give_back(io).await;
    let mark = Mark { first_dirty: pass.upto, ..pass.mark };
    match mark.write(io, &pass.dir).await {
        Ok(()) => Step::Ended(pass, mark),
        Err(error) => Step::Failed(CleanError::Io { file: pass.dir.join(names::COMPACTED), error }),
    }
}

impl Log {
    /// What a pass up to `upto` would be; none for a log that is not compacted, or is not well.
    fn dirty(&self, upto: i64, wall: Wall) -> Option<Dirty> {
        if !self.config.compact_policy || self.damaged || !matches!(self.health, Health::Good) {
            return None;
        }
        let or_created = |timestamp: i64, created: Wall| if timestamp >= 0 { timestamp } else { created.0 };
        let candidate = |segment: &Segment| Candidate {
            base: segment.base,
            end: segment.end,
            bytes: segment.bytes,
            first_timestamp: or_created(segment.first_timestamp, segment.created),
            max_timestamp: or_created(segment.max_timestamp, segment.created),
            is_sealed: segment.is_sealed && segment.unsettled.is_none() && segment.damage.borrow().is_empty(),
        };
        let candidates: Vec<_> = self.segments.iter().map(candidate).collect();
        let first_dirty = self.compaction.mark.first_dirty;
        look(&candidates, self.start, first_dirty, self.durable.min(upto), wall, &self.config)
    }

    fn sources(&self, dirty: &Dirty) -> Vec<Source> {
        let source = |segment: &Segment| Source {
            base: segment.base,
            end: segment.end,
            bytes: segment.bytes,
            path: segment.path.clone(),
            alive: Rc::clone(&segment.alive),
            created: segment.created,
        };
        self.segments.iter().take(dirty.segments).map(source).collect()
    }

    /// True when these are still neighbours in service.
    fn still_has(&self, sources: &[Source]) -> bool {
        let Some(at) = sources.first().and_then(|first| self.segment_of(first.base)) else { return false };
        let same = |(source, segment): (&Source, &Segment)| Rc::ptr_eq(&source.alive, &segment.alive);
        matches!(self.health, Health::Good)
            && self.segments.len() >= at + sources.len()
            && sources.iter().zip(self.segments.range(at..)).all(same)
    }

    /// Puts one segment in the place of several.
    fn replace(
        &mut self,
        sources: &[Source],
        index: &Rc<crate::log::index::SegmentIndex>,
        file: Rc<crate::log::files::OpenFile>,
    ) {
        let Some(first) = sources.first() else { return };
        let Some(at) = self.segment_of(first.base) else { return };
        let end = index.end_offset.max(sources.last().map_or(first.end, |last| last.end));
        let segment = Segment {
            base: first.base,
            end,
            bytes: index.bytes,
            first_timestamp: index.first_timestamp,
            max_timestamp: index.max_timestamp,
            offset_of_max_timestamp: index.offset_of_max_timestamp,
            created: sources.iter().map(|source| source.created).max().unwrap_or(first.created),
            path: first.path.clone(),
            kafka_indexes: KafkaIndexes::of(index),
            index: SegmentIndexState::Memory(Rc::clone(index)),
            alive: Rc::new(Cell::new(true)),
            ours: false,
            is_sealed: true,
            damage: Rc::new(RefCell::new(Vec::new())),
            unsettled: Some(file),
        };
        self.segments.drain(at..at + sources.len());
        self.segments.insert(at, segment);
    }
}

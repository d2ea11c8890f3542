//! Moving a log to another data folder while it is used: what is copied next, when the log stands still for the switch, and what the
//! set makes of it. The files themselves are dealt with in `log/relocate.rs`.
//!
//! Segments are copied batch by batch, each verified on the way, up to what is written. Once no more than a step is left, appends
//! are busy until everything is flushed and copied and the folders have changed their names: milliseconds, however large the log.

use super::LogSet;
use super::health::Trouble;
use super::outcome::Result;
use crate::log::check::{Check, Known};
use crate::log::config::LogId;
use crate::log::event::LogEvent;
use crate::log::index::{HeaderRule, Start};
use crate::log::limits::RELOCATE_BYTES;
use crate::log::relocate::{self, CopyJob, ReadyJob, SwitchError, SwitchJob};
use crate::log::state::{Cut, Health, Log, SegmentIndexState};
use crate::log::writer::{Mark, Writer};
use crate::log::{LogName, names};
use crate::shard::{Class, Io};
use crate::time::Mono;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A log on its way to another data folder.
pub(in crate::log) struct Relocation {
    /// The data folder.
    to: PathBuf,
    /// The copy's folder there.
    folder: PathBuf,
    /// It exists, and says whose log it is.
    has_folder: bool,
    /// What is copied of each segment, by base offset.
    copies: BTreeMap<i64, Copy>,
    /// A step is under way.
    pub(in crate::log) is_busy: bool,
    /// It was given up; what follows then.
    ends: Option<Next>,
    /// Not before this time: the copy is not to be faster than it may.
    not_before: Mono,
}

/// What is copied of one segment.
struct Copy {
    /// Where the copy ends; away while a step works with it.
    check: Option<Check>,
    position: u64,
    end: i64,
    /// Its index is there, too, and it is cut to its length.
    is_complete: bool,
}

/// What follows a move that was given up.
enum Next {
    Nothing,
    /// The same again, from the beginning: the log has changed below what was copied.
    Again,
    Elsewhere(PathBuf),
}

/// What to do next for a move.
enum Work {
    Folder,
    Copy {
        base: i64,
        limit: u64,
        end: i64,
    },
    Complete {
        base: i64,
    },
    /// Everything that is written is copied.
    Nothing,
}

/// What a step came to.
pub(super) enum Step {
    Folder(io::Result<()>),
    Copied {
        base: i64,
        copied: io::Result<Check>,
    },
    Completed {
        base: i64,
        check: Check,
        result: io::Result<()>,
    },
    Ready(io::Result<()>),
    Switched(std::result::Result<(), SwitchError>),
    /// The copy was removed, as far as it could be.
    Discarded,
}

/// Why a log is not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelocateError {
    /// The log is fenced, damaged, or gone.
    #[error("the log is out of service")]
    OutOfService,
    /// The set has no such folder.
    #[error("no such data folder")]
    NoSuchFolder,
}

/// The copy of a log that is being moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FutureLog {
    /// The data folder that it is moved to.
    pub data_dir: PathBuf,
    /// Bytes of batches that are copied.
    pub bytes: u64,
    /// Exclusive end of their offsets.
    pub end: i64,
}

/// How fast all moves of a shard may be together; one step at a time.
pub(super) struct Pace {
    pub(super) class: Class,
    pub(super) bytes_per_s: u64,
    pub(super) next: Rc<Cell<Mono>>,
}

impl Pace {
    pub(super) fn new(io: &Io, bytes_per_s: u64) -> Pace {
        Pace { class: Class::new(io, 1), bytes_per_s: bytes_per_s.max(1), next: Rc::default() }
    }

    /// When the step after `bytes` may begin.
    fn after(&self, now: Mono, bytes: u64) -> Mono {
        let cost_ns = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_s);
        let from = self.next.get().max(now);
        self.next.set(Mono(from.0.saturating_add(u64::try_from(cost_ns).unwrap_or(u64::MAX))));
        self.next.get()
    }
}

impl LogSet {
    /// Moves the log to another data folder of the set, in the background; `Relocated` or `NotRelocated` says how it ended.
    /// A move to yet another folder is given up; to the folder that the log lies in, it only does that.
    pub fn relocate(&mut self, id: LogId, to: &Path) -> std::result::Result<(), RelocateError> {
        if !self.dirs.contains_key(to) {
            return Err(RelocateError::NoSuchFolder);
        }
        let log = self.log_mut(id).filter(|log| !matches!(log.health, Health::Fenced) && !log.damaged);
        let log = log.ok_or(RelocateError::OutOfService)?;
        let stays = log.name.data_dir() == to;
        let next = if stays { Next::Nothing } else { Next::Elsewhere(to.to_owned()) };
        let folder = names::future_folder(&to.join(log.name.dir.file_name().unwrap_or_default()), &log.uid);
        match &mut log.relocation {
            Some(moving) if moving.to == to && !stays => moving.ends = None,
            Some(moving) => moving.ends = Some(next),
            None if stays => {}
            None => log.relocation = Some(Box::new(Relocation::new(to.to_owned(), folder))),
        }
        self.mark_dirty(id);
        Ok(())
    }

    /// The copy of a log that is being moved.
    pub fn future(&self, id: LogId) -> Option<FutureLog> {
        let moving = self.log(id)?.relocation.as_ref().filter(|moving| moving.ends.is_none())?;
        let bytes = moving.copies.values().map(|copy| copy.position).sum();
        let end = moving.copies.values().map(|copy| copy.end).max().unwrap_or(0);
        Some(FutureLog { data_dir: moving.to.clone(), bytes, end })
    }

    /// Moves a log's copy on by a step.
    pub(super) fn drive_relocation(&mut self, id: LogId, log: &mut Log) {
        let Some(moving) = &mut log.relocation else { return };
        let may_work = matches!(log.health, Health::Good | Health::Full { .. } | Health::Switching { .. });
        if moving.is_busy || (self.closing.get() && !matches!(log.health, Health::Switching { .. })) {
            return;
        }
        if matches!(log.health, Health::Fenced) {
            moving.ends = Some(Next::Nothing);
        } else if !may_work {
            return;
        }
        if moving.ends.is_some() {
            return self.discard(id, log);
        }
        if matches!(log.health, Health::Good | Health::Full { .. }) && moving.not_before > self.now {
            self.timers.insert((moving.not_before, id));
            return;
        }
        match log.next_work() {
            Work::Folder => self.begin_copy(id, log),
            Work::Copy { base, limit, end } => self.copy_some(id, log, base, (limit, end)),
            Work::Complete { base } => self.complete_copy(id, log, base),
            Work::Nothing if matches!(log.health, Health::Switching { .. }) => self.switch(id, log),
            Work::Nothing if log.is_nearly_copied() => {
                log.health = Health::Switching { started: false };
                // A pass of compaction would be in the way for long; it begins again where the log is then.
                log.compaction.stop.iter().for_each(|stop| stop.set(true));
                log.writers.iter_mut().for_each(Writer::fill);
                // Nothing may be on its way into the journal when the log leaves it.
                self.mark_dirty_held(id, log);
            }
            // What is not written yet will be, without anybody's help.
            Work::Nothing => log.writers.iter_mut().for_each(Writer::fill),
        }
    }

    fn begin_copy(&self, id: LogId, log: &mut Log) {
        let Some(moving) = &mut log.relocation else { return };
        moving.is_busy = true;
        let (io, class, to) = (self.io.clone(), self.relocations.class.clone(), moving.folder.clone());
        let (uid, partition) = (log.uid, log.partition);
        let from = log.has_folder.then(|| log.name.dir.clone());
        self.step(id, async move {
            let _turn = class.acquire().await;
            Step::Folder(relocate::begin(&io, from.as_deref(), &to, &uid, partition).await)
        });
    }

    fn copy_some(&self, id: LogId, log: &mut Log, base: i64, upto: (u64, i64)) {
        let from = names::segment(&log.name.dir, base);
        let first = || {
            let start = Start { position: 0, rule: HeaderRule::loose(base) };
            Check::new(Known::part(upto.0, upto.1), base, start)
        };
        let Some(moving) = &mut log.relocation else { return };
        let to = names::segment(&moving.folder, base);
        let copy =
            moving.copies.entry(base).or_insert(Copy { check: None, position: 0, end: base, is_complete: false });
        let mut check = copy.check.take().unwrap_or_else(first);
        check.grow(upto.0, upto.1);
        moving.is_busy = true;
        let (io, class) = (self.io.clone(), self.relocations.class.clone());
        self.step(id, async move {
            let _turn = class.acquire().await;
            Step::Copied { base, copied: CopyJob { from, to, check }.run(&io).await }
        });
    }

    fn complete_copy(&self, id: LogId, log: &mut Log, base: i64) {
        let from = log.name.dir.clone();
        let Some(moving) = &mut log.relocation else { return };
        let Some(check) = moving.copies.get_mut(&base).and_then(|copy| copy.check.take()) else { return };
        let to = moving.folder.clone();
        moving.is_busy = true;
        let (io, class) = (self.io.clone(), self.relocations.class.clone());
        self.step(id, async move {
            let _turn = class.acquire().await;
            let result = relocate::finish_segment(&io, &from, &to, base, &check).await;
            Step::Completed { base, check, result }
        });
    }

    /// The copy is not wanted, or not any more.
    fn discard(&self, id: LogId, log: &mut Log) {
        log.end_switch();
        let Some(moving) = &mut log.relocation else { return };
        moving.is_busy = true;
        let (io, folder) = (self.io.clone(), moving.folder.clone());
        self.step(id, async move {
            if let Err(error) = super::remove_folder(&io, &folder).await {
                tracing::warn!(folder = %folder.display(), %error, "the copy of a log is left for the next start");
            }
            Step::Discarded
        });
    }

    /// The log stands still and everything is copied: changes the folders' names, once no record of the journal could bring
    /// anything back into the old one.
    fn switch(&mut self, id: LogId, log: &mut Log) {
        let is_written = log.writers.len() <= 1 && log.writers.iter().all(|w| w.is_written() && !w.unnamed);
        let never_written = log.writers.iter().all(|writer| writer.unnamed && writer.appended == 0);
        if !log.is_quiet() || !(is_written || never_written) || log.snapshot_writing {
            return;
        }
        if !self.is_void_in_journal(id, log) {
            return;
        }
        if let Some(error) = log.disagreement() {
            self.events.push_back(LogEvent::NotRelocated { id, error });
            return self.discard(id, log);
        }
        let from_data = log.name.data_dir().to_owned();
        self.dirs.get_mut(&from_data).into_iter().for_each(|dir| dir.journal.forget_queued(id));
        log.rest();
        log.health = Health::Switching { started: true };
        let Some(moving) = &mut log.relocation else { return };
        moving.is_busy = true;
        let open = moving.copies.iter().filter(|(_, copy)| !copy.is_complete);
        let open = open.filter(|(base, _)| log.segments.iter().any(|segment| segment.base == **base));
        let job = ReadyJob {
            from: log.name.dir.clone(),
            future: moving.folder.clone(),
            segments: log.segments.iter().filter(|segment| segment.bytes > 0).map(|segment| segment.base).collect(),
            open: open.map(|(base, copy)| (*base, copy.position)).collect(),
            snapshots: log.snapshots.clone(),
        };
        let io = self.io.clone();
        self.step(id, async move { Step::Ready(job.run(&io).await) });
    }

    /// The copy is whole and durable: the folders change their names.
    fn change_names(&mut self, id: LogId) {
        let Some(log) = self.any_log_mut(id) else { return };
        let spares: Vec<_> = log.recycled.drain(..).chain(log.prepared.take().map(|made| made.path)).collect();
        let Some(moving) = &mut log.relocation else { return };
        moving.is_busy = true;
        let (future, to) = (moving.folder.clone(), moving.to.clone());
        let (from, uid) = (log.name.dir.clone(), log.uid);
        let Some(floor) = self.floor_job(&to, None, false) else { return };
        let to = to.join(from.file_name().unwrap_or_default());
        let job = SwitchJob { floor, deleted: names::deleted_folder(&from, &uid), from, future, to, spares };
        let io = self.io.clone();
        self.step(id, async move { Step::Switched(job.run(&io).await) });
    }

    /// Starts a step, which hands back one outcome. It is none of the log's own tasks.
    fn step(&self, id: LogId, step: impl Future<Output = Step> + 'static) {
        let outcomes = Rc::clone(&self.outcomes);
        self.io.spawn(async move {
            let step = step.await;
            outcomes.borrow_mut().push_back(super::Outcome { id, result: Result::Relocating(step) });
        });
    }

    pub(super) fn relocating(&mut self, id: LogId, step: Step) {
        let now = self.now;
        let Some(log) = self.any_log_mut(id) else { return };
        let Some(moving) = &mut log.relocation else { return };
        moving.is_busy = false;
        let failed = match step {
            Step::Folder(Ok(())) => {
                moving.has_folder = true;
                None
            }
            Step::Copied { base, copied: Ok(check) } => {
                let before = moving.copies.get(&base).map_or(0, |copy| copy.position);
                let bytes = check.position() - before;
                moving.copied(base, check);
                let not_before = self.relocations.after(now, bytes);
                if let Some(moving) = self.any_log_mut(id).and_then(|log| log.relocation.as_mut()) {
                    moving.not_before = not_before;
                }
                None
            }
            Step::Completed { base, check, result: Ok(()) } => {
                moving.copied(base, check);
                moving.copies.get_mut(&base).into_iter().for_each(|copy| copy.is_complete = true);
                None
            }
            // The segment left the log meanwhile.
            Step::Copied { base, .. } | Step::Completed { base, .. }
                if log.segments.iter().all(|segment| segment.base != base) =>
            {
                moving.copies.remove(&base);
                None
            }
            Step::Folder(Err(error))
            | Step::Ready(Err(error))
            | Step::Copied { copied: Err(error), .. }
            | Step::Completed { result: Err(error), .. } => Some(error),
            // The log may have been deleted meanwhile, or the copy may not be wanted any more.
            Step::Ready(Ok(())) if matches!(log.health, Health::Switching { .. }) && moving.ends.is_none() => {
                return self.change_names(id);
            }
            Step::Ready(Ok(())) => None,
            Step::Switched(result) => return self.switched(id, result),
            Step::Discarded => return self.discarded(id),
        };
        if let Some(error) = failed {
            self.give_up_relocation(id, &error);
        }
    }

    fn give_up_relocation(&mut self, id: LogId, error: &io::Error) {
        let Some(log) = self.any_log_mut(id) else { return };
        let Some(moving) = &mut log.relocation else { return };
        // The copy that was given up anyway may fail as it likes.
        if moving.ends.is_none() {
            moving.ends = Some(Next::Nothing);
            let error = format!("{}: {error}", moving.folder.display());
            self.events.push_back(LogEvent::NotRelocated { id, error });
        }
    }

    fn discarded(&mut self, id: LogId) {
        let Some(log) = self.any_log_mut(id) else { return };
        let Some(moving) = log.relocation.take() else { return };
        let to = match moving.ends {
            Some(Next::Again) => moving.to,
            Some(Next::Elsewhere(to)) => to,
            _ => return,
        };
        // A log that went out of service meanwhile stays where it is.
        let _ = self.relocate(id, &to);
    }

    fn switched(&mut self, id: LogId, result: std::result::Result<(), SwitchError>) {
        match result {
            Ok(()) => self.arrived(id),
            Err(SwitchError::Undone(error)) => {
                self.any_log_mut(id).into_iter().for_each(Log::end_switch);
                self.give_up_relocation(id, &error);
            }
            Err(SwitchError::Unknown(error)) => {
                self.fence(id, &Trouble::at_segment("move", 0, error));
                if let Some(log) = self.any_log_mut(id) {
                    log.relocation = None;
                }
            }
        }
    }

    /// The log lies in its new folder.
    fn arrived(&mut self, id: LogId) {
        self.forget_in_journal(id);
        self.checkpoint_now(id);
        self.files.borrow_mut().forget_log(id);
        self.indexes.borrow_mut().forget_log(id);
        let Some(log) = self.any_log_mut(id) else { return };
        let Some(moving) = log.relocation.take() else { return };
        let old = log.move_into(&moving.to);
        let (deleted, delay_ms) = (names::deleted_folder(&old, &log.uid), log.config.file_delete_delay_ms);
        match log.health {
            Health::Switching { .. } => log.end_switch(),
            Health::Deleting { .. } => {
                let dir = log.name.dir.clone();
                self.leaving.remove(&old);
                self.leaving.insert(dir);
            }
            _ => {}
        }
        self.checkpoint_now(id);
        let from = old.parent().unwrap_or(Path::new(".")).to_owned();
        self.events.push_back(LogEvent::Relocated { id, from, to: moving.to });
        if let Some(Next::Elsewhere(to)) = moving.ends {
            let _ = self.relocate(id, &to);
        }
        let io = self.io.clone();
        self.io.spawn(async move {
            io.sleep_until(io.now().plus_millis(delay_ms)).await;
            if let Err(error) = super::remove_folder(&io, &deleted).await {
                tracing::warn!(folder = %deleted.display(), %error, "a moved log's old folder is left for the next start");
            }
        });
    }

    /// The log has changed below what was copied of it.
    pub(super) fn restart_relocation(log: &mut Log) {
        if let Some(moving) = &mut log.relocation {
            moving.ends.get_or_insert(Next::Again);
        }
    }
}

impl Relocation {
    fn new(to: PathBuf, folder: PathBuf) -> Relocation {
        Relocation {
            to,
            folder,
            has_folder: false,
            copies: BTreeMap::new(),
            is_busy: false,
            ends: None,
            not_before: Mono(0),
        }
    }

    /// The copy's folder.
    pub(in crate::log) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The data folder that the log is about to be in.
    pub(in crate::log) fn goal(&self) -> &Path {
        &self.to
    }

    fn copied(&mut self, base: i64, check: Check) {
        let Some(copy) = self.copies.get_mut(&base) else { return };
        (copy.position, copy.end) = (check.position(), check.next_offset());
        copy.check = Some(check);
    }
}

impl Log {
    /// Bytes and offsets of a segment that are in its file.
    fn on_device(&self, base: i64) -> Option<(u64, i64)> {
        let segment = self.segments.iter().find(|segment| segment.base == base)?;
        let writer = self.writers.iter().find(|writer| writer.base == base);
        match writer {
            Some(writer) if writer.unnamed => None,
            Some(writer) => Some(writer.last_written_mark()).map(|mark| (mark.position, mark.offset)),
            None => Some((segment.bytes, segment.end)),
        }
    }

    fn next_work(&self) -> Work {
        let Some(moving) = &self.relocation else { return Work::Nothing };
        if !moving.has_folder {
            return Work::Folder;
        }
        for segment in &self.segments {
            let base = segment.base;
            // One that compaction has just replaced has no name yet.
            if segment.unsettled.is_some() {
                continue;
            }
            let Some((limit, end)) = self.on_device(base) else { continue };
            let copy = moving.copies.get(&base);
            if copy.map_or(0, |copy| copy.position) < limit {
                return Work::Copy { base, limit, end };
            }
            let has_index = segment.is_sealed && matches!(segment.index, SegmentIndexState::File);
            if has_index && copy.is_some_and(|copy| !copy.is_complete) {
                return Work::Complete { base };
            }
        }
        Work::Nothing
    }

    /// It need not stand still any more; a truncation that was asked for meanwhile follows.
    fn end_switch(&mut self) {
        if matches!(self.health, Health::Switching { .. }) {
            self.health = match self.truncate_to.take() {
                Some(to) => Health::Cutting { to, why: Cut::Asked, started: false },
                None => Health::Good,
            };
        }
    }

    /// Whether the rest is so little that nobody minds waiting for it.
    fn is_nearly_copied(&self) -> bool {
        let Some(moving) = &self.relocation else { return false };
        let copied = |base: &i64| moving.copies.get(base).map_or(0, |copy| copy.position);
        let left: u64 = self.segments.iter().map(|segment| segment.bytes.saturating_sub(copied(&segment.base))).sum();
        left <= RELOCATE_BYTES as u64
    }

    /// What the copy has that the log has not, or the other way round, in the segments whose index is in memory.
    fn disagreement(&self) -> Option<String> {
        let moving = self.relocation.as_ref()?;
        for segment in &self.segments {
            let SegmentIndexState::Memory(index) = &segment.index else { continue };
            let check = moving.copies.get(&segment.base).and_then(|copy| copy.check.as_ref());
            let agrees = check.map_or(segment.bytes == 0, |check| check.agrees(index));
            if !agrees {
                return Some(format!("{}: what was read of it is not what was written", segment.path.display()));
            }
        }
        None
    }

    /// The log lies in the data folder `to` from now on; returns its old folder.
    fn move_into(&mut self, to: &Path) -> PathBuf {
        let dir = to.join(self.name.dir.file_name().unwrap_or_default());
        let old = std::mem::replace(&mut self.name, LogName { dir }).dir;
        self.has_folder = true;
        self.journal = super::LogJournal::default();
        for segment in &mut self.segments {
            segment.alive.set(false);
            segment.alive = Rc::new(Cell::new(true));
            segment.path = names::segment(&self.name.dir, segment.base);
            // Its file was padded and cut.
            segment.ours = false;
        }
        for writer in self.writers.iter_mut().filter(|writer| !writer.unnamed) {
            let end = writer.last_written_mark();
            *writer = Writer::new(writer.base, Mark { ..end });
            // An empty segment was not copied: its file is to be made here, and its name to be made durable.
            writer.unnamed = end.position == 0;
        }
        old
    }
}

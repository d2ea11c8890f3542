//! A clean end: everything flushed, files cut to their length, indexes and the clean mark written.

use super::LogSet;
use crate::io::OpenMode;
use crate::io::{Done, Owner};
use crate::log::config::LogId;
use crate::log::files::OpenFile;
use crate::log::index::SegmentIndex;
use crate::log::state::{Health, SegmentIndexState};
use crate::log::tasks::FloorJob;
use crate::log::{names, tasks};
use crate::shard::{Class, Io};
use crate::time::{Mono, Wall};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Segments that are cut side by side at shutdown.
const CLOSING_AT_ONCE: usize = 32;

/// Why a shutdown was not clean; the next start verifies what is there.
#[derive(Debug, thiserror::Error)]
pub enum ShutdownError {
    /// It took longer than allowed.
    #[error("the logs were not drained in time")]
    Late,
    /// A log was fenced, so it has to be verified.
    #[error("a log was fenced after an I/O error")]
    Fenced,
    /// Cutting, indexing or marking failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A set on its way to its end. Calling order: [`Shutdown::handle`] for each completion of `Owner::Log`,
/// [`Shutdown::poll`] once a turn until it gives the result; park no longer than [`Shutdown::next_deadline`].
pub struct Shutdown {
    set: LogSet,
    deadline: Mono,
    /// Where the last job leaves its result, once it runs.
    closed: Option<Rc<RefCell<Option<io::Result<()>>>>>,
}

impl Shutdown {
    /// Takes a completion of `Owner::Log`.
    pub fn handle(&mut self, done: Done) {
        self.set.handle(done);
    }

    /// Does what can be done now; the result once everything is flushed and marked clean, or cannot be.
    pub fn poll(&mut self, now: Mono, wall: Wall) -> Option<Result<(), ShutdownError>> {
        if now >= self.deadline {
            return Some(Err(ShutdownError::Late));
        }
        self.set.pump(now, wall);
        while self.set.poll_event().is_some() {}
        if let Some(slot) = &self.closed {
            return slot.take().map(|closed| Ok(closed?));
        }
        if !self.set.is_drained() {
            return None;
        }
        if self.set.has_fenced() {
            return Some(Err(ShutdownError::Fenced));
        }
        let slot = Rc::new(RefCell::new(None));
        self.closed = Some(Rc::clone(&slot));
        let job = self.set.closing_job();
        self.set.io.spawn(async move {
            let closed = job.run().await;
            slot.replace(Some(closed));
        });
        None
    }

    /// When [`Shutdown::poll`] wants to be called at the latest.
    pub fn next_deadline(&self) -> Mono {
        self.set.next_deadline().map_or(self.deadline, |at| at.min(self.deadline))
    }
}

impl LogSet {
    /// Begins to end the set: everything is to be flushed and marked clean by `deadline`.
    pub fn begin_shutdown(mut self, deadline: Mono) -> Shutdown {
        self.closing.set(true);
        for at in 0..self.logs.len() {
            self.mark_dirty(LogId(at as u32));
        }
        Shutdown { set: self, deadline, closed: None }
    }

    /// Ends the set: turns the shard's loop until it has ended. The completions of other owners go to `other`.
    pub fn shutdown(self, deadline: Mono, mut other: impl FnMut(Done)) -> Result<(), ShutdownError> {
        let io = self.io.clone();
        let mut ending = self.begin_shutdown(deadline);
        let mut dones = Vec::new();
        loop {
            io.turn(&mut dones);
            for done in dones.drain(..) {
                match done.token.owner() {
                    Owner::Log => ending.handle(done),
                    _ => other(done),
                }
            }
            if let Some(ended) = ending.poll(io.now(), io.wall()) {
                return ended;
            }
            io.park(Some(ending.next_deadline()));
        }
    }

    fn has_fenced(&self) -> bool {
        self.logs.iter().flatten().any(|log| matches!(log.health, Health::Fenced) && !log.damaged)
    }

    fn is_drained(&self) -> bool {
        let settled = |log: &super::Log| match log.health {
            Health::Good => {
                log.is_quiet() && log.writers.iter().all(|w| !w.has_unsubmitted() && (w.is_synced() || w.appended == 0))
            }
            Health::Full { .. } | Health::Fenced => log.writers.iter().all(|w| w.is_quiet()),
            Health::Deleting { started } => started,
            Health::Draining { .. } | Health::Cutting { .. } | Health::Switching { .. } => false,
        };
        self.ops.pending() == 0
            && self.outcomes.borrow().is_empty()
            && self.logs.iter().filter_map(Option::as_deref).all(|log| settled(log) && !log.is_copied())
            && self.dirs.values().all(|dir| !dir.checkpointing.get())
    }

    fn closing_job(&mut self) -> ClosingJob {
        let mut segments = Vec::new();
        let mut obsolete = Vec::new();
        for log in self.logs.iter_mut().flatten().filter(|log| matches!(log.health, Health::Good | Health::Full { .. }))
        {
            obsolete.extend(log.recycled.drain(..).chain(log.prepared.take().map(|made| made.path)));
            for writer in log.writers.drain(..).filter(|writer| writer.reserved > 0 && !writer.unnamed) {
                let Some(segment) = log.segments.iter().find(|segment| segment.base == writer.base) else { continue };
                let SegmentIndexState::Memory(index) = &segment.index else { continue };
                segments.push((segment.path.clone(), names::index(&log.name.dir, segment.base), Rc::clone(index)));
            }
        }
        obsolete.extend(self.dirs.values_mut().flat_map(|dir| dir.spares.drain(..)).map(|(path, _)| path));
        obsolete.extend(self.dirs.values_mut().filter_map(|dir| dir.journal.take_path()));
        self.files.borrow_mut().clear();
        let floors = self.dirs.keys().filter_map(|data| self.floor_job(data, None, true)).collect();
        ClosingJob { io: self.io.clone(), segments, obsolete, floors }
    }
}

/// What is left to do once nothing is in flight.
struct ClosingJob {
    io: Io,
    /// Segment file, index file and index of every segment that was written.
    segments: Vec<(PathBuf, PathBuf, Rc<SegmentIndex>)>,
    obsolete: Vec<PathBuf>,
    /// The last checkpoint of each data folder.
    floors: Vec<FloorJob>,
}

impl ClosingJob {
    async fn run(self) -> io::Result<()> {
        let class = Class::new(&self.io, CLOSING_AT_ONCE);
        let left = Rc::new(RefCell::new((self.segments.len(), Ok(()))));
        for (segment, index_file, index) in self.segments {
            let (io, class, left) = (self.io.clone(), class.clone(), Rc::clone(&left));
            self.io.spawn(async move {
                let _turn = class.acquire().await;
                let closed = close_segment(&io, &segment, &index_file, &index).await;
                let mut left = left.borrow_mut();
                left.0 -= 1;
                if closed.is_err() {
                    left.1 = closed;
                }
            });
        }
        while left.borrow().0 > 0 {
            // One op a round: the executor has no join, and this runs once in a process.
            self.io.sleep_until(self.io.now().plus_millis(1)).await;
        }
        left.replace((0, Ok(()))).1?;
        for path in self.obsolete {
            tasks::unlink(&self.io, &path).await?;
        }
        for floor in self.floors {
            floor.run(&self.io).await?;
        }
        Ok(())
    }
}

async fn close_segment(io: &Io, segment: &Path, index_file: &Path, index: &SegmentIndex) -> io::Result<()> {
    let file = OpenFile::open(io, segment, OpenMode::Write).await?;
    tasks::set_len(io, &file, index.bytes).await?;
    tasks::sync_data(io, &file).await?;
    let archived = index.to_file().map_err(|error| io::Error::other(error.to_string()))?;
    tasks::replace(io, index_file, archived).await
}

//! Applying retention: whole segments leave at the front, and memory and descriptors that fell idle are given back.

use super::LogSet;
use super::outcome::Result;
use crate::io::Op;
use crate::log::config::LogId;
use crate::log::limits::ZERO_BYTES;
use crate::log::retention::{Candidate, choose};
use crate::log::state::{Health, Log, Rate, Segment};
use crate::log::tasks::SharedFloor;
use crate::log::writer::Writer;
use crate::log::{names, tasks};
use crate::mem;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

/// Recycled files kept a log: the next segment and the one after.
const RECYCLED_MAX: usize = 2;

/// A spare takes at most this part of the free space: room for records comes first.
const SPARE_SHARE: u64 = 16;

/// The checkpoints that removals of one look wait for, by data folder.
type Floors = BTreeMap<PathBuf, SharedFloor>;

impl LogSet {
    /// Not while the set ends: its last checkpoint says what is there, so nothing leaves beside it.
    pub(super) fn check_retention(&mut self) {
        if self.closing.get() {
            return;
        }
        // For what other than logs leaves behind, which nothing else would look at.
        mem::release_idle();
        let shorter: Vec<_> = (0..self.logs.len()).map(|at| LogId(at as u32)).filter(|&id| self.retain(id)).collect();
        // Only when all starts have risen: one checkpoint then says so of all of them.
        let mut floors = Floors::default();
        for id in shorter {
            self.remove_with(id, &mut floors);
            self.checkpoint_now(id);
            self.mark_dirty(id);
        }
    }

    /// Raises the start of a log whose oldest segments are to go; true if there are such.
    fn retain(&mut self, id: LogId) -> bool {
        let wall = self.wall;
        let Some(log) = self.log_mut(id) else { return false };
        if !matches!(log.health, Health::Good | Health::Full { .. }) {
            return false;
        }
        let candidate = |segment: &Segment| Candidate {
            bytes: segment.bytes,
            max_timestamp: segment.max_timestamp,
            durable: segment.end <= log.durable,
        };
        let candidates: Vec<_> = log.segments.iter().map(candidate).collect();
        let choice = choose(&candidates, wall, &log.config);
        if choice.remove == 0 {
            return false;
        }
        if choice.roll {
            log.close_active();
            log.begin_segment(wall);
        }
        let start = log.segments.get(choice.remove).map_or(log.end, |next| next.base);
        let removed: Vec<_> = log.segments.iter().take(choice.remove).map(|segment| segment.base).collect();
        tracing::info!(log = %log.name.dir.display(), segments = ?removed, "removed by retention");
        if start > log.start {
            self.move_start(id, start);
        }
        true
    }

    /// Takes whole segments below the log's start out of service; the active segment stays.
    pub(super) fn remove_below_start(&mut self, id: LogId) {
        self.remove_with(id, &mut Floors::default());
    }

    /// As [`LogSet::remove_below_start`], by checkpoints that others wait for as well; they know this log's start.
    fn remove_with(&mut self, id: LogId, floors: &mut Floors) {
        loop {
            let Some(log) = self.log_mut(id) else { return };
            // A segment that is still being sealed goes with the next look.
            let front = log.segments.front().map_or(log.end, |oldest| oldest.base);
            let is_swapping = log.compaction.swapping.as_ref().is_some_and(|range| range.contains(&front));
            let obsolete = log.segments.len() > 1
                && !is_swapping
                && log.segments.front().is_some_and(|oldest| oldest.end <= log.start && oldest.is_sealed);
            if !obsolete {
                return;
            }
            let Some(segment) = log.segments.pop_front() else { return };
            self.remove_segment(id, &segment, floors);
        }
    }

    fn remove_segment(&mut self, id: LogId, segment: &Segment, floors: &mut Floors) {
        segment.alive.set(false);
        self.files.borrow_mut().forget(id, segment.base);
        self.indexes.borrow_mut().forget(id, segment.base);
        let direct = self.io.caps().direct;
        let Some(mut log) = self.logs.get_mut(id.0 as usize).and_then(Option::take) else { return };
        let hot = log.rate.bytes_per_s >= self.limits.spare_rate_min;
        let recycle = (hot && direct && segment.ours && segment.bytes > 0 && log.recycled.len() < RECYCLED_MAX)
            .then(|| self.private_path(&log, "recycled"));
        let data = log.name.data_dir();
        if !floors.contains_key(data)
            && let Some(floor) = self.floor_job(data, Some(&log), false)
        {
            floors.insert(data.to_owned(), SharedFloor::new(&self.io, floor));
        }
        let job = RemoveJob {
            floor: floors.get(data).cloned(),
            deleted: names::deleted(&segment.path),
            segment: segment.path.clone(),
            index: names::index(&log.name.dir, segment.base),
            recycle,
            data: log.name.data_dir().to_owned(),
            delay_ms: log.config.file_delete_delay_ms,
        };
        self.start_removal(id, &mut log, job);
        self.logs[id.0 as usize] = Some(log);
    }

    fn start_removal(&self, id: LogId, log: &mut Log, job: RemoveJob) {
        let io = self.io.clone();
        let outcomes = std::rc::Rc::clone(&self.outcomes);
        log.tasks += 1;
        self.io.spawn(async move {
            let recycled = job.take_out_of_service(&io).await;
            // The log may be deleted while the file waits, so the wait is not the log's task any more.
            outcomes.borrow_mut().push_back(super::Outcome { id, result: Result::Removed(recycled) });
            job.unlink_later(&io).await;
        });
    }

    pub(super) fn removed(&mut self, id: LogId, recycled: Option<PathBuf>) {
        let Some(log) = self.any_log_mut(id) else { return };
        log.recycled.extend(recycled);
        self.remove_below_start(id);
    }

    /// Gives back memory and descriptors of logs that were not used for a while.
    pub(super) fn give_back_idle(&mut self) {
        if self.idle_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.idle_at = None;
        mem::release_idle();
        let idle_ns = self.limits.idle_ms * 1_000_000;
        // What goes back to the pool now leaves it with the next look, unless somebody wants it before.
        let mut look_again = false;
        let mut behind = Vec::new();
        for (at, log) in self.logs.iter_mut().enumerate().filter_map(|(at, log)| Some((at, log.as_deref_mut()?))) {
            let is_idle = self.now.0.saturating_sub(log.last_used.0) >= idle_ns;
            if is_idle && log.writers.iter().any(Writer::has_unsubmitted) {
                log.writers.iter_mut().for_each(Writer::fill);
                behind.push(LogId(at as u32));
            }
            let written = log.writers.iter().all(|writer| writer.is_written() && writer.is_quiet());
            let open = !log.tail.is_empty();
            if is_idle && written {
                let freed = log.tail.evict_all();
                self.held -= freed;
                look_again |= freed > 0;
                log.rest();
                log.rate = Rate::default();
            } else {
                look_again |= open;
            }
        }
        behind.into_iter().for_each(|id| self.mark_dirty(id));
        if look_again {
            self.idle_at = Some(self.now.plus_millis(self.limits.idle_ms.max(1)));
        }
    }

    /// Keeps zero-written files ready for hot logs.
    pub(super) fn make_spares(&mut self, id: LogId, log: &mut Log) {
        let hot = log.rate.bytes_per_s >= self.limits.spare_rate_min;
        let max = self.limits.spares_max;
        if !hot || !self.io.caps().direct || self.closing.get() || !log.recycled.is_empty() {
            return;
        }
        let Some(dir) = self.dirs.get_mut(log.name.data_dir()) else { return };
        if dir.sparing || dir.spares.len() >= max {
            return;
        }
        dir.sparing = true;
        let (path, len) =
            (self.private_path(log, "spare"), log.config.segment_bytes / ZERO_BYTES as u64 * ZERO_BYTES as u64);
        let (io, class, data) = (self.io.clone(), self.background.clone(), log.name.data_dir().to_owned());
        let closing = Rc::clone(&self.closing);
        self.start_on(id, log, async move {
            let made = async {
                let _turn = class.acquire().await;
                let done = io.call(Op::FreeSpace { path: data.clone(), free: 0, total: 0 }).await;
                done.result?;
                let Op::FreeSpace { free, .. } = done.op else { unreachable!("a completion returns its op") };
                if free / SPARE_SHARE < len {
                    return Err(std::io::ErrorKind::StorageFull.into());
                }
                tasks::make_private(&io, &data).await?;
                tasks::write_zeros(&io, &path, len, &closing).await
            };
            Result::Spare(made.await.map(|()| (path, len)))
        });
    }

    pub(super) fn spared(&mut self, id: LogId, result: std::io::Result<(PathBuf, u64)>) {
        let Some(data) = self.any_log_mut(id).map(|log| log.name.data_dir().to_owned()) else { return };
        let Some(dir) = self.dirs.get_mut(&data) else { return };
        dir.sparing = false;
        match result {
            Ok(spare) => {
                dir.spares.push(spare);
            }
            Err(error) => tracing::debug!(%error, "no spare was made; segments reserve their space instead"),
        }
    }
}

/// Taking one segment's files away.
struct RemoveJob {
    segment: PathBuf,
    index: PathBuf,
    deleted: PathBuf,
    recycle: Option<PathBuf>,
    data: PathBuf,
    delay_ms: u64,
    /// The raised start, durable before anything is removed: after a crash whatever is left below it is known to be
    /// obsolete, in whatever order the removals survived.
    floor: Option<SharedFloor>,
}

impl RemoveJob {
    /// The index goes first: without its segment it says nothing. Returns the recycled file.
    async fn take_out_of_service(&self, io: &crate::shard::Io) -> Option<PathBuf> {
        let moved = async {
            if let Some(floor) = &self.floor {
                floor.run(io).await?;
            }
            tasks::unlink(io, &self.index).await?;
            if let Some(recycled) = &self.recycle {
                tasks::make_private(io, &self.data).await?;
                tasks::name(io, self.segment.clone(), recycled.clone()).await
            } else {
                tasks::rename(io, &self.segment, &self.deleted).await
            }
        };
        match moved.await {
            Ok(()) => self.recycle.clone(),
            Err(error) => {
                tracing::warn!(file = %self.segment.display(), %error, "a removed segment stays on disk until the next start");
                None
            }
        }
    }

    async fn unlink_later(&self, io: &crate::shard::Io) {
        if self.recycle.is_some() {
            return;
        }
        io.sleep_until(io.now().plus_millis(self.delay_ms)).await;
        // Its folder may have been deleted meanwhile; a leftover is removed at the next start.
        let _ = tasks::unlink(io, &self.deleted).await;
    }
}

//! One log's share of a turn: open, reserve, write, flush, say what became durable, seal.

use super::outcome::{Opened, Result};
use super::{LogOp, LogSet, health::Trouble};
use crate::io::{Op, OpenMode};
use crate::log::config::{Durability, LogConfig, LogId};
use crate::log::event::LogEvent;
use crate::log::files::{OpenFile, is_full, write_mode};
use crate::log::limits::BLOCK_BYTES;
use crate::log::recovery::cut;
use crate::log::space::{grow_to, is_short};
use crate::log::state::{Cut, Health, Log, Prepared};
use crate::log::writer::{WritePlan, WriteShape, Writer, WriterFile};
use crate::log::{names, tasks};
use crate::mem::{Buf, Slice};
use crate::shard::Io;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

/// A log slower than this gets its next segment made when it needs it, in bytes a second.
const PREPARE_RATE_MIN: u64 = 64 << 10;

impl LogSet {
    /// Moves one log as far as it goes without waiting.
    pub(super) fn drive(&mut self, id: LogId) {
        let Some(mut log) = self.logs.get_mut(id.0 as usize).and_then(Option::take) else { return };
        log.is_dirty = false;
        if !matches!(log.health, Health::Good) {
            log.stop_compaction();
        }
        match log.health {
            Health::Good => self.drive_writers(id, &mut log),
            Health::Full { .. } => {
                self.flush_written(id, &mut log);
                self.probe(id, &mut log);
            }
            Health::Draining { needed } => {
                self.settle_journaled(id, &mut log);
                if log.is_quiet() {
                    self.drop_unwritten(id, &mut log, needed);
                }
            }
            Health::Fenced => {}
            // What stays is still written first.
            Health::Cutting { why: Cut::Asked, started: false, .. } | Health::Switching { started: false } => {
                self.drive_writers(id, &mut log);
            }
            Health::Cutting { started: false, .. } => self.settle_journaled(id, &mut log),
            Health::Cutting { .. } | Health::Deleting { .. } | Health::Switching { .. } => {}
        }
        match log.health {
            Health::Cutting { started: false, .. } if log.may_cut() => self.cut(id, &mut log),
            Health::Deleting { started: false } if log.is_quiet() => self.start_delete(id, &mut log),
            _ => {}
        }
        self.drive_relocation(id, &mut log);
        self.publish_durable(id, &mut log);
        self.start_snapshot(id, &mut log);
        log.check_order();
        self.logs[id.0 as usize] = Some(log);
        self.retire_writers(id);
    }

    fn cut(&mut self, id: LogId, log: &mut Log) {
        if self.is_void_in_journal(id, log) {
            self.start_cut(id, log);
        }
    }

    fn drive_writers(&mut self, id: LogId, log: &mut Log) {
        self.route(id, log);
        for at in 0..log.writers.len() {
            if matches!(log.writers[at].file, WriterFile::Closed) && log.writers[at].wants_write() {
                self.open_writer(id, log, at);
            }
            if let WriterFile::Open(file) = &log.writers[at].file {
                let file = file.id;
                self.reserve(id, log, at, file);
                self.write(id, log, at, file);
                self.flush(id, log, at, file);
            }
        }
        self.prepare_next(id, log);
        self.make_spares(id, log);
    }

    /// What the device took before it was full is flushed all the same.
    fn flush_written(&mut self, id: LogId, log: &mut Log) {
        for at in 0..log.writers.len() {
            if let WriterFile::Open(file) = &log.writers[at].file {
                let file = file.id;
                self.flush(id, log, at, file);
            }
        }
    }

    /// What the journal made durable is written and flushed, whatever else may not be any more.
    fn settle_journaled(&mut self, id: LogId, log: &mut Log) {
        for at in 0..log.writers.len() {
            if !log.writers[at].is_behind_journal() {
                continue;
            }
            log.writers[at].fill();
            if matches!(log.writers[at].file, WriterFile::Closed) && log.writers[at].wants_write() {
                self.open_writer(id, log, at);
            }
            if let WriterFile::Open(file) = &log.writers[at].file {
                let file = file.id;
                self.write(id, log, at, file);
                self.flush(id, log, at, file);
            }
        }
    }

    /// Gets the writer a file: the prepared one, a recycled one, a spare, or a new one.
    fn open_writer(&mut self, id: LogId, log: &mut Log, at: usize) {
        // Segments get their names in order, so that a power cut leaves no hole before the first; the oldest one makes the
        // folder. None while an older log is leaving that name.
        if self.leaving.contains(&log.name.dir) || (at > 0 && log.writers[at - 1].unnamed) {
            return;
        }
        let base = log.writers[at].base;
        let path = names::segment(&log.name.dir, base);
        if !log.writers[at].unnamed {
            log.writers[at].file = WriterFile::Opening;
            let end = Some(log.writers[at].written()).filter(|_| log.writers[at].rough);
            let io = self.io.clone();
            self.start_on(id, log, async move { Result::Opened { base, result: reopen_at(&io, path, end).await } });
            return;
        }
        if let Some(Prepared { path: from, file, reserved, stale }) = log.prepared.take() {
            let writer = &mut log.writers[at];
            (writer.file, writer.reserved, writer.stale) = (WriterFile::Open(file), reserved, stale);
            let io = self.io.clone();
            self.start_on(id, log, async move { Result::Named { base, result: tasks::name(&io, from, path).await } });
            return;
        }
        log.writers[at].file = WriterFile::Opening;
        let ready_made = self.take_ready_made(log);
        let reserved = new_file_bytes(&log.writers[at], &log.config);
        let (io, uid, partition) = (self.io.clone(), log.uid, log.partition);
        let (dir, has_folder) = (log.name.dir.clone(), log.has_folder);
        let task = async move {
            if !has_folder {
                tasks::make_folder(&io, &dir, &uid, partition).await?;
            }
            match ready_made {
                Some((from, stale)) => {
                    tasks::name(&io, from, path.clone()).await?;
                    Ok(Opened { stale, ..reopen(&io, path).await? })
                }
                None => Ok(Opened { file: tasks::create(&io, &path, reserved).await?, reserved, stale: false }),
            }
        };
        self.start_on(id, log, async move { Result::Opened { base, result: task.await } });
    }

    /// A file with space that was written before: the log's own first, whose old batches end below the new base.
    fn take_ready_made(&mut self, log: &mut Log) -> Option<(PathBuf, bool)> {
        if let Some(path) = log.recycled.pop() {
            marks::reached!("engine: a file was recycled");
            return Some((path, true));
        }
        let hot = log.rate.bytes_per_s >= self.limits.spare_rate_min;
        let dir = self.dirs.get_mut(log.name.data_dir())?;
        let fitting = dir.spares.iter().position(|&(_, len)| hot && len <= log.config.segment_bytes)?;
        Some((dir.spares.swap_remove(fitting).0, false))
    }

    fn reserve(&mut self, id: LogId, log: &mut Log, at: usize, file: crate::io::FileId) {
        let Log { writers, config, .. } = log;
        let writer = &mut writers[at];
        let ahead = !writer.no_ahead && !writer.closed && is_short(writer.reserved, writer.appended, config);
        if writer.reserving || (writer.appended <= writer.reserved && !ahead) {
            return;
        }
        let needed = writer.appended.next_multiple_of(BLOCK_BYTES);
        let upto = if writer.no_ahead { needed } else { grow_to(writer.reserved, writer.appended, config) };
        if upto <= writer.reserved {
            return;
        }
        writer.reserving = true;
        let from = writer.reserved;
        let op = Op::Allocate { file, at: from, len: upto - from };
        self.submit(LogOp::Reserve { id, base: writer.base, upto }, op);
    }

    fn write(&mut self, id: LogId, log: &mut Log, at: usize, file: crate::io::FileId) {
        let shape = WriteShape { synced: self.limits.synced_writes && log.flushes(), ..self.write_shape() };
        while let Some(plan) = log.writers[at].next_write(&shape) {
            let base = log.writers[at].base;
            let (bufs, end) = write_bufs(log, base, &plan, shape.direct);
            let range = plan.range.start..end;
            let plan = WritePlan { stopper: plan.stopper && end == plan.range.end, ..plan };
            log.writers[at].submitted(&plan, end);
            self.edges += if shape.direct { end % BLOCK_BYTES } else { 0 };
            log.rate.note(self.now, end - range.start);
            let at = range.start;
            let op = match plan.synced && !marks::planted!("engine: skip the data sync") {
                true => Op::WriteSynced { file, at, bufs },
                false => Op::WriteV { file, at, bufs },
            };
            self.submit(LogOp::Write { id, base, range }, op);
        }
    }

    fn flush(&mut self, id: LogId, log: &mut Log, at: usize, file: crate::io::FileId) {
        if !log.writers[at].needs_sync() {
            return;
        }
        match log.config.durability {
            Durability::Fsync => {}
            _ if self.closing.get() || (log.writers[at].closed && log.writers[at].is_written()) => {}
            Durability::None => return,
            Durability::Interval { ms } => {
                let due = *log.flush_at.get_or_insert_with(|| {
                    let due = self.now.plus_millis(ms);
                    self.timers.insert((due, id));
                    due
                });
                if due > self.now {
                    return;
                }
                log.flush_at = None;
            }
        }
        let upto = log.writers[at].begin_sync();
        if marks::planted!("engine: skip the data sync") {
            return log.writers[at].end_sync(Some(upto));
        }
        self.submit(LogOp::Sync { id, base: log.writers[at].base, upto }, Op::SyncData { file });
    }

    fn write_shape(&self) -> WriteShape {
        WriteShape {
            direct: self.io.caps().direct,
            bytes_max: (self.limits.write_bytes_max as u64).next_multiple_of(BLOCK_BYTES),
            in_flight_max: self.limits.writes_in_flight_max,
            synced: false,
        }
    }

    fn publish_durable(&mut self, id: LogId, log: &mut Log) {
        if matches!(log.health, Health::Fenced | Health::Cutting { .. } | Health::Deleting { .. }) {
            return;
        }
        let flushes = log.flushes();
        let mut upto = log.durable;
        for writer in &mut log.writers {
            upto = upto.max(writer.advance_durable(flushes));
            let durable_whole = writer.closed && if flushes { writer.is_synced() } else { writer.is_written() };
            if !durable_whole || writer.unnamed {
                break;
            }
        }
        if upto > log.durable {
            log.durable = upto;
            self.events.push_back(LogEvent::Durable { id, upto });
            self.note_checkpoint_of(log);
        }
    }

    /// Makes the next segment's file before it is needed.
    fn prepare_next(&mut self, id: LogId, log: &mut Log) {
        let Some(active) = log.segments.back() else { return };
        let near = active.bytes >= log.config.segment_bytes / 4 * 3;
        let worth_it = log.rate.bytes_per_s >= PREPARE_RATE_MIN && !self.closing.get();
        if log.prepared.is_some() || log.preparing || !near || !worth_it || !log.has_folder {
            return;
        }
        log.preparing = true;
        let ready_made = self.take_ready_made(log);
        let fresh = self.private_path(log, "next");
        let reserved = grow_to(log.rate.bytes_per_s / 4, 0, &log.config);
        let (io, data) = (self.io.clone(), log.name.data_dir().to_owned());
        self.start_on(id, log, async move {
            let made = async {
                tasks::make_private(&io, &data).await?;
                prepare(&io, ready_made, fresh, reserved).await
            };
            Result::Prepared(made.await)
        });
    }

    /// A new name in the spare folder for a file of `log`.
    pub(super) fn private_path(&mut self, log: &Log, suffix: &str) -> PathBuf {
        let data = log.name.data_dir().to_owned();
        let incarnation = self.dirs.get(&data).map_or(0, |dir| dir.incarnation);
        let (uid, partition, shard) = (names::hex(&log.uid), log.partition, self.shard);
        let serial = self.next_serial();
        names::spares(&data).join(format!("{uid}-{partition}-{incarnation}-{shard}-{serial}.{suffix}"))
    }

    pub(super) fn write_done(&mut self, id: LogId, base: i64, range: &Range<u64>, result: io::Result<u32>) {
        let Some(writer) = self.any_log_mut(id).and_then(|log| log.writer_mut(base)) else { return };
        match result {
            Ok(_) => {
                writer.completed(range);
                let newly = writer.take_newly_written();
                self.unwritten -= newly;
                self.evict_over_budget();
                self.release_journal(id, base);
            }
            Err(_) if marks::planted!("engine: take a failed write for a write") => {
                writer.completed(range);
                self.unwritten -= writer.take_newly_written();
            }
            Err(error) => {
                writer.failed(range);
                self.trouble(id, Trouble::at_segment("write", base, error));
            }
        }
    }

    pub(super) fn sync_done(&mut self, id: LogId, base: i64, upto: u64, result: io::Result<u32>) {
        let Some(writer) = self.any_log_mut(id).and_then(|log| log.writer_mut(base)) else { return };
        match result {
            Err(error) if !marks::planted!("engine: take a failed flush for a flush") => {
                writer.end_sync(None);
                // A flush that failed for want of space has lost data all the same.
                self.fence(id, &Trouble::at_segment("flush", base, error));
            }
            _ => {
                writer.end_sync(Some(upto));
                self.release_journal(id, base);
            }
        }
    }

    pub(super) fn reserve_done(&mut self, id: LogId, base: i64, upto: u64, result: io::Result<u32>) {
        let Some(writer) = self.any_log_mut(id).and_then(|log| log.writer_mut(base)) else { return };
        writer.reserving = false;
        match result {
            Ok(_) => {
                writer.reserved = writer.reserved.max(upto);
                writer.no_ahead = false;
            }
            Err(error) if is_full(&error) && !writer.no_ahead => writer.no_ahead = true,
            Err(error) if is_full(&error) && writer.appended <= writer.reserved => {}
            Err(error) => self.trouble(id, Trouble::at_segment("reserve space", base, error)),
        }
    }

    /// Starts a task on the files of `log`, which the caller holds.
    pub(super) fn start_on(&self, id: LogId, log: &mut Log, task: impl Future<Output = Result> + 'static) {
        log.tasks += 1;
        let outcomes = std::rc::Rc::clone(&self.outcomes);
        self.io.spawn(async move {
            let result = task.await;
            outcomes.borrow_mut().push_back(super::Outcome { id, result });
        });
    }
}

/// Space that a new segment file begins with. A disk that had no room for more gets what is there to be written.
fn new_file_bytes(writer: &Writer, config: &LogConfig) -> u64 {
    if writer.no_ahead { writer.appended.next_multiple_of(BLOCK_BYTES) } else { grow_to(0, writer.appended, config) }
}

/// Opens a file again; one that ends at `end`, as a start found it, is cut there first.
async fn reopen_at(io: &Io, path: PathBuf, end: Option<u64>) -> io::Result<Opened> {
    if let Some(end) = end {
        cut(io, &path, end).await?;
    }
    reopen(io, path).await
}

async fn reopen(io: &Io, path: PathBuf) -> io::Result<Opened> {
    let file = OpenFile::open(io, &path, write_mode(io)).await?;
    let reserved = file.len - file.len % BLOCK_BYTES;
    Ok(Opened { file, reserved, stale: false })
}

async fn prepare(io: &Io, ready: Option<(PathBuf, bool)>, fresh: PathBuf, reserved: u64) -> io::Result<Prepared> {
    match ready {
        Some((path, stale)) => {
            let file = OpenFile::open(io, &path, OpenMode::WriteDirect).await?;
            Ok(Prepared { reserved: file.len - file.len % BLOCK_BYTES, path, file, stale })
        }
        None => {
            let file = tasks::create(io, &fresh, reserved).await?;
            Ok(Prepared { path: fresh, file, reserved, stale: false })
        }
    }
}

fn write_bufs(log: &Log, base: i64, plan: &WritePlan, direct: bool) -> (Vec<Slice>, u64) {
    let (mut bufs, end) = log.tail.write_slices(base, plan.range.clone(), direct);
    if plan.stopper && end == plan.range.end {
        let mut zeros = Buf::with_capacity(BLOCK_BYTES as usize);
        zeros.fill_zero(BLOCK_BYTES as usize);
        bufs.push(zeros.freeze());
    }
    (bufs, end)
}

/// The write side of `base` is complete: nothing of it is outstanding.
pub(super) fn is_complete(writer: &Writer) -> bool {
    writer.closed && writer.is_written() && writer.is_synced() && writer.is_quiet()
}

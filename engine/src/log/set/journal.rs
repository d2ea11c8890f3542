//! Which batches become durable in the journal, and when the segments behind it are filled.
//!
//! ```text
//!  append ─▶ many bytes at once, a file not ready, … ─▶ write + flush of its own ─▶ durable
//!        └─▶ few bytes ─▶ queue ─▶ one block for all queued logs ─▶ durable
//!                                        └─ later: segment filled, flushed when the journal needs the room
//! ```
//! Only what fits the space that a segment has reserved goes through the journal: filling it then cannot meet a full disk. A
//! recycled file is filled at once: behind its end lie old bytes, which every write of it puts zeros before.

use super::outcome::Result;
use super::{LogOp, LogSet};
use crate::io::Op;
use crate::log::config::LogId;
use crate::log::files::{OpenFile, write_mode};
use crate::log::journal::{Block, Landed, PLACE_LEN, Place, Ring, Room, Stretch};
use crate::log::limits::{JOURNAL_BLOCK_MAX, JOURNAL_BYPASS, JOURNAL_DRAINS, JOURNAL_IN_FLIGHT, JOURNAL_WINDOW_MS};
use crate::log::state::{Health, Log};
use crate::log::writer::Writer;
use crate::log::{names, tasks};
use crate::mem::Slice;
use crate::shard::Io;
use crate::time::Mono;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A segment takes at most this part of the free space: room for records comes first.
const SPACE_SHARE: u64 = 16;

/// Logs whose records one block makes void.
const VOIDS_AT_ONCE: usize = 50;

/// The journal of this shard in one data folder.
#[derive(Default)]
pub(super) struct Journal {
    state: State,
    /// Logs that want a place in the next block.
    queue: VecDeque<LogId>,
    /// Logs whose earlier records are to be void.
    voids: Vec<LogId>,
    /// When the count of small flushes began, and how many there were.
    window: (Mono, u32),
}

#[derive(Default)]
enum State {
    /// There is none, and nothing wants one yet.
    #[default]
    Absent,
    Making,
    Ready(Box<Open>),
    /// It failed: nothing goes in any more. It stays until all it holds is in its segments.
    Failed(Box<Open>),
    /// There will be none in this run.
    Off,
}

struct Open {
    file: Rc<OpenFile>,
    path: PathBuf,
    nonce: u64,
    ring: Ring,
    /// Its file is being removed.
    leaves: bool,
}

/// Where a log stands with the journal.
#[derive(Default)]
pub(in crate::log) struct LogJournal {
    /// It lies in the queue.
    queued: bool,
    /// Its stretches in blocks under way.
    pub(in crate::log) in_flight: u32,
    /// The journal may hold records of it.
    holds: bool,
    /// A block that makes these void was asked for.
    voiding: bool,
}

/// A journal that was made.
pub(super) struct Made {
    file: Rc<OpenFile>,
    path: PathBuf,
    bytes: u64,
}

impl Journal {
    fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Ready(open) | State::Failed(open) => Some(open),
            _ => None,
        }
    }

    fn ring_mut(&mut self) -> Option<&mut Ring> {
        match &mut self.state {
            State::Ready(open) | State::Failed(open) => Some(&mut open.ring),
            _ => None,
        }
    }

    /// From so many bytes on a log flushes for itself.
    fn bypass(&self) -> u64 {
        self.open().map_or(JOURNAL_BYPASS, |open| JOURNAL_BYPASS.min(open.ring.block_max() / 2))
    }

    /// A log wants no place any more.
    pub(super) fn forget_queued(&mut self, id: LogId) {
        self.queue.retain(|queued| *queued != id);
        self.voids.retain(|queued| *queued != id);
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// The file, which a clean stop removes once everything is in its segments.
    pub(super) fn take_path(&mut self) -> Option<PathBuf> {
        let path = self.open().map(|open| open.path.clone());
        self.state = State::Off;
        path
    }
}

impl LogSet {
    /// Decides how what was appended to the active segment becomes durable.
    pub(super) fn route(&mut self, id: LogId, log: &mut Log) {
        let all_directly = self.closing.get() || !matches!(log.health, Health::Good);
        let flushes = log.flushes();
        let Some((writer, older)) = log.writers.make_contiguous().split_last_mut() else { return };
        older.iter_mut().for_each(Writer::take_directly);
        let pending = writer.unrouted();
        if all_directly || writer.closed {
            return writer.take_directly();
        }
        if pending == 0 {
            return;
        }
        let Some(dir) = self.dirs.get_mut(log.name.data_dir()) else { return };
        let small = flushes && pending < dir.journal.bypass();
        if !small || !dir.journal.is_ready() || !writer.may_be_filled_later() || writer.is_unrouted_written() {
            writer.take_directly();
            if small && writer.may_be_filled_later() && matches!(dir.journal.state, State::Absent) {
                self.count_small_flush(id, log);
            }
            return;
        }
        if !std::mem::replace(&mut log.journal.queued, true) {
            dir.journal.queue.push_back(id);
        }
    }

    /// Once there are many, a journal is worth its space.
    fn count_small_flush(&mut self, id: LogId, log: &mut Log) {
        let (now, min) = (self.now, self.limits.journal_flushes_min);
        let Some(bytes) = self.limits.journal() else { return };
        let Some(dir) = self.dirs.get_mut(log.name.data_dir()) else { return };
        let (since, count) = &mut dir.journal.window;
        if now.since(*since).as_millis() as u64 >= JOURNAL_WINDOW_MS {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count < min {
            return;
        }
        dir.journal.state = State::Making;
        let data = log.name.data_dir().to_owned();
        let path = names::journal(&data, self.shard);
        let (io, class, closing) = (self.io.clone(), self.background.clone(), Rc::clone(&self.closing));
        self.start_on(id, log, async move {
            let _turn = class.acquire().await;
            let made = make(&io, &data, path, bytes, &closing).await;
            Result::Journal { data, made }
        });
    }

    pub(super) fn journal_made(&mut self, data: &Path, made: io::Result<Made>) {
        let nonce = self.io.random();
        let Some(dir) = self.dirs.get_mut(data) else { return };
        dir.journal.state = match made {
            Ok(Made { file, path, bytes }) => {
                State::Ready(Box::new(Open { file, path, nonce, ring: Ring::new(bytes), leaves: false }))
            }
            Err(error) => {
                tracing::debug!(data = %data.display(), %error, "no journal was made; small batches are flushed each in its segment");
                State::Off
            }
        };
    }

    /// Writes blocks for what is queued, and has segments filled when the journal needs room.
    pub(super) fn pump_journals(&mut self) {
        let busy = |dir: &super::DirState| !dir.journal.queue.is_empty() || !dir.journal.voids.is_empty();
        let dirs: Vec<PathBuf> = self.dirs.iter().filter(|(_, dir)| busy(dir)).map(|(data, _)| data.clone()).collect();
        for data in dirs {
            while self.write_block(&data) {}
        }
    }

    /// Starts one block; false when there is nothing to write or no room.
    fn write_block(&mut self, data: &Path) -> bool {
        let Some(dir) = self.dirs.get_mut(data) else { return false };
        let State::Ready(open) = &mut dir.journal.state else {
            self.unqueue(data);
            return false;
        };
        let is_busy = !dir.journal.queue.is_empty() || !dir.journal.voids.is_empty();
        if !is_busy || open.ring.flights() >= JOURNAL_IN_FLIGHT {
            return false;
        }
        let first = dir.journal.queue.front().copied();
        let bypass = dir.journal.bypass();
        let next = first.and_then(|id| self.log(id)).and_then(|log| log.next_stretch(bypass));
        let wanted = next.map_or(0, |(_, len)| len);
        let Some(open) = self.dirs.get(data).and_then(|dir| dir.journal.open()) else { return false };
        match open.ring.room(Block::len_with(VOIDS_AT_ONCE * PLACE_LEN + PLACE_LEN + wanted)) {
            Room::At(at, most) => self.submit_block(data, at, most.min(JOURNAL_BLOCK_MAX)),
            Room::Marker(at) => {
                self.submit_records(data, at, Vec::new(), Vec::new(), Vec::new());
                true
            }
            Room::Full => {
                // Durable all the same, each with a flush of its own, which also makes room.
                self.press(data);
                self.unqueue(data);
                false
            }
        }
    }

    /// What is queued goes the direct way.
    fn unqueue(&mut self, data: &Path) {
        let queue = self.dirs.get_mut(data).map(|dir| std::mem::take(&mut dir.journal.queue)).unwrap_or_default();
        for id in queue {
            if let Some(log) = self.any_log_mut(id) {
                log.journal.queued = false;
                log.writers.iter_mut().for_each(Writer::take_directly);
                self.mark_dirty(id);
            }
        }
    }

    /// Starts a block of at most `room` bytes at `at`.
    fn submit_block(&mut self, data: &Path, at: u64, room: u64) -> bool {
        let Some(dir) = self.dirs.get_mut(data) else { return false };
        let bypass = dir.journal.bypass();
        let mut queue = std::mem::take(&mut dir.journal.queue);
        let voids: Vec<_> = dir.journal.voids.drain(..dir.journal.voids.len().min(VOIDS_AT_ONCE)).collect();
        let (mut records, mut stretches, mut payload) = (Vec::new(), Vec::new(), 0);
        for id in &voids {
            records.extend(self.log(*id).map(|log| (log.place_in_journal(0, 0), Vec::new())));
            payload += PLACE_LEN;
        }
        while let Some(id) = queue.pop_front() {
            let Some(log) = self.any_log_mut(id) else { continue };
            log.journal.queued = false;
            let Some((place, len)) = log.next_stretch(bypass) else {
                // It went to its segment meanwhile, or the log is on its way out.
                log.writers.iter_mut().for_each(Writer::take_directly);
                self.mark_dirty(id);
                continue;
            };
            if Block::len_with(payload + PLACE_LEN + len) > room {
                log.journal.queued = true;
                queue.push_front(id);
                break;
            }
            payload += PLACE_LEN + len;
            let upto = place.position + len as u64;
            let slices = log.stretch_slices(place.base, place.position..upto);
            records.push((place, slices));
            stretches.push(Stretch { id, base: place.base, upto });
        }
        self.dirs.get_mut(data).into_iter().for_each(|dir| dir.journal.queue = std::mem::take(&mut queue));
        if records.is_empty() {
            return false;
        }
        self.submit_records(data, at, records, stretches, voids);
        true
    }

    fn submit_records(
        &mut self,
        data: &Path,
        at: u64,
        records: Vec<(Place, Vec<Slice>)>,
        stretches: Vec<Stretch>,
        voids: Vec<LogId>,
    ) {
        let Some(dir) = self.dirs.get_mut(data) else { return };
        let State::Ready(open) = &mut dir.journal.state else { return };
        let ring = &mut open.ring;
        let sequence = ring.next_sequence();
        let (needed, durable) = (ring.needed(), ring.durable());
        let bytes = Block { sequence, nonce: open.nonce, needed, durable }.seal(&records);
        ring.begin(at, bytes.len() as u64, stretches, voids);
        let op = Op::WriteSynced { file: open.file.id, at, bufs: vec![bytes] };
        self.submit(LogOp::Journal { data: data.to_owned(), sequence }, op);
        self.press(data);
    }

    /// A block is on the device, or the journal is not to be trusted any more.
    pub(super) fn block_done(&mut self, data: &Path, sequence: u64, result: io::Result<u32>) {
        let Some(dir) = self.dirs.get_mut(data) else { return };
        let result = match (&dir.journal.state, result) {
            (State::Ready(_), result) => result,
            // It failed before this one came back, which counts as lost already.
            _ => return,
        };
        match result {
            Ok(_) => {
                let landed = dir.journal.ring_mut().map(|ring| ring.completed(sequence)).unwrap_or_default();
                self.landed(landed);
            }
            Err(error) => self.journal_failed(data, &error),
        }
    }

    fn landed(&mut self, landed: Landed) {
        for Stretch { id, base, upto } in landed.stretches {
            let Some(log) = self.any_log_mut(id) else { continue };
            log.journal.in_flight -= 1;
            if let Some(writer) = log.writer_mut(base) {
                writer.journal_landed(upto);
            }
            self.mark_dirty(id);
        }
        for id in landed.voids {
            if let Some(log) = self.any_log_mut(id) {
                (log.journal.holds, log.journal.voiding) = (false, false);
                self.mark_dirty(id);
            }
        }
    }

    /// A failed write is not repeated. What it held is in memory and goes to the segments; what the journal holds durably is
    /// filled, and then the file goes.
    fn journal_failed(&mut self, data: &Path, error: &io::Error) {
        let Some(dir) = self.dirs.get_mut(data) else { return };
        let State::Ready(mut open) = std::mem::take(&mut dir.journal.state) else { return };
        tracing::error!(journal = %open.path.display(), %error, "the journal is not used any more; every log flushes for itself until a restart");
        let lost = open.ring.abandon();
        dir.journal.state = State::Failed(open);
        for Stretch { id, base, .. } in lost.stretches {
            let Some(log) = self.any_log_mut(id) else { continue };
            log.journal.in_flight -= 1;
            if let Some(writer) = log.writer_mut(base) {
                writer.journal_lost();
            }
        }
        self.unqueue(data);
        for at in 0..self.logs.len() {
            let id = LogId(at as u32);
            let Some(log) = self.any_log_mut(id).filter(|log| log.name.data_dir() == data) else { continue };
            log.writers.iter_mut().for_each(Writer::take_directly);
            self.mark_dirty(id);
        }
        self.let_journal_go(data);
    }

    /// A failed journal goes once nothing depends on it.
    fn let_journal_go(&mut self, data: &Path) {
        let Some(dir) = self.dirs.get_mut(data) else { return };
        let State::Failed(open) = &mut dir.journal.state else { return };
        if !open.ring.is_unpinned() || std::mem::replace(&mut open.leaves, true) {
            return;
        }
        let path = open.path.clone();
        let io = self.io.clone();
        self.io.spawn(async move {
            // One that stays is put into segments again that have all of it.
            let _ = tasks::unlink(&io, &path).await;
        });
    }

    /// The segment of a log is flushed so far.
    pub(super) fn release_journal(&mut self, id: LogId, base: i64) {
        let Some(log) = self.any_log_mut(id).filter(|log| log.journal.holds) else { return };
        let synced = log.writer_mut(base).map_or(u64::MAX, |writer| writer.synced());
        let data = log.name.data_dir().to_owned();
        let Some(dir) = self.dirs.get_mut(&data) else { return };
        if let Some(ring) = dir.journal.ring_mut() {
            ring.release(id, base, synced);
        }
        self.let_journal_go(&data);
    }

    /// A log is gone, or is where this journal does not reach.
    pub(super) fn forget_in_journal(&mut self, id: LogId) {
        let Some(data) = self.any_log_mut(id).map(|log| log.name.data_dir().to_owned()) else { return };
        let Some(dir) = self.dirs.get_mut(&data) else { return };
        dir.journal.queue.retain(|queued| *queued != id);
        if let Some(ring) = dir.journal.ring_mut() {
            ring.release_log(id);
        }
        self.let_journal_go(&data);
    }

    /// Has the segments filled and flushed that keep the next regions of the journal, a few at a time.
    fn press(&mut self, data: &Path) {
        let Some(open) = self.dirs.get(data).and_then(|dir| dir.journal.open()) else { return };
        let pressed: Vec<_> = open.ring.pressing().take(JOURNAL_DRAINS).collect();
        for (id, base) in pressed {
            let Some(writer) = self.any_log_mut(id).and_then(|log| log.writer_mut(base)) else { continue };
            // One that is under way already needs no second call: the loop would turn without end.
            if writer.is_all_direct() {
                continue;
            }
            writer.take_directly();
            self.mark_dirty(id);
        }
    }

    /// Whether no record of the journal can bring back what is about to be cut off the log, which the caller holds. If there may
    /// be one, what stays is flushed first, and then the log's records are made void.
    pub(super) fn is_void_in_journal(&mut self, id: LogId, log: &mut Log) -> bool {
        let Some(dir) = self.dirs.get_mut(log.name.data_dir()) else { return true };
        let ring = match &dir.journal.state {
            _ if !log.journal.holds => return true,
            State::Ready(open) => &open.ring,
            State::Failed(_) => {
                let error = io::Error::other("the journal failed earlier and may hold what is to be cut");
                let base = log.segments.back().map_or(log.end, |segment| segment.base);
                log.health = Health::Good;
                self.fence_held(id, log, &super::health::Trouble::at_segment("cut", base, error));
                return false;
            }
            State::Absent | State::Making | State::Off => return true,
        };
        if ring.pins(id) {
            log.writers.iter_mut().for_each(Writer::fill);
        } else if !std::mem::replace(&mut log.journal.voiding, true) {
            dir.journal.voids.push(id);
        }
        false
    }
}

impl Log {
    fn place_in_journal(&self, base: i64, position: u64) -> Place {
        Place { uid: self.uid, partition: self.partition, base, position }
    }

    /// Where the bytes lie that are to go into the next block, and how many; none if they go elsewhere.
    fn next_stretch(&self, bypass: u64) -> Option<(Place, usize)> {
        let writer = self.writers.back()?;
        let takes = matches!(self.health, Health::Good) && writer.may_be_filled_later() && !writer.closed;
        let pending = writer.unrouted();
        if !takes || pending == 0 || pending >= bypass || writer.is_unrouted_written() {
            return None;
        }
        Some((self.place_in_journal(writer.base, writer.appended - pending), pending as usize))
    }

    fn stretch_slices(&mut self, base: i64, range: std::ops::Range<u64>) -> Vec<Slice> {
        let (slices, end) = self.tail.write_slices(base, range.clone(), false);
        assert!(end == range.end, "a stretch is short, and batches are many only in long ones");
        self.journal.in_flight += 1;
        self.journal.holds = true;
        if let Some(writer) = self.writer_mut(base) {
            writer.journaled(range);
        }
        slices
    }
}

/// Makes an empty journal of `bytes`, every block of it written before, durably.
async fn make(io: &Io, data: &Path, path: PathBuf, bytes: u64, closing: &std::cell::Cell<bool>) -> io::Result<Made> {
    let done = io.call(Op::FreeSpace { path: data.to_owned(), free: 0, total: 0 }).await;
    done.result?;
    let Op::FreeSpace { free, .. } = done.op else { unreachable!("a completion returns its op") };
    if free / SPACE_SHARE < bytes {
        return Err(io::ErrorKind::StorageFull.into());
    }
    tasks::make_private(io, data).await?;
    let temporary = names::temporary(&path);
    tasks::unlink(io, &temporary).await?;
    tasks::write_zeros(io, &temporary, bytes, closing).await?;
    tasks::rename(io, &temporary, &path).await?;
    tasks::sync_dir(io, &names::private(data)).await?;
    let file = OpenFile::open(io, &path, write_mode(io)).await?;
    Ok(Made { file, path, bytes })
}

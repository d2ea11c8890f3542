//! Cold reads: large aligned reads of a segment, every batch proven before it is handed out. A plan is made on the
//! shard's state and carried out without it; what it reads is believed only if the segment is still in service.

use super::config::LogId;
use super::event::ReadError;
use super::files::{OpenFile, ReadFiles, read_mode};
use super::index::{HeaderRule, SegmentIndex, Start};
use super::limits::{BLOCK_BYTES, INDEX_BYTES_MAX, INDEXES_CACHED, MISSING_MS_MAX, READ_BYTES};
use super::names;
use super::scan::{Damage, Next, Stop, judge};
use super::tasks::read_whole;
use crate::mem::{Buf, Gauge, Slice};
use crate::shard::{Class, Io};
use protocol::batch::BatchView;
use protocol::batch::layout::HEADER_LEN;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The answer to a read.
#[derive(Debug)]
pub enum Read {
    /// Whole batches, the first one containing the wanted offset.
    Bytes(Vec<Slice>),
    /// Not in memory: pass this to [`LogSet::read_disk`](super::LogSet::read_disk).
    Disk(ReadPlan),
    /// Below the log's start or above its end.
    OutOfRange,
    /// No batch at or past the wanted offset ends below the limit.
    End,
}

/// How to read what is not in memory.
#[derive(Debug)]
pub struct ReadPlan {
    pub(super) id: LogId,
    pub(super) segments: Vec<PlanSegment>,
    pub(super) from: i64,
    pub(super) upto: i64,
    pub(super) max_bytes: usize,
    pub(super) at_least_one: bool,
}

/// The first batch that may hold a record at or past a timestamp.
#[derive(Clone, Debug)]
pub struct TimeHit {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Its largest timestamp, in milliseconds.
    pub max_timestamp: i64,
    /// The batch.
    pub bytes: Slice,
}

#[derive(Clone, Debug)]
pub(super) struct PlanSegment {
    pub(super) base: i64,
    pub(super) path: PathBuf,
    /// Bytes of it that are on the device and valid.
    pub(super) limit: u64,
    /// Exclusive end of the offsets in those bytes.
    pub(super) end: i64,
    pub(super) alive: Rc<Cell<bool>>,
    /// Where to begin, where the index is in memory.
    pub(super) start: Option<Start>,
    /// The file, while its name changes.
    pub(super) open: Option<Rc<OpenFile>>,
    /// What the scrub found; nothing of it is handed out, whatever a second look at it says.
    pub(super) damage: Rc<RefCell<Vec<Damage>>>,
}

impl PlanSegment {
    /// What was read of a segment that left service meanwhile says nothing: its file may have been written anew.
    fn believe<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        if self.alive.get() { read } else { Err(ReadError::Gone) }
    }
}

/// Sealed indexes in memory, least recently used first out.
#[derive(Default)]
pub(super) struct IndexCache {
    clock: u64,
    loaded: BTreeMap<(LogId, i64), (u64, Rc<SegmentIndex>)>,
}

impl IndexCache {
    pub(super) fn find(&mut self, log: LogId, segment: i64) -> Option<Rc<SegmentIndex>> {
        self.clock += 1;
        let (used, index) = self.loaded.get_mut(&(log, segment))?;
        *used = self.clock;
        Some(Rc::clone(index))
    }

    pub(super) fn keep(&mut self, log: LogId, segment: i64, index: Rc<SegmentIndex>) {
        self.clock += 1;
        if self.loaded.len() >= INDEXES_CACHED {
            let oldest = self.loaded.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            oldest.and_then(|key| self.loaded.remove(&key));
        }
        self.loaded.insert((log, segment), (self.clock, index));
    }

    pub(super) fn forget(&mut self, log: LogId, segment: i64) {
        self.loaded.remove(&(log, segment));
    }

    pub(super) fn forget_log(&mut self, log: LogId) {
        self.loaded.retain(|&(of, _), _| of != log);
    }
}

/// What a cold read works with; it holds no state of the set.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) io: Io,
    /// Few of these reads are in flight at a time.
    pub(super) class: Class,
    pub(super) files: Rc<RefCell<ReadFiles>>,
    pub(super) indexes: Rc<RefCell<IndexCache>>,
    /// What reads brought and somebody still has.
    pub(super) held: Gauge,
}

impl Reader {
    /// Whole batches from the one that contains `plan.from` on, from the segment that has it; none if it does not fit.
    pub(super) async fn read(self, plan: ReadPlan) -> Result<Vec<Slice>, ReadError> {
        for segment in &plan.segments {
            if let Some(found) = segment.believe(self.read_segment(&plan, segment).await)? {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// `None` when no batch of the segment reaches `plan.from`. One that does and is too large ends the read here: what
    /// follows it must not be handed out in its place.
    async fn read_segment(&self, plan: &ReadPlan, segment: &PlanSegment) -> Result<Option<Vec<Slice>>, ReadError> {
        let start = match &segment.start {
            Some(start) => start.clone(),
            None => self.start(plan.id, segment, |index| index.start_before(plan.from)).await,
        };
        let mut walk = Walk::new(segment, start);
        let mut found: Vec<Slice> = Vec::new();
        let mut taken = 0;
        let mut full = false;
        let mut reached = false;
        while !full {
            let room = plan.max_bytes.saturating_sub(taken);
            let wanted = room.saturating_add(2 * BLOCK_BYTES as usize);
            let Some(block) = self.next_block(plan.id, &mut walk, wanted).await? else { break };
            let mut run: Option<std::ops::Range<usize>> = None;
            let end = walk.each(&block, plan.from, |view, range| {
                reached = true;
                let first = taken == 0 && plan.at_least_one;
                full = view.last_offset() >= plan.upto || (!first && taken + range.len() > plan.max_bytes);
                if !full {
                    taken += range.len();
                    run = Some(run.take().map_or(range.clone(), |run| run.start..range.end));
                }
                !full
            });
            found.extend(run.map(|run| block.slice(run)));
            match end {
                Ok(()) => {}
                Err(_) if !found.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        let reached = reached && !(found.is_empty() && marks::planted!("engine: pass over a batch that does not fit"));
        Ok(reached.then_some(found))
    }

    /// The first batch that reaches `from` and whose largest timestamp is at or past `timestamp`.
    pub(super) async fn find_time(
        &self,
        id: LogId,
        segment: &PlanSegment,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<TimeHit>, ReadError> {
        segment.believe(self.find_time_in(id, segment, from, timestamp).await)
    }

    async fn find_time_in(
        &self,
        id: LogId,
        segment: &PlanSegment,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<TimeHit>, ReadError> {
        let start = match &segment.start {
            Some(start) => start.clone(),
            None => self.start(id, segment, |index| index.start_before_time(timestamp)).await,
        };
        let mut walk = Walk::new(segment, start);
        let mut hit = None;
        while hit.is_none() {
            let Some(block) = self.next_block(id, &mut walk, READ_BYTES / 4).await? else { break };
            walk.each(&block, from, |view, range| {
                // Compaction may have left a batch nothing but its header.
                if view.max_timestamp() >= timestamp && view.record_count() > 0 {
                    hit = Some(TimeHit {
                        base_offset: view.base_offset(),
                        last_offset: view.last_offset(),
                        max_timestamp: view.max_timestamp(),
                        bytes: block.slice(range),
                    });
                }
                hit.is_none()
            })?;
        }
        Ok(hit)
    }

    /// The bytes at the walk's position; `None` past the limit.
    async fn next_block(&self, id: LogId, walk: &mut Walk<'_>, wanted: usize) -> Result<Option<Slice>, ReadError> {
        // The index knows of batches that are not written yet, and may have pointed at one: memory has those.
        if walk.position > walk.segment.limit {
            return Ok(None);
        }
        if walk.position == walk.segment.limit {
            return walk.check_end().map(|()| None);
        }
        let file = self.file(id, walk.segment).await?;
        let at = walk.position - walk.position % BLOCK_BYTES;
        let left = (walk.segment.limit - at).next_multiple_of(BLOCK_BYTES);
        let skip = (walk.position - at) as usize;
        let least = (skip + walk.needed).next_multiple_of(BLOCK_BYTES as usize);
        let len = wanted.next_multiple_of(BLOCK_BYTES as usize).min(READ_BYTES).max(least) as u64;
        let failed = |message: String| ReadError::Io { file: walk.segment.path.clone(), message };
        let open = OpenLen { file: &file, len: walk.segment.limit };
        let _turn = self.class.acquire().await;
        let room = Buf::counted(len.min(left) as usize, &self.held);
        let buf = open.read(&self.io, at, room).await.map_err(|error| failed(error.to_string()))?;
        if buf.len() <= skip {
            return Err(walk.corrupt(-1, "the file is shorter than its batches".to_owned()));
        }
        walk.block_at = at;
        Ok(Some(buf.freeze()))
    }

    async fn file(&self, id: LogId, segment: &PlanSegment) -> Result<Rc<OpenFile>, ReadError> {
        if let Some(file) = &segment.open {
            return Ok(Rc::clone(file));
        }
        if let Some(file) = self.files.borrow_mut().find(id, segment.base) {
            return Ok(file);
        }
        match self.open(segment).await {
            Ok(file) => {
                if segment.alive.get() {
                    self.files.borrow_mut().keep(id, segment.base, &file);
                }
                Ok(file)
            }
            Err(_) if !segment.alive.get() => Err(ReadError::Gone),
            Err(error) => Err(ReadError::Io { file: segment.path.clone(), message: error.to_string() }),
        }
    }

    /// A file that is not there although its segment is in service has perhaps just moved to another folder with its log: the set
    /// says so in a moment.
    async fn open(&self, segment: &PlanSegment) -> io::Result<Rc<OpenFile>> {
        let mut pause_ms = 1;
        loop {
            match OpenFile::open(&self.io, &segment.path, read_mode(&self.io)).await {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && segment.alive.get() && pause_ms < MISSING_MS_MAX =>
                {
                    self.io.sleep_until(self.io.now().plus_millis(pause_ms)).await;
                    pause_ms *= 2;
                }
                opened => return opened,
            }
        }
    }

    /// Where to begin by the sealed index; at the first batch without one.
    async fn start(&self, id: LogId, segment: &PlanSegment, by: impl FnOnce(&SegmentIndex) -> Start) -> Start {
        let first = || Start { position: 0, rule: HeaderRule::loose(segment.base) };
        self.index(id, segment).await.map_or_else(first, |index| by(&index))
    }

    /// The sealed index; `None` when it is missing or cannot be believed, and the segment is then walked from its start.
    async fn index(&self, id: LogId, segment: &PlanSegment) -> Option<Rc<SegmentIndex>> {
        if let Some(index) = self.indexes.borrow_mut().find(id, segment.base) {
            return Some(index);
        }
        let dir = segment.path.parent().unwrap_or(Path::new("."));
        let path = names::index(dir, segment.base);
        let file = read_whole(&self.io, &path, INDEX_BYTES_MAX).await;
        let index = file.map_err(|error| error.to_string()).and_then(|file| {
            let index = SegmentIndex::from_file(&file).map_err(|error| error.to_string())?;
            (index.base_offset == segment.base).then_some(index).ok_or("it belongs to another segment".to_owned())
        });
        match index {
            Ok(index) => {
                let index = Rc::new(index);
                if segment.alive.get() {
                    self.indexes.borrow_mut().keep(id, segment.base, Rc::clone(&index));
                }
                Some(index)
            }
            Err(reason) => {
                tracing::warn!(file = %path.display(), reason, "index unusable: the segment is read from its start");
                None
            }
        }
    }
}

/// A file that may have grown since it was opened.
struct OpenLen<'a> {
    file: &'a OpenFile,
    len: u64,
}

impl OpenLen<'_> {
    async fn read(&self, io: &Io, at: u64, buf: Buf) -> std::io::Result<Buf> {
        use crate::io::Op;
        let done = io.call(Op::Read { file: self.file.id, at, buf }).await;
        done.result?;
        let Op::Read { mut buf, .. } = done.op else { unreachable!("a completion returns its op") };
        buf.truncate((self.len - at).min(usize::MAX as u64) as usize);
        Ok(buf)
    }
}

/// A position that moves through a segment, batch by batch.
struct Walk<'a> {
    segment: &'a PlanSegment,
    position: u64,
    /// Bytes wanted at `position` at least.
    needed: usize,
    /// Where the last block was read from.
    block_at: u64,
    /// What the batch at `position` must be.
    rule: HeaderRule,
}

impl<'a> Walk<'a> {
    fn new(segment: &'a PlanSegment, start: Start) -> Walk<'a> {
        Walk { segment, position: start.position, needed: HEADER_LEN, block_at: 0, rule: start.rule }
    }

    /// Passes over the batches of `block`, showing those that reach `from` to `each` until it says no.
    fn each(
        &mut self,
        block: &Slice,
        from: i64,
        mut each: impl FnMut(&BatchView<'_>, std::ops::Range<usize>) -> bool,
    ) -> Result<(), ReadError> {
        loop {
            let place = (self.position - self.block_at) as usize;
            let rest = &block[place..];
            let remaining = self.segment.limit - self.position;
            if remaining == 0 || ((rest.len() < HEADER_LEN) && (rest.len() as u64) < remaining) {
                self.needed = HEADER_LEN;
                return Ok(());
            }
            match judge_fast(rest, remaining, from, &self.rule) {
                Next::Partial(needed) => {
                    self.needed = needed;
                    return Ok(());
                }
                Next::Bad(stop) => {
                    let base = rest.first_chunk().map_or(-1, |raw| i64::from_be_bytes(*raw));
                    return Err(self.corrupt(base, stop.to_string()));
                }
                Next::Batch(view) => {
                    let range = place..place + view.size_bytes();
                    let header = self.rule.check(view.base_offset(), view.leader_epoch());
                    header.map_err(|reason| self.corrupt(view.base_offset(), reason))?;
                    if view.last_offset() >= from {
                        self.check_known()?;
                        if !each(&view, range.clone()) {
                            return Ok(());
                        }
                    }
                    self.position += range.len() as u64;
                    self.rule.passed(view.next_offset());
                }
            }
        }
    }

    /// Nothing that the scrub has found bad is handed out.
    fn check_known(&self) -> Result<(), ReadError> {
        let damage = self.segment.damage.borrow();
        let known = damage.iter().find(|damage| damage.covers(self.position));
        known.map_or(Ok(()), |known| Err(self.corrupt(known.base_offset, known.reason.clone())))
    }

    /// A batch that says that it ends earlier than it does would hide its last records.
    fn check_end(&self) -> Result<(), ReadError> {
        if !self.rule.is_exact() || self.rule.next == self.segment.end {
            return Ok(());
        }
        let reason = format!("the last batch ends at offset {}, expected {}", self.rule.next, self.segment.end);
        Err(self.corrupt(self.rule.next, reason))
    }

    fn corrupt(&self, base_offset: i64, reason: String) -> ReadError {
        ReadError::Corrupt { file: self.segment.path.clone(), position: self.position, base_offset, reason }
    }
}

/// As [`judge`], but a batch that ends below `from` is passed over without its checksum where the next one's offset
/// proves that it ends there. So batches behind a bad one can be read.
fn judge_fast<'a>(bytes: &'a [u8], remaining: u64, from: i64, rule: &HeaderRule) -> Next<'a> {
    if rule.is_exact()
        && let Ok((view, _)) = BatchView::parse(bytes)
        && view.last_offset() < from
    {
        return Next::Batch(view);
    }
    match judge(bytes, remaining, i64::MIN, true) {
        Next::Bad(Stop::EndOfFile) => Next::Bad(Stop::Short),
        judged => judged,
    }
}

//! Opening a log from its files: observe, decide by the table, repair, and hand back what the owner needs to go on.

mod data_dir;
mod moves;
mod segments;
mod swaps;
mod table;
mod topic_file;

pub use data_dir::{DataDir, DataDirError, FoundLog, scan_data_dir};
pub use moves::settle_moves;
pub use table::Action;
pub(super) use table::{Observed, decide};

use super::compact::mark::Mark;
use super::config::{LogConfig, LogName};
use super::copies::TopicSeal;
use super::envelope::{self, Kind};
use super::epochs::Epochs;
use super::files::OpenFile;
use super::kafka_indexes::KafkaIndexes;
use super::limits::{BLOCK_BYTES, STATE_BYTES_MAX};
use super::names::{self, FileKind};
use super::scan::Damage;
use super::state::{Health, Log, Segment, SegmentIndexState};
use super::writer::{Mark as End, Writer};
use super::{kafka_files, tasks};
use crate::io::OpenMode;
use crate::shard::Io;
use crate::time::Wall;
use protocol::batch::BatchHeader;
use segments::Found;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::rc::Rc;
use swaps::Settled;

/// What is known of a log from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct RecoverHints {
    /// The log was closed cleanly: lengths and indexes are believed.
    pub clean: bool,
    /// Kafka closed the log cleanly: its segments end with their last batches, and anything else there is rot.
    pub closed_by_kafka: bool,
    /// Everything below was durable; `None` when there is no checkpoint, as in a folder that Kafka wrote.
    pub durable_floor: Option<i64>,
    /// First readable offset, where a checkpoint has one.
    pub start: Option<i64>,
    /// Base offset of the segment that ends at the floor, and the chained checksum of its headers up to there.
    pub header_proof: Option<(i64, u32)>,
    /// What was never compacted begins here, as far as another broker says.
    pub first_dirty: Option<i64>,
    /// Bytes between index entries.
    pub index_interval_bytes: u32,
    /// What `ringlog.origin` says, for whoever has read it.
    pub origin: Option<TopicSeal>,
}

impl Default for RecoverHints {
    fn default() -> RecoverHints {
        RecoverHints {
            clean: false,
            closed_by_kafka: false,
            durable_floor: None,
            start: None,
            header_proof: None,
            first_dirty: None,
            index_interval_bytes: 4096,
            origin: None,
        }
    }
}

impl RecoverHints {
    /// A bad batch below this offset is rot: what is behind it counts.
    pub(super) fn rot_below(&self) -> i64 {
        if self.closed_by_kafka { i64::MAX } else { self.durable_floor.unwrap_or(i64::MIN) }
    }

    /// The chained checksum of headers that the segment at `base` must have at the floor. A pass of compaction, which may have
    /// replaced everything below `gaps_below`, can be younger than the checkpoint.
    pub(super) fn proof_of(&self, base: i64, gaps_below: i64) -> Option<(i64, u32)> {
        let (_, header_crc) = self.header_proof.filter(|&(of, _)| of == base && base >= gaps_below)?;
        self.durable_floor.map(|floor| (floor, header_crc))
    }
}

/// One thing that recovery did or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The file.
    pub file: PathBuf,
    /// What was done about it.
    pub action: Action,
    /// What was seen, with positions in bytes.
    pub reason: String,
}

impl Repair {
    fn rebuild(file: PathBuf, reason: impl Into<String>) -> Repair {
        Repair { file, action: Action::Rebuild, reason: reason.into() }
    }
}

/// A log that was opened, ready for [`LogSet::adopt`](super::LogSet::adopt).
pub struct RecoveredLog {
    /// Where it lies.
    pub name: LogName,
    /// Topic id, zeros where the folder does not say.
    pub uid: [u8; 16],
    /// Partition.
    pub partition: i32,
    /// First readable offset.
    pub start: i64,
    /// Next offset.
    pub end: i64,
    /// The newest usable snapshot: everything below the offset, and the owner's bytes. Not below the first segment.
    pub snapshot: Option<(i64, Vec<u8>)>,
    /// Header and position in its segment of every batch of an idempotent producer behind the snapshot, in order.
    pub batches_after_snapshot: Vec<(BatchHeader, u64)>,
    /// Which leader epoch began where.
    pub epochs: Epochs,
    /// What was repaired or has to be reported.
    pub report: Vec<Repair>,
    /// Batches below what was durable that are not what was written. The log takes no appends then.
    pub damage: Vec<(PathBuf, Damage)>,
    /// True when appends would be wrong: damage, or a segment that must not be touched.
    pub read_only: bool,
    found: Vec<Found>,
    carry: Vec<u8>,
    snapshots: Vec<i64>,
    ours: bool,
    unreadable: bool,
    mark: Mark,
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The device or file system answered with an error.
    #[error("{file}: {error}")]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The folder's name is not that of a partition.
    #[error("{0}: not named <topic>-<partition>")]
    Name(PathBuf),
}

/// Opens the log in `name`. Repairs what a crash leaves; reports what only rot explains and touches nothing of it.
pub async fn recover(io: &Io, name: LogName, hints: RecoverHints) -> Result<RecoveredLog, RecoverError> {
    let folder = name.dir.file_name().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((_, partition)) = names::topic_partition(&folder) else { return Err(RecoverError::Name(name.dir)) };
    let failed = |error| RecoverError::Io { file: name.dir.clone(), error };
    let listing = Listing::read(io, &name, partition, hints.origin).await.map_err(failed)?;
    let mut opened = segments::open_all(io, &name, &listing, &hints).await?;
    let end = opened.found.last().map_or(hints.start.unwrap_or(0), |last| last.index.end_offset);
    let first = opened.found.first().map_or(end, |first| first.index.base_offset);
    let start = hints.start.unwrap_or(first).clamp(first, end);
    let mut epochs = Epochs::default();
    opened.found.iter().for_each(|found| found.index.add_epochs(&mut epochs));
    if epochs.entries().is_empty() {
        epochs = listing.kafka_epochs.clone();
        epochs.truncate_suffix(end.max(1));
    }
    epochs.truncate_prefix(start);
    opened.report.extend(listing.report.iter().cloned());
    let newest = newest_snapshot(io, &name, &listing.snapshots, first..=end, &mut opened.report);
    let (snapshot, snapshots) = newest.await.map_err(failed)?;
    let upto = snapshot.as_ref().map_or(start, |(upto, _)| *upto);
    let batches_after_snapshot = opened.batches_from(io, upto, &hints, &listing).await?;
    for repair in &opened.report {
        tracing::warn!(file = %repair.file.display(), action = ?repair.action, reason = repair.reason, "recovery");
    }
    Ok(RecoveredLog {
        uid: listing.uid.unwrap_or_default(),
        partition,
        start,
        end,
        snapshot,
        batches_after_snapshot,
        epochs,
        read_only: opened.read_only || listing.refused || !opened.damage.is_empty(),
        report: opened.report,
        damage: opened.damage,
        found: opened.found,
        carry: opened.carry,
        snapshots,
        ours: listing.ours && listing.uid.is_some(),
        unreadable: false,
        mark: listing.mark.unwrap_or(Mark { gaps_below: 0, first_dirty: hints.first_dirty.unwrap_or(0) }),
        name,
    })
}

/// What a log's folder holds.
struct Listing {
    /// Base offset and bytes of each segment, ascending.
    segments: Vec<(i64, u64)>,
    /// Base offsets of the indexes.
    indexes: BTreeSet<i64>,
    snapshots: Vec<i64>,
    uid: Option<[u8; 16]>,
    kafka_epochs: Epochs,
    /// Ringlog wrote every byte of it.
    ours: bool,
    mark: Option<Mark>,
    /// A compacted file cannot be believed, so nothing may be appended.
    refused: bool,
    /// What was wrong with the files that say whose log it is.
    report: Vec<Repair>,
}

impl Listing {
    /// True when offsets may be missing in the segment at `base`.
    fn may_have_gaps(&self, base: i64) -> bool {
        !self.ours || base < self.gaps_below()
    }

    /// Compaction may have left gaps below this offset.
    fn gaps_below(&self) -> i64 {
        self.mark.map_or(0, |mark| mark.gaps_below)
    }

    /// Lists the folder and removes what was abandoned in it.
    async fn read(io: &Io, name: &LogName, partition: i32, seal: Option<TopicSeal>) -> io::Result<Listing> {
        let mut listing = Listing {
            segments: Vec::new(),
            indexes: BTreeSet::new(),
            snapshots: Vec::new(),
            uid: None,
            kafka_epochs: Epochs::default(),
            ours: false,
            mark: None,
            refused: false,
            report: Vec::new(),
        };
        let mut entries = data_dir::list(io, &name.dir).await?;
        match swaps::settle(io, &name.dir, &entries, &mut listing.report).await? {
            Settled::Same => {}
            Settled::Changed => entries = data_dir::list(io, &name.dir).await?,
            Settled::Refused => listing.refused = true,
        }
        let is_marked = entries.iter().any(|entry| FileKind::of(&entry.name) == FileKind::Compacted);
        listing.mark = swaps::mark(io, &name.dir, is_marked, &mut listing.report).await?;
        let mut indexes = Vec::new();
        for entry in entries.iter().filter(|entry| !entry.is_dir) {
            let path = name.dir.join(&entry.name);
            match FileKind::of(&entry.name) {
                FileKind::Segment(base) => listing.segments.push((base, entry.len)),
                FileKind::Snapshot(upto) => listing.snapshots.push(upto),
                FileKind::Leftover | FileKind::Cleaned(_) => tasks::unlink(io, &path).await?,
                FileKind::KafkaEpochs => {
                    let epochs = text(io, &path).await?.as_deref().and_then(kafka_files::leader_epochs);
                    listing.kafka_epochs = epochs.unwrap_or_default();
                }
                FileKind::Origin => listing.ours = true,
                FileKind::Index(base) => indexes.push((base, path)),
                // There is no other folder of this log: the copy is the log.
                FileKind::Moved => {
                    tasks::unlink(io, &path).await?;
                    tasks::sync_dir(io, &name.dir).await?;
                }
                FileKind::Metadata | FileKind::Adopted | FileKind::Foreign => {}
                FileKind::Swap(_) | FileKind::Compacted => {}
            }
        }
        let seal = seal.filter(|_| listing.ours);
        listing.uid = topic_file::settle(io, &name.dir, partition, listing.ours, seal, &mut listing.report).await?;
        listing.segments.sort_unstable();
        listing.indexes = indexes.iter().map(|(base, _)| *base).collect();
        remove_orphans(io, &name.dir, &listing.segments, indexes).await?;
        listing.snapshots.sort_unstable();
        Ok(listing)
    }
}

/// Removes indexes without a segment: one would be believed of the next segment that begins at its offset.
async fn remove_orphans(
    io: &Io,
    dir: &std::path::Path,
    segments: &[(i64, u64)],
    indexes: Vec<(i64, PathBuf)>,
) -> io::Result<()> {
    let has_segment = |base: i64| segments.binary_search_by_key(&base, |&(of, _)| of).is_ok();
    let orphans: Vec<_> = indexes.into_iter().filter(|(base, _)| !has_segment(*base)).collect();
    for (_, path) in &orphans {
        tasks::unlink(io, path).await?;
    }
    if orphans.is_empty() { Ok(()) } else { tasks::sync_dir(io, dir).await }
}

/// A small text file; `None` where it is no text.
async fn text(io: &Io, path: &std::path::Path) -> io::Result<Option<String>> {
    let bytes = tasks::read_whole(io, path, STATE_BYTES_MAX).await?;
    Ok(String::from_utf8(bytes).ok())
}

/// The newest valid snapshot that joins onto the segments, and the offsets of all that stay. Those above the end are
/// removed: other records will reach their offset. One below the first segment is of no use: retention may take segments
/// before the state at their end is kept, and a crash then leaves nothing of what happened in between; as if nothing had
/// happened in between, the owner would refuse what comes next.
async fn newest_snapshot(
    io: &Io,
    name: &LogName,
    offsets: &[i64],
    segments: RangeInclusive<i64>,
    report: &mut Vec<Repair>,
) -> io::Result<(Option<(i64, Vec<u8>)>, Vec<i64>)> {
    let mut newest = None;
    let mut kept = Vec::new();
    for &upto in offsets.iter().rev() {
        let path = names::snapshot(&name.dir, upto);
        if upto > *segments.end() && !marks::planted!("engine: keep a snapshot above the end") {
            tasks::unlink(io, &path).await?;
            continue;
        }
        kept.insert(0, upto);
        if newest.is_some() || upto < *segments.start() {
            continue;
        }
        let file = tasks::read_whole(io, &path, STATE_BYTES_MAX).await?;
        match envelope::open(Kind::Snapshot, &file).map(|payload| payload.split_first_chunk::<8>()) {
            Ok(Some((offset, state))) if i64::from_le_bytes(*offset) == upto => newest = Some((upto, state.to_vec())),
            Ok(_) => report.push(Repair::rebuild(path, "a snapshot of another offset: an older one is taken")),
            Err(error) => report.push(Repair::rebuild(path, format!("snapshot, {error}: an older one is taken"))),
        }
    }
    Ok((newest, kept))
}

impl RecoveredLog {
    /// A log that [`recover`] could not read. It takes no appends and holds nothing to read; its files stay as they are, and
    /// checkpoints go on promising what they did, so that a start that can read them finds everything.
    pub fn unreadable(found: &FoundLog) -> RecoveredLog {
        let start = found.hints.start.unwrap_or(0);
        let uid = found.uid.unwrap_or_default();
        let end = found.hints.durable_floor.unwrap_or(start).max(start);
        RecoveredLog { start, end, ..RecoveredLog::hidden(found.name.clone(), uid, found.partition) }
    }

    /// A log that may lie in a data folder which cannot be looked at. As [`RecoveredLog::unreadable`], but nothing is known of it
    /// at all; `name` is where it would lie.
    pub fn hidden(name: LogName, uid: [u8; 16], partition: i32) -> RecoveredLog {
        RecoveredLog {
            name,
            uid,
            partition,
            start: 0,
            end: 0,
            snapshot: None,
            batches_after_snapshot: Vec::new(),
            epochs: Epochs::default(),
            report: Vec::new(),
            damage: Vec::new(),
            read_only: true,
            found: Vec::new(),
            carry: Vec::new(),
            snapshots: Vec::new(),
            ours: false,
            unreadable: true,
            mark: Mark::default(),
        }
    }

    /// Base offset, exclusive end and bytes of each segment, oldest first.
    pub fn segments(&self) -> Vec<(i64, i64, u64)> {
        let found = self.found.iter();
        found.map(|found| (found.index.base_offset, found.index.end_offset, found.index.bytes)).collect()
    }

    pub(super) fn into_log(self, config: LogConfig) -> Log {
        let mut log = Log::new(self.name, self.uid, self.partition, config, self.start);
        log.end = self.end;
        log.durable = self.end;
        log.epochs = self.epochs;
        log.has_folder = true;
        log.snapshots = self.snapshots;
        log.damaged = self.read_only;
        log.unreadable = self.unreadable;
        log.compaction.mark = Mark { first_dirty: self.mark.first_dirty.min(self.end), ..self.mark };
        if self.read_only {
            log.health = Health::Fenced;
        }
        let last = self.found.len().saturating_sub(1);
        log.segments.reserve_exact(self.found.len());
        log.writers.reserve_exact(self.found.len().min(1));
        for (at, found) in self.found.into_iter().enumerate() {
            let (header_crc, rough) = (found.index.header_crc, found.rough);
            let damage = self.damage.iter().filter(|(file, _)| *file == found.path).map(|(_, damage)| damage.clone());
            let damage: Vec<_> = damage.collect();
            let (base, end, bytes) = (found.index.base_offset, found.index.end_offset, found.index.bytes);
            log.segments.push_back(Segment {
                base,
                end,
                bytes,
                first_timestamp: found.index.first_timestamp,
                max_timestamp: found.index.max_timestamp,
                offset_of_max_timestamp: found.index.offset_of_max_timestamp,
                created: Wall(found.index.max_timestamp),
                path: found.path,
                is_sealed: at != last,
                kafka_indexes: KafkaIndexes::of(&found.index),
                index: if at == last || !found.has_index_file {
                    SegmentIndexState::Memory(Rc::new(found.index))
                } else {
                    SegmentIndexState::File
                },
                alive: Rc::new(Cell::new(true)),
                ours: self.ours,
                damage: Rc::new(RefCell::new(damage)),
                unsettled: None,
            });
            if at == last {
                let mut writer = Writer::new(base, End { position: bytes, offset: end, header_crc });
                writer.rough = rough;
                log.writers.push_back(writer);
            }
        }
        log.tail = super::chunk::TailMemory::with_carry(self.carry);
        log
    }
}

/// Cuts a segment to `len` bytes, durably. A file that ends there already is lengthened within its block first: the length
/// that a crash took back may have left its bytes in that block, where growing would show them again.
pub(super) async fn cut(io: &Io, path: &std::path::Path, len: u64) -> io::Result<()> {
    let file = OpenFile::open(io, path, OpenMode::Write).await?;
    let block_end = len.next_multiple_of(BLOCK_BYTES);
    if file.len <= len && len < block_end {
        tasks::set_len(io, &file, block_end).await?;
    }
    tasks::set_len(io, &file, len).await?;
    tasks::sync_data(io, &file).await
}

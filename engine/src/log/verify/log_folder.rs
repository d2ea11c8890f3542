//! One log: whose it is, its segments against their indexes and against each other, its snapshots. Where a log ends, and
//! whether that is a torn tail or rot, is decided by recovery's own table, so that both say the same.

use super::data_dir::{Promises, list, whole};
use super::{Advice, Verified};
use crate::log::check::{AtOnce, Check, check_segment};
use crate::log::compact::mark::Mark;
use crate::log::copies::TopicSeal;
use crate::log::envelope::{self, Kind};
use crate::log::files::{OpenFile, read_mode};
use crate::log::index::SegmentIndex;
use crate::log::limits::{INDEX_BYTES_MAX, STATE_BYTES_MAX};
use crate::log::names::{self, FileKind};
use crate::log::recovery::{Action, Observed, decide};
use crate::log::scan::{Damage, ScanLimits, scan_segment};
use crate::log::{RecoverHints, first_difference, kafka_files};
use crate::shard::Io;
use std::io;
use std::path::Path;

/// What the segments of a log are judged by.
struct Facts {
    ours: bool,
    /// Below this offset compaction may have left gaps.
    gaps_below: i64,
    /// What the checkpoints promise.
    hints: RecoverHints,
}

pub(super) async fn verify(
    io: &Io,
    dir: &Path,
    partition: i32,
    promises: &Promises,
    verified: &mut Verified,
) -> io::Result<()> {
    verified.logs += 1;
    let entries = list(io, dir).await?;
    let kinds: Vec<_> = entries.iter().map(|entry| FileKind::of(&entry.name)).collect();
    let ours = kinds.contains(&FileKind::Origin);
    let sealed = ours || kinds.contains(&FileKind::Adopted);
    let uid = topic(io, dir, partition, sealed.then_some(ours), verified).await;
    let gaps_below = mark(io, dir, kinds.contains(&FileKind::Compacted), verified).await;
    for swap in kinds.iter().filter_map(|kind| if let FileKind::Swap(base) = kind { Some(*base) } else { None }) {
        verified.note(&names::swap(dir, swap), "a compaction that was not finished", Advice::NextStart);
    }
    let facts = Facts { ours, gaps_below, hints: promises.of(uid.unwrap_or_default(), partition) };
    let offsets = |wanted: fn(&FileKind) -> Option<i64>| -> Vec<i64> { kinds.iter().filter_map(wanted).collect() };
    let mut bases = offsets(|kind| if let FileKind::Segment(base) = kind { Some(*base) } else { None });
    bases.sort_unstable();
    let indexes = offsets(|kind| if let FileKind::Index(base) = kind { Some(*base) } else { None });
    for (at, &base) in bases.iter().enumerate() {
        let segment = Segment { io, dir, base, next: bases.get(at + 1).copied(), facts: &facts };
        segment.verify(indexes.contains(&base), verified).await;
    }
    for upto in offsets(|kind| if let FileKind::Snapshot(upto) = kind { Some(*upto) } else { None }) {
        snapshot(io, dir, upto, verified).await;
    }
    Ok(())
}

/// The topic id; `sealed` says by which file of ours, if there is one.
async fn topic(io: &Io, dir: &Path, partition: i32, sealed: Option<bool>, verified: &mut Verified) -> Option<[u8; 16]> {
    let path = dir.join(names::PARTITION_METADATA);
    let text = whole(io, &path, STATE_BYTES_MAX, verified).await?;
    let said = std::str::from_utf8(&text).ok().and_then(kafka_files::topic_id);
    let seal = match sealed {
        None => None,
        Some(ours) => {
            let path = dir.join(if ours { names::ORIGIN } else { names::ADOPTED });
            let file = whole(io, &path, STATE_BYTES_MAX, verified).await?;
            match TopicSeal::from_file(&file) {
                Ok(seal) => seal.filter(|seal| seal.partition == partition),
                Err(error) => {
                    verified.note(&path, format!("what is kept about the topic id: {error}"), Advice::NextStart);
                    None
                }
            }
        }
    };
    let Some(seal) = seal else {
        if said.is_none() {
            verified.note(&path, "no topic id can be read from it", Advice::RestoreFile);
        }
        return said;
    };
    if !seal.matches(&text) {
        verified.note(&path, "not what was written", Advice::NextStart);
        let meant = kafka_files::partition_metadata(&seal.uid);
        let at = first_difference(meant.as_bytes(), &text).unwrap_or_default();
        verified.findings.last_mut().into_iter().for_each(|finding| finding.position = at as u64);
    }
    Some(seal.uid)
}

/// The offset below which compaction may have left gaps.
async fn mark(io: &Io, dir: &Path, exists: bool, verified: &mut Verified) -> i64 {
    let path = dir.join(names::COMPACTED);
    if !exists {
        return i64::MIN;
    }
    let Some(file) = whole(io, &path, STATE_BYTES_MAX, verified).await else { return i64::MAX };
    match Mark::from_file(&file) {
        Ok(found) => {
            if let Some((at, reason)) = found.wrong {
                verified.note(&path, reason, Advice::NextStart);
                verified.findings.last_mut().into_iter().for_each(|finding| finding.position = at as u64);
            }
            found.mark.gaps_below
        }
        Err(error) => {
            verified.note(&path, error.to_string(), Advice::NextStart);
            i64::MAX
        }
    }
}

async fn snapshot(io: &Io, dir: &Path, upto: i64, verified: &mut Verified) {
    let path = names::snapshot(dir, upto);
    let Some(file) = whole(io, &path, STATE_BYTES_MAX, verified).await else { return };
    match envelope::open(Kind::Snapshot, &file).map(|payload| payload.first_chunk::<8>()) {
        Ok(Some(offset)) if i64::from_le_bytes(*offset) == upto => {}
        Ok(_) => verified.note(&path, "a snapshot of another offset", Advice::NextStart),
        Err(error) => verified.note(&path, format!("snapshot: {error}"), Advice::NextStart),
    }
}

/// One segment, and what follows it.
struct Segment<'a> {
    io: &'a Io,
    dir: &'a Path,
    base: i64,
    next: Option<i64>,
    facts: &'a Facts,
}

impl Segment<'_> {
    async fn verify(&self, is_indexed: bool, verified: &mut Verified) {
        let path = names::segment(self.dir, self.base);
        let index = if is_indexed { self.index(verified).await } else { None };
        let file = match OpenFile::open(self.io, &path, read_mode(self.io)).await {
            Ok(file) => file,
            Err(error) => return verified.note_unreadable(&path, &error),
        };
        verified.note_read(file.len);
        let fits = index.filter(|index| {
            if index.bytes > file.len {
                let what = format!("it covers {} bytes of a segment that has {}", index.bytes, file.len);
                verified.note(&names::index(self.dir, self.base), what, Advice::NextStart);
            }
            index.bytes <= file.len
        });
        if let Err(error) = self.batches(&path, &file, fits, verified).await {
            verified.note_unreadable(&path, &error);
        }
    }

    /// The index, if it can be believed.
    async fn index(&self, verified: &mut Verified) -> Option<SegmentIndex> {
        let path = names::index(self.dir, self.base);
        let file = whole(self.io, &path, INDEX_BYTES_MAX, verified).await?;
        let index = match SegmentIndex::from_file(&file) {
            Ok(index) => index,
            Err(error) => {
                verified.note(&path, format!("index: {error}"), Advice::NextStart);
                return None;
            }
        };
        if index.base_offset != self.base {
            verified.note(&path, format!("index of the segment at {}", index.base_offset), Advice::NextStart);
            return None;
        }
        // As recovery: our own segments have no gaps, whatever version wrote the index.
        let plain = index.plain || (self.facts.ours && !SegmentIndex::is_of_today(&file));
        Some(SegmentIndex { plain, ..index })
    }

    /// What the index covers, then what comes behind it.
    async fn batches(
        &self,
        path: &Path,
        file: &OpenFile,
        index: Option<SegmentIndex>,
        verified: &mut Verified,
    ) -> io::Result<()> {
        if let Some(index) = &index {
            verified.batches += index.batches;
            let found = check_segment(self.io, file, Check::whole(index), &mut AtOnce).await?;
            found.iter().flatten().for_each(|damage| verified.note_damage(path, damage));
        }
        let floor = self.facts.hints.durable_floor;
        let limits = ScanLimits {
            floor: floor.unwrap_or(i64::MIN),
            gaps: !self.facts.ours || self.base < self.facts.gaps_below,
            proof: self.facts.hints.proof_of(self.base, self.facts.gaps_below),
            compacted: self.base < self.facts.gaps_below,
            ..ScanLimits::default()
        };
        let start = index.unwrap_or_else(|| SegmentIndex::new(self.base));
        let known = start.batches;
        let scanned = scan_segment(self.io, file, start, &limits, |_, _| {}).await?;
        verified.batches += scanned.index.batches - known;
        scanned.damage.iter().for_each(|damage| verified.note_damage(path, damage));
        let (position, base_offset) = (scanned.index.bytes, scanned.index.end_offset);
        let action = decide(Observed::of(&scanned, self.next, &self.facts.hints, self.facts.ours));
        let lost_to = self.next.unwrap_or(base_offset).max(floor.unwrap_or(base_offset));
        if action == Action::ReadOnly {
            let reason = scanned.stop.to_string();
            let (bytes, end_offset) = (file.len - position, lost_to.max(base_offset + 1));
            verified.note_damage(path, &Damage { position, bytes, base_offset, end_offset, reason });
        }
        Ok(())
    }
}

//! Opening the segments of one log: which are believed, which are walked, and carrying out what the table decides.

use super::table::{Action, Observed, decide};
use super::{Listing, RecoverError, RecoverHints, Repair, cut};
use crate::log::check::{AtOnce, Check, check_segment};
use crate::log::config::LogName;
use crate::log::files::{OpenFile, read_mode};
use crate::log::index::SegmentIndex;
use crate::log::limits::INDEX_BYTES_MAX;
use crate::log::scan::{Damage, ScanLimits, Scanned, Stop, read_begun, scan_segment};
use crate::log::{names, tasks};
use crate::shard::Io;
use protocol::batch::BatchHeader;
use std::path::{Path, PathBuf};

/// One segment that stays.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) index: SegmentIndex,
    pub(super) has_index_file: bool,
    /// Where the walk began; batches before it were not seen.
    walked_from: u64,
    /// The last segment's file, as it was found: see [`Writer::rough`](crate::log::writer::Writer).
    pub(super) rough: bool,
}

/// All segments, and what was done to them.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) found: Vec<Found>,
    /// The begun block of the last segment.
    pub(super) carry: Vec<u8>,
    pub(super) report: Vec<Repair>,
    pub(super) damage: Vec<(PathBuf, Damage)>,
    pub(super) read_only: bool,
    /// Batches of idempotent producers that the walks passed: segment, header, position.
    batches: Vec<(i64, BatchHeader, u64)>,
}

pub(super) async fn open_all(
    io: &Io,
    name: &LogName,
    listing: &Listing,
    hints: &RecoverHints,
) -> Result<Opened, RecoverError> {
    let mut opened = Opened::default();
    let obsolete = remove_obsolete(io, name, listing, hints).await?;
    let mut rest = listing.segments.iter().enumerate().skip(obsolete);
    while let Some((at, &(base, len))) = rest.next() {
        let next = listing.segments.get(at + 1).map(|&(base, _)| base);
        let path = names::segment(&name.dir, base);
        let failed = |error| RecoverError::Io { file: path.clone(), error };
        let has_index = listing.indexes.contains(&base);
        let gaps = listing.may_have_gaps(base);
        let gaps_below = listing.gaps_below();
        let walk = Walk { io, name, hints, base, len, next, has_index, ours: listing.ours, gaps, gaps_below };
        let action = walk.run(&mut opened).await.map_err(failed)?;
        if action == Action::CutAndDropLater {
            for (_, &(later, _)) in rest.by_ref() {
                let doomed = names::segment(&name.dir, later);
                tasks::unlink(io, &names::index(&name.dir, later)).await.map_err(failed)?;
                tasks::unlink(io, &doomed).await.map_err(failed)?;
            }
            tasks::sync_dir(io, &name.dir).await.map_err(failed)?;
        }
    }
    Ok(opened)
}

/// Removes our own segments below the start: a removal was under way. Returns how many.
async fn remove_obsolete(
    io: &Io,
    name: &LogName,
    listing: &Listing,
    hints: &RecoverHints,
) -> Result<usize, RecoverError> {
    let Some(start) = hints.start.filter(|_| listing.ours) else { return Ok(0) };
    let later = listing.segments.iter().skip(1);
    let obsolete = later.take_while(|&&(next, _)| next <= start).count();
    for &(base, _) in &listing.segments[..obsolete] {
        for path in [names::index(&name.dir, base), names::segment(&name.dir, base)] {
            tasks::unlink(io, &path).await.map_err(|error| RecoverError::Io { file: path.clone(), error })?;
        }
    }
    Ok(obsolete)
}

/// One segment to look at.
struct Walk<'a> {
    io: &'a Io,
    name: &'a LogName,
    hints: &'a RecoverHints,
    base: i64,
    len: u64,
    /// Base offset of the segment behind it.
    next: Option<i64>,
    /// The folder lists an index of it.
    has_index: bool,
    /// Ringlog wrote every byte of the log.
    ours: bool,
    /// Offsets may be missing.
    gaps: bool,
    /// Below this offset compaction may have left gaps.
    gaps_below: i64,
}

impl Walk<'_> {
    async fn run(&self, opened: &mut Opened) -> std::io::Result<Action> {
        let path = names::segment(&self.name.dir, self.base);
        let known = self.known_index(opened).await?;
        if let Some(index) = known.clone().filter(|index| self.is_sealed(index)) {
            return self.believe(opened, path, index).await;
        }
        let believed = known.filter(|index| index.bytes <= self.len);
        if believed.is_none() && self.has_index {
            // It must not come back to life once the segment has grown past what it says.
            tasks::unlink(self.io, &names::index(&self.name.dir, self.base)).await?;
            tasks::sync_dir(self.io, &self.name.dir).await?;
        }
        let start = believed.unwrap_or_else(|| SegmentIndex::new(self.base));
        let walked_from = start.bytes;
        let scanned = self.scan(&path, start, opened).await?;
        let action = decide(Observed::of(&scanned, self.next, self.hints, self.ours));
        match action {
            Action::Cut => marks::reached!("engine: a torn tail was cut"),
            Action::CutAndDropLater => marks::reached!("engine: segments behind a hole were dropped"),
            Action::ReadOnly => marks::reached!("engine: rot made a log read-only"),
            Action::Keep | Action::Rebuild => {}
        }
        self.report(opened, &path, &scanned, action);
        let settled = self.is_settled(&scanned);
        let mut index = scanned.index;
        match action {
            // The log takes no appends; what lies behind is not served, and may be something all the same.
            Action::Keep if !scanned.damage.is_empty() => {}
            // A segment of another format is served by its length: reads then say what it is.
            Action::Keep | Action::ReadOnly if index.bytes < self.len => index.bytes = self.len,
            Action::ReadOnly | Action::Rebuild => {}
            Action::Keep | Action::Cut if settled => {}
            Action::Keep | Action::Cut | Action::CutAndDropLater => cut(self.io, &path, index.bytes).await?,
        }
        if action == Action::ReadOnly {
            opened.read_only = true;
            // What was promised stays addressable; reading it says what is wrong.
            let promised = self.hints.durable_floor.unwrap_or(index.end_offset);
            index.end_offset = index.end_offset.max(self.next.unwrap_or(promised));
        }
        if matches!(scanned.stop, Stop::OldFormat { .. }) && !self.ours {
            index.end_offset = index.end_offset.max(self.next.unwrap_or(index.end_offset));
        }
        let last = self.next.is_none() || action == Action::CutAndDropLater;
        let has_index_file = !last && opened.damage.is_empty() && action != Action::ReadOnly;
        if has_index_file {
            let file = index.to_file().map_err(|error| std::io::Error::other(error.to_string()))?;
            tasks::replace(self.io, &names::index(&self.name.dir, self.base), file).await?;
        }
        opened.carry = scanned.carry;
        let rough = settled && scanned.stop == Stop::EndOfFile;
        opened.found.push(Found { path, index, has_index_file, walked_from, rough });
        Ok(action)
    }

    /// True for a log that was idle when it was left: it ends where the checkpoint says that it was durable, so nothing has to be
    /// flushed, and behind that there is nothing that could come back to life; or there may be within the last block only, which
    /// is seen to before it is written again. Of thousands of logs that saves a start a flush for each.
    fn is_settled(&self, scanned: &Scanned) -> bool {
        let is_durable = self.hints.durable_floor == Some(scanned.index.end_offset);
        let is_clear = match scanned.stop {
            Stop::Zeros => scanned.is_clear_behind,
            Stop::EndOfFile => true,
            _ => false,
        };
        self.next.is_none() && self.ours && is_durable && is_clear && scanned.damage.is_empty()
    }

    /// True when the index covers the file and the next segment begins where it ends. An index may be an old one: it was
    /// written by a clean stop, and what was appended later is lost while a later segment is there.
    fn is_sealed(&self, index: &SegmentIndex) -> bool {
        let is_joined = match self.next {
            None => self.hints.clean,
            Some(next) => index.end_offset == next || (!self.ours && index.end_offset < next),
        };
        index.bytes == self.len && is_joined
    }

    async fn believe(&self, opened: &mut Opened, path: PathBuf, index: SegmentIndex) -> std::io::Result<Action> {
        if self.next.is_none() {
            let file = OpenFile::open(self.io, &path, read_mode(self.io)).await?;
            opened.carry = read_begun(self.io, &file, index.bytes).await?;
            // The end is where new batches go; the rest is read by the scrub.
            let found = check_segment(self.io, &file, Check::tail(&index), &mut AtOnce).await?;
            opened.note_damage(&path, found.unwrap_or_default());
        }
        let walked_from = index.bytes;
        opened.found.push(Found { path, index, has_index_file: true, walked_from, rough: true });
        Ok(Action::Keep)
    }

    /// The segment's index file, if there is one that can be believed.
    async fn known_index(&self, opened: &mut Opened) -> std::io::Result<Option<SegmentIndex>> {
        if !self.has_index {
            return Ok(None);
        }
        let path = names::index(&self.name.dir, self.base);
        let file = match tasks::read_whole(self.io, &path, INDEX_BYTES_MAX).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                opened.report.push(Repair::rebuild(path, format!("index, {error}: rebuilt")));
                return Ok(None);
            }
        };
        match SegmentIndex::from_file(&file) {
            Ok(index) if index.base_offset == self.base => self.as_today(&path, &file, index).await.map(Some),
            Ok(index) => {
                let reason = format!("index of the segment at {}: rebuilt", index.base_offset);
                opened.report.push(Repair::rebuild(path, reason));
                Ok(None)
            }
            Err(error) => {
                opened.report.push(Repair::rebuild(path, format!("index, {error}: rebuilt")));
                Ok(None)
            }
        }
    }

    /// An index of an older version says less of our own segments than is known: they have no gaps.
    async fn as_today(&self, path: &Path, file: &[u8], index: SegmentIndex) -> std::io::Result<SegmentIndex> {
        if !self.ours || SegmentIndex::is_of_today(file) {
            return Ok(index);
        }
        let index = SegmentIndex { plain: true, ..index };
        let file = index.to_file().map_err(|error| std::io::Error::other(error.to_string()))?;
        tasks::replace(self.io, path, file).await?;
        Ok(index)
    }

    async fn scan(&self, path: &Path, start: SegmentIndex, opened: &mut Opened) -> std::io::Result<Scanned> {
        let file = OpenFile::open(self.io, path, read_mode(self.io)).await?;
        let limits = ScanLimits {
            interval_bytes: self.hints.index_interval_bytes,
            floor: self.hints.rot_below(),
            // Our own segments have none unless compaction left them; in a recycled file one would be somebody's old bytes.
            gaps: self.gaps,
            proof: self.hints.proof_of(self.base, self.gaps_below),
            compacted: self.base < self.gaps_below,
            ..ScanLimits::default()
        };
        let (base, batches) = (self.base, &mut opened.batches);
        let scanned = scan_segment(self.io, &file, start, &limits, |header, position| {
            if header.producer_id >= 0 {
                batches.push((base, *header, position));
            }
        })
        .await?;
        opened.damage.extend(scanned.damage.iter().map(|damage| (path.to_owned(), damage.clone())));
        Ok(scanned)
    }

    fn report(&self, opened: &mut Opened, path: &Path, scanned: &Scanned, action: Action) {
        let position = scanned.index.bytes;
        if action != Action::Keep && !(action == Action::Cut && scanned.stop == Stop::Zeros) {
            let (stop, end) = (&scanned.stop, scanned.index.end_offset);
            let reason = format!("byte {position}, offset {end}: {stop}");
            opened.report.push(Repair { file: path.to_owned(), action, reason });
        }
        for damage in &scanned.damage {
            let Damage { position, base_offset, reason, .. } = damage;
            let reason = format!("byte {position}, offset {base_offset}: {reason}");
            opened.report.push(Repair { file: path.to_owned(), action: Action::ReadOnly, reason });
        }
        let below =
            self.hints.durable_floor.filter(|&floor| action == Action::ReadOnly && scanned.index.end_offset < floor);
        if let Some(floor) = below {
            let reason = scanned.stop.to_string();
            let base_offset = scanned.index.end_offset;
            let (bytes, end_offset) = (self.len - position, floor.max(self.next.unwrap_or(floor)));
            opened.damage.push((path.to_owned(), Damage { position, bytes, base_offset, end_offset, reason }));
        }
    }
}

impl Opened {
    /// Bytes that are not what was written, in a segment whose index was believed. Known already or not.
    fn note_damage(&mut self, path: &Path, found: Vec<Damage>) {
        for damage in found {
            if self.damage.iter().any(|(file, known)| file == path && known.covers(damage.position)) {
                continue;
            }
            let Damage { position, base_offset, reason, .. } = &damage;
            let reason = format!("byte {position}, offset {base_offset}: {reason}");
            self.report.push(Repair { file: path.to_owned(), action: Action::ReadOnly, reason });
            self.damage.push((path.to_owned(), damage));
        }
    }

    /// Header and position of every producer's batch that reaches `upto` or more. Segments that were believed are
    /// walked now, from their index on.
    pub(super) async fn batches_from(
        &mut self,
        io: &Io,
        upto: i64,
        hints: &RecoverHints,
        listing: &Listing,
    ) -> Result<Vec<(BatchHeader, u64)>, RecoverError> {
        let mut batches = std::mem::take(&mut self.batches);
        let mut damage = Vec::new();
        for found in self.found.iter().filter(|found| found.walked_from > 0 && found.index.end_offset > upto) {
            let base = found.index.base_offset;
            let failed = |error| RecoverError::Io { file: found.path.clone(), error };
            let file = OpenFile::open(io, &found.path, read_mode(io)).await.map_err(failed)?;
            // All of it was believed, so a bad batch is rot: what is behind it still counts.
            let interval_bytes = hints.index_interval_bytes;
            let gaps = listing.may_have_gaps(base);
            let limits = ScanLimits { interval_bytes, floor: i64::MAX, gaps, ..ScanLimits::default() };
            let mut seen = Vec::new();
            let scan = scan_segment(io, &file, SegmentIndex::new(base), &limits, |header, position| {
                if header.producer_id >= 0 && position < found.walked_from {
                    seen.push((base, *header, position));
                }
            });
            let scanned = scan.await.map_err(failed)?;
            batches.extend(seen);
            if !scanned.damage.is_empty() || scanned.index.bytes < found.walked_from {
                // The walk ends at a bad header; the index knows what is good behind it.
                let check = Check::whole(&found.index);
                let bad = check_segment(io, &file, check, &mut AtOnce).await.map_err(failed)?;
                damage.push((found.path.clone(), bad.unwrap_or_default()));
            }
        }
        damage.into_iter().for_each(|(path, damage)| self.note_damage(&path, damage));
        batches.retain(|(_, header, _)| header.last_offset() >= upto);
        batches.sort_by_key(|&(base, header, _)| (base, header.base_offset));
        Ok(batches.into_iter().map(|(_, header, position)| (header, position)).collect())
    }
}

//! What a crash left of a compaction: the table decides, here it is carried out, before anybody looks at the segments.

use super::Repair;
use super::table::{Action, SwapSeen, decide_swap};
use crate::io::DirEntry;
use crate::log::compact::mark::{self, Mark};
use crate::log::compact::swap;
use crate::log::files::{OpenFile, read_mode};
use crate::log::index::SegmentIndex;
use crate::log::names::{self, FileKind};
use crate::log::scan::{ScanLimits, Stop, scan_segment};
use crate::log::tasks;
use crate::shard::Io;
use std::io;
use std::path::Path;

/// What there was to do.
pub(super) enum Settled {
    /// Nothing: the listing is what it was.
    Same,
    /// Files were removed or renamed.
    Changed,
    /// A compacted file is not what was written: nothing was touched, and nothing may be appended.
    Refused,
}

/// Finishes or undoes every replacement in the folder, oldest first.
pub(super) async fn settle(io: &Io, dir: &Path, entries: &[DirEntry], report: &mut Vec<Repair>) -> io::Result<Settled> {
    let kinds = || entries.iter().filter(|entry| !entry.is_dir).map(|entry| FileKind::of(&entry.name));
    let cleaned = kinds().filter_map(|kind| if let FileKind::Cleaned(base) = kind { Some(base) } else { None }).min();
    let mut swaps: Vec<_> =
        kinds().filter_map(|kind| if let FileKind::Swap(base) = kind { Some(base) } else { None }).collect();
    swaps.sort_unstable();
    let mut segments: Vec<_> =
        kinds().filter_map(|kind| if let FileKind::Segment(base) = kind { Some(base) } else { None }).collect();
    segments.sort_unstable();
    let mut settled = if cleaned.is_some() { Settled::Changed } else { Settled::Same };
    for base in swaps {
        let path = names::swap(dir, base);
        let (end, stop) = range_end(io, &path, base).await?;
        let seen = SwapSeen { is_whole: stop.is_none(), is_of_unfinished_split: cleaned.is_some_and(|c| c <= base) };
        let action = decide_swap(seen);
        let reason = match (&stop, action) {
            (Some(stop), _) => format!("offset {end}: {stop}"),
            (None, Action::Keep) => format!("compaction of the offsets {base}..{end} is finished"),
            (None, _) => "part of a replacement that was not complete".to_owned(),
        };
        report.push(Repair { file: path.clone(), action, reason });
        match action {
            Action::Keep => {
                marks::reached!("engine: a start finished a compaction");
                let others: Vec<_> = segments.iter().copied().filter(|other| (base + 1..end).contains(other)).collect();
                swap::finish(io, dir, base, &others).await?;
                settled = Settled::Changed;
            }
            Action::Cut => {
                tasks::unlink(io, &path).await?;
                tasks::sync_dir(io, dir).await?;
                settled = Settled::Changed;
            }
            _ => return Ok(Settled::Refused),
        }
    }
    Ok(settled)
}

/// Where the range of a compacted file ends, and why the walk stopped before the file's end.
async fn range_end(io: &Io, path: &Path, base: i64) -> io::Result<(i64, Option<Stop>)> {
    let file = OpenFile::open(io, path, read_mode(io)).await?;
    let scanned = scan_segment(io, &file, SegmentIndex::new(base), &ScanLimits::default(), |_, _| {}).await?;
    let end = scanned.index.end_offset;
    Ok((end, (scanned.stop != Stop::EndOfFile).then_some(scanned.stop)))
}

/// What is remembered of the log's compaction. Of one that cannot be believed only the worst is: gaps may be anywhere.
pub(super) async fn mark(io: &Io, dir: &Path, exists: bool, report: &mut Vec<Repair>) -> io::Result<Option<Mark>> {
    let path = dir.join(names::COMPACTED);
    let found = if exists { mark::load(io, dir).await? } else { None };
    match found {
        None => Ok(None),
        Some(Ok(found)) => {
            if let Some((at, reason)) = found.wrong {
                report.push(Repair::rebuild(path, format!("byte {at}, {reason}: its other copy is taken")));
                found.mark.write(io, dir).await?;
            }
            Ok(Some(found.mark))
        }
        Some(Err(error)) => {
            report.push(Repair::rebuild(path, format!("{error}: the log is compacted from its start")));
            Ok(Some(Mark { gaps_below: i64::MAX, first_dirty: 0 }))
        }
    }
}

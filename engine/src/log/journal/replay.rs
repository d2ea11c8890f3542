//! At a start: puts what the journals hold into its segments, before anybody looks at these. Doing it twice does no harm: a
//! record says which bytes lie where, and within the life of a log (see `Place`) no other bytes ever lie there.

use super::read::{JournalDamage, Journaled, read_journal};
use crate::io::{Op, OpenMode};
use crate::log::compact::mark;
use crate::log::files::OpenFile;
use crate::log::index::SegmentIndex;
use crate::log::limits::{INDEX_BYTES_MAX, STATE_BYTES_MAX, ZERO_BYTES};
use crate::log::{names, tasks};
use crate::mem::Slice;
use crate::shard::Io;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Why a journal could not be put in place.
#[derive(Debug)]
pub(in crate::log) enum ReplayError {
    /// The system's answer about the journal or a segment.
    Io { path: PathBuf, error: io::Error },
    /// Something that was acknowledged may have been in the part that is lost.
    Damage { path: PathBuf, damage: JournalDamage },
}

/// Records of one segment, ascending in position unless a log was written anew from further down.
type Segments<'a> = BTreeMap<i64, Vec<(u64, &'a [u8])>>;

/// A journal's whole file, which can be put in place; nothing is changed yet.
pub(in crate::log) async fn load(io: &Io, path: PathBuf) -> Result<(PathBuf, Vec<u8>), ReplayError> {
    let file = tasks::read_whole(io, &path, STATE_BYTES_MAX).await;
    let file = file.map_err(|error| ReplayError::Io { path: path.clone(), error })?;
    match read_journal(&file) {
        Ok(_) => Ok((path, file)),
        Err(damage) => Err(ReplayError::Damage { path, damage }),
    }
}

/// Fills the segments of `logs`, by topic id and partition, from `journals`, and removes these once that is durable. Records of
/// logs that are not there any more say nothing.
pub(in crate::log) async fn replay(
    io: &Io,
    journals: Vec<(PathBuf, Vec<u8>)>,
    logs: &BTreeMap<([u8; 16], i32), PathBuf>,
) -> Result<(), ReplayError> {
    for (path, file) in &journals {
        let live = read_journal(file).map_err(|damage| ReplayError::Damage { path: path.clone(), damage })?;
        let (records, mut placed) = (live.len(), 0);
        for (dir, segments) in by_log(&live, logs) {
            let compacted = compacted_below(io, dir).await;
            let compacted = compacted.map_err(|error| ReplayError::Io { path: dir.join(names::COMPACTED), error })?;
            for (base, mut records) in segments {
                records.retain(|(_, bytes)| !is_below(bytes, compacted));
                let segment = names::segment(dir, base);
                let filled = fill(io, dir, base, &segment, &records).await;
                placed += filled.map_err(|error| ReplayError::Io { path: segment, error })?;
            }
        }
        if placed > 0 {
            marks::reached!("engine: the journal was put into its segments");
        }
        tracing::info!(journal = %path.display(), records, placed, "journal put into its segments");
    }
    for (path, _) in journals {
        let removed = async {
            tasks::unlink(io, &path).await?;
            tasks::sync_dir(io, path.parent().unwrap_or(Path::new("."))).await
        };
        removed.await.map_err(|error| ReplayError::Io { path: path.clone(), error })?;
    }
    Ok(())
}

fn by_log<'a>(
    live: &[Journaled<'a>],
    logs: &'a BTreeMap<([u8; 16], i32), PathBuf>,
) -> BTreeMap<&'a PathBuf, Segments<'a>> {
    let mut found: BTreeMap<&PathBuf, Segments<'_>> = BTreeMap::new();
    for Journaled { place, bytes } in live {
        if let Some(dir) = logs.get(&(place.uid, place.partition)) {
            let segments = found.entry(dir).or_default();
            segments.entry(place.base).or_default().push((place.position, *bytes));
        }
    }
    found
}

/// Writes `records` into a segment, durably; says how many. A segment that is gone, and what a sealed index vouches for, needs
/// nothing.
async fn fill(io: &Io, dir: &Path, base: i64, segment: &Path, records: &[(u64, &[u8])]) -> io::Result<usize> {
    match OpenFile::open(io, segment, OpenMode::Read).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => drop(opened?),
    }
    let sealed = sealed_bytes(io, &names::index(dir, base)).await;
    let wanted = records.iter().filter(|(position, bytes)| position + bytes.len() as u64 > sealed);
    let wanted: Vec<_> = wanted.copied().collect();
    if wanted.is_empty() {
        return Ok(0);
    }
    let file = OpenFile::open(io, segment, OpenMode::Write).await?;
    for (at, bytes) in joined(&wanted) {
        io.call(Op::WriteV { file: file.id, at, bufs: vec![Slice::from(bytes)] }).await.result?;
    }
    if !marks::planted!("engine: remove the journal before its segments are flushed") {
        tasks::sync_data(io, &file).await?;
    }
    Ok(wanted.len())
}

/// Below this offset everything was sealed before it was compacted: its places hold other bytes now.
async fn compacted_below(io: &Io, dir: &Path) -> io::Result<i64> {
    let found = mark::load(io, dir).await?.and_then(Result::ok);
    Ok(found.map_or(i64::MIN, |found| found.mark.gaps_below))
}

/// True when the batches of a record begin below `offset`.
fn is_below(batches: &[u8], offset: i64) -> bool {
    if marks::planted!("engine: put the journal over what was compacted") {
        return false;
    }
    batches.first_chunk().is_some_and(|base| i64::from_be_bytes(*base) < offset)
}

async fn sealed_bytes(io: &Io, index: &Path) -> u64 {
    let file = tasks::read_whole(io, index, INDEX_BYTES_MAX).await;
    let index = file.ok().and_then(|file| SegmentIndex::from_file(&file).ok());
    index.map_or(0, |index| index.bytes)
}

/// Neighbours as one write each.
fn joined(records: &[(u64, &[u8])]) -> Vec<(u64, Vec<u8>)> {
    let mut writes: Vec<(u64, Vec<u8>)> = Vec::new();
    for &(at, bytes) in records {
        match writes.last_mut() {
            Some((begin, write)) if *begin + write.len() as u64 == at && write.len() < ZERO_BYTES => {
                write.extend_from_slice(bytes);
            }
            _ => writes.push((at, bytes.to_vec())),
        }
    }
    writes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_write() {
        let records: [(u64, &[u8]); 4] = [(0, b"ab"), (2, b"c"), (9, b"j"), (3, b"d")];
        let expected = [(0, b"abc".to_vec()), (9, b"j".to_vec()), (3, b"d".to_vec())];
        assert_eq!(joined(&records), expected);
    }
}

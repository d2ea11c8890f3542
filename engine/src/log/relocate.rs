//! Copying a log's files into another data folder, and the switch to the copy: each a sequence of file operations that owns nothing
//! of the set. When which is due is `set/relocate.rs`.
//!
//! ```text
//!   <to>/t-0.<id>-future/    made, filled while appends go on           a crash: removed at the start, and begun again
//!   <to>/t-0/  marked        everything durable, then renamed           a crash: t-0 in the old folder is the log
//!   <from>/t-0.<id>-delete/  renamed                                    a crash: the copy is the log
//!   <to>/t-0/  unmarked
//! ```
//! Nothing is appended from the moment the last bytes are copied until the log's old folder has its deleted name, durably. So as
//! long as both folders have the log's name they hold the same.

use super::check::{Check, Fed};
use super::files::{OpenFile, read_mode, write_mode};
use super::index::SegmentIndex;
use super::limits::{BLOCK_BYTES, INDEX_BYTES_MAX, RELOCATE_BYTES, STATE_BYTES_MAX};
use super::names;
use super::scan::read_at;
use super::set::remove_folder;
use super::tasks::{self, FloorJob};
use crate::io::{Op, OpenMode};
use crate::mem::{Buf, Slice};
use crate::shard::Io;
use protocol::batch::layout::HEADER_LEN;
use std::io;
use std::path::{Path, PathBuf};

/// Small files that say whose log it is, and what another broker knew of it.
const SMALL_FILES: [&str; 4] = [names::ORIGIN, names::ADOPTED, names::PARTITION_METADATA, names::KAFKA_EPOCHS];
/// As [`SMALL_FILES`], but it may change until the log stands still.
const CHANGING: &str = names::COMPACTED;

/// Makes an empty folder for the copy, with the files that say whose log it is. `from` is the log's folder, if it has one.
pub(super) async fn begin(io: &Io, from: Option<&Path>, to: &Path, uid: &[u8; 16], partition: i32) -> io::Result<()> {
    remove_folder(io, to).await?;
    let Some(from) = from else { return tasks::make_folder(io, to, uid, partition).await };
    tasks::make_dir(io, to).await?;
    for name in SMALL_FILES {
        copy_small(io, &from.join(name), &to.join(name), STATE_BYTES_MAX).await?;
    }
    tasks::sync_dir(io, to.parent().unwrap_or(Path::new("."))).await
}

/// Copies a small file durably, but for its name; one that is not there is fine.
async fn copy_small(io: &Io, from: &Path, to: &Path, max: u64) -> io::Result<()> {
    let bytes = match tasks::read_whole(io, from, max).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    let file = OpenFile::open(io, to, OpenMode::Write).await?;
    tasks::set_len(io, &file, 0).await?;
    io.call(Op::WriteV { file: file.id, at: 0, bufs: vec![Slice::from(bytes)] }).await.result?;
    tasks::sync_data(io, &file).await
}

/// Some of a segment, to be copied.
pub(super) struct CopyJob {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    /// Stands at the end of what the copy has, and knows how far it may go. Only what it has passed is copied.
    pub(super) check: Check,
}

impl CopyJob {
    /// Copies whole batches, about [`RELOCATE_BYTES`], each of them verified. Returns the check where they end.
    pub(super) async fn run(self, io: &Io) -> io::Result<Check> {
        let CopyJob { from, to, mut check } = self;
        let start = check.position();
        let at = start - start % BLOCK_BYTES;
        let skip = (start - at) as usize;
        let source = OpenFile::open(io, &from, read_mode(io)).await?;
        let mut wanted = HEADER_LEN;
        let buf = loop {
            let left = usize::try_from(check.left()).unwrap_or(usize::MAX);
            let len = (skip + wanted.max(RELOCATE_BYTES).min(left)).next_multiple_of(BLOCK_BYTES as usize);
            let buf = read_at(io, &source, at, len).await?;
            let fed = check.feed(buf.as_slice().get(skip..).unwrap_or_default());
            if let Some(damage) = check.damage() {
                return Err(invalid(format!("{}: {damage}", from.display())));
            }
            match fed {
                Fed::More(needed) if check.position() == start && buf.len() < len.min(skip + needed) => {
                    let (position, end) = (check.position(), check.position() + check.left());
                    return Err(invalid(format!("{}: nothing at byte {position}, expected {end}", from.display())));
                }
                Fed::More(needed) if check.position() == start => wanted = needed,
                Fed::More(_) | Fed::Done => break buf,
            }
        };
        let target = OpenFile::open(io, &to, write_mode(io)).await?;
        let bufs = vec![whole_blocks(buf, (check.position() - at) as usize)];
        io.call(Op::WriteV { file: target.id, at, bufs }).await.result?;
        Ok(check)
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The first `len` bytes, and zeros up to the end of their block.
fn whole_blocks(mut buf: Buf, len: usize) -> Slice {
    buf.truncate(len);
    let padding = len.next_multiple_of(BLOCK_BYTES as usize) - len;
    buf.fill_zero(padding);
    buf.freeze()
}

/// Completes the copy of a sealed segment: `check` has passed all of it, and the index of the original agrees.
pub(super) async fn finish_segment(io: &Io, from: &Path, to: &Path, base: i64, check: &Check) -> io::Result<()> {
    let index = names::index(from, base);
    let known = SegmentIndex::from_file(&tasks::read_whole(io, &index, INDEX_BYTES_MAX).await?);
    let known = known.map_err(|error| invalid(format!("{}: {error}", index.display())))?;
    if !check.agrees(&known) {
        return Err(invalid(format!("{}: its headers are not the ones that were sealed", index.display())));
    }
    cut(io, &names::segment(to, base), check.position()).await?;
    copy_small(io, &index, &names::index(to, base), INDEX_BYTES_MAX).await
}

/// Takes the padding off a segment's copy and makes the rest durable.
async fn cut(io: &Io, path: &Path, len: u64) -> io::Result<()> {
    let file = OpenFile::open(io, path, OpenMode::Write).await?;
    tasks::set_len(io, &file, len).await?;
    if marks::planted!("engine: leave a moved log unflushed in its new folder") {
        return Ok(());
    }
    tasks::sync_data(io, &file).await
}

/// The last things to do for a copy that has all batches of its log, which stands still.
pub(super) struct ReadyJob {
    /// The log's folder.
    pub(super) from: PathBuf,
    /// The copy's folder.
    pub(super) future: PathBuf,
    /// Base offsets of all segments.
    pub(super) segments: Vec<i64>,
    /// Those among them that are not sealed, and their bytes.
    pub(super) open: Vec<(i64, u64)>,
    /// Offsets of the snapshots.
    pub(super) snapshots: Vec<i64>,
}

impl ReadyJob {
    /// Everything of the log is in the copy afterwards, durably, and nothing else; and it is marked as one.
    pub(super) async fn run(self, io: &Io) -> io::Result<()> {
        for &(base, bytes) in &self.open {
            cut(io, &names::segment(&self.future, base), bytes).await?;
        }
        copy_small(io, &self.from.join(CHANGING), &self.future.join(CHANGING), STATE_BYTES_MAX).await?;
        for &upto in &self.snapshots {
            let name = |dir: &Path| names::snapshot(dir, upto);
            copy_small(io, &name(&self.from), &name(&self.future), STATE_BYTES_MAX).await?;
        }
        self.remove_strangers(io).await?;
        let mark = self.future.join(names::MOVED);
        drop(OpenFile::open(io, &mark, OpenMode::Write).await?);
        tasks::sync_dir(io, &self.future).await
    }

    /// Copies of segments that left the log meanwhile.
    async fn remove_strangers(&self, io: &Io) -> io::Result<()> {
        for entry in tasks::list(io, &self.future).await? {
            let base = match names::FileKind::of(&entry.name) {
                names::FileKind::Segment(base) | names::FileKind::Index(base) => base,
                _ => continue,
            };
            if !self.segments.contains(&base) {
                tasks::unlink(io, &self.future.join(entry.name)).await?;
            }
        }
        Ok(())
    }
}

/// The copy takes the log's place.
pub(super) struct SwitchJob {
    /// What is promised of the log in its new folder; durable before the log is there.
    pub(super) floor: FloorJob,
    /// The log's folder.
    pub(super) from: PathBuf,
    /// What its old folder is called afterwards.
    pub(super) deleted: PathBuf,
    /// The copy's folder.
    pub(super) future: PathBuf,
    /// What it is called afterwards.
    pub(super) to: PathBuf,
    /// Ready-made files of the log in its old data folder.
    pub(super) spares: Vec<PathBuf>,
}

/// Why a move did not end well.
#[derive(Debug)]
pub(super) enum SwitchError {
    /// The log is where it was.
    Undone(io::Error),
    /// Nobody can say which folder has the log's name on the device: a start finds out.
    Unknown(io::Error),
}

impl SwitchJob {
    pub(super) async fn run(self, io: &Io) -> Result<(), SwitchError> {
        let SwitchJob { floor, from, deleted, future, to, spares } = self;
        // At once: checkpoints are written in the order in which they were composed. Without it the copy would look like a log
        // that another broker wrote.
        floor.run(io).await.map_err(SwitchError::Undone)?;
        // An earlier move away from here may not have been cleared up.
        remove_folder(io, &deleted).await.map_err(SwitchError::Undone)?;
        tasks::rename(io, &future, &to).await.map_err(SwitchError::Undone)?;
        if let Err(error) = tasks::sync_dir(io, parent(&to)).await {
            return Err(undo(io, &to, &future, error).await);
        }
        match tasks::rename(io, &from, &deleted).await {
            // It was never written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(undo(io, &to, &future, error).await),
            Ok(()) => tasks::sync_dir(io, parent(&from)).await.map_err(SwitchError::Unknown)?,
        }
        tasks::unlink(io, &to.join(names::MOVED)).await.map_err(SwitchError::Unknown)?;
        tasks::sync_dir(io, &to).await.map_err(SwitchError::Unknown)?;
        for spare in &spares {
            // A start removes it.
            let _ = tasks::unlink(io, spare).await;
        }
        Ok(())
    }
}

/// The copy gives the log's name up again; its mark says the same to a start if that fails.
async fn undo(io: &Io, to: &Path, future: &Path, error: io::Error) -> SwitchError {
    let _ = name(io, to, future).await;
    SwitchError::Undone(error)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Renames a folder within its data folder, durably.
async fn name(io: &Io, from: &Path, to: &Path) -> io::Result<()> {
    tasks::rename(io, from, to).await?;
    tasks::sync_dir(io, parent(to)).await
}

/// Whether a log's folder is the copy of a move that did not end: then, if there is another folder of the log, that is the log.
pub(super) async fn is_moved_copy(io: &Io, dir: &Path) -> io::Result<bool> {
    Ok(tasks::list(io, dir).await?.iter().any(|entry| entry.name == names::MOVED))
}

/// Removes the copy of a move that did not end; a crash in the middle leaves nothing that looks like a log.
pub(super) async fn remove_copy(io: &Io, dir: &Path, uid: &[u8; 16]) -> io::Result<()> {
    let deleted = names::deleted_folder(dir, uid);
    name(io, dir, &deleted).await?;
    remove_folder(io, &deleted).await
}

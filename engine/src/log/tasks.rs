//! Sequences of file operations that take several steps: making folders and segments, naming, atomic replacement,
//! removal. Each is one async function over the shard's [`Io`] and owns nothing of the log set.

use super::copies::TopicSeal;
use super::files::{OpenFile, write_mode};
use super::names;
use crate::io::{DirEntry, Op, OpenMode};
use crate::mem::Slice;
use crate::shard::{Class, Io};
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub(super) async fn make_dir(io: &Io, path: &Path) -> io::Result<()> {
    io.call(Op::MakeDir { path: path.to_owned() }).await.result.map(drop)
}

pub(super) async fn sync_dir(io: &Io, path: &Path) -> io::Result<()> {
    if marks::planted!("engine: skip the folder sync") {
        return Ok(());
    }
    io.call(Op::SyncDir { path: path.to_owned() }).await.result.map(drop)
}

/// What a folder holds.
pub(super) async fn list(io: &Io, path: &Path) -> io::Result<Vec<DirEntry>> {
    let done = io.call(Op::List { path: path.to_owned(), entries: Vec::new() }).await;
    done.result?;
    let Op::List { entries, .. } = done.op else { unreachable!("a completion returns its op") };
    Ok(entries)
}

pub(super) async fn rename(io: &Io, from: &Path, to: &Path) -> io::Result<()> {
    io.call(Op::Rename { from: from.to_owned(), to: to.to_owned() }).await.result.map(drop)
}

/// Removes a file; one that is not there is fine.
pub async fn unlink(io: &Io, path: &Path) -> io::Result<()> {
    match io.call(Op::Unlink { path: path.to_owned() }).await.result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) async fn sync_data(io: &Io, file: &OpenFile) -> io::Result<()> {
    io.call(Op::SyncData { file: file.id }).await.result.map(drop)
}

pub(super) async fn set_len(io: &Io, file: &OpenFile, len: u64) -> io::Result<()> {
    io.call(Op::SetLen { file: file.id, len }).await.result.map(drop)
}

pub(super) async fn allocate(io: &Io, file: &OpenFile, at: u64, len: u64) -> io::Result<()> {
    io.call(Op::Allocate { file: file.id, at, len }).await.result.map(drop)
}

/// Replaces `path` by `bytes` so that a crash leaves the old file or the new one.
pub async fn replace(io: &Io, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
    let temporary = names::temporary(path);
    let file = OpenFile::open(io, &temporary, OpenMode::Write).await?;
    set_len(io, &file, 0).await?;
    let bufs = vec![Slice::from(bytes)];
    io.call(Op::WriteV { file: file.id, at: 0, bufs }).await.result?;
    if !marks::planted!("engine: rename before the sync") {
        sync_data(io, &file).await?;
    }
    drop(file);
    rename(io, &temporary, path).await?;
    sync_dir(io, path.parent().unwrap_or(Path::new("."))).await
}

/// A whole file of at most `max` bytes. `InvalidData` for a larger one.
pub async fn read_whole(io: &Io, path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = OpenFile::open(io, path, OpenMode::Read).await?;
    if file.len > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} bytes, at most {max} expected", file.len)));
    }
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < file.len {
        let room = (file.len as usize - bytes.len()).min(super::limits::ZERO_BYTES);
        let buf = crate::mem::Buf::with_capacity(room);
        let done = io.call(Op::Read { file: file.id, at: bytes.len() as u64, buf }).await;
        done.result?;
        let Op::Read { buf, .. } = done.op else { unreachable!("a completion returns its op") };
        if buf.is_empty() {
            break;
        }
        bytes.extend_from_slice(buf.as_slice());
    }
    Ok(bytes)
}

/// Makes the folder of a log with its `partition.metadata` and the mark that it is ours, durably.
pub(super) async fn make_folder(io: &Io, dir: &Path, uid: &[u8; 16], partition: i32) -> io::Result<()> {
    make_dir(io, dir).await?;
    let metadata = dir.join(names::PARTITION_METADATA);
    let origin = OpenFile::open(io, &dir.join(names::ORIGIN), OpenMode::Write).await?;
    let bufs = vec![Slice::from(TopicSeal::of(*uid, partition).to_file())];
    // Not by renaming: its name becomes durable with that of the next file, and a torn one is written again by recovery.
    io.call(Op::WriteV { file: origin.id, at: 0, bufs }).await.result?;
    sync_data(io, &origin).await?;
    drop(origin);
    replace(io, &metadata, super::kafka_files::partition_metadata(uid).into_bytes()).await?;
    sync_dir(io, dir.parent().unwrap_or(Path::new("."))).await
}

/// Makes a new segment file of `reserved` bytes at `path`, durably. Leaves nothing behind when it fails.
pub(super) async fn create(io: &Io, path: &Path, reserved: u64) -> io::Result<Rc<OpenFile>> {
    let mode = if io.caps().direct { OpenMode::CreateDirect } else { OpenMode::Write };
    let file = OpenFile::open(io, path, mode).await?;
    let made = async {
        allocate(io, &file, 0, reserved).await?;
        sync_data(io, &file).await?;
        sync_dir(io, path.parent().unwrap_or(Path::new("."))).await
    };
    match made.await {
        Ok(()) => Ok(file),
        Err(error) => {
            drop(file);
            // The first error is the one to report; a leftover is found at the next start.
            let _ = unlink(io, path).await;
            Err(error)
        }
    }
}

/// A checkpoint to be made durable: whose turn it is, and what to write where.
#[derive(Clone)]
pub(super) struct FloorJob {
    pub(super) lock: Class,
    pub(super) data: PathBuf,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl FloorJob {
    pub(super) async fn run(self, io: &Io) -> io::Result<()> {
        let _turn = self.lock.acquire().await;
        make_private(io, &self.data).await?;
        replace(io, &self.path, self.bytes).await
    }
}

/// A checkpoint that several tasks wait for: the first one writes it, and the others find it done. It holds an entry for each log,
/// so one for each of thousands of tasks would be gigabytes.
#[derive(Clone)]
pub(super) struct SharedFloor(Rc<Shared>);

struct Shared {
    turn: Class,
    /// Absent once somebody has taken it on.
    job: Cell<Option<FloorJob>>,
    is_durable: Cell<bool>,
}

impl SharedFloor {
    pub(super) fn new(io: &Io, job: FloorJob) -> SharedFloor {
        let turn = Class::new(io, 1);
        SharedFloor(Rc::new(Shared { turn, job: Cell::new(Some(job)), is_durable: Cell::new(false) }))
    }

    /// Returns once it is durable; fails for everybody when it cannot be written.
    pub(super) async fn run(&self, io: &Io) -> io::Result<()> {
        let _turn = self.0.turn.acquire().await;
        if let Some(job) = self.0.job.take() {
            job.run(io).await?;
            self.0.is_durable.set(true);
        }
        if self.0.is_durable.get() { Ok(()) } else { Err(io::Error::other("the checkpoint before it was not written")) }
    }
}

/// Gives a ready-made file its name in a log's folder, durably.
pub(super) async fn name(io: &Io, from: PathBuf, to: PathBuf) -> io::Result<()> {
    rename(io, &from, &to).await?;
    sync_dir(io, to.parent().unwrap_or(Path::new("."))).await?;
    sync_dir(io, from.parent().unwrap_or(Path::new("."))).await
}

/// Makes the private folders of a data folder.
pub(super) async fn make_private(io: &Io, data: &Path) -> io::Result<()> {
    make_dir(io, &names::private(data)).await?;
    make_dir(io, &names::spares(data)).await?;
    sync_dir(io, &names::private(data)).await?;
    sync_dir(io, data).await
}

/// Writes zeros over the first `len` bytes of a new file, so that later writes need no new extents. One write in
/// flight, and everybody else goes first. Gives up once `closing` is set: a shutdown does not wait for what it removes.
pub(super) async fn write_zeros(io: &Io, path: &Path, len: u64, closing: &Cell<bool>) -> io::Result<()> {
    let file = OpenFile::open(io, path, write_mode(io)).await?;
    allocate(io, &file, 0, len).await?;
    let mut zeros = crate::mem::Buf::with_capacity(super::limits::ZERO_BYTES);
    zeros.fill_zero(super::limits::ZERO_BYTES);
    let zeros = zeros.freeze();
    let mut at = 0;
    while at < len {
        if closing.get() {
            drop(file);
            unlink(io, path).await?;
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = (len - at).min(zeros.len() as u64) as usize;
        let bufs = vec![zeros.slice(0..count)];
        io.call(Op::WriteV { file: file.id, at, bufs }).await.result?;
        at += count as u64;
        io.yield_now().await;
    }
    sync_data(io, &file).await
}

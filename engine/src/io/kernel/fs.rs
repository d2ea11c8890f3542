//! Disk ops as blocking system calls: what the helper thread runs.

use super::{check, count, vectors};
use crate::io::{DirEntry, Op, OpenMode};
use crate::mem::{Buf, Slice};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What came of a disk op.
pub(in crate::io) struct Performed {
    pub(in crate::io) result: io::Result<u32>,
    /// The file that an [`Op::Open`] opened.
    pub(in crate::io) opened: Option<OwnedFd>,
    /// Direct I/O was refused and buffered I/O took its place.
    pub(in crate::io) lost_direct: bool,
}

/// Runs a disk op to its end. `fd` is the descriptor of the op's file where it names one.
pub(in crate::io) fn perform(op: &mut Op, fd: RawFd) -> Performed {
    let mut lost_direct = false;
    let mut opened = None;
    let result = match op {
        Op::Open { path, mode, len } => open(path, *mode, &mut lost_direct).and_then(|file| {
            *len = file_len(file.as_raw_fd())?;
            opened = Some(file);
            Ok(0)
        }),
        Op::Read { at, buf, .. } => read(fd, *at, buf),
        Op::WriteV { at, bufs, .. } => write(fd, *at, bufs, 0, &mut lost_direct),
        Op::WriteSynced { at, bufs, .. } if syncs_writes(fd) => write(fd, *at, bufs, libc::RWF_DSYNC, &mut lost_direct),
        Op::WriteSynced { at, bufs, .. } => write(fd, *at, bufs, 0, &mut lost_direct).and_then(|count| {
            // SAFETY: a call without pointers on a descriptor that the driver holds open.
            done(unsafe { libc::fdatasync(fd) }).map(|_| count)
        }),
        // SAFETY: calls without pointers on a descriptor that the driver holds open.
        Op::SyncData { .. } => done(unsafe { libc::fdatasync(fd) }),
        // SAFETY: as above.
        Op::Allocate { at, len, .. } => done(unsafe { libc::fallocate(fd, 0, *at as i64, *len as i64) }),
        // SAFETY: as above.
        Op::SetLen { len, .. } => done(unsafe { libc::ftruncate(fd, *len as i64) }),
        Op::Rename { from, to } => std::fs::rename(from, to).map(|()| 0),
        Op::Unlink { path } => std::fs::remove_file(path).map(|()| 0),
        Op::MakeDir { path } => make_dir(path),
        Op::RemoveDir { path } => std::fs::remove_dir(path).map(|()| 0),
        Op::SyncDir { path } => std::fs::File::open(path).and_then(|dir| dir.sync_all()).map(|()| 0),
        Op::List { path, entries } => list(path).map(|found| {
            *entries = found;
            0
        }),
        Op::FreeSpace { path, free, total } => free_space(path).map(|(usable, all)| {
            (*free, *total) = (usable, all);
            0
        }),
        other => unreachable!("{other:?} is not an op of the disk"),
    };
    Performed { result, opened, lost_direct }
}

/// File systems of which it is known that a write with RWF_DSYNC reaches the device before it completes, direct or not.
const SYNCING: [libc::c_long; 4] =
    [libc::EXT4_SUPER_MAGIC, libc::XFS_SUPER_MAGIC, libc::BTRFS_SUPER_MAGIC, libc::F2FS_SUPER_MAGIC];

/// Whether a write with RWF_DSYNC is as good as a write and a flush on the file system of `fd`. FUSE takes the flag and flushes
/// nothing for a direct write, and others may do likewise: only what is known is trusted.
pub(in crate::io) fn syncs_writes(fd: RawFd) -> bool {
    // SAFETY: all zeros is a valid statfs.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the struct we own.
    let known = check(unsafe { libc::fstatfs(fd, &raw mut stat) }).is_ok();
    known && SYNCING.contains(&stat.f_type)
}

fn done(rc: i32) -> io::Result<u32> {
    check(rc).map(|_| 0)
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn open(path: &Path, mode: OpenMode, lost_direct: &mut bool) -> io::Result<OwnedFd> {
    let (flags, direct) = match mode {
        OpenMode::Read => (libc::O_RDONLY, 0),
        OpenMode::ReadDirect => (libc::O_RDONLY, libc::O_DIRECT),
        OpenMode::Write => (libc::O_RDWR | libc::O_CREAT, 0),
        OpenMode::WriteDirect => (libc::O_RDWR | libc::O_CREAT, libc::O_DIRECT),
        OpenMode::CreateDirect => (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, libc::O_DIRECT),
    };
    match open_with(path, flags | direct) {
        // A file system without direct I/O may have created the file before it refused: O_EXCL must not trip over that.
        Err(error) if direct != 0 && error.raw_os_error() == Some(libc::EINVAL) => {
            *lost_direct = true;
            open_with(path, flags & !libc::O_EXCL)
        }
        result => result,
    }
}

fn open_with(path: &Path, flags: i32) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    // SAFETY: the path is a C string that lives across the call.
    let fd = check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o644) })?;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// A file without a name on the file system of the folder `dir`; gone when it closes.
#[cfg(feature = "glommio")]
pub(in crate::io) fn open_unnamed(dir: &Path) -> io::Result<OwnedFd> {
    open_with(dir, libc::O_TMPFILE | libc::O_RDWR)
}

/// The device that an open file is on.
#[cfg(feature = "glommio")]
pub(in crate::io) fn device(fd: RawFd) -> io::Result<u64> {
    // SAFETY: all zeros is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the struct we own.
    check(unsafe { libc::fstat(fd, &raw mut stat) })?;
    Ok(stat.st_dev)
}

fn file_len(fd: RawFd) -> io::Result<u64> {
    // SAFETY: all zeros is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the struct we own.
    check(unsafe { libc::fstat(fd, &raw mut stat) })?;
    if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    Ok(stat.st_size as u64)
}

fn read(fd: RawFd, at: u64, buf: &mut Buf) -> io::Result<u32> {
    let had = buf.len();
    while buf.spare_len() > 0 {
        let offset = (at + (buf.len() - had) as u64) as i64;
        // SAFETY: the spare room is ours and writable for its whole length.
        let rc = unsafe { libc::pread(fd, buf.spare_ptr().cast(), buf.spare_len(), offset) };
        match check(rc as i64) {
            Ok(0) => break,
            // SAFETY: the kernel wrote that many bytes.
            Ok(got) => unsafe { buf.advance(got) },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Direct reads go on in whole blocks only; what came before is the end of the file.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && buf.len() > had => break,
            Err(error) => return Err(error),
        }
    }
    Ok(count(buf.len() - had))
}

fn write(fd: RawFd, at: u64, bufs: &[Slice], flags: i32, lost_direct: &mut bool) -> io::Result<u32> {
    let (mut done, total) = (0, vectors::total(bufs));
    let mut iovecs = Vec::with_capacity(bufs.len());
    while done < total {
        vectors::remaining(bufs, done, &mut iovecs);
        // SAFETY: the vectors point into slices that the op holds across the call.
        let rc = unsafe { libc::pwritev2(fd, iovecs.as_ptr(), iovecs.len() as i32, (at + done as u64) as i64, flags) };
        match check(rc as i64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(wrote) => done += wrote,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && drop_direct(fd)? => *lost_direct = true,
            Err(error) => return Err(error),
        }
    }
    Ok(count(total))
}

/// Turns direct I/O off for `fd`; false when it was off already.
pub(in crate::io) fn drop_direct(fd: RawFd) -> io::Result<bool> {
    // SAFETY: calls without pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })? as i32;
    if flags & libc::O_DIRECT == 0 {
        return Ok(false);
    }
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_DIRECT) })?;
    Ok(true)
}

fn make_dir(path: &Path) -> io::Result<u32> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(0),
        result => result.map(|()| 0),
    }
}

fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The listing itself says that much: a folder of ten thousand folders is not asked about each.
        if entry.file_type()?.is_dir() {
            entries.push(DirEntry { name, is_dir: true, len: 0 });
            continue;
        }
        match entry.metadata() {
            Ok(metadata) => entries.push(DirEntry { name, is_dir: false, len: metadata.len() }),
            // Removed while we looked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Usable and all bytes.
fn free_space(path: &Path) -> io::Result<(u64, u64)> {
    let path = c_path(path)?;
    // SAFETY: all zeros is a valid statvfs.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string that lives across the call, and the kernel fills the struct we own.
    check(unsafe { libc::statvfs(path.as_ptr(), &raw mut stat) })?;
    Ok((stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
}

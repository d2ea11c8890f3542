//! Files as the crate has them: direct ones write from its own aligned buffers, which costs a copy, and so do reads.

use crate::io::OpenMode;
use crate::io::kernel::{count, fs, vectors};
use crate::mem::{BLOCK, Buf, Slice};
use glommio::GlommioError;
use glommio::io::{BufferedFile, DmaFile, OpenOptions, ReadResult};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;

/// Most bytes in one buffer of the crate; what is longer is moved in several rounds.
const ROUND_BYTES: usize = 4 << 20;

/// An open file.
pub(super) enum File {
    Direct(DmaFile),
    Buffered(BufferedFile),
}

impl File {
    /// Takes over `file`, which the helper thread has opened, for buffered I/O.
    pub(super) fn buffered(file: OwnedFd) -> File {
        // SAFETY: the descriptor is open and given away here.
        File::Buffered(unsafe { BufferedFile::from_raw_fd(file.into_raw_fd()) })
    }

    /// As [`File::buffered`], for direct I/O. The crate makes direct files by path only, so it opens the same file once
    /// more. Where direct I/O is refused after all, or cannot be tried, the file is buffered and `direct` turns false.
    pub(super) async fn direct(file: OwnedFd, path: &Path, mode: OpenMode, devices: &Devices) -> io::Result<File> {
        let opened = match devices.probe(&file, path).await {
            Ok(()) => open_again(&file, mode != OpenMode::ReadDirect).await,
            Err(error) => Err(error),
        };
        match opened {
            Ok(file) => Ok(File::Direct(file)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EISDIR)) => {
                fs::drop_direct(file.as_raw_fd())?;
                devices.direct.set(false);
                Ok(File::buffered(file))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn fd(&self) -> RawFd {
        match self {
            File::Direct(file) => file.as_raw_fd(),
            File::Buffered(file) => file.as_raw_fd(),
        }
    }

    /// Reads until `buf` is full or the file ends.
    pub(super) async fn read(&self, at: u64, buf: &mut Buf) -> io::Result<u32> {
        let had = buf.len();
        while buf.spare_len() > 0 {
            let moved = buf.len() - had;
            match self.read_round(at + moved as u64, buf.spare_len().min(ROUND_BYTES)).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => buf.extend_from_slice(&bytes),
                Err(error) if is_passing(&error) => {}
                // Direct reads go on in whole blocks only; what came before is the end of the file.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) && moved > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count(buf.len() - had))
    }

    async fn read_round(&self, at: u64, bytes: usize) -> io::Result<ReadResult> {
        match self {
            File::Direct(file) => file.read_at_aligned(at, bytes).await.map_err(reason),
            File::Buffered(file) => file.read_at(at, bytes).await.map_err(reason),
        }
    }

    /// Writes all of `bufs`. Direct I/O that is refused turns `direct` false and is left out from then on.
    pub(super) async fn write(&self, at: u64, bufs: &[Slice], direct: &Cell<bool>) -> io::Result<u32> {
        let (mut moved, total) = (0, vectors::total(bufs));
        while moved < total {
            match self.write_round(at + moved as u64, bufs, moved, (total - moved).min(ROUND_BYTES)).await {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => moved += bytes,
                Err(error) if is_passing(&error) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) && fs::drop_direct(self.fd())? => {
                    direct.set(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(count(total))
    }

    async fn write_round(&self, at: u64, bufs: &[Slice], skip: usize, bytes: usize) -> io::Result<usize> {
        match self {
            File::Direct(file) => {
                let mut buf = file.alloc_dma_buffer(bytes);
                gather(bufs, skip, buf.as_bytes_mut());
                file.write_at(buf, at).await.map_err(reason)
            }
            File::Buffered(file) => {
                let mut buf = vec![0; bytes];
                gather(bufs, skip, &mut buf);
                file.write_at(buf, at).await.map_err(reason)
            }
        }
    }

    pub(super) async fn sync(&self) -> io::Result<u32> {
        let synced = match self {
            File::Direct(file) => file.fdatasync().await,
            File::Buffered(file) => file.fdatasync().await,
        };
        synced.map(|()| 0).map_err(reason)
    }

    pub(super) async fn close(self) {
        // A close never fails usefully.
        let _ = match self {
            File::Direct(file) => file.close().await,
            File::Buffered(file) => file.close().await,
        };
    }
}

/// The same file as `file`, as one of the crate's direct ones.
async fn open_again(file: &OwnedFd, write: bool) -> io::Result<DmaFile> {
    let mut options = OpenOptions::new();
    options.read(true).write(write);
    options.dma_open(format!("/proc/self/fd/{}", file.as_raw_fd())).await.map_err(reason)
}

/// What is known of the devices that files are on.
pub(super) struct Devices {
    /// Direct I/O has worked everywhere so far.
    pub(super) direct: Cell<bool>,
    probed: RefCell<BTreeSet<u64>>,
}

impl Devices {
    pub(super) fn new() -> Devices {
        Devices { direct: Cell::new(true), probed: RefCell::default() }
    }

    /// Lets the crate find out whether the device of `file` can be polled. It tries that once a device, with a read of the
    /// first direct file it opens there; at an empty file that read never reaches the device and seems to work, and every
    /// later one fails. So that first file is one of ours, with a block in it and without a name.
    async fn probe(&self, file: &OwnedFd, path: &Path) -> io::Result<()> {
        let device = fs::device(file.as_raw_fd())?;
        if self.probed.borrow().contains(&device) {
            return Ok(());
        }
        let unnamed = fs::open_unnamed(path.parent().unwrap_or(Path::new(".")))?;
        let block = File::buffered(unnamed.try_clone()?);
        block.write(0, &[Slice::copy_of(&[0; BLOCK])], &self.direct).await?;
        block.sync().await?;
        block.close().await;
        open_again(&unnamed, false).await?;
        self.probed.borrow_mut().insert(device);
        Ok(())
    }
}

/// Copies the bytes of `bufs` after the first `skip` to `out`, which they fill.
fn gather(bufs: &[Slice], mut skip: usize, mut out: &mut [u8]) {
    for buf in bufs {
        if skip >= buf.len() {
            skip -= buf.len();
            continue;
        }
        let part = &buf[skip..];
        skip = 0;
        let (head, rest) = out.split_at_mut(part.len().min(out.len()));
        head.copy_from_slice(&part[..head.len()]);
        out = rest;
    }
    assert!(out.is_empty(), "a round is no longer than what is left");
}

/// What passes by itself when it is tried again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN))
}

/// The system's error in the crate's.
fn reason<T: std::fmt::Debug>(error: GlommioError<T>) -> io::Error {
    match error {
        GlommioError::IoError(error) => error,
        GlommioError::EnhancedIoError { source, .. } => source,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_what_is_left() {
        let bufs: Vec<_> = ["abc", "", "de", "f"].iter().map(|text| Slice::copy_of(text.as_bytes())).collect();
        for (skip, bytes, expect) in [(0, 6, "abcdef"), (1, 3, "bcd"), (3, 2, "de"), (4, 2, "ef"), (6, 0, "")] {
            let mut out = vec![0; bytes];
            gather(&bufs, skip, &mut out);
            assert_eq!(out, expect.as_bytes(), "{bytes} bytes after {skip}");
        }
    }
}

//! One file: its bytes in the folder underneath, and how to take back what no sync has made durable.
//!
//! Bytes that are overwritten or cut off are kept until the next sync, so that a sync that loses its data and a power cut
//! can put them back. Names have no such memory: they are durable at once.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Free bytes that a test allows; `None` is what the folder underneath has.
#[derive(Default)]
pub(crate) struct Room(Mutex<Option<u64>>);

impl Room {
    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, bytes: Option<u64>) {
        *self.lock() = bytes;
    }

    pub(crate) fn left(&self) -> Option<u64> {
        *self.lock()
    }

    /// Bytes that a file wants to grow by: ENOSPC if they are not there.
    pub(crate) fn take(&self, bytes: u64) -> io::Result<()> {
        let mut left = self.lock();
        match *left {
            Some(free) if free < bytes => return Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            Some(free) => *left = Some(free - bytes),
            None => {}
        }
        Ok(())
    }

    pub(crate) fn give(&self, bytes: u64) {
        let mut left = self.lock();
        *left = left.map(|free| free + bytes);
    }
}

/// A change that a power cut takes back: `bytes` were at `at`, and the file was `len` long.
struct Undo {
    at: u64,
    bytes: Vec<u8>,
    len: u64,
}

/// A file that was opened at least once.
pub(crate) struct Backed {
    file: File,
    /// What was changed since the last sync, oldest first. Locked for the whole of every change.
    unsynced: Mutex<Vec<Undo>>,
}

impl Backed {
    pub(crate) fn open(path: &Path, new: bool, must_be_new: bool) -> io::Result<Backed> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(new).create_new(must_be_new);
        Ok(Backed { file: options.open(path)?, unsynced: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Undo>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    pub(crate) fn read(&self, at: u64, room: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; room];
        let mut got = 0;
        while got < room {
            match self.file.read_at(&mut bytes[got..], at + got as u64)? {
                0 => break,
                count => got += count,
            }
        }
        bytes.truncate(got);
        Ok(bytes)
    }

    /// What is at `range` now, as something to put back.
    fn remember(&self, at: u64, count: u64) -> io::Result<Undo> {
        Ok(Undo { at, bytes: self.read(at, count as usize)?, len: self.file.metadata()?.len() })
    }

    pub(crate) fn write(&self, at: u64, data: &[u8], room: &Room) -> io::Result<()> {
        let mut unsynced = self.lock();
        let undo = self.remember(at, data.len() as u64)?;
        room.take((at + data.len() as u64).saturating_sub(undo.len))?;
        unsynced.push(undo);
        self.file.write_all_at(data, at)
    }

    pub(crate) fn allocate(&self, at: u64, len: u64, mode: i32, room: &Room) -> io::Result<()> {
        let mut unsynced = self.lock();
        let undo = self.remember(at, 0)?;
        room.take((at + len).saturating_sub(undo.len))?;
        unsynced.push(undo);
        let mode = nix::fcntl::FallocateFlags::from_bits_retain(mode);
        Ok(nix::fcntl::fallocate(&self.file, mode, at as i64, len as i64)?)
    }

    pub(crate) fn set_len(&self, len: u64, room: &Room) -> io::Result<()> {
        let mut unsynced = self.lock();
        let now = self.file.metadata()?.len();
        room.take(len.saturating_sub(now))?;
        unsynced.push(self.remember(len, now.saturating_sub(len))?);
        self.file.set_len(len)?;
        room.give(now.saturating_sub(len));
        Ok(())
    }

    /// Everything written so far is durable. The folder underneath is not synced: this file system decides what lasts.
    pub(crate) fn sync(&self) {
        self.lock().clear();
    }

    /// Takes back everything since the last sync.
    pub(crate) fn lose_unsynced(&self, room: &Room) -> io::Result<()> {
        let mut unsynced = self.lock();
        let before = self.file.metadata()?.len();
        for undo in std::mem::take(&mut *unsynced).into_iter().rev() {
            self.file.write_all_at(&undo.bytes, undo.at)?;
            self.file.set_len(undo.len)?;
        }
        room.give(before.saturating_sub(self.file.metadata()?.len()));
        Ok(())
    }
}

//! Open files by id.

use super::fs;
use super::slots::Slots;
use crate::io::FileId;
use std::cell::OnceCell;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// An open file.
struct File {
    descriptor: OwnedFd,
    /// Its file system is known to flush what is written with RWF_DSYNC; asked once somebody writes, as most files are only read.
    syncs_writes: OnceCell<bool>,
}

/// The open files of one driver.
pub(in crate::io) struct Files(Slots<File>);

impl Files {
    pub(in crate::io) fn new() -> Files {
        Files(Slots::new())
    }

    pub(in crate::io) fn insert(&mut self, descriptor: OwnedFd) -> FileId {
        FileId(self.0.insert(File { descriptor, syncs_writes: OnceCell::new() }))
    }

    /// The descriptor of an open file; an id that is not open is our own mistake.
    pub(in crate::io) fn fd(&self, file: FileId) -> RawFd {
        self.file(file).descriptor.as_raw_fd()
    }

    /// Whether one entry writes and flushes; otherwise it takes two steps.
    pub(in crate::io) fn syncs_writes(&self, file: FileId) -> bool {
        let File { descriptor, syncs_writes } = self.file(file);
        *syncs_writes.get_or_init(|| fs::syncs_writes(descriptor.as_raw_fd()))
    }

    pub(in crate::io) fn remove(&mut self, file: FileId) -> OwnedFd {
        #[expect(clippy::expect_used, reason = "a FileId is made by Open only and dies in Close")]
        self.0.remove(file.0).expect("the file is open").descriptor
    }

    fn file(&self, file: FileId) -> &File {
        #[expect(clippy::expect_used, reason = "a FileId is made by Open only and dies in Close")]
        self.0.get(file.0).expect("the file is open")
    }
}

//! Open files by id.

use super::slots::Slots;
use crate::io::FileId;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// The open files of one driver.
pub(in crate::io) struct Files(Slots<OwnedFd>);

impl Files {
    pub(in crate::io) fn new() -> Files {
        Files(Slots::new())
    }

    pub(in crate::io) fn insert(&mut self, file: OwnedFd) -> FileId {
        FileId(self.0.insert(file))
    }

    /// The descriptor of an open file; an id that is not open is our own mistake.
    pub(in crate::io) fn fd(&self, file: FileId) -> RawFd {
        #[expect(clippy::expect_used, reason = "a FileId is made by Open only and dies in Close")]
        self.0.get(file.0).expect("the file is open").as_raw_fd()
    }

    pub(in crate::io) fn remove(&mut self, file: FileId) -> OwnedFd {
        #[expect(clippy::expect_used, reason = "a FileId is made by Open only and dies in Close")]
        self.0.remove(file.0).expect("the file is open")
    }
}

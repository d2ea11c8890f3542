//! What the real drivers share: system calls with our buffers, a helper thread for those that block, descriptors by
//! id, timers, waking. What differs between them (who waits for what) is in their own folders.

pub(super) mod clock;
pub(super) mod files;
pub(super) mod flight;
pub(super) mod fs;
pub(super) mod helper;
pub(super) mod nic;
pub(super) mod rings;
pub(super) mod slots;
pub(super) mod socket;
pub(super) mod timers;
pub(super) mod vectors;
pub(super) mod wake;

use std::io;

/// The result of a system call that says -1 for failure and leaves the reason in errno.
pub(super) fn check(rc: impl Into<i64>) -> io::Result<usize> {
    let rc = rc.into();
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc as usize) }
}

/// A byte count as completions carry it. Ops are bounded far below 4 GiB by what a shard may hold in flight.
pub(super) fn count(bytes: usize) -> u32 {
    #[expect(clippy::expect_used, reason = "no shard holds 4 GiB in one op")]
    u32::try_from(bytes).expect("an op moves less than 4 GiB")
}

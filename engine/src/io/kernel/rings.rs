//! Rings that a crate makes and keeps to itself, found by their descriptors, so that they can hold files.
//!
//! Every driver makes its rings under one lock, so what is new among the process's descriptors meanwhile is that driver's.

use super::check;
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::sync::Mutex;

/// Held by whoever makes rings.
static MAKING: Mutex<()> = Mutex::new(());

/// What the kernel calls a ring in `/proc/self/fd`.
const RING: &str = "anon_inode:[io_uring]";

/// Runs `make`, and says which rings the process has since.
pub(in crate::io) fn watched<T>(make: impl FnOnce() -> T) -> (T, Vec<RawFd>) {
    // Nothing is guarded but the moment: a panic of somebody else leaves nothing broken.
    let _making = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let before = rings();
    let made = make();
    let mut after = rings();
    after.retain(|ring| !before.contains(ring));
    (made, after)
}

/// The descriptors of all rings; none where /proc cannot be read.
fn rings() -> Vec<RawFd> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let is_ring = |path: &std::path::Path| fs::read_link(path).is_ok_and(|target| target.as_os_str() == RING);
    entries
        .flatten()
        .filter(|entry| is_ring(&entry.path()))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Keeps `files` open for as long as `ring` lives in the kernel, which may be longer than this process.
pub(in crate::io) fn hold(ring: RawFd, files: &[RawFd]) -> io::Result<()> {
    /// Of io_uring_register.
    const REGISTER_FILES: u32 = 2;
    let count = files.len() as u32;
    // SAFETY: the kernel reads `count` descriptors from the slice and keeps no pointer to it.
    let rc = unsafe { libc::syscall(libc::SYS_io_uring_register, ring, REGISTER_FILES, files.as_ptr(), count) };
    check(rc).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn finds_the_rings_that_were_made_and_no_others() {
        let Ok(other) = io_uring::IoUring::new(2) else {
            eprintln!("skipped: there is no io_uring here");
            return;
        };
        let (ring, found) = watched(|| io_uring::IoUring::new(2).expect("the first one worked"));
        assert_eq!(found, [ring.as_raw_fd()]);
        assert!(!found.contains(&other.as_raw_fd()));
        hold(found[0], &[0, 1]).expect("any open file can be registered");
        hold(found[0], &[0]).expect_err("once");
    }
}

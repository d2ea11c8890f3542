//! Waking a driver that waits in the kernel: an eventfd behind a [`Signal`], which says why no wake gets lost.

use super::check;
use crate::io::Waker;
use crate::mailbox::Signal;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Shared between a driver and everybody who wakes it.
pub(in crate::io) struct EventWaker {
    event: OwnedFd,
    signal: Signal,
}

impl EventWaker {
    /// Non-blocking for epoll; blocking where a ring waits for it, because a ring does not wait on non-blocking files.
    pub(in crate::io) fn new(flags: i32) -> io::Result<EventWaker> {
        // SAFETY: a call without pointers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | flags) })?;
        // SAFETY: the kernel just gave us this descriptor.
        let event = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
        Ok(EventWaker { event, signal: Signal::new() })
    }

    pub(in crate::io) fn fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Empties the eventfd, which must be non-blocking, and then the flag.
    pub(in crate::io) fn drain(&self) {
        let mut value = 0u64;
        // SAFETY: the kernel writes 8 bytes into the value we own. EAGAIN means that there was nothing to drain.
        unsafe { libc::read(self.fd(), (&raw mut value).cast(), 8) };
        self.clear();
    }

    /// Clears the flag after the eventfd was read.
    pub(in crate::io) fn clear(&self) {
        self.signal.lower();
    }
}

impl Waker for EventWaker {
    fn wake(&self) {
        if self.signal.raise() {
            let one = 1u64;
            // SAFETY: the kernel reads 8 bytes of a value we own. It cannot fail: the counter never nears its maximum.
            unsafe { libc::write(self.fd(), (&raw const one).cast(), 8) };
        }
    }
}

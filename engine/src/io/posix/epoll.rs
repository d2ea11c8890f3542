//! epoll, with what each descriptor is in place of a number.

use crate::io::kernel::check;
use crate::io::limits::EVENTS_MAX;
use crate::io::{ConnId, ListenerId};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Who has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Waker,
    Listener(ListenerId),
    Conn(ConnId),
}

impl Source {
    fn to_data(self) -> u64 {
        match self {
            Source::Waker => 0,
            Source::Listener(listener) => 1 << 32 | u64::from(listener.0),
            Source::Conn(conn) => 2 << 32 | u64::from(conn.0),
        }
    }

    fn from_data(data: u64) -> Source {
        match (data >> 32, data as u32) {
            (1, id) => Source::Listener(ListenerId(id)),
            (2, id) => Source::Conn(ConnId(id)),
            _ => Source::Waker,
        }
    }
}

pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        // SAFETY: a call without pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel just gave us this descriptor.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }

    /// Says so as long as `fd` is readable.
    pub(super) fn watch_level(&self, fd: RawFd, source: Source) -> io::Result<()> {
        self.add(fd, libc::EPOLLIN, source)
    }

    /// Says so whenever `fd` becomes readable or writable again. Watching ends when the descriptor closes.
    pub(super) fn watch_edges(&self, fd: RawFd, source: Source) -> io::Result<()> {
        self.add(fd, libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET, source)
    }

    /// Says nothing of `fd` any more, although it stays open.
    pub(super) fn forget(&self, fd: RawFd) {
        // SAFETY: a call without pointers. It fails only for what was not watched.
        unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
    }

    fn add(&self, fd: RawFd, events: i32, source: Source) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: source.to_data() };
        // SAFETY: the kernel reads the event we own.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
        Ok(())
    }

    /// What has something to do now; the rest is told next time.
    pub(super) fn ready(&self) -> Vec<Source> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
        // SAFETY: the kernel writes at most EVENTS_MAX events into the array we own.
        let rc = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), EVENTS_MAX as i32, 0) };
        // EINTR is the only failure of a valid call; the events are still there next time.
        let count = check(rc).unwrap_or(0);
        events[..count].iter().map(|event| Source::from_data(event.u64)).collect()
    }

    /// Waits until something is ready or `limit` has passed. epoll_wait counts milliseconds, ppoll nanoseconds.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let limit = limit
            .map(|limit| libc::timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) });
        let timeout = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: one pollfd and a timeout or null, all living across the call. A failure only ends the wait early.
        unsafe { libc::ppoll(&raw mut poll, 1, timeout, std::ptr::null()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_travel_through_the_kernel() {
        for source in [Source::Waker, Source::Listener(ListenerId(7)), Source::Conn(ConnId(u32::MAX))] {
            assert_eq!(Source::from_data(source.to_data()), source);
        }
    }
}

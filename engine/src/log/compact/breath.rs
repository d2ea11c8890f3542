//! How a pass goes about: clients first, never faster than so many bytes a second, and never beside a clean stop.

use super::pass::CleanError;
use crate::log::limits::{CLEAN_SLICE_BYTES, CLEAN_SLICE_US, CLEAN_WAIT_MS};
use crate::shard::{Class, Io, Permit};
use crate::time::Mono;
use std::cell::Cell;
use std::rc::Rc;

/// See the module.
pub(in crate::log) struct Breath {
    class: Class,
    /// It may change at any time.
    bytes_per_s: Rc<Cell<u64>>,
    closing: Rc<Cell<bool>>,
    /// Set by the log when it needs its files for something else.
    stop: Rc<Cell<bool>>,
    /// When bytes were read or written last, and how many: the next ones wait until these were worth their time.
    last: (Mono, usize),
    /// When everybody else had a turn last, and what was gone through since, in bytes.
    slice: (Mono, usize),
}

impl Breath {
    pub(in crate::log) fn new(
        io: &Io,
        class: Class,
        bytes_per_s: Rc<Cell<u64>>,
        closing: Rc<Cell<bool>>,
        stop: Rc<Cell<bool>>,
    ) -> Breath {
        let now = io.now();
        Breath { class, bytes_per_s, closing, stop, last: (now, 0), slice: (now, 0) }
    }

    /// Before `bytes` are read or written: the right to do so, once it is time for them.
    pub(super) async fn turn(&mut self, io: &Io, bytes: usize) -> Result<Permit, CleanError> {
        while let Some(next) = self.next().filter(|&next| next > io.now() && !self.is_stopped()) {
            io.sleep_until(next.min(io.now().plus_millis(CLEAN_WAIT_MS))).await;
        }
        self.last = (io.now(), bytes);
        self.check()?;
        Ok(self.class.acquire().await)
    }

    /// When the next bytes may be read or written, as things stand; at once where there is no bound.
    fn next(&self) -> Option<Mono> {
        let (at, bytes) = self.last;
        let cost_ns = (bytes as u64).saturating_mul(1_000_000_000) / self.bytes_per_s.get().max(1);
        (cost_ns > 0).then(|| Mono(at.0.saturating_add(cost_ns)))
    }

    /// Others had their turn while something was waited for.
    pub(super) fn rested(&mut self, io: &Io) {
        self.slice = (io.now(), 0);
    }

    /// Between two pieces of work, the last of which went through `bytes`: once they took long enough, everything else that
    /// is ready goes first.
    pub(super) async fn pause(&mut self, io: &Io, bytes: usize) -> Result<(), CleanError> {
        self.slice.1 += bytes;
        let (began, bytes) = self.slice;
        if bytes < CLEAN_SLICE_BYTES && io.now().0 < began.0 + CLEAN_SLICE_US * 1_000 {
            return Ok(());
        }
        io.yield_now().await;
        self.rested(io);
        self.check()
    }

    fn is_stopped(&self) -> bool {
        self.closing.get() || self.stop.get()
    }

    pub(super) fn check(&self) -> Result<(), CleanError> {
        if self.is_stopped() { Err(CleanError::Stopped) } else { Ok(()) }
    }
}

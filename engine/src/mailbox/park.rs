//! The parking word: a reader that sleeps is woken by whoever sends it something, and nobody pays for waking a reader
//! that is awake.
//!
//! ```text
//!  writer                         reader
//!  push                           parked = true
//!  fence                          fence
//!  parked? take it, wake          anything there? parked = false : sleep
//! ```
//! Both sides write, fence and read (Dekker): at least one of them sees the other's write, so either the writer wakes or
//! the reader does not sleep. Without either fence, or without the second look, wake-ups get lost; `loom-tests` shows it.

use crate::sync::{AtomicBool, Ordering, fence};
use crossbeam_utils::CachePadded;

/// Whether one reader is parked, or about to be.
#[derive(Debug)]
pub struct ParkState(CachePadded<AtomicBool>);

impl ParkState {
    /// Of a reader that is awake.
    #[expect(clippy::new_without_default, reason = "it is one of a pair of roles, not a plain value")]
    pub fn new() -> ParkState {
        ParkState(CachePadded::new(AtomicBool::new(false)))
    }

    /// For the reader: announces that it parks. It must look once more for work after this, and sleep only if there is
    /// none.
    pub fn announce(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// For the reader: it is awake again, or did not sleep after all.
    pub fn retract(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// For a writer, after it pushed: true if it must wake the reader. Of several writers one is told.
    pub fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        take(&self.0)
    }
}

/// Turns a flag off and says whether it was on. A flag that went off meanwhile is left alone: an unconditional swap would
/// be as right by the language's rules, but its needless second `false` is one more store to order, and loom cannot.
pub(super) fn take(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed) && flag.compare_exchange(true, false, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

//! Waking the executor from another thread: by the waker of the task that waits in it, which the executor lets anybody use.
//!
//! `loom-tests` takes this file as it is and models it.

use crate::io::Waker;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};
use std::sync::PoisonError;
use std::task;

/// Shared between a driver and everybody who wakes it.
#[derive(Default)]
pub(super) struct Signal {
    fired: AtomicBool,
    /// The task that waits. Set before it looks at `fired`, and taken after `fired` was set, so one of the two sees the
    /// other.
    sleeper: Mutex<Option<task::Waker>>,
}

impl Signal {
    fn sleeper(&self) -> MutexGuard<'_, Option<task::Waker>> {
        self.sleeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if somebody has woken since the last time; otherwise `waker` will be told.
    pub(super) fn take(&self, waker: &task::Waker) -> bool {
        *self.sleeper() = Some(waker.clone());
        self.fired.swap(false, Ordering::AcqRel)
    }

    /// Nobody waits any longer.
    pub(super) fn forget(&self) {
        let waker = self.sleeper().take();
        drop(waker);
    }
}

impl Waker for Signal {
    fn wake(&self) {
        if !self.fired.swap(true, Ordering::AcqRel) {
            let sleeper = self.sleeper().take();
            if let Some(waker) = sleeper {
                waker.wake();
            }
        }
    }
}

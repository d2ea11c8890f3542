//! Sleeping and waking in a model: the kernel's part of it.

use engine::io::Waker;
use engine::mailbox::Signal;
#[cfg(loom)]
use loom::sync::{Condvar, Mutex};
#[cfg(shuttle)]
use shuttle::sync::{Condvar, Mutex};
use std::sync::PoisonError;

/// Sleeps and wakes as an eventfd does: a wake before the sleep ends the sleep.
pub struct Bed {
    woken: Mutex<bool>,
    alarm: Condvar,
}

impl Bed {
    /// Nobody sleeps, nobody rang.
    #[expect(clippy::new_without_default, reason = "it is one of a pair of roles, not a plain value")]
    pub fn new() -> Bed {
        Bed { woken: Mutex::new(false), alarm: Condvar::new() }
    }

    /// Ends the current sleep or the next one.
    pub fn notify(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.alarm.notify_one();
    }

    /// Sleeps until it is notified.
    pub fn wait(&self) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        while !*woken {
            woken = self.alarm.wait(woken).unwrap_or_else(PoisonError::into_inner);
        }
        *woken = false;
    }

    /// Forgets a notice that is there.
    pub fn silence(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }
}

/// What a driver gives to the other shards: the engine's own flag in front of a bed.
pub struct Bell {
    signal: Signal,
    bed: Bed,
}

impl Bell {
    /// Nobody sleeps, nobody rang.
    #[expect(clippy::new_without_default, reason = "it is one of a pair of roles, not a plain value")]
    pub fn new() -> Bell {
        Bell { signal: Signal::new(), bed: Bed::new() }
    }

    /// As a driver that waits in the kernel: sleeps, empties the eventfd, lowers the flag.
    pub fn sleep(&self) {
        self.bed.wait();
        self.signal.lower();
    }

    /// As a driver that looks without waiting.
    pub fn drain(&self) {
        self.bed.silence();
        self.signal.lower();
    }
}

impl Waker for Bell {
    fn wake(&self) {
        if self.signal.raise() {
            self.bed.notify();
        }
    }
}

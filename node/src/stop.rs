//! How the process ends: a signal asks every shard to stop, and each says how far it is.

use engine::io::Waker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Longest that open connections are waited for, in milliseconds.
pub const DRAIN_MS: u64 = 700;

/// Longest that flushing and closing the logs may take after that, in milliseconds.
pub const FLUSH_MS: u64 = 1_100;

/// Longest from the signal to the end of the process, in milliseconds. What is not flushed by then is recovered by the
/// next start.
pub const END_MS: u64 = 1_900;

const _: () = assert!(DRAIN_MS + FLUSH_MS < END_MS, "the parts fit into the whole");

/// Shared by the signal thread and all shards.
pub struct Stop {
    requested: AtomicBool,
    /// Shards whose connections are gone; logs close only when all are, because shards answer for each other.
    drained: AtomicUsize,
    shards: usize,
    wakers: Vec<Arc<dyn Waker>>,
}

impl Stop {
    /// Not requested. `wakers` are those of all shards.
    pub fn new(wakers: Vec<Arc<dyn Waker>>) -> Stop {
        Stop { requested: AtomicBool::new(false), drained: AtomicUsize::new(0), shards: wakers.len(), wakers }
    }

    /// Asks every shard to stop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Release);
        self.wake_all();
    }

    /// True once somebody asked.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// One shard has no connection left; to be said once by each.
    pub fn note_drained(&self) {
        self.drained.fetch_add(1, Ordering::AcqRel);
        self.wake_all();
    }

    /// True once no shard has a connection left.
    pub fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire) >= self.shards
    }

    fn wake_all(&self) {
        self.wakers.iter().for_each(|waker| waker.wake());
    }
}

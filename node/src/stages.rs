//! How far the process is, known to all its threads: starting, open to clients, stopping, drained.
//!
//! `loom-tests` takes this file as it is and models it, which is why its atomics may be loom's.

use engine::io::Waker;
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Longest that open connections are waited for, in milliseconds.
pub const DRAIN_MS: u64 = 700;

/// Longest that flushing and closing the logs may take after that, in milliseconds.
pub const FLUSH_MS: u64 = 1_100;

/// Longest from the signal to the end of the process, in milliseconds. What is not flushed by then is recovered by the
/// next start.
pub const END_MS: u64 = 1_900;

const _: () = assert!(DRAIN_MS + FLUSH_MS < END_MS, "the parts fit into the whole");

/// Shared by the signal thread and all shards. A shard looks here in a turn after it has reaped its driver: the reap
/// silences the bell, and what was looked at before it would be slept over.
pub struct Stages {
    /// The metadata is complete: clients may come.
    open: AtomicBool,
    stop_requested: AtomicBool,
    /// Shards whose connections are gone; logs close only when all are, because shards answer for each other.
    drained: AtomicUsize,
    shards: usize,
    /// What reads that wait for memory will bring on all shards, in bytes.
    wanted_bytes: AtomicUsize,
    /// How often somebody asked for the counts of all shards.
    count_asks: AtomicUsize,
    wakers: Vec<Arc<dyn Waker>>,
}

impl Stages {
    /// Starting. `wakers` are those of all shards.
    pub fn new(wakers: Vec<Arc<dyn Waker>>) -> Stages {
        Stages {
            open: AtomicBool::new(false),
            stop_requested: AtomicBool::new(false),
            drained: AtomicUsize::new(0),
            shards: wakers.len(),
            wanted_bytes: AtomicUsize::new(0),
            count_asks: AtomicUsize::new(0),
            wakers,
        }
    }

    /// Lets every shard take clients.
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
        self.wake_all();
    }

    /// True once clients may come.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Asks every shard to stop.
    pub fn request_stop(&self) {
        self.stop_requested.store(true, Ordering::Release);
        self.wake_all();
    }

    /// True once somebody asked.
    pub fn is_stop_requested(&self) -> bool {
        self.stop_requested.load(Ordering::Acquire)
    }

    /// Asks every shard to log its counts.
    pub fn ask_counts(&self) {
        self.count_asks.fetch_add(1, Ordering::Relaxed);
        self.wake_all();
    }

    /// How often somebody asked.
    pub fn count_asks(&self) -> usize {
        self.count_asks.load(Ordering::Relaxed)
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

    /// A shard's reads wait for `now_bytes`, and waited for `before_bytes` when it last said so. Shards that sleep are woken
    /// when that begins: it may be theirs to give back.
    pub fn want(&self, before_bytes: usize, now_bytes: usize) {
        if before_bytes != now_bytes {
            self.wanted_bytes.fetch_add(now_bytes.wrapping_sub(before_bytes), Ordering::Relaxed);
        }
        if before_bytes == 0 && now_bytes > 0 {
            self.wake_all();
        }
    }

    /// What all shards wait for, in bytes: who holds memory that nobody takes should give it back, whosever it was.
    pub fn wanted_bytes(&self) -> usize {
        self.wanted_bytes.load(Ordering::Relaxed)
    }

    fn wake_all(&self) {
        self.wakers.iter().for_each(|waker| waker.wake());
    }
}

//! What a life's clients know: what they sent, what was acknowledged and where, what a consumer has seen. The fault does not
//! touch it; [`check`](crate::check) holds the log against it.

use crate::check::Violation;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An acknowledged batch: `count` records of `producer` from sequence `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// Where the first record lies; `None` when the broker only said that it had the batch already.
    pub offset: Option<i64>,
    /// The producer.
    pub producer: u32,
    /// The first record's sequence.
    pub first: u64,
    /// How many records.
    pub count: u32,
}

/// A batch as a consumer saw it, by its base offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The offset behind it.
    pub next: i64,
    /// Its checksum, which covers its records, producer and sequence.
    pub crc: u32,
}

/// One partition's part.
#[derive(Clone, Debug, Default)]
pub struct PlaceHistory {
    /// For each producer the sequence behind the last that was sent.
    pub sent: BTreeMap<u32, u64>,
    /// Every acknowledged batch.
    pub acked: Vec<Acked>,
    /// How many of `acked` were found again after a fault.
    pub checked: usize,
    /// Acknowledged by a node that had no power any more; see [`History::goes_dark`].
    pub late: Vec<Acked>,
    /// Batches that a consumer saw.
    pub seen: BTreeMap<i64, Seen>,
    /// The offset behind the last of them.
    pub seen_end: i64,
    /// The highest offset that was asked to be committed.
    pub commit_asked: i64,
    /// The highest offset whose commit was acknowledged.
    pub committed: i64,
}

/// The topics that come and go under load, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// Its creation or deletion was asked for and not answered: it may be there or not.
    Unknown,
    /// Its creation was acknowledged.
    Made,
    /// Its deletion was acknowledged.
    Gone,
}

/// See the module.
#[derive(Debug)]
pub struct History {
    /// Tells this life's values from those of any other.
    pub salt: u64,
    places: Vec<Mutex<PlaceHistory>>,
    shared: Mutex<Shared>,
    is_dark: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    producer_ids: BTreeSet<i64>,
    topics: BTreeMap<String, TopicState>,
    violations: Vec<Violation>,
}

impl History {
    /// Of a life with so many places.
    pub fn new(salt: u64, places: usize) -> History {
        let places = (0..places).map(|_| Mutex::default()).collect();
        History { salt, places, shared: Mutex::default(), is_dark: AtomicBool::new(false) }
    }

    /// Power is about to be cut. A machine without power answers nobody, but the process under test lives on for a moment,
    /// and a file system that is being shut down may still call a flush done: XFS of Linux 6.18 let 41 of 20,000 calls of
    /// fdatasync succeed that way in 250 cuts of a program of thirty lines. So clients that have received an
    /// answer ask afterwards whether it was dark, and take it for one that never came.
    pub fn goes_dark(&self) {
        self.is_dark.store(true, Ordering::SeqCst);
    }

    /// Power is back.
    pub fn is_lit_again(&self) {
        self.is_dark.store(false, Ordering::SeqCst);
    }

    /// Whether an answer that has just been received counts for nothing.
    pub fn is_dark(&self) -> bool {
        self.is_dark.load(Ordering::SeqCst)
    }

    /// One partition's part.
    pub fn place(&self, place: usize) -> MutexGuard<'_, PlaceHistory> {
        self.places[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A producer id was handed out, which happens once in a life.
    pub fn handed_out(&self, producer_id: i64) {
        if !self.is_dark() && !self.shared().producer_ids.insert(producer_id) {
            self.report(Violation::IdTwice { producer_id });
        }
    }

    /// Something that a client saw and must not have seen.
    pub fn report(&self, violation: Violation) {
        self.shared().violations.push(violation);
    }

    /// Everything reported since the last call.
    pub fn take_reports(&self) -> Vec<Violation> {
        std::mem::take(&mut self.shared().violations)
    }

    /// What is known of a topic now.
    pub fn note_topic(&self, name: &str, state: TopicState) {
        self.shared().topics.insert(name.to_owned(), state);
    }

    /// Every topic that came or went under load.
    pub fn topics(&self) -> BTreeMap<String, TopicState> {
        self.shared().topics.clone()
    }

    /// The number of batches acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        (0..self.places.len()).map(|at| self.place(at).acked.len()).sum()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What is on its way to one partition, in order: the batch that grows, those that wait, those that were sent; and what happens
//! when one comes back. A machine: it is told the time, and sends nothing itself.
//!
//! ```text
//! append ─► growing ─► complete ─► [ flying flying waiting waiting ] ─► answered: written, or failed
//! ```
//!
//! When one fails, nothing is sent until all that fly are back, and then everything goes again in its old order, that one by
//! itself: the broker takes sequences of one identity only without a gap, and answers those it has with their old outcome. When one is lost for good,
//! those behind it get a new identity, under which they begin anew.

use super::batch::{Batch, Flight, State};
use super::trouble::{Remedy, Trouble};
use super::{ProducerSettings, Tally};
use crate::console::reader::Typed;
use crate::exit::Exit;
use crate::failure::Failure;
use protocol::batch::BatchBuilder;
use std::collections::VecDeque;
use std::time::Instant;

/// Producer id and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// A batch that grows.
struct Growing {
    builder: BatchBuilder,
    since: Instant,
}

/// See the module.
pub(super) struct Lane {
    growing: Option<Growing>,
    queue: VecDeque<Batch>,
    /// None for one that is not idempotent.
    identity: Option<Identity>,
    /// Of the next batch.
    sequence: i32,
    /// Whether a batch came back: nothing is sent until the others are, too.
    is_settling: bool,
    /// Whether a sequence was given that will never come: what is given now is an orphan.
    is_stale: bool,
    /// Before when nothing is tried.
    held_until: Option<Instant>,
    /// The last thing that went wrong.
    why: Option<Failure>,
}

impl Lane {
    pub(super) fn new(identity: Option<Identity>) -> Self {
        Lane {
            growing: None,
            queue: VecDeque::new(),
            identity,
            sequence: 0,
            is_settling: false,
            is_stale: false,
            held_until: None,
            why: None,
        }
    }

    /// Whether everything was written or given up.
    pub(super) fn is_empty(&self) -> bool {
        self.growing.is_none() && self.queue.is_empty()
    }

    /// Bytes that are held here.
    pub(super) fn size_bytes(&self) -> usize {
        let growing = self.growing.as_ref().map_or(0, |growing| growing.builder.plain_size_bytes());
        growing + self.queue.iter().map(|batch| batch.bytes.len()).sum::<usize>()
    }

    /// Records that are held here.
    pub(super) fn waiting(&self) -> u64 {
        let growing = self.growing.as_ref().map_or(0, |growing| growing.builder.record_count());
        u64::try_from(growing).unwrap_or(0) + self.queue.iter().map(Batch::count).sum::<u64>()
    }

    /// Takes a record of about so many bytes. True if a batch was completed.
    pub(super) fn append(
        &mut self,
        record: &Typed<'_>,
        size: usize,
        timestamp_ms: i64,
        settings: &ProducerSettings,
    ) -> bool {
        let is_over = |growing: &Growing| growing.builder.plain_size_bytes() + size > settings.batch_size;
        let was_full = self.growing.as_ref().is_some_and(is_over);
        if was_full {
            self.complete();
        }
        let growing = self.growing.get_or_insert_with(|| Growing {
            builder: BatchBuilder::new().compression(settings.codec, None),
            since: Instant::now(),
        });
        growing.builder.append(timestamp_ms, record.key.as_deref(), record.value.as_deref(), &record.headers());
        let is_full = growing.builder.plain_size_bytes() >= settings.batch_size;
        if is_full {
            self.complete();
        }
        was_full || is_full
    }

    /// Ends the batch that grows, if there is one.
    pub(super) fn complete(&mut self) {
        let Some(growing) = self.growing.take() else { return };
        let records = growing.builder.record_count();
        let builder = match self.identity {
            Some(identity) => growing.builder.producer(identity.id, identity.epoch, self.take_sequence(records)),
            None => growing.builder,
        };
        let batch = Batch::new(builder.build(), records, growing.since);
        self.queue.push_back(Batch { is_orphan: self.is_stale, ..batch });
    }

    /// Ends the batch that grows if its first record has waited long enough, which is true then.
    pub(super) fn complete_if_due(&mut self, now: Instant, settings: &ProducerSettings) -> bool {
        let is_due = self.growing.as_ref().is_some_and(|growing| growing.since + settings.linger <= now);
        if is_due {
            self.complete();
        }
        is_due
    }

    /// The next batch that may be sent now.
    pub(super) fn sendable(&self, now: Instant) -> Option<&Batch> {
        let is_held = self.held_until.is_some_and(|until| now < until);
        if self.is_settling || is_held || self.is_probing() {
            return None;
        }
        self.queue.iter().find(|batch| matches!(batch.state, State::Waiting)).filter(|batch| !batch.is_orphan)
    }

    /// Whether one that failed is on its way again. Until it is known what became of it nothing follows it: brokers know but the
    /// last few batches again, and it must stay among these.
    fn is_probing(&self) -> bool {
        self.queue.front().is_some_and(|batch| batch.attempts > 0 && matches!(batch.state, State::Flying(_)))
    }

    /// The batch that [`sendable`](Self::sendable) named is on its way.
    pub(super) fn sent(&mut self, flight: Flight) {
        if let Some(batch) = self.queue.iter_mut().find(|batch| matches!(batch.state, State::Waiting)) {
            batch.state = State::Flying(flight);
        }
    }

    /// The same for one that has no answer: it counts as written.
    pub(super) fn sent_unanswered(&mut self, tally: &mut Tally) {
        if let Some(batch) = self.queue.pop_front() {
            tally.written += batch.count();
        }
    }

    /// Whether a batch of this lane flies with it.
    pub(super) fn flies(&self, matching: impl Fn(Flight) -> bool) -> bool {
        self.queue.iter().any(|batch| matches!(batch.state, State::Flying(flight) if matching(flight)))
    }

    /// What became of the batch that flew so.
    pub(super) fn answered(
        &mut self,
        matching: impl Fn(Flight) -> bool,
        outcome: &Result<(), Trouble>,
        now: Instant,
        settings: &ProducerSettings,
        tally: &mut Tally,
    ) {
        for at in (0..self.queue.len()).rev() {
            if !matches!(self.queue[at].state, State::Flying(flight) if matching(flight)) {
                continue;
            }
            match outcome {
                Ok(()) => tally.written += self.queue.remove(at).map_or(0, |batch| batch.count()),
                Err(trouble) => {
                    self.queue[at].state = State::Failed(trouble.clone());
                    self.is_settling = true;
                }
            }
        }
        if self.is_settling && !self.flies(|_| true) {
            self.settle(now, settings, tally);
        }
    }

    /// Nothing can be sent for a while, and why.
    pub(super) fn hold(&mut self, until: Instant, why: &Failure) {
        self.held_until = Some(until);
        self.why = Some(why.clone());
    }

    /// Gives up what was not written in time.
    pub(super) fn expire(&mut self, now: Instant, settings: &ProducerSettings, tally: &mut Tally) {
        while let Some(batch) = self.queue.front() {
            let is_old = now.saturating_duration_since(batch.since) > settings.delivery_timeout;
            if !is_old || !matches!(batch.state, State::Waiting) {
                return;
            }
            let late = || {
                let text = format!("not written within {} ms", settings.delivery_timeout.as_millis());
                Failure::new(Exit::TimedOut, text)
            };
            tally.lost.push((batch.count(), self.why.clone().unwrap_or_else(late)));
            self.queue.pop_front();
        }
    }

    /// Whether it waits for [`renew`](Self::renew). Not while there are batches of which nobody knows whether they were written:
    /// only under their old identity can that be found out.
    pub(super) fn needs_identity(&self) -> bool {
        self.is_stale && self.queue.front().is_none_or(|batch| batch.is_orphan)
    }

    /// Begins anew under another identity.
    pub(super) fn renew(&mut self, identity: Identity, settings: &ProducerSettings) {
        (self.identity, self.sequence, self.is_stale) = (Some(identity), 0, false);
        for batch in std::mem::take(&mut self.queue) {
            let sequence = self.take_sequence(batch.records);
            self.queue.push_back(batch.under(identity, sequence, settings.codec));
        }
    }

    /// When something is to be done here without anything having come.
    pub(super) fn deadline(&self, settings: &ProducerSettings) -> Option<Instant> {
        let growing = self.growing.as_ref().map(|growing| growing.since + settings.linger);
        let waiting = self.queue.iter().find(|batch| matches!(batch.state, State::Waiting));
        let held = waiting.and(self.held_until);
        let expiry = waiting.map(|batch| batch.since + settings.delivery_timeout);
        [growing, held, expiry].into_iter().flatten().min()
    }

    fn take_sequence(&mut self, records: i32) -> i32 {
        let sequence = self.sequence;
        // Sequences go round; the sign bit is never theirs.
        self.sequence = sequence.wrapping_add(records) & i32::MAX;
        sequence
    }

    /// All that flew are back, and some were not written: what becomes of each.
    fn settle(&mut self, now: Instant, settings: &ProducerSettings, tally: &mut Tally) {
        self.is_settling = false;
        let is_idempotent = self.identity.is_some();
        let mut is_behind_another = false;
        for mut batch in std::mem::take(&mut self.queue) {
            batch.is_orphan |= self.is_stale;
            let State::Failed(trouble) = std::mem::replace(&mut batch.state, State::Waiting) else {
                self.queue.push_back(batch);
                continue;
            };
            // It is missing only what goes again before it.
            let follows = is_behind_another && trouble.remedy == Remedy::Resequence;
            is_behind_another = true;
            if follows {
                self.queue.push_back(batch);
                continue;
            }
            self.why = Some(trouble.failure.clone());
            batch.attempts += 1;
            match trouble.remedy {
                Remedy::Split if batch.records > 1 => {
                    self.is_stale = is_idempotent;
                    let halves = batch.halves(settings.codec);
                    self.queue.extend(halves.map(|half| Batch { is_orphan: is_idempotent, ..half }));
                }
                Remedy::Again | Remedy::Resequence if batch.attempts <= settings.retries => {
                    self.is_stale |= trouble.remedy == Remedy::Resequence;
                    batch.is_orphan |= self.is_stale;
                    self.held_until = Some(now + settings.retry_backoff);
                    self.queue.push_back(batch);
                }
                // Whether it was written is not known; if not, those behind it will be told that it is missing.
                Remedy::Again => tally.lost.push((batch.count(), trouble.failure)),
                Remedy::Split | Remedy::Resequence | Remedy::None => {
                    self.is_stale = is_idempotent;
                    tally.lost.push((batch.count(), trouble.failure));
                }
            }
        }
    }
}

//! Reads from disk wait here until there is memory for what they bring. What is read is counted by the engine for as long as
//! anybody holds it, be it this shard, another one, or a peer that does not take its answer.

use broker::store::{LogId, ReadRange};
use engine::time::Mono;
use std::collections::VecDeque;

/// Part of the memory that is left which one read may take: the fuller the budget, the smaller the answers, so that many get
/// some rather than few all.
const SHARE_DIVISOR: usize = 8;

/// No read is made smaller than this, in bytes: it waits instead. It is a batch of the default `max.message.bytes`, which comes
/// whole however little was asked for.
const SHARE_MIN: usize = 1 << 20;

/// What a read brings beyond the batches that it is for, in bytes: the rest of its first and last block.
const ROUNDING_BYTES: usize = 8 << 10;

/// How long a read waits that may as well bring nothing, in milliseconds. The parts of one fetch hold what they found until its
/// last part is there: those of several, on several shards, could otherwise wait for each other for ever.
pub const WAIT_MS: u64 = 500;

/// While reads wait, time between two looks whether memory came back, in milliseconds: it may be another shard that lets go.
pub const LOOK_AGAIN_MS: u64 = 2;

/// How long a read may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Then it is answered with nothing.
    Until(Mono),
    /// It needs its answer.
    Endless,
}

/// One read from disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdRead {
    /// Who asked: [`broker::Effect::ReadDisk`].
    pub ticket: u64,
    /// What of.
    pub log: LogId,
    /// From where to where; asks for no more than its share.
    pub range: ReadRange,
    /// How long it may wait.
    pub patience: Patience,
    /// What it is charged while under way, in bytes; before, what it would bring.
    pub cost_bytes: usize,
}

/// The reads of one shard that wait, first come, first served: a connection has one fetch at a time, so that each of them gets
/// its turn.
///
/// Calling order: [`ColdReads::ask`] at any time; once a turn [`ColdReads::next`] until it is `None`, and for each that it gave
/// [`ColdReads::done`] at its end; then [`ColdReads::give_up`] until it is `None`.
#[derive(Debug)]
pub struct ColdReads {
    budget_bytes: usize,
    /// Charged for reads under way, in bytes.
    granted_bytes: usize,
    waiting: VecDeque<ColdRead>,
    waiting_bytes: usize,
}

impl ColdReads {
    /// Nothing read yet.
    pub fn new(budget_bytes: usize) -> ColdReads {
        ColdReads { budget_bytes, granted_bytes: 0, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    /// Takes a read in, of a log of `log_bytes` bytes.
    pub fn ask(&mut self, mut read: ColdRead, log_bytes: u64) {
        read.cost_bytes = read.range.max_bytes.min(usize::try_from(log_bytes).unwrap_or(usize::MAX));
        self.waiting_bytes += read.cost_bytes;
        self.waiting.push_back(read);
    }

    /// Takes a read in again that met a segment which left service meanwhile: its records are somewhere else now (compaction), or
    /// the next look says that they are gone. It was the first once, and is again.
    pub fn ask_again(&mut self, read: ColdRead) {
        let cost_bytes = read.cost_bytes - ROUNDING_BYTES;
        self.waiting_bytes += cost_bytes;
        self.waiting.push_front(ColdRead { cost_bytes, ..read });
    }

    /// The next read that may begin while `held_bytes` of earlier ones are still held. One may always be under way.
    pub fn next(&mut self, held_bytes: usize) -> Option<ColdRead> {
        let spent_bytes = held_bytes + self.granted_bytes;
        let left_bytes = self.budget_bytes.saturating_sub(spent_bytes);
        let share_bytes = (left_bytes / SHARE_DIVISOR).max(SHARE_MIN);
        let cost_of = |read: &ColdRead| read.cost_bytes.min(share_bytes) + ROUNDING_BYTES;
        let mut read = self.waiting.pop_front_if(|read| spent_bytes == 0 || cost_of(read) <= left_bytes)?;
        self.waiting_bytes -= read.cost_bytes;
        read.cost_bytes = cost_of(&read);
        read.range.max_bytes = read.range.max_bytes.min(share_bytes);
        self.granted_bytes += read.cost_bytes;
        Some(read)
    }

    /// The ticket of a read that has waited long enough to be answered with nothing.
    pub fn give_up(&mut self, now: Mono) -> Option<u64> {
        let is_over = |read: &ColdRead| matches!(read.patience, Patience::Until(end) if end <= now);
        let index = self.waiting.iter().position(is_over)?;
        let read = self.waiting.remove(index)?;
        self.waiting_bytes -= read.cost_bytes;
        Some(read.ticket)
    }

    /// A read is over; what it brought is held from now on.
    pub fn done(&mut self, cost_bytes: usize) {
        self.granted_bytes -= cost_bytes;
    }

    /// What the reads that wait would bring, in bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = 128 << 20;

    fn read(ticket: u64, max_bytes: usize) -> ColdRead {
        let range = ReadRange { from: 0, upto: 1, max_bytes, at_least_one: true };
        ColdRead { ticket, log: LogId(1), range, patience: Patience::Endless, cost_bytes: 0 }
    }

    /// Reads that may begin now: ticket and bytes.
    fn begun(reads: &mut ColdReads, held_bytes: usize) -> Vec<(u64, usize)> {
        std::iter::from_fn(|| reads.next(held_bytes).map(|read| (read.ticket, read.range.max_bytes))).collect()
    }

    #[test]
    fn reads_begin_in_order_and_shrink_as_the_budget_fills() {
        let mut reads = ColdReads::new(BUDGET);
        (0..1000).for_each(|ticket| reads.ask(read(ticket, 50 << 20), 1 << 30));
        let first = begun(&mut reads, 0);
        assert!(first.len() > 25, "{} of them", first.len());
        assert!(first.iter().map(|(ticket, _)| *ticket).eq(0..first.len() as u64));
        assert_eq!((first[0].1, first.last().map(|read| read.1)), (BUDGET / 8, Some(SHARE_MIN)));
        assert!(first.is_sorted_by_key(|(_, bytes)| std::cmp::Reverse(*bytes)));
        let sum: usize = first.iter().map(|(_, bytes)| bytes + ROUNDING_BYTES).sum();
        assert!(sum <= BUDGET && sum > BUDGET - SHARE_MIN - ROUNDING_BYTES, "{sum} bytes");
        assert_eq!(reads.waiting_bytes(), (1000 - first.len()) * (50 << 20));
        // One is over; as long as its bytes are held, no other begins.
        reads.done(first[0].1 + ROUNDING_BYTES);
        assert_eq!(begun(&mut reads, first[0].1 + ROUNDING_BYTES), []);
        assert_eq!(begun(&mut reads, 0)[0].0, first.len() as u64);
    }

    #[test]
    fn small_reads_do_not_pass_large_ones() {
        let mut reads = ColdReads::new(BUDGET);
        reads.ask(read(0, 1 << 20), 1 << 30);
        reads.ask(read(1, 1), 1 << 30);
        assert_eq!(begun(&mut reads, BUDGET - ROUNDING_BYTES - 1), []);
        assert_eq!(begun(&mut reads, 0), [(0, 1 << 20), (1, 1)]);
        assert_eq!(reads.waiting_bytes(), 0);
    }

    #[test]
    fn what_a_log_does_not_have_is_not_charged() {
        let mut reads = ColdReads::new(BUDGET);
        (0..100).for_each(|ticket| reads.ask(read(ticket, 1 << 20), 1000));
        assert_eq!(begun(&mut reads, 0).len(), 100);
    }

    /// Two fetches that each hold what the other waits for end this way; what a group's replay reads is waited for.
    #[test]
    fn who_may_get_nothing_gets_it_in_time() {
        let mut reads = ColdReads::new(BUDGET);
        let end = Mono(5);
        for (ticket, patience) in [(0, Patience::Endless), (1, Patience::Until(end)), (2, Patience::Until(Mono(6)))] {
            reads.ask(ColdRead { patience, ..read(ticket, 1 << 20) }, 1 << 30);
        }
        assert_eq!(begun(&mut reads, BUDGET), []);
        assert_eq!(reads.give_up(Mono(4)), None);
        assert_eq!((reads.give_up(end), reads.give_up(end)), (Some(1), None));
        assert_eq!(reads.waiting_bytes(), 2 << 20);
        assert_eq!(begun(&mut reads, 0), [(0, 1 << 20), (2, 1 << 20)]);
    }

    #[test]
    fn a_read_that_is_asked_again_is_the_next_and_is_charged_as_before() {
        let mut reads = ColdReads::new(BUDGET);
        (0..2).for_each(|ticket| reads.ask(read(ticket, 1 << 20), 1 << 30));
        let first = reads.next(0).unwrap();
        reads.done(first.cost_bytes);
        reads.ask_again(first);
        assert_eq!(reads.waiting_bytes(), 2 << 20);
        assert_eq!(reads.next(0), Some(first));
        assert_eq!(begun(&mut reads, 0), [(1, 1 << 20)]);
        assert_eq!(reads.waiting_bytes(), 0);
    }

    #[test]
    fn one_read_is_under_way_even_in_no_budget() {
        let mut reads = ColdReads::new(0);
        (0..2).for_each(|ticket| reads.ask(read(ticket, 100), 1000));
        assert_eq!(begun(&mut reads, 0), [(0, 100)]);
        assert_eq!(begun(&mut reads, 0), []);
    }
}

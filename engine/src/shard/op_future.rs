//! The leaves: waiting for one op, and giving up one turn. The table of pending ops lives here too.

use super::executor::TaskId;
use super::io::Io;
use crate::io::Done;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for one op. The op was submitted when this was made, so several made before the first await run side by side.
/// Dropping it early lets the op finish and forgets its result.
#[must_use = "the op runs, but nobody would see its result"]
pub struct OpFuture {
    io: Io,
    slot: u32,
    finished: bool,
}

/// Ready in the next turn of the shard.
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    io: Io,
    yielded: bool,
}

/// Ops that tasks wait for, by slot; the slot is the payload of the op's token.
#[derive(Default)]
pub(super) struct PendingOps {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

enum Slot {
    Free,
    /// Submitted; `Some` once a task has asked for it.
    Pending(Option<TaskId>),
    Done(Box<Done>),
    /// Nobody waits any more, but the op still holds its slot.
    Forgotten,
}

impl PendingOps {
    pub(super) fn begin(&mut self, forgotten: bool) -> u32 {
        let slot = if forgotten { Slot::Forgotten } else { Slot::Pending(None) };
        if let Some(at) = self.free.pop() {
            self.slots[at as usize] = slot;
            return at;
        }
        self.slots.push(slot);
        u32::try_from(self.slots.len() - 1).unwrap_or_else(|_| unreachable!("memory ends before 2^32 ops"))
    }

    /// Stores a completion and says which task waits for it.
    pub(super) fn complete(&mut self, done: Done) -> Option<TaskId> {
        let at = u32::try_from(done.token.payload()).unwrap_or_else(|_| unreachable!("begin() gave a u32"));
        match std::mem::replace(&mut self.slots[at as usize], Slot::Free) {
            Slot::Pending(waiter) => {
                self.slots[at as usize] = Slot::Done(Box::new(done));
                waiter
            }
            Slot::Forgotten => {
                self.free.push(at);
                None
            }
            Slot::Free | Slot::Done(_) => panic!("op slot {at} completed twice"),
        }
    }

    fn take(&mut self, at: u32, waiter: TaskId) -> Option<Done> {
        match std::mem::replace(&mut self.slots[at as usize], Slot::Free) {
            Slot::Done(done) => {
                self.free.push(at);
                Some(*done)
            }
            Slot::Pending(_) => {
                self.slots[at as usize] = Slot::Pending(Some(waiter));
                None
            }
            Slot::Free | Slot::Forgotten => panic!("op slot {at} was polled after it was given back"),
        }
    }

    /// Slots in use.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn forget(&mut self, at: u32) {
        match std::mem::replace(&mut self.slots[at as usize], Slot::Forgotten) {
            Slot::Pending(_) => {}
            Slot::Done(_) => {
                self.slots[at as usize] = Slot::Free;
                self.free.push(at);
            }
            Slot::Free | Slot::Forgotten => panic!("op slot {at} was forgotten after it was given back"),
        }
    }
}

impl OpFuture {
    pub(super) fn new(io: Io, slot: u32) -> OpFuture {
        OpFuture { io, slot, finished: false }
    }
}

impl Future for OpFuture {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Done> {
        let waiter = self.io.executor().current();
        match self.io.with_pending(|pending| pending.take(self.slot, waiter)) {
            Some(done) => {
                self.finished = true;
                Poll::Ready(done)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for OpFuture {
    fn drop(&mut self) {
        if !self.finished {
            self.io.with_pending(|pending| pending.forget(self.slot));
        }
    }
}

impl YieldNow {
    pub(super) fn new(io: Io) -> YieldNow {
        YieldNow { io, yielded: false }
    }
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        self.io.executor().yield_current();
        Poll::Pending
    }
}

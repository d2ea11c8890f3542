//! The flights of one driver, and the future that the runtime is run with: it starts what waits to start, takes in what
//! has landed, and goes on with what is not complete.

use super::entry;
use super::lent::Lent;
use super::shot::{self, Flying, Landed, Passing};
use super::woken::Woken;
use crate::io::kernel::flight::{Flight, Step};
use crate::io::kernel::slots::Slots;
use crate::io::kernel::wake::EventWaker;
use crate::io::{Op, Token};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

/// What the runtime is run for.
pub(super) enum Until<'a> {
    /// Everything started so far is with the kernel, and what had completed by then has landed.
    Passed(Option<Passing>),
    /// Something has landed, a waker fired, or the time is over.
    Event(Option<Pin<&'a mut Sleep>>),
}

/// An op that is over.
pub(super) struct Arrival {
    pub(super) flight: Box<Flight>,
    pub(super) result: io::Result<u32>,
}

struct Airborne {
    token: Token,
    fd: RawFd,
    /// It waits for a peer, so it may be cut short.
    waits: bool,
    cancelled: bool,
    flying: Flying,
}

/// The eventfd as tokio wants to see it.
struct EventFd(Arc<EventWaker>);

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd()
    }
}

pub(super) struct Air {
    airborne: Slots<Airborne>,
    /// Not started yet: that takes the runtime.
    queued: VecDeque<Box<Flight>>,
    /// Descriptors whose waiting ops are to be cut short.
    cuts: Vec<RawFd>,
    pub(super) arrived: Vec<Arrival>,
    /// A file fell back to buffered I/O.
    pub(super) lost_direct: bool,
    lent: Lent,
    woken: Arc<Woken>,
    /// By slot; kept, because making one allocates.
    wakers: Vec<Waker>,
    /// Scratch of [`Air::land`].
    slots: Vec<u32>,
    event: AsyncFd<EventFd>,
}

impl Air {
    /// Within the runtime.
    pub(super) fn new(waker: &Arc<EventWaker>) -> io::Result<Air> {
        let event = EventFd(Arc::clone(waker));
        // SAFETY: the waker, which `event` shares, keeps its descriptor open for as long as it is registered.
        let event = unsafe { AsyncFd::register_with_interest(event, Interest::READABLE) };
        Ok(Air {
            airborne: Slots::new(),
            queued: VecDeque::new(),
            cuts: Vec::new(),
            arrived: Vec::new(),
            lost_direct: false,
            lent: Lent::new(),
            woken: Arc::default(),
            wakers: Vec::new(),
            slots: Vec::new(),
            event: event.map_err(|refused| refused.into_parts().1)?,
        })
    }

    /// Starts `flight` when the runtime is run next.
    pub(super) fn queue(&mut self, flight: Box<Flight>) {
        self.queued.push_back(flight);
    }

    /// Nothing waits to be started.
    pub(super) fn is_started(&self) -> bool {
        self.queued.is_empty() && self.cuts.is_empty()
    }

    /// Nothing is with the kernel or on its way there.
    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.airborne.ids().next().is_none()
    }

    /// Cuts the op with this token short if it waits for a peer; disk ops run to their end.
    pub(super) fn cancel(&mut self, token: Token) {
        if let Some(index) = self.queued.iter().position(|flight| flight.token == token && waits(&flight.op)) {
            if let Some(flight) = self.queued.remove(index) {
                self.arrived.push(Arrival { flight, result: Err(io::ErrorKind::Interrupted.into()) });
            }
            return;
        }
        let ours = |slot: &u32| self.airborne.get(*slot).is_some_and(|flight| flight.token == token);
        let slot = self.airborne.ids().find(ours);
        if let Some(airborne) = slot.and_then(|slot| self.airborne.get_mut(slot)).filter(|airborne| airborne.waits) {
            airborne.cancelled = true;
            self.cuts.push(airborne.fd);
        }
    }

    /// As [`Air::cancel`], for everything.
    pub(super) fn cancel_all(&mut self) {
        let queued = self.queued.iter().map(|flight| flight.token);
        let airborne = self.airborne.ids().filter_map(|slot| Some(self.airborne.get(slot)?.token));
        for token in queued.chain(airborne).collect::<Vec<_>>() {
            self.cancel(token);
        }
    }

    /// One look at everything, within the runtime.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, until: &mut Until<'_>) -> Poll<()> {
        self.woken.tell(cx.waker());
        for fd in self.cuts.drain(..) {
            shot::forgotten(entry::cancel(fd));
        }
        while let Some(flight) = self.queued.pop_front() {
            self.start(flight);
        }
        self.land();
        match until {
            Until::Passed(passing) => Pin::new(passing.get_or_insert_with(shot::barrier)).poll(cx),
            Until::Event(limit) => {
                let over = limit.as_mut().is_some_and(|limit| limit.as_mut().poll(cx).is_ready());
                let happened = self.is_woken(cx) || over || !self.arrived.is_empty();
                if happened { Poll::Ready(()) } else { Poll::Pending }
            }
        }
    }

    fn is_woken(&mut self, cx: &mut Context<'_>) -> bool {
        match self.event.poll_read_ready(cx) {
            Poll::Ready(Ok(mut guard)) => {
                guard.get_inner().0.drain();
                guard.clear_ready();
                true
            }
            // A runtime that shuts down; nobody waits in it any longer.
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }

    /// Gives a flight to the kernel, again and again while that completes it at once but not wholly.
    fn start(&mut self, mut flight: Box<Flight>) {
        loop {
            let entry = entry::of(flight.fd, flight.call());
            let (token, fd, cancelled) = (flight.token, flight.fd, flight.cancelled);
            let waits = waits(&flight.op);
            let flying = shot::fly(flight, entry);
            let slot = self.airborne.insert(Airborne { token, fd, waits, cancelled, flying });
            match self.look_at(slot).and_then(|landed| self.take_in(landed)) {
                Some(again) => flight = again,
                None => return,
            }
        }
    }

    /// What flies in `slot`, if it has landed.
    fn look_at(&mut self, slot: u32) -> Option<Landed> {
        while self.wakers.len() <= slot as usize {
            self.wakers.push(self.woken.waker(self.wakers.len() as u32));
        }
        let airborne = self.airborne.get_mut(slot)?;
        let mut cx = Context::from_waker(&self.wakers[slot as usize]);
        let Poll::Ready(mut landed) = Pin::new(&mut airborne.flying).poll(&mut cx) else { return None };
        landed.flight.cancelled = airborne.cancelled;
        self.airborne.remove(slot);
        Some(landed)
    }

    /// What a completion means; a flight that must go on is handed back.
    fn take_in(&mut self, landed: Landed) -> Option<Box<Flight>> {
        let Landed { mut flight, result, flags } = landed;
        let picked = self.lent.take(flags, usize::try_from(result).unwrap_or(0));
        match flight.step(result, picked) {
            Step::Finished(result) => {
                self.arrived.push(Arrival { flight, result });
                None
            }
            Step::Again | Step::LostZeroCopy => Some(flight),
            Step::LostDirect => {
                self.lost_direct = true;
                Some(flight)
            }
        }
    }

    fn land(&mut self) {
        let mut slots = std::mem::take(&mut self.slots);
        self.woken.take(&mut slots);
        for slot in slots.drain(..) {
            if let Some(again) = self.look_at(slot).and_then(|landed| self.take_in(landed)) {
                self.start(again);
            }
        }
        self.slots = slots;
    }
}

fn waits(op: &Op) -> bool {
    matches!(op, Op::Accept { .. } | Op::Recv { .. } | Op::Send { .. })
}

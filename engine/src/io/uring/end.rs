//! The end of a driver with ops under way: nothing that the kernel may still touch is freed.

use super::{CANCEL, Slots, UringDriver, WAKE, bufring};
use crate::io::kernel::clock;
use crate::io::kernel::flight::Flight;
use crate::io::limits::LET_GO_MS;
use crate::io::{Op, Waker};
use io_uring::cqueue;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

impl Drop for UringDriver {
    /// Cuts short what waits for peers and lets disk ops end. Memory that the kernel still holds after that is leaked:
    /// better lost than written to by the kernel once it is somebody else's.
    fn drop(&mut self) {
        for slot in self.flights.ids().collect::<Vec<_>>() {
            self.cancel_flight(slot);
        }
        self.waker.wake();
        let deadline = clock::mono().plus_millis(LET_GO_MS);
        let mut completions = Vec::new();
        while (self.wake_armed || self.flights.ids().next().is_some()) && clock::mono() < deadline {
            self.queue.submit();
            self.queue.wait(Some(Duration::from_millis(10)));
            self.queue.drain(&mut completions);
            for (user_data, result, flags) in completions.drain(..) {
                match user_data {
                    CANCEL => {}
                    WAKE => self.wake_armed = false,
                    slot => self.land_dropped(slot as u32, result, flags),
                }
            }
        }
        let held = std::mem::replace(&mut self.flights, Slots::new());
        if held.ids().next().is_some() || self.wake_armed {
            tracing::warn!("the kernel still holds buffers of a driver that is dropped; their memory is leaked");
            std::mem::forget(held);
            std::mem::forget(self.bufring.take());
            std::mem::forget(std::mem::take(&mut self.wake_count));
        } else if self.bufring.is_some() && self.queue.ring().submitter().unregister_buf_ring(bufring::GROUP).is_err() {
            std::mem::forget(self.bufring.take());
        }
    }
}

/// Ends a flight that nobody wants to hear of; a connection that it accepted is closed.
fn drop_flight(flight: Option<Flight>, result: i32) {
    if flight.is_some_and(|flight| matches!(flight.op, Op::Accept { .. })) && result >= 0 {
        // SAFETY: the kernel just gave us this descriptor in the completion.
        drop(unsafe { OwnedFd::from_raw_fd(result) });
    }
}

impl UringDriver {
    /// As [`UringDriver::land`], for a flight that goes no further.
    fn land_dropped(&mut self, slot: u32, result: i32, flags: u32) {
        self.zero_copy.expect(slot, flags);
        let over = match cqueue::notif(flags) {
            true => self.zero_copy.noticed(slot, result),
            false => self.zero_copy.over(slot, Ok(0)),
        };
        if over.is_some() {
            drop_flight(self.flights.remove(slot), result);
        }
    }
}

//! Single entries as the crate's futures.

use crate::io::kernel::flight::Flight;
use io_uring_06::squeue::Entry;
use io_uring_06::{cqueue, opcode};
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

/// A flight on its way; the crate keeps what the kernel may touch, also when this is dropped early.
pub(super) type Flying = InFlightOneshot<Box<Flight>, Land>;

/// A flight that came back, with the kernel's result and flags.
pub(super) struct Landed {
    pub(super) flight: Box<Flight>,
    pub(super) result: i32,
    pub(super) flags: u32,
}

/// Takes the completion as it is: what it means is the flight's business.
pub(super) struct Land;

impl OneshotOutputTransform for Land {
    type Output = Landed;
    type StoredData = Box<Flight>;

    fn transform_oneshot_output(self, flight: Box<Flight>, entry: cqueue::Entry) -> Landed {
        Landed { flight, result: entry.result(), flags: entry.flags() }
    }
}

/// An entry that means nothing but that it came back.
pub(super) type Passing = InFlightOneshot<(), Pass>;

pub(super) struct Pass;

impl OneshotOutputTransform for Pass {
    type Output = ();
    type StoredData = ();

    fn transform_oneshot_output(self, (): (), _: cqueue::Entry) {}
}

/// Starts `entry`, which points to nothing but memory of `flight`. Within the runtime.
pub(super) fn fly(flight: Box<Flight>, entry: Entry) -> Flying {
    UnsubmittedOneshot::new(flight, Land, entry).submit()
}

/// Starts an entry whose completion nobody waits for. Within the runtime.
pub(super) fn forgotten(entry: Entry) {
    drop(UnsubmittedOneshot::new((), Pass, entry).submit());
}

/// Starts an entry that does nothing: everything started before it is with the kernel once it has come back. Within the
/// runtime.
pub(super) fn barrier() -> Passing {
    UnsubmittedOneshot::new((), Pass, opcode::Nop::new().build()).submit()
}

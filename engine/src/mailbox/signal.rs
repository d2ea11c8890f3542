//! The flag in front of a bell, which makes repeated wakes cheap: of many wakes one rings.
//!
//! ```text
//!  waker                          driver
//!  send the message               silence the bell
//!  flag = true; was it false?     flag = false
//!  then ring the bell             look into the mailboxes
//! ```
//! A wake that found the flag set does not ring, but then its message was sent before the flag was lowered: both sides
//! read and write the flag in one step, so whoever lowers it sees everything that was sent before. The bell itself is
//! the kernel's (an eventfd) and lives with the drivers.

use crate::sync::{AtomicBool, Ordering};

/// Whether somebody rang since the driver last looked.
#[derive(Debug)]
pub struct Signal(AtomicBool);

impl Signal {
    /// Nobody rang.
    #[expect(clippy::new_without_default, reason = "it is one of a pair of roles, not a plain value")]
    pub fn new() -> Signal {
        Signal(AtomicBool::new(false))
    }

    /// For whoever wakes, after it sent: true if it must ring the bell.
    pub fn raise(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// For the driver, between silencing the bell and looking for work.
    pub fn lower(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

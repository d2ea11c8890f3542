//! Sends from where the bytes lie, without the kernel's copy. Only to peers behind a network card: everywhere else the kernel
//! copies after all, later and dearer. Each send asks for a report, and the first that says "copied" ends it for the driver.
//!
//! Such a send completes twice: with its result, and with a notice once the card has the bytes; only then may anybody write
//! to its buffers again. So an op is over when both have come, for each time that it was started.

use crate::io::kernel::nic::Interfaces;
use io_uring::cqueue;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// Fewest bytes of a send that are worth pinning their pages, in bytes.
const BYTES_MIN: usize = 16 << 10;

/// IORING_SEND_ZC_REPORT_USAGE (Linux 6.2).
pub(super) const REPORT_USAGE: u16 = 1 << 3;
/// IORING_NOTIF_USAGE_ZC_COPIED, in a notice's result.
const COPIED: i32 = i32::MIN;

/// Where sends may go without a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Nowhere,
    Cards,
    Everywhere,
}

pub(super) struct ZeroCopy {
    reach: Reach,
    interfaces: Interfaces,
    /// Ops whose notices have not all come, by slot.
    awaited: BTreeMap<u32, Awaited>,
}

#[derive(Default)]
struct Awaited {
    notices: u32,
    /// What came of the op, once it is known.
    over: Option<io::Result<u32>>,
}

impl ZeroCopy {
    pub(super) fn new(supported: bool) -> ZeroCopy {
        let reach = if supported { Reach::Cards } else { Reach::Nowhere };
        ZeroCopy { reach, interfaces: Interfaces::default(), awaited: BTreeMap::new() }
    }

    /// For tests: as if every peer were behind a card.
    pub(super) fn reach_everywhere(&mut self) {
        self.reach = Reach::Everywhere;
    }

    pub(super) fn is_on(&self) -> bool {
        self.reach != Reach::Nowhere
    }

    pub(super) fn switch_off(&mut self) {
        self.reach = Reach::Nowhere;
    }

    /// Whether so many bytes are to be sent that way at all.
    pub(super) fn is_worth(&self, bytes: usize) -> bool {
        self.is_on() && bytes >= BYTES_MIN
    }

    /// Whether the peer is one to send that way to.
    pub(super) fn reaches(&mut self, local: Option<SocketAddr>, peer: Option<SocketAddr>) -> bool {
        match (self.reach, local, peer) {
            (Reach::Everywhere, _, _) => true,
            (Reach::Cards, Some(local), Some(peer)) => self.interfaces.is_over_card(local, peer),
            _ => false,
        }
    }

    /// Notes that a completion of the op in `slot` announces a notice.
    pub(super) fn expect(&mut self, slot: u32, flags: u32) {
        if cqueue::more(flags) {
            self.awaited.entry(slot).or_default().notices += 1;
        }
    }

    /// The op in `slot` is over with this result: gives it back unless notices are to come.
    pub(super) fn over(&mut self, slot: u32, result: io::Result<u32>) -> Option<io::Result<u32>> {
        match self.awaited.get_mut(&slot) {
            Some(awaited) if awaited.notices > 0 => {
                awaited.over = Some(result);
                None
            }
            _ => {
                self.awaited.remove(&slot);
                Some(result)
            }
        }
    }

    /// Takes a notice in; gives the result of the op back if it was the last thing to wait for.
    pub(super) fn noticed(&mut self, slot: u32, result: i32) -> Option<io::Result<u32>> {
        if result & COPIED != 0 {
            self.switch_off();
        }
        let awaited = self.awaited.get_mut(&slot)?;
        awaited.notices -= 1;
        if awaited.notices > 0 {
            return None;
        }
        let over = awaited.over.take()?;
        self.awaited.remove(&slot);
        Some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IORING_CQE_F_MORE.
    const MORE: u32 = 1 << 1;

    #[test]
    fn an_op_is_over_after_its_result_and_every_notice() {
        let mut zero_copy = ZeroCopy::new(true);
        assert!(matches!(zero_copy.over(1, Ok(5)), Some(Ok(5))), "no notice was announced");
        // Started twice, because the first time moved only part: the first notice comes in between.
        zero_copy.expect(1, MORE);
        assert!(zero_copy.noticed(1, 0).is_none(), "the second start is under way");
        zero_copy.expect(1, MORE);
        assert!(zero_copy.over(1, Ok(7)).is_none());
        assert!(matches!(zero_copy.noticed(1, 0), Some(Ok(7))));
        // The slot is free for others.
        assert!(matches!(zero_copy.over(1, Ok(9)), Some(Ok(9))));
    }

    #[test]
    fn a_copy_ends_it_for_everybody() {
        let mut zero_copy = ZeroCopy::new(true);
        zero_copy.reach_everywhere();
        assert!(zero_copy.is_worth(BYTES_MIN) && !zero_copy.is_worth(BYTES_MIN - 1));
        zero_copy.expect(3, MORE);
        zero_copy.noticed(3, COPIED);
        assert!(!zero_copy.is_worth(1 << 20) && !zero_copy.reaches(None, None));
    }
}

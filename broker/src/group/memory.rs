//! How much members may say about themselves, all groups of a shard together: what they sent stays in memory as long as they are
//! members, and neither `group.max.size` nor the bound of one member holds the sum.

use super::limits::MEMBER_OVERHEAD_BYTES;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Milliseconds between two warnings that there is no room.
const WARNING_MS: u64 = 60_000;

/// What members have taken, and the bound.
#[derive(Debug)]
pub(crate) struct MemberMemory {
    used: Arc<AtomicUsize>,
    max: usize,
    warned_ms: Option<u64>,
}

impl MemberMemory {
    /// At most `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        MemberMemory { used: Arc::default(), max, warned_ms: None }
    }

    /// Bytes taken.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether a member may say so many bytes instead of what it is charged with; `None` for a new one. One that says less than
    /// before may always, and so may the only one.
    pub(crate) fn has_room_for(&self, bytes: usize, instead: Option<&Charge>) -> bool {
        let before = instead.map_or(0, |charge| charge.bytes);
        let more = (bytes + MEMBER_OVERHEAD_BYTES).saturating_sub(before);
        more == 0 || self.used() <= before || self.used() + more <= self.max
    }

    /// Charges a member with so many bytes until what is returned is dropped. Whoever is in memory is charged, room or not.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        Charge::of(&self.used, bytes + MEMBER_OVERHEAD_BYTES)
    }

    /// Somebody was refused: true once a minute, when it is worth a warning.
    pub(crate) fn is_to_warn(&mut self, now_ms: u64) -> bool {
        let is_due = self.warned_ms.is_none_or(|warned| now_ms >= warned + WARNING_MS);
        if is_due {
            self.warned_ms = Some(now_ms);
        }
        is_due
    }
}

/// A member's share; given back when it is dropped. A copy of a member is charged, too.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    used: Option<Arc<AtomicUsize>>,
    bytes: usize,
}

impl Charge {
    fn of(used: &Arc<AtomicUsize>, bytes: usize) -> Self {
        used.fetch_add(bytes, Ordering::Relaxed);
        Charge { used: Some(Arc::clone(used)), bytes }
    }
}

impl Clone for Charge {
    fn clone(&self) -> Self {
        self.used.as_ref().map_or_else(Charge::default, |used| Charge::of(used, self.bytes))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.used.iter().for_each(|used| _ = used.fetch_sub(self.bytes, Ordering::Relaxed));
    }
}

/// What a member costs is no part of what it is.
impl PartialEq for Charge {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Charge {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_are_given_back_and_copies_count() {
        let memory = MemberMemory::new(10 * MEMBER_OVERHEAD_BYTES);
        let one = memory.charge(100);
        assert_eq!(memory.used(), MEMBER_OVERHEAD_BYTES + 100);
        let copy = one.clone();
        assert_eq!(memory.used(), 2 * (MEMBER_OVERHEAD_BYTES + 100));
        drop((one, copy, Charge::default()));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn who_may_say_how_much() {
        let memory = MemberMemory::new(10_000);
        assert!(memory.has_room_for(50_000, None), "the only one, whatever it says");
        let large = memory.charge(9_000);
        assert!(!memory.has_room_for(1_000, None));
        assert!(memory.has_room_for(8_999, Some(&large)), "less than before");
        assert!(memory.has_room_for(20_000, Some(&large)), "still the only one");
        let small = memory.charge(10);
        assert!(!memory.has_room_for(20_000, Some(&large)));
        assert!(!memory.has_room_for(2_000, Some(&small)) && memory.has_room_for(10, Some(&small)));
    }

    #[test]
    fn one_warning_a_minute() {
        let mut memory = MemberMemory::new(0);
        assert_eq!([5, 6, 60_004, 60_005].map(|now| memory.is_to_warn(now)), [true, false, false, true]);
    }
}

//! Whether a frame that has begun comes on: the rule that ends a peer which sends a byte a second. Time that we did not read,
//! for whatever reason, is not the peer's.

use crate::limits::{FRAME_BYTES_PER_MS_MIN, FRAME_GRACE_MS, STALLED_BYTES_PER_MS, STALLED_MS};
use engine::time::Mono;

/// The progress of one connection's unfinished frame.
///
/// ```text
///  begun          bytes come: the deadline moves, a millisecond for FRAME_BYTES_PER_MS_MIN of them
///    |--- grace ----------|····▶|···▶|      never further than the grace from now
/// ```
/// A receive that fills a room tells of nothing in between, so it gets the time that filling it may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// When the frame began; `None` between two frames.
    begun_at: Option<Mono>,
    /// When more must have come.
    due_at: Mono,
    /// When the receive under way began.
    asked_at: Mono,
    /// Bytes that it must bring before we hear of it.
    fill_bytes: u64,
    /// We have not been reading.
    is_held_up: bool,
}

impl Pace {
    /// Takes in what one receive brought of the frame that is under way now, if there is one.
    pub(crate) fn received(&mut self, bytes: usize, is_begun: bool, is_another: bool, now: Mono) {
        let latest = now.plus_millis(FRAME_GRACE_MS);
        match self.begun_at {
            _ if !is_begun => self.begun_at = None,
            Some(_) if !is_another => {
                self.due_at = self.due_at.plus_millis(bytes as u64 / FRAME_BYTES_PER_MS_MIN).min(latest);
            }
            _ => (self.begun_at, self.due_at) = (Some(now), latest),
        }
    }

    /// A receive begins; one that fills a room is heard of once `fill_bytes` have come.
    pub(crate) fn asked(&mut self, fill_bytes: usize, now: Mono) {
        if std::mem::take(&mut self.is_held_up) {
            self.due_at = now.plus_millis(FRAME_GRACE_MS);
        }
        (self.asked_at, self.fill_bytes) = (now, fill_bytes as u64);
    }

    /// The connection is not read for now.
    pub(crate) fn hold_up(&mut self) {
        self.is_held_up = true;
    }

    /// When the frame began, if one is under way.
    pub(crate) fn begun_at(&self) -> Option<Mono> {
        self.begun_at
    }

    /// When the peer is too slow for us, if nothing more comes.
    pub(crate) fn deadline(&self) -> Mono {
        self.due_at.max(self.asked_at.plus_millis(self.fill_bytes / FRAME_BYTES_PER_MS_MIN))
    }

    /// True once the peer is too slow for times in which memory is short.
    pub(crate) fn is_stalled(&self, now: Mono) -> bool {
        let is_due = self.due_at <= now.plus_millis(FRAME_GRACE_MS - STALLED_MS);
        let is_filled_at = self.asked_at.plus_millis(self.fill_bytes / STALLED_BYTES_PER_MS);
        self.begun_at.is_some() && !self.is_held_up && is_due && is_filled_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(0).plus_millis(ms)
    }

    /// A frame that begins at 0 and brings `bytes` every second; when it is too late, in milliseconds.
    fn ended_at(bytes: usize) -> Option<u64> {
        let mut pace = Pace::default();
        pace.received(1, true, true, at(0));
        (1..1000).map(|second| second * 1000).find(|now| {
            let is_late = pace.deadline() <= at(*now);
            pace.received(bytes, true, false, at(*now));
            is_late
        })
    }

    #[test]
    fn a_crawling_frame_ends_with_its_grace_and_a_walking_one_never() {
        assert_eq!(ended_at(0), Some(FRAME_GRACE_MS));
        assert_eq!(ended_at(1), Some(FRAME_GRACE_MS));
        assert_eq!(ended_at(8_000), Some(2 * FRAME_GRACE_MS - 1000), "half as fast as it must be");
        assert_eq!(ended_at(16_000), None);
        assert_eq!(ended_at(1_000_000), None);
    }

    #[test]
    fn a_new_frame_has_a_new_grace() {
        let mut pace = Pace::default();
        pace.received(1, true, true, at(0));
        pace.received(500, true, true, at(29_000));
        assert_eq!((pace.begun_at(), pace.deadline()), (Some(at(29_000)), at(59_000)));
        pace.received(500, false, true, at(30_000));
        assert_eq!(pace.begun_at(), None);
    }

    #[test]
    fn filling_a_room_has_the_time_that_it_takes() {
        let mut pace = Pace::default();
        pace.received(32 << 10, true, true, at(0));
        pace.asked(2 << 20, at(0));
        assert_eq!(pace.deadline(), at(131_072));
        assert!(!pace.is_stalled(at(STALLED_MS - 1)) && pace.is_stalled(at(STALLED_MS)));
        pace.asked(8 << 20, at(0));
        assert!(!pace.is_stalled(at(STALLED_MS)), "8 MiB at 3 Mbit/s take longer");
    }

    #[test]
    fn time_that_we_did_not_read_is_not_the_peers() {
        let mut pace = Pace::default();
        pace.received(1, true, true, at(0));
        pace.hold_up();
        assert!(!pace.is_stalled(at(29_000)));
        pace.asked(0, at(29_000));
        assert_eq!(pace.deadline(), at(59_000));
        assert!(!pace.is_stalled(at(38_999)) && pace.is_stalled(at(39_000)));
    }
}

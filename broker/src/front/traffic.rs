//! Whose traffic a connection carries: measured over a window of bytes, so that a connection can go to the shard that does
//! nearly all of its work.

use crate::front::patience::Patience;
use crate::front::sessions::Session;
use crate::io::ShardId;

/// What a request weighs beside its records, in bytes: crossing costs something for each of them, too.
pub(crate) const REQUEST_BYTES: u64 = 1 << 10;

/// Share of a window that one shard must have, in hundredths.
const SHARE_PERCENT: u64 = 90;

/// Bytes of the present window, by a majority vote: exact for the one shard that can have nine tenths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// The shard that may have most of it.
    favourite: ShardId,
    theirs: u64,
    all: u64,
}

impl Traffic {
    /// Counts `bytes` of `owner`'s partitions. The end of a window of `window` bytes names the shard that had nearly all.
    pub(crate) fn note(&mut self, owner: ShardId, bytes: u64, window: u64) -> Option<ShardId> {
        if self.all == 0 {
            self.favourite = owner;
        }
        self.all += bytes;
        self.theirs += if owner == self.favourite { bytes } else { 0 };
        if self.all < window {
            return None;
        }
        let Traffic { favourite, theirs, all } = std::mem::take(self);
        (theirs * 100 >= all * SHARE_PERCENT).then_some(favourite)
    }
}

/// What a connection takes along to another shard.
#[derive(Debug, Default)]
pub struct Baggage {
    /// Its fetch session, with its id.
    pub(crate) session: Option<(i32, Session)>,
    /// What its client does while a heartbeat is not answered.
    pub(crate) patience: Patience,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(owners: &[(u16, u64)], window: u64) -> Vec<Option<u16>> {
        let mut traffic = Traffic::default();
        owners.iter().map(|(owner, bytes)| traffic.note(ShardId(*owner), *bytes, window).map(|shard| shard.0)).collect()
    }

    #[test]
    fn nine_tenths_of_a_window_decide() {
        assert_eq!(verdicts(&[(1, 50), (1, 40), (0, 10)], 100), [None, None, Some(1)]);
        assert_eq!(verdicts(&[(1, 50), (1, 39), (0, 11)], 100), [None, None, None]);
        assert_eq!(verdicts(&[(0, 10), (1, 90), (1, 90), (1, 10)], 100), [None, None, None, Some(1)]);
        assert_eq!(verdicts(&[(2, 1), (3, 1)], 1), [Some(2), Some(3)]);
    }
}

//! Producer ids: each shard hands them out of a block that the metadata log has reserved for it, so that none is ever
//! given twice, kill -9 included. A block that a crash interrupts is lost; there are 2^63.

use super::limits::PRODUCER_IDS_PER_BLOCK;
use super::plan::Plan;
use super::record::Record;

/// Ids that one shard may hand out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    next: i64,
    end: i64,
}

impl Block {
    /// The block that starts at `first`.
    pub fn starting(first: i64) -> Self {
        Self { next: first, end: first + PRODUCER_IDS_PER_BLOCK }
    }

    /// The next id; `None` when a new block is needed.
    pub fn take(&mut self) -> Option<i64> {
        (self.next < self.end).then(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

/// Reserves the next block and returns its first id. It may be used once the plan is durable.
pub fn reserve(plan: &mut Plan) -> i64 {
    let first = plan.image().next_producer_id();
    let given = if marks::planted!("broker: give a block of producer ids again") { 0 } else { PRODUCER_IDS_PER_BLOCK };
    plan.push(Record::ProducerIds { next: first + given });
    first
}

/// Never hands out an id up to `used`, nor any of the block of 1,000 that it belongs to: another broker gave that block to
/// somebody, who may have gone on in it.
pub fn pass(plan: &mut Plan, used: i64) {
    let block = used.div_euclid(PRODUCER_IDS_PER_BLOCK);
    // An id close to 2^63 is a client's own invention; behind it would be none to give.
    let next = block.checked_add(1).and_then(|block| block.checked_mul(PRODUCER_IDS_PER_BLOCK));
    let next = next.filter(|next| *next < i64::MAX / 2);
    if let Some(next) = next.filter(|next| *next > plan.image().next_producer_id()) {
        plan.push(Record::ProducerIds { next });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::MetadataImage;
    use crate::settings::BrokerSettings;
    use std::sync::Arc;

    #[test]
    fn blocks_of_another_broker_are_passed() {
        for (used, next) in [(-1, 0), (0, 1000), (999, 1000), (1000, 2000), (41_500, 42_000), (i64::MAX, 0)] {
            let mut plan = Plan::new(MetadataImage::new(Arc::new(BrokerSettings::default())));
            pass(&mut plan, used);
            assert_eq!(plan.image().next_producer_id(), next, "{used}");
        }
    }

    #[test]
    fn a_block_gives_each_id_once() {
        let mut block = Block::starting(2000);
        let ids: Vec<i64> = std::iter::from_fn(|| block.take()).collect();
        assert_eq!(ids, (2000..3000).collect::<Vec<_>>());
        assert_eq!(Block::default().take(), None);
    }
}

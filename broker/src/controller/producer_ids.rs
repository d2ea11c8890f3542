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
    plan.push(Record::ProducerIds { next: first + PRODUCER_IDS_PER_BLOCK });
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_each_id_once() {
        let mut block = Block::starting(2000);
        let ids: Vec<i64> = std::iter::from_fn(|| block.take()).collect();
        assert_eq!(ids, (2000..3000).collect::<Vec<_>>());
        assert_eq!(Block::default().take(), None);
    }
}

//! A batch that is complete, and the same records as other batches: under another identity, or in halves.

use super::lane::Identity;
use super::trouble::Trouble;
use protocol::batch::{BatchBuilder, BatchView, Header, Limits, Record};
use protocol::compress::Codec;
use std::time::Instant;

/// A request that carries a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) leader: i32,
    pub(super) number: i32,
}

/// Where a batch is.
#[derive(Debug)]
pub(super) enum State {
    /// Here.
    Waiting,
    /// On its way.
    Flying(Flight),
    /// Back, not written.
    Failed(Trouble),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) records: i32,
    /// When its first record came.
    pub(super) since: Instant,
    /// How often it was sent and came back.
    pub(super) attempts: u32,
    pub(super) state: State,
    /// Whether a sequence before its own will never come, so that it waits for another identity.
    pub(super) is_orphan: bool,
}

impl Batch {
    pub(super) fn new(bytes: Vec<u8>, records: i32, since: Instant) -> Self {
        Batch { bytes, records, since, attempts: 0, state: State::Waiting, is_orphan: false }
    }

    /// Its records as a number of which there are no negative ones.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.records).unwrap_or(0)
    }

    /// The same under another identity and sequence.
    pub(super) fn under(self, identity: Identity, sequence: i32, codec: Codec) -> Self {
        let whole = 0..usize::MAX;
        let bytes = self.rebuilt(codec, whole).producer(identity.id, identity.epoch, sequence).build();
        Batch { bytes, is_orphan: false, ..self }
    }

    /// Its records in two batches, which have no identity yet.
    pub(super) fn halves(self, codec: Codec) -> [Self; 2] {
        let middle = self.records / 2;
        let at = usize::try_from(middle).unwrap_or(0);
        let half = |range, records| Batch {
            bytes: self.rebuilt(codec, range).build(),
            records,
            since: self.since,
            attempts: self.attempts,
            state: State::Waiting,
            is_orphan: false,
        };
        [half(0..at, middle), half(at..usize::MAX, self.records - middle)]
    }

    fn rebuilt(&self, codec: Codec, range: std::ops::Range<usize>) -> BatchBuilder {
        #[expect(clippy::expect_used, reason = "this module built the bytes")]
        let records = {
            let (view, _) = BatchView::parse(&self.bytes).expect("a batch of ours");
            view.records(&Limits { decompressed_bytes_max: usize::MAX }).expect("records of ours")
        };
        let mut builder = BatchBuilder::new().compression(codec, None);
        let wanted = records.iter().map_while(Result::ok).skip(range.start).take(range.len());
        wanted.for_each(|record| append(&mut builder, &record));
        builder
    }
}

fn append(builder: &mut BatchBuilder, record: &Record<'_>) {
    let headers: Vec<Header<'_>> = record.headers().collect();
    builder.append(record.timestamp, record.key, record.value, &headers);
}

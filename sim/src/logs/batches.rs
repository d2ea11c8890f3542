//! Batches to append: real ones, different from each other in every record.

use engine::io::sim::Rng;
use protocol::batch::{BatchBuilder, BatchView, patch};
use protocol::compress::Codec;

/// A batch as it must lie in the log.
pub(crate) struct Batch {
    pub(crate) base: i64,
    pub(crate) last: i64,
    pub(crate) max_timestamp: i64,
    /// Whether an idempotent producer sent it.
    pub(crate) has_producer: bool,
    pub(crate) bytes: Vec<u8>,
}

/// A batch for offset `base`; `serial` is in every record, so no two batches of a run are equal.
///
/// `fill` is the wanted size in bytes where it matters (batches that end on a block's border), `None` for any.
pub(crate) fn batch(rng: &mut Rng, base: i64, epoch: i32, serial: u64, now_ms: i64, fill: Option<u64>) -> Batch {
    let has_producer = rng.below(3) > 0;
    let codec = if rng.below(6) == 0 && fill.is_none() { Codec::Lz4 } else { Codec::None };
    let mut builder = BatchBuilder::new().compression(codec, None);
    if has_producer {
        builder = builder.producer(1 + rng.below(3) as i64, 0, serial as i32);
    }
    let most = if rng.below(8) == 0 { 9_000 } else { 700 };
    let count = if fill.is_some() { 1 } else { 1 + rng.below(4) };
    for at in 0..count {
        let size = fill.unwrap_or_else(|| rng.below(most)) as usize;
        let value: Vec<u8> = format!("{serial}.{at} ").bytes().cycle().take(size.max(16)).collect();
        builder.append(now_ms - rng.below(500) as i64, Some(&serial.to_be_bytes()), Some(&value), &[]);
    }
    let last = base + i64::from(builder.record_count()) - 1;
    let mut bytes = builder.build();
    patch(&mut bytes, base, epoch);
    let max_timestamp = BatchView::parse(&bytes).map_or(-1, |(view, _)| view.max_timestamp());
    Batch { base, last, max_timestamp, has_producer, bytes }
}

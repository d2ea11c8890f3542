//! Opening a partition folder whose files hold anything: recovery comes to a decision, and to the same one the next time.

use engine::io::sim::SimWorld;
use engine::log::{Action, LogName, RecoverHints, RecoveredLog, recover};
use engine::shard::Io;
use protocol::batch::{iter_batches, patch};
use protocol::compress::Codec;
use std::path::Path;

use crate::targets::sample_batch;

/// Memory of one recovery: a read of a megabyte with its buffers, the simulated disk's pages, and what is kept of batches.
pub const MEMORY_BYTES_MAX: usize = 24 << 20;

const FOLDER: &str = "/data/t-0";
const FILES: [&str; 4] =
    ["00000000000000000000.log", "00000000000000000000.ridx", "00000000000000000003.rsnap", "leader-epoch-checkpoint"];

/// The first byte says which file the others are, and what is known from elsewhere; a good segment lies beside the other files.
pub fn folder(data: &[u8]) {
    let Some((&choice, content)) = data.split_first() else { return };
    let world = SimWorld::new(1);
    let file = FILES[usize::from(choice % 4)];
    plant(&world, FILES[0], &segment());
    plant(&world, file, content);
    let floor = (choice & 4 != 0).then_some(3);
    let hints = RecoverHints { clean: choice & 8 != 0, durable_floor: floor, ..RecoverHints::default() };
    let Some(first) = open(&world, hints) else { return };
    let Some(second) = open(&world, hints) else { panic!("opened once, not twice") };
    assert_eq!((first.start, first.end, first.read_only), (second.start, second.end, second.read_only));
    assert!(first.start <= first.end, "{} to {}", first.start, first.end);
    if !first.read_only && !hints.clean {
        // A snapshot that cannot be used stays until its owner makes the next one, and is reported at each start.
        let left: Vec<_> = second.report.iter().filter(|repair| repair.action != Action::Rebuild).collect();
        assert!(left.is_empty(), "repaired once, so there is nothing left to repair: {left:?}");
        check_batches(&world, first.end);
    }
}

fn plant(world: &SimWorld, name: &str, content: &[u8]) {
    world.write_file(Path::new(FOLDER).join(name), content).expect("a new disk takes any file");
}

fn open(world: &SimWorld, hints: RecoverHints) -> Option<RecoveredLog> {
    let io = Io::new(Box::new(world.restart()));
    let (task_io, name) = (io.clone(), LogName { dir: FOLDER.into() });
    io.block_on(async move { recover(&task_io, name, hints).await.ok() }, |_| {})
}

/// What recovery left reads from front to back.
fn check_batches(world: &SimWorld, end: i64) {
    let Ok(bytes) = world.read_file(Path::new(FOLDER).join(FILES[0])) else { return };
    let mut next = None;
    for batch in iter_batches(&bytes).map_while(Result::ok) {
        if batch.base_offset() >= end || batch.check_crc().is_err() {
            break;
        }
        next = Some(batch.next_offset());
    }
    assert!(next.is_none_or(|next| next == end), "readable up to {next:?}, recovered up to {end}");
}

/// Three batches, nine records, as a log would hold them.
pub fn segment() -> Vec<u8> {
    let mut segment = Vec::new();
    for (base, codec) in [(0, Codec::None), (3, Codec::Lz4), (6, Codec::None)] {
        let mut batch = sample_batch(codec);
        patch(&mut batch, base, 5);
        segment.extend(batch);
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The target gets as far as records: whole segments are opened whole, halves up to their last whole batch.
    #[test]
    fn segments_are_opened() {
        let whole = segment();
        for (len, end) in [(whole.len(), 9), (whole.len() - 1, 6), (1, 0)] {
            let world = SimWorld::new(1);
            plant(&world, FILES[0], &whole[..len]);
            let found = open(&world, RecoverHints::default()).map(|log| (log.start, log.end, log.read_only));
            assert_eq!(found, Some((0, end, false)), "{len} bytes");
            check_batches(&world, end);
        }
    }
}

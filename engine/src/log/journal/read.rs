//! Reading a journal whole: which records it holds that still count, in order, and whether a part of it was lost that
//! should be there.

use super::block::{Block, Place};
use crate::log::limits::{BLOCK_BYTES, JOURNAL_REGIONS};

/// A record that counts: where its batches belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::log) struct Journaled<'a> {
    pub(in crate::log) place: Place,
    pub(in crate::log) bytes: &'a [u8],
}

/// A block is missing that was durable once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct JournalDamage {
    /// Where it was expected.
    pub(in crate::log) position: u64,
    /// Its sequence.
    pub(in crate::log) sequence: u64,
}

/// A whole block and where it begins.
struct Found<'a> {
    block: Block,
    records: &'a [u8],
    /// Position behind it.
    end: u64,
}

/// What `file` holds, oldest first. The walk ends at the first block that is missing; that is damage if a later one says
/// that it was durable.
pub(in crate::log) fn read_journal(file: &[u8]) -> Result<Vec<Journaled<'_>>, JournalDamage> {
    if !file.len().is_multiple_of(JOURNAL_REGIONS * BLOCK_BYTES as usize) {
        return Err(JournalDamage { position: file.len() as u64, sequence: 0 });
    }
    let region_bytes = file.len() / JOURNAL_REGIONS;
    let mut runs: Vec<Vec<Found<'_>>> = Vec::new();
    let mut strays: Vec<Block> = Vec::new();
    for at in (0..JOURNAL_REGIONS).map(|n| n * region_bytes) {
        let region = &file[at..at + region_bytes];
        let run = run_of(region, at as u64);
        let walked = run.last().map_or(0, |last| (last.end as usize) - at);
        strays.extend(later_blocks(&region[walked..]));
        runs.extend((!run.is_empty()).then_some(run));
    }
    let Some(nonce) = runs.iter().flatten().map(|found| found.block).max_by_key(|block| block.sequence) else {
        return Ok(Vec::new());
    };
    let nonce = nonce.nonce;
    runs.retain(|run| run[0].block.nonce == nonce);
    strays.retain(|block| block.nonce == nonce);
    runs.sort_by_key(|run| run[0].block.sequence);
    let newest = runs.last().and_then(|run| run.last()).map_or(0, |found| found.block.needed);
    let needed = strays.iter().map(|block| block.needed).fold(newest, u64::max);
    let durable = runs.iter().flatten().map(|found| found.block).chain(strays).map(|block| block.durable).max();
    let durable = durable.unwrap_or(0);
    chained(&runs, needed, durable)
}

/// The records from block `needed` on, if no block is missing up to `durable`.
fn chained<'a>(runs: &[Vec<Found<'a>>], needed: u64, durable: u64) -> Result<Vec<Journaled<'a>>, JournalDamage> {
    let mut live: Vec<Journaled<'a>> = Vec::new();
    let (mut next, mut position) = (needed, 0);
    for found in runs.iter().flatten().filter(|found| found.block.sequence >= needed) {
        if found.block.sequence != next {
            break;
        }
        (next, position) = (next + 1, found.end);
        let mut records = found.records;
        while let Some(((place, bytes), rest)) = Place::next(records) {
            records = rest;
            if bytes.is_empty() && !marks::planted!("engine: forget what made the journal void") {
                marks::reached!("engine: records of the journal were made void");
                live.retain(|known| (known.place.uid, known.place.partition) != (place.uid, place.partition));
            } else {
                live.push(Journaled { place, bytes });
            }
        }
    }
    if next <= durable { Err(JournalDamage { position, sequence: next }) } else { Ok(live) }
}

/// The blocks that follow each other from the beginning of a region.
fn run_of(region: &[u8], region_at: u64) -> Vec<Found<'_>> {
    let mut run: Vec<Found<'_>> = Vec::new();
    let mut at = 0;
    while let Some((block, records, len)) = region.get(at..).and_then(Block::open) {
        let joins = run.last().is_none_or(|last| {
            last.block.nonce == block.nonce && last.block.sequence.checked_add(1) == Some(block.sequence)
        });
        if !joins || at as u64 + len > region.len() as u64 {
            break;
        }
        at += len as usize;
        run.push(Found { block, records, end: region_at + at as u64 });
    }
    run
}

/// Blocks behind a place where the chain of a region ended: left from an earlier round, or cut off by damage.
fn later_blocks(rest: &[u8]) -> Vec<Block> {
    let begins = (0..rest.len()).step_by(BLOCK_BYTES as usize);
    begins.filter_map(|at| Block::open(&rest[at..]).map(|(block, _, _)| block)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::Slice;

    const REGION: usize = 4 * BLOCK_BYTES as usize;

    fn place(uid: u8, position: u64) -> Place {
        Place { uid: [uid; 16], partition: 0, base: 0, position }
    }

    struct File {
        bytes: Vec<u8>,
    }

    impl File {
        fn new() -> File {
            File { bytes: vec![0; REGION * JOURNAL_REGIONS] }
        }

        /// Writes block `sequence` as the n-th of a region; an empty text voids the log's earlier records.
        fn put(&mut self, region: usize, n: usize, sequence: u64, needed: u64, text: &'static [u8]) -> &mut File {
            let block = Block { sequence, nonce: 9, needed, durable: sequence.saturating_sub(3) };
            let sealed = block.seal(&[(place(1, sequence), vec![Slice::from_static(text)])]);
            let at = region * REGION + n * BLOCK_BYTES as usize;
            self.bytes[at..at + sealed.len()].copy_from_slice(&sealed);
            self
        }

        fn texts(&self) -> Result<String, JournalDamage> {
            read_journal(&self.bytes).map(|live| live.iter().map(|one| str::from_utf8(one.bytes).unwrap()).collect())
        }
    }

    #[test]
    fn records_come_in_the_order_of_their_blocks_round_the_file() {
        let mut file = File::new();
        file.put(7, 0, 1, 1, b"a").put(7, 1, 2, 1, b"b").put(0, 0, 3, 1, b"c").put(1, 0, 4, 1, b"d");
        assert_eq!(file.texts().as_deref(), Ok("abcd"));
        assert_eq!(File::new().texts().as_deref(), Ok(""));
    }

    #[test]
    fn what_is_in_its_segment_already_is_passed_over() {
        let mut file = File::new();
        file.put(0, 0, 1, 1, b"a").put(0, 1, 2, 1, b"b").put(0, 2, 3, 3, b"c");
        assert_eq!(file.texts().as_deref(), Ok("c"));
    }

    #[test]
    fn blocks_of_an_earlier_round_do_not_count() {
        let mut file = File::new();
        file.put(0, 0, 1, 1, b"a").put(0, 1, 2, 1, b"b").put(1, 0, 3, 1, b"c");
        // The region is written again from its beginning.
        file.put(0, 0, 4, 3, b"d");
        assert_eq!(file.texts().as_deref(), Ok("cd"));
    }

    #[test]
    fn the_last_blocks_may_be_missing_because_nobody_was_told_of_them() {
        let mut file = File::new();
        file.put(0, 0, 1, 1, b"a").put(0, 2, 3, 1, b"c");
        assert_eq!(file.texts().as_deref(), Ok("a"), "3 was written beside 2, which never came");
    }

    #[test]
    fn a_missing_block_that_was_durable_is_damage() {
        for (region, n) in [(0, 1), (0, 3), (1, 0)] {
            let mut file = File::new();
            for sequence in 1..=8 {
                let at = sequence as usize - 1;
                file.put(at / 4, at % 4, sequence, 1, b"x");
            }
            file.bytes[region * REGION + n * BLOCK_BYTES as usize + 70] ^= 1;
            let sequence = (region * 4 + n + 1) as u64;
            let position = sequence.saturating_sub(1) * BLOCK_BYTES;
            assert_eq!(file.texts(), Err(JournalDamage { position, sequence }), "region {region}, block {n}");
        }
    }

    #[test]
    fn an_empty_record_voids_what_was_there_of_its_log() {
        let mut file = File::new();
        file.put(0, 0, 1, 1, b"a").put(0, 1, 2, 1, b"").put(0, 2, 3, 1, b"c");
        assert_eq!(file.texts().as_deref(), Ok("c"));
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        for len in [0, REGION * JOURNAL_REGIONS] {
            assert_eq!(read_journal(&vec![0xff; len]), Ok(Vec::new()));
        }
        assert!(read_journal(b"records").is_err(), "no journal of ours has that length");
    }
}

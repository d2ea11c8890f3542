//! One block of a journal: a header, records, a checksum, and zeros up to the next whole block of the device.
//!
//! ```text
//!  0        8  10 12      16        24     32      40       48          64           64 + n    68 + n
//!  | magic | v | k | n   | sequence| nonce| needed| durable| zeros     | records    | CRC-32C | zeros ...
//! ```
//! The nonce is drawn when the file is made. Nobody outside knows it, so no record can hold what looks like a block.

use crate::log::envelope::MAGIC;
use crate::log::limits::BLOCK_BYTES;
use crate::mem::{Buf, Slice};
use protocol::crc::crc32c;

const VERSION: u16 = 1;
const KIND: u16 = 4;

/// Bytes before the records.
const HEADER_LEN: usize = 64;
const CRC_LEN: usize = 4;
/// Bytes of a record before its batches.
pub(in crate::log) const PLACE_LEN: usize = 40;

/// What a block says besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct Block {
    /// One more than the block before.
    pub(in crate::log) sequence: u64,
    /// The file's own number.
    pub(in crate::log) nonce: u64,
    /// Blocks before this one hold nothing that is not in its segment.
    pub(in crate::log) needed: u64,
    /// When this block was made, every block up to this one was durable.
    pub(in crate::log) durable: u64,
}

/// Where the batches of a record belong. No bytes: every earlier record of that log is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct Place {
    pub(in crate::log) uid: [u8; 16],
    pub(in crate::log) partition: i32,
    /// Base offset of the segment.
    pub(in crate::log) base: i64,
    /// Position in the segment's file.
    pub(in crate::log) position: u64,
}

/// A place and the bytes that belong there.
type Record<'a> = (Place, &'a [u8]);

impl Block {
    /// Bytes that a block with `records` bytes of records takes in the file.
    pub(in crate::log) fn len_with(records: usize) -> u64 {
        ((HEADER_LEN + records + CRC_LEN) as u64).next_multiple_of(BLOCK_BYTES)
    }

    /// The block as it is written; `records` are places with the slices behind them.
    pub(in crate::log) fn seal(&self, records: &[(Place, Vec<Slice>)]) -> Slice {
        let bytes = |slices: &[Slice]| slices.iter().map(|slice| slice.len()).sum::<usize>();
        let payload: usize = records.iter().map(|(_, slices)| PLACE_LEN + bytes(slices)).sum();
        let whole = Block::len_with(payload) as usize;
        let mut buf = Buf::with_capacity(whole);
        buf.extend_from_slice(&self.header(payload));
        for (place, slices) in records {
            buf.extend_from_slice(&place.encode(bytes(slices)));
            slices.iter().for_each(|slice| buf.extend_from_slice(slice));
        }
        let crc = crc32c(buf.as_slice());
        buf.extend_from_slice(&crc.to_le_bytes());
        let rest = whole - buf.len();
        buf.fill_zero(rest);
        buf.freeze()
    }

    fn header(&self, payload: usize) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        header[10..12].copy_from_slice(&KIND.to_le_bytes());
        let payload = u32::try_from(payload).unwrap_or_else(|_| unreachable!("a block fits a region"));
        header[12..16].copy_from_slice(&payload.to_le_bytes());
        for (at, field) in [(16, self.sequence), (24, self.nonce), (32, self.needed), (40, self.durable)] {
            header[at..at + 8].copy_from_slice(&field.to_le_bytes());
        }
        header
    }

    /// The block at the beginning of `bytes`, its records, and its whole length; `None` if none begins here that is whole.
    pub(in crate::log) fn open(bytes: &[u8]) -> Option<(Block, &[u8], u64)> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let version = u16::from_le_bytes([header[8], header[9]]);
        let kind = u16::from_le_bytes([header[10], header[11]]);
        if header[..8] != MAGIC || version != VERSION || kind != KIND {
            return None;
        }
        let end = HEADER_LEN.checked_add(u32_at(header, 12) as usize)?;
        let (body, rest) = bytes.split_at_checked(end)?;
        let stored = u32::from_le_bytes(*rest.first_chunk()?);
        if stored != crc32c(body) {
            return None;
        }
        let block = Block {
            sequence: u64_at(header, 16),
            nonce: u64_at(header, 24),
            needed: u64_at(header, 32),
            durable: u64_at(header, 40),
        };
        Some((block, &body[HEADER_LEN..], Block::len_with(end - HEADER_LEN)))
    }
}

impl Place {
    fn encode(&self, len: usize) -> [u8; PLACE_LEN] {
        let mut place = [0; PLACE_LEN];
        place[..16].copy_from_slice(&self.uid);
        place[16..20].copy_from_slice(&self.partition.to_le_bytes());
        let len = u32::try_from(len).unwrap_or_else(|_| unreachable!("a record fits a block"));
        place[20..24].copy_from_slice(&len.to_le_bytes());
        place[24..32].copy_from_slice(&self.base.to_le_bytes());
        place[32..40].copy_from_slice(&self.position.to_le_bytes());
        place
    }

    /// The first record of `records` and what follows it; `None` where there is no whole one.
    pub(in crate::log) fn next(records: &[u8]) -> Option<(Record<'_>, &[u8])> {
        let place: &[u8; PLACE_LEN] = records.first_chunk()?;
        let mut uid = [0; 16];
        uid.copy_from_slice(&place[..16]);
        let (bytes, rest) = records[PLACE_LEN..].split_at_checked(u32_at(place, 20) as usize)?;
        let place = Place {
            uid,
            partition: u32_at(place, 16) as i32,
            base: u64_at(place, 24) as i64,
            position: u64_at(place, 32),
        };
        Some(((place, bytes), rest))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block = Block { sequence: 7, nonce: 0xfeed, needed: 3, durable: 5 };

    fn place(n: u8) -> Place {
        Place { uid: [n; 16], partition: -1, base: i64::MAX, position: u64::from(n) << 40 }
    }

    fn sealed() -> Slice {
        let two = vec![Slice::from_static(b"one"), Slice::from_static(b"two")];
        BLOCK.seal(&[(place(1), two), (place(2), Vec::new())])
    }

    #[test]
    fn what_was_sealed_comes_back() {
        let bytes = sealed();
        assert_eq!(bytes.len() as u64, BLOCK_BYTES);
        let (block, records, len) = Block::open(&bytes).unwrap();
        assert_eq!((block, len), (BLOCK, BLOCK_BYTES));
        let (first, rest) = Place::next(records).unwrap();
        assert_eq!(first, (place(1), &b"onetwo"[..]));
        let (second, rest) = Place::next(rest).unwrap();
        assert_eq!((second, rest.len()), ((place(2), &b""[..]), 0));
        assert_eq!(Place::next(rest), None);
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let bytes = sealed();
        let used = HEADER_LEN + 2 * PLACE_LEN + 6 + CRC_LEN;
        for bit in 0..used * 8 {
            let mut bad = bytes.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Block::open(&bad), None, "bit {bit}");
        }
        for len in 0..used {
            assert_eq!(Block::open(&bytes[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_block_is_whole_blocks_of_the_device() {
        let overhead = HEADER_LEN + CRC_LEN;
        for (records, blocks) in [(0, 1), (4096 - overhead, 1), (4097 - overhead, 2), (1 << 20, 257)] {
            assert_eq!(Block::len_with(records), blocks * BLOCK_BYTES, "{records}");
        }
    }
}

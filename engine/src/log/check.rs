//! Holds the bytes of a segment against what is known of it, batch by batch, to the end: every checksum, every offset, and
//! the header bytes that no batch's checksum covers. Unlike a scan it does not look for the end, it knows where that is;
//! so what it finds on the way is damage, and it goes on behind it. Pure: whoever drives it reads.

use super::files::OpenFile;
use super::index::{HeaderRule, IndexEntry, SegmentIndex, Start, chain};
use super::limits::{BLOCK_BYTES, READ_BYTES};
use super::scan::{Damage, Next, judge, read_at};
use crate::shard::Io;
use protocol::batch::BatchHeader;
use protocol::batch::layout::HEADER_LEN;
use std::io;

/// What a segment must hold.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Bytes of batches.
    pub(super) bytes: u64,
    /// Exclusive end of their offsets.
    pub(super) end_offset: i64,
    /// Position and offset of some batches, ascending: where to go on behind bytes that cannot be passed.
    marks: Vec<(u64, i64)>,
    /// Chained checksum of the headers, and number of batches.
    chain: Option<(u32, u64)>,
}

impl Known {
    /// A part of a segment that still grows.
    pub(super) fn part(bytes: u64, end_offset: i64) -> Known {
        Known { bytes, end_offset, marks: Vec::new(), chain: None }
    }

    fn of(index: &SegmentIndex) -> Known {
        let mark = |entry: &IndexEntry| (u64::from(entry.position), index.offset_at(entry));
        Known {
            bytes: index.bytes,
            end_offset: index.end_offset,
            marks: index.entries.iter().map(mark).collect(),
            chain: Some((index.header_crc, index.batches)),
        }
    }
}

/// See the module. Feed it the bytes at [`Check::position`] until it is done.
pub(super) struct Check {
    known: Known,
    base: i64,
    position: u64,
    rule: HeaderRule,
    chain: u32,
    batches: u64,
    damage: Vec<Damage>,
}

/// What a check wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// At least this many bytes from its position on.
    More(usize),
    Done,
}

impl Check {
    /// All of a segment that `index` covers.
    pub(super) fn whole(index: &SegmentIndex) -> Check {
        let rule = HeaderRule { next: index.base_offset, epochs: index.exact_epochs() };
        Check::new(Known::of(index), index.base_offset, Start { position: 0, rule })
    }

    /// From the last batch that `index` has an entry for.
    pub(super) fn tail(index: &SegmentIndex) -> Check {
        let known = Known { chain: None, ..Known::of(index) };
        Check::new(known, index.base_offset, index.start_of_last())
    }

    pub(super) fn new(known: Known, base: i64, start: Start) -> Check {
        let Start { position, rule } = start;
        Check { known, base, position, rule, chain: 0, batches: 0, damage: Vec::new() }
    }

    /// Where the next bytes are wanted from.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The segment has grown to so many bytes, which end at that offset.
    pub(super) fn grow(&mut self, bytes: u64, end_offset: i64) {
        (self.known.bytes, self.known.end_offset) = (bytes, end_offset);
    }

    /// The offset that comes next at the position.
    pub(super) fn next_offset(&self) -> i64 {
        self.rule.next
    }

    /// What was found so far that is not as it was written.
    pub(super) fn damage(&self) -> Option<&Damage> {
        self.damage.first()
    }

    /// Whether everything that was passed, from the first byte on, is what the index has seen.
    pub(super) fn agrees(&self, index: &SegmentIndex) -> bool {
        let passed = (self.position, self.rule.next, self.chain, self.batches);
        self.damage.is_empty() && passed == (index.bytes, index.end_offset, index.header_crc, index.batches)
    }

    /// Bytes from the position to the end.
    pub(super) fn left(&self) -> u64 {
        self.known.bytes.saturating_sub(self.position)
    }

    /// Takes the bytes at the position: as many as were wanted, or up to the end.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Fed {
        loop {
            let remaining = self.left();
            if remaining == 0 {
                return Fed::Done;
            }
            if bytes.len() < HEADER_LEN && (bytes.len() as u64) < remaining {
                return Fed::More(HEADER_LEN);
            }
            let step = match judge(bytes, remaining, self.rule.next, !self.rule.is_exact()) {
                Next::Partial(needed) => return Fed::More(needed),
                Next::Batch(view) => {
                    let (header, size) = (*view.header(), view.size_bytes() as u64);
                    self.pass(bytes, &header, size);
                    size
                }
                Next::Bad(stop) => match self.step_over(bytes, &stop.to_string()) {
                    Ok(step) => step,
                    Err(needed) => return Fed::More(needed),
                },
            };
            self.position += step;
            bytes = usize::try_from(step).ok().and_then(|step| bytes.get(step..)).unwrap_or_default();
        }
    }

    fn pass(&mut self, bytes: &[u8], header: &BatchHeader, size: u64) {
        if let Err(reason) = self.rule.check(header.base_offset, header.leader_epoch) {
            self.note(size, header.next_offset(), reason);
        }
        if let Some(raw) = bytes.first_chunk() {
            self.chain = chain(self.chain, raw);
        }
        self.batches += 1;
        self.rule.passed(header.next_offset());
    }

    /// Passes bytes that are not what was written: to the batch that follows by their length, else to the next one that
    /// the index knows, else to the end. Returns how many, or how many have to be seen to say.
    fn step_over(&mut self, bytes: &[u8], reason: &str) -> Result<u64, usize> {
        let by_length = bytes.first_chunk().and_then(|raw| BatchHeader::decode(raw).size_bytes());
        let by_length = by_length.filter(|&size| size as u64 <= self.left());
        if let Some(size) = by_length {
            let to_see = (size as u64 + HEADER_LEN as u64).min(self.left()) as usize;
            if to_see > bytes.len() {
                return Err(to_see);
            }
            if let Some(next) = self.offset_behind(bytes, size) {
                self.skip(size as u64, next, reason);
                return Ok(size as u64);
            }
        }
        let behind = self.known.marks.partition_point(|&(position, _)| position <= self.position);
        let (position, offset) =
            self.known.marks.get(behind).copied().unwrap_or((self.known.bytes, self.known.end_offset));
        let step = position - self.position;
        self.skip(step, offset, reason);
        Ok(step)
    }

    /// The offset at which the batch ends, by what follows it.
    fn offset_behind(&self, bytes: &[u8], size: usize) -> Option<i64> {
        if size as u64 == self.left() {
            return Some(self.known.end_offset);
        }
        let header = BatchHeader::decode(bytes.get(size..)?.first_chunk()?);
        let fits =
            header.magic == 2 && header.base_offset > self.rule.next && header.base_offset < self.known.end_offset;
        fits.then_some(header.base_offset)
    }

    fn skip(&mut self, bytes: u64, next: i64, reason: &str) {
        self.note(bytes, next, reason.to_owned());
        self.batches += 1;
        self.rule.passed(next);
    }

    fn note(&mut self, bytes: u64, end_offset: i64, reason: String) {
        let (position, base_offset) = (self.position, self.rule.next);
        self.damage.push(Damage { position, bytes, base_offset, end_offset, reason });
    }

    /// The file has no bytes at the position.
    pub(super) fn cut_short(&mut self) {
        let reason = format!("the file ends at byte {}, expected {}", self.position, self.known.bytes);
        self.note(self.left(), self.known.end_offset, reason);
        self.position = self.known.bytes;
    }

    /// What is not as it was written.
    pub(super) fn finish(mut self) -> Vec<Damage> {
        if !self.damage.is_empty() {
            return self.damage;
        }
        let sealed = self.known.chain.unwrap_or((self.chain, self.batches));
        if self.rule.next == self.known.end_offset && sealed == (self.chain, self.batches) {
            return self.damage;
        }
        let reason = "a base offset, a leader epoch or a length is not what was sealed, which batch's is not known";
        let (bytes, base_offset, end_offset) = (self.known.bytes, self.base, self.known.end_offset);
        self.damage.push(Damage { position: 0, bytes, base_offset, end_offset, reason: reason.to_owned() });
        self.damage
    }
}

/// How a check of a file goes about: who goes first, how fast, and when it is given up.
pub(super) trait Pace {
    /// Before `bytes` are read; false gives up.
    fn turn(&mut self, io: &Io, bytes: usize) -> impl Future<Output = bool>;
}

/// At once and to the end.
pub(super) struct AtOnce;

impl Pace for AtOnce {
    async fn turn(&mut self, _: &Io, _: usize) -> bool {
        true
    }
}

/// Reads and checks a segment; `None` when it was given up.
pub(super) async fn check_segment(
    io: &Io,
    file: &OpenFile,
    mut check: Check,
    pace: &mut impl Pace,
) -> io::Result<Option<Vec<Damage>>> {
    let mut wanted = HEADER_LEN;
    loop {
        let at = check.position() - check.position() % BLOCK_BYTES;
        let skip = (check.position() - at) as usize;
        let least = (skip + wanted).next_multiple_of(BLOCK_BYTES as usize);
        let most = (skip as u64 + check.left()).next_multiple_of(BLOCK_BYTES);
        let len = least.max(READ_BYTES).min(usize::try_from(most).unwrap_or(usize::MAX));
        if !pace.turn(io, len).await {
            return Ok(None);
        }
        let buf = read_at(io, file, at, len).await?;
        let bytes = buf.as_slice().get(skip..).unwrap_or_default();
        let before = check.position();
        match check.feed(bytes) {
            Fed::Done => return Ok(Some(check.finish())),
            Fed::More(_) if buf.len() < len && check.position() == before => check.cut_short(),
            Fed::More(needed) => wanted = needed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::index::Indexed;
    use protocol::batch::layout::{ATTRIBUTES, BASE_OFFSET, BATCH_LENGTH, CRC, LEADER_EPOCH, MAGIC};

    const BATCHES: i64 = 40;

    fn batch(base: i64, epoch: i32, body: usize) -> Vec<u8> {
        let mut bytes = vec![base as u8 | 1; HEADER_LEN + body];
        let mut header = [0; HEADER_LEN];
        header[BASE_OFFSET..8].copy_from_slice(&base.to_be_bytes());
        header[BATCH_LENGTH..12].copy_from_slice(&((HEADER_LEN - 12 + body) as i32).to_be_bytes());
        header[LEADER_EPOCH..16].copy_from_slice(&epoch.to_be_bytes());
        header[MAGIC] = 2;
        bytes[..HEADER_LEN].copy_from_slice(&header);
        let crc = protocol::crc::crc32c(&bytes[ATTRIBUTES..]);
        bytes[CRC..CRC + 4].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Batches of one record with what is known of them; with `gap`, every second offset is missing.
    fn segment(gap: bool) -> (Vec<u8>, SegmentIndex) {
        let mut index = SegmentIndex::new(100);
        let mut file = Vec::new();
        for n in 0..BATCHES {
            let base = 100 + if gap { 2 * n } else { n };
            let bytes = batch(base, if n < 20 { 3 } else { 5 }, 150);
            let header = BatchHeader::decode(bytes.first_chunk().unwrap());
            let noted = Indexed {
                header: bytes.first_chunk().unwrap(),
                base_offset: base,
                last_offset: base,
                leader_epoch: header.leader_epoch,
                max_timestamp: header.max_timestamp,
                offset_of_max_timestamp: base,
                len: bytes.len(),
            };
            index.note(&noted, 1000);
            file.extend(bytes);
        }
        (file, index)
    }

    fn check(file: &[u8], index: &SegmentIndex, piece: usize) -> Vec<Damage> {
        let mut check = Check::whole(index);
        let mut wanted = piece;
        loop {
            let at = check.position() as usize;
            let end = (at + wanted.max(piece)).min(file.len());
            match check.feed(file.get(at..end).unwrap_or_default()) {
                Fed::Done => return check.finish(),
                Fed::More(_) if end == file.len() && check.position() as usize == at => check.cut_short(),
                Fed::More(needed) => wanted = needed,
            }
        }
    }

    /// Which batch a bit lies in.
    fn batch_of(bit: usize) -> i64 {
        (bit / 8 / (HEADER_LEN + 150)) as i64
    }

    #[test]
    fn what_was_written_is_sound_in_pieces_of_any_size() {
        for gap in [false, true] {
            let (file, index) = segment(gap);
            assert_eq!(index.plain, !gap);
            for piece in [1, 61, 100, 211, 1000, 1 << 20] {
                assert_eq!(check(&file, &index, piece), [], "pieces of {piece}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_found_in_its_batch() {
        let (file, index) = segment(false);
        for bit in (0..file.len() * 8).filter(|bit| bit / 8 % (HEADER_LEN + 150) < HEADER_LEN + 2) {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = check(&bad, &index, 500);
            let wrong = batch_of(bit);
            let covers = |damage: &Damage| (damage.base_offset..damage.end_offset).contains(&(100 + wrong));
            assert!(found.iter().any(covers), "bit {bit} of batch {wrong}: {found:?}");
            // A length that lies takes what the next index entry is behind along, nothing more.
            let lost: i64 = found.iter().map(|damage| damage.end_offset - damage.base_offset).sum();
            assert!(found.len() == 1 && lost <= 6, "bit {bit}: {found:?}");
        }
    }

    #[test]
    fn gaps_leave_the_chain_as_proof() {
        let (file, index) = segment(true);
        for bit in (0..file.len() * 8).filter(|bit| bit / 8 % (HEADER_LEN + 150) < HEADER_LEN) {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!check(&bad, &index, 500).is_empty(), "bit {bit} of batch {}", batch_of(bit));
        }
    }

    #[test]
    fn a_short_file_says_where_it_ends() {
        let (file, index) = segment(false);
        let cut = HEADER_LEN + 150 + 30;
        let found = check(&file[..cut], &index, 500);
        let [damage] = &found[..] else { panic!("{found:?}") };
        assert_eq!((damage.position, damage.base_offset, damage.end_offset), (211, 101, 140));
    }
}

//! One file of the simulated disk: its sectors and its length, durable and since, and what a crash makes of them.
//!
//! A sector that no sync covered is after a crash what it was at the last one or any of its versions since, each for itself:
//! a journal's commit for another file may have taken an earlier version along, or an earlier length. Changes of the length
//! reach the disk in their order. A truncation that is lost takes what was written afterwards behind its cut with it, and may
//! leave zeros up to the end of the block that it cut, as xfs does. Data that a failed sync covered stays readable but no later
//! sync makes it durable, as page caches behave.

use super::rng::Rng;
use crate::mem::BLOCK;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The unit that a power cut never tears, in bytes.
pub(super) const SECTOR: usize = 512;

/// Content of a sector; `None` is all zeros.
type Sector = Option<Rc<[u8; SECTOR]>>;

/// What a sector became by one write or cut.
#[derive(Clone)]
struct Version {
    data: Sector,
    /// Which change of the disk that was.
    seq: u64,
    /// A sync that covered it failed; no later one will make it durable.
    abandoned: bool,
    /// A truncation cut it off: where that survives, nothing older is below.
    is_cut: bool,
}

/// A change of the length.
#[derive(Clone, Copy)]
struct Length {
    seq: u64,
    bytes: u64,
    is_cut: bool,
}

#[derive(Default)]
pub(super) struct FileData {
    durable: BTreeMap<u64, Sector>,
    /// Which change made a sector durable by itself: a sync that was submitted before knows older ones only.
    synced_alone: BTreeMap<u64, u64>,
    /// Versions since the last sync of each sector that has some, oldest first; the last is what readers see.
    volatile: BTreeMap<u64, Vec<Version>>,
    pub(super) len: u64,
    durable_len: u64,
    /// Changes of the length since the last sync, oldest first.
    lengths: Vec<Length>,
    /// Sectors that no read gets any more.
    pub(super) latent: BTreeSet<u64>,
}

/// What a sync submitted at some moment will make durable.
pub(super) struct FileMoment {
    sectors: Vec<(u64, u64, Sector)>,
    len: u64,
    /// The last change of the length that is covered.
    lengths_upto: u64,
}

impl FileData {
    fn sector(&self, index: u64) -> Sector {
        match self.volatile.get(&index).and_then(|versions| versions.last()) {
            Some(version) => version.data.clone(),
            None => self.durable.get(&index).cloned().flatten(),
        }
    }

    fn put(&mut self, index: u64, bytes: &[u8; SECTOR], seq: u64) {
        let is_zero = *bytes == [0; SECTOR];
        if is_zero && !self.volatile.contains_key(&index) && !self.durable.contains_key(&index) {
            return;
        }
        let data = (!is_zero).then(|| Rc::new(*bytes));
        self.latent.remove(&index);
        self.volatile.entry(index).or_default().push(Version { data, seq, abandoned: false, is_cut: false });
    }

    /// Writes the sectors that `keep` says yes to.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8], seq: u64, mut keep: impl FnMut() -> bool) {
        let mut done = 0;
        while done < bytes.len() {
            let at = at + done as u64;
            let (index, skip) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let count = (SECTOR - skip).min(bytes.len() - done);
            let piece = &bytes[done..done + count];
            done += count;
            if !keep() {
                continue;
            }
            if let Ok(whole) = piece.try_into() {
                self.put(index, whole, seq);
                continue;
            }
            let mut sector = self.sector(index).map_or([0; SECTOR], |data| *data);
            sector[skip..skip + count].copy_from_slice(piece);
            self.put(index, &sector, seq);
        }
        self.grow(at + bytes.len() as u64, seq);
    }

    /// Makes the file at least `end` bytes long.
    pub(super) fn grow(&mut self, end: u64, seq: u64) {
        if end > self.len {
            self.len = end;
            self.lengths.push(Length { seq, bytes: end, is_cut: false });
        }
    }

    /// The write `seq` did not come to lengthen the file, which was `len` bytes long before.
    pub(super) fn forget_growth(&mut self, len: u64, seq: u64) {
        self.len = len;
        self.lengths.retain(|change| change.seq != seq);
    }

    pub(super) fn read(&self, at: u64, room: usize) -> Vec<u8> {
        let end = self.len.min(at.saturating_add(room as u64));
        let mut out = Vec::with_capacity(end.saturating_sub(at) as usize);
        while at + (out.len() as u64) < end {
            let at = at + out.len() as u64;
            let (index, skip) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let count = (SECTOR - skip).min((end - at) as usize);
            match self.sector(index) {
                Some(data) => out.extend_from_slice(&data[skip..skip + count]),
                None => out.resize(out.len() + count, 0),
            }
        }
        out
    }

    pub(super) fn set_len(&mut self, len: u64, seq: u64) {
        if len >= self.len {
            return self.grow(len, seq);
        }
        let tail = (SECTOR as u64 - len % SECTOR as u64) % SECTOR as u64;
        let cut_in_sector = tail.min(self.len - len) as usize;
        self.write(len, &[0; SECTOR][..cut_in_sector], seq, || true);
        let first = len.div_ceil(SECTOR as u64);
        let gone: BTreeSet<u64> =
            self.durable.range(first..).map(|e| *e.0).chain(self.volatile.range(first..).map(|e| *e.0)).collect();
        // xfs writes zeros up to the end of the block before it cuts, and these last even where the cut is lost.
        let zeroed = len.next_multiple_of(BLOCK as u64) / SECTOR as u64;
        for index in gone {
            if index < zeroed {
                self.put(index, &[0; SECTOR], seq);
            }
            let cut = Version { data: None, seq, abandoned: false, is_cut: true };
            self.volatile.entry(index).or_default().push(cut);
        }
        self.len = len;
        self.lengths.push(Length { seq, bytes: len, is_cut: true });
    }

    pub(super) fn moment(&self) -> FileMoment {
        let last = self.volatile.iter().filter_map(|(index, versions)| Some((*index, versions.last()?)));
        let live = last.filter(|(_, version)| !version.abandoned);
        let sectors = live.map(|(index, version)| (index, version.seq, version.data.clone())).collect();
        let lengths_upto = self.lengths.last().map_or(0, |change| change.seq);
        FileMoment { sectors, len: self.len, lengths_upto }
    }

    pub(super) fn sync(&mut self, moment: FileMoment) {
        for (index, seq, data) in moment.sectors {
            if self.synced_alone.get(&index).is_some_and(|newer| *newer > seq) {
                continue;
            }
            self.synced_alone.remove(&index);
            self.durable.insert(index, data);
            if let Some(versions) = self.volatile.get_mut(&index) {
                versions.retain(|version| version.seq > seq);
            }
        }
        self.volatile.retain(|_, versions| !versions.is_empty());
        self.lengths.retain(|change| change.seq > moment.lengths_upto);
        self.durable_len = moment.len;
    }

    /// The last version of the sectors in `at..at + len` is durable, and the length if it is needed to read them.
    pub(super) fn sync_range(&mut self, at: u64, len: u64) {
        let end = at + len;
        for index in at / SECTOR as u64..end.div_ceil(SECTOR as u64) {
            let Some(last) = self.volatile.get(&index).and_then(|versions| versions.last()) else { continue };
            if !last.abandoned {
                let (data, seq) = (last.data.clone(), last.seq);
                self.durable.insert(index, data);
                self.synced_alone.insert(index, seq);
                self.volatile.remove(&index);
            }
        }
        if end > self.durable_len {
            self.durable_len = self.len;
            self.lengths.clear();
        }
    }

    /// A sync of a file that is written past the page cache failed. There is no dirty page to be forgotten: some of what
    /// the device had taken is gone from it at once, as every read from now on shows, and the rest is as good as before.
    pub(super) fn sync_failed_direct(&mut self, moment: &FileMoment, rng: &mut Rng) {
        for (index, seq, _) in &moment.sectors {
            if rng.coin()
                && let Some(versions) = self.volatile.get_mut(index)
            {
                versions.retain(|version| version.seq > *seq || version.is_cut);
            }
        }
        self.volatile.retain(|_, versions| !versions.is_empty());
    }

    /// A sync of a file in the page cache failed.
    pub(super) fn sync_failed(&mut self, moment: &FileMoment) {
        for (index, seq, _) in &moment.sectors {
            let versions = self.volatile.get_mut(index).into_iter().flatten();
            versions.filter(|version| version.seq <= *seq).for_each(|version| version.abandoned = true);
        }
    }

    /// Flips one bit of what the device holds and the system sees.
    pub(super) fn flip_bit(&mut self, at: u64, bit: u8) {
        let (index, skip) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
        let flip = |sector: &Sector| {
            let mut bytes = sector.as_ref().map_or([0; SECTOR], |data| **data);
            bytes[skip] ^= 1 << bit;
            Some(Rc::new(bytes))
        };
        let durable = self.durable.get(&index).cloned().flatten();
        self.durable.insert(index, flip(&durable));
        for version in self.volatile.get_mut(&index).into_iter().flatten() {
            version.data = flip(&version.data);
        }
    }

    /// The length after the first `kept` changes of it.
    fn length_after(&self, kept: usize) -> u64 {
        kept.checked_sub(1).and_then(|last| self.lengths.get(last)).map_or(self.durable_len, |change| change.bytes)
    }

    /// What a sector may be once the first `kept` changes of the length have survived and no other: the content without
    /// any write, and the versions that may have replaced it.
    fn outcomes_of(&self, index: u64, kept: usize) -> (Sector, Vec<&Version>) {
        let versions = self.volatile.get(&index).map_or(&[][..], Vec::as_slice);
        let survives = |seq: u64| self.lengths[..kept].iter().any(|change| change.seq == seq);
        let lost = |seq: u64| self.lengths[kept..].iter().any(|change| change.seq == seq && change.is_cut);
        let end = versions.iter().position(|version| version.is_cut && lost(version.seq)).unwrap_or(versions.len());
        match versions[..end].iter().rposition(|version| version.is_cut && survives(version.seq)) {
            Some(cut) => (None, versions[cut + 1..end].iter().collect()),
            None => {
                let written = versions[..end].iter().filter(|version| !version.is_cut).collect();
                (self.durable.get(&index).cloned().flatten(), written)
            }
        }
    }

    /// The power fails.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let kept = match rng.below(3) {
            0 => 0,
            1 => self.lengths.len(),
            _ => rng.below(self.lengths.len() as u64 + 1) as usize,
        };
        // Sometimes everything was lost or kept; mostly each sector for itself, and then mostly its last version.
        let mode = rng.below(4);
        let indexes: Vec<u64> = self.volatile.keys().copied().collect();
        for index in indexes {
            let (base, versions) = self.outcomes_of(index, kept);
            let keeps = mode == 0 || (mode > 1 && rng.coin());
            let chosen = match versions.last() {
                Some(last) if keeps && (mode == 0 || rng.coin()) => last.data.clone(),
                Some(_) if keeps => versions[rng.below(versions.len() as u64) as usize].data.clone(),
                _ => base,
            };
            self.durable.insert(index, chosen);
        }
        self.len = self.length_after(kept);
        self.durable_len = self.len;
        self.volatile.clear();
        self.synced_alone.clear();
        self.lengths.clear();
        self.durable.split_off(&self.len.div_ceil(SECTOR as u64));
    }

    /// Whether a crash now may leave exactly `bytes`; if not, why.
    pub(super) fn allows(&self, bytes: &[u8]) -> Result<(), String> {
        let mut why = format!("{} bytes; it had {} at the last sync", bytes.len(), self.durable_len);
        why.extend(self.lengths.iter().map(|change| format!(", then {}", change.bytes)));
        for kept in (0..=self.lengths.len()).filter(|kept| self.length_after(*kept) == bytes.len() as u64) {
            let wrong = bytes.chunks(SECTOR).enumerate().find(|(index, seen)| !self.allows_sector(*index, seen, kept));
            match wrong {
                None => return Ok(()),
                Some((index, seen)) => {
                    why = format!("sector {index} of {} bytes begins {:?}", bytes.len(), &seen[..4.min(seen.len())])
                }
            }
        }
        Err(why)
    }

    fn allows_sector(&self, index: usize, seen: &[u8], kept: usize) -> bool {
        let fits = |data: &Sector| match data {
            Some(data) => data[..seen.len()] == *seen,
            None => seen.iter().all(|byte| *byte == 0),
        };
        let (base, versions) = self.outcomes_of(index as u64, kept);
        fits(&base) || versions.iter().any(|version| fits(&version.data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn file_with(durable: &[u8], then: impl Fn(&mut FileData)) -> FileData {
        let mut file = FileData::default();
        file.write(0, durable, 1, || true);
        let moment = file.moment();
        file.sync(moment);
        then(&mut file);
        file
    }

    /// Every outcome that crashes with many seeds lead to.
    fn outcomes(durable: &[u8], then: impl Fn(&mut FileData)) -> BTreeSet<Vec<u8>> {
        (0..400)
            .map(|seed| {
                let mut file = file_with(durable, &then);
                file.crash(&mut Rng::new(seed));
                file.read(0, 1 << 20)
            })
            .collect()
    }

    #[test]
    fn synced_bytes_survive_every_crash() {
        assert_eq!(outcomes(b"safe", |_| ()), BTreeSet::from([b"safe".to_vec()]));
    }

    #[test]
    fn a_synced_write_survives_and_takes_nothing_else_along() {
        let got = outcomes(&[b'o'; 2 * SECTOR], |file| {
            file.write(0, &[b'n'; 2 * SECTOR], 2, || true);
            file.sync_range(0, SECTOR as u64);
        });
        let halves: BTreeSet<_> = got.iter().map(|bytes| (bytes[0], bytes[SECTOR])).collect();
        assert_eq!(halves, BTreeSet::from([(b'n', b'o'), (b'n', b'n')]));
        let longer = outcomes(b"a", |file| {
            file.write(0, &[b'n'; SECTOR], 2, || true);
            file.sync_range(0, SECTOR as u64);
        });
        assert_eq!(longer, BTreeSet::from([vec![b'n'; SECTOR]]), "the length that is needed to read it");
    }

    #[test]
    fn a_sync_that_was_submitted_before_does_not_undo_a_synced_write() {
        let got = outcomes(b"a", |file| {
            file.write(0, b"b", 2, || true);
            let moment = file.moment();
            file.write(0, b"c", 3, || true);
            file.sync_range(0, 1);
            file.sync(moment);
            assert_eq!(file.read(0, 1), b"c");
        });
        assert_eq!(got, BTreeSet::from([b"c".to_vec()]));
    }

    #[test]
    fn unsynced_sectors_are_old_or_new_each_for_itself() {
        let got = outcomes(&[b'o'; 2 * SECTOR], |file| file.write(0, &[b'n'; 2 * SECTOR], 2, || true));
        let halves: BTreeSet<_> = got.iter().map(|bytes| (bytes[0], bytes[SECTOR])).collect();
        assert_eq!(halves, BTreeSet::from([(b'o', b'o'), (b'o', b'n'), (b'n', b'o'), (b'n', b'n')]));
        assert!(got.iter().all(|bytes| bytes[..SECTOR].iter().all(|byte| *byte == bytes[0])), "no torn sector");
    }

    #[test]
    fn a_write_after_the_sync_was_submitted_is_not_covered() {
        let got = outcomes(b"a", |file| {
            file.write(0, b"b", 2, || true);
            let moment = file.moment();
            file.write(0, b"c", 3, || true);
            file.sync(moment);
        });
        assert_eq!(got, BTreeSet::from([b"b".to_vec(), b"c".to_vec()]));
    }

    #[test]
    fn a_sync_after_a_failed_one_covers_nothing_old() {
        let got = outcomes(b"a", |file| {
            file.write(0, b"b", 2, || true);
            let failed = file.moment();
            file.sync_failed(&failed);
            assert_eq!(file.read(0, 1), b"b", "still readable");
            let moment = file.moment();
            file.sync(moment);
        });
        assert_eq!(got, BTreeSet::from([b"a".to_vec(), b"b".to_vec()]));
    }

    #[test]
    fn truncation_at_a_block_is_whole_or_did_not_happen() {
        let long = [b'x'; 3 * BLOCK];
        let got = outcomes(&long, |file| file.set_len(BLOCK as u64, 2));
        assert_eq!(got, BTreeSet::from([long.to_vec(), long[..BLOCK].to_vec()]));
    }

    /// Found on xfs (agreement, seed 162, cut after 17 steps).
    #[test]
    fn a_lost_truncation_may_leave_zeros_up_to_its_block() {
        let long = [b'x'; 2 * BLOCK];
        let got = outcomes(&long, |file| file.set_len((BLOCK - SECTOR) as u64, 2));
        let mut zeroed = long.to_vec();
        zeroed[BLOCK - SECTOR..BLOCK].fill(0);
        assert_eq!(got, BTreeSet::from([long.to_vec(), zeroed, long[..BLOCK - SECTOR].to_vec()]));
    }

    #[test]
    fn every_length_and_every_version_since_the_sync_may_be_what_is_left() {
        let got = outcomes(b"a", |file| {
            file.write(0, b"bb", 2, || true);
            file.write(0, b"ccc", 3, || true);
        });
        for expected in ["a", "b", "c", "bb", "cc", "a\0", "a\0\0", "bb\0", "ccc"] {
            assert!(got.contains(expected.as_bytes()), "{expected:?} is missing in {got:?}");
        }
        assert_eq!(got.len(), 9, "{got:?}");
    }

    #[test]
    fn a_file_cut_and_grown_again_is_zeros_or_was_never_cut() {
        let got = outcomes(&[b'x'; 2 * SECTOR], |file| {
            file.set_len(0, 2);
            file.grow(2 * SECTOR as u64, 3);
        });
        assert_eq!(got, BTreeSet::from([vec![b'x'; 2 * SECTOR], Vec::new(), vec![0; 2 * SECTOR]]));
    }

    /// What a crash does and what is said to be possible are one thing.
    #[test]
    fn every_crash_is_allowed_and_nothing_else_is() {
        let then = |file: &mut FileData| {
            file.write(SECTOR as u64 - 2, b"1234", 2, || true);
            file.set_len(SECTOR as u64 + 1, 3);
            file.write(3 * SECTOR as u64, b"far", 4, || true);
        };
        let file = file_with(&[b'o'; SECTOR], then);
        for bytes in outcomes(&[b'o'; SECTOR], then) {
            assert_eq!(file.allows(&bytes), Ok(()));
        }
        assert!(file.allows(&[b'n'; SECTOR]).is_err(), "bytes that were never there");
        assert!(file.allows(&[b'o'; SECTOR - 1]).is_err(), "a length that it never had");
    }

    #[test]
    fn what_was_cut_does_not_come_back_in_a_file_that_grows() {
        let mut file = file_with(&[b'x'; 2 * SECTOR], |_| ());
        file.set_len(10, 2);
        file.set_len(2 * SECTOR as u64, 3);
        assert!(file.read(10, 2 * SECTOR).iter().all(|byte| *byte == 0));
    }
}

//! The simulated disk: files as sectors with a durable and a volatile state, and what a crash makes of them.
//!
//! A sector that no sync covered is old or new after a crash, each for itself; so is a file's length. Data that a failed
//! sync covered stays readable but no later sync makes it durable, as page caches behave.

use super::super::{DirEntry, OpenMode};
use super::names::{Names, NodeId};
use super::rng::Rng;
use crate::mem::BLOCK;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The unit that a power cut never tears, in bytes.
pub(super) const SECTOR: usize = 512;

/// Content of a sector; `None` is all zeros.
type Sector = Option<Rc<[u8; SECTOR]>>;

#[derive(Clone)]
struct Volatile {
    data: Sector,
    /// Tells this write of the sector from a later one.
    seq: u64,
    /// A sync that covered it failed; no later one will make it durable.
    abandoned: bool,
    /// The durable content was cut off by a truncation: where that survives, zeros are below this write.
    over_zeros: bool,
}

#[derive(Default)]
struct FileData {
    durable: BTreeMap<u64, Sector>,
    volatile: BTreeMap<u64, Volatile>,
    len: u64,
    durable_len: u64,
    /// Sectors that no read gets any more.
    latent: BTreeSet<u64>,
}

/// What a sync submitted at some moment will make durable.
pub(super) struct FileMoment {
    sectors: Vec<(u64, u64, Sector)>,
    len: u64,
}

/// All files, folders and free space of one world.
pub(super) struct Disk {
    pub(super) names: Names,
    files: BTreeMap<NodeId, FileData>,
    /// How many handles each open file has.
    open: BTreeMap<NodeId, u32>,
    next_node: NodeId,
    seq: u64,
    /// Bytes in use, while nothing has happened that would need counting anew.
    used: Cell<Option<u64>>,
    /// Names were taken since files that nothing can reach were looked for.
    may_be_unreachable: bool,
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl FileData {
    fn sector(&self, index: u64) -> Sector {
        match self.volatile.get(&index) {
            Some(volatile) => volatile.data.clone(),
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
        let over_zeros = self.volatile.get(&index).is_some_and(|old| old.over_zeros);
        self.volatile.insert(index, Volatile { data, seq, abandoned: false, over_zeros });
    }

    /// Writes the sectors that `keep` says yes to.
    fn write(&mut self, at: u64, bytes: &[u8], seq: u64, mut keep: impl FnMut() -> bool) {
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
        self.len = self.len.max(at + bytes.len() as u64);
    }

    fn read(&self, at: u64, room: usize) -> Vec<u8> {
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

    fn set_len(&mut self, len: u64, seq: u64) {
        if len < self.len {
            let tail = (SECTOR as u64 - len % SECTOR as u64) % SECTOR as u64;
            let cut_in_sector = tail.min(self.len - len) as usize;
            self.write(len, &[0; SECTOR][..cut_in_sector], seq, || true);
            let first = len.div_ceil(SECTOR as u64);
            let gone: BTreeSet<u64> =
                self.durable.range(first..).map(|e| *e.0).chain(self.volatile.range(first..).map(|e| *e.0)).collect();
            for index in gone {
                self.volatile.insert(index, Volatile { data: None, seq, abandoned: false, over_zeros: true });
            }
        }
        self.len = len;
    }

    fn moment(&self) -> FileMoment {
        let live = self.volatile.iter().filter(|(_, sector)| !sector.abandoned);
        let sectors = live.map(|(index, sector)| (*index, sector.seq, sector.data.clone())).collect();
        FileMoment { sectors, len: self.len }
    }

    fn sync(&mut self, moment: FileMoment) {
        for (index, seq, data) in moment.sectors {
            self.durable.insert(index, data);
            if self.volatile.get(&index).is_some_and(|now| now.seq == seq) {
                self.volatile.remove(&index);
            }
        }
        self.durable_len = moment.len;
    }

    fn sync_failed(&mut self, moment: &FileMoment) {
        for (index, seq, _) in &moment.sectors {
            if let Some(now) = self.volatile.get_mut(index).filter(|now| now.seq == *seq) {
                now.abandoned = true;
            }
        }
    }

    fn crash(&mut self, rng: &mut Rng) {
        let keeps_len = rng.coin();
        // Sometimes everything was lost or kept; mostly each sector for itself.
        let mode = rng.below(4);
        for (index, sector) in std::mem::take(&mut self.volatile) {
            let keeps = (mode == 0 || (mode > 1 && rng.coin())) && (keeps_len || !sector.over_zeros);
            if keeps {
                self.durable.insert(index, sector.data);
            } else if sector.over_zeros && keeps_len {
                self.durable.remove(&index);
            }
        }
        self.len = if keeps_len { self.len } else { self.durable_len };
        self.durable_len = self.len;
        self.durable.split_off(&self.len.div_ceil(SECTOR as u64));
    }
}

impl Disk {
    pub(super) fn new() -> Disk {
        Disk {
            names: Names::new(),
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            next_node: 1,
            seq: 0,
            used: Cell::new(None),
            may_be_unreachable: false,
        }
    }

    fn fresh_node(&mut self) -> NodeId {
        self.next_node += 1;
        self.next_node
    }

    #[expect(clippy::expect_used, reason = "a node lives while a name or a handle refers to it; see crash")]
    fn file(&mut self, node: NodeId) -> &mut FileData {
        self.files.get_mut(&node).expect("an open file has its data")
    }

    /// Changes a file that is in use, and counts what it takes then.
    fn resize<T>(&mut self, node: NodeId, change: impl FnOnce(&mut FileData) -> T) -> T {
        let blocks = |file: &FileData| file.len.next_multiple_of(BLOCK as u64);
        let file = self.file(node);
        let before = blocks(file);
        let changed = change(file);
        let after = blocks(file);
        self.used.set(self.used.get().map(|used| used + after - before));
        changed
    }

    /// Every change of a file's bytes has a number.
    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Bytes in use: every file that has a name or a handle counts its whole length, in blocks.
    pub(super) fn used(&self) -> u64 {
        if let Some(used) = self.used.get() {
            return used;
        }
        let named = self.names.named();
        let live = self.files.iter().filter(|(node, _)| named.contains(node) || self.open.contains_key(node));
        let used = live.map(|(_, file)| file.len.next_multiple_of(BLOCK as u64)).sum();
        self.used.set(Some(used));
        used
    }

    pub(super) fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<NodeId> {
        let key = self.names.parent(path)?;
        let creates = !matches!(mode, OpenMode::Read | OpenMode::ReadDirect);
        match self.names.get(&key) {
            Some(_) if mode == OpenMode::CreateDirect => Err(errno(libc::EEXIST)),
            Some(node) if self.names.is_folder(node) => Err(errno(libc::EISDIR)),
            Some(node) => Ok(node),
            None if creates => {
                let node = self.fresh_node();
                self.files.insert(node, FileData::default());
                self.names.put(key, node);
                Ok(node)
            }
            None => Err(errno(libc::ENOENT)),
        }
    }

    pub(super) fn len(&mut self, node: NodeId) -> u64 {
        self.file(node).len
    }

    pub(super) fn read(&mut self, node: NodeId, at: u64, room: usize) -> io::Result<Vec<u8>> {
        let file = self.file(node);
        let last = (at + room as u64).div_ceil(SECTOR as u64);
        if file.latent.range(at / SECTOR as u64..last).next().is_some() {
            return Err(errno(libc::EIO));
        }
        Ok(file.read(at, room))
    }

    /// Makes one of the sectors in `at..at + len` unreadable.
    pub(super) fn lose_sector(&mut self, node: NodeId, at: u64, len: u64, rng: &mut Rng) {
        let sectors = len.div_ceil(SECTOR as u64).max(1);
        self.file(node).latent.insert(at / SECTOR as u64 + rng.below(sectors));
    }

    /// Another block of the file than the one at `at`, where a write of the same length would fit.
    pub(super) fn elsewhere(&mut self, node: NodeId, at: u64, len: u64, rng: &mut Rng) -> Option<u64> {
        let blocks = self.file(node).len.saturating_sub(len) / BLOCK as u64 + 1;
        let other = rng.below(blocks) * BLOCK as u64;
        (other != at).then_some(other)
    }

    /// Every path under the root that leads to one of `nodes`.
    pub(super) fn paths_of(&self, nodes: &BTreeSet<NodeId>) -> Vec<PathBuf> {
        let paths = self.tree().into_iter().map(|(path, _)| path);
        paths.filter(|path| self.names.find(path).is_ok_and(|node| nodes.contains(&node))).collect()
    }

    /// Everything is gone, as on a new disk.
    pub(super) fn wipe(&mut self) {
        *self = Disk { next_node: self.next_node, seq: self.seq, ..Disk::new() };
    }

    /// Fails with ENOSPC when the file would grow beyond what `capacity` leaves.
    fn check_room(&mut self, node: NodeId, end: u64, capacity: u64) -> io::Result<()> {
        let grows = end.saturating_sub(self.len(node).next_multiple_of(BLOCK as u64));
        let fits = grows == 0 || capacity == u64::MAX || self.used().saturating_add(grows) <= capacity;
        if fits { Ok(()) } else { Err(errno(libc::ENOSPC)) }
    }

    pub(super) fn write(&mut self, node: NodeId, at: u64, bytes: &[u8], capacity: u64) -> io::Result<()> {
        self.check_room(node, at + bytes.len() as u64, capacity)?;
        let seq = self.next_seq();
        self.resize(node, |file| file.write(at, bytes, seq, || true));
        Ok(())
    }

    /// A write that did not finish: each sector was written or not.
    pub(super) fn tear(&mut self, node: NodeId, at: u64, bytes: &[u8], rng: &mut Rng) {
        let seq = self.next_seq();
        let len = self.len(node);
        self.resize(node, |file| {
            file.write(at, bytes, seq, || rng.coin());
            if rng.coin() {
                file.len = len;
            }
        });
    }

    pub(super) fn allocate(&mut self, node: NodeId, end: u64, capacity: u64) -> io::Result<()> {
        self.check_room(node, end, capacity)?;
        self.resize(node, |file| file.len = file.len.max(end));
        Ok(())
    }

    pub(super) fn set_len(&mut self, node: NodeId, len: u64, capacity: u64) -> io::Result<()> {
        self.check_room(node, len, capacity)?;
        let seq = self.next_seq();
        self.resize(node, |file| file.set_len(len, seq));
        Ok(())
    }

    pub(super) fn moment(&mut self, node: NodeId) -> FileMoment {
        self.file(node).moment()
    }

    pub(super) fn sync(&mut self, node: NodeId, moment: FileMoment) {
        self.file(node).sync(moment);
    }

    pub(super) fn sync_failed(&mut self, node: NodeId, moment: &FileMoment) {
        self.file(node).sync_failed(moment);
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.names.find(from)?;
        let (from, to) = (self.names.parent(from)?, self.names.parent(to)?);
        match self.names.get(&to) {
            Some(there) if self.names.is_folder(there) != self.names.is_folder(node) => Err(errno(libc::ENOTDIR)),
            Some(there) if self.names.is_folder(there) && !self.names.is_empty_folder(there) => {
                Err(errno(libc::ENOTEMPTY))
            }
            _ => {
                if from != to {
                    self.names.rename(from, to, node);
                    self.lost_a_name();
                }
                Ok(())
            }
        }
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let node = self.names.find(path)?;
        if self.names.is_folder(node) {
            return Err(errno(libc::EISDIR));
        }
        let key = self.names.parent(path)?;
        self.names.take(key);
        self.lost_a_name();
        Ok(())
    }

    fn lost_a_name(&mut self) {
        self.used.set(None);
        self.may_be_unreachable = true;
    }

    pub(super) fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        match self.names.find(path) {
            Ok(node) if self.names.is_folder(node) => return Ok(()),
            Ok(_) => return Err(errno(libc::EEXIST)),
            Err(_) => {}
        }
        let key = self.names.parent(path)?;
        let node = self.fresh_node();
        self.names.add_folder(key, node);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let node = self.names.find(path)?;
        match (self.names.is_folder(node), self.names.is_empty_folder(node)) {
            (false, _) => Err(errno(libc::ENOTDIR)),
            (true, false) => Err(errno(libc::ENOTEMPTY)),
            (true, true) => {
                let key = self.names.parent(path)?;
                self.names.take(key);
                Ok(())
            }
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let entries = self.names.list(path)?.into_iter();
        Ok(entries
            .map(|(name, node)| DirEntry {
                name,
                is_dir: self.names.is_folder(node),
                len: self.files.get(&node).map_or(0, |file| file.len),
            })
            .collect())
    }

    /// Every file under the root with its length, sorted by path.
    pub(super) fn tree(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        let mut queue = vec![PathBuf::from("/")];
        while let Some(folder) = queue.pop() {
            for entry in self.list(&folder).unwrap_or_default() {
                let path = folder.join(&entry.name);
                if entry.is_dir { queue.push(path) } else { files.push((path, entry.len)) }
            }
        }
        files.sort();
        files
    }

    /// Makes the names in `folder` durable and forgets files that nothing can reach any more.
    pub(super) fn sync_names(&mut self, folder: NodeId, moment: u64) {
        self.names.sync(folder, moment);
        if !std::mem::take(&mut self.may_be_unreachable) {
            return;
        }
        let reachable = self.names.reachable();
        let open = &self.open;
        self.files.retain(|node, _| reachable.contains(node) || open.contains_key(node));
    }

    /// Counts a handle of `node`.
    pub(super) fn hold(&mut self, node: NodeId) {
        *self.open.entry(node).or_default() += 1;
    }

    /// Counts a handle less.
    pub(super) fn let_go(&mut self, node: NodeId) {
        self.used.set(None);
        let left = self.open.remove(&node).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            self.open.insert(node, left);
        }
    }

    /// The power fails.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.open.clear();
        self.used.set(None);
        let reached = self.names.crash(rng);
        self.files.retain(|node, _| reached.contains(node));
        for file in self.files.values_mut() {
            file.crash(rng);
        }
    }

    /// Makes a durable file, for fixtures; folders on the way are made too.
    pub(super) fn plant(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        for folder in path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev().skip(1) {
            self.make_dir(folder)?;
        }
        let node = self.open(path, OpenMode::Write)?;
        let seq = self.next_seq();
        let file = self.file(node);
        file.set_len(0, seq);
        file.write(0, bytes, seq, || true);
        let moment = file.moment();
        file.sync(moment);
        self.names.sync_all();
        Ok(())
    }

    /// Flips one bit of what the device holds and the system sees.
    pub(super) fn flip_bit(&mut self, path: &Path, at: u64, bit: u8) -> io::Result<()> {
        let node = self.names.find(path)?;
        let file = self.files.get(&node).ok_or_else(|| errno(libc::EISDIR))?;
        assert!(at < file.len && bit < 8, "bit {bit} of byte {at} is not inside {} bytes", file.len);
        self.flip_bit_of(node, at, bit);
        Ok(())
    }

    /// The same for a file that is open.
    pub(super) fn flip_bit_of(&mut self, node: NodeId, at: u64, bit: u8) {
        let file = self.file(node);
        let (index, skip) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
        let flip = |sector: &Sector| {
            let mut bytes = sector.as_ref().map_or([0; SECTOR], |data| **data);
            bytes[skip] ^= 1 << bit;
            Some(Rc::new(bytes))
        };
        let durable = file.durable.get(&index).cloned().flatten();
        file.durable.insert(index, flip(&durable));
        if let Some(volatile) = file.volatile.get_mut(&index) {
            volatile.data = flip(&volatile.data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        (0..200)
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
    fn truncation_is_whole_or_did_not_happen() {
        let long = [b'x'; 3 * SECTOR];
        let got = outcomes(&long, |file| file.set_len(SECTOR as u64, 2));
        assert_eq!(got, BTreeSet::from([long.to_vec(), long[..SECTOR].to_vec()]));
    }

    #[test]
    fn what_was_cut_does_not_come_back_in_a_file_that_grows() {
        let mut file = file_with(&[b'x'; 2 * SECTOR], |_| ());
        file.set_len(10, 2);
        file.set_len(2 * SECTOR as u64, 3);
        assert!(file.read(10, 2 * SECTOR).iter().all(|byte| *byte == 0));
    }
}

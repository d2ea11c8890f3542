//! The simulated disk: which files and folders there are, how much room is left, and what is done to them. What a file
//! holds, and what a crash makes of that, is in `file`; names are in `names`.

use super::super::{DirEntry, OpenMode};
use super::file::{FileData, FileMoment, SECTOR};
use super::names::{Names, NodeId};
use super::rng::Rng;
use crate::mem::BLOCK;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

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
    /// With so many files those that nothing can reach any more are looked for.
    sweep_at: usize,
}

/// Fewer files that nothing can reach do not matter.
const SWEEP_FILES: usize = 64;

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
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
            sweep_at: SWEEP_FILES,
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

    /// A file's data, if it still has any.
    pub(super) fn file_of(&self, node: NodeId) -> Option<&FileData> {
        self.files.get(&node)
    }

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
                file.forget_growth(len, seq);
            }
        });
    }

    pub(super) fn allocate(&mut self, node: NodeId, end: u64, capacity: u64) -> io::Result<()> {
        self.check_room(node, end, capacity)?;
        let seq = self.next_seq();
        self.resize(node, |file| file.grow(end, seq));
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

    /// What was written last to `at..at + len` is durable.
    pub(super) fn sync_range(&mut self, node: NodeId, at: u64, len: u64) {
        self.file(node).sync_range(at, len);
    }

    pub(super) fn sync_failed(&mut self, node: NodeId, moment: &FileMoment, is_direct: bool, rng: &mut Rng) {
        match is_direct {
            true => self.file(node).sync_failed_direct(moment, rng),
            false => self.file(node).sync_failed(moment),
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.names.find(from)?;
        let (from, to) = (self.names.parent(from)?, self.names.parent(to)?);
        match self.names.get(&to) {
            // Two names of one thing, or one name: nothing to do, as rename(2) says.
            Some(there) if there == node => return Ok(()),
            Some(there) if self.names.is_folder(there) && !self.names.is_folder(node) => {
                return Err(errno(libc::EISDIR));
            }
            Some(there) if !self.names.is_folder(there) && self.names.is_folder(node) => {
                return Err(errno(libc::ENOTDIR));
            }
            Some(there) if self.names.is_folder(there) && !self.names.is_empty_folder(there) => {
                return Err(errno(libc::ENOTEMPTY));
            }
            _ => self.names.rename(from, to, node),
        }
        Ok(())
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

    /// Makes the names in `folder` durable. Now and then, files that nothing can reach any more are forgotten.
    pub(super) fn sync_names(&mut self, folder: NodeId, moment: u64) {
        self.names.sync(folder, moment);
        if self.files.len() < self.sweep_at {
            return;
        }
        let reachable = self.names.reachable();
        let open = &self.open;
        self.files.retain(|node, _| reachable.contains(node) || open.contains_key(node));
        self.sweep_at = 2 * self.files.len() + SWEEP_FILES;
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
        let seq = self.next_seq();
        let file = self.file(node);
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
        file.flip_bit(at, bit);
    }
}

//! Folders of the simulated disk: what the running system sees, what survives a crash, and the changes between the two.
//!
//! A change is durable once the folder it touches was synced; a sync takes along earlier changes to the same names, so
//! that no name comes back from the dead. A crash keeps a prefix of the rest, as a journal would, often an empty one.

use super::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A file or folder of the simulated disk.
pub(super) type NodeId = u64;

/// The folder that is always there.
pub(super) const ROOT: NodeId = 0;

type Key = (NodeId, String);

#[derive(Default)]
struct Folder {
    now: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
}

/// One atomic change of names: `take` disappears and `put` appears.
struct Change {
    seq: u64,
    take: Option<Key>,
    put: Option<(Key, NodeId)>,
}

impl Change {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.take.iter().chain(self.put.iter().map(|(key, _)| key))
    }
}

/// All folders and the changes that no sync covered yet.
pub(super) struct Names {
    folders: BTreeMap<NodeId, Folder>,
    pending: Vec<Change>,
    last_seq: u64,
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn parts(path: &Path) -> Vec<String> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_)));
    named.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

impl Names {
    pub(super) fn new() -> Names {
        Names { folders: BTreeMap::from([(ROOT, Folder::default())]), pending: Vec::new(), last_seq: 0 }
    }

    /// The node at `path`; ENOENT or ENOTDIR as the kernel would say.
    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        parts(path).iter().try_fold(ROOT, |at, name| {
            let folder = self.folders.get(&at).ok_or_else(|| errno(libc::ENOTDIR))?;
            folder.now.get(name).copied().ok_or_else(|| errno(libc::ENOENT))
        })
    }

    /// The folder that holds the last name of `path`, and that name.
    pub(super) fn parent(&self, path: &Path) -> io::Result<Key> {
        let mut parts = parts(path);
        let name = parts.pop().ok_or_else(|| errno(libc::EEXIST))?;
        let folder = self.find(Path::new(&parts.join("/")))?;
        if self.is_folder(folder) { Ok((folder, name)) } else { Err(errno(libc::ENOTDIR)) }
    }

    pub(super) fn is_folder(&self, node: NodeId) -> bool {
        self.folders.contains_key(&node)
    }

    pub(super) fn get(&self, (folder, name): &Key) -> Option<NodeId> {
        self.folders.get(folder)?.now.get(name).copied()
    }

    /// Names in `path`, sorted.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(String, NodeId)>> {
        let node = self.find(path)?;
        let folder = self.folders.get(&node).ok_or_else(|| errno(libc::ENOTDIR))?;
        Ok(folder.now.iter().map(|(name, node)| (name.clone(), *node)).collect())
    }

    pub(super) fn add_folder(&mut self, key: Key, node: NodeId) {
        self.folders.insert(node, Folder::default());
        self.put(key, node);
    }

    pub(super) fn put(&mut self, key: Key, node: NodeId) {
        self.change(None, Some((key, node)));
    }

    pub(super) fn take(&mut self, key: Key) {
        self.change(Some(key), None);
    }

    pub(super) fn rename(&mut self, from: Key, to: Key, node: NodeId) {
        self.change(Some(from), Some((to, node)));
    }

    pub(super) fn is_empty_folder(&self, node: NodeId) -> bool {
        self.folders.get(&node).is_some_and(|folder| folder.now.is_empty())
    }

    fn change(&mut self, take: Option<Key>, put: Option<(Key, NodeId)>) {
        self.last_seq += 1;
        let change = Change { seq: self.last_seq, take, put };
        apply(&mut self.folders, &change, |folder| &mut folder.now);
        self.pending.push(change);
    }

    /// Names the moment that a sync submitted now covers.
    pub(super) fn moment(&self) -> u64 {
        self.last_seq
    }

    /// Makes the changes in `folder` up to `moment` durable.
    pub(super) fn sync(&mut self, folder: NodeId, moment: u64) {
        let mut keys: BTreeSet<Key> = BTreeSet::new();
        let mut covered: BTreeSet<u64> = BTreeSet::new();
        for change in self.pending.iter().rev().filter(|change| change.seq <= moment) {
            if change.keys().any(|key| key.0 == folder || keys.contains(key)) {
                keys.extend(change.keys().cloned());
                covered.insert(change.seq);
            }
        }
        let (done, rest) = std::mem::take(&mut self.pending).into_iter().partition(|c| covered.contains(&c.seq));
        self.pending = rest;
        self.commit(done);
    }

    /// Makes everything durable, for fixtures.
    pub(super) fn sync_all(&mut self) {
        let all = std::mem::take(&mut self.pending);
        self.commit(all);
    }

    fn commit(&mut self, changes: Vec<Change>) {
        for change in &changes {
            apply(&mut self.folders, change, |folder| &mut folder.durable);
        }
    }

    /// Every node that has a name now.
    pub(super) fn named(&self) -> BTreeSet<NodeId> {
        self.folders.values().flat_map(|folder| folder.now.values()).copied().collect()
    }

    /// Every node that has a name, will have one after a crash, or may have one.
    pub(super) fn reachable(&self) -> BTreeSet<NodeId> {
        let folders = self.folders.values();
        let named = folders.flat_map(|folder| folder.now.values().chain(folder.durable.values())).copied();
        named.chain(self.pending.iter().filter_map(|change| change.put.as_ref().map(|put| put.1))).collect()
    }

    /// Changes that no sync has covered.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Every path below the root after a crash that keeps the first `kept` pending changes.
    pub(super) fn after(&self, kept: usize) -> BTreeMap<PathBuf, NodeId> {
        let mut folders: BTreeMap<NodeId, Folder> = BTreeMap::new();
        for (node, folder) in &self.folders {
            folders.insert(*node, Folder { now: folder.durable.clone(), durable: BTreeMap::new() });
        }
        self.pending[..kept].iter().for_each(|change| apply(&mut folders, change, |folder| &mut folder.now));
        let mut paths = BTreeMap::new();
        let mut queue = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, node)) = queue.pop() {
            for (name, child) in folders.get(&node).iter().flat_map(|folder| &folder.now) {
                paths.insert(path.join(name), *child);
                queue.push((path.join(name), *child));
            }
        }
        paths
    }

    /// The power fails: durable names stay, and a prefix of the others. Says which nodes still have a name.
    pub(super) fn crash(&mut self, rng: &mut Rng) -> BTreeSet<NodeId> {
        let mut pending = std::mem::take(&mut self.pending);
        let kept = if rng.coin() { 0 } else { rng.below(pending.len() as u64 + 1) as usize };
        pending.truncate(kept);
        self.commit(pending);
        let mut reached = BTreeSet::from([ROOT]);
        let mut queue = vec![ROOT];
        while let Some(folder) = queue.pop().and_then(|node| self.folders.get_mut(&node)) {
            folder.now.clone_from(&folder.durable);
            for node in folder.now.values() {
                if reached.insert(*node) {
                    queue.push(*node);
                }
            }
            // Files in the queue are no folders: skip to the next folder.
            while queue.last().is_some_and(|node| !self.folders.contains_key(node)) {
                queue.pop();
            }
        }
        self.folders.retain(|node, _| reached.contains(node));
        reached
    }
}

fn apply(
    folders: &mut BTreeMap<NodeId, Folder>,
    change: &Change,
    view: impl Fn(&mut Folder) -> &mut BTreeMap<String, NodeId>,
) {
    if let Some((folder, name)) = &change.take
        && let Some(folder) = folders.get_mut(folder)
    {
        view(folder).remove(name);
    }
    if let Some(((folder, name), node)) = &change.put
        && let Some(folder) = folders.get_mut(folder)
    {
        view(folder).insert(name.clone(), *node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(names: &Names, path: &str) -> Key {
        names.parent(Path::new(path)).expect("the folder is there")
    }

    fn names_after_crash(names: &mut Names) -> Vec<Vec<String>> {
        // Many seeds, so that every prefix of pending changes is seen.
        names.crash(&mut Rng::new(1));
        ["/", "/a", "/b"]
            .iter()
            .map(|path| names.list(Path::new(path)).map(|l| l.into_iter().map(|e| e.0).collect()).unwrap_or_default())
            .collect()
    }

    #[test]
    fn a_synced_name_survives_and_takes_its_history_along() {
        let mut names = Names::new();
        names.add_folder(key(&names, "/a"), 1);
        names.add_folder(key(&names, "/b"), 2);
        names.sync(ROOT, names.moment());
        names.put(key(&names, "/a/x"), 3);
        names.rename(key(&names, "/a/x"), key(&names, "/b/x"), 3);
        names.sync(2, names.moment());
        assert!(names.pending.is_empty(), "the creation of a/x went along with its rename");
        assert_eq!(names_after_crash(&mut names), [vec!["a", "b"], vec![], vec!["x"]]);
    }

    #[test]
    fn a_file_in_a_folder_that_was_not_synced_is_lost() {
        let mut names = Names::new();
        names.add_folder(key(&names, "/a"), 1);
        names.put(key(&names, "/a/x"), 3);
        names.sync(1, names.moment());
        let lost = (0..20).any(|seed| {
            let mut copy = Names { folders: BTreeMap::new(), pending: Vec::new(), last_seq: 0 };
            std::mem::swap(&mut copy, &mut names);
            let reached = copy.crash(&mut Rng::new(seed));
            let lost = !reached.contains(&3);
            names = copy;
            lost
        });
        assert!(lost);
    }
}

//! Which number the kernel knows a name by, and the files that were opened. Numbers are never used twice, so nothing that
//! the kernel still remembers of a removed file can mean a later one; its `forget` is ignored.

use crate::file::{Backed, Room};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder that is mounted.
pub(crate) const ROOT: u64 = 1;

/// Names and open files of one file system; paths are relative to its root.
pub(crate) struct Tree {
    paths: HashMap<u64, PathBuf>,
    numbers: HashMap<PathBuf, u64>,
    files: HashMap<u64, Arc<Backed>>,
    /// Handles of each file that the kernel holds.
    handles: HashMap<u64, u32>,
    last: u64,
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Tree {
    pub(crate) fn new() -> Tree {
        let (paths, numbers) = (HashMap::from([(ROOT, PathBuf::new())]), HashMap::from([(PathBuf::new(), ROOT)]));
        Tree { paths, numbers, files: HashMap::new(), handles: HashMap::new(), last: ROOT }
    }

    /// The number of a name that exists.
    pub(crate) fn number(&mut self, path: &Path) -> u64 {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        self.last += 1;
        self.paths.insert(self.last, path.to_owned());
        self.numbers.insert(path.to_owned(), self.last);
        self.last
    }

    /// The last path of a number; stays after the name was removed.
    pub(crate) fn path(&self, number: u64) -> io::Result<PathBuf> {
        self.paths.get(&number).cloned().ok_or_else(|| errno(libc::ESTALE))
    }

    fn has_name(&self, number: u64) -> bool {
        self.paths.get(&number).is_some_and(|path| self.numbers.get(path) == Some(&number))
    }

    pub(crate) fn file(&self, number: u64) -> Option<Arc<Backed>> {
        self.files.get(&number).cloned()
    }

    pub(crate) fn files(&self) -> Vec<Arc<Backed>> {
        self.files.values().cloned().collect()
    }

    /// Counts a handle of a file, which `open` opens the first time.
    pub(crate) fn hold(&mut self, number: u64, open: impl FnOnce() -> io::Result<Backed>) -> io::Result<()> {
        if let Entry::Vacant(place) = self.files.entry(number) {
            place.insert(Arc::new(open()?));
        }
        *self.handles.entry(number).or_default() += 1;
        Ok(())
    }

    /// Counts a handle less. The file stays open for its memory of what is not durable, until its name goes too.
    pub(crate) fn let_go(&mut self, number: u64) {
        let left = self.handles.remove(&number).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            self.handles.insert(number, left);
        } else if !self.has_name(number) {
            self.files.remove(&number);
        }
    }

    /// A name is gone.
    pub(crate) fn removed(&mut self, path: &Path) {
        if let Some(number) = self.numbers.remove(path)
            && !self.handles.contains_key(&number)
        {
            self.files.remove(&number);
        }
    }

    /// A name, and everything below it, is another one now.
    pub(crate) fn renamed(&mut self, from: &Path, to: &Path) {
        self.removed(to);
        let below: Vec<PathBuf> = self.numbers.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in below {
            let rest = path.strip_prefix(from).unwrap_or(Path::new(""));
            let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            if let Some(number) = self.numbers.remove(&path) {
                self.paths.insert(number, new.clone());
                self.numbers.insert(new, number);
            }
        }
    }
}

/// Gives back the space of a file that is about to lose its name.
pub(crate) fn free_space_of(path: &Path, room: &Room) {
    if let Ok(metadata) = std::fs::symlink_metadata(path)
        && metadata.is_file()
    {
        room.give(metadata.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_folder_takes_its_names_along() {
        let mut tree = Tree::new();
        let (folder, file) = (tree.number(Path::new("a")), tree.number(Path::new("a/x")));
        tree.renamed(Path::new("a"), Path::new("b"));
        assert_eq!((tree.number(Path::new("b")), tree.number(Path::new("b/x"))), (folder, file));
        assert_ne!(tree.number(Path::new("a")), folder);
    }

    #[test]
    fn a_new_file_of_an_old_name_has_another_number() {
        let mut tree = Tree::new();
        let old = tree.number(Path::new("x"));
        tree.removed(Path::new("x"));
        assert_ne!(tree.number(Path::new("x")), old);
        assert_eq!(tree.path(old).expect("still known"), Path::new("x"), "rules still find an open file");
    }
}

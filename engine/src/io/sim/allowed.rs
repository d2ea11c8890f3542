//! Whether a state of a real disk after a power cut is one that the simulated disk allows: the question that holds the two
//! against each other.

use super::SimWorld;
use super::disk::Disk;
use super::names::NodeId;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every path below the root of a disk: a file with its bytes, or a folder.
pub type Seen = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl SimWorld {
    /// Whether a crash of this world now may leave exactly what was `seen` elsewhere after the same operations; if not, in
    /// what it differs from the state that comes nearest.
    pub fn allows(&self, seen: &Seen) -> Result<(), String> {
        self.0.borrow().disk.allows(seen)
    }
}

impl Disk {
    fn allows(&self, seen: &Seen) -> Result<(), String> {
        let mut why = String::new();
        for kept in 0..=self.names.pending_count() {
            match self.allows_with(seen, kept) {
                Ok(()) => return Ok(()),
                // Names that fit and contents that do not say more than names that do not fit.
                Err(reason) if why.is_empty() || !reason.starts_with("names") => why = reason,
                Err(_) => {}
            }
        }
        Err(why)
    }

    fn allows_with(&self, seen: &Seen, kept: usize) -> Result<(), String> {
        let names: BTreeMap<PathBuf, NodeId> = self.names.after(kept);
        let shape = |is_folder: bool, path: &PathBuf| (path.clone(), is_folder);
        let expected: Vec<_> = names.iter().map(|(path, node)| shape(self.names.is_folder(*node), path)).collect();
        let found: Vec<_> = seen.iter().map(|(path, bytes)| shape(bytes.is_none(), path)).collect();
        if expected != found {
            return Err(format!("names: {found:?}, and with {kept} changes kept they are {expected:?}"));
        }
        for (path, bytes) in seen {
            if let (Some(bytes), Some(node)) = (bytes, names.get(path)) {
                let file = self.file_of(*node).ok_or_else(|| format!("{}: no such file", path.display()))?;
                file.allows(bytes).map_err(|why| format!("{}: {why}", path.display()))?;
            }
        }
        Ok(())
    }
}

//! A bound on a broker's memory, page cache included: a control group of its own (version 1's `memory`), where we may make
//! one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where version 1's memory controller is mounted.
const ROOT: &str = "/sys/fs/cgroup/memory";

/// A group that is removed on drop, when its processes are gone.
#[derive(Debug)]
pub struct MemoryGroup {
    path: PathBuf,
    /// The bound in bytes.
    pub limit: u64,
}

impl MemoryGroup {
    /// Makes a group. Fails where the controller is not there or we are not root.
    pub fn new(limit: u64) -> io::Result<MemoryGroup> {
        let path = Path::new(ROOT).join(format!("ringlog-bench-{}", std::process::id()));
        fs::create_dir(&path)?;
        let group = MemoryGroup { path, limit };
        fs::write(group.path.join("memory.limit_in_bytes"), limit.to_string())?;
        Ok(group)
    }

    /// Writing a process id there moves the process in.
    pub fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // The kernel lets go of a process a moment after it was reaped.
        for _ in 0..50 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_binds_and_is_gone_afterwards() {
        let group = match MemoryGroup::new(256 << 20) {
            Ok(group) => group,
            Err(error) => return eprintln!("skipped: no memory control group can be made here: {error}"),
        };
        let path = group.path.clone();
        assert_eq!(fs::read_to_string(path.join("memory.limit_in_bytes")).unwrap().trim(), (256 << 20).to_string());
        drop(group);
        assert!(!path.exists());
    }
}

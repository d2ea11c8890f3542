//! What this process may use of the machine: cores by affinity and memory by control group, never by what is installed.

use crate::sys;
use std::fs;
use std::path::{Path, PathBuf};

/// Cores and memory of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores by number, in rising order; at least one.
    pub cores: Vec<usize>,
    /// Memory in bytes that the process may fill.
    pub memory_bytes: u64,
}

/// Memory assumed where the system tells nothing, in bytes.
const MEMORY_UNKNOWN: u64 = 1 << 30;

impl Machine {
    /// Looks around. Never fails: less knowledge means more modest figures.
    pub fn probe() -> Machine {
        let cores = sys::allowed_cores().ok().filter(|cores| !cores.is_empty()).unwrap_or_else(|| vec![0]);
        let read = |path: &Path| fs::read_to_string(path).ok();
        Machine { cores, memory_bytes: memory_bytes(&read) }
    }
}

/// The tightest of the control groups' limits and the installed memory. `read` gives a file's text.
fn memory_bytes(read: &impl Fn(&Path) -> Option<String>) -> u64 {
    let installed = read(Path::new("/proc/meminfo")).and_then(|text| installed_bytes(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|path| read(&path)?.trim().parse::<u64>().ok());
    limits.chain(installed).min().unwrap_or(MEMORY_UNKNOWN)
}

/// Bytes in the line `MemTotal:  16384 kB`.
fn installed_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Every file that may limit a process whose `/proc/self/cgroup` reads `groups`. Lines are `0::/path` in version 2 and
/// `4:memory:/path` in version 1; every ancestor limits too. Inside a container the path often is not visible, the root is.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let below = Path::new(path.trim_start_matches('/')).ancestors();
        files.extend(below.map(|ancestor| Path::new(root).join(ancestor).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(files: &[(&str, &str)]) -> u64 {
        memory_bytes(&|path: &Path| {
            files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| text.to_string())
        })
    }

    #[test]
    fn the_tightest_limit_counts() {
        let meminfo = ("/proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\n");
        let v2 = ("/proc/self/cgroup", "0::/a/b\n");
        let v1 = ("/proc/self/cgroup", "5:cpu:/x\n4:memory:/a\n");
        for (files, bytes) in [
            (vec![meminfo], 16_384_000_000),
            (vec![meminfo, v2, ("/sys/fs/cgroup/a/b/memory.max", "max\n")], 16_384_000_000),
            (vec![meminfo, v2, ("/sys/fs/cgroup/a/b/memory.max", "4096\n")], 4096),
            (
                vec![meminfo, v2, ("/sys/fs/cgroup/a/b/memory.max", "8192\n"), ("/sys/fs/cgroup/a/memory.max", "4096")],
                4096,
            ),
            (vec![meminfo, v2, ("/sys/fs/cgroup/memory.max", "512\n")], 512),
            (vec![meminfo, v1, ("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1024\n")], 1024),
            (vec![], MEMORY_UNKNOWN),
        ] {
            assert_eq!(memory(&files), bytes, "{files:?}");
        }
    }

    #[test]
    fn this_machine_has_a_core_and_memory() {
        let machine = Machine::probe();
        assert!(!machine.cores.is_empty() && machine.memory_bytes > 0);
    }
}

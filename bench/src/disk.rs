//! The disk without a broker: what fio gets out of it, how much room there is, and how files leave the page cache.

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs;
use std::path::Path;
use std::process::Command;

/// How fio writes: straight to the disk, over blocks that were written before, not synced. The ceiling of any log that
/// writes once.
#[derive(Clone, Copy, Debug)]
pub struct Fio {
    /// Bytes of a write.
    pub block: usize,
    /// Writes under way at once.
    pub depth: usize,
    /// Seconds before what counts.
    pub ramp_s: u64,
    /// Seconds that count.
    pub seconds: u64,
}

impl Fio {
    /// Megabytes (10^6) a second in a file of a gigabyte under `parent`; `None` without fio.
    pub fn mb_per_s(&self, parent: &Path, cpu: usize) -> Option<f64> {
        let folder = tempfile::Builder::new().prefix("ringlog-fio-").tempdir_in(parent).ok()?;
        let output = Command::new("taskset")
            .args(["-c", &cpu.to_string(), "fio", "--name=w", "--rw=write", "--size=1g", "--ioengine=io_uring"])
            .args(["--direct=1", "--overwrite=1", "--time_based", "--output-format=json"])
            .arg(format!("--bs={}", self.block))
            .arg(format!("--iodepth={}", self.depth))
            .arg(format!("--ramp_time={}", self.ramp_s))
            .arg(format!("--runtime={}", self.seconds))
            .arg(format!("--directory={}", folder.path().display()))
            .output()
            .ok()?;
        fio_mb_per_s(&output.stdout)
    }
}

/// The write bandwidth in fio's JSON, which notes of fio's may precede.
fn fio_mb_per_s(output: &[u8]) -> Option<f64> {
    let begin = output.iter().position(|b| *b == b'{')?;
    let json: serde_json::Value = serde_json::from_slice(&output[begin..]).ok()?;
    json["jobs"][0]["write"]["bw_bytes"].as_f64().filter(|b| *b > 0.0).map(|bytes| bytes / 1e6)
}

/// Free bytes of the file system that holds `path`.
pub fn free_bytes(path: &Path) -> u64 {
    nix::sys::statvfs::statvfs(path).map_or(0, |s| s.blocks_available() * s.fragment_size())
}

/// Writes back everything, so that one peer's leftovers are not the next one's load.
pub fn settle() {
    nix::unistd::sync();
}

/// Puts the files under `folder` out of the page cache, as far as they were written back.
pub fn evict(folder: &Path) {
    settle();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(file) = fs::File::open(&path) {
                let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fios_bandwidth_is_found_behind_its_notes() {
        let output = b"note: both iodepth >= 1 and so on\n{\"jobs\":[{\"write\":{\"bw_bytes\":2500000000}}]}";
        assert_eq!(fio_mb_per_s(output), Some(2500.0));
        assert_eq!(fio_mb_per_s(b"fio: engine not found"), None);
        assert_eq!(fio_mb_per_s(b"{\"jobs\":[]}"), None);
    }

    #[test]
    fn there_is_room_somewhere() {
        assert!(free_bytes(Path::new("/")) > 0);
    }
}

//! Facts about the machine and the sources, kept with every result, and what the machine as a whole did during a run.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the figures were measured on and of.
pub fn facts(ringlog: &Path) -> Value {
    json!({
        "cpu": first_after("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": first_after("/proc/meminfo", "MemTotal"),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "congestion_control": fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default().trim(),
        "commit": commit(),
        "binary": fingerprint(ringlog),
    })
}

/// The commit that is checked out, with a `+` where files differ from it.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(hash) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    let clean = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|s| s.is_empty());
    if clean { hash } else { hash + "+" }
}

/// Tells one build of a program from another; `missing` where there is none.
pub fn fingerprint(path: &Path) -> String {
    fs::read(path).map_or_else(|_| "missing".to_owned(), |b| format!("{:08x}-{}", protocol::crc::crc32c(&b), b.len()))
}

fn first_after(path: &str, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_once(':').map(|(_, v)| v.trim().to_owned()).unwrap_or_default()
}

/// Clock ticks of all processors together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    total: u64,
    idle: u64,
    steal: u64,
}

impl Ticks {
    /// Up to now.
    pub fn now() -> Ticks {
        Ticks::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(stat: &str) -> Ticks {
        // cpu user nice system idle iowait irq softirq steal guest guest_nice; guest times are in user and nice already.
        let line = stat.lines().find(|l| l.starts_with("cpu ")).unwrap_or_default();
        let n: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|w| w.parse().ok()).collect();
        let at = |i: usize| n.get(i).copied().unwrap_or(0);
        Ticks { total: n.iter().sum(), idle: at(3) + at(4), steal: at(7) }
    }

    /// Busy and stolen shares since `before`, 0 to 1 of all processors.
    pub fn shares_since(&self, before: &Ticks) -> (f64, f64) {
        let total = (self.total - before.total).max(1) as f64;
        let idle = (self.idle - before.idle) as f64;
        let steal = (self.steal - before.steal) as f64;
        ((total - idle - steal) / total, steal / total)
    }
}

/// Raises the number of files that this process and its children may open as far as it goes: Kafka holds one for each
/// partition, and ten thousand connections have an end here and an end there.
pub fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_stolen_time_are_told_from_work() {
        let before = Ticks::parse("cpu  100 0 100 700 50 0 0 50 0 0\ncpu0 1 1 1 1");
        let after = Ticks::parse("cpu  150 0 150 780 70 0 0 100 0 0\n");
        let (busy, steal) = after.shares_since(&before);
        assert!((busy - 0.4).abs() < 1e-9 && (steal - 0.2).abs() < 1e-9, "{busy} {steal}");
    }

    #[test]
    fn one_program_is_told_from_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        assert_eq!(fingerprint(&path), "missing");
        fs::write(&path, b"one").unwrap();
        let one = fingerprint(&path);
        fs::write(&path, b"two").unwrap();
        assert_ne!(one, fingerprint(&path));
    }
}

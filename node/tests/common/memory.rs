//! How much memory a process has ever held at once, by the kernel's count.

use super::Broker;

/// What hostile input may move a broker's peak by, in KiB.
pub const MOVES_MAX_KIB: u64 = 8 << 10;

impl Broker {
    /// The most that was ever resident, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// What is resident now, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs").count()
    }

    fn status_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("Linux counts it");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of kB")
    }

    /// Runs `what`, which must not move the peak by more than [`MOVES_MAX_KIB`].
    pub fn peak_holds<T>(&self, what: impl FnOnce() -> T) -> T {
        let before = self.peak_kib();
        let result = what();
        let moved = self.peak_kib() - before;
        println!("the peak moved by {moved} KiB");
        assert!(moved <= MOVES_MAX_KIB, "the peak moved by {moved} KiB from {before} KiB");
        result
    }
}

//! Making a ring on whatever kernel this is, and saying in words why it did not work.

use crate::io::limits::RING_ENTRIES;
use io_uring::{IoUring, Probe, opcode};
use std::io;

/// Why there is no `uring` driver here. `--io auto` shows it and takes `posix`.
#[derive(Debug, thiserror::Error)]
pub enum UringRefused {
    /// EPERM with the sysctl open: a seccomp profile, as container runtimes set.
    #[error("io_uring_setup is not permitted: a seccomp profile or security module blocks it")]
    Blocked,
    /// The administrator switched it off.
    #[error("sysctl kernel.io_uring_disabled is {0}")]
    Disabled(u8),
    /// The kernel was built without it, or is older than 5.1.
    #[error("this kernel has no io_uring")]
    Absent,
    /// The kernel has io_uring, but not what the driver cannot do without.
    #[error("this kernel's io_uring has no {0}")]
    TooOld(&'static str),
    /// Not even the smallest ring fits the locked-memory limit.
    #[error("no memory for a ring of {0} entries: raise the locked-memory limit (ulimit -l)")]
    NoMemory(u32),
    /// Anything else that the kernel said.
    #[error("io_uring_setup failed: {0}")]
    Other(#[source] io::Error),
}

/// A ring and how it was made.
pub(super) struct Made {
    pub(super) ring: IoUring,
    pub(super) probe: Probe,
    pub(super) notes: Vec<String>,
}

/// How the kernel runs the end of an op: the newest way that it knows is the cheapest.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// At our next look, on our thread only (Linux 6.1).
    Deferred,
    /// On our thread's next system call, without interrupting it (5.19).
    Cooperative,
    /// By interrupting us (5.1).
    Plain,
}

impl Style {
    const BEST_FIRST: [Style; 3] = [Style::Deferred, Style::Cooperative, Style::Plain];

    fn note(self) -> &'static str {
        match self {
            Style::Deferred => "single issuer, deferred task work",
            Style::Cooperative => "cooperative task work",
            Style::Plain => "plain",
        }
    }

    fn build(self, entries: u32) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.dontfork();
        match self {
            Style::Deferred => {
                builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().setup_submit_all();
            }
            Style::Cooperative => {
                builder.setup_coop_taskrun().setup_taskrun_flag().setup_submit_all();
            }
            Style::Plain => {}
        }
        builder.setup_clamp().setup_cqsize(entries * 4).build(entries)
    }
}

/// The best ring to be had.
pub(super) fn make() -> Result<Made, UringRefused> {
    let (ring, style, entries) = ring()?;
    let params = ring.params();
    for (has, what) in [
        (params.is_feature_nodrop(), "overflow list (Linux 5.5)"),
        (params.is_feature_fast_poll(), "internal polling (Linux 5.7)"),
        (params.is_feature_ext_arg(), "wait with a timeout (Linux 5.11)"),
    ] {
        if !has {
            return Err(UringRefused::TooOld(what));
        }
    }
    let probe = probe(&ring, NEEDED)?;
    let notes = vec![format!("{entries} entries, {}", style.note())];
    Ok(Made { ring, probe, notes })
}

/// What no driver over a ring can do without.
const NEEDED: &[(u8, &str)] = &[
    (opcode::Accept::CODE, "accept"),
    (opcode::Recv::CODE, "recv"),
    (opcode::SendMsg::CODE, "sendmsg"),
    (opcode::Read::CODE, "read"),
    (opcode::AsyncCancel::CODE, "cancel"),
];

/// What `ring` can do, which is at least `needs`.
fn probe(ring: &IoUring, needs: &[(u8, &'static str)]) -> Result<Probe, UringRefused> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(UringRefused::Other)?;
    match needs.iter().find(|(code, _)| !probe.is_supported(*code)) {
        Some((_, what)) => Err(UringRefused::TooOld(what)),
        None => Ok(probe),
    }
}

/// What rings can do here, which is at least `needs`: for drivers whose crate makes its rings by itself and has no words
/// for a refusal.
#[cfg(any(feature = "tokio-uring", feature = "glommio"))]
pub(in crate::io) fn require(needs: &[(u8, &'static str)]) -> Result<Probe, UringRefused> {
    /// Enough to be asked what it can do.
    const ENTRIES: u32 = 2;
    let ring = Style::Plain.build(ENTRIES).map_err(|error| refusal(error, ENTRIES))?;
    probe(&ring, NEEDED)?;
    probe(&ring, needs)
}

fn ring() -> Result<(IoUring, Style, u32), UringRefused> {
    let mut entries = *RING_ENTRIES.end();
    let mut styles = Style::BEST_FIRST.into_iter();
    let mut style = styles.next();
    while let Some(now) = style {
        match now.build(entries) {
            Ok(ring) => return Ok((ring, now, entries)),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINVAL) => style = styles.next(),
                Some(libc::ENOMEM) if entries > *RING_ENTRIES.start() => entries /= 2,
                _ => return Err(refusal(error, entries)),
            },
        }
    }
    Err(UringRefused::TooOld("set-up that we know"))
}

/// Why the kernel does not make a ring.
pub(in crate::io) fn refusal(error: io::Error, entries: u32) -> UringRefused {
    match error.raw_os_error() {
        Some(libc::ENOMEM) => UringRefused::NoMemory(entries),
        Some(libc::EPERM | libc::EACCES) => not_permitted(),
        Some(libc::ENOSYS) => UringRefused::Absent,
        _ => UringRefused::Other(error),
    }
}

/// EPERM has two common causes, and their cures differ.
fn not_permitted() -> UringRefused {
    let sysctl = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match sysctl.trim().parse() {
        Ok(level @ 1..) => UringRefused::Disabled(level),
        _ => UringRefused::Blocked,
    }
}

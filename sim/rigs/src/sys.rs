//! The system calls that std has no name for. Mounting and making file systems is done by their own programs, in
//! [`disk`](crate::disk).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// `FS_IOC_SHUTDOWN` of ext4 and `XFS_IOC_GOINGDOWN`: `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::Ioctl = 0x8004_587d;
/// Do not write the journal out first: what is not on the device now is lost.
const NO_LOG_FLUSH: u32 = 2;

/// Whether this process may mount.
pub fn is_root() -> bool {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Cuts the file system that holds `path` off from its device, as a power cut would: nothing more is written.
pub fn cut_power(path: &Path) -> io::Result<()> {
    let folder = File::open(path)?;
    let how = NO_LOG_FLUSH;
    // SAFETY: the descriptor is open, and the kernel reads one u32, which lives across the call.
    let result = unsafe { libc::ioctl(folder.as_raw_fd(), SHUTDOWN, &raw const how) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Asks the process to stop, as an operator does. `pid` is a child that was not waited for yet.
pub fn terminate(pid: u32) {
    // SAFETY: no memory is involved; the id cannot have been given to another process before the child is reaped.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGTERM) };
}

/// The process that `command` starts is killed when the thread that starts it ends, so that no crash of a rig leaves one.
pub fn dies_with_us(command: &mut Command) {
    let ask = || {
        // SAFETY: prctl is a plain system call, allowed between fork and exec.
        let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the closure allocates nothing and takes no lock.
    unsafe { command.pre_exec(ask) };
}

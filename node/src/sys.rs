//! The few system calls that boot needs and std has no name for: affinity, descriptors, backlogs, record locks, signals, what a
//! file system is. Shards never come here; their calls are the drivers'.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The cores that this thread may run on, in rising order.
pub fn allowed_cores() -> io::Result<Vec<usize>> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the kernel writes at most the given size into `set`, which lives across the call.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) };
    check(result)?;
    // SAFETY: zeroed is a valid cpu_set_t, a plain array of words; the kernel only set bits in it.
    let set = unsafe { set.assume_init() };
    // SAFETY: CPU_ISSET only reads `set`, and every index is below its size in bits.
    let is_allowed = |core: &usize| unsafe { libc::CPU_ISSET(*core, &set) };
    Ok((0..libc::CPU_SETSIZE as usize).filter(is_allowed).collect())
}

/// Keeps this thread on one core.
pub fn pin_to(core: usize) -> io::Result<()> {
    assert!(core < libc::CPU_SETSIZE as usize, "core {core} came from allowed_cores");
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: zeroed is a valid, empty cpu_set_t, and `core` is below its size in bits.
    let set = unsafe {
        libc::CPU_SET(core, set.assume_init_mut());
        set.assume_init()
    };
    // SAFETY: the kernel only reads `set`, which lives across the call.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
}

/// True if `path` lies on a file system in user space.
pub fn is_fuse(path: &Path) -> io::Result<bool> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the path is a C string and `stat` a struct of the right size; both live across the call.
    check(unsafe { libc::statfs(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: zeroed is a valid statfs, a plain struct of integers; the kernel has filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_type == libc::FUSE_SUPER_MAGIC)
}

/// Lets this process have as many descriptors as it may, as a JVM does by itself; how many that are.
pub fn raise_descriptors() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the limit we own.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: the kernel reads the limit we own.
    if check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) }).is_ok() {
        limit = raised;
    }
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// Lets up to `connections` wait on a listening socket to be accepted; the system may allow fewer.
pub fn set_backlog(socket: &TcpListener, connections: i32) -> io::Result<()> {
    // SAFETY: a call without pointers on a descriptor that is open; on a listening socket it changes the backlog only.
    check(unsafe { libc::listen(socket.as_raw_fd(), connections) })
}

/// Who holds a lock that we wanted.
#[derive(Debug)]
pub struct HeldBy {
    /// Its process id, if the kernel knows it.
    pub pid: Option<i32>,
}

/// Takes the whole file for this process, as Java's `FileChannel.tryLock` does: a POSIX record lock, which `flock` would
/// not meet. It lasts until the process ends or closes any descriptor of the file.
pub fn lock_whole(file: &File) -> io::Result<Result<(), HeldBy>> {
    let mut lock = whole_file_lock();
    // SAFETY: the kernel reads `lock`, which lives across the call; the descriptor is open.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut lock) };
    let error = match check(result) {
        Ok(()) => return Ok(Ok(())),
        Err(error) => error,
    };
    if !matches!(error.raw_os_error(), Some(libc::EACCES | libc::EAGAIN)) {
        return Err(error);
    }
    let mut holder = whole_file_lock();
    // SAFETY: the kernel reads and writes `holder`, which lives across the call; the descriptor is open.
    let asked = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut holder) });
    let is_held = asked.is_ok() && i32::from(holder.l_type) != libc::F_UNLCK && holder.l_pid > 0;
    Ok(Err(HeldBy { pid: is_held.then_some(holder.l_pid) }))
}

fn whole_file_lock() -> libc::flock {
    // SAFETY: all fields of flock are integers, for which zero is valid.
    let mut lock: libc::flock = unsafe { MaybeUninit::zeroed().assume_init() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An end, by the signal of this name.
    Stop(&'static str),
    /// SIGUSR1: all counts in the log.
    Counts,
}

/// SIGINT, SIGTERM and SIGUSR1, blocked in every thread that starts after this; to be waited for.
#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks them in this thread and those it starts.
    pub fn block() -> io::Result<Signals> {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: sigemptyset initialises the set, sigaddset and pthread_sigmask use it afterwards; it lives across all.
        let result = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR1);
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut())
        };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
        // SAFETY: sigemptyset has initialised it.
        Ok(Signals(unsafe { set.assume_init() }))
    }

    /// Waits for the next one.
    pub fn wait(&self) -> Signal {
        let mut signal = 0;
        // SAFETY: both pointers are to live values of the right type.
        while unsafe { libc::sigwait(&raw const self.0, &raw mut signal) } != 0 {}
        match signal {
            libc::SIGUSR1 => Signal::Counts,
            libc::SIGINT => Signal::Stop("SIGINT"),
            _ => Signal::Stop("SIGTERM"),
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

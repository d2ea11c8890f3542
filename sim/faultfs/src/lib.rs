//! A file system in user space over an ordinary folder, with faults that a test switches while a real program runs on it:
//! failing, lying and losing syncs, torn and short writes, no space, read errors, flipped bits, slow and stuck operations.
//! It sits below io_uring and direct I/O, where no interposed library and no tracer sees anything.
//!
//! Every read and write reaches it; the kernel caches nothing. It keeps what each file was at its last sync, so that a
//! failed sync can drop its data as page caches do, and [`FaultFs::cut_power`] can take back what no sync covered. What
//! is deliberately absent: names that a power cut takes back (the simulated disk and loop devices have those), hard
//! and symbolic links, extended attributes, memory maps that are written. Locks are the kernel's own.
//!
//! Needs Linux, root and `/dev/fuse`.

mod file;
mod rules;
mod serve;
mod tree;

pub use rules::{Fault, OpKind, RuleId};

use serve::{Core, Served};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A mounted file system; unmounted when dropped.
pub struct FaultFs {
    core: Arc<Core>,
    point: PathBuf,
    session: Option<fuser::BackgroundSession>,
}

/// Why it could not be mounted, in words for whoever runs the tests.
#[derive(Debug)]
pub struct MountError {
    point: PathBuf,
    error: io::Error,
}

impl std::fmt::Display for MountError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (point, error) = (self.point.display(), &self.error);
        write!(f, "cannot mount on {point}: {error}; it needs root and /dev/fuse")
    }
}

impl std::error::Error for MountError {}

impl FaultFs {
    /// Shows the folder `backing` at `point`, which is made if it is missing.
    pub fn mount(backing: &Path, point: &Path) -> Result<FaultFs, MountError> {
        let core = Arc::new(Core::new(backing.to_owned()));
        let served = Served(Arc::clone(&core));
        let mounted = std::fs::create_dir_all(point)
            .and_then(|()| fuser::spawn_mount(served, point, &fuser::Config::default()))
            .map_err(|error| MountError { point: point.to_owned(), error })?;
        Ok(FaultFs { core, point: point.to_owned(), session: Some(mounted) })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.point
    }

    /// From now on `fault` befalls every operation of that kind on paths that fit `pattern`, until it is lifted. Paths are
    /// relative to the mount; `*` stands for any characters.
    pub fn inject(&self, kind: OpKind, pattern: &str, fault: Fault) -> RuleId {
        self.core.rules.add(kind, pattern, fault, None)
    }

    /// As [`FaultFs::inject`], for the next such operation only.
    pub fn inject_once(&self, kind: OpKind, pattern: &str, fault: Fault) -> RuleId {
        self.core.rules.add(kind, pattern, fault, Some(1))
    }

    /// Ends a rule; what was stuck by it goes on.
    pub fn lift(&self, rule: RuleId) {
        self.core.rules.lift(rule);
    }

    /// Ends every rule.
    pub fn lift_all(&self) {
        self.core.rules.lift_all();
    }

    /// How many operations a rule has struck, also after it was lifted.
    pub fn struck(&self, rule: RuleId) -> u64 {
        self.core.rules.struck(rule)
    }

    /// Files may grow by this many bytes together, and then there is no space; `None` ends that.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.core.room.set(bytes);
    }

    /// The power fails: every file is again what it was at its last sync. For when no program runs on the file system.
    pub fn cut_power(&self) -> io::Result<()> {
        self.core.cut_power()
    }
}

impl Drop for FaultFs {
    fn drop(&mut self) {
        // What is stuck would keep its process, and so the mount, for ever.
        self.lift_all();
        if let Some(session) = self.session.take()
            && session.umount_and_join().is_err()
        {
            // Somebody still has a file open: it goes when they do.
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.point).status();
        }
    }
}

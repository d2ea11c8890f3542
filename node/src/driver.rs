//! Which driver the shards run on, and why.

use crate::args::IoChoice;
use crate::sys;
use engine::io::Driver;
use engine::io::posix::PosixDriver;
use engine::io::uring::{UringDriver, UringRefused};
use std::io;
use std::path::PathBuf;

/// A driver that works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// io_uring.
    Uring,
    /// epoll and a helper thread.
    Posix,
}

impl Kind {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Uring => "uring",
            Kind::Posix => "posix",
        }
    }
}

/// The choice, with its reason for people.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The driver.
    pub kind: Kind,
    /// e.g. `io_uring works here`.
    pub why: String,
    /// Set when the choice is a second best that the operator should know of.
    pub warning: Option<String>,
}

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// io_uring cannot be had here.
    #[error("io_uring is refused here: {0}")]
    Uring(#[from] UringRefused),
    /// The process is out of descriptors or threads, mostly.
    #[error("the posix driver cannot start: {0}")]
    Posix(#[from] io::Error),
}

/// Tries what is wished for. An explicit wish that cannot be met is an error, `auto` falls back.
pub fn choose(wish: IoChoice, data_dirs: &[PathBuf]) -> Result<Choice, OpenError> {
    let choice = |kind, why: String, warning| Choice { kind, why, warning };
    let danger = data_dirs.iter().find(|path| sys::is_fuse(path).unwrap_or(false)).map(|path| on_fuse(path));
    match (wish, danger) {
        (IoChoice::Posix, _) => Ok(choice(Kind::Posix, "asked for with --io".to_owned(), None)),
        (IoChoice::Uring, danger) => {
            open(Kind::Uring).map(|_| choice(Kind::Uring, "asked for with --io".to_owned(), danger))
        }
        (IoChoice::Auto, Some(danger)) => {
            let warning = Some(format!("{danger}. The slower posix driver serves instead"));
            Ok(choice(Kind::Posix, "the data is on a file system in user space".to_owned(), warning))
        }
        (IoChoice::Auto, None) => Ok(match open(Kind::Uring) {
            Ok(_) => choice(Kind::Uring, "io_uring works here".to_owned(), None),
            Err(error) => {
                let warning = format!(
                    "{error}. The slower posix driver serves instead. In a container, allow the io_uring system calls in \
                     its seccomp profile; on a host, see the sysctl kernel.io_uring_disabled"
                );
                choice(Kind::Posix, error.to_string(), Some(warning))
            }
        }),
    }
}

/// Why io_uring must not write there: the kernel finishes a short write by itself, and FUSE, for direct writes, does not tell
/// it that the position has moved. What is left then overwrites what was written, and all of it is reported as done.
fn on_fuse(path: &std::path::Path) -> String {
    format!(
        "{} is on a file system in user space (FUSE): with io_uring the kernel puts the rest of a short direct write in the \
         wrong place",
        path.display()
    )
}

/// A driver for the calling thread.
pub fn open(kind: Kind) -> Result<Box<dyn Driver>, OpenError> {
    Ok(match kind {
        Kind::Uring => Box::new(UringDriver::new()?),
        Kind::Posix => Box::new(PosixDriver::new()?),
    })
}

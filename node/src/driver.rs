//! Which driver the shards run on, and why.

use crate::args::IoChoice;
use crate::sys;
use engine::io::Driver;
#[cfg(feature = "glommio")]
use engine::io::glommio::GlommioDriver;
use engine::io::posix::PosixDriver;
#[cfg(feature = "tokio-uring")]
use engine::io::tokio_uring::TokioUringDriver;
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
    /// io_uring as tokio-uring drives it.
    TokioUring,
    /// io_uring as glommio drives it.
    Glommio,
}

impl Kind {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Uring => "uring",
            Kind::Posix => "posix",
            Kind::TokioUring => "tokio-uring",
            Kind::Glommio => "glommio",
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
    #[error("io_uring is refused here: {0}. {ADVICE}")]
    Uring(#[from] UringRefused),
    /// The process is out of descriptors or threads, mostly.
    #[error("the posix driver cannot start: {0}")]
    Posix(#[from] io::Error),
    /// A build that left it out.
    #[error("this program was built without the {0} driver, which is a feature of the package node")]
    Absent(&'static str),
}

/// What to do where io_uring is refused.
const ADVICE: &str = "In a container, allow the io_uring system calls in its seccomp profile; on a host, see the sysctl \
                      kernel.io_uring_disabled; or start with --io posix, which does without";

/// Tries what is wished for. An explicit wish that cannot be met is an error, `auto` falls back.
pub fn choose(wish: IoChoice, data_dirs: &[PathBuf]) -> Result<Choice, OpenError> {
    let choice = |kind, why: String, warning| Choice { kind, why, warning };
    let danger = data_dirs.iter().find(|path| sys::is_fuse(path).unwrap_or(false)).map(|path| on_fuse(path));
    match (wish, danger) {
        (IoChoice::Posix, _) => Ok(choice(Kind::Posix, "asked for with --io".to_owned(), None)),
        (IoChoice::Uring, danger) => asked_for(Kind::Uring, danger),
        (IoChoice::TokioUring, danger) => asked_for(Kind::TokioUring, danger),
        (IoChoice::Glommio, danger) => asked_for(Kind::Glommio, danger),
        (IoChoice::Auto, Some(danger)) => {
            let warning = Some(format!("{danger}. The slower posix driver serves instead"));
            Ok(choice(Kind::Posix, "the data is on a file system in user space".to_owned(), warning))
        }
        (IoChoice::Auto, None) => Ok(match open(Kind::Uring) {
            Ok(_) => choice(Kind::Uring, "io_uring works here".to_owned(), None),
            Err(OpenError::Uring(refused)) => {
                let why = format!("io_uring is refused here: {refused}");
                let warning = format!("{why}. The slower posix driver serves instead. {ADVICE}");
                choice(Kind::Posix, why, Some(warning))
            }
            Err(other) => choice(Kind::Posix, other.to_string(), Some(other.to_string())),
        }),
    }
}

/// A driver over io_uring that was asked for by name, with what is dangerous about it here.
fn asked_for(kind: Kind, danger: Option<String>) -> Result<Choice, OpenError> {
    open(kind).map(|_| Choice { kind, why: "asked for with --io".to_owned(), warning: danger })
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
        #[cfg(feature = "tokio-uring")]
        Kind::TokioUring => Box::new(TokioUringDriver::new()?),
        #[cfg(feature = "glommio")]
        Kind::Glommio => Box::new(GlommioDriver::new()?),
        #[allow(unreachable_patterns, reason = "a build with every driver leaves none out")]
        other => return Err(OpenError::Absent(other.name())),
    })
}

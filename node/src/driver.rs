//! Which driver the shards run on, and why.

use crate::args::IoChoice;
use engine::io::Driver;
use engine::io::posix::PosixDriver;
use engine::io::uring::{UringDriver, UringRefused};
use std::io;

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
pub fn choose(wish: IoChoice) -> Result<Choice, OpenError> {
    let choice = |kind, why: String| Choice { kind, why, warning: None };
    match wish {
        IoChoice::Posix => Ok(choice(Kind::Posix, "asked for with --io".to_owned())),
        IoChoice::Uring => open(Kind::Uring).map(|_| choice(Kind::Uring, "asked for with --io".to_owned())),
        IoChoice::Auto => Ok(match open(Kind::Uring) {
            Ok(_) => choice(Kind::Uring, "io_uring works here".to_owned()),
            Err(error) => Choice {
                kind: Kind::Posix,
                why: error.to_string(),
                warning: Some(format!(
                    "{error}. The slower posix driver serves instead. In a container, allow the io_uring system calls in \
                     its seccomp profile; on a host, see the sysctl kernel.io_uring_disabled"
                )),
            },
        }),
    }
}

/// A driver for the calling thread.
pub fn open(kind: Kind) -> Result<Box<dyn Driver>, OpenError> {
    Ok(match kind {
        Kind::Uring => Box::new(UringDriver::new()?),
        Kind::Posix => Box::new(PosixDriver::new()?),
    })
}

//! Which driver the shards run on, and why.

use crate::args::IoChoice;
use engine::io::Driver;
use engine::io::posix::PosixDriver;
use engine::io::uring::UringDriver;
use std::io;

/// A driver that works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// io_uring.
    Uring,
    /// epoll and a helper thread.
    Posix,
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

/// Tries what is wished for. An explicit wish that cannot be met is an error, `auto` falls back.
pub fn choose(wish: IoChoice) -> io::Result<Choice> {
    let choice = |kind, why: String| Choice { kind, why, warning: None };
    match wish {
        IoChoice::Posix => Ok(choice(Kind::Posix, "asked for with --io".to_owned())),
        IoChoice::Uring => open(Kind::Uring).map(|_| choice(Kind::Uring, "asked for with --io".to_owned())),
        IoChoice::Auto => Ok(match open(Kind::Uring) {
            Ok(_) => choice(Kind::Uring, "io_uring works here".to_owned()),
            Err(error) => Choice {
                kind: Kind::Posix,
                why: format!("io_uring is refused here: {error}"),
                warning: Some(format!(
                    "io_uring is refused here ({error}), so the slower posix driver serves. In a container, allow the \
                     io_uring system calls in its seccomp profile; on a host, see the sysctl kernel.io_uring_disabled"
                )),
            },
        }),
    }
}

/// A driver for the calling thread.
pub fn open(kind: Kind) -> io::Result<Box<dyn Driver>> {
    Ok(match kind {
        Kind::Uring => Box::new(UringDriver::new()?),
        Kind::Posix => Box::new(PosixDriver::new()?),
    })
}

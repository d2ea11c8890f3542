//! Where commands write: standard output for what was asked, standard error for everything about it. Tests put buffers there.

use crate::failure::Outcome;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

/// The two outputs of a command.
pub struct Io<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// Notices, progress, errors.
    pub err: &'a mut dyn Write,
    /// Whether a person watches standard error as it comes.
    pub watched: bool,
}

impl fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("watched", &self.watched).finish_non_exhaustive()
    }
}

impl Io<'_> {
    /// Says something that the user should know and that is no error.
    pub fn notice(&mut self, text: impl fmt::Display) {
        // Who closes standard error does not want to know.
        let _ = writeln!(self.err, "notice: {text}");
    }
}

/// What is written to standard output at once, unless it is flushed before.
const OUT_BUFFER: usize = 128 << 10;

/// Standard output without the buffer of the standard library, which ends at each line.
fn stdout() -> Box<dyn Write> {
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => Box::new(File::from(fd)),
        // Without a descriptor to spare the other way does it.
        Err(_) => Box::new(io::stdout()),
    }
}

/// True when standard output is a pipe that nobody reads any more: who has nothing to write would never learn it.
pub(crate) fn nobody_reads() -> bool {
    let stdout = io::stdout();
    let mut asked = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let is_told = poll(&mut asked, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    is_told && asked[0].revents().is_some_and(|revents| revents.contains(PollFlags::POLLERR))
}

/// Runs a command on the process's own outputs and reports its failure.
pub fn on_process(run: impl FnOnce(&mut Io<'_>) -> Outcome) -> std::process::ExitCode {
    let mut out = BufWriter::with_capacity(OUT_BUFFER, stdout());
    let mut err = io::stderr();
    let watched = err.is_terminal();
    let outcome = run(&mut Io { out: &mut out, err: &mut err, watched });
    // What was printed before a failure stays printed, and comes before its words.
    let outcome = outcome.and(out.flush().map_err(Into::into));
    match outcome {
        Ok(()) => crate::exit::Exit::Done.into(),
        Err(failure) => {
            let _ = out.flush();
            let _ = failure.report(&mut err);
            failure.exit.into()
        }
    }
}

//! `ringlog dump-log`: what is in files of a partition folder, with their first bad byte if there is one.

use engine::log::{DumpEnd, DumpError, dump};
use std::io::{self, Write};
use std::path::PathBuf;

/// How a run over all files ended; of several files the worst counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Every byte is right.
    Sound,
    /// A file has a bad byte.
    Bad,
    /// A file could not be shown.
    Unreadable,
}

impl Outcome {
    /// For scripts: 0, 1, 2.
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// Prints every file; what is wrong with one is also said on stderr, and keeps no other from being shown.
pub fn print_all(files: &[PathBuf]) -> Outcome {
    let mut worst = Outcome::Sound;
    let mut out = io::stdout().lock();
    for file in files {
        let name = file.display();
        let _ = writeln!(out, "{name}");
        let (outcome, reason) = match dump(file, true, &mut out) {
            Ok(DumpEnd::Good) => continue,
            Ok(DumpEnd::Bad { position, reason }) => (Outcome::Bad, format!("first bad byte at {position}: {reason}")),
            // A reader that has seen enough, such as head, is no failure.
            Err(DumpError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => return worst,
            Err(error) => (Outcome::Unreadable, error.to_string()),
        };
        eprintln!("ringlog: {name}: {reason}");
        worst = worst.max(outcome);
    }
    worst
}

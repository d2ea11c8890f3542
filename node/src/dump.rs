//! `ringlog dump-log`: what is in files of a partition folder, with their first bad byte if there is one.

use engine::log::{DumpEnd, dump};
use std::io::{self, Write};
use std::path::PathBuf;

/// Prints every file, and fails if one of them could not be read or is bad.
pub fn print_all(files: &[PathBuf]) -> Result<(), String> {
    let mut failed = Vec::new();
    let mut out = io::stdout().lock();
    for file in files {
        let _ = writeln!(out, "{}", file.display());
        match dump(file, true, &mut out) {
            Ok(DumpEnd::Good) => {}
            Ok(DumpEnd::Bad { position, reason }) => {
                failed.push(format!("{}: first bad byte at {position}: {reason}", file.display()));
            }
            // A reader that has seen enough, such as head, is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => failed.push(format!("{}: {error}", file.display())),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

//! `ringlog verify`: proves every byte that a stopped node's data folders depend on. What is proven is the engine's; here
//! are the lock that keeps a node from starting meanwhile, the words, and the exit code.

use crate::dump::Outcome;
use crate::sys;
use engine::io::posix::PosixDriver;
use engine::log::{Verified, verify};
use engine::shard::Io;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Whose folder it is, as Kafka calls it.
const LOCK: &str = ".lock";

/// Proves every folder, prints what is wrong and a line with counts for each; of several folders the worst counts.
pub fn verify_all(dirs: &[PathBuf]) -> Outcome {
    let mut worst = Outcome::Sound;
    for dir in dirs {
        match verify_one(dir) {
            Ok(outcome) => worst = worst.max(outcome),
            Err(reason) => {
                eprintln!("ringlog: {}: {reason}", dir.display());
                worst = Outcome::Unreadable;
            }
        }
    }
    worst
}

fn verify_one(dir: &Path) -> Result<Outcome, String> {
    let _held = hold(dir)?;
    let begin = Instant::now();
    let driver = PosixDriver::new().map_err(|error| error.to_string())?;
    let (io, path) = (Io::new(Box::new(driver)), dir.to_owned());
    let task_io = io.clone();
    let verified = io.block_on(async move { verify(&task_io, &path).await }, |_| {});
    io.abandon_tasks();
    let verified = verified.map_err(|error| format!("cannot be listed: {error}"))?;
    // A reader that has seen enough, such as head, is no failure.
    let _ = print(dir, &verified, begin.elapsed().as_secs_f64());
    Ok(match (verified.unreadable, verified.findings.is_empty()) {
        (true, _) => Outcome::Unreadable,
        (false, true) => Outcome::Sound,
        (false, false) => Outcome::Bad,
    })
}

/// Keeps every node out, or says who is in. A folder without the file was never any node's.
fn hold(dir: &Path) -> Result<Option<File>, String> {
    let path = dir.join(LOCK);
    let lock = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot open {}: {error}", path.display())),
    };
    match sys::lock_whole(&lock).map_err(|error| format!("cannot lock {}: {error}", path.display()))? {
        Ok(()) => Ok(Some(lock)),
        Err(held) => {
            let holder = held.pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
            Err(format!(
                "in use by {holder}, which holds {}. Its bytes are on the move: stop it first; a running node verifies \
                 itself (log.scrub.interval.ms)",
                path.display()
            ))
        }
    }
}

fn print(dir: &Path, verified: &Verified, seconds: f64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for finding in &verified.findings {
        writeln!(out, "{finding}")?;
    }
    let Verified { findings, logs, files, bytes, batches, .. } = verified;
    let rate = *bytes as f64 / 1e6 / seconds.max(1e-6);
    writeln!(
        out,
        "{}: {} findings in {logs} logs, {files} files, {batches} batches, {bytes} bytes; {seconds:.2} s, {rate:.0} MB/s",
        dir.display(),
        findings.len(),
    )
}

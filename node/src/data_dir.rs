//! Data folders before any log in them is touched: made, proven writable, and taken for this process alone.

use crate::sys;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Our private state inside a data folder.
const PRIVATE: &str = ".ringlog";
/// Whose folder it is, as Kafka calls it.
const LOCK: &str = ".lock";

/// Locked for as long as a driver may still write, see [`DataDir::running`].
const RUNNING: &str = "running";
/// How long the kernel may take to end the last ops of a process that was killed, in milliseconds.
const PREDECESSOR_MS: u64 = 5_000;

/// A data folder of this process, until dropped.
#[derive(Debug)]
pub struct DataDir {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Held by every driver. A ring goes on writing for a moment after its process was killed; this file's lock ends
    /// with the ring, so whoever has it reads files that nobody writes any more. It is a file of its own because closing
    /// any descriptor of `.lock` would give that lock away.
    pub running: Arc<File>,
    /// Holds the lock.
    _lock: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system says no.
    #[error("data folder {path}: cannot {what}: {error}. {hint}")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        what: String,
        /// The system's answer.
        error: io::Error,
        /// What the operator can do.
        hint: &'static str,
    },
    /// Another process has it.
    #[error(
        "data folder {path} is in use by {holder} (it holds {path}/.lock). Stop it, or choose another folder with --data-dir"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who, as far as the kernel tells.
        holder: String,
    },
    /// A process that was killed has writes under way.
    #[error(
        "data folder {path}: the kernel is still finishing writes of a process that has ended ({PREDECESSOR_MS} ms waited). \
         Start again in a moment; if it stays so, the disk is stuck"
    )]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
}

impl DataDir {
    /// Makes the folder if it is missing, and locks it.
    pub fn open(path: &Path) -> Result<DataDir, DataDirError> {
        let unusable = |what: &str, error: io::Error| {
            let hint = hint(&error);
            DataDirError::Unusable { path: path.to_owned(), what: what.to_owned(), error, hint }
        };
        fs::create_dir_all(path).map_err(|error| unusable("make it", error))?;
        let path = fs::canonicalize(path).map_err(|error| unusable("resolve it", error))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join(LOCK))
            .map_err(|error| unusable("write its .lock file", error))?;
        match sys::lock_whole(&lock).map_err(|error| unusable("lock its .lock file", error))? {
            Ok(()) => {}
            Err(held) => {
                let holder = held.pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
                return Err(DataDirError::InUse { path, holder });
            }
        }
        fs::create_dir_all(path.join(PRIVATE)).map_err(|error| unusable("make its .ringlog folder", error))?;
        let running = File::create(path.join(PRIVATE).join(RUNNING))
            .map_err(|error| unusable("write .ringlog/running", error))?;
        if !predecessor_ended(&running) {
            return Err(DataDirError::Unfinished { path });
        }
        Ok(DataDir { path, running: Arc::new(running), _lock: lock })
    }
}

/// Waits for the lock that the last process's drivers hold until the kernel is done with them.
fn predecessor_ended(running: &File) -> bool {
    let begin = Instant::now();
    while running.try_lock().is_err() {
        if begin.elapsed() > Duration::from_millis(PREDECESSOR_MS) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "Give the user that runs ringlog the right to write there, or choose another folder with --data-dir"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "The file system is mounted read-only; choose another folder with --data-dir"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "A file is in the way; remove it, or choose another folder with --data-dir"
        }
        io::ErrorKind::StorageFull => "The file system is full; make room, or choose another folder with --data-dir",
        _ => "Choose another folder with --data-dir",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_made_and_locked() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = DataDir::open(&temp.path().join("a/b")).expect("it can be made");
        assert!(dir.path.join(".lock").is_file() && dir.path.join(".ringlog").is_dir());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("file");
        fs::write(&path, "x").expect("writable");
        let error = DataDir::open(&path).expect_err("it is a file").to_string();
        assert!(error.contains("file") && error.contains("A file is in the way"), "{error}");
    }
}

//! Proves every byte that a data folder depends on, and changes nothing: what `ringlog verify` says, and what a start, a
//! scrub and a read would find piece by piece. Batches with their offsets and headers, indexes, snapshots, checkpoints,
//! and Kafka's small files against what we keep about them. Over the shard's `Io`, so the simulator runs it too.
//!
//! Not looked at: space behind a log's end, files that nothing reads (spares, those that wait for their removal), and
//! Kafka's own indexes and checkpoints, which have no checksum and are not read once a log is ours.

mod data_dir;
mod log_folder;

use super::scan::Damage;
use crate::shard::Io;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes that are not what was written, or that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Where in it the first bad bytes lie, as near as that is known.
    pub position: u64,
    /// Records that are lost with them; `None` where none are.
    pub offsets: Option<Range<i64>>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: Advice,
}

/// What to do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Records are lost here.
    RestoreSegment,
    /// The file follows from others and is made anew.
    NextStart,
    /// It follows from nothing, but a copy is at hand.
    PutBackCopy,
    /// It does not follow from anything.
    RestoreFile,
    /// The device or the file system refuses.
    CheckDevice,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Advice::RestoreSegment => {
                "these records are not served and nothing is appended to a log whose end is bad; put the file back from a \
                 replica or a backup, or move consumers past them"
            }
            Advice::NextStart => "nothing is lost: the next start notices and writes it again",
            Advice::PutBackCopy => "put back the copy that is kept in .ringlog (its text begins at byte 32)",
            Advice::RestoreFile => "put the file back from a backup",
            Advice::CheckDevice => "look at the system's log and the device's health, then run verify again",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: byte {}", self.file.display(), self.position)?;
        if let Some(Range { start, end }) = &self.offsets {
            write!(f, ", offsets {start} to {}", end - 1)?;
        }
        write!(f, ": {}. What to do: {}", self.what, self.advice)
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Everything that is wrong, in the order of the folder.
    pub findings: Vec<Finding>,
    /// True when something could not be read, so that more may be wrong.
    pub unreadable: bool,
    /// Logs, the metadata's among them.
    pub logs: u64,
    /// Files.
    pub files: u64,
    /// Bytes read and proven or found wrong.
    pub bytes: u64,
    /// Record batches.
    pub batches: u64,
}

impl Verified {
    fn note(&mut self, file: &Path, what: impl Into<String>, advice: Advice) {
        let finding = Finding { file: file.to_owned(), position: 0, offsets: None, what: what.into(), advice };
        self.findings.push(finding);
    }

    fn note_damage(&mut self, file: &Path, damage: &Damage) {
        let Damage { position, bytes, base_offset, end_offset, reason } = damage;
        self.findings.push(Finding {
            file: file.to_owned(),
            position: *position,
            offsets: Some(*base_offset..*end_offset),
            what: format!("{bytes} bytes are not what was written: {reason}"),
            advice: Advice::RestoreSegment,
        });
    }

    fn note_unreadable(&mut self, file: &Path, error: &io::Error) {
        self.unreadable = true;
        self.note(file, format!("cannot be read: {error}"), Advice::CheckDevice);
    }

    fn note_read(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Proves everything in a data folder that no process is using. Fails only where the folder cannot be listed; what else
/// cannot be read is a finding.
pub async fn verify(io: &Io, data: &Path) -> io::Result<Verified> {
    let mut verified = Verified::default();
    data_dir::verify(io, data, &mut verified).await?;
    Ok(verified)
}

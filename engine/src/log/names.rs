//! What the files of a log folder are called, and what a name says. `FORMAT.md` explains each kind.

use std::path::{Path, PathBuf};

/// Digits of an offset in a file name.
const DIGITS: usize = 20;

/// Batches, byte for byte as Kafka writes them.
const LOG: &str = ".log";
/// Our sealed index.
const INDEX: &str = ".ridx";
/// The owner's opaque state.
const SNAPSHOT: &str = ".rsnap";
/// A file of ours that is not complete; removed at start.
const TEMPORARY: &str = ".rtmp";
/// What ends the name of a file that compaction has not completed, as Kafka calls it; removed at start.
const CLEANED: &str = ".cleaned";
/// What ends the name of a file that compaction has completed and that is about to take its place, as Kafka calls it.
const SWAP: &str = ".swap";
/// A file that waits for its removal, as Kafka calls it.
const DELETED: &str = ".deleted";
/// What ends the name of a folder that waits for its removal, as Kafka calls it.
pub(super) const DELETE_FOLDER: &str = "-delete";

/// Private state of a data folder.
pub(super) const PRIVATE: &str = ".ringlog";
/// Ready-made segment files, inside [`PRIVATE`].
pub(super) const SPARE: &str = "spare";
/// What ends the name of a shard's checkpoint.
pub(super) const FLOOR: &str = ".rckp";
/// What ends the name of a shard's journal.
pub(super) const JOURNAL: &str = ".rjnl";
/// Topic id of a partition folder, in Kafka's format.
pub(super) const PARTITION_METADATA: &str = "partition.metadata";
/// Kafka's list of leader epochs.
pub(super) const KAFKA_EPOCHS: &str = "leader-epoch-checkpoint";
/// Kafka's list of log start offsets, in the data folder.
pub(super) const KAFKA_STARTS: &str = "log-start-offset-checkpoint";
/// Kafka's promise to itself that its indexes fit the logs, in the data folder.
pub(super) const KAFKA_CLEAN: &str = ".kafka_cleanshutdown";

/// A file in a log folder: ringlog wrote every byte of this log. It holds what `partition.metadata` must say.
pub(super) const ORIGIN: &str = "ringlog.origin";
/// The same for a log that another broker began.
pub(super) const ADOPTED: &str = "ringlog.adopted";
/// A file in a log folder: the copy of a move to another data folder that has not ended.
pub(super) const MOVED: &str = "ringlog.moved";
/// What ends the name of the folder of such a copy while it is being filled, as Kafka calls it.
pub(super) const FUTURE_FOLDER: &str = "-future";
/// A file in a log folder: what is remembered of its compaction.
pub(super) const COMPACTED: &str = "ringlog.compacted";
/// Kafka's list of the first offsets that were never cleaned, in the data folder.
pub(super) const KAFKA_CLEANED: &str = "cleaner-offset-checkpoint";
/// The node's list of all data folders, inside [`PRIVATE`], in the envelope of a copy.
pub(super) const LOG_DIRS: &str = "log-dirs";
/// What ends the name of a copy of one of Kafka's small files, inside [`PRIVATE`].
pub const COPY: &str = ".rcpy";

/// What a file in a log folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A segment with this base offset.
    Segment(i64),
    /// The sealed index of the segment with this base offset.
    Index(i64),
    /// A snapshot of everything below this offset.
    Snapshot(i64),
    /// Segment that compaction has not completed.
    Cleaned(i64),
    /// Segment that compaction has completed.
    Swap(i64),
    /// [`COMPACTED`].
    Compacted,
    /// Abandoned half way or waiting for removal.
    Leftover,
    /// Kafka's leader epochs.
    KafkaEpochs,
    /// The topic id.
    Metadata,
    /// [`ORIGIN`].
    Origin,
    /// [`ADOPTED`].
    Adopted,
    /// [`MOVED`].
    Moved,
    /// Kafka's or unknown: left alone.
    Foreign,
}

impl FileKind {
    pub(super) fn of(name: &str) -> FileKind {
        match name {
            PARTITION_METADATA => return FileKind::Metadata,
            ORIGIN => return FileKind::Origin,
            ADOPTED => return FileKind::Adopted,
            MOVED => return FileKind::Moved,
            COMPACTED => return FileKind::Compacted,
            KAFKA_EPOCHS => return FileKind::KafkaEpochs,
            _ => {}
        }
        for (suffix, kind) in [(CLEANED, FileKind::Cleaned as fn(i64) -> FileKind), (SWAP, FileKind::Swap)] {
            if let Some(name) = name.strip_suffix(suffix) {
                // Kafka's indexes go through the same steps; they follow from their segments.
                return name.strip_suffix(LOG).and_then(offset).map_or(FileKind::Leftover, kind);
            }
        }
        if name.ends_with(TEMPORARY) || name.ends_with(DELETED) {
            return FileKind::Leftover;
        }
        for (suffix, kind) in
            [(LOG, FileKind::Segment as fn(i64) -> FileKind), (INDEX, FileKind::Index), (SNAPSHOT, FileKind::Snapshot)]
        {
            if let Some(offset) = name.strip_suffix(suffix).and_then(offset) {
                return kind(offset);
            }
        }
        FileKind::Foreign
    }
}

fn offset(digits: &str) -> Option<i64> {
    (digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

pub(super) fn segment(dir: &Path, base: i64) -> PathBuf {
    dir.join(format!("{base:020}{LOG}"))
}

/// What compaction writes to take the place of the segment.
pub(super) fn cleaned(dir: &Path, base: i64) -> PathBuf {
    with_suffix(&segment(dir, base), CLEANED)
}

/// The same once it is complete.
pub(super) fn swap(dir: &Path, base: i64) -> PathBuf {
    with_suffix(&segment(dir, base), SWAP)
}

pub(super) fn index(dir: &Path, base: i64) -> PathBuf {
    dir.join(format!("{base:020}{INDEX}"))
}

pub(super) fn snapshot(dir: &Path, upto: i64) -> PathBuf {
    dir.join(format!("{upto:020}{SNAPSHOT}"))
}

/// The incomplete form of `path`.
pub(super) fn temporary(path: &Path) -> PathBuf {
    with_suffix(path, TEMPORARY)
}

/// `path` while it waits for its removal.
pub(super) fn deleted(path: &Path) -> PathBuf {
    with_suffix(path, DELETED)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// `<dir>.<topic id>-delete`.
pub(super) fn deleted_folder(dir: &Path, uid: &[u8; 16]) -> PathBuf {
    with_suffix(dir, &format!(".{}{DELETE_FOLDER}", hex(uid)))
}

/// `<dir>.<topic id>-future`.
pub(super) fn future_folder(dir: &Path, uid: &[u8; 16]) -> PathBuf {
    with_suffix(dir, &format!(".{}{FUTURE_FOLDER}", hex(uid)))
}

/// Topic, partition and topic id of a folder of that form.
pub(super) fn future_of(folder: &str) -> Option<(&str, i32, [u8; 16])> {
    let (log, digits) = folder.strip_suffix(FUTURE_FOLDER)?.rsplit_once('.')?;
    let (topic, partition) = topic_partition(log)?;
    let mut uid = [0; 16];
    if digits.len() != 2 * uid.len() || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in uid.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some((topic, partition, uid))
}

pub(super) fn private(data: &Path) -> PathBuf {
    data.join(PRIVATE)
}

pub(super) fn spares(data: &Path) -> PathBuf {
    data.join(PRIVATE).join(SPARE)
}

/// The journal of one shard.
pub(super) fn journal(data: &Path, shard: u16) -> PathBuf {
    private(data).join(format!("journal-{shard}{JOURNAL}"))
}

/// The checkpoint of one shard.
pub(super) fn floor(data: &Path, shard: u16) -> PathBuf {
    private(data).join(format!("floor-{shard}{FLOOR}"))
}

/// The checkpoints of all earlier shards, merged at a start.
pub(super) fn merged_floor(data: &Path) -> PathBuf {
    private(data).join(format!("floor-merged{FLOOR}"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a folder of this name in a data folder is a log.
pub fn is_log_folder(name: &str) -> bool {
    topic_partition(name).is_some()
}

/// Topic and partition of a folder's name: split at the last dash, as Kafka does.
pub(super) fn topic_partition(folder: &str) -> Option<(&str, i32)> {
    let (topic, partition) = folder.rsplit_once('-')?;
    let plain = !partition.is_empty() && partition.bytes().all(|b| b.is_ascii_digit());
    (plain && !topic.is_empty()).then(|| partition.parse().ok().map(|partition| (topic, partition))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_file_is() {
        for (name, kind) in [
            ("00000000000000000042.log", FileKind::Segment(42)),
            ("00000000000000000042.ridx", FileKind::Index(42)),
            ("00000000000000000042.rsnap", FileKind::Snapshot(42)),
            ("00000000000000000042.ridx.rtmp", FileKind::Leftover),
            ("00000000000000000042.log.deleted", FileKind::Leftover),
            ("00000000000000000042.log.cleaned", FileKind::Cleaned(42)),
            ("00000000000000000042.log.swap", FileKind::Swap(42)),
            ("00000000000000000042.timeindex.swap", FileKind::Leftover),
            ("00000000000000000042.index.cleaned", FileKind::Leftover),
            ("ringlog.compacted", FileKind::Compacted),
            ("00000000000000000042.index", FileKind::Foreign),
            ("00000000000000000042.snapshot", FileKind::Foreign),
            ("42.log", FileKind::Foreign),
            ("99999999999999999999.log", FileKind::Foreign),
            ("+0000000000000000042.log", FileKind::Foreign),
            ("partition.metadata", FileKind::Metadata),
            ("leader-epoch-checkpoint", FileKind::KafkaEpochs),
        ] {
            assert_eq!(FileKind::of(name), kind, "{name}");
        }
    }

    #[test]
    fn a_folder_names_its_partition_behind_the_last_dash() {
        assert_eq!(topic_partition("a-b-7"), Some(("a-b", 7)));
        for bad in ["lost+found", "a-", "-7", "a--x", "a-+1", "a-99999999999", "a-1.abc-delete"] {
            assert_eq!(topic_partition(bad), None, "{bad}");
        }
    }
}

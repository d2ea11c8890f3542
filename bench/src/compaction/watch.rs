//! A log as it lies on disk, seen from outside: how large its sealed segments are, and how far its broker says that it is clean.

use super::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Kafka's list of the first offsets that were never cleaned, in the data folder.
const KAFKA_CLEANED: &str = "cleaner-offset-checkpoint";

/// The same of one of our logs, in its folder.
const OURS: &str = "ringlog.compacted";

/// The only partition of a topic.
pub(super) struct LogFolder {
    topic: String,
    folder: PathBuf,
}

impl LogFolder {
    /// Wherever the broker keeps it below `root`.
    pub(super) fn find(root: &Path, topic: &str) -> Result<LogFolder, Error> {
        let name = format!("{topic}-0");
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy() == name {
                    return Ok(LogFolder { topic: topic.to_owned(), folder: entry.path() });
                }
                if entry.path().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        Err(Error::NoFolder { name, root: root.to_owned() })
    }

    /// Base offset and bytes of the segments in service, oldest first.
    fn segments(&self) -> Vec<(i64, u64)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let segment = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name.strip_suffix(".log")?.parse().ok()?, entry.metadata().ok()?.len()))
        };
        let mut segments: Vec<_> = entries.filter_map(segment).collect();
        segments.sort_unstable();
        segments
    }

    /// Bytes of all segments but the active one, which no compaction touches.
    pub(super) fn sealed_bytes(&self) -> u64 {
        let segments = self.segments();
        let sealed = segments.len().saturating_sub(1);
        segments[..sealed].iter().map(|(_, bytes)| bytes).sum()
    }

    /// True once the broker has written down that everything below the active segment is clean.
    pub(super) fn is_clean(&self) -> bool {
        let active = self.segments().last().map_or(i64::MAX, |&(base, _)| base);
        self.clean_upto().is_some_and(|upto| upto >= active)
    }

    fn clean_upto(&self) -> Option<i64> {
        let mark = self.folder.join(OURS);
        if mark.exists() {
            let mut text = Vec::new();
            engine::log::dump(&mark, false, &mut text).ok()?;
            return our_offset(&String::from_utf8_lossy(&text));
        }
        let file = fs::read_to_string(self.folder.parent()?.join(KAFKA_CLEANED)).ok()?;
        kafka_offset(&file, &self.topic)
    }
}

/// `compacted below offset 5; gaps …`
fn our_offset(dump: &str) -> Option<i64> {
    dump.strip_prefix("compacted below offset ")?.split(';').next()?.parse().ok()
}

/// Version, number of lines, then `topic partition offset`.
fn kafka_offset(file: &str, topic: &str) -> Option<i64> {
    let mut offsets = file.lines().skip(2).filter_map(|line| {
        let mut words = line.split(' ');
        (words.next() == Some(topic) && words.next() == Some("0")).then(|| words.next()?.parse().ok())?
    });
    offsets.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_brokers_say_how_far_a_log_is_clean() {
        assert_eq!(our_offset("compacted below offset 42; gaps between offsets only below 50\n"), Some(42));
        assert_eq!(kafka_offset("0\n2\nother 0 7\ndirty 0 42\n", "dirty"), Some(42));
        assert_eq!(kafka_offset("0\n1\ndirty 1 42\n", "dirty"), None);
    }

    #[test]
    fn the_active_segment_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("data/dirty-0");
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in [("00.log", 10), ("07.log", 20), ("09.log", 40), ("07.log.deleted", 80), ("09.index", 1)] {
            fs::write(folder.join(name), vec![0; bytes]).unwrap();
        }
        let log = LogFolder::find(root.path(), "dirty").unwrap();
        assert_eq!(log.sealed_bytes(), 30);
        let checkpoint = root.path().join("data").join(KAFKA_CLEANED);
        fs::write(&checkpoint, "0\n1\ndirty 0 8\n").unwrap();
        assert!(!log.is_clean());
        fs::write(&checkpoint, "0\n1\ndirty 0 9\n").unwrap();
        assert!(log.is_clean());
        assert!(LogFolder::find(root.path(), "another").is_err());
    }
}

//! Logs that were being moved between data folders when the broker ended: which of two folders is the log.

use super::data_dir::{DataDir, DataDirError};
use crate::log::relocate::{is_moved_copy, remove_copy};
use crate::shard::Io;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of Kafka's own metadata log, which no move of ours concerns.
const KAFKA_METADATA: &str = "__cluster_metadata-0";

/// A log's name across data folders.
type Key = ([u8; 16], i32);

/// Leaves one folder of every log: a copy that has the log's name already goes where the log has it still, and is made again from
/// the beginning. Two folders of which neither is such a copy are somebody's mistake, and nothing is touched.
pub async fn settle_moves(io: &Io, dirs: &mut [DataDir]) -> Result<(), DataDirError> {
    let mut folders: BTreeMap<Key, Vec<(usize, PathBuf)>> = BTreeMap::new();
    for (at, dir) in dirs.iter().enumerate() {
        for log in &dir.logs {
            // Kafka's metadata log, which is left alone, has the same id as ours.
            let is_kafkas = log.name.dir.ends_with(KAFKA_METADATA);
            if let Some(uid) = log.uid.filter(|_| !is_kafkas) {
                folders.entry((uid, log.partition)).or_default().push((at, log.name.dir.clone()));
            }
        }
    }
    folders.retain(|_, folders| folders.len() > 1);
    let mut copies = Vec::new();
    for (key, folders) in &folders {
        let of_this = copies_among(io, folders).await?;
        copies.extend(of_this.into_iter().map(|(at, folder)| (*key, at, folder)));
    }
    // Only once all of them are understood.
    for (key, at, folder) in copies {
        remove_copy(io, &folder, &key.0).await.map_err(|error| failed(&folder, error))?;
        let Some(dir) = dirs.get_mut(at) else { continue };
        dir.logs.retain(|log| log.name.dir != folder);
        dir.futures.push(key);
    }
    Ok(())
}

/// All but the one that is the log.
async fn copies_among(io: &Io, folders: &[(usize, PathBuf)]) -> Result<Vec<(usize, PathBuf)>, DataDirError> {
    let (mut copies, mut logs) = (Vec::new(), Vec::new());
    for (at, folder) in folders {
        let is_copy = is_moved_copy(io, folder).await.map_err(|error| failed(folder, error))?;
        if is_copy { &mut copies } else { &mut logs }.push((*at, folder.clone()));
    }
    match (&logs[..], &copies[..]) {
        ([_], _) => Ok(copies),
        ([(_, first), (_, second), ..], _) | ([], [(_, first), (_, second), ..]) => {
            Err(DataDirError::Twice { first: first.clone(), second: second.clone() })
        }
        ([], _) => Ok(Vec::new()),
    }
}

fn failed(folder: &Path, error: std::io::Error) -> DataDirError {
    DataDirError::Io { path: folder.to_owned(), error }
}

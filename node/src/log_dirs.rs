//! The folders of `log.dirs` at a start: which can be used, and whether they are the ones that were there last time. A folder that
//! cannot be used takes only its own partitions out of service; one that is missing from the list, or is empty where it was not,
//! stops the start, because empty logs would take the place of those in it. What lies in a folder is the engine's.
//!
//! `.ringlog/log-dirs` in every folder, replaced at each start; this text in the envelope of a copy, so that a flipped bit is found:
//!
//! ```text
//! version=1
//! metadata=1i5-fIHAHEhVdUBZhQdmGQ
//! 1i5-fIHAHEhVdUBZhQdmGQ=/data/a
//! WK8gX3hVQzSXx1rNPFnwXg=/data/b
//! ```

use crate::data_dir::{DataDir, DataDirError};
use crate::identity::{self, IdentityError};
use broker::log_dirs::LogDir;
use engine::log::{open_copy, seal_copy};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What every folder remembers of all of them.
const RECORD: &str = ".ringlog/log-dirs";
/// The metadata log's home in one of them.
const METADATA: &str = ".ringlog/cluster";

/// One folder of `log.dirs`.
#[derive(Debug)]
pub struct Place {
    /// Absolute, as the configuration has it.
    pub configured: PathBuf,
    /// The folder, or why it cannot be used.
    pub state: Result<DataDir, DataDirError>,
}

/// Why the folders cannot be served together.
#[derive(Debug, thiserror::Error)]
pub enum LogDirsError {
    /// The folder that cannot be done without.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Whose a folder is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The file system says no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// It is not listed any more.
    #[error(
        "log.dirs does not list {path} (directory.id {id}) any more, which {why}. List it again, and move its partitions to other \
         folders first (kafka-reassign-partitions.sh); to give up what is in it, remove its line from {record}"
    )]
    Missing {
        /// Where it was.
        path: String,
        /// Its id.
        id: String,
        /// Why it cannot be done without.
        why: &'static str,
        /// A file that remembers it.
        record: PathBuf,
    },
    /// It holds something else than before.
    #[error(
        "{path} had directory.id {expected} at the last start and {found} now. Is its disk mounted? To begin anew with an empty \
         folder there, and give up what the old one held, remove its line from {record}"
    )]
    Replaced {
        /// Where.
        path: String,
        /// The id that was expected.
        expected: String,
        /// What is there.
        found: String,
        /// A file that remembers it.
        record: PathBuf,
    },
    /// A copy beside its original.
    #[error(
        "{first} and {second} have the same directory.id {id}: one is a copy of the other. Take the copy out of log.dirs"
    )]
    Twice {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The id of both.
        id: String,
    },
    /// Two metadata logs.
    #[error(
        "{first} and {second} both hold the metadata of a cluster ({METADATA}): these folders were served apart. Serve them \
         apart again, or take one out of log.dirs"
    )]
    TwoClusters {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// The folders, in the order of `log.dirs`, and which one has the metadata.
#[derive(Debug)]
pub struct Places {
    places: Vec<Place>,
    home: usize,
    /// Known from earlier starts: directory id, path.
    known: BTreeMap<String, String>,
}

/// What the records say.
#[derive(Debug, Default)]
struct Known {
    /// By id: path, and a record that says so.
    dirs: BTreeMap<String, (String, PathBuf)>,
    metadata: Option<String>,
}

impl Places {
    /// Opens what can be opened, and holds it against what was there last time. Nothing but locks is written.
    pub fn open(configured: &[PathBuf]) -> Result<Places, LogDirsError> {
        let mut places = Vec::new();
        for path in configured {
            let state = match DataDir::open(path) {
                // The operator's mistake, or a matter of time: not a disk that has failed.
                Err(error @ (DataDirError::InUse { .. } | DataDirError::Unfinished { .. })) => return Err(error.into()),
                state => state,
            };
            // As Kafka shows it: absolute, without a slash at its end, links not followed.
            let configured = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let configured = configured.components().collect();
            places.push(Place { configured, state });
        }
        let known = read_records(&places)?;
        let ids = ids_of(&places)?;
        known.check(&places, &ids)?;
        let home = home_of(&places, &known, &ids)?;
        if places[home].state.is_err() {
            return Err(DataDirError::from(places.swap_remove(home).state).into());
        }
        for place in &places {
            if let Err(error) = &place.state {
                tracing::error!("{error}. Its partitions are out of service until a start that can use it");
            }
        }
        // Those that cannot be looked at are remembered as they were.
        let offline = |path: &str| places.iter().any(|p| p.state.is_err() && p.configured == Path::new(path));
        let known = known.dirs.iter().filter(|(_, (path, _))| offline(path));
        let known = known.map(|(id, (path, _))| (id.clone(), path.clone())).collect();
        Ok(Places { places, home, known })
    }

    /// The usable folders, the one with the metadata first.
    pub fn usable(&self) -> Vec<&DataDir> {
        let others = self.places.iter().enumerate().filter(|(at, _)| *at != self.home).map(|(_, place)| place);
        std::iter::once(&self.places[self.home]).chain(others).filter_map(|place| place.state.as_ref().ok()).collect()
    }

    /// All folders as clients are told of them.
    pub fn log_dirs(&self) -> Vec<LogDir> {
        let dir =
            |place: &Place| LogDir { path: place.configured.display().to_string(), is_offline: place.state.is_err() };
        self.places.iter().map(dir).collect()
    }

    /// Where all of them really are.
    pub fn paths(&self) -> Vec<PathBuf> {
        let path = |place: &Place| place.state.as_ref().map_or(&place.configured, |dir| &dir.path).clone();
        self.places.iter().map(path).collect()
    }

    /// Has every folder remember all of them, once each has an id.
    pub fn remember(&self) -> Result<(), LogDirsError> {
        let ids = ids_of(&self.places)?;
        let mut known = self.known.clone();
        for (place, id) in self.places.iter().zip(&ids) {
            known.extend(id.clone().map(|id| (id, place.configured.display().to_string())));
        }
        let metadata = ids[self.home].clone().unwrap_or_default();
        let lines = known.iter().map(|(id, path)| format!("{id}={path}\n"));
        let text = format!("version=1\nmetadata={metadata}\n{}", lines.collect::<String>());
        let file = seal_copy(text.as_bytes());
        for dir in self.usable() {
            let path = dir.path.join(RECORD);
            if fs::read(&path).is_ok_and(|old| old == file) {
                continue;
            }
            identity::replace(&path, &file).map_err(|error| LogDirsError::Io { path, error })?;
        }
        Ok(())
    }
}

impl From<Result<DataDir, DataDirError>> for DataDirError {
    fn from(state: Result<DataDir, DataDirError>) -> DataDirError {
        match state {
            Err(error) => error,
            Ok(_) => unreachable!("asked of folders that cannot be used"),
        }
    }
}

/// The directory ids of the usable folders, each once.
fn ids_of(places: &[Place]) -> Result<Vec<Option<String>>, LogDirsError> {
    let mut ids: Vec<Option<String>> = Vec::new();
    for place in places {
        let id = place.state.as_ref().ok().map(|dir| identity::directory_id(&dir.path)).transpose()?.flatten();
        if let Some(id) = &id
            && let Some(first) = ids.iter().position(|other| other.as_ref() == Some(id))
        {
            let (first, second) = (places[first].configured.clone(), place.configured.clone());
            return Err(LogDirsError::Twice { first, second, id: id.clone() });
        }
        ids.push(id);
    }
    Ok(ids)
}

fn read_records(places: &[Place]) -> Result<Known, LogDirsError> {
    let mut known = Known::default();
    for dir in places.iter().filter_map(|place| place.state.as_ref().ok()) {
        let record = dir.path.join(RECORD);
        let file = match fs::read(&record) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LogDirsError::Io { path: record, error }),
        };
        let text = match open_copy(&file) {
            Ok(text) => String::from_utf8_lossy(text),
            Err(error) => {
                // Every other folder has the same, and this start writes it anew.
                tracing::error!(
                    "{}: what is remembered of log.dirs is damaged and passed over: {error}",
                    record.display()
                );
                continue;
            }
        };
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "version" => {}
                "metadata" => known.metadata = Some(value.to_owned()),
                id => {
                    known.dirs.insert(id.to_owned(), (value.to_owned(), record.clone()));
                }
            }
        }
    }
    Ok(known)
}

impl Known {
    fn check(&self, places: &[Place], ids: &[Option<String>]) -> Result<(), LogDirsError> {
        for (id, (path, record)) in &self.dirs {
            if ids.iter().any(|here| here.as_ref() == Some(id)) {
                continue;
            }
            let at = places.iter().position(|place| place.configured == Path::new(path));
            match at.map(|at| (places[at].state.is_ok(), &ids[at])) {
                // It cannot be looked at: taken for what it was.
                Some((false, _)) => {}
                Some((true, found)) => {
                    let found = found.as_ref().map_or("has none".to_owned(), |id| format!("has {id}"));
                    let (path, expected, record) = (path.clone(), id.clone(), record.clone());
                    return Err(LogDirsError::Replaced { path, expected, found, record });
                }
                None => self.check_removed(id, path, record)?,
            }
        }
        Ok(())
    }

    /// A folder that is not listed any more may go if there is nothing in it.
    fn check_removed(&self, id: &String, path: &str, record: &Path) -> Result<(), LogDirsError> {
        let why = match identity::directory_id(Path::new(path)) {
            _ if self.metadata.as_ref() == Some(id) => "holds the cluster's metadata",
            Ok(Some(there)) if there == *id => match holds_partitions(Path::new(path)) {
                Ok(false) => {
                    tracing::info!("{path} is no folder of log.dirs any more; no partition lies in it");
                    return Ok(());
                }
                Ok(true) => "holds partitions",
                Err(_) => "may hold partitions: it cannot be listed",
            },
            _ => "may hold partitions: it cannot be looked at",
        };
        Err(LogDirsError::Missing { path: path.to_owned(), id: id.clone(), why, record: record.to_owned() })
    }
}

fn holds_partitions(dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(dir)? {
        if engine::log::is_log_folder(&entry?.file_name().to_string_lossy()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The folder that has the metadata, or that will.
fn home_of(places: &[Place], known: &Known, ids: &[Option<String>]) -> Result<usize, LogDirsError> {
    let has = |place: &Place| place.state.as_ref().is_ok_and(|dir| dir.path.join(METADATA).is_dir());
    let homes: Vec<usize> = (0..places.len()).filter(|at| has(&places[*at])).collect();
    if let [first, second, ..] = homes[..] {
        let (first, second) = (places[first].configured.clone(), places[second].configured.clone());
        return Err(LogDirsError::TwoClusters { first, second });
    }
    let named = known.metadata.as_ref().and_then(|id| {
        let (path, _) = known.dirs.get(id)?;
        let there = ids.iter().position(|here| here.as_ref() == Some(id));
        there.or_else(|| places.iter().position(|place| place.configured == Path::new(path)))
    });
    Ok(homes.first().copied().or(named).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts with these folders as boot does, and stops.
    fn start(dirs: &[&Path]) -> Result<Vec<bool>, String> {
        let configured: Vec<PathBuf> = dirs.iter().map(|dir| (*dir).to_owned()).collect();
        let places = Places::open(&configured).map_err(|error| error.to_string())?;
        let usable: Vec<PathBuf> = places.usable().iter().map(|dir| dir.path.clone()).collect();
        identity::establish(&usable, None).map_err(|error| error.to_string())?;
        places.remember().map_err(|error| error.to_string())?;
        fs::create_dir_all(usable[0].join(METADATA)).map_err(|error| error.to_string())?;
        Ok(places.log_dirs().iter().map(|dir| dir.is_offline).collect())
    }

    struct Folders(tempfile::TempDir);

    impl Folders {
        fn new() -> Folders {
            Folders(tempfile::tempdir().expect("a temporary folder"))
        }

        fn at(&self, name: &str) -> PathBuf {
            fs::canonicalize(self.0.path()).expect("it exists").join(name)
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        let folders = Folders::new();
        let (a, b) = (folders.at("a"), folders.at("b"));
        start(&[&a, &b]).expect("a first start");
        let places = Places::open(&[b.clone(), a.clone()]).expect("the same two");
        assert_eq!(places.usable()[0].path, a, "the metadata stay where they are");
        assert_eq!(places.paths(), [b, a]);
    }

    #[test]
    fn one_that_is_listed_no_more_is_missed_unless_it_is_empty() {
        let folders = Folders::new();
        let (a, b) = (folders.at("a"), folders.at("b"));
        start(&[&a, &b]).expect("a first start");
        let error = start(&[&b]).expect_err("the metadata are in a");
        assert!(error.contains(&a.display().to_string()) && error.contains("metadata"), "{error}");
        fs::create_dir(b.join("t-0")).expect("writable");
        let error = start(&[&a]).expect_err("t-0 is in b");
        assert!(error.contains(&b.display().to_string()) && error.contains("holds partitions"), "{error}");
        fs::remove_dir(b.join("t-0")).expect("it is there");
        start(&[&a]).expect("b is empty");
        start(&[&a, &b]).expect("b may come back");
    }

    #[test]
    fn one_that_is_empty_all_of_a_sudden_is_not_served() {
        let folders = Folders::new();
        let (a, b) = (folders.at("a"), folders.at("b"));
        start(&[&a, &b]).expect("a first start");
        fs::rename(&b, folders.at("elsewhere")).expect("as unmounting does");
        let error = start(&[&a, &b]).expect_err("b is another folder");
        assert!(error.contains("Is its disk mounted") && error.contains("has none"), "{error}");
        assert!(!b.join("meta.properties").exists(), "nothing was made of it");
        fs::remove_file(a.join(RECORD)).expect("what the error says");
        start(&[&a, &b]).expect("given up");
    }

    #[test]
    fn one_that_cannot_be_used_is_offline_and_remembered() {
        let folders = Folders::new();
        let (a, b) = (folders.at("a"), folders.at("b"));
        start(&[&a, &b]).expect("a first start");
        fs::rename(&b, folders.at("elsewhere")).expect("it is there");
        fs::write(&b, "no folder").expect("writable");
        assert_eq!(start(&[&a, &b]), Ok(vec![false, true]));
        assert_eq!(start(&[&a, &b]), Ok(vec![false, true]), "again");
        fs::remove_file(&b).expect("it is there");
        let error = start(&[&a, &b]).expect_err("not yet the old one");
        assert!(error.contains("had directory.id"), "{error}");
        fs::remove_dir_all(&b).expect("what the check made");
        fs::rename(folders.at("elsewhere"), &b).expect("repaired");
        assert_eq!(start(&[&a, &b]), Ok(vec![false, false]));
    }

    #[test]
    fn the_metadata_cannot_be_done_without() {
        let folders = Folders::new();
        let (a, b) = (folders.at("a"), folders.at("b"));
        start(&[&a, &b]).expect("a first start");
        fs::rename(&a, folders.at("elsewhere")).expect("it is there");
        fs::write(&a, "no folder").expect("writable");
        let error = start(&[&b, &a]).expect_err("the metadata are in a");
        assert!(error.contains(&a.display().to_string()), "{error}");
    }

    #[test]
    fn copies_and_strangers_are_told() {
        let folders = Folders::new();
        let (a, b, c) = (folders.at("a"), folders.at("b"), folders.at("c"));
        start(&[&a]).expect("one cluster");
        start(&[&b]).expect("another");
        let error = start(&[&a, &b]).expect_err("two clusters");
        assert!(error.contains("served apart"), "{error}");
        fs::remove_dir_all(b.join(METADATA)).expect("it is there");
        let error = start(&[&a, &b]).expect_err("another cluster.id");
        assert!(error.contains("cluster.id"), "{error}");
        fs::create_dir(&c).expect("writable");
        fs::copy(a.join("meta.properties"), c.join("meta.properties")).expect("it is there");
        let error = start(&[&a, &c]).expect_err("a copy");
        assert!(error.contains("same directory.id"), "{error}");
    }
}

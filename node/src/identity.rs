//! Who this broker is: `meta.properties` in each data folder, in Kafka's own format, so that Kafka's folders open here and
//! ours open there.
//!
//! ```text
//! cluster.id=MkU3OEVBNTcwNTJENDM2Qg
//! directory.id=1i5-fIHAHEhVdUBZhQdmGQ
//! node.id=1
//! version=1
//! ```

use engine::log;
use protocol::Uuid;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "meta.properties";
/// Node id where neither a file nor the configuration names one.
const NODE_ID_DEFAULT: i32 = 1;

/// The broker's identity, the same in all its data folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id, 22 characters where we made it.
    pub cluster_id: String,
    /// This node's id.
    pub node_id: i32,
}

/// Why the data folders give no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The file is not what Kafka or we write.
    #[error("{path}: {key}={value} is not understood; expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Its key.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: &'static str,
    },
    /// The file is not the one that was accepted last.
    #[error(
        "{path}: byte {position} is not what it was at the last start (a copy is in {copy}). If nobody changed the file, the \
         disk did: {repair}. If you did, remove the copy and start again"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The first byte that differs.
        position: usize,
        /// Where the copy lies.
        copy: PathBuf,
        /// How to put the old text back.
        repair: String,
    },
    /// Two sources name different ids.
    #[error("{key} is {stored} in {path}, but {other} in {source_of_other}: this folder belongs to another broker")]
    Conflict {
        /// The key.
        key: &'static str,
        /// What the file says.
        stored: String,
        /// The file.
        path: PathBuf,
        /// What the other source says.
        other: String,
        /// Which source that is.
        source_of_other: String,
    },
}

/// What one file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Meta {
    cluster_id: Option<String>,
    node_id: Option<i32>,
    directory_id: Option<String>,
}

/// The `directory.id` of a folder, where it has one: what it is, wherever it lies.
pub fn directory_id(dir: &Path) -> Result<Option<String>, IdentityError> {
    let path = dir.join(FILE);
    let Some(bytes) = read(&path)? else { return Ok(None) };
    Ok(parse(&String::from_utf8_lossy(&bytes), &path)?.directory_id)
}

/// Reads the identity from `dirs` and writes it where it is missing. `configured` is an explicit `node.id`.
pub fn establish(dirs: &[PathBuf], configured: Option<i32>) -> Result<Identity, IdentityError> {
    let mut cluster: Option<(String, String)> = None;
    let mut node: Option<(i32, String)> = configured.map(|id| (id, "the configuration".to_owned()));
    let mut missing = Vec::new();
    for dir in dirs {
        let path = dir.join(FILE);
        let Some(bytes) = read(&path)? else {
            missing.push(dir);
            continue;
        };
        check_copy(dir, &bytes)?;
        let meta = parse(&String::from_utf8_lossy(&bytes), &path)?;
        agree("cluster.id", &mut cluster, meta.cluster_id, &path)?;
        agree("node.id", &mut node, meta.node_id, &path)?;
    }
    let cluster_id = match cluster {
        Some((id, _)) => id,
        None => random_id()?,
    };
    let identity = Identity { cluster_id, node_id: node.map_or(NODE_ID_DEFAULT, |(id, _)| id) };
    missing.into_iter().try_for_each(|dir| write(dir, &identity))?;
    dirs.iter().for_each(|dir| keep_copy(dir));
    Ok(identity)
}

/// Where the copy of the file lies.
fn copy_of(dir: &Path) -> PathBuf {
    dir.join(".ringlog").join(format!("{FILE}{}", log::COPY))
}

/// Compares the file with its copy: Kafka's format has no checksum, so a flipped bit would make this another broker.
fn check_copy(dir: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let (path, copy) = (dir.join(FILE), copy_of(dir));
    let file = match fs::read(&copy) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(IdentityError::Io { path: copy, error }),
    };
    let kept = match log::open_copy(&file) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(file = %copy.display(), %error, "the copy of meta.properties is unusable: made again");
            return Ok(());
        }
    };
    let Some(position) = log::first_difference(kept, bytes) else { return Ok(()) };
    let text = String::from_utf8_lossy(kept).trim_end().replace('\n', "\\n");
    let repair = format!("put it back with  printf '{text}\\n' > {}", path.display());
    Err(IdentityError::Changed { path, position, copy, repair })
}

/// Keeps a copy of the file as it is now, where there is no equal one. Without it a flipped bit goes unnoticed, which is no
/// reason not to start.
fn keep_copy(dir: &Path) {
    let copy = copy_of(dir);
    let write = || {
        let sealed = log::seal_copy(&fs::read(dir.join(FILE))?);
        if fs::read(&copy).is_ok_and(|kept| kept == sealed) {
            return Ok(());
        }
        fs::create_dir_all(dir.join(".ringlog"))?;
        // Not flushed: a start has better things to wait for, and a torn copy is told by its checksum and made again.
        let temporary = copy.with_extension("tmp");
        fs::write(&temporary, &sealed)?;
        fs::rename(&temporary, &copy)
    };
    if let Err(error) = write() {
        tracing::warn!(file = %copy.display(), %error, "no copy of meta.properties was kept");
    }
}

/// Takes `stored` as the value, or checks that it is the one that is known.
fn agree<T: PartialEq + ToString>(
    key: &'static str,
    known: &mut Option<(T, String)>,
    stored: Option<T>,
    path: &Path,
) -> Result<(), IdentityError> {
    match (known.as_ref(), stored) {
        (_, None) => Ok(()),
        (None, Some(value)) => {
            *known = Some((value, path.display().to_string()));
            Ok(())
        }
        (Some((other, _)), Some(value)) if *other == value => Ok(()),
        (Some((other, source)), Some(value)) => Err(IdentityError::Conflict {
            key,
            stored: value.to_string(),
            path: path.to_owned(),
            other: other.to_string(),
            source_of_other: source.clone(),
        }),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(IdentityError::Io { path: path.to_owned(), error }),
    }
}

/// Version 1 says `node.id`, version 0 (ZooKeeper's time) `broker.id`.
fn parse(text: &str, path: &Path) -> Result<Meta, IdentityError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let values: BTreeMap<&str, &str> =
        lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim())).collect();
    let wrong =
        |key, value: &str, expected| IdentityError::Value { path: path.to_owned(), key, value: value.into(), expected };
    match values.get("version").copied() {
        Some("0" | "1") => {}
        other => return Err(wrong("version", other.unwrap_or("(missing)"), "0 or 1")),
    }
    let node_id = match values.get("node.id").or_else(|| values.get("broker.id")) {
        None => None,
        Some(value) => match value.parse::<i32>() {
            Ok(id) if id >= 0 => Some(id),
            _ => return Err(wrong("node.id", value, "a number from 0")),
        },
    };
    let id = |key: &str| values.get(key).map(|id| (*id).to_owned());
    Ok(Meta { cluster_id: id("cluster.id"), node_id, directory_id: id("directory.id") })
}

fn write(dir: &Path, identity: &Identity) -> Result<(), IdentityError> {
    let path = dir.join(FILE);
    let Identity { cluster_id, node_id } = identity;
    let text = format!("cluster.id={cluster_id}\ndirectory.id={}\nnode.id={node_id}\nversion=1\n", random_id()?);
    replace(&path, text.as_bytes()).map_err(|error| IdentityError::Io { path, error })
}

/// The file has its old or its new content after any crash.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// A random id as Kafka prints them. None begins with a dash, which tools would take for an option.
fn random_id() -> Result<String, IdentityError> {
    let path = PathBuf::from("/dev/urandom");
    let mut source = File::open(&path).map_err(|error| IdentityError::Io { path: path.clone(), error })?;
    loop {
        let mut bytes = [0; 16];
        source.read_exact(&mut bytes).map_err(|error| IdentityError::Io { path: path.clone(), error })?;
        let text = Uuid(bytes).to_string();
        if !text.starts_with('-') {
            return Ok(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders<const N: usize>() -> (tempfile::TempDir, [PathBuf; N]) {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dirs = std::array::from_fn(|i| temp.path().join(i.to_string()));
        dirs.iter().for_each(|dir| fs::create_dir(dir).expect("it is new"));
        (temp, dirs)
    }

    #[test]
    fn made_once_and_kept() {
        let (_temp, dirs) = folders::<2>();
        let first = establish(&dirs, None).expect("new folders");
        assert_eq!((first.node_id, first.cluster_id.len()), (1, 22));
        assert_eq!(establish(&dirs, None).expect("written before"), first);
        assert_eq!(establish(&dirs, Some(1)).expect("the same id"), first);
        let error = establish(&dirs, Some(2)).expect_err("another id").to_string();
        assert!(error.contains("node.id is 1") && error.contains("but 2 in the configuration"), "{error}");
    }

    #[test]
    fn no_flipped_bit_makes_another_broker() {
        let (_temp, dirs) = folders::<1>();
        let first = establish(&dirs, None).expect("new folders");
        let (path, copy) = (dirs[0].join(FILE), copy_of(&dirs[0]));
        let (sound, kept) = (fs::read(&path).expect("written"), fs::read(&copy).expect("written"));
        for bit in 0..sound.len() * 8 {
            let mut bad = sound.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).expect("writable");
            let error = establish(&dirs, None).expect_err("a bit is wrong").to_string();
            assert!(error.contains(&format!("byte {} is not what it was", bit / 8)), "{error}");
        }
        fs::write(&path, &sound).expect("writable");
        fs::write(&copy, [&kept[..10], &[kept[10] ^ 1], &kept[11..]].concat()).expect("writable");
        assert_eq!(establish(&dirs, None).expect("the file itself is sound"), first);
        assert_eq!(fs::read(&copy).expect("made again"), kept);
        fs::remove_file(&copy).expect("it is there");
        fs::write(&path, "version=1\ncluster.id=other\nnode.id=4\n").expect("writable");
        assert_eq!(establish(&dirs, None).expect("the operator wants it").node_id, 4);
    }

    #[test]
    fn files_of_kafka_are_understood() {
        for (text, cluster_id, node_id) in [
            ("#\n#Sat Nov 21\nnode.id=7\ndirectory.id=abc\nversion=1\ncluster.id=c\n", "c", 7),
            ("version=0\nbroker.id=3\ncluster.id=old\n", "old", 3),
        ] {
            let (_temp, dirs) = folders::<1>();
            fs::write(dirs[0].join(FILE), text).expect("writable");
            let expect = Identity { cluster_id: cluster_id.into(), node_id };
            assert_eq!(establish(&dirs, None).expect("Kafka wrote it"), expect);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, said) in [
            ("version=2\n", "version=2 is not understood; expected 0 or 1"),
            ("cluster.id=c\n", "version=(missing) is not understood"),
            ("version=1\nnode.id=x\n", "node.id=x is not understood; expected a number from 0"),
        ] {
            let (_temp, dirs) = folders::<1>();
            fs::write(dirs[0].join(FILE), text).expect("writable");
            let error = establish(&dirs, None).expect_err(text).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn folders_of_two_brokers_are_refused() {
        let (_temp, dirs) = folders::<2>();
        for (dir, id) in dirs.iter().zip([1, 2]) {
            fs::write(dir.join(FILE), format!("version=1\nnode.id={id}\ncluster.id=c\n")).expect("writable");
        }
        assert!(matches!(establish(&dirs, None), Err(IdentityError::Conflict { key: "node.id", .. })));
    }
}

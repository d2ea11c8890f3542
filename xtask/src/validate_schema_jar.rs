//! Finds Kafka's jars and takes the message definitions out of them. Comparing is in `validate_schema`.
//!
//! A jar is a zip; the little of that format which jars use is read here, so that the command needs no other program.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The release that the tables describe.
pub(crate) const RELEASE: &str = "4.3.1";
/// The last release with the versions that 4.0 removed.
pub(crate) const LEGACY_RELEASE: &str = "3.9.1";
/// Definitions are stored under this folder of a jar.
const FOLDER: &str = "common/message/";
/// Folders deeper than this are not searched for jars.
const DEPTH_MAX: usize = 8;

/// Definitions by name (`ProduceRequest`).
pub(crate) type Definitions = BTreeMap<String, Value>;

/// Everything defined in the clients' jar (wire messages) and the group coordinator's (records of groups).
pub(crate) fn definitions(root: &Path, jar: Option<&Path>) -> Result<Definitions, String> {
    let clients = match jar {
        Some(jar) => jar.to_path_buf(),
        None => find(root, "kafka-clients", RELEASE).ok_or_else(|| absent("kafka-clients", RELEASE))?,
    };
    let beside = clients.with_file_name(format!("kafka-group-coordinator-{RELEASE}.jar"));
    let coordinator = if beside.is_file() { Some(beside) } else { find(root, "kafka-group-coordinator", RELEASE) };
    let coordinator = coordinator.ok_or_else(|| absent("kafka-group-coordinator", RELEASE))?;
    let mut all = open(&clients)?;
    all.append(&mut open(&coordinator)?);
    Ok(all)
}

/// Everything defined in the clients' jar of [`LEGACY_RELEASE`]; `None` where that is not installed.
pub(crate) fn legacy_definitions(root: &Path) -> Result<Option<Definitions>, String> {
    find(root, "kafka-clients", LEGACY_RELEASE).map(|jar| open(&jar)).transpose()
}

fn open(jar: &Path) -> Result<Definitions, String> {
    println!("reading {}", jar.display());
    let bytes = std::fs::read(jar).map_err(|e| format!("{}: {e}", jar.display()))?;
    read_jar(&bytes).map_err(|e| format!("{}: {e}", jar.display()))
}

pub(crate) fn absent(artifact: &str, release: &str) -> String {
    format!(
        "not compared: {artifact}-{release}.jar is in none of $KAFKA_CLIENTS_JAR's folder, .cache, ~/.m2; \
         `cargo xtask install` fetches it"
    )
}

/// `$KAFKA_CLIENTS_JAR` and the folder around it, the project's cache, Maven's repository.
fn find(root: &Path, artifact: &str, release: &str) -> Option<PathBuf> {
    let name = format!("{artifact}-{release}.jar");
    let named = std::env::var_os("KAFKA_CLIENTS_JAR").map(|jar| PathBuf::from(jar).with_file_name(&name));
    let maven = std::env::var_os("HOME")
        .map(|home| PathBuf::from(home).join(format!(".m2/repository/org/apache/kafka/{artifact}/{release}/{name}")));
    let cached = find_below(&root.join(".cache"), &name, DEPTH_MAX);
    [named, cached, maven].into_iter().flatten().find(|path| path.is_file())
}

fn find_below(folder: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    if depth == 0 {
        return None;
    }
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push(entry.path()),
            Ok(_) if entry.file_name() == *name => return Some(entry.path()),
            _ => {}
        }
    }
    folders.iter().find_map(|f| find_below(f, name, depth - 1))
}

fn read_jar(bytes: &[u8]) -> Result<Definitions, String> {
    let mut found = Definitions::new();
    for entry in entries(bytes)? {
        let Some(name) = entry.name.strip_prefix(FOLDER).and_then(|n| n.strip_suffix(".json")) else { continue };
        let text = entry.content(bytes).map_err(|e| format!("{name}: {e}"))?;
        // Kafka's definitions have comments, which JSON has not; they stand on lines of their own.
        let json: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
        found.insert(name.to_owned(), serde_json::from_str(&json).map_err(|e| format!("{name}: {e}"))?);
    }
    if found.is_empty() { Err(format!("no definitions under {FOLDER}")) } else { Ok(found) }
}

/// One file of a zip, as its central directory describes it.
struct Entry {
    name: String,
    method: u16,
    packed: usize,
    /// Where its local header begins.
    header: usize,
}

/// The central directory: found by its end record, which closes the file.
fn entries(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06").ok_or("not a zip: no end record")?;
    let count = u16_at(bytes, end + 10)?;
    let mut at = u32_at(bytes, end + 16)?;
    let mut entries = Vec::with_capacity(count.into());
    for _ in 0..count {
        let lens = [u16_at(bytes, at + 28)?, u16_at(bytes, at + 30)?, u16_at(bytes, at + 32)?].map(usize::from);
        let name = bytes.get(at + 46..at + 46 + lens[0]).ok_or("directory cut short")?;
        entries.push(Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            method: u16_at(bytes, at + 10)?,
            packed: u32_at(bytes, at + 20)?,
            header: u32_at(bytes, at + 42)?,
        });
        at += 46 + lens.iter().sum::<usize>();
    }
    Ok(entries)
}

impl Entry {
    fn content(&self, bytes: &[u8]) -> Result<String, String> {
        let lens = [u16_at(bytes, self.header + 26)?, u16_at(bytes, self.header + 28)?].map(usize::from);
        let start = self.header + 30 + lens.iter().sum::<usize>();
        let packed = bytes.get(start..start + self.packed).ok_or("file cut short")?;
        let mut text = String::new();
        match self.method {
            0 => text = String::from_utf8_lossy(packed).into_owned(),
            8 => drop(flate2::read::DeflateDecoder::new(packed).read_to_string(&mut text).map_err(|e| e.to_string())?),
            method => return Err(format!("packed by method {method}")),
        }
        Ok(text)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    let two = bytes.get(at..).and_then(|b| b.first_chunk()).ok_or("zip cut short")?;
    Ok(u16::from_le_bytes(*two))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize, String> {
    let four = bytes.get(at..).and_then(|b| b.first_chunk()).ok_or("zip cut short")?;
    Ok(u32::from_le_bytes(*four) as usize)
}

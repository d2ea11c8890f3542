//! What a start comes to: flags, then `--override`, then the properties file, then defaults. Which keys there are and what
//! becomes of each is a table of the `broker` crate; here they get their file and line.
//!
//! Nothing is printed and nothing but the file is touched: notices are returned, an error stops the start.

pub mod listeners;
pub use cli::properties;

#[cfg(test)]
mod tests;

use crate::args::StartArgs;
use broker::config::Values;
use broker::config::broker::dynamic::{PER_IP_OVERRIDES, per_ip_overrides};
use broker::config::broker::{self as table, Standing};
use listeners::Listener;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Where a broker keeps its logs when nothing is said.
const DATA_DIR_DEFAULT: &str = "ringlog-data";

/// What holds where nobody wrote a file, and is not what it is in one that leaves the key out: whoever tries a broker out
/// has one consumer and waits for it, who runs one has many that start together.
const WITHOUT_A_FILE: &[(&str, &str)] = &[("group.initial.rebalance.delay.ms", "0")];

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// On which line, from 1.
        line: usize,
    },
    /// By `--override`.
    Override,
    /// By a flag of its own.
    Flag,
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Override => f.write_str("--override"),
            Self::Flag => f.write_str("command line"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What the operator should do about a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    Info,
    /// Look at it.
    Warning,
}

/// Something that the operator is told at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// Where the setting was made.
    pub place: Place,
    /// The key.
    pub key: String,
    /// What becomes of it.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.key, self.text)
    }
}

/// Why the configuration makes no start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The file is not written in Java's syntax.
    #[error("{path}:{line}: {what}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Not an assignment.
    #[error("--override {0:?} is not KEY=VALUE")]
    Override(String),
    /// A value that its key does not take.
    #[error("{place}: {key}={value}: {allowed}")]
    Value {
        /// Where it was set.
        place: Place,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A setting that must not be ignored and cannot be followed.
    #[error("{place}: {key}={value} is refused: {why}")]
    Refused {
        /// Where it was set.
        place: Place,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What would be lost.
        why: String,
    },
}

/// Everything that a start needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where to listen; at least one.
    pub listeners: Vec<Listener>,
    /// Data folders, the first is the default; at least one.
    pub data_dirs: Vec<PathBuf>,
    /// An explicit `node.id` or `broker.id`.
    pub node_id: Option<i32>,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// `connections.max.idle.ms`; `None` keeps idle connections for ever.
    pub idle_ms: Option<u64>,
    /// `max.connections`.
    pub connections_max: usize,
    /// `max.connections.per.ip`; `None` where nobody chose.
    pub connections_per_ip_max: Option<usize>,
    /// `max.connections.per.ip.overrides`.
    pub connections_per_ip_overrides: HashMap<IpAddr, usize>,
    /// `socket.listen.backlog.size`; `None` where nobody chose, which is as many as the system allows.
    pub listen_backlog: Option<i32>,
    /// `core.endpoints`.
    pub core_endpoints: bool,
    /// `log.retention.check.interval.ms`.
    pub retention_check_ms: u64,
    /// `log.scrub.interval.ms`, 0 for never.
    pub scrub_interval_ms: u64,
    /// `log.scrub.bytes.per.second`, of all shards.
    pub scrub_bytes_per_s: u64,
    /// `replica.alter.log.dirs.io.max.bytes.per.second`, of all shards.
    pub relocate_bytes_per_s: u64,
    /// `log.cleaner.backoff.ms`; `None` where `log.cleaner.enable` says no.
    pub clean_backoff_ms: Option<u64>,
    /// `log.cleaner.dedupe.buffer.size`, of all shards.
    pub clean_keys_bytes: u64,
    /// `log.cleaner.io.max.bytes.per.second`, of all shards.
    pub clean_bytes_per_s: u64,
    /// Every key that was set and that the broker knows, for [`broker::BrokerSettings`].
    pub statics: Values,
    /// What the operator is told.
    pub notices: Vec<Notice>,
}

impl Config {
    /// Reads the properties file, if one is named, and puts everything together.
    pub fn load(args: &StartArgs) -> Result<Self, ConfigError> {
        let file = match &args.properties {
            None => None,
            Some(path) => {
                let read = std::fs::read(path);
                Some((path.as_path(), read.map_err(|error| ConfigError::Read { path: path.clone(), error })?))
            }
        };
        Self::from_parts(args, file.as_ref().map(|(path, bytes)| (*path, bytes.as_slice())))
    }

    /// As [`Config::load`], with the file's bytes at hand.
    pub fn from_parts(args: &StartArgs, file: Option<(&Path, &[u8])>) -> Result<Self, ConfigError> {
        let mut notices = Vec::new();
        let mut from = Gathered::default();
        if let Some((path, bytes)) = file {
            from.add_file(path, bytes, &mut notices)?;
        } else {
            from.add_defaults(WITHOUT_A_FILE);
        }
        from.add_overrides(&args.overrides)?;
        from.judge(&mut notices)?;
        from.add_flags(args);
        Ok(Self {
            listeners: listeners::plan(&from, &mut notices)?,
            data_dirs: data_dirs(&from)?,
            node_id: node_id(&from)?,
            request_bytes_max: from.number("socket.request.max.bytes", 104_857_600),
            idle_ms: from.number::<i64>("connections.max.idle.ms", 600_000).try_into().ok(),
            connections_max: from.number("max.connections", usize::MAX),
            connections_per_ip_max: from.optional("max.connections.per.ip"),
            connections_per_ip_overrides: per_ip(&from)?,
            listen_backlog: from.optional("socket.listen.backlog.size"),
            core_endpoints: core_endpoints(&from)?,
            retention_check_ms: from.number("log.retention.check.interval.ms", 300_000),
            scrub_interval_ms: from.number("log.scrub.interval.ms", 604_800_000),
            scrub_bytes_per_s: from.number("log.scrub.bytes.per.second", 16 << 20),
            relocate_bytes_per_s: from.number("replica.alter.log.dirs.io.max.bytes.per.second", u64::MAX),
            clean_backoff_ms: from.cleaner_backoff_ms(),
            clean_keys_bytes: from.number("log.cleaner.dedupe.buffer.size", 128 << 20),
            clean_bytes_per_s: from.number("log.cleaner.io.max.bytes.per.second", f64::MAX) as u64,
            statics: from.settings.into_iter().map(|(key, (value, _))| (key, value)).collect(),
            notices,
        })
    }
}

/// Settings of all sources, the strongest for each key, with the place where it was made.
#[derive(Debug, Default)]
struct Gathered {
    settings: BTreeMap<String, (String, Place)>,
}

impl Gathered {
    fn add_file(&mut self, path: &Path, bytes: &[u8], notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
        let entries = properties::parse(bytes).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error.line,
            what: error.to_string(),
        })?;
        for entry in entries {
            let place = Place::File { path: path.to_owned(), line: entry.line };
            let former = self.settings.insert(entry.key.clone(), (entry.value, place.clone()));
            if let Some((_, Place::File { line, .. })) = former {
                let text = format!("set on line {line} already; this one counts");
                notices.push(Notice { level: Level::Warning, place, key: entry.key, text });
            }
        }
        Ok(())
    }

    fn add_defaults(&mut self, defaults: &[(&str, &str)]) {
        for (key, value) in defaults {
            self.settings.insert((*key).to_owned(), ((*value).to_owned(), Place::Default));
        }
    }

    fn add_overrides(&mut self, overrides: &[String]) -> Result<(), ConfigError> {
        for text in overrides {
            let pair = text.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            let (key, value) =
                pair.filter(|(key, _)| !key.is_empty()).ok_or_else(|| ConfigError::Override(text.clone()))?;
            self.settings.insert(key.to_owned(), (value.to_owned(), Place::Override));
        }
        Ok(())
    }

    /// Flags of their own are stronger than everything; `--listen` also replaces what clients were to be told.
    fn add_flags(&mut self, args: &StartArgs) {
        if let Some(listen) = &args.listen {
            self.settings.remove("advertised.listeners");
            self.settings.remove("listener.security.protocol.map");
            self.settings.insert("listeners".to_owned(), (format!("PLAINTEXT://{listen}"), Place::Flag));
        }
        if let Some(dir) = &args.data_dir {
            self.settings.insert("log.dirs".to_owned(), (dir.display().to_string(), Place::Flag));
        }
    }

    /// Checks every setting. Those that nobody here knows stay: clients are shown that they were set.
    fn judge(&self, notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
        for (key, (value, place)) in &self.settings {
            let mut tell = |level, text: String| {
                notices.push(Notice { level, place: place.clone(), key: key.clone(), text });
            };
            match table::judge(key, value) {
                Err(refusal) => return Err(self.bad(key, refusal.allowed)),
                Ok(Standing::Refused(why)) => return Err(self.refused(key, why)),
                Ok(Standing::Used) => {}
                Ok(Standing::Notice(why)) => tell(Level::Info, format!("accepted, without effect: {why}")),
                Ok(Standing::Historic(why)) => tell(Level::Info, format!("ignored: {why}")),
                Ok(Standing::Unknown) => {
                    let nearest = cli::suggest::nearest(key, table::keys().map(|known| known.name));
                    let hint = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest}?"));
                    tell(Level::Warning, format!("unknown and ignored{hint}"));
                }
            }
        }
        Ok(())
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(|(value, _)| value.as_str())
    }

    fn place(&self, key: &str) -> Place {
        self.settings.get(key).map_or(Place::Default, |(_, place)| place.clone())
    }

    /// A number that was checked against its key's type; one that does not fit `T` counts as the default.
    fn number<T: std::str::FromStr>(&self, key: &str, default: T) -> T {
        self.value(key).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// Kafka's cleaner runs unless it is switched off.
    fn cleaner_backoff_ms(&self) -> Option<u64> {
        let is_off = self.value("log.cleaner.enable").is_some_and(|word| word.eq_ignore_ascii_case("false"));
        (!is_off).then(|| self.number("log.cleaner.backoff.ms", 15_000))
    }

    fn optional<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.value(key).and_then(|text| text.parse().ok())
    }

    fn bad(&self, key: &str, allowed: impl Into<String>) -> ConfigError {
        let value = self.value(key).unwrap_or_default().to_owned();
        ConfigError::Value { place: self.place(key), key: key.to_owned(), value, allowed: allowed.into() }
    }

    fn refused(&self, key: &str, why: impl Into<String>) -> ConfigError {
        let value = self.value(key).unwrap_or_default().to_owned();
        ConfigError::Refused { place: self.place(key), key: key.to_owned(), value, why: why.into() }
    }

    fn notice(&self, key: &str, text: String) -> Notice {
        Notice { level: Level::Info, place: self.place(key), key: key.to_owned(), text }
    }

    fn warning(&self, key: &str, text: String) -> Notice {
        Notice { level: Level::Warning, ..self.notice(key, text) }
    }
}

fn data_dirs(from: &Gathered) -> Result<Vec<PathBuf>, ConfigError> {
    if from.place("log.dirs") == Place::Flag {
        return Ok(from.value("log.dirs").map(PathBuf::from).into_iter().collect());
    }
    let set = ["log.dirs", "log.dir"].into_iter().find(|key| from.value(key).is_some_and(|text| !text.is_empty()));
    let Some(key) = set else { return Ok(vec![PathBuf::from(DATA_DIR_DEFAULT)]) };
    let words = from.value(key).unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    let dirs: Vec<PathBuf> = words.map(PathBuf::from).collect();
    let twice = dirs.iter().enumerate().any(|(index, dir)| dirs[..index].contains(dir));
    if dirs.is_empty() || twice {
        return Err(from.bad(key, "a list of folders, each once, is allowed"));
    }
    Ok(dirs)
}

fn node_id(from: &Gathered) -> Result<Option<i32>, ConfigError> {
    let named = |key: &str| from.value(key).and_then(|text| text.parse::<i32>().ok()).filter(|id| *id != -1);
    match (named("node.id"), named("broker.id")) {
        (Some(node), Some(broker)) if node != broker => {
            Err(from.bad("broker.id", format!("node.id says {node}, and both name the same node")))
        }
        (_, Some(id)) if id < -1 => Err(from.bad("broker.id", "a number of at least 0 is allowed")),
        (node, broker) => Ok(node.or(broker)),
    }
}

/// With addresses of their own, cores are chosen by clients: connections do not move.
fn core_endpoints(from: &Gathered) -> Result<bool, ConfigError> {
    let is_on = |key: &str| from.value(key).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if is_on("core.endpoints") && is_on("core.connection.moves") {
        let why =
            "only false goes with core.endpoints=true: a client that chose a core by its port would end on another";
        return Err(from.bad("core.connection.moves", why));
    }
    Ok(is_on("core.endpoints"))
}

fn per_ip(from: &Gathered) -> Result<HashMap<IpAddr, usize>, ConfigError> {
    let text = from.value(PER_IP_OVERRIDES).unwrap_or_default();
    per_ip_overrides(text).map_err(|refusal| from.bad(PER_IP_OVERRIDES, refusal.allowed))
}

//! The levels of our own loggers: which there are, and what was set for them at run time (KIP-412). They are the process's and
//! last as long as it does; the controller's shard keeps them, and the `node` crate makes them count.

use std::collections::BTreeMap;

/// The name of the logger that all others fall back to.
pub const ROOT: &str = "root";

/// The crates that report events, each of them a logger; so is every module of theirs.
pub const CRATES: &[&str] = &["broker", "engine", "node", "protocol", "transport_quic", "transport_tcp"];

/// How much a logger says, by Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Trace,
    /// What a developer looks for.
    Debug,
    /// What is worth knowing later.
    Info,
    /// What somebody should look at.
    Warn,
    /// What somebody must act upon.
    Error,
    /// Less than that. No event of ours is fatal: a process that cannot go on says so as it ends.
    Fatal,
}

impl Level {
    /// All levels and their names, as Kafka lists them.
    const NAMES: [(&'static str, Level); 6] = [
        ("DEBUG", Level::Debug),
        ("ERROR", Level::Error),
        ("FATAL", Level::Fatal),
        ("INFO", Level::Info),
        ("TRACE", Level::Trace),
        ("WARN", Level::Warn),
    ];

    /// The level of that name, in capitals.
    pub fn of(name: &str) -> Option<Level> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, level)| level)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }
}

/// What is wrong with a change of a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoggerError {
    /// Nobody reports under that name.
    #[error("Logger {0} does not exist!")]
    Unknown(String),
    /// No such level.
    #[error("Cannot set the log level of {logger} to {level} as it is not a supported log level. Valid log levels are {}",
        Level::NAMES.map(|(name, _)| name).join(", "))]
    Level {
        /// The logger.
        logger: String,
        /// What was asked for.
        level: String,
    },
    /// Each that is set costs every event a look.
    #[error("{SET_MAX} loggers have levels of their own already; delete one of these first")]
    TooMany,
    /// The last resort has to stay.
    #[error("Removing the log level of the root logger is not allowed")]
    Root,
}

/// The levels of all loggers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loggers {
    root: Level,
    set: BTreeMap<String, Level>,
}

impl Default for Loggers {
    fn default() -> Self {
        Self { root: Level::Info, set: BTreeMap::new() }
    }
}

impl Loggers {
    /// Where the process starts: the root's level and those of others.
    pub fn new(root: Level, set: BTreeMap<String, Level>) -> Self {
        Self { root, set }
    }

    /// The root's level.
    pub fn root(&self) -> Level {
        self.root
    }

    /// What was set for other loggers, by name.
    pub fn set(&self) -> &BTreeMap<String, Level> {
        &self.set
    }

    /// Every logger that is listed, with the level that counts for it.
    pub fn all(&self) -> impl Iterator<Item = (&str, Level)> {
        let more = self.set.keys().map(String::as_str).filter(|name| !CRATES.contains(name));
        std::iter::once(ROOT).chain(CRATES.iter().copied()).chain(more).map(|name| (name, self.level(name)))
    }

    /// The level that counts for a logger: its own, or that of the module around it, or the root's.
    fn level(&self, name: &str) -> Level {
        let mut around = name;
        loop {
            if let Some(level) = self.set.get(around) {
                return *level;
            }
            match around.rsplit_once("::") {
                Some((outer, _)) => around = outer,
                None => return self.root,
            }
        }
    }

    /// With this level for that logger.
    pub fn with(&self, name: &str, level: &str) -> Result<Self, LoggerError> {
        exists(name)?;
        let Some(level) = Level::of(level) else {
            return Err(LoggerError::Level { logger: name.to_owned(), level: level.to_owned() });
        };
        let mut next = self.clone();
        match name {
            ROOT => next.root = level,
            other if next.set.len() >= SET_MAX && !next.set.contains_key(other) => return Err(LoggerError::TooMany),
            other => {
                next.set.insert(other.to_owned(), level);
            }
        }
        Ok(next)
    }

    /// With nothing set for that logger: it follows the one around it.
    pub fn without(&self, name: &str) -> Result<Self, LoggerError> {
        exists(name)?;
        if name == ROOT {
            return Err(LoggerError::Root);
        }
        let mut next = self.clone();
        next.set.remove(name);
        Ok(next)
    }
}

/// Whether a name is the root's, a crate's or that of a module in one, as far as its form can tell.
fn exists(name: &str) -> Result<(), LoggerError> {
    let mut parts = name.split("::");
    let of_ours = parts.next().is_some_and(|first| CRATES.contains(&first));
    let is_module = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let plausible = name.len() <= NAME_BYTES_MAX && of_ours && parts.all(is_module);
    if name == ROOT || plausible { Ok(()) } else { Err(LoggerError::Unknown(name.to_owned())) }
}

/// Longer than any path of modules.
const NAME_BYTES_MAX: usize = 128;

/// Loggers that can have levels of their own: more than there are modules.
pub const SET_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_inherited_from_outside_in() {
        let loggers =
            Loggers::default().with("engine", "DEBUG").and_then(|next| next.with("engine::log::set", "TRACE"));
        let loggers = loggers.and_then(|next| next.with(ROOT, "WARN")).expect("all exist");
        for (name, level) in [
            ("broker", Level::Warn),
            ("engine", Level::Debug),
            ("engine::log", Level::Debug),
            ("engine::log::set", Level::Trace),
            ("engine::log::set::drive", Level::Trace),
        ] {
            assert_eq!(loggers.level(name), level, "{name}");
        }
        let listed: Vec<&str> = loggers.all().map(|(name, _)| name).collect();
        assert_eq!(listed.len(), 1 + CRATES.len() + 1, "{listed:?}");
        let back = loggers.without("engine::log::set").expect("it exists");
        assert_eq!(back.level("engine::log::set"), Level::Debug);
    }

    #[test]
    fn a_flood_of_names_is_stopped() {
        let mut loggers = Loggers::default();
        for number in 0..SET_MAX {
            loggers = loggers.with(&format!("engine::m{number}"), "DEBUG").expect("there is room");
        }
        assert_eq!(loggers.with("engine::one_more", "DEBUG"), Err(LoggerError::TooMany));
        assert!(loggers.with("engine::m0", "INFO").is_ok(), "one that is there may change");
    }

    #[test]
    fn refusals() {
        let loggers = Loggers::default();
        for (error, expect) in [
            (loggers.with("kafka", "INFO"), "Logger kafka does not exist!"),
            (loggers.with("engine::", "INFO"), "Logger engine:: does not exist!"),
            (loggers.without("x"), "Logger x does not exist!"),
            (loggers.without(ROOT), "Removing the log level of the root logger is not allowed"),
            (
                loggers.with(ROOT, "info"),
                "Cannot set the log level of root to info as it is not a supported log level. Valid log levels are DEBUG, \
                 ERROR, FATAL, INFO, TRACE, WARN",
            ),
        ] {
            assert_eq!(error.expect_err(expect).to_string(), expect);
        }
    }
}

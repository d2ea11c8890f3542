//! Events for the operator, on standard error. What a level means: error: somebody must act now; warn: somebody should
//! look; info: worth knowing later; debug and below: for whoever works on ringlog.
//!
//! RUST_LOG says what is shown at the start; clients can change it at run time (BROKER_LOGGER).

use broker::loggers::{Level, Loggers, ROOT};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// What is shown where RUST_LOG says nothing.
const DEFAULT: &str = "info";

/// The filter of the process, and what it started with.
static FILTER: OnceLock<(reload::Handle<EnvFilter, Registry>, Started)> = OnceLock::new();

/// What RUST_LOG said.
#[derive(Debug, Default)]
struct Started {
    loggers: Loggers,
    /// Directives about others than our loggers, or about more than a level: they stay whatever is changed.
    others: Vec<String>,
}

/// Sends events to standard error, filtered by RUST_LOG, and makes a panic of any thread the end of the process: a shard
/// that is gone would leave its partitions silent.
pub fn init() {
    let (filter, said, error) = match std::env::var("RUST_LOG") {
        Ok(text) => match EnvFilter::try_new(&text) {
            Ok(filter) => (filter, text, None),
            Err(error) => {
                let error = format!("RUST_LOG={text}: {error}; using {DEFAULT}");
                (EnvFilter::new(DEFAULT), DEFAULT.to_owned(), Some(error))
            }
        },
        Err(_) => (EnvFilter::new(DEFAULT), DEFAULT.to_owned(), None),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let shown = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false);
    tracing_subscriber::registry().with(filter).with(shown).init();
    // Whoever calls twice keeps the first filter, as `init` does.
    let _ = FILTER.set((handle, started(&said)));
    if let Some(error) = error {
        tracing::warn!("{error}");
    }
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// The levels that the process started with.
pub fn loggers() -> Loggers {
    FILTER.get().map(|(_, started)| started.loggers.clone()).unwrap_or_default()
}

/// Gives the loggers these levels. Without [`init`], nothing is shown, whatever the levels.
pub fn set(loggers: &Loggers) {
    let Some((handle, started)) = FILTER.get() else { return };
    let text = directives(&started.others, loggers);
    match EnvFilter::try_new(&text) {
        Ok(filter) => match handle.reload(filter) {
            Ok(()) => tracing::warn!("what is logged was changed by a client: {text}"),
            Err(error) => tracing::warn!("what is logged could not be changed: {error}"),
        },
        Err(error) => tracing::warn!("what is logged was not changed: {text}: {error}"),
    }
}

/// Reads the directives of RUST_LOG that name a level for one of our loggers or for all.
fn started(said: &str) -> Started {
    let (mut root, mut set, mut others) = (None, BTreeMap::new(), Vec::new());
    for directive in said.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let (name, level) = directive.split_once('=').unwrap_or((ROOT, directive));
        let level = Level::of(&level.to_ascii_uppercase()).or((level == "off").then_some(Level::Fatal));
        match level {
            Some(level) if name == ROOT => root = Some(level),
            Some(level) if Loggers::default().with(name, level.name()).is_ok() => {
                set.insert(name.to_owned(), level);
            }
            _ => others.push(directive.to_owned()),
        }
    }
    // A filter that names some loggers only shows errors of the others.
    Started { loggers: Loggers::new(root.unwrap_or(Level::Error), set), others }
}

fn directives(others: &[String], loggers: &Loggers) -> String {
    let own = loggers.set().iter().map(|(name, level)| format!("{name}={}", word(*level)));
    let all = std::iter::once(word(loggers.root()).to_owned()).chain(others.iter().cloned()).chain(own);
    all.collect::<Vec<_>>().join(",")
}

/// A level as the filter writes it.
fn word(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
        Level::Fatal => "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_started_with_is_known_and_kept() {
        for (said, changed, expect) in [
            ("info", ("engine", "DEBUG"), "info,engine=debug"),
            ("warn,engine=trace", ("root", "ERROR"), "error,engine=trace"),
            ("engine::log=debug", ("engine::log", "FATAL"), "error,engine::log=off"),
            ("info,h2=off,node[span]=debug", ("broker", "WARN"), "info,h2=off,node[span]=debug,broker=warn"),
            ("off", ("broker", "INFO"), "off,broker=info"),
        ] {
            let Started { loggers, others } = started(said);
            let loggers = loggers.with(changed.0, changed.1).expect("it exists");
            let text = directives(&others, &loggers);
            assert_eq!(text, expect, "{said}");
            assert!(EnvFilter::try_new(&text).is_ok(), "{text}");
        }
    }
}

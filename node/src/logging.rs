//! Events for the operator, on standard error. What a level means: error: somebody must act now; warn: somebody should
//! look; info: worth knowing later; debug and below: for whoever works on ringlog.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is shown where RUST_LOG says nothing.
const DEFAULT: &str = "info";

/// Sends events to standard error, filtered by RUST_LOG, and makes a panic of any thread the end of the process: a shard
/// that is gone would leave its partitions silent.
pub fn init() {
    let (filter, error) = match std::env::var("RUST_LOG") {
        Ok(text) => match EnvFilter::try_new(&text) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(DEFAULT), Some(format!("RUST_LOG={text}: {error}; using {DEFAULT}"))),
        },
        Err(_) => (EnvFilter::new(DEFAULT), None),
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(filter)
        .init();
    if let Some(error) = error {
        tracing::warn!("{error}");
    }
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

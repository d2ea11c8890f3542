//! `cargo xtask agreement SEEDS [FIRST]`: the long run of engine/tests/agreement, which holds the simulated disk against real
//! ones with a power cut after every operation. Needs root; `check` runs the short one.

use std::path::Path;
use std::process::Command;

/// Runs `seeds` sequences from `first` on, and shows how many cuts that were.
pub(crate) fn run(root: &Path, seeds: &str, first: &str) -> Result<(), String> {
    let status = Command::new("cargo")
        .args(["test", "--quiet", "--release", "-p", "engine", "--test", "agreement", "--", "--nocapture"])
        .env("RINGLOG_AGREEMENT_SEEDS", seeds)
        .env("RINGLOG_AGREEMENT_FIRST", first)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo: {error}; is it installed?"))?;
    if status.success() { Ok(()) } else { Err(format!("the simulated disk and a real one disagree: {status}")) }
}

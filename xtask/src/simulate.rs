//! The simulator's commands: a campaign for CI, and the proof that planted bugs are caught.

use crate::check::run;
use std::path::Path;

/// Seeds of CI's campaign: the same ones each time, so that what fails there failed because of the change.
const BRIEF_SEEDS: &str = "60";

/// A campaign of so many minutes on all cores.
pub(crate) fn campaign(root: &Path, minutes: &str) -> Result<(), String> {
    run(root, "cargo", &["run", "--quiet", "--release", "-p", "sim", "--", "--minutes", minutes], &[])
}

/// The first seeds, in at most three minutes.
pub(crate) fn brief(root: &Path) -> Result<(), String> {
    let args = ["run", "--quiet", "--release", "-p", "sim", "--", "--minutes", "3", "--seeds", BRIEF_SEEDS];
    run(root, "cargo", &args, &[])
}

/// Plants every bug whose name contains `name`; a build of its own, because the flag rebuilds everything.
pub(crate) fn planted(root: &Path, name: &str, rest: &[&str]) -> Result<(), String> {
    let target = root.join("target/planted").display().to_string();
    let env = [("RUSTFLAGS", "--cfg planted"), ("CARGO_TARGET_DIR", target.as_str())];
    let args = [&["run", "--quiet", "--release", "-p", "sim", "--", "--planted", name], rest].concat();
    run(root, "cargo", &args, &env)
}

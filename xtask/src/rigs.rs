//! `cargo xtask rigs`: faults that are real, against the real binary, and the proof that the rigs would notice.
//!
//! What the faults are and what is checked after them is in `sim/rigs`.

use crate::check::{run, step};
use std::path::Path;
use std::process::Command;

/// Each file system that power is cut on.
const FILE_SYSTEMS: [&str; 2] = ["ext4", "xfs"];
/// Loses what was acknowledged in any fault.
const EARLY: &str = "engine: acknowledge before the write";
/// Loses it in power cuts only.
const UNFLUSHED: &str = "engine: skip the data sync";
/// Most faults that a planted bug may survive unseen.
const CONTROL_TIMES: &str = "60";
/// With which the rigs say that this machine cannot have such faults.
const NOT_HERE: i32 = 77;

/// A few faults of each kind on a debug build, for CI: two minutes on two cores, builds included.
pub(crate) fn short(root: &Path) -> Result<(), String> {
    run(root, "cargo", &["build", "--quiet", "-p", "node", "-p", "rigs"], &[])?;
    let rigs = Rigs { root, profile: "debug" };
    rigs.faults("15", "8", "5")?;
    rigs.controls()
}

/// The figures of the README: a thousand kills, five hundred cuts on each file system, on a release build.
pub(crate) fn long(root: &Path) -> Result<(), String> {
    run(root, "cargo", &["build", "--quiet", "--release", "-p", "node", "-p", "rigs"], &[])?;
    let rigs = Rigs { root, profile: "release" };
    rigs.faults("1000", "500", "500")?;
    rigs.controls()
}

struct Rigs<'a> {
    root: &'a Path,
    profile: &'static str,
}

impl Rigs<'_> {
    fn faults(&self, kills: &str, cuts: &str, kills_without_flush: &str) -> Result<(), String> {
        step("kill -9", || self.start("target", &["kill", "--times", kills]))?;
        for fs in FILE_SYSTEMS {
            step(&format!("power cuts on {fs}"), || self.start("target", &["powercut", "--fs", fs, "--times", cuts]))?;
        }
        step("kill -9, durability=none", || {
            self.start("target", &["kill", "--times", kills_without_flush, "--durability", "none"])
        })
    }

    /// A node that acknowledges too early must be caught by the same rigs; a build of its own, because the flag rebuilds
    /// everything.
    fn controls(&self) -> Result<(), String> {
        let target = self.root.join("target/planted").display().to_string();
        let env = [("RUSTFLAGS", "--cfg planted"), ("CARGO_TARGET_DIR", target.as_str())];
        step("build with planted bugs", || run(self.root, "cargo", &["build", "--quiet", "-p", "node"], &env))?;
        let control = |what: &[&str], bug: &str| {
            let expect = ["--times", CONTROL_TIMES, "--planted", bug, "--expect-loss"];
            let args = [what, &expect].concat();
            step(&format!("negative control, {}, {bug}", what.join(" ")), || self.start("target/planted", &args))
        };
        control(&["kill"], EARLY)?;
        for fs in FILE_SYSTEMS {
            control(&["powercut", "--fs", fs], EARLY)?;
            control(&["powercut", "--fs", fs], UNFLUSHED)?;
        }
        Ok(())
    }

    /// Runs the rigs against the node of a target folder. What cannot be done on this machine is said and passed over.
    fn start(&self, target: &str, args: &[&str]) -> Result<(), String> {
        let profile = if target == "target" { self.profile } else { "debug" };
        let node = self.root.join(target).join(profile).join("ringlog");
        let program = self.root.join("target").join(self.profile).join("rigs");
        let mut command = Command::new(&program);
        command.args(args).env("RINGLOG_BIN", node).current_dir(self.root);
        let status = command.status().map_err(|error| format!("{}: {error}", program.display()))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(NOT_HERE) => {
                eprintln!("== passed over: this machine cannot do it, see above");
                Ok(())
            }
            _ => Err(format!("`rigs {}` ended with {status}", args.join(" "))),
        }
    }
}

//! `cargo xtask loom` and `shuttle`: the lock-free parts under every interleaving, and whole shards under random ones.
//! What they prove is said in `loom-tests/README.md`. Each has a build folder of its own, because its flag rebuilds
//! everything.

use crate::check::run;
use std::path::Path;

/// Every interleaving at tiny capacity.
pub(crate) fn loom(root: &Path) -> Result<(), String> {
    test(root, "loom", &[])
}

/// Random schedules: a few thousand, or `runs` for each test.
pub(crate) fn shuttle(root: &Path, runs: Option<&str>) -> Result<(), String> {
    let runs: Vec<_> = runs.into_iter().map(|runs| ("SHUTTLE_RUNS", runs)).collect();
    test(root, "shuttle", &runs)
}

fn test(root: &Path, world: &str, env: &[(&str, &str)]) -> Result<(), String> {
    let (target, flag) = (root.join("target").join(world).display().to_string(), format!("--cfg {world}"));
    // Optimising across crates takes longer here than it saves.
    let build =
        [("RUSTFLAGS", flag.as_str()), ("CARGO_TARGET_DIR", target.as_str()), ("CARGO_PROFILE_RELEASE_LTO", "off")];
    let env = [&build[..], env].concat();
    run(root, "cargo", &["test", "--quiet", "--release", "-p", "loom-tests"], &env)
}

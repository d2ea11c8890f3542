//! Inputs that once broke something, and every seed: all pass. Without this, a bug that was found could come back until a
//! long run finds it again.

use fuzz::corpus::regressions;
use fuzz::meter::{Meter, peak_bytes};
use fuzz::{TARGETS, Target};
use std::path::Path;

#[global_allocator]
static METER: Meter = Meter;

fn check(target: &Target, input: &[u8], what: &str) {
    let peak = peak_bytes(|| (target.fuzz)(input));
    let allowed = target.memory.allowed_bytes(input.len());
    assert!(peak <= allowed, "{what} of {}: {peak} bytes of memory, {allowed} allowed", target.name);
}

/// One test, because the meter counts the whole process.
#[test]
fn regressions_and_seeds_pass() {
    for target in TARGETS {
        regressions(target).iter().for_each(|input| check(target, input, "a regression"));
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        // Debug builds are slow, and the runner checks all of them.
        let step = seeds.len().div_ceil(40);
        seeds.iter().step_by(step).for_each(|input| check(target, input, "a seed"));
    }
    // A folder that no target has would be replayed by nobody.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in std::fs::read_dir(folder).expect("there are regressions").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(TARGETS.iter().any(|target| target.name == name), "no target {name}");
    }
}

//! libFuzzer's face of every target: the environment variable `TARGET` names one of the table in `fuzz/src/lib.rs`.
#![no_main]

use fuzz::{TARGETS, Target};
use std::sync::LazyLock;

static CHOSEN: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let chosen = TARGETS.iter().find(|target| target.name == name);
    chosen.unwrap_or_else(|| panic!("TARGET={name:?} is no target; see `fuzz/src/lib.rs`"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (CHOSEN.fuzz)(data));

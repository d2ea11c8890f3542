//! Rules about the text of our sources that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file opens with `//!`, says nothing is left for later, and every unsafe block is where unsafe may live.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let mut wrong = Vec::new();
    for file in sources(root) {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        if !text.starts_with("//!") && !text.starts_with("// @generated") {
            wrong.push(format!("{name}: starts without `//!`: say what is here, and what is deliberately elsewhere"));
        }
        for (number, line) in text.lines().enumerate() {
            if line.split(|c: char| !c.is_alphanumeric()).any(|word| LATER.contains(&word))
                && !name.starts_with("xtask/")
            {
                wrong.push(format!("{name}:{}: leaves something for later; do it, or file an issue", number + 1));
            }
            if line.contains(UNSAFE)
                && !line.trim_start().starts_with("//")
                && !UNSAFE_LIVES_IN.iter().any(|p| name.starts_with(p))
            {
                wrong.push(format!("{name}:{}: unsafe outside {UNSAFE_LIVES_IN:?}", number + 1));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("tidy: {}", wrong.join("\ntidy: "))) }
}

const LATER: &[&str] = &["TODO", "FIXME", "XXX"];
const UNSAFE: &str = "unsafe {";

/// The drivers, the buffer type, the mailbox; and outside the engine only what has no shard: boot and signals, the
/// counting allocators of tests, the power switch of the rigs, the load generator's clocks.
const UNSAFE_LIVES_IN: &[&str] = &[
    "engine/src/io/",
    "engine/src/mem/",
    "engine/src/mailbox/",
    "engine/src/shard/",
    "engine/tests/",
    "protocol/tests/",
    "node/src/sys.rs",
    "node/tests/",
    "sim/rigs/src/sys.rs",
    "fuzz/",
    "loom-tests/",
    "xtask/",
];

/// All Rust files of the project, without build output.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

//! Which crate may depend on which: ARCHITECTURE.md's picture as a table, held against every Cargo.toml.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Each crate with the workspace crates it may name under `[dependencies]`. Test-only dependencies may also use
/// [`TESTS_MAY`].
const ALLOWED: &[(&str, &[&str])] = &[
    ("marks", &[]),
    ("faultfs", &[]),
    ("protocol", &[]),
    ("cli", &["protocol"]),
    ("engine", &["protocol", "marks"]),
    ("broker", &["protocol", "marks"]),
    ("transport-tcp", &["engine", "marks"]),
    ("transport-quic", &["engine"]),
    ("node", &["protocol", "cli", "engine", "broker", "transport-tcp", "transport-quic", "marks"]),
    ("sim", &["protocol", "engine", "broker", "transport-tcp", "transport-quic", "node", "marks"]),
    ("rigs", &["protocol"]),
    ("bench", &["protocol", "engine"]),
    ("loom-tests", &["engine"]),
    ("xtask", &[]),
];

/// What tests and benches of a crate may use on top.
const TESTS_MAY: &[(&str, &[&str])] = &[("node", &["faultfs"])];

/// Names every dependency that points the wrong way and every crate the table does not know.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let mut wrong = Vec::new();
    for member in members(root)? {
        let manifest = read(&root.join(&member).join("Cargo.toml"))?;
        // Packages are named as their folders, also those that lie inside another's.
        let member = member.rsplit('/').next().map_or_else(|| member.clone(), str::to_owned);
        let Some(allowed) = row(ALLOWED, &member) else {
            wrong.push(format!(
                "{member}/: a crate that xtask/src/layering.rs does not know; add it there and say why in README.md"
            ));
            continue;
        };
        for (section, name) in dependencies(&manifest) {
            let is_ours = row(ALLOWED, &name).is_some();
            let tests_may =
                section == "dev-dependencies" && row(TESTS_MAY, &member).is_some_and(|t| t.contains(&name.as_str()));
            // A crate may switch on features of its own for its tests.
            if is_ours && name != member && !allowed.contains(&name.as_str()) && !tests_may {
                wrong.push(format!(
                    "{member}/Cargo.toml: [{section}] names `{name}`; {member} may only use {allowed:?}"
                ));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("layering: {}", wrong.join("\nlayering: "))) }
}

fn row(table: &'static [(&str, &[&str])], name: &str) -> Option<&'static [&'static str]> {
    let rows: BTreeMap<_, _> = table.iter().copied().collect();
    rows.get(name).copied()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The workspace's members, from the root manifest.
fn members(root: &Path) -> Result<Vec<String>, String> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let list = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    Ok(list.split(',').map(|m| m.trim().trim_matches('"').to_owned()).filter(|m| !m.is_empty()).collect())
}

/// Every `(section, crate)` of a manifest's dependency tables.
fn dependencies(manifest: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(name) = line.trim().strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if section.ends_with("dependencies") && line.contains('=') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.push((section.clone(), name.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_keeps_its_layers() {
        check(&crate::root()).unwrap();
    }

    #[test]
    fn a_dependency_is_found_in_every_kind_of_table() {
        let manifest = "[dependencies]\nengine.workspace = true\n[dev-dependencies]\nbroker = { path = \"x\" }\n";
        let found = dependencies(manifest);
        assert_eq!(found, [("dependencies".into(), "engine".into()), ("dev-dependencies".into(), "broker".into())]);
    }
}

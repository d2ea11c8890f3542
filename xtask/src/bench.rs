//! What the comparison needs beyond the clients: peers that are built from source registries.

use crate::check::run;
use std::path::Path;

/// The version of nats-server that figures are published for.
const NATS: &str = "github.com/nats-io/nats-server/v2@v2.15.2";

/// Builds NATS JetStream's server into `.cache/bin`, unless it is there.
pub(crate) fn install_peers(root: &Path) -> Result<(), String> {
    let bin = root.join(".cache/bin");
    if bin.join("nats-server").exists() {
        eprintln!("nats-server is in {}", bin.display());
        return Ok(());
    }
    std::fs::create_dir_all(&bin).map_err(|error| format!("{}: {error}", bin.display()))?;
    let bin = bin.display().to_string();
    run(root, "go", &["install", NATS], &[("GOBIN", bin.as_str()), ("GOFLAGS", "-trimpath")])
}

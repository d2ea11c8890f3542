//! How NATS JetStream is started: every message synced before it is acknowledged, as far as the server goes.

use super::process::{BrokerError, Setup};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Program and arguments; also writes the configuration.
pub(super) fn command(setup: &Setup<'_>, folder: &Path, address: SocketAddr) -> Result<Vec<String>, BrokerError> {
    let config = folder.join("nats.conf");
    let text = format!(
        "listen: {address}\nmax_payload: 8388608\njetstream {{\n  store_dir: \"{}\"\n  max_file_store: 200GB\n  \
         sync_interval: always\n}}\n",
        folder.join("data").display()
    );
    fs::write(&config, text).map_err(|e| BrokerError::file(&config, e))?;
    Ok(vec![setup.tools.nats.display().to_string(), "-c".to_owned(), config.display().to_string()])
}

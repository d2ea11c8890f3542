//! How Ringlog is started: one shard, on the core it is given.

use super::process::Setup;
use std::net::SocketAddr;
use std::path::Path;

/// Program and arguments.
pub(super) fn command(setup: &Setup<'_>, folder: &Path, address: SocketAddr) -> Vec<String> {
    let mut words = vec![setup.tools.ringlog.display().to_string()];
    words.extend(["start", "--io", &setup.tools.io, "--shards", "1"].map(str::to_owned));
    words.extend(["--listen".to_owned(), address.to_string()]);
    words.extend(["--data-dir".to_owned(), folder.join("data").display().to_string()]);
    for (key, value) in setup.properties {
        words.extend(["--override".to_owned(), format!("{key}={value}")]);
    }
    words
}

//! What the process reads before it serves: a properties file, what its keys come to, and who the broker is.

use node::args::StartArgs;
use node::config::{Config, properties};
use node::identity;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::meter::unmeasured;

/// Memory of a whole configuration: the file's text several times over, with a path and a notice for each of its lines.
pub const CONFIG_BYTES_PER_BYTE: usize = 256;

/// The syntax: what was read, written with everything escaped, reads the same.
pub fn parse(data: &[u8]) {
    let Ok(entries) = properties::parse(data) else { return };
    unmeasured(|| {
        let text: String =
            entries.iter().map(|entry| format!("{}={}\n", escaped(&entry.key), escaped(&entry.value))).collect();
        let again = properties::parse(text.as_bytes()).expect("escapes are right");
        let pairs = |entries: &[properties::Entry]| -> Vec<(String, String)> {
            entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
        };
        assert_eq!(pairs(&again), pairs(&entries), "{text:?}");
        assert!(entries.is_sorted_by_key(|entry| entry.line));
    });
}

/// Every character as `\uXXXX`, as Java's own writer may.
fn escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// A whole properties file, as far as no name has to be looked up in the network.
pub fn config(data: &[u8]) {
    if !unmeasured(|| names_nobody(data)) {
        return;
    }
    let args = StartArgs::default();
    let Ok(config) = Config::from_parts(&args, Some((Path::new("server.properties"), data))) else { return };
    assert!(!config.listeners.is_empty() && !config.data_dirs.is_empty());
    assert!(config.node_id.is_none_or(|id| id >= 0), "{:?}", config.node_id);
    assert!(config.retention_check_ms > 0);
}

/// Whether every listener's host is an address, or no listener is set.
fn names_nobody(data: &[u8]) -> bool {
    let Ok(entries) = properties::parse(data) else { return true };
    let listeners = entries.iter().filter(|entry| entry.key == "listeners");
    let mut words = listeners.flat_map(|entry| entry.value.split(','));
    words.all(|word| {
        let Some((_, address)) = word.split_once("://") else { return true };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim().trim_start_matches('[').trim_end_matches(']');
        host.is_empty() || host.parse::<IpAddr>().is_ok()
    })
}

/// A folder in memory, gone with the process.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder for meta.properties")
});

/// `meta.properties`: an identity that is found again, or a refusal that changes nothing.
pub fn meta(data: &[u8]) {
    let dirs = [FOLDER.path().to_owned()];
    let file = dirs[0].join("meta.properties");
    unmeasured(|| {
        std::fs::write(&file, data).expect("memory takes any file");
        // The copy of what was accepted last would refuse any other file.
        let _ = std::fs::remove_dir_all(dirs[0].join(".ringlog"));
    });
    let found = identity::establish(&dirs, None);
    unmeasured(|| {
        assert_eq!(std::fs::read(&file).expect("it is still there"), data, "the file was changed");
        let Ok(found) = found else { return };
        assert!(found.node_id >= 0);
        let again = identity::establish(&dirs, Some(found.node_id)).expect("the same id");
        // Without a cluster id in the file, each start draws one.
        let has_cluster = data.windows(10).any(|bytes| bytes == b"cluster.id");
        assert!(!has_cluster || again.cluster_id == found.cluster_id || again.cluster_id.len() == 22);
    });
}

/// Files of Kafka's, and Java's finer points.
#[must_use]
pub fn files() -> Vec<Vec<u8>> {
    let texts = [
        "a=b\na : b\na b\n# c\n! d\n\n  e\\\n   f\\=g = h\\u00e4\\t\\\\\n",
        "a=\\ud83d\\ude00\r\nb=c\rd\\",
        "broker.id=1\nlisteners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n\
         advertised.listeners=PLAINTEXT://example.org:9092\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs=/tmp/a,/tmp/b\n\
         num.partitions=8\nlog.retention.hours=168\nzookeeper.connect=x:1\n",
        "listeners=PLAINTEXT://[::1]:9092\nmax.connections.per.ip.overrides=127.0.0.1:5,[::1]:6\nnode.id=3\n",
        "num.partition=4\nlog.segment.bytes=1048576\ndurability=interval\nssl.keystore.location=/x\n",
    ];
    let mut seeds: Vec<_> = texts.map(|text| text.as_bytes().to_vec()).into();
    seeds.push(b"a=\xe4\xff".to_vec());
    seeds
}

/// Files of Kafka's in both versions.
#[must_use]
pub fn metas() -> Vec<Vec<u8>> {
    let texts = [
        "#\n#Sat Nov 21\nnode.id=7\ndirectory.id=abc\nversion=1\ncluster.id=c\n",
        "version=0\nbroker.id=3\ncluster.id=old\n",
        "version=1\n",
        "version=2\nnode.id=x\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

//! What a start comes to: flags first, then `--override`, then defaults.

use crate::args::StartArgs;
use crate::listen::{self, ListenError};
use broker::config::Values;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use transport_tcp::Limits;

/// Where a broker serves when nothing is said.
const LISTEN_DEFAULT: &str = "127.0.0.1:9092";
/// Where it keeps its logs when nothing is said.
const DATA_DIR_DEFAULT: &str = "ringlog-data";

/// A listener to be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerPlan {
    /// Its name, in upper case.
    pub name: String,
    /// Where it listens; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// What clients are told, when that differs.
    pub advertised: Option<(String, u16)>,
}

/// Everything boot needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listeners: Vec<ListenerPlan>,
    /// Data folders; at least one.
    pub data_dirs: Vec<PathBuf>,
    /// An explicit `node.id`.
    pub node_id: Option<i32>,
    /// Bounds of the transport; its memory is the machine's business.
    pub network: Limits,
    /// `max.connections`.
    pub max_connections: usize,
    /// `max.connections.per.ip`.
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`.
    pub max_connections_overrides: HashMap<IpAddr, usize>,
    /// `log.retention.check.interval.ms`.
    pub retention_check_ms: u64,
    /// Every key that was set, for the broker.
    pub statics: Values,
}

/// Why the settings make no start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not an assignment.
    #[error("--override {0:?} is not KEY=VALUE")]
    Override(String),
    /// Not an address.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl Settings {
    /// Puts the sources together. Touches nothing.
    pub fn from_args(args: &StartArgs) -> Result<Settings, SettingsError> {
        let mut statics = Values::new();
        for text in &args.overrides {
            let Some((key, value)) = text.split_once('=') else { return Err(SettingsError::Override(text.clone())) };
            statics.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        let bind = listen::resolve(args.listen.as_deref().unwrap_or(LISTEN_DEFAULT))?;
        let listeners = vec![ListenerPlan { name: "PLAINTEXT".to_owned(), bind, advertised: None }];
        let data_dirs = vec![args.data_dir.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR_DEFAULT))];
        Ok(Settings {
            listeners,
            data_dirs,
            node_id: None,
            network: Limits::default(),
            max_connections: usize::MAX,
            max_connections_per_ip: usize::MAX,
            max_connections_overrides: HashMap::new(),
            retention_check_ms: 300_000,
            statics,
        })
    }

    /// The broker's default durability, for people.
    pub fn durability_line(&self) -> String {
        match self.statics.get("durability").map(String::as_str) {
            Some("interval") => {
                "interval: acknowledged when written, flushed now and then; a power cut may take the last records"
            }
            Some("none") => "none: acknowledged when written; survives kill -9, a power cut may take records",
            _ => "fsync: acknowledged once the disk has it; survives a power cut",
        }
        .to_owned()
    }
}

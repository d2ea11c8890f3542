//! From a command line to serving shards, and back. Each step checks before the next one touches anything: settings, data
//! folders, ports, identity, driver, then threads.

use crate::args::StartArgs;
use crate::budget::{CleanerShare, ConnectionBudget, ShardBudget};
use crate::config::{Config, ConfigError, Level};
use crate::crew::{Crew, CrewError, Orders};
use crate::driver::{self, Choice, OpenError};
use crate::endpoints::{self, Bound, EndpointError};
use crate::identity::{self, Identity, IdentityError};
use crate::live::Live;
use crate::log_dirs::{LogDirsError, Places};
use crate::logging;
use crate::machine::Machine;
use crate::report::Report;
use crate::sys::{self, Signals};
use broker::BrokerSettings;
use broker::settings::ListenerSettings;
use engine::log::LogLimits;
use protocol::ApiKey;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use transport_tcp::{Admission, Limits};

/// Why the broker did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folders.
    #[error(transparent)]
    LogDirs(#[from] LogDirsError),
    /// An address.
    #[error(transparent)]
    Endpoints(#[from] EndpointError),
    /// The broker's identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The driver that was asked for.
    #[error("{0}. Choose another with --io, or let --io auto find one")]
    Driver(#[from] OpenError),
    /// The shards.
    #[error(transparent)]
    Crew(#[from] CrewError),
    /// A system call of boot itself.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        error: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

/// Starts a broker, serves until a signal, and ends it cleanly.
pub fn start(args: &StartArgs) -> Result<(), StartError> {
    let config = Config::load(args)?;
    config.notices.iter().for_each(|notice| match notice.level {
        Level::Info => tracing::info!("{notice}"),
        Level::Warning => tracing::warn!("{notice}"),
    });
    // Blocked before any thread starts, so that only the one that waits for them gets them.
    let signals = Signals::block().map_err(system("block signals"))?;
    let places = Places::open(&config.data_dirs)?;
    let dirs = places.usable();
    let machine = Machine::probe();
    let shards = args.shards.map_or(machine.cores.len(), usize::from);
    let cores = if config.core_endpoints { Some(endpoints::check(&config.listeners, shards)?) } else { None };
    let sockets = endpoints::bind_all(&config.listeners, cores, config.listen_backlog.unwrap_or(i32::MAX))?;
    let paths: Vec<PathBuf> = dirs.iter().map(|dir| dir.path.clone()).collect();
    let identity = identity::establish(&paths, config.node_id)?;
    places.remember()?;
    if config.core_endpoints {
        endpoints::check_id(identity.node_id)?;
    }
    let choice = driver::choose(args.io, &paths)?;
    if let Some(warning) = &choice.warning {
        tracing::warn!("{warning}");
    }
    let mut orders = orders(shards, &config, &machine, &identity, &choice, &places, &sockets)?;
    orders.running = dirs.iter().map(|dir| Arc::clone(&dir.running)).collect();
    let durability = durability_line(&config);
    let mut crew = Crew::assemble(&orders, &sockets, signals)?;
    let of = |bound: &Bound| bound.sockets.iter().map(|(_, at)| (bound.name.clone(), *at)).collect::<Vec<_>>();
    let addresses: Vec<(String, SocketAddr)> = sockets.iter().flat_map(of).collect();
    let notes = crew.caps.notes.clone();
    let report = Report {
        listeners: &addresses,
        data_dirs: &orders.data_dirs,
        cluster_id: &identity.cluster_id,
        node_id: identity.node_id,
        driver: &choice,
        driver_notes: &notes,
        shards: orders.shards,
        cores: orders.cores.as_deref(),
        memory_bytes: machine.memory_bytes,
        durability: &durability,
    };
    print(&report.text());
    match crew.serve() {
        Ok(contents) => print(&format!("{}\n", report.ready(contents))),
        Err(CrewError::StoppedEarly) => {}
        Err(error) => return Err(error.into()),
    }
    crew.wait()?;
    drop(places);
    Ok(())
}

fn orders(
    shards: usize,
    config: &Config,
    machine: &Machine,
    identity: &Identity,
    choice: &Choice,
    places: &Places,
    sockets: &[Bound],
) -> Result<Orders, StartError> {
    let budget = ShardBudget::share(machine.memory_bytes, shards);
    let cleaner = CleanerShare::new(shards, budget.tail_bytes);
    // Port 0 was a wish; what clients are told is what the system chose.
    let listeners = config.listeners.iter().zip(sockets).map(|(plan, bound)| ListenerSettings {
        name: plan.name.clone(),
        bind: bound.address(),
        advertised: plan.advertised.clone(),
    });
    let mut broker = BrokerSettings::new(identity.node_id, listeners.collect(), config.statics.clone());
    if config.core_endpoints {
        broker.core_ports = sockets.iter().map(Bound::ports).collect();
    }
    broker.legacy_bytes_max = budget.legacy_bytes;
    broker.log_dirs = places.log_dirs();
    broker.loggers = logging::loggers();
    broker.cluster_id = Some(identity.cluster_id.clone());
    broker.incarnation = random_u64().map_err(system("read /dev/urandom"))?;
    Ok(Orders {
        shards,
        cores: (shards <= machine.cores.len()).then(|| machine.cores[..shards].to_vec()),
        driver: choice.kind,
        data_dirs: places.usable().iter().map(|dir| dir.path.clone()).collect(),
        log_dirs: places.paths(),
        running: Vec::new(),
        log_limits: LogLimits {
            scrub_interval_ms: config.scrub_interval_ms,
            scrub_bytes_per_s: (config.scrub_bytes_per_s / shards as u64).max(1),
            relocate_bytes_per_s: (config.relocate_bytes_per_s / shards as u64).max(1),
            clean_backoff_ms: config.clean_backoff_ms,
            clean_keys_bytes: cleaner.keys_bytes(config.clean_keys_bytes),
            clean_bytes_per_s: cleaner.bytes_per_s(config.clean_bytes_per_s),
            ..budget.log_limits(config.retention_check_ms)
        },
        cold_bytes: budget.cold_bytes,
        limits: Limits {
            frame_bytes_max: config.request_bytes_max,
            idle_ms: config.idle_ms,
            budget_bytes: budget.network_bytes,
            is_large_ask,
            is_brief,
            ..Limits::default()
        },
        live: live(config)?,
        share_connections: !config.core_endpoints,
        broker: Arc::new(broker),
    })
}

/// Fetches can ask for much more than they are.
pub fn is_large_ask(frame: &[u8]) -> bool {
    frame.starts_with(&(ApiKey::Fetch as i16).to_be_bytes())
}

/// Record sets are appended in the turn that they come in; what else a request holds may have to wait.
pub fn is_brief(frame: &[u8]) -> bool {
    frame.starts_with(&(ApiKey::Produce as i16).to_be_bytes())
}

/// How many connections there may be.
fn live(config: &Config) -> Result<Live, StartError> {
    let descriptors = sys::raise_descriptors().map_err(system("ask how many descriptors there may be"))?;
    let share = ConnectionBudget::share(descriptors, config.connections_max, config.connections_per_ip_max);
    tracing::debug!(descriptors, connections = share.max, per_address = share.per_ip_max, "connections are limited");
    let admission = Admission::new(share.max, share.per_ip_max, config.connections_per_ip_overrides.clone());
    Ok(Live { admission: Arc::new(admission), descriptors })
}

/// The broker's default durability, for people.
fn durability_line(config: &Config) -> String {
    match config.statics.get("durability").map(String::as_str) {
        Some("interval") => {
            "interval: acknowledged when written, flushed soon after; a power cut may take the last records"
        }
        Some("none") => "none: acknowledged when written; survives kill -9, a power cut may take records",
        _ => "fsync: acknowledged once the disk has it; survives a power cut",
    }
    .to_owned()
}

fn random_u64() -> io::Result<u64> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Start lines are for people; a closed standard output is no reason not to serve.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

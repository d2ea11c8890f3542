//! From a command line to serving shards, and back. Each step checks before the next one touches anything: settings, data
//! folders, ports, identity, driver, then threads.

use crate::args::StartArgs;
use crate::budget::ShardBudget;
use crate::crew::{Crew, CrewError, Orders};
use crate::data_dir::{DataDir, DataDirError};
use crate::driver::{self, Choice, OpenError};
use crate::identity::{self, Identity, IdentityError};
use crate::listen::{self, ListenError};
use crate::machine::Machine;
use crate::report::Report;
use crate::settings::{Settings, SettingsError};
use crate::sys::StopSignals;
use broker::BrokerSettings;
use broker::settings::ListenerSettings;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use transport_tcp::{Admission, Limits};

/// Why the broker did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Bad settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A data folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// An address.
    #[error(transparent)]
    Listen(#[from] ListenError),
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
    let settings = Settings::from_args(args)?;
    // Blocked before any thread starts, so that only the one that waits for them gets them.
    let signals = StopSignals::block().map_err(system("block signals"))?;
    let dirs = settings.data_dirs.iter().map(|path| DataDir::open(path)).collect::<Result<Vec<_>, _>>()?;
    let sockets = bind_all(&settings)?;
    let paths: Vec<PathBuf> = dirs.iter().map(|dir| dir.path.clone()).collect();
    let identity = identity::establish(&paths, settings.node_id)?;
    let choice = driver::choose(args.io)?;
    if let Some(warning) = &choice.warning {
        tracing::warn!("{warning}");
    }
    warn_of_open_plaintext(&sockets);
    let machine = Machine::probe();
    let orders = orders(args, &settings, &machine, &identity, &choice, paths, &sockets)?;
    let durability = settings.durability_line();
    let mut crew = Crew::assemble(&orders, &sockets, signals)?;
    let addresses: Vec<(String, SocketAddr)> =
        settings.listeners.iter().zip(&sockets).map(|(plan, (_, at))| (plan.name.clone(), *at)).collect();
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
        partitions: crew.partitions,
    };
    print(&report.text());
    match crew.serve() {
        Ok(()) => print(&format!("{}\n", report.ready())),
        Err(CrewError::StoppedEarly) => {}
        Err(error) => return Err(error.into()),
    }
    crew.wait()?;
    drop(dirs);
    Ok(())
}

fn bind_all(settings: &Settings) -> Result<Vec<(TcpListener, SocketAddr)>, StartError> {
    let bind = |plan: &crate::settings::ListenerPlan| {
        let socket = listen::bind(plan.bind)?;
        let address = socket.local_addr().map_err(system("ask for a socket's address"))?;
        Ok((socket, address))
    };
    settings.listeners.iter().map(bind).collect()
}

fn warn_of_open_plaintext(sockets: &[(TcpListener, SocketAddr)]) {
    let open: Vec<String> =
        sockets.iter().filter(|(_, at)| !at.ip().is_loopback()).map(|(_, at)| at.to_string()).collect();
    if !open.is_empty() {
        tracing::warn!(
            "{} can be reached from other machines, without encryption or authentication: let only trusted networks \
             through to it",
            open.join(", ")
        );
    }
}

fn orders(
    args: &StartArgs,
    settings: &Settings,
    machine: &Machine,
    identity: &Identity,
    choice: &Choice,
    data_dirs: Vec<PathBuf>,
    sockets: &[(TcpListener, SocketAddr)],
) -> Result<Orders, StartError> {
    let shards = args.shards.map_or(machine.cores.len(), usize::from);
    let budget = ShardBudget::share(machine.memory_bytes, shards);
    // Port 0 was a wish; what clients are told is what the system chose.
    let listeners = settings.listeners.iter().zip(sockets).map(|(plan, (_, bind))| ListenerSettings {
        name: plan.name.clone(),
        bind: *bind,
        advertised: plan.advertised.clone(),
    });
    let mut broker = BrokerSettings::new(identity.node_id, listeners.collect(), settings.statics.clone());
    broker.cluster_id = Some(identity.cluster_id.clone());
    broker.incarnation = random_u64().map_err(system("read /dev/urandom"))?;
    Ok(Orders {
        shards,
        cores: (shards <= machine.cores.len()).then(|| machine.cores[..shards].to_vec()),
        driver: choice.kind,
        data_dirs,
        budget,
        limits: Limits { budget_bytes: budget.network_bytes, ..settings.network.clone() },
        retention_check_ms: settings.retention_check_ms,
        admission: Arc::new(Admission::new(
            settings.max_connections,
            settings.max_connections_per_ip,
            settings.max_connections_overrides.clone(),
        )),
        broker: Arc::new(broker),
    })
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

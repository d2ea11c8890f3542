//! How Kafka 4.3.1 is started: KRaft in one process, G1 by name (on one core the JVM would quietly take the serial
//! collector), buffers of a megabyte, threads for one core. The page cache stays the kernel's.

use super::process::{BrokerError, Setup, free_port};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Kafka's own options for its JVM, from `kafka-run-class.sh`.
const JVM: &[&str] = &[
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// Program and arguments; also writes the configuration and, the first time, formats the folder.
pub(super) fn command(setup: &Setup<'_>, folder: &Path, address: SocketAddr) -> Result<Vec<String>, BrokerError> {
    let config = folder.join("server.properties");
    let classpath = format!("{}/*", setup.tools.kafka_libs.display());
    if !config.exists() {
        fs::write(&config, properties(setup, folder, address)?).map_err(|e| BrokerError::file(&config, e))?;
        format(&classpath, &config)?;
    }
    let heap = setup.kafka_heap_mib;
    let mut words = vec!["java".to_owned(), format!("-Xms{heap}m"), format!("-Xmx{heap}m")];
    words.extend(JVM.iter().map(|w| (*w).to_owned()));
    words.extend(["-cp".to_owned(), classpath, "kafka.Kafka".to_owned(), config.display().to_string()]);
    Ok(words)
}

fn properties(setup: &Setup<'_>, folder: &Path, address: SocketAddr) -> Result<String, BrokerError> {
    let controller = free_port().map_err(|e| BrokerError::file(folder, e))?;
    let tuning = &setup.tools.kafka;
    let mut text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://{address},CONTROLLER://127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs={}\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\nnum.network.threads={}\nnum.io.threads={}\n\
         socket.send.buffer.bytes=1048576\nsocket.receive.buffer.bytes=1048576\n",
        folder.join("data").display(),
        tuning.network_threads,
        tuning.io_threads,
    );
    for (key, value) in setup.properties {
        text.push_str(&format!("{key}={value}\n"));
    }
    Ok(text)
}

fn format(classpath: &str, config: &Path) -> Result<(), BrokerError> {
    let what = "Kafka's storage tool";
    let output = Command::new("java")
        .args(["-cp", classpath, "kafka.tools.StorageTool", "format", "-t", "Ringlog_bench_cluster0", "-c"])
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| BrokerError::Start { what: what.into(), error })?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(BrokerError::Start { what: what.into(), error: std::io::Error::other(reason) })
}

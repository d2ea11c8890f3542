//! Properties through the binary: a value that cannot be followed stops the start before anything is touched, and says
//! where it stands and what is allowed. Every single rule is tested beside the configuration.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, folder, refused, ringlog};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The binary with this file and these overrides, and nothing else said.
fn with_file(file: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringlog"));
    command.arg(file).args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

#[test]
fn every_kind_of_refusal_names_file_line_key_value_and_what_is_allowed() {
    for (line, said) in [
        ("num.partitions=0", "at least 1"),
        ("num.partitions=many", "at least 1"),
        ("log.segment.bytes=-1", "at least"),
        ("log.cleanup.policy=shred", "compact, delete"),
        ("auto.create.topics.enable=yes", "true or false"),
        ("durability=always", "fsync, interval, none"),
        ("compression.type=rar", "gzip"),
        ("listeners=nonsense", "NAME://HOST:PORT"),
        ("listeners=SSL://127.0.0.1:9092", "refused"),
        ("ssl.keystore.location=/k", "refused"),
        ("sasl.enabled.mechanisms=PLAIN", "refused"),
        ("authorizer.class.name=org.example.A", "refused"),
        ("remote.log.storage.system.enable=true", "refused"),
        ("max.connections.per.ip.overrides=here:many", "ADDRESS:NUMBER"),
    ] {
        let parent = folder();
        let (file, data) = (parent.path().join("server.properties"), parent.path().join("data"));
        fs::write(&file, format!("# a comment\nlog.dirs={}\n{line}\n", data.display())).expect("writable");
        let text = refused(with_file(&file, &[]));
        for said in ["server.properties:3", line, said] {
            assert!(text.contains(said), "{line}: {said:?} is not in {text}");
        }
        let left: Vec<_> =
            fs::read_dir(parent.path()).expect("ours").map(|entry| entry.expect("readable").path()).collect();
        assert_eq!(left, [file], "{line} was refused after something was made");
    }
}

#[test]
fn an_override_and_a_missing_file_are_refused_alike() {
    let parent = folder();
    let data = parent.path().join("data");
    let text = refused(ringlog(&data, &["--override", "num.partitions=0"]));
    assert!(text.contains("--override: num.partitions=0") && text.contains("at least 1"), "{text}");
    let text = refused(ringlog(&data, &["/no/such/server.properties"]));
    assert!(text.contains("/no/such/server.properties"), "{text}");
    assert!(!data.exists());
}

/// The settings of the file that comes with Kafka 4.3.1, without its comments; the data folder and the address are the
/// test's.
const STOCK: &str = "
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

#[test]
fn kafkas_stock_file_starts() {
    let parent = folder();
    let (file, data) = (parent.path().join("server.properties"), parent.path().join("logs"));
    fs::write(&file, STOCK).expect("writable");
    let dirs = format!("log.dirs={}", data.display());
    let broker = Broker::spawn(with_file(&file, &["--override", &dirs, "--listen", "127.0.0.1:0"]));
    assert!(broker.started.join("\n").contains("node 1 of cluster"), "{:?}", broker.started);
    let mut client = broker.client();
    assert_eq!(client.metadata("made"), (0, vec![0]));
    assert_eq!(client.produce("made", 0, &["x"]), (0, 0));
    assert!(data.join("made-0").is_dir());
    let warnings: Vec<_> = broker.log_so_far().into_iter().filter(|line| line.contains("WARN")).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    broker.stop();
}

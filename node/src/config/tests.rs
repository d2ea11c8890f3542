//! Whole configurations: what starts, what stops, and what the operator is told.

use super::*;

fn args(overrides: &[&str]) -> StartArgs {
    StartArgs { overrides: overrides.iter().map(|text| (*text).to_owned()).collect(), ..StartArgs::default() }
}

fn file(text: &str) -> Result<Config, ConfigError> {
    Config::from_parts(&args(&[]), Some((Path::new("server.properties"), text.as_bytes())))
}

fn error(text: &str) -> String {
    file(text).expect_err(text).to_string()
}

fn told(config: &Config, key: &str) -> Vec<(Level, String)> {
    let of_key = config.notices.iter().filter(|notice| notice.key == key);
    of_key.map(|notice| (notice.level, notice.to_string())).collect()
}

/// The settings of the file that comes with Kafka 4.3.1; comments are left out.
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
fn kafkas_stock_file_starts_unchanged() {
    let config = file(STOCK).expect("it is Kafka's own");
    let [listener] = &config.listeners[..] else { panic!("one listener: {:?}", config.listeners) };
    assert_eq!(listener.name, "PLAINTEXT");
    assert_eq!(listener.bind, "0.0.0.0:9092".parse::<std::net::SocketAddr>().expect("address"));
    assert_eq!(listener.advertised, Some(("localhost".to_owned(), 9092)));
    assert_eq!(config.data_dirs, [PathBuf::from("/tmp/kraft-combined-logs")]);
    assert_eq!(config.node_id, Some(1));
    assert_eq!(config.statics["offsets.topic.replication.factor"], "1");
    let warnings = config.notices.iter().filter(|notice| notice.level == Level::Warning);
    assert_eq!(warnings.count(), 1, "plaintext beyond loopback, and nothing else: {:#?}", config.notices);
    assert_eq!(told(&config, "num.io.threads").len(), 1);
}

#[test]
fn nothing_said_is_loopback_and_a_folder_here() {
    let config = Config::from_parts(&args(&[]), None).expect("defaults");
    assert_eq!(config.listeners[0].bind, "127.0.0.1:9092".parse::<std::net::SocketAddr>().expect("address"));
    assert_eq!(config.data_dirs, [PathBuf::from("ringlog-data")]);
    assert_eq!((config.node_id, config.notices.len()), (None, 0));
    assert_eq!(config.idle_ms, Some(600_000));
}

#[test]
fn a_first_consumer_waits_for_company_only_where_a_file_was_written() {
    const KEY: &str = "group.initial.rebalance.delay.ms";
    let delay = |config: Config| config.statics.get(KEY).cloned();
    assert_eq!(delay(Config::from_parts(&args(&[]), None).expect("defaults")).as_deref(), Some("0"));
    assert_eq!(delay(file("num.partitions=1").expect("a start")), None, "Kafka's default, 3 s");
    assert_eq!(delay(file(&format!("{KEY}=7")).expect("a start")).as_deref(), Some("7"));
    let chosen = Config::from_parts(&args(&[&format!("{KEY}=9")]), None).expect("a start");
    assert_eq!(delay(chosen).as_deref(), Some("9"), "what was asked for counts");
}

#[test]
fn flags_then_overrides_then_the_file() {
    let file = (Path::new("f"), b"num.partitions=2\nlog.dirs=/a,/b\nlisteners=PLAINTEXT://:1\nnode.id=7".as_slice());
    let start = StartArgs {
        listen: Some("127.0.0.1:0".to_owned()),
        data_dir: Some(PathBuf::from("/c,d")),
        ..args(&["num.partitions=3", "log.dirs=/x"])
    };
    let config = Config::from_parts(&start, Some(file)).expect("all fine");
    assert_eq!(config.statics["num.partitions"], "3");
    assert_eq!(config.data_dirs, [PathBuf::from("/c,d")]);
    assert_eq!(config.listeners[0].bind, "127.0.0.1:0".parse::<std::net::SocketAddr>().expect("address"));
    assert_eq!(config.node_id, Some(7));
    let two = Config::from_parts(&args(&[]), Some(file)).expect("all fine");
    assert_eq!(two.data_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
}

#[test]
fn a_bad_value_names_file_line_key_value_and_what_is_allowed() {
    for (text, parts) in [
        ("#\nnum.partitions=zero", &["server.properties:2", "num.partitions=zero", "at least 1"][..]),
        ("num.partitions=0", &["server.properties:1", "at least 1"]),
        ("log.cleanup.policy=shred", &["log.cleanup.policy=shred", "compact, delete"]),
        ("auto.create.topics.enable=yes", &["true or false"]),
        ("durability=always", &["fsync, interval, none"]),
        ("listeners=nonsense", &["NAME://HOST:PORT"]),
        ("listeners=PLAINTEXT://a:b:c", &["NAME://HOST:PORT"]),
        ("listeners=PLAINTEXT://:70000", &["NAME://HOST:PORT"]),
        ("listeners=PLAINTEXT://127.0.0.1:1,PLAINTEXT://127.0.0.1:2", &["appears once"]),
        ("listeners=A://127.0.0.1:1", &["A has no protocol"]),
        ("listeners=C://127.0.0.1:1\ncontroller.listener.names=C", &["no controller's"]),
        ("listener.security.protocol.map=A:B", &["NAME:PROTOCOL"]),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:9092", &["no address at all"]),
        ("advertised.listeners=PLAINTEXT://:9092", &["no address at all"]),
        ("advertised.listeners=PLAINTEXT://[::]:9092", &["no address at all"]),
        ("advertised.listeners=B://b:9092", &["B is not among the listeners"]),
        ("log.dirs=/a,/a", &["each once"]),
        ("log.dirs=,", &["each once"]),
        ("node.id=1\nbroker.id=2", &["server.properties:2", "node.id says 1"]),
        ("max.connections.per.ip.overrides=here:many", &["ADDRESS:NUMBER"]),
        ("a=\\u1", &["server.properties:1", "hexadecimal"]),
    ] {
        let message = error(text);
        for part in parts {
            assert!(message.contains(part), "{text:?}: {message:?} lacks {part:?}");
        }
    }
}

#[test]
fn what_would_remove_protection_or_data_is_refused() {
    for text in [
        "listeners=SSL://127.0.0.1:9092",
        "listeners=SASL_SSL://127.0.0.1:9092",
        "listeners=IN://127.0.0.1:9092\nlistener.security.protocol.map=IN:SASL_PLAINTEXT",
        "ssl.keystore.location=/k",
        "ssl.client.auth=required",
        "sasl.enabled.mechanisms=PLAIN",
        "listener.name.in.plain.sasl.jaas.config=x",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "principal.builder.class=org.example.P",
        "remote.log.storage.system.enable=true",
        "create.topic.policy.class.name=org.example.P",
        "config.providers=file",
        "security.inter.broker.protocol=SSL",
    ] {
        assert!(matches!(file(text), Err(ConfigError::Refused { .. })), "{text}");
    }
}

#[test]
fn notices() {
    let config =
        file("zookeeper.connect=z:2181\nnum.partition=3\nnum.io.threads=4\nnum.partitions=1\nnum.partitions=2")
            .expect("a start");
    for (key, level, part) in [
        ("zookeeper.connect", Level::Info, "there is no ZooKeeper"),
        ("num.partition", Level::Warning, "did you mean num.partitions?"),
        ("num.io.threads", Level::Info, "without effect"),
        ("num.partitions", Level::Warning, "set on line 4 already"),
    ] {
        let [(got, text)] = &told(&config, key)[..] else { panic!("one notice for {key}: {:#?}", config.notices) };
        assert_eq!(*got, level, "{text}");
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(config.statics["num.partitions"], "2", "the last one counts");
    assert_eq!(config.statics["zookeeper.connect"], "z:2181", "listed like everything in the file, as Kafka does");
    assert!(matches!(Config::from_parts(&args(&["x"]), None), Err(ConfigError::Override(_))));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let start = StartArgs { properties: Some(PathBuf::from("/no/such/server.properties")), ..StartArgs::default() };
    let message = Config::load(&start).expect_err("it is not there").to_string();
    assert!(message.contains("/no/such/server.properties"), "{message}");
}

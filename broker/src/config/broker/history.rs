//! Keys that Kafka had before 4.0 and that still stand in files: ZooKeeper's, and those that went with it. Each says what
//! replaced it.

const BY_LOG: &str = "there is no ZooKeeper; metadata is a log that the node keeps itself";
const BY_NOTHING: &str = "removed in Kafka 4.0; all nodes speak the newest version among themselves";
const BY_LISTENERS: &str = "replaced by listeners and advertised.listeners";
const BY_QUOTAS: &str = "replaced by quotas that are set at run time";

const KEYS: &[(&str, &str)] = &[
    ("advertised.host.name", BY_LISTENERS),
    ("advertised.port", BY_LISTENERS),
    ("broker.id.generation.enable", "node.id names the node; no number is drawn for it"),
    ("control.plane.listener.name", "removed with ZooKeeper; controllers have no listener of their own here"),
    ("host.name", BY_LISTENERS),
    ("inter.broker.protocol.version", BY_NOTHING),
    ("log.message.downconversion.enable", "removed in Kafka 4.0; records are never converted to older formats"),
    ("log.message.format.version", "removed in Kafka 4.0; records are stored in format 2"),
    (
        "log.message.timestamp.difference.max.ms",
        "replaced by log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms",
    ),
    ("message.downconversion.enable", "removed in Kafka 4.0; records are never converted to older formats"),
    ("message.format.version", "removed in Kafka 4.0; records are stored in format 2"),
    (
        "message.timestamp.difference.max.ms",
        "replaced by log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms",
    ),
    ("offsets.commit.required.acks", "removed in Kafka 4.0; offsets are acknowledged by all in-sync replicas"),
    ("port", BY_LISTENERS),
    ("quota.consumer.default", BY_QUOTAS),
    ("quota.producer.default", BY_QUOTAS),
    ("reserved.broker.max.id", "node.id names the node; no number is drawn for it"),
];

/// What replaced a key of former times.
pub(super) fn find(name: &str) -> Option<&'static str> {
    if name.starts_with("zookeeper.") {
        return Some(BY_LOG);
    }
    if name.starts_with("password.encoder.") {
        return Some("removed with ZooKeeper, where secrets were stored encoded");
    }
    KEYS.iter().find(|(known, _)| *known == name).map(|(_, replaced)| *replaced)
}

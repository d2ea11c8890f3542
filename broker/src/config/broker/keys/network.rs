//! Keys about listeners, connections and the requests on them.

use super::{BrokerKey, boolean, int, list, long, string};
use crate::config::broker::Scope::{Broker, Cluster, Fixed};
use crate::config::broker::why::{BUFFERS, EARLY, PURGATORY, RATE, SYSTEM, THREADS};
use crate::config::value::Rule::{Any, Min, OneOf};
use crate::legacy::LegacyClients;

pub(super) const KEYS: &[BrokerKey] = &[
    list("advertised.listeners", None, Any, Fixed)
        .used("Addresses that clients are told, where they differ from those listened on."),
    int("background.threads", Some("10"), Min(1), Cluster)
        .unused(THREADS, "Threads for deletions, flushes and what else is not urgent."),
    long("connections.max.idle.ms", Some("600000"), Any, Fixed).used("Idle time after which a connection is closed."),
    boolean("core.connection.moves", Some("false"), Any, Fixed)
        .used("Ours: whether a connection moves to the core that owns nearly all of what it produces or fetches."),
    long("core.connection.moves.bytes", Some("4194304"), Min(1), Fixed).used(
        "Ours: traffic of a connection after which is decided whether it moves, in bytes; a request counts 1 \
         KiB more.",
    ),
    boolean("core.endpoints", Some("false"), Any, Fixed).used(
        "Ours: whether each core has a port and a broker id of its own, so that clients speak to the core \
         that owns a partition: core c listens c ports above the listener's, as broker c x 1000000 + node.id.",
    ),
    int("delete.records.purgatory.purge.interval.requests", Some("1"), Any, Fixed)
        .unused(PURGATORY, "Finished DeleteRecords requests that are kept before their memory is given back."),
    list("early.start.listeners", None, Any, Fixed)
        .unused(EARLY, "Listeners that open before the node knows who may do what."),
    int("fetch.max.bytes", Some("57671680"), Min(1024), Fixed)
        .used("Most bytes in one answer to Fetch, but for a first batch that is larger."),
    int("fetch.purgatory.purge.interval.requests", Some("1000"), Any, Fixed)
        .unused(PURGATORY, "Finished Fetch requests that are kept before their memory is given back."),
    string("legacy.clients", Some("unadvertised"), OneOf(LegacyClients::WORDS), Fixed).used(
        "Ours: whether clients are served that Kafka 4.0 turned away: unadvertised (those that do not \
         negotiate), advertised (all) or off.",
    ),
    string(
        "listener.security.protocol.map",
        Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"),
        Any,
        Broker,
    )
    .used("Which protocol each listener name speaks."),
    list("listeners", Some("PLAINTEXT://:9092"), Any, Broker).used("Addresses to listen on, as NAME://HOST:PORT."),
    int("max.connection.creation.rate", Some("2147483647"), Min(0), Cluster)
        .unused(RATE, "Most new connections a second."),
    int("max.connections", Some("2147483647"), Min(0), Cluster).used("Most connections at a time."),
    int("max.connections.per.ip", Some("2147483647"), Min(0), Cluster)
        .used("Most connections of one address at a time."),
    string("max.connections.per.ip.overrides", Some(""), Any, Cluster)
        .used("Most connections of single addresses, as ADDRESS:NUMBER."),
    int("max.incremental.fetch.session.cache.slots", Some("1000"), Min(0), Fixed)
        .used("Most fetch sessions that are remembered."),
    int("max.request.partition.size.limit", Some("2000"), Min(1), Fixed)
        .used("Most partitions in one answer to DescribeTopicPartitions."),
    int("num.io.threads", Some("8"), Min(1), Cluster).unused(THREADS, "Threads that handle requests."),
    int("num.network.threads", Some("3"), Min(1), Cluster)
        .unused(THREADS, "Threads that read requests and write answers."),
    int("producer.purgatory.purge.interval.requests", Some("1000"), Any, Fixed)
        .unused(PURGATORY, "Finished Produce requests that are kept before their memory is given back."),
    long("queued.max.request.bytes", Some("-1"), Any, Fixed)
        .unused(BUFFERS, "Bytes of requests that may wait before no more are read; -1 sets no bound."),
    int("queued.max.requests", Some("500"), Min(1), Fixed)
        .unused(BUFFERS, "Requests that may wait before no more are read."),
    int("request.timeout.ms", Some("30000"), Any, Fixed).used("How long a request of the broker itself may take."),
    int("socket.listen.backlog.size", Some("50"), Min(1), Fixed).used("Connections that may wait to be accepted."),
    int("socket.receive.buffer.bytes", Some("102400"), Any, Fixed)
        .unused(SYSTEM, "Receive buffer of a client's connection; -1 leaves it to the system."),
    int("socket.request.max.bytes", Some("104857600"), Min(1), Fixed)
        .used("Largest request that is read; a larger one ends the connection."),
    int("socket.send.buffer.bytes", Some("102400"), Any, Fixed)
        .unused(SYSTEM, "Send buffer of a client's connection; -1 leaves it to the system."),
];

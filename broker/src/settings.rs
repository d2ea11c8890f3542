//! What the broker's machines know of the static configuration: identity, listeners, and the keys they act on, typed.
//!
//! Keys that other crates act on (threads, sockets, log folders) are read by the `node` crate.

use crate::config::Values;
use crate::config::value::{boolean, words_of};
use crate::legacy::LegacyClients;
use crate::log_dirs::LogDir;
use crate::loggers::Loggers;
use std::net::{IpAddr, SocketAddr};

/// One listener that clients can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Its name, in upper case.
    pub name: String,
    /// Where it listens; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// What Metadata answers, when that differs from where it listens.
    pub advertised: Option<(String, u16)>,
}

impl ListenerSettings {
    /// Host and port to be told to a client that reached this listener at `local`.
    pub fn endpoint(&self, local: SocketAddr) -> (String, u16) {
        match &self.advertised {
            Some((host, port)) => (host.clone(), *port),
            None => (local.ip().to_canonical().to_string(), local.port()),
        }
    }

    /// `ports` are those of cores, if they have their own.
    fn took(&self, local: SocketAddr, ports: &[u16]) -> bool {
        let ip = |addr: IpAddr| addr.to_canonical();
        let port = self.bind.port() == local.port() || self.bind.port() == 0 || ports.contains(&local.port());
        port && (self.bind.ip().is_unspecified() || ip(self.bind.ip()) == ip(local.ip()))
    }
}

/// The static configuration of this broker.
#[expect(missing_docs, reason = "each undocumented field is the key of the same name in config::broker")]
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerSettings {
    pub node_id: i32,
    /// Drawn anew at every start: makes ids that a former run gave out, such as fetch sessions, unlikely to fit this one.
    pub incarnation: u64,
    /// The cluster's id where the data folders name one already; else the first start draws one.
    pub cluster_id: Option<String>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The directories of `log.dirs`, in order; none where the host has not said.
    pub log_dirs: Vec<LogDir>,
    /// In the order of `listeners`.
    pub listeners: Vec<ListenerSettings>,
    /// The port of each core, by listener; empty unless each has its own (`core.endpoints`).
    pub core_ports: Vec<Vec<u16>>,
    /// Every key that was set in the properties file or on the command line, as it was written.
    pub statics: Values,
    pub num_partitions: i32,
    pub default_replication_factor: i16,
    pub auto_create_topics_enable: bool,
    pub delete_topic_enable: bool,
    pub offsets_topic_num_partitions: i32,
    pub offsets_topic_replication_factor: i16,
    pub offsets_topic_segment_bytes: i32,
    pub offset_metadata_max_bytes: i32,
    pub offsets_retention_minutes: i32,
    pub offsets_retention_check_interval_ms: i64,
    pub group_min_session_timeout_ms: i32,
    pub group_max_session_timeout_ms: i32,
    pub group_initial_rebalance_delay_ms: i32,
    pub group_max_size: i32,
    /// `group.members.bytes.max`, for all shards together.
    pub group_members_bytes_max: usize,
    pub fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`, for all shards together.
    pub fetch_session_slots: usize,
    pub max_request_partition_size_limit: i32,
    pub transaction_max_timeout_ms: i32,
    pub request_timeout_ms: i32,
    /// `core.connection.moves`: a connection goes to the shard that does nearly all of its work.
    pub core_connection_moves: bool,
    /// `core.connection.moves.bytes`: traffic over which that is measured.
    pub core_connection_moves_bytes: u64,
    /// `legacy.clients`: whether clients are served that Kafka 4.0 turned away.
    pub legacy_clients: LegacyClients,
    /// Memory of a shard for converting their message sets, in bytes; the `node` crate knows how much there is.
    pub legacy_bytes_max: usize,
    /// The levels that our loggers start with.
    pub loggers: Loggers,
}

impl BrokerSettings {
    /// The settings that checked static values come to. A value of the wrong type counts as Kafka's default; the
    /// `node` crate refuses such values with file and line before it gets here.
    pub fn new(node_id: i32, listeners: Vec<ListenerSettings>, statics: Values) -> Self {
        let at = Typed(&statics);
        Self {
            node_id,
            incarnation: 0,
            cluster_id: None,
            log_dirs: Vec::new(),
            rack: statics.get("broker.rack").cloned(),
            num_partitions: at.number("num.partitions", 1),
            default_replication_factor: at.number("default.replication.factor", 1),
            auto_create_topics_enable: at.flag("auto.create.topics.enable", true),
            delete_topic_enable: at.flag("delete.topic.enable", true),
            offsets_topic_num_partitions: at.number("offsets.topic.num.partitions", 50),
            offsets_topic_replication_factor: at.number("offsets.topic.replication.factor", 3),
            offsets_topic_segment_bytes: at.number("offsets.topic.segment.bytes", 104_857_600),
            offset_metadata_max_bytes: at.number("offset.metadata.max.bytes", 4096),
            offsets_retention_minutes: at.number("offsets.retention.minutes", 10_080),
            offsets_retention_check_interval_ms: at.number("offsets.retention.check.interval.ms", 600_000),
            group_min_session_timeout_ms: at.number("group.min.session.timeout.ms", 6_000),
            group_max_session_timeout_ms: at.number("group.max.session.timeout.ms", 1_800_000),
            group_initial_rebalance_delay_ms: at.number("group.initial.rebalance.delay.ms", 3_000),
            group_max_size: at.number("group.max.size", i32::MAX),
            group_members_bytes_max: at.number("group.members.bytes.max", 256 << 20),
            fetch_max_bytes: at.number("fetch.max.bytes", 57_671_680),
            fetch_session_slots: at.number("max.incremental.fetch.session.cache.slots", 1_000),
            max_request_partition_size_limit: at.number("max.request.partition.size.limit", 2_000),
            transaction_max_timeout_ms: at.number("transaction.max.timeout.ms", 900_000),
            request_timeout_ms: at.number("request.timeout.ms", 30_000),
            core_connection_moves: at.flag("core.connection.moves", false),
            core_connection_moves_bytes: at.number("core.connection.moves.bytes", 4 << 20),
            legacy_clients: statics
                .get("legacy.clients")
                .and_then(|word| LegacyClients::from_word(word.trim()))
                .unwrap_or_default(),
            legacy_bytes_max: 32 << 20,
            listeners,
            core_ports: Vec::new(),
            loggers: Loggers::default(),
            statics,
        }
    }

    /// Whether new partitions keep away from the log directory at `path` (`cordoned.log.dirs`).
    pub fn is_cordoned(&self, path: &str) -> bool {
        let cordoned = self.statics.get("cordoned.log.dirs").map_or("", String::as_str);
        words_of(cordoned).any(|word| word == "*" || word == path)
    }

    /// Host and port that a client which reached us at `local` should be told.
    pub fn endpoint(&self, local: SocketAddr) -> (String, u16) {
        self.endpoint_of_core(local, 0)
    }

    /// Host and port that a client which reached us at `local` should be told of a core; where cores have none of their own,
    /// of all of them.
    pub(crate) fn endpoint_of_core(&self, local: SocketAddr, core: u16) -> (String, u16) {
        let ports_of = |at: usize| self.core_ports.get(at).map_or(&[][..], Vec::as_slice);
        let took = |(at, listener): &(usize, &ListenerSettings)| listener.took(local, ports_of(*at));
        let Some((at, listener)) = self.listeners.iter().enumerate().find(took) else {
            return (local.ip().to_canonical().to_string(), local.port());
        };
        let (host, port) = listener.endpoint(local);
        match (ports_of(at).get(usize::from(core)), &listener.advertised) {
            (None, _) => (host, port),
            (Some(_), Some(_)) => (host, port.saturating_add(core)),
            (Some(own), None) => (host, *own),
        }
    }
}

impl Default for BrokerSettings {
    /// Node 1 on 127.0.0.1:9092, nothing set.
    fn default() -> Self {
        let bind = SocketAddr::from(([127, 0, 0, 1], 9092));
        Self::new(1, vec![ListenerSettings { name: "PLAINTEXT".to_owned(), bind, advertised: None }], Values::new())
    }
}

struct Typed<'a>(&'a Values);

impl Typed<'_> {
    fn number<T: std::str::FromStr>(&self, key: &str, default: T) -> T {
        self.0.get(key).and_then(|text| text.trim().parse().ok()).unwrap_or(default)
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.0.get(key).and_then(|text| boolean(text.trim())).unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_the_listener_it_reached() {
        let listener = |bind: &str, advertised: Option<(&str, u16)>| ListenerSettings {
            name: "PLAINTEXT".to_owned(),
            bind: bind.parse().expect("address"),
            advertised: advertised.map(|(host, port)| (host.to_owned(), port)),
        };
        for (bind, advertised, local, expect) in [
            ("127.0.0.1:9092", None, "127.0.0.1:9092", ("127.0.0.1", 9092)),
            ("0.0.0.0:9092", None, "10.0.0.7:9092", ("10.0.0.7", 9092)),
            ("[::]:9092", None, "[::ffff:10.0.0.7]:9092", ("10.0.0.7", 9092)),
            ("[::]:9092", None, "[fd00::1]:9092", ("fd00::1", 9092)),
            ("0.0.0.0:9092", Some(("kafka.example", 19092)), "10.0.0.7:9092", ("kafka.example", 19092)),
            ("127.0.0.1:0", None, "127.0.0.1:41000", ("127.0.0.1", 41000)),
        ] {
            let settings = BrokerSettings::new(1, vec![listener(bind, advertised)], Values::new());
            assert_eq!(settings.endpoint(local.parse().expect("address")), (expect.0.to_owned(), expect.1), "{bind}");
        }
    }

    #[test]
    fn two_listeners_answer_for_themselves() {
        let of = |name: &str, port: u16, host: &str| ListenerSettings {
            name: name.to_owned(),
            bind: SocketAddr::from(([0, 0, 0, 0], port)),
            advertised: Some((host.to_owned(), port)),
        };
        let settings = BrokerSettings::new(1, vec![of("IN", 9092, "in"), of("OUT", 9093, "out")], Values::new());
        assert_eq!(settings.endpoint(SocketAddr::from(([10, 0, 0, 1], 9093))).0, "out");
    }
}

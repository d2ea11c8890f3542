//! Configurations altered at run time: what clients are answered, that shards act on what was acknowledged, and that a restart
//! remembers it. If this breaks, settings that were acknowledged have no effect, come back half, or are lost.

use broker::settings::BrokerSettings;
use broker::store::Durability;
use broker::testing::{Call, Memory, World, body_of, produce, records};
use broker::{Broker, ConnId};
use protocol::messages::alter_configs::{self as legacy, AlterConfigsRequest, AlterConfigsResponse};
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use protocol::messages::keys::ApiKey;
use protocol::messages::list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use protocol::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use protocol::{ErrorCode, Reader, Uuid};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

const OK: (ErrorCode, &str) = (ErrorCode::None, "");

type Step<'a> = (&'a str, i8, Option<&'a str>);

/// A resource, what is asked, and the answer.
type Case<'a> = (i8, &'a str, &'a [Step<'a>], (ErrorCode, &'a str));

/// Asks one request and decodes the answer.
macro_rules! ask {
    ($cluster:expr, $version:expr, $request:expr, $response:ident) => {{
        let version: i16 = $version;
        let frame = Call::new($response::KEY, version).frame(|writer, version| $request.encode(writer, version));
        let conn = $cluster.conn;
        let outcome = $cluster.world.ask(conn, frame);
        let body: &'static [u8] = body_of(&outcome, $response::KEY, version).to_vec().leak();
        $response::decode(&mut Reader::new(body), version).unwrap()
    }};
}

/// A started broker and a connection at its last shard.
struct Cluster {
    world: World,
    conn: ConnId,
}

impl Cluster {
    fn started(shards: u16, statics: &[(&str, &str)]) -> Cluster {
        let statics = statics.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let settings = BrokerSettings::new(1, BrokerSettings::default().listeners, statics);
        let mut world = World::with(shards, 7, settings);
        let now = world.now;
        world.brokers.iter_mut().for_each(|broker| broker.start(now));
        world.run();
        let conn = world.connect(usize::from(shards) - 1);
        Cluster { world, conn }
    }

    fn topic(&mut self, name: &str, partitions: i32) -> Uuid {
        let topic = CreatableTopic {
            name: name.to_owned().into(),
            num_partitions: partitions,
            replication_factor: -1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        let made = ask!(self, 7, request, CreateTopicsResponse);
        assert_eq!(made.topics[0].error_code, 0, "{made:?}");
        made.topics[0].topic_id
    }

    fn restart(&mut self, shards: u16) {
        self.world.restart_from_metadata(shards);
        self.conn = self.world.connect(usize::from(shards) - 1);
    }

    fn alter_all(&mut self, resources: &[(i8, &str, &[Step<'_>])], validate_only: bool) -> Vec<(ErrorCode, String)> {
        let resources = resources.iter().map(|(kind, name, steps)| resource(*kind, name, steps)).collect();
        let request = IncrementalAlterConfigsRequest { resources, validate_only };
        let answer = ask!(self, 1, request, IncrementalAlterConfigsResponse);
        answer.responses.iter().map(|result| said(result.error_code, result.error_message.as_deref())).collect()
    }

    fn alter(&mut self, kind: i8, name: &str, steps: &[Step<'_>]) -> (ErrorCode, String) {
        self.alter_all(&[(kind, name, steps)], false).remove(0)
    }

    fn replace(&mut self, kind: i8, name: &str, values: &[(&str, Option<&str>)]) -> (ErrorCode, String) {
        let configs = values.iter().map(|(key, value)| legacy::AlterableConfig {
            name: (*key).to_owned().into(),
            value: value.map(|value| value.to_owned().into()),
        });
        let resource = legacy::AlterConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned().into(),
            configs: configs.collect(),
        };
        let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
        let answer = ask!(self, 2, request, AlterConfigsResponse);
        said(answer.responses[0].error_code, answer.responses[0].error_message.as_deref())
    }

    fn described(&mut self, kind: i8, name: &str) -> Vec<DescribeConfigsResourceResult<'static>> {
        let resource = DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned().into(),
            configuration_keys: None,
        };
        let request =
            DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: true };
        ask!(self, 4, request, DescribeConfigsResponse).results.remove(0).configs
    }

    /// The value of a key and where it comes from.
    fn value(&mut self, kind: i8, name: &str, key: &str) -> (String, i8) {
        let configs = self.described(kind, name);
        let config = configs.iter().find(|config| config.name == key).unwrap_or_else(|| panic!("{key} of {name}"));
        (config.value.as_deref().unwrap_or("null").to_owned(), config.config_source)
    }

    /// Names and types of resources that have a configuration.
    fn listed(&mut self, version: i16, kinds: &[i8]) -> Vec<(String, i8)> {
        let request = ListConfigResourcesRequest { resource_types: kinds.to_vec() };
        let answer = ask!(self, version, request, ListConfigResourcesResponse);
        let resources = answer.config_resources.iter();
        resources.map(|resource| (resource.resource_name.to_string(), resource.resource_type)).collect()
    }

    /// What was set on a topic itself.
    fn overrides(&mut self, name: &str) -> Vec<(String, String)> {
        let configs = self.described(TOPIC, name);
        let own = configs.iter().filter(|config| config.config_source == 1);
        let mut own: Vec<_> =
            own.map(|config| (config.name.to_string(), config.value.as_deref().unwrap_or("null").to_owned())).collect();
        own.sort();
        own
    }
}

fn resource<'a>(kind: i8, name: &'a str, steps: &[Step<'a>]) -> AlterConfigsResource<'a> {
    let configs = steps.iter().map(|(key, operation, value)| AlterableConfig {
        name: (*key).into(),
        config_operation: *operation,
        value: value.map(Into::into),
    });
    AlterConfigsResource { resource_type: kind, resource_name: name.into(), configs: configs.collect() }
}

fn said(code: i16, message: Option<&str>) -> (ErrorCode, String) {
    (ErrorCode::try_from(code).unwrap_or(ErrorCode::UnknownServerError), message.unwrap_or_default().to_owned())
}

fn expect(answer: (ErrorCode, &str)) -> (ErrorCode, String) {
    (answer.0, answer.1.to_owned())
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

#[test]
fn what_is_acknowledged_acts_on_every_shard_and_outlives_a_restart() {
    for shards in [1, 3] {
        let mut cluster = Cluster::started(shards, &[]);
        let id = cluster.topic("t", 5);
        let set = [
            ("retention.ms", SET, Some("5000")),
            ("segment.bytes", SET, Some("2097152")),
            ("cleanup.policy", SET, Some("compact")),
            ("durability", SET, Some("none")),
            ("max.message.bytes", SET, Some("200")),
        ];
        assert_eq!(cluster.alter(TOPIC, "t", &set), expect(OK));
        let look = |cluster: &Cluster| {
            for partition in 0..5 {
                let (shard, log) = cluster.world.log_of(id, partition);
                let (settings, _) = cluster.world.brokers[shard].store().settings_of(log);
                assert_eq!((settings.retention_ms, settings.segment_bytes), (5000, 2 << 20), "partition {partition}");
                assert_eq!((settings.delete_policy, settings.durability), (false, Durability::None));
            }
        };
        look(&cluster);
        for partition in 0..5 {
            let large = records(cluster.world.now.wall_ms, &["x".repeat(300).as_str()]);
            let refused = produce(&mut cluster.world, cluster.conn, &[("t", partition, &large)]);
            assert_eq!(refused[0].code, ErrorCode::MessageTooLarge);
        }
        cluster.restart(2);
        look(&cluster);
        let expected = pairs([
            ("cleanup.policy", "compact"),
            ("durability", "none"),
            ("max.message.bytes", "200"),
            ("retention.ms", "5000"),
            ("segment.bytes", "2097152"),
        ]);
        assert_eq!(cluster.overrides("t"), expected);
    }
}

#[test]
fn a_change_is_answered_once_it_is_durable() {
    let mut cluster = Cluster::started(2, &[]);
    cluster.topic("t", 1);
    cluster.world.flushes = false;
    let steps = [("retention.ms", SET, Some("1"))];
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource(TOPIC, "t", &steps)], validate_only: false };
    let frame = Call::new(ApiKey::IncrementalAlterConfigs, 1).frame(|writer, version| request.encode(writer, version));
    let seq = cluster.world.send(cluster.conn, frame);
    cluster.world.run();
    assert_eq!(cluster.world.outcome(cluster.conn, seq), None, "nothing is durable yet");
    assert_eq!(cluster.overrides("t"), pairs([]), "and nobody acts on it");
    cluster.world.flushes = true;
    cluster.world.run();
    assert!(cluster.world.outcome(cluster.conn, seq).is_some());
    assert_eq!(cluster.overrides("t"), pairs([("retention.ms", "1")]));
}

/// The second is planned while the first is on its way to the disk, and has to stand on it.
#[test]
fn two_alterations_at_once_both_count() {
    let mut cluster = Cluster::started(2, &[]);
    cluster.topic("t", 1);
    assert_eq!(cluster.alter(TOPIC, "t", &[("cleanup.policy", SET, Some(""))]), expect(OK));
    cluster.world.flushes = false;
    let other = cluster.world.connect(0);
    let mut sent = Vec::new();
    for (conn, steps) in [
        (cluster.conn, [("cleanup.policy", APPEND, Some("delete")), ("max.compaction.lag.ms", SET, Some("10"))]),
        (other, [("cleanup.policy", APPEND, Some("compact")), ("retention.ms", SET, Some("7"))]),
        // Right by itself, and not beside what the first one is about to set.
        (other, [("min.compaction.lag.ms", SET, Some("11")), ("segment.ms", SET, Some("1000"))]),
    ] {
        let request =
            IncrementalAlterConfigsRequest { resources: vec![resource(TOPIC, "t", &steps)], validate_only: false };
        let call = Call::new(ApiKey::IncrementalAlterConfigs, 1);
        let frame = call.frame(|writer, version| request.encode(writer, version));
        sent.push((conn, cluster.world.send(conn, frame)));
        cluster.world.run();
    }
    cluster.world.flushes = true;
    cluster.world.run();
    assert!(sent.into_iter().all(|(conn, seq)| cluster.world.outcome(conn, seq).is_some()), "all are answered");
    let expected = [("cleanup.policy", "delete,compact"), ("max.compaction.lag.ms", "10"), ("retention.ms", "7")];
    assert_eq!(cluster.overrides("t"), pairs(expected));
}

#[test]
fn lists_grow_and_shrink_from_what_stands() {
    let mut cluster = Cluster::started(1, &[]);
    cluster.topic("t", 1);
    let key = "cleanup.policy";
    for (operation, value, expected) in [
        (APPEND, "compact", ("delete,compact", 1)),
        (APPEND, "compact", ("delete,compact", 1)),
        (SUBTRACT, "delete", ("compact", 1)),
        (SUBTRACT, "compact", ("", 1)),
        (SET, " compact , delete ", ("compact,delete", 1)),
        (DELETE, "ignored", ("delete", 5)),
    ] {
        assert_eq!(cluster.alter(TOPIC, "t", &[(key, operation, Some(value))]), expect(OK));
        let (value, source) = cluster.value(TOPIC, "t", key);
        assert_eq!((value.as_str(), source), expected);
    }
}

#[test]
fn refusals_are_kafkas_and_change_nothing() {
    let mut cluster = Cluster::started(2, &[]);
    cluster.topic("t", 1);
    assert_eq!(cluster.alter(TOPIC, "t", &[("retention.ms", SET, Some("7"))]), expect(OK));
    let config = |message| (ErrorCode::InvalidConfig, message);
    let request = |message| (ErrorCode::InvalidRequest, message);
    let good: Step<'_> = ("retention.ms", SET, Some("1"));
    let table: [Case<'_>; 22] = [
        (
            TOPIC,
            "t",
            &[good, ("segment.bytes", SET, Some("2"))],
            config("Invalid value 2 for configuration segment.bytes: Value must be at least 1048576"),
        ),
        (TOPIC, "t", &[("no.such.key", SET, Some("1"))], config("Unknown topic config name: no.such.key")),
        (TOPIC, "t", &[("no.such.key", DELETE, None)], OK),
        (
            TOPIC,
            "t",
            &[("retention.ms", APPEND, Some("5"))],
            config("Can't APPEND to key retention.ms because its type is not LIST."),
        ),
        (
            TOPIC,
            "t",
            &[("retention.ms", SET, None), ("segment.ms", SET, None)],
            request("Null value not supported for : retention.ms, segment.ms"),
        ),
        (TOPIC, "t", &[good, good], request("Error due to duplicate config keys")),
        (TOPIC, "t", &[("retention.ms", 9, Some("1"))], request("Unknown operation 9 for configuration retention.ms")),
        (
            TOPIC,
            "t",
            &[("retention.ms", SET, Some("-2"))],
            config("Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        ),
        (
            TOPIC,
            "t",
            &[("retention.ms", SET, Some(""))],
            config("Invalid value  for configuration retention.ms: Not a number of type LONG"),
        ),
        (
            TOPIC,
            "t",
            &[("cleanup.policy", SET, Some("shred"))],
            config("Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete"),
        ),
        (
            TOPIC,
            "t",
            &[("cleanup.policy", SET, Some("compact,"))],
            config("Configuration 'cleanup.policy' values must not be empty."),
        ),
        (
            TOPIC,
            "t",
            &[("min.compaction.lag.ms", SET, Some("2")), ("max.compaction.lag.ms", SET, Some("1"))],
            config("conflict topic config setting min.compaction.lag.ms (2) > max.compaction.lag.ms (1)"),
        ),
        (
            TOPIC,
            "t",
            &[("remote.storage.enable", SET, Some("true"))],
            config(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
            ),
        ),
        (
            TOPIC,
            "t",
            &[("preallocate", SET, Some("yes"))],
            config("Invalid value yes for configuration preallocate: Expected value to be either true or false"),
        ),
        (
            TOPIC,
            "t",
            &[("min.cleanable.dirty.ratio", SET, Some("2"))],
            config("Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"),
        ),
        (TOPIC, "nope", &[good], (ErrorCode::UnknownTopicOrPartition, "The topic 'nope' does not exist.")),
        (TOPIC, "nope", &[], (ErrorCode::UnknownTopicOrPartition, "The topic 'nope' does not exist.")),
        (
            TOPIC,
            "nope",
            &[("retention.ms", SET, Some("x"))],
            config("Invalid value x for configuration retention.ms: Not a number of type LONG"),
        ),
        (TOPIC, "", &[good], request("Default topic resources are not allowed.")),
        (3, "t", &[good], request("Unknown resource type 3")),
        (TOPIC, "t", &[], OK),
        (
            TOPIC,
            "t",
            &[("leader.replication.throttled.replicas", SET, Some("foo"))],
            config(
                "Invalid value [foo] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            ),
        ),
    ];
    let version = cluster.world.brokers[0].image().version();
    for (kind, name, steps, answer) in table {
        assert_eq!(cluster.alter(kind, name, steps), expect(answer), "{name} {steps:?}");
    }
    let large = "x".repeat(40_000);
    let too_large = cluster.alter(TOPIC, "t", &[("cleanup.policy", SET, Some(&large))]);
    assert_eq!(too_large.0, ErrorCode::InvalidConfig);
    assert_eq!(cluster.alter(TOPIC, "bad name", &[good]).0, ErrorCode::InvalidTopicException);
    assert_eq!(cluster.overrides("t"), pairs([("retention.ms", "7")]));
    assert_eq!(cluster.world.brokers[0].image().version(), version, "nothing was written down");
}

#[test]
fn resources_stand_for_themselves_and_appear_once() {
    let mut cluster = Cluster::started(2, &[]);
    cluster.topic("a", 1);
    cluster.topic("b", 1);
    let bad: Step<'_> = ("segment.bytes", SET, Some("1"));
    let good: Step<'_> = ("retention.ms", SET, Some("9"));
    let answers = cluster.alter_all(&[(TOPIC, "a", &[good, bad]), (TOPIC, "b", &[good]), (TOPIC, "c", &[good])], false);
    let codes: Vec<ErrorCode> = answers.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [ErrorCode::InvalidConfig, ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(cluster.overrides("a"), pairs([]), "never half of it");
    assert_eq!(cluster.overrides("b"), pairs([("retention.ms", "9")]));
    let twice = cluster.alter_all(&[(TOPIC, "a", &[good]), (TOPIC, "a", &[bad]), (TOPIC, "b", &[])], false);
    let refused = (ErrorCode::InvalidRequest, "Each resource must appear at most once.".to_owned());
    assert_eq!(twice, [refused.clone(), refused, expect(OK)]);
    assert_eq!(cluster.alter_all(&[(TOPIC, "a", &[good])], true), [expect(OK)]);
    assert_eq!(cluster.overrides("a"), pairs([]), "validate_only changes nothing");
    assert_eq!(cluster.alter_all(&[], false), []);
}

#[test]
fn the_legacy_request_replaces_everything() {
    let mut cluster = Cluster::started(2, &[]);
    cluster.topic("t", 1);
    let set = [("retention.ms", SET, Some("7")), ("segment.ms", SET, Some("8"))];
    assert_eq!(cluster.alter(TOPIC, "t", &set), expect(OK));
    assert_eq!(cluster.replace(TOPIC, "t", &[("retention.ms", Some("9"))]), expect(OK));
    assert_eq!(cluster.overrides("t"), pairs([("retention.ms", "9")]));
    for (values, code) in [
        (&[("retention.ms", None)][..], ErrorCode::InvalidRequest),
        (&[("retention.ms", Some("1")), ("retention.ms", Some("2"))], ErrorCode::InvalidRequest),
        (&[("no.such", Some("1"))], ErrorCode::InvalidConfig),
    ] {
        assert_eq!(cluster.replace(TOPIC, "t", values).0, code);
    }
    assert_eq!(cluster.overrides("t"), pairs([("retention.ms", "9")]));
    assert_eq!(cluster.replace(TOPIC, "t", &[]), expect(OK));
    assert_eq!(cluster.overrides("t"), pairs([]));
}

#[test]
fn the_pace_of_compaction_follows_on_every_shard_and_goes_back() {
    let mut cluster = Cluster::started(3, &[("log.cleaner.backoff.ms", "900")]);
    let paces = |cluster: &Cluster| -> Vec<_> {
        let pace = |broker: &Broker<Memory>| broker.store().cleaner.map(|set| (set.backoff_ms, set.bytes_per_s));
        cluster.world.brokers.iter().map(pace).collect()
    };
    assert_eq!(paces(&cluster), [None; 3], "storage knows what it was started with");
    let slow = [("log.cleaner.io.max.bytes.per.second", SET, Some("1000.5"))];
    assert_eq!(cluster.alter(BROKER, "", &slow), expect(OK));
    assert_eq!(paces(&cluster), [Some((Some(900), Some(1000))); 3]);
    assert_eq!(cluster.alter(BROKER, "1", &[("log.cleaner.backoff.ms", SET, Some("5"))]), expect(OK));
    assert_eq!(paces(&cluster), [Some((Some(5), Some(1000))); 3]);
    cluster.restart(2);
    assert_eq!(paces(&cluster), [Some((Some(5), Some(1000))); 2], "what was set at run time outlives a restart");
    for (broker, key) in [("", slow[0].0), ("1", "log.cleaner.backoff.ms")] {
        assert_eq!(cluster.alter(BROKER, broker, &[(key, DELETE, None)]), expect(OK));
    }
    assert_eq!(paces(&cluster), [Some((Some(900), None)); 2]);
}

#[test]
fn brokers_are_configured_one_by_one_and_together() {
    let mut cluster = Cluster::started(3, &[("log.retention.ms", "1")]);
    let id = cluster.topic("t", 3);
    let retention = |cluster: &Cluster| {
        let (shard, log) = cluster.world.log_of(id, 2);
        cluster.world.brokers[shard].store().settings_of(log).0.retention_ms
    };
    let key = "log.retention.ms";
    for (name, operation, value, expected, acts) in [
        ("1", SET, "2", ("2", 2), 2),
        ("", SET, "3", ("2", 2), 2),
        ("1", DELETE, "", ("3", 3), 3),
        ("", DELETE, "", ("1", 4), 1),
    ] {
        assert_eq!(cluster.alter(BROKER, name, &[(key, operation, Some(value))]), expect(OK));
        let (value, source) = cluster.value(BROKER, "1", key);
        assert_eq!((value.as_str(), source), expected, "{name} {operation}");
        assert_eq!(retention(&cluster), acts, "dynamic per broker, dynamic default, static");
        let topic = cluster.value(TOPIC, "t", "retention.ms");
        assert_eq!((topic.0.parse(), topic.1), (Ok(acts), expected.1));
    }
    assert_eq!(cluster.world.reconfigured, 4, "those outside were told each time");
    let both = [(key, SET, Some("7")), ("max.connections", SET, Some("9"))];
    assert_eq!(cluster.alter(BROKER, "", &both), expect(OK));
    let set: Vec<String> = cluster.described(BROKER, "").iter().map(|config| config.name.to_string()).collect();
    assert_eq!(set, ["max.connections", key]);
    cluster.restart(2);
    assert_eq!((retention(&cluster), cluster.value(BROKER, "1", key)), (7, ("7".to_owned(), 3)));
    assert_eq!(cluster.replace(BROKER, "", &[("log.roll.ms", Some("8"))]), expect(OK));
    assert_eq!((retention(&cluster), cluster.value(BROKER, "", "log.roll.ms")), (1, ("8".to_owned(), 3)));
}

#[test]
fn what_brokers_refuse() {
    let mut cluster = Cluster::started(2, &[]);
    let request = |message| (ErrorCode::InvalidRequest, message);
    let config = |message| (ErrorCode::InvalidConfig, message);
    let good: Step<'_> = ("log.retention.ms", SET, Some("2"));
    let table: [Case<'_>; 9] = [
        (
            BROKER,
            "1",
            &[good, ("num.partitions", SET, Some("2"))],
            request("Cannot update these configs dynamically: [num.partitions]"),
        ),
        (BROKER, "1", &[("num.partitions", DELETE, None)], OK),
        (
            BROKER,
            "",
            &[("listeners", SET, Some("PLAINTEXT://:9"))],
            request("Cannot update these configs at default cluster level, broker id must be specified: [listeners]"),
        ),
        (
            BROKER,
            "1",
            &[("log.retention.ms", SET, Some("x"))],
            request("Invalid value x for configuration log.retention.ms: Not a number of type LONG"),
        ),
        (
            BROKER,
            "1",
            &[("log.retention.ms", APPEND, Some("1"))],
            config("Config value append is not allowed for config key: log.retention.ms"),
        ),
        (BROKER, "2", &[good], request("Unexpected broker id, expected 1, but received 2")),
        (BROKER, "x", &[good], request("Node id must be an integer, but it is: x")),
        (BROKER, "1", &[("log.retention.mss", APPEND, Some("1"))], config("Unknown config name: log.retention.mss")),
        (
            BROKER,
            "1",
            &[("ssl.keystore.location", SET, Some("/k"))],
            request(
                "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.location]",
            ),
        ),
    ];
    for (kind, name, steps, answer) in table {
        assert_eq!(cluster.alter(kind, name, steps), expect(answer), "{name} {steps:?}");
    }
    assert_eq!(cluster.value(BROKER, "1", "log.retention.ms"), ("null".to_owned(), 5), "never half of it");
    let secrets: Vec<_> = cluster.described(BROKER, "1").into_iter().filter(|config| config.is_sensitive).collect();
    assert!(!secrets.is_empty() && secrets.iter().all(|config| config.value.is_none()));
}

#[test]
fn names_that_nobody_knows_are_stored_for_plug_ins_and_shown_like_secrets() {
    let statics = [("my.static", "hidden"), ("listener.name.out.max.connections", "7"), ("my.own", "hidden")];
    let mut cluster = Cluster::started(2, &statics);
    assert_eq!(cluster.alter(BROKER, "1", &[("my.own", SET, Some("hidden")), ("", SET, Some("hidden"))]), expect(OK));
    assert_eq!(cluster.alter(BROKER, "", &[("my.own", SET, Some("hidden"))]), expect(OK));
    let look = |cluster: &mut Cluster, name: &str, key: &str| {
        let configs = cluster.described(BROKER, name);
        assert!(!format!("{configs:?}").contains("hidden"));
        let found = configs.into_iter().find(|config| config.name == key)?;
        let sources: Vec<i8> = found.synonyms.iter().map(|synonym| synonym.source).collect();
        assert!(found.read_only && found.documentation.is_none());
        Some((found.value.map(String::from), found.config_source, found.is_sensitive, found.config_type, sources))
    };
    for round in 0..2 {
        assert_eq!(look(&mut cluster, "1", "my.own"), Some((None, 2, true, 0, vec![2, 3, 4])), "round {round}");
        assert_eq!(look(&mut cluster, "", "my.own"), Some((None, 3, true, 0, vec![3])));
        assert_eq!(look(&mut cluster, "1", ""), Some((None, 2, true, 0, vec![2])));
        assert_eq!(look(&mut cluster, "1", "my.static"), Some((None, 4, true, 0, vec![4])));
        let of_listener = look(&mut cluster, "1", "listener.name.out.max.connections");
        assert_eq!(of_listener, Some((Some("7".to_owned()), 4, false, 3, vec![4, 5])), "like the key it is based on");
        cluster.restart(2);
    }
    assert_eq!(cluster.alter(BROKER, "1", &[("my.own", DELETE, None), ("no.such", DELETE, None)]), expect(OK));
    assert_eq!(look(&mut cluster, "1", "my.own").map(|found| found.1), Some(3));
    assert_eq!(look(&mut cluster, "1", "no.such"), None);
}

#[test]
fn validate_only_writes_nothing_whatever_the_resource() {
    let mut cluster = Cluster::started(2, &[]);
    cluster.topic("t", 1);
    let before = cluster.world.brokers.iter().map(|broker| broker.image().clone()).collect::<Vec<_>>();
    let steps: [(i8, &str, Step<'_>); 7] = [
        (TOPIC, "t", ("retention.ms", SET, Some("1"))),
        (BROKER, "1", ("log.retention.ms", SET, Some("1"))),
        (BROKER, "", ("log.retention.ms", SET, Some("1"))),
        (BROKER, "", ("my.own", SET, Some("1"))),
        (GROUP, "g", ("consumer.session.timeout.ms", SET, Some("50000"))),
        (CLIENT_METRICS, "m", ("interval.ms", SET, Some("100"))),
        (LOGGER, "1", ("root", SET, Some("TRACE"))),
    ];
    let level = cluster.value(LOGGER, "1", "root");
    for (kind, name, step) in steps {
        assert_eq!(cluster.alter_all(&[(kind, name, &[step])], true), [expect(OK)], "{name} {step:?}");
        let mut bad = step;
        bad.2 = Some("no such value");
        if step.0 != "my.own" {
            let refused = cluster.alter_all(&[(kind, name, &[bad])], true);
            assert_ne!(refused[0].0, ErrorCode::None, "a promise that is none: {name} {bad:?}");
        }
    }
    for (broker, before) in cluster.world.brokers.iter().zip(before) {
        assert!(std::sync::Arc::ptr_eq(broker.image(), &before), "not even a new image");
    }
    assert_eq!(cluster.value(LOGGER, "1", "root"), level);
    assert_eq!(cluster.world.reconfigured, 0);
    cluster.restart(2);
    assert_eq!(cluster.overrides("t"), pairs([]));
    assert_eq!(cluster.listed(1, &[GROUP, CLIENT_METRICS]), []);
}

#[test]
fn alterations_at_once_follow_each_other_and_are_answered_in_their_order() {
    let mut cluster = Cluster::started(2, &[]);
    cluster.topic("t", 1);
    let other = cluster.world.connect(0);
    cluster.world.flushes = false;
    let send = |cluster: &mut Cluster, conn: ConnId, steps: &[Step<'_>]| {
        let request =
            IncrementalAlterConfigsRequest { resources: vec![resource(TOPIC, "t", steps)], validate_only: false };
        let frame = Call::new(ApiKey::IncrementalAlterConfigs, 1).frame(|writer, at| request.encode(writer, at));
        (conn, cluster.world.send(conn, frame))
    };
    // None of them is durable while the next one comes, over two connections.
    let conn = cluster.conn;
    let sent = [
        send(&mut cluster, conn, &[("retention.ms", SET, Some("1")), ("cleanup.policy", APPEND, Some("compact"))]),
        send(&mut cluster, other, &[("retention.ms", SET, Some("2")), ("cleanup.policy", SUBTRACT, Some("delete"))]),
        send(&mut cluster, conn, &[("min.compaction.lag.ms", SET, Some("50"))]),
        send(&mut cluster, other, &[("max.compaction.lag.ms", SET, Some("40"))]),
    ];
    cluster.world.run();
    cluster.world.flushes = true;
    cluster.world.run();
    let codes: Vec<i16> = sent
        .iter()
        .map(|(conn, seq)| {
            let outcome = cluster.world.outcome(*conn, *seq).expect("answered");
            let body = body_of(outcome, ApiKey::IncrementalAlterConfigs, 1);
            IncrementalAlterConfigsResponse::decode(&mut Reader::new(body), 1).unwrap().responses[0].error_code
        })
        .collect();
    let invalid = ErrorCode::InvalidConfig.code();
    let set = cluster.overrides("t");
    let value = |key: &str| set.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    // Two connections have no order between them, so each pair may have happened either way round, but whole.
    let last = value("retention.ms").unwrap();
    assert!(["1", "2"].contains(&last.as_str()), "{set:?}");
    assert_eq!(value("cleanup.policy").as_deref(), Some("compact"), "neither step was lost: {set:?}");
    let lags = (value("min.compaction.lag.ms"), value("max.compaction.lag.ms"));
    match &codes[..] {
        [0, 0, 0, code] if *code == invalid => assert_eq!(lags, (Some("50".to_owned()), None)),
        [0, 0, code, 0] if *code == invalid => assert_eq!(lags, (None, Some("40".to_owned()))),
        other => panic!("a conflict of two alterations was not seen: {other:?} {set:?}"),
    }
    cluster.restart(2);
    assert_eq!(cluster.overrides("t"), set);
}

#[test]
fn a_set_value_of_a_secret_is_never_shown() {
    let mut cluster = Cluster::started(1, &[("ssl.keystore.password", "hunter2")]);
    let configs = cluster.described(BROKER, "1");
    let secret = configs.iter().find(|config| config.name == "ssl.keystore.password").unwrap();
    assert_eq!((secret.value.as_deref(), secret.config_source, secret.is_sensitive), (None, 4, true));
    assert!(secret.synonyms.iter().all(|synonym| synonym.value.is_none()));
    assert!(!format!("{configs:?}").contains("hunter2"));
}

#[test]
fn groups_and_client_metrics_are_stored_described_and_listed() {
    let mut cluster = Cluster::started(3, &[("group.consumer.heartbeat.interval.ms", "6000")]);
    let session = "consumer.session.timeout.ms";
    assert_eq!(cluster.alter(GROUP, "g", &[(session, SET, Some("50000"))]), expect(OK));
    let low = "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms";
    let refused = (ErrorCode::InvalidConfig, low);
    assert_eq!(cluster.alter(GROUP, "h", &[(session, SET, Some("1"))]), expect(refused));
    assert_eq!(cluster.alter(CLIENT_METRICS, "m", &[("interval.ms", SET, Some("100"))]), expect(OK));
    let bounds = "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)";
    let refused = cluster.alter(CLIENT_METRICS, "n", &[("interval.ms", SET, Some("99"))]);
    assert_eq!(refused, expect((ErrorCode::InvalidRequest, bounds)));
    for kind in [GROUP, CLIENT_METRICS] {
        assert_eq!(cluster.alter(kind, "", &[]).0, ErrorCode::InvalidRequest, "neither has a default");
    }
    let look = |cluster: &mut Cluster| {
        assert_eq!(cluster.value(GROUP, "g", session), ("50000".to_owned(), 8));
        assert_eq!(cluster.value(GROUP, "g", "consumer.heartbeat.interval.ms"), ("6000".to_owned(), 4));
        assert_eq!(cluster.value(GROUP, "other", session), ("45000".to_owned(), 5));
        assert_eq!(cluster.value(CLIENT_METRICS, "m", "interval.ms"), ("100".to_owned(), 7));
        assert_eq!(cluster.listed(1, &[GROUP, CLIENT_METRICS]), [("g".to_owned(), 32), ("m".to_owned(), 16)]);
        let image = cluster.world.brokers.last().unwrap().image().clone();
        assert_eq!(image.group_number("g", session), Some(50_000));
        assert_eq!(image.group_number("other", session), Some(45_000));
        assert_eq!(image.group_number("other", "consumer.heartbeat.interval.ms"), Some(6_000));
        assert_eq!(image.group_number("g", "no.such.key"), None);
    };
    look(&mut cluster);
    cluster.restart(2);
    look(&mut cluster);
    assert_eq!(cluster.listed(0, &[]), [("m".to_owned(), 16)]);
    assert_eq!(cluster.listed(1, &[]).len(), 4, "the broker and its loggers, too");
    assert_eq!(cluster.replace(GROUP, "g", &[]), expect(OK));
    assert_eq!(cluster.alter(CLIENT_METRICS, "m", &[("interval.ms", DELETE, None)]), expect(OK));
    assert_eq!(cluster.listed(1, &[GROUP, CLIENT_METRICS]), [], "without a value there is no resource");
    let unknown = ListConfigResourcesRequest { resource_types: vec![77] };
    let answer = ask!(cluster, 1, unknown, ListConfigResourcesResponse);
    assert_eq!(answer.error_code, ErrorCode::UnsupportedVersion.code());
}

#[test]
fn loggers_have_levels_until_the_process_ends() {
    let mut cluster = Cluster::started(3, &[]);
    assert_eq!(cluster.value(LOGGER, "1", "root"), ("INFO".to_owned(), 6));
    let steps = [("root", SET, Some("WARN")), ("engine::log", SET, Some("DEBUG"))];
    assert_eq!(cluster.alter_all(&[(LOGGER, "1", &steps)], true), [expect(OK)]);
    assert_eq!(cluster.value(LOGGER, "1", "root").0, "INFO", "validate_only changes nothing");
    assert_eq!(cluster.alter(LOGGER, "1", &steps), expect(OK));
    assert_eq!(cluster.world.loggers.root().name(), "WARN", "those outside were told");
    assert_eq!(cluster.value(LOGGER, "1", "engine::log").0, "DEBUG");
    assert_eq!(cluster.value(LOGGER, "1", "engine").0, "WARN");
    let request = |message| (ErrorCode::InvalidRequest, message);
    let config = |message| (ErrorCode::InvalidConfig, message);
    let level = "Cannot set the log level of root to OFF as it is not a supported log level. Valid log levels are DEBUG, \
                 ERROR, FATAL, INFO, TRACE, WARN";
    let table: [Case<'_>; 7] = [
        (
            LOGGER,
            "1",
            &[("broker", SET, Some("TRACE")), ("nologger", SET, Some("INFO"))],
            config("Logger nologger does not exist!"),
        ),
        (LOGGER, "1", &[("root", SET, Some("OFF"))], config(level)),
        (LOGGER, "1", &[("root", DELETE, None)], request("Removing the log level of the root logger is not allowed")),
        (
            LOGGER,
            "1",
            &[("root", APPEND, Some("INFO"))],
            request("APPEND operation is not allowed for the BROKER_LOGGER resource"),
        ),
        (LOGGER, "2", &[("root", SET, Some("INFO"))], request("Unexpected node id. Expected 1, but received 2")),
        (LOGGER, "", &[("root", SET, Some("INFO"))], request("Node id must be an integer, but it is: ")),
        (LOGGER, "1", &[("engine::log", DELETE, None)], OK),
    ];
    for (kind, name, steps, answer) in table {
        assert_eq!(cluster.alter(kind, name, steps), expect(answer), "{name} {steps:?}");
    }
    assert_eq!(cluster.value(LOGGER, "1", "broker").0, "WARN", "never half of it");
    assert_eq!(cluster.replace(LOGGER, "1", &[("root", Some("INFO"))]), expect(request("Unknown resource type 8")));
}

#[test]
fn brokers_are_unregistered_when_they_are_gone() {
    let mut cluster = Cluster::started(2, &[]);
    for (broker_id, code) in [(9, ErrorCode::BrokerIdNotRegistered), (1, ErrorCode::InvalidRequest)] {
        let answer = ask!(cluster, 0, UnregisterBrokerRequest { broker_id }, UnregisterBrokerResponse);
        assert_eq!(answer.error_code, code.code());
    }
}

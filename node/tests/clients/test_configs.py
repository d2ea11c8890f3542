"""Configurations altered and described by unmodified clients and tools, their effects, and what is refused with which words."""
import re
import time

import pytest

import raw
import servers
from adapters import ALL, STAMP, Record
from raw import APPEND, BROKER, CLIENT_METRICS, DELETE, GROUP, LOGGER, SET, SUBTRACT, TOPIC
from servers import java

BY_NAME = {a.name: a for a in ALL}


def overrides(broker, topic):
    """What is set on the topic itself."""
    described = raw.describe(broker.address, [(TOPIC, topic, None)])[0]
    assert described[2] == 0, described
    return {key: entry["value"] for key, entry in described[4].items() if entry["source"] == 1}


def value(broker, kind, name, key):
    entry = raw.describe(broker.address, [(kind, name, [key])])[0][4][key]
    return entry["value"], entry["source"]


def eventually(look, expected, seconds=10):
    """Kafka's broker follows its controller a moment later; ours has followed when it answers."""
    end = time.monotonic() + seconds
    while (got := look()) != expected and time.monotonic() < end:
        time.sleep(0.05)
    assert got == expected


def until_it_answers(broker, seconds=20):
    """A killed broker's socket may take one more connection before the kernel closes it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return raw.describe(broker.address, [(BROKER, "1", [])])
        except (OSError, AssertionError):
            time.sleep(0.05)
    raise AssertionError(f"no answer within {seconds} s")


def configs(broker, *args, check=True):
    out, err = java("configs", "--bootstrap-server", broker.address, *args, check=check)
    return out + err


def test_kafka_configs_for_topics(broker, topic):
    entity = ("--entity-type", "topics", "--entity-name", topic)
    out = configs(broker, *entity, "--alter", "--add-config", "retention.ms=60000,cleanup.policy=[compact,delete]")
    assert f"Completed updating config for topic {topic}." in out
    eventually(lambda: overrides(broker, topic), {"retention.ms": "60000", "cleanup.policy": "compact,delete"})
    out = configs(broker, *entity, "--describe")
    assert f"Dynamic configs for topic {topic} are:" in out
    assert ("  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, "
            "DEFAULT_CONFIG:log.cleanup.policy=delete}") in out
    assert "  retention.ms=60000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=60000}" in out
    out = configs(broker, *entity, "--describe", "--all")
    assert len(re.findall(r"^  \S+=.* sensitive=false synonyms=\{.*\}$", out, re.M)) == 33, out
    assert "  segment.ms=604800000 sensitive=false synonyms={}" in out
    out = configs(broker, *entity, "--alter", "--delete-config", "cleanup.policy")
    assert f"Completed updating config for topic {topic}." in out
    eventually(lambda: overrides(broker, topic), {"retention.ms": "60000"})
    for given, said in [("retention.ms=x", "Invalid value x for configuration retention.ms: Not a number of type LONG"),
                        ("no.such.key=1", "Unknown topic config name: no.such.key"),
                        ("segment.bytes=1", "Value must be at least 1048576")]:
        assert said in configs(broker, *entity, "--alter", "--add-config", given, check=False)
    assert "doesn't exist" in configs(broker, "--entity-type", "topics", "--entity-name", topic + "-no", "--describe", check=False)
    assert overrides(broker, topic) == {"retention.ms": "60000"}


def test_kafka_configs_for_brokers_groups_and_loggers(broker, topic_name):
    one, every = ("--entity-type", "brokers", "--entity-name", "1"), ("--entity-type", "brokers", "--entity-default")
    try:
        assert "Completed updating config for broker 1." in configs(broker, *one, "--alter", "--add-config", "log.roll.ms=7000000")
        out = configs(broker, *every, "--alter", "--add-config", "log.roll.ms=8000000")
        assert "Completed updating default config for brokers in the cluster." in out
        eventually(lambda: value(broker, BROKER, "1", "log.roll.ms"), ("7000000", 2))
        # Kafka has followed for the broker, and then for its description, a moment later.
        shown = ("  log.roll.ms=7000000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.roll.ms=7000000, "
                 "DYNAMIC_DEFAULT_BROKER_CONFIG:log.roll.ms=8000000, DEFAULT_CONFIG:log.roll.hours=168}")
        eventually(lambda: shown in configs(broker, *one, "--describe"), True)
        assert "  log.roll.ms=8000000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.roll.ms=8000000}" in configs(broker, *every, "--describe")
        out = configs(broker, *one, "--alter", "--add-config", "num.partitions=3", check=False)
        assert "Cannot update these configs dynamically: [num.partitions]" in out
        assert len(re.findall(r"^  \S+=", configs(broker, *one, "--describe", "--all"), re.M)) >= 340
    finally:
        for entity in (one, every):
            configs(broker, *entity, "--alter", "--delete-config", "log.roll.ms")
    group = ("--entity-type", "groups", "--entity-name", topic_name)
    assert f"Completed updating config for group {topic_name}." in configs(broker, *group, "--alter", "--add-config", "consumer.session.timeout.ms=50000")
    eventually(lambda: "consumer.session.timeout.ms=50000" in configs(broker, *group, "--describe"), True)
    out = configs(broker, *group, "--alter", "--add-config", "consumer.session.timeout.ms=1", check=False)
    assert "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms" in out
    loggers = ("--entity-type", "broker-loggers", "--entity-name", "1")
    before = value(broker, LOGGER, "1", "root")[0]
    assert "Completed updating config for broker-logger 1." in configs(broker, *loggers, "--alter", "--add-config", "root=ERROR")
    assert "root=ERROR" in configs(broker, *loggers, "--describe")
    configs(broker, *loggers, "--alter", "--add-config", f"root={before}")


def test_kafka_client_metrics(broker, topic_name):
    at = ("--bootstrap-server", broker.address)
    java("client-metrics", *at, "--alter", "--name", topic_name, "--interval", "5000", "--metrics", "org.apache.kafka.consumer.",
         "--match", "client_id=a.*")
    eventually(lambda: topic_name in java("client-metrics", *at, "--list")[0], True)
    out, _ = java("client-metrics", *at, "--describe", "--name", topic_name)
    assert "interval.ms=5000" in out and "match=client_id=a.*" in out and "metrics=org.apache.kafka.consumer." in out, out
    out, err = java("client-metrics", *at, "--alter", "--name", topic_name, "--interval", "1", check=False)
    assert "interval must be between 100 and 3600000" in out + err
    java("client-metrics", *at, "--delete", "--name", topic_name)
    eventually(lambda: topic_name in java("client-metrics", *at, "--list")[0], False)


def test_kafka_python(broker, topic):
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "70000", "max.message.bytes": "2000"})
        admin.alter_configs([resource])
        eventually(lambda: overrides(broker, topic), {"retention.ms": "70000", "max.message.bytes": "2000"})
        assert topic in str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
    finally:
        admin.close()
    with pytest.raises(Exception):
        BY_NAME["kafka-python"].produce(broker.address, topic, [Record(b"k", bytes(5000))], "none")


def test_confluent(broker, topic):
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
    admin = AdminClient({"bootstrap.servers": broker.address})

    def alter(*entries):
        resource = ConfigResource("topic", topic, incremental_configs=list(entries))
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(20)

    alter(ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND))
    eventually(lambda: overrides(broker, topic), {"cleanup.policy": "delete,compact"})
    alter(ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SUBTRACT),
          ConfigEntry("segment.ms", "60000", incremental_operation=AlterConfigOpType.SET))
    eventually(lambda: overrides(broker, topic), {"cleanup.policy": "compact", "segment.ms": "60000"})
    described = admin.describe_configs([ConfigResource("topic", topic)])
    entries = next(iter(described.values())).result(20)
    assert entries["segment.ms"].value == "60000" and not entries["segment.ms"].is_default
    assert entries["retention.ms"].is_default and not entries["retention.ms"].is_read_only
    with pytest.raises(Exception, match="Value must be at least 1048576"):
        alter(ConfigEntry("segment.bytes", "5", incremental_operation=AlterConfigOpType.SET))


def test_kafkajs_replaces(broker, topic):
    js = BY_NAME["kafkajs"]
    assert js.call("configure", broker.address, topic, '{"retention.ms": "80000", "segment.ms": "90000"}') is not None
    eventually(lambda: overrides(broker, topic), {"retention.ms": "80000", "segment.ms": "90000"})
    js.call("configure", broker.address, topic, '{"retention.ms": "81000"}')
    eventually(lambda: overrides(broker, topic), {"retention.ms": "81000"})


# What is asked, and what Kafka 4.3.1 answers.
REFUSALS = [
    ((TOPIC, "T", [("retention.ms", SET, None), ("segment.ms", SET, None)]), 42, "Null value not supported for : retention.ms, segment.ms"),
    ((TOPIC, "T", [("retention.ms", SET, "1"), ("retention.ms", SET, "2")]), 42, "Error due to duplicate config keys"),
    ((TOPIC, "T", [("retention.ms", APPEND, "1")]), 40, "Can't APPEND to key retention.ms because its type is not LIST."),
    ((TOPIC, "T", [("retention.ms", SET, "1"), ("min.insync.replicas", SET, "0")]), 40, "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1"),
    ((TOPIC, "T", [("cleanup.policy", SET, "shred")]), 40, "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete"),
    ((TOPIC, "T", [("compression.gzip.level", SET, "0")]), 40, "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"),
    ((TOPIC, "T", [("compression.zstd.level", SET, "23")]), 40, "Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22"),
    ((TOPIC, "T", [("preallocate", SET, "yes")]), 40, "Invalid value yes for configuration preallocate: Expected value to be either true or false"),
    ((TOPIC, "T", [("min.compaction.lag.ms", SET, "2"), ("max.compaction.lag.ms", SET, "1")]), 40, "conflict topic config setting min.compaction.lag.ms (2) > max.compaction.lag.ms (1)"),
    ((TOPIC, "T", [("remote.storage.enable", SET, "true")]), 40, "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."),
    ((TOPIC, "T-no", [("retention.ms", SET, "1")]), 3, "The topic 'T-no' does not exist."),
    ((TOPIC, "", [("retention.ms", SET, "1")]), 42, "Default topic resources are not allowed."),
    ((3, "T", []), 42, "Unknown resource type 3"),
    ((BROKER, "2", [("log.retention.ms", SET, "1")]), 42, "Unexpected broker id, expected 1, but received 2"),
    ((BROKER, "x", [("log.retention.ms", SET, "1")]), 42, "Node id must be an integer, but it is: x"),
    ((BROKER, "1", [("log.retention.ms", APPEND, "1")]), 40, "Config value append is not allowed for config key: log.retention.ms"),
    ((BROKER, "", [("listeners", SET, "PLAINTEXT://:9")]), 42, "Cannot update these configs at default cluster level, broker id must be specified: [listeners]"),
    ((GROUP, "T", [("share.session.timeout.ms", SET, "1")]), 40, "share.session.timeout.ms must be greater than or equal to group.share.min.session.timeout.ms"),
    ((GROUP, "T", [("nokey", SET, "1")]), 40, "Unknown group config name: nokey"),
    ((GROUP, "", []), 42, "Default group resources are not allowed."),
    ((CLIENT_METRICS, "T", [("interval.ms", SET, "99")]), 42, "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)"),
    ((CLIENT_METRICS, "T", [("match", SET, "client_id=[a")]), 40, "Illegal client matching pattern: client_id=[a"),
    ((CLIENT_METRICS, "", []), 42, "Subscription name can't be empty"),
    ((LOGGER, "1", [("nologger", SET, "INFO")]), 40, "Logger nologger does not exist!"),
    ((LOGGER, "1", [("root", SET, "OFF")]), 40, "Cannot set the log level of root to OFF as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"),
    ((LOGGER, "1", [("root", DELETE, None)]), 42, "Removing the log level of the root logger is not allowed"),
    ((LOGGER, "2", [("root", SET, "INFO")]), 42, "Unexpected node id. Expected 1, but received 2"),
]


def test_refusals_word_for_word(broker, topic):
    before = overrides(broker, topic)
    for (kind, name, steps), code, message in REFUSALS:
        name, message = name.replace("T", topic), message.replace("T-no", topic + "-no")
        got = raw.incremental(broker.address, [(kind, name, steps)])
        assert got == [(kind, name, code, message)], steps
    twice = [(TOPIC, topic, [("retention.ms", SET, "1")]), (TOPIC, topic, [("segment.ms", SET, "2")])]
    assert [(code, said) for _, _, code, said in raw.incremental(broker.address, twice)] == [(42, "Each resource must appear at most once.")] * 2
    assert raw.replace(broker.address, [(LOGGER, "1", [("root", "INFO")])])[0][2:] == (42, "Unknown resource type 8")
    assert raw.incremental(broker.address, [(TOPIC, topic, [("retention.ms", SET, "5")])], validate_only=True)[0][2] == 0
    assert overrides(broker, topic) == before


def test_resources_are_listed(broker, topic):
    group, metrics = f"{topic}-g", f"{topic}-m"
    raw.incremental(broker.address, [(GROUP, group, [("consumer.session.timeout.ms", SET, "46000")]),
                                     (CLIENT_METRICS, metrics, [("interval.ms", SET, "100")])])
    eventually(lambda: (metrics, CLIENT_METRICS) in raw.list_resources(broker.address)[1], True)
    code, found = raw.list_resources(broker.address, [])
    assert code == 0 and {(group, GROUP), (metrics, CLIENT_METRICS), (topic, TOPIC), ("1", BROKER), ("1", LOGGER)} <= set(found)
    assert set(raw.list_resources(broker.address, [BROKER])[1]) == {("1", BROKER)}
    assert raw.list_resources(broker.address, [77]) == (35, [])
    assert raw.unregister(broker.address, 99) == (102, "Broker ID 99 is not currently registered")
    raw.replace(broker.address, [(GROUP, group, []), (CLIENT_METRICS, metrics, [])])
    eventually(lambda: {name for name, _ in raw.list_resources(broker.address, [])[1]} & {group, metrics}, set())


@pytest.fixture
def quick(request):
    """A broker that looks for segments to delete all the time, with its own data."""
    often = ["log.retention.check.interval.ms=100", "log.initial.task.delay.ms=0"]
    if request.config.getoption("--against") == "kafka":
        server = servers.Kafka(often)
    else:
        server = servers.Ringlog([part for setting in often for part in ("--override", setting)])
    yield server
    server.stop()


def earliest(broker, topic):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "looks"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)[0]
    finally:
        consumer.close()


def test_retention_takes_effect_at_once_and_outlives_a_restart(quick, topic_name):
    from conftest import make_topic
    make_topic(quick, topic_name, 1, {"segment.bytes": "1048576"})
    records = [Record(b"k", bytes(100_000), [], STAMP + i, 0) for i in range(40)]
    BY_NAME["kafka-python"].produce(quick.address, topic_name, records, "none")
    assert earliest(quick, topic_name) == 0
    steps = [("retention.bytes", SET, "1500000"), ("file.delete.delay.ms", SET, "0")]
    assert raw.incremental(quick.address, [(TOPIC, topic_name, steps)])[0][2] == 0
    eventually(lambda: earliest(quick, topic_name) > 0, True, 20)
    quick.terminate()
    quick.start()
    expected = {"segment.bytes": "1048576", "retention.bytes": "1500000", "file.delete.delay.ms": "0"}
    eventually(lambda: overrides(quick, topic_name), expected)
    start = earliest(quick, topic_name)
    assert start > 0
    assert raw.incremental(quick.address, [(TOPIC, topic_name, [("retention.ms", SET, "1"), ("retention.bytes", DELETE, None)])])[0][2] == 0
    eventually(lambda: earliest(quick, topic_name) == 40, True, 20)


def test_batches_are_rebuilt_as_the_topic_says(broker, topic):
    """compression.type and message.timestamp.type count from the next batch on."""
    js = BY_NAME["confluent-kafka"]

    def stored(index):
        js.produce(broker.address, topic, [Record(b"k", bytes(2000), [], STAMP, 0)], "none")
        got = js.consume(broker.address, topic, index + 1)
        return sorted(got, key=lambda record: record.timestamp)

    assert stored(0)[0].timestamp == STAMP
    raw.incremental(broker.address, [(TOPIC, topic, [("message.timestamp.type", SET, "LogAppendTime"), ("compression.type", SET, "zstd")])])
    eventually(lambda: len(overrides(broker, topic)), 2)
    stamps = [record.timestamp for record in stored(1)]
    assert stamps[0] == STAMP and abs(stamps[1] - time.time() * 1000) < 60_000


@pytest.mark.ours
def test_what_is_acknowledged_outlives_a_kill():
    broker = servers.Ringlog()
    try:
        from conftest import make_topic
        make_topic(broker, "t", 2)
        for number in range(20):
            answer = raw.incremental(broker.address, [(TOPIC, "t", [("retention.ms", SET, str(number)), ("segment.ms", SET, str(number + 1))]),
                                                      (GROUP, "g", [("consumer.session.timeout.ms", SET, str(45000 + number))]),
                                                      (BROKER, "", [("log.roll.ms", SET, str(number + 1))])])
            assert [code for _, _, code, _ in answer] == [0, 0, 0]
            if number % 5 == 4:
                broker.kill()
                broker.start()
                until_it_answers(broker)
            assert overrides(broker, "t") == {"retention.ms": str(number), "segment.ms": str(number + 1)}
            assert value(broker, GROUP, "g", "consumer.session.timeout.ms") == (str(45000 + number), 8)
            assert value(broker, BROKER, "1", "log.roll.ms") == (str(number + 1), 3)
    finally:
        broker.stop()


@pytest.mark.ours
def test_connections_and_log_levels_follow_at_once():
    import socket
    broker = servers.Ringlog()
    try:
        def opened(count):
            sockets = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(count)]
            time.sleep(0.3)
            for sock in sockets:
                sock.setblocking(False)
            closed = 0
            for sock in sockets:
                try:
                    closed += sock.recv(1) == b""
                except BlockingIOError:
                    pass
                sock.close()
            return closed

        assert opened(12) == 0
        assert raw.incremental(broker.address, [(BROKER, "1", [("max.connections", SET, "5")])])[0][2] == 0
        eventually(lambda: opened(12) >= 7, True)
        assert raw.incremental(broker.address, [(BROKER, "1", [("max.connections", DELETE, None)])])[0][2] == 0
        eventually(lambda: opened(12), 0)
        size = broker.log_path.stat().st_size
        raw.incremental(broker.address, [(LOGGER, "1", [("engine", SET, "TRACE"), ("broker", SET, "DEBUG"), ("node", SET, "DEBUG")])])
        eventually(lambda: broker.log_path.read_text()[size:].count("what is logged was changed by a client"), 1)
        raw.incremental(broker.address, [(LOGGER, "1", [("root", SET, "FATAL"), ("engine", DELETE, None), ("broker", DELETE, None), ("node", DELETE, None)])])
        time.sleep(0.3)
        size = broker.log_path.stat().st_size
        opened(3)
        assert broker.log_path.read_text()[size:] == "", "nothing is said any more"
    finally:
        broker.stop()

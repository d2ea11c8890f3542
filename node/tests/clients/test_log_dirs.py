"""Several log directories: Kafka's kafka-log-dirs.sh and kafka-python's admin, against ours and Kafka itself."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition, TopicPartitionReplica
from kafka.admin import KafkaAdminClient

import servers
from conftest import make_topic
from servers import java


class RinglogDirs(servers.Ringlog):
    """Ringlog with the folders of `dirs` instead of one."""

    def __init__(self, dirs, extra=()):
        self.dirs = dirs
        super().__init__(extra)

    def start(self):
        self.log = open(self.folder.parent / (self.folder.name + ".log"), "ab")
        listed = ",".join(map(str, self.dirs))
        command = [self.binary, "start", "--listen", f"127.0.0.1:{self.port}", "--io", self.io,
                   "--override", f"log.dirs={listed}", *self.extra]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        servers.wait_for_port(self.port, self.process, 20)


@pytest.fixture(scope="module")
def two(request):
    """A broker with two directories, and these."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="log-dirs-"))
    dirs = [home / "a", home / "b"]
    if request.config.getoption("--against") == "kafka":
        server = servers.Kafka([f"log.dirs={dirs[0]},{dirs[1]}"])
    else:
        server = RinglogDirs(dirs)
    yield server, [str(path) for path in dirs]
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


def described(server, topic):
    """What kafka-log-dirs.sh says of a topic: {directory: {partition: (size, lag, is future)}}, and errors by directory."""
    out, _ = java("log-dirs", "--bootstrap-server", server.address, "--describe", "--topic-list", topic)
    line = next(line for line in out.splitlines() if line.startswith("{"))
    (broker,) = json.loads(line)["brokers"]
    dirs, errors = {}, {}
    for one in broker["logDirs"]:
        replicas = {int(p["partition"].rsplit("-", 1)[1]): (p["size"], p["offsetLag"], p["isFuture"]) for p in one["partitions"]}
        dirs[one["logDir"]], errors[one["logDir"]] = replicas, one["error"]
    return dirs, errors


def alter(server, moves):
    """Error name by (topic, partition)."""
    admin = KafkaAdminClient(bootstrap_servers=server.address)
    try:
        wanted = {TopicPartitionReplica(topic, partition, 1): path for (topic, partition), path in moves.items()}
        answers = admin.alter_replica_log_dirs(wanted)
    finally:
        admin.close()
    return {(replica.topic, replica.partition): error.__name__ for replica, error in answers.items()}


def fill(server, topic, partitions, records, size=2000):
    producer = KafkaProducer(bootstrap_servers=server.address, linger_ms=5)
    for n in range(records):
        producer.send(topic, b"%06d" % n + b"x" * size, partition=n % partitions)
    producer.flush()
    producer.close()


def everything(server, topic, partition):
    consumer = KafkaConsumer(bootstrap_servers=server.address, consumer_timeout_ms=5000)
    at = TopicPartition(topic, partition)
    consumer.assign([at])
    consumer.seek_to_beginning(at)
    end = consumer.end_offsets([at])[at]
    values = []
    while consumer.position(at) < end:
        for records in consumer.poll(2000).values():
            values += [int(record.value[:6]) for record in records]
    consumer.close()
    return values


def test_partitions_spread_and_are_listed(two, topic_name):
    server, dirs = two
    make_topic(server, topic_name, 6)
    fill(server, topic_name, 6, 60)
    listed, errors = described(server, topic_name)
    assert sorted(listed) == sorted(dirs) and set(errors.values()) == {None}
    assert all(len(replicas) >= 1 for replicas in listed.values()), listed
    assert sorted(p for replicas in listed.values() for p in replicas) == list(range(6))
    for path, replicas in listed.items():
        for partition, (size, lag, is_future) in replicas.items():
            segment = pathlib.Path(path) / f"{topic_name}-{partition}" / ("0" * 20 + ".log")
            assert size > 20_000 and (lag, is_future) == (0, False) and segment.exists()


def test_a_replica_moves_with_its_records(two, topic_name):
    server, dirs = two
    make_topic(server, topic_name, 1)
    fill(server, topic_name, 1, 1000)
    before, _ = described(server, topic_name)
    (source,) = [path for path, replicas in before.items() if replicas]
    (target,) = [path for path in dirs if path != source]
    assert alter(server, {(topic_name, 0): target}) == {(topic_name, 0): "NoError"}
    fill(server, topic_name, 1, 500)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        after, _ = described(server, topic_name)
        if not after[source]:
            break
    assert after[source] == {} and after[target][0][1:] == (0, False), after
    assert (pathlib.Path(target) / f"{topic_name}-0").is_dir()
    assert not (pathlib.Path(source) / f"{topic_name}-0").exists()
    assert everything(server, topic_name, 0) == [*range(1000), *range(500)]
    assert alter(server, {(topic_name, 0): target}) == {(topic_name, 0): "NoError"}


def test_what_cannot_be_moved(two, topic_name):
    server, dirs = two
    make_topic(server, topic_name, 1)
    answers = alter(server, {(topic_name, 0): "/nowhere", (topic_name, 7): dirs[1], (topic_name + "-none", 0): dirs[1]})
    assert answers == {
        (topic_name, 0): "LogDirNotFoundError",
        (topic_name, 7): "UnknownTopicOrPartitionError",
        (topic_name + "-none", 0): "UnknownTopicOrPartitionError",
    }


def test_a_wish_for_a_partition_to_come(two, topic_name):
    server, dirs = two
    for n, path in enumerate([dirs[1], dirs[1], dirs[0], dirs[0]]):
        name = f"{topic_name}-{n}"
        assert alter(server, {(name, 0): path}) == {(name, 0): "UnknownTopicOrPartitionError"}
        make_topic(server, name, 1)
        fill(server, name, 1, 1)
        listed, _ = described(server, name)
        assert list(listed[path]) == [0], (listed, path)


def test_producers_of_a_partition(broker, topic):
    """kafka-transactions.sh describe-producers, which needs no transactions."""
    producer = KafkaProducer(bootstrap_servers=broker.address, enable_idempotence=True, acks="all")
    for n in range(5):
        producer.send(topic, b"%d" % n, partition=1).get(30)
    producer.close()
    out, _ = java("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", broker.address,
                  "describe-producers", "--topic", topic, "--partition", 1)
    head, line = [row.split("\t") for row in out.splitlines() if row.strip()]
    row = {key.strip(): value.strip() for key, value in zip(head, line)}
    assert (row["ProducerEpoch"], row["LatestCoordinatorEpoch"], row["LastSequence"]) == ("0", "-1", "4"), out
    assert row["CurrentTransactionStartOffset"] == "None" and int(row["LastTimestamp"]) > 0, out
    out, err = java("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", broker.address,
                    "describe-producers", "--topic", topic, "--partition", 0)
    assert [row for row in out.splitlines() if row.strip()][1:] == [], out

"""A data folder that Kafka 4.3.1 wrote opens here, whether Kafka stopped or was killed: the same topics under the same ids,
every record, time look-ups, moved starts, committed offsets; and Kafka reads what was appended. Without this, moving from
Kafka would mean copying every record, and nobody could move back.
"""
import random
import re
import shutil
import time
from dataclasses import dataclass, field

import pytest

import servers
from adapters import CODECS, STAMP
from conftest import make_topic
from servers import java

pytestmark = pytest.mark.ours

GROUP = "movers"
PLAIN, ROLLED, TRIMMED = "plain", "rolled.segments", "trimmed-start"
TOPICS = [PLAIN, ROLLED, TRIMMED]
TRIMMED_TO = 40


@dataclass
class Contents:
    """What a broker serves, so that two of them can be compared."""

    cluster_id: str
    topic_ids: dict
    records: dict = field(default_factory=dict)
    starts: dict = field(default_factory=dict)
    by_time: dict = field(default_factory=dict)
    committed: dict = field(default_factory=dict)


def produce(address, topic, records, codec="none", **settings):
    """Sends (partition, key, value, headers, timestamp); returns their offsets."""
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": address, "compression.type": codec, "acks": "all", "linger.ms": 5,
                         "enable.idempotence": True, "batch.num.messages": 50, **settings})
    places = []

    def landed(error, message):
        assert error is None, error
        places.append(message.offset())
    for partition, key, value, headers, stamp in records:
        while True:
            try:
                producer.produce(topic, key=key, value=value, headers=headers, timestamp=stamp, partition=partition, on_delivery=landed)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    return places


def fill(kafka, trimmed):
    make_topic(kafka, PLAIN, 3)
    make_topic(kafka, ROLLED, 1, {"segment.bytes": "1048576"})
    make_topic(kafka, TRIMMED, 1)
    for at, codec in enumerate(CODECS):
        produce(kafka.address, PLAIN, [
            (n % 3, None if n % 7 == 0 else b"key-%d" % n, None if n % 11 == 5 else b"%s %d" % (codec.encode(), n) * 20,
             [("h", b"1"), ("h", b"%d" % n), ("empty", None)] if n % 2 else None, STAMP + 1000 * at + n) for n in range(90)], codec)
    rng = random.Random(1)
    # Timestamps that go back now and then, as those of clients do.
    produce(kafka.address, ROLLED, [(0, b"%d" % n, rng.randbytes(4000), None, STAMP + n * 10 - (n % 5) * 7) for n in range(1200)])
    produce(kafka.address, TRIMMED, [(0, None, b"%d" % n, None, STAMP + n) for n in range(100)])
    if trimmed:
        trim(kafka.address)
    commit(kafka.address, {(PLAIN, 0): 17, (PLAIN, 2): 3, (ROLLED, 0): 1000})
    commit(kafka.address, {(PLAIN, 0): 21})


def trim(address):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.delete_records([TopicPartition(TRIMMED, 0, TRIMMED_TO)]).values():
        assert future.result().low_watermark == TRIMMED_TO


def consumer(address):
    from confluent_kafka import Consumer
    return Consumer({"bootstrap.servers": address, "group.id": GROUP, "enable.auto.commit": False, "auto.offset.reset": "error"})


def commit(address, offsets):
    from confluent_kafka import TopicPartition
    c = consumer(address)
    c.commit(offsets=[TopicPartition(t, p, o, metadata=f"at {o}") for (t, p), o in offsets.items()], asynchronous=False)
    c.close()


def contents(address):
    from confluent_kafka import TopicCollection, TopicPartition
    from confluent_kafka.admin import AdminClient
    admin = AdminClient({"bootstrap.servers": address})
    described = admin.describe_topics(TopicCollection([*TOPICS, "__consumer_offsets"]))
    ids = {name: str(future.result().topic_id) for name, future in described.items()}
    found = Contents(admin.describe_cluster().result().cluster_id, ids)
    c = consumer(address)
    places = [TopicPartition(t, p) for t in TOPICS for p in range(3 if t == PLAIN else 1)]
    for place in places:
        key = (place.topic, place.partition)
        low, high = watermarks(c, place)
        found.starts[key] = low
        found.records[key] = read(c, place, low, high)
        stamps = [r[-1] for r in found.records[key]]
        asked = sorted({0, *stamps[::97], *(s + 1 for s in stamps[::53]), max(stamps), max(stamps) + 1})
        answers = c.offsets_for_times([TopicPartition(*key, asked[0])], timeout=30)
        found.by_time[key] = [c.offsets_for_times([TopicPartition(*key, at)], timeout=30)[0].offset for at in asked]
        assert found.by_time[key][0] == answers[0].offset
    for answer in c.committed(places, timeout=60):
        found.committed[(answer.topic, answer.partition)] = (answer.offset, answer.metadata)
    c.close()
    return found


def watermarks(c, place):
    """Asked again where needed: after a restart, Kafka listens a while before it leads its partitions."""
    from confluent_kafka import KafkaError, KafkaException
    deadline = time.monotonic() + 30
    while True:
        try:
            return c.get_watermark_offsets(place, timeout=30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def read(c, place, low, high):
    from confluent_kafka import TopicPartition
    c.assign([TopicPartition(place.topic, place.partition, low)])
    got, deadline = [], time.monotonic() + 60
    while not got or got[-1][0] < high - 1:
        assert time.monotonic() < deadline, (place, low, high, len(got))
        for m in c.consume(1000, 0.5):
            assert m.error() is None, m.error()
            got.append((m.offset(), m.key(), m.value(), m.headers(), m.timestamp()[1]))
    c.unassign()
    return got


def assert_same(found, expected):
    assert found.cluster_id == expected.cluster_id
    assert found.topic_ids == expected.topic_ids
    assert found.starts == expected.starts
    for place, records in expected.records.items():
        assert found.records[place] == records, place
    assert found.by_time == expected.by_time
    assert found.committed == expected.committed


def expect_appended(expected, address):
    """Appends everywhere, and notes what must be there then."""
    for place, records in expected.records.items():
        end = records[-1][0] + 1
        new = [(place[1], b"new", b"%d" % n * 30, [("by", b"ringlog")], STAMP + 100_000 + end + n) for n in range(20)]
        assert produce(address, place[0], new) == list(range(end, end + 20)), place
        records += [(end + n, key, value, headers, stamp) for n, (_, key, value, headers, stamp) in enumerate(new)]


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_kafkas_folder_is_served_and_given_back(end):
    kafka = servers.Kafka(["offsets.topic.num.partitions=5"])
    ringlog = None
    try:
        # Kafka writes starts down when it stops and, from half a minute on, now and then: killed, it forgets them itself.
        fill(kafka, trimmed=end == "stopped")
        before = contents(kafka.address)
        assert before.starts[(TRIMMED, 0)] == (TRIMMED_TO if end == "stopped" else 0)
        assert before.committed[(PLAIN, 0)] == (21, "at 21")
        kafka.terminate() if end == "stopped" else kafka.kill()
        data = kafka.folder / "data"
        segments = sorted((data / f"{ROLLED}-0").glob("*.log"))
        assert len(segments) >= 4, segments

        ringlog = servers.Ringlog(data=data)
        assert_same(contents(ringlog.address), before)
        expect_appended(before, ringlog.address)
        commit(ringlog.address, {(PLAIN, 1): 5, (PLAIN, 0): 40})
        before.committed.update({(PLAIN, 1): (5, "at 5"), (PLAIN, 0): (40, "at 40")})
        after = contents(ringlog.address)
        # Answers to times above all that were known have changed; the others have not.
        before.by_time = after.by_time
        assert_same(after, before)

        assert ringlog.terminate() == 0
        ringlog.start()
        assert_same(contents(ringlog.address), before)
        ringlog.kill()
        ringlog.start()
        assert_same(contents(ringlog.address), before)
        assert ringlog.terminate() == 0
        kafkas_dump_log_reads_all(data)

        # Kafka takes every folder there for a partition; without ours it is Kafka's again.
        shutil.rmtree(data / ".ringlog")
        kafka.start()
        assert_same(contents(kafka.address), before)
    finally:
        if ringlog:
            ringlog.stop()
        kafka.stop()


def kafkas_dump_log_reads_all(data):
    folders = [f for f in data.iterdir() if re.search(r"-\d+$", f.name) and not f.name.startswith("__cluster_metadata")]
    segments = sorted(s for f in folders for s in f.glob("*.log"))
    out, err = java("dump-log", "--files", ",".join(map(str, segments)), "--deep-iteration")
    assert "isvalid: false" not in out and "Found" not in out + err and "Exception" not in err, out[-2000:] + err
    assert out.count("Dumping ") == len(segments)

"""A compacted topic through real clients: the last value of each key stays at its offset, deleted keys go in time, every
library reads across the gaps, Kafka's own dump-log takes the files, and a SIGKILL in the middle loses nothing."""
import pathlib
import random
import subprocess
import time

import pytest

import servers

# Makes compaction happen while we look: small segments, a pass as soon as anything is dirty.
CONFIGS = {"cleanup.policy": "compact", "segment.ms": "500", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01",
           "delete.retention.ms": "1000"}
OFTEN = ["--override", "log.cleaner.backoff.ms=100"]


@pytest.fixture
def cleaner(request):
    """A broker whose cleaner looks often."""
    against_kafka = request.config.getoption("--against") == "kafka"
    server = servers.Kafka(["log.cleaner.backoff.ms=100"]) if against_kafka else servers.Ringlog(OFTEN)
    yield server
    server.stop()


def make_topic(broker, name, **configs):
    from kafka.admin import KafkaAdminClient, NewTopic
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        admin.create_topics([NewTopic(name, 1, 1, topic_configs={**CONFIGS, **configs})])
    finally:
        admin.close()


def producer(broker, **options):
    from kafka import KafkaProducer
    return KafkaProducer(bootstrap_servers=broker.address, acks="all", retries=5, **options)


def write(broker, topic, rounds, keys, value_bytes=200, first=0, **options):
    """`rounds` versions of each key; returns offset and value of the last version of each."""
    last = {}
    sender = producer(broker, **options)
    for version in range(first, first + rounds):
        sent = []
        for key in range(keys):
            value = f"{version}:{key}:".encode().ljust(value_bytes, b".")
            sent.append((key, value, sender.send(topic, key=f"k{key}".encode(), value=value)))
        for key, value, future in sent:
            last[f"k{key}".encode()] = (future.get(30).offset, value)
    sender.flush()
    sender.close()
    return last


def push_out(broker, topic):
    """Rolls the active segment twice, so that what was written before can be compacted."""
    for _ in range(2):
        time.sleep(0.6)
        sender = producer(broker)
        for _ in range(2):
            sender.send(topic, key=b"roll", value=b"x").get(30)
        sender.close()


def read(broker, topic):
    """(offset, key, value) of everything, from the beginning."""
    from kafka import KafkaConsumer, TopicPartition
    consumer = KafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest", enable_auto_commit=False)
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    end = consumer.end_offsets([place])[place]
    consumer.seek_to_beginning(place)
    found = []
    deadline = time.monotonic() + 60
    while consumer.position(place) < end:
        assert time.monotonic() < deadline, f"stuck at {consumer.position(place)} of {end}"
        for records in consumer.poll(500).values():
            found += [(r.offset, r.key, r.value) for r in records]
    consumer.close()
    return found


def wait_until(broker, topic, ready, what, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        found = read(broker, topic)
        if ready(found):
            return found
        assert time.monotonic() < deadline, f"not {what} after {seconds} s: {len(found)} records"
        time.sleep(0.3)


def is_compacted(keys):
    """True when each key but the one that rolls segments is there once."""
    def ready(found):
        seen = [key for _, key, _ in found if key != b"roll"]
        return len(seen) == len(set(seen)) == keys
    return ready


def check_last(found, last):
    by_key = {key: (offset, value) for offset, key, value in found if key != b"roll"}
    assert by_key == last
    offsets = [offset for offset, _, _ in found]
    assert offsets == sorted(set(offsets))


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
def test_last_values_stay_where_they_were(cleaner, topic_name, compression):
    make_topic(cleaner, topic_name)
    last = write(cleaner, topic_name, rounds=30, keys=40, compression_type=compression, linger_ms=5)
    push_out(cleaner, topic_name)
    found = wait_until(cleaner, topic_name, is_compacted(40), "compacted")
    check_last(found, last)


def test_java_console_tools_with_keys(cleaner, topic_name):
    make_topic(cleaner, topic_name)
    lines = "".join(f"key{n % 7}|value {n}\n" for n in range(700))
    servers.java("console-producer", "--bootstrap-server", cleaner.address, "--topic", topic_name,
                 "--property", "parse.key=true", "--property", "key.separator=|", stdin=lines)
    push_out(cleaner, topic_name)
    found = wait_until(cleaner, topic_name, is_compacted(7), "compacted")
    out, _ = servers.java("console-consumer", "--bootstrap-server", cleaner.address, "--topic", topic_name, "--from-beginning",
                          "--property", "print.key=true", "--property", "print.offset=true",
                          "--max-messages", len(found), "--timeout-ms", "60000")
    seen = [line.split("\t") for line in out.splitlines() if "key" in line]
    assert seen == [[f"Offset:{693 + n}", f"key{(693 + n) % 7}", f"value {693 + n}"] for n in range(7)]


def test_every_library_reads_across_the_gaps(cleaner, topic_name):
    make_topic(cleaner, topic_name)
    last = write(cleaner, topic_name, rounds=20, keys=30)
    push_out(cleaner, topic_name)
    found = wait_until(cleaner, topic_name, is_compacted(30), "compacted")
    expected = [(offset, key) for offset, key, _ in found]
    kcat = subprocess.run(["kcat", "-C", "-b", cleaner.address, "-t", topic_name, "-o", "beginning", "-e", "-q", "-f", "%o %k\n"],
                          capture_output=True, text=True, timeout=60, check=True)
    assert [(int(o), k.encode()) for o, k in (line.split() for line in kcat.stdout.splitlines())] == expected

    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": cleaner.address, "group.id": "any", "enable.partition.eof": True})
    # From within the gap.
    middle = last[b"k0"][0] - 5
    consumer.assign([TopicPartition(topic_name, 0, middle)])
    got, deadline = [], time.monotonic() + 60
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and message.error():
            break
        if message is not None:
            got.append((message.offset(), message.key()))
    consumer.close()
    assert got == [(offset, key) for offset, key in expected if offset >= middle]

    import asyncio
    from aiokafka import AIOKafkaConsumer
    from aiokafka import TopicPartition as AioPartition

    async def aio():
        consumer = AIOKafkaConsumer(bootstrap_servers=cleaner.address, auto_offset_reset="earliest")
        await consumer.start()
        consumer.assign([AioPartition(topic_name, 0)])
        await consumer.seek_to_beginning()
        got = []
        try:
            while len(got) < len(expected):
                message = await asyncio.wait_for(consumer.getone(), 60)
                got.append((message.offset, message.key))
        finally:
            await consumer.stop()
        return got

    assert asyncio.run(aio()) == expected


def test_tombstones_go_after_their_retention(cleaner, topic_name):
    make_topic(cleaner, topic_name, **{"delete.retention.ms": "15000"})
    write(cleaner, topic_name, rounds=5, keys=10)
    sender = producer(cleaner)
    for key in range(0, 10, 2):
        sender.send(topic_name, key=f"k{key}".encode(), value=None).get(30)
    sender.close()
    push_out(cleaner, topic_name)
    found = wait_until(cleaner, topic_name, is_compacted(10), "compacted with its tombstones")
    assert {key for _, key, value in found if value is None} == {f"k{key}".encode() for key in range(0, 10, 2)}
    deadline = time.monotonic() + 60
    while True:
        # Only what is new makes a pass worth it.
        push_out(cleaner, topic_name)
        found = read(cleaner, topic_name)
        left = {key for _, key, _ in found if key != b"roll"}
        if left == {f"k{key}".encode() for key in range(1, 10, 2)}:
            break
        assert time.monotonic() < deadline, f"tombstones are still there: {found}"


def test_records_without_a_key_are_refused(cleaner, topic_name):
    from kafka.errors import InvalidRecordError, KafkaError
    make_topic(cleaner, topic_name)
    sender = producer(cleaner)
    with pytest.raises(KafkaError) as refused:
        sender.send(topic_name, value=b"no key").get(30)
    assert isinstance(refused.value, InvalidRecordError) or "InvalidRecord" in repr(refused.value)
    sender.close()


def test_a_policy_that_is_changed_takes_effect(cleaner, topic_name):
    make_topic(cleaner, topic_name, **{"cleanup.policy": "delete"})
    last = write(cleaner, topic_name, rounds=10, keys=10)
    push_out(cleaner, topic_name)
    time.sleep(1)
    assert len([1 for _, key, _ in read(cleaner, topic_name) if key != b"roll"]) == 100
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
    admin = AdminClient({"bootstrap.servers": cleaner.address})
    entry = ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic_name, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)
    push_out(cleaner, topic_name)
    check_last(wait_until(cleaner, topic_name, is_compacted(10), "compacted"), last)


@pytest.mark.ours
def test_kafkas_dump_log_reads_what_is_left(cleaner, topic_name):
    make_topic(cleaner, topic_name)
    write(cleaner, topic_name, rounds=20, keys=20)
    push_out(cleaner, topic_name)
    found = wait_until(cleaner, topic_name, is_compacted(20), "compacted")
    assert cleaner.terminate() == 0
    files = sorted((cleaner.folder / f"{topic_name}-0").glob("*.log"))
    out, err = servers.java("dump-log", "--print-data-log", "--files", ",".join(map(str, files)))
    offsets = [int(line.split("offset: ")[1].split()[0]) for line in out.splitlines() if line.startswith("| offset")]
    assert offsets == [offset for offset, _, _ in found]
    assert "isvalid: true" in out and "isvalid: false" not in out, out
    assert "Could not" not in err and "corrupt" not in err.lower(), err
    binary = pathlib.Path(cleaner.binary)
    verified = subprocess.run([binary, "verify", cleaner.folder], capture_output=True, text=True, timeout=60)
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.ours
def test_committed_offsets_survive_their_compaction(cleaner, topic_name):
    """`__consumer_offsets` is compacted too, and loading it goes across the gaps."""
    from kafka import KafkaConsumer, TopicPartition
    from kafka.structs import OffsetAndMetadata
    cleaner.stop()
    server = servers.Ringlog([*OFTEN, "--override", "log.roll.ms=300", "--override",
                              "log.cleaner.min.cleanable.ratio=0.01", "--override", "offsets.topic.num.partitions=1"])
    try:
        make_topic(server, topic_name)
        write(server, topic_name, rounds=1, keys=500)
        place = TopicPartition(topic_name, 0)
        consumers = {group: KafkaConsumer(bootstrap_servers=server.address, group_id=group, enable_auto_commit=False)
                     for group in ("a", "b", "c")}
        for at in range(1, 120):
            for group, consumer in consumers.items():
                if at == 1:
                    consumer.assign([place])
                if group != "c" or at < 10:
                    consumer.commit({place: OffsetAndMetadata(at, "", -1)})
            time.sleep(0.01)
        for consumer in consumers.values():
            consumer.close()
        folder = server.folder / "__consumer_offsets-0"
        deadline = time.monotonic() + 30
        while not (folder / "ringlog.compacted").exists():
            assert time.monotonic() < deadline, list(folder.iterdir())
            time.sleep(0.2)
        server.kill()
        server.start()
        for group, expected in (("a", 119), ("b", 119), ("c", 9)):
            consumer = KafkaConsumer(bootstrap_servers=server.address, group_id=group, enable_auto_commit=False)
            assert consumer.committed(place) == expected, group
            consumer.close()
    finally:
        server.stop()


@pytest.mark.ours
def test_sigkill_while_compacting_loses_nothing(cleaner, topic_name):
    make_topic(cleaner, topic_name, **{"segment.ms": "100"})
    rng = random.Random(7)
    last = {}
    passes = 0
    for life in range(8):
        # Many keys, so that a pass takes a while, and a kill at any moment of one.
        last.update(write(cleaner, topic_name, rounds=3, keys=600, first=3 * life))
        time.sleep(rng.random() * 0.4)
        cleaner.kill()
        passes += (cleaner.folder / f"{topic_name}-0" / "ringlog.compacted").exists()
        cleaner.start()
        by_key = {}
        for offset, key, value in read(cleaner, topic_name):
            by_key[key] = (offset, value)
        assert {key: at for key, at in by_key.items() if key != b"roll"} == last, f"life {life}"
    assert passes >= 6, "compaction was under way"
    push_out(cleaner, topic_name)
    check_last(wait_until(cleaner, topic_name, is_compacted(600), "compacted"), last)

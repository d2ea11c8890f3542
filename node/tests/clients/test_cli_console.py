"""kafka-console-producer and kafka-console-consumer of ours beside Kafka's own: the same records from the same input, the same
lines from the same records; as members of groups together; and what happens on Ctrl-C."""
import base64
import json
import os
import signal
import subprocess
import time

import pytest

import servers
from conftest import make_topic
from ours import Running, command, described, ours, wait_for
from servers import java, java_command, TOOLS

TYPED = b"h1:a,h2:b\tk1\tv1\nh1:NULL\tk2\tNULL\nNULL\tNULL\tv3\nh1:x,h1:y\tk4\t\nh:\tk5\tv\twith\ttabs\n"
READER = [f for p in ("parse.key=true", "parse.headers=true", "null.marker=NULL") for f in ("--reader-property", p)]


def read(broker, topic, count, seconds=20):
    """Everything in the topic, as (partition, offset, key, value, headers)."""
    from kafka import KafkaConsumer
    consumer = KafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest", group_id=None)
    got, end = [], time.monotonic() + seconds
    while len(got) < count and time.monotonic() < end:
        for batch in consumer.poll(timeout_ms=300).values():
            got += [(m.partition, m.offset, m.key, m.value, tuple(m.headers)) for m in batch]
    consumer.close()
    return sorted(got, key=lambda r: r[:2])


def produce(broker, topic, lines, *more, code=0, timeout=60):
    return ours("kafka-console-producer", "--bootstrap-server", broker.address, "--topic", topic, *more, stdin=lines, code=code,
                timeout=timeout)


# --- the producer ---

def test_the_same_input_gives_the_same_records(broker, topic_name):
    records = []
    for tool in ("ours", "kafka"):
        make_topic(broker, f"{topic_name}-{tool}", 1)
        if tool == "ours":
            produce(broker, f"{topic_name}-{tool}", TYPED, *READER)
        else:
            java("console-producer", "--bootstrap-server", broker.address, "--topic", f"{topic_name}-{tool}", *READER, stdin=TYPED.decode())
        records.append(read(broker, f"{topic_name}-{tool}", 5))
    assert records[0] == records[1]
    assert records[0][1] == (0, 1, b"k2", None, (("h1", None),))


def test_keys_go_where_kafka_puts_them(broker, topic_name):
    lines = "".join(f"key-{i}\tv{i}\n" for i in range(200))
    placed = []
    for tool in ("ours", "kafka"):
        topic = f"{topic_name}-{tool}"
        make_topic(broker, topic, 7)
        if tool == "ours":
            produce(broker, topic, lines.encode(), "--reader-property", "parse.key=true")
        else:
            java("console-producer", "--bootstrap-server", broker.address, "--topic", topic, "--reader-property", "parse.key=true", stdin=lines)
        placed.append({key: partition for partition, _, key, _, _ in read(broker, topic, 200)})
    assert placed[0] == placed[1] and len(set(placed[0].values())) == 7


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_codecs(broker, topic_name, codec):
    make_topic(broker, topic_name, 1)
    produce(broker, topic_name, b"".join(b"value-%d\n" % i for i in range(500)), "--compression-codec", codec)
    assert [r[3] for r in read(broker, topic_name, 500)] == [b"value-%d" % i for i in range(500)]


def test_records_without_key_spread_by_batches(broker, topic_name):
    make_topic(broker, topic_name, 4)
    produce(broker, topic_name, b"x" * 100 + b"\n" + b"".join(b"%050d\n" % i for i in range(4000)), "--batch-size", 1000)
    records = read(broker, topic_name, 4001)
    assert len(records) == 4001 and {r[0] for r in records} == {0, 1, 2, 3}


def test_old_spellings(broker, topic_name):
    make_topic(broker, topic_name, 1)
    ran = ours("kafka-console-producer", "--broker-list", broker.address, "--topic", topic_name, "--property", "parse.key=true",
               "--producer-property", "linger.ms=1", stdin=b"k\tv\n")
    assert read(broker, topic_name, 1)[0][2:4] == (b"k", b"v")
    for option in ("--broker-list", "--property", "--producer-property"):
        assert option in ran.err, ran.err


def test_acks_sync_and_whole_files(broker, topic_name, tmp_path):
    make_topic(broker, topic_name, 1)
    for acks in ("0", "1", "all"):
        produce(broker, topic_name, f"acks {acks}\n".encode(), "--request-required-acks", acks, "--timeout", 0)
    produce(broker, topic_name, b"one\ntwo\n", "--sync")
    (tmp_path / "a").write_bytes(b"\xff\x00\n\n")
    (tmp_path / "b").write_bytes(b"l1\nl2")
    ours("produce", topic_name, tmp_path / "a", "-b", broker.address, "--whole", "-k", "key", "-H", "h=v")
    ours("produce", topic_name, tmp_path / "b", "-b", broker.address)
    got = [(r[2], r[3], r[4]) for r in read(broker, topic_name, 8)]
    plain = [b"acks 0", b"acks 1", b"acks all", b"one", b"two"]
    assert got == [*((None, v, ()) for v in plain), (b"key", b"\xff\x00\n\n", (("h", b"v"),)), (None, b"l1", ()), (None, b"l2", ())]


def test_what_is_not_written_is_said(broker, topic_name):
    make_topic(broker, topic_name, 1, {"max.message.bytes": "1000"})
    ran = produce(broker, topic_name, b"fits\n" + b"x" * 5000 + b"\n", "--sync", code=None)
    assert ran.code == 1 and "1 of 2 records were not written" in ran.err, ran.err
    assert [r[3] for r in read(broker, topic_name, 1)] == [b"fits"]
    ran = produce(broker, topic_name, b"good\nbad\n", "--reader-property", "parse.key=true", code=1)
    assert "No key separator found on line number 1: 'good'" in ran.err
    assert "acks=7" in produce(broker, topic_name, b"", "--request-required-acks", "7", code=2).err
    assert "did you mean `gzip`" in produce(broker, topic_name, b"", "--compression-codec", "gzipp", code=2).err
    began = time.monotonic()
    ran = ours("kafka-console-producer", "--bootstrap-server", f"127.0.0.1:{servers.free_port()}", "--topic", "t", stdin=b"x\n", code=3)
    assert "connection refused" in ran.err and time.monotonic() - began < 4


@pytest.mark.ours
def test_a_broker_that_restarts_loses_and_doubles_nothing(topic_name):
    broker = servers.Ringlog()
    try:
        make_topic(broker, topic_name, 1)
        producer = subprocess.Popen(command("kafka-console-producer", "--bootstrap-server", broker.address, "--topic", topic_name,
                                            "--timeout", 20), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        consumer = Running(command("kafka-console-consumer", "--bootstrap-server", broker.address, "--topic", topic_name, "--from-beginning",
                                   "--group", topic_name))
        try:
            for i in range(300):
                producer.stdin.write(b"%d\n" % i)
                producer.stdin.flush()
                if i in (80, 160):
                    broker.kill()
                    broker.start()
                time.sleep(0.004)
            _, err = producer.communicate(timeout=30)
            assert producer.returncode == 0, err
            assert [int(r[3]) for r in read(broker, topic_name, 300)] == list(range(300))
            wait_for(lambda: len(consumer.lines) >= 300)
            # What was printed and not committed before a kill may be printed again, but nothing is left out.
            assert sorted(set(map(int, consumer.lines))) == list(range(300))
            assert consumer.interrupt() == 0
        finally:
            producer.kill()
            consumer.stop()
    finally:
        broker.stop()


def test_many_lines_arrive_once_and_in_order(broker, topic_name):
    """Several requests are on their way at once; with --compression-codec as without."""
    make_topic(broker, topic_name, 1)
    lines = "".join(f"line {number} of many\n" for number in range(100_000)).encode()
    produce(broker, topic_name, lines)
    produce(broker, topic_name, lines, "--compression-codec", "lz4", "--batch-size", "100000")
    ran = ours("kafka-console-consumer", "--bootstrap-server", broker.address, "--topic", topic_name, "--from-beginning", "--max-messages", 200_000)
    assert ran.out == lines * 2


def test_batches_that_are_too_large_for_the_topic_go_in_parts(broker, topic_name):
    make_topic(broker, topic_name, 1, {"max.message.bytes": "1000"})
    lines = "".join(f"line {number} of many\n" for number in range(500)).encode()
    produce(broker, topic_name, lines)
    ran = ours("kafka-console-consumer", "--bootstrap-server", broker.address, "--topic", topic_name, "--from-beginning", "--max-messages", 500)
    assert ran.out == lines


def test_a_line_that_is_too_long_is_lost_alone(broker, topic_name):
    make_topic(broker, topic_name, 1)
    ran = produce(broker, topic_name, b"before\n" + b"x" * 3_000_000 + b"\nbehind\n", code=1)
    assert "1 of 3 records were not written" in ran.err and "max.request.size" in ran.err, ran.err
    assert [r[3] for r in read(broker, topic_name, 2)] == [b"before", b"behind"]


# --- the consumer ---

LINES = [
    [],
    ["print.key=true"],
    ["print.key=true", "print.value=false"],
    ["print.timestamp=true", "print.key=true", "print.offset=true", "print.partition=true", "print.headers=true", "print.epoch=true",
     "print.delivery=true"],
    ["print.key=true", "print.headers=true", "key.separator=|", "line.separator=;", "headers.separator=/", "null.literal=NIL"],
]


def test_the_same_records_give_the_same_lines(broker, topic_name):
    make_topic(broker, topic_name, 1)
    produce(broker, topic_name, TYPED, *READER)
    at = ("--bootstrap-server", broker.address, "--topic", topic_name, "--max-messages", 5)
    for properties in LINES:
        more = [f for p in properties for f in ("--formatter-property", p)]
        theirs, err = java("console-consumer", *at, "--from-beginning", *more)
        ran = ours("kafka-console-consumer", *at, "--from-beginning", *more)
        assert ran.out.decode() == theirs and "Processed a total of 5 messages" in ran.err and "of 5 messages" in err
    part = (*at[:4], "--partition", 0, "--offset", 3, "--max-messages", 2)
    assert ours("kafka-console-consumer", *part).out.decode() == java("console-consumer", *part)[0]
    for formatter in ("LoggingMessageFormatter", "NoOpMessageFormatter"):
        more = ("--from-beginning", "--formatter", f"org.apache.kafka.tools.consumer.{formatter}")
        assert ours("kafka-console-consumer", *at, *more).out.decode() == java("console-consumer", *at, *more)[0]


def test_deserializers(broker, topic_name):
    from kafka import KafkaProducer
    make_topic(broker, topic_name, 1)
    producer = KafkaProducer(bootstrap_servers=broker.address)
    values = [("Long", (-5).to_bytes(8, "big", signed=True)), ("Integer", bytes([0, 0, 1, 0])), ("Short", bytes([255, 254])),
              ("Double", bytes([0x42, 0x02, 0xA0, 0x5F, 0x20, 0, 0, 0])), ("Float", bytes([0x3F, 0xC0, 0, 0])),
              ("UUID", b"123e4567-e89b-12d3-a456-426614174000"), ("String", b"text"), ("Bytes", b"a\x00")]
    for _, value in values:
        producer.send(topic_name, value)
    producer.flush(10)
    producer.close()
    for offset, (kind, _) in enumerate(values):
        at = ("--bootstrap-server", broker.address, "--topic", topic_name, "--partition", 0, "--offset", offset, "--max-messages", 1,
              "--value-deserializer", f"org.apache.kafka.common.serialization.{kind}Deserializer")
        assert ours("kafka-console-consumer", *at).out.decode() == java("console-consumer", *at)[0], kind
    at = ("--bootstrap-server", broker.address, "--topic", topic_name, "--partition", 0, "--offset", 6, "--max-messages", 1,
          "--value-deserializer", "LongDeserializer")
    assert "expected 8 bytes, got 4" in ours("kafka-console-consumer", *at, code=1).err
    assert "passed over" in ours("kafka-console-consumer", *at, "--skip-message-on-error").err


def test_records_of_the_offsets_topic(broker, topic_name):
    make_topic(broker, topic_name, 1)
    produce(broker, topic_name, b"x\n")
    ours("kafka-console-consumer", "--bootstrap-server", broker.address, "--topic", topic_name, "--group", topic_name, "--from-beginning",
         "--max-messages", 1)
    code = sum(ord(c) * 31 ** (len(topic_name) - 1 - i) for i, c in enumerate(topic_name)) & 0xFFFFFFFF
    partition = min(code, (1 << 32) - code) % 50
    for formatter in ("OffsetsMessageFormatter", "GroupMetadataMessageFormatter"):
        at = ("--bootstrap-server", broker.address, "--topic", "__consumer_offsets", "--partition", partition, "--from-beginning",
              "--timeout-ms", 2500, "--formatter", f"org.apache.kafka.tools.consumer.{formatter}")
        theirs, _ = java("console-consumer", *at)
        assert ours("kafka-console-consumer", *at).out.decode() == theirs
        assert f'"group":"{topic_name}"' in theirs, theirs


def test_json_there_and_back(broker, topic_name):
    make_topic(broker, topic_name, 1)
    make_topic(broker, f"{topic_name}-copy", 1)
    produce(broker, topic_name, TYPED + b"N\tbin\t\xff\x00\xfe\n", "--reader-property", "parse.key=true", "--reader-property",
            "parse.headers=true", "--reader-property", "null.marker=NULL", "--reader-property", "ignore.error=true")
    out = ours("consume", topic_name, "-b", broker.address, "--exit", "-o", "json").out
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0] | {"timestamp": 0} == {
        "topic": topic_name, "partition": 0, "offset": 0, "timestamp": 0, "timestamp_type": "CreateTime", "key": "k1", "value": "v1",
        "headers": [{"key": "h1", "value": "a"}, {"key": "h2", "value": "b"}]}
    assert base64.b64decode(lines[5]["value_base64"]) == b"\xff\x00\xfe" and lines[1]["value"] is None
    ours("produce", f"{topic_name}-copy", "-b", broker.address, "--input", "json", stdin=out)
    assert [r[2:] for r in read(broker, f"{topic_name}-copy", 6)] == [r[2:] for r in read(broker, topic_name, 6)]
    copied = [json.loads(l)["timestamp"] for l in ours("consume", f"{topic_name}-copy", "-b", broker.address, "-e", "-o", "json").out.splitlines()]
    assert copied == [line["timestamp"] for line in lines]


def test_where_to_begin_and_to_stop(broker, topic_name):
    make_topic(broker, topic_name, 1)
    produce(broker, topic_name, b"".join(b"%d\n" % i for i in range(10)))
    time.sleep(0.3)
    middle = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{int(time.time() % 1 * 1000):03}"
    produce(broker, topic_name, b"".join(b"%d\n" % i for i in range(10, 15)))
    for offset, expect in [(":end", range(15)), ("-3:end", range(12, 15)), ("+4:8", range(4, 8)), ("3:5", range(3, 5)),
                           (f"@{middle}:end", range(10, 15)), (f":@{middle}", range(10)), ("@-PT1H:end", range(15))]:
        out = ours("consume", topic_name, "-b", broker.address, "--offset", offset).out
        assert [int(line) for line in out.split()] == list(expect), offset
    assert ours("consume", topic_name, "-b", broker.address, "-n", 2).out == b"0\n1\n"
    assert "has no partition 7" in ours("consume", topic_name, "-p", 7, "-b", broker.address, code=5).err
    assert "expected start, end" in ours("consume", topic_name, "-s", "soon", "-b", broker.address, code=2).err


def test_an_output_that_is_closed_ends_the_consumer(broker, topic_name):
    make_topic(broker, topic_name, 1)
    produce(broker, topic_name, b"x" * 100 + b"\n" + b"y\n" * 20000)
    line = command("kafka-console-consumer", "--bootstrap-server", broker.address, "--topic", topic_name, "--from-beginning")
    consumer = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    consumer.stdout.readline()
    consumer.stdout.close()
    assert consumer.wait(timeout=10) == 0
    assert b"Unable to write to standard out" in consumer.stderr.read()


# --- groups ---

def consumer_line(broker, topic, group, *more):
    return ("--bootstrap-server", broker.address, "--topic", topic, "--group", group, "--from-beginning", *more)


def start(tool, broker, topic, group, *more):
    line = consumer_line(broker, topic, group, *more)
    if tool == "ours":
        return Running(command("kafka-console-consumer", *line))
    return Running(java_command(TOOLS["console-consumer"], *line))


def test_ctrl_c_commits_and_leaves(broker, topic_name):
    make_topic(broker, topic_name, 2)
    produce(broker, topic_name, b"a\nb\nc\n")
    consumer = start("ours", broker, topic_name, topic_name)
    try:
        wait_for(lambda: len(consumer.lines) == 3)
        began = time.monotonic()
        assert consumer.interrupt(seconds=30) == 0
        assert time.monotonic() - began < 20
    finally:
        consumer.stop()
    assert consumer.errors[-1] == "Processed a total of 3 messages"
    # At once, long before its session would end.
    group = described(broker, topic_name)
    assert group["state"] == "Empty" and group["members"] == []
    assert sum(o["offset"] for o in group["offsets"]) == 3 and all(o["lag"] == 0 for o in group["offsets"])
    assert ours("kafka-console-consumer", *consumer_line(broker, topic_name, topic_name), "--timeout-ms", 1500).out == b""


def test_ctrl_c_while_the_group_settles(broker, topic_name):
    """A member that holds the group up: it joined, and does not join again when another one comes."""
    make_topic(broker, topic_name, 2)
    stuck = start("ours", broker, topic_name, topic_name)
    other = None
    try:
        wait_for(lambda: (g := described(broker, topic_name)) and g["state"] == "Stable")
        stuck.process.send_signal(signal.SIGSTOP)
        other = start("ours", broker, topic_name, topic_name)
        wait_for(lambda: described(broker, topic_name)["state"] == "PreparingRebalance")
        began = time.monotonic()
        assert other.interrupt() == 0 and time.monotonic() - began < 4
        stuck.process.send_signal(signal.SIGCONT)
        # The one that was stopped is alone, and the one that left is gone.
        wait_for(lambda: (g := described(broker, topic_name)) and g["state"] == "Stable" and len(g["members"]) == 1)
    finally:
        stuck.process.send_signal(signal.SIGCONT)
        stuck.interrupt()
        if other:
            other.stop()


MIXES = {
    "classic": [],
    "cooperative": ["--command-property", "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor"],
    "consumer": ["--command-property", "group.protocol=consumer"],
}


@pytest.mark.parametrize("mix", MIXES)
def test_two_of_ours_and_one_of_javas_share_a_topic(broker, topic_name, mix):
    make_topic(broker, topic_name, 6)
    group = f"{topic_name}-{mix}"
    members = [start(tool, broker, topic_name, group, *MIXES[mix]) for tool in ("ours", "kafka", "ours")]

    def settled(count):
        found = described(broker, group)
        shares = [len(m["assigned"]) for m in found["members"]] if found else []
        return found and found["state"] == "Stable" and len(shares) == count and sum(shares) == 6 and min(shares) == 6 // count

    def put(first, last):
        produce(broker, topic_name, "".join(f"{i}\t{i}\n" for i in range(first, last)).encode(), "--reader-property", "parse.key=true", "--timeout", 5)

    def printed():
        return sorted(int(line) for member in members for line in member.lines if line.isdigit())

    try:
        wait_for(lambda: settled(3), 40)
        put(0, 300)
        wait_for(lambda: len(printed()) >= 300)
        assert printed() == list(range(300)), "each record once"
        assert all(any(line.isdigit() for line in member.lines) for member in members), "each member has read something"
        assert members[0].interrupt() == 0
        wait_for(lambda: settled(2), 40)
        put(300, 600)
        wait_for(lambda: len(printed()) >= 600)
        assert printed() == list(range(600)), "nothing was skipped or read twice when one left"
        for member in members[1:]:
            member.interrupt(20)
        wait_for(lambda: described(broker, group)["state"] == "Empty")
        assert all(o["lag"] == 0 for o in described(broker, group)["offsets"])
    finally:
        for member in members:
            member.stop()


def test_topics_by_pattern_also_those_that_come_later(broker, topic_name):
    make_topic(broker, f"{topic_name}-a", 1)
    produce(broker, f"{topic_name}-a", b"a\n")
    consumer = Running(command("kafka-console-consumer", "--bootstrap-server", broker.address, "--include", f"{topic_name}-.*", "--group",
                               topic_name, "--from-beginning", "--command-property", "metadata.max.age.ms=300"))
    try:
        wait_for(lambda: consumer.lines == ["a"])
        make_topic(broker, f"{topic_name}-b", 1)
        produce(broker, f"{topic_name}-b", b"b\n")
        wait_for(lambda: consumer.lines == ["a", "b"])
        assert consumer.interrupt() == 0
    finally:
        consumer.stop()


def test_a_terminal_that_takes_no_output_does_not_cost_the_membership(broker, topic_name):
    """The pipe is full and nobody reads; heartbeats go on."""
    make_topic(broker, topic_name, 1)
    produce(broker, topic_name, b"".join(b"%0100d\n" % i for i in range(5000)))
    line = command("kafka-console-consumer", *consumer_line(broker, topic_name, topic_name), "--command-property", "session.timeout.ms=6000",
                   "--command-property", "heartbeat.interval.ms=500")
    consumer = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (g := described(broker, topic_name)) and g["state"] == "Stable")
        member = described(broker, topic_name)["members"][0]["member"]
        time.sleep(8)
        assert [m["member"] for m in described(broker, topic_name)["members"]] == [member]
    finally:
        consumer.kill()
        consumer.wait()

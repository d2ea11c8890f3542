"""Clients that Kafka 4.0 turned away: unmodified, from 0.9 on, writing, reading, committing, seeking; and nobody else notices."""
import functools
import gzip
import pathlib
import socket
import struct
import zlib

import pytest

import servers
from adapters import ALL, STAMP, Record
from conftest import make_topic
from legacy_clients import CODECS, JAVA, Java, KafkaPython, consume, produce, value

BY_NAME = {a.name: a for a in ALL}
PYTHON = ["0.8.2", "0.9", "0.10.0", "0.10.1", "0.11"]
# These negotiate: what they need of Fetch is not listed by default, so that Kafka 4.3.1 and we turn them away alike.
NEGOTIATES_IN_VAIN = ["0.10.2.2"]
COUNT = 10

pytestmark = pytest.mark.ours


@pytest.fixture(scope="module")
def advertising():
    """A broker that lists what it serves."""
    server = servers.Ringlog(["--override", "legacy.clients=advertised",
                              "--override", "group.initial.rebalance.delay.ms=500"])
    yield server
    server.stop()


@pytest.fixture(scope="session")
def java(tmp_path_factory):
    """The client of a version; its program is compiled once."""
    return functools.cache(lambda version: Java(version, tmp_path_factory.mktemp(f"java-{version}")))


def there_and_back(broker, topic, client):
    """Writes with each codec, reads all of it as a group, and lets a client of today read the same."""
    make_topic(broker, topic, 1)
    for at, codec in enumerate(CODECS):
        offsets = produce(client, broker.address, topic, codec, COUNT)
        assert offsets == list(range(at * COUNT, (at + 1) * COUNT)), codec
    count = COUNT * len(CODECS)
    records, committed, again = consume(client, broker.address, topic, f"g-{topic}", count)
    expected = [(at * COUNT + i, f"k{i}", value(codec, i)) for at, codec in enumerate(CODECS) for i in range(COUNT)]
    assert records == expected
    assert (committed, again) == (count, count // 2)
    newer = BY_NAME["confluent-kafka"].consume(broker.address, topic, count)
    text = lambda data: None if data is None else data.decode()
    assert [(text(r.key), text(r.value)) for r in newer] == [(key, data) for _, key, data in expected]


@pytest.mark.parametrize("version", [v for v in JAVA if v not in NEGOTIATES_IN_VAIN])
def test_java(broker, topic_name, java, version):
    there_and_back(broker, topic_name, java(version))


@pytest.mark.parametrize("version", NEGOTIATES_IN_VAIN)
def test_java_that_negotiates(advertising, topic_name, java, version):
    there_and_back(advertising, topic_name, java(version))


@pytest.mark.parametrize("version", PYTHON)
def test_kafka_python(broker, topic_name, version):
    there_and_back(broker, topic_name, KafkaPython(version))


@pytest.mark.parametrize("version", ["java-0.9.0.1", "java-0.10.0.1", "python-0.9", "python-0.10.1"])
def test_what_clients_of_today_write_is_read(broker, topic_name, java, version):
    kind, _, number = version.partition("-")
    client = java(number) if kind == "java" else KafkaPython(number)
    make_topic(broker, topic_name, 1)
    for codec in CODECS:
        rows = [Record(f"k{i}".encode(), value(codec, i) and value(codec, i).encode(),
                       [("trace", b"dropped"), ("trace", b"twice")], STAMP + i, 0) for i in range(COUNT)]
        BY_NAME["confluent-kafka"].produce(broker.address, topic_name, rows, codec)
    count = COUNT * len(CODECS)
    records, committed, again = consume(client, broker.address, topic_name, f"g-{topic_name}", count)
    assert records == [(at * COUNT + i, f"k{i}", value(codec, i))
                       for at, codec in enumerate(CODECS) for i in range(COUNT)]
    assert (committed, again) == (count, count // 2)


def ask(address, key, version, body):
    """The answer to one request behind its correlation id; empty where the connection was closed."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), 10) as conn:
        frame = struct.pack(">hhih", key, version, 7, -1) + body
        conn.sendall(struct.pack(">i", len(frame)) + frame)
        stream = conn.makefile("rb")
        head = stream.read(4)
        return stream.read(struct.unpack(">i", head)[0])[4:] if head else b""


def fetch_0(address, topic):
    name = topic.encode()
    return ask(address, 1, 0, struct.pack(">iiii", -1, 100, 1, 1) + struct.pack(">h", len(name)) + name
               + struct.pack(">iiqi", 1, 0, 0, 1 << 20))


def test_zstd_is_refused_to_those_who_cannot_know_it(broker, topic_name):
    make_topic(broker, topic_name, 1)
    BY_NAME["confluent-kafka"].produce(broker.address, topic_name, [Record(b"k", b"v" * 500, [], STAMP, 0)], "zstd")
    answer = fetch_0(broker.address, topic_name)
    code, = struct.unpack_from(">h", answer, 4 + 2 + len(topic_name) + 4 + 4)
    assert code == 76, answer


def listed(address):
    answer = ask(address, 18, 0, b"")
    count, = struct.unpack_from(">i", answer, 2)
    return {row[0]: row[1:] for row in struct.iter_unpack(">hhh", answer[6:6 + 6 * count])}


def test_only_who_asks_blindly_meets_the_old_versions(broker, advertising, topic_name):
    stock, all_of_it = listed(broker.address), listed(advertising.address)
    assert stock[1] == (4, 18) and stock[8] == (2, 10) and stock[0] == (0, 13), "as Kafka 4.3.1"
    assert all_of_it[1] == (0, 18) and all_of_it[8] == (0, 10)
    assert {key: row[1] for key, row in stock.items()} == {key: row[1] for key, row in all_of_it.items()}
    make_topic(broker, topic_name, 1)
    assert len(fetch_0(broker.address, topic_name)) > 0


def test_off_is_as_kafka_refuses(topic_name):
    server = servers.Ringlog(["--override", "legacy.clients=off"])
    try:
        make_topic(server, topic_name, 1)
        assert fetch_0(server.address, topic_name) == b""
        assert listed(server.address)[0] == (0, 13), "librdkafka wants it listed all the same"
        BY_NAME["kafka-python"].produce(server.address, topic_name, [Record(b"k", b"v")], "none")
    finally:
        server.stop()


def message(value, codec=0):
    """One message of magic 1."""
    body = struct.pack(">bbqii", 1, codec, STAMP, -1, len(value)) + value
    return struct.pack(">qiI", 0, len(body) + 4, zlib.crc32(body)) + body


def produce_2(address, topic, records):
    """The error code of one record set that a client of 0.10 produces."""
    name = topic.encode()
    answer = ask(address, 0, 2, struct.pack(">hii", -1, 30_000, 1) + struct.pack(">h", len(name)) + name
                 + struct.pack(">iii", 1, 0, len(records)) + records)
    return struct.unpack_from(">h", answer, 4 + 2 + len(name) + 4 + 4)[0]


def peak_bytes(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_bad_sets_and_bombs(topic_name):
    server = servers.Ringlog()
    try:
        make_topic(server, topic_name, 1)
        good = message(b"value")
        assert produce_2(server.address, topic_name, good) == 0
        before = peak_bytes(server)
        wrap = lambda inner: message(gzip.compress(inner), 1)
        many = wrap(message(b"0" * 100) * 600_000)
        for n, (records, code) in enumerate([
            (good[:-1] + b"?", 2), (good[:-1], 2), (good[:16] + b"\x03" + good[17:], 2), (wrap(wrap(good)), 87),
            (wrap(b""), 87), (message(b"no gzip", 1), 2), (good + wrap(good), 87), (b"", 87), (message(b"x", 4), 76),
            (many, 10), (wrap(message(bytes(200 << 20))), 10), (wrap(message(b"x" * 40)[:-4] + b"\xff" * 4), 2),
        ]):
            assert server.process.poll() is None, f"the broker ended before set {n}:\n{server.log_path.read_text()[-3000:]}"
            assert produce_2(server.address, topic_name, records) == code, f"set {n}"
        assert produce_2(server.address, topic_name, wrap(good * 3)) == 0, "and the broker goes on"
        grown = peak_bytes(server) - before
        assert grown < 192 << 20, f"{grown >> 20} MiB more for bombs that expand to 260"
    finally:
        server.stop()


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


class Answer:
    """Reads an answer of a classic version from front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def string(self):
        length = self.number("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def items(self, item):
        return [item() for _ in range(self.number("i"))]

    def done(self, value):
        assert self.at == len(self.data), f"{len(self.data) - self.at} bytes behind {value}"
        return value


def test_administration_of_that_time(broker, topic_name):
    """CreateTopics, DescribeConfigs, OffsetForLeaderEpoch and DeleteTopics in their first versions, byte by byte."""
    def create(version, name):
        topic = string(name) + struct.pack(">ih", 2, 1) + struct.pack(">i", 0) + struct.pack(">i", 1)
        topic += string("retention.ms") + string("3600000")
        body = struct.pack(">i", 1) + topic + struct.pack(">i", 10_000) + (b"\0" if version else b"")
        answer = Answer(ask(broker.address, 19, version, body))
        item = lambda: (answer.string(), answer.number("h")) + ((answer.string(),) if version else ())
        return answer.done(answer.items(item))

    assert create(0, topic_name) == [(topic_name, 0)]
    assert create(1, topic_name + "-1") == [(topic_name + "-1", 0, None)]
    assert create(0, topic_name) == [(topic_name, 36)], "it is there"

    answer = Answer(ask(broker.address, 32, 0, struct.pack(">ib", 1, 2) + string(topic_name) + struct.pack(">i", -1)))
    answer.number("i")
    entry = lambda: (answer.string(), (answer.string(), *[answer.number("b") for _ in "123"]))
    head = lambda: (answer.number("h"), answer.string(), answer.number("b"), answer.string(), dict(answer.items(entry)))
    (code, _, _, name, configs), = answer.done(answer.items(head))
    assert (code, name) == (0, topic_name)
    assert configs["retention.ms"] == ("3600000", 0, 0, 0), "value, read only, default, secret"
    assert configs["segment.bytes"][2] == 1, "a default"

    for version, epoch in [(0, ()), (1, (0,))]:
        body = struct.pack(">i", 1) + string(topic_name) + struct.pack(">iii", 1, 0, 0)
        answer = Answer(ask(broker.address, 23, version, body))
        part = lambda: (answer.number("h"), answer.number("i"), *[answer.number("i") for _ in epoch], answer.number("q"))
        assert answer.done(answer.items(lambda: (answer.string(), answer.items(part)))) == [(topic_name, [(0, 0, *epoch, 0)])]

    answer = Answer(ask(broker.address, 20, 0, struct.pack(">i", 1) + string(topic_name) + struct.pack(">i", 10_000)))
    assert answer.done(answer.items(lambda: (answer.string(), answer.number("h")))) == [(topic_name, 0)]


def test_list_offsets_0(broker, topic_name):
    """A list of offsets, newest first: the log's end, then where its one segment begins."""
    make_topic(broker, topic_name, 1)
    BY_NAME["confluent-kafka"].produce(broker.address, topic_name, [Record(b"k", b"v", [], STAMP, 0)] * 3, "none")
    for timestamp, most, expected in [(-1, 1, [3]), (-1, 10, [3, 0]), (-2, 10, [0]), (STAMP - 1, 10, [])]:
        body = struct.pack(">ii", -1, 1) + string(topic_name) + struct.pack(">iiqi", 1, 0, timestamp, most)
        answer = Answer(ask(broker.address, 2, 0, body))
        part = lambda: (answer.number("i"), answer.number("h"), answer.items(lambda: answer.number("q")))
        assert answer.done(answer.items(lambda: (answer.string(), answer.items(part)))) == [(topic_name, [(0, 0, expected)])]

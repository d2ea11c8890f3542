"""Every client produces with every codec, every client reads it back: keys, values, nulls, headers, timestamps, big records."""
import pytest

from adapters import ALL, CODECS, STAMP, Record

BY_NAME = {a.name: a for a in ALL}


def corpus(adapter, big):
    """Records that the adapter can express; the differences are the client's own limits, not the broker's."""
    rows = [
        Record(b"k1", b"v1", [("h", b"1")], STAMP + 1),
        Record(b"k2", b"two words", [("a", b"x"), ("a", b"y"), ("b", b"z")], STAMP + 2),
        Record(None, b"no key", [], STAMP + 3),
        Record(b"tombstone", None, [], STAMP + 4),
        Record(b"k1", b"again", [], STAMP + 5),
    ]
    if big:
        rows.append(Record(b"big", bytes(97 + i % 23 for i in range(1000 * 1000)), [], STAMP + 6))
    return rows


def comparable(adapter, records):
    # kcat and the console producer cannot set timestamps.
    with_time = adapter.name not in ("kcat", "java-console")
    return sorted(((r.key, r.value, tuple(r.headers), r.timestamp if with_time else 0) for r in records), key=repr)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("producer", ALL, ids=lambda a: a.name)
def test_what_one_client_writes_every_client_reads(broker, topic, producer, codec):
    sent = corpus(producer, big=producer.name not in ("kcat", "java-console"))
    producer.produce(broker.address, topic, sent, codec)
    # The JVM and node take a second to start: they read the first and the last codec, the quick clients read all.
    readers = [a for a in ALL if a.name != "java-console" or codec in ("none", "zstd", producer.name)]
    for reader in readers:
        got = reader.consume(broker.address, topic, len(sent))
        expected = comparable(producer, sent)
        assert comparable(producer, got) == expected, f"{producer.name} -> {reader.name}"


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4"])
def test_java_reads_every_codec(broker, topic, codec):
    sent = corpus(BY_NAME["confluent-kafka"], big=True)
    BY_NAME["confluent-kafka"].produce(broker.address, topic, sent, codec)
    got = BY_NAME["java-console"].consume(broker.address, topic, len(sent))
    assert comparable(BY_NAME["confluent-kafka"], got) == comparable(BY_NAME["confluent-kafka"], sent)


def test_a_key_goes_where_kafkas_client_sends_it(broker, topic_name):
    from conftest import make_topic
    make_topic(broker, topic_name, 8)
    keys = [f"key-{i}".encode() for i in range(40)]
    places = {}
    for adapter in ALL:
        adapter_topic = topic_name
        adapter.produce(broker.address, adapter_topic, [Record(k, adapter.name.encode(), [], STAMP) for k in keys[:40 if adapter.name != "kcat" else 5]], "none")
    for r in BY_NAME["kafka-python"].consume(broker.address, topic_name, 40 * (len(ALL) - 1) + 5):
        places.setdefault(r.key, set()).add(r.partition)
    assert sorted(places) == sorted(keys)
    assert all(len(p) == 1 for p in places.values()), places


@pytest.mark.parametrize("reader", [a for a in ALL if a.name not in ("java-console", "kafkajs", "kcat")], ids=lambda a: a.name)
def test_a_fetch_that_returns_nothing(broker, topic, reader):
    assert reader.consume(broker.address, topic, 1, seconds=3) == []

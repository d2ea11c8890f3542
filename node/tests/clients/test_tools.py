"""Kafka 4.3.1's own command-line tools, unmodified."""
import pathlib
import re
import subprocess
import time

import pytest

import servers
from servers import java
from adapters import ALL, STAMP, Record

BY_NAME = {a.name: a for a in ALL}


def fill(broker, topic, count=30):
    BY_NAME["confluent-kafka"].produce(broker.address, topic, [Record(b"k", b"v%d" % i, [], STAMP + i, i % 3) for i in range(count)], "none")


def test_topics(broker, topic_name):
    at = ("--bootstrap-server", broker.address)
    out, _ = java("topics", *at, "--create", "--topic", topic_name, "--partitions", 4, "--replication-factor", 1, "--config", "retention.ms=3600000")
    assert f"Created topic {topic_name}" in out
    out, _ = java("topics", *at, "--describe", "--topic", topic_name)
    assert "PartitionCount: 4" in out and "ReplicationFactor: 1" in out and "retention.ms=3600000" in out
    assert len(re.findall(r"Leader: \d", out)) == 4
    java("topics", *at, "--alter", "--topic", topic_name, "--partitions", 6)
    out, _ = java("topics", *at, "--describe", "--topic", topic_name)
    assert "PartitionCount: 6" in out
    out, err = java("topics", *at, "--alter", "--topic", topic_name, "--partitions", 2, check=False)
    assert "6 partition" in out + err
    out, err = java("topics", *at, "--create", "--topic", topic_name + "-rf", "--partitions", 1, "--replication-factor", 3, check=False)
    assert "replicate" in (out + err).lower() or "replication factor" in (out + err).lower()
    out, err = java("topics", *at, "--create", "--topic", topic_name, "--partitions", 1, check=False)
    assert "already exists" in out + err
    java("topics", *at, "--delete", "--topic", topic_name)
    out, _ = java("topics", *at, "--list")
    assert topic_name not in out.split()


def test_perf_tools(broker, topic):
    out, _ = java("producer-perf-test", "--topic", topic, "--num-records", 20000, "--record-size", 200, "--throughput", -1,
                  "--producer-props", f"bootstrap.servers={broker.address}", "acks=all")
    assert "20000 records sent" in out
    out, _ = java("consumer-perf-test", "--bootstrap-server", broker.address, "--topic", topic, "--messages", 20000, "--timeout", 20000)
    assert re.search(r", 20000, ", out), out


def test_get_offsets_and_delete_records(broker, topic, tmp_path):
    fill(broker, topic)
    out, _ = java("get-offsets", "--bootstrap-server", broker.address, "--topic", topic)
    assert sorted(out.split()) == [f"{topic}:{p}:10" for p in range(3)]
    out, _ = java("get-offsets", "--bootstrap-server", broker.address, "--topic", topic, "--time", "max-timestamp")
    assert sorted(out.split()) == [f"{topic}:{p}:9" for p in range(3)]
    out, _ = java("get-offsets", "--bootstrap-server", broker.address, "--topic", topic, "--time", STAMP + 9)
    assert sorted(out.split()) == [f"{topic}:0:3", f"{topic}:1:3", f"{topic}:2:3"]
    plan = tmp_path / "delete.json"
    plan.write_text('{"version":1,"partitions":[{"topic":"%s","partition":1,"offset":4}]}' % topic)
    out, _ = java("delete-records", "--bootstrap-server", broker.address, "--offset-json-file", plan)
    assert "low_watermark: 4" in out
    out, _ = java("get-offsets", "--bootstrap-server", broker.address, "--topic", topic, "--time", "earliest")
    assert sorted(out.split()) == [f"{topic}:0:0", f"{topic}:1:4", f"{topic}:2:0"]


def test_consumer_groups(broker, topic, topic_name):
    fill(broker, topic)
    group = f"g-{topic_name}"
    out, err = java("console-consumer", "--bootstrap-server", broker.address, "--topic", topic, "--group", group, "--from-beginning",
                    "--max-messages", 30, "--timeout-ms", 30000)
    assert "Processed a total of 30 messages" in err
    out, _ = java("consumer-groups", "--bootstrap-server", broker.address, "--list")
    assert group in out.split()
    out, _ = java("consumer-groups", "--bootstrap-server", broker.address, "--describe", "--group", group)
    rows = [line.split() for line in out.splitlines() if line.startswith(group)]
    assert sorted((r[2], r[3], r[4], r[5]) for r in rows) == [(str(p), "10", "10", "0") for p in range(3)], out
    out, _ = java("consumer-groups", "--bootstrap-server", broker.address, "--describe", "--group", group, "--state")
    assert "Empty" in out


def test_broker_api_versions(broker):
    out, _ = java("broker-api-versions", "--bootstrap-server", broker.address)
    assert re.search(r"Produce\(0\): 0 to 13", out), out
    assert re.search(r"JoinGroup\(11\): 0 to 9", out), out
    assert re.search(r"Fetch\(1\): 4 to 18", out), out


@pytest.mark.ours
def test_dump_log_reads_our_segments(topic_name):
    """Sealed segments while we run; the last one after a clean shutdown."""
    from conftest import make_topic
    broker = servers.Ringlog()
    try:
        make_topic(broker, topic_name, 1, {"segment.bytes": "1048576"})
        BY_NAME["kafka-python"].produce(broker.address, topic_name, [Record(b"k", bytes(100_000), [], STAMP + i, 0) for i in range(40)], "none")
        folder = broker.folder / f"{topic_name}-0"
        segments = sorted(folder.glob("*.log"))
        assert len(segments) >= 3, segments
        assert dumped(segments[:-1])[0] < 40
        assert broker.terminate() == 0
        assert dumped(sorted(folder.glob("*.log"))) == (40, 40)
    finally:
        broker.stop()


def dumped(segments):
    """(records, next offset) that Kafka's own dump-log finds; it must not see a damaged byte."""
    out, err = java("dump-log", "--files", ",".join(map(str, segments)), "--deep-iteration")
    assert "isvalid: false" not in out and "Found" not in err, out + err
    offsets = [int(o) for o in re.findall(r"^\| offset: (\d+)", out, re.M)]
    assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
    return len(offsets), offsets[-1] + 1

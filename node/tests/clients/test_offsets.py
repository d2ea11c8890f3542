"""Offsets of groups as an administrator handles them with Kafka's own tool, and how long they stay."""
import re
import time

import pytest

import servers
from adapters import ALL, STAMP, Record
from conftest import make_topic
from test_cli_golden import ToolHost
from test_groups import Member, until

BY_NAME = {a.name: a for a in ALL}


@pytest.fixture(scope="module")
def groups(broker):
    """Runs Kafka's tool for groups: what it wrote to either output."""
    host = ToolHost()

    def run(*words, check=True):
        ran = host.run("consumer-groups", "--bootstrap-server", broker.address, *words)
        assert not check or ran.code == 0, (words, ran)
        return ran.out + ran.err
    yield run
    host.stop()


def planned(out):
    """Partition and new offset of each row that a reset prints."""
    rows = [line.split() for line in out.splitlines()]
    return {int(row[2]): int(row[3]) for row in rows if len(row) == 4 and row[3].lstrip("-").isdigit()}


def test_resets_by_kafkas_tool(broker, groups, topic, tmp_path):
    # Ten records a partition, a second apart, by their timestamps.
    BY_NAME["confluent-kafka"].produce(broker.address, topic, [Record(None, b"%d" % i, [], STAMP + i // 3 * 1000, i % 3) for i in range(30)], "none")
    group = f"reset-{topic}"
    at = ("--reset-offsets", "--group", group, "--topic", topic)
    out = groups(*at, "--to-offset", 4, "--dry-run")
    assert planned(out) == {0: 4, 1: 4, 2: 4}
    out = groups("--list")
    assert group not in out.split(), "trying it out makes no group"
    out = groups(*at, "--to-offset", 4, "--execute")
    assert planned(out) == {0: 4, 1: 4, 2: 4}
    for words, expect in [
        (("--shift-by", 3), 7), (("--shift-by", -100), 0), (("--to-latest",), 10), (("--to-earliest",), 0),
        (("--to-datetime", time.strftime("%Y-%m-%dT%H:%M:%S.000", time.gmtime(STAMP / 1000 + 6))), None), (("--to-offset", 99), 10),
    ]:
        out = groups(*at, *words, "--execute")
        got = planned(out)
        # The stamp may lie within a second.
        assert got == {0: expect, 1: expect, 2: expect} if expect is not None else set(got.values()) <= {6, 7} and len(got) == 3, (words, out)
    plan = tmp_path / "plan.csv"
    plan.write_text(f"{topic},0,1\n{topic},2,3\n")
    out = groups("--reset-offsets", "--group", group, "--from-file", plan, "--execute")
    assert planned(out) == {0: 1, 2: 3}
    out = groups("--describe", "--group", group)
    rows = {int(r[2]): r[3:6] for r in (line.split() for line in out.splitlines()) if r and r[0] == group}
    assert rows == {0: ["1", "10", "9"], 1: ["10", "10", "0"], 2: ["3", "10", "7"]}, out
    member = Member("confluent", broker.address, topic, group)
    until(lambda: member.owned == {0, 1, 2} or member.error, what="a member owning all partitions")
    out = groups(*at, "--to-earliest", "--execute", check=False)
    assert "inactive" in out, out
    out = groups("--delete", "--group", group, check=False)
    assert "GroupNotEmptyException" in out or "not empty" in out, out
    until(lambda: len(member.seen) >= 16 or member.error, what="the member reading from where the reset said")
    member.leave()
    assert {min(o for p, o in member.seen if p == q) for q in (0, 2)} == {1, 3}
    out = groups("--delete-offsets", "--group", group, "--topic", topic)
    assert "successful" in out.lower(), out
    out = groups("--delete", "--group", group)
    assert re.search("Deletion of requested consumer groups.*was successful", out), out


def committed(address, group, topic):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": address, "group.id": group})
    offset = consumer.committed([TopicPartition(topic, 0)], timeout=20)[0].offset
    consumer.close()
    return offset


def test_offsets_end_a_minute_after_their_group(request, topic_name):
    """offsets.retention.minutes, end to end at its smallest: a group without members loses its offsets and goes; one that is in use
    keeps them, and its time begins when its last member leaves."""
    from confluent_kafka import Consumer, TopicPartition
    settings = ["offsets.retention.minutes=1", "offsets.retention.check.interval.ms=500", "group.initial.rebalance.delay.ms=0"]
    if request.config.getoption("--against") == "kafka":
        broker = servers.Kafka(settings)
    else:
        broker = servers.Ringlog([word for setting in settings for word in ("--override", setting)])
    try:
        make_topic(broker, topic_name, 1)
        live = Consumer({"bootstrap.servers": broker.address, "group.id": "live", "enable.auto.commit": False})
        live.subscribe([topic_name])
        until(lambda: live.poll(0.1) is None and live.assignment(), what="the live group")
        live.commit(offsets=[TopicPartition(topic_name, 0, 5)], asynchronous=False)
        for group in "left", "kept":
            simple = Consumer({"bootstrap.servers": broker.address, "group.id": group, "enable.auto.commit": False})
            simple.commit(offsets=[TopicPartition(topic_name, 0, 7)], asynchronous=False)
        begin = time.monotonic()
        while time.monotonic() < begin + 40:
            live.poll(0.5)
        assert committed(broker.address, "left", topic_name) == 7, "its minute is not over"
        simple.commit(offsets=[TopicPartition(topic_name, 0, 8)], asynchronous=False)
        until(lambda: live.poll(0.5) is None and committed(broker.address, "left", topic_name) == -1001, 60, "an offset ending")
        assert time.monotonic() - begin >= 59
        assert committed(broker.address, "kept", topic_name) == 8, "the last commit counts"
        assert committed(broker.address, "live", topic_name) == 5, "a group in use keeps its own"
        live.close()
        from kafka.admin import KafkaAdminClient
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        listed = str(admin.list_groups() if hasattr(admin, "list_groups") else admin.list_consumer_groups())
        admin.close()
        assert "live" in listed and "kept" in listed and "left" not in listed, listed
    finally:
        broker.stop()

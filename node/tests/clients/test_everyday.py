"""The everyday practice of a Kafka user, word for word, with Kafka's own tools and with ours under the same names.

One long story on purpose: each step stands on the one before, as it does at a terminal."""
import os
import re
import subprocess
import time

import pytest

import servers

#: Our program under the names of Kafka's tools, and those tools themselves.
FACES = ["kafka", "ringlog"]
BINARY = os.environ.get("RINGLOG_BIN", str(servers.ROOT / "target" / "release" / "ringlog"))
CLASSES = dict(servers.TOOLS, configs="kafka.admin.ConfigCommand")


def command(face, tool, *args):
    if face == "kafka":
        return servers.java_command(CLASSES[tool], *args)
    return [BINARY, f"kafka-{tool}", *map(str, args)]


@pytest.fixture(params=FACES)
def at(request, broker):
    if request.param == "ringlog" and broker.name == "kafka" and not os.path.exists(BINARY):
        pytest.skip("our tools are not built")
    return Terminal(request.param, broker.address)


class Terminal:
    """Types commands at a broker."""

    def __init__(self, face, address):
        self.face, self.address = face, address

    def run(self, tool, *args, stdin=None, fails=False):
        line = command(self.face, tool, "--bootstrap-server", self.address, *args)
        done = subprocess.run(line, input=stdin, capture_output=True, text=True, timeout=90)
        said = f"{tool} {' '.join(map(str, args))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        # Kafka's tools end with 0 on some failures; ours never do.
        assert fails or done.returncode == 0, said
        assert not (fails and self.face == "ringlog" and done.returncode == 0), said
        return done.stdout + (done.stderr if fails else "")

    def open(self, tool, *args):
        line = command(self.face, tool, "--bootstrap-server", self.address, *args)
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def until(what, seconds=30):
    """Tries again until the assertion holds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return what()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


def rows(at, group):
    out = at.run("consumer-groups", "--describe", "--group", group)
    return [line.split() for line in out.splitlines() if line.startswith(group)]


def stop(consumer):
    """Ctrl-C, and what it printed."""
    consumer.send_signal(subprocess.signal.SIGINT)
    try:
        return consumer.communicate(timeout=20)[0].split()
    except subprocess.TimeoutExpired:
        consumer.kill()
        raise


def test_a_day(at, topic_name):
    topic, first, second = topic_name, f"g1-{topic_name}", f"g2-{topic_name}"
    assert at.run("topics", "--create", "--topic", topic, "--partitions", 3) == f"Created topic {topic}.\n"
    described = at.run("topics", "--describe", "--topic", topic)
    assert re.match(rf"Topic: {topic}\tTopicId: \S{{22}}\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: ", described)
    assert len(re.findall(rf"\tTopic: {topic}\tPartition: \d\tLeader: \d+\tReplicas: \d+\tIsr: \d+", described)) == 3

    one = at.open("console-consumer", "--topic", topic, "--group", first)
    two = None
    try:
        until(lambda: owners(at, first, 1))
        two = at.open("console-consumer", "--topic", topic, "--group", first)
        until(lambda: owners(at, first, 2))
        records = "".join(f"k{i}:v{i}\n" for i in range(30))
        at.run("console-producer", "--topic", topic, "--reader-property", "parse.key=true", "--reader-property", "key.separator=:", stdin=records)
        until(lambda: lags(at, first, [0, 0, 0], 30))
        seen = stop(two)
        until(lambda: owners(at, first, 1))
        seen += stop(one)
    finally:
        for consumer in (one, two):
            if consumer and consumer.poll() is None:
                consumer.kill()
    assert sorted(seen) == sorted(f"v{i}" for i in range(30))

    again = at.run("console-consumer", "--topic", topic, "--group", second, "--from-beginning", "--max-messages", 30, "--timeout-ms", 30000,
                   "--formatter-property", "print.key=true")
    assert sorted(again.splitlines()) == sorted(f"k{i}\tv{i}" for i in range(30))

    at.run("console-producer", "--topic", topic, stdin="one\ntwo\nthree\n")
    lags(at, second, None, 33)
    assert sum(int(row[5]) for row in rows(at, second)) == 3

    completed = at.run("configs", "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", "retention.ms=3600000")
    assert completed == f"Completed updating config for topic {topic}.\n"
    assert "retention.ms=3600000" in at.run("configs", "--describe", "--entity-type", "topics", "--entity-name", topic)
    at.run("topics", "--alter", "--topic", topic, "--partitions", 5)
    assert "PartitionCount: 5" in at.run("topics", "--describe", "--topic", topic)
    at.run("topics", "--alter", "--topic", topic, "--partitions", 2, fails=True)

    until(lambda: at.run("consumer-groups", "--reset-offsets", "--group", first, "--topic", topic, "--to-earliest", "--execute"))
    until(lambda: lags(at, first, None, 33))
    # The two partitions that are new have no offset to reset to but 0, and hold nothing.
    assert sum(int(row[5]) for row in rows(at, first)) == 33

    assert at.run("consumer-groups", "--delete", "--group", second) == f"Deletion of requested consumer groups ('{second}') was successful.\n"
    assert second not in at.run("consumer-groups", "--list").split()
    at.run("consumer-groups", "--describe", "--group", second, fails=True)
    at.run("topics", "--delete", "--topic", topic)
    assert topic not in at.run("topics", "--list").split()
    at.run("topics", "--describe", "--topic", topic, fails=True)


def owners(at, group, count):
    """The group's partitions belong to so many members, and none to nobody."""
    members = [row[6] for row in rows(at, group)]
    assert len(members) == 3 and "-" not in members, members
    assert len(set(members)) == count, members


def lags(at, group, expected, end):
    """Lag of each partition, if that is known, and the ends of all together."""
    found = rows(at, group)
    assert sum(int(row[4]) for row in found) == end, found
    if expected is not None:
        assert [int(row[5]) for row in found if row[5] != "-"] == expected, found

"""Burrow 1.2.1 as Debian packages it: it speaks to us as to Kafka 0.10, reads our `__consumer_offsets`, and judges a consumer."""
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import servers
from conftest import make_topic
from legacy_clients import HINT, LEGACY

pytestmark = pytest.mark.ours

# Burrow judges by the last five commits, and asks for log ends every second.
CONFIG = """
[general]
pidfile="{folder}/burrow.pid"
[logging]
level="info"
[zookeeper]
servers=["127.0.0.1:{zookeeper}"]
timeout=6
root-path="/burrow"
[client-profile.old]
client-id="burrow-old"
kafka-version="0.10.0"
[cluster.local]
class-name="kafka"
servers=["{broker}"]
client-profile="old"
topic-refresh=2
offset-refresh=1
[consumer.local]
class-name="kafka"
cluster="local"
servers=["{broker}"]
client-profile="old"
[httpserver.default]
address="127.0.0.1:{http}"
[storage.default]
class-name="inmemory"
intervals=5
min-distance=0
[evaluator.default]
class-name="caching"
expire-cache=1
"""
STEP_S = 1.1


def burrow_binary():
    unpacked = LEGACY / "burrow" / "usr" / "bin" / "Burrow"
    binary = str(unpacked) if unpacked.exists() else shutil.which("Burrow")
    assert binary, f"Burrow is missing: {HINT}"
    return binary


@pytest.fixture
def zookeeper(tmp_path):
    """Burrow does not start without one, though it needs it only for notifiers."""
    port = servers.free_port()
    jars = [LEGACY / "java" / "zookeeper-3.4.14.jar", *servers.KAFKA_LIBS.glob("slf4j-api-*.jar")]
    process = subprocess.Popen(
        ["java", "-Xmx64m", "-Dzookeeper.jmx.log4j.disable=true", "-cp", ":".join(map(str, jars)),
         "org.apache.zookeeper.server.ZooKeeperServerMain", str(port), str(tmp_path / "zookeeper")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        servers.wait_for_port(port, process, 30)
        wait_until_it_serves(port, 30)
        yield port
    finally:
        process.kill()
        process.wait()


def wait_until_it_serves(port, seconds):
    """ZooKeeper listens a moment before it serves, and Burrow tries once."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", port), 2) as conn:
            conn.sendall(b"srvr")
            if b"Mode: standalone" in conn.makefile("rb").read():
                return
        time.sleep(0.05)
    raise RuntimeError(f"ZooKeeper does not serve after {seconds} s")


class Burrow:
    def __init__(self, folder, broker, zookeeper):
        self.http = servers.free_port()
        (folder / "burrow.toml").write_text(
            CONFIG.format(folder=folder, broker=broker.address, zookeeper=zookeeper, http=self.http))
        self.log = open(folder / "burrow.log", "wb")
        self.process = subprocess.Popen([burrow_binary(), "-config-dir", str(folder)], cwd=folder, stdout=self.log,
                                        stderr=self.log)
        servers.wait_for_port(self.http, self.process, 20)

    def ask(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/v3/kafka/local/{path}", timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def verdict(self, group):
        """Status of the group and of its one partition."""
        status = self.ask(f"consumer/{group}/lag").get("status", {})
        parts = [part["status"] for part in status.get("partitions") or []]
        return status.get("status"), parts

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


@pytest.fixture
def burrow(tmp_path, broker, zookeeper):
    running = Burrow(tmp_path, broker, zookeeper)
    yield running
    running.stop()


class Consumer:
    """A group of one that commits what the test tells it to."""

    def __init__(self, broker, topic):
        from confluent_kafka import Consumer, Producer, TopicPartition
        self.topic, self.place, self.end = topic, TopicPartition, 0
        self.producer = Producer({"bootstrap.servers": broker.address})
        self.consumer = Consumer({"bootstrap.servers": broker.address, "group.id": f"g-{topic}",
                                  "enable.auto.commit": False})

    def send(self, count):
        for _ in range(count):
            self.producer.produce(self.topic, b"v", partition=0)
        assert self.producer.flush(10) == 0
        self.end += count

    def commit(self, offset):
        self.consumer.commit(offsets=[self.place(self.topic, 0, offset)], asynchronous=False)

    def close(self):
        self.consumer.close()


def until(burrow, group, expected, step, seconds=40):
    """Repeats `step` until Burrow's verdict is the expected one; the verdicts on the way."""
    seen, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        step()
        time.sleep(STEP_S)
        seen.append(burrow.verdict(group))
        if seen[-1] == expected:
            return seen
    raise AssertionError(f"{expected} expected, Burrow said {seen}")


def test_burrow_judges_a_consumer_by_our_offsets_topic(broker, burrow, topic_name):
    make_topic(broker, topic_name, 1)
    consumer, group = Consumer(broker, topic_name), f"g-{topic_name}"
    committed = 0

    def keep_up():
        consumer.send(3)
        # Burrow learns of the log's end once a second; a commit that it sees before that counts as without lag.
        time.sleep(STEP_S)
        consumer.commit(consumer.end)

    def fall_behind():
        nonlocal committed
        consumer.send(10)
        time.sleep(STEP_S)
        committed += 1
        consumer.commit(committed)

    try:
        for _ in range(6):
            seen = until(burrow, group, ("OK", ["OK"]), keep_up)
        committed = consumer.end
        seen = until(burrow, group, ("WARN", ["WARN"]), fall_behind, 60)
        assert len(seen) >= 4, f"five commits with growing lag make a warning, not {len(seen)}"
        until(burrow, group, ("ERR", ["STOP"]), lambda: consumer.send(1), 60)
        assert topic_name in burrow.ask("topic")["topics"]
        assert burrow.ask(f"topic/{topic_name}")["offsets"] == [consumer.end]
    finally:
        consumer.close()

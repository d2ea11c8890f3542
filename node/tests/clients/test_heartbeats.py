"""Heartbeats that wait for news (`group.heartbeat.hold.ms`), by the clients whose heartbeats wait: members hear of a rebalance when it
begins, and nothing else that they do takes longer. Clients that might not bear it are answered at once.

Members send a heartbeat every eight seconds here, so that what took less than half of that did not wait for one, even on a machine that
is busy; a wait that nothing ended would take twenty."""
import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import servers
from conftest import make_topic
from servers import java_command
from test_groups import until

pytestmark = pytest.mark.ours

INTERVAL_MS = 8000
SOON_MS = INTERVAL_MS / 2
SLOW = {"group.consumer.heartbeat.interval.ms": INTERVAL_MS, "group.consumer.min.heartbeat.interval.ms": INTERVAL_MS,
        "group.consumer.max.heartbeat.interval.ms": INTERVAL_MS, "group.initial.rebalance.delay.ms": 0,
        "group.consumer.assignment.interval.ms": 0, "group.heartbeat.hold.ms": 20000}


@pytest.fixture(scope="module")
def slow():
    server = servers.Ringlog(["--shards", "2", *(w for k, v in SLOW.items() for w in ("--override", f"{k}={v}"))])
    yield server
    server.stop()


@pytest.fixture(scope="module")
def java_took(slow, tmp_path_factory):
    """What took how long in Java's consumer, by protocol and instance. They mostly sleep, and so run beside each other."""
    classes = servers.compiled(tmp_path_factory.mktemp("classes"), "Waits")
    kinds = [(protocol, instance) for protocol in ("classic", "consumer") for instance in ("", "i")]
    with ThreadPoolExecutor(len(kinds)) as pool:
        return dict(zip(kinds, pool.map(lambda kind: waits(slow, classes, f"waits-{kind[0]}-{kind[1]}", *kind), kinds)))


def waits(slow, classes, topic, protocol, instance):
    make_topic(slow, topic, 4)
    make_topic(slow, f"{topic}-other", 1)
    command = java_command("Waits", slow.address, topic, f"{topic}-other", f"g-{topic}", protocol, INTERVAL_MS, instance,
                           classes=[classes])
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return {word: int(ms) for word, ms in (line.split() for line in done.stdout.splitlines())}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_java_hears_of_a_rebalance_at_once_and_is_kept_from_nothing(java_took, protocol):
    took = java_took[protocol, ""]
    assert took["noticed"] < SOON_MS and took["shared"] < SOON_MS and took["regained"] < SOON_MS, took
    assert took["commit"] < SOON_MS and took["closed"] < SOON_MS, took
    # In the consumer protocol it tells a change of its subscription with its next heartbeat, whether one waits or not.
    limit = SOON_MS if protocol == "classic" else INTERVAL_MS + SOON_MS
    assert took["subscribed"] < limit, took


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_static_member_of_java_closes_without_delay(java_took, protocol):
    took = java_took[protocol, "i"]
    assert took["closed"] < SOON_MS and took["commit"] < SOON_MS, took


class Confluent:
    """A librdkafka consumer in a thread; `told` is when it was last told to give partitions up."""

    def __init__(self, address, topic, group, protocol):
        self.owned, self.told, self.running, self.error = 0, None, True, None
        self.config = {"bootstrap.servers": address, "group.id": group, "group.protocol": protocol,
                       "enable.auto.commit": False}
        if protocol == "classic":
            self.config.update({"heartbeat.interval.ms": INTERVAL_MS, "session.timeout.ms": 90000,
                                "partition.assignment.strategy": "cooperative-sticky"})
        self.thread = threading.Thread(target=self.guarded, args=(topic,), daemon=True)
        self.thread.start()

    def guarded(self, topic):
        try:
            self.run(topic)
        except Exception as error:  # shown by the test that looks at it
            self.error = error

    def run(self, topic):
        from confluent_kafka import Consumer

        def revoked(consumer, partitions):
            self.told = time.monotonic()
            consumer.incremental_unassign(partitions)
        consumer = Consumer(self.config)
        consumer.subscribe([topic], on_revoke=revoked, on_assign=lambda c, ps: c.incremental_assign(ps))
        while self.running:
            message = consumer.poll(0.02)
            assert message is None or message.error() is None, message.error()
            self.owned = len(consumer.assignment())
        begin = time.monotonic()
        consumer.close()
        self.closed_ms = (time.monotonic() - begin) * 1000

    def leave(self):
        self.running = False
        self.thread.join(60)
        assert not self.thread.is_alive() and self.error is None, self.error


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_confluent_kafka_hears_of_a_rebalance_at_once(slow, topic_name, protocol):
    make_topic(slow, topic_name, 4)
    first = Confluent(slow.address, topic_name, f"g-{topic_name}", protocol)
    until(lambda: first.owned == 4 or first.error, what="the first member owning all partitions")
    # Of the classic protocol the broker has to learn the interval from two heartbeats first.
    time.sleep((2 if protocol == "classic" else 1) * INTERVAL_MS / 1000 + 2)
    begin, first.told = time.monotonic(), None
    second = Confluent(slow.address, topic_name, f"g-{topic_name}", protocol)
    until(lambda: first.told or first.error, what="the first member's notice")
    assert first.error is None, first.error
    assert (first.told - begin) * 1000 < SOON_MS
    until(lambda: (first.owned, second.owned) == (2, 2), what="two members sharing")
    second.leave()
    until(lambda: first.owned == 4, what="all partitions again")
    first.leave()
    assert first.closed_ms < SOON_MS and second.closed_ms < SOON_MS


def test_kafkajs_is_answered_at_once(slow, topic_name):
    make_topic(slow, topic_name, 1)
    env = dict(os.environ, NODE_PATH=str(servers.CACHE / "npm" / "node_modules"))
    command = ["node", str(servers.HERE / "kafkajs_client.js"), "group", slow.address, topic_name, f"g-{topic_name}", "12"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["heartbeats"] >= 2 and told["slowest_heartbeat_ms"] < SOON_MS, told

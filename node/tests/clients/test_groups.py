"""Groups that rebalance: a member joins, a member leaves, a member dies; commits survive."""
import subprocess
import threading
import time

import pytest

from adapters import ALL, STAMP, Record

BY_NAME = {a.name: a for a in ALL}


def until(condition, seconds=90, what="it"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Member:
    """One polling member of a group in its own thread; `owned` is its current assignment."""

    def __init__(self, library, address, topic, group):
        self.owned, self.seen, self.running, self.error = set(), [], True, None
        self.thread = threading.Thread(target=self.guarded, args=(library, address, topic, group), daemon=True)
        self.thread.start()

    def guarded(self, library, *args):
        try:
            getattr(self, library)(*args)
        except Exception as error:  # shown by the test that looks at it
            self.error = error

    def kafka_python(self, address, topic, group):
        from kafka import KafkaConsumer
        consumer = KafkaConsumer(topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest",
                                 session_timeout_ms=6000, heartbeat_interval_ms=500)
        while self.running:
            for batch in consumer.poll(timeout_ms=100).values():
                self.seen += [(m.partition, m.offset) for m in batch]
            self.owned = {tp.partition for tp in consumer.assignment()}
        consumer.close()
        self.owned = set()

    def confluent(self, address, topic, group, strategy="range"):
        from confluent_kafka import Consumer
        consumer = Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
                             "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                             "partition.assignment.strategy": strategy})
        consumer.subscribe([topic])
        while self.running:
            m = consumer.poll(0.1)
            if m is not None and m.error() is None:
                self.seen.append((m.partition(), m.offset()))
            self.owned = {tp.partition for tp in consumer.assignment()}
        consumer.close()
        self.owned = set()

    def cooperative(self, address, topic, group):
        self.confluent(address, topic, group, "cooperative-sticky")

    def aiokafka(self, address, topic, group):
        import asyncio
        from aiokafka import AIOKafkaConsumer

        async def run():
            consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest",
                                        session_timeout_ms=6000, heartbeat_interval_ms=500)
            await consumer.start()
            while self.running:
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    self.seen += [(m.partition, m.offset) for m in batch]
                self.owned = {tp.partition for tp in consumer.assignment()}
            await consumer.stop()
        asyncio.run(run())
        self.owned = set()

    def leave(self):
        self.running = False
        self.thread.join(20)
        assert not self.thread.is_alive() and self.error is None, self.error


def shared(members, partitions):
    owned = [p for m in members for p in m.owned]
    return sorted(owned) == list(range(partitions)) and all(m.owned for m in members)


@pytest.mark.parametrize("library", ["kafka_python", "confluent", "cooperative", "aiokafka"])
def test_a_group_shares_and_rebalances(broker, topic, library):
    group = f"g-{topic}"
    BY_NAME["confluent-kafka"].produce(broker.address, topic, [Record(None, b"%d" % i, [], STAMP, i % 3) for i in range(300)], "none")
    first = Member(library, broker.address, topic, group)
    until(lambda: first.owned == {0, 1, 2} or first.error, what="the first member owning all partitions")
    second = Member(library, broker.address, topic, group)
    until(lambda: shared([first, second], 3) or first.error or second.error, what="two members sharing")
    assert first.error is None and second.error is None, (first.error, second.error)
    first.leave()
    until(lambda: second.owned == {0, 1, 2}, what="the second member taking over")
    until(lambda: len(set(first.seen + second.seen)) == 300, what="every record seen")
    second.leave()


def test_kafkajs_group(broker, topic):
    import os, json, pathlib
    import servers
    BY_NAME["confluent-kafka"].produce(broker.address, topic, [Record(None, b"%d" % i, [], STAMP, i % 3) for i in range(30)], "none")
    env = dict(os.environ, NODE_PATH=str(servers.CACHE / "npm" / "node_modules"))
    script = str(pathlib.Path(__file__).with_name("kafkajs_client.js"))

    def start(seconds):
        return subprocess.Popen(["node", script, "group", broker.address, topic, f"js-{topic}", str(seconds)], env=env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    one = start(32)
    time.sleep(5)
    two = start(8)
    out_two, err_two = two.communicate(timeout=60)
    out_one, err_one = one.communicate(timeout=60)
    assert one.returncode == 0 and two.returncode == 0, err_one + err_two
    joins = [json.loads(line[5:]) for line in err_one.splitlines() if line.startswith("JOIN ")]
    sizes = [len(j.get(topic, [])) for j in joins]
    assert sizes[0] == 3 and min(sizes) < 3 and sizes[-1] == 3, sizes
    assert json.loads(out_one)["seen"] + json.loads(out_two)["seen"] >= 30


def test_a_dead_member_is_replaced(broker, topic):
    import os, sys, pathlib, signal
    group = f"dead-{topic}"
    here = str(pathlib.Path(__file__).resolve().parent)
    code = f"import sys; sys.path.insert(0, {here!r}); from test_groups import Member; import time; m = Member('confluent', {broker.address!r}, {topic!r}, {group!r});\nwhile True:\n  time.sleep(.1); print(sorted(m.owned), flush=True)"
    victim = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        for line in victim.stdout:
            if line.strip() == "[0, 1, 2]":
                break
        victim.send_signal(signal.SIGKILL)
        survivor = Member("confluent", broker.address, topic, group)
        until(lambda: survivor.owned == {0, 1, 2}, what="the survivor taking over after the session timeout")
        survivor.leave()
    finally:
        victim.kill()
        victim.wait()
        victim.stdout.close()


def test_commits_survive_and_static_members_keep_their_place(broker, topic):
    from confluent_kafka import Consumer, TopicPartition
    settings = {"bootstrap.servers": broker.address, "group.id": f"s-{topic}", "group.instance.id": "one",
                "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 10000}
    BY_NAME["confluent-kafka"].produce(broker.address, topic, [Record(None, b"%d" % i, [], STAMP, 0) for i in range(10)], "none")
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    got = []
    until(lambda: len(got) >= 5 or got.extend(consumer.consume(5 - len(got), 0.5)), what="five records")
    consumer.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
    consumer.close()
    again = Consumer(settings)
    started = time.monotonic()
    again.subscribe([topic])
    rest = []
    until(lambda: len(rest) >= 5 or rest.extend(again.consume(5, 0.5)), what="the other five")
    assert [m.offset() for m in rest] == [5, 6, 7, 8, 9]
    assert again.committed([TopicPartition(topic, 0)])[0].offset == 5
    again.close()

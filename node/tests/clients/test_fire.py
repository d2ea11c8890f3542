"""Groups under fire: while a producer writes numbered records, members are killed, stalled for longer than their session, told to
go, and new ones join; the broker is killed and comes back. Whatever the client library:

* no partition has two owners in one generation, and none has two at one time among members that were never cut off;
* in the end every partition has an owner;
* no record that was acknowledged to the producer is skipped by the group: each was processed at least once;
* what the group has committed is everything there is.

`--fire-seconds` says how long; the seed of what happens when is printed and taken from `--fire-seed`."""
import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import servers
from conftest import make_topic
from test_groups import until

HERE = pathlib.Path(__file__).resolve().parent
PARTITIONS = 6
SESSION_MS = 6_000
CLASSIC = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 500}
RANGE = "org.apache.kafka.clients.consumer.RangeAssignor"
COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"


def java(**settings):
    return lambda fire: servers.java_command("FireMember", fire.broker.address, fire.topic, fire.group,
                                             *(f"{key.replace('_', '.')}={value}" for key, value in settings.items()), classes=[fire.classes])


def python(library, settings):
    return lambda fire: [sys.executable, str(HERE / "fire_member.py"), library, fire.broker.address, fire.topic, fire.group,
                         *(f"{key}={value}" for key, value in settings.items())]


def kafkajs(fire):
    return ["node", str(HERE / "kafkajs_client.js"), "fire", fire.broker.address, fire.topic, fire.group, str(SESSION_MS)]


JAVA_CLASSIC = {key.replace(".", "_"): value for key, value in CLASSIC.items()}
CONFLUENT = python("confluent", CLASSIC | {"partition.assignment.strategy": "range"})
# The kinds of members that a group has.
GROUPS = {
    "java": [java(partition_assignment_strategy=RANGE, **JAVA_CLASSIC)],
    "java-cooperative": [java(partition_assignment_strategy=COOPERATIVE, **JAVA_CLASSIC)],
    "java-consumer": [java(group_protocol="consumer")],
    "confluent": [CONFLUENT],
    "confluent-cooperative": [python("confluent", CLASSIC | {"partition.assignment.strategy": "cooperative-sticky"})],
    "confluent-consumer": [python("confluent", {"group.protocol": "consumer"})],
    "kafka-python": [python("kafka_python", CLASSIC)],
    "aiokafka": [python("aiokafka", CLASSIC)],
    "kafkajs": [kafkajs],
    "mixed": [java(partition_assignment_strategy=RANGE, **JAVA_CLASSIC), CONFLUENT, python("kafka_python", CLASSIC)],
}


class Member:
    """One process, and what it says."""

    def __init__(self, number, command, folder):
        self.number, self.path = number, folder / f"member-{number}.log"
        self.stderr = open(folder / f"member-{number}.err", "wb")
        self.log = open(self.path, "wb")
        env = dict(os.environ, NODE_PATH=str(servers.CACHE / "npm" / "node_modules"))
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.stderr, env=env)
        # Whether it was killed or stalled: what it says of ownership then is what it believed.
        self.cut_off, self.stalled = False, False

    def signal(self, what):
        self.process.send_signal(what)

    def lines(self):
        """Whole lines only: a member that is killed may stop in the middle of one."""
        text = self.path.read_text(errors="replace")
        return [line.split(" ", 3) for line in text[:text.rfind("\n") + 1].splitlines() if line[:2] in ("A ", "R ", "L ", "P ")]

    def owned(self):
        now = set()
        for kind, *words in self.lines():
            if kind == "A":
                now |= parsed(words[2])
            elif kind in "RL":
                now -= parsed(words[1])
        return now

    def close(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(20)
        self.log.close()
        self.stderr.close()


def parsed(text):
    return set() if text == "-" else {int(p) for p in text.split(",")}


class Writer:
    """Writes numbered records until told to stop; `acked` holds those that the broker promised to keep."""

    def __init__(self, broker, topic):
        from confluent_kafka import Producer
        self.producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 5, "log_level": 2})
        self.topic, self.acked, self.running, self.count = topic, set(), True, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            n = self.count
            self.producer.produce(self.topic, str(n), partition=n % PARTITIONS,
                                  on_delivery=lambda error, _, n=n: error is None and self.acked.add(n))
            self.count += 1
            self.producer.poll(0)
            time.sleep(0.004)

    def stop(self):
        self.running = False
        self.thread.join()
        assert self.producer.flush(60) == 0, "records that were neither taken nor refused"


class Fire:
    """A group, its members so far, and what is done to them."""

    def __init__(self, broker, topic, kinds, classes, folder, seed):
        self.broker, self.topic, self.kinds, self.classes, self.folder = broker, topic, kinds, classes, folder
        self.group, self.members, self.random = f"fire-{topic}", [], random.Random(seed)

    def join(self):
        number = len(self.members)
        self.members.append(Member(number, self.kinds[number % len(self.kinds)](self), self.folder))

    def alive(self):
        return [m for m in self.members if m.process.poll() is None]

    def able(self):
        return [m for m in self.alive() if not m.stalled]

    def something_happens(self):
        """One thing that a group must survive."""
        what = self.random.choice(["kill", "stall", "join", "leave", "wake"])
        if what == "join" and len(self.alive()) < 5:
            self.join()
        elif what == "wake":
            self.wake()
        elif len(self.able()) >= 2:
            victim = self.random.choice(self.able())
            if what == "kill":
                victim.cut_off = True
                victim.signal(signal.SIGKILL)
                victim.process.wait()
                self.join()
            elif what == "stall":
                victim.cut_off = victim.stalled = True
                victim.signal(signal.SIGSTOP)
            elif what == "leave":
                victim.signal(signal.SIGTERM)
                self.join()

    def wake(self):
        for member in self.alive():
            if member.stalled:
                member.stalled = False
                member.signal(signal.SIGCONT)

    def shared(self):
        """Whether every partition has one owner, as the members believe."""
        owned = sorted(p for m in self.alive() for p in m.owned())
        return owned == list(range(PARTITIONS))

    def seen(self):
        return {int(line[3]) for m in self.members for line in m.lines() if line[0] == "P"}


def check_generations(members):
    """No partition has two owners in one generation."""
    owners = collections.defaultdict(set)
    for member in members:
        for kind, *words in member.lines():
            if kind == "A" and int(words[1]) >= 0:
                for partition in parsed(words[2]):
                    owners[int(words[1]), partition].add(member.number)
    twice = {at: who for at, who in owners.items() if len(who) > 1}
    assert not twice, f"(generation, partition) with two owners: {twice}"
    return len({generation for generation, _ in owners})


def intervals(member):
    """(partition, from, to) in µs of what a member owned."""
    since = {}
    for kind, *words in member.lines():
        for partition in parsed(words[2] if kind == "A" else words[1]) if kind in "ARL" else ():
            if kind == "A":
                since.setdefault(partition, int(words[0]))
            elif partition in since:
                begin = since.pop(partition)
                # What it learns to have lost it lost some time before: nothing can be said of when.
                if kind == "R":
                    yield partition, begin, int(words[0])
    for partition, begin in since.items():
        yield partition, begin, float("inf") if member.process.poll() is None else begin


def check_times(members):
    """No partition has two owners at one time among those that were never cut off."""
    owned = collections.defaultdict(list)
    for member in members:
        if not member.cut_off:
            for partition, begin, end in intervals(member):
                owned[partition].append((begin, end, member.number))
    for partition, spans in owned.items():
        spans.sort()
        for (_, end, one), (begin, _, other) in zip(spans, spans[1:]):
            assert end <= begin or one == other, f"partition {partition}: members {one} and {other} overlap by {end - begin} µs"


def committed(broker, group, topic):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": group})
    partitions = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    offsets = [p.offset for p in consumer.committed(partitions, timeout=20)]
    ends = [consumer.get_watermark_offsets(p, timeout=20)[1] for p in partitions]
    consumer.close()
    return offsets, ends


@pytest.mark.parametrize("kind", GROUPS)
def test_under_fire(broker, topic_name, kind, tmp_path, request):
    seed = request.config.getoption("--fire-seed") or random.randrange(1 << 30)
    print(f"--fire-seed {seed}")
    make_topic(broker, topic_name, PARTITIONS)
    classes = servers.compiled(tmp_path, "FireMember")
    fire = Fire(broker, topic_name, GROUPS[kind], classes, tmp_path, seed)
    writer = Writer(broker, topic_name)
    try:
        for _ in range(3):
            fire.join()
        until(fire.shared, 60, "three members sharing all partitions")
        begin, seconds, broker_dies = time.monotonic(), request.config.getoption("--fire-seconds"), True
        while time.monotonic() < begin + seconds:
            fire.something_happens()
            if broker_dies and time.monotonic() > begin + seconds / 2:
                broker.kill()
                time.sleep(0.5)
                broker.start()
                broker_dies = False
            time.sleep(fire.random.uniform(0.5, 4))
        fire.wake()
        writer.stop()
        assert len(writer.acked) > 300, len(writer.acked)
        until(lambda: writer.acked <= fire.seen(), 90, "the group processing every record")
        until(fire.shared, 90, "every partition having an owner")
        until(lambda: len(set(map(tuple, committed(broker, fire.group, topic_name)))) == 1, 60, "the group committing everything")
        generations = check_generations(fire.members)
        check_times(fire.members)
        print(f"{len(writer.acked)} records, {len(fire.members)} members, {generations} generations told")
    finally:
        writer.running = False
        for member in fire.members:
            member.close()

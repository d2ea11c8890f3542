"""SIGKILL again and again under idempotent producers: what was acknowledged is there once, in order, without a hole.

`cargo xtask clients -k sigkill --kills 1000` is the long run. RINGLOG_SEED repeats the pauses of a run.
"""
import os
import random
import threading
import time

import pytest

import servers
from conftest import make_topic

PARTITIONS = 4


class Writer(threading.Thread):
    """Produces b"<partition> <n>" with n rising, and remembers the offset of every acknowledged record."""

    def __init__(self, address, topic):
        super().__init__(daemon=True)
        from confluent_kafka import Producer
        self.topic, self.running, self.failed = topic, True, []
        self.acked = [dict() for _ in range(PARTITIONS)]
        self.producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "acks": "all", "linger.ms": 2,
                                  "message.timeout.ms": 300000, "reconnect.backoff.ms": 20, "retry.backoff.ms": 20,
                                  "reconnect.backoff.max.ms": 200, "queue.buffering.max.messages": 20000})

    def landed(self, error, message):
        if error is not None:
            self.failed.append(error)
        else:
            partition, number = message.value().split()
            self.acked[int(partition)][int(number)] = message.offset()

    def run(self):
        number = 0
        while self.running:
            for partition in range(PARTITIONS):
                while self.running:
                    try:
                        self.producer.produce(self.topic, value=b"%d %d" % (partition, number), partition=partition, on_delivery=self.landed)
                        break
                    except BufferError:
                        self.producer.poll(0.05)
            number += 1
            self.producer.poll(0.001)

    def finish(self):
        self.running = False
        self.join(30)
        left = self.producer.flush(120)
        assert left == 0 and not self.failed, (left, self.failed[:5])


def read_all(address, topic):
    """For each partition the list of (offset, number), up to its high watermark."""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": address, "group.id": "check", "enable.auto.commit": False, "auto.offset.reset": "error",
                         "fetch.message.max.bytes": 8 << 20})
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20) for p in range(PARTITIONS)]
    consumer.assign([TopicPartition(topic, p, ends[p][0]) for p in range(PARTITIONS)])
    got = [[] for _ in range(PARTITIONS)]
    deadline = time.monotonic() + 120
    while any(len(got[p]) < ends[p][1] - ends[p][0] for p in range(PARTITIONS)):
        assert time.monotonic() < deadline, [(len(got[p]), ends[p]) for p in range(PARTITIONS)]
        for m in consumer.consume(10000, 1):
            assert m.error() is None, m.error()
            partition, number = m.value().split()
            assert int(partition) == m.partition()
            got[m.partition()].append((m.offset(), int(number)))
    consumer.close()
    return got


@pytest.mark.ours
@pytest.mark.parametrize("io", ["auto", "posix"])
def test_acknowledged_records_survive_sigkill(request, topic_name, io):
    kills = request.config.getoption("--kills") // (1 if io == "auto" else 5)
    seed = int(os.environ.get("RINGLOG_SEED", time.time_ns() % 1_000_000))
    print(f"RINGLOG_SEED={seed}")
    rng = random.Random(seed)
    # Small segments, so that kills meet rolls as well.
    broker = servers.Ringlog(["--override", "group.initial.rebalance.delay.ms=0"], io=io)
    committed = 0
    try:
        make_topic(broker, topic_name, PARTITIONS, {"segment.bytes": "1048576"})
        writer = Writer(broker.address, topic_name)
        writer.start()
        for kill in range(kills):
            time.sleep(rng.uniform(0.05, 0.6))
            if kill % 10 == 5:
                committed = commit_forward(broker.address, topic_name, committed)
            broker.kill()
            broker.start()
        writer.finish()
        check(writer, read_all(broker.address, topic_name))
        assert last_commit(broker.address, topic_name) >= committed
        assert sum(map(len, writer.acked)) > kills, "hardly anything was acknowledged: the test proved nothing"
    finally:
        broker.stop()


def check(writer, got):
    for partition in range(PARTITIONS):
        offsets = [o for o, _ in got[partition]]
        numbers = [n for _, n in got[partition]]
        assert offsets == list(range(len(offsets))), f"partition {partition}: a hole in the offsets"
        assert numbers == sorted(set(numbers)), f"partition {partition}: reordered or twice"
        there = dict((n, o) for o, n in got[partition])
        lost = [n for n in writer.acked[partition] if n not in there]
        assert not lost, f"partition {partition}: {len(lost)} acknowledged records are lost, first {lost[:3]}"
        # librdkafka reports no offset (-1001) for a batch that the broker had already: those are only looked up.
        moved = [n for n, o in writer.acked[partition].items() if o >= 0 and there[n] != o]
        assert not moved, f"partition {partition}: not at the acknowledged offset: {moved[:3]}"


def consumer(address, group):
    from confluent_kafka import Consumer
    return Consumer({"bootstrap.servers": address, "group.id": group, "enable.auto.commit": False})


def last_commit(address, topic):
    from confluent_kafka import TopicPartition
    c = consumer(address, "crash")
    offset = c.committed([TopicPartition(topic, 0)], timeout=30)[0].offset
    c.close()
    return max(offset, 0)


def commit_forward(address, topic, so_far):
    """Commits a higher offset and returns it; what was committed before must still be there."""
    from confluent_kafka import TopicPartition
    assert last_commit(address, topic) >= so_far
    c = consumer(address, "crash")
    c.commit(offsets=[TopicPartition(topic, 0, so_far + 1)], asynchronous=False)
    c.close()
    return so_far + 1

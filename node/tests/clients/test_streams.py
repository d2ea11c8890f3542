"""Kafka Streams 4.3.1 counts words (`java/WordCount.java`), without exactly-once: through a repartition topic, into a store whose
changelog is a compacted topic. State that is lost is restored from there, and the counts go on."""
import collections
import contextlib
import random
import re
import signal
import struct
import subprocess

import servers
from conftest import make_topic
from test_connect import cleanup_policies
from test_groups import until

JARS = [servers.ECOSYSTEM_LIBS / name for name in ("kafka-streams-4.3.1.jar", "rocksdbjni-10.1.3.jar", "slf4j-simple-1.7.36.jar")]
WORDS = [f"word{n}" for n in range(40)]


class Application:
    """One instance of the application with a folder for its state."""

    def __init__(self, classes, folder, broker, name, into, out_of):
        folder.mkdir(exist_ok=True)
        self.path = folder / f"log-{len(list(folder.iterdir()))}"
        self.log = open(self.path, "wb")
        command = servers.java_command("WordCount", broker.address, name, folder / "state", into, out_of, classes=[classes, *JARS])
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def said(self):
        return self.path.read_text(errors="replace")

    def runs(self):
        assert self.process.poll() is None, self.said()[-3000:]
        states = re.findall(r"^state (\w+)$", self.said(), re.M)
        return bool(states) and states[-1] == "RUNNING"

    def restored(self):
        return sum(int(n) for n in re.findall(r"^restored (\d+) of", self.said(), re.M))

    def end(self, by=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(by)
            self.process.wait(40)
        self.log.close()


@contextlib.contextmanager
def running(*args):
    application = Application(*args)
    try:
        yield application
    finally:
        application.end(signal.SIGKILL)


class Told:
    """Produces lines of words, and knows what the application has told of each."""

    def __init__(self, broker, into, out_of):
        from confluent_kafka import Consumer, Producer, TopicPartition
        self.producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5})
        self.into, self.wanted, self.counts = into, collections.Counter(), {}
        self.consumer = Consumer({"bootstrap.servers": broker.address, "group.id": f"of-{out_of}", "auto.offset.reset": "earliest"})
        self.consumer.assign([TopicPartition(out_of, p, 0) for p in range(3)])

    def write(self, count, random=random.Random(7)):
        for n in range(count):
            line = random.choices(WORDS, k=5)
            self.wanted.update(line)
            self.producer.produce(self.into, " ".join(line), key=str(n))
        assert self.producer.flush(30) == 0

    def is_right(self):
        for message in self.consumer.consume(500, 0.2):
            assert message.error() is None, message.error()
            word, count = message.key().decode(), struct.unpack(">q", message.value())[0]
            # One count a word and step: it never goes back, and none is left out.
            assert count == self.counts.get(word, 0) + 1, (word, count, self.counts.get(word))
            self.counts[word] = count
        return self.counts == dict(self.wanted)

    def close(self):
        self.consumer.close()


def log_starts(broker, topic):
    out, _ = servers.java("get-offsets", "--bootstrap-server", broker.address, "--topic", topic, "--time", "earliest")
    return [int(line.rsplit(":", 1)[1]) for line in out.split()]


def test_word_count(broker, topic_name, tmp_path):
    into, out_of, name = f"{topic_name}-lines", f"{topic_name}-counts", f"app-{topic_name}"
    make_topic(broker, into, 3)
    make_topic(broker, out_of, 3)
    (tmp_path / "classes").mkdir()
    classes = servers.compiled(tmp_path / "classes", "WordCount", jars=JARS)
    told = Told(broker, into, out_of)
    with contextlib.ExitStack() as stack:
        def start(folder):
            return stack.enter_context(running(classes, folder, broker, name, into, out_of))
        told.write(400)
        first = start(tmp_path / "first")
        until(first.runs, 60, "the application running")
        until(told.is_right, 60, f"the right counts, {sum(told.counts.values())} of {sum(told.wanted.values())}")
        changelog, repartition = f"{name}-counts-changelog", f"{name}-words-repartition"
        assert cleanup_policies(broker, [changelog, repartition]) == ["compact", "delete"]
        until(lambda: sum(log_starts(broker, repartition)) == 400 * 5, 30, "the repartition topic being emptied behind the application")
        # Its state is lost: it comes back from the changelog.
        first.end()
        told.write(200)
        again = start(tmp_path / "again")
        until(again.runs, 60, "the application running again")
        until(told.is_right, 60, "the right counts from restored state")
        assert again.restored() >= len(WORDS), again.said()[-2000:]
        # With its state at hand there is next to nothing to restore.
        again.end()
        told.write(100)
        third = start(tmp_path / "again")
        until(third.runs, 60, "the application running a third time")
        until(told.is_right, 60, "the right counts from kept state")
        assert third.restored() < len(WORDS), third.said()[-2000:]
        # Another instance takes its share, and all of it when the first goes.
        other = start(tmp_path / "other")
        until(lambda: other.runs() and third.runs(), 90, "two instances running")
        told.write(200)
        until(told.is_right, 60, "the right counts of two instances")
        third.end()
        told.write(200)
        until(told.is_right, 90, "the right counts of the one that is left")
        other.end()
        assert "closed" in other.said()
    told.close()

"""kafka-consumer-groups of ours beside Kafka's own on the same broker: the same standard output. And the verdict over lag,
reached by what a consumer really does."""
import json
import time

import pytest

from conftest import make_topic
from ours import Running, command, described, ours, wait_for
from servers import java


def fill(broker, topic, count=30, partitions=3):
    from kafka import KafkaProducer
    producer = KafkaProducer(bootstrap_servers=broker.address)
    for i in range(count):
        producer.send(topic, b"v%d" % i, partition=i % partitions)
    producer.flush(30)
    producer.close()


def same(broker, *args, code=0):
    """Runs both tools with the same options; ours must print the same, and end with `code`."""
    line = ("--bootstrap-server", broker.address, *args)
    theirs, _ = java("consumer-groups", *line, check=False)
    assert ours("kafka-consumer-groups", *line, code=code).out.decode() == theirs
    return theirs


@pytest.fixture
def committed(broker, topic, topic_name):
    """A topic with ten records in each of three partitions, and a group that stands at 3 in each."""
    fill(broker, topic)
    group = f"g-{topic_name}"
    ours("kafka-consumer-groups", "--bootstrap-server", broker.address, "--reset-offsets", "--group", group, "--topic", topic,
         "--to-offset", 3, "--execute")
    return topic, group


def test_descriptions_of_an_empty_group(broker, committed):
    _, group = committed
    out = same(broker, "--describe", "--group", group)
    assert out.split()[-9:] == [group, committed[0], "2", "3", "10", "7", "-", "-", "-"]
    for view in (["--verbose"], ["--members"], ["--members", "--verbose"], ["--state"], ["--state", "--verbose"]):
        same(broker, "--describe", "--group", group, *view)


def test_descriptions_of_a_group_with_members(broker, committed):
    topic, group = committed
    line = ("kafka-console-consumer", "--bootstrap-server", broker.address, "--topic", topic, "--group", group)
    members = [Running(command(*line, "--command-property", f"client.id={name}", *more))
               for name, more in (("one", ()), ("two", ("--command-property", f"group.instance.id={group}-i")))]
    try:
        wait_for(lambda: (d := described(broker, group)) and d["state"] == "Stable" and len(d["members"]) == 2
                 and all(m["assigned"] for m in d["members"]) and all(o["lag"] == 0 for o in d["offsets"]))
        for view in ([], ["--verbose"], ["--members"], ["--members", "--verbose"], ["--state"], ["--state", "--verbose"]):
            out = same(broker, "--describe", "--group", group, *view)
            assert "Stable" in out if "--state" in view else "/127.0.0.1" in out, out
        same(broker, "--delete", "--group", group, code=1)
        same(broker, "--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute", code=1)
        same(broker, "--delete-offsets", "--group", group, "--topic", topic, code=1)
    finally:
        for member in members:
            member.interrupt()


RESETS = [
    ["--to-earliest", "--dry-run"],
    ["--to-latest", "--dry-run", "--export"],
    ["--to-current", "--dry-run"],
    ["--to-offset", "5", "--dry-run"],
    ["--to-offset", "1000", "--dry-run"],
    ["--shift-by", "-2", "--dry-run"],
    ["--shift-by", "-100", "--dry-run"],
    ["--by-duration", "PT1H", "--dry-run"],
    ["--by-duration", "PT0S", "--dry-run"],
    ["--to-datetime", "2020-01-01T00:00:00.000", "--dry-run"],
    ["--to-datetime", "2099-01-01T00:00:00.000+02:00", "--dry-run"],
]


def test_resets(broker, committed, tmp_path):
    topic, group = committed
    for reset in RESETS:
        same(broker, "--reset-offsets", "--group", group, "--topic", topic, *reset)
    same(broker, "--reset-offsets", "--group", group, "--all-topics", "--to-latest", "--dry-run")
    plan = tmp_path / "plan.csv"
    plan.write_text(f"{topic},0,1\n{topic},2,200\n")
    same(broker, "--reset-offsets", "--group", group, "--from-file", plan, "--dry-run")
    plan.write_text(f'"{group}",{topic},0,1\n{group}-b,{topic},2,2\n')
    for more in ([], ["--export"]):
        same(broker, "--reset-offsets", "--group", group, "--group", f"{group}-b", "--from-file", plan, "--dry-run", *more)
    # Each sets what the other then sees.
    moved = ("--bootstrap-server", broker.address, "--reset-offsets", "--group", group, "--topic", f"{topic}:0,2", "--shift-by", 2, "--execute")
    java("consumer-groups", *moved)
    ours("kafka-consumer-groups", *moved)
    offsets = {o["partition"]: o["offset"] for o in described(broker, group)["offsets"]}
    assert offsets == {0: 7, 1: 3, 2: 7}


def test_failures(broker, committed):
    topic, group = committed
    nobody = f"{group}-nobody"
    same(broker, "--describe", "--group", nobody, code=5)
    same(broker, "--describe", "--group", nobody, "--state", code=5)
    same(broker, "--delete", "--group", nobody, code=5)
    same(broker, "--delete-offsets", "--group", nobody, "--topic", topic, code=5)
    same(broker, "--delete-offsets", "--group", group, "--topic", f"{topic}-none", code=5)
    same(broker, "--reset-offsets", "--group", group, "--topic", f"{topic}:9", "--to-latest", "--execute", code=5)
    same(broker, "--reset-offsets", "--group", group, "--topic", f"{topic}-none", "--to-latest", "--execute", code=5)
    same(broker, "--reset-offsets", "--group", group, "--topic", f"{topic}:x", "--to-latest", "--execute", code=2)
    same(broker, "--reset-offsets", "--group", group, "--to-latest", "--execute", code=2)
    same(broker, "--describe", code=2)
    same(broker, "--list", "--state", "bogus", code=2)
    err = ours("groups", "describe", group[:-1], "-b", broker.address, code=5).err
    assert f"did you mean `{group}`" in err, err


def test_lists_and_deletions(broker, committed):
    topic, group = committed
    same(broker, "--delete-offsets", "--group", group, "--topic", f"{topic}:1")
    assert [o["partition"] for o in described(broker, group)["offsets"]] == [0, 2]
    out = same(broker, "--list")
    assert group in out.split()
    out = same(broker, "--list", "--state", "empty", "--type", "classic")
    assert [line.split() for line in out.splitlines() if line.startswith(group)] == [[group, "Classic", "Empty"]]
    ours("kafka-consumer-groups", "--bootstrap-server", broker.address, "--delete", "--group", group)
    out = same(broker, "--list")
    assert group not in out.split()
    same(broker, "--validate-regex", "a.*")


# --- the verdict ---

class Reader:
    """A consumer's commits for one partition, each where and when the test says."""

    def __init__(self, broker, topic, group):
        from kafka import KafkaConsumer, TopicPartition
        self.consumer = KafkaConsumer(bootstrap_servers=broker.address, group_id=group, enable_auto_commit=False)
        self.place = TopicPartition(topic, 0)
        self.consumer.assign([self.place])

    def commit(self, offset):
        from kafka.structs import OffsetAndMetadata
        self.consumer.commit({self.place: OffsetAndMetadata(offset, "", -1)})


STEP = 0.5


def verdict(broker, group, window=3, interval=STEP):
    ran = ours("groups", "--status", "--group", group, "-b", broker.address, "--window", window, "--interval", interval,
               "--min-distance", 0, "--output", "json")
    document = json.loads(ran.out)
    assert document["schema"] == "ringlog.groups.status/v1"
    found = document["groups"][0]
    partition = found["partitions"][0]
    print(found["status"], partition["status"], partition["reason"])
    return found, partition


def test_each_verdict_is_reached(broker, topic_name):
    make_topic(broker, topic_name, 1)
    group = f"g-{topic_name}"
    reader = Reader(broker, topic_name, group)

    def step(produce, commit):
        """So many records come, and a moment later the reader commits."""
        fill(broker, topic_name, produce, 1)
        time.sleep(0.05)
        reader.commit(commit)
        time.sleep(STEP - 0.05)

    # It keeps up.
    step(10, 10), step(10, 20)
    found, partition = verdict(broker, group)
    assert (found["status"], partition["status"], partition["current_lag"]) == ("OK", "OK", 0)
    assert partition["reason"] == "everything is read"
    assert 0.6 < partition["complete"] < 0.7, "two commits of three"
    # Twenty come for each five that it reads.
    for n in range(1, 4):
        step(20, 20 + 5 * n)
    found, partition = verdict(broker, group)
    assert (found["status"], partition["status"]) == ("WARN", "WARN"), partition
    assert "the lag never fell (from 15 to 45)" in partition["reason"]
    assert (found["total_lag"], found["complete"]) == (45, 1)
    # It commits the same offset, and more records come.
    for _ in range(3):
        step(10, 35)
    found, partition = verdict(broker, group)
    assert (found["status"], partition["status"]) == ("ERR", "STALL"), partition
    assert "offset 35 was committed 3 times" in partition["reason"] and "20 records arrived" in partition["reason"]
    # It commits nothing for longer than the three commits took.
    time.sleep(3 * STEP)
    found, partition = verdict(broker, group)
    assert (found["status"], partition["status"]) == ("ERR", "STOP"), partition
    assert "no commit for" in partition["reason"] and "75 records wait" in partition["reason"]
    # It goes back.
    step(0, 5), step(0, 10)
    found, partition = verdict(broker, group)
    assert (found["status"], partition["status"]) == ("ERR", "REWIND"), partition
    assert "went back from 35 to 5" in partition["reason"]
    # It reads everything, and is well at once.
    reader.commit(110)
    found, partition = verdict(broker, group)
    assert (found["status"], partition["status"]) == ("OK", "OK")


def test_a_stopped_group_that_was_up_to_date_a_moment_ago_is_not_stopped(broker, topic_name):
    make_topic(broker, topic_name, 1)
    group = f"g-{topic_name}"
    reader = Reader(broker, topic_name, group)
    fill(broker, topic_name, 5, 1)
    time.sleep(0.05)
    reader.commit(4), reader.commit(5)
    time.sleep(1)
    fill(broker, topic_name, 5, 1)
    _, partition = verdict(broker, group, window=10, interval=1)
    assert partition["status"] == "OK" and "everything was read" in partition["reason"], partition
    _, partition = verdict(broker, group, window=10, interval=0.001)
    assert partition["status"] == "STOP", partition


def test_what_the_verdict_says_of_groups_that_are_not_there(broker, committed):
    topic, group = committed
    err = ours("groups", "--status", "--group", group + "x", "-b", broker.address, code=5).err
    assert f"did you mean `{group}`" in err
    out = ours("groups", "status", "-b", broker.address).out.decode()
    assert f"group {group}: " in out and "WHY" in out


def test_watching_looks_again_until_ctrl_c(broker, committed):
    _, group = committed
    for line in (("groups", "--status", "--group", group), ("groups", "describe", group)):
        watching = Running(command(*line, "-b", broker.address, "--watch", "0.2"))
        try:
            wait_for(lambda: sum(f"group {group}: " in line for line in watching.lines) >= 3)
            assert watching.interrupt() == 0, watching.errors
        finally:
            watching.stop()
        # Each look has its moment above it, and nothing that moves a cursor: this is a pipe.
        at = [number for number, line in enumerate(watching.lines) if f"group {group}: " in line]
        assert all(watching.lines[number - 1].endswith("Z") for number in at), watching.lines
        assert not any("\x1b" in line for line in watching.lines)

"""The consumer protocol (KIP-848) by the clients that speak it: Kafka's Java consumer and librdkafka. Members come, go and die, both
assignors, patterns, static members, a broker that is killed, and groups that change their protocol while they work."""
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

import servers
from adapters import ALL, STAMP, Record
from conftest import make_topic
from servers import java, java_command, TOOLS
from test_groups import Member as ClassicMember, until

HERE = pathlib.Path(__file__).resolve().parent
BY_NAME = {a.name: a for a in ALL}
BRISK = {"group.consumer.heartbeat.interval.ms": "500", "group.consumer.min.heartbeat.interval.ms": "500",
         "group.consumer.session.timeout.ms": "6000", "group.consumer.min.session.timeout.ms": "6000",
         "group.initial.rebalance.delay.ms": "500"}


def brisk_ringlog():
    return servers.Ringlog([word for pair in BRISK.items() for word in ("--override", "=".join(pair))])


@pytest.fixture(scope="module")
def brisk(request):
    """A broker whose groups beat twice a second."""
    is_kafka = request.config.getoption("--against") == "kafka"
    server = servers.Kafka([f"{k}={v}" for k, v in BRISK.items()]) if is_kafka else brisk_ringlog()
    yield server
    server.stop()


@pytest.fixture
def shared_topic(brisk, topic_name):
    make_topic(brisk, topic_name, 4)
    return topic_name


def fill(broker, topic, count=100):
    records = [Record(None, b"%d" % i, [], STAMP, i % 4) for i in range(count)]
    BY_NAME["confluent-kafka"].produce(broker.address, topic, records, "none")


class Member:
    """A librdkafka consumer of the new protocol in a thread; `owned` is what it may read now, by topic and partition."""

    def __init__(self, address, topics, group, **settings):
        self.owned, self.seen, self.assigned, self.running, self.error = set(), [], 0, True, None
        config = {"bootstrap.servers": address, "group.id": group, "group.protocol": "consumer",
                  "auto.offset.reset": "earliest", "auto.commit.interval.ms": 200,
                  "topic.metadata.refresh.interval.ms": 1000}
        config.update({key.replace("_", "."): value for key, value in settings.items()})
        self.thread = threading.Thread(target=self.guarded, args=(config, topics), daemon=True)
        self.thread.start()

    def guarded(self, config, topics):
        try:
            self.run(config, topics)
        except Exception as error:  # shown by the test that looks at it
            self.error = error

    def run(self, config, topics):
        from confluent_kafka import Consumer

        def assigned(consumer, partitions):
            self.assigned += 1
            consumer.incremental_assign(partitions)
        consumer = Consumer(config)
        consumer.subscribe(topics, on_assign=assigned)
        while self.running:
            m = consumer.poll(0.05)
            if m is not None and m.error() is None:
                self.seen.append((m.topic(), m.partition(), m.offset()))
            elif m is not None:
                raise AssertionError(m.error())
            self.owned = {(tp.topic, tp.partition) for tp in consumer.assignment()}
        consumer.close()
        self.owned = set()

    def leave(self):
        self.running = False
        self.thread.join(20)
        assert not self.thread.is_alive() and self.error is None, self.error


def partitions(topic, indexes=range(4)):
    return {(topic, index) for index in indexes}


def share(members, topic, sizes=None):
    """Whether the members share the topic's four partitions, none twice, in these sizes."""
    owned = [at for m in members for at in m.owned]
    failed = [m.error for m in members if m.error]
    assert not failed, failed
    return sorted(owned) == sorted(partitions(topic)) and (sizes is None or sorted(len(m.owned) for m in members) == sizes)


def described(broker, group, *flags):
    out, _ = java("consumer-groups", "--bootstrap-server", broker.address, "--describe", "--group", group, *flags)
    return out


def test_members_come_and_go(brisk, shared_topic):
    fill(brisk, shared_topic)
    group = f"g-{shared_topic}"
    members = [Member(brisk.address, [shared_topic], group)]
    until(lambda: share(members, shared_topic), what="the first member owning all partitions")
    members += [Member(brisk.address, [shared_topic], group) for _ in range(3)]
    until(lambda: share(members, shared_topic, [1, 1, 1, 1]), what="four members with one partition each")
    members.pop(0).leave()
    members.pop(0).leave()
    until(lambda: share(members, shared_topic, [2, 2]), what="two members with two partitions each")
    state = described(brisk, group, "--state")
    assert re.search(r"uniform +Stable +2", state), state
    [m.leave() for m in members]
    assert "Empty" in described(brisk, group, "--state")


def test_every_record_is_seen_while_members_change(brisk, shared_topic):
    group = f"all-{shared_topic}"
    first = Member(brisk.address, [shared_topic], group)
    fill(brisk, shared_topic, 200)
    until(lambda: len(first.seen) >= 50, what="reading")
    second = Member(brisk.address, [shared_topic], group)
    fill(brisk, shared_topic, 200)
    until(lambda: share([first, second], shared_topic, [2, 2]), what="two members sharing")
    first.leave()
    until(lambda: len(set(first.seen + second.seen)) == 400, what="every record seen")
    second.leave()


@pytest.mark.parametrize("assignor", ["uniform", "range"])
def test_both_assignors(brisk, topic_name, assignor):
    topics = [f"{topic_name}-a", f"{topic_name}-b"]
    [make_topic(brisk, topic, 4) for topic in topics]
    group = f"{assignor}-{topic_name}"
    members = [Member(brisk.address, topics, group, group_remote_assignor=assignor) for _ in range(2)]
    everything = set().union(*(partitions(topic) for topic in topics))
    until(lambda: set().union(*(m.owned for m in members)) == everything and all(len(m.owned) == 4 for m in members),
          what="two members sharing two topics")
    if assignor == "range":
        for m in members:
            assert len({index for _, index in m.owned}) == 2, f"the same partitions of both topics: {m.owned}"
    assert assignor in described(brisk, group, "--state")
    [m.leave() for m in members]


def test_an_assignor_that_is_not_there(brisk, shared_topic):
    member = Member(brisk.address, [shared_topic], f"no-{shared_topic}", group_remote_assignor="best")
    until(lambda: member.error, what="an error")
    assert "UNSUPPORTED_ASSIGNOR" in str(member.error) or "assignor" in str(member.error).lower(), member.error


def test_a_pattern_finds_new_topics(brisk, topic_name):
    make_topic(brisk, f"{topic_name}-x1", 4)
    member = Member(brisk.address, [f"^{topic_name}-x[0-9]+"], f"rx-{topic_name}")
    until(lambda: member.owned == partitions(f"{topic_name}-x1"), what="the topic that is there")
    make_topic(brisk, f"{topic_name}-x2", 4)
    make_topic(brisk, f"{topic_name}-y2", 4)
    until(lambda: member.owned == partitions(f"{topic_name}-x1") | partitions(f"{topic_name}-x2"), 40, "the new topic")
    member.leave()


def test_a_pattern_that_re2_does_not_know(brisk, topic_name):
    """librdkafka takes a back reference, RE2 does not."""
    member = Member(brisk.address, [rf"^{topic_name}(a)\1"], f"bad-{topic_name}")
    until(lambda: member.error, what="an error")
    assert "regular expression" in str(member.error).lower() or "REGULAR" in str(member.error), member.error


def test_a_dead_member_is_replaced(brisk, shared_topic):
    group = f"dead-{shared_topic}"
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); from test_consumer_protocol import Member; import time; m = Member({brisk.address!r}, [{shared_topic!r}], {group!r});\nwhile True:\n  time.sleep(.1); print(len(m.owned), flush=True)"
    victim = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        for line in victim.stdout:
            if line.strip() == "4":
                break
        victim.send_signal(signal.SIGKILL)
        survivor = Member(brisk.address, [shared_topic], group)
        until(lambda: share([survivor], shared_topic), what="the survivor taking over after the session timeout")
        survivor.leave()
    finally:
        victim.kill()
        victim.wait()
        victim.stdout.close()


def test_a_static_member_comes_back_to_its_share(brisk, shared_topic):
    group = f"st-{shared_topic}"
    members = [Member(brisk.address, [shared_topic], group, group_instance_id=f"i{i}") for i in range(2)]
    until(lambda: share(members, shared_topic, [2, 2]), what="two static members sharing")
    owned, others = members[0].owned, members[1].assigned
    members[0].leave()
    again = Member(brisk.address, [shared_topic], group, group_instance_id="i0")
    until(lambda: again.owned == owned, what="the share it had")
    assert members[1].assigned == others, "the other one noticed nothing"
    again.leave()
    members[1].leave()


@pytest.mark.parametrize("library", ["confluent", "cooperative", "kafka_python"])
def test_a_group_changes_its_protocol_and_back(brisk, shared_topic, library):
    """The classic members are replaced one by one, and then the other way round; nobody stops."""
    fill(brisk, shared_topic)
    group = f"up-{library}-{shared_topic}"
    old = ClassicMember(library, brisk.address, shared_topic, group)
    until(lambda: old.owned == {0, 1, 2, 3} or old.error, what="the classic member owning all partitions")
    new = Member(brisk.address, [shared_topic], group)

    def both():
        assert old.error is None and new.error is None, (old.error, new.error)
        return len(old.owned) == len(new.owned) == 2 and old.owned | {p for _, p in new.owned} == {0, 1, 2, 3}
    until(both, 40, "both protocols sharing")
    assert group_type(brisk, group) == "CONSUMER"
    new.leave()
    until(lambda: old.owned == {0, 1, 2, 3} or old.error, 40, "the classic member owning all again")
    assert group_type(brisk, group) == "CLASSIC"
    new = Member(brisk.address, [shared_topic], group)
    until(both, 40, "both protocols sharing again")
    old.leave()
    until(lambda: share([new], shared_topic), what="the new member owning all")
    assert group_type(brisk, group) == "CONSUMER"
    until(lambda: len({at[1:] for at in new.seen} | set(old.seen)) == 100, what="every record seen")
    new.leave()


def group_type(broker, group):
    from confluent_kafka.admin import AdminClient
    admin = AdminClient({"bootstrap.servers": broker.address})
    listing = admin.list_consumer_groups().result()
    return next(g.type.name for g in listing.valid if g.group_id == group)


class JavaMember:
    """Kafka's console consumer with the new protocol; what it printed is in `lines`."""

    def __init__(self, address, topic, group, *properties):
        command = java_command(TOOLS["console-consumer"], "--bootstrap-server", address, "--topic", topic, "--group", group,
                               "--from-beginning", "--command-property", "group.protocol=consumer",
                               *(word for p in properties for word in ("--command-property", p)))
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")), daemon=True).start()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(20)


def test_the_java_consumer(brisk, shared_topic):
    group = f"j-{shared_topic}"
    fill(brisk, shared_topic)
    first = JavaMember(brisk.address, shared_topic, group)
    try:
        until(lambda: len(first.lines) == 100, what="the Java consumer reading everything")
        second = Member(brisk.address, [shared_topic], group)
        until(lambda: len(second.owned) == 2, what="a Java consumer and a librdkafka one sharing")
        members = described(brisk, group, "--members", "--verbose")
        assert len(re.findall(shared_topic, members)) >= 3, members
        assert len(re.findall(r"\bconsumer\b.*", members, re.I)) >= 1, members
        out = described(brisk, group)
        assert len(re.findall(rf"\s{shared_topic} ", out)) == 4, out
        first.stop()
        until(lambda: share([second], shared_topic), what="the other one taking over")
        second.leave()
        java("consumer-groups", "--bootstrap-server", brisk.address, "--delete", "--group", group)
    finally:
        first.process.kill()
        first.process.wait()


def test_offsets_of_topics_that_are_read_cannot_be_deleted(brisk, shared_topic):
    group = f"od-{shared_topic}"
    fill(brisk, shared_topic)
    member = Member(brisk.address, [shared_topic], group)
    until(lambda: len(member.seen) == 100, what="reading")
    delete = ("consumer-groups", "--bootstrap-server", brisk.address, "--delete-offsets", "--group", group, "--topic", shared_topic)
    out, err = java(*delete, check=False)
    assert "subscri" in (out + err).lower(), out + err
    out, err = java("consumer-groups", "--bootstrap-server", brisk.address, "--delete", "--group", group, check=False)
    assert "not empty" in out + err or "NonEmpty" in out + err, out + err
    member.leave()
    until(lambda: "Successful" in java(*delete, check=False)[0], what="deletion once nobody reads")


@pytest.mark.ours
def test_a_killed_broker_keeps_the_group(topic_name):
    broker = brisk_ringlog()
    try:
        make_topic(broker, topic_name, 4)
        fill(broker, topic_name)
        group = f"k-{topic_name}"
        members = [Member(broker.address, [topic_name], group, group_instance_id="i0"), Member(broker.address, [topic_name], group)]
        until(lambda: share(members, topic_name, [2, 2]), what="two members sharing")
        until(lambda: len({at for m in members for at in m.seen}) == 100, what="everything read")
        ids = sorted(re.findall(r"rdkafka.*?/", described(broker, group, "--members")))
        before = [m.assigned for m in members]
        owned = [m.owned for m in members]
        time.sleep(1)
        broker.kill()
        broker.start()
        fill(broker, topic_name)
        until(lambda: len({at for m in members for at in m.seen}) == 200, 40, "reading goes on")
        assert [m.owned for m in members] == owned and [m.assigned for m in members] == before, "nobody had to rebalance"
        assert sorted(re.findall(r"rdkafka.*?/", described(broker, group, "--members"))) == ids
        assert group_type(broker, group) == "CONSUMER"
        [m.leave() for m in members]
    finally:
        broker.stop()


@pytest.mark.ours
def test_kafkas_dump_log_reads_the_records(topic_name):
    """Every kind of record of such a group, as Kafka's own decoder understands it."""
    broker = brisk_ringlog()
    try:
        make_topic(broker, topic_name, 4)
        member = Member(broker.address, [f"^{topic_name}.*"], f"dl-{topic_name}", group_instance_id="i0")
        until(lambda: member.owned == partitions(topic_name), what="the member owning all partitions")
        broker.terminate()
        logs = [p for p in broker.folder.glob("**/__consumer_offsets-*/*.log") if p.stat().st_size > 0]
        out = "".join(java("dump-log", "--offsets-decoder", "--files", log)[0] for log in logs)
        for kind in (3, 5, 6, 7, 8, 16):
            assert re.search(rf'key: {{"type":"?{kind}"?,', out), (kind, out)
        assert '"instanceId":"i0"' in out and f"^{topic_name}.*" in out, out
        assert re.search(r'"partitions":\[0,1,2,3\],"assignmentEpochs":\[\d', out), out
        member.running = False
    finally:
        broker.stop()

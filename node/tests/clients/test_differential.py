"""The same administrative calls to us and to Kafka 4.3.1, answers compared line by line.

`java/AdminCalls.java` prints a line a step. Lines that differ must be listed in DELIBERATE with the reason, and every entry
there must be needed: one that no longer matches a difference fails the test, so that the list tells the truth. With
`--against kafka` Kafka is compared with itself, which proves that what is printed does not depend on a run."""
import concurrent.futures
import re
import subprocess

import servers

# (lines that it is about, reason). A line is known by what stands before its colon.
DELIBERATE = [
    (r"config of (topic|all brokers|the broker) min\.insync\.replicas",
     "Kafka formats with eligible leader replicas, which write a default for the whole cluster; one node has no use for them"),
    (r"config of the broker (core\..*|legacy\.clients|log\.scrub\..*|group\.(members\.bytes\.max|heartbeat\.hold\.ms))", "settings of ours"),
    (r"config of topic (flush\.ms|retention\.ms|segment\.jitter\.ms|segment\.ms)|value of (retention|flush)\.ms of TOPIC 't''*",
     "set for the broker in another unit or under another name: that is told, while Kafka shows the value and calls it a default"),
    (r"alter configs broker, (one listener's bound|SASL)", "nobody here acts on it, and somebody would count on that"),
    (r"unregister the broker itself", "Kafka takes a running broker out of the metadata, and no partition has a leader until it is started again"),
    (r"describe features", "only what is served: no share or streams groups, transactions, eligible leader replicas"),
    (r"update a feature that is none|versions of UPDATE_FEATURES", "there is one version of the metadata"),
    (r"describe the quorum|versions of (DESCRIBE_QUORUM|ADD_RAFT_VOTER|REMOVE_RAFT_VOTER)", "one node has no quorum"),
    (r"elect preferred leaders|list reassignments|reassign to nobody known|cancel no reassignment"
     r"|versions of (ELECT_LEADERS|ALTER_PARTITION_REASSIGNMENTS|LIST_PARTITION_REASSIGNMENTS)", "one node has nobody to elect or to move to"),
    (r"describe ACLs|versions of (CREATE|DELETE|DESCRIBE)_ACLS", "there is no authorizer: refused by not being served, never ignored"),
    (r"describe SCRAM users|versions of (ALTER|DESCRIBE)_USER_SCRAM_CREDENTIALS|versions of SASL_.*", "there are no users"),
    (r"(describe|create a) delegation tokens?|versions of (CREATE|DESCRIBE|EXPIRE|RENEW)_DELEGATION_TOKEN", "there are no users"),
    (r"describe quotas|versions of (ALTER|DESCRIBE)_CLIENT_QUOTAS", "there are no quotas"),
    (r"list transactions|describe a transaction of nobody|versions of (ADD_OFFSETS_TO_TXN|ADD_PARTITIONS_TO_TXN|DESCRIBE_TRANSACTIONS|END_TXN"
     r"|LIST_TRANSACTIONS|TXN_OFFSET_COMMIT|WRITE_TXN_MARKERS)", "transactions are not served"),
    (r"describe a (share|streams) group of nobody \[nobody\]|versions of .*SHARE_.*|versions of STREAMS_GROUP_.*",
     "share and streams groups are not served"),
]


def transcript(server, classes):
    """The lines of one run by name, without the errors' messages, which are for people."""
    command = servers.java_command("AdminCalls", server.address, classes=[classes])
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "end", "the program ended early:\n" + done.stdout[-2000:]
    lines = {}
    for line in done.stdout.splitlines()[:-1]:
        name, outcome = line.split(": ", 1)
        # A step that is taken again is another step.
        while name in lines:
            name += "'"
        lines[name] = outcome
    return lines


# What both are told besides what Kafka does not start without: a value of each kind of layer and unit, and names that nobody knows.
SETTINGS = {
    "log.retention.hours": "100", "log.roll.hours": "50", "log.roll.jitter.hours": "1", "log.flush.scheduler.interval.ms": "5000000",
    "offsets.topic.num.partitions": "4", "message.max.bytes": "1048576", "num.io.threads": "4", "group.initial.rebalance.delay.ms": "0",
    "group.consumer.heartbeat.interval.ms": "6000", "my.own.setting": "hidden", "zookeeper.connect": "localhost:2181",
    "listener.name.plaintext.max.connections": "77",
}


def of_kafka(classes):
    server = servers.Kafka([f"{key}={value}" for key, value in SETTINGS.items()])
    try:
        return transcript(server, classes)
    finally:
        server.stop()


def of_ours(classes):
    server = servers.Ringlog(settings=SETTINGS)
    try:
        return transcript(server, classes)
    finally:
        server.stop()


def essence(outcome):
    return None if outcome is None else outcome.split(" # ")[0]


def test_admin_calls_are_answered_as_kafka_answers_them(request, tmp_path):
    classes = servers.compiled(tmp_path, "AdminCalls", "GroupWire", "Transcript")
    against_kafka = request.config.getoption("--against") == "kafka"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ours = pool.submit(of_kafka if against_kafka else of_ours, classes)
        theirs = pool.submit(of_kafka, classes)
        ours, theirs = ours.result(), theirs.result()
    assert len(theirs) > 600, len(theirs)
    differing = [name for name in {**theirs, **ours} if essence(ours.get(name)) != essence(theirs.get(name))]
    allowed = [] if against_kafka else DELIBERATE
    unused = [pattern for pattern, _ in allowed if not any(re.fullmatch(pattern, name) for name in differing)]
    unknown = [name for name in differing if not any(re.fullmatch(pattern, name) for pattern, _ in allowed)]
    shown = "\n".join(f"{name}\n    ours:  {ours.get(name)}\n    Kafka: {theirs.get(name)}" for name in unknown)
    assert not unknown, f"{len(unknown)} answers differ from Kafka's:\n{shown}"
    assert not unused, f"no longer different, take them out of the list: {unused}"

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
    (r"config of the broker (core\..*|group\.heartbeat\.hold\.ms|legacy\.clients|log\.scrub\..*)", "settings of ours"),
    (r"config of the broker group\.initial\.rebalance\.delay\.ms", "0 without a properties file, so that a first consumer need not wait"),
    (r"config of the broker (controller\.listener\.names|controller\.quorum\.voters|process\.roles|listener\.security\.protocol\.map"
     r"|offsets\.topic\.replication\.factor|transaction\.state\.log\..*|share\.coordinator\.state\.topic\..*)",
     "set in the properties file that Kafka does not start without; ours was started without one"),
    (r"alter configs broker, unknown", "Kafka keeps keys that it does not know, for plug-ins; here there are none, and a typing error is told"),
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


def of_kafka(classes):
    server = servers.Kafka()
    try:
        return transcript(server, classes)
    finally:
        server.stop()


def of_ours(classes):
    server = servers.Ringlog(["--override", "node.id=1"])
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

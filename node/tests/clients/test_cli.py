"""Our own face: `ringlog topics`, `configs`, `offsets`, `delete-records`, `log-dirs`, on our broker (`--against kafka`: on a Kafka).
What each prints for programs is a document whose `schema` names its shape."""
import json
import os
import subprocess
import time

import pytest

import servers
from test_tools import fill

BINARY = os.environ.get("RINGLOG_BIN", str(servers.ROOT / "target" / "release" / "ringlog"))


def run(*args, code=0):
    """(standard output, standard error) of a command, which ends with `code`."""
    done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (args, done)
    assert "panicked" not in done.stderr, done.stderr
    return done.stdout, done.stderr


def settle(broker):
    """A Kafka answers before what was changed shows everywhere."""
    if broker.name == "kafka":
        time.sleep(0.5)


def document(*args):
    return json.loads(run(*args, "--output", "json")[0])


def test_the_life_of_a_topic(broker, topic_name):
    at = ("-b", broker.address)
    assert run("topics", "create", topic_name, "-p", 2, "-c", "retention.ms=60000", "--dry-run", *at)[0] == f"Topic {topic_name} could be created.\n"
    assert run("topics", "describe", topic_name, *at, code=5)[1].startswith(f"error: topic `{topic_name}` does not exist (UNKNOWN_TOPIC_OR_PARTITION)")
    assert run("topics", "create", topic_name, "-p", 2, "-c", "retention.ms=60000", *at)[0] == f"Created topic {topic_name}.\n"
    settle(broker)
    assert "TOPIC_ALREADY_EXISTS" in run("topics", "create", topic_name, *at, code=1)[1]
    assert run("topics", "create", topic_name, "--if-not-exists", *at) == ("", f"notice: topic `{topic_name}` exists already\n")
    out, _ = run("topics", "add-partitions", topic_name, "--total", 5, *at)
    assert out == f"Topic {topic_name} has 5 partitions; it had 2.\n"
    settle(broker)
    run("topics", "add-partitions", topic_name, "--total", 3, *at, code=1)

    listed = document("topics", "list", "--match", f"{topic_name}.*", *at)
    assert listed["schema"] == "ringlog.topics/v1"
    assert [(t["name"], t["partitions"], t["replication_factor"], t["internal"]) for t in listed["topics"]] == [(topic_name, 5, 1, False)]
    assert f"{topic_name}  " in run("topics", "list", *at)[0]
    described = document("topics", "describe", topic_name, *at)
    assert described["schema"] == "ringlog.topics.describe/v1"
    (topic,) = described["topics"]
    assert topic["configs"]["retention.ms"] == "60000" and topic["id"] == listed["topics"][0]["id"]
    assert [p["partition"] for p in topic["partitions"]] == [0, 1, 2, 3, 4]
    assert all(p["leader"] in p["isr"] for p in topic["partitions"])

    assert "hint: nothing was deleted" in run("topics", "delete", topic_name, f"{topic_name}-none", *at, code=5)[1]
    assert run("topics", "delete", topic_name, f"{topic_name}-none", "--if-exists", *at)[0] == f"Deleted topic {topic_name}.\n"
    settle(broker)
    assert document("topics", "list", "--match", topic_name, *at)["topics"] == []


def test_what_was_meant(broker, topic_name, topic):
    at = ("-b", broker.address)
    hint = f"hint: did you mean `{topic}`?\n"
    for command in (["topics", "describe", topic + "s"], ["topics", "delete", topic + "s"], ["offsets", topic + "s"], ["configs", "describe", "topic", topic + "s"]):
        assert hint in run(*command, *at, code=5)[1], command
    assert "did you mean `retention.ms`?" in run("topics", "create", topic_name + "x", "-c", "retention.mss=1", *at, code=1)[1]
    assert "did you mean `retention.ms`?" in run("configs", "set", "topic", topic, "retention.mss=1", *at, code=1)[1]
    assert "'--if-not-exists'" in run("topics", "create", topic_name + "x", "--if-not-exist", *at, code=2)[1]
    assert run("topcis", "list", code=2)[1] == "error: there is no command `topcis`\nhint: did you mean `topics`?\n"
    assert "did you mean `kafka-topics`?" in run("kafka-topic", "--list", code=2)[1]


def test_settings(broker, topic):
    at = ("-b", broker.address)
    entity = ("topic", topic)
    out, _ = run("configs", "set", *entity, "retention.ms=1000", "cleanup.policy=compact,delete", "--dry-run", *at)
    assert out == f"2 settings of topic `{topic}` could change.\n"
    assert document("configs", "describe", *entity, *at)["configs"] == []
    assert run("configs", "set", *entity, "retention.ms=1000", "cleanup.policy=compact,delete", *at)[0] == f"2 settings of topic `{topic}` changed.\n"
    settle(broker)
    read = document("configs", "describe", *entity, *at)
    assert (read["schema"], read["type"], read["name"]) == ("ringlog.configs/v1", "topic", topic)
    assert {c["name"]: (c["value"], c["source"]) for c in read["configs"]} == {
        "retention.ms": ("1000", "DYNAMIC_TOPIC_CONFIG"), "cleanup.policy": ("compact,delete", "DYNAMIC_TOPIC_CONFIG")}
    assert len(document("configs", "describe", *entity, "--all", *at)["configs"]) > 25
    assert run("configs", "describe", *entity, *at)[0].splitlines()[0].split() == ["NAME", "VALUE", "SOURCE"]
    assert run("configs", "unset", *entity, "cleanup.policy", *at)[0] == f"1 setting of topic `{topic}` changed.\n"
    settle(broker)
    assert [c["name"] for c in document("configs", "describe", *entity, *at)["configs"]] == ["retention.ms"]
    assert "INVALID_CONFIG" in run("configs", "set", *entity, "retention.ms=soon", *at, code=1)[1]
    run("configs", "describe", "broker", "x", *at, code=2)
    run("configs", "describe", "broker", 7777, *at, code=5)
    document("configs", "describe", "broker", "default", *at)


def test_offsets_and_deleted_records(broker, topic, tmp_path):
    at = ("-b", broker.address)
    fill(broker, topic)
    read = document("offsets", topic, *at)
    assert read["schema"] == "ringlog.offsets/v1"
    assert [(p["partition"], p["first"], p["end"]) for p in read["partitions"]] == [(p, 0, 10) for p in range(3)]
    assert run("delete-records", f"{topic}:0:4", f"{topic}:1:end", *at)[0] == f"{topic}-0 begins at 4.\n{topic}-1 begins at 10.\n"
    assert [p["first"] for p in document("offsets", topic, *at)["partitions"]] == [4, 10, 0]
    assert [p["offset"] for p in document("offsets", topic, "--time", "earliest", *at)["partitions"]] == [4, 10, 0]
    assert [p["offset"] for p in document("offsets", topic, "--time", 4_000_000_000_000, *at)["partitions"]] == [None] * 3
    assert run("offsets", topic, *at)[0].splitlines()[1].split() == [topic, "0", "4", "10", "6"]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"partitions": [{"topic": topic, "partition": 2, "offset": 3}]}))
    assert run("delete-records", "--file", plan, *at)[0] == f"{topic}-2 begins at 3.\n"
    assert "OFFSET_OUT_OF_RANGE" in run("delete-records", f"{topic}:0:5555", *at, code=1)[1]
    run("delete-records", f"{topic}:9:1", *at, code=5)
    run("delete-records", f"{topic}:1", *at, code=2)


def test_folders(broker, topic):
    at = ("-b", broker.address)
    fill(broker, topic)
    out, err = subprocess.run([BINARY, "log-dirs", "--topic", topic, "-o", "json", *at], capture_output=True, text=True, timeout=30), None
    if "does not serve DescribeLogDirs" in out.stderr:
        pytest.skip(f"{broker.name} does not serve DescribeLogDirs")
    read = json.loads(out.stdout)
    assert read["schema"] == "ringlog.log-dirs/v1"
    replicas = [r for d in read["log_dirs"] for r in d["replicas"]]
    assert sorted(r["partition"] for r in replicas) == [0, 1, 2] and all(r["topic"] == topic and r["bytes"] > 0 for r in replicas)
    assert all(d["error"] is None and 0 < d["usable_bytes"] <= d["total_bytes"] for d in read["log_dirs"])
    assert run("log-dirs", *at)[0].split()[:6] == ["BROKER", "FOLDER", "PARTITIONS", "BYTES", "FREE", "TOTAL"]
    assert len(run("log-dirs", "--topic", topic, "--partitions", *at)[0].splitlines()) == 4
    run("log-dirs", "--broker", 7777, *at, code=5)


def test_every_command_has_help():
    """A page for each, with the exit codes, and nothing on standard error."""
    for command in (["topics"], ["topics", "list"], ["topics", "describe"], ["topics", "create"], ["topics", "add-partitions"], ["topics", "delete"],
                    ["configs"], ["configs", "describe"], ["configs", "set"], ["configs", "unset"], ["offsets"], ["delete-records"], ["log-dirs"],
                    ["install-links"], ["completions"]):
        out, err = run(*command, "--help")
        assert "Usage: ringlog " + " ".join(command) in out and err == "", command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(shell):
    script = run("completions", shell)[0]
    assert all(word in script for word in ("topics", "kafka-topics", "--bootstrap-server" if shell != "fish" else "bootstrap-server"))
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "under-replicated-partitions" in run("completions", shell, "--tool", "kafka-topics")[0]


@pytest.mark.ours
def test_an_address_that_the_cluster_names_and_nobody_can_reach(tmp_path):
    """The classic first-day failure: the bootstrap address works, advertised.listeners do not."""
    port, dead = servers.free_port(), servers.free_port()
    file = tmp_path / "server.properties"
    file.write_text(f"listeners=PLAINTEXT://127.0.0.1:{port}\nadvertised.listeners=PLAINTEXT://127.0.0.1:{dead}\nlog.dirs={tmp_path / 'data'}\n")
    server = subprocess.Popen([BINARY, "start", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        servers.wait_for_port(port, server, 20)
        run("topics", "create", "a", "-b", f"127.0.0.1:{port}")
        err = run("offsets", "a", "-b", f"127.0.0.1:{port}", code=3)[1]
        assert f"127.0.0.1:{dead}: connection refused" in err and "advertised.listeners" in err, err
    finally:
        server.terminate()
        server.wait(timeout=20)

"""Kafka Connect 4.3.1, unmodified: a file goes into a topic and out of it into another file. Its offsets, configurations and
statuses live in compacted topics of the broker; its workers share tasks by the classic group protocol under a name of their own."""
import contextlib
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request

import servers
from test_groups import until

CLI = "org.apache.kafka.connect.cli."
JARS = [f"{servers.ECOSYSTEM_LIBS}/slf4j-simple-1.7.36.jar"]


class Worker:
    """One Connect process with its REST interface on a free port."""

    def __init__(self, main, folder, address, settings, *connectors):
        self.port = servers.free_port()
        properties = {
            "bootstrap.servers": address, "listeners": f"http://127.0.0.1:{self.port}",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "plugin.path": f"{servers.ECOSYSTEM_LIBS}/connect-file-4.3.1.jar", "plugin.discovery": "service_load",
            "offset.flush.interval.ms": "500", "rest.advertised.host.name": "127.0.0.1", **settings,
        }
        folder.mkdir()
        self.log = open(folder / "log", "wb")
        files = [written(folder / "worker.properties", properties)]
        files += [written(folder / f"{c['name']}.properties", c) for c in connectors]
        command = servers.java_command(CLI + main, *files, classes=JARS)
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def ask(self, path, body=None, method=None):
        """Status and answer; status 0 while nobody listens."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, None

    def runs(self, *names):
        """Whether these connectors and their tasks run."""
        states = [self.ask(f"/connectors/{name}/status") for name in names]
        return all(code == 200 and s["connector"]["state"] == "RUNNING" and [t["state"] for t in s["tasks"]] == ["RUNNING"]
                   for code, s in states)

    def until(self, condition, what, seconds=60):
        try:
            until(condition, seconds, what)
        except AssertionError as error:
            said = open(self.log.name, errors="replace").read()[-3000:]
            raise AssertionError(f"{error}; the worker ended with {self.process.poll()} and said:\n{said}") from None

    def end(self, by):
        self.process.send_signal(by)
        self.process.wait(30)
        self.log.close()


def written(path, properties):
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    return path


@contextlib.contextmanager
def running(worker):
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.end(signal.SIGKILL)


def source(name, path, topic):
    return {"name": name, "connector.class": "FileStreamSource", "tasks.max": "1", "file": str(path), "topic": topic}


def sink(name, path, topic):
    return {"name": name, "connector.class": "FileStreamSink", "tasks.max": "1", "file": str(path), "topics": topic}


class Lines:
    """Numbered lines that are written to a file, and those that came out of another one."""

    def __init__(self, folder):
        self.into, self.out_of, self.count = folder / "in.txt", folder / "out.txt", 0

    def write(self, count):
        with open(self.into, "a") as file:
            file.writelines(f"line {n}\n" for n in range(self.count, self.count + count))
        self.count += count

    def came(self):
        return self.out_of.read_text().splitlines() if self.out_of.exists() else []

    def all_came(self):
        return set(self.came()) == {f"line {n}" for n in range(self.count)}


def test_standalone(broker, topic, tmp_path):
    lines = Lines(tmp_path)
    lines.write(500)
    settings = {"offset.storage.file.filename": str(tmp_path / "offsets")}
    connectors = source("in", lines.into, topic), sink("out", lines.out_of, topic)
    with running(Worker("ConnectStandalone", tmp_path / "one", broker.address, settings, *connectors)) as worker:
        worker.until(lines.all_came, "every line coming out")
        assert lines.came() == [f"line {n}" for n in range(500)], "each once and in order"
        worker.end(signal.SIGTERM)
    lines.write(500)
    with running(Worker("ConnectStandalone", tmp_path / "two", broker.address, settings, *connectors)) as worker:
        worker.until(lines.all_came, "every line coming out after a restart")
        assert len(lines.came()) == 1_000, "both ends went on where they had been"


def cleanup_policies(broker, topics):
    from confluent_kafka.admin import AdminClient, ConfigResource
    admin = AdminClient({"bootstrap.servers": broker.address})
    asked = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, t) for t in topics])
    return [future.result()["cleanup.policy"].value for future in asked.values()]


def test_distributed(broker, topic, tmp_path):
    lines = Lines(tmp_path)
    lines.write(300)
    names = [f"{topic}-connect-{kind}" for kind in ("configs", "offsets", "status")]
    settings = {
        "group.id": f"connect-{topic}", "config.storage.topic": names[0], "offset.storage.topic": names[1], "status.storage.topic": names[2],
        "config.storage.replication.factor": "1", "offset.storage.replication.factor": "1", "status.storage.replication.factor": "1",
        "offset.storage.partitions": "5", "session.timeout.ms": "6000", "heartbeat.interval.ms": "1000",
        "scheduled.rebalance.max.delay.ms": "1000",
    }
    with contextlib.ExitStack() as stack:
        def start(name):
            return stack.enter_context(running(Worker("ConnectDistributed", tmp_path / name, broker.address, settings)))
        one = start("one")
        one.until(lambda: one.ask("/connectors")[0] == 200, "a first worker")
        for config in source("in", lines.into, topic), sink("out", lines.out_of, topic):
            code, answer = one.ask("/connectors", {"name": config["name"], "config": config})
            assert code == 201, (code, answer)
        one.until(lambda: one.runs("in", "out"), "both connectors running")
        one.until(lines.all_came, "every line coming out")
        assert cleanup_policies(broker, names) == ["compact"] * 3
        # A task that is told to begin again goes on where it was.
        assert one.ask("/connectors/in/tasks/0/restart", {}, "POST")[0] == 204
        lines.write(300)
        one.until(lines.all_came, "every line coming out after a task's restart")
        # A second worker takes its share; when the first dies, all of it.
        two = start("two")
        two.until(lambda: two.runs("in", "out") and len({t["worker_id"] for n in ("in", "out") for t in two.ask(f"/connectors/{n}/status")[1]["tasks"]}) == 2,
                  "two workers sharing two tasks")
        one.end(signal.SIGKILL)
        two.until(lambda: two.runs("in", "out") and {t["worker_id"] for n in ("in", "out") for t in two.ask(f"/connectors/{n}/status")[1]["tasks"]} == {f"127.0.0.1:{two.port}"},
                  "the second worker taking over")
        lines.write(300)
        two.until(lines.all_came, "every line coming out after a worker's death")
        # What a broker that was killed had promised is there when it comes back.
        broker.kill()
        broker.start()
        lines.write(300)
        two.until(lines.all_came, "every line coming out after the broker's death")
        assert two.ask("/connectors/in", method="DELETE")[0] == 204
        two.until(lambda: two.ask("/connectors")[1] == ["out"], "a connector going")
        two.end(signal.SIGTERM)
    # Another cluster of workers finds everything in the topics.
    with running(Worker("ConnectDistributed", tmp_path / "three", broker.address, settings)) as three:
        three.until(lambda: three.ask("/connectors")[1] == ["out"] and three.runs("out"), "what the topics tell")

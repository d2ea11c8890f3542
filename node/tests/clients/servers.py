"""Starts a broker for the suite: ours, or Kafka 4.3.1 itself as the oracle that the suite is checked against."""
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = pathlib.Path(os.environ.get("RINGLOG_CACHE", ROOT / ".cache"))
KAFKA_LIBS = CACHE / "kafka" / "libs"
ECOSYSTEM_LIBS = CACHE / "ecosystem" / "libs"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds):
    """Until something accepts on the port; fails at once when the process has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the broker ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nothing listens on {port} after {seconds} s")


def kafka_properties(port, controller, data):
    """What Kafka does not start without on one machine."""
    return {
        "process.roles": "broker,controller", "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(data),
        "offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1", "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }


def write_properties(path, properties):
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))


class Ringlog:
    """One ringlog process on a free port with its own data folder."""

    name = "ringlog"

    def __init__(self, extra=(), data=None, port=None, io=None, settings=None):
        """With `settings` they are what a file says: the whole of `kafka_properties` and these."""
        self.binary = os.environ.get("RINGLOG_BIN", str(ROOT / "target" / "release" / "ringlog"))
        self.folder = pathlib.Path(data or tempfile.mkdtemp(prefix="ringlog-clients-"))
        self.owns_folder = data is None
        self.port = port or free_port()
        self.extra = list(extra)
        self.io = io or os.environ.get("RINGLOG_IO", "auto")
        self.process = None
        self.config = None
        if settings is not None:
            self.config = self.folder.parent / (self.folder.name + ".properties")
            write_properties(self.config, {**kafka_properties(self.port, free_port(), self.folder), **settings})
        self.start()

    def start(self):
        self.log = open(self.folder.parent / (self.folder.name + ".log"), "ab")
        where = [str(self.config)] if self.config else ["--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.folder)]
        command = [self.binary, "start", *where, "--io", self.io, *self.extra]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        try:
            wait_for_port(self.port, self.process, 20)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; it said:\n{self.log_path.read_text()[-2000:]}") from None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def log_path(self):
        return pathlib.Path(self.log.name)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)

    def stop(self):
        if self.process.poll() is None:
            self.terminate()
        self.log.close()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.log_path.unlink(missing_ok=True)
            if self.config:
                self.config.unlink()


class Kafka:
    """Kafka 4.3.1 in KRaft combined mode on loopback."""

    name = "kafka"

    def __init__(self, extra=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kafka-clients-"))
        self.port, controller = free_port(), free_port()
        properties = kafka_properties(self.port, controller, self.folder / "data")
        properties.update(dict(e.split("=", 1) for e in extra))
        self.config = self.folder / "server.properties"
        write_properties(self.config, properties)
        java("kafka.tools.StorageTool", "format", "-t", "Ringlog_client_suite_A", "-c", str(self.config))
        self.start()

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(java_command("kafka.Kafka", str(self.config)), stdout=self.log, stderr=self.log)
        try:
            wait_for_port(self.port, self.process, 60)
        except RuntimeError as error:
            said = (self.folder / "log").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{error}; it said:\n{said}") from None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def java_command(main, *args, classes=()):
    """The command that runs a class of Kafka's jars, or of `classes` (folders and jars) before them."""
    path = ":".join([*map(str, classes), f"{KAFKA_LIBS}/*"])
    return ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=WARN",
            "-cp", path, main, *map(str, args)]


def compiled(into, *names, jars=()):
    """Compiles programs of ours (java/NAME.java) against Kafka's jars; the folder with their classes is the answer."""
    sources = [str(HERE / "java" / f"{name}.java") for name in names]
    path = ":".join([*map(str, jars), f"{KAFKA_LIBS}/*"])
    done = subprocess.run(["javac", "-d", str(into), "-cp", path, *sources], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"javac {' '.join(names)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return into


TOOLS = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "configs": "kafka.admin.ConfigCommand",
    "client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
}


def java(main, *args, stdin=None, timeout=90, check=True):
    """Runs one of Kafka's own tools (a name of TOOLS, or a class) and returns (stdout, stderr)."""
    done = subprocess.run(java_command(TOOLS.get(main, main), *args), input=stdin, capture_output=True, text=True,
                          timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"{main} {' '.join(map(str, args))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout, done.stderr

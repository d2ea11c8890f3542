"""Clients of years ago, each in a process of its own: Kafka's Java client by version, and kafka-python 1.4.7."""
import pathlib
import subprocess

from servers import CACHE, KAFKA_LIBS

HERE = pathlib.Path(__file__).resolve().parent
LEGACY = CACHE / "legacy"
HINT = "run `cargo xtask install`"
# 0.9 speaks message format 0, 0.10 format 1; 0.10.2 was the first to negotiate, 0.11 the first with record batches.
JAVA = ["0.9.0.1", "0.10.0.1", "0.10.2.2", "0.11.0.3", "2.0.1"]
CODECS = ["none", "gzip", "snappy", "lz4"]


def value(codec, i):
    """What both programs write as the i-th value."""
    return None if i % 5 == 4 else f"{codec}-{i}-".ljust(100, "v")


class Java:
    """Kafka's Java client of one version, with a program of ours compiled against it."""

    def __init__(self, version, folder):
        self.name, self.classes = f"java-{version}", folder
        jar = LEGACY / "java" / f"kafka-clients-{version}.jar"
        assert jar.exists(), f"{jar} is missing: {HINT}"
        # 0.9 calls what later releases of lz4 no longer have.
        lz4 = [LEGACY / "java" / "lz4-1.2.0.jar"] if version.startswith("0.9") else sorted(KAFKA_LIBS.glob("lz4-java-*.jar"))
        rest = [*KAFKA_LIBS.glob("slf4j-api-*.jar"), *KAFKA_LIBS.glob("snappy-java-*.jar")]
        self.classpath = ":".join(map(str, [folder, jar, *lz4, *rest]))
        subprocess.run(["javac", "-nowarn", "-d", str(folder), "-cp", str(jar), str(HERE / "legacy" / "RoundTrip.java")],
                       check=True, capture_output=True)

    def command(self, what, *args):
        return ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", self.classpath, "RoundTrip", what, *map(str, args)]


class KafkaPython:
    """kafka-python 1.4.7, told which version its broker has: it asks for nothing that came later."""

    def __init__(self, version):
        self.name, self.version = f"kafka-python-1.4.7-as-{version}", version
        self.python = LEGACY / "venv" / "bin" / "python"
        assert self.python.exists(), f"{self.python} is missing: {HINT}"

    def command(self, what, address, *args):
        script = str(HERE / "legacy" / "round_trip.py")
        return [str(self.python), script, what, address, self.version, *map(str, args)]


def run(client, what, *args, timeout=120):
    """The lines it printed, split into words."""
    done = subprocess.run(client.command(what, *args), capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{client.name} {what} {args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return [line.split() for line in done.stdout.splitlines()]


def produce(client, address, topic, codec, count):
    """Offsets of `count` records."""
    return [int(words[1]) for words in run(client, "produce", address, topic, codec, count) if words[0] == "sent"]


def consume(client, address, topic, group, count):
    """(offset, key, value) of `count` records read as a group; what it committed; the first offset after seeking back."""
    lines = run(client, "consume", address, topic, group, count)
    records = [(int(w[1]), w[2], None if w[3] == "null" else w[3]) for w in lines if w[0] == "record"]
    told = {words[0]: int(words[1]) for words in lines if words[0] in ("committed", "again")}
    return records, told.get("committed"), told.get("again")

"""Records what unmodified clients send to Kafka 4.3.1, and what it answers: the golden frames of the protocol crate's test.

    .cache/venv/bin/python node/tests/clients/capture.py [FOLDER]      (default: protocol/tests/captured)

A proxy stands between each client and the broker. Of every (client, API, version) it keeps the largest exchange of less than
4 KiB each way, of Produce one for each codec. Files hold a frame without its length:

    <client>-<api key>-v<version>-<n>.request.bin      and      .response.bin

Left out: APIs of LATER, which the crate has no definitions for yet.
"""
import collections
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

import adapters
import servers
from adapters import CODECS, Record

FRAME_BYTES_MAX = 4096
PRODUCE = 0
# ListPartitionReassignments, ConsumerGroupDescribe, and the telemetry of clients (KIP-714).
LATER = {46, 69, 71, 72}


class Proxy:
    """Passes frames on unchanged and remembers those worth keeping."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.broker_port = None
        self.client, self.codec = "", ""
        self.kept = {}
        self.lock = threading.Lock()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, broker_port):
        self.broker_port = broker_port
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.broker_port))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = {}
            for source, sink, see in ((near, far, self.request), (far, near, self.response)):
                args = (source, sink, see, self.client, asked)
                threading.Thread(target=self.pump, args=args, daemon=True).start()

    def pump(self, source, sink, see, client, asked):
        try:
            while True:
                length = exactly(source, 4)
                frame = exactly(source, struct.unpack(">i", length)[0])
                see(client, asked, frame)
                sink.sendall(length + frame)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def request(self, client, asked, frame):
        key, version, correlation = struct.unpack_from(">hhi", frame)
        asked[correlation] = (client, key, version, self.codec if key == PRODUCE else ""), frame

    def response(self, _client, asked, frame):
        name, request = asked.pop(struct.unpack_from(">i", frame)[0])
        if name[1] in LATER or max(len(request), len(frame)) >= FRAME_BYTES_MAX:
            return
        with self.lock:
            known = self.kept.get(name)
            if known is None or sum(map(len, known)) < len(request) + len(frame):
                self.kept[name] = request, frame


def exactly(source, count):
    parts = []
    while count:
        part = source.recv(count)
        if not part:
            raise OSError("closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


RECORDS = [Record(b"key", b"value " * 20, [("trace", b"1"), ("trace", b"2")], partition=0),
           Record(b"key", b"another value", [], partition=0)]


def produce(proxy, library, topic):
    for codec in CODECS:
        proxy.codec = codec
        library.produce(proxy.address, topic, RECORDS, codec)
    proxy.codec = ""


def kafka_python(proxy, topic):
    from kafka import KafkaConsumer
    from kafka.admin import KafkaAdminClient, NewTopic
    admin = KafkaAdminClient(bootstrap_servers=proxy.address)
    admin.create_topics([NewTopic(topic, 2, 1)])
    produce(proxy, adapters.KafkaPython(), topic)
    consumer = KafkaConsumer(topic, bootstrap_servers=proxy.address, group_id=topic, auto_offset_reset="earliest",
                             heartbeat_interval_ms=200, enable_auto_commit=False)
    poll_until(lambda: sum(map(len, consumer.poll(timeout_ms=300).values())))
    idle(lambda: consumer.poll(timeout_ms=100))
    consumer.commit()
    admin.describe_groups([topic])
    consumer.close()
    admin.list_groups()
    admin.delete_topics([topic])
    admin.close()


def confluent(proxy, topic):
    from confluent_kafka import Consumer, ConsumerGroupTopicPartitions
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": proxy.address})
    wait(admin.create_topics([NewTopic(topic, 2, 1)]))
    produce(proxy, adapters.Confluent(), topic)
    consumer = Consumer({"bootstrap.servers": proxy.address, "group.id": topic, "auto.offset.reset": "earliest",
                         "heartbeat.interval.ms": 200, "enable.auto.commit": False})
    consumer.subscribe([topic])
    poll_until(lambda: (m := consumer.poll(0.3)) is not None and m.error() is None)
    idle(lambda: consumer.poll(0.1))
    consumer.commit(asynchronous=False)
    admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)])[topic].result()
    wait(admin.describe_consumer_groups([topic]))
    admin.list_consumer_groups().result()
    admin.describe_cluster().result()
    consumer.close()
    wait(admin.delete_consumer_groups([topic]))
    wait(admin.delete_topics([topic]))


def aiokafka(proxy, topic):
    import asyncio
    produce(proxy, adapters.Aiokafka(), topic)

    async def run():
        from aiokafka import AIOKafkaConsumer
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic
        admin = AIOKafkaAdminClient(bootstrap_servers=proxy.address)
        await admin.start()
        await admin.create_topics([NewTopic(topic + "-made", 1, 1)])
        await admin.close()
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=proxy.address, group_id=topic, enable_auto_commit=False,
                                    auto_offset_reset="earliest", heartbeat_interval_ms=200)
        await consumer.start()
        while not await consumer.getmany(timeout_ms=300):
            pass
        await asyncio.sleep(1)
        await consumer.commit()
        await consumer.stop()
    asyncio.run(run())


def kafkajs(proxy, topic):
    library = adapters.Kafkajs()
    produce(proxy, library, topic)
    # It sends heartbeats between fetches, which wait for up to five seconds.
    library.call("group", proxy.address, topic, topic, 8)


def kcat(proxy, topic):
    produce(proxy, adapters.Kcat(), topic)
    subprocess.run(["kcat", "-L", "-b", proxy.address, "-t", topic], check=True, capture_output=True, timeout=30)
    subprocess.run(["kcat", "-Q", "-b", proxy.address, "-t", f"{topic}:0:-2"], check=True, capture_output=True, timeout=30)
    subprocess.run(["kcat", "-b", proxy.address, "-X", "heartbeat.interval.ms=200", "-X", "auto.offset.reset=earliest",
                    "-c", "4", "-G", topic, topic], check=True, capture_output=True, timeout=60)


def java(proxy, topic):
    at = ("--bootstrap-server", proxy.address)
    servers.java("topics", *at, "--create", "--topic", topic, "--partitions", 2)
    servers.java("topics", *at, "--describe", "--topic", topic)
    produce(proxy, adapters.Console(), topic)
    servers.java("console-consumer", *at, "--topic", topic, "--from-beginning", "--group", topic, "--timeout-ms", 6000,
                 "--command-property", "heartbeat.interval.ms=500", "--command-property", "group.protocol=classic")
    servers.java("consumer-groups", *at, "--describe", "--group", topic)
    servers.java("consumer-groups", *at, "--list")
    servers.java("get-offsets", *at, "--topic", topic)
    servers.java("topics", *at, "--alter", "--topic", topic, "--partitions", 3)
    servers.java("consumer-groups", *at, "--delete", "--group", topic)
    servers.java("topics", *at, "--delete", "--topic", topic)


def wait(futures):
    for future in futures.values():
        future.result(30)


def poll_until(ready):
    end = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < end, "nothing was consumed"


def idle(poll):
    """Long enough for a heartbeat and for a fetch that finds nothing."""
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        poll()


CLIENTS = {"kafka-python": kafka_python, "librdkafka": confluent, "aiokafka": aiokafka, "kafkajs": kafkajs, "kcat": kcat,
           "java": java}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else servers.ROOT / "protocol" / "tests" / "captured")
    folder.mkdir(parents=True, exist_ok=True)
    proxy = Proxy()
    broker = servers.Kafka([f"advertised.listeners=PLAINTEXT://{proxy.address}", "group.initial.rebalance.delay.ms=100"])
    failed = []
    try:
        proxy.start(broker.port)
        for name, run in CLIENTS.items():
            proxy.client = name
            began = time.monotonic()
            try:
                run(proxy, f"captured-{name}")
            except Exception as error:  # the other clients' frames are still worth having
                failed.append(f"{name}: {error!r}")
            kept = sum(1 for key in proxy.kept if key[0] == name)
            print(f"{name}: {kept} exchanges in {time.monotonic() - began:.1f} s", flush=True)
    finally:
        broker.stop()
    for old in folder.glob("*.bin"):
        old.unlink()
    numbers = collections.Counter()
    for (client, key, version, _codec), pair in sorted(proxy.kept.items()):
        n = numbers[client, key, version]
        numbers[client, key, version] += 1
        for kind, frame in zip(("request", "response"), pair):
            (folder / f"{client}-{key}-v{version}-{n}.{kind}.bin").write_bytes(frame)
    print(f"{len(proxy.kept)} exchanges, {sum(len(a) + len(b) for a, b in proxy.kept.values())} bytes in {folder}")
    for failure in failed:
        print(failure, file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())

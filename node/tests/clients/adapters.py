"""One face for every client library: produce a list of Records with a codec, consume n records, from the beginning."""
import asyncio
import base64
import json
import os
import pathlib
import shutil
import subprocess
import time
from dataclasses import dataclass, field

import servers

HERE = pathlib.Path(__file__).resolve().parent
# Recent, so that retention by time leaves the records alone.
STAMP = int(time.time() * 1000) - 60_000
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


@dataclass
class Record:
    key: bytes | None
    value: bytes | None
    headers: list = field(default_factory=list)
    timestamp: int = STAMP
    partition: int | None = None

    def content(self):
        return (self.key, self.value, tuple(self.headers), self.timestamp)


class KafkaPython:
    name = "kafka-python"

    def produce(self, address, topic, records, codec):
        from kafka import KafkaProducer
        producer = KafkaProducer(bootstrap_servers=address, compression_type=None if codec == "none" else codec,
                                 acks="all", linger_ms=20, max_request_size=4 << 20)
        futures = [producer.send(topic, key=r.key, value=r.value, headers=r.headers, timestamp_ms=r.timestamp,
                                 partition=r.partition) for r in records]
        producer.flush(30)
        sent = [f.get(30) for f in futures]
        producer.close()
        return [(m.partition, m.offset) for m in sent]

    def consume(self, address, topic, count, seconds=30):
        from kafka import KafkaConsumer
        consumer = KafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest", group_id=None,
                                 enable_auto_commit=False)
        got, end = [], time.monotonic() + seconds
        while len(got) < count and time.monotonic() < end:
            for batch in consumer.poll(timeout_ms=500).values():
                got += [Record(m.key, m.value, list(m.headers), m.timestamp, m.partition) for m in batch]
        consumer.close()
        return got


class Confluent:
    name = "confluent-kafka"

    def produce(self, address, topic, records, codec):
        from confluent_kafka import Producer
        places = [None] * len(records)
        producer = Producer({"bootstrap.servers": address, "compression.type": codec, "acks": "all", "linger.ms": 20,
                             "message.max.bytes": 4 << 20, "partitioner": "murmur2_random"})

        def landed(index):
            def on_delivery(error, message):
                assert error is None, error
                places[index] = (message.partition(), message.offset())
            return on_delivery
        for i, r in enumerate(records):
            extra = {} if r.partition is None else {"partition": r.partition}
            producer.produce(topic, key=r.key, value=r.value, headers=r.headers, timestamp=r.timestamp,
                             on_delivery=landed(i), **extra)
            producer.poll(0)
        assert producer.flush(30) == 0
        return places

    def consume(self, address, topic, count, seconds=30):
        from confluent_kafka import Consumer
        consumer = Consumer({"bootstrap.servers": address, "group.id": f"c-{topic}-{time.time()}",
                             "auto.offset.reset": "earliest", "enable.auto.commit": False})
        consumer.subscribe([topic])
        got, end = [], time.monotonic() + seconds
        while len(got) < count and time.monotonic() < end:
            m = consumer.poll(0.5)
            if m is None:
                continue
            assert m.error() is None, m.error()
            got.append(Record(m.key(), m.value(), m.headers() or [], m.timestamp()[1], m.partition()))
        consumer.close()
        return got


class Aiokafka:
    name = "aiokafka"

    def produce(self, address, topic, records, codec):
        from aiokafka import AIOKafkaProducer

        async def run():
            producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", linger_ms=20, max_request_size=4 << 20,
                                        compression_type=None if codec == "none" else codec)
            await producer.start()
            try:
                futures = [await producer.send(topic, key=r.key, value=r.value, headers=r.headers,
                                               timestamp_ms=r.timestamp, partition=r.partition) for r in records]
                sent = [await f for f in futures]
            finally:
                await producer.stop()
            return [(m.partition, m.offset) for m in sent]
        return asyncio.run(run())

    def consume(self, address, topic, count, seconds=30):
        from aiokafka import AIOKafkaConsumer

        async def run():
            consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest", group_id=None)
            await consumer.start()
            got, end = [], time.monotonic() + seconds
            try:
                while len(got) < count and time.monotonic() < end:
                    for batch in (await consumer.getmany(timeout_ms=500)).values():
                        got.extend(Record(m.key, m.value, list(m.headers), m.timestamp, m.partition) for m in batch)
            finally:
                await consumer.stop()
            return got
        return asyncio.run(run())


class Kafkajs:
    name = "kafkajs"

    def call(self, *args, payload=None, timeout=60):
        env = dict(os.environ, NODE_PATH=str(servers.CACHE / "npm" / "node_modules"))
        done = subprocess.run(["node", str(HERE / "kafkajs_client.js"), *map(str, args)], input=payload, env=env,
                              capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def produce(self, address, topic, records, codec):
        def b64(b):
            return None if b is None else base64.b64encode(b).decode()
        # kafkajs keeps headers in an object, duplicates become an array under one name.
        rows = []
        for r in records:
            headers = {}
            for k, v in r.headers:
                headers.setdefault(k, []).append(b64(v))
            rows.append({"key": b64(r.key), "value": b64(r.value), "headers": headers, "timestamp": str(r.timestamp),
                         "partition": r.partition})
        self.call("produce", address, topic, codec, payload=json.dumps(rows))

    def consume(self, address, topic, count, seconds=30):
        def raw(s):
            return None if s is None else base64.b64decode(s)
        rows = self.call("consume", address, topic, count, seconds, timeout=seconds + 30)
        return [Record(raw(r["key"]), raw(r["value"]), [(k, raw(v)) for k, v in r["headers"]], int(r["timestamp"]),
                       r["partition"]) for r in rows]


class Kcat:
    name = "kcat"

    def produce(self, address, topic, records, codec):
        # kcat has one key and one header set a run: each record is a run of its own.
        for r in records:
            command = ["kcat", "-P", "-b", address, "-t", topic, "-z", codec, "-X", "acks=all",
                       "-X", "message.max.bytes=4194304", "-X", "partitioner=murmur2_random"]
            command += [] if r.key is None else ["-k", r.key.decode()]
            command += [] if r.partition is None else ["-p", str(r.partition)]
            for k, v in r.headers:
                command += ["-H", f"{k}={v.decode()}"]
            if r.value is None:
                at = command.index("-k")
                subprocess.run([*command[:at], "-Z", "-K", ":", *command[at + 2:]], input=r.key + b":\n", check=True, timeout=30)
                continue
            subprocess.run([*command, "-D", "\x01"], input=r.value, check=True, timeout=30)

    def consume(self, address, topic, count, seconds=30):
        out = subprocess.run(["kcat", "-C", "-b", address, "-t", topic, "-o", "beginning", "-e", "-q",
                              "-f", "%p %T %K %S %h\\n%k%s", "-X", "fetch.message.max.bytes=4194304"],
                             capture_output=True, timeout=seconds, check=True).stdout
        got, at = [], 0
        while at < len(out):
            line = out[at:out.index(b"\n", at)]
            at += len(line) + 1
            partition, stamp, key_len, value_len, headers = line.split(b" ", 4)
            parts = []
            for size in (int(key_len), int(value_len)):
                parts.append(None if size < 0 else out[at:at + size])
                # kcat prints the word NULL for a null.
                at += max(size, 0) if size >= 0 else 0
            pairs = [tuple(h.split(b"=", 1)) for h in headers.split(b",") if h]
            got.append(Record(*parts, [(k.decode(), v) for k, v in pairs], int(stamp), int(partition)))
        return got


class Console:
    """Kafka's own console producer and consumer: the Java client."""
    name = "java-console"

    def produce(self, address, topic, records, codec):
        lines = []
        for r in records:
            headers = ",".join(f"{k}:{v.decode()}" for k, v in r.headers) or "NULL"
            lines.append("\t".join([headers, *("NULL" if x is None else x.decode() for x in (r.key, r.value))]))
        servers.java("console-producer", "--bootstrap-server", address, "--topic", topic, "--compression-codec", codec,
                     "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true",
                     "--reader-property", "null.marker=NULL", "--command-property", "max.request.size=4194304",
                     stdin="\n".join(lines) + "\n")

    def consume(self, address, topic, count, seconds=30):
        out, _ = servers.java("console-consumer", "--bootstrap-server", address, "--topic", topic, "--from-beginning",
                              "--max-messages", count, "--timeout-ms", seconds * 1000,
                              *(x for p in ("print.key", "print.headers", "print.timestamp", "print.partition")
                                for x in ("--formatter-property", f"{p}=true")),
                              "--formatter-property", "null.literal=NULL", timeout=seconds + 30)
        got = []
        for line in out.splitlines():
            stamp, partition, headers, key, value = line.split("\t", 4)
            pairs = [] if headers == "NO_HEADERS" else [tuple(h.split(":", 1)) for h in headers.split(",")]
            got.append(Record(None if key == "NULL" else key.encode(), None if value == "NULL" else value.encode(),
                              [(k, v.encode()) for k, v in pairs], int(stamp.split(":")[1]),
                              int(partition.split(":")[1])))
        return got


ALL = [KafkaPython(), Confluent(), Aiokafka(), Kafkajs(), Kcat(), Console()]

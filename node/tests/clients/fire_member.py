"""One member of a group, a process of its own: it tells what it owns and what it has processed, commits behind every batch, and
ends by SIGTERM. Usage: fire_member.py LIBRARY ADDRESS TOPIC GROUP [KEY=VALUE ...]. Its lines:

    A <µs> <generation> <partitions>    these are its own from now on, beside those it has (generation -1: the library does not tell)
    R <µs> <partitions>                 it gives these up
    L <µs> <partitions>                 it learns that these are no longer its own
    P <partition> <offset> <value>      it has processed this
    E <why>                             a commit was refused

Times are the system's monotonic clock, which all processes share."""
import asyncio
import signal
import sys
import time

ends = False


def say(*words):
    print(*words, flush=True)


def us():
    return time.monotonic_ns() // 1_000


def named(partitions):
    return ",".join(str(p) for p in sorted(partitions)) or "-"


def end(*_):
    global ends
    ends = True


def confluent(address, topic, group, settings):
    from confluent_kafka import Consumer, KafkaException
    # A group's members must agree on how they rebalance; the library's default is eager, as that of the others.
    consumer = Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, **settings})
    # The library hands out and takes partitions itself unless told otherwise; it does not tell the generation.
    consumer.subscribe([topic], on_assign=lambda c, ps: say("A", us(), -1, named(p.partition for p in ps)),
                       on_revoke=lambda c, ps: say("R", us(), named(p.partition for p in ps)),
                       on_lost=lambda c, ps: say("L", us(), named(p.partition for p in ps)))
    uncommitted = False
    while not ends:
        messages = [m for m in consumer.consume(50, 0.2) if m.error() is None]
        if messages or uncommitted:
            uncommitted = True
            print("".join(f"P {m.partition()} {m.offset()} {m.value().decode()}\n" for m in messages), end="", flush=True)
            try:
                consumer.commit(asynchronous=False)
                uncommitted = False
            except KafkaException as error:
                say("E", error.args[0].name())
    consumer.close()


def kafka_python(address, topic, group, settings):
    from kafka import ConsumerRebalanceListener, KafkaConsumer
    from kafka.errors import KafkaError

    consumer = KafkaConsumer(bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                             max_poll_records=50, **{key.replace(".", "_"): int(value) for key, value in settings.items()})

    class Listener(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            say("A", us(), consumer._coordinator._generation.generation_id, named(p.partition for p in assigned))

        def on_partitions_revoked(self, revoked):
            say("R", us(), named(p.partition for p in revoked))

        def on_partitions_lost(self, lost):
            say("L", us(), named(p.partition for p in lost))

    consumer.subscribe([topic], listener=Listener())
    uncommitted = False
    while not ends:
        batches = consumer.poll(timeout_ms=200)
        if batches or uncommitted:
            uncommitted = True
            print("".join(f"P {m.partition} {m.offset} {m.value.decode()}\n" for batch in batches.values() for m in batch), end="", flush=True)
            try:
                consumer.commit()
                uncommitted = False
            except KafkaError as error:
                say("E", type(error).__name__)
    consumer.close()


def aiokafka(address, topic, group, settings):
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
    from aiokafka.errors import KafkaError

    async def run():
        consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                    **{key.replace(".", "_"): int(value) for key, value in settings.items()})

        class Listener(ConsumerRebalanceListener):
            async def on_partitions_assigned(self, assigned):
                say("A", us(), consumer._coordinator.generation, named(p.partition for p in assigned))

            async def on_partitions_revoked(self, revoked):
                say("R", us(), named(p.partition for p in revoked))

        await consumer.start()
        consumer.subscribe([topic], listener=Listener())
        uncommitted = False
        while not ends:
            batches = await consumer.getmany(timeout_ms=200, max_records=50)
            if batches or uncommitted:
                uncommitted = True
                print("".join(f"P {m.partition} {m.offset} {m.value.decode()}\n" for batch in batches.values() for m in batch), end="", flush=True)
                try:
                    await consumer.commit()
                    uncommitted = False
                except KafkaError as error:
                    say("E", type(error).__name__)
        await consumer.stop()

    asyncio.run(run())


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    library, address, topic, group, *pairs = sys.argv[1:]
    {"confluent": confluent, "kafka_python": kafka_python, "aiokafka": aiokafka}[library](
        address, topic, group, dict(pair.split("=", 1) for pair in pairs))

"""Produces and consumes with kafka-python 1.4.7, which is told which broker version to believe in; as RoundTrip.java does.

  round_trip.py produce ADDRESS VERSION TOPIC CODEC COUNT
  round_trip.py consume ADDRESS VERSION TOPIC GROUP COUNT
"""
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def value(codec, i):
    return f"{codec}-{i}-".encode().ljust(100, b"v")


def produce(address, version, topic, codec, count):
    producer = KafkaProducer(bootstrap_servers=address, api_version=version, acks="all", linger_ms=20,
                             compression_type=None if codec == "none" else codec)
    sent = [producer.send(topic, key=b"k%d" % i, value=None if i % 5 == 4 else value(codec, i), partition=0)
            for i in range(count)]
    producer.flush()
    for one in sent:
        print("sent", one.get(10).offset)
    producer.close()


def consume(address, version, topic, group, count):
    consumer = KafkaConsumer(topic, bootstrap_servers=address, api_version=version, group_id=group,
                             auto_offset_reset="earliest", enable_auto_commit=False, consumer_timeout_ms=40_000)
    text = lambda data: "null" if data is None else data.decode()
    for seen, record in enumerate(consumer, 1):
        print("record", record.offset, text(record.key), text(record.value))
        if seen == count:
            break
    consumer.commit()
    place = TopicPartition(topic, 0)
    print("committed", consumer.committed(place))
    consumer.seek(place, count // 2)
    print("again", next(consumer).offset)
    consumer.close()


what, address, version, topic, third, count = sys.argv[1:]
{"produce": produce, "consume": consume}[what](address, tuple(int(n) for n in version.split(".")), topic, third, int(count))

"""Fixtures: one broker for the whole run (`--against kafka` runs the same tests on Kafka 4.3.1), a fresh topic a test."""
import itertools
import os
import time

import pytest

import servers


def pytest_addoption(parser):
    parser.addoption("--against", choices=["ringlog", "kafka"], default="ringlog",
                     help="which broker the suite starts; kafka checks the suite itself")
    parser.addoption("--kills", type=int, default=25, help="how often the crash test kills the broker")
    parser.addoption("--fire-seconds", type=int, default=8, help="how long groups are under fire")
    parser.addoption("--fire-seed", type=int, default=0, help="what happens to them and when; 0 draws one")


def pytest_configure(config):
    config.addinivalue_line("markers", "ours: needs the ringlog process itself (its files, its signals)")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--against") == "kafka":
        for item in items:
            if item.get_closest_marker("ours"):
                item.add_marker(pytest.mark.skip(reason="about the ringlog process itself; Kafka is being tested"))


@pytest.fixture(scope="session")
def broker(request):
    server = servers.Kafka(["group.initial.rebalance.delay.ms=500"]) if request.config.getoption("--against") == "kafka" else servers.Ringlog(["--override", "group.initial.rebalance.delay.ms=500"])
    yield server
    server.stop()


_names = itertools.count()


@pytest.fixture
def topic_name():
    return f"t{os.getpid()}-{next(_names)}-{int(time.time() * 1000) % 100000}"


@pytest.fixture
def topic(broker, topic_name):
    """A topic of three partitions."""
    make_topic(broker, topic_name, 3)
    return topic_name


def make_topic(broker, name, partitions, configs=None):
    from kafka.admin import KafkaAdminClient, NewTopic
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs or {})])
    finally:
        admin.close()

"""Each topic configuration of Kafka 4.3.1 has the effect that Kafka says it has, or is refused with the reason. TABLE says of each where
that is seen: in a test here, or in another one, by file and name. With `--against kafka` the tests here check what they expect."""
import pathlib
import random
import re
import time

import pytest

import raw
import servers
from adapters import STAMP
from raw import DELETE, SET, TOPIC
from servers import java

ROOT = servers.ROOT
HERE = "node/tests/clients/test_topic_configs.py"
CONFIGS = "node/tests/clients/test_configs.py"
COMPACTION = "node/tests/clients/test_compaction.py"
ENGINE = "engine/tests/log/"

TABLE = {
    "cleanup.policy": (COMPACTION, "test_a_policy_that_is_changed_takes_effect"),
    "compression.gzip.level": (HERE, "test_codecs_and_their_levels"),
    "compression.lz4.level": (HERE, "test_codecs_and_their_levels"),
    "compression.type": (HERE, "test_codecs_and_their_levels"),
    "compression.zstd.level": (HERE, "test_codecs_and_their_levels"),
    "delete.retention.ms": (COMPACTION, "test_tombstones_go_after_their_retention"),
    "file.delete.delay.ms": (HERE, "test_files_of_deleted_segments_stay_for_the_delay"),
    "flush.messages": ("broker/src/config/durability.rs", "precedence"),
    "flush.ms": (ENGINE + "life.rs", "weaker_durability_is_said_after_the_write"),
    # There is one broker, which has no followers: they are checked, kept and shown.
    "follower.replication.throttled.replicas": (HERE, "test_replication_has_nothing_to_throttle_and_nobody_to_elect"),
    "index.interval.bytes": (HERE, "test_a_full_index_closes_a_segment"),
    "leader.replication.throttled.replicas": (HERE, "test_replication_has_nothing_to_throttle_and_nobody_to_elect"),
    "local.retention.bytes": (HERE, "test_tiered_storage_is_refused_with_the_reason"),
    "local.retention.ms": (HERE, "test_tiered_storage_is_refused_with_the_reason"),
    "max.compaction.lag.ms": ("engine/src/log/compact/choose.rs", "how_far_a_pass_reaches"),
    "max.message.bytes": (HERE, "test_a_batch_may_be_so_large"),
    "message.timestamp.after.max.ms": (HERE, "test_timestamps_lie_within_bounds"),
    "message.timestamp.before.max.ms": (HERE, "test_timestamps_lie_within_bounds"),
    "message.timestamp.type": (CONFIGS, "test_batches_are_rebuilt_as_the_topic_says"),
    "min.cleanable.dirty.ratio": ("engine/src/log/compact/choose.rs", "how_far_a_pass_reaches"),
    "min.compaction.lag.ms": (ENGINE + "compaction.rs", "what_is_younger_than_the_lag_stays"),
    "min.insync.replicas": (HERE, "test_replication_has_nothing_to_throttle_and_nobody_to_elect"),
    "preallocate": (HERE, "test_preallocate_reserves_a_segment_and_gives_the_rest_back"),
    "remote.log.copy.disable": (HERE, "test_tiered_storage_is_refused_with_the_reason"),
    "remote.log.delete.on.disable": (HERE, "test_tiered_storage_is_refused_with_the_reason"),
    "remote.storage.enable": (HERE, "test_tiered_storage_is_refused_with_the_reason"),
    "retention.bytes": (CONFIGS, "test_retention_takes_effect_at_once_and_outlives_a_restart"),
    "retention.ms": (CONFIGS, "test_retention_takes_effect_at_once_and_outlives_a_restart"),
    "segment.bytes": (HERE, "test_size_and_age_close_a_segment"),
    "segment.index.bytes": (HERE, "test_a_full_index_closes_a_segment"),
    "segment.jitter.ms": (HERE, "test_size_and_age_close_a_segment"),
    "segment.ms": (HERE, "test_size_and_age_close_a_segment"),
    "unclean.leader.election.enable": (HERE, "test_replication_has_nothing_to_throttle_and_nobody_to_elect"),
}


@pytest.fixture(scope="module")
def own(request):
    """A broker whose files we look at, and which looks for segments to delete all the time."""
    often = {"log.retention.check.interval.ms": "100", "log.initial.task.delay.ms": "0"}
    if request.config.getoption("--against") == "kafka":
        server = servers.Kafka([f"{key}={value}" for key, value in often.items()])
    else:
        server = servers.Ringlog(settings=often)
    yield server
    server.stop()


def made(own, name, **configs):
    configs = {key.replace("_", "."): str(value) for key, value in configs.items()}
    answer = raw.create(own.address, [(name, 1, 1, list(configs.items()))])
    assert answer[0][1] == 0, answer
    return name


class Writer:
    """Sends batches of one record, each after the one before was acknowledged."""

    def __init__(self, own, topic):
        from kafka import KafkaProducer
        self.topic = topic
        self.producer = KafkaProducer(bootstrap_servers=own.address, acks="all", linger_ms=0, max_request_size=8 << 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.producer.close(10)

    def send(self, value, timestamp=STAMP):
        return self.producer.send(self.topic, value, partition=0, timestamp_ms=timestamp).get(20).offset


def folder(own, topic):
    data = own.folder / "data" if own.name == "kafka" else own.folder
    return data / f"{topic}-0"


def segments(own, topic):
    """Base offset and length of each segment's file."""
    files = sorted(folder(own, topic).glob("*.log"))
    return [(int(file.stem), file.stat().st_size) for file in files]


def bases(own, topic):
    return [base for base, _ in segments(own, topic)]


def eventually(look, seconds=20):
    end = time.monotonic() + seconds
    while not (got := look()) and time.monotonic() < end:
        time.sleep(0.05)
    assert got
    return got


def batches(own, *topics):
    """What Kafka's dump-log says of each batch: topic, size and codec."""
    files = [file for topic in topics for file in sorted(folder(own, topic).glob("*.log"))]
    # It ends badly where it meets space that was reserved, also in Kafka's own files; batches before it are printed.
    out, _ = java("dump-log", "--files", ",".join(map(str, files)), check=False)
    found, topic = [], None
    for line in out.splitlines():
        if line.startswith("Dumping "):
            topic = pathlib.Path(line.split(" ", 1)[1]).parent.name[:-2]
        if batch := re.search(r" size: (\d+) .*compresscodec: (\S+)", line):
            found.append((topic, int(batch[1]), batch[2]))
    return found


def test_the_table_is_whole_and_each_test_is_there(own, topic_name):
    made(own, topic_name)
    eventually(lambda: raw.describe(own.address, [(TOPIC, topic_name, None)])[0][4])
    described = raw.describe(own.address, [(TOPIC, topic_name, None)])[0][4]
    assert set(described) == set(TABLE) and len(TABLE) == 33
    for key, (file, name) in TABLE.items():
        text = (ROOT / file).read_text()
        assert re.search(rf"\b(def|fn) {name}\b", text), f"{key}: {file} has no {name}"


def test_a_full_index_closes_a_segment(own, topic_name):
    """An entry for every batch of 5,000 bytes; ten entries of twelve bytes, the last of them kept for the roll."""
    rolled = made(own, topic_name, segment_index_bytes=120)
    wide = made(own, topic_name + "-wide", segment_index_bytes=120, index_interval_bytes=5_100)
    same = made(own, topic_name + "-same", segment_index_bytes=120)
    for topic, step in ((rolled, 1), (wide, 1), (same, 0)):
        with Writer(own, topic) as writer:
            for n in range(34):
                assert writer.send(bytes(5_000), STAMP + n * step) == n
    assert bases(own, rolled) == [0, 10, 20, 30]
    assert bases(own, wide) == [0, 19], "an entry for every other batch"
    assert bases(own, same) == [0, 16, 32], "times that do not rise have no entries; offsets have fifteen of eight bytes"


def test_preallocate_reserves_a_segment_and_gives_the_rest_back(own, topic_name):
    plain = made(own, topic_name + "-plain", segment_bytes=4 << 20)
    topic = made(own, topic_name, preallocate="true", segment_bytes=4 << 20)
    for name in (plain, topic):
        with Writer(own, name) as writer:
            writer.send(bytes(1_000))
    assert segments(own, topic) == [(0, 4 << 20)]
    assert segments(own, plain)[0][1] < 4 << 20
    with Writer(own, topic) as writer:
        for _ in range(5):
            writer.send(bytes(900_000))
    (first, closed), (_, active) = eventually(lambda: (found := segments(own, topic)) and found[0][1] < 4 << 20 and found)
    assert first == 0 and 3_600_000 < closed < 3_700_000 and active == 4 << 20
    assert len(batches(own, topic)) == 6, "Kafka's dump-log reads up to the space behind"


def test_size_and_age_close_a_segment(own, topic_name):
    by_size = made(own, topic_name + "-size", segment_bytes=1 << 20)
    with Writer(own, by_size) as writer:
        for _ in range(7):
            writer.send(bytes(300_000))
    assert bases(own, by_size) == [0, 3, 6]
    by_age = made(own, topic_name + "-age", segment_ms=60_000)
    with Writer(own, by_age) as writer:
        for at in (0, 60_000, 60_001, 120_000):
            writer.send(b"x", STAMP + at)
    assert bases(own, by_age) == [0, 2], "more than segment.ms after the first"
    # Of thirty segments that could last a minute, some are closed earlier, and none later.
    jitter = made(own, topic_name + "-jitter", segment_ms=60_000, segment_jitter_ms=60_000)
    with Writer(own, jitter) as writer:
        for n in range(240):
            writer.send(b"x", STAMP + n * 10_000)
    first = bases(own, jitter)
    lasted = [after - before for before, after in zip(first, first[1:])]
    assert max(lasted) <= 7 and len(first) > 240 // 7, first


def test_files_of_deleted_segments_stay_for_the_delay(own, topic_name):
    quick = made(own, topic_name + "-quick", segment_bytes=1 << 20, file_delete_delay_ms=0)
    slow = made(own, topic_name + "-slow", segment_bytes=1 << 20, file_delete_delay_ms=600_000)
    for topic in (quick, slow):
        with Writer(own, topic) as writer:
            for _ in range(7):
                writer.send(bytes(300_000))
        steps = [("retention.bytes", SET, "300000")]
        assert raw.incremental(own.address, [(TOPIC, topic, steps)])[0][2] == 0
    first = "00000000000000000000.log"
    eventually(lambda: not [file for file in folder(own, quick).iterdir() if file.name.startswith(first)])
    eventually(lambda: not (folder(own, slow) / first).exists())
    assert [file for file in folder(own, slow).iterdir() if file.name.startswith(first)], "it waits under another name"


def test_codecs_and_their_levels(own, topic_name):
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(400)]
    text = " ".join(chance.choice(words) for _ in range(40_000)).encode()
    kinds = {"uncompressed": ({}, "none"), "snappy": ({}, "snappy")}
    for codec, low, high in (("gzip", 1, 9), ("lz4", 1, 17), ("zstd", -50, 19)):
        for level in (low, high):
            kinds[f"{codec}{level}"] = ({f"compression.{codec}.level": str(level)}, codec)
    topics = {}
    for kind, (configs, codec) in kinds.items():
        word = "uncompressed" if codec == "none" else codec
        name = f"{topic_name}-{kind.replace('-', 'm')}"
        answer = raw.create(own.address, [(name, 1, 1, [("compression.type", word), *configs.items()])])
        assert answer[0][1] == 0, answer
        topics[name] = (kind, codec)
        with Writer(own, name) as writer:
            writer.send(text)
    # A clean stop gives reserved space back, at which dump-log would end.
    own.terminate()
    found = batches(own, *topics)
    own.start()
    sizes = {}
    for topic, size, codec in found:
        kind, expected = topics[topic]
        assert codec == expected, (kind, codec)
        sizes[kind] = size
    assert sizes["uncompressed"] > len(text) > 2 * sizes["snappy"]
    for low, high in (("gzip1", "gzip9"), ("lz41", "lz417"), ("zstd-50", "zstd19")):
        assert sizes[high] < 0.97 * sizes[low], sizes


def test_a_batch_may_be_so_large(own, topic_name):
    from kafka.errors import MessageSizeTooLargeError
    topic = made(own, topic_name, max_message_bytes=10_000)
    with Writer(own, topic) as writer:
        writer.send(bytes(9_900))
        with pytest.raises(MessageSizeTooLargeError):
            writer.send(bytes(10_001))


def test_timestamps_lie_within_bounds(own, topic_name):
    from kafka.errors import InvalidTimestampError
    bounded = made(own, topic_name, message_timestamp_before_max_ms=60_000, message_timestamp_after_max_ms=60_000)
    now = int(time.time() * 1000)
    with Writer(own, bounded) as writer:
        for at in (now - 30_000, now + 30_000):
            writer.send(b"x", at)
        for at in (now - 120_000, now + 240_000):
            with pytest.raises(InvalidTimestampError):
                writer.send(b"x", at)
    own_time = made(own, topic_name + "-own", message_timestamp_before_max_ms=60_000, message_timestamp_after_max_ms=60_000,
                    message_timestamp_type="LogAppendTime")
    with Writer(own, own_time) as writer:
        assert writer.send(b"x", 5) == 0, "what a producer says does not count"


def test_tiered_storage_is_refused_with_the_reason(own, topic_name):
    made(own, topic_name)
    disabled = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    steps = [("remote.storage.enable", SET, "true")]
    eventually(lambda: raw.incremental(own.address, [(TOPIC, topic_name, steps)])[0][2:] == (40, disabled))
    # What says how it would be is taken, and counts once it can be had.
    for key, value in (("local.retention.ms", "100"), ("local.retention.bytes", "100"), ("remote.log.copy.disable", "false"),
                       ("remote.log.delete.on.disable", "true")):
        code, message = raw.incremental(own.address, [(TOPIC, topic_name, [(key, SET, value)])])[0][2:]
        assert code == 0, (key, message)
        assert raw.incremental(own.address, [(TOPIC, topic_name, [(key, DELETE, None)])])[0][2] == 0


def test_replication_has_nothing_to_throttle_and_nobody_to_elect(own, topic_name):
    topic = made(own, topic_name, min_insync_replicas=2, unclean_leader_election_enable="true",
                 leader_replication_throttled_replicas="*", follower_replication_throttled_replicas="0:1")
    with Writer(own, topic) as writer:
        assert writer.send(b"x") == 0, "a topic of one replica needs no more than that"
    described = eventually(lambda: raw.describe(own.address, [(TOPIC, topic, None)])[0][4])
    for key, value in (("min.insync.replicas", "2"), ("unclean.leader.election.enable", "true"),
                       ("leader.replication.throttled.replicas", "*"), ("follower.replication.throttled.replicas", "0:1")):
        assert (described[key]["value"], described[key]["source"]) == (value, 1)

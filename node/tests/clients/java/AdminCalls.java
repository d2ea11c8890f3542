import static java.util.Map.entry;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.ConfigResource.Type;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The same series of administrative calls, successes and failures, against whatever broker is named, which must be a fresh one
 * whose node id is 1. What is printed must not depend on ports, paths, ids that are drawn, or times.
 */
public final class AdminCalls {
    private final Admin admin;
    private final String address;

    private AdminCalls(String address) {
        this.address = address;
        this.admin = Admin.create(Map.of("bootstrap.servers", address, "default.api.timeout.ms", "15000", "request.timeout.ms", "10000"));
    }

    public static void main(String[] args) throws Exception {
        AdminCalls calls = new AdminCalls(args[0]);
        calls.createTopics();
        calls.topicConfigsAtCreation();
        calls.describeTopics();
        calls.createPartitions();
        calls.records();
        calls.logDirs();
        calls.listOffsets();
        calls.deleteRecords();
        calls.describeConfigs();
        calls.alterConfigs();
        calls.otherResources();
        calls.cluster();
        calls.groups();
        calls.memberships();
        calls.deleteTopics();
        calls.rest();
        calls.admin.close(Duration.ofSeconds(5));
        new GroupWire(args[0]).run();
        unregisterTheBrokerItself(args[0]);
        System.out.println("end");
        System.exit(0);
    }

    /** The last step: Kafka is of no use afterwards. */
    private static void unregisterTheBrokerItself(String address) {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
            Transcript.step("unregister the broker itself", () -> {
                Transcript.get(admin.unregisterBroker(1).all());
                return "ok";
            });
        }
    }

    // ---- topics

    private void create(String step, NewTopic topic, boolean validateOnly) {
        Transcript.step("create " + step, () -> {
            CreateTopicsResult made =
                admin.createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(validateOnly));
            Transcript.get(made.all());
            String name = topic.name();
            return "partitions=" + Transcript.get(made.numPartitions(name))
                + " replicas=" + Transcript.get(made.replicationFactor(name))
                + " id=" + (Transcript.get(made.topicId(name)).equals(Uuid.ZERO_UUID) ? "none" : "some");
        });
    }

    private void create(String step, String name, int partitions, int replicas) {
        create(step, new NewTopic(name, partitions, (short) replicas), false);
    }

    private void createTopics() {
        // Its records are older than a week, and must not go while the calls are made.
        create("three partitions", new NewTopic("t", 3, (short) 1).configs(Map.of("retention.ms", "-1")), false);
        create("what exists", "t", 3, 1);
        create("validated only", new NewTopic("v", 2, (short) 1), true);
        create("what exists, validated only", new NewTopic("t", 2, (short) 1), true);
        create("with defaults", new NewTopic("d", Optional.empty(), Optional.empty()), false);
        for (String name : List.of("", ".", "..", "a b", "a/b", "ä", "x".repeat(249), "y".repeat(250), "__x")) {
            create("name '" + (name.length() > 20 ? name.length() + " letters" : name) + "'", name, 1, 1);
        }
        create("with a dot", "col.lide", 1, 1);
        create("that collides", "col_lide", 1, 1);
        for (int partitions : new int[] {0, -1, -2, Integer.MIN_VALUE}) {
            create(partitions + " partitions", "p" + partitions, partitions, 1);
        }
        for (int replicas : new int[] {2, 0, -1, -2}) {
            create(replicas + " replicas", "r" + replicas, 1, replicas);
        }
        create("assigned", new NewTopic("a1", Map.of(0, List.of(1), 1, List.of(1))), false);
        create("assigned to nobody known", new NewTopic("a2", Map.of(0, List.of(9))), false);
        create("assigned twice to one", new NewTopic("a3", Map.of(0, List.of(1, 1))), false);
        create("assigned with a gap", new NewTopic("a4", Map.of(0, List.of(1), 2, List.of(1))), false);
        create("assigned to nobody", new NewTopic("a5", Map.of(0, List.of())), false);
        create("without assignments", new NewTopic("a6", Map.of()), false);
        Transcript.each("create several", () -> admin.createTopics(List.of(
            new NewTopic("s1", 1, (short) 1), new NewTopic("t", 1, (short) 1), new NewTopic("s2", 1, (short) 1))).values(),
            made -> "ok");
        Transcript.each("create the same twice", () -> admin.createTopics(List.of(
            new NewTopic("s3", 1, (short) 1), new NewTopic("s3", 2, (short) 1))).values(), made -> "ok");
    }

    private static final List<Map.Entry<String, String>> TOPIC_CONFIGS = List.of(
        entry("retention.ms", "abc"), entry("retention.ms", "-1"), entry("retention.ms", "-2"), entry("retention.ms", ""),
        entry("retention.bytes", "1.5"), entry("cleanup.policy", "shred"), entry("cleanup.policy", "compact"),
        entry("cleanup.policy", "compact,delete"), entry("cleanup.policy", ""), entry("segment.bytes", "1"),
        entry("segment.bytes", "1048576"), entry("min.insync.replicas", "0"), entry("min.insync.replicas", "2"),
        entry("compression.type", "foo"), entry("compression.type", "zstd"), entry("compression.gzip.level", "10"),
        entry("max.message.bytes", "-1"), entry("max.message.bytes", "0"), entry("message.timestamp.type", "Never"),
        entry("message.timestamp.type", "LogAppendTime"), entry("message.timestamp.after.max.ms", "-1"),
        entry("min.cleanable.dirty.ratio", "1.1"), entry("min.cleanable.dirty.ratio", "0.2"),
        entry("unclean.leader.election.enable", "maybe"), entry("unclean.leader.election.enable", "true"),
        entry("preallocate", "TRUE"), entry("flush.messages", "0"), entry("flush.ms", "-1"),
        entry("file.delete.delay.ms", "-1"), entry("segment.ms", "0"), entry("segment.jitter.ms", "-1"),
        entry("index.interval.bytes", "-1"), entry("segment.index.bytes", "3"), entry("delete.retention.ms", "-1"),
        entry("min.compaction.lag.ms", "-1"), entry("max.compaction.lag.ms", "0"), entry("remote.storage.enable", "true"),
        entry("local.retention.ms", "-3"), entry("local.retention.ms", "100"), entry("local.retention.bytes", "100"),
        entry("remote.log.copy.disable", "true"), entry("remote.log.delete.on.disable", "true"), entry("message.format.version", "3.0"), entry("no.such.config", "1"),
        entry("leader.replication.throttled.replicas", "x"), entry("leader.replication.throttled.replicas", "0:1"));

    private void topicConfigsAtCreation() {
        int count = 0;
        for (Map.Entry<String, String> config : TOPIC_CONFIGS) {
            NewTopic topic = new NewTopic("c" + count++, 1, (short) 1).configs(Map.of(config.getKey(), config.getValue()));
            create("with " + config.getKey() + "=" + config.getValue(), topic, true);
        }
        Transcript.step("create and look at the configs", () -> {
            NewTopic topic = new NewTopic("configured", 1, (short) 1)
                .configs(Map.of("cleanup.policy", "compact", "retention.ms", "1000"));
            Config config = Transcript.get(admin.createTopics(List.of(topic)).config("configured"));
            return "cleanup.policy=" + shown(config.get("cleanup.policy")) + " retention.ms=" + shown(config.get("retention.ms"))
                + " segment.ms=" + shown(config.get("segment.ms"));
        });
    }

    private static String shown(ConfigEntry e) {
        if (e == null) {
            return "none";
        }
        return e.value() + " " + e.source() + " " + (e.isReadOnly() ? "read-only " : "") + (e.isSensitive() ? "sensitive " : "")
            + e.type();
    }

    private static String described(ConfigEntry e) {
        return shown(e) + " documented " + (e.documentation() != null && !e.documentation().isEmpty()) + " synonyms "
            + e.synonyms().stream().map(s -> s.name() + "=" + s.value() + " " + s.source()).toList();
    }

    /** Without what differs from run to run. */
    private static String masked(String text) {
        return text.replaceAll("127\\.0\\.0\\.1:[0-9]+", "HERE").replaceAll("=?/[^ ,\\]]*(ringlog|kafka)-clients-[^ ,\\]]*", "FOLDER");
    }

    private static String shown(TopicDescription topic) {
        List<String> partitions = topic.partitions().stream().map(p -> p.partition() + "@" + p.leader().id() + " replicas "
            + p.replicas().stream().map(n -> n.id()).toList() + " isr " + p.isr().stream().map(n -> n.id()).toList()
            + " elr " + p.elr()).toList();
        return topic.name() + (topic.isInternal() ? " internal" : "") + " " + partitions + " may "
            + (topic.authorizedOperations() == null ? "unknown" : Transcript.sorted(topic.authorizedOperations()));
    }

    private void describeTopics() {
        for (boolean operations : new boolean[] {false, true}) {
            Transcript.each("describe topics, operations " + operations, () -> admin.describeTopics(
                TopicCollection.ofTopicNames(List.of("t", "d", "no-such-topic", "bad name")),
                new DescribeTopicsOptions().includeAuthorizedOperations(operations)).topicNameValues(), AdminCalls::shown);
        }
        Transcript.step("describe a topic by id", () -> {
            Uuid id = Transcript.get(admin.describeTopics(List.of("t")).topicNameValues().get("t")).topicId();
            return shown(Transcript.get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).topicIdValues().get(id)));
        });
        Transcript.each("describe an unknown id", () -> admin.describeTopics(
            TopicCollection.ofTopicIds(List.of(new Uuid(7, 7)))).topicIdValues(), AdminCalls::shown);
        Transcript.step("list topics", () -> Transcript.sorted(Transcript.get(admin.listTopics().names())).replaceAll("x{249}", "x…"));
    }

    private void increase(String step, String topic, NewPartitions to, boolean validateOnly) {
        Transcript.step("create partitions " + step, () -> {
            Transcript.get(admin.createPartitions(Map.of(topic, to), new CreatePartitionsOptions().validateOnly(validateOnly)).all());
            return "ok";
        });
    }

    private void createPartitions() {
        increase("validated only", "t", NewPartitions.increaseTo(4), true);
        increase("to five", "t", NewPartitions.increaseTo(5), false);
        increase("to as many", "t", NewPartitions.increaseTo(5), false);
        increase("to fewer", "t", NewPartitions.increaseTo(2), false);
        increase("to none", "t", NewPartitions.increaseTo(0), false);
        increase("to -1", "t", NewPartitions.increaseTo(-1), false);
        increase("of nothing", "no-such-topic", NewPartitions.increaseTo(5), false);
        increase("of a bad name", "a b", NewPartitions.increaseTo(5), false);
        increase("assigned", "d", NewPartitions.increaseTo(2, List.of(List.of(1))), false);
        increase("assigned, too few", "d", NewPartitions.increaseTo(5, List.of(List.of(1))), false);
        increase("assigned to nobody known", "d", NewPartitions.increaseTo(3, List.of(List.of(9))), false);
        increase("assigned twice to one", "d", NewPartitions.increaseTo(3, List.of(List.of(1, 1))), false);
        increase("assigned to nobody", "d", NewPartitions.increaseTo(3, List.of(List.of())), false);
        Transcript.step("describe after it", () -> shown(Transcript.get(admin.describeTopics(List.of("t")).allTopicNames()).get("t")));
    }

    // ---- records

    private void records() {
        Transcript.step("produce ten records", () -> {
            Properties properties = new Properties();
            properties.put("bootstrap.servers", address);
            properties.put("enable.idempotence", "true");
            try (KafkaProducer<byte[], byte[]> producer =
                    new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
                for (int n = 0; n < 10; n++) {
                    // One by one, so that each is a batch; the seventh is the latest by its time.
                    long at = 1_700_000_000_000L + (n == 6 ? 1_000 : n);
                    producer.send(new ProducerRecord<>("t", 0, at, null, new byte[] {(byte) n})).get();
                }
            }
            return "ok";
        });
        Transcript.step("describe producers", () -> {
            DescribeProducersResult.PartitionProducerState state =
                Transcript.get(admin.describeProducers(List.of(new TopicPartition("t", 0))).partitionResult(new TopicPartition("t", 0)));
            return state.activeProducers().stream().map(p -> "epoch " + p.producerEpoch() + " sequence " + p.lastSequence()
                + " time " + p.lastTimestamp() + " coordinator " + p.coordinatorEpoch() + " transaction "
                + p.currentTransactionStartOffset()).toList();
        });
        for (TopicPartition nobody : List.of(new TopicPartition("t", 1), new TopicPartition("t", 9), new TopicPartition("no", 0))) {
            Transcript.step("describe producers of " + nobody, () -> Transcript.get(
                admin.describeProducers(List.of(nobody), new DescribeProducersOptions().timeoutMs(1_500)).partitionResult(nobody)).activeProducers());
        }
    }

    private void offset(String step, TopicPartition of, OffsetSpec spec, IsolationLevel isolation) {
        Transcript.step("list offsets " + step, () -> {
            ListOffsetsResult.ListOffsetsResultInfo info = Transcript.get(admin.listOffsets(Map.of(of, spec),
                new ListOffsetsOptions(isolation).timeoutMs(1_500)).partitionResult(of));
            return info.offset() + " at " + info.timestamp() + " epoch " + info.leaderEpoch().map(String::valueOf).orElse("none");
        });
    }

    private void listOffsets() {
        TopicPartition full = new TopicPartition("t", 0);
        Map<String, OffsetSpec> specs = new TreeMap<>(Map.of("earliest", OffsetSpec.earliest(), "latest", OffsetSpec.latest(),
            "max timestamp", OffsetSpec.maxTimestamp(), "earliest local", OffsetSpec.earliestLocal(),
            "latest tiered", OffsetSpec.latestTiered(), "before all", OffsetSpec.forTimestamp(1),
            "in between", OffsetSpec.forTimestamp(1_700_000_000_003L), "behind all", OffsetSpec.forTimestamp(1_800_000_000_000L),
            "earliest to be uploaded", OffsetSpec.earliestPendingUpload()));
        specs.forEach((name, spec) -> {
            offset(name, full, spec, IsolationLevel.READ_UNCOMMITTED);
            offset(name + " of an empty one", new TopicPartition("t", 1), spec, IsolationLevel.READ_COMMITTED);
        });
        offset("latest, committed", full, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED);
        offset("of an unknown partition", new TopicPartition("t", 9), OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
        offset("of an unknown topic", new TopicPartition("no-such-topic", 0), OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
        offset("of a bad name", new TopicPartition("a b", 0), OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
    }

    private void delete(String step, TopicPartition of, long before) {
        Transcript.step("delete records " + step, () -> "from " + Transcript.get(admin.deleteRecords(
            Map.of(of, RecordsToDelete.beforeOffset(before)), new DeleteRecordsOptions().timeoutMs(1_500)).lowWatermarks().get(of)).lowWatermark());
    }

    private void deleteRecords() {
        TopicPartition full = new TopicPartition("t", 0);
        delete("before 2", full, 2);
        delete("before 1", full, 1);
        delete("before 11", full, 11);
        delete("before -2", full, -2);
        delete("of an unknown partition", new TopicPartition("t", 9), 0);
        delete("of an unknown topic", new TopicPartition("no-such-topic", 0), 0);
        delete("of a compacted topic", new TopicPartition("configured", 0), 0);
        delete("of an empty one", new TopicPartition("t", 1), 0);
        delete("before all", full, -1);
        offset("earliest after it", full, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED);
    }

    // ---- configs

    private static final ConfigResource BROKER = new ConfigResource(Type.BROKER, "1");
    private static final ConfigResource BROKERS = new ConfigResource(Type.BROKER, "");

    private static ConfigResource topic(String name) {
        return new ConfigResource(Type.TOPIC, name);
    }

    private void describe(String step, ConfigResource resource, boolean all) {
        Transcript.step("describe configs of " + step, () -> {
            Config config = Transcript.get(admin.describeConfigs(List.of(resource),
                new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true).timeoutMs(5_000)).values().get(resource));
            TreeMap<String, ConfigEntry> entries = new TreeMap<>();
            config.entries().forEach(e -> entries.put(e.name(), e));
            if (all) {
                entries.forEach((name, e) -> System.out.println("config of " + step + " " + name + ": " + described(e)));
            }
            return all ? "ok" : entries.size() + " entries";
        });
    }

    private void describeConfigs() {
        describe("topic", topic("configured"), true);
        describe("an unknown topic", topic("no-such-topic"), false);
        describe("a bad topic name", topic("a b"), false);
        describe("no topic name", topic(""), false);
        Transcript.step("describe configs of the broker", () -> {
            Config config = Transcript.get(admin.describeConfigs(List.of(BROKER), new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true)).values().get(BROKER));
            TreeMap<String, ConfigEntry> entries = new TreeMap<>();
            config.entries().forEach(e -> entries.put(e.name(), e));
            entries.forEach((name, e) -> System.out.println("config of the broker " + name + ": " + masked(described(e))));
            return "ok";
        });
        describe("all brokers", BROKERS, true);
        describe("an unknown broker", new ConfigResource(Type.BROKER, "9"), false);
        describe("a broker without number", new ConfigResource(Type.BROKER, "x"), false);
        describe("an unknown logger's broker", new ConfigResource(Type.BROKER_LOGGER, "9"), false);
        describe("an unknown group", new ConfigResource(Type.GROUP, "nobody"), true);
        describe("no group", new ConfigResource(Type.GROUP, ""), false);
        describe("unknown client metrics", new ConfigResource(Type.CLIENT_METRICS, "nothing"), true);
        describe("no client metrics", new ConfigResource(Type.CLIENT_METRICS, ""), false);
    }

    private static AlterConfigOp op(OpType type, String key, String value) {
        return new AlterConfigOp(new ConfigEntry(key, value), type);
    }

    private void alter(String step, ConfigResource resource, boolean validateOnly, AlterConfigOp... ops) {
        Transcript.step("alter configs " + step, () -> {
            Map<ConfigResource, Collection<AlterConfigOp>> all = new HashMap<>();
            all.put(resource, List.of(ops));
            Transcript.get(admin.incrementalAlterConfigs(all, new AlterConfigsOptions().validateOnly(validateOnly).timeoutMs(5_000)).all());
            return "ok";
        });
    }

    private void value(ConfigResource resource, String key) {
        Transcript.step("value of " + key + " of " + resource.type() + " '" + resource.name() + "'", () -> {
            // Kafka's broker learns from its controller what that has promised, a moment later.
            Thread.sleep(500);
            return shown(Transcript.get(admin.describeConfigs(List.of(resource)).values().get(resource)).get(key));
        });
    }

    private void alterConfigs() {
        ConfigResource t = topic("t");
        for (Map.Entry<String, String> config : TOPIC_CONFIGS) {
            alter("topic " + config.getKey() + "=" + config.getValue() + ", validated only", t, true, op(OpType.SET, config.getKey(), config.getValue()));
        }
        alter("set", t, false, op(OpType.SET, "retention.ms", "60000"));
        value(t, "retention.ms");
        alter("set, validated only", t, true, op(OpType.SET, "retention.ms", "70000"));
        value(t, "retention.ms");
        alter("set with blanks", t, false, op(OpType.SET, "retention.ms", " 80000 "));
        value(t, "retention.ms");
        alter("delete", t, false, op(OpType.DELETE, "retention.ms", null));
        value(t, "retention.ms");
        alter("delete what is not set", t, false, op(OpType.DELETE, "flush.ms", null));
        alter("delete what is unknown", t, false, op(OpType.DELETE, "no.such.config", null));
        alter("append", t, false, op(OpType.APPEND, "cleanup.policy", "compact"));
        value(t, "cleanup.policy");
        alter("append again", t, false, op(OpType.APPEND, "cleanup.policy", "compact"));
        value(t, "cleanup.policy");
        alter("subtract", t, false, op(OpType.SUBTRACT, "cleanup.policy", "compact"));
        value(t, "cleanup.policy");
        alter("subtract what is not there", t, false, op(OpType.SUBTRACT, "cleanup.policy", "compact"));
        alter("append to no list", t, false, op(OpType.APPEND, "retention.ms", "1"));
        alter("set and delete the same", t, false, op(OpType.SET, "retention.ms", "1"), op(OpType.DELETE, "retention.ms", null));
        alter("good and bad at once", t, false, op(OpType.SET, "flush.ms", "1000"), op(OpType.SET, "retention.ms", "x"));
        value(t, "flush.ms");
        alter("nothing", t, false);
        alter("unknown topic", topic("no-such-topic"), false, op(OpType.SET, "retention.ms", "1"));
        alter("bad topic name", topic("a b"), false, op(OpType.SET, "retention.ms", "1"));
        alter("no topic name", topic(""), false, op(OpType.SET, "retention.ms", "1"));
        Transcript.each("alter two topics", () -> {
            Map<ConfigResource, Collection<AlterConfigOp>> all = new HashMap<>();
            all.put(topic("d"), List.of(op(OpType.SET, "retention.ms", "9999")));
            all.put(topic("no-such-topic"), List.of(op(OpType.SET, "retention.ms", "9999")));
            return admin.incrementalAlterConfigs(all).values();
        }, done -> "ok");
        value(topic("d"), "retention.ms");
    }

    private void otherResources() {
        alter("broker, dynamic", BROKER, false, op(OpType.SET, "log.cleaner.threads", "2"));
        value(BROKER, "log.cleaner.threads");
        alter("broker, dynamic, validated only", BROKER, true, op(OpType.SET, "message.max.bytes", "2000000"));
        alter("broker, bad value", BROKER, false, op(OpType.SET, "message.max.bytes", "many"));
        alter("broker, value out of range", BROKER, false, op(OpType.SET, "message.max.bytes", "-1"));
        alter("broker, read-only", BROKER, false, op(OpType.SET, "log.dirs", "/nowhere"));
        alter("broker, unknown", BROKER, false, op(OpType.SET, "no.such.config", "1"));
        value(BROKER, "no.such.config");
        alter("broker, unknown, append", BROKER, false, op(OpType.APPEND, "no.such.list", "1"));
        alter("broker, unknown, delete", BROKER, false, op(OpType.DELETE, "no.such.config", null), op(OpType.DELETE, "never.there", null));
        value(BROKER, "no.such.config");
        alter("all brokers, unknown", BROKERS, false, op(OpType.SET, "no.such.config", "2"));
        value(BROKERS, "no.such.config");
        alter("all brokers, unknown, delete", BROKERS, false, op(OpType.DELETE, "no.such.config", null));
        alter("broker, of before 4.0", BROKER, true, op(OpType.SET, "zookeeper.connect", "z"));
        alter("broker, unknown of a listener", BROKER, true, op(OpType.SET, "listener.name.plaintext.no.such", "1"));
        alter("broker, one listener's bound", BROKER, true, op(OpType.SET, "listener.name.plaintext.max.connections", "100"));
        alter("broker, TLS without a listener", BROKER, true, op(OpType.SET, "ssl.keystore.location", "/k"));
        alter("broker, SASL", BROKER, true, op(OpType.SET, "sasl.jaas.config", "x"));
        alter("unknown broker", new ConfigResource(Type.BROKER, "9"), false, op(OpType.SET, "message.max.bytes", "2000000"));
        alter("broker without number", new ConfigResource(Type.BROKER, "x"), false, op(OpType.SET, "message.max.bytes", "2000000"));
        alter("all brokers", BROKERS, false, op(OpType.SET, "message.max.bytes", "2000000"));
        value(BROKER, "message.max.bytes");
        value(BROKERS, "message.max.bytes");
        alter("all brokers, what is one broker's own", BROKERS, false, op(OpType.SET, "advertised.listeners", "PLAINTEXT://x:1"));
        value(topic("d"), "max.message.bytes");
        alter("all brokers, retention of topics", BROKERS, false, op(OpType.SET, "log.retention.ms", "123456"));
        value(topic("t"), "retention.ms");
        alter("all brokers, back", BROKERS, false, op(OpType.DELETE, "message.max.bytes", null), op(OpType.DELETE, "log.retention.ms", null));
        value(BROKER, "message.max.bytes");
        ConfigResource logger = new ConfigResource(Type.BROKER_LOGGER, "1");
        alter("logger", logger, false, op(OpType.SET, "kafka", "DEBUG"));
        alter("logger, bad level", logger, false, op(OpType.SET, "kafka", "LOUD"));
        alter("logger, append", logger, false, op(OpType.APPEND, "kafka", "INFO"));
        ConfigResource group = new ConfigResource(Type.GROUP, "g");
        alter("group", group, false, op(OpType.SET, "consumer.session.timeout.ms", "50000"));
        value(group, "consumer.session.timeout.ms");
        alter("group, out of range", group, false, op(OpType.SET, "consumer.session.timeout.ms", "1"));
        alter("group, bad value", group, false, op(OpType.SET, "consumer.heartbeat.interval.ms", "x"));
        alter("group, unknown", group, false, op(OpType.SET, "no.such.config", "1"));
        alter("group without name", new ConfigResource(Type.GROUP, ""), false, op(OpType.SET, "consumer.session.timeout.ms", "50000"));
        ConfigResource metrics = new ConfigResource(Type.CLIENT_METRICS, "m");
        alter("client metrics", metrics, false, op(OpType.SET, "interval.ms", "1000"), op(OpType.SET, "metrics", "org.apache.kafka.producer."));
        value(metrics, "interval.ms");
        alter("client metrics, interval", metrics, false, op(OpType.SET, "interval.ms", "1"));
        alter("client metrics, match", metrics, false, op(OpType.SET, "match", "nonsense"));
        alter("client metrics, match of ids", metrics, false, op(OpType.SET, "match", "client_id=a.*"));
        alter("client metrics, unknown", metrics, false, op(OpType.SET, "no.such.config", "1"));
        alter("client metrics without name", new ConfigResource(Type.CLIENT_METRICS, ""), false, op(OpType.SET, "interval.ms", "1000"));
        for (Set<Type> types : List.of(Set.<Type>of(), Set.of(Type.GROUP), Set.of(Type.CLIENT_METRICS), Set.of(Type.BROKER), Set.of(Type.BROKER_LOGGER))) {
            Transcript.step("list config resources " + Transcript.sorted(types), () -> Transcript.sorted(Transcript.get(
                admin.listConfigResources(types, new ListConfigResourcesOptions()).all())).replaceAll("x{249}", "x…"));
        }
    }

    // ---- cluster

    private void cluster() {
        for (boolean operations : new boolean[] {false, true}) {
            Transcript.step("describe cluster, operations " + operations, () -> {
                DescribeClusterResult cluster = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(operations));
                Set<?> may = Transcript.get(cluster.authorizedOperations());
                return Transcript.get(cluster.nodes()).stream().map(n -> n.id() + " rack " + n.rack() + " fenced " + n.isFenced()).toList()
                    + " controller " + Transcript.get(cluster.controller()).id() + " id of " + Transcript.get(cluster.clusterId()).length()
                    + " letters, may " + (may == null ? "unknown" : Transcript.sorted(may));
            });
        }
        Transcript.step("describe features", () -> {
            FeatureMetadata features = Transcript.get(admin.describeFeatures().featureMetadata());
            return new TreeMap<>(features.supportedFeatures()) + " finalized " + new TreeMap<>(features.finalizedFeatures());
        });
        Transcript.step("update a feature that is none", () -> {
            Transcript.get(admin.updateFeatures(Map.of("no.such.feature", new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)),
                new UpdateFeaturesOptions().validateOnly(true)).all());
            return "ok";
        });
        Transcript.step("unregister an unknown broker", () -> {
            Transcript.get(admin.unregisterBroker(9).all());
            return "ok";
        });
        Transcript.step("describe the quorum", () -> {
            QuorumInfo quorum = Transcript.get(admin.describeMetadataQuorum().quorumInfo());
            return "leader " + quorum.leaderId() + " voters " + quorum.voters().stream().map(v -> v.replicaId()).toList()
                + " observers " + quorum.observers().size();
        });
    }

    private void logDirs() {
        Transcript.step("describe log dirs", () -> {
            Map<String, LogDirDescription> dirs = Transcript.get(admin.describeLogDirs(List.of(1)).allDescriptions()).get(1);
            List<String> lines = new ArrayList<>();
            for (LogDirDescription dir : dirs.values()) {
                long own = dir.replicaInfos().keySet().stream().filter(p -> p.topic().equals("t")).count();
                ReplicaInfo first = dir.replicaInfos().get(new TopicPartition("t", 0));
                lines.add("error " + dir.error() + " total " + dir.totalBytes().isPresent() + " usable " + dir.usableBytes().isPresent()
                    + " partitions of t " + own + " t-0 has bytes " + (first.size() > 0) + " lag " + first.offsetLag() + " future "
                    + first.isFuture() + " cordoned " + dir.isCordoned());
            }
            return lines;
        });
        Transcript.step("describe log dirs of an unknown broker", () -> Transcript.get(
            admin.describeLogDirs(List.of(9), new DescribeLogDirsOptions().timeoutMs(1_500)).allDescriptions()).size());
        TopicPartitionReplica known = new TopicPartitionReplica("t", 0, 1);
        Transcript.step("describe a replica's log dir", () -> {
            DescribeReplicaLogDirsResult.ReplicaLogDirInfo info = Transcript.get(admin.describeReplicaLogDirs(List.of(known)).values().get(known));
            return "current " + (info.getCurrentReplicaLogDir() != null) + " future " + info.getFutureReplicaLogDir();
        });
        for (TopicPartitionReplica replica : List.of(known, new TopicPartitionReplica("no-such-topic", 0, 1))) {
            Transcript.step("move " + replica + " to a folder that is none", () -> {
                Transcript.get(admin.alterReplicaLogDirs(Map.of(replica, "/no/such/folder")).values().get(replica));
                return "ok";
            });
        }
    }

    // ---- groups

    private void groups() {
        TopicPartition t0 = new TopicPartition("t", 0);
        TopicPartition t1 = new TopicPartition("t", 1);
        commit("to a group that is new", "g", Map.of(t0, new OffsetAndMetadata(5, Optional.of(0), "words"), t1, new OffsetAndMetadata(0)));
        commit("to an unknown partition", "g", Map.of(new TopicPartition("t", 99), new OffsetAndMetadata(1)));
        commit("to an unknown topic", "g", Map.of(new TopicPartition("no-such-topic", 0), new OffsetAndMetadata(1)));
        commit("with many words", "g", Map.of(t0, new OffsetAndMetadata(1, "w".repeat(5_000))));
        commit("to the group without a name", "", Map.of(t0, new OffsetAndMetadata(1)));
        offsets("g");
        offsets("nobody");
        Transcript.step("offsets of several groups", () -> {
            Map<String, ListConsumerGroupOffsetsSpec> asked = Map.of("g", new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(t0, new TopicPartition("no", 3))),
                "nobody", new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(t0)));
            Map<String, Map<TopicPartition, OffsetAndMetadata>> got = Transcript.get(admin.listConsumerGroupOffsets(asked, new ListConsumerGroupOffsetsOptions().requireStable(true)).all());
            Map<String, Object> shown = new TreeMap<>();
            got.forEach((name, of) -> shown.put(name, offsets(of)));
            return shown;
        });
        Transcript.step("list groups", () -> Transcript.get(admin.listGroups().all()).stream().map(g -> g.groupId() + " " + g.type().map(String::valueOf).orElse("?")
            + " " + g.protocol() + " " + g.groupState().map(String::valueOf).orElse("?")).sorted().toList());
        for (String name : List.of("g", "nobody", "")) {
            Transcript.each("describe consumer group", () -> admin.describeConsumerGroups(List.of(name)).describedGroups(), AdminCalls::shown);
            Transcript.each("describe classic group", () -> admin.describeClassicGroups(List.of(name)).describedGroups(),
                g -> g.state() + " " + g.protocol() + " " + g.protocolData() + " members " + g.members().size());
        }
        forget("one offset", "g", Set.of(t1));
        forget("what is not there", "g", Set.of(new TopicPartition("t", 3)));
        forget("an unknown topic's", "g", Set.of(new TopicPartition("no-such-topic", 0)));
        forget("of nobody", "nobody", Set.of(t0));
        offsets("g");
        remove("nobody at all", "nobody", new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("i"))));
        remove("an unknown instance", "g", new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("i"))));
        Transcript.each("delete groups", () -> admin.deleteConsumerGroups(List.of("g", "nobody", "")).deletedGroups(), done -> "ok");
        offsets("g");
    }

    private static String shown(ConsumerGroupDescription group) {
        return group.groupState() + " " + group.type() + " simple " + group.isSimpleConsumerGroup() + " assignor '" + group.partitionAssignor()
            + "' coordinator " + group.coordinator().id() + " members " + group.members().stream().map(m -> m.clientId() + " instance "
            + m.groupInstanceId().orElse("none") + " host " + m.host() + " owns " + Transcript.sorted(m.assignment().topicPartitions())).sorted().toList();
    }

    private void commit(String step, String group, Map<TopicPartition, OffsetAndMetadata> offsets) {
        Transcript.step("commit " + step, () -> {
            Transcript.get(admin.alterConsumerGroupOffsets(group, offsets, new AlterConsumerGroupOffsetsOptions().timeoutMs(6_000)).all());
            return "ok";
        });
    }

    private static Map<String, String> offsets(Map<TopicPartition, OffsetAndMetadata> of) {
        Map<String, String> shown = new TreeMap<>();
        of.forEach((partition, offset) -> shown.put(partition.toString(), offset == null ? "none"
            : offset.offset() + " epoch " + offset.leaderEpoch().map(String::valueOf).orElse("none") + " '" + offset.metadata() + "'"));
        return shown;
    }

    private void offsets(String group) {
        Transcript.step("offsets of " + group, () -> offsets(Transcript.get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata())));
    }

    private void forget(String step, String group, Set<TopicPartition> partitions) {
        Transcript.step("delete offsets, " + step, () -> {
            Transcript.get(admin.deleteConsumerGroupOffsets(group, partitions).all());
            return "ok";
        });
    }

    private void remove(String step, String group, RemoveMembersFromConsumerGroupOptions options) {
        Transcript.step("remove members, " + step, () -> {
            Transcript.get(admin.removeMembersFromConsumerGroup(group, options).all());
            return "ok";
        });
    }

    /** A group with a member, and what may not be done to it meanwhile. */
    private void memberships() {
        Map<String, Object> settings = Map.of("bootstrap.servers", address, "group.id", "live", "client.id", "c",
            "group.instance.id", "i", "auto.offset.reset", "earliest", "enable.auto.commit", "false", "group.protocol", "classic");
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("t"));
            long end = System.currentTimeMillis() + Transcript.PATIENCE_MS;
            while (consumer.assignment().isEmpty() && System.currentTimeMillis() < end) {
                consumer.poll(Duration.ofMillis(100));
            }
            TopicPartition t0 = new TopicPartition("t", 0);
            Transcript.step("a member commits", () -> {
                consumer.commitSync(Map.of(t0, new OffsetAndMetadata(10)));
                return Transcript.sorted(consumer.assignment());
            });
            Transcript.each("describe the live group", () -> admin.describeConsumerGroups(List.of("live")).describedGroups(), AdminCalls::shown);
            Transcript.step("list stable groups", () -> Transcript.get(admin.listGroups(new ListGroupsOptions().inGroupStates(Set.of(org.apache.kafka.common.GroupState.STABLE))).all())
                .stream().map(g -> g.groupId() + " " + g.protocol()).sorted().toList());
            Transcript.step("list consumer groups of the new type", () -> Transcript.get(admin.listGroups(new ListGroupsOptions().withTypes(Set.of(org.apache.kafka.common.GroupType.CONSUMER))).all()).size());
            commit("to a live group", "live", Map.of(t0, new OffsetAndMetadata(1)));
            forget("of what is read", "live", Set.of(t0));
            Transcript.each("delete a live group", () -> admin.deleteConsumerGroups(List.of("live")).deletedGroups(), done -> "ok");
            remove("an unknown instance of a live group", "live", new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("j"))));
            remove("the member", "live", new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("i"))));
        }
        Transcript.each("describe the group that was left", () -> admin.describeConsumerGroups(List.of("live")).describedGroups(), AdminCalls::shown);
        offsets("live");
        commit("to a group that was left", "live", Map.of(new TopicPartition("t", 0), new OffsetAndMetadata(1)));
        Transcript.each("delete the group that was left", () -> admin.deleteConsumerGroups(List.of("live")).deletedGroups(), done -> "ok");
    }

    private void deleteTopics() {
        Transcript.each("delete topics", () -> admin.deleteTopics(TopicCollection.ofTopicNames(List.of("s1", "no-such-topic", "a b", ""))).topicNameValues(), done -> "ok");
        Transcript.step("delete a topic by id", () -> {
            Uuid id = Transcript.get(admin.describeTopics(List.of("s2")).topicNameValues().get("s2")).topicId();
            Transcript.get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
            return "ok";
        });
        Transcript.each("delete an unknown id", () -> admin.deleteTopics(TopicCollection.ofTopicIds(List.of(new Uuid(7, 7)))).topicIdValues(), done -> "ok");
        Transcript.step("list topics after it", () -> {
            // Kafka's broker learns from its controller what that has promised, a moment later.
            Thread.sleep(1_000);
            return Transcript.sorted(Transcript.get(admin.listTopics(new ListTopicsOptions().listInternal(true)).names())).replaceAll("x{249}", "x…");
        });
    }

    // ---- what this broker may not have

    private void rest() {
        TopicPartition t0 = new TopicPartition("t", 0);
        Transcript.step("elect preferred leaders", () -> {
            Map<String, String> shown = new TreeMap<>();
            Transcript.get(admin.electLeaders(ElectionType.PREFERRED, Set.of(t0, new TopicPartition("no", 0))).partitions())
                .forEach((p, error) -> shown.put(p.toString(), error.map(e -> e.getClass().getSimpleName()).orElse("elected")));
            return shown;
        });
        Transcript.step("list reassignments", () -> Transcript.get(admin.listPartitionReassignments().reassignments()));
        Transcript.step("reassign to nobody known", () -> {
            Transcript.get(admin.alterPartitionReassignments(Map.of(t0, Optional.of(new NewPartitionReassignment(List.of(9))))).all());
            return "ok";
        });
        Transcript.step("cancel no reassignment", () -> {
            Transcript.get(admin.alterPartitionReassignments(Map.of(t0, Optional.empty())).all());
            return "ok";
        });
        Transcript.step("describe ACLs", () -> Transcript.get(admin.describeAcls(AclBindingFilter.ANY).values()));
        Transcript.step("describe quotas", () -> Transcript.get(admin.describeClientQuotas(ClientQuotaFilter.all()).entities()));
        Transcript.step("describe SCRAM users", () -> Transcript.get(admin.describeUserScramCredentials().all()));
        Transcript.step("describe delegation tokens", () -> Transcript.get(admin.describeDelegationToken().delegationTokens()));
        Transcript.step("create a delegation token", () -> Transcript.get(admin.createDelegationToken().delegationToken()));
        Transcript.step("list transactions", () -> Transcript.get(admin.listTransactions().all()));
        Transcript.step("describe a transaction of nobody", () -> Transcript.get(admin.describeTransactions(List.of("nobody")).all()));
        Transcript.each("describe a share group of nobody", () -> admin.describeShareGroups(List.of("nobody")).describedGroups(), g -> g.groupState());
        Transcript.each("describe a streams group of nobody", () -> admin.describeStreamsGroups(List.of("nobody")).describedGroups(), g -> g.groupState());
    }
}

// Produces and consumes with whatever version of Kafka's own client it is compiled against, 0.9.0 to 2.0; test_legacy.py
// compiles it once for each. Only what all of them have is used, so no headers and no timestamps.
//
//   RoundTrip produce ADDRESS TOPIC CODEC COUNT    keys k0.., values of 100 bytes, every fifth null; prints the offsets
//   RoundTrip consume ADDRESS TOPIC GROUP COUNT    reads from the beginning as a group, commits, seeks back; prints records
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

public class RoundTrip {
    private static final String BYTES = "org.apache.kafka.common.serialization.ByteArray";
    private static final long PATIENCE_MS = 40000;

    public static void main(String[] args) throws Exception {
        if (args[0].equals("produce")) {
            produce(args[1], args[2], args[3], Integer.parseInt(args[4]));
        } else {
            consume(args[1], args[2], args[3], Integer.parseInt(args[4]));
        }
    }

    private static void produce(String address, String topic, String codec, int count) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", address);
        config.put("acks", "all");
        config.put("linger.ms", "20");
        config.put("compression.type", codec);
        config.put("key.serializer", BYTES + "Serializer");
        config.put("value.serializer", BYTES + "Serializer");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config)) {
            java.util.List<java.util.concurrent.Future<org.apache.kafka.clients.producer.RecordMetadata>> sent =
                new java.util.ArrayList<>();
            for (int i = 0; i < count; i++) {
                byte[] value = i % 5 == 4 ? null : value(codec, i);
                sent.add(producer.send(new ProducerRecord<>(topic, 0, ("k" + i).getBytes("UTF-8"), value)));
            }
            for (java.util.concurrent.Future<org.apache.kafka.clients.producer.RecordMetadata> one : sent) {
                System.out.println("sent " + one.get().offset());
            }
        }
    }

    private static byte[] value(String codec, int i) throws Exception {
        StringBuilder text = new StringBuilder(codec + "-" + i + "-");
        while (text.length() < 100) {
            text.append('v');
        }
        return text.toString().getBytes("UTF-8");
    }

    private static void consume(String address, String topic, String group, int count) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", address);
        config.put("group.id", group);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        config.put("key.deserializer", BYTES + "Deserializer");
        config.put("value.deserializer", BYTES + "Deserializer");
        TopicPartition place = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config)) {
            consumer.subscribe(Arrays.asList(topic));
            int seen = 0;
            long end = System.currentTimeMillis() + PATIENCE_MS;
            while (seen < count && System.currentTimeMillis() < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(200)) {
                    System.out.println("record " + record.offset() + " " + text(record.key()) + " " + text(record.value()));
                    seen++;
                }
            }
            consumer.commitSync();
            OffsetAndMetadata committed = consumer.committed(place);
            System.out.println("committed " + (committed == null ? -1 : committed.offset()));
            consumer.seek(place, count / 2);
            while (System.currentTimeMillis() < end) {
                java.util.Iterator<ConsumerRecord<byte[], byte[]>> again = consumer.poll(200).iterator();
                if (again.hasNext()) {
                    System.out.println("again " + again.next().offset());
                    break;
                }
            }
        }
    }

    private static String text(byte[] bytes) throws Exception {
        return bytes == null ? "null" : new String(bytes, "UTF-8");
    }
}

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group that tells what it owns and what it has processed, in the lines that `fire_member.py` describes. It
 * commits behind every batch, and ends by SIGTERM. Arguments: address, topic, group, then settings as KEY=VALUE.
 */
public final class FireMember implements ConsumerRebalanceListener {
    private final KafkaConsumer<String, String> consumer;
    private volatile boolean ends;

    private FireMember(Properties settings) {
        consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("group.id", args[2]);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("max.poll.records", "50");
        for (int i = 3; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        FireMember member = new FireMember(settings);
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            member.ends = true;
            try {
                main.join(15_000);
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }));
        member.run(args[1]);
    }

    private void run(String topic) {
        consumer.subscribe(List.of(topic), this);
        boolean uncommitted = false;
        while (!ends) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
            if (records.isEmpty() && !uncommitted) {
                continue;
            }
            uncommitted = true;
            StringBuilder lines = new StringBuilder();
            for (ConsumerRecord<String, String> record : records) {
                lines.append("P ").append(record.partition()).append(' ').append(record.offset()).append(' ').append(record.value()).append('\n');
            }
            System.out.print(lines);
            System.out.flush();
            try {
                consumer.commitSync(Duration.ofSeconds(5));
                uncommitted = false;
            } catch (KafkaException refused) {
                // Somebody else has them now, or it is tried again: at least once.
                say("E " + refused.getClass().getSimpleName());
            }
        }
        consumer.close();
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static String of(Collection<TopicPartition> partitions) {
        String text = partitions.stream().map(p -> String.valueOf(p.partition())).collect(Collectors.joining(","));
        return text.isEmpty() ? "-" : text;
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        say("A " + System.nanoTime() / 1_000 + " " + consumer.groupMetadata().generationId() + " " + of(partitions));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        say("R " + System.nanoTime() / 1_000 + " " + of(partitions));
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        say("L " + System.nanoTime() / 1_000 + " " + of(partitions));
    }
}

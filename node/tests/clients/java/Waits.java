// What Kafka's Java consumer notices, and how soon, while its heartbeats may be waiting at the broker. Two members of a group, each
// in a thread of its own, print lines of what happened and how many milliseconds that took:
//
//     noticed   from the second member's start until the first one is told to give partitions up
//     shared    from then until both have their share
//     regained  from the second member's close until the first one has all partitions again
//     commit    the slowest of some commitSync
//     subscribed    from a change of its subscription until the first one has the new topic, too
//     closed    how long the first one's close took
//
// `Waits ADDRESS TOPIC OTHER GROUP PROTOCOL INTERVAL_MS INSTANCE`: an INSTANCE that is not empty makes the first member a static one.

import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Waits {
    static String address, group, protocol, interval;

    /** A member: its thread polls; what others ask of the consumer is done between two polls. */
    static final class Member implements ConsumerRebalanceListener, Runnable {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Thread thread = new Thread(this);
        volatile Set<TopicPartition> owned = Set.of();
        volatile long revokedAt;
        volatile boolean stops;
        volatile Runnable wish;
        volatile RuntimeException failure;

        Member(List<String> topics, String instance) {
            Properties p = new Properties();
            p.put("bootstrap.servers", address);
            p.put("group.id", group);
            p.put("group.protocol", protocol);
            p.put("enable.auto.commit", "false");
            p.put("auto.offset.reset", "earliest");
            if (protocol.equals("classic")) {
                p.put("heartbeat.interval.ms", interval);
                p.put("session.timeout.ms", "90000");
            }
            if (!instance.isEmpty()) p.put("group.instance.id", instance);
            consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            consumer.partitionsFor(topics.get(0));
            consumer.subscribe(topics, this);
            thread.setDaemon(true);
        }

        public void run() {
            try {
                while (!stops) {
                    consumer.poll(Duration.ofMillis(20));
                    Runnable now = wish;
                    if (now != null) {
                        now.run();
                        wish = null;
                    }
                }
            } catch (RuntimeException e) {
                failure = e;
            }
        }

        void ask(Runnable what) {
            wish = what;
            until(() -> wish == null, "the member's thread");
        }

        long close() throws InterruptedException {
            stops = true;
            thread.join();
            long begin = System.nanoTime();
            consumer.close();
            return ms(begin);
        }

        public void onPartitionsRevoked(Collection<TopicPartition> gone) {
            if (!gone.isEmpty()) revokedAt = System.nanoTime();
            Set<TopicPartition> left = new HashSet<>(owned);
            left.removeAll(gone);
            owned = left;
        }

        public void onPartitionsAssigned(Collection<TopicPartition> come) {
            Set<TopicPartition> all = new HashSet<>(owned);
            all.addAll(come);
            owned = all;
        }
    }

    static long ms(long begin) {
        return (System.nanoTime() - begin) / 1_000_000;
    }

    static void until(BooleanSupplier is, String what) {
        long end = System.nanoTime() + 60_000_000_000L;
        while (!is.getAsBoolean()) {
            if (System.nanoTime() > end) throw new IllegalStateException("60 s were not enough for " + what);
            try {
                Thread.sleep(2);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /** Long enough after a change that each member's next heartbeat is under way. */
    static void rest() throws InterruptedException {
        Thread.sleep(Long.parseLong(interval) + 700);
    }

    public static void main(String[] args) throws Exception {
        address = args[0];
        String topic = args[1], other = args[2];
        group = args[3];
        protocol = args[4];
        interval = args[5];
        Member first = new Member(List.of(topic), args[6]);
        first.thread.start();
        until(() -> first.owned.size() == 4, "the first assignment");
        rest();
        long slowest = 0;
        for (int i = 0; i < 5; i++) {
            long begin = System.nanoTime();
            first.ask(() -> first.consumer.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(0))));
            slowest = Math.max(slowest, ms(begin));
        }
        System.out.println("commit " + slowest);
        rest();
        Member second = new Member(List.of(topic), "");
        first.revokedAt = 0;
        long begin = System.nanoTime();
        second.thread.start();
        until(() -> first.revokedAt != 0, "the first member's notice");
        System.out.println("noticed " + (first.revokedAt - begin) / 1_000_000);
        until(() -> first.owned.size() == 2 && second.owned.size() == 2, "the second assignment");
        System.out.println("shared " + ms(begin));
        rest();
        begin = System.nanoTime();
        second.close();
        until(() -> first.owned.size() == 4, "all partitions again");
        System.out.println("regained " + ms(begin));
        rest();
        begin = System.nanoTime();
        first.ask(() -> first.consumer.subscribe(List.of(topic, other), first));
        until(() -> first.owned.size() == 5, "the other topic");
        System.out.println("subscribed " + ms(begin));
        rest();
        System.out.println("closed " + first.close());
        if (first.failure != null) throw first.failure;
    }
}

import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.KafkaFuture;

/**
 * What a broker answered, a line a step: its name, then what was chosen of the answer, or the class of the error. What follows
 * a " # " is the error's message, for people; it is not compared.
 */
final class Transcript {
    /** Longest that a step may take before it counts as unanswered, in milliseconds. */
    static final long PATIENCE_MS = 20_000;

    private Transcript() {}

    /** One step: its outcome is what it returns, or its error. */
    static void step(String name, Callable<?> what) {
        try {
            System.out.println(name + ": " + what.call());
        } catch (Exception error) {
            System.out.println(name + ": " + named(error));
        }
    }

    /** One line for each future of an answer, in the order of their names. */
    static <K, V> void each(String name, Callable<Map<K, KafkaFuture<V>>> what, Show<V> show) {
        Map<String, KafkaFuture<V>> sorted = new TreeMap<>();
        try {
            what.call().forEach((key, future) -> sorted.put(String.valueOf(key), future));
        } catch (Exception error) {
            System.out.println(name + ": " + named(error));
            return;
        }
        sorted.forEach((key, future) -> step(name + " [" + key + "]", () -> show.of(get(future))));
    }

    /** What to say about an answer. */
    interface Show<V> {
        Object of(V value) throws Exception;
    }

    static <V> V get(KafkaFuture<V> future) throws Exception {
        return future.get(PATIENCE_MS, java.util.concurrent.TimeUnit.MILLISECONDS);
    }

    /** The class of an error, without what clients and futures wrap it in. */
    static String named(Throwable error) {
        while ((error instanceof ExecutionException || error instanceof CompletionException) && error.getCause() != null) {
            error = error.getCause();
        }
        String message = String.valueOf(error.getMessage()).replace('\n', ' ');
        return error.getClass().getSimpleName() + " # " + message;
    }

    /** Sorted, with commas. */
    static String sorted(Collection<?> values) {
        String[] words = values.stream().map(String::valueOf).toArray(String[]::new);
        Arrays.sort(words);
        return String.join(",", words);
    }
}

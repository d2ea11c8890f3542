// Runs Kafka's own command-line tools, many in one JVM: a tool alone takes a second to start.
//
// In: one line a run, the fields separated by tabs, each in Base64: the class, then its arguments.
// Out: one line a run: the exit code, standard output and standard error in Base64, separated by tabs.

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import java.util.Base64;
import org.apache.kafka.common.utils.Exit;

public class ToolHost {
    static final class Ended extends Error {
        final int code;

        Ended(int code) {
            super("exit " + code, null, false, false);
            this.code = code;
        }
    }

    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        PrintStream console = System.err;
        Exit.setExitProcedure((code, message) -> { throw new Ended(code); });
        Exit.setHaltProcedure((code, message) -> { throw new Ended(code); });
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] fields = Arrays.stream(line.split("\t", -1)).map(ToolHost::decode).toArray(String[]::new);
            ByteArrayOutputStream out = new ByteArrayOutputStream(), err = new ByteArrayOutputStream();
            System.setOut(new PrintStream(out, true));
            System.setErr(new PrintStream(err, true));
            int code = run(fields[0], Arrays.copyOfRange(fields, 1, fields.length));
            System.setOut(answers);
            System.setErr(console);
            answers.println(code + "\t" + encode(out) + "\t" + encode(err));
            answers.flush();
        }
    }

    static int run(String tool, String[] args) throws Exception {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) args);
            return 0;
        } catch (InvocationTargetException thrown) {
            // The first exit counts: some tools catch what ends them and exit again.
            if (thrown.getCause() instanceof Ended) {
                return ((Ended) thrown.getCause()).code;
            }
            thrown.getCause().printStackTrace();
            return 1;
        }
    }

    static String decode(String field) {
        return new String(Base64.getDecoder().decode(field));
    }

    static String encode(ByteArrayOutputStream bytes) {
        return Base64.getEncoder().encodeToString(bytes.toByteArray());
    }
}

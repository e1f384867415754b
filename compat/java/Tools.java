// Apache Kafka's administrative tools, one after the other in this process: kafka-topics, kafka-configs, kafka-get-offsets,
// kafka-delete-records, kafka-log-dirs, kafka-cluster, kafka-metadata-quorum, kafka-leader-election, kafka-reassign-partitions.
// Run from source: java -cp 'jars/*:server-jars/*' Tools.java (kafka-configs is in the server's jars).

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.common.utils.Exit;

public class Tools {
    static final String bootstrap = System.getenv("BOOTSTRAP");
    static final String topic = System.getenv("TOPIC");
    static final PrintStream terminal = System.out;
    static final ByteArrayOutputStream output = new ByteArrayOutputStream();

    // Thrown where a tool would end the process. Some catch it and end again: the first code counts.
    static class Ended extends RuntimeException {}
    static Integer code;

    static void fail(String sentence) {
        System.err.println("FAILED: " + sentence);
        Runtime.getRuntime().halt(1);
    }

    // What the tool prints.
    static String tool(String className, String... arguments) throws Exception {
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of("--bootstrap-server", bootstrap));
        // Options of the whole of kafka-metadata-quorum come before the subcommand.
        if (className.endsWith("MetadataQuorumCommand")) all = new ArrayList<>(List.of("--bootstrap-server", bootstrap, "describe", "--status"));
        output.reset();
        code = null;
        try {
            Class.forName(className).getMethod("main", String[].class).invoke(null, (Object) all.toArray(new String[0]));
        } catch (InvocationTargetException error) {
            if (!(error.getCause() instanceof Ended)) throw error;
        }
        System.out.flush();
        if (code != null && code != 0) fail(className + " " + all + " ended with " + code + ": " + output);
        return output.toString();
    }

    static void has(String text, String part) {
        if (!text.replace("\t", " ").replaceAll(" +", " ").contains(part)) fail("this does not say '" + part + "': " + text);
    }

    public static void main(String[] none) throws Exception {
        System.setOut(new PrintStream(output, true));
        Exit.setExitProcedure((status, message) -> {
            if (code == null) code = status;
            throw new Ended();
        });
        String tools = "org.apache.kafka.tools.", configs = "kafka.admin.ConfigCommand";
        tool(tools + "TopicCommand", "--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=3600000");
        tool(tools + "TopicCommand", "--alter", "--topic", topic, "--partitions", "3");
        // A cluster may tell of a change a little later.
        for (int i = 0; i < 50 && !tool(tools + "TopicCommand", "--describe", "--topic", topic).contains("PartitionCount: 3"); i++) Thread.sleep(100);
        String described = tool(tools + "TopicCommand", "--describe", "--topic", topic);
        has(described, "PartitionCount: 3");
        has(described, "retention.ms=3600000");

        tool(configs, "--alter", "--topic", topic, "--add-config", "max.message.bytes=2000000,cleanup.policy=[compact,delete]", "--delete-config", "retention.ms");
        for (int i = 0; i < 50 && !tool(configs, "--describe", "--topic", topic).contains("max.message.bytes=2000000"); i++) Thread.sleep(100);
        String settings = tool(configs, "--describe", "--topic", topic);
        has(settings, "max.message.bytes=2000000");
        has(settings, "cleanup.policy=compact,delete");
        if (settings.contains("retention.ms=3600000")) fail("a setting was not deleted: " + settings);
        has(tool(configs, "--describe", "--all", "--topic", topic), "min.insync.replicas=1");
        tool(configs, "--describe", "--entity-type", "brokers", "--all");
        tool(configs, "--describe", "--entity-type", "users");
        has(tool(tools + "ClusterTool", "cluster-id"), "Cluster ID: ");
        has(tool(tools + "LogDirsCommand", "--describe", "--topic-list", topic), "\"partition\":\"" + topic + "-0\",\"size\":0");
        has(tool(tools + "MetadataQuorumCommand"), "HighWatermark: ");

        try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", (Object) bootstrap), new StringSerializer(), new StringSerializer())) {
            for (String value : List.of("a", "b", "c")) producer.send(new ProducerRecord<>(topic, 1, "key", value)).get();
        }
        has(tool(tools + "GetOffsetShell", "--topic", topic, "--time", "latest"), topic + ":1:3");
        Path file = Files.createTempFile("records", ".json");
        Files.writeString(file, "{\"partitions\":[{\"topic\":\"" + topic + "\",\"partition\":1,\"offset\":2}],\"version\":1}");
        has(tool(tools + "DeleteRecordsCommand", "--offset-json-file", file.toString()), "low_watermark: 2");
        has(tool(tools + "GetOffsetShell", "--topic", topic, "--time", "earliest"), topic + ":1:2");
        tool(tools + "LeaderElectionCommand", "--election-type", "preferred", "--topic", topic, "--partition", "0");
        has(tool(tools + "reassign.ReassignPartitionsCommand", "--list"), "No partition reassignments found.");
        tool(tools + "TopicCommand", "--delete", "--topic", topic);
        Files.delete(file);
        terminal.println("client=kafka-tools version=" + AppInfoParser.getVersion() + " ok");
        terminal.flush();
        Runtime.getRuntime().halt(0);
    }
}

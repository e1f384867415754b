// Apache Kafka's administrative tools, one after the other in this process: kafka-topics, kafka-configs, kafka-get-offsets,
// kafka-delete-records, kafka-log-dirs, kafka-cluster, kafka-metadata-quorum, kafka-leader-election, kafka-reassign-partitions.
// With --groups: kafka-verifiable-producer and -consumer, kafka-consumer-groups, kafka-groups, kafka-producer-perf-test and
// -consumer-perf-test. Run from source: java -cp 'jars/*:server-jars/*' Tools.java (kafka-configs is in the server's jars).

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

    // A tool that tells what it has done when its process ends.
    static String process(String className, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", System.getProperty("java.class.path"),
            "-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile"), className));
        command.addAll(List.of(arguments));
        command.addAll(List.of("--bootstrap-server", bootstrap));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes());
        if (process.waitFor() != 0) fail(command + ": " + text);
        return text;
    }

    static void feature(String name) {
        terminal.println("feature: " + name);
    }

    static void has(String text, String part) {
        if (!text.replace("\t", " ").replaceAll(" +", " ").contains(part)) fail("this does not say '" + part + "': " + text);
    }

    static final String tools = "org.apache.kafka.tools.", configs = "kafka.admin.ConfigCommand";

    static void administration() throws Exception {
        tool(tools + "TopicCommand", "--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=3600000");
        tool(tools + "TopicCommand", "--alter", "--topic", topic, "--partitions", "3");
        // A cluster may tell of a change a little later.
        for (int i = 0; i < 50 && !tool(tools + "TopicCommand", "--describe", "--topic", topic).contains("PartitionCount: 3"); i++) Thread.sleep(100);
        String described = tool(tools + "TopicCommand", "--describe", "--topic", topic);
        has(described, "PartitionCount: 3");
        has(described, "retention.ms=3600000");
        feature("kafka-topics");

        tool(configs, "--alter", "--topic", topic, "--add-config", "max.message.bytes=2000000,cleanup.policy=[compact,delete]", "--delete-config", "retention.ms");
        for (int i = 0; i < 50 && !tool(configs, "--describe", "--topic", topic).contains("max.message.bytes=2000000"); i++) Thread.sleep(100);
        String settings = tool(configs, "--describe", "--topic", topic);
        has(settings, "max.message.bytes=2000000");
        has(settings, "cleanup.policy=compact,delete");
        if (settings.contains("retention.ms=3600000")) fail("a setting was not deleted: " + settings);
        has(tool(configs, "--describe", "--all", "--topic", topic), "min.insync.replicas=1");
        tool(configs, "--describe", "--entity-type", "brokers", "--all");
        tool(configs, "--describe", "--entity-type", "users");
        feature("kafka-configs");
        has(tool(tools + "ClusterTool", "cluster-id"), "Cluster ID: ");
        feature("kafka-cluster");
        has(tool(tools + "LogDirsCommand", "--describe", "--topic-list", topic), "\"partition\":\"" + topic + "-0\",\"size\":0");
        feature("kafka-log-dirs");
        has(tool(tools + "MetadataQuorumCommand"), "HighWatermark: ");
        feature("kafka-metadata-quorum");

        try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", (Object) bootstrap), new StringSerializer(), new StringSerializer())) {
            for (String value : List.of("a", "b", "c")) producer.send(new ProducerRecord<>(topic, 1, "key", value)).get();
        }
        has(tool(tools + "GetOffsetShell", "--topic", topic, "--time", "latest"), topic + ":1:3");
        Path file = Files.createTempFile("records", ".json");
        Files.writeString(file, "{\"partitions\":[{\"topic\":\"" + topic + "\",\"partition\":1,\"offset\":2}],\"version\":1}");
        has(tool(tools + "DeleteRecordsCommand", "--offset-json-file", file.toString()), "low_watermark: 2");
        has(tool(tools + "GetOffsetShell", "--topic", topic, "--time", "earliest"), topic + ":1:2");
        feature("kafka-delete-records");
        feature("kafka-get-offsets");
        tool(tools + "LeaderElectionCommand", "--election-type", "preferred", "--topic", topic, "--partition", "0");
        feature("kafka-leader-election");
        has(tool(tools + "reassign.ReassignPartitionsCommand", "--list"), "No partition reassignments found.");
        feature("kafka-reassign-partitions");
        Files.delete(file);
    }

    static final int records = 300;

    static String groups(String group, String... arguments) throws Exception {
        List<String> all = new ArrayList<>(List.of("--group", group));
        all.addAll(List.of(arguments));
        return tool(tools + "consumer.group.ConsumerGroupCommand", all.toArray(new String[0]));
    }

    // The sum of a column of the table that --describe prints. Kafka tells of an empty group by its offsets all the same.
    static long sum(String table, String column) {
        long sum = 0;
        int index = -1, rows = 0;
        for (String line : table.split("\n")) {
            List<String> words = List.of(line.trim().split("\\s+"));
            if (words.contains(column)) index = words.indexOf(column);
            else if (index >= 0 && words.contains(topic)) {
                sum += Long.parseLong(words.get(index));
                rows++;
            }
        }
        if (rows != 3) fail("not three partitions: " + table);
        return sum;
    }

    static void lag(String group, long lag) throws Exception {
        String table = "";
        for (int i = 0; i < 50 && sum(table = groups(group, "--describe"), "LAG") != lag; i++) Thread.sleep(100);
        if (sum(table, "LAG") != lag) fail("the lag is not " + lag + ": " + table);
    }

    static void reset(String group, long lag, String... how) throws Exception {
        List<String> all = new ArrayList<>(List.of("--reset-offsets", "--topic", topic, "--execute"));
        all.addAll(List.of(how));
        groups(group, all.toArray(new String[0]));
        lag(group, lag);
    }

    static void workOfGroups() throws Exception {
        tool(tools + "TopicCommand", "--create", "--topic", topic, "--partitions", "3");
        String produced = process(tools + "VerifiableProducer", "--topic", topic, "--max-messages", "" + records, "--acks", "-1", "--repeating-keys", "30");
        if (produced.split("producer_send_success", -1).length - 1 != records) fail("the verifiable producer: " + produced);
        feature("kafka-verifiable-producer");
        for (String protocol : List.of("classic", "consumer")) {
            String group = topic + "-" + protocol;
            String consumed = process(tools + "VerifiableConsumer", "--topic", topic, "--group-id", group, "--max-messages", "" + records,
                "--reset-policy", "earliest", "--group-protocol", protocol);
            has(consumed, "\"name\":\"partitions_assigned\"");
            lag(group, 0);
            feature("kafka-verifiable-consumer (" + protocol + ")");

            has(tool(tools + "consumer.group.ConsumerGroupCommand", "--list"), group);
            has(tool(tools + "GroupsCommand", "--list", "--group-type", protocol), group);
            for (int i = 0; i < 50 && !groups(group, "--describe", "--state").contains("Empty"); i++) Thread.sleep(100);
            has(groups(group, "--describe", "--state"), "Empty");
            groups(group, "--describe", "--members", "--verbose");
            groups(group, "--reset-offsets", "--topic", topic, "--to-earliest", "--dry-run");
            lag(group, 0);
            reset(group, records, "--to-earliest");
            reset(group, records - 30, "--shift-by", "10");
            reset(group, records - 3, "--to-offset", "1");
            reset(group, 0, "--to-latest");
            reset(group, records, "--by-duration", "PT1H");
            reset(group, records, "--to-datetime", "2020-01-01T00:00:00.000");
            reset(group, records, "--to-current");
            groups(group, "--delete-offsets", "--topic", topic);
            groups(group, "--delete");
            for (int i = 0; i < 50 && tool(tools + "consumer.group.ConsumerGroupCommand", "--list").contains(group); i++) Thread.sleep(100);
            if (tool(tools + "consumer.group.ConsumerGroupCommand", "--list").contains(group)) fail(group + " was not deleted");
        }
        feature("kafka-consumer-groups");
        feature("kafka-groups");
        String rates = tool(tools + "ProducerPerformance", "--topic", topic, "--num-records", "5000", "--record-size", "100", "--throughput", "-1");
        has(rates, "5000 records sent");
        feature("kafka-producer-perf-test");
        tool(tools + "ConsumerPerformance", "--topic", topic, "--num-records", "5000", "--timeout", "20000");
        feature("kafka-consumer-perf-test");
    }

    public static void main(String[] arguments) throws Exception {
        System.setOut(new PrintStream(output, true));
        Exit.setExitProcedure((status, message) -> {
            if (code == null) code = status;
            throw new Ended();
        });
        if (List.of(arguments).contains("--groups")) workOfGroups();
        else administration();
        tool(tools + "TopicCommand", "--delete", "--topic", topic);
        terminal.println("client=" + System.getenv("CLIENT") + " version=" + AppInfoParser.getVersion() + " ok");
        terminal.flush();
        Runtime.getRuntime().halt(0);
    }
}

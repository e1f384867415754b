// Kafka Streams with its defaults, which are at least once: a word count whose words are repartitioned and whose counts are kept
// in a store with a changelog. It is stopped and loses its local state, so that the store comes from the changelog, which is
// a compacted topic. Run from source: java -cp 'jars/*' Streams.java

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

public class Streams {
    static final String bootstrap = System.getenv("BOOTSTRAP");
    static final String topic = System.getenv("TOPIC");
    static final String counts = topic + "-counts", application = topic + "-application";
    static final int partitions = 3, lines = 300;
    static final List<String> words = List.of("yak", "goat", "sheep", "cow", "camel", "llama", "reindeer");
    static final Map<String, Long> expected = new TreeMap<>();

    static void check(boolean holds, String sentence) {
        if (holds) return;
        System.err.println("FAILED: " + sentence);
        Runtime.getRuntime().halt(1);
    }

    static void feature(String name) {
        System.out.println("feature: " + name);
    }

    static void produce(int first) throws Exception {
        try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", (Object) bootstrap), new StringSerializer(), new StringSerializer())) {
            for (int i = first; i < first + lines; i++) {
                String one = words.get(i % words.size()), other = words.get(i * i % words.size());
                producer.send(new ProducerRecord<>(topic, "line-" + i, one + " " + other));
                expected.merge(one, 1L, Long::sum);
                expected.merge(other, 1L, Long::sum);
            }
        }
    }

    static KafkaStreams start(Path state) {
        var builder = new StreamsBuilder();
        builder.<String, String>stream(topic)
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.as("words"))
            .count(Materialized.as("counts"))
            .toStream()
            .to(counts, Produced.with(Serdes.String(), Serdes.Long()));
        var settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
        // Streams does not leave its group when it is closed; who comes next waits for so long.
        settings.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
        settings.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 1000);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        var streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            check(false, error.toString());
            return null;
        });
        streams.start();
        return streams;
    }

    // The last count of each word, once it is what was produced.
    static void await() {
        Map<String, Long> seen = new TreeMap<>();
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest", "group.id", topic + "-reader"));
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new LongDeserializer())) {
            var all = consumer.partitionsFor(counts).stream().map(p -> new org.apache.kafka.common.TopicPartition(counts, p.partition())).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            while (!seen.equals(expected) && System.nanoTime() < deadline)
                for (var record : consumer.poll(Duration.ofMillis(200))) seen.put(record.key(), record.value());
        }
        check(seen.equals(expected), "counted " + seen + " instead of " + expected);
    }

    static void remove(Path folder) throws IOException {
        try (var all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) Files.delete(path);
        }
    }

    public static void main(String[] none) throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", (Object) bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1), new NewTopic(counts, partitions, (short) 1))).all().get();
            Path state = Files.createTempDirectory("streams");
            produce(0);
            var streams = start(state);
            await();
            streams.close(Duration.ofSeconds(20));
            feature("word count with repartitioning");

            String changelog = application + "-counts-changelog", repartition = application + "-words-repartition";
            check(admin.listTopics().names().get().containsAll(List.of(changelog, repartition)), "internal topics");
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, changelog);
            check(admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy").value().equals("compact"), "the changelog is compacted");

            remove(state);
            produce(lines);
            streams = start(state);
            await();
            streams.close(Duration.ofSeconds(20));
            remove(state);
            feature("store restored from its compacted changelog");
        }
        System.out.println("client=streams version=" + AppInfoParser.getVersion() + " ok");
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}

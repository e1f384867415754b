// The Java clients with their defaults, which include idempotence. Run from source: java -cp 'jars/*' Check.java
// With --transactions: a transactional producer must fail at once.

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TransactionalIdAuthorizationException;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class Check {
    static final String bootstrap = System.getenv("BOOTSTRAP");
    static final String topic = System.getenv("TOPIC");
    static final String group = topic + "-group";
    static final int partitions = 3;
    static final int records = 100;
    static final long deadlineSeconds = 30;

    static void check(boolean holds, String sentence) {
        if (!holds) {
            System.err.println("FAILED: " + sentence);
            // Not an exception: background threads of a client could keep the process alive.
            System.exit(1);
        }
    }

    static Map<String, Object> settings(Object... more) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
        for (int i = 0; i < more.length; i += 2) settings.put((String) more[i], more[i + 1]);
        return settings;
    }

    static KafkaProducer<String, String> producer(Object... more) {
        return new KafkaProducer<>(settings(more), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(Object... more) {
        return new KafkaConsumer<>(settings(more), new StringDeserializer(), new StringDeserializer());
    }

    static List<RecordMetadata> produce() throws Exception {
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        List<RecordMetadata> acknowledged = new ArrayList<>();
        try (var producer = producer()) {
            for (int i = 0; i < records; i++)
                futures.add(producer.send(new ProducerRecord<>(topic, "key-" + i, "value-" + i)));
            for (var future : futures) acknowledged.add(future.get(deadlineSeconds, TimeUnit.SECONDS));
        }
        return acknowledged;
    }

    // In the order of production each partition's offsets count from 0 without a gap.
    static Map<TopicPartition, Long> checkAcknowledged(List<RecordMetadata> acknowledged) {
        Map<TopicPartition, Long> counts = new HashMap<>();
        for (RecordMetadata record : acknowledged) {
            var partition = new TopicPartition(topic, record.partition());
            long expected = counts.getOrDefault(partition, 0L);
            check(record.offset() == expected, partition + ": acknowledged offset " + record.offset() + ", not " + expected);
            counts.put(partition, expected + 1);
        }
        check(counts.size() == partitions, "records went to " + counts.keySet());
        return counts;
    }

    static void consumeAndCommit(List<RecordMetadata> acknowledged, Map<TopicPartition, Long> counts) {
        Map<String, Integer> produced = new HashMap<>();
        for (int i = 0; i < records; i++)
            produced.put(acknowledged.get(i).partition() + "@" + acknowledged.get(i).offset(), i);
        try (var consumer = consumer("group.id", group, "enable.auto.commit", "false")) {
            consumer.assign(counts.keySet());
            consumer.seekToBeginning(counts.keySet());
            Map<Integer, Long> next = new HashMap<>();
            int consumed = 0;
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(deadlineSeconds);
            while (consumed < records && System.nanoTime() < deadline)
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    long expected = next.getOrDefault(record.partition(), 0L);
                    check(record.offset() == expected, "consumed offset " + record.offset() + ", not " + expected);
                    next.put(record.partition(), expected + 1);
                    Integer index = produced.get(record.partition() + "@" + record.offset());
                    check(index != null && record.key().equals("key-" + index) && record.value().equals("value-" + index),
                            record + " is not record " + index);
                    consumed++;
                }
            check(consumed == records, consumed + " of " + records + " records were consumed");
            check(consumer.endOffsets(counts.keySet()).equals(counts), "end offsets");
            Map<TopicPartition, OffsetAndMetadata> commits = new HashMap<>();
            counts.forEach((partition, count) -> commits.put(partition, new OffsetAndMetadata(count, "as committed")));
            consumer.commitSync(commits, Duration.ofSeconds(deadlineSeconds));
        }
        try (var reader = consumer("group.id", group)) {
            var committed = reader.committed(counts.keySet(), Duration.ofSeconds(deadlineSeconds));
            for (var partition : counts.keySet()) {
                var offset = committed.get(partition);
                check(offset != null && offset.offset() == counts.get(partition)
                        && offset.metadata().equals("as committed"), partition + ": committed " + offset);
            }
        }
    }

    static void expectNoTransactions() {
        long start = System.nanoTime();
        KafkaException error = null;
        try (var producer = producer("transactional.id", topic)) {
            producer.initTransactions();
        } catch (KafkaException e) {
            error = e;
        }
        check(error != null, "initTransactions succeeded");
        double seconds = (System.nanoTime() - start) / 1e9;
        System.out.printf("initTransactions failed after %.1f s: %s%n", seconds, error);
        // A refusal, not a time-out; where the answer to FindCoordinator carries it, the client passes on its text only.
        check(error instanceof UnsupportedVersionException || error instanceof TransactionalIdAuthorizationException
                || (!(error instanceof RetriableException) && error.getMessage().contains("supported")),
                "the error does not say that transactions are refused");
        check(seconds < 10, "the failure took " + seconds + " s");
    }

    static void checkAll() throws Exception {
        try (var admin = Admin.create(settings())) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all()
                    .get(deadlineSeconds, TimeUnit.SECONDS);
            var acknowledged = produce();
            var counts = checkAcknowledged(acknowledged);
            consumeAndCommit(acknowledged, counts);
            var ofGroup = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()
                    .get(deadlineSeconds, TimeUnit.SECONDS);
            counts.forEach((partition, count) -> check(ofGroup.get(partition).offset() == count,
                    partition + ": the admin client reads " + ofGroup.get(partition)));
        }
    }

    public static void main(String[] arguments) {
        try {
            if (arguments.length > 0 && arguments[0].equals("--transactions")) expectNoTransactions();
            else checkAll();
        } catch (Exception error) {
            // Not thrown on: Java's launcher for source files stumbles over stack traces that begin in another thread.
            error.printStackTrace();
            check(false, error.toString());
        }
        System.out.println("client=java version=" + AppInfoParser.getVersion() + " ok");
    }
}

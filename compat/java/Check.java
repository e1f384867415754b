// The Java clients of Kafka 3 and 4 with their defaults, which include idempotence. Run from source: java -cp 'jars/*' Check.java
// With --transactions: a transactional producer must fail at once.

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
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

    static void feature(String name) {
        System.out.println("feature: " + name);
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
        feature("idempotent produce");
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
            feature("consume");
            check(consumer.endOffsets(counts.keySet()).equals(counts), "end offsets");
            feature("offsets");
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
        feature("commit");
    }

    static RecordMetadata produceOne() throws Exception {
        try (var producer = producer()) {
            return producer.send(new ProducerRecord<>(topic, "later")).get(deadlineSeconds, TimeUnit.SECONDS);
        }
    }

    static String place(int partition, long offset) {
        return partition + "@" + offset;
    }

    /** One of a group, in a thread of its own. */
    static class Member extends Thread {
        final Set<String> read = ConcurrentHashMap.newKeySet();
        volatile Set<Integer> share = Set.of();
        volatile boolean stop;
        volatile Exception error;
        final String protocol;

        Member(String protocol) {
            this.protocol = protocol;
            setDaemon(true);
            start();
        }

        @Override
        public void run() {
            try (var consumer = consumer("group.id", group + "-" + protocol, "group.protocol", protocol, "auto.offset.reset",
                    "earliest", "enable.auto.commit", "false")) {
                consumer.subscribe(List.of(topic));
                while (!stop) {
                    for (var record : consumer.poll(Duration.ofMillis(100))) read.add(place(record.partition(), record.offset()));
                    Set<Integer> owned = new HashSet<>();
                    for (var partition : consumer.assignment()) owned.add(partition.partition());
                    share = owned;
                }
                consumer.commitSync(Duration.ofSeconds(deadlineSeconds));
            } catch (Exception e) {
                error = e;
            }
        }

        void finish() throws Exception {
            stop = true;
            join(deadlineSeconds * 1000);
            check(error == null, "a member of the group: " + error);
        }
    }

    // Each has read its partitions by itself: what another one read before a rebalance was not committed.
    static boolean haveRead(Set<String> everything, Member... members) {
        Set<Integer> owned = new HashSet<>();
        for (Member member : members) {
            var share = member.share;
            if (share.isEmpty()) return false;
            for (int partition : share) {
                if (!owned.add(partition)) return false;
                for (String place : everything)
                    if (place.startsWith(partition + "@") && !member.read.contains(place)) return false;
            }
        }
        return owned.size() == partitions;
    }

    static void consumeAsMembers(String protocol, Set<String> everything) throws Exception {
        Member one = new Member(protocol), two = new Member(protocol);
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(deadlineSeconds);
        while (!haveRead(everything, one, two) && one.error == null && two.error == null && System.nanoTime() < deadline)
            Thread.sleep(50);
        String what = protocol + " group: shares " + one.share + " and " + two.share + ", read " + one.read.size() + " and "
                + two.read.size() + " of " + everything.size() + " records";
        boolean done = haveRead(everything, one, two);
        one.finish();
        two.finish();
        check(done, what);
        check(everything.containsAll(one.read) && everything.containsAll(two.read), what + ", and others that nobody wrote");

        RecordMetadata later = produceOne();
        everything.add(place(later.partition(), later.offset()));
        Member last = new Member(protocol);
        while (last.read.isEmpty() && last.error == null && System.nanoTime() < deadline) Thread.sleep(50);
        last.finish();
        check(last.read.equals(Set.of(place(later.partition(), later.offset()))),
                protocol + " group: who joined after the commits read " + last.read + " instead of " + later);
        feature(protocol.equals("classic") ? "classic group" : "consumer group (KIP-848)");
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
        feature("a transactional producer is refused at once");
    }

    static void checkAll() throws Exception {
        try (var admin = Admin.create(settings())) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all()
                    .get(deadlineSeconds, TimeUnit.SECONDS);
            feature("create topic");
            var acknowledged = produce();
            var counts = checkAcknowledged(acknowledged);
            consumeAndCommit(acknowledged, counts);
            var ofGroup = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()
                    .get(deadlineSeconds, TimeUnit.SECONDS);
            counts.forEach((partition, count) -> check(ofGroup.get(partition).offset() == count,
                    partition + ": the admin client reads " + ofGroup.get(partition)));
            Set<String> everything = new HashSet<>();
            for (var record : acknowledged) everything.add(place(record.partition(), record.offset()));
            for (String protocol : List.of("classic", "consumer")) consumeAsMembers(protocol, everything);
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
        System.out.println("client=" + System.getenv("CLIENT") + " version=" + AppInfoParser.getVersion() + " ok");
    }
}

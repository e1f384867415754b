// Everything that the Java AdminClient asks of topics, settings and the cluster, and a consumer of many partitions whose
// fetches are incremental. Run from source: java -cp 'jars/*' Admin.java

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class Admin {
    static final String bootstrap = System.getenv("BOOTSTRAP");
    static final String topic = System.getenv("TOPIC");
    static final ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);

    static void check(boolean holds, String sentence) {
        if (holds) return;
        System.err.println("FAILED: " + sentence);
        System.exit(1);
    }

    static void feature(String name) {
        System.out.println("feature: " + name);
    }

    static void fails(Class<? extends Exception> why, KafkaFuture<?> what) throws Exception {
        try {
            what.get();
            check(false, "no " + why.getSimpleName());
        } catch (ExecutionException error) {
            check(why.isInstance(error.getCause()), "another failure than " + why.getSimpleName() + ": " + error.getCause());
        }
    }

    static Map<String, Object> settings(Object... more) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
        for (int i = 0; i < more.length; i += 2) settings.put((String) more[i], more[i + 1]);
        return settings;
    }

    static AlterConfigOp op(String name, String value, OpType type) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    static KafkaFuture<Void> alter(org.apache.kafka.clients.admin.Admin admin, ConfigResource what, AlterConfigOp... ops) {
        return admin.incrementalAlterConfigs(Map.of(what, List.of(ops))).all();
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    // A cluster may tell of a change a little later.
    static void eventually(Condition condition, String sentence) throws Exception {
        for (int i = 0; i < 50 && !condition.holds(); i++) Thread.sleep(100);
        check(condition.holds(), sentence);
    }

    static void has(org.apache.kafka.clients.admin.Admin admin, ConfigResource what, String name, String value) throws Exception {
        eventually(() -> value.equals(admin.describeConfigs(List.of(what)).all().get().get(what).get(name).value()), name + " is " + value);
    }

    static void configs(org.apache.kafka.clients.admin.Admin admin) throws Exception {
        alter(admin, resource, op("retention.ms", "3600000", OpType.SET), op("cleanup.policy", "compact", OpType.APPEND)).get();
        has(admin, resource, "retention.ms", "3600000");
        has(admin, resource, "cleanup.policy", "delete,compact");
        alter(admin, resource, op("retention.ms", "", OpType.DELETE), op("cleanup.policy", "compact", OpType.SUBTRACT)).get();
        has(admin, resource, "retention.ms", "604800000");
        has(admin, resource, "cleanup.policy", "delete");
        fails(InvalidConfigurationException.class, alter(admin, resource, op("no.such.setting", "1", OpType.SET)));
        fails(InvalidConfigurationException.class, alter(admin, resource, op("retention.ms", "soon", OpType.SET)));
        fails(UnknownTopicOrPartitionException.class,
            alter(admin, new ConfigResource(ConfigResource.Type.TOPIC, "nowhere"), op("retention.ms", "1", OpType.SET)));
        Config all = admin.describeConfigs(List.of(resource), new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true))
            .all().get().get(resource);
        check(all.entries().size() >= 30, "all settings of a topic are described");
        for (ConfigEntry e : all.entries())
            check(e.type() != ConfigEntry.ConfigType.UNKNOWN && e.documentation() != null, e.name() + " has a type and is documented");
        check(all.get("max.message.bytes").synonyms().get(0).name().equals("message.max.bytes"), "synonyms are named");

        ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, topic + "-group");
        alter(admin, group, op("consumer.session.timeout.ms", "50000", OpType.SET)).get();
        has(admin, group, "consumer.session.timeout.ms", "50000");
        fails(InvalidConfigurationException.class, alter(admin, group, op("consumer.session.timeout.ms", "1", OpType.SET)));
        eventually(() -> admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC, ConfigResource.Type.GROUP), new ListConfigResourcesOptions())
            .all().get().containsAll(List.of(resource, group)), "what has settings is listed");

        String broker = admin.describeCluster().nodes().get().iterator().next().idString();
        ConfigResource of_broker = new ConfigResource(ConfigResource.Type.BROKER, broker);
        check(admin.describeConfigs(List.of(of_broker)).all().get().get(of_broker).get("message.max.bytes").value() != null, "settings of a broker are described");
    }

    // Fetches of 50 partitions, of which few have news: the session tells them apart.
    static void consume_in_sessions() throws Exception {
        List<TopicPartition> all = IntStream.range(0, 50).mapToObj(i -> new TopicPartition(topic, i)).toList();
        try (var producer = new KafkaProducer<>(settings(), new ByteArraySerializer(), new ByteArraySerializer());
             var consumer = new KafkaConsumer<>(settings("auto.offset.reset", "earliest"), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Integer> seen = new HashMap<>();
            for (int round = 0; round < 10; round++) {
                for (int i = 0; i < 3; i++) producer.send(new ProducerRecord<>(topic, (round * 7 + i * 11) % 50, null, new byte[100]));
                producer.flush();
                long deadline = System.nanoTime() + 10_000_000_000L;
                while (seen.values().stream().mapToInt(n -> n).sum() < 3 * (round + 1) && System.nanoTime() < deadline)
                    for (var record : consumer.poll(Duration.ofMillis(100)))
                        seen.merge(new TopicPartition(topic, record.partition()), 1, Integer::sum);
                if (round == 5) {  // forgets some, and comes back to them
                    consumer.assign(all.subList(0, 25));
                    consumer.poll(Duration.ofMillis(50)).forEach(r -> seen.merge(new TopicPartition(topic, r.partition()), 1, Integer::sum));
                    Map<TopicPartition, Long> positions = all.stream().collect(Collectors.toMap(p -> p, p -> (long) seen.getOrDefault(p, 0)));
                    consumer.assign(all);
                    positions.forEach(consumer::seek);
                }
            }
            check(seen.values().stream().mapToInt(n -> n).sum() == 30, "each record was consumed once: " + seen);
        }
    }

    static void delete_records(org.apache.kafka.clients.admin.Admin admin) throws Exception {
        TopicPartition p = new TopicPartition(topic, 0);
        long end = admin.listOffsets(Map.of(p, OffsetSpec.latest())).all().get().get(p).offset();
        check(end >= 1, "there is something to delete");
        check(admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(1))).lowWatermarks().get(p).get().lowWatermark() == 1, "the log begins at 1");
        fails(org.apache.kafka.common.errors.OffsetOutOfRangeException.class, admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(end + 1))).all());
        check(admin.listOffsets(Map.of(p, OffsetSpec.earliest())).all().get().get(p).offset() == 1, "earliest is 1");
        check(admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(p).get().lowWatermark() == end, "all is deleted");
    }

    static void cluster(org.apache.kafka.clients.admin.Admin admin) throws Exception {
        var described = admin.describeCluster();
        check(!described.clusterId().get().isEmpty() && described.controller().get() != null, "the cluster has an id and a controller");
        Set<Integer> brokers = described.nodes().get().stream().map(n -> n.id()).collect(Collectors.toSet());
        long bytes = admin.describeLogDirs(brokers).allDescriptions().get().values().stream().flatMap(dirs -> dirs.values().stream())
            .flatMap(dir -> dir.replicaInfos().entrySet().stream()).filter(e -> e.getKey().topic().equals(topic)).mapToLong(e -> e.getValue().size()).sum();
        check(bytes > 3000, "log directories have the topic's bytes: " + bytes);
        TopicPartition p = new TopicPartition(topic, 7);
        check(!admin.describeProducers(List.of(p)).partitionResult(p).get().activeProducers().isEmpty(), "a partition knows its producers");
        check(admin.listPartitionReassignments().reassignments().get().isEmpty(), "nothing is reassigned");
        fails(NoReassignmentInProgressException.class, admin.alterPartitionReassignments(Map.of(p, Optional.empty())).all());
        check(admin.electLeaders(ElectionType.PREFERRED, Set.of(p)).partitions().get().get(p).get() instanceof ElectionNotNeededException, "no election is needed");
        QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get();
        check(quorum.highWatermark() > 0 && !quorum.voters().isEmpty(), "the metadata log has an end");
        check(admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().isEmpty(), "there are no quotas");
        check(admin.describeUserScramCredentials().all().get().isEmpty(), "there are no users");
        fails(SecurityDisabledException.class, admin.describeAcls(AclBindingFilter.ANY).values());
    }

    public static void main(String[] none) throws Exception {
        try (var admin = org.apache.kafka.clients.admin.Admin.create(settings("request.timeout.ms", 20000, "default.api.timeout.ms", 40000))) {
            NewTopic wanted = new NewTopic(topic, Optional.of(40), Optional.empty()).configs(Map.of("segment.ms", "10000000"));
            var made = admin.createTopics(List.of(wanted));
            made.all().get();
            check(made.config(topic).get().get("segment.ms").value().equals("10000000"), "CreateTopics echoes settings");
            fails(TopicExistsException.class, admin.createTopics(List.of(wanted)).all());
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(50))).all().get();
            fails(InvalidPartitionsException.class, admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(10))).all());
            Uuid id = made.topicId(topic).get();
            eventually(() -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == 50, "50 partitions are described");
            check(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id).name().equals(topic), "a topic is described by its id");
            feature("create, grow and describe topics by name and id");
            configs(admin);
            feature("settings of topics, groups and brokers");
            consume_in_sessions();
            feature("fetch sessions (KIP-227)");
            cluster(admin);
            feature("cluster, log directories, producers, quorum");
            delete_records(admin);
            feature("delete records");
            admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
            fails(UnknownTopicIdException.class, admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        }
        System.out.println("client=java-admin version=" + AppInfoParser.getVersion() + " ok");
        System.exit(0);
    }
}

"""confluent-kafka's AdminClient: topics, settings, offsets, cluster."""

import time

import confluent_kafka
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

from contract import BOOTSTRAP, DEADLINE_S, TOPIC, check, feature, ok


def one(futures):
    (future,) = futures.values()
    return future.result(DEADLINE_S)


def fails_with(code, futures):
    try:
        one(futures)
    except KafkaException as error:
        check(error.args[0].name() == code, f"{error.args[0].name()} instead of {code}")
    else:
        check(False, f"no {code}")


def resource(*entries, name=TOPIC):
    return ConfigResource(ResourceType.TOPIC, name, incremental_configs=list(entries))


def entry(name, value, operation):
    return ConfigEntry(name, value, incremental_operation=operation)


def value_of(admin, name):
    return one(admin.describe_configs([ConfigResource(ResourceType.TOPIC, TOPIC)]))[name].value


# A cluster may tell of a change a little later.
def eventually(condition, sentence):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        check(time.monotonic() < deadline, sentence)
        time.sleep(0.1)


def main():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    one(admin.create_topics([NewTopic(TOPIC, num_partitions=2, replication_factor=1, config={"segment.ms": "7000000"})]))
    fails_with("TOPIC_ALREADY_EXISTS", admin.create_topics([NewTopic(TOPIC, num_partitions=2)]))
    one(admin.create_partitions([NewPartitions(TOPIC, 4)]))
    fails_with("INVALID_PARTITIONS", admin.create_partitions([NewPartitions(TOPIC, 3)]))
    eventually(lambda: len(one(admin.describe_topics(confluent_kafka.TopicCollection([TOPIC]))).partitions) == 4, "4 partitions")
    feature("create, grow and describe topics")

    one(admin.incremental_alter_configs([resource(entry("retention.ms", "3600000", AlterConfigOpType.SET),
                                                  entry("cleanup.policy", "compact", AlterConfigOpType.APPEND))]))
    eventually(lambda: value_of(admin, "retention.ms") == "3600000", "retention.ms was set")
    eventually(lambda: value_of(admin, "cleanup.policy") == "delete,compact", "a policy was appended")
    one(admin.incremental_alter_configs([resource(entry("retention.ms", None, AlterConfigOpType.DELETE),
                                                  entry("cleanup.policy", "compact", AlterConfigOpType.SUBTRACT))]))
    eventually(lambda: value_of(admin, "retention.ms") == "604800000", "retention.ms has its default again")
    fails_with("INVALID_CONFIG", admin.incremental_alter_configs([resource(entry("retention.ms", "soon", AlterConfigOpType.SET))]))
    fails_with("UNKNOWN_TOPIC_OR_PART",
               admin.incremental_alter_configs([resource(entry("retention.ms", "1", AlterConfigOpType.SET), name="nowhere")]))
    one(admin.alter_configs([ConfigResource(ResourceType.TOPIC, TOPIC, set_config={"retention.bytes": "1000000"})]))
    eventually(lambda: value_of(admin, "retention.bytes") == "1000000" and value_of(admin, "segment.ms") == "604800000",
               "the older call replaces all settings")
    feature("settings of topics")

    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    for i in range(5):
        producer.produce(TOPIC, str(i), partition=1)
    check(producer.flush(DEADLINE_S) == 0, "records were left after flush")
    where = TopicPartition(TOPIC, 1)
    check(one(admin.list_offsets({where: OffsetSpec.latest()})).offset == 5, "five records")
    check(one(admin.delete_records([TopicPartition(TOPIC, 1, 3)])).low_watermark == 3, "the log begins at 3")
    fails_with("OFFSET_OUT_OF_RANGE", admin.delete_records([TopicPartition(TOPIC, 1, 9)]))
    check(one(admin.list_offsets({where: OffsetSpec.earliest()})).offset == 3, "earliest is 3")
    feature("delete records")
    cluster = admin.describe_cluster().result(DEADLINE_S)
    check(cluster.cluster_id and cluster.nodes, "the cluster has an id and nodes")
    feature("cluster")
    one(admin.delete_topics([TOPIC]))
    ok("confluent-kafka-admin", f"{confluent_kafka.__version__} (librdkafka {confluent_kafka.libversion()[0]})")


main()

"""kafka-python's admin client: topics, settings, offsets, cluster."""

import time

import kafka
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import TopicPartition

from contract import BOOTSTRAP, TOPIC, check, feature, ok


def fails_with(error, call):
    try:
        call()
    except error:
        return
    check(False, f"no {error.__name__}")


# A cluster may tell of a change a little later.
def eventually(condition, sentence):
    deadline = time.monotonic() + 10
    while not condition():
        check(time.monotonic() < deadline, sentence)
        time.sleep(0.1)


def topic_configs(admin):
    return admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)], config_filter="all")["topic"][TOPIC]


def main():
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    admin.create_topics([NewTopic(TOPIC, 2, 1, topic_configs={"segment.ms": "7000000"})])
    fails_with(TopicAlreadyExistsError, lambda: admin.create_topics([NewTopic(TOPIC, 2, 1)]))
    admin.create_partitions({TOPIC: 4})
    eventually(lambda: len(admin.describe_topics([TOPIC])[0]["partitions"]) == 4, "4 partitions")
    feature("create, grow and describe topics")

    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, {"retention.ms": "3600000"})])
    eventually(lambda: topic_configs(admin)["retention.ms"]["value"] == "3600000", "retention.ms was set")
    check(len(topic_configs(admin)) >= 30, "all settings are described")
    refused = admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, {"retention.ms": "soon"})])
    check("InvalidConfiguration" in refused["topic"][TOPIC], f"retention.ms=soon: {refused}")
    feature("settings of topics")

    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for i in range(5):
        producer.send(TOPIC, str(i).encode(), partition=1)
    producer.flush()
    producer.close()
    where = TopicPartition(TOPIC, 1)
    deleted = admin.delete_records({where: 3})
    check(deleted[where]["low_watermark"] == 3, f"delete_records: {deleted}")
    feature("delete records")
    cluster = admin.describe_cluster()
    check(cluster["cluster_id"] and cluster["brokers"], f"describe_cluster: {cluster}")
    feature("cluster")
    check(admin.list_partition_reassignments() == {}, "nothing is reassigned")
    admin.delete_topics([TOPIC])
    admin.close()
    ok("kafka-python-admin", kafka.__version__)


main()

"""kafka-python with its defaults, which include idempotence."""

import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata

from contract import (BOOTSTRAP, DEADLINE_S, GROUP, KEYS, PARTITIONS, RECORDS, TOPIC, VALUES, check,
                      check_acknowledged, check_committed, check_consumed, check_group, feature, ok)

admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
admin.close()
feature("create topic")

producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
check(producer.config["enable_idempotence"], "the producer turned its idempotence off")
futures = [producer.send(TOPIC, key=KEYS[i], value=VALUES[i]) for i in range(RECORDS)]
producer.flush(DEADLINE_S)
acknowledged = [(m.partition, m.offset) for m in (f.get(DEADLINE_S) for f in futures)]
producer.close()
counts = check_acknowledged(acknowledged)

partitions = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=GROUP, enable_auto_commit=False)
consumer.assign(partitions)
consumer.seek_to_beginning()
consumed = []
deadline = time.monotonic() + DEADLINE_S
while len(consumed) < RECORDS and time.monotonic() < deadline:
    for records in consumer.poll(timeout_ms=1000).values():
        consumed += [(r.partition, r.offset, r.key, r.value) for r in records]
check_consumed(acknowledged, consumed)
ends = {tp.partition: end for tp, end in consumer.end_offsets(partitions).items()}
check(ends == counts, f"end offsets {ends} instead of {counts}")
feature("offsets")
consumer.commit({TopicPartition(TOPIC, p): OffsetAndMetadata(n, "", -1) for p, n in counts.items()})
consumer.close(autocommit=False)

reader = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=GROUP, enable_auto_commit=False)
reader.assign(partitions)
check_committed(counts, {p: reader.committed(TopicPartition(TOPIC, p)) for p in range(PARTITIONS)})
reader.close(autocommit=False)


class Member:
    def __init__(self):
        self.consumer = KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP + "-members",
                                      auto_offset_reset="earliest", enable_auto_commit=False)

    def poll(self):
        return [(r.partition, r.offset) for records in self.consumer.poll(timeout_ms=100).values() for r in records]

    def assignment(self):
        return {tp.partition for tp in self.consumer.assignment()}

    def commit(self):
        self.consumer.commit()

    def close(self):
        self.consumer.close(autocommit=False)


def produce_one():
    one_more = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    m = one_more.send(TOPIC, value=b"later").get(DEADLINE_S)
    one_more.close()
    return (m.partition, m.offset)


check_group(Member, acknowledged, produce_one)
ok("kafka-python", kafka.__version__)

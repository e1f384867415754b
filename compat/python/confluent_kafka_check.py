"""confluent-kafka (librdkafka) with its defaults, and idempotence. With --transactions: a transactional producer must fail at once."""

import sys
import time

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from contract import (BOOTSTRAP, DEADLINE_S, GROUP, KEYS, PARTITIONS, RECORDS, TOPIC, VALUES, check,
                      check_acknowledged, check_committed, check_consumed, check_group, feature, ok)

VERSION = f"{confluent_kafka.__version__} (librdkafka {confluent_kafka.libversion()[0]})"


def create_topic():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for future in admin.create_topics([NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1)]).values():
        future.result(DEADLINE_S)
    feature("create topic")


def produce():
    acknowledged = {}
    errors = []

    def delivered(index):
        def callback(error, message):
            if error:
                errors.append(error)
            else:
                acknowledged[index] = (message.partition(), message.offset())
        return callback

    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for i in range(RECORDS):
        producer.produce(TOPIC, key=KEYS[i], value=VALUES[i], on_delivery=delivered(i))
    check(producer.flush(DEADLINE_S) == 0, "records were left after flush")
    check(not errors, f"delivery failed: {errors}")
    return [acknowledged[i] for i in sorted(acknowledged)]


def consume_and_commit(acknowledged, counts):
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "enable.auto.commit": False})
    consumer.assign([TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
    consumed = []
    deadline = time.monotonic() + DEADLINE_S
    while len(consumed) < RECORDS and time.monotonic() < deadline:
        for message in consumer.consume(RECORDS, 1.0):
            check(message.error() is None, f"consume: {message.error()}")
            consumed.append((message.partition(), message.offset(), message.key(), message.value()))
    check_consumed(acknowledged, consumed)
    for p in range(PARTITIONS):
        watermarks = consumer.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=DEADLINE_S)
        check(watermarks == (0, counts[p]), f"partition {p}: watermarks {watermarks}, {counts[p]} records")
    feature("offsets")
    for answer in consumer.commit(offsets=[TopicPartition(TOPIC, p, n) for p, n in counts.items()], asynchronous=False):
        check(answer.error is None, f"commit: {answer.error}")
    consumer.close()

    reader = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": GROUP})
    answers = reader.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], timeout=DEADLINE_S)
    check(all(a.error is None for a in answers), f"committed: {answers}")
    check_committed(counts, {a.partition: a.offset for a in answers})
    reader.close()


class Member:
    def __init__(self, protocol):
        # What librdkafka decides by itself with the consumer protocol, it refuses to be told.
        self.consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{GROUP}-{protocol}", "group.protocol": protocol,
                                  "auto.offset.reset": "earliest", "enable.auto.commit": False})
        self.consumer.subscribe([TOPIC])

    def poll(self):
        messages = self.consumer.consume(RECORDS, 0.1)
        for m in messages:
            check(m.error() is None, f"consume as a member: {m.error()}")
        return [(m.partition(), m.offset()) for m in messages]

    def assignment(self):
        return {tp.partition for tp in self.consumer.assignment()}

    def commit(self):
        self.consumer.commit(asynchronous=False)

    def close(self):
        self.consumer.close()


def produce_one(acknowledged):
    """Adds what it wrote to `acknowledged`."""
    places = []
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    producer.produce(TOPIC, value=b"later", on_delivery=lambda error, m: places.append((error, m.partition(), m.offset())))
    check(producer.flush(DEADLINE_S) == 0 and places[0][0] is None, f"one more record: {places}")
    acknowledged.append(places[0][1:])
    return places[0][1:]


def expect_no_transactions():
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": TOPIC})
    start = time.monotonic()
    try:
        producer.init_transactions(DEADLINE_S)
    except KafkaException as e:
        error = e.args[0]
        seconds = time.monotonic() - start
        print(f"init_transactions failed after {seconds:.1f} s: {error.name()}: {error.str()}")
        # librdkafka asks again and again after UNSUPPORTED_VERSION, until the caller's time is over.
        check(error.name() in ("UNSUPPORTED_VERSION", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
              f"the error is {error.name()}, which does not say that transactions are refused")
        check(not error.retriable(), "the error says that the client shall try again")
        check(seconds < 10, f"the failure took {seconds:.1f} s")
        feature("a transactional producer is refused at once")
    else:
        check(False, "init_transactions succeeded")


if "--transactions" in sys.argv:
    expect_no_transactions()
else:
    create_topic()
    acks = produce()
    per_partition = check_acknowledged(acks)
    consume_and_commit(acks, per_partition)
    for protocol in ("classic", "consumer"):
        check_group(lambda: Member(protocol), acks, lambda: produce_one(acks), protocol)
ok("confluent-kafka-transactions" if "--transactions" in sys.argv else "confluent-kafka", VERSION)

"""Members of three families in one group: Java (kafka-verifiable-consumer), librdkafka and kafka-python, with range assignments
that the one that happens to lead computes for all. Each partition has one owner, nothing is left out or read twice while
nobody comes or goes; who leaves is replaced at once."""

import json
import os
import signal
import subprocess
import threading
import time

import confluent_kafka
import kafka
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.coordinator.assignors.range import RangePartitionAssignor

from contract import BOOTSTRAP, DEADLINE_S, GROUP, TOPIC, check, feature, ok

PARTITIONS = 10
RECORDS = 500

lock = threading.Lock()
readers = {}  # (partition, offset) -> names of those who read it
owned = {}    # name -> partitions
errors = []
stop = threading.Event()


def note(name, partition, offset):
    with lock:
        readers.setdefault((partition, offset), []).append(name)


def librdkafka(name):
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "auto.offset.reset": "earliest",
                         "partition.assignment.strategy": "range"})
    consumer.subscribe([TOPIC])
    while not stop.is_set():
        message = consumer.poll(0.1)
        if message and not message.error():
            note(name, message.partition(), message.offset())
        owned[name] = {tp.partition for tp in consumer.assignment()}
    consumer.close()


def kafka_python(name):
    consumer = kafka.KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP, auto_offset_reset="earliest",
                                   partition_assignment_strategy=[RangePartitionAssignor])
    while not stop.is_set():
        for records in consumer.poll(timeout_ms=100).values():
            for record in records:
                note(name, record.partition, record.offset)
        owned[name] = {tp.partition for tp in consumer.assignment()}
    consumer.close()


def guarded(member, name):
    try:
        member(name)
    except Exception as error:  # told by the main thread
        errors.append(f"{name}: {error!r}")


def java(name):
    """Its default assignor is range. Tells what it does as JSON, a line each."""
    process = subprocess.Popen(
        ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", os.environ["JARS"] + "/*", "-Dlog4j2.configurationFile=" + os.environ["LOG_SETTINGS"],
         "org.apache.kafka.tools.VerifiableConsumer", "--topic", TOPIC, "--group-id", GROUP, "--reset-policy", "earliest", "--verbose",
         "--bootstrap-server", BOOTSTRAP], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def listen():
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            event = json.loads(line)
            if event["name"] == "record_data":
                note(name, event["partition"], event["offset"])
            elif event["name"] == "partitions_assigned":
                owned[name] = {p["partition"] for p in event["partitions"]}
            elif event["name"] == "partitions_revoked":
                owned[name] = set()

    threading.Thread(target=listen, daemon=True).start()
    return process


def is_shared(names):
    shares = [owned.get(name, set()) for name in names]
    return all(shares) and sum(map(len, shares)) == PARTITIONS and set().union(*shares) == set(range(PARTITIONS))


def until(truth, sentence):
    deadline = time.monotonic() + DEADLINE_S
    while not truth():
        check(not errors, f"a member failed: {errors}")
        check(time.monotonic() < deadline, f"{sentence}: {owned}, {len(readers)} records")
        time.sleep(0.05)


def produce(count):
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for i in range(count):
        producer.produce(TOPIC, str(i), partition=i % PARTITIONS)
    check(producer.flush(DEADLINE_S) == 0, "records were left after flush")


def main():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for future in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
        future.result(DEADLINE_S)
    of_java = java("java")
    threads = []
    try:
        until(lambda: owned.get("java"), "Java alone owns all")
        others = ["librdkafka 1", "librdkafka 2", "kafka-python 1", "kafka-python 2"]
        for name in others:
            member = librdkafka if name.startswith("librdkafka") else kafka_python
            threads.append(threading.Thread(target=guarded, args=(member, name), daemon=True))
            threads[-1].start()
        until(lambda: is_shared(["java", *others]), "five members share the partitions")
        produce(RECORDS)
        until(lambda: len(readers) == RECORDS, "everything is read")
        repeated = {place: names for place, names in readers.items() if len(names) > 1}
        check(not repeated, f"read twice: {repeated}")
        check({name for names in readers.values() for name in names} == {"java", *others}, "each of them read something")
        feature("one group of Java, librdkafka and kafka-python")

        of_java.send_signal(signal.SIGTERM)
        of_java.wait(DEADLINE_S)
        owned["java"] = set()
        until(lambda: is_shared(others), "the others share what Java had")
        produce(RECORDS)
        until(lambda: len(readers) == 2 * RECORDS, "everything is read by those who stayed")
        feature("a member leaves, the others take over")
    finally:
        of_java.kill()
    stop.set()
    for t in threads:
        t.join(DEADLINE_S)
    check(not errors, f"a member failed: {errors}")
    java_version = next(f for f in os.listdir(os.environ["JARS"]) if f.startswith("kafka-clients-"))[len("kafka-clients-"):-len(".jar")]
    ok("mixed-group", f"{java_version}, {confluent_kafka.libversion()[0]}, {kafka.__version__}")


main()

"""Consumers of one group with a client library of somebody else, for tests that look at what an application sees. It says on its
standard output what happens, one line each, until its standard input ends:

  assigned CONSUMER PARTITION...     (CONSUMER: its number within this process)
  revoked CONSUMER PARTITION...
  got PARTITION FIRST LAST STAMP     records with these offsets, all of them; the newest was made at STAMP, in ms

  group_client.py confluent|kafka-python|aiokafka BROKERS GROUP TOPIC [--count N] [--quiet]

Run with the interpreter that has the libraries. Everything is as the library has it by default but where the group would
otherwise have no assignor in common, and a session that outlives what the test does to agents.
"""
import argparse
import asyncio
import sys
import threading

SESSION_MS = 30000


class Voice:
    def __init__(self):
        self.ended = threading.Event()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        sys.stdin.read()
        self.ended.set()

    def say(self, *words):
        print(*words, flush=True)

    def got(self, partition, records):
        """records: (offset, stamp), in the order in which they came."""
        if records:
            first = last = records[0][0]
            stamp = max(s for _, s in records)
            for offset, _ in records[1:]:
                if offset != last + 1:
                    self.say("got", partition, first, last, stamp)
                    first = offset
                last = offset
            self.say("got", partition, first, last, stamp)


def confluent(voice, a):
    from confluent_kafka import Consumer, TopicPartition  # noqa: F401
    consumers = []
    for n in range(a.count):
        c = Consumer({"bootstrap.servers": a.brokers, "group.id": a.group, "auto.offset.reset": "earliest", "session.timeout.ms": SESSION_MS,
                      "partition.assignment.strategy": "range", "log_level": 0})
        c.subscribe([a.topic],
                    on_assign=lambda _, ps, n=n: voice.say("assigned", n, *(p.partition for p in ps)),
                    on_revoke=lambda _, ps, n=n: voice.say("revoked", n, *(p.partition for p in ps)),
                    on_lost=lambda _, ps, n=n: voice.say("revoked", n, *(p.partition for p in ps)))
        consumers.append(c)
    while not voice.ended.is_set():
        for c in consumers:
            found = {}
            for m in c.consume(500, timeout=0.1 if a.count == 1 else 0.002):
                if m.error() is None:
                    found.setdefault(m.partition(), []).append((m.offset(), m.timestamp()[1]))
            for partition, records in found.items():
                voice.got(partition, records)
    for c in consumers:
        c.close()


def kafka_python(voice, a):
    from kafka import ConsumerRebalanceListener, KafkaConsumer
    from kafka.coordinator.assignors.range import RangePartitionAssignor

    class Listener(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            voice.say("assigned", 0, *(p.partition for p in assigned))

        def on_partitions_revoked(self, revoked):
            if revoked:
                voice.say("revoked", 0, *(p.partition for p in revoked))

    c = KafkaConsumer(bootstrap_servers=a.brokers.split(","), group_id=a.group, auto_offset_reset="earliest", session_timeout_ms=SESSION_MS,
                      partition_assignment_strategy=[RangePartitionAssignor])
    c.subscribe([a.topic], listener=Listener())
    while not voice.ended.is_set():
        for where, records in c.poll(timeout_ms=100).items():
            voice.got(where.partition, [(r.offset, r.timestamp) for r in records])
    c.close()


def aiokafka(voice, a):
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_assigned(self, assigned):
            voice.say("assigned", 0, *(p.partition for p in assigned))

        async def on_partitions_revoked(self, revoked):
            if revoked:
                voice.say("revoked", 0, *(p.partition for p in revoked))

    async def consume():
        c = AIOKafkaConsumer(bootstrap_servers=a.brokers, group_id=a.group, auto_offset_reset="earliest", session_timeout_ms=SESSION_MS,
                             partition_assignment_strategy=[RangePartitionAssignor])
        c.subscribe([a.topic], listener=Listener())
        await c.start()
        while not voice.ended.is_set():
            for where, records in (await c.getmany(timeout_ms=100)).items():
                voice.got(where.partition, [(r.offset, r.timestamp) for r in records])
        await c.stop()

    asyncio.run(consume())


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("library", choices=["confluent", "kafka-python", "aiokafka"])
    for name in ("brokers", "group", "topic"):
        p.add_argument(name)
    p.add_argument("--count", type=int, default=1)
    arguments = p.parse_args()
    {"confluent": confluent, "kafka-python": kafka_python, "aiokafka": aiokafka}[arguments.library](Voice(), arguments)

"""aiokafka with its defaults, and idempotence."""

import asyncio

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contract import (BOOTSTRAP, DEADLINE_S, GROUP, KEYS, PARTITIONS, RECORDS, TOPIC, VALUES, check,
                      check_acknowledged, check_committed, check_consumed, check_group, feature, ok)


async def create_topic():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    answer = await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    check(all(error[1] == 0 for error in answer.topic_errors), f"create_topics: {answer.topic_errors}")
    await admin.close()
    feature("create topic")


async def produce():
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True)
    await producer.start()
    futures = [await producer.send(TOPIC, key=KEYS[i], value=VALUES[i]) for i in range(RECORDS)]
    acknowledged = [(m.partition, m.offset) for m in await asyncio.gather(*futures)]
    await producer.stop()
    return acknowledged


async def consume_and_commit(acknowledged, counts):
    partitions = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=GROUP, enable_auto_commit=False)
    consumer.assign(partitions)
    await consumer.start()
    await consumer.seek_to_beginning(*partitions)
    consumed = []
    while len(consumed) < RECORDS:
        message = await consumer.getone()
        consumed.append((message.partition, message.offset, message.key, message.value))
    check_consumed(acknowledged, consumed)
    ends = {tp.partition: end for tp, end in (await consumer.end_offsets(partitions)).items()}
    check(ends == counts, f"end offsets {ends} instead of {counts}")
    feature("offsets")
    await consumer.commit({TopicPartition(TOPIC, p): n for p, n in counts.items()})
    await consumer.stop()

    reader = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=GROUP, enable_auto_commit=False)
    reader.assign(partitions)
    await reader.start()
    check_committed(counts, {tp.partition: await reader.committed(tp) for tp in partitions})
    await reader.stop()


class Member:
    """Has an event loop of its own, which runs while it polls."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()

        async def start():
            consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP + "-members",
                                        auto_offset_reset="earliest", enable_auto_commit=False)
            await consumer.start()
            return consumer

        self.consumer = self.loop.run_until_complete(start())

    def poll(self):
        batches = self.loop.run_until_complete(self.consumer.getmany(timeout_ms=100))
        return [(m.partition, m.offset) for messages in batches.values() for m in messages]

    def assignment(self):
        return {tp.partition for tp in self.consumer.assignment()}

    def commit(self):
        self.loop.run_until_complete(self.consumer.commit())

    def close(self):
        self.loop.run_until_complete(self.consumer.stop())
        self.loop.close()


def produce_one():
    async def send():
        producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP)
        await producer.start()
        m = await producer.send_and_wait(TOPIC, value=b"later")
        await producer.stop()
        return (m.partition, m.offset)

    return asyncio.run(send())


async def main():
    await create_topic()
    acknowledged = await produce()
    counts = check_acknowledged(acknowledged)
    await consume_and_commit(acknowledged, counts)
    return acknowledged


check_group(Member, asyncio.run(asyncio.wait_for(main(), 2 * DEADLINE_S)), produce_one)
ok("aiokafka", aiokafka.__version__)

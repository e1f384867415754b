#!/usr/bin/env python3
"""Sends the same five records with each compression through a Python client to capture.py.

    produce_clients.py CLIENT PORT     CLIENT: confluent-kafka (librdkafka), kafka-python or aiokafka

The topic is the compression's name. The records are those of the table in golden_test.cc.
"""
import asyncio
import sys

client, port = sys.argv[1], sys.argv[2]
start = 1700000000000
long_value = b"yaks carry " * 400
records = [  # key, value, timestamp, headers
    (b"key-0", b"value-0", start, []),
    (None, b"no key", start + 5, []),
    (b"headers", b"value-2", start + 3, [("first", b"1"), ("empty", b""), ("f\u00fcnf", b"\x00\xff")]),
    (b"tombstone", None, start + 9, []),
    (b"long", long_value, start + 9, []),
]
servers = f"127.0.0.1:{port}"
codecs = ["none", "gzip", "snappy", "lz4", "zstd"]


def confluent():
    import confluent_kafka
    for codec in codecs:
        producer = confluent_kafka.Producer({
            "bootstrap.servers": servers, "compression.type": codec, "linger.ms": 300, "enable.idempotence": True})
        for key, value, timestamp, headers in records:
            producer.produce(codec, key=key, value=value, timestamp=timestamp, headers=headers, partition=0)
        assert producer.flush(10) == 0


def kafka_python():
    import kafka
    for codec in codecs:
        producer = kafka.KafkaProducer(
            bootstrap_servers=servers, compression_type=None if codec == "none" else codec, linger_ms=300)
        for key, value, timestamp, headers in records:
            producer.send(codec, key=key, value=value, timestamp_ms=timestamp, headers=headers, partition=0)
        producer.flush(10)
        producer.close(5)


async def aio():
    import aiokafka
    for codec in codecs:
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=servers, compression_type=None if codec == "none" else codec, linger_ms=300)
        await producer.start()
        sent = [await producer.send(codec, key=key, value=value, timestamp_ms=timestamp, headers=headers, partition=0)
                for key, value, timestamp, headers in records]
        await asyncio.gather(*sent)
        await producer.stop()


if client == "aiokafka":
    asyncio.run(aio())
else:
    {"confluent-kafka": confluent, "kafka-python": kafka_python}[client]()

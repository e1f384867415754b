"""A Kafka client that stays where it is sent: one connection to one agent, one request at a time, and no idea of leaders. For
tests of what a certain agent answers, which no real client lets one choose. Old versions, whose layout is simple.
"""
import socket
import struct
import time

PRODUCE, FETCH, LIST_OFFSETS, METADATA, CREATE_TOPICS, DELETE_TOPICS = 0, 1, 2, 3, 19, 20
LATEST = -1


def _crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def batch(value):
    """A record batch (format v2) of one record without a key."""
    assert len(value) < 50  # so that lengths are one byte of varint
    body = b"\0\0\0\x01" + bytes([2 * len(value)]) + value + b"\0"
    record = bytes([2 * len(body)]) + body
    now = int(time.time() * 1000)
    rest = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + record
    return struct.pack(">qiibI", 0, 4 + 1 + 4 + len(rest), -1, 2, crc32c(rest)) + rest


def values(records):
    """The values of batches of one record each, as `batch` makes them."""
    found, at = [], 0
    while at + 12 <= len(records):
        length = struct.unpack_from(">i", records, at + 8)[0]
        size = records[at + 61 + 5] // 2
        found.append(records[at + 67:at + 67 + size])
        at += 12 + length
    return found


def text(words):
    return struct.pack(">h", len(words)) + words.encode()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, kind):
        found = struct.unpack_from(">" + kind, self.data, self.at)[0]
        self.at += struct.calcsize(">" + kind)
        return found

    def bytes(self, length):
        self.at += max(length, 0)
        return self.data[self.at - max(length, 0):self.at]

    def text(self):
        return self.bytes(self.take("h")).decode()

    def array(self, element):
        return [element() for _ in range(self.take("i"))]


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = 0

    def call(self, api, version, body):
        self.number += 1
        request = struct.pack(">hhi", api, version, self.number) + text("kafka_client") + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", self._receive(4))[0]
        reader = Reader(self._receive(size))
        assert reader.take("i") == self.number
        return reader

    def _receive(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the agent closed the connection")
            data += piece
        return data

    # Each answers for partition 0, or the one that is named. An error is an AssertionError with its code.

    def create_topic(self, name, partitions=1):
        r = self.call(CREATE_TOPICS, 2, struct.pack(">i", 1) + text(name) + struct.pack(">ihiiib", partitions, 1, 0, 0, 10000, 0))
        r.take("i")
        (error,) = r.array(lambda: (r.text(), r.take("h"), r.text())[1])
        assert error == 0, f"CreateTopics of {name}: error {error}"

    def delete_topic(self, name):
        """The error code."""
        r = self.call(DELETE_TOPICS, 1, struct.pack(">i", 1) + text(name) + struct.pack(">i", 10000))
        r.take("i")
        (error,) = r.array(lambda: (r.text(), r.take("h"))[1])
        return error

    def produce(self, topic, value, partition=0):
        """The offset."""
        records = batch(value)
        body = struct.pack(">hhi", -1, -1, 30000) + struct.pack(">i", 1) + text(topic)
        r = self.call(PRODUCE, 3, body + struct.pack(">iii", 1, partition, len(records)) + records)
        r.take("i"), r.text(), r.take("i"), r.take("i")
        error, offset = r.take("h"), r.take("q")
        assert error == 0, f"Produce to {topic}: error {error}"
        return offset

    def produce_to_all(self, topics, partitions, value=b"x"):
        """A record to each partition of each topic, in one request; returns when all of them are stored."""
        records = batch(value)
        body = struct.pack(">hhi", -1, -1, 60000) + struct.pack(">i", len(topics))
        for topic in topics:
            body += text(topic) + struct.pack(">i", partitions[topic])
            body += b"".join(struct.pack(">ii", i, len(records)) + records for i in range(partitions[topic]))
        r = self.call(PRODUCE, 3, body)
        answers = r.array(lambda: (r.text(), r.array(lambda: (r.take("i"), r.take("h"), r.take("q"), r.take("q"))[1])))
        wrong = [(topic, error) for topic, errors in answers for error in errors if error]
        assert not wrong, f"Produce: errors {wrong[:5]}"

    def latest(self, topic, partition=0):
        body = struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition, LATEST)
        r = self.call(LIST_OFFSETS, 1, body)
        r.take("i"), r.text(), r.take("i"), r.take("i")
        error, _, offset = r.take("h"), r.take("q"), r.take("q")
        assert error == 0, f"ListOffsets of {topic}: error {error}"
        return offset

    def fetch(self, topic, offset, partition=0):
        """What is there now, without waiting: (high watermark, values)."""
        body = struct.pack(">iiiibi", -1, 0, 0, 1 << 20, 0, 1) + text(topic) + struct.pack(">iiqi", 1, partition, offset, 1 << 20)
        r = self.call(FETCH, 4, body)
        r.take("i"), r.take("i"), r.text(), r.take("i"), r.take("i")
        error, high_watermark, _ = r.take("h"), r.take("q"), r.take("q")
        assert error == 0, f"Fetch of {topic} at {offset}: error {error}"
        r.array(lambda: (r.take("q"), r.take("q")))
        return high_watermark, values(r.bytes(r.take("i")))

    def metadata_of_all(self):
        """The bytes of the answer."""
        return len(self.call(METADATA, 4, struct.pack(">i", -1) + b"\0").data)

    def metadata(self, topic):
        """(brokers as (id, host, port), partitions of the topic); nothing is created."""
        r = self.call(METADATA, 4, struct.pack(">i", 1) + text(topic) + b"\0")
        r.take("i")
        brokers = r.array(lambda: (r.take("i"), r.text(), r.take("i"), r.text())[:3])
        r.text(), r.take("i"), r.take("i")
        error, _, _ = r.take("h"), r.text(), r.take("b")
        assert error == 0, f"Metadata of {topic}: error {error}"
        return brokers, r.take("i")

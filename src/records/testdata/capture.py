#!/usr/bin/env python3
"""A broker that is just good enough to be produced to once: writes each produced record set to a file as it came.

    capture.py DIR NAME PORT     listens on 127.0.0.1:PORT until killed; the n-th set of topic T goes to DIR/NAME-T-n.bin

It offers old, inflexible versions only, so that every client can be spoken to in a few lines. How the files beside it were
made with it is in README.md.
"""
import socketserver
import struct
import sys

directory, name, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
versions = {0: (0, 7), 1: (0, 10), 2: (0, 1), 3: (0, 4), 10: (0, 1), 18: (0, 2), 22: (0, 1)}
counts = {}


class reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from(">" + form, self.data, self.at)[0]
        self.at += struct.calcsize(">" + form)
        return value

    def bytes(self, size):
        self.at += max(size, 0)
        return self.data[self.at - max(size, 0):self.at]

    def string(self):
        return self.bytes(self.take("h")).decode()


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def api_versions(version, _):
    body = struct.pack(">hi", 0 if version <= 2 else 35, len(versions))
    body += b"".join(struct.pack(">hhh", key, *span) for key, span in sorted(versions.items()))
    return body + (struct.pack(">i", 0) if 1 <= version <= 2 else b"")


def metadata(version, request):
    count = request.take("i")
    topics = [request.string() for _ in range(count)] if count >= 0 else ["none", "gzip", "snappy", "lz4", "zstd"]
    body = struct.pack(">i", 0) if version >= 3 else b""
    body += struct.pack(">ii", 1, 0) + text("127.0.0.1") + struct.pack(">i", port)
    body += struct.pack(">h", -1) if version >= 1 else b""  # rack
    body += text("capture") if version >= 2 else b""
    body += struct.pack(">i", 0) if version >= 1 else b""  # controller
    body += struct.pack(">i", len(topics))
    for topic in topics:
        body += struct.pack(">h", 0) + text(topic) + (b"\0" if version >= 1 else b"")
        body += struct.pack(">ihiiiiii", 1, 0, 0, 0, 1, 0, 1, 0)
    return body


def produce(version, request):
    if version >= 3:
        request.bytes(request.take("h"))  # transactional id
    request.take("h"), request.take("i")
    body = struct.pack(">i", count := request.take("i"))
    for _ in range(count):
        topic = request.string()
        body += text(topic) + struct.pack(">i", partitions := request.take("i"))
        for _ in range(partitions):
            partition, records = request.take("i"), request.bytes(request.take("i"))
            counts[topic] = counts.get(topic, 0) + 1
            with open(f"{directory}/{name}-{topic}-{counts[topic]}.bin", "wb") as file:
                file.write(records)
            body += struct.pack(">ihq", partition, 0, 0)
            body += struct.pack(">q", -1) if version >= 2 else b""
            body += struct.pack(">q", 0) if version >= 5 else b""
    return body + (struct.pack(">i", 0) if version >= 1 else b"")


def init_producer_id(version, request):
    return struct.pack(">ihqh", 0, 0, 4711, 3)


answers = {0: produce, 3: metadata, 18: api_versions, 22: init_producer_id}


class connection(socketserver.StreamRequestHandler):
    def handle(self):
        while len(head := self.rfile.read(4)) == 4:
            request = reader(self.rfile.read(struct.unpack(">i", head)[0]))
            key, version, correlation = request.take("h"), request.take("h"), request.take("i")
            request.bytes(request.take("h"))  # client id
            body = struct.pack(">i", correlation) + answers[key](version, request)
            self.wfile.write(struct.pack(">i", len(body)) + body)


class server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


server(("127.0.0.1", port), connection).serve_forever()

"""Kafka Connect in distributed mode: a file goes through a topic into another file, and on after a restart of the worker.

Its three internal topics are compacted; the worker is a member of a group of its own protocol, the sink a consumer of another.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

BOOTSTRAP, TOPIC, JARS = os.environ["BOOTSTRAP"], os.environ["TOPIC"], os.environ["JARS"]
DEADLINE_S = 40
LINES = 200


def check(holds, sentence):
    if not holds:
        sys.exit(f"FAILED: {sentence}")


def feature(name):
    print(f"feature: {name}", flush=True)


class Worker:
    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.settings = os.path.join(folder, "worker.properties")
        with open(self.settings, "w") as file:
            for name, value in {
                "bootstrap.servers": BOOTSTRAP, "group.id": f"{TOPIC}-connect", "listeners": f"http://127.0.0.1:{self.port}",
                "config.storage.topic": f"{TOPIC}-configs", "offset.storage.topic": f"{TOPIC}-offsets", "status.storage.topic": f"{TOPIC}-status",
                "offset.storage.partitions": 3, "status.storage.partitions": 2, "offset.flush.interval.ms": 500,
                "key.converter": "org.apache.kafka.connect.storage.StringConverter",
                "value.converter": "org.apache.kafka.connect.storage.StringConverter",
                # With its default, -1, it asks for the server's.
                "config.storage.replication.factor": -1, "offset.storage.replication.factor": -1, "status.storage.replication.factor": -1,
            }.items():
                print(f"{name}={value}", file=file)
        self.process = None

    def start(self):
        self.log = open(os.path.join(self.folder, "worker.log"), "ab")
        self.process = subprocess.Popen(
            ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx512m", "-cp", JARS + "/*",
             "-Dlog4j2.configurationFile=" + os.environ["LOG_SETTINGS"], "org.apache.kafka.connect.cli.ConnectDistributed", self.settings],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.until("the worker serves", lambda: self.ask("/connectors") is not None)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)  # writes what its threads wait for
            time.sleep(2)
            self.process.kill()
            self.fail(f"the worker ends: not within {DEADLINE_S} s")

    def fail(self, why):
        with open(os.path.join(self.folder, "worker.log")) as log:
            print(log.read()[-20_000:])
        sys.exit(f"FAILED: {why}")

    def ask(self, path, body=None, method=None):
        """None where there is no answer yet, or one that says to try again."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read() or b"true")
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            check(error.code in (404, 409, 500, 503), f"{path}: {error.code} {text}")
            return None
        except OSError:
            return None

    def until(self, what, truth):
        deadline = time.monotonic() + DEADLINE_S
        while not truth():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.fail(f"{what}: not within {DEADLINE_S} s")
            time.sleep(0.1)

    def create(self, name, settings):
        self.until(f"{name} is made", lambda: self.ask("/connectors", {"name": name, "config": {"name": name, **settings}}))
        self.until_running(name)

    def until_running(self, name):
        def runs():
            status = self.ask(f"/connectors/{name}/status")
            return status and [t["state"] for t in status["tasks"]] == ["RUNNING"] and status["connector"]["state"] == "RUNNING"

        self.until(f"{name} runs", runs)


def main():
    with tempfile.TemporaryDirectory() as folder:
        source, sink = os.path.join(folder, "source"), os.path.join(folder, "sink")
        written = []

        def append(count):
            with open(source, "a") as file:
                for i in range(len(written), len(written) + count):
                    written.append(f"line {i}")
                    print(written[-1], file=file)

        def sunk():
            if not os.path.exists(sink):
                return []
            with open(sink) as file:
                return file.read().splitlines()

        append(LINES)
        worker = Worker(folder)
        worker.start()
        try:
            version = worker.ask("/")["version"]
            worker.create("source", {"connector.class": "FileStreamSource", "file": source, "topic": TOPIC, "tasks.max": 1,
                                     "topic.creation.default.partitions": 1, "topic.creation.default.replication.factor": -1})
            worker.create("sink", {"connector.class": "FileStreamSink", "file": sink, "topics": TOPIC, "tasks.max": 1})
            worker.until("the file goes through the topic", lambda: sunk() == written)
            feature("distributed mode, file source to file sink")
            time.sleep(1)  # two flushes of offsets
            worker.stop()

            append(LINES)
            worker.start()
            for name in ("source", "sink"):
                worker.until_running(name)
            worker.until("who is started again goes on", lambda: len(sunk()) >= 2 * LINES)
            check(sunk() == written, "lines were repeated or left out after the restart")
            feature("restart resumes connectors and offsets from compacted topics")
            offsets = worker.ask("/connectors/sink/offsets")["offsets"]
            worker.until("the sink commits", lambda: worker.ask("/connectors/sink/offsets")["offsets"][0]["offset"]["kafka_offset"] == 2 * LINES)
            check(offsets[0]["partition"]["kafka_topic"] == TOPIC, f"offsets of the sink: {offsets}")
            for name in ("source", "sink"):
                worker.until(f"{name} is deleted", lambda n=name: worker.ask(f"/connectors/{n}", method="DELETE"))
            feature("offsets and deletion by its REST interface")
        finally:
            if worker.process.poll() is None:
                worker.stop()
        print(f"client=connect version={version} ok")


main()

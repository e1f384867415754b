#!/usr/bin/python3
"""Goal: the members of a group, whatever client they use, do not notice more of an agent that is killed than a new connection: none
of them causes a rebalance, each partition is read again soon, and everything that was acknowledged is consumed. And a large group
at rest costs next to nothing. Method: three agents on one PostgreSQL and one bucket; twelve consumers, each a process of its own
with librdkafka, kafka-python, aiokafka or the Java client (where compat/run has installed that); agents are killed -9 in turn and
started again, while a producer writes to all partitions. How long it takes is from the kill until the last of the partitions has
given its consumer a record that was written after the kill: what the producer needs is in it.

  96_group_kills.py [--kills N] [--interval SECONDS] [--down SECONDS]     in short form 2 kills, 6 s apart
  96_group_kills.py --long                                                10 kills, 20 s apart
"""
import argparse
import os
import shlex
import statistics
import subprocess
import threading
import time

import lib
from kafka_client import Client

PARTITIONS = 24
TOPIC = "grouped"
HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.environ.get("YAKS_TOOLS_DIR", os.path.expanduser("~/.cache/yaks-tools"))
PYTHON = f"{TOOLS}/compat-python/bin/python"


def install_clients():
    """Those of compat/: once on a machine."""
    requirements = f"{lib.ROOT}/compat/python/requirements.txt"
    script = ("set -euo pipefail; . ./common.sh; . ./packages.sh; "
              f'once compat-python "$(checksum_of {shlex.quote(requirements)})" make_venv "$YAKS_TOOLS/compat-python" -r {shlex.quote(requirements)}')
    subprocess.run(["bash", "-c", script], check=True, stdin=subprocess.DEVNULL, cwd=f"{lib.ROOT}/scripts/lib")


class Process(threading.Thread):
    """A client's process; what it says goes to the ledger."""

    def __init__(self, ledger, name, *command):
        super().__init__(daemon=True)
        self.ledger, self.name_ = ledger, name
        with open(os.path.join(lib.work_dir(), f"{name}.log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
                                            cwd=lib.work_dir())
        lib._processes.append(self)
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.ledger.hear(self.name_, line.split())

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def finish(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            lib.fail(f"{self.name_} does not end")


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.owned = {}     # consumer: partitions
        self.changes = []   # of assignments: (when, line)
        self.spans = {}     # partition: [(first, last)]
        self.heard = {}     # partition: [(when, stamp of the newest record)]

    def hear(self, who, words):
        now = time.time()
        with self.lock:
            if words[0] == "got":
                partition, first, last, stamp = map(int, words[1:])
                self.spans.setdefault(partition, []).append((first, last))
                self.heard.setdefault(partition, []).append((now, stamp / 1000))
                return
            consumer = f"{who}.{words[1]}"
            partitions = {int(p) for p in words[2:]}
            known = self.owned.setdefault(consumer, set())
            self.owned[consumer] = known | partitions if words[0] == "assigned" else known - partitions
            self.changes.append((now, f"{consumer}: {' '.join(words)}"))

    def is_whole(self, consumers, partitions):
        with self.lock:
            all_owned = [p for owned in self.owned.values() for p in owned]
        return len(self.owned) == consumers and sorted(all_owned) == list(range(partitions))

    def read_since(self, moment):
        """When the last partition gave a record that was made after that moment; None: not yet."""
        with self.lock:
            firsts = [next((when for when, stamp in self.heard.get(p, []) if stamp > moment), None) for p in range(PARTITIONS)]
        return None if None in firsts else max(firsts)

    def reads_by_client(self, moment, written):
        """For each client library: how long after that moment the last of its partitions was written to, and read, again."""
        times = {}
        with self.lock:
            owner = {p: consumer.split(".")[0].rsplit("-", 1)[0] for consumer, owned in self.owned.items() for p in owned}
            for p in range(PARTITIONS):
                read = next((when for when, stamp in self.heard.get(p, []) if stamp > moment), None)
                if read is not None:
                    known = times.setdefault(owner.get(p, "nobody"), [0, 0])
                    known[0], known[1] = max(known[0], written(p, moment) - moment), max(known[1], read - moment)
        return ", ".join(f"{client} {w:.1f} {r:.1f}" for client, (w, r) in sorted(times.items()))

    def missing(self, acknowledged):
        with self.lock:
            return [(p, o) for p, offsets in acknowledged.items()
                    for o in offsets - {o for first, last in self.spans.get(p, []) for o in range(first, last + 1)}]


PRODUCER = """
import sys, threading, time
from confluent_kafka import Producer
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
def done(error, m):
    if error is None: print("stored", m.partition(), m.offset(), m.timestamp()[1], flush=False)
p = Producer({"bootstrap.servers": sys.argv[1], "enable.idempotence": True, "linger.ms": 5, "log_level": 0})
n = 0
while not ended.is_set():
    for partition in range(int(sys.argv[3])):
        p.produce(sys.argv[2], str(n), partition=partition, on_delivery=done, timestamp=int(time.time() * 1000))
    n += 1
    p.poll(0.1)
    sys.stdout.flush()
p.flush(60)
"""


class Stored:
    """What the producer has been acknowledged, in the form of a ledger."""

    def __init__(self):
        self.offsets = {}
        self.heard = {}

    def hear(self, _, words):
        partition, offset, stamp = map(int, words[1:])
        self.offsets.setdefault(partition, set()).add(offset)
        self.heard.setdefault(partition, []).append((time.time(), stamp / 1000))

    def written_since(self, moment):
        """When the last partition took a record that was made after that moment."""
        return max(self.written(p, moment) for p in range(PARTITIONS))

    def written(self, p, moment):
        return next((when for when, stamp in self.heard.get(p, []) if stamp > moment), moment)


def consumers(ledger, brokers):
    def python(library, n):
        return Process(ledger, f"{library}-{n}", PYTHON, f"{HERE}/group_client.py", library, brokers, "g", TOPIC)

    java = os.path.isdir(f"{TOOLS}/compat-java-jars") and subprocess.run(["java", "-version"], capture_output=True).returncode == 0
    everybody = [python("confluent", n) for n in range(4)]
    everybody += [python("kafka-python", n) for n in range(3)] + [python("aiokafka", n) for n in range(3)]
    if java:
        flags = ["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx128m", f"-Dlog4j2.configurationFile={lib.ROOT}/compat/java/log4j2.properties"]
        everybody += [Process(ledger, f"java-{n}", "java", *flags, "-cp", f"{TOOLS}/compat-java-jars/*", f"{HERE}/GroupClient.java", brokers, "g", TOPIC)
                      for n in range(2)]
    else:
        everybody += [python("confluent", n) for n in range(4, 6)]
    lib.say(f"12 consumers: 4 with librdkafka, 3 with kafka-python, 3 with aiokafka, 2 with {'the Java client' if java else 'librdkafka'}")
    return everybody


def named_until(agents, victim, latest):
    """Until when another agent sends clients to the one that was killed."""
    client = Client(next(agent.port for agent in agents if agent is not victim))
    while time.time() < latest and any(port == victim.port for _, _, port in client.metadata(TOPIC)[0]):
        time.sleep(0.02)
    return time.time()


def kill_agents(agents, a):
    brokers = ",".join(agent.brokers for agent in agents)
    ledger, stored = Ledger(), Stored()
    producer = Process(stored, "producer", PYTHON, "-c", PRODUCER, brokers, TOPIC, str(PARTITIONS))
    everybody = consumers(ledger, brokers)
    began = time.time()
    lib.wait_until("twelve consumers share the partitions", 60, lambda: ledger.is_whole(12, PARTITIONS))
    lib.wait_until("all partitions are read", 30, lambda: ledger.read_since(began))
    time.sleep(6)  # whoever came last has caused its rebalance by now
    lib.wait_until("twelve consumers share the partitions still", 30, lambda: ledger.is_whole(12, PARTITIONS))
    settled = len(ledger.changes)
    times = []
    for n in range(a.kills):
        victim = agents[n % len(agents)]
        victim.kill()
        killed = time.time()
        back = threading.Timer(a.down, victim.launch)
        back.start()
        named = named_until(agents, victim, killed + a.down)
        until = lib.wait_until("every partition is read again", 90, lambda: ledger.read_since(killed))
        times.append(until - killed)
        lib.say(f"      kill {n + 1}: clients are sent to it for {named - killed:.1f} s more; every partition is written to again after "
                f"{stored.written_since(killed) - killed:.1f} s and read after {times[-1]:.1f} s (written and read by client: "
                f"{ledger.reads_by_client(killed, stored.written)})")
        back.join()
        time.sleep(max(0, killed + a.interval - time.time()))
        lib.wait_until("the killed agent serves again", 30, victim.is_ready)
    lib.check(max(times) <= 60, f"{len(times)} kills: every partition is read again after {statistics.median(times):.1f} s (median), {max(times):.1f} s (most)")
    moved = ledger.changes[settled:]
    lib.check(not moved, f"no consumer's partitions changed while {a.kills} agents were killed: {[line for _, line in moved[:5]]}")
    producer.finish()
    producer.join()
    acknowledged = sum(map(len, stored.offsets.values()))
    lib.wait_until("everything is consumed", 30, lambda: not ledger.missing(stored.offsets))
    lib.check(acknowledged > 100 * PARTITIONS / 10, f"each of {acknowledged} acknowledged records was consumed")
    for one in everybody:
        one.finish()
    return times


def rest(agents, count, seconds):
    brokers = ",".join(agent.brokers for agent in agents)
    ledger = Ledger()
    crowd = Process(ledger, "crowd", PYTHON, f"{HERE}/group_client.py", "confluent", brokers, "crowd", "crowded", "--count", str(count))
    lib.wait_until(f"{count} consumers share the partitions", 90, lambda: ledger.is_whole(count, count))
    time.sleep(6)  # they commit, and find out where to heartbeat

    def appends():
        return sum(lib.total(agent.metrics(), "yaks_log_append_commands_count") for agent in agents)

    before = appends()
    time.sleep(seconds)
    rate = (appends() - before) / seconds
    lib.check(rate <= 1, f"{count} consumers of one group at rest cost {rate:.2f} appends per second, on all agents together")
    crowd.kill()


def test():
    p = argparse.ArgumentParser()
    p.add_argument("--long", action="store_true")
    p.add_argument("--kills", type=int)
    p.add_argument("--interval", type=float)
    p.add_argument("--down", type=float, default=2, help="how long an agent that was killed is away (2)")
    p.add_argument("--lease-ms", type=int, default=3000, help="YAKS_GROUPCACHE_LEASE_TTL_MS (3000)")
    a = p.parse_args()
    a.kills = a.kills or (10 if a.long else 2)
    a.interval = a.interval or (20 if a.long else 6)
    install_clients()
    storage = lib.storage_settings("postgres+s3")
    agents = [lib.Agent("postgres+s3", storage=storage, node_id=i, groupcache_lease_ttl_ms=a.lease_ms, groupcache_heartbeat_ms=a.lease_ms // 3)
              for i in range(3)]
    for agent in agents:
        agent.start()
    client = Client(agents[0].port)
    client.create_topic(TOPIC, PARTITIONS)
    client.create_topic("crowded", 100)
    kill_agents(agents, a)
    rest(agents, 100, 30 if a.long else 8)
    for agent in agents:
        agent.stop()


lib.main(test)

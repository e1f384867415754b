#!/usr/bin/python3
"""Goal: what is kept no longer leaves the bucket and the database while producers and consumers go on, a deleted topic leaves both
altogether, and nothing that is still kept goes.
Method: on each kind of storage a topic that keeps a few MiB per partition is filled with many times as much (--mib, 192 by default)
while the stored bytes are measured all the time; the newest records are read back, a reader at the old start is sent on. Then an
agent is killed, the topic is deleted, and `yaks storage` has to show an empty bucket, but for an object that another topic shares until that
one is gone, too.

  75_retention.py --long [--minutes M]     for half an hour: 4 GiB into four topics that keep 256 MiB each, while a consumer reads each of them

The long form, on PostgreSQL and S3, looks every minute: the bucket holds what is kept and what the steps in between take, and from the tenth
minute on PostgreSQL is at most a tenth larger than it was then. Snapshots are made so often that the log is as long in the tenth minute
as it will ever be. With --minutes all of it is shorter in proportion: bytes, what is kept, and the time between looks.
"""
import argparse
import json
import os
import subprocess
import threading
import time

import kafka_client
import lib

PARTITIONS = 4
KEPT = 4 << 20           # per partition
GRACE_S = 2
TOPIC = "kept"
# Beyond what is kept: what is produced in an interval of retention (1 s), a grace, a heartbeat and a round of deletes, twice over.
SLACK_S = 8


def storage(agent, *arguments):
    """`yaks storage` on PostgreSQL and S3; embedded, where the running agent has the lock, the folder is measured."""
    got = subprocess.run([lib.program("yaks"), "storage", "--json", "--list", *arguments], cwd=lib.work_dir(), text=True,
                         env={**lib.clean_environment(), **agent.settings}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if got.returncode != 0:
        lib.fail("`yaks storage` failed")
    return json.loads(got.stdout)


def stored_bytes(agent):
    if agent.store == "embedded":
        data = os.path.join(agent.settings["YAKS_DATA_DIR"], "objects", "data")
        total = 0
        for folder, _, files in os.walk(data):
            for name in files:
                try:
                    total += os.path.getsize(os.path.join(folder, name))
                except FileNotFoundError:
                    pass  # deleted meanwhile
        return total
    return sum(size["bytes"] for size in storage(agent)["sizes"])


def kcat(agent, *arguments, **more):
    return subprocess.run(["kcat", "-b", agent.brokers, "-t", TOPIC, *arguments], timeout=120, check=True, **more)


def fill(agent, mib):
    """Produces, and returns the largest number of stored bytes that was seen, and the rate."""
    record = b"x" * 9_999 + b"\n"
    most, start = 0, time.monotonic()
    for _ in range(mib // 8):
        kcat(agent, "-P", "-X", "partitioner=random", "-X", "sticky.partitioning.linger.ms=0", input=record * (8 * 105))
        most = max(most, stored_bytes(agent))
        time.sleep(0.8)  # slower than deleting, or nothing would be shown
    return most, mib * (1 << 20) / (time.monotonic() - start)


def shows(store, mib):
    agent = lib.Agent(store, default_retention_bytes=KEPT, default_partitions=PARTITIONS, retention_interval_ms=1000,
                      delete_grace_ms=GRACE_S * 1000, groupcache_heartbeat_ms=500, groupcache_lease_ttl_ms=2000).start()
    most, rate = fill(agent, mib)
    bound = PARTITIONS * KEPT + SLACK_S * rate + (16 << 20)
    lib.check(most <= bound, f"{store}: of {mib} MiB that were produced at {rate / 2**20:.1f} MiB/s, {most / 2**20:.0f} MiB were stored "
              f"at most; {bound / 2**20:.0f} are allowed")

    def at_rest():
        return stored_bytes(agent) <= PARTITIONS * (KEPT + (9 << 20))
    lib.wait_until(f"{store}: what is kept is all that is stored", 60, at_rest)
    # What is kept is readable, from where it begins on; a reader at the beginning of time is sent there.
    got = kcat(agent, "-C", "-o", "0", "-X", "auto.offset.reset=earliest", "-e", "-q", stdout=subprocess.PIPE).stdout
    lib.check(len(got) >= PARTITIONS * KEPT * 0.9, f"{store}: {len(got) / 2**20:.1f} MiB are read back from offset 0 on")
    lib.check(set(got) <= {ord("x"), ord("\n")}, f"{store}: and they are what was written")

    agent.kill()
    agent.start()
    client = kafka_client.Client(agent.port)
    client.create_topic("other")
    client.produce_to_all([TOPIC, "other"], {TOPIC: PARTITIONS, "other": 1})  # in one request: in one object
    lib.check(client.delete_topic(TOPIC) == 0, f"{store}: the topic is deleted by an agent that was killed and is back")
    if store != "embedded":
        lib.wait_until(f"{store}: the object that it shares with another topic is all that is left", 60 + GRACE_S,
                       lambda: sum(size["objects"] for size in storage(agent)["sizes"]) == 1)
        live = storage(agent)["live"]
        lib.check(live["objects"] == 1 and 0 < live["gone_bytes"] < live["bytes"], f"{store}: and what it held of the deleted one is shown: {live}")
    lib.check(client.delete_topic("other") == 0, f"{store}: the other topic is deleted, too")
    lib.wait_until(f"{store}: a deleted topic leaves nothing in the bucket", 60 + GRACE_S, lambda: stored_bytes(agent) == 0)
    if store != "embedded":
        rows = agent.sql("select (select count(*) from yaks.range_chunks), (select count(*) from yaks.objects)")
        lib.check([int(n) for n in rows[0]] == [0, 0], f"{store}: nor in the index")
    agent.stop()
    report = storage(agent)
    lib.check(report["topics"] == [] and report["live"]["objects"] == 0, f"{store}: `yaks storage` says so too")


class Written(threading.Thread):
    """A topic with a producer of a steady rate and a consumer at its end that must miss nothing."""
    RECORD = b"x" * 9_999 + b"\n"

    def __init__(self, agent, name, bytes_per_second, seconds):
        super().__init__(daemon=True)
        self.name, self.rate, self.seconds = name, bytes_per_second / len(self.RECORD), seconds
        self.records, self.next, self.problem = 0, 0, None
        self.producer = subprocess.Popen(["kcat", "-b", agent.brokers, "-t", name, "-P", "-p", "0"], stdin=subprocess.PIPE)
        self.consumer = subprocess.Popen(["kcat", "-b", agent.brokers, "-t", name, "-C", "-p", "0", "-o", "beginning", "-u", "-q", "-f", "%o %S\n"],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read, daemon=True)

    def run(self):
        self.reader.start()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < self.seconds:
            due = int(passed * self.rate) - self.records
            self.producer.stdin.write(self.RECORD * due)
            self.producer.stdin.flush()
            self.records += due
            time.sleep(0.1)
        self.producer.stdin.close()
        if self.producer.wait() != 0:
            self.problem = "the producer failed"

    def read(self):
        for line in self.consumer.stdout:
            offset, size = map(int, line.split())
            if (offset, size) != (self.next, len(self.RECORD) - 1):
                self.problem = self.problem or f"a record of {size} bytes at {offset} follows {self.next - 1}"
            self.next = offset + 1

    def end(self):
        for process in (self.producer, self.consumer):
            process.kill()
            process.wait()


def shows_for_long(minutes):
    part = minutes / 30
    kept, total, topics, seconds = int((256 << 20) * part), int((4 << 30) * part), 4, minutes * 60
    merged = int((32 << 20) * part)  # half of what is usual: an object goes as a whole, when the last of it is too old
    rate = total / seconds
    agent = lib.Agent("postgres+s3", retention_interval_ms=1000, delete_grace_ms=GRACE_S * 1000, groupcache_heartbeat_ms=500,
                      groupcache_lease_ttl_ms=2000, snapshot_entries=max(100, int(1000 * part)), log_stale_ms=int(60_000 * part),
                      merge_bytes_per_second=32 << 20, merge_object_bytes=merged, merge_interval_ms=max(100, int(60_000 * part))).start()
    # The oldest merged object of each topic, the one that is being made, and what it is made of, which waits for the grace.
    bound = topics * (kept + merged + (9 << 20)) + 2 * merged + SLACK_S * rate + (16 << 20)
    written, looks, began = [], [], time.monotonic()
    try:
        for i in range(topics):
            subprocess.run([lib.program("yaks"), "topics", "create", f"kept-{i}", "--config", f"retention.bytes={kept}"], check=True,
                           env={**lib.clean_environment(), "YAKS_BROKERS": agent.brokers}, cwd=lib.work_dir(), stdin=subprocess.DEVNULL)
            written.append(Written(agent, f"kept-{i}", rate / topics, seconds))
        for w in written:
            w.start()
        for minute in range(1, 31):
            time.sleep(max(0, began + minute * seconds / 30 - time.monotonic()))
            stored, produced = stored_bytes(agent), sum(w.records for w in written) * len(Written.RECORD)
            rows = agent.sql("select pg_database_size(current_database()), (select count(*) from yaks.entries), (select count(*) from yaks.objects), "
                             "(select count(*) from yaks.objects where merged), (select count(*) from yaks.range_chunks)")[0]
            database, entries, objects, of_others, chunks = map(int, rows)
            looks.append((stored, database))
            lib.say(f"      {minute:2} of 30: {produced / 2**20:6.0f} MiB produced, {stored / 2**20:6.0f} MiB stored, PostgreSQL {database / 2**20:.2f} MiB "
                    f"({entries} entries, {objects} objects, {of_others} of them merged, {chunks} chunks)")
            for w in written:
                if w.problem:
                    lib.fail(f"{w.name}: {w.problem}")
            if stored > bound:
                lib.fail(f"{stored / 2**20:.0f} MiB are stored, {bound / 2**20:.0f} are allowed")
        for w in written:
            w.join(60)
        lib.wait_until("consumers have read all that was produced", 60, lambda: all(w.next == w.records for w in written))
        lib.check(not any(w.problem for w in written), f"{sum(w.records for w in written)} records, none missing or out of order")
    finally:
        for w in written:
            w.end()
    lib.check(max(stored for stored, _ in looks) <= bound, f"of {total / 2**20:.0f} MiB at {rate / 2**20:.2f} MiB/s, at most {max(s for s, _ in looks) / 2**20:.0f} "
              f"MiB were stored at any of 30 looks; {bound / 2**20:.0f} are allowed, {topics * kept / 2**20:.0f} are kept")
    tenth, largest = looks[9][1], max(database for _, database in looks[9:])
    lib.check(largest <= 1.1 * tenth, f"PostgreSQL has {tenth / 2**20:.2f} MiB at the tenth look and {largest / 2**20:.2f} at most later")
    agent.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=192)
    parser.add_argument("--long", action="store_true", help="half an hour on PostgreSQL and S3")
    parser.add_argument("--minutes", type=float, default=30, help="of the long form (30)")
    arguments = parser.parse_args()
    if arguments.long:
        shows_for_long(arguments.minutes)
        return
    for store in lib.STORES:
        shows(store, arguments.mib)


if __name__ == "__main__":
    lib.main(main)

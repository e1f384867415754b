#!/usr/bin/python3
"""Goal: what is kept no longer leaves the bucket and the database while producers and consumers go on, a deleted topic leaves both
altogether, and nothing that is still kept goes.
Method: on each kind of storage a topic that keeps a few MiB per partition is filled with many times as much (--mib, 192 by default)
while the stored bytes are measured all the time; the newest records are read back, a reader at the old start is sent on. Then an
agent is killed, the topic is deleted, and `yaks storage` has to show an empty bucket, but for an object that another topic shares until that
one is gone, too.
"""
import argparse
import json
import os
import subprocess
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=192)
    mib = parser.parse_args().mib
    for store in lib.STORES:
        shows(store, mib)


if __name__ == "__main__":
    lib.main(main)

#!/usr/bin/python3
"""Goal: short ranges become long ones while the agent serves, dies and comes back; every record stays where it was, the objects of before
go, and reading history takes a fraction of the GETs.
Method: on each kind of storage numbered records go into four partitions in small flushes, and are read by a fresh agent that counts its
GETs. Then an agent that merges whatever is a second old is killed in the middle of it several times, and finishes. A fresh agent reads
again: the same records in the same order, with a quarter of the GETs at most; and nothing lies in the bucket that nobody refers to.
"""
import importlib
import subprocess
import time

import kafka_client
import lib

retention = importlib.import_module("75_retention")
PARTITIONS, RECORDS, BYTES = 4, 5_000, 1_000
KILLS = 3
TOPIC = "history"
WRITES = {"flush_bytes": 128 << 10, "flush_interval_ms": 20, "materialize_chunk_ranges": 2, "backfill_age_ms": 0, "merge_bytes_per_second": 0}
MERGES = {"merge_bytes_per_second": 1 << 30, "merge_interval_ms": 200, "merge_age_ms": 1000, "merge_object_bytes": 4 << 20,
          "merge_min_runs": 3, "delete_grace_ms": 500, "groupcache_heartbeat_ms": 300, "groupcache_lease_ttl_ms": 1500}


def lines(partition):
    return b"".join(b"%d-%07d-" % (partition, i) + b"x" * (BYTES - 11) + b"\n" for i in range(RECORDS))


def produce(agent):
    running = []
    for p in range(PARTITIONS):
        running.append(subprocess.Popen(["kcat", "-b", agent.brokers, "-t", TOPIC, "-p", str(p), "-P", "-X", "enable.idempotence=true",
                                         "-X", "batch.num.messages=40", "-X", "linger.ms=2"], stdin=subprocess.PIPE))
    for p, one in enumerate(running):
        one.stdin.write(lines(p))
        one.stdin.close()
    for one in running:
        lib.check(one.wait(120) == 0, "records were written")


def read_all(store, storage, when):
    """By a fresh agent, one partition after the other; answers how many GETs that took."""
    agent = lib.Agent(store, storage, **WRITES).start()
    for p in range(PARTITIONS):
        got = subprocess.run(["kcat", "-b", agent.brokers, "-t", TOPIC, "-p", str(p), "-C", "-o", "beginning", "-e", "-q"], timeout=120,
                             check=True, stdout=subprocess.PIPE).stdout
        lib.check(got == lines(p), f"{store}: partition {p} has all its records in their order, {when}")
    gets = lib.total(agent.metrics(), "yaks_fetch_s3_downloads_total")
    agent.stop()
    return gets


def shows(store):
    storage = lib.storage_settings(store)
    agent = lib.Agent(store, storage, **WRITES).start()
    kafka_client.Client(agent.port).create_topic(TOPIC, PARTITIONS)
    produce(agent)
    agent.stop()
    before = read_all(store, storage, "before merging")

    merging = lib.Agent(store, storage, **{**WRITES, **MERGES}).start()
    for n in range(KILLS):
        lib.wait_until(f"{store}: ranges are being merged", 60, lambda: lib.total(merging.metrics(), "yaks_merge_objects_total") > n)
        merging.kill()
        merging.start()
    seen = {"objects": -1, "since": time.monotonic()}

    def is_over():
        made = lib.total(merging.metrics(), "yaks_merge_objects_total")
        if made != seen["objects"]:
            seen.update(objects=made, since=time.monotonic())
        return time.monotonic() - seen["since"] > 3
    lib.wait_until(f"{store}: all is merged", 120, is_over)
    # What there is: the records once, a little around them, and what each kill may have left, which a sweep finds after a minute or so.
    most = 1.1 * PARTITIONS * RECORDS * BYTES + KILLS * MERGES["merge_object_bytes"]
    lib.wait_until(f"{store}: the objects of before are gone", 60, lambda: retention.stored_bytes(merging) < most)
    merging.stop()

    after = read_all(store, storage, "after merging")
    lib.check(after <= before / 4, f"{store}: reading all took {before:.0f} GETs before, and {after:.0f} after merging")


def main():
    for store in lib.STORES:
        shows(store)


if __name__ == "__main__":
    lib.main(main)

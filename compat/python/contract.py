"""What every client must show, whatever its interface: see compat/README.md.

Broker and topic come from the environment (BOOTSTRAP, TOPIC). A check that fails ends the program with a sentence.
"""

import os
import sys
import threading
import time

BOOTSTRAP = os.environ["BOOTSTRAP"]
TOPIC = os.environ["TOPIC"]
GROUP = TOPIC + "-group"
PARTITIONS = 3
RECORDS = 100
DEADLINE_S = 30

KEYS = [f"key-{i}".encode() for i in range(RECORDS)]
VALUES = [f"value-{i}".encode() for i in range(RECORDS)]


def check(holds, sentence):
    if not holds:
        sys.exit(f"FAILED: {sentence}")


def feature(name):
    """A line of the table of clients: what has been shown."""
    print(f"feature: {name}", flush=True)


def check_acknowledged(acknowledged):
    """acknowledged[i] is the (partition, offset) that the client was told for record i. Returns {partition: count}."""
    check(len(acknowledged) == RECORDS, f"{len(acknowledged)} of {RECORDS} records were acknowledged")
    counts = {}
    for partition in range(PARTITIONS):
        offsets = [o for p, o in acknowledged if p == partition]
        # In the order of production, from 0, without a gap: no -1, nothing provisional, nothing written twice.
        check(offsets == list(range(len(offsets))), f"partition {partition}: acknowledged offsets {offsets}")
        counts[partition] = len(offsets)
    check(sum(counts.values()) == RECORDS, f"partitions other than 0 to {PARTITIONS - 1} in {acknowledged}")
    check(min(counts.values()) > 0, f"a partition got no record: {counts}")
    feature("idempotent produce")
    return counts


def check_consumed(acknowledged, consumed):
    """consumed: (partition, offset, key, value) in the order in which they arrived."""
    check(len(consumed) == RECORDS, f"{len(consumed)} of {RECORDS} records were consumed")
    for partition in range(PARTITIONS):
        offsets = [c[1] for c in consumed if c[0] == partition]
        check(offsets == list(range(len(offsets))), f"partition {partition}: consumed offsets {offsets}")
    produced = {acknowledged[i]: (KEYS[i], VALUES[i]) for i in range(RECORDS)}
    for partition, offset, key, value in consumed:
        check(
            produced.get((partition, offset)) == (key, value),
            f"partition {partition} offset {offset}: {key} {value} instead of {produced.get((partition, offset))}",
        )
    feature("consume")


def check_committed(counts, committed):
    check(committed == counts, f"committed {counts}, read back {committed}")
    feature("commit")


def ok(client, version):
    print(f"client={client} version={version} ok")


def check_group(make_member, acknowledged, produce_one, protocol="classic"):
    """Two members of one group share the partitions and read everything; who comes later gets only what came later.

    make_member() gives an object that one thread uses: poll() gives [(partition, offset)] soon, assignment() the partitions
    that it owns now, commit() commits its positions, close() leaves the group. produce_one() gives (partition, offset).
    """
    everything = set(acknowledged)
    stop = threading.Event()
    members = [{"own": set(), "share": set(), "error": None} for _ in range(2)]

    def work(mine):
        try:
            member = make_member()
            while not stop.is_set():
                mine["own"].update(member.poll())
                mine["share"] = set(member.assignment())
            member.commit()
            member.close()
        except Exception as error:  # told by the main thread
            mine["error"] = error

    def is_done():
        shares = [m["share"] for m in members]
        if not all(shares) or shares[0] & shares[1] or len(shares[0] | shares[1]) < PARTITIONS:
            return False
        # Each has read its partitions by itself: what another one read before a rebalance was not committed.
        return all({r for r in everything if r[0] in m["share"]} <= m["own"] for m in members)

    threads = [threading.Thread(target=work, args=(m,), daemon=True) for m in members]
    for t in threads:
        t.start()
    deadline = time.monotonic() + DEADLINE_S
    while not is_done() and time.monotonic() < deadline and not any(m["error"] for m in members):
        time.sleep(0.05)
    done = is_done()
    stop.set()
    for t in threads:
        t.join(DEADLINE_S)
    for m in members:
        check(m["error"] is None, f"a member of the group: {m['error']!r}")
    check(done, f"two members share {[sorted(m['share']) for m in members]} and read "
                f"{[len(m['own']) for m in members]} of {len(everything)} records")
    check(members[0]["own"] | members[1]["own"] == everything, "the group read records that nobody wrote")

    later = produce_one()
    member = make_member()
    read = []
    deadline = time.monotonic() + DEADLINE_S
    while not read and time.monotonic() < deadline:
        read = list(member.poll())
    check(read == [later], f"who joined after the commits read {read} instead of {[later]}")
    member.commit()
    member.close()
    feature({"classic": "classic group", "consumer": "consumer group (KIP-848)"}[protocol])

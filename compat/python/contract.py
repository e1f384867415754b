"""What every client must show, whatever its interface: see compat/README.md.

Broker and topic come from the environment (BOOTSTRAP, TOPIC). A check that fails ends the program with a sentence.
"""

import os
import sys

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


def check_committed(counts, committed):
    check(committed == counts, f"committed {counts}, read back {committed}")


def ok(client, version):
    print(f"client={client} version={version} ok")

"""A member of a classic consumer group that says what it is told: its generation, its partitions, how far it has committed. It
goes to another agent when the one it talks to is gone, or, where it wanders, for each request.
"""
import random
import struct
import threading
import time

from kafka_client import Client, Reader, text

OFFSET_COMMIT, OFFSET_FETCH, JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 8, 9, 11, 12, 13, 14
ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED = 22, 25, 27, 79
NOT_NOW = {15, 16, 7}  # coordinator not available, not coordinator, timed out
NULL_TEXT = struct.pack(">h", -1)


def octets(data):
    return struct.pack(">i", len(data)) + data


class Ledger:
    """What all members have seen, and the contradictions in it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.owners = {}     # (generation, partition): member
        self.acked = {}      # partition: the highest offset whose commit was acknowledged
        self.consumed = {}   # partition: offsets
        self.polled = {}     # partition: when its owner fetched last
        self.faults = []

    def assigned(self, member, generation, partitions):
        with self.lock:
            for p in partitions:
                other = self.owners.setdefault((generation, p), member)
                if other != member:
                    self.faults.append(f"partition {p} has two owners in generation {generation}: {other} and {member}")

    def committed(self, partition, offset):
        with self.lock:
            self.acked[partition] = max(self.acked.get(partition, 0), offset)

    def found(self, member, partition, offset, at_least):
        if offset < at_least:
            with self.lock:
                self.faults.append(f"{member} was told that partition {partition} is committed up to {offset}; {at_least} had been acknowledged")


class Member(threading.Thread):
    def __init__(self, ledger, ports, topic, partitions, group="g", session_ms=6000, heartbeat_s=0.5, wanders=False, seed=0):
        super().__init__(daemon=True)
        self.ledger, self.ports, self.topic, self.partitions, self.group = ledger, ports, topic, partitions, group
        self.session_ms, self.heartbeat_s, self.wanders = session_ms, heartbeat_s, wanders
        self.chance = random.Random(seed)
        self.id, self.generation, self.owned, self.joins = "", -1, [], 0
        self.client = None
        self.leaving = self.dead = False

    # ---- requests

    def call(self, api, version, body):
        while not self.dead:
            try:
                if self.client is None or self.wanders:
                    self.close()
                    self.client = Client(self.chance.choice(self.ports))
                return self.client.call(api, version, body)
            except (OSError, ConnectionError):
                self.close()
                time.sleep(0.05)
        raise SystemExit

    def close(self):
        if self.client is not None:
            self.client.socket.close()
        self.client = None

    def ask_to_join(self):
        """(error, generation, leader, members)"""
        self.joins += 1
        body = text(self.group) + struct.pack(">ii", self.session_ms, 20000) + text(self.id) + NULL_TEXT + text("consumer")
        subscription = struct.pack(">hi", 0, 1) + text(self.topic) + struct.pack(">i", -1)
        r = self.call(JOIN_GROUP, 5, body + struct.pack(">i", 1) + text("range") + octets(subscription))
        r.take("i")
        error, generation, _, leader, me = r.take("h"), r.take("i"), r.text(), r.text(), r.text()

        def member():
            name = r.text()
            r.bytes(r.take("h"))
            r.bytes(r.take("i"))
            return name

        members = r.array(member)
        if error in (0, MEMBER_ID_REQUIRED):
            self.id = me
        return error, generation, leader, members

    def sync(self, generation, members):
        body = text(self.group) + struct.pack(">i", generation) + text(self.id) + NULL_TEXT + struct.pack(">i", len(members))
        for n, name in enumerate(sorted(members)):
            mine = [p for p in range(self.partitions) if p % len(members) == n]
            body += text(name) + octets(struct.pack(">hi", 0, 1) + text(self.topic) + struct.pack(f">i{len(mine)}i", len(mine), *mine) + struct.pack(">i", -1))
        r = self.call(SYNC_GROUP, 3, body)
        r.take("i")
        error = r.take("h")
        assignment = r.bytes(r.take("i"))
        if error != 0 or not assignment:
            return error, []
        a = Reader(assignment)
        a.take("h")
        owned = []
        for _ in range(a.take("i")):
            a.text()
            owned += a.array(lambda: a.take("i"))
        return 0, owned

    def heartbeat(self):
        r = self.call(HEARTBEAT, 3, text(self.group) + struct.pack(">i", self.generation) + text(self.id) + NULL_TEXT)
        r.take("i")
        return r.take("h")

    def commit(self, offsets):
        body = text(self.group) + struct.pack(">i", self.generation) + text(self.id) + NULL_TEXT + struct.pack(">i", 1) + text(self.topic)
        body += struct.pack(">i", len(offsets)) + b"".join(struct.pack(">iqi", p, o, -1) + NULL_TEXT for p, o in offsets.items())
        r = self.call(OFFSET_COMMIT, 7, body)
        r.take("i")
        errors = [e for topic in r.array(lambda: (r.text(), r.array(lambda: (r.take("i"), r.take("h"))))[1]) for e in topic]
        for p, error in errors:
            if error == 0:
                self.ledger.committed(p, offsets[p])
        return max((e for _, e in errors), default=0)

    def positions(self, partitions):
        body = text(self.group) + struct.pack(">i", 1) + text(self.topic) + struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)
        while True:
            r = self.call(OFFSET_FETCH, 5, body)
            r.take("i")

            def partition():
                p, offset = r.take("i"), r.take("q")
                r.take("i")
                r.bytes(r.take("h"))
                r.take("h")
                return p, max(offset, 0)

            found = [p for topic in r.array(lambda: (r.text(), r.array(partition))[1]) for p in topic]
            if r.take("h") == 0:
                return dict(found)

    def leave(self):
        self.call(LEAVE_GROUP, 1, text(self.group) + text(self.id))

    # ---- life

    def run(self):
        try:
            while not self.dead:
                if self.leaving:
                    self.leave()
                    return
                if not self.rebalance():
                    continue
                self.consume()
                self.owned = []
        except SystemExit:
            pass
        finally:
            self.owned = []
            self.close()

    def rebalance(self):
        error, generation, leader, members = self.ask_to_join()
        if error != 0:
            if error in (UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION):
                self.id = ""
            elif error != MEMBER_ID_REQUIRED:
                time.sleep(0.1)
            return False
        error, owned = self.sync(generation, members if leader == self.id else [])
        if error != 0:
            if error == UNKNOWN_MEMBER_ID:
                self.id = ""
            return False
        self.ledger.assigned(self.id, generation, owned)
        self.generation, self.owned = generation, owned
        return True

    def consume(self):
        """Until the group rebalances."""
        with self.ledger.lock:
            before = {p: self.ledger.acked.get(p, 0) for p in self.owned}
        position = self.positions(self.owned) if self.owned else {}
        for p, offset in position.items():
            self.ledger.found(self.id, p, offset, before[p])
        next_beat = time.monotonic()
        while not self.dead and not self.leaving:
            if time.monotonic() >= next_beat:
                error = self.heartbeat()
                next_beat = time.monotonic() + self.heartbeat_s
                if error == UNKNOWN_MEMBER_ID:
                    self.id = ""
                if error not in NOT_NOW | {0}:
                    return
            moved = {}
            for p in self.owned:
                try:
                    _, values = self.fetch(p, position[p])
                except AssertionError:
                    continue  # this agent is not ready
                self.ledger.polled[p] = time.monotonic()
                if values:
                    self.ledger.consumed.setdefault(p, set()).update(range(position[p], position[p] + len(values)))
                    moved[p] = position[p] = position[p] + len(values)
            if moved and self.commit(moved) in (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS):
                return
            time.sleep(0.05)

    def fetch(self, partition, offset):
        while not self.dead:
            try:
                if self.client is None:
                    self.client = Client(self.chance.choice(self.ports))
                return self.client.fetch(self.topic, offset, partition)
            except (OSError, ConnectionError):
                self.close()
                time.sleep(0.05)
        raise SystemExit

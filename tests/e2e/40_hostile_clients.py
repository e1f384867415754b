#!/usr/bin/python3
"""Goal: clients that do nothing, talk nonsense or stop half way cost others nothing and bounded memory, and each refusal
is counted.
Method: 2,000 idle connections, and 100 that send random bytes, oversize frames, half frames or a byte now and then, over
and over, while an oracle run must pass. Resident memory is sampled; the refusals that clients saw are compared with the
agent's counters.
"""
import os
import random
import resource
import selectors
import socket
import struct
import time

import lib

IDLE = 2000
HOSTILE = 100
RSS_BYTES_MAX = 400 << 20  # 128 MiB write buffer, 64 MiB cache, librdkafka's 50 producers' requests, and the process itself
# Reasons for which an agent closes a connection by itself.
REFUSALS = ("malformed", "oversized", "slow_frame", "refused", "limit")


def frame(body):
    return struct.pack(">i", len(body)) + body


# What a connection of each kind sends: first at once, then every now and then.
KINDS = {
    "random bytes": (lambda chance: chance.randbytes(chance.randrange(5, 2000)), lambda chance: chance.randbytes(64)),
    "garbage in a frame": (lambda chance: frame(chance.randbytes(chance.randrange(0, 300))), lambda chance: b""),
    "oversize frame": (lambda chance: struct.pack(">i", chance.choice([2**31 - 1, 104857601, -1, -2**31])),
                       lambda chance: b"x" * 100),
    "half frame": (lambda chance: struct.pack(">i", 1 << 20) + bytes(1 << 19), lambda chance: b""),
    # An ApiVersions request, so slowly that it takes minutes.
    "slow drip": (lambda chance: struct.pack(">i", 200), lambda chance: b"\0"),
}


class Hostile:
    def __init__(self, port, kind, chance):
        self.port, self.kind, self.chance = port, kind, chance
        self.refused = 0
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.socket.setblocking(False)
        self.opened = time.monotonic()
        self.pending = KINDS[self.kind][0](self.chance)

    def turn(self):
        """Sends what it can; connects again when it was refused, or after a while by its own choice."""
        try:
            if not self.pending:
                self.pending = KINDS[self.kind][1](self.chance)
            if self.pending:
                self.pending = self.pending[self.socket.send(self.pending):]
        except BlockingIOError:
            pass
        except OSError:
            return self.again(refused=True)
        try:
            if self.socket.recv(65536) == b"":
                return self.again(refused=True)
        except BlockingIOError:
            pass
        except OSError:
            return self.again(refused=True)
        if time.monotonic() - self.opened > 5 and self.chance.random() < 0.1:
            self.again(refused=False)

    def again(self, refused):
        self.refused += refused
        self.socket.close()
        self.connect()


def test():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + HOSTILE + 200:
        lib.fail(f"this test needs {IDLE + HOSTILE + 200} open files, and the hard limit is {hard}")
    agent = lib.Agent(groupcache_cache_size_mb=64).start()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    rss_at_rest = agent.rss_bytes()

    idle = []
    for _ in range(IDLE):
        idle.append(socket.create_connection(("127.0.0.1", agent.port), timeout=10))
    lib.wait_until("all idle connections are accepted", 10,
                   lambda: lib.total(agent.metrics(), "yaks_connections") >= IDLE)
    lib.say(f"      {IDLE} idle connections cost {(agent.rss_bytes() - rss_at_rest) >> 20} MiB")

    seed = random.getrandbits(30)
    lib.say(f"      seed {seed}")
    chance = random.Random(seed)
    kinds = list(KINDS)
    hostile = [Hostile(agent.port, kinds[i % len(kinds)], chance) for i in range(HOSTILE)]
    run = lib.Oracle(agent.brokers, "--topics", 2, "--producers", 50, "--records", 1000, "--rate", 150, "--require-all")
    rss_max, turns = 0, 0
    while run.is_running() or turns < 20:
        for one in hostile:
            one.turn()
        turns += 1
        rss_max = max(rss_max, agent.rss_bytes())
        time.sleep(0.1)
    run.must_pass("in bad company")
    lib.check(rss_max <= RSS_BYTES_MAX, f"resident memory stayed at {rss_max >> 20} of {RSS_BYTES_MAX >> 20} MiB")

    seen = {kind: sum(one.refused for one in hostile if one.kind == kind) for kind in KINDS}
    for kind in ("random bytes", "garbage in a frame", "oversize frame"):
        lib.check(seen[kind] > 0, f"{kind}: refused {seen[kind]} times")

    def counted():
        metrics = agent.metrics()
        return sum(lib.total(metrics, "yaks_connections_closed_total", reason=reason) for reason in REFUSALS)
    lib.wait_until("every refusal is counted", 10, lambda: counted() >= sum(seen.values()))
    lib.check(True, f"every refusal is counted: clients saw {sum(seen.values())}, the agent counts {counted():.0f}")

    dead = 0
    readable = selectors.DefaultSelector()
    for one in idle:
        readable.register(one, selectors.EVENT_READ)
    for key, _ in readable.select(timeout=0):
        dead += key.fileobj.recv(1) == b""
    lib.check(dead == 0, "no idle connection was closed")
    for one in idle:
        one.close()
    for one in hostile:
        one.socket.close()
    lib.wait_until("all connections are forgotten", 10, lambda: lib.total(agent.metrics(), "yaks_connections") <= 1)
    agent.stop()


lib.main(test)

#!/usr/bin/python3
"""Goal: members of one group on several agents are one group, whatever happens to the agents: no partition has two owners in a
generation, committed offsets never go back, everything is consumed, and a member that finds another agent within its session
causes no rebalance. Method: three agents on one PostgreSQL and one bucket; members of ours that say what they are told, some of
which send every request to another agent; agents are killed -9 while members consume and while they rebalance.

  95_groups.py [--seed N]
"""
import argparse
import random
import threading
import time

import lib
from group_member import Ledger, Member
from kafka_client import Client

PARTITIONS = 12
TOPIC = "grouped"


class Producer(threading.Thread):
    """Writes to all partitions through whichever agent answers; counts what was acknowledged."""

    def __init__(self, ports):
        super().__init__(daemon=True)
        self.ports, self.ends, self.stopping = ports, {}, False

    def run(self):
        client, n = None, 0
        while not self.stopping:
            try:
                client = client or Client(random.choice(self.ports))
                p = n % PARTITIONS
                self.ends[p] = max(self.ends.get(p, 0), client.produce(TOPIC, f"{n}".encode(), p) + 1)
                n += 1
            except (OSError, ConnectionError, AssertionError):
                client = None
                time.sleep(0.1)
            time.sleep(0.01)


def is_whole(members):
    """All live members are in one generation and have all partitions."""
    live = [m for m in members if m.is_alive() and not m.dead]
    return (len({m.generation for m in live}) == 1 and all(m.owned for m in live)
            and sorted(p for m in live for p in m.owned) == list(range(PARTITIONS)))


def all_polled_since(ledger, moment):
    return all(ledger.polled.get(p, 0) > moment for p in range(PARTITIONS))


def test():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.getrandbits(30))
    seed = parser.parse_args().seed
    lib.say(f"seed {seed}")
    chance = random.Random(seed)
    storage = lib.storage_settings("postgres+s3")
    settings = {"flush_interval_ms": 20, "groupcache_lease_ttl_ms": 3000, "groupcache_heartbeat_ms": 500,
                "group_initial_rebalance_delay_ms": 500, "group_min_session_timeout_ms": 1000}
    agents = [lib.Agent("postgres+s3", storage=storage, node_id=i, **settings) for i in range(3)]
    for agent in agents:
        agent.start()
    ports = [agent.port for agent in agents]
    Client(ports[0]).create_topic(TOPIC, PARTITIONS)
    producer = Producer(ports)
    producer.start()
    ledger = Ledger()
    members = [Member(ledger, ports, TOPIC, PARTITIONS, wanders=i >= 4, seed=seed + i) for i in range(6)]
    for m in members:
        m.start()
    began = time.monotonic()
    lib.wait_until("six members on three agents form a generation", 30, lambda: is_whole(members))
    lib.check(True, f"six members on three agents have all partitions after {time.monotonic() - began:.1f} s")

    # An agent dies while they consume.
    lib.wait_until("all partitions are read", 10, lambda: all_polled_since(ledger, began))
    generation = members[0].generation
    agents[0].kill()
    killed = time.monotonic()
    lib.wait_until("every partition is read again after an agent was killed", 15, lambda: all_polled_since(ledger, killed + 0.1))
    lib.check(True, f"every partition is read again {time.monotonic() - killed:.1f} s after an agent was killed")
    time.sleep(4)  # its lease has lapsed
    lib.check({m.generation for m in members} == {generation}, "members that found another agent within their session caused no rebalance")
    agents[0].start()

    # Agents die while the group rebalances.
    for round_number in range(3):
        victim = chance.choice(agents)
        newcomer = Member(ledger, ports, TOPIC, PARTITIONS, seed=chance.getrandbits(30))
        newcomer.start()
        members.append(newcomer)
        time.sleep(chance.uniform(0, 0.7))
        victim.kill()
        killed = time.monotonic()
        lib.wait_until("the group is whole after an agent was killed in a rebalance", 40, lambda: is_whole(members) and all_polled_since(ledger, killed))
        lib.check(True, f"rebalance {round_number}: the group of {len(members)} is whole {time.monotonic() - killed:.1f} s after an agent was killed")
        victim.start()
        leaver = members.pop(0)
        leaver.leaving = True
        lib.wait_until("a member leaves", 10, lambda: not leaver.is_alive())
        lib.wait_until("the others take over", 30, lambda: is_whole(members))

    # A member falls silent.
    silent = members.pop()
    silent.dead = True
    fell = time.monotonic()
    lib.wait_until("a silent member's partitions go to others", 30, lambda: is_whole(members))
    lib.check(time.monotonic() - fell > 3, f"a silent member was taken out after {time.monotonic() - fell:.1f} s, its session being 6 s")

    producer.stopping = True
    producer.join()
    lib.wait_until("everything is consumed", 30, lambda: all(ledger.acked.get(p, 0) >= end for p, end in producer.ends.items()))
    lost = {p: end - len(ledger.consumed[p] & set(range(end))) for p, end in producer.ends.items()}
    lib.check(not any(lost.values()), f"{sum(producer.ends.values())} acknowledged records were consumed, none was skipped: {lost}")
    lib.check(not ledger.faults, f"no partition had two owners in a generation, no committed offset went back: {ledger.faults[:5]}")
    lib.check(len(ledger.owners) > PARTITIONS * 5, f"{len({g for g, _ in ledger.owners})} generations were looked at")

    # At rest.
    time.sleep(2)
    before = lib.total(agents[0].metrics(), "yaks_log_sequence")
    calm = [m for m in members if not m.wanders]
    for m in members:
        m.wanders = False
    time.sleep(2)
    before = lib.total(agents[0].metrics(), "yaks_log_sequence")
    time.sleep(10)
    entries = lib.total(agents[0].metrics(), "yaks_log_sequence") - before
    lib.check(entries <= 10, f"{len(members)} members at rest cost {entries:.0f} entries in 10 s")
    lib.check(calm, "some of them never wandered")
    for m in members:
        m.leaving = True
    for m in members:
        m.join(10)
    for agent in agents:
        agent.stop()


lib.main(test)

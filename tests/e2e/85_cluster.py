#!/usr/bin/python3
"""Goal: several agents are one cluster. What one of them acknowledged is visible to the next request on any other; agents
behind one address are one broker; one that died is dropped when its lease has lapsed, and is there again when it is started.
Method: three agents on one PostgreSQL and one bucket behind a real nginx. A client of ours that does not follow leaders writes
through one agent and at once asks the others, over and over.
"""
import time

import lib
from kafka_client import Client

ROUNDS = 400
ROUNDS_OF_A_TOPIC = 20
LEASE_S = 3


def visibility(agents, nginx):
    """Every request after an acknowledgement sees it, wherever it goes. None is repeated: a single stale answer fails."""
    clients = [Client(agent.port) for agent in agents]
    began = time.monotonic()
    topics = offset = 0
    topic = None
    for number in range(ROUNDS):
        writer, reader, third = (clients[(number + k) % len(clients)] for k in range(3))
        if number % ROUNDS_OF_A_TOPIC == 0:
            topic, offset = f"visible-{topics}", 0
            topics += 1
            writer.create_topic(topic, partitions=2)
            brokers, partitions = reader.metadata(topic)
            if partitions != 2 or [b[1:] for b in brokers] != [("127.0.0.1", nginx.port)]:
                lib.fail(f"a topic with 2 partitions, made a moment ago on another agent: {partitions} partitions on {brokers}")
            # The first to write to it is not the one that made it.
            writer, reader = reader, writer
        value = f"record {number}".encode()
        got = writer.produce(topic, value)
        latest, (high_watermark, records), third_latest = reader.latest(topic), reader.fetch(topic, offset), third.latest(topic)
        if (got, latest, third_latest, high_watermark, records) != (offset, offset + 1, offset + 1, offset + 1, [value]):
            lib.fail(f"round {number}: offset {offset} was acknowledged as {got}; right after that, other agents said that the end is "
                     f"{latest} and {third_latest}, and a fetch found {records} below {high_watermark}")
        offset += 1
    lib.check(True, f"{ROUNDS} records and {topics} topics were seen by other agents at once ({time.monotonic() - began:.1f} s)")
    ids = {client.metadata(topic)[0][0][0] for client in clients}
    lib.check(len(ids) == 1, f"all agents call the broker behind nginx by one id: {ids}")


def leases(agents, nginx):
    def live(agent):
        return lib.total(agent.metrics(), "yaks_agents")

    for agent in agents:
        lib.wait_until("each agent knows of three", 10, lambda: live(agent) == 3)
    broker = Client(agents[1].port).metadata("visible-0")[0]
    agents[0].kill()
    lib.wait_until("the others drop an agent that was killed", LEASE_S + 10, lambda: all(live(a) == 2 for a in agents[1:]))
    run = lib.Oracle(nginx.brokers, "--producers", 5, "--records", 50, "--require-all")
    run.must_pass("two of three agents behind nginx")
    agents[0].start()
    lib.wait_until("it is there again when it is started", 10, lambda: all(live(a) == 3 for a in agents))
    again = Client(agents[0].port).metadata("visible-0")[0]
    lib.check(broker == again, f"the broker is the same before and after: {broker}")


def test():
    storage = lib.storage_settings("postgres+s3")
    settings = {"flush_interval_ms": 10, "groupcache_lease_ttl_ms": LEASE_S * 1000, "groupcache_heartbeat_ms": 500}
    agents = [lib.Agent("postgres+s3", storage=storage, node_id=i, **settings) for i in range(3)]
    nginx = lib.Nginx([agent.port for agent in agents])
    for agent in agents:
        agent.settings["YAKS_ADVERTISED_PORT"] = str(nginx.port)
        agent.start()
    visibility(agents, nginx)
    leases(agents, nginx)


lib.main(test)

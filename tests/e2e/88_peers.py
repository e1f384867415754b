#!/usr/bin/python3
"""Goal: agents read from each other's memory instead of the bucket, and whatever goes wrong with that costs a GET, never an
error or a wrong byte. Method: three agents with shared caches on one PostgreSQL and one bucket. Between the reader and the
writer stands a proxy of ours that passes on, cuts answers in the middle, damages them, talks nonsense, holds back or refuses;
then the writer is paused, has another secret, and is killed. GETs and peers' counters are compared with what was read; at last the
oracle runs with all proxies misbehaving at random.
"""
import os
import random
import signal
import socket
import threading
import time

import lib
from kafka_client import Client

RECORDS = 20
# Agents listen at 127.0.0.1 and say that they are asked for cached data at 127.0.0.2: where the proxy listens, on the same port.
PROXY_HOST = "127.0.0.2"


class PeerProxy:
    """In front of one agent's peer port. `mode` counts for each connection's next bytes."""

    def __init__(self, port):
        self.port, self.mode, self.passed = port, "pass", 0
        self.listener = socket.create_server((PROXY_HOST, port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def current(self):
        if self.mode == "random":
            return random.choice(["pass", "pass", "cut", "damage", "nonsense", "hold", "refuse"])
        return self.mode

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as agent:
                    threading.Thread(target=self._pass_questions, args=(client, agent), daemon=True).start()
                    while data := agent.recv(1 << 16):
                        if not self._answer(client, data):
                            return
            except OSError:
                pass

    def _pass_questions(self, client, agent):
        try:
            while data := client.recv(1 << 16):
                if self.mode == "refuse":
                    break
                agent.sendall(data)
        except OSError:
            pass
        for end in (client, agent):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _answer(self, client, data):
        """True while the connection lives."""
        mode = self.current()
        if mode == "refuse":
            return False
        if mode == "hold":
            time.sleep(0.6)
            return False
        if mode == "nonsense":
            client.sendall(b"\0\xff" + os.urandom(1000) + b"\r\n\r\n")
            return False
        if mode == "cut":
            client.sendall(data[:-5])
            return False
        if mode == "damage":
            data = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
        client.sendall(data)
        self.passed += 1
        return True


class Numbers:
    """What an agent's counters have gained since."""

    NAMES = {"gets": "yaks_fetch_s3_downloads_total", "peer_loads": "yaks_groupcache_peer_loads_total",
             "peer_errors": "yaks_groupcache_peer_errors_total", "local_loads": "yaks_groupcache_local_loads_total",
             "damaged": "yaks_fetch_corrupt_ranges_total"}

    def __init__(self, agent):
        self.agent = agent
        self.before = self._now()

    def _now(self):
        values = self.agent.metrics()
        return {k: lib.total(values, v) for k, v in self.NAMES.items()}

    def since(self):
        now = self._now()
        return {k: int(now[k] - self.before[k]) for k in now}


def write(agent, topic, tag):
    """Records in as many objects; the offset of the first."""
    client = Client(agent.port)
    offsets = [client.produce(topic, f"{tag} {i}".encode()) for i in range(RECORDS)]
    return offsets[0]


def read(agent, topic, first, tag):
    """All of them, one after the other, none missing, none wrong, no error."""
    client = Client(agent.port)
    expected, got = [f"{tag} {i}".encode() for i in range(RECORDS)], []
    while len(got) < RECORDS:
        _, values = client.fetch(topic, first + len(got))
        if not values or values != expected[len(got):len(got) + len(values)]:
            lib.fail(f"{tag}: read {values} after {len(got)} records")
        got += values


def modes(agents, proxies):
    writer, reader = agents[0], agents[1]
    Client(writer.port).create_topic("modes")
    for mode in ("pass", "cut", "damage", "nonsense", "hold", "refuse", "pass"):
        proxies[0].mode = mode
        time.sleep(0.3)  # longer than the reader leaves a peer alone
        first = write(writer, "modes", mode)
        numbers, others = Numbers(reader), Numbers(agents[2])
        read(reader, "modes", first, mode)
        n, other = numbers.since(), others.since()
        if mode == "pass":
            lib.check(n["gets"] == 0 and n["peer_loads"] == RECORDS and n["peer_errors"] == 0,
                      f"{RECORDS} records of another agent came from its memory: {n}")
        else:
            seen = min(n["damaged"], n["peer_errors"]) if mode == "damage" else n["peer_errors"]
            # While the writer is left alone, the third agent has its share of the objects, and reads them for the reader.
            gets = n["gets"] + other["gets"]
            lib.check(1 <= gets <= RECORDS and n["local_loads"] + other["local_loads"] == RECORDS and seen >= 1,
                      f"a peer whose answers are subject to '{mode}' cost at most a GET each: {n}")


def paused(agents):
    """Nothing that it wrote is asked for at the bucket more than once by each of the others."""
    writer, readers = agents[0], agents[1:]
    first = write(writer, "modes", "paused")
    writer.process.send_signal(signal.SIGSTOP)
    try:
        numbers = [Numbers(r) for r in readers]
        for r in readers:
            read(r, "modes", first, "paused")
        all_numbers = [n.since() for n in numbers]
    finally:
        writer.process.send_signal(signal.SIGCONT)
    lib.check(all(n["gets"] <= RECORDS for n in all_numbers), f"the writer was paused: {all_numbers}")
    lib.wait_until("it is asked again afterwards", 20, lambda: _asked_again(agents))


def _asked_again(agents):
    first = write(agents[0], "modes", "again")
    numbers = Numbers(agents[1])
    read(agents[1], "modes", first, "again")
    return numbers.since()["peer_loads"] == RECORDS


def wrong_secret(agents):
    stranger = agents[2]
    stranger.terminate()
    stranger.settings["YAKS_GROUPCACHE_SECRET"] = "not what the others have"
    stranger.start()
    first = write(agents[0], "modes", "secret")
    before = lib.total(agents[0].metrics(), "yaks_groupcache_served_bytes_total")
    numbers = Numbers(stranger)
    read(stranger, "modes", first, "secret")
    n = numbers.since()
    lib.check(n["peer_loads"] == 0 and n["gets"] >= 1 and n["peer_errors"] >= 1, f"an agent with another secret reads the bucket: {n}")
    lib.check(lib.total(agents[0].metrics(), "yaks_groupcache_served_bytes_total") == before
              and lib.total(agents[0].metrics(), "yaks_groupcache_strangers_total") >= 1, "and it was given nothing")
    stranger.terminate()
    del stranger.settings["YAKS_GROUPCACHE_SECRET"]
    stranger.start()
    for agent in agents:
        with open(agent.log_path) as log:
            lib.check("not what the others have" not in log.read(), "no log tells the secret")


def killed(agents):
    """The others share what is left of it: each object is read once for both."""
    first = write(agents[0], "modes", "killed")
    agents[0].kill()
    numbers = [Numbers(r) for r in agents[1:]]
    for r in agents[1:]:
        read(r, "modes", first, "killed")
    all_numbers = [n.since() for n in numbers]
    gets = sum(n["gets"] for n in all_numbers)
    lib.check(RECORDS <= gets <= 2 * RECORDS, f"the writer was killed: {all_numbers}")
    lib.wait_until("its lease lapses", 20, lambda: all(lib.total(a.metrics(), "yaks_groupcache_peers") == 1 for a in agents[1:]))
    numbers = [Numbers(r) for r in agents[1:]]
    agents[0].start()
    lib.wait_until("it is a peer again", 20, lambda: all(lib.total(a.metrics(), "yaks_groupcache_peers") == 2 for a in agents))


def oracle(agents, proxies):
    for proxy in proxies:
        proxy.mode = "random"
    # Each client is sent to the agents by their own addresses, so that all of them read what all of them wrote.
    run = lib.Oracle(",".join(a.brokers for a in agents), "--producers", 6, "--records", 1500, "--require-all")
    run.must_pass("peers that fail at random")
    for proxy in proxies:
        proxy.mode = "pass"
    loads = sum(lib.total(a.metrics(), "yaks_groupcache_peer_loads_total") for a in agents)
    lib.check(loads > 0, f"{loads:.0f} ranges came from peers in all")


def test():
    storage = lib.storage_settings("postgres+s3")
    settings = {"flush_interval_ms": 10, "groupcache_lease_ttl_ms": 3000, "groupcache_heartbeat_ms": 500,
                "groupcache_poll_ms": 250, "groupcache_enabled": "true"}
    agents = [lib.Agent("postgres+s3", storage=storage, node_id=i, groupcache_port=lib.free_port(),
                        groupcache_advertised_host=PROXY_HOST, **settings) for i in range(3)]
    proxies = [PeerProxy(int(a.settings["YAKS_GROUPCACHE_PORT"])) for a in agents]
    for agent in agents:
        agent.start()
    for agent in agents:
        lib.wait_until("each agent knows of two peers", 10, lambda: lib.total(agent.metrics(), "yaks_groupcache_peers") == 2)
    modes(agents, proxies)
    paused(agents)
    wrong_secret(agents)
    killed(agents)
    oracle(agents, proxies)


lib.main(test)

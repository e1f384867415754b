#!/usr/bin/python3
"""Goal: kill -9 of an agent at any moment loses nothing that it acknowledged, and idempotent producers repeat nothing.
Method: while the oracle's producers write, the agent is killed at a moment that the seed decides and started again, N
times on each kind of storage; every run's seed is printed.

  30_kill_agent.py [--times N] [--seed FIRST] [--store embedded|postgres+s3]
"""
import argparse
import random
import time

import lib


def test():
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.getrandbits(30))
    parser.add_argument("--store", choices=lib.STORES)
    chosen = parser.parse_args()
    for store in [chosen.store] if chosen.store else lib.STORES:
        agent = lib.Agent(store).start()
        for seed in range(chosen.seed, chosen.seed + chosen.times):
            chance = random.Random(seed)
            run = lib.Oracle(agent.brokers, "--topics", 2, "--producers", 20, "--records", 1000, "--rate", 150, "--seed",
                             seed, "--consume-timeout", "120s", "--require-all")
            run.wait_for_load()
            time.sleep(chance.uniform(0, 4))
            agent.kill()
            lib.check(run.is_running(), f"{store}, seed {seed}: killed under load")
            time.sleep(chance.choice([0, 0, 1.5]))  # at once, or so late that clients have tried in vain
            started = time.monotonic()
            agent.start()
            back_s = time.monotonic() - started
            run.must_pass(f"{store}, seed {seed}: agent killed, ready again after {back_s:.2f} s")
        agent.check_objects()
        agent.stop()


lib.main(test)

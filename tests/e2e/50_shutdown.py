#!/usr/bin/python3
"""Goal: SIGTERM under load ends an agent in an orderly way and in time, and producers carry on with its successor; a
second signal ends it at once.
Method: signals while the oracle's producers write.
"""
import signal
import time

import lib

TIMEOUT_MS = 10_000


def test():
    for store in lib.STORES:
        agent = lib.Agent(store, shutdown_timeout_ms=TIMEOUT_MS).start()
        run = lib.Oracle(agent.brokers, "--topics", 2, "--producers", 30, "--records", 1000, "--rate", 150, "--require-all")
        run.wait_for_load()
        time.sleep(1.5)
        code, took_s = agent.terminate(within_s=TIMEOUT_MS / 1000 + 2)
        lib.check(run.is_running(), f"{store}: SIGTERM under load")
        lib.check(code == 0, f"{store}: exit code {code} after {took_s:.2f} s")
        lib.check(took_s <= TIMEOUT_MS / 1000 + 0.5, f"{store}: within YAKS_SHUTDOWN_TIMEOUT_MS")
        agent.start()
        run.must_pass(f"{store}: producers carried on after the restart")

        run = lib.Oracle(agent.brokers, "--producers", 30, "--records", 1000, "--rate", 150)
        run.wait_for_load()
        start = time.monotonic()
        for _ in range(50):  # until it is gone: the first may have been enough
            if agent.process.poll() is not None:
                break
            agent.process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        lib.wait_until("the agent is gone after further signals", 2, lambda: agent.process.poll() is not None)
        lib.check(True, f"{store}: gone {time.monotonic() - start:.2f} s after the first of several signals")
        agent.start()
        run.must_pass(f"{store}: and that lost nothing either")
        agent.stop()


lib.main(test)

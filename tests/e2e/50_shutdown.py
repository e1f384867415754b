#!/usr/bin/python3
"""Goal: SIGTERM under load ends an agent in an orderly way and in time, and producers carry on with its successor; a
second signal ends it at once.
Method: signals while the oracle's producers write; for the second one the S3 server is frozen, so that the first cannot
be enough.
"""
import os
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

        agent.check_objects()
        if store == "embedded":
            agent.stop()
            continue

        # With an S3 server that is frozen the shutdown cannot end by itself: what is buffered is not stored.
        with open(f"{lib.servers()['YAKS_TEST_SERVERS_DIR']}/s3.pid") as file:
            s3 = int(file.read())
        run = lib.Oracle(agent.brokers, "--producers", 30, "--records", 1000, "--rate", 150, "--require-all")
        run.wait_for_load()
        os.kill(s3, signal.SIGSTOP)
        try:
            time.sleep(0.5)  # some records wait for it now
            agent.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            lib.check(agent.is_running(), f"{store}: SIGTERM waits for what is buffered")
            start = time.monotonic()
            code, _ = agent.terminate(within_s=2)
            took_s = time.monotonic() - start
        finally:
            os.kill(s3, signal.SIGCONT)
        lib.check(code != 0, f"{store}: a second signal ends it at once, with exit code {code} after {took_s:.2f} s")
        agent.start()
        run.must_pass(f"{store}: and that lost nothing either")
        agent.stop()


lib.main(test)

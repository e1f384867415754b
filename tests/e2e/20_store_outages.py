#!/usr/bin/python3
"""Goal: an outage of PostgreSQL or S3 delays records, and loses or repeats none.
Method: the oracle's producers write at a fixed rate while PostgreSQL is restarted, and while the S3 server is away for 5 s.
"""
import time

import lib

LOAD = ["--topics", 2, "--producers", 50, "--records", 2000, "--rate", 150, "--consume-timeout", "120s", "--require-all"]


def test():
    agent = lib.Agent("postgres+s3").start()

    def reconnects():
        return lib.total(agent.metrics(), "yaks_metastore_reconnects_total")

    run = lib.Oracle(agent.brokers, *LOAD)
    run.wait_for_load()
    time.sleep(2)
    agent.check_objects()
    before = reconnects()
    lib.server("restart", "postgres")
    lib.check(run.is_running(), "PostgreSQL was restarted under load")
    run.must_pass("PostgreSQL restarted")
    lib.check(reconnects() > before, "the agent had lost its connection, and made a new one")

    run = lib.Oracle(agent.brokers, *LOAD)
    run.wait_for_load()
    time.sleep(2)
    lib.server("stop", "s3")
    time.sleep(2)  # what had been stored before is acknowledged and shown by now
    early = run.acknowledged()
    time.sleep(3)
    late = run.acknowledged()
    lib.server("start", "s3")
    lib.check(run.is_running(), "the S3 server was away for 5 s under load")
    lib.check(early == late, f"nothing was acknowledged that could not be stored: {early} records before, {late} after")
    run.must_pass("S3 stopped for 5 s")

    lib.check(agent.is_running(), "the agent is the same process as before")
    agent.stop()


lib.main(test)

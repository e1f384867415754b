#!/usr/bin/python3
"""Goal: what an agent acknowledges is there, once, in order and intact, on each kind of storage.
Method: 50 idempotent producers write 2,000 records each to 2 topics of 3 partitions; the oracle reads all of it.
Then plain producers with compressed batches, and the whole log once more from a restarted agent, whose cache is empty.
"""
import lib


def test():
    for store in lib.STORES:
        agent = lib.Agent(store).start()
        run = lib.Oracle(agent.brokers, "--topics", 2, "--partitions", 3, "--producers", 50, "--records", 2000,
                         "--consume-timeout", "120s", "--require-all")
        run.must_pass(f"{store}, 50 producers")
        agent.check_objects()
        for codec in ("gzip", "snappy", "lz4", "zstd"):
            lib.Oracle(agent.brokers, "--no-idempotence", "--producers", 5, "--records", 400, "--require-all", "-X",
                       f"compression.codec={codec}").must_pass(f"{store}, plain producers, {codec}")
        agent.stop()
        agent.start()
        lib.Oracle(agent.brokers, "--verify-only", run.data_dir).must_pass(f"{store}, read again after a restart")
        agent.stop()


lib.main(test)

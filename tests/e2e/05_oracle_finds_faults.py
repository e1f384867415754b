#!/usr/bin/python3
"""Goal: the oracle is no yes-man: a history that contradicts the log makes it fail, under the right invariant.
Method: a good run on an embedded agent; then one lie at a time is written into a copy of its ledger, or into a topic,
and the run is checked again. --brokers HOST:PORT takes another cluster instead (Apache Kafka, for instance).
"""
import os
import shutil
import sqlite3
import subprocess
import sys

import lib

LIES = {
    # A lost record looks the same as one that was acknowledged where nothing is.
    "completeness": ["update outcomes set offset = 1000000 where rowid = 17"],
    "no phantoms": ["update outcomes set outcome = 'not_stored' where rowid = 17", "delete from outcomes where rowid = 17"],
    "no duplicate offsets": ["update outcomes set (topic, partition, offset) = (select topic, partition, offset from "
                             "outcomes where rowid = 18) where rowid = 17"],
    "data integrity": ["update outcomes set checksum = checksum + 1 where rowid = 17"],
}


def test():
    if len(sys.argv) == 3 and sys.argv[1] == "--brokers":
        brokers = sys.argv[2]
    else:
        brokers = lib.Agent().start().brokers
    good = lib.Oracle(brokers, "--topic-prefix", f"faults-{os.getpid()}", "--require-all")
    good.must_pass("a good run")

    def again(folder, *arguments):
        return lib.Oracle(brokers, "--verify-only", folder, "--consume-timeout", "2s", *arguments, quiet=True).finish()

    code, _ = again(good.data_dir)
    lib.check(code == 0, "the same ledger is good when it is read again")
    for invariant, lies in LIES.items():
        for lie in lies:
            copy = good.data_dir + "-copy"
            shutil.copytree(good.data_dir, copy)
            with sqlite3.connect(copy + "/ledger.db") as ledger:
                changed = ledger.execute(lie).rowcount
            ledger.close()
            code, result = again(copy)
            broken = [one["name"] for one in result["invariants"] if one["violations"]]
            lib.check(changed == 1 and code == 1 and invariant in broken, f"found: {lie}  ({', '.join(broken)})")
            shutil.rmtree(copy)

    subprocess.run(["kcat", "-b", brokers, "-t", f"faults-{os.getpid()}-0", "-p", "0", "-P"], input=b"a stranger's record\n",
                   check=True)
    code, result = again(good.data_dir)
    broken = [one["name"] for one in result["invariants"] if one["violations"]]
    lib.check(code == 1 and broken == ["no phantoms"], "found: a stranger's record in the topic")


lib.main(test)

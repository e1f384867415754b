#!/usr/bin/python3
"""Goal: a consumer at the end of a partition causes no SQL statement and no GET, however often it fetches.
Method: records are produced at a steady rate for a while without consumers, then for as long with consumers that read them
as they come. PostgreSQL's own count of statements (pg_stat_statements), the agent's count of calls to it and of GETs must
not grow with the number of fetches.
"""
import subprocess
import time

import lib

CONSUMERS = 16
SECONDS = 8
RECORDS_PER_S = 20
TOPIC = "tail"


def kcat(agent, *arguments, **more):
    return subprocess.Popen(["kcat", "-b", agent.brokers, "-t", TOPIC, *arguments], **more)


def produce_for_a_while(agent):
    """Records one by one, each acknowledged about at once; returns how many."""
    producer = kcat(agent, "-P", "-p", "0", "-X", "linger.ms=0", stdin=subprocess.PIPE)
    start, sent = time.monotonic(), 0
    while time.monotonic() - start < SECONDS:
        producer.stdin.write(b"record %d\n" % sent)
        producer.stdin.flush()
        sent += 1
        time.sleep(max(0, start + sent / RECORDS_PER_S - time.monotonic()))
    producer.stdin.close()
    if producer.wait(30) != 0:
        lib.fail("kcat could not produce")
    return sent


def counts(agent):
    metrics = agent.metrics()
    admin = lib.servers()["YAKS_TEST_POSTGRES_ADMIN"]
    database = agent.settings["YAKS_DB_NAME"]
    statements = lib.sql("select coalesce(sum(calls), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid "
                         f"where d.datname = '{database}'", admin)
    return {"statements": float(statements[0][0]),
            "calls": lib.total(metrics, "yaks_metastore_calls_total"),
            "gets": lib.total(metrics, "yaks_fetch_s3_downloads_total"),
            "fetches": lib.total(metrics, "yaks_requests_total", api="Fetch")}


def test():
    agent = lib.Agent("postgres+s3").start()
    lib.sql("create extension if not exists pg_stat_statements", lib.servers()["YAKS_TEST_POSTGRES_ADMIN"])
    warm_up = kcat(agent, "-P", "-p", "0", stdin=subprocess.PIPE)  # creates the topic
    warm_up.communicate(b"first\n", timeout=30)

    def grown(before):
        after = counts(agent)
        return {name: after[name] - before[name] for name in after}

    before = counts(agent)
    sent_alone = produce_for_a_while(agent)
    alone = grown(before)

    outputs = [open(f"{lib.work_dir()}/consumer-{i}", "w+b") for i in range(CONSUMERS)]
    consumers = [kcat(agent, "-C", "-p", "0", "-o", "end", "-u", "-q", stdout=out) for out in outputs]
    lib.wait_until("the consumers are there", 15,
                   lambda: lib.total(agent.metrics(), "yaks_connections") >= CONSUMERS)
    time.sleep(1)
    before = counts(agent)
    sent_watched = produce_for_a_while(agent)
    watched = grown(before)

    def read():
        return [out.seek(0) or out.read().count(b"\n") for out in outputs]
    lib.wait_until("each consumer has read everything", 10, lambda: min(read()) >= sent_watched)
    for consumer in consumers:
        consumer.terminate()
        consumer.wait()

    lib.say(f"      {sent_alone} records without consumers: {alone}")
    lib.say(f"      {sent_watched} records with {CONSUMERS} consumers: {watched}")
    agent.check_objects()
    lib.check(alone["statements"] > 0 and alone["calls"] > 0, "appends are seen by both counts of statements")
    fetches = watched["fetches"] - alone["fetches"]
    # Records arrive by flushes, about four a second: each wakes every consumer once.
    lib.check(fetches >= CONSUMERS * 10, f"{CONSUMERS} consumers fetched {fetches:.0f} times")
    lib.check(watched["gets"] == 0, "no GET")
    for what in ("statements", "calls"):
        # Two windows of equal length differ by a poll or two, and appends may fall together differently.
        allowed = 0.1 * alone[what] + 10
        lib.check(watched[what] - alone[what] <= allowed and allowed < 0.1 * fetches,
                  f"{what}: {watched[what] - alone[what]:+.0f} with {fetches:.0f} fetches more, {allowed:.0f} allowed")
    agent.stop()


lib.main(test)

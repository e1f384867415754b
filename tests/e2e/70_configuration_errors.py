#!/usr/bin/python3
"""Goal: an agent that cannot start says why and what to do in a sentence, and exits with a code other than 0.
Method: start agents with one wrong thing each, and look for the words that an operator needs. Secrets must not be printed.
"""
import os
import random
import socket
import subprocess
import tempfile

import lib

SECRET = "hush-hush-9471"


def run_agent(settings, seconds=30):
    base = {"YAKS_BROKER_HOST": "127.0.0.1", "YAKS_BROKER_PORT": str(lib.free_port()), "YAKS_OTEL_ENABLED": "false"}
    process = subprocess.Popen([lib.program("yaks"), "agent"], cwd=lib.work_dir(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env={**lib.clean_environment(), **base, **settings}, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=seconds)
        return process.returncode, out.decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        return None, out.decode(errors="replace")


def refused(what, settings, *words):
    code, output = run_agent(settings)
    missing = [word for word in words if word.lower() not in output.lower()]
    good = code is not None and code > 0 and not missing and SECRET not in output and "terminate called" not in output
    if not good:
        lib.say(output)
        lib.say(f"      exit code {code}{' (still running)' if code is None else ''}, missing words: {missing}")
    said = [line for line in output.splitlines() if words[0].lower() in line.lower()]
    lib.check(good, f"{what}: {said[0] if said else 'nothing was said about it'}")


def test():
    data = {"YAKS_DATA_DIR": tempfile.mkdtemp(dir=lib.work_dir())}

    # Values: the name, the value, what is allowed.
    refused("port that is no number", {**data, "YAKS_BROKER_PORT": "kafka"}, "YAKS_BROKER_PORT", "kafka", "65535")
    refused("port that is too large", {**data, "YAKS_BROKER_PORT": "65536"}, "YAKS_BROKER_PORT", "65536", "65535")
    refused("interval that is too short", {**data, "YAKS_FLUSH_INTERVAL_MS": "0"}, "YAKS_FLUSH_INTERVAL_MS", "0", "1")
    refused("neither true nor false", {**data, "YAKS_AUTO_CREATE_TOPICS": "perhaps"}, "YAKS_AUTO_CREATE_TOPICS", "perhaps",
            "true", "false")
    refused("unknown choice", {**data, "YAKS_DB_SSLMODE": "maybe"}, "YAKS_DB_SSLMODE", "maybe", "verify-full")
    refused("half of a mixed form", {**data, "YAKS_METASTORE": "embedded"}, "YAKS_METASTORE", "YAKS_OBJECT_STORE")
    refused("endpoint that is no URL", {"YAKS_S3_ENDPOINT": "somewhere"}, "YAKS_S3_ENDPOINT", "somewhere")
    refused("two wrong values at once", {**data, "YAKS_NODE_ID": "-1", "YAKS_FLUSH_BYTES": "lots"}, "YAKS_NODE_ID",
            "YAKS_FLUSH_BYTES", "lots")

    # A misspelt variable is reported; the agent starts.
    agent = lib.Agent(flush_intervall_ms=100).start()
    with open(agent.log_path) as log:
        words = log.read()
    lib.check("YAKS_FLUSH_INTERVALL_MS" in words and "YAKS_FLUSH_INTERVAL_MS" in words,
              "a misspelt variable is named, with the one that was perhaps meant")
    lib.check("YAKS_OTEL_ENABLED is not" not in words, "a known one is not")

    # Things outside.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused("taken port", {**data, "YAKS_BROKER_PORT": port}, port, "YAKS_BROKER_PORT")
        refused("taken metrics port", {**data, "YAKS_OTEL_ENABLED": "true", "YAKS_METRICS_PORT": port}, port,
                "YAKS_METRICS_PORT")
    refused("address of another machine", {**data, "YAKS_BROKER_HOST": "203.0.113.1"}, "203.0.113.1", "YAKS_BROKER_HOST")
    refused("data folder of another agent", {"YAKS_DATA_DIR": agent.settings["YAKS_DATA_DIR"]},
            agent.settings["YAKS_DATA_DIR"])
    agent.stop()
    in_the_way = os.path.join(lib.work_dir(), "in-the-way")
    with open(in_the_way, "w"):
        pass
    refused("data folder that cannot be made", {"YAKS_DATA_DIR": in_the_way}, in_the_way)

    bucket = f"yaks-none-{random.getrandbits(40):x}"
    refused("missing bucket", lib.storage_settings("postgres+s3", bucket=bucket, create_bucket=False), bucket,
            "YAKS_S3_CREATE_BUCKET")
    refused("missing schema", lib.storage_settings("postgres+s3", migrate=False), "YAKS_RUN_MIGRATIONS")
    settings = lib.storage_settings("postgres+s3")
    refused("wrong password of the database", {**settings, "YAKS_DB_PASSWORD": SECRET}, settings["YAKS_DB_USER"],
            "password")
    refused("missing database", {**settings, "YAKS_DB_NAME": "yaks_e2e_nowhere"}, "yaks_e2e_nowhere")
    refused("wrong S3 secret", {**settings, "YAKS_S3_SECRET_KEY": SECRET}, "YAKS_S3_SECRET_KEY")


lib.main(test)

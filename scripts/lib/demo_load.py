#!/usr/bin/python3
"""demo_load.py BROKERS TOPIC: two kcats, one that writes 100 records of about 1 KiB a second and one that reads what is new;
so that a page with numbers has some. Either is started again when it ends. SIGTERM ends all three."""
import os
import signal
import subprocess
import sys
import threading
import time

RATE_HZ = 10
RECORDS_EACH = 10
brokers, topic = sys.argv[1:]
clients = {}


def end(number, frame):
    for client in clients.values():
        client.kill()
        client.wait()
    sys.exit(0)


def client(mode, **streams):
    # -E: an outage is no reason to give up.
    return subprocess.Popen(["kcat", "-E", "-q", "-b", brokers, "-t", topic, *mode], **streams)


def drain(stream):
    while stream.read(1 << 16):
        pass


signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
# The consumer would wait for the topic to be there; the producer makes it.
clients["producer"] = client(["-P", "-K", ":"], stdin=subprocess.PIPE)
due = time.monotonic()
number = 0
while True:
    if clients["producer"].poll() is not None:
        clients["producer"] = client(["-P", "-K", ":"], stdin=subprocess.PIPE)
    if number >= RECORDS_EACH * RATE_HZ and ("consumer" not in clients or clients["consumer"].poll() is not None):
        clients["consumer"] = client(["-C", "-o", "end"], stdout=subprocess.PIPE)
        # Through us, so that it ends with us, however we end.
        threading.Thread(target=drain, args=(clients["consumer"].stdout,), daemon=True).start()
    lines = b""
    for _ in range(RECORDS_EACH):
        lines += b"%d:%d %s\n" % (number % 100, number, os.urandom(500).hex().encode())
        number += 1
    try:
        clients["producer"].stdin.write(lines)
        clients["producer"].stdin.flush()
    except BrokenPipeError:
        pass  # it has ended, and a new one follows
    due = max(due + 1 / RATE_HZ, time.monotonic() - 1)
    time.sleep(max(0, due - time.monotonic()))

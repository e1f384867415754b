#!/usr/bin/python3
"""Goal: faults of every kind at random moments cost no acknowledged record, and nothing stays stuck when they stop.
Method: tests/chaos/chaos.py for a minute on each kind of storage, three agents behind nginx where there can be three, with
a new seed each time, which it prints.

  80_chaos.py [--seed N]
"""
import argparse
import os
import random
import subprocess
import sys

CHAOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../chaos/chaos.py")

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=random.getrandbits(30))
seed = str(parser.parse_args().seed)
for store, duration, agents in (("embedded", "45s", ["1"]), ("postgres+s3", "60s", ["3", "--nginx"])):
    code = subprocess.run([CHAOS, "--seed", seed, "--store", store, "--duration", duration, "--agents", *agents]).returncode
    if code != 0:
        sys.exit(code)

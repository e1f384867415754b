"""What the end-to-end tests share: agents, databases, the oracle, checks. Standard library only, /usr/bin/python3.

A test is an executable script whose exit code is its verdict. It works in a temporary folder that is kept when it fails,
and ends every process that it started by its pid. Programs are taken from YAKS_BIN_DIR, else $YAKS_BUILD_DIR/bin, else
build/release/bin; servers from the variables that scripts/README.md describes, else they are started for this test.
"""
import atexit
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STORES = ("embedded", "postgres+s3")
# The soft limit of open files before a test raised its own: what an agent gets, as from a user's shell.
_nofile = resource.getrlimit(resource.RLIMIT_NOFILE)

_processes = []
_at_end = []
_work = None
_failed = False


def say(words):
    print(words, flush=True)


def check(truth, words):
    """One line per thing that was shown; ends the test where it does not hold."""
    say(("ok    " if truth else "FAIL  ") + words)
    if not truth:
        fail()


def fail(words=None):
    global _failed
    _failed = True
    if words:
        say("FAIL  " + words)
    for process in _processes:
        if isinstance(process, Agent):
            process.show_log()
    sys.exit(1)


def work_dir():
    global _work
    if _work is None:
        _work = tempfile.mkdtemp(prefix="yaks-e2e-")
        os.chmod(_work, 0o711)  # PostgreSQL runs as a user of its own
    return _work


@atexit.register
def _clean_up():
    for process in reversed(_processes):
        process.kill()
    for step in reversed(_at_end):
        try:
            step()
        except Exception as error:  # the others still have their turn
            print(f"clean-up: {error}", file=sys.stderr)
    if _work and not _failed:
        shutil.rmtree(_work, ignore_errors=True)
    elif _work:
        print(f"logs are kept in {_work}", file=sys.stderr)


def main(test):
    """Runs the test; whatever ends it early counts as failure and keeps the logs."""
    global _failed
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, frame: sys.exit(128 + n))
    start = time.monotonic()
    try:
        test()
    except SystemExit as end:
        _failed = _failed or bool(end.code)
        raise
    except BaseException:
        _failed = True
        for process in _processes:
            if isinstance(process, Agent):
                process.show_log()
        raise
    say(f"passed in {time.monotonic() - start:.0f} s")


def program(name):
    folder = os.environ.get("YAKS_BIN_DIR")
    if not folder and os.environ.get("YAKS_BUILD_DIR"):
        folder = os.path.join(os.environ["YAKS_BUILD_DIR"], "bin")
    if not folder:
        folder = os.path.join(ROOT, "build/release/bin")
    path = os.path.join(os.path.abspath(folder), name)
    if not os.access(path, os.X_OK):
        sys.exit(f"there is no {path}: build it (cmake --preset release && cmake --build --preset release), "
                 "or set YAKS_BIN_DIR")
    return path


_given_ports = set()


def free_port():
    """Below the kernel's ephemeral range, so that no outgoing connection takes it between now and its use; and no port twice."""
    while True:
        port = random.randrange(23000, 32000)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                _given_ports.add(port)
                return port
            except OSError:
                pass


def wait_until(what, seconds, truth):
    """Polls; a test fails when it is not true in time. Returns the true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = truth()
        if value:
            return value
        if time.monotonic() > deadline:
            fail(f"{what}: not within {seconds} s")
        time.sleep(0.05)


# --- servers -----------------------------------------------------------------------------------------------------------

def servers():
    """The environment of the test servers; starts PostgreSQL and S3 for this test where nobody did."""
    if "YAKS_TEST_SERVERS_DIR" not in os.environ:
        start_servers(os.path.join(work_dir(), "servers"))
    return os.environ


def start_servers(folder):
    """PostgreSQL and S3 of this test alone."""
    say("starting PostgreSQL and an S3 server for this test")
    _at_end.append(lambda: subprocess.run([ROOT + "/scripts/test-servers", "stop", folder, "postgres", "s3"], check=False))
    text = subprocess.run([ROOT + "/scripts/test-servers", "start", folder, "postgres", "s3"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    os.environ.update(_exports(text))


def server(action, name):
    """start, stop or restart of postgres or s3."""
    subprocess.run([ROOT + "/scripts/test-servers", action, servers()["YAKS_TEST_SERVERS_DIR"], name], check=True,
                   stdout=subprocess.DEVNULL)


def _exports(text):
    return dict(part.split("=", 1) for line in text.splitlines() for part in shlex.split(line)[1:])


def sql(statement, conninfo=None):
    """Rows of bare columns."""
    out = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
                          conninfo or servers()["YAKS_TEST_POSTGRES"], "-c", statement],
                         check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL).stdout
    return [line.split("|") for line in out.splitlines()]


def new_database():
    name = f"yaks_e2e_{random.getrandbits(48):x}"
    sql(f"create database {name}")
    _at_end.append(lambda: sql(f"drop database if exists {name} with (force)"))
    return name


def storage_settings(store, migrate=True, bucket=None, create_bucket=True):
    """Settings of an agent on storage of its own that nobody has used."""
    if store == "embedded":
        return {"YAKS_DATA_DIR": tempfile.mkdtemp(prefix="data-", dir=work_dir())}
    database = new_database()
    bucket = bucket or f"yaks-e2e-{random.getrandbits(48):x}"
    text = subprocess.run([ROOT + "/scripts/test-servers", "agent-env", servers()["YAKS_TEST_SERVERS_DIR"], database, bucket],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    settings = _exports(text)
    settings["YAKS_RUN_MIGRATIONS"] = "true" if migrate else "false"
    settings["YAKS_S3_CREATE_BUCKET"] = "true" if create_bucket else "false"
    return settings


# --- programs ----------------------------------------------------------------------------------------------------------

def clean_environment():
    """Ours without anything that could configure an agent or give it credentials."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("YAKS_", "AWS_", "OTEL_"))}


class Agent:
    """An agent on free ports of 127.0.0.1 with its metrics on. start, kill and start again keep storage and ports. `storage`:
    the settings of a storage that other agents use, too."""

    def __init__(self, store="embedded", storage=None, **settings):
        self.store = store
        self.port = free_port()
        self.metrics_port = free_port()
        self.settings = {"YAKS_BROKER_HOST": "127.0.0.1", "YAKS_BROKER_PORT": str(self.port),
                         "YAKS_ADVERTISED_HOST": "127.0.0.1", "YAKS_OTEL_ENABLED": "true",
                         "YAKS_METRICS_PORT": str(self.metrics_port)}
        self.settings.update(storage or storage_settings(store))
        self.settings.update({f"YAKS_{k.upper()}": str(v) for k, v in settings.items()})
        self.brokers = f"127.0.0.1:{self.port}"
        self.log_path = os.path.join(work_dir(), f"agent-{self.port}.log")
        self.process = None
        _processes.append(self)

    def launch(self):
        """Starts the process, and waits for nothing."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([program("yaks"), "agent"], cwd=work_dir(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**clean_environment(), **self.settings},
                                            start_new_session=True, preexec_fn=_reset_limits)

    def start(self, ready_within_s=20):
        self.launch()
        start = time.monotonic()
        while not self.is_ready():
            if self.process.poll() is not None:
                fail(f"the agent on {self.store} ended with {self.process.returncode} before it was ready")
            if time.monotonic() - start > ready_within_s:
                fail(f"the agent on {self.store} was not ready within {ready_within_s} s")
            time.sleep(0.02)
        self.check_metastore()
        return self

    def check_metastore(self):
        """An agent that quietly took other storage than it was told would pass every test of faults that it never met."""
        if self.store == "embedded":
            evidence = any(files for _, _, files in os.walk(self.settings["YAKS_DATA_DIR"]))
            place = self.settings["YAKS_DATA_DIR"]
        else:
            place = "database " + self.settings["YAKS_DB_NAME"]
            try:
                evidence = int(self.sql("select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                                        "where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema)'")[0][0])
            except subprocess.CalledProcessError as error:
                fail(f"the database could not be looked at: {error}")
        if not evidence:
            fail(f"the agent says that it is ready on {self.store}, and its {place} is empty: it uses something else")

    def check_objects(self):
        """The same for records, once there are some."""
        if self.store == "embedded":
            objects = sum(len(files) for _, _, files in os.walk(os.path.join(self.settings["YAKS_DATA_DIR"], "objects")))
        else:
            s = self.settings
            listing = subprocess.run(["curl", "-sf", "--aws-sigv4", f"aws:amz:{s['YAKS_S3_REGION']}:s3", "--user",
                                      f"{s['YAKS_S3_ACCESS_KEY']}:{s['YAKS_S3_SECRET_KEY']}", "-H",
                                      "x-amz-content-sha256: UNSIGNED-PAYLOAD", f"{s['YAKS_S3_ENDPOINT']}/{s['YAKS_S3_BUCKET']}"],
                                     stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
            objects = listing.stdout.count("<Key>") if listing.returncode == 0 else 0
        check(objects > 0, f"the records of the agent on {self.store} are where they belong: {objects} objects or more")

    def sql(self, statement):
        """In the agent's own database."""
        return sql(statement, servers()["YAKS_TEST_POSTGRES"] + f" dbname={self.settings['YAKS_DB_NAME']}")

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, as power failures and the kernel's memory killer do it."""
        if self.is_running():
            self.process.kill()
            self.process.wait()

    def terminate(self, within_s=12):
        """SIGTERM; returns the exit code and how long it took."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            fail(f"the agent on {self.store} did not end within {within_s} s after SIGTERM")
        return code, time.monotonic() - start

    def stop(self):
        code, _ = self.terminate()
        check(code == 0, f"agent on {self.store} exits 0 after SIGTERM")

    def metrics(self):
        """{'name{label="value"}': number}"""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {m[1]: float(m[2]) for m in (re.match(r"([^# ]\S*(?: \S+)*) (\S+)$", line) for line in lines) if m}

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def show_log(self):
        if os.path.exists(self.log_path):
            with open(self.log_path, errors="replace") as log:
                lines = log.readlines()
            say(f"--- the last lines of {self.log_path}")
            for line in lines[-30:]:
                say("    " + line.rstrip())


def _reset_limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, _nofile)


def total(metrics, name, **labels):
    """The sum of a metric's series that carry these labels; fails where there is no such metric, so that a renamed one
    is noticed."""
    wanted = [f'{k}="{v}"' for k, v in labels.items()]
    found = [v for k, v in metrics.items() if k.split("{")[0] == name and all(w in k for w in wanted)]
    if not found:
        fail(f"the agent has no metric {name} {' '.join(wanted)}")
    return sum(found)


class Nginx:
    """A real nginx in front of agents' ports."""

    def __init__(self, ports):
        self.port = free_port()
        self.brokers = f"127.0.0.1:{self.port}"
        self.folder = tempfile.mkdtemp(prefix="nginx-", dir=work_dir())
        _at_end.append(lambda: self._run("stop_nginx"))
        self._run("start_nginx", self.port, *ports)

    def _run(self, function, *arguments):
        script = f"set -euo pipefail; cd {shlex.quote(ROOT)}/scripts/lib; . ./common.sh; . ./packages.sh; . ./nginx.sh; install_nginx; "
        subprocess.run(["bash", "-c", script + shlex.join([function, self.folder, *map(str, arguments)])], check=True,
                       stdin=subprocess.DEVNULL)


class Oracle:
    """A run of yaks-oracle in the background."""

    def __init__(self, brokers, *arguments, quiet=False):
        self.arguments = [str(a) for a in arguments]
        self.data_dir = None
        if "--verify-only" not in self.arguments:
            self.data_dir = tempfile.mkdtemp(prefix="oracle-", dir=work_dir())
            self.arguments += ["--data-dir", os.path.join(self.data_dir, "run")]
            self.data_dir = os.path.join(self.data_dir, "run")
        self.quiet = quiet
        self.log = tempfile.NamedTemporaryFile(prefix="oracle-", suffix=".log", dir=work_dir(), delete=False)
        self.out = tempfile.TemporaryFile(dir=work_dir())
        self.process = subprocess.Popen([program("yaks-oracle"), "--brokers", brokers, "--json", *self.arguments],
                                        stdout=self.out, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env=clean_environment(), start_new_session=True)
        _processes.append(self)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_running(self):
        return self.process.poll() is None

    def acknowledged(self):
        """As its last line of progress says; there is one per second."""
        with open(self.log.name) as log:
            counts = re.findall(r" (\d+) acknowledged", log.read())
        return int(counts[-1]) if counts else 0

    def wait_for_load(self, seconds=30):
        """Until records are being acknowledged."""
        def loaded():
            if not self.is_running():
                self.finish()
                fail("the oracle ended before there was any load")
            return self.acknowledged() > 0
        wait_until("the oracle's records are acknowledged", seconds, loaded)

    def finish(self, timeout_s=600):
        """Waits for the end; returns the exit code and the result (None where there is none)."""
        code, result = self.wait_for_end(timeout_s)
        if code is None:
            self._show_log()
            fail(f"the oracle did not end within {timeout_s} s")
        if code != 0 and not self.quiet:
            self.show_result(result)
        return code, result

    def wait_for_end(self, timeout_s):
        """The same for threads: None where it does not end in time."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None, None
        self.out.seek(0)
        text = self.out.read().decode()
        return code, json.loads(text) if text.strip() else None

    def show_result(self, result):
        self._show_log()
        if result:
            say(json.dumps({k: v for k, v in result.items() if k != "invariants"}, indent=2))
            for one in result["invariants"]:
                if one["violations"]:
                    say(f"    {one['name']}: {one['violations']} violations")
                    for words in one["first"]:
                        say("        " + words)

    def must_pass(self, what):
        code, result = self.finish()
        words = f"{what}: oracle exit code {code}"
        if result:
            words += (f", {result['acknowledged']} of {result['requested']} acknowledged, {result['unknown']} unknown, "
                      f"{result['produce_seconds']:.1f} s produce, {result['consume_seconds']:.1f} s consume")
        check(code == 0, words)
        return result

    def _show_log(self):
        with open(self.log.name, errors="replace") as log:
            for line in log.readlines()[-15:]:
                say("    " + line.rstrip())

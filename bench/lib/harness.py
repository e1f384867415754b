"""What the benchmark scripts share: servers, processes and their processor time, metrics, tables.

Every server runs on a free port of 127.0.0.1, with its data in one temporary folder that is removed at the end, and is
ended by the pid that was noted when it started.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
GIB = 1024**3
MIB = 1024**2


class Failed(Exception):
    """A sentence for the user."""


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def note(text):
    print(f"    {text}", file=sys.stderr, flush=True)


def parser(description):
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="a smaller run of about a minute: noisier figures")
    p.add_argument("--json", metavar="FILE", help="write the results there too")
    p.add_argument("--build-dir", metavar="DIR", default=str(ROOT / "build/release"),
                   help="where the programs are, in bin/ (default: build/release)")
    p.add_argument("--agent", metavar="FILE", help="the agent to measure (default: bin/yaks of the build folder)")
    p.add_argument("--no-build", action="store_true", help="take the programs as they are")
    p.add_argument("--keep", action="store_true", help="keep the folder with the servers' data and logs")
    return p


def run_script(body, arguments):
    """Runs body(bench, arguments); a failure or an interrupt still ends the servers."""
    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        with Bench(arguments) as bench:
            results = body(bench, arguments)
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
            say(f"results are in {arguments.json}")
        return 0
    except Failed as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def table(heads, rows):
    """Prints a Markdown table, aligned, so that it can be pasted."""
    cells = [[f"{c:.2f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(len(r[i]) for r in [heads] + cells) for i in range(len(heads))]
    def line(row):
        return "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |"
    print(line(heads))
    print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    for row in cells:
        print(line(row))
    print(flush=True)


# --- processor time and memory ------------------------------------------------------------------------------------------


def _stat(pid):
    # The name may hold spaces and parentheses: fields are counted from the last ')'.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return {"ppid": int(fields[1]), "own": (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND,
            "ended_children": (int(fields[13]) + int(fields[14])) / TICKS_PER_SECOND}


def processes_below(pid):
    """The pid and its living descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = _stat(entry.name)["ppid"]
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


def cpu_seconds(pid):
    """User and system time of a server: its own, that of its living descendants, and of those that have ended."""
    total = 0.0
    for p in processes_below(pid):
        with contextlib.suppress(OSError):
            s = _stat(p)
            total += s["own"] + s["ended_children"]
    return total


def fine_cpu_seconds(pid):
    """The same without ended children and threads, but in nanoseconds instead of ticks: for short measurements."""
    total = 0
    for p in processes_below(pid):
        with contextlib.suppress(OSError):  # it may end meanwhile
            for task in Path(f"/proc/{p}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def machine():
    """(busy, all) processor seconds so far, of everything on this machine."""
    fields = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


class Cpu:
    """Seconds of several servers between two moments: Cpu(agent=pid, postgres=pid) … .since()."""

    def __init__(self, measure=cpu_seconds, **pids):
        self._measure, self._pids = measure, pids
        self._start = {name: measure(pid) for name, pid in pids.items()}

    def since(self):
        return {name: self._measure(pid) - self._start[name] for name, pid in self._pids.items()}


# --- ports and processes --------------------------------------------------------------------------------------------------


_drawn = set()


def free_port():
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        # Below the range from which the kernel takes ports for outgoing connections, where another bind would lose it.
        port = 22000 + port % 10000
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _drawn:
            _drawn.add(port)
            return port


def accepts(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A server that is ended when its bench ends."""

    def __init__(self, name, command, log, env=None):
        self.name, self.log = name, Path(log)
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                          env=env, start_new_session=True)
        self.pid = self.popen.pid

    def wait_ready(self, is_ready, seconds=30):
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self.popen.poll() is not None:
                raise Failed(f"{self.name} ended before it was ready:\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} was not ready after {seconds} s:\n{self.log_end()}")
            time.sleep(0.002)

    def log_end(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def stop(self, seconds=12):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                note(f"{self.name} did not end within {seconds} s: killing it")
                self.popen.kill()
                self.popen.wait()


class Agent(Process):
    def __init__(self, name, command, log, env, port, metrics_port):
        super().__init__(name, command, log, env)
        self.port, self.metrics_port = port, metrics_port
        self.brokers = f"localhost:{port}"

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def metrics(self):
        """{name{labels}: value}, as in the Prometheus text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        values = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values


def metric(values, name, **labels):
    """The sum of a metric over the label sets that have these labels."""
    total = 0.0
    for key, value in values.items():
        base, _, rest = key.partition("{")
        have = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if base == name and all(have.get(k) == v for k, v in labels.items()):
            total += value
    return total


class Bench:
    """The temporary folder, the programs and the servers of one run."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.bin = Path(arguments.build_dir) / "bin"
        self.agent_program = Path(arguments.agent) if arguments.agent else self.bin / "yaks"
        self.processes = []
        self.servers_started = False
        self.kafka_started = []

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="yaks-bench-"))
        # PostgreSQL runs as a user of its own where we are root, and must pass through.
        self.folder.chmod(0o755)
        self.servers = self.folder / "servers"
        return self

    def __exit__(self, kind, *_):
        for p in reversed(self.processes):
            p.stop()
        for folder in self.kafka_started:
            self._bash(f'stop_kafka "{folder}"')
        if self.servers_started:
            subprocess.run([ROOT / "scripts/test-servers", "stop", self.servers], stdin=subprocess.DEVNULL, check=False)
        if self.arguments.keep:
            say(f"data and logs are in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- programs

    def build(self, *targets):
        """Builds what is measured and what measures it."""
        if self.arguments.no_build:
            missing = [t for t in targets if not (self.bin / t).exists()]
            if missing:
                raise Failed(f"not built: {', '.join(missing)} (in {self.bin}); run without --no-build")
            return
        say(f"building {', '.join(targets)}")
        build_dir = Path(self.arguments.build_dir)
        log = self.folder / "build.log"
        with open(log, "wb") as out:
            commands = [["cmake", "--build", build_dir, "--parallel", str(os.cpu_count()), "--target", *targets]]
            if build_dir == ROOT / "build/release":
                commands.insert(0, ["cmake", "-S", ROOT, "--preset", "release"])
            for command in commands:
                if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT).returncode:
                    raise Failed("the build failed:\n" + "\n".join(log.read_text().splitlines()[-20:]))

    def load(self, mode, brokers, topic, wait=True, **options):
        """Runs bench_load; answers what it printed, or the process where the caller does not wait."""
        command = [str(self.bin / "bench_load"), mode, "--brokers", brokers, "--topic", topic]
        for name, value in options.pop("properties", {}).items():
            command += ["--set", f"{name}={value}"]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return load_result(running) if wait else running

    # --- servers

    def _bash(self, script, **env):
        source = "".join(f'source "{ROOT}/scripts/lib/{f}.sh"; ' for f in ("common", "packages", "servers", "kafka"))
        done = subprocess.run(["bash", "-c", f"set -euo pipefail; {source}{script}"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, env=os.environ | env)
        if done.returncode:
            raise Failed(f"could not run: {script}")
        return done.stdout

    def start_postgres(self, conf=""):
        say("starting PostgreSQL")
        self.servers_started = True
        env = os.environ | {"YAKS_TEST_POSTGRES_CONF": conf}
        done = subprocess.run([ROOT / "scripts/test-servers", "start", self.servers, "postgres"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, env=env)
        if done.returncode:
            raise Failed("PostgreSQL did not start")
        self.postgres_port = int(re.search(r"postgres_port=(\d+)", (self.servers / "ports").read_text())[1])
        self.postgres_pid = int((self.servers / "postgres.pid").read_text())

    def sql(self, statement, database="postgres"):
        """Rows as lists of text, asked by the superuser."""
        done = subprocess.run(["/usr/lib/postgresql/15/bin/psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h",
                               "127.0.0.1", "-p", str(self.postgres_port), "-U", "postgres", "-d", database, "-c", statement],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=os.environ | {"PGPASSWORD": "yaks"})
        if done.returncode:
            raise Failed(f"PostgreSQL refused: {statement}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def create_database(self, name):
        self.sql(f"create database {name} owner yaks")
        return name

    def start_s3(self):
        """versitygw, with its cheaper ETag: the figures are about the agent, and 1 CPU-second per GiB is saved for it."""
        say("starting versitygw")
        self._bash("install_versitygw")
        tools = Path(os.environ.get("YAKS_TOOLS_DIR", Path.home() / ".cache/yaks-tools"))
        self.s3_port = free_port()
        data = self.folder / "s3-data"
        data.mkdir()
        server = Process("versitygw",
                         [tools / "bin/versitygw", "--port", f"127.0.0.1:{self.s3_port}", "--region", "us-east-1",
                          "--virtual-domain", "localhost", "--keep-alive", "--quiet", "--health", "/health",
                          "posix", "--data-integrity-etag", data],
                         self.folder / "s3.log", os.environ | {"ROOT_ACCESS_KEY": "test", "ROOT_SECRET_KEY": "test"})
        self.processes.append(server)
        server.wait_ready(lambda: accepts(self.s3_port))
        self.s3_pid = server.pid

    def start_agent(self, embedded=False, s3_port=None, database="yaks", **settings):
        """An agent with metrics, with PostgreSQL and S3 as started here or embedded; settings without YAKS_."""
        if not self.agent_program.exists():
            raise Failed(f"there is no agent at {self.agent_program}: build it, or name one with --agent")
        port, metrics_port = free_port(), free_port()
        env = {k: v for k, v in os.environ.items() if not k.startswith("YAKS_")}
        mine = {"BROKER_PORT": port, "OTEL_ENABLED": "true", "METRICS_PORT": metrics_port}
        if embedded:
            mine["DATA_DIR"] = self.folder / f"data-{port}"
        else:
            mine |= {"DB_HOST": "127.0.0.1", "DB_PORT": self.postgres_port, "DB_USER": "yaks", "DB_PASSWORD": "yaks", "DB_NAME": database,
                     "RUN_MIGRATIONS": "true", "S3_ENDPOINT": f"http://127.0.0.1:{s3_port or self.s3_port}", "S3_REGION": "us-east-1",
                     "S3_ACCESS_KEY": "test", "S3_SECRET_KEY": "test", "S3_BUCKET": f"bench-{port}", "S3_CREATE_BUCKET": "true"}
        for name, value in (mine | settings).items():
            env[f"YAKS_{name}"] = str(value)
        started = time.monotonic()
        settings = {k: v for k, v in env.items() if k.startswith("YAKS_")}
        agent = Agent("the agent", [self.agent_program, "agent"], self.folder / f"agent-{port}.log", env, port, metrics_port)
        agent.settings = settings
        self.processes.append(agent)
        agent.wait_ready(agent.is_ready)
        agent.ready_ms = (time.monotonic() - started) * 1000
        return agent

    def start_delay_proxy(self, delay_ms):
        """In front of the S3 server; answers its port."""
        port = free_port()
        proxy = Process("the delay proxy", [self.bin / "bench_delay_proxy", "--listen", f"127.0.0.1:{port}", "--upstream",
                                            f"127.0.0.1:{self.s3_port}", "--delay-ms", str(delay_ms)], self.folder / "proxy.log")
        self.processes.append(proxy)
        proxy.wait_ready(lambda: "ready" in proxy.log.read_text())
        return port

    def nginx(self, function, *arguments):
        """start_nginx DIR PORT AGENT_PORT... or stop_nginx DIR."""
        self._bash(f'source "{ROOT}/scripts/lib/nginx.sh"; install_nginx; {function} ' + " ".join(f'"{a}"' for a in arguments))

    def start_kafka(self):
        """Apache Kafka 4.3.1, one node; answers (bootstrap address, pid)."""
        say("starting Apache Kafka")
        port = free_port()
        folder = self.folder / f"kafka-{port}"
        self.kafka_started.append(folder)
        # 127.0.0.1 is what it advertises: librdkafka then knows that both addresses are one broker.
        self._bash(f'install_kafka; start_kafka "{folder}" {port}')
        return f"127.0.0.1:{port}", int((folder / "kafka.pid").read_text())

    def kafka_jars(self):
        self._bash("install_kafka")
        return Path(os.environ.get("YAKS_TOOLS_DIR", Path.home() / ".cache/yaks-tools")) / "kafka-server-jars"


def load_result(running):
    out, errors = running.communicate()
    if running.returncode:
        raise Failed(f"the load failed: {errors.strip()[-2000:]} {out.strip()}")
    return json.loads(out) if out.strip() else {}

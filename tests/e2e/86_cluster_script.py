#!/usr/bin/python3
"""Goal: scripts/cluster keeps what it prints. Its lines for kcat and for killing an agent work as they stand, Ctrl-C leaves no
process and no file, --keep keeps the records, and a taken port is told with its holder and the flag that changes it.
Method: the script itself as a user starts it, on a free port; what it prints is run by a shell.
"""
import os
import re
import signal
import socket
import subprocess
import tempfile
import urllib.request

import lib

SCRIPT = os.path.join(lib.ROOT, "scripts/cluster")
READY_S, STOP_S = 400, 60


class Run:
    def __init__(self, *arguments):
        self.log_path = tempfile.NamedTemporaryFile(prefix="cluster-", suffix=".log", dir=lib.work_dir(), delete=False).name
        environment = {**lib.clean_environment(), "TMPDIR": lib.work_dir()}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([SCRIPT, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, start_new_session=True)
        lib._processes.append(self)

    def text(self):
        with open(self.log_path) as log:
            return log.read()

    def wait_until_ready(self):
        def ready():
            if self.process.poll() is not None:
                lib.fail(f"scripts/cluster ended with {self.process.returncode}:\n{self.text()}")
            return "Ctrl-C stops everything" in self.text()
        lib.wait_until("scripts/cluster is ready", READY_S, ready)
        self.folder = re.search(r"data and logs +(\S+)", self.text())[1]

    def line(self, beginning):
        """A command that it prints."""
        found = [line.strip() for line in self.text().splitlines() if line.strip().startswith(beginning)]
        lib.check(len(found) == 1, f"one line for people begins with '{beginning}': {found}")
        return found[0]

    def interrupt(self):
        processes = of_folder(self.folder)
        lib.check(len(processes) > 5, f"{len(processes)} processes belong to the cluster")
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            lib.fail(f"scripts/cluster did not end within {STOP_S} s after Ctrl-C:\n{self.text()}")
        left = [f"{pid}: {command(pid)}" for pid in processes if os.path.exists(f"/proc/{pid}")]
        lib.check(code == 130 and not left, f"after Ctrl-C it exits {code}, and of its processes are left: {left}")
        forced = [line for line in self.text().splitlines() if "killing it" in line]
        lib.check(not forced, f"each of them ended when it was asked to: {forced}")

    def kill(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(STOP_S)


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def of_folder(folder):
    """Processes that have a file of the cluster's folder open: each writes its log there."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith(folder + "/") for fd in os.listdir(f"/proc/{pid}/fd")):
                found.append(int(pid))
        except OSError:
            pass
    return found


def shell(line):
    return subprocess.run(["bash", "-c", "set -o pipefail; " + line], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        run = subprocess.run([SCRIPT, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = run.stdout
    lib.check(run.returncode == 1 and f"port {port} is taken by" in said and f"(pid {os.getpid()})" in said and "--port " in said,
              f"a taken port: {' '.join(said.split())}")


def as_printed():
    run = Run("--port", lib.free_port(), "--dashboard-port", lib.free_port())
    run.wait_until_ready()
    page = re.search(r"^ +dashboard +(http://localhost:\d+)$", run.text(), re.M)
    with urllib.request.urlopen(page[1], timeout=10) as answer:
        lib.check(answer.status == 200 and b"<title>" in answer.read(), f"the dashboard is on {page[1]}")
    produce, consume, kill = run.line("echo hello"), run.line("kcat "), run.line("kill -9")
    shell(produce)
    got = shell(consume)
    lib.check(got == "hello\n", f"'{produce}' and '{consume}' give {got!r}")
    shell(kill)
    # At once, while the agent is away, and each on a connection that nginx may have given to it.
    for _ in range(5):
        shell(produce)
    got = shell(consume)
    lib.check(got == "hello\n" * 6, f"the same after '{kill}' gives {got!r}")
    lib.wait_until("the killed agent is started again", 60, lambda: "agent-2 is started again" in run.text())
    run.interrupt()
    lib.check(not os.path.exists(run.folder), "its folder is removed")


def keep():
    folder, port = os.path.join(lib.work_dir(), "kept"), lib.free_port()
    for number in (1, 2):
        run = Run("--port", port, "--agents", 2, "--no-load", "--no-dashboard", "--keep", "--data-dir", folder)
        run.wait_until_ready()
        shell(run.line("echo hello"))
        got = shell(run.line("kcat "))
        lib.check(got == "hello\n" * number, f"start {number} with --keep: {got!r}")
        run.interrupt()


def test():
    taken_port()
    as_printed()
    keep()


lib.main(test)

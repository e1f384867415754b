#!/usr/bin/python3
"""Goal: with faults of every kind at random moments, nothing acknowledged is lost, repeated, reordered or damaged, and when
the faults stop, everything comes to its end.
Method: agents, PostgreSQL, an S3 server and librdkafka clients are real processes, with our proxies between them. One run
of the oracle writes from the first fault to the last; beside it short runs write and read, one after the other. Two runners
draw faults from the seed: one for processes, one for connections and disks, so that faults overlap. At the end all faults
stop, and then all producers must succeed, every run's check must hold, buffers must be empty, agents must exit 0 on SIGTERM
and serve the same log again after a start.

  chaos.py [--seed N] [--duration 60s] [--store embedded|postgres+s3] [--faults kill,pause,…] [--agents N [--one-address | --nginx]]
           [--churn] [--set NAME=VALUE]…

With --churn, topics come and go whose records are kept for a second or two, in the same objects as the others: what retention, deletion
and the search for orphans free must never be what somebody else still has.

With --one-address all agents advertise the address of one balancer in front of them, which hands out connections by chance. With
--nginx that is a real nginx, as deploy/nginx.conf.template makes it: faults of links are then between it and the agents.

The same seed draws the same faults; what they meet depends on the machine. Everything is in a folder that is kept when the
run fails. A full disk needs mount(8): where that is not allowed, the fault is skipped, and the report says so.
"""
import argparse
import atexit
import collections
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import lib  # noqa: E402
from proxy import Proxy  # noqa: E402

CONVERGE_S = 90  # from the last fault until everything that was begun is done
PROCESS_FAULTS = {"embedded": ["kill", "stop", "pause"],
                  "postgres+s3": ["kill", "stop", "pause", "pause-postgres", "restart-postgres", "kill-postgres", "pause-s3",
                                  "restart-s3", "kill-s3"]}
LINK_FAULTS = ["cut", "delay", "half-open", "throttle"]
FAULTS = {store: PROCESS_FAULTS[store] + LINK_FAULTS + ["disk-full"] for store in lib.STORES}
_IN_NAMESPACE = "YAKS_CHAOS_MOUNTS"


def seconds(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration: write 90s, 5m or 1h")
    return float(match[1]) * {"m": 60, "h": 3600}.get(match[2], 1)


def enter_namespace():
    """Starts this program again where its mounts are its own: however it ends, they are gone with its last process."""
    if os.environ.get(_IN_NAMESPACE):
        return
    os.environ[_IN_NAMESPACE] = "no"
    if os.geteuid() == 0 and shutil.which("unshare") and subprocess.run(["unshare", "--mount", "true"], check=False,
                                                                        stderr=subprocess.DEVNULL).returncode == 0:
        os.environ[_IN_NAMESPACE] = "yes"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])


class Disk:
    """A small file system at `path`. Raises OSError where mounting is not allowed."""

    def __init__(self, path, size_bytes):
        self.path = path
        os.makedirs(path, exist_ok=True)
        if os.environ.get(_IN_NAMESPACE) != "yes":
            raise OSError("mounting needs root and a mount namespace of its own")
        image = path + ".image"
        with open(image, "wb") as file:
            file.truncate(size_bytes)
        commands = [["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], ["mount", "-o", "loop", image, path]]
        try:
            for command in commands:
                subprocess.run(command, check=True, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            shutil.rmtree(os.path.join(path, "lost+found"))
        except FileNotFoundError as error:
            raise OSError(f"{error.filename} is not installed") from error
        except subprocess.CalledProcessError as error:
            raise OSError(error.stderr.decode().strip()) from error
        self._filler = os.path.join(path, ".filler")
        lib._at_end.append(self._unmount)

    def fill(self, free_bytes):
        """Leaves at most so many bytes; true where a write fails for that reason afterwards."""
        with open(self._filler, "wb", buffering=0) as file:
            stat = os.statvfs(self.path)
            room = stat.f_bavail * stat.f_frsize - free_bytes
            piece = 1 << 20
            while piece >= 4096:
                try:
                    if room < piece:
                        piece //= 2
                        continue
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), piece)
                    room -= piece
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
        probe = os.path.join(self.path, ".probe")
        try:
            with open(probe, "wb", buffering=0) as file:
                os.posix_fallocate(file.fileno(), 0, free_bytes + (1 << 20))
            return False
        except OSError as error:
            return error.errno == errno.ENOSPC
        finally:
            if os.path.exists(probe):
                os.unlink(probe)

    def free(self):
        if os.path.exists(self._filler):
            os.unlink(self._filler)

    def _unmount(self):
        self.free()
        if lib._failed:  # the data are evidence, and gone with the mount
            shutil.copytree(self.path, self.path + ".kept", dirs_exist_ok=True)
        subprocess.run(["umount", "--lazy", self.path], check=False)


class Member(lib.Agent):
    """One of the agents, with a proxy on each of its links."""

    def __init__(self, index, store, storage, seed, settings):
        super().__init__(store, storage=dict(storage), node_id=index, **settings)
        self.index = index
        self.wanted = False       # the supervisor starts it again whenever it has ended
        self.was_ready = False
        self.lock = threading.RLock()
        if self.settings.get("YAKS_GROUPCACHE_ENABLED") == "true":
            self.settings["YAKS_GROUPCACHE_PORT"] = str(lib.free_port())
        self.proxies = [self._link("client", self.port, seed)]
        self.settings["YAKS_ADVERTISED_PORT"] = str(self.proxies[0].port)
        self.brokers = f"127.0.0.1:{self.proxies[0].port}"
        if store == "postgres+s3":
            postgres = self._link("postgres", int(self.settings["YAKS_DB_PORT"]), seed)
            s3 = self._link("s3", int(self.settings["YAKS_S3_ENDPOINT"].rpartition(":")[2]), seed)
            self.s3_endpoint = self.settings["YAKS_S3_ENDPOINT"]
            self.settings["YAKS_DB_PORT"] = str(postgres.port)
            self.settings["YAKS_S3_ENDPOINT"] = f"http://127.0.0.1:{s3.port}"
            self.proxies += [postgres, s3]

    def _link(self, place, upstream, seed):
        return Proxy(f"{place} of agent {self.index}", upstream, lib.free_port(), seed)


class Cluster:
    def __init__(self, chosen):
        self.chosen = chosen
        self.store = chosen.store
        self.happened = collections.Counter()
        self.problems = []         # what fails the run, noted by any thread
        self.exits = []            # agents that ended by themselves before they were ready
        self.over = threading.Event()
        self.skipped = {}
        self.rounds_passed = self.rounds_unstarted = 0
        self.freed = {}            # by (process of an agent, metric)
        self.topics_gone = 0
        self.disk = None
        chance = random.Random(f"{chosen.seed} settings")
        # Limits that an ordinary run never meets, so that pauses and outages pass them here.
        settings = {"log_stale_ms": chance.choice([60000, 5000]), "groupcache_lease_ttl_ms": chance.choice([15000, 3000]),
                    "groupcache_heartbeat_ms": 1000, "upload_deadline_ms": chance.choice([600000, 15000]),
                    "flush_interval_ms": chance.choice([250, 20, 1000]), "snapshot_entries": chance.choice([10000, 100]),
                    "buffer_max_bytes": chance.choice([128 << 20, 1 << 20]),
                    "materialize_interval_ms": chance.choice([20, 100, 1000]),
                    "materialize_chunk_ranges": chance.choice([2, 2, 10])}
        if chosen.churn:
            settings.update({"retention_interval_ms": 500, "delete_grace_ms": chance.choice([60000, 0, 2000]), "sweep_interval_ms": 10000})
        settings.update(chosen.set)
        self.log_stale_ms = int(settings["log_stale_ms"])
        settings["flush_bytes"] = min(5 << 20, int(settings["buffer_max_bytes"]) // 2)  # an agent refuses more than its buffer holds
        lib.say("settings: " + ", ".join(f"{k} {v}" for k, v in settings.items()))
        folder = os.path.join(lib.work_dir(), "storage")
        servers = os.path.join(folder, "servers")
        if "disk-full" in chosen.faults:
            try:
                self.disk = Disk(os.path.join(folder, "data") if self.store == "embedded" else os.path.join(servers, "s3"),
                                 int((128 << 20) + chosen.duration * (2 << 20)))
            except OSError as error:
                self.skipped["disk-full"] = str(error)
                chosen.faults.remove("disk-full")
        if self.store == "embedded":
            storage = {"YAKS_DATA_DIR": os.path.join(folder, "data")}
            os.makedirs(storage["YAKS_DATA_DIR"], exist_ok=True)
        else:
            self._start_servers(servers)
            storage = lib.storage_settings(self.store)
        if chosen.agents > 1:
            settings.update({"groupcache_enabled": "true", "groupcache_advertised_host": "127.0.0.1"})
        self.agents = [Member(i, self.store, storage, chosen.seed, settings) for i in range(chosen.agents)]
        self.brokers = ",".join(agent.brokers for agent in self.agents)
        if chosen.one_address:
            ports = [agent.proxies[0].port for agent in self.agents]
            balancer = lib.Nginx(ports) if chosen.nginx else Proxy("balancer", ports, lib.free_port(), chosen.seed)
            self.brokers = f"127.0.0.1:{balancer.port}"
            for agent in self.agents:
                agent.settings["YAKS_ADVERTISED_PORT"] = str(balancer.port)
        for agent in self.agents:
            agent.start()
            agent.wanted = True
            agent.was_ready = True
        self.threads = []
        atexit.register(self.calm)  # runs before lib ends the processes

    def calm(self):
        """No fault is on any more, and nobody makes another."""
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def _start_servers(self, folder):
        """Our own: servers that other tests use at the same time are not ours to stop."""
        for name in [name for name in os.environ if name.startswith("YAKS_TEST_")]:
            del os.environ[name]
        os.makedirs(folder, exist_ok=True)
        os.chmod(os.path.dirname(folder), 0o711)
        os.chmod(folder, 0o711)
        lib.start_servers(folder)

    # --- processes ---

    def supervise(self):
        """Starts agents again, as a supervisor does, whoever ended them."""
        while not self.over.wait(0.1):
            for agent in self.agents:
                with agent.lock:
                    if not agent.wanted:
                        continue
                    if agent.is_running():
                        agent.was_ready = agent.was_ready or agent.is_ready()
                        continue
                    code = agent.process.returncode
                    words = f"agent {agent.index} ended by itself with {code}, {'after' if agent.was_ready else 'before'} it was ready"
                    lib.say("!     " + words)
                    if agent.was_ready and self.may_have_lost_touch(agent):
                        lib.say("      it was away from the log for longer than it may be, and the log has been trimmed")
                    elif code < 0 or agent.was_ready:
                        self.problems.append(words)
                        shutil.copy(agent.log_path, f"{agent.log_path}.{len(self.problems)}")
                    self.exits.append(words)
                    agent.was_ready = False
                    agent.launch()

    def may_have_lost_touch(self, agent):
        """Faults last longer than what is drawn for YAKS_LOG_STALE_MS, sometimes: then this is an end that is documented."""
        with open(agent.log_path, "rb") as log:
            log.seek(max(0, os.path.getsize(agent.log_path) - 1000))
            return self.log_stale_ms <= 20000 and b"the metadata log no longer holds the entries" in log.read()

    def server_pids(self, name):
        """A server's process and its children."""
        with open(os.path.join(lib.servers()["YAKS_TEST_SERVERS_DIR"], name + ".pid")) as file:
            pid = int(file.read())
        return [pid, *children(pid)]

    def pause_server(self, name, chance):
        pids = self.server_pids(name)
        try:
            signal_all(signal.SIGSTOP, pids[:1])  # it has no more children after that
            pids = self.server_pids(name)
            signal_all(signal.SIGSTOP, pids)
            wait_for(1, lambda: all(state_of(pid) in "TXZ" for pid in pids))
            self.count(f"pause-{name}", is_stopped(pids[0]))
            self.wait(long_or_short(chance))
        finally:
            signal_all(signal.SIGCONT, pids)

    def restart_server(self, name, chance, kill):
        before = self.server_pids(name)
        if kill:
            signal_all(signal.SIGKILL, before[:1])
            # Backends end by themselves when their server is gone; before that, no new one may start. Nor may it while the dead
            # one has not been reaped: it would be taken for alive.
            wait_for(30, lambda: all(state_of(pid) == "X" for pid in before))
        else:
            lib.server("stop", name)
        self.wait(chance.choice([0, 0, 1, 3]))
        for attempt in range(10):
            try:
                lib.server("start", name)
                break
            except subprocess.CalledProcessError:  # on a full disk, perhaps
                if attempt == 9:
                    raise
                time.sleep(1)
        self.count(f"{'kill' if kill else 'restart'}-{name}", self.server_pids(name)[0] != before[0])

    def process_fault(self, name, chance):
        agent = chance.choice(self.agents)
        if name == "pause":
            with agent.lock:
                if not agent.is_running():
                    return
                signal_all(signal.SIGSTOP, [agent.process.pid])
                wait_for(1, lambda: is_stopped(agent.process.pid))
                self.count(name, is_stopped(agent.process.pid))
                try:
                    self.wait(long_or_short(chance))
                finally:
                    signal_all(signal.SIGCONT, [agent.process.pid])
        elif name in ("kill", "stop"):
            # Half of the time in the middle of a start.
            if chance.random() < 0.5:
                wait_for(20, lambda: agent.is_ready() or self.over.is_set())
            with agent.lock:
                if not agent.is_running():
                    return
                was_ready = agent.was_ready or agent.is_ready()
                agent.wanted = False
                if name == "kill":
                    agent.kill()
                    self.count(name, agent.process.returncode == -signal.SIGKILL)
                else:
                    agent.process.send_signal(signal.SIGTERM)
                    try:
                        code = agent.process.wait(15)
                        self.count(name, True)
                        # Before it listens to signals, TERM ends it like any process, and it holds nothing yet.
                        if code != 0 and (was_ready or code != -signal.SIGTERM):
                            self.problems.append(f"agent {agent.index} ended with {code} on SIGTERM under faults")
                    except subprocess.TimeoutExpired:
                        self.problems.append(f"agent {agent.index} did not end within 15 s after SIGTERM under faults")
                        agent.kill()
                self.wait(chance.choice([0, 0, 0.5, 2]))
                agent.was_ready = False
                agent.launch()
                agent.wanted = True
        elif name.startswith("pause-"):
            self.pause_server(name[len("pause-"):], chance)
        else:
            action, _, server = name.partition("-")
            self.restart_server(server, chance, kill=action == "kill")

    # --- connections and disks ---

    def other_fault(self, name, chance):
        if name == "disk-full":
            # Nothing left at all, or enough for some of what is written.
            self.count(name, self.disk.fill(chance.choice([0, 0, 64 << 10, 1 << 20])))
            self.wait(chance.uniform(0.5, 6))
            self.disk.free()
            return
        proxy = chance.choice(chance.choice(self.agents).proxies)
        before = proxy.happened[name]
        length = long_or_short(chance) if name == "half-open" else chance.uniform(0.3, 5)
        if name == "cut":
            proxy.cut(True)
        elif name == "delay":
            proxy.delay(chance.choice([0.005, 0.05, 0.5]))
        elif name == "throttle":
            proxy.throttle(chance.choice([20_000, 200_000, 2_000_000]))
        else:
            proxy.half_open(chance.choice([("up",), ("down",), ("up", "down")]))
        try:
            self.wait(length)
            # What met nobody may still meet somebody, for a while.
            wait_for(3, lambda: proxy.happened[name] > before or self.over.is_set())
        finally:
            proxy.behave()
        if proxy.happened[name] > before:
            self.count(name, True)
            self.happened[f"{name}, {proxy.name.split()[0]}"] += 1

    # --- all ---

    def run_faults(self, names, apply, stream):
        """Draws until the time is over. Like cards: all of them come before one comes again."""
        chance = random.Random(f"{self.chosen.seed} {stream}")
        deck = []
        try:
            while not self.over.is_set():
                if not deck:
                    deck = chance.sample(names, len(names))
                name = deck.pop()
                self.say_fault(name)
                apply(name, random.Random(chance.getrandbits(64)))
                self.wait(chance.choice([0, 0.2, 1, 2]))
        except Exception as error:  # a fault that cannot be made is no fault that was survived
            self.problems.append(f"the fault {name} could not be made: {error!r}")

    def say_fault(self, name):
        if self.chosen.verbose:
            lib.say(f"      {time.monotonic() - self.begun:6.1f} s  {name}")

    def count(self, name, truth):
        if truth:
            self.happened[name] += 1

    def wait(self, length):
        self.over.wait(length)

    def rounds(self, lane):
        """Short runs of the oracle, so that there is reading under faults, too."""
        chance = random.Random(f"{self.chosen.seed} rounds {lane}")
        try:
            while not self.over.is_set():
                extra = ["-X", "compression.codec=" + chance.choice(["none", "gzip", "snappy", "lz4", "zstd"]),
                         "-X", "linger.ms=" + chance.choice(["0", "5", "100"])]
                if chance.random() < 0.2:
                    extra.append("--no-idempotence")
                run = lib.Oracle(self.brokers, "--topics", 1, "--producers", 5, "--records", 100, "--rate", 50,
                                 "--connect-timeout", "60s", "--consume-timeout", "120s", "--produce-timeout", "300s",
                                 "--require-all", "--seed", chance.getrandbits(32), *extra)
                code, result = run.wait_for_end(400)
                if code == 0:
                    self.rounds_passed += 1
                elif code == 2 and run.acknowledged() == 0:
                    # Making its topics is a step that it does not repeat, and a creation that was cut may have happened.
                    self.rounds_unstarted += 1
                else:
                    self.problems.append(f"a short run of the oracle ended with {code} ({' '.join(run.arguments)}; {run.log.name})")
                    run.show_result(result)
        except Exception as error:
            self.problems.append(f"the short runs of the oracle ended: {error!r}")

    def churn(self):
        """Topics whose records are kept for a moment. What is asked for may fail: faults are on."""
        chance = random.Random(f"{self.chosen.seed} churn")
        number = 0

        def yaks(*arguments, lines=""):
            # Not before a start of agents is over, or everything waits for a timeout.
            command = [lib.program("yaks-client"), *arguments, "--brokers", self.brokers, "--timeout-ms", "5000"]
            try:
                return subprocess.run(command, input=lines, text=True, timeout=20, check=False, env=lib.clean_environment(),
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
            except subprocess.TimeoutExpired:
                return False

        try:
            while not self.over.is_set():
                number += 1
                name = f"passing-{number}"
                if not yaks("topics", "create", name, "--partitions", "3", "--config", f"retention.ms={chance.choice([1000, 2000])}"):
                    continue
                for _ in range(chance.choice([2, 5, 10])):
                    if self.over.is_set():
                        return
                    yaks("produce", name, lines="".join(f"{i} {'x' * chance.randrange(500)}\n" for i in range(50)))
                    self.wait(chance.choice([0, 0.2, 1]))
                if chance.random() < 0.7 and yaks("topics", "delete", name):
                    self.topics_gone += 1
        except Exception as error:  # else it would go unseen that nothing came and went
            self.problems.append(f"topics that come and go ended: {error!r}")

    FREED = ("yaks_objects_deleted_total", "yaks_orphans_deleted_total", "yaks_retention_trims_total", "yaks_sweep_passes_total",
             "yaks_snapshots_total")

    def survey(self):
        """Counters end with their process: what each one had counted when it was last seen counts."""
        while not self.over.wait(0.5):
            for agent in self.agents:
                process = agent.process
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{agent.metrics_port}/metrics", timeout=0.5) as answer:
                        text = answer.read().decode()
                except (OSError, ValueError):
                    continue
                for metric in self.FREED:
                    found = re.search(rf"^{metric} (\S+)$", text, re.MULTILINE)
                    if found and process is not None:
                        self.freed[process.pid, metric] = float(found[1])

    def run(self):
        self.begun = time.monotonic()
        duration, faults = self.chosen.duration, self.chosen.faults
        rate = 25
        long_run = lib.Oracle(self.brokers, "--topics", 2, "--producers", 10, "--records", int(rate * duration), "--rate", rate,
                              "--value-bytes", 300, "--connect-timeout", "60s", "--consume-timeout", "120s",
                              "--produce-timeout", "600s", "--require-all", "--seed", self.chosen.seed)
        long_run.wait_for_load()
        readers = [threading.Thread(target=self.rounds, args=(i,), daemon=True) for i in range(2)]
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.supervise, self.survey)]
        if self.chosen.churn:
            self.threads.append(threading.Thread(target=self.churn, daemon=True))
        processes = [f for f in faults if f in PROCESS_FAULTS[self.store]]
        rest = [f for f in faults if f not in processes]
        if processes:
            self.threads.append(threading.Thread(target=self.run_faults, args=(processes, self.process_fault, "processes"), daemon=True))
        if rest:
            self.threads.append(threading.Thread(target=self.run_faults, args=(rest, self.other_fault, "others"), daemon=True))
        for one in [*readers, *self.threads]:
            one.start()
        deadline = time.monotonic() + duration
        while time.monotonic() < deadline and not self.problems and long_run.is_running():
            time.sleep(0.1)
        self.calm()
        ended = time.monotonic()
        if any(thread.is_alive() for thread in self.threads):
            self.problems.append("a fault does not end")
        self.report()
        # Even where something has failed already: whether the rest converges says more about it.
        for agent in self.agents:
            lib.wait_until("agents are ready again when the faults are over", CONVERGE_S, lambda: self.up(agent))
        code, result = long_run.wait_for_end(CONVERGE_S + 60)
        for one in readers:
            one.join(max(1, ended + CONVERGE_S + 60 - time.monotonic()))
        if code is None or any(one.is_alive() for one in readers):
            self.problems.append("the oracle's runs did not come to their end after the faults")
        elif code != 0:
            self.problems.append(f"the long run of the oracle ended with {code}")
            long_run.show_result(result)
        converged = time.monotonic() - ended
        for problem in self.problems:
            lib.say("FAIL  " + problem)
        if self.problems:
            lib.fail()
        lib.check(True, f"long run: {result['acknowledged']} of {result['requested']} records acknowledged and read as promised")
        lib.check(self.rounds_passed > 0, f"short runs: {self.rounds_passed} as promised, {self.rounds_unstarted} could not make their topics")
        lib.check(converged < CONVERGE_S, f"all of it was done {converged:.1f} s after the last fault (of {CONVERGE_S})")
        for agent in self.agents:
            lib.wait_until("buffers are empty", 10, lambda: lib.total(agent.metrics(), "yaks_buffer_bytes") == 0)
            agent.stop()
            agent.start()
        again = lib.Oracle(self.brokers, "--verify-only", long_run.data_dir, "--consume-timeout", "60s")
        again.must_pass("the long run again, after a start of all agents")
        if self.store == "postgres+s3":
            chunks, partitions = self.agents[0].sql("select count(*), count(distinct (topic_id, partition)) from yaks.range_chunks")[0]
            snapshots, entry = self.agents[0].sql("select count(*), coalesce(max(seq), 0) from yaks.snapshots")[0]
            lib.say(f"      of it from the index: {chunks} chunks of {partitions} partitions; {snapshots} snapshots, up to entry {entry}")
        for agent in self.agents:
            agent.stop()

    def up(self, agent):
        """Nobody but us starts agents any more."""
        if not agent.is_running():
            self.exits.append(f"agent {agent.index} ended with {agent.process.returncode}")
            agent.launch()
        return agent.is_ready()

    def report(self):
        lib.say("faults that happened:")
        for name in self.chosen.faults:
            places = [f"{k.split(', ')[1]} {n}" for k, n in sorted(self.happened.items()) if k.startswith(name + ", ")]
            lib.say(f"      {name:<17}{self.happened[name]:4}" + (f"   ({', '.join(places)})" if places else ""))
        for name, why in self.skipped.items():
            lib.say(f"SKIP  {name}: NOT TESTED, {why}")
        freed = ", ".join(f"{name} {sum(n for (_, m), n in self.freed.items() if m == name):.0f}" for name in self.FREED)
        lib.say(f"      beside them: {freed}; {self.topics_gone} topics deleted")
        if self.exits:
            lib.say(f"      agents ended by themselves {len(self.exits)} times")
        if len(self.chosen.faults) == 1 and not self.happened[self.chosen.faults[0]]:
            self.problems.append(f"{self.chosen.faults[0]} was asked for, and never happened")


def setting(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE, like flush_interval_ms=20")
    return name.lower().removeprefix("yaks_"), value


def long_or_short(chance):
    return chance.choice([chance.uniform(0.05, 0.5), chance.uniform(0.5, 3), chance.uniform(3, 8)])


def wait_for(length, truth):
    deadline = time.monotonic() + length
    while not truth() and time.monotonic() < deadline:
        time.sleep(0.02)


def children(pid):
    try:
        found = []
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(one) for one in file.read().split()]
        return found
    except OSError:
        return []


def signal_all(number, pids):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def is_stopped(pid):
    return state_of(pid) == "T"



def test():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.getrandbits(30))
    parser.add_argument("--duration", type=seconds, default=60)
    parser.add_argument("--store", choices=lib.STORES, default="postgres+s3")
    parser.add_argument("--faults", help="names, separated by commas (default: all that the store has)")
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--one-address", action="store_true", help="of all agents: a balancer in front of them")
    parser.add_argument("--nginx", action="store_true", help="the same, and the balancer is a real nginx")
    parser.add_argument("--churn", action="store_true", help="topics come and go meanwhile, and everything that frees space is busy")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of all agents in place of the one that is drawn; may be repeated")
    parser.add_argument("--verbose", action="store_true", help="one line per fault")
    chosen = parser.parse_args()
    chosen.one_address |= chosen.nginx
    known = FAULTS[chosen.store]
    chosen.faults = chosen.faults.split(",") if chosen.faults else list(known)
    for name in chosen.faults:
        if name not in known:
            parser.error(f"there is no fault '{name}' on {chosen.store}: there are {', '.join(known)}")
    if chosen.agents > 1 and chosen.store == "embedded":
        parser.error("the embedded storage has one agent")
    lib.say(f"chaos.py --seed {chosen.seed} --duration {chosen.duration:g}s --store {chosen.store} --agents {chosen.agents} "
            f"{'--nginx ' if chosen.nginx else '--one-address ' if chosen.one_address else ''}--faults {','.join(chosen.faults)}")
    cluster = Cluster(chosen)
    if not chosen.faults:
        lib.say("nothing is left that could be tested")
        sys.exit(77)
    cluster.run()


if __name__ == "__main__":
    enter_namespace()
    lib.main(test)

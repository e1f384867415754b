#!/usr/bin/python3
"""Goal: the dashboard shows what happens: its numbers are those of the clients, any agent shows all of them, and one that has died is seen
to be silent and to vanish with its lease. It asks for its token, loads nothing from elsewhere, and fits a telephone.
Method: three agents on one PostgreSQL and one bucket behind a real nginx, under a steady load of kcats that count for themselves; the page
in Debian's Chromium, driven by Playwright.

  90_dashboard.py [--picture FILE]     also writes the README's picture
"""
import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import lib
from kafka_client import Client


def tools(function):
    script = f"set -euo pipefail; cd '{lib.ROOT}/scripts/lib'; . ./common.sh; . ./packages.sh; {function}"
    return subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


try:
    from playwright.sync_api import sync_playwright
except ImportError:
    # Not Debian's: it lives in an environment of its own, and so do we from here on.
    python = tools("install_playwright >&2; echo $playwright_python")
    os.execv(python, [python, *sys.argv])

LEASE_S = 5
TOPICS = ("orders", "clicks", "payments")
LINES_A_SECOND = 300  # of each topic
TICK_S = 0.1
LINE_BYTES = 1000
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "ms": 1e-3, "s": 1}


def number(text):
    """"1.5 MiB/s" is 1572864; None where there is no number."""
    found = re.match(r"\$?([\d.]+)\s*([KMGT]iB|[kMGB]|ms|s)?\b", text)
    return float(found[1]) * UNITS[found[2] or ""] if found else None


class Load:
    """Writes lines to topics at a steady pace, and reads them: what it counts is what the page must show."""

    def __init__(self, brokers):
        self.written, self.read = 0, 0
        self.stopping = False
        self.lock = threading.Lock()
        self.latencies = []
        kcat = ["kcat", "-E", "-q", "-b", brokers]
        self.producers = [subprocess.Popen([*kcat, "-P", "-X", "linger.ms=20", "-t", topic], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
                          for topic in TOPICS]
        self.consumers = [subprocess.Popen([*kcat, "-C", "-u", "-o", "beginning", "-t", topic, "-X", "fetch.wait.max.ms=100"],
                                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for topic in TOPICS for _ in range(2)]
        self.threads = [threading.Thread(target=self.write)]
        self.threads += [threading.Thread(target=self.count, args=(c.stdout,), daemon=True) for c in self.consumers]
        for thread in self.threads:
            thread.start()

    def write(self):
        lines = int(LINES_A_SECOND * TICK_S)
        due = time.monotonic()
        while not self.stopping:
            for producer in self.producers:
                producer.stdin.write(b"".join(os.urandom(LINE_BYTES // 2).hex().encode()[:LINE_BYTES - 1] + b"\n" for _ in range(lines)))
                producer.stdin.flush()
            with self.lock:
                self.written += lines * len(self.producers)
            due += TICK_S
            time.sleep(max(0, due - time.monotonic()))

    def count(self, stream):
        while piece := stream.read1(1 << 16):
            with self.lock:
                self.read += piece.count(b"\n")

    def counts(self):
        with self.lock:
            return self.written, self.read

    def stop(self):
        """Ends the writing; everything that was written is acknowledged then."""
        self.stopping = True
        self.threads[0].join()
        for producer in self.producers:
            producer.stdin.close()
            lib.check(producer.wait(60) == 0, "a producer ends with all its records acknowledged")

    def kill(self):
        self.stopping = True
        for client in self.producers + self.consumers:
            client.kill()
            client.wait()


class Latency(threading.Thread):
    """One record after the other, timed by the client."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client, self.seconds, self.stopping = Client(port), [], False
        self.client.create_topic("timed")
        self.start()

    def run(self):
        while not self.stopping:
            began = time.monotonic()
            self.client.produce("timed", b"x" * 40)  # more does not fit kafka_client's batches
            self.seconds.append(time.monotonic() - began)


class Page:
    def __init__(self, browser, port, size=(1280, 860), scheme="light", scale=1):
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, device_scale_factor=scale)
        self.page = self.context.new_page()
        self.origin = f"http://127.0.0.1:{port}"
        self.problems, self.elsewhere = [], []
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.problems.append(str(e)))
        self.page.on("request", lambda r: None if r.url.startswith(self.origin + "/") else self.elsewhere.append(r.url))

    def open(self, name="overview"):
        self.page.goto(f"{self.origin}/#{name}")
        return self

    def tile(self, name):
        box = self.page.locator(f'[data-tile="{name}"]')
        return number(box.locator(".value").inner_text()), number(box.locator(".more").inner_text().replace("p99 ", ""))

    def agents(self):
        """{node: "live" or "silent"}"""
        # In one go: the page makes its cards anew every 2 s.
        return dict(self.page.evaluate("[...document.querySelectorAll('[data-node]')].map((c) => [Number(c.dataset.node), "
                                       "c.querySelector('.pill').textContent])"))

    def topics(self):
        """{topic: cells}"""
        return dict(self.page.evaluate("[...document.querySelectorAll('[data-topic]')].map((r) => [r.dataset.topic, "
                                       "[...r.cells].map((c) => c.textContent)])"))

    def wait(self, what, seconds, truth):
        # Not lib.wait_until's sleep: Playwright's events are handled while it waits.
        deadline = time.monotonic() + seconds
        while not truth():
            if time.monotonic() > deadline:
                lib.fail(f"{what}: not within {seconds} s")
            self.page.wait_for_timeout(100)

    def is_clean(self, what):
        lib.check(not self.problems and not self.elsewhere,
                  f"{what}: nothing in the browser's console, no request to another host {self.problems} {self.elsewhere}")


def close(shown, counted, share):
    return shown is not None and abs(shown - counted) <= share * counted


def numbers(page, load, timed):
    """What tiles say against what the clients have counted in the same seconds."""
    page.open()
    page.wait("the page shows all agents", 20, lambda: "3 agents live" in page.page.locator("#state").inner_text())
    # The page's numbers are of the last 5 to 10 s; a machine that is busy with something else makes clients uneven, so several are taken.
    shown, written, read = [], [], []
    for _ in range(4):
        before, at = load.counts(), time.monotonic()
        page.page.wait_for_timeout(8000)
        seconds = time.monotonic() - at
        written.append((load.counts()[0] - before[0]) / seconds)
        read.append((load.counts()[1] - before[1]) / seconds)
        shown.append((page.tile("Written"), page.tile("Read"), page.tile("Produce latency"), page.tile("End to end"), page.tile("Cache hits")))

    def middle(values):
        return sorted(values)[len(values) // 2]

    own = (len(timed.seconds) / sum(timed.seconds)) if timed.seconds else 0
    wrote, got = middle(written) + own, middle(read)
    lib.check(close(middle([s[0][1] for s in shown]), wrote, 0.15), f"records written a second: {[s[0][1] for s in shown]}, clients say {wrote:.0f}")
    lib.check(close(middle([s[0][0] for s in shown]), wrote * LINE_BYTES, 0.25), f"bytes written: {[s[0][0] for s in shown]}")
    lib.check(close(middle([s[1][1] for s in shown]), got, 0.15), f"records read a second: {[s[1][1] for s in shown]}, clients say {got:.0f}")
    mine = middle(timed.seconds)
    theirs = middle([s[2][0] for s in shown])
    lib.check(mine / 2.5 <= theirs <= mine * 2.5, f"produce latency, median: {theirs * 1e3:.0f} ms, a client says {mine * 1e3:.0f} ms")
    lib.check(all(s[3][0] is not None and s[3][0] < 5 for s in shown), f"end to end: {[s[3][0] for s in shown]} s")
    points = page.page.evaluate("document.querySelectorAll('.u-wrap canvas').length")
    lib.check(points == 8, f"{points} charts are drawn")


def topics(page, load, agent):
    """After the load has ended: exactly what was written."""
    load.stop()
    page.open("topics")
    written = load.counts()[0] // len(TOPICS)

    port = agent.settings["YAKS_CONSOLE_PORT"]

    def records():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/topics", timeout=5) as answer:
            rows = {row[0]: row[2] for row in json.load(answer)["topics"]}
        return [rows.get(topic) for topic in TOPICS]

    page.wait(f"each topic has {written} records", 30, lambda: records() == [written] * len(TOPICS))
    page.wait("and the page shows it", 15, lambda: abs(number(page.topics().get(TOPICS[0], [""] * 3)[2] or "0") / written - 1) < 0.01)
    lib.check(True, f"each topic has the {written} records that were acknowledged, and the page shows {page.topics()[TOPICS[0]][2]}")
    page.page.locator("input[type=search]").fill("click")
    page.wait("a search finds its topic and no other", 10,
              lambda: list(page.topics()) == ["clicks"])
    lib.check(True, "topics can be searched for")


def death(page, agents):
    page.open("agents")
    page.wait("three agents live", 20, lambda: page.agents() == {0: "live", 1: "live", 2: "live"})
    for word in ("eu-1a", "eu-1b", "eu-1c", "0.1.0", "write buffer", "lease", "append"):
        lib.check(word in page.page.locator("#page").inner_text(), f"the agents' page says {word}")
    agents[0].kill()
    at = time.monotonic()
    page.wait("an agent that was killed is silent", 10, lambda: page.agents().get(0) == "silent")
    silent = time.monotonic() - at
    # The lease, the others' next heartbeat, the page's next question.
    page.wait("it vanishes with its lease", LEASE_S + 6, lambda: page.agents() == {1: "live", 2: "live"})
    lib.check(True, f"an agent that was killed was silent after {silent:.1f} s and gone after {time.monotonic() - at:.1f} s, lease {LEASE_S} s")
    agents[0].start()
    page.wait("it is there again", 20, lambda: page.agents() == {0: "live", 1: "live", 2: "live"})
    lib.check(True, "and there again when it was started")


def login(browser, agent):
    port = agent.settings["YAKS_CONSOLE_PORT"]
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/cluster", timeout=5)
        lib.fail("the numbers are given without the token")
    except urllib.error.HTTPError as error:
        lib.check(error.code == 401, f"without the token: {error.code}")
    page = Page(browser, port).open()
    page.page.locator("#login").wait_for()
    page.page.locator("#token").fill("wrong")
    page.page.locator("#login button").click()
    page.wait("a wrong token is refused", 10, lambda: "not the token" in page.page.locator("#login-problem").inner_text())
    page.page.locator("#token").fill(agent.settings["YAKS_CONSOLE_TOKEN"])
    page.page.locator("#login button").click()
    page.wait("the right token shows the page", 20, lambda: "agents live" in page.page.locator("#state").inner_text())
    lib.check(not page.page.locator("#login").is_visible(), "the page asks for its token once")
    page.context.close()


def sizes(browser, port, folder):
    for name in ("overview", "agents", "topics"):
        for size in ((360, 740), (768, 1024), (1440, 900)):
            page = Page(browser, port, size, "dark" if size[0] == 768 else "light").open(name)
            page.wait("the page is there", 20, lambda: "live" in page.page.locator("#state").inner_text() or size[0] < 420)
            page.page.wait_for_timeout(500)
            over = page.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            lib.check(over <= 0, f"{name} fits {size[0]} px")
            if folder:
                page.page.screenshot(path=os.path.join(folder, f"{name}-{size[0]}.png"))
            page.is_clean(f"{name}, {size[0]} px")
            page.context.close()


def test(arguments):
    storage = lib.storage_settings("postgres+s3")
    agents = []
    for i in range(3):
        more = {"console_token": "a secret of this test"} if i == 2 else {}
        agents.append(lib.Agent("postgres+s3", storage=storage, node_id=i, zone=f"eu-1{'abc'[i]}", console_port=lib.free_port(),
                                groupcache_enabled="true", groupcache_port=lib.free_port(), groupcache_advertised_host="127.0.0.1",
                                groupcache_lease_ttl_ms=LEASE_S * 1000, groupcache_heartbeat_ms=1000, **more))
    nginx = lib.Nginx([agent.port for agent in agents])
    for agent in agents:
        agent.settings["YAKS_ADVERTISED_PORT"] = str(nginx.port)
        agent.start()
    setup = Client(agents[0].port)
    for topic in TOPICS:
        setup.create_topic(topic, partitions=6)
    load = Load(nginx.brokers)
    timed = Latency(agents[1].port)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = Page(browser, agents[1].settings["YAKS_CONSOLE_PORT"])
            page.page.wait_for_timeout(15_000)  # of load
            numbers(page, load, timed)
            if arguments.picture:
                page.page.wait_for_timeout(arguments.picture_after * 1000)
                picture = Page(browser, agents[1].settings["YAKS_CONSOLE_PORT"], (1280, 800), "dark", 1.5).open()
                picture.page.locator("[data-minutes='5']").click()
                picture.page.wait_for_timeout(5000)
                picture.page.screenshot(path=arguments.picture)
            page.is_clean("the overview under load")
            timed.stopping = True
            timed.join()
            login(browser, agents[2])
            death(page, agents)
            page.problems.clear()  # a connection that was refused while its agent was dead is none of the page's
            sizes(browser, agents[1].settings["YAKS_CONSOLE_PORT"], arguments.pictures)
            topics(page, load, agents[1])
            browser.close()
    finally:
        timed.stopping = True
        load.kill()


parser = argparse.ArgumentParser()
parser.add_argument("--picture", help="where the README's picture goes")
parser.add_argument("--picture-after", type=int, default=240, help="seconds of load before it is taken")
parser.add_argument("--pictures", help="a folder for pictures of all pages in all sizes")
chosen = parser.parse_args()
lib.main(lambda: test(chosen))

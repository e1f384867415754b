#!/usr/bin/python3
"""Goal: metrics arrive where they are sent: at an OpenTelemetry collector, by OTLP over HTTP in JSON, and at Prometheus; and every panel of
deploy/grafana/yaks.json shows something there.
Method: an agent on PostgreSQL and S3 under load; a collector of ours that checks what it is sent field by field, and is away for a while;
Debian's Prometheus, which is asked each panel's query.
"""
import http.server
import json
import math
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import lib
from kafka_client import Client

GRAFANA = os.path.join(lib.ROOT, "deploy/grafana/yaks.json")


def tools(function):
    script = f"set -euo pipefail; cd '{lib.ROOT}/scripts/lib'; . ./common.sh; . ./packages.sh; {function}"
    return subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Collector(http.server.ThreadingHTTPServer):
    """Keeps what it is sent; refuses it while `away`."""

    def __init__(self):
        self.messages, self.refused, self.away = [], 0, False
        super().__init__(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.away:
            self.server.refused += 1
        else:
            self.server.messages.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(503 if self.server.away else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *words):
        pass


class Load(threading.Thread):
    """One record after the other, each read back. `records`: acknowledged."""

    def __init__(self, port, topic):
        super().__init__(daemon=True)
        self.client, self.topic, self.records, self.stopping = Client(port), topic, 0, False
        self.client.create_topic(topic)
        self.start()

    def run(self):
        while not self.stopping:
            offset = self.client.produce(self.topic, b"x" * 40)
            self.client.fetch(self.topic, offset)
            self.records += 1

    def stop(self):
        self.stopping = True
        self.join()


def points(message, name):
    """{labels: data point} of one metric."""
    (resource,) = message["resourceMetrics"]
    (scope,) = resource["scopeMetrics"]
    (metric,) = [m for m in scope["metrics"] if m["name"] == name] or [None]
    lib.check(metric is not None, f"{name} is sent")
    kind = next(k for k in ("sum", "gauge", "histogram") if k in metric)
    if kind != "gauge":
        lib.check(metric[kind]["aggregationTemporality"] == 2, f"{name} is cumulative")
    return {tuple((a["key"], a["value"]["stringValue"]) for a in p["attributes"]): p for p in metric[kind]["dataPoints"]}, metric


def collector(agent, received, load):
    lib.wait_until("two messages", 20, lambda: len(received.messages) >= 2)
    path, headers, message = received.messages[-1]
    lib.check(path == "/otlp/v1/metrics" and headers["Content-Type"] == "application/json", f"POST {path} as JSON")
    lib.check(headers["X-Team"] == "a b", "with the header of OTEL_EXPORTER_OTLP_HEADERS")
    resource = {a["key"]: a["value"]["stringValue"] for a in message["resourceMetrics"][0]["resource"]["attributes"]}
    for key, value in {"service.name": "yaks", "service.version": "0.1.0", "yaks.node_id": "7", "cloud.availability_zone": "eu-1a",
                       "deployment.environment": "test"}.items():
        lib.check(resource.get(key) == value, f"resource attribute {key} is {resource.get(key)}")
    lib.check(len(resource["service.instance.id"]) == 36 and resource["service.namespace"], "and says which process of which cluster")
    # The same families as a scrape, and no other.
    sent = {m["name"] for m in message["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]}
    with urllib.request.urlopen(f"http://127.0.0.1:{agent.metrics_port}/metrics") as answer:
        scraped = {line.split()[2] for line in answer.read().decode().splitlines() if line.startswith("# TYPE")}
    lib.check(sent == scraped, f"{len(sent)} families, those of a scrape {sent ^ scraped or ''}")
    bounds_before = time.time()
    for _, metric in [points(message, "yaks_request_duration_seconds")]:
        for point in metric["histogram"]["dataPoints"]:
            counts = [int(n) for n in point["bucketCounts"]]
            if len(counts) != len(point["explicitBounds"]) + 1 or sum(counts) != int(point["count"]):
                lib.fail(f"a histogram contradicts itself: {point}")
            if not (int(point["startTimeUnixNano"]) < int(point["timeUnixNano"]) <= bounds_before * 1e9 + 5e9):
                lib.fail(f"the times of a point are odd: {point}")
    lib.check(True, "histograms add up, and their times are in order")
    # While it is away, messages are lost and nothing else.
    received.away = True
    lib.wait_until("a message was refused", 20, lambda: received.refused >= 2)
    received.away = False
    load.stop()
    code, _ = agent.terminate()
    lib.check(code == 0, "the agent ends in order")
    last, _ = points(received.messages[-1][2], "yaks_produce_records_total")
    lib.check(last[(("topic", load.topic),)]["asDouble"] == load.records,
              f"the last message, at the agent's end, has all {load.records} records, whatever was lost before")
    failed, _ = points(received.messages[-1][2], "yaks_otlp_messages_total")
    lib.check(failed[(("outcome", "failed"),)]["asDouble"] == received.refused, f"{received.refused} messages are counted as failed")


class Prometheus:
    def __init__(self, agent):
        self.port = lib.free_port()
        folder = os.path.join(lib.work_dir(), "prometheus")
        os.makedirs(folder)
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as file:
            file.write("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: yaks, static_configs: [{targets: "
                       f"['127.0.0.1:{agent.metrics_port}']}}]}}]\n")
        program = tools("install_prometheus >&2; echo $prometheus")
        with open(os.path.join(folder, "log"), "wb") as log:
            self.process = subprocess.Popen([program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                                             f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ask(self, query):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def is_up(self):
        try:
            return any(float(s["value"][1]) == 1 for s in self.ask("up"))
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def grafana(prometheus, load):
    with open(GRAFANA) as file:
        dashboard = json.load(file)
    panels = [p for p in dashboard["panels"] if p["type"] != "row"]
    lib.check(len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"]), f"{len(panels)} panels, each with an id of its own")
    places = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in dashboard["panels"]]
    lib.check(not any(a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
                      for i, a in enumerate(places) for b in places[:i]), "none lies upon another")
    queries = [(p["title"], t["expr"]) for p in panels for t in p["targets"]]
    variables = {v["name"] for v in dashboard["templating"]["list"]}
    lib.check(variables == {"datasource", "instance"}, "variables are the data source and the agent")

    def shows(query):
        asked = query.replace("$__rate_interval", "30s").replace("$instance", ".*")
        if "$" in asked:
            lib.fail(f"a variable that is not known: {query}")
        return any(math.isfinite(float(series["value"][1])) for series in prometheus.ask(asked))

    for title, query in queries:
        try:
            lib.wait_until(f"{title} shows something: {query}", 40, lambda: shows(query))
        except urllib.error.HTTPError as error:
            lib.fail(f"{title}: Prometheus does not understand {query}: {error.read().decode()}")
    lib.check(True, f"all {len(queries)} queries of {len(panels)} panels show something")
    counted = load.records
    lib.wait_until("Prometheus has counted what the client has", 10,
                   lambda: float(prometheus.ask("sum(yaks_produce_records_total)")[0]["value"][1]) >= counted)
    lib.check(True, f"Prometheus has counted the {counted} records that the client has")


def test():
    received = Collector()
    agent = lib.Agent("postgres+s3", node_id=7, zone="eu-1a", groupcache_heartbeat_ms=1000)
    agent.settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{received.server_address[1]}/otlp",
                       "OTEL_EXPORTER_OTLP_HEADERS": "X-Team=a%20b", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
                       "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    agent.start()
    load = Load(agent.port, "measured")
    prometheus = Prometheus(agent)
    try:
        lib.wait_until("Prometheus scrapes the agent", 30, prometheus.is_up)
        grafana(prometheus, load)
        collector(agent, received, load)
    finally:
        prometheus.stop()


lib.main(test)

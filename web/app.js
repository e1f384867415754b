// The dashboard: asks the agent that serves it for the whole cluster every 2 s, and shows it on three pages. The last hour is in the
// agents' memory; what an agent did that is gone by now is remembered by this page only.
import {Cluster, STAGES} from "./data.js";
import {Chart, Spark, byteSteps, bytes, count, dollars, element, meter, none, perSecond, percent, setText, span, svg, time} from "./view.js";

const POLL_MS = 2000, LOST_AFTER_MS = 7000;
const cluster = new Cluster();
const byId = (id) => document.getElementById(id);
const stored = (where, name) => { try { return where.getItem(name); } catch { return null; } };
const store = (where, name, value) => { try { where.setItem(name, value); } catch { /* private windows may keep nothing */ } };

let minutes = [5, 15, 60].includes(Number(stored(localStorage, "yaks-minutes"))) ? Number(stored(localStorage, "yaks-minutes")) : 15;
let token = stored(sessionStorage, "yaks-token") || "";
let page = null, heardAt = null, problem = "", failures = 0, topics = null;
const stepOf = () => minutes > 15 ? 20 : 5;

// ---- pages ----------------------------------------------------------------------------------------------------------------

const rateOf = (name) => (total) => total[name] / (cluster.step / 1000);
const perHour = (total) => total.dollars / (cluster.step / 1000) * 3600;
const ratioOf = (total) => total.cache_hits + total.cache_misses ? total.cache_hits / (total.cache_hits + total.cache_misses) : null;

class Overview {
  constructor() {
    const quantile = (name, q) => (t) => cluster.quantileOf(t[name], q);
    const tile = (name, color, spark, value, more) => ({name, color, spark, value, more});
    this.tiles = [
      tile("Written", "blue", rateOf("bytes_in"), () => perSecond(bytes)(cluster.rate("bytes_in")),
        () => perSecond(count)(cluster.rate("records_in")).replace("/s", " records/s")),
      tile("Read", "orange", rateOf("bytes_out"), () => perSecond(bytes)(cluster.rate("bytes_out")),
        () => perSecond(count)(cluster.rate("records_out")).replace("/s", " records/s")),
      tile("Produce latency", "violet", quantile("produce", 0.5), () => time(cluster.latency("produce", 0.5)),
        () => "p99 " + time(cluster.latency("produce", 0.99))),
      tile("End to end", "pink", quantile("end_to_end", 0.5), () => time(cluster.latency("end_to_end", 0.5)),
        () => "p99 " + time(cluster.latency("end_to_end", 0.99))),
      tile("Cache hits", "teal", ratioOf, () => percent(cluster.hitRatio()), () => `${count(cluster.rate("gets"))} GET/s`),
      tile("Cost", "green", perHour, () => { const x = cluster.rate("dollars"); return x === null ? none : dollars(x * 3600) + "/h"; },
        () => `storage ${dollars(cluster.storageDollarsPerHour())}/h`),
    ];
    for (const t of this.tiles) {
      t.shown = element("div.value", none);
      t.below = element("div.more");
      t.line = new Spark(t.color);
      t.node = element("section.card.tile", {"data-tile": t.name}, element("div.name", t.name), t.shown, t.below, t.line.node);
    }
    const latencies = (name) => [["p50", 0.5, "violet"], ["p95", 0.95, "pink"], ["p99", 0.99, "orange"]].map(([label, q, color], i) =>
      ({name: label, color, of: quantile(name, q), filled: i === 0}));
    this.charts = [
      new Chart({title: "Bytes", note: "per second", show: bytes, least: 1024, steps: byteSteps,
        lines: [{name: "in", color: "blue", of: rateOf("bytes_in")}, {name: "out", color: "orange", of: rateOf("bytes_out")}]}),
      new Chart({title: "Records", note: "per second", show: count, least: 10,
        lines: [{name: "in", color: "blue", of: rateOf("records_in")}, {name: "out", color: "orange", of: rateOf("records_out")}]}),
      new Chart({title: "Produce latency", hint: "From the arrival of a request to its acknowledgement", show: time, least: 0.01, lines: latencies("produce")}),
      new Chart({title: "End-to-end latency", hint: "From a record's timestamp to a consumer that waits for it", show: time, least: 0.01, lines: latencies("end_to_end")}),
      new Chart({title: "Store requests", note: "per second", show: count, least: 1, lines: [
        {name: "PUT", color: "blue", of: rateOf("puts")}, {name: "GET", color: "orange", of: rateOf("gets")},
        {name: "append", color: "violet", of: rateOf("appends"), filled: false}]}),
      new Chart({title: "Cache hit ratio", hint: "Ranges that this agent or another one had in memory", show: percent, most: 1, lines: [{name: "hits", color: "teal", of: ratioOf}]}),
      new Chart({title: "Cost of requests", hint: "By the YAKS_PRICE_* settings; storage is not in it", show: dollars, least: 0.001, lines: [{name: "per hour", color: "green", of: perHour}]}),
      new Chart({title: "Errors", note: "per second", show: count, least: 1, lines: [{name: "errors", color: "red", of: rateOf("errors")}]}),
    ];
    this.node = element("div.tiles", ...this.tiles.map((t) => t.node));
    this.nodes = [this.node, element("div.charts", ...this.charts.map((c) => c.card))];
  }
  redraw() { for (const c of this.charts) c.make(); }
  show() {
    const {times, totals} = cluster.history(minutes * 60e3);
    for (const t of this.tiles) {
      setText(t.shown, t.value());
      setText(t.below, t.more());
      t.line.set(totals.map((total) => total === null ? null : t.spark(total)));
    }
    for (const c of this.charts) c.set(times, totals);
  }
}

class Agents {
  constructor() {
    this.grid = element("div.agents");
    this.nodes = [this.grid];
  }
  redraw() {}
  show() {
    const cards = [...cluster.agents.map((a) => [a.node, this.card(a)]), ...cluster.silent.map((a) => [a.node, this.silent(a)])];
    this.grid.replaceChildren(...cards.sort((a, b) => a[0] - b[0]).map((c) => c[1]));
  }
  head(a, word, tone) {
    return element("header", element("h3", `Agent ${a.node}`), element("span.where", `${a.host}:${a.port}` + (a.zone ? ` · ${a.zone}` : "")),
      element("span.pill." + tone, word));
  }
  level(name, text, share, tone, label) {
    return element("div.level", element("span", name), element("b", text), meter(share, label || `${name}: ${text}`, tone));
  }
  card(a) {
    const one = [a], fact = (name, text) => element("div", element("dt", name), element("dd", text));
    const stages = STAGES.map((s) => cluster.latency(s, 0.5, one)), whole = stages.reduce((x, y) => x + (y || 0), 0);
    const tones = ["amber", "blue", "violet"], names = ["wait", "PUT", "append"];
    const bar = svg("svg", {class: "meter", width: "100%", height: 10, role: "img",
      "aria-label": names.map((n, i) => `${n} ${time(stages[i])}`).join(", ")}, svg("rect", {class: "rail", width: "100%", height: 10, rx: 3}));
    let from = 0;
    stages.forEach((s, i) => {
      const share = whole ? (s || 0) / whole * 100 : 0;
      bar.append(svg("rect", {class: "fill " + tones[i], x: from.toFixed(2) + "%", width: share.toFixed(2) + "%", height: 10}));
      from += share;
    });
    const left = a.lease.age_s === null ? null : Math.max(a.lease.ttl_s - a.lease.age_s, 0);
    const lag = cluster.lag(a), g = a.gauges;
    return element("article.card.agent", {"data-node": a.node}, this.head(a, a.fresh ? "live" : "log is stale", a.fresh ? "green" : "red"),
      element("dl.facts", fact("version", a.version), fact("uptime", span(a.uptime_s)), fact("connections", count(g.connections)),
        fact("in", perSecond(bytes)(cluster.rate("bytes_in", one))), fact("out", perSecond(bytes)(cluster.rate("bytes_out", one))),
        fact("log lag", lag ? `${count(lag)} ${lag === 1 ? "entry" : "entries"}` : "none"),
        fact("zone", a.zone || none), fact("PUT", perSecond(count)(cluster.rate("puts", one))), fact("cache hits", percent(cluster.hitRatio(one)))),
      this.level("write buffer", `${bytes(g.buffer_bytes)} of ${bytes(g.buffer_bytes_max)}`, g.buffer_bytes / g.buffer_bytes_max,
        g.buffer_bytes > 0.8 * g.buffer_bytes_max ? "red" : "blue"),
      this.level("cache", `${bytes(g.cache_bytes)} of ${bytes(g.cache_bytes_max)}`, g.cache_bytes / g.cache_bytes_max, "teal"),
      this.level("lease", left === null ? none : `${left.toFixed(0)} s of ${a.lease.ttl_s} s left`, left === null ? 0 : left / a.lease.ttl_s,
        left !== null && left < a.lease.ttl_s / 4 ? "red" : "green"),
      element("div", element("div.sub", "flush, median of its stages"), bar,
        element("div.key", ...names.map((n, i) => element("span", element("i." + tones[i]), n + " ", element("b", time(stages[i])))))));
  }
  silent(a) {
    return element("article.card.agent.silent", {"data-node": a.node}, this.head(a, "silent", "red"),
      element("p", `It gives no numbers: ${a.problem}. Where it has died, it is dropped when its lease lapses.`));
  }
}

class Topics {
  constructor() {
    this.input = element("input", {type: "search", placeholder: "Find a topic", "aria-label": "Find a topic"});
    this.input.addEventListener("input", () => { clearTimeout(this.later); this.later = setTimeout(askTopics, 200); });
    this.told = element("p");
    this.body = element("tbody");
    this.columns = [["topic", (r) => r.name, ""], ["partitions", (r) => r.partitions, "wide"], ["records", (r) => r.records, "wide"], ["bytes", (r) => r.bytes, ""],
      ["in", (r) => r.in, ""], ["out", (r) => r.out, ""], ["records in", (r) => r.recordsIn, "wide"], ["records out", (r) => r.recordsOut, "wide"]];
    this.sorted = 3;
    this.down = true;
    this.heads = this.columns.map(([name, , wide], i) => {
      const button = element("button", {type: "button"}, name);
      button.addEventListener("click", () => { this.down = this.sorted === i ? !this.down : i !== 0; this.sorted = i; this.show(); });
      return element("th" + (wide ? "." + wide : ""), {scope: "col"}, button);
    });
    this.nodes = [element("section.card.table", element("div.search", this.input, this.told),
      element("div.scroll", element("table", element("thead", element("tr", ...this.heads)), this.body)))];
  }
  redraw() {}
  show() {
    this.heads.forEach((h, i) => {
      if (i === this.sorted) h.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else h.removeAttribute("aria-sort");
    });
    if (!topics) { setText(this.told, "counting…"); return; }
    const rates = cluster.topicRates(), most = Math.max(...topics.topics.map((t) => t[3]), 1);
    const rows = topics.topics.map(([name, partitions, records, size]) => {
      const [bytesIn, recordsIn, bytesOut, recordsOut] = rates.get(name) || [0, 0, 0, 0];
      return {name, partitions, records, bytes: size, in: bytesIn, out: bytesOut, recordsIn, recordsOut};
    });
    const key = this.columns[this.sorted][1], sign = this.down ? -1 : 1;
    rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.name < b.name ? -sign : sign) * sign);
    const rate = (x, show, wide = "") => element("td" + (x ? "" : ".idle") + wide, x ? show(x) + "/s" : none);
    this.body.replaceChildren(...rows.map((r) => element("tr", {"data-topic": r.name}, element("td", {title: r.name}, r.name),
      element("td.wide", count(r.partitions)), element("td.wide", count(r.records)), element("td", bytes(r.bytes), meter(r.bytes / most, "share of the largest topic")),
      rate(r.in, bytes), rate(r.out, bytes), rate(r.recordsIn, count, ".wide"), rate(r.recordsOut, count, ".wide"))));
    if (!rows.length) this.body.replaceChildren(element("tr", element("td.empty", {colspan: "8"}, topics.total ? "No topic has that in its name." : "There is no topic yet.")));
    setText(this.told, topics.matching > rows.length ? `the ${rows.length} largest of ${count(topics.matching)}` : `${count(topics.matching)} of ${count(topics.total)} topics`);
  }
}

const pages = {overview: Overview, agents: Agents, topics: Topics};
function open() {
  const name = pages[location.hash.slice(1)] ? location.hash.slice(1) : "overview";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  page = new pages[name]();
  byId("page").replaceChildren(...page.nodes);
  if (heardAt) page.show();
  if (name === "topics") { askTopics(); ask(); }
}

// ---- the agent ------------------------------------------------------------------------------------------------------------

async function get(path) {
  const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(6000), headers: token ? {Authorization: "Bearer " + token} : {}});
  if (answer.status === 401) { askToken(); throw new Error("a token is wanted"); }
  if (!answer.ok) throw new Error((await answer.text()).trim() || "status " + answer.status);
  return answer.json();
}
let asking = false;
async function ask() {
  if (asking || byId("login").open) return;
  asking = true;
  try {
    const step = stepOf();
    if (cluster.step !== step * 1000) { cluster.forget(); cluster.step = step * 1000; }
    const answer = await get(`api/cluster?step=${step}&since=${cluster.since()}&topics=${page instanceof Topics ? 1 : 0}`);
    if (stepOf() !== step) return;
    cluster.take(answer);
    heardAt = performance.now();
    problem = "";
    failures = 0;
    document.title = cluster.node === null ? "yaks" : `yaks · ${cluster.agents.length} agents`;
    page.show();
  } catch (error) {
    ++failures;
    problem = error.name === "TimeoutError" ? "no answer in time" : error.message;
  } finally {
    asking = false;
    tell();
  }
}
async function askTopics() {
  if (!(page instanceof Topics) || byId("login").open) return;
  try {
    topics = await get("api/topics?filter=" + encodeURIComponent(page.input.value.trim())) || topics;
    if (page instanceof Topics) page.show();
  } catch (error) { problem = error.message; tell(); }
}

function tell() {
  const state = byId("state"), lost = problem && (heardAt === null ? failures > 1 : performance.now() - heardAt > LOST_AFTER_MS);
  const silent = cluster.silent.length, live = cluster.agents.length;
  state.className = lost || silent ? "bad" : heardAt ? "good" : "";
  setText(state.lastElementChild, lost ? `agent does not answer` : silent ? `${silent} of ${live + silent} agents silent` : heardAt ? `${live} ${live === 1 ? "agent" : "agents"} live` : "connecting…");
  state.title = problem;
  setText(byId("agent-count"), heardAt ? String(live + silent) : "");
  setText(byId("topic-count"), cluster.stored ? count(cluster.stored.topics) : "");
  setText(byId("foot"), heardAt === null ? "" : `Cluster ${cluster.id}, seen by agent ${cluster.node}` + (cluster.stored
    ? ` · ${bytes(cluster.stored.bytes)} in ${count(cluster.stored.records)} records, ${count(cluster.stored.partitions)} partitions` : "")
    + ` · numbers are of the last 5 to 10 seconds, lines of the last ${minutes === 60 ? "hour" : minutes + " minutes"}`);
}

// ---- login, range, colours ------------------------------------------------------------------------------------------------

function askToken() {
  setText(byId("login-problem"), token ? "That is not the token." : "");
  token = "";
  store(sessionStorage, "yaks-token", "");
  if (!byId("login").open) byId("login").showModal();
}
byId("login").addEventListener("cancel", (event) => event.preventDefault());
byId("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = byId("token").value;
  try {
    await get("api/cluster?step=60&since=9007199254740991");
  } catch (error) {
    if (token) setText(byId("login-problem"), error.message);
    return;
  }
  store(sessionStorage, "yaks-token", token);
  byId("token").value = "";
  byId("login").close();
  ask();
  askTopics();
});

const rangeButtons = [...byId("ranges").children];
function showRange() { for (const b of rangeButtons) b.setAttribute("aria-pressed", String(Number(b.dataset.minutes) === minutes)); }
for (const button of rangeButtons)
  button.addEventListener("click", () => {
    minutes = Number(button.dataset.minutes);
    store(localStorage, "yaks-minutes", minutes);
    showRange();
    if (cluster.step === stepOf() * 1000 && heardAt) { page.show(); tell(); }
    else ask();
  });

const system = matchMedia("(prefers-color-scheme: dark)");
let theme = stored(localStorage, "yaks-theme");
function paint() {
  document.documentElement.classList.toggle("dark", theme ? theme === "dark" : system.matches);
  if (page) page.redraw();
}
byId("theme").addEventListener("click", () => {
  theme = document.documentElement.classList.contains("dark") ? "light" : "dark";
  store(localStorage, "yaks-theme", theme);
  paint();
});
system.addEventListener("change", paint);

paint();
showRange();
open();
addEventListener("hashchange", open);
ask();
// Not while nobody looks: an agent that is not asked does not ask the others.
setInterval(() => { if (!document.hidden) ask(); }, POLL_MS);
setInterval(() => { if (!document.hidden) askTopics(); }, 5000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });

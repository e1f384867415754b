// Goal: what the page shows is the sum of what agents say, percentiles included, with agents that come, go and lag. Method: made-up answers.
import assert from "node:assert/strict";
import test from "node:test";
import {COUNTERS, Cluster, LATENCIES, quantile} from "./data.js";

const near = (x, y) => assert.ok(Math.abs(x - y) < 1e-12, `${x} is not ${y}`);
const bounds = [0.001, 0.01, 0.1, 1];
function agent(node, end, points, more = {}) {
  const history = {step_s: 5, points: points.length, end_ms: end};
  for (const name of COUNTERS) history[name] = points.map((p) => p[name] || 0);
  for (const name of LATENCIES) history[name] = points.map((p) => p[name] || []);
  const zero = Object.fromEntries(COUNTERS.map((n) => [n, 0]));
  return {incarnation: "i" + node, node, history, log: {sequence: 10 + node}, gauges: {connections: node},
    now: {seconds: 10, counters: {...zero, records_in: 100 * (node + 1)}, latency: {produce: [node, 10], end_to_end: []}}, topics: [["t", node, 1, 0, 0]], ...more};
}
const answer = (...agents) => ({agents, silent: [], bounds, stored: {bytes: 1e9}, prices: {storage_per_gb_month: 7.3}, node: 0, cluster_id: "c", time_ms: 0});

test("quantiles are interpolated in their bucket", () => {
  assert.equal(quantile([], bounds, 0.5), null);
  near(quantile([0, 10], bounds, 0.5), 0.0055);
  assert.equal(quantile([10, 0, 10], bounds, 0.5), 0.001);
  assert.equal(quantile([0, 0, 0, 0, 5], bounds, 0.99), 1);  // above the last bound
});
test("rates and latencies add up over agents", () => {
  const c = new Cluster();
  c.take(answer(agent(1, 20000, []), agent(0, 20000, [])));
  assert.deepEqual(c.agents.map((a) => a.node), [0, 1]);
  assert.equal(c.rate("records_in"), 30);
  near(c.latency("produce", 0.5), 0.001);  // ten below 1 ms, ten below 10 ms
  assert.equal(c.gauge("connections"), 1);
  assert.equal(c.lag(c.agents[0]), 1);
  assert.equal(c.lag(c.agents[1]), 0);
  assert.deepEqual(c.topicRates().get("t"), [1, 2, 0, 0]);
  near(c.storageDollarsPerHour(), 0.01);
});
test("an agent that knows nothing yet is not zero", () => {
  const c = new Cluster();
  c.take(answer(agent(0, 0, [], {now: null})));
  assert.equal(c.rate("records_in"), null);
  assert.equal(c.hitRatio(), null);
});
test("histories add up, gaps stay gaps, and a dead agent's past stays", () => {
  const c = new Cluster();
  c.take(answer(agent(0, 20000, [{puts: 1}, {puts: 2}, {puts: 3}]), agent(1, 20000, [{puts: 10, produce: [1, 4]}])));
  let h = c.history(20000);
  assert.deepEqual(h.times, [5, 10, 15, 20]);
  assert.deepEqual(h.totals.map((t) => t && t.puts), [null, 1, 2, 13]);
  assert.equal(h.totals[3].produce[1], 4);
  assert.equal(c.since(), 20000);
  c.take(answer(agent(0, 25000, [{puts: 4}])));  // agent 1 is gone
  h = c.history(20000);
  assert.deepEqual(h.totals.map((t) => t && t.puts), [1, 2, 13, 4]);
});
test("one that is a moment behind makes no dip", () => {
  const c = new Cluster();
  c.take(answer(agent(0, 20000, [{puts: 1}, {puts: 1}]), agent(1, 15000, [{puts: 1}])));
  assert.equal(c.newest, 15000);
  assert.equal(c.since(), 15000);
  assert.deepEqual(c.history(5000).totals.map((t) => t.puts), [2]);
});
test("an hour is kept, not more", () => {
  const c = new Cluster();
  c.take(answer(agent(0, 5000, [{puts: 1}])));
  c.take(answer(agent(0, 5000 + 3600e3, [{puts: 1}])));
  assert.equal(c.points.get("i0").size, 1);
});

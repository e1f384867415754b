// What the agents say, added up. No DOM in here: web/data_test.mjs runs it without a browser.
//
// Each agent counts what happened in each step (5 s, or more where an hour is shown) and how requests fell into latency buckets.
// Both add up over agents, which percentiles would not.

export const COUNTERS = ["records_in", "bytes_in", "records_out", "bytes_out", "appends", "puts", "gets", "cache_hits", "cache_misses",
  "errors", "dollars"];
export const LATENCIES = ["produce", "end_to_end"];
export const STAGES = ["wait", "put", "append"];
const HOUR_MS = 3600e3;

// [bucket, count, bucket, count, …] added to `into`, which has one place for each bucket.
export function addBuckets(into, sparse) {
  for (let i = 0; i + 1 < (sparse || []).length; i += 2) into[sparse[i]] = (into[sparse[i]] || 0) + sparse[i + 1];
  return into;
}

// The quantile of what fell into these buckets, in the unit of the bounds, interpolated within its bucket; null where nothing did.
export function quantile(counts, bounds, q) {
  const all = counts.reduce((a, b) => a + (b || 0), 0);
  if (!all) return null;
  let below = 0;
  for (let i = 0; i <= bounds.length; i++) {
    const here = counts[i] || 0;
    if (here && below + here >= q * all) {
      if (i === bounds.length) return bounds[bounds.length - 1];  // more than the last bound: how much is not known
      const low = i ? bounds[i - 1] : 0;
      return low + (bounds[i] - low) * (q * all - below) / here;
    }
    below += here;
  }
  return bounds[bounds.length - 1];
}

export class Cluster {
  constructor() { this.forget(); }

  // Begins anew: another step does not go with the points of this one.
  forget() {
    this.points = new Map();  // incarnation -> Map(time -> point), also of agents that are gone: what they did has happened
    this.agents = [];
    this.silent = [];
    this.bounds = [];
    this.stored = null;
    this.prices = {};
    this.step = 5000;
    this.newest = 0;
    this.node = null;
    this.id = "";
  }

  // Up to where the points of all who answer are known: what to ask for next.
  since() {
    const known = this.agents.map((a) => Math.max(0, ...(this.points.get(a.incarnation) || new Map()).keys()));
    return known.length ? Math.min(...known) : 0;
  }

  take(answer) {
    Object.assign(this, {agents: answer.agents, silent: answer.silent, bounds: answer.bounds, stored: answer.stored, prices: answer.prices,
      node: answer.node, id: answer.cluster_id, time: answer.time_ms});
    this.agents.sort((a, b) => a.node - b.node);
    const ends = [];
    for (const agent of this.agents) {
      const h = agent.history;
      if (!h || !h.points) continue;
      this.step = h.step_s * 1000;
      ends.push(h.end_ms);
      if (!this.points.has(agent.incarnation)) this.points.set(agent.incarnation, new Map());
      const mine = this.points.get(agent.incarnation);
      for (let i = 0; i < h.points; i++) {
        const point = {};
        for (const name of COUNTERS) point[name] = h[name][i];
        for (const name of LATENCIES) point[name] = h[name][i];
        mine.set(h.end_ms - (h.points - 1 - i) * this.step, point);
      }
    }
    // One that is a moment behind must not make the last point a dip.
    const recent = ends.filter((e) => e >= Math.max(...ends) - 2 * this.step);
    if (recent.length) this.newest = Math.min(...recent);
    const oldest = this.newest - HOUR_MS;
    for (const [who, points] of this.points) {
      for (const t of points.keys()) if (t <= oldest) points.delete(t);
      if (!points.size) this.points.delete(who);
    }
  }

  // The sum over all agents at each step of the last `span` ms: {times (in s), totals: one object or null for each}.
  history(span) {
    const times = [], totals = [];
    for (let t = this.newest - Math.floor(span / this.step) * this.step + this.step; t <= this.newest; t += this.step) {
      let total = null;
      for (const points of this.points.values()) {
        const point = points.get(t);
        if (!point) continue;
        total ??= Object.fromEntries([...COUNTERS.map((n) => [n, 0]), ...LATENCIES.map((n) => [n, []])]);
        for (const name of COUNTERS) total[name] += point[name];
        for (const name of LATENCIES) addBuckets(total[name], point[name]);
      }
      times.push(t / 1000);
      totals.push(total);
    }
    return {times, totals};
  }

  // Of the last 5 to 10 seconds: how many a second, over these agents; null where nobody knows yet.
  rate(name, agents = this.agents) {
    const known = agents.filter((a) => a.now);
    return known.length ? known.reduce((sum, a) => sum + a.now.counters[name] / a.now.seconds, 0) : null;
  }
  latency(name, q, agents = this.agents) {
    const counts = [];
    for (const a of agents) if (a.now) addBuckets(counts, a.now.latency[name]);
    return quantile(counts, this.bounds, q);
  }
  gauge(name, agents = this.agents) {
    return agents.length ? agents.reduce((sum, a) => sum + a.gauges[name], 0) : null;
  }
  quantileOf(counts, q) { return quantile(counts, this.bounds, q); }
  // Between 0 and 1; null where nothing was asked.
  hitRatio(agents = this.agents) {
    const hits = this.rate("cache_hits", agents), misses = this.rate("cache_misses", agents);
    return hits + misses > 0 ? hits / (hits + misses) : null;
  }
  // Entries of the log that this agent has yet to apply, as far as anybody who answers knows of them.
  lag(agent) {
    return Math.max(...this.agents.map((a) => a.log.sequence)) - agent.log.sequence;
  }
  storageDollarsPerHour() {
    return this.stored ? this.stored.bytes / 1e9 * this.prices.storage_per_gb_month / 730 : null;
  }
  // Topic -> [bytes in, records in, bytes out, records out] a second.
  topicRates() {
    const all = new Map();
    for (const a of this.agents)
      for (const [name, ...rates] of a.topics || []) {
        const sum = all.get(name) || [0, 0, 0, 0];
        rates.forEach((r, i) => { sum[i] += r; });
        all.set(name, sum);
      }
    return all;
  }
}

// Numbers and times as people read them, and pieces of pages.

export const none = "–";
export function count(x) {
  if (x === null || x === undefined) return none;
  const [value, unit] = x >= 1e9 ? [x / 1e9, " G"] : x >= 1e6 ? [x / 1e6, " M"] : x >= 1e4 ? [x / 1e3, " k"] : [x, ""];
  return (value >= 100 || (Number.isInteger(value) && !unit) ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)) + unit;
}
export function bytes(x) {
  if (x === null || x === undefined) return none;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  for (; x >= 1000 && i < units.length - 1; i++) x /= 1024;
  return (i === 0 || x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2)) + " " + units[i];
}
export function time(s) {
  if (s === null || s === undefined) return none;
  return s === 0 ? "0 ms" : s >= 10 ? s.toFixed(1) + " s" : s >= 1 ? s.toFixed(2) + " s" : s >= 0.01 ? (s * 1e3).toFixed(0) + " ms" : (s * 1e3).toFixed(1) + " ms";
}
export function span(s) {
  if (s === null || s === undefined) return none;
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min ${Math.floor(s) % 60} s` : `${Math.floor(s)} s`;
}
export function percent(x) {
  if (x === null || x === undefined) return none;
  return (x * 100).toFixed(x >= 0.9995 || x < 0.0005 ? 0 : 1) + " %";
}
export function dollars(x) {
  if (x === null || x === undefined) return none;
  return "$" + (x === 0 ? "0" : x >= 100 ? x.toFixed(0) : x >= 1 ? x.toFixed(2) : x >= 0.01 ? x.toFixed(3) : x >= 1e-6 ? x.toPrecision(2) : "0.000000");
}
export const perSecond = (show) => (x) => x === null || x === undefined ? none : show(x) + "/s";

// element("div.card#id", {title: …}, child, "text", …)
export function element(what, ...children) {
  const [, tag, id, classes] = /^([a-z0-9]+)(?:#([\w-]+))?((?:\.[\w-]+)*)$/.exec(what);
  const made = document.createElement(tag);
  if (id) made.id = id;
  if (classes) made.className = classes.slice(1).replaceAll(".", " ");
  for (const child of children) {
    if (child === null || child === undefined) continue;
    if (typeof child === "object" && !(child instanceof Node)) for (const [k, v] of Object.entries(child)) made.setAttribute(k, v);
    else made.append(child);
  }
  return made;
}
const SVG = "http://www.w3.org/2000/svg";
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(attributes)) made.setAttribute(k, v);
  made.append(...children);
  return made;
}
// Changes a text only where it is another one, so that selections and screen readers are left alone.
export function setText(node, text) { if (node.textContent !== text) node.textContent = text; }

// A bar that is filled to `share`.
export function meter(share, label, tone = "") {
  const fill = svg("rect", {x: 0, y: 0, height: 6, width: (Math.min(Math.max(share || 0, 0), 1) * 100).toFixed(2) + "%", rx: 3, class: "fill " + tone});
  return svg("svg", {class: "meter", width: "100%", height: 6, role: "img", "aria-label": label},
    svg("rect", {x: 0, y: 0, height: 6, width: "100%", rx: 3, class: "rail"}), fill);
}

// ---- charts ---------------------------------------------------------------------------------------------------------------

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clock = (s) => new Date(s * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", hour12: false});
const clockSeconds = (s) => new Date(s * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false});

// Where bytes are round: 1, 2, 4, … and not 1000.
export const byteSteps = Array.from({length: 50}, (_, i) => 2 ** i);

// In seconds. uPlot's own go from 1 to 5 minutes, and a narrow chart of 5 minutes then has one time under it.
const timeSteps = [60, 120, 300, 600, 900, 1200, 1800, 3600];

// A card with a chart over time. `lines`: [{name, color: a CSS variable, of: total => number or null}], `show`: a number as text.
export class Chart {
  constructor({title, lines, show, least = 1, most = null, note = "", hint = "", steps = null}) {
    Object.assign(this, {title, lines, show, least, most, steps});
    this.values = lines.map(() => element("b", none));
    this.when = element("span.when");
    const legend = element("div.legend", ...lines.map((line, i) =>
      element("span", element("i." + line.color), line.name + " ", this.values[i])), this.when);
    this.place = element("div.plot", {role: "img", "aria-label": title});
    this.card = element("article.card.chart", element("h3", hint ? {title: hint} : null, title, note ? element("small", " " + note) : null), legend, this.place);
    this.data = [[], ...lines.map(() => [])];
    this.plot = null;
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(this.place);
  }
  width() { return Math.floor(this.place.clientWidth); }
  fit() {
    if (!this.width()) return;
    if (!this.plot) this.make();
    else if (this.plot.width !== this.width()) this.plot.setSize({width: this.width(), height: this.height()});
  }
  height() { return this.place.clientHeight || 170; }
  // Also after a change of colours, which a canvas cannot follow by itself.
  make() {
    if (this.plot) this.plot.destroy();
    if (!this.width()) { this.plot = null; return; }
    const grid = css("--grid"), text = css("--dim"), font = "11px system-ui, sans-serif";
    const axis = {stroke: text, font, grid: {stroke: grid, width: 1}, ticks: {show: false}};
    this.plot = new uPlot({
      width: this.width(), height: this.height(), legend: {show: false}, padding: [8, 18, 0, 0],  // half a time's width on the right
      cursor: {y: false, points: {size: 6}, drag: {x: false, y: false}, sync: {key: "all"}},
      scales: {x: {time: true}, y: {range: (u, low, high) => [0, this.most ?? Math.max((high || 0) * 1.12, this.least)]}},
      axes: [{...axis, incrs: timeSteps, values: (u, splits) => splits.map(clock), space: 52, size: 26, grid: {show: false}},
        {...axis, ...(this.steps ? {incrs: this.steps} : {}), values: (u, splits) => splits.map((v) => this.show(v)), size: 62, space: 34}],
      series: [{}, ...this.lines.map((line) => ({
        stroke: css("--" + line.color), width: 1.75, points: {show: false}, spanGaps: false,
        fill: line.filled === false ? undefined : (u) => {
          const from = u.bbox.top, to = from + u.bbox.height;
          if (!Number.isFinite(from) || !(to > from)) return "transparent";
          const gradient = u.ctx.createLinearGradient(0, from, 0, to);
          gradient.addColorStop(0, css("--" + line.color) + "40");
          gradient.addColorStop(1, css("--" + line.color) + "05");
          return gradient;
        }}))],
      hooks: {setCursor: [(u) => this.tell(u.cursor.idx)]},
    }, this.data, this.place);
  }
  set(times, totals) {
    this.data = [times, ...this.lines.map((line) => totals.map((t) => t === null ? null : line.of(t)))];
    if (this.plot) this.plot.setData(this.data);
    this.tell(this.plot ? this.plot.cursor.idx : null);
  }
  tell(at) {
    const under = at !== null && at !== undefined && at < this.data[0].length;
    const index = under ? at : this.data[0].length - 1;
    this.lines.forEach((line, i) => setText(this.values[i], this.show(this.data[i + 1][index] ?? null)));
    setText(this.when, under ? clockSeconds(this.data[0][index]) : "");
  }
}

// A small line without axes, for a tile.
export class Spark {
  constructor(color) {
    this.area = svg("path", {class: "area " + color});
    this.line = svg("path", {class: "line " + color});
    this.node = svg("svg", {class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true"}, this.area, this.line);
  }
  set(values) {
    const top = Math.max(...values.filter((v) => v !== null), 0) * 1.15 || 1, n = Math.max(values.length - 1, 1);
    let line = "", area = "", begun = null;
    for (let i = 0; i <= values.length; i++) {
      const value = i < values.length ? values[i] : null, x = (i * 100 / n).toFixed(2);
      if (value === null) {  // a gap is neither 0 nor what was before
        if (begun !== null) area += `L${((i - 1) * 100 / n).toFixed(2)} 30Z`;
        begun = null;
        continue;
      }
      const y = (29 - 28 * value / top).toFixed(2);
      line += (begun === null ? "M" : "L") + `${x} ${y}`;
      area += begun === null ? `M${x} 30L${x} ${y}` : `L${x} ${y}`;
      begun ??= x;
    }
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
  }
}

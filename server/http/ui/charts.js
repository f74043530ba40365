"use strict";
// Drawing only: numbers in, SVG out. Text enters the document as text nodes,
// never as markup: names and reasons come from files that others wrote.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function html(name, options, ...children) {
  const node = document.createElement(name);
  const { text, ...attributes } = options || {};
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  node.append(...children);
  return node;
}

function show(value) {
  if (value === null || value === undefined || value === "") return "\u2013";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2)
                                    : String(Number(value.toPrecision(4)));
}

function short(value) {
  for (const [unit, size] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return Number((value / size).toPrecision(4)) + unit;
  }
  return Number(value.toPrecision(4)).toString();
}

// Viridis, by its published corner colours.
const STOPS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142],
               [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50],
               [253, 231, 37]];

function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  const mix = STOPS[low].map((c, i) => Math.round(c + (at - low) * (STOPS[low + 1][i] - c)));
  return `rgb(${mix.join(",")})`;
}

const FEW = ["#2f7ed8", "#e0752d", "#2ca06b", "#c8448f", "#8a6fd1", "#a78b1f", "#24a3b8", "#d4504b"];

function colourOf(index, count) {
  if (count <= FEW.length) return FEW[index];
  // Viridis ends too pale for white and begins too dark for black.
  const from = document.documentElement.dataset.theme === "dark" ? 0.2 : 0;
  return viridis(from + (from ? 0.8 : 0.88) * index / (count - 1));
}

// About `count` round numbers that cover [low, high].
function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= raw * 0.999);
  const list = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) list.push(i * step);
  return list;
}

function extent(values, pad) {
  let low = Infinity, high = -Infinity;
  for (const v of values) {
    if (v === null || v === undefined) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  if (low > high) return [0, 1];
  if (low === high) return [low - 0.5, high + 0.5];
  const room = (high - low) * pad;
  return [low - room, high + room];
}

function placeTip(tip, event) {
  const box = tip.getBoundingClientRect();
  const left = event.clientX + 16 + box.width > innerWidth ? event.clientX - box.width - 16 : event.clientX + 16;
  tip.style.left = left + "px";
  tip.style.top = Math.max(8, Math.min(event.clientY + 12, innerHeight - box.height - 8)) + "px";
}

// 0, 1, 10, 100, ... on an axis of log10(1 + step).
function decadeTicks(low, high) {
  const list = [0];
  for (let step = 1; Math.log10(1 + step) <= high; step *= 10) list.push(Math.log10(1 + step));
  return list.filter(t => t >= low);
}

// data: {columns: ["x", ...], rows}; options: {tip, xLabel, xText, xTicks, gaps,
// hidden, unit}. A null breaks its line.
function lineChart(box, data, options) {
  const width = Math.max(box.clientWidth, 320), height = 340;
  const left = 64, right = 16, top = 12, bottom = 44;
  const names = data.columns.slice(1);
  const visible = names.map((_, i) => i).filter(i => !options.hidden.has(names[i]));
  const gapXs = options.gaps.map(g => g.x).filter(Number.isFinite);
  const [x0, x1] = extent([...data.rows.map(r => r[0]), ...gapXs], 0.01);
  let [y0, y1] = extent(data.rows.flatMap(r => visible.map(i => r[i + 1])), 0.06);
  if (options.unit === "ratio" && y0 > -0.1 && y1 < 1.1) [y0, y1] = [Math.min(0, y0 < -0.07 ? y0 : 0), Math.max(y1, y1 > 0.5 ? 1.02 : y1)];
  const sx = v => left + (v - x0) / (x1 - x0) * (width - left - right);
  const sy = v => height - bottom - (v - y0) / (y1 - y0) * (height - top - bottom);

  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  for (const t of ticks(y0, y1, 6)) {
    svg("line", { class: "grid", x1: left, x2: width - right, y1: sy(t), y2: sy(t) }, root);
    svg("text", { x: left - 8, y: sy(t) + 4, "text-anchor": "end" }, root, short(t));
  }
  for (const t of options.xTicks(x0, x1, Math.floor(width / 130))) {
    svg("line", { class: "grid", x1: sx(t), x2: sx(t), y1: top, y2: height - bottom }, root);
    svg("text", { x: sx(t), y: height - bottom + 17, "text-anchor": "middle" }, root, options.xText(t));
  }
  svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }, root);
  svg("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, root, options.xLabel);

  const single = data.rows.length < 60;
  for (const i of visible) {
    const colour = colourOf(i, names.length);
    let path = "", open = false;
    for (const row of data.rows) {
      const v = row[i + 1];
      if (v === null) { open = false; continue; }
      path += `${open ? "L" : "M"}${sx(row[0]).toFixed(1)} ${sy(v).toFixed(1)}`;
      open = true;
    }
    svg("path", { d: path, fill: "none", stroke: colour, "stroke-width": names.length > 24 ? 1.1 : 1.8, "stroke-linejoin": "round" }, root);
    if (!single || names.length > 24) continue;
    for (const row of data.rows) {
      if (row[i + 1] !== null) svg("circle", { cx: sx(row[0]), cy: sy(row[i + 1]), r: 2.4, fill: colour }, root);
    }
  }
  for (const gap of options.gaps) {
    if (!Number.isFinite(gap.x)) continue;
    const mark = svg("path", { class: "gap", d: `M${sx(gap.x) - 4} ${height - bottom + 1}h8l-4 -8z` }, root);
    svg("title", {}, mark, gap.text);
  }
  addCrosshair(root, box, data, options, { sx, visible, names, left, right, top, bottom, height, width });
  box.replaceChildren(root);
}

function addCrosshair(root, box, data, options, at) {
  const cross = svg("line", { class: "cross", y1: at.top, y2: at.height - at.bottom, visibility: "hidden" }, root);
  root.addEventListener("mouseleave", () => {
    cross.setAttribute("visibility", "hidden");
    options.tip.hidden = true;
  });
  root.addEventListener("mousemove", event => {
    if (!data.rows.length) return;
    const scale = at.width / root.getBoundingClientRect().width;
    const px = (event.clientX - root.getBoundingClientRect().left) * scale;
    const row = data.rows.reduce((a, b) => Math.abs(at.sx(b[0]) - px) < Math.abs(at.sx(a[0]) - px) ? b : a);
    cross.setAttribute("x1", at.sx(row[0]));
    cross.setAttribute("x2", at.sx(row[0]));
    cross.setAttribute("visibility", "visible");
    const shown = at.visible.filter(i => row[i + 1] !== null).sort((a, b) => row[b + 1] - row[a + 1]);
    const lines = shown.slice(0, 12).map(i => {
      const swatch = html("i");
      swatch.style.background = colourOf(i, at.names.length);
      return html("div", {}, swatch, at.names[i] + "  ", html("b", { text: show(row[i + 1]) }));
    });
    if (shown.length > 12) lines.push(html("div", { text: `and ${shown.length - 12} more` }));
    options.tip.replaceChildren(html("div", { text: `${options.xLabel} ${options.xText(row[0])}` }), ...lines);
    options.tip.hidden = false;
    placeTip(options.tip, event);
  });
}

// data: {columns: ["layer", "H0", ...], rows}; options: {tip, unit, pick}.
function heatMap(box, data, options) {
  const width = Math.max(box.clientWidth, 280);
  const heads = data.columns.length - 1, layers = data.rows.length;
  const left = 44, top = 8, bottom = 56;
  const cell = Math.min(84, (width - left - 8) / Math.max(heads, 1));
  const tall = Math.max(6, Math.min(34, Math.max(cell, 420 / Math.max(layers, 1) > 20 ? 20 : 420 / layers)));
  const plot = layers * tall, height = top + plot + bottom;
  const values = data.rows.flatMap(r => r.slice(1)).filter(v => v !== null);
  let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  if (options.unit === "ratio" && low >= 0 && high <= 1) [low, high] = [0, 1];
  const share = v => high > low ? (v - low) / (high - low) : 0.5;

  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  data.rows.forEach((row, r) => {
    // The last layer on top, as models are drawn.
    const y = top + (layers - 1 - r) * tall;
    if (tall >= 11 || r % Math.ceil(12 / tall) === 0) {
      svg("text", { x: left - 6, y: y + tall / 2 + 4, "text-anchor": "end" }, root, row[0] === null ? "" : "L" + row[0]);
    }
    for (let h = 0; h < heads; h++) {
      const v = row[h + 1];
      if (v === null) continue;
      const node = svg("rect", { class: "cell", x: left + h * cell, y, width: Math.max(1, cell - 1), height: Math.max(1, tall - 1), fill: viridis(share(v)), rx: 2 }, root);
      node.addEventListener("mousemove", event => {
        options.tip.replaceChildren(`layer ${row[0]}, ${data.columns[h + 1]}  `, html("b", { text: show(v) }));
        options.tip.hidden = false;
        placeTip(options.tip, event);
      });
      node.addEventListener("mouseleave", () => { options.tip.hidden = true; });
      node.addEventListener("click", () => options.pick(row[0], h));
    }
  });
  const every = Math.ceil(26 / cell);
  for (let h = 0; h < heads; h += every) {
    svg("text", { x: left + (h + 0.5) * cell, y: top + plot + 14, "text-anchor": "middle" }, root, data.columns[h + 1]);
  }
  const bar = Math.min(220, width - left - 8), barY = top + plot + 26;
  for (let i = 0; i < 44; i++) {
    svg("rect", { x: left + i * bar / 44, y: barY, width: bar / 44 + 0.5, height: 8, fill: viridis(i / 43) }, root);
  }
  svg("text", { x: left, y: barY + 22 }, root, show(low));
  svg("text", { x: left + bar, y: barY + 22, "text-anchor": "end" }, root, show(high));
  box.replaceChildren(root);
}

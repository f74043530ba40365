"use strict";
const { test } = require("node:test");
const assert = require("node:assert/strict");
const { load } = require("./sources.js");
const { ticks, decadeTicks, lineChart, nearest, tipAt, scaleOf, heatMap, mixed, VIRIDIS, DIVERGING, joinSeries, differenceOf } =
  load("ticks", "decadeTicks", "lineChart", "nearest", "tipAt", "scaleOf", "heatMap", "mixed", "VIRIDIS", "DIVERGING", "joinSeries", "differenceOf");

const SIZE = { width: 800, height: 340 };

function chartOf(parts) {
  return lineChart({ x: "step", xs: [], lines: [], band: null, gaps: [], intervals: [], unit: "ratio", ...parts }, SIZE);
}

function linesOf(count, values) {
  return Array.from({ length: count }, (_, i) => ({ name: "L" + i, values, colour: "#123456" }));
}

const textsOf = shapes => shapes.filter(s => s.kind === "text").map(s => s.text);

test("ticks are round and within", () => {
  assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1]);
  assert.deepEqual(ticks(3, 3, 5), [3]);
  for (const t of ticks(-7.3, 912.4, 6)) assert.ok(t >= -7.3 && t <= 912.4);
});

test("ticks of steps are whole, however near the ends", () => {
  for (const [low, high] of [[999.5, 1000.5], [0, 3], [0, 0.9], [12, 2500]]) {
    for (const t of ticks(low, high, 6, true)) assert.ok(Number.isInteger(t), `${t} in ${low}..${high}`);
  }
});

test("decades of a log axis begin at step 0", () => {
  assert.deepEqual(decadeTicks(0, Math.log10(1001)).map(t => Math.round(10 ** t - 1)), [0, 1, 10, 100, 1000]);
});

test("one checkpoint is labelled with its step, once", () => {
  const texts = textsOf(chartOf({ xs: [1000], lines: linesOf(32, [0.5]) }).frame);
  assert.equal(texts.filter(t => t === "1k").length, 1);
  assert.ok(!texts.some(t => /999|1000\.|1\.0/.test(t)), texts.join(" "));
});

test("a lone point is a dot, with 1 line and with 1,024", () => {
  for (const count of [1, 24, 25, 1024]) {
    const { marks } = chartOf({ xs: [1000], lines: linesOf(count, [0.5]) });
    assert.ok(marks.filter(m => m.kind === "dot").length >= count);
    assert.equal(marks.filter(m => m.kind === "line").length, 0);
  }
});

test("a point between two gaps is a dot", () => {
  const { marks } = chartOf({ xs: [1, 2, 3, 4, 5, 6], lines: linesOf(30, [0.1, 0.2, null, 0.4, null, 0.6]) });
  assert.equal(marks.filter(m => m.kind === "line").length, 30);
  assert.equal(marks.filter(m => m.kind === "dot").length, 60);
});

test("null breaks a line, undefined is passed over", () => {
  const lines = values => chartOf({ xs: [1, 2, 3, 4, 5], lines: linesOf(30, values) }).marks.filter(m => m.kind === "line");
  assert.equal(lines([0, 1, null, 1, 0]).length, 60);
  assert.equal(lines([0, 1, undefined, 1, 0]).length, 30);
});

test("of many lines the chosen ones stand out", () => {
  const lines = linesOf(30, [0, 1]);
  lines[29].chosen = true;
  const marks = chartOf({ xs: [0, 100], lines }).marks.filter(m => m.kind === "line");
  assert.deepEqual([marks[0].width, marks[0].alpha], [1, 0.6]);
  assert.deepEqual([marks[29].width, marks[29].alpha], [1.8, 1]);
});

test("a line's places are its values'", () => {
  const { marks, box } = chartOf({ xs: [0, 100], lines: linesOf(30, [0, 1]) });
  const [x0, y0, x1, y1] = marks[0].points;
  assert.ok(x0 < x1 && y0 > y1);
  for (const v of [x0, x1]) assert.ok(v >= box.left && v <= box.right);
  for (const v of [y0, y1]) assert.ok(v >= box.top && v <= box.bottom);
});

test("a band is two areas and its median, of one checkpoint too", () => {
  const of = n => ({ colour: "#000", min: Array(n).fill(0), p10: Array(n).fill(0.1), median: Array(n).fill(0.5),
                     p90: Array(n).fill(0.8), max: Array(n).fill(1) });
  const many = chartOf({ xs: [1, 2, 3], band: of(3) }).marks;
  assert.deepEqual(many.slice(0, 3).map(m => m.kind), ["area", "area", "line"]);
  const [outer, inner] = many.map(m => m.points.filter((_, i) => i % 2 === 1));
  assert.ok(Math.min(...outer) < Math.min(...inner) && Math.max(...outer) > Math.max(...inner));
  const one = chartOf({ xs: [1], band: of(1) }).marks;
  assert.deepEqual(one.slice(0, 3).map(m => m.kind), ["line", "line", "dot"]);
});

test("1,024 lines of 1,000 steps cost nothing that hovering repeats", () => {
  const xs = Array.from({ length: 1000 }, (_, i) => i);
  const lines = Array.from({ length: 1024 }, (_, i) => ({ name: "L" + i, values: xs.map(x => (x * i) % 7), colour: "#000" }));
  const data = { x: "step", xs, lines, band: null, gaps: [], intervals: [], unit: "" };
  const { places } = lineChart(data, SIZE);
  const start = performance.now();
  for (let x = 0; x < 100; x++) tipAt(data, nearest(places, 8 * x), 12);
  assert.ok((performance.now() - start) / 100 < 25);
});

test("nearest is the nearest", () => {
  const places = [0, 10, 11, 50];
  for (const [x, index] of [[-5, 0], [4, 0], [6, 1], [10.6, 2], [30, 2], [31, 3], [99, 3]]) assert.equal(nearest(places, x), index);
  assert.equal(nearest([], 3), -1);
  assert.equal(nearest([7], 3), 0);
});

test("a tip says the whole step and the largest first", () => {
  const lines = [0.1, 0.3, null, 0.2].map((v, i) => ({ name: "L" + i, values: [v], colour: "#000" }));
  const tip = tipAt({ x: "step", xs: [928646], lines, band: null }, 0, 2);
  assert.equal(tip.title, "step 928,646");
  assert.deepEqual(tip.lines.map(l => l.name), ["L1", "L3"]);
  assert.equal(tip.more, 1);
  assert.equal(tipAt({ x: "log10_step", xs: [Math.log10(1 + 928646)], lines: [], band: null }, 0, 2).title, "step 928,646");
  assert.equal(tipAt({ x: "tokens", xs: [304e9], lines: [], band: null }, 0, 2).title, "tokens 304 B (304,000,000,000)");
});

test("gaps that lie on each other are one mark that says how many", () => {
  const gaps = [700, 701, 702, 1900].map(step => ({ step, state: "waiting", reason: "why" }));
  const marks = chartOf({ xs: [0, 2000], lines: linesOf(1, [0, 1]), gaps }).frame.filter(s => s.kind === "gap");
  assert.equal(marks.length, 2);
  assert.equal(marks[0].title, "step 700: waiting, why; and 2 more near it");
});

test("an interval lies between its ends, cut at the edge, and nowhere without its tokens", () => {
  const found = { after: 500, by: 1000, after_tokens: null, by_tokens: null, text: "emerged" };
  const of = (x, xs, intervals) => chartOf({ x, xs, lines: linesOf(1, [0, 1]), intervals }).frame.filter(s => s.kind === "interval");
  const { box } = chartOf({ xs: [0, 2000] });
  const [shape] = of("step", [0, 2000], [found]);
  assert.equal(shape.title, "emerged");
  const middle = (box.left + box.right) / 2, quarter = box.left + (box.right - box.left) / 4;
  assert.ok(Math.abs(shape.x - quarter) < 9 && Math.abs(shape.x + shape.width - middle) < 9);
  const [cut] = of("step", [700, 2000], [found]);
  assert.equal(cut.x, box.left);
  assert.deepEqual(of("step", [1500, 2000], [found]), []);
  assert.equal(of("log10_step", [0, 4], [found]).length, 1);
  assert.deepEqual(of("tokens", [0, 2e9], [found]), []);
  assert.equal(of("tokens", [0, 2e9], [{ ...found, after_tokens: 5e8, by_tokens: 1e9 }]).length, 1);
});

test("a scale is the values', 0 to 1, or around 0", () => {
  assert.deepEqual(scaleOf([0.02, 0.12], "auto", "ratio"), [0, 0.12]);
  assert.deepEqual(scaleOf([5, 9], "auto", "nats"), [5, 9]);
  assert.deepEqual(scaleOf([0.02, 0.12], "unit", "ratio"), [0, 1]);
  assert.deepEqual(scaleOf([-1, 3], "symmetric", "nats"), [-3, 3]);
  assert.deepEqual(scaleOf([], "auto", "ratio"), [0, 1]);
});

test("a small share is not one dark square", () => {
  const matrix = { columns: ["layer", "H0", "H1"], rows: [[0, 0.01, 0.12], [1, null, 0.06]] };
  const cells = scale => heatMap(matrix, { width: 400, scale, unit: "ratio" }).shapes.filter(s => s.value !== undefined);
  assert.equal(cells("auto").length, 3);
  assert.equal(cells("auto")[1].fill, mixed(VIRIDIS, 1));
  assert.equal(cells("unit")[1].fill, mixed(VIRIDIS, 0.12));
  assert.equal(cells("symmetric")[1].fill, mixed(DIVERGING, 1));
  assert.deepEqual(cells("auto").map(c => [c.layer, c.head]), [[0, 0], [0, 1], [1, 1]]);
});

test("the last layer is on top and 80 layers fit a screen", () => {
  const rows = Array.from({ length: 80 }, (_, l) => [l, l]);
  const map = heatMap({ columns: ["layer", "value"], rows }, { width: 400, scale: "auto", unit: "" });
  const cells = map.shapes.filter(s => s.value !== undefined);
  assert.ok(cells[79].y < cells[0].y);
  assert.ok(map.height < 500);
});

test("series are joined by x", () => {
  const joined = joinSeries([{ columns: ["x", "a"], rows: [[1, 5], [3, null]] }, { columns: ["x", "b"], rows: [[1, 6], [2, 7]] }]);
  assert.deepEqual(joined.xs, [1, 2, 3]);
  assert.deepEqual(joined.lines, [{ name: "a", values: [5, undefined, null] }, { name: "b", values: [6, 7, undefined] }]);
});

test("a difference has a cell where both have a value", () => {
  const map = { columns: ["layer", "H0", "H1"], step: 5, rows: [[0, 1, null], [1, .5, .5], [2, 3, 4]] };
  const other = { columns: ["layer", "H0", "H1"], rows: [[1, .25, null], [0, .25, 1]] };
  assert.deepEqual(differenceOf(map, other), { columns: ["layer", "H0", "H1"], step: 5, rows: [[0, .75, null], [1, .25, null], [2, null, null]] });
});

"use strict";
const { test } = require("node:test");
const assert = require("node:assert/strict");
const { load } = require("./sources.js");
const { defaultView, parseView, formatView, resolveView, chooseIn, thresholdOf, toggled, headOf, lostText } =
  load("defaultView", "parseView", "formatView", "resolveView", "chooseIn", "thresholdOf", "toggled", "headOf", "lostText");

// Every field away from its default.
const EVERYTHING = {
  run: "olmo2-7b.a_1", stage: "stage 1&2", domain: "train/other=x", metric: "value_norm_ratio",
  agg: "max", layer: "3", x: "tokens", reference: "guo-1", heads: ["L15H20", "L0H1"], hidden: ["L3", "L5"], at: "145000", scale: "symmetric", minus: "code",
  thresholds: { sink_attention: { threshold: 0.3, below: false }, value_norm_ratio: { threshold: -0.5, below: true } },
  per: "mean", found: 300, state: "dead", rows: 200, theme: "dark",
};

test("an address holds every field", () => {
  assert.deepEqual(Object.keys(EVERYTHING).sort(), Object.keys(defaultView()).sort());
  for (const key in EVERYTHING) assert.notDeepEqual(EVERYTHING[key], defaultView()[key], key);
  assert.deepEqual(parseView(formatView(EVERYTHING)), EVERYTHING);
});

test("each field alone comes back", () => {
  for (const key in EVERYTHING) {
    const view = { ...defaultView(), [key]: EVERYTHING[key] };
    assert.deepEqual(parseView(formatView(view)), view, key);
  }
});

test("one view has one address", () => {
  assert.equal(formatView(parseView(formatView(EVERYTHING))), formatView(EVERYTHING));
});

test("nonsense in an address is left at the default", () => {
  const bad = "#agg=best&layer=x&at=-3&rows=0&found=1e9&scale=3&heads=L1H2,oops&threshold.a=many&__proto__=1&constructor=2&other=3";
  assert.deepEqual(parseView(bad), { ...defaultView(), heads: ["L1H2"], found: 5000 });
  assert.deepEqual(parseView(""), defaultView());
});

test("views do not share their lists", () => {
  parseView("#threshold.a=1");
  assert.deepEqual(parseView("").thresholds, {});
});

const RUNS = [
  { name: "aaa", last_commit: null, stages: [], domains: [], layers: null },
  { name: "old", last_commit: "2026-01-01T00:00:00Z", stages: ["1", "2"], domains: ["wiki"], layers: 4 },
  { name: "new", last_commit: "2026-02-01T00:00:00Z", stages: [""], domains: ["wiki", "code"], layers: 4 },
];
const METRICS = ["attention_entropy", "sink_attention"].map(name => ({ name }));

test("opens on the run that was measured last", () => {
  const view = resolveView(defaultView(), RUNS, METRICS);
  assert.deepEqual([view.run, view.stage, view.domain, view.metric], ["new", "", "wiki", "sink_attention"]);
  assert.deepEqual([view.x, view.agg], ["log10_step", "band"]);
  assert.equal(resolveView(defaultView(), RUNS.slice(0, 1), []).run, "aaa");
});

test("keeps what the run has and replaces what it has not", () => {
  const view = resolveView({ ...defaultView(), run: "old", stage: "2", domain: "code", metric: "gone", layer: "9" }, RUNS, METRICS);
  assert.deepEqual([view.run, view.stage, view.domain, view.metric, view.layer], ["old", "2", "wiki", "attention_entropy", "*"]);
});

test("what a link asks for and is not there is said", () => {
  const wanted = { ...defaultView(), run: "gone", metric: "sink_attention" };
  const view = resolveView(wanted, RUNS, METRICS);
  assert.equal(lostText(wanted, view), "there is no run gone; this is new");
  assert.equal(lostText(defaultView(), view), "");
});

test("a threshold belongs to its metric", () => {
  const own = { name: "a", threshold: 0.3, below: false }, none = { name: "b", threshold: null, below: null };
  const view = { ...defaultView(), thresholds: { b: { threshold: 10, below: false } } };
  assert.deepEqual(thresholdOf(view, own), { threshold: 0.3, below: false });
  assert.deepEqual(thresholdOf(view, none), { threshold: 10, below: false });
  assert.equal(thresholdOf(defaultView(), none), null);
  assert.equal(thresholdOf(defaultView(), { name: "constructor" }), null);
  assert.deepEqual(chooseIn(view, "metric", "a").thresholds, view.thresholds);
});

test("another run drops what belonged to the one before", () => {
  const view = chooseIn(EVERYTHING, "run", "new");
  assert.deepEqual([view.run, view.stage, view.domain, view.at, view.heads, view.hidden], ["new", "", "", "", [], []]);
  assert.equal(view.metric, EVERYTHING.metric);
});

test("names of heads", () => {
  assert.deepEqual(headOf("L15H20"), { layer: 15, head: 20 });
  assert.equal(headOf("L15"), null);
  assert.deepEqual(toggled(toggled([], "a"), "a"), []);
});

test("a domain that is subtracted is another one of the run", () => {
  const minus = (run, domain, wanted) => resolveView({ ...defaultView(), run, domain, minus: wanted }, RUNS, METRICS).minus;
  assert.equal(minus("new", "wiki", "code"), "code");
  assert.equal(minus("new", "code", "code"), "");
  assert.equal(minus("old", "wiki", "code"), "");
});

"use strict";
const { test } = require("node:test");
const assert = require("node:assert/strict");
const { load } = require("./sources.js");
const { stripOf, mostDifferent, intervalsOf } = load("stripOf", "mostDifferent", "intervalsOf");

const fact = (topic, domain, text, head = null) => ({ topic, domain, text, head });

test("a strip has what a person asks for first, of the domain that is shown", () => {
  const strip = stripOf([
    fact("loss", "wiki", "2.5"), fact("loss", "code", "1.5"), fact("onset", "wiki", "at 1,000"),
    fact("order", "wiki", "sinks first"), fact("switching", null, "30 switch"), fact("states", "code", "9 dormant"),
  ], "wiki");
  assert.deepEqual(strip.map(s => [s.title, s.facts.map(f => f.text), s.more]), [
    ["Onsets", ["at 1,000"], 0], ["Heads", ["30 switch"], 1], ["Loss", ["2.5"], 1],
  ]);
});

test("classes of a domain's rows are about it, and other domains stand in where it has nothing", () => {
  const facts = [fact("onset", "train/other", "a"), fact("onset", "train/trigger", "b")];
  assert.deepEqual(stripOf(facts, "train")[0].facts.map(f => f.text), ["a", "b"]);
  assert.deepEqual(stripOf(facts, "trai")[0].facts.map(f => f.text), ["a", "b"]);
  assert.deepEqual(stripOf([], "train"), []);
});

test("single heads are not in the strip, and what is cut is counted", () => {
  const facts = Array.from({ length: 9 }, (_, i) => fact("jump", "wiki", String(i)));
  const [jumps] = stripOf([...facts, fact("switching", "wiki", "L1H2", 2)], "wiki");
  assert.equal(jumps.facts.length, 5);
  assert.equal(jumps.more, 4);
});

test("the heads that differ most come first, in either direction", () => {
  const rows = [{ difference: .1 }, { difference: null }, { difference: -.9 }, { difference: .5 }];
  assert.deepEqual(mostDifferent(rows, 2).map(r => r.difference), [-.9, .5]);
  assert.equal(mostDifferent(rows, 9).length, 3);
  assert.equal(rows.length, 4);
});

test("a chart marks where its own metric emerged or jumped in its domain", () => {
  const found = (topic, metric, domain, after_step, by_step) => ({ topic, metric, domain, after_step, by_step, after_tokens: null, by_tokens: null, text: topic });
  const facts = [
    found("onset", "sink", "wiki", 1000, 1500), found("onset", "sink", "code", 2000, 2500), found("onset", "drain", "wiki", 1, 2),
    found("jump", "sink", "wiki", 3500, 4000), found("onset", "sink", "wiki", null, 512), found("fit", "sink", "wiki", 1, 9),
  ];
  assert.deepEqual(intervalsOf(facts, "sink", "wiki").map(i => [i.after, i.by]), [[1000, 1500], [3500, 4000]]);
});

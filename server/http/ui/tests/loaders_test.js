"use strict";
const { test } = require("node:test");
const assert = require("node:assert/strict");
const { load } = require("./sources.js");
const { latest, ask, records, referenceSeries, Refusal, Unreachable } = load("latest", "ask", "records", "referenceSeries", "Refusal", "Unreachable");

// Promises that the test settles, in the order of the calls.
function held() {
  const calls = [];
  const loader = latest((signal, name) => new Promise((resolve, reject) => calls.push({ signal, name, resolve, reject })));
  return { calls, loader };
}

test("an answer that comes late is dropped", async () => {
  const { calls, loader } = held();
  const first = loader("a"), second = loader("b");
  calls[1].resolve("B");
  calls[0].resolve("A");
  assert.deepEqual(await second, { answer: "B" });
  assert.equal(await first, null);
});

test("an answer that comes early, but is not the last asked for, is dropped", async () => {
  const { calls, loader } = held();
  const first = loader("a"), second = loader("b");
  calls[0].resolve("A");
  assert.equal(await first, null);
  calls[1].resolve("B");
  assert.deepEqual(await second, { answer: "B" });
});

test("an error of a question that is not the last is dropped, of the last it is not", async () => {
  const { calls, loader } = held();
  const first = loader("a"), second = loader("b");
  calls[0].reject(new Error("late"));
  assert.equal(await first, null);
  calls[1].reject(new Error("mine"));
  await assert.rejects(second, /mine/);
});

test("a question aborts the one before, and its own not", async () => {
  const { calls, loader } = held();
  loader("a");
  const second = loader("b");
  assert.deepEqual(calls.map(c => c.signal.aborted), [true, false]);
  calls[1].resolve("B");
  await second;
});

test("cancel drops what is under way", async () => {
  const { calls, loader } = held();
  const only = loader("a");
  loader.cancel();
  assert.equal(calls[0].signal.aborted, true);
  calls[0].resolve("A");
  assert.equal(await only, null);
});

test("loaders do not disturb each other", async () => {
  const one = held(), other = held();
  const first = one.loader("a");
  other.loader("b");
  one.calls[0].resolve("A");
  assert.deepEqual(await first, { answer: "A" });
  other.loader.cancel();
});

const reply = (body, ok = true) => async () => ({ ok, statusText: "Bad", json: async () => body });

test("parameters without a value are not sent", async () => {
  let url;
  await ask(async u => { url = u; return { ok: true, json: async () => ({}) }; }, "series", { run: "a b", step: undefined, head: null, x: "" });
  assert.equal(url, "/api/v1/series?run=a+b&x=");
});

test("what the server refuses is a Refusal with its words", async () => {
  await assert.rejects(ask(reply({ error: { message: "no such run" } }, false), "runs", {}),
                       error => error instanceof Refusal && error.message === "no such run");
});

test("no answer, and an answer that is none, are Unreachable", async () => {
  await assert.rejects(ask(async () => { throw new TypeError("Failed to fetch"); }, "runs", {}), Unreachable);
  await assert.rejects(ask(async () => ({ ok: true, json: async () => JSON.parse("<html>") }), "runs", {}), Unreachable);
});

test("records name their cells", () => {
  assert.deepEqual(records({ columns: ["a", "b"], rows: [[1, null]] }), [{ a: 1, b: null }]);
});

test("published points are a series over steps or tokens", () => {
  const point = (step, tokens, layer, head, value) => ({ model: "toy", step, tokens, layer, head, value });
  const points = [point(100, null, 0, 1, 0.5), point(10, 7, null, null, 0.1), point(100, 9, null, null, 0.2), point(null, null, 0, 1, 9)];
  assert.deepEqual(referenceSeries(points, "step"), { columns: ["x", "toy L0H1", "toy"], rows: [[10, , 0.1], [100, 0.5, 0.2]] });
  assert.deepEqual(referenceSeries(points, "tokens").rows, [[7, 0.1], [9, 0.2]]);
  assert.deepEqual(referenceSeries([], "step"), { columns: ["x"], rows: [] });
});

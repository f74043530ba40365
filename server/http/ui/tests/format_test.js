"use strict";
const { test } = require("node:test");
const assert = require("node:assert/strict");
const { load } = require("./sources.js");
const { intervalText, tokenIntervalText, tokenText } = load("intervalText", "tokenIntervalText", "tokenText");

const found = parts => ({ censoring: "none", after_step: 1000, by_step: 1500, after_tokens: 4e9, by_tokens: 6e9, ...parts });

test("an emergence is told as the interval that it lies in", () => {
  assert.equal(intervalText(found({})), "(1,000, 1,500]");
  assert.equal(intervalText(found({ censoring: "left", after_step: null })), "\u2264 1,500");
});

test("never is not the same as not measured", () => {
  assert.equal(intervalText(found({ censoring: "right", by_step: null })), "not yet");
  assert.equal(intervalText(found({ censoring: "unmeasured", after_step: null, by_step: null })), "not measured");
});

test("tokens are told where they are known", () => {
  assert.equal(tokenIntervalText(found({})), "(4 B, 6 B]");
  assert.equal(tokenIntervalText(found({ censoring: "left", after_tokens: null })), "\u2264 6 B");
  assert.equal(tokenIntervalText(found({ after_tokens: null })), null);
  assert.equal(tokenIntervalText(found({ censoring: "right", by_tokens: null })), null);
  assert.equal(tokenText(304e9), "304 B");
});

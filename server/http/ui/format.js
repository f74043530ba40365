"use strict";
// Numbers, steps and times as text.

const NOTHING = "\u2013";

// Exact where it is a whole number, four digits where it is not.
function show(value) {
  if (value === null || value === undefined || value === "") return NOTHING;
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2)
                                    : String(Number(value.toPrecision(4)));
}

// For axes: 97,000 is "97k". The digits that are left out are at most the
// fifth: a tip or a table says the whole number.
function short(value, space = "") {
  for (const [unit, size] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return Number((value / size).toPrecision(4)) + space + unit;
  }
  return Number(value.toPrecision(4)).toString();
}

// 304,000,000,000 is "304 B".
function tokenText(value) {
  return value === null || value === undefined ? NOTHING : short(value, " ");
}

function age(time, now) {
  if (!time) return NOTHING;
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 90) return Math.round(seconds) + " s ago";
  if (seconds < 5400) return Math.round(seconds / 60) + " min ago";
  return seconds < 172800 ? Math.round(seconds / 3600) + " h ago" : time.slice(0, 10);
}

// An emergence as the interval that it lies in.
function intervalText(found) {
  if (found.censoring === "unmeasured") return "not measured";
  if (found.censoring === "right") return "not yet";
  if (found.censoring === "left") return "\u2264 " + show(found.by_step);
  return `(${show(found.after_step)}, ${show(found.by_step)}]`;
}

// The same in tokens; nothing where they are not known.
function tokenIntervalText(found) {
  if (found.by_tokens === null) return null;
  if (found.censoring === "left") return "\u2264 " + tokenText(found.by_tokens);
  return found.after_tokens === null ? null : `(${tokenText(found.after_tokens)}, ${tokenText(found.by_tokens)}]`;
}

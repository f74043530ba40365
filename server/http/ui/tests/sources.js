"use strict";
// The page's scripts, joined as the server joins them.
const fs = require("node:fs");
const path = require("node:path");

// Names that the pure scripts (all but draw.js and page.js) define.
function load(...names) {
  const text = ["format", "charts", "address", "facts", "loaders"]
    .map(file => fs.readFileSync(path.join(__dirname, "..", file + ".js"), "utf8")).join("");
  return new Function(`${text}\nreturn {${names.join(",")}};`)();
}

module.exports = { load };

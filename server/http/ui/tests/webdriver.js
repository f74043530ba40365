"use strict";
// A headless Chromium, driven through chromedriver's WebDriver protocol, and
// other processes that a test starts. Waiting is polling for a state with a
// deadline, never a sleep of a guessed length.
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

// Two cores that compile something else meanwhile can be slow; a state that is
// reached at all is reached far sooner.
const PATIENCE_MS = 60000;
const POLL_MS = 20;

async function until(condition, what) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms in vain for: ${what}`);
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
}

// A child with its log in `folder`. Ends with stop().
function start(command, args, folder, env = {}) {
  const log = path.join(folder, path.basename(command) + ".log");
  const out = fs.openSync(log, "a");
  const child = spawn(command, args, { stdio: ["ignore", out, out], env: { ...process.env, ...env } });
  fs.closeSync(out);
  let failure = null;
  child.on("error", error => { failure = error; });
  const text = () => fs.readFileSync(log, "utf8");
  const check = () => {
    if (failure) throw failure;
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}:\n${text()}`);
  };
  const stop = signal => new Promise(resolve => {
    if (failure || child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on("exit", resolve);
    child.kill(signal || "SIGKILL");
  });
  return { child, text, check, stop };
}

class Browser {
  // chromedriver on a free port, and a session in it.
  static async open(folder) {
    const driver = start("/usr/bin/chromedriver", ["--port=0"], folder, { HOME: folder });
    const port = await until(() => {
      driver.check();
      return (/started successfully on port (\d+)/.exec(driver.text()) || [])[1];
    }, "chromedriver's port");
    const browser = new Browser(`http://127.0.0.1:${port}`, driver);
    const args = ["--headless=new", "--window-size=1300,1000", "--disable-dev-shm-usage", "--disable-extensions",
                  "--no-first-run", "--lang=en-US", `--user-data-dir=${path.join(folder, "profile")}`];
    // Chromium's own sandbox needs a user other than root, or user namespaces,
    // which containers refuse. The page is ours and of this machine.
    args.push("--no-sandbox");
    const session = await browser.send("POST", "/session", { capabilities: { alwaysMatch: {
      browserName: "chrome", "goog:loggingPrefs": { browser: "ALL" },
      "goog:chromeOptions": { binary: "/usr/bin/chromium", args } } } });
    browser.base += "/session/" + session.sessionId;
    return browser;
  }

  constructor(base, driver) {
    this.base = base;
    this.driver = driver;
  }

  async send(method, where, body) {
    const response = await fetch(this.base + where, {
      method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${where}: ${value.error}: ${value.message}`);
    return value;
  }

  go(url) { return this.send("POST", "/url", { url }); }
  address() { return this.send("GET", "/url"); }
  back() { return this.send("POST", "/back", {}); }

  // Runs in the page: body of a function, or a function and its arguments.
  run(script, ...args) {
    const text = typeof script === "function" ? `return (${script}).apply(null, arguments)` : script;
    return this.send("POST", "/execute/sync", { script: text, args });
  }

  // As run(), of a function that returns a promise.
  runAsync(script, ...args) {
    const text = `const done = arguments[arguments.length - 1];
      (${script}).apply(null, arguments).then(done, error => done("failed: " + error.stack));`;
    return this.send("POST", "/execute/async", { script: text, args });
  }

  until(script, what) { return until(() => this.run(script), what || String(script)); }

  // Opens a tab, goes on in it and returns a function that goes back.
  async newTab() {
    const before = await this.send("GET", "/window");
    const { handle } = await this.send("POST", "/window/new", { type: "tab" });
    await this.send("POST", "/window", { handle });
    return async () => {
      await this.send("DELETE", "/window");
      await this.send("POST", "/window", { handle: before });
    };
  }

  async picture(file) {
    fs.writeFileSync(file, Buffer.from(await this.send("GET", "/screenshot"), "base64"));
  }

  // What the console said since the last call.
  log() { return this.send("POST", "/se/log", { type: "browser" }); }

  async close() {
    await this.send("DELETE", "").catch(() => {});
    await this.driver.stop();
  }
}

module.exports = { Browser, start, until };

"use strict";
// The page in a headless Chromium, over a real server: browser_test.js SERVER
// FILL_STORE. What a person sees is read: cells, rows, texts, pixels.
const { test } = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { execFileSync } = require("node:child_process");
const { Browser, start, until } = require("./webdriver.js");

const [SERVER, FILL_STORE] = process.env.BROWSER_TEST_BINARIES.split(":").map(p => path.resolve(p));
const PICTURES = process.env.BROWSER_TEST_PICTURES;

// All that was asked for is drawn.
const SETTLED = () => said.asking === 0 && said.shown !== null && said.shown.view === view;

// Everything that the page says: texts, what the controls hold, and colours.
function everything() {
  const texts = [...document.querySelectorAll("td, th, li, p, span, button, h1, h2, h3, svg text, select, .legend")]
    .filter(node => node.id !== "live").map(node => node.tagName === "SELECT" ? node.value : node.textContent);
  const inputs = [...document.querySelectorAll("input")].map(node => `${node.id}=${node.value},${node.checked}`);
  const fills = [...document.querySelectorAll("#heat rect")].map(node => node.getAttribute("fill"));
  const drawn = document.querySelector("#chart canvas");
  return { texts, inputs, fills, drawn: drawn && drawn.toDataURL(), theme: document.documentElement.dataset.theme };
}

// As a person does it: another value, then the event.
function setControl(id, value) {
  const node = document.getElementById(id);
  if (node.type === "checkbox") node.checked = value;
  else node.value = value;
  if (node.value !== String(value) && node.type !== "checkbox") throw new Error(`${id} does not take ${value}`);
  node.dispatchEvent(new Event("input"));
  node.dispatchEvent(new Event("change"));
}

// The fills that the cells must have for the step that the label names.
async function cellsAreOfTheLabel() {
  const step = document.getElementById("heat-step").textContent.replace(/\D/g, "");
  const { run, stage, domain, metric, scale } = view;
  const matrix = await (await fetch(`/api/v1/matrix?${new URLSearchParams({ run, stage, domain, metric, step })}`)).json();
  const width = Math.max(document.getElementById("heat").clientWidth, 280);
  const wanted = heatMap(matrix, { width, scale, unit: matrix.metric.unit }).shapes.filter(s => s.value !== undefined).map(s => s.fill);
  const seen = [...document.querySelectorAll("#heat rect.cell")].map(node => node.getAttribute("fill"));
  return wanted.length === 1024 && JSON.stringify(wanted) === JSON.stringify(seen);
}

// Milliseconds between the frames while a pointer moves over the chart.
function hoverFrames() {
  const plot = document.querySelector("#chart .plot"), box = plot.getBoundingClientRect();
  const times = [];
  let last = null;
  return new Promise(resolve => {
    const frame = now => {
      if (last !== null) times.push(now - last);
      last = now;
      if (times.length === 40) return resolve(times);
      const at = { bubbles: true, clientX: box.left + 80 + 10 * times.length, clientY: box.top + 100 };
      plot.dispatchEvent(new MouseEvent("mousemove", at));
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

// How many pixels of the chart's canvas are painted.
function paintedPixels() {
  const canvas = document.querySelector("#chart canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) painted++;
  return painted;
}

async function startServer(folder, data) {
  const ports = path.join(folder, path.basename(data) + ".ports");
  fs.rmSync(ports, { force: true });
  const server = start(SERVER, ["--data_dir=" + data, "--http_address=127.0.0.1:0", "--grpc_address=127.0.0.1:0",
                                "--ports_file=" + ports], folder);
  const text = await until(() => {
    server.check();
    return fs.existsSync(ports) && /^\d+ \d+/.test(fs.readFileSync(ports, "utf8")) && fs.readFileSync(ports, "utf8");
  }, "the server's ports");
  return { ...server, url: `http://127.0.0.1:${text.trim().split(" ")[1]}/` };
}

test("the page", async t => {
  // In memory if possible: filling the store is 2,000 commits, each synced.
  const memory = fs.existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir();
  const folder = fs.mkdtempSync(path.join(memory, "sinkwatch-page."));
  let server, browser;
  t.after(async () => {
    if (browser) await browser.close();
    if (server) await server.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });
  execFileSync(FILL_STORE, [path.join(folder, "data")]);
  server = await startServer(folder, path.join(folder, "data"));
  browser = await Browser.open(folder);
  const open = async hash => {
    await browser.go("about:blank");
    await browser.go(server.url + hash);
    await browser.until(SETTLED, `the page ${hash}`);
  };
  const look = name => PICTURES ? browser.picture(path.join(PICTURES, name + ".png")) : null;
  const settled = () => browser.until(SETTLED);
  const text = id => browser.run(id => document.getElementById(id).textContent, id);

  await t.test("opens on the run that was measured last, with a log axis and a band", async () => {
    await open("");
    await look("open");
    const values = await browser.run(() => ["run", "metric", "agg", "x"].map(id => document.getElementById(id).value));
    assert.deepEqual(values, ["wide", "sink_attention", "band", "log10_step"]);
    assert.match(await browser.address(), /run=wide.*metric=sink_attention.*agg=band.*x=log10_step/);
    assert.ok(await browser.run(paintedPixels) > 1000);
    assert.ok(await browser.runAsync(cellsAreOfTheLabel));
  });

  await t.test("A1: the cells are of the step that the label names, whichever answer comes first", async () => {
    await open("#run=wide&metric=sink_attention");
    await browser.run(() => {
      window.held = [];
      window.realFetch = window.fetch;
      window.fetch = (url, options) => !url.includes("/matrix?") ? realFetch(url, options) : new Promise((resolve, reject) => {
        held.push(() => realFetch(url).then(resolve, reject));
      });
      const slider = document.getElementById("at");
      for (const value of [3, 200]) {
        slider.value = value;
        slider.dispatchEvent(new Event("input"));
      }
    });
    await browser.until(() => held.length === 2);
    await browser.runAsync(async () => { await held[1](); });
    await browser.until(() => document.getElementById("heat-step").textContent === "step 95,500");
    await browser.runAsync(async () => {
      await held[0]();
      await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      window.fetch = realFetch;
    });
    assert.equal(await text("heat-step"), "step 95,500");
    assert.ok(await browser.runAsync(cellsAreOfTheLabel));
  });

  await t.test("A2: of 2,500 checkpoints the newest are on top, and the older come on request", async () => {
    await open("#run=long");
    const rows = () => browser.run(() => [...document.querySelectorAll("#checkpoints tbody tr")].map(row => row.cells[0].textContent));
    const first = await rows();
    assert.equal(first.length, 100);
    assert.deepEqual([first[0], first[99]], ["2,499,000", "2,400,000"]);
    assert.equal(await text("rows-count"), "100 of 2,500");
    await browser.run(() => document.getElementById("rows").click());
    await browser.until(() => document.querySelectorAll("#checkpoints tbody tr").length === 200);
    assert.deepEqual((await rows()).slice(0, 100), first);
    assert.equal((await rows())[199], "2,300,000");
    await settled();
  });

  await t.test("A4: a link shows what its sender saw, and Back goes back", async () => {
    await open("#run=one");
    // A group at a time: what a run has is known once it is there.
    const groups = [[["run", "wide"]], [["domain", "code"], ["metric", "value_norm_ratio"]],
                    [["agg", "max"], ["layer", "3"], ["x", "tokens"], ["scale", "symmetric"], ["per", "max"],
                     ["threshold", "0.8"], ["below", true], ["state", "done"], ["at", "150"]]];
    for (const group of groups) {
      for (const [id, value] of group) await browser.run(setControl, id, value);
      await settled();
    }
    for (const button of ["#legend button", "#rows", "#theme"]) await browser.run(button => document.querySelector(button).click(), button);
    await settled();
    await browser.run(() => document.querySelectorAll("#heat rect.cell")[500].dispatchEvent(new MouseEvent("click", { bubbles: true })));
    await settled();
    assert.match(await text("heads"), /^L15H20 \u00d7$/);
    const sent = await browser.run(everything), link = await browser.address();
    await look("link");
    for (const text of ["code", "value_norm_ratio", "symmetric", "tokens", "done"]) assert.ok(sent.texts.includes(text), text);
    assert.ok(sent.texts.some(text => text.includes("\u2264 0.8")));
    assert.ok(sent.inputs.includes("threshold=0.8,false") && sent.inputs.includes("below=on,true"));

    const back = await browser.newTab();
    await browser.go(link);
    await settled();
    const received = await browser.run(everything);
    for (const part in sent) assert.deepEqual(received[part], sent[part], part);

    // The same link put into a tab that shows something else, and Back.
    await browser.go(server.url + "#run=one");
    await settled();
    const other = await browser.run(everything);
    assert.notDeepEqual(other.texts, sent.texts);
    await browser.run(link => { location.href = link; }, link);
    await browser.until(() => document.getElementById("run").value === "wide");
    await settled();
    assert.deepEqual((await browser.run(everything)).texts, sent.texts);
    await browser.back();
    await browser.until(() => document.getElementById("run").value === "one");
    await settled();
    assert.deepEqual((await browser.run(everything)).texts, other.texts);
    await back();

    // Back after a choice.
    await browser.run(setControl, "metric", "sink_attention");
    await settled();
    await browser.back();
    await browser.until(() => document.getElementById("metric").value === "value_norm_ratio");
    await settled();
    assert.deepEqual((await browser.run(everything)).texts, sent.texts);
  });

  await t.test("a choice that asks nothing does not lose the one before it", async () => {
    await open("#run=wide&metric=sink_attention");
    await browser.run(() => {
      const metric = document.getElementById("metric");
      metric.value = "value_norm_ratio";
      metric.dispatchEvent(new Event("change"));
      document.getElementById("theme").click();
    });
    await browser.until(() => said.asking === 0);
    assert.match(await text("definition"), /value_norm_ratio/);
    assert.match(await text("heat-definition"), /value_norm_ratio/);
    assert.match(await text("emergence-definition"), /value_norm_ratio/);
  });

  await t.test("a link to what is not there says so", async () => {
    await open("#run=gone&metric=sink_attention");
    assert.equal(await text("notice"), "there is no run gone; this is wide");
  });

  await t.test("A5: one checkpoint of 1,024 lines is drawn, at a whole step", async () => {
    for (const x of ["step", "log10_step"]) {
      await open(`#run=one&metric=sink_attention&agg=each&x=${x}`);
      await look("one-" + x);
      assert.ok(await browser.run(paintedPixels) > 20, x);
      const labels = await browser.run(() => [...document.querySelectorAll("#chart svg text[text-anchor=middle]")].map(n => n.textContent));
      assert.deepEqual(labels.filter(l => /\d/.test(l)), ["1k"]);
    }
    await open("#run=one&metric=sink_attention&agg=band");
    assert.ok(await browser.run(paintedPixels) > 20);
  });

  for (const run of ["wide", "dense"]) {
    await t.test(`B4: 1,024 lines of ${run} do not slow the pointer`, async t => {
      await open(`#run=${run}&metric=sink_attention&agg=each`);
      const times = (await browser.runAsync(hoverFrames)).sort((a, b) => a - b);
      const nodes = await browser.run(() => document.querySelectorAll("*").length);
      t.diagnostic(`${run}: frames of ${times[10].toFixed(1)} (quarter), ${times[20].toFixed(1)} (half), ${times[39].toFixed(1)} ms (longest), ${nodes} nodes`);
      await look("each-" + run);
      assert.match(await text("tip"), /and 1012 more$/);
      // The fastest quarter: other tests that run beside this one take turns.
      assert.ok(times[10] <= 50, `frames took ${times.map(Math.round)}`);
      assert.ok(nodes < 5000, `${nodes} nodes`);
      assert.ok(await browser.run(() => said.series.whole.rows.length) <= 1000);
    });
  }

  await t.test("B6: a threshold is its metric's, and a chosen head is seen", async () => {
    await open("#run=wide&metric=sink_attention");
    const threshold = () => browser.run(() => `${document.getElementById("threshold").value} ${document.getElementById("below").checked}`);
    assert.equal(await threshold(), "0.3 false");
    await browser.run(setControl, "threshold", "0.4");
    await settled();
    await browser.run(setControl, "metric", "value_norm_ratio");
    await settled();
    assert.equal(await threshold(), "0.5 true");
    await browser.run(setControl, "metric", "sink_attention");
    await settled();
    assert.equal(await threshold(), "0.4 false");
    await browser.run(() => {
      document.getElementById("heat").scrollIntoView();
      document.querySelectorAll("#heat rect.cell")[33].dispatchEvent(new MouseEvent("click", { bubbles: true }));
    });
    await settled();
    assert.equal(await text("heads"), "L1H1 \u00d7");
    const seen = await browser.run(() => { const box = document.getElementById("chart").getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight; });
    assert.ok(seen, "the chart is out of sight");
    await browser.run(() => document.querySelector("#heads button").click());
    await settled();
    assert.equal(await text("heads"), "");
    assert.equal(await browser.run(() => document.getElementById("layer").value), "*");
  });

  await t.test("the strip tells the run, without a click", async () => {
    await open("#run=wide&domain=wiki");
    const strip = await browser.run(() => [...document.querySelectorAll("#facts > div")].map(box =>
      [box.querySelector("h3").textContent, [...box.querySelectorAll("li")].map(li => li.textContent)]));
    const said = Object.fromEntries(strip);
    assert.match(said.Onsets.join("\n"), /sink_attention >= 0.3 in wiki: \d+ of 1024 heads, the median one in \(\d+, \d+\]/);
    assert.match(said.Heads.join("\n"), /heads switch between wiki, code/);
  });

  await t.test("the map of a difference has the heads that differ most below it", async () => {
    await open("#run=wide&metric=sink_attention&domain=wiki&minus=code");
    await look("difference");
    assert.match(await text("heat-step"), /, wiki minus code$/);
    const contrast = await (await fetch(`${server.url}api/v1/contrast?run=wide&metric=sink_attention&domain=wiki,code&shape=records`)).json();
    const wanted = contrast.sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference)).slice(0, 20);
    const rows = await browser.run(() => [...document.querySelectorAll("#contrast tbody tr")].map(row => [...row.cells].map(cell => cell.textContent)));
    assert.deepEqual(rows.map(r => r[3]), wanted.map(r => r.difference.toFixed(3)));
    assert.equal(rows[0][4], `${wanted[0].low.toFixed(3)} to ${wanted[0].high.toFixed(3)}`);
    assert.match(await text("contrast-note"), /^the 20 of 1,024 that differ most; .*standard errors/);
    await browser.run(() => document.querySelector("#contrast button").click());
    await settled();
    assert.equal(await text("heads"), `${rows[0][0]} \u00d7`);
    await open("#run=wide&metric=sink_attention&domain=wiki");
    assert.equal(await browser.run(() => document.getElementById("contrast").hidden), true);
  });

  await t.test("on a narrow screen the lines lie on their axes", async () => {
    await browser.send("POST", "/window/rect", { width: 420, height: 2000 });
    await open("#run=wide&metric=sink_attention");
    await look("narrow");
    // A scroll bar that goes and comes back changes the width.
    for (const hidden of [true, false]) {
      await browser.run(hidden => document.querySelectorAll("main > section:not(#training)").forEach(card => { card.hidden = hidden; }), hidden);
      await browser.until(() => document.getElementById("chart").clientWidth === document.querySelector("#chart svg").viewBox.baseVal.width,
                          "lines as wide as their card");
      const scales = await browser.run(() => {
        const svg = document.querySelector("#chart svg"), canvas = document.querySelector("#chart canvas");
        const image = svg.getBoundingClientRect(), lines = canvas.getBoundingClientRect(), { width, height } = svg.viewBox.baseVal;
        return [image.width / width, image.height / height, lines.width / width, lines.height / height];
      });
      for (const scale of scales) assert.ok(Math.abs(scale - 1) < 0.001, String(scales));
    }
    assert.ok(await browser.run(() => document.documentElement.scrollWidth <= innerWidth));
    await browser.send("POST", "/window/rect", { width: 1300, height: 1000 });
  });

  await t.test("a server without runs says how to add one", async () => {
    const empty = await startServer(folder, path.join(folder, "empty"));
    await browser.go(empty.url);
    await browser.until(() => !document.getElementById("empty").hidden);
    await look("empty");
    assert.match(await text("empty"), /sinkwatch_server --run=.*sinkctl add-run/s);
    assert.equal(await browser.run(() => document.getElementById("cards").checkVisibility()), false);
    await empty.stop();
  });

  await t.test("a run without checkpoints is no error", async () => {
    await open("#run=aaa-empty");
    await look("no-checkpoint");
    assert.equal(await browser.run(() => document.getElementById("error").hidden), true);
  });

  await t.test("the page runs no script but its own", async () => {
    const policy = (await fetch(server.url)).headers.get("content-security-policy");
    assert.match(policy, /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self';/);
    assert.doesNotMatch(policy, /unsafe|http/);
  });

  await t.test("the console is silent", async () => {
    const lines = (await browser.log()).filter(entry => entry.level === "SEVERE").map(entry => entry.message);
    assert.deepEqual(lines, []);
  });

  await t.test("D7: a server that is gone is said, with the time of its last answer", async () => {
    await open("#run=wide");
    await server.stop();
    await browser.until(() => !document.getElementById("error").hidden, "the message");
    assert.match(await text("error"), /^the server does not answer since \d\d:\d\d:\d\d, trying again$/);
  });
});

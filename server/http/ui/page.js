// What is chosen is in the address (#run=..&metric=..), so a view can be sent.

const $ = id => document.getElementById(id);
const tip = $("tip");
const STATES = ["waiting", "queued", "leased", "retrying", "done", "dead", "vanished", "superseded", "skipped"];
const chosen = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const hidden = new Set();
let runs = [], metrics = [], series = null, steps = [], follow = !chosen.at;

async function ask(endpoint, parameters) {
  const query = new URLSearchParams();
  for (const key in parameters) {
    if (parameters[key] !== undefined && parameters[key] !== null) query.set(key, parameters[key]);
  }
  const response = await fetch(`/api/v1/${endpoint}?${query}`, { cache: "no-cache" });
  const body = await response.json();
  if (!response.ok) throw Object.assign(new Error(body.error ? body.error.message : response.statusText), { answered: true });
  return body;
}

// What the server refuses is said where its answer would be; the rest of the
// page goes on.
function sayRefusal(box, error) {
  if (!error.answered) throw error;
  box.replaceChildren(html("p", { class: "empty", text: error.message }));
}

function records(table) {
  return table.rows.map(row => Object.fromEntries(table.columns.map((c, i) => [c, row[i]])));
}

function remember() {
  const kept = Object.entries(chosen).filter(([, v]) => v !== undefined && v !== "");
  history.replaceState(null, "", "#" + new URLSearchParams(kept));
}

function options(select, values, current, names) {
  const list = values.map((v, i) => {
    const option = html("option", { value: v, text: names ? names[i] : v || "(none)" });
    option.selected = String(v) === String(current);
    return option;
  });
  select.replaceChildren(...list);
  return values.map(String).includes(String(current)) ? String(current) : String(values[0] ?? "");
}

function table(box, columns, rows, decorate) {
  if (!rows.length) {
    box.replaceChildren(html("p", { class: "empty", text: "nothing here yet" }));
    return;
  }
  const head = html("tr", {}, ...columns.map(c => html("th", { class: c.number ? "number" : "", text: c.name })));
  const body = rows.map(row => {
    const line = html("tr", {}, ...columns.map(c => {
      const value = c.cell(row);
      const cell = html("td", { class: (c.number ? "number " : "") + (c.wrap ? "wrap" : "") });
      cell.append(value instanceof Node ? value : show(value));
      return cell;
    }));
    if (decorate) decorate(line, row);
    return line;
  });
  const keep = box.scrollTop;
  box.replaceChildren(html("table", {}, html("thead", {}, head), html("tbody", {}, ...body)));
  box.scrollTop = keep;
}

function chip(state, text) {
  return html("span", { class: "chip " + state, text: text || state });
}

function age(time) {
  if (!time) return "\u2013";
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (seconds < 90) return Math.round(seconds) + " s ago";
  if (seconds < 5400) return Math.round(seconds / 60) + " min ago";
  return seconds < 172800 ? Math.round(seconds / 3600) + " h ago" : new Date(time).toLocaleDateString();
}

function drawRuns() {
  const counts = run => html("span", {}, ...STATES.filter(s => run[s] > 0).map(s => chip(s, `${run[s]} ${s}`)));
  table($("runs"), [
    { name: "run", cell: r => html("b", { text: r.name }) },
    { name: "model", cell: r => r.architecture },
    { name: "layers \u00d7 heads", cell: r => r.layers ? `${r.layers} \u00d7 ${r.heads}` : null },
    { name: "latest step", number: true, cell: r => r.latest_step },
    { name: "measured", cell: r => age(r.last_commit) },
    { name: "checkpoints", cell: counts },
    { name: "root", wrap: true, cell: r => r.discovery_error ? html("span", { class: "chip dead", text: r.discovery_error }) : r.root },
  ], runs, (line, run) => {
    line.className = "pick" + (run.name === chosen.run ? " chosen" : "");
    line.onclick = () => { chosen.run = run.name; delete chosen.stage; delete chosen.domain; refresh(true); };
  });
}

function describe(node, metric, before) {
  node.replaceChildren();
  if (!metric) return;
  node.append(html("b", { text: (before || "") + metric.name }), ` [${metric.unit || "no unit"}, one value per ${metric.scope.replace("_", "/")}] `, metric.meaning);
  if (metric.formula) node.append(" \u2014 ", html("code", { text: metric.formula }));
  if (metric.source) node.append(" \u2014 " + metric.source);
}

function fillPickers() {
  const run = runs.find(r => r.name === chosen.run) || runs[0];
  chosen.run = options($("run"), runs.map(r => r.name), run && run.name);
  const stages = run && run.stages.length ? run.stages : [""];
  chosen.stage = options($("stage"), stages, chosen.stage);
  $("stage-box").hidden = stages.length < 2;
  chosen.domain = options($("domain"), run ? run.domains : [], chosen.domain);
  chosen.metric = options($("metric"), metrics.map(m => m.name), chosen.metric || "sink_attention");
  const layers = run && run.layers ? [...Array(run.layers).keys()] : [];
  chosen.layer = options($("layer"), ["*", ...layers], chosen.layer || "*", ["all", ...layers.map(String)]);
  chosen.agg = options($("agg"), [...$("agg").options].map(o => o.value), chosen.agg || "max", [...$("agg").options].map(o => o.textContent));
  chosen.x = options($("x"), ["step", "log10_step", "tokens"], chosen.x || "step", ["step", "log step", "tokens"]);
}

function selection() {
  return { run: chosen.run, stage: chosen.stage, domain: chosen.domain, metric: chosen.metric };
}

const onX = { step: s => s, log10_step: s => Math.log10(1 + s), tokens: () => NaN };

function drawSeries() {
  const box = $("chart");
  $("legend").replaceChildren();
  if (!series || !series.rows.length || series.columns.length < 2) {
    box.replaceChildren(html("p", { class: "empty", text: "no values of this metric in this domain" }));
    return;
  }
  const gaps = series.gaps.filter(g => !["skipped", "superseded"].includes(g.state)).map(g => ({
    x: onX[chosen.x](g.step), text: `step ${g.step}: ${g.state}${g.reason ? ": " + g.reason : ""}`,
  }));
  lineChart(box, series, {
    tip, hidden, gaps, unit: series.metric.unit,
    xLabel: chosen.x === "tokens" ? "tokens" : "step",
    xTicks: chosen.x === "log10_step" ? decadeTicks : ticks,
    xText: v => short(chosen.x === "log10_step" ? Math.round(10 ** v - 1) : v),
  });
  const names = series.columns.slice(1);
  $("legend").replaceChildren(...names.map((name, i) => {
    const swatch = html("i");
    swatch.style.background = colourOf(i, names.length);
    const entry = html("span", { class: hidden.has(name) ? "off" : "" }, swatch, name);
    entry.onclick = () => { hidden.has(name) ? hidden.delete(name) : hidden.add(name); drawSeries(); };
    return entry;
  }));
  if (series.note) $("legend").append(html("span", { text: series.note }));
}

async function loadSeries() {
  const metric = metrics.find(m => m.name === chosen.metric);
  const perHead = metric && metric.scope.includes("head");
  $("agg").disabled = !perHead;
  try {
    series = await ask("series", {
      ...selection(), x: chosen.x, agg: perHead ? chosen.agg : "each",
      layer: metric && metric.scope === "model" ? undefined : chosen.layer,
      head: chosen.agg === "each" && perHead ? chosen.head : undefined, max_columns: 4096, max_rows: 20000,
    });
  } catch (error) {
    series = null;
    $("legend").replaceChildren();
    describe($("definition"), metric);
    return sayRefusal($("chart"), error);
  }
  const over = perHead ? { each: "", max: "max over heads of ", min: "min over heads of ", mean: "mean over heads of ", median: "median over heads of ", p90: "90 % quantile over heads of " }[chosen.agg] : "";
  describe($("definition"), series.metric.name ? series.metric : metric, over);
  drawSeries();
}

async function loadHeat() {
  const all = await ask("checkpoints", { run: chosen.run, stage: chosen.stage, state: "done", limit: 5000 });
  steps = [...new Set(records(all).map(c => c.step))].sort((a, b) => a - b);
  const slider = $("heat-slider");
  slider.max = Math.max(0, steps.length - 1);
  if (follow) chosen.at = undefined;
  const wanted = follow ? steps.length - 1 : steps.indexOf(Number(chosen.at));
  slider.value = wanted < 0 ? steps.length - 1 : wanted;
  slider.disabled = steps.length < 2;
  await drawHeat();
}

async function drawHeat() {
  const step = steps[$("heat-slider").value];
  const box = $("heat");
  if (step === undefined) {
    box.replaceChildren(html("p", { class: "empty", text: "nothing measured yet" }));
    return;
  }
  $("heat-step").textContent = "step " + show(step) + (follow ? " (latest)" : "");
  try {
    const matrix = await ask("matrix", { ...selection(), step });
    describe($("heat-definition"), matrix.metric);
    heatMap(box, matrix, { tip, unit: matrix.metric.unit, pick: (layer, head) => {
      chosen.layer = String(layer); chosen.agg = "each"; chosen.head = String(head); refresh(true);
    } });
  } catch (error) {
    sayRefusal(box, error);
  }
}

async function loadEmergence() {
  const threshold = Number($("threshold").value), below = $("below").checked;
  const metric = metrics.find(m => m.name === chosen.metric);
  const perHead = metric && metric.scope.includes("head");
  let found;
  try {
    found = await ask("emergence", {
      ...selection(), threshold, below: below ? 1 : 0, agg: perHead ? $("emergence-agg").value : "each",
    });
  } catch (error) {
    return sayRefusal($("emergence"), error);
  }
  $("emergence-definition").replaceChildren(
    "First step interval after which ", html("b", { text: chosen.metric }),
    ` stays ${below ? "\u2264" : "\u2265"} ${threshold} for two checkpoints in a row; the estimate interpolates on ln(1 + step).`);
  const rank = r => r.censoring === "right" ? Infinity : r.by_step;
  const rows = records(found).sort((a, b) => rank(a) - rank(b) || (a.estimate ?? 0) - (b.estimate ?? 0));
  const interval = r => r.censoring === "right" ? "not yet" : r.censoring === "left" ? `\u2264 ${show(r.by_step)}` : `(${show(r.after_step)}, ${show(r.by_step)}]`;
  table($("emergence"), [
    { name: "series", cell: r => html("b", { text: r.series }) },
    { name: "step interval", number: true, cell: interval },
    { name: "estimate", number: true, cell: r => r.estimate === null ? null : Math.round(r.estimate) },
    { name: "", cell: r => r.provisional ? chip("waiting", "provisional") : r.censoring === "left" ? chip("", "from the start") : html("span") },
  ], rows);
}

async function loadCheckpoints() {
  const found = await ask("checkpoints", { run: chosen.run, stage: chosen.stage || undefined, state: $("state").value || undefined, limit: 2000 });
  const rows = records(found).sort((a, b) => b.step - a.step);
  table($("checkpoints"), [
    { name: "step", number: true, cell: c => c.step },
    { name: "tokens", number: true, cell: c => c.tokens },
    { name: "state", cell: c => chip(c.state, c.state === "leased" ? `leased ${Math.round(100 * c.progress)} %` : c.state) },
    { name: "why", wrap: true, cell: c => [c.outcome, c.reason].filter(Boolean).join(": ") },
    { name: "attempts", number: true, cell: c => c.attempts },
    { name: "worker", cell: c => c.worker },
    { name: "changed", cell: c => age(c.updated) },
    { name: "folder", cell: c => html("code", { text: c.path }) },
  ], rows);
}

function drawDefinitions() {
  table($("metrics"), [
    { name: "metric", cell: m => html("code", { text: m.name }) },
    { name: "unit", cell: m => m.unit },
    { name: "one value per", cell: m => m.scope.replace("_", "/") },
    { name: "meaning", wrap: true, cell: m => m.meaning },
    { name: "formula", wrap: true, cell: m => html("code", { text: m.formula }) },
    { name: "source", wrap: true, cell: m => m.source },
  ], metrics, (line, m) => {
    line.className = "pick" + (m.name === chosen.metric ? " chosen" : "");
    line.onclick = () => { chosen.metric = m.name; refresh(true); scrollTo({ top: 0, behavior: "smooth" }); };
  });
}

let busy = false, again = false, lastRevision = null;

async function refresh(changed) {
  if (busy) { again = again || changed; return; }
  busy = true;
  try {
    const list = await ask("runs", {});
    runs = records(list);
    if (changed || list.revision !== lastRevision || !metrics.length) {
      metrics = chosen.run || runs.length ? records(await ask("metrics", {})) : [];
    }
    fillPickers();
    drawRuns();
    if (runs.length) await loadCheckpoints();
    if (runs.length && metrics.length && (changed || list.revision !== lastRevision)) {
      drawDefinitions();
      await Promise.all([loadSeries(), loadHeat(), loadEmergence()]);
    }
    lastRevision = list.revision;
    remember();
    $("error").hidden = true;
    $("live").className = "live";
    $("live").textContent = "revision " + show(list.revision);
  } catch (error) {
    $("error").hidden = false;
    $("error").textContent = error.message;
    $("live").className = "live off";
    $("live").textContent = "no answer";
  }
  busy = false;
  if (again) { again = false; refresh(true); }
}

for (const id of ["run", "stage", "domain", "metric", "agg", "layer", "x"]) {
  $(id).addEventListener("change", () => {
    chosen[id] = $(id).value;
    if (id === "run") { delete chosen.stage; delete chosen.domain; }
    if (id === "agg" || id === "layer") delete chosen.head;
    hidden.clear();
    refresh(true);
  });
}
for (const id of ["threshold", "below", "emergence-agg"]) {
  $(id).addEventListener("change", () => refresh(true));
}
$("state").append(...STATES.map(s => html("option", { value: s, text: s })));
$("state").addEventListener("change", () => refresh(false));
$("heat-slider").addEventListener("input", () => {
  const index = Number($("heat-slider").value);
  follow = index === steps.length - 1;
  chosen.at = follow ? undefined : String(steps[index]);
  remember();
  drawHeat();
});
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  chosen.theme = root.dataset.theme;
  remember();
  drawSeries();
});
document.documentElement.dataset.theme =
  chosen.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
addEventListener("resize", () => { drawSeries(); drawHeat(); });
setInterval(() => { if (!document.hidden) refresh(false); }, 5000);
refresh(true);

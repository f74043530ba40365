// The page: controls <-> view <-> address, and the cards that the view asks for.

const $ = id => document.getElementById(id);
const tip = $("tip");

// The page's whole state: what is chosen (address.js), and what the server said.
let view = parseView(location.hash);
const said = { runs: [], states: [], metrics: [], steps: [], series: null, matrix: null, emergence: null, facts: null,
               revision: null, answered: null, shown: null, asking: 0, notice: "" };

const SERIES_POINTS = 1000;
const SERIES_CELLS = 900000;
// As controls by id: selects whose value is the view's.
const SELECTS = ["run", "stage", "domain", "metric", "agg", "layer", "x", "reference", "scale", "minus", "per", "state"];
// Changes that ask the server nothing.
const LOCAL = ["hidden", "scale", "theme", "found"];

const theRun = () => said.runs.find(r => r.name === view.run);
const theMetric = () => said.metrics.find(m => m.name === view.metric);
const isPerHead = metric => metric.scope.includes("head");
const query = signal => (endpoint, parameters) => ask(fetch, endpoint, parameters, signal);
const selection = v => ({ run: v.run, stage: v.stage, domain: v.domain, metric: v.metric });

// --- the view and the address ----------------------------------------------

// The view becomes `next` where the answers on the page still fit.
function adopt(next) {
  if (said.shown && said.shown.view === view) said.shown.view = next;
  view = next;
}

function go(next, how = "pushState") {
  const changed = Object.keys(next).filter(key => JSON.stringify(next[key]) !== JSON.stringify(view[key]));
  const local = changed.length > 0 && changed.every(key => LOCAL.includes(key));
  if (local) adopt(next);
  else view = next;
  if (formatView(view) !== location.hash) history[how](null, "", formatView(view));
  redraw();
  if (local) return;
  said.notice = "";
  for (const card of Object.values(cards)) card.cancel();
  refresh();
}

function choose(key, value) {
  go(chooseIn(view, key, value));
}

// Back, forward, or a link put into this tab.
function followAddress() {
  const next = parseView(location.hash);
  if (formatView(next) !== formatView(view)) go(next, "replaceState");
}

// --- asking -----------------------------------------------------------------

// A card shows the answer that was asked for last, or why there is none.
function card(load, draw, box) {
  const newest = latest(load);
  const show = async () => {
    const wanted = view;
    try {
      const got = await newest(wanted);
      if (got) draw(got.answer, wanted);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      draw(null, wanted);
      say(box, error.message);
    }
  };
  return Object.assign(show, { cancel: newest.cancel });
}

const frame = latest(async signal => {
  const list = await query(signal)("runs", {});
  const runs = records(list);
  const run = runs.length ? (runs.find(r => r.name === view.run) || latestRun(runs)).name : null;
  const metrics = run === null ? [] : records(await query(signal)("metrics", { run }));
  return { list, runs, metrics };
});

const cards = {
  series: card(loadSeries, (answer, v) => { said.series = answer && { ...answer, asked: v }; drawSeries(); }, $("chart")),
  references: card(loadReferences, drawReferences, $("chart-note")),
  steps: card(loadSteps, drawSlider, $("heat")),
  facts: card((signal, v) => query(signal)("summary", { run: v.run, stage: v.stage }), drawFacts, $("facts")),
  heat: card(loadMatrix,
             (answer, v) => { said.matrix = answer && { ...answer, asked: v }; drawHeat(); }, $("heat")),
  emergence: card(loadEmergence, answer => { said.emergence = answer; drawEmergence(); }, $("emergence")),
  checkpoints: card((signal, v) => query(signal)("checkpoints", {
    run: v.run, stage: v.stage || undefined, state: v.state || undefined, limit: v.rows }), drawCheckpoints, $("checkpoints")),
};

async function refresh() {
  said.asking++;
  try {
    const got = await frame();
    if (got) await showFrame(got.answer);
    if (got) reached();
  } catch (error) {
    missed(error);
  }
  said.asking--;
}

async function showFrame({ list, runs, metrics }) {
  Object.assign(said, { runs, metrics, states: list.states, revision: list.revision });
  $("empty").hidden = runs.length > 0;
  $("cards").hidden = $("pickers").hidden = !runs.length;
  if (!runs.length) return;
  const resolved = resolveView(view, runs, metrics);
  if (formatView(resolved) !== formatView(view)) {
    said.notice = lostText(view, resolved);
    view = resolved;
    history.replaceState(null, "", formatView(view));
  }
  $("notice").hidden = !said.notice;
  $("notice").textContent = said.notice;
  fillControls();
  drawRuns();
  drawDefinitions();
  const news = !said.shown || said.shown.view !== view || said.shown.revision !== list.revision;
  const wanted = !news ? ["checkpoints"] : metrics.length ? Object.keys(cards) : sayUnmeasured();
  const asked = view;
  await Promise.all(wanted.map(name => cards[name]()));
  if (asked === view) said.shown = { view, revision: list.revision };
}

// A run without a measurement has checkpoints at most.
function sayUnmeasured() {
  Object.assign(said, { series: null, matrix: null, emergence: null, facts: null });
  for (const id of ["legend", "heads", "definition", "heat-step", "heat-definition", "emergence-definition", "found-count"]) $(id).replaceChildren();
  for (const id of ["chart", "heat", "emergence", "facts"]) say($(id), "nothing measured yet");
  $("found").hidden = $("at").disabled = true;
  return ["checkpoints"];
}

function reached() {
  said.answered = new Date();
  $("error").hidden = true;
  $("live").className = "live";
  $("live").textContent = "live";
}

function missed(error) {
  const since = said.answered ? ` since ${said.answered.toTimeString().slice(0, 8)}` : "";
  $("error").hidden = false;
  $("error").textContent = error instanceof Unreachable
    ? `the server does not answer${since}, trying again` : error.message;
  $("live").className = "live off";
  $("live").textContent = "no answer";
}

// --- controls ---------------------------------------------------------------

function fillSelect(id, values, names = values) {
  const select = $(id), has = [...select.options].map(option => option.value);
  if (JSON.stringify(has) === JSON.stringify(values)) return;
  select.replaceChildren(...values.map((value, i) => html("option", { value, text: names[i] || "(none)" })));
}

function fillControls() {
  const run = theRun(), metric = theMetric();
  const layers = Array.from({ length: run.layers || 0 }, (_, l) => String(l));
  fillSelect("run", said.runs.map(r => r.name));
  fillSelect("stage", run.stages);
  fillSelect("domain", run.domains);
  fillSelect("minus", ["", ...otherDomains(run, view.domain)], ["nothing", ...otherDomains(run, view.domain)]);
  fillSelect("metric", said.metrics.map(m => m.name));
  fillSelect("layer", ["*", ...layers], ["all", ...layers]);
  fillSelect("state", ["", ...said.states], ["all", ...said.states]);
  for (const id of SELECTS) $(id).value = view[id];
  $("stage-box").hidden = run.stages.length < 2;
  $("minus-box").hidden = run.domains.length < 2;
  $("agg").disabled = !metric || metric.scope === "model";
  $("layer").disabled = !metric || metric.scope === "model";
  $("per").disabled = !metric || !isPerHead(metric);
}

function setThreshold() {
  const text = $("threshold").value, thresholds = { ...view.thresholds };
  if (text === "") delete thresholds[view.metric];
  else thresholds[view.metric] = { threshold: Number(text), below: $("below").checked };
  choose("thresholds", thresholds);
}

for (const id of SELECTS) $(id).addEventListener("change", () => choose(id, $(id).value));
for (const id of ["threshold", "below"]) $(id).addEventListener("change", setThreshold);
for (const id of ["found", "rows"]) $(id).addEventListener("click", () => choose(id, Math.min(view[id] + 100, MOST_ROWS)));
// A drag draws as it goes and is one entry of the history when it ends.
$("at").addEventListener("input", () => {
  const index = Number($("at").value);
  adopt({ ...view, at: index === said.steps.length - 1 ? "" : String(said.steps[index]) });
  said.asking++;
  cards.heat().catch(missed).finally(() => { said.asking--; });
});
$("at").addEventListener("change", () => {
  if (formatView(view) !== location.hash) history.pushState(null, "", formatView(view));
});
$("theme").addEventListener("click", () => {
  choose("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
});
addEventListener("popstate", followAddress);
addEventListener("hashchange", followAddress);
// A scroll bar that comes or goes changes the width as well as a window does.
let width = 0, resized = 0;
new ResizeObserver(() => {
  if ($("chart").clientWidth === width) return;
  width = $("chart").clientWidth;
  cancelAnimationFrame(resized);
  resized = requestAnimationFrame(redraw);
}).observe($("chart"));
setInterval(() => { if (!document.hidden && !said.asking) refresh(); }, 5000);
history.replaceState(null, "", formatView(view));
redraw();
refresh();

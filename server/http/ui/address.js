// The view: everything that is chosen, and its form in the address
// (#run=..&metric=..). A link holds all of it, so it shows the same to whoever
// opens it.

// What is chosen where an address says nothing. "" of run, stage, domain and
// metric: the page chooses when it knows what there is; "" of at: the latest.
const DEFAULT_VIEW = {
  run: "", stage: "", domain: "", metric: "",
  agg: "band", layer: "*", x: "log10_step",
  reference: "",  // published values drawn beside; "": none
  heads: [],   // drawn beside the others: "L15H20"
  hidden: [],  // names of lines that the legend has switched off
  at: "", scale: "auto",
  minus: "",   // the domain that the map subtracts; "": none
  thresholds: {},  // by metric: {threshold: number, below: boolean}
  per: "each", found: 100,
  state: "", rows: 100,
  theme: "",
};

const CHOICES = {
  agg: ["band", "each", "max", "p90", "median", "mean", "min"],
  x: ["log10_step", "step", "tokens"],
  scale: ["auto", "unit", "symmetric"],
  per: ["each", "max", "mean", "min"],
  theme: ["", "light", "dark"],
};
const LISTS = ["heads", "hidden"];
const COUNTS = ["found", "rows"];
// The most rows that the server gives at once.
const MOST_ROWS = 5000;
// Heads with a line of their own: as many as have a colour beside the band's.
const MOST_HEADS = 7;
const PREFIX = "threshold.";

function defaultView() {
  return { ...DEFAULT_VIEW, heads: [], hidden: [], thresholds: {} };
}

// Reads what stands after '#'. What it does not know, or could not have
// written, is left at its default: an address is anybody's text.
function parseView(hash) {
  const view = defaultView();
  for (const [key, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (key.startsWith(PREFIX)) readThreshold(view, key.slice(PREFIX.length), value);
    else if (!Object.hasOwn(DEFAULT_VIEW, key) || key === "thresholds") continue;
    else if (LISTS.includes(key)) view[key] = value.split(",").filter(Boolean);
    else if (COUNTS.includes(key)) view[key] = countOf(value, view[key]);
    else if (!CHOICES[key] || CHOICES[key].includes(value)) view[key] = value;
  }
  view.heads = view.heads.filter(name => headOf(name)).slice(-MOST_HEADS);
  if (!/^(\*|\d+)$/.test(view.layer)) view.layer = "*";
  if (!/^\d*$/.test(view.at)) view.at = "";
  return view;
}

// "0.3" or, for a fall, "<0.3".
function readThreshold(view, metric, text) {
  const below = text.startsWith("<");
  const number = Number(text.slice(below ? 1 : 0));
  if (text !== "" && Number.isFinite(number)) view.thresholds[metric] = { threshold: number, below };
}

function countOf(text, otherwise) {
  const number = Number(text);
  return Number.isInteger(number) && number > 0 ? Math.min(number, MOST_ROWS) : otherwise;
}

// In a fixed order: one view has one address.
function formatView(view) {
  const query = new URLSearchParams();
  for (const key of Object.keys(DEFAULT_VIEW)) {
    if (key === "thresholds") {
      for (const metric of Object.keys(view.thresholds).sort()) {
        const { threshold, below } = view.thresholds[metric];
        query.set(PREFIX + metric, (below ? "<" : "") + threshold);
      }
      continue;
    }
    const text = LISTS.includes(key) ? view[key].join(",") : String(view[key]);
    if (text !== "") query.set(key, text);
  }
  return "#" + query;
}

// "L15H20" -> {layer: 15, head: 20}; null for what is none.
function headOf(name) {
  const parts = /^L(\d+)H(\d+)$/.exec(name);
  return parts && { layer: Number(parts[1]), head: Number(parts[2]) };
}

const oneOf = (wanted, choices) => choices.includes(wanted) ? wanted : choices[0] ?? "";

// The run that was measured last; the first where none was.
function latestRun(runs) {
  const time = run => run.last_commit ? Date.parse(run.last_commit) : -Infinity;
  return runs.reduce((a, b) => time(b) > time(a) ? b : a);
}

// What can be subtracted from a domain: the others.
const otherDomains = (run, domain) => run.domains.filter(d => d !== domain);

// Fills what the address left open, and what the run does not have, with what
// there is. Returns a new view.
function resolveView(view, runs, metrics) {
  const run = runs.find(r => r.name === view.run) || latestRun(runs);
  const names = metrics.map(m => m.name);
  const layers = Array.from({ length: run.layers || 0 }, (_, l) => String(l));
  return {
    ...view, run: run.name,
    stage: oneOf(view.stage, run.stages),
    domain: oneOf(view.domain, run.domains),
    minus: otherDomains(run, oneOf(view.domain, run.domains)).includes(view.minus) ? view.minus : "",
    metric: oneOf(view.metric, names.includes("sink_attention") && !view.metric ? ["sink_attention"] : names),
    layer: layers.length && view.layer !== "*" ? oneOf(view.layer, ["*", ...layers]) : view.layer,
  };
}

// What an address asked for and there is not, for a person; "" if all is there.
function lostText(wanted, resolved) {
  const lost = ["run", "stage", "domain", "metric"].filter(key => wanted[key] !== "" && wanted[key] !== resolved[key])
    .map(key => `there is no ${key} ${wanted[key]}; this is ${resolved[key] || "a run without one"}`);
  return lost.join(". ");
}

// The view after a person chose `value` for `key`: what belongs to the choice
// before is dropped.
function chooseIn(view, key, value) {
  const next = { ...view, [key]: value };
  if (key === "run") Object.assign(next, { stage: "", domain: "", minus: "", at: "", heads: [], rows: DEFAULT_VIEW.rows });
  if (key === "stage") next.at = "";
  if (["run", "stage", "domain", "metric"].includes(key)) next.found = DEFAULT_VIEW.found;
  if (key === "state") next.rows = DEFAULT_VIEW.rows;
  if (["run", "metric", "agg", "layer"].includes(key)) next.hidden = [];
  return next;
}

// A threshold belongs to its metric: what was set there, else the metric's own.
// null: there is none yet.
function thresholdOf(view, metric) {
  const set = Object.hasOwn(view.thresholds, metric.name) ? view.thresholds[metric.name] : null;
  if (set) return set;
  if (metric.threshold === null || metric.threshold === undefined) return null;
  return { threshold: metric.threshold, below: metric.below === true };
}

function toggled(list, name) {
  return list.includes(name) ? list.filter(n => n !== name) : [...list, name];
}

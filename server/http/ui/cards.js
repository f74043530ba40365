// The cards: what each asks the server for, and how its answer is drawn. The
// state is page.js's.

async function loadSeries(signal, v) {
  const metric = theMetric();
  const perHead = isPerHead(metric), band = v.agg === "band" && metric.scope !== "model";
  const layer = metric.scope === "model" ? undefined : v.layer;
  const columns = band ? 5 : perHead && v.agg === "each" ? theRun().layers * theRun().heads : 100;
  const common = { ...selection(v), x: v.x, max_columns: 8192,
                   max_points: Math.min(SERIES_POINTS, Math.floor(SERIES_CELLS / columns)) };
  const asked = [query(signal)("series", { ...common, layer, agg: band ? "band" : perHead && v.agg !== "band" ? v.agg : "each",
                                           across_layers: band ? 1 : undefined })];
  const heads = perHead ? v.heads.map(headOf) : [];
  if (heads.length) {
    asked.push(query(signal)("series", { ...common, agg: "each", layer: [...new Set(heads.map(h => h.layer))].join(","),
                                         head: [...new Set(heads.map(h => h.head))].join(",") }));
  }
  const published = v.reference
    ? query(signal)("references", { reference: v.reference, metric: v.metric }).then(list => referenceSeries(records(list), v.x))
    : null;
  const [whole, own] = await Promise.all(asked);
  return { whole, own, band, metric, published: await published };
}

// The names of references that have values of the metric.
async function loadReferences(signal, v) {
  return [...new Set(records(await query(signal)("references", { metric: v.metric })).map(p => p.reference))];
}

function drawReferences(names) {
  const all = ["", ...(names || [])];
  if (view.reference && !all.includes(view.reference)) all.push(view.reference);
  fillSelect("reference", all, ["none", ...all.slice(1)]);
  $("reference").value = view.reference;
  $("reference-box").hidden = all.length < 2;
}

// Of two domains the difference, at the step of the first.
async function loadMatrix(signal, v) {
  const matrix = await query(signal)("matrix", { ...selection(v), step: v.at || undefined });
  if (!v.minus) return matrix;
  const [other, contrast] = await Promise.all([
    query(signal)("matrix", { ...selection(v), domain: v.minus, step: matrix.step }),
    query(signal)("contrast", { ...selection(v), domain: `${v.domain},${v.minus}`, step: matrix.step }),
  ]);
  return { ...differenceOf(matrix, other), contrasts: records(contrast), contrastNotes: contrast.notes };
}

async function loadSteps(signal, v) {
  const done = await query(signal)("checkpoints", { run: v.run, stage: v.stage, state: "done", limit: MOST_ROWS });
  return [...new Set(records(done).map(c => c.step))].sort((a, b) => a - b);
}

async function loadEmergence(signal, v) {
  const metric = theMetric(), rule = thresholdOf(v, metric);
  if (!rule) return null;
  const found = await query(signal)("emergence", { ...selection(v), threshold: rule.threshold, below: rule.below ? 1 : 0,
                                                   agg: isPerHead(metric) ? v.per : "each" });
  return { rows: records(found), rule, metric, consecutive: found.consecutive, notes: found.notes };
}

// --- drawing ----------------------------------------------------------------

function redraw() {
  document.documentElement.dataset.theme = view.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  drawSeries();
  drawHeat();
  drawEmergence();
}

function describe(node, metric, before) {
  node.replaceChildren();
  if (!metric) return;
  node.append(html("b", { text: (before || "") + metric.name }), ` [${metric.unit || "no unit"}, one value per ${metric.scope.replace("_", "/")}] `, metric.meaning);
  if (metric.formula) node.append(" \u2014 ", html("code", { text: metric.formula }));
  if (metric.source) node.append(" \u2014 " + metric.source);
}

// What is drawn, in the words of the control that chose it.
function overWords({ band, metric }, v) {
  const where = v.layer === "*" ? "all layers" : `layer ${v.layer}`;
  if (band) return `median, 10 to 90 % and least to most over ${isPerHead(metric) ? "the heads of " : ""}${where}: `;
  return isPerHead(metric) && v.agg !== "each" ? { max: "max", min: "min", mean: "mean", median: "median", p90: "90 % quantile" }[v.agg] + " over heads of " : "";
}

// The loaded series as lineChart's data.
function seriesData({ whole, own, band, published }, v) {
  const dark = document.documentElement.dataset.theme === "dark";
  const joined = joinSeries([whole, own, published].filter(Boolean));
  const count = whole.columns.length - 1;
  const base = joined.lines.slice(0, count), others = joined.lines.slice(count);
  const beside = published ? others.splice(others.length - (published.columns.length - 1)) : [];
  const chosen = others.filter(l => v.heads.includes(l.name));
  const bands = band ? { colour: FEW[0], ...Object.fromEntries(base.map(l => [l.name, l.values])) } : null;
  base.forEach((line, i) => { line.colour = colourOf(i, count, dark); });
  const taken = band ? 1 : count < FEW.length ? count : 0;
  chosen.forEach(line => { line.colour = FEW[(taken + v.heads.indexOf(line.name)) % FEW.length]; });
  beside.forEach((line, i) => { line.colour = FEW[(taken + chosen.length + i) % FEW.length]; line.name = `${v.reference}: ${line.name}`; });
  chosen.push(...beside);
  chosen.forEach(line => { line.chosen = true; });
  const found = said.facts && said.facts.run === v.run && said.facts.stage === v.stage
    ? intervalsOf(said.facts.all, whole.metric.name, v.domain) : [];
  return { x: whole.x, xs: joined.xs, band: bands, base: band ? [] : base, chosen, gaps: whole.gaps, intervals: found, unit: whole.metric.unit };
}

function drawSeries() {
  if (!said.series) { $("legend").replaceChildren(); describe($("definition"), theMetric()); return; }
  const { whole, asked: v } = said.series;
  describe($("definition"), whole.metric, overWords(said.series, v));
  const data = seriesData(said.series, v);
  const lines = [...data.base.filter(l => !view.hidden.includes(l.name)), ...data.chosen];
  const label = `${whole.metric.name} of ${v.run}, ${v.domain || "model"}, over ${AXES[data.x].label}s`;
  drawLines($("chart"), { ...data, lines }, tip, label);
  drawLegend(data);
  drawHeads(data, v);
  const notes = [...(data.intervals.length ? ["shaded: where it emerged or jumped"] : []), ...whole.notes];
  $("chart-note").hidden = !notes.length;
  $("chart-note").textContent = notes.join("; ");
}

function swatch(colour) {
  const node = html("i");
  node.style.background = colour;
  return node;
}

function drawLegend(data) {
  if (data.band || data.base.length > MANY_LINES) {
    $("legend").replaceChildren(data.band ? "line: median; dark: 10 to 90 %; light: least to most" : `${show(data.base.length)} lines`);
    return;
  }
  $("legend").replaceChildren(...data.base.map(line => {
    const off = view.hidden.includes(line.name);
    const button = html("button", { class: off ? "line off" : "line", "aria-pressed": String(!off) }, swatch(line.colour), line.name);
    button.onclick = () => choose("hidden", toggled(view.hidden, line.name));
    return button;
  }));
}

function drawHeads(data, v) {
  const perHead = isPerHead(said.series.metric);
  $("heads").replaceChildren(...(perHead ? v.heads : []).map(name => {
    const line = data.chosen.find(l => l.name === name);
    const button = html("button", { class: "head", "aria-label": `remove ${name}` }, swatch(line ? line.colour : "transparent"), `${name} \u00d7`);
    button.onclick = () => choose("heads", toggled(view.heads, name));
    return button;
  }));
}

function drawSlider(steps) {
  said.steps = steps || [];
  const slider = $("at"), at = said.steps.indexOf(Number(view.at));
  slider.max = Math.max(0, said.steps.length - 1);
  slider.value = view.at === "" || at < 0 ? slider.max : at;
  slider.disabled = said.steps.length < 2;
}

// The label and the cells are of one answer.
function drawHeat() {
  const matrix = said.matrix;
  const minus = matrix && matrix.asked.minus ? `, ${matrix.asked.domain} minus ${matrix.asked.minus}` : "";
  $("heat-step").textContent = matrix ? `step ${show(matrix.step)}${matrix.asked.at === "" ? " (latest)" : ""}${minus}` : "";
  describe($("heat-definition"), matrix && matrix.metric);
  drawContrast(matrix);
  if (!matrix) return;
  drawMap($("heat"), matrix, { scale: minus && view.scale === "auto" ? "symmetric" : view.scale, unit: matrix.metric.unit, pick: pickHead }, tip,
          `${matrix.metric.name} of each layer and head of ${matrix.asked.run} at step ${show(matrix.step)}${minus}`);
}

const MOST_CONTRASTS = 20;

// Below the map of a difference: the heads that differ most, with intervals.
function drawContrast(matrix) {
  const rows = matrix && matrix.contrasts ? mostDifferent(matrix.contrasts, MOST_CONTRASTS) : [];
  $("contrast").hidden = $("contrast-note").hidden = !rows.length;
  if (!rows.length) return;
  const { domain, minus } = matrix.asked;
  const number = (name, of) => ({ name, number: true, cell: r => of(r) === null ? null : of(r).toFixed(3) });
  table($("contrast"), [
    { name: "series", cell: r => r.head === null ? html("b", { text: r.series })
      : nameButton(r.series, () => pickHead({ layer: r.layer, head: r.head })) },
    number(domain, r => r.first), number(minus, r => r.second), number("difference", r => r.difference),
    { name: "95 % interval", number: true, cell: r => r.low === null ? null : `${r.low.toFixed(3)} to ${r.high.toFixed(3)}` },
    number("AUROC", r => r.auroc),
    { name: "type", cell: r => r.type === null ? html("span") : chip("", r.type.replace("_", " ")) },
  ], rows);
  $("contrast-note").textContent = [`the ${rows.length} of ${show(matrix.contrasts.length)} that differ most`, ...matrix.contrastNotes].join("; ");
}

function drawFacts(summary, v) {
  said.facts = summary && { run: v.run, stage: v.stage, all: records(summary) };
  drawSeries();
  if (!summary) return;
  $("facts").replaceChildren(...stripOf(said.facts.all, v.domain).map(({ title, facts, more }) => html("div", {},
    html("h3", { text: title }),
    html("ul", {}, ...facts.map(f => html("li", { text: f.text, title: (f.evidence || []).join("; ") })),
         ...(more ? [html("li", { class: "hint", text: `${more} more in the report` })] : [])))),
    html("details", {}, html("summary", { text: "how this is told" }), html("ul", {}, ...summary.notes.map(text => html("li", { text })))));
}

function pickHead(cell) {
  if (!isPerHead(said.matrix.metric)) return;
  choose("heads", toggled(view.heads, `L${cell.layer}H${cell.head}`).slice(-MOST_HEADS));
  $("chart").scrollIntoView({ block: "nearest" });
}

function drawEmergence() {
  const metric = theMetric(), rule = metric && thresholdOf(view, metric);
  if (!metric) return;
  $("threshold").value = rule ? rule.threshold : "";
  $("below").checked = Boolean(rule && rule.below);
  $("emergence-definition").replaceChildren();
  $("found-count").textContent = "";
  $("found").hidden = true;
  if (!said.emergence) return say($("emergence"), "this metric has no threshold of its own: give one");
  const { rows, rule: used, metric: named, consecutive, notes } = said.emergence;
  $("emergence-definition").replaceChildren(
    "First step interval after which ", html("b", { text: named.name }),
    ` is ${used.below ? "\u2264" : "\u2265"} ${used.threshold} at ${consecutive} checkpoints in a row; the estimate interpolates on ln(1 + step).`);
  const rank = r => r.by_step ?? (r.censoring === "right" ? Number.MAX_VALUE : Infinity);
  const sorted = [...rows].sort((a, b) => rank(a) - rank(b) || (a.estimate ?? 0) - (b.estimate ?? 0));
  const ofTokens = rows.some(r => r.by_tokens !== null);
  table($("emergence"), EMERGENCE_COLUMNS.filter(c => ofTokens || c.name !== "in tokens"), sorted.slice(0, view.found));
  const never = rows.filter(r => r.censoring === "right").length;
  const crossed = rows.filter(r => r.by_step !== null).length;
  $("found-count").textContent = [`${show(crossed)} of ${show(rows.length)} crossed, ${show(never)} not yet` +
    (rows.length > view.found ? `; the first ${show(view.found)} are shown` : ""), ...notes].join("; ");
  $("found").hidden = rows.length <= view.found;
}

const EMERGENCE_COLUMNS = [
  { name: "series", cell: r => html("b", { text: r.series }) },
  { name: "step interval", number: true, cell: intervalText },
  { name: "estimate", number: true, cell: r => r.estimate === null ? null : Math.round(r.estimate) },
  { name: "in tokens", number: true, cell: tokenIntervalText },
  { name: "holds from", number: true, cell: r => r.holds_from_step },
  { name: "note", cell: r => r.provisional ? chip("waiting", "provisional") : r.censoring === "left" ? chip("", "from the start") : html("span") },
];

function drawCheckpoints(found, v) {
  $("rows-count").textContent = "";
  $("rows").hidden = true;
  if (!found) return;
  const rows = records(found);
  table($("checkpoints"), [
    { name: "step", number: true, cell: c => c.step },
    { name: "tokens", number: true, cell: c => c.tokens === null ? null : html("span", { title: show(c.tokens), text: tokenText(c.tokens) }) },
    { name: "state", cell: c => chip(c.state, c.state === "leased" ? `leased ${Math.round(100 * c.progress)} %` : c.state) },
    { name: "why", wrap: true, cell: c => [[c.outcome, c.reason].filter(Boolean).join(": "), c.note].filter(Boolean).join("; ") },
    { name: "attempts", number: true, cell: c => c.attempts },
    { name: "worker", cell: c => c.worker },
    { name: "changed", cell: c => age(c.updated, Date.now()) },
    { name: "folder", cell: c => html("code", { text: c.path }) },
  ], rows);
  $("rows-count").textContent = `${show(rows.length)} of ${show(found.total)}`;
  $("rows").hidden = rows.length >= found.total || v.rows >= MOST_ROWS;
}

function nameButton(text, act) {
  const button = html("button", { class: "name", text });
  button.onclick = act;
  return button;
}

// What lies under a run's root and is not followed: how much, and why.
function leftAlone(run) {
  const lines = [...run.notes, ...run.left_alone_why];
  if (!lines.length) return null;
  const found = html("details", {}, html("summary", { text: `${show(run.left_alone)} entries` }));
  found.open = run.notes.length > 0;
  for (const text of lines) found.append(html("div", { text }));
  return found;
}

function drawRuns() {
  const counts = run => html("span", {}, ...said.states.filter(s => run[s] > 0).map(s => chip(s, `${show(run[s])} ${s}`)));
  table($("runs"), [
    { name: "run", cell: r => nameButton(r.name, () => choose("run", r.name)) },
    { name: "model", cell: r => r.architecture },
    { name: "layers \u00d7 heads", cell: r => r.layers ? `${r.layers} \u00d7 ${r.heads}` : null },
    { name: "latest step", number: true, cell: r => r.latest_step },
    { name: "measured", cell: r => age(r.last_commit, Date.now()) },
    { name: "checkpoints", cell: counts },
    { name: "left alone", wrap: true, cell: leftAlone },
    { name: "root", wrap: true, cell: r => r.discovery_error ? html("span", { class: "chip dead", text: r.discovery_error }) : r.root },
  ], said.runs, (line, run) => { line.className = run.name === view.run ? "chosen" : ""; });
}

function drawDefinitions() {
  table($("metrics"), [
    { name: "metric", cell: m => nameButton(m.name, () => { choose("metric", m.name); $("training").scrollIntoView(); }) },
    { name: "unit", cell: m => m.unit },
    { name: "one value per", cell: m => m.scope.replace("_", "/") },
    { name: "meaning", wrap: true, cell: m => m.meaning },
    { name: "formula", wrap: true, cell: m => html("code", { text: m.formula }) },
    { name: "source", wrap: true, cell: m => m.source },
  ], said.metrics, (line, m) => { line.className = m.name === view.metric ? "chosen" : ""; });
}

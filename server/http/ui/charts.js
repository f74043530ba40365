// Charts as lists of shapes: numbers in, places and colours out. Nothing here
// touches the document; draw.js paints the shapes.
//
// A shape is {kind: "line", points: [x, y, x, y, ...], colour, width, alpha},
// {kind: "area", ...}, {kind: "dot", x, y, radius, colour}, {kind: "rule", x1,
// y1, x2, y2, class}, {kind: "text", x, y, anchor, text}, {kind: "cell", x, y,
// width, height, fill, layer, head, value}, {kind: "gap", x, y, title}, {kind:
// "interval", x, y, width, height, title}.

// More lines than this are not told apart by eye: they get no legend.
const MANY_LINES = 24;

// Viridis, by its published corner colours.
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142],
                 [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50],
                 [253, 231, 37]];
// Blue, white, red: for values on both sides of 0.
const DIVERGING = [[33, 102, 172], [103, 169, 207], [209, 229, 240], [247, 247, 247],
                   [253, 219, 199], [239, 138, 98], [178, 24, 43]];
const FEW = ["#2f7ed8", "#e0752d", "#2ca06b", "#c8448f", "#8a6fd1", "#a78b1f", "#24a3b8", "#d4504b"];

function mixed(stops, share) {
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const mix = stops[low].map((c, i) => Math.round(c + (at - low) * (stops[low + 1][i] - c)));
  return `rgb(${mix.join(",")})`;
}

function colourOf(index, count, dark) {
  if (count <= FEW.length) return FEW[index];
  // Viridis ends too pale for white and begins too dark for black.
  return mixed(VIRIDIS, (dark ? 0.2 : 0) + (dark ? 0.8 : 0.88) * index / (count - 1));
}

// About `count` round numbers within [low, high]; `whole`: whole numbers only.
function ticks(low, high, count, whole) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= raw * 0.999);
  if (whole) step = Math.max(1, Math.ceil(step - 1e-9));
  const list = [];
  // + 0: no -0.
  for (let i = Math.ceil(low / step - 1e-9) + 0; i * step <= high + step * 1e-9; i++) list.push(i * step);
  return list;
}

// 0, 1, 10, 100, ... on an axis of log10(1 + step).
function decadeTicks(low, high) {
  const list = [0];
  for (let step = 1; Math.log10(1 + step) <= high; step *= 10) list.push(Math.log10(1 + step));
  return list.filter(t => t >= low);
}

const stepOfLog = v => Math.round(10 ** v - 1);

// How an axis is labelled: `text` on the axis, `exact` where a person reads one
// point, `place` of a step on it (NaN: it has none), `ends` of an interval.
const AXES = {
  step: { label: "step", text: v => short(v), exact: show, place: step => step,
          ends: i => [i.after, i.by], ticks: (a, b, n) => ticks(a, b, n, true) },
  log10_step: { label: "step", text: v => short(stepOfLog(v)), exact: v => show(stepOfLog(v)),
                place: step => Math.log10(1 + step), ends: i => [i.after, i.by].map(step => Math.log10(1 + step)),
                ticks: decadeTicks },
  tokens: { label: "tokens", text: tokenText, exact: v => `${tokenText(v)} (${show(v)})`,
            place: () => NaN, ends: i => [i.after_tokens, i.by_tokens].map(t => t ?? NaN),
            ticks: (a, b, n) => ticks(a, b, n, true) },
};

const known = v => v !== null && v !== undefined;

function extent(lists, pad) {
  let low = Infinity, high = -Infinity;
  for (const list of lists) {
    for (const v of list) {
      if (!known(v)) continue;
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  if (low > high) return [0, 1];
  if (low === high) return [low - 0.5, high + 0.5];
  const room = (high - low) * pad;
  return [low - room, high + room];
}

// Shares keep 0 (and 1, if they come near it) in view.
function valueExtent(lists, unit) {
  const [low, high] = extent(lists, 0.06);
  if (unit !== "ratio" || low < -0.1 || high > 1.1) return [low, high];
  return [Math.min(low < -0.07 ? low : 0, 0), high > 0.5 ? Math.max(high, 1.02) : high];
}

// The unbroken pieces of a line: a null ends one, undefined is passed over. A
// piece of one point is a dot, however many lines there are.
function lineShapes(xs, values, sy, style) {
  const shapes = [];
  let points = [];
  const close = () => {
    if (points.length === 2) {
      shapes.push({ kind: "dot", x: points[0], y: points[1], radius: Math.max(2.4, style.width), ...style });
    } else if (points.length > 2) {
      shapes.push({ kind: "line", points, ...style });
    }
    points = [];
  };
  values.forEach((v, i) => {
    if (v === null) close();
    else if (v !== undefined) points.push(xs[i], sy(v));
  });
  close();
  return shapes;
}

// Between two rows of values, in unbroken pieces as a line's. A piece of one
// point is an upright bar.
function areaShapes(xs, low, high, sy, style) {
  const shapes = [];
  let over = [], under = [];
  const close = () => {
    if (over.length === 2) shapes.push({ kind: "line", points: [...over, ...under], ...style, width: 4 });
    else if (over.length > 2) shapes.push({ kind: "area", points: [...over, ...under], ...style });
    over = [];
    under = [];
  };
  xs.forEach((x, i) => {
    if (low[i] === null || high[i] === null) close();
    else if (low[i] !== undefined) {
      over.push(x, sy(high[i]));
      under.unshift(x, sy(low[i]));
    }
  });
  close();
  return shapes;
}

// Steps without a value; those that would lie on each other are one mark.
function gapShapes(gaps, axis, sx, y, x0, x1) {
  const shapes = [];
  for (const gap of [...gaps].sort((a, b) => a.step - b.step)) {
    const place = axis.place(gap.step);
    if (!(place >= x0 && place <= x1)) continue;
    const text = `step ${show(gap.step)}: ${gap.state}${gap.reason ? ", " + gap.reason : ""}`;
    const last = shapes[shapes.length - 1];
    if (last && sx(place) - last.x < 6) last.more++;
    else shapes.push({ kind: "gap", x: sx(place), y, title: text, more: 0 });
  }
  for (const shape of shapes) if (shape.more) shape.title += `; and ${shape.more} more near it`;
  return shapes;
}

// Where a metric emerged or jumped, as far as it is in view.
function intervalShapes(intervals, axis, sx, box) {
  return intervals.flatMap(interval => {
    const [left, right] = axis.ends(interval).map(v => Math.min(Math.max(sx(v), box.left), box.right));
    if (!(right > left)) return [];
    return [{ kind: "interval", x: left, y: box.top, width: Math.max(2, right - left), height: box.bottom - box.top, title: interval.text }];
  });
}

// data: {x, xs: [...], lines: [{name, values, colour, chosen}], band: null or
// {colour, min, p10, median, p90, max}, gaps, intervals, unit}. The result's
// `frame` is for a vector image, `marks` for a canvas, `places` are the pixels
// of `xs`.
function lineChart(data, size) {
  const box = { left: 64, right: size.width - 16, top: 12, bottom: size.height - 44 };
  const axis = AXES[data.x];
  const bandRows = data.band ? [data.band.min, data.band.max] : [];
  const places = data.gaps.map(g => axis.place(g.step)).filter(Number.isFinite);
  const [x0, x1] = extent([data.xs, places], 0.01);
  const [y0, y1] = valueExtent([...data.lines.map(l => l.values), ...bandRows], data.unit);
  const sx = v => box.left + (v - x0) / (x1 - x0) * (box.right - box.left);
  const sy = v => box.bottom - (v - y0) / (y1 - y0) * (box.bottom - box.top);
  const pixels = data.xs.map(sx);
  const frame = intervalShapes(data.intervals, axis, sx, box);
  for (const t of ticks(y0, y1, 6)) {
    frame.push({ kind: "rule", class: "grid", x1: box.left, x2: box.right, y1: sy(t), y2: sy(t) },
               { kind: "text", x: box.left - 8, y: sy(t) + 4, anchor: "end", text: short(t) });
  }
  for (const t of axis.ticks(x0, x1, Math.max(2, Math.floor(size.width / 130)))) {
    frame.push({ kind: "rule", class: "grid", x1: sx(t), x2: sx(t), y1: box.top, y2: box.bottom },
               { kind: "text", x: sx(t), y: box.bottom + 17, anchor: "middle", text: axis.text(t) });
  }
  frame.push({ kind: "rule", class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom },
             { kind: "text", x: (box.left + box.right) / 2, y: size.height - 8, anchor: "middle", text: axis.label },
             ...gapShapes(data.gaps, axis, sx, box.bottom, x0, x1));
  return { frame, marks: lineMarks(data, pixels, sy), places: pixels, box };
}

function lineMarks(data, pixels, sy) {
  const marks = [];
  if (data.band) {
    const { colour, min, p10, median, p90, max } = data.band;
    marks.push(...areaShapes(pixels, min, max, sy, { colour, alpha: 0.12 }),
               ...areaShapes(pixels, p10, p90, sy, { colour, alpha: 0.25 }),
               ...lineShapes(pixels, median, sy, { colour, width: 2, alpha: 1 }));
  }
  const many = data.lines.length > MANY_LINES;
  for (const line of data.lines) {
    // Of many, those that a person has chosen are to be seen.
    const faint = many && !line.chosen;
    marks.push(...lineShapes(pixels, line.values, sy, { colour: line.colour, width: faint ? 1 : 1.8, alpha: faint ? 0.6 : 1 }));
  }
  if (many || data.xs.length >= 60) return marks;
  for (const line of data.lines) {
    line.values.forEach((v, i) => {
      if (known(v)) marks.push({ kind: "dot", x: pixels[i], y: sy(v), radius: 2.4, colour: line.colour, alpha: 1 });
    });
  }
  return marks;
}

// The index of the place that is nearest to `x`; places ascend. -1: none.
function nearest(places, x) {
  let low = 0, high = places.length - 1;
  if (high < 0) return -1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (places[middle] < x) low = middle;
    else high = middle;
  }
  return Math.abs(places[low] - x) <= Math.abs(places[high] - x) ? low : high;
}

// What a tip says at one x: {title, lines: [{colour, name, text}], more}, the
// band first, then the `most` largest values.
function tipAt(data, index, most) {
  const axis = AXES[data.x];
  const band = data.band && known(data.band.median[index]) ? ["max", "p90", "median", "p10", "min"].map(name => (
    { colour: data.band.colour, name, text: show(data.band[name][index]) })) : [];
  const told = data.lines.filter(line => known(line.values[index]))
    .sort((a, b) => b.values[index] - a.values[index]);
  const lines = told.slice(0, most).map(line => (
    { colour: line.colour, name: line.name, text: show(line.values[index]) }));
  return { title: `${axis.label} ${axis.exact(data.xs[index])}`, lines: [...lines, ...band],
           more: told.length - lines.length };
}

// The ends of a heat map's scale. "auto" is the values' own range (from 0 for
// shares), "symmetric" has 0 in the middle.
function scaleOf(values, scale, unit) {
  if (scale === "unit") return [0, 1];
  let low = Infinity, high = -Infinity;
  for (const v of values) { low = Math.min(low, v); high = Math.max(high, v); }
  if (low > high) return scale === "symmetric" ? [-1, 1] : [0, 1];
  if (scale === "symmetric") {
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return [-most, most];
  }
  return [unit === "ratio" && low >= 0 ? 0 : low, high];
}

// One matrix minus another of the same shape, cell by cell; null where one of
// them has no value.
function differenceOf(matrix, other) {
  const rows = new Map(other.rows.map(row => [row[0], row]));
  const minus = (value, there) => value === null || there === undefined || there === null ? null : value - there;
  return { ...matrix, rows: matrix.rows.map(row => {
    const there = rows.get(row[0]) || [];
    return [row[0], ...row.slice(1).map((value, i) => minus(value, there[i + 1]))];
  }) };
}

// matrix: {columns: ["layer", "H0", ...], rows: [[layer, value, ...]]};
// options: {width, scale, unit}.
function heatMap(matrix, options) {
  const heads = matrix.columns.length - 1, layers = matrix.rows.length;
  const left = 44, top = 8;
  const width = Math.min(84, (options.width - left - 8) / Math.max(heads, 1));
  const height = Math.max(4, Math.min(20, 420 / Math.max(layers, 1)));
  const plot = layers * height;
  const values = matrix.rows.flatMap(r => r.slice(1)).filter(v => v !== null);
  const [low, high] = scaleOf(values, options.scale, options.unit);
  const stops = options.scale === "symmetric" ? DIVERGING : VIRIDIS;
  const share = v => high > low ? (v - low) / (high - low) : 0.5;
  const shapes = [];
  matrix.rows.forEach((row, r) => {
    // The last layer on top, as models are drawn.
    const y = top + (layers - 1 - r) * height;
    if (row[0] !== null && (height >= 11 || r % Math.ceil(12 / height) === 0)) {
      shapes.push({ kind: "text", x: left - 6, y: y + height / 2 + 4, anchor: "end", text: "L" + row[0] });
    }
    for (let h = 0; h < heads; h++) {
      const v = row[h + 1];
      if (v === null) continue;
      shapes.push({ kind: "cell", x: left + h * width, y, width: Math.max(1, width - 1), height: Math.max(1, height - 1),
                    fill: mixed(stops, share(v)), layer: row[0], head: h, name: matrix.columns[h + 1], value: v });
    }
  });
  for (let h = 0; h < heads; h += Math.ceil(26 / width)) {
    shapes.push({ kind: "text", x: left + (h + 0.5) * width, y: top + plot + 14, anchor: "middle", text: matrix.columns[h + 1] });
  }
  shapes.push(...scaleBar(left, top + plot + 26, Math.min(220, options.width - left - 8), low, high, stops));
  return { shapes, low, high, height: top + plot + 56 };
}

function scaleBar(x, y, width, low, high, stops) {
  const shapes = [];
  for (let i = 0; i < 44; i++) {
    shapes.push({ kind: "cell", x: x + i * width / 44, y, width: width / 44 + 0.5, height: 8, fill: mixed(stops, i / 43) });
  }
  shapes.push({ kind: "text", x, y: y + 22, anchor: "start", text: show(low) },
              { kind: "text", x: x + width, y: y + 22, anchor: "end", text: show(high) });
  return shapes;
}

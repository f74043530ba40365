// Shapes (charts.js) as nodes of the document. Text enters as text nodes, never
// as markup: names and reasons come from files that others wrote.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function html(name, options, ...children) {
  const node = document.createElement(name);
  const { text, ...attributes } = options || {};
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  node.append(...children);
  return node;
}

const SVG_OF = {
  rule: (s, root) => svg("line", { class: s.class, x1: s.x1, x2: s.x2, y1: s.y1, y2: s.y2 }, root),
  text: (s, root) => svg("text", { x: s.x, y: s.y, "text-anchor": s.anchor }, root, s.text),
  gap: (s, root) => svg("title", {}, svg("path", { class: "gap", d: `M${s.x - 4} ${s.y + 1}h8l-4 -8z` }, root), s.title),
  interval: (s, root) => svg("title", {}, svg("rect", { class: "interval", x: s.x, y: s.y, width: s.width, height: s.height }, root), s.title),
  cell: (s, root) => {
    const node = svg("rect", { x: s.x, y: s.y, width: s.width, height: s.height, fill: s.fill }, root);
    if (s.value === undefined) return;
    node.setAttribute("class", "cell");
    node.shape = s;
  },
};

// An image with a name for those who cannot see it.
function svgOf(shapes, width, height, label) {
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
  for (const shape of shapes) SVG_OF[shape.kind](shape, root);
  return root;
}

const CANVAS_OF = {
  dot: (s, pen) => { pen.beginPath(); pen.arc(s.x, s.y, s.radius, 0, 2 * Math.PI); pen.fill(); },
  line: (s, pen) => { trace(s.points, pen); pen.lineWidth = s.width; pen.stroke(); },
  area: (s, pen) => { trace(s.points, pen); pen.closePath(); pen.fill(); },
};

function trace(points, pen) {
  pen.beginPath();
  pen.moveTo(points[0], points[1]);
  for (let i = 2; i < points.length; i += 2) pen.lineTo(points[i], points[i + 1]);
}

function canvasOf(shapes, width, height) {
  const canvas = html("canvas", { "aria-hidden": "true" });
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.lineJoin = "round";
  for (const shape of shapes) {
    pen.globalAlpha = shape.alpha;
    pen.fillStyle = pen.strokeStyle = shape.colour;
    CANVAS_OF[shape.kind](shape, pen);
  }
  return canvas;
}

function placeTip(tip, event) {
  const box = tip.getBoundingClientRect();
  const left = event.clientX + 16 + box.width > innerWidth ? event.clientX - box.width - 16 : event.clientX + 16;
  tip.style.left = Math.max(0, left) + "px";
  tip.style.top = Math.max(8, Math.min(event.clientY + 12, innerHeight - box.height - 8)) + "px";
}

function fillTip(tip, said, event) {
  const lines = said.lines.map(line => {
    const swatch = html("i");
    swatch.style.background = line.colour;
    return html("div", {}, swatch, line.name + "  ", html("b", { text: line.text }));
  });
  if (said.more > 0) lines.push(html("div", { text: `and ${said.more} more` }));
  tip.replaceChildren(html("div", { text: said.title }), ...lines);
  tip.hidden = false;
  placeTip(tip, event);
}

// Draws lineChart(data) into `box`; a pointer over it fills `tip`.
function drawLines(box, data, tip, label) {
  const size = { width: box.clientWidth || 320, height: 340 };
  const chart = lineChart(data, size);
  const cross = html("div", { class: "cross", hidden: "" });
  cross.style.top = chart.box.top + "px";
  cross.style.height = chart.box.bottom - chart.box.top + "px";
  const plot = html("div", { class: "plot" }, svgOf(chart.frame, size.width, size.height, label),
                    canvasOf(chart.marks, size.width, size.height), cross);
  // In pixels: the image and the canvas over it would stretch differently.
  plot.style.width = size.width + "px";
  plot.addEventListener("mouseleave", () => { cross.hidden = tip.hidden = true; });
  plot.addEventListener("mousemove", event => {
    const index = nearest(chart.places, event.clientX - plot.getBoundingClientRect().left);
    if (index < 0) return;
    cross.style.transform = `translateX(${chart.places[index]}px)`;
    cross.hidden = false;
    fillTip(tip, tipAt(data, index, 12), event);
  });
  box.replaceChildren(plot);
}

// Draws heatMap(matrix) into `box`; a click calls pick(cell).
function drawMap(box, matrix, options, tip, label) {
  const width = Math.max(box.clientWidth, 280);
  const map = heatMap(matrix, { ...options, width });
  const root = svgOf(map.shapes, width, map.height, label);
  root.addEventListener("mouseleave", () => { tip.hidden = true; });
  root.addEventListener("mousemove", event => {
    const cell = event.target.shape;
    tip.hidden = !cell;
    if (!cell) return;
    tip.replaceChildren(`layer ${cell.layer}, ${cell.name}  `, html("b", { text: show(cell.value) }));
    placeTip(tip, event);
  });
  root.addEventListener("click", event => { if (event.target.shape) options.pick(event.target.shape); });
  box.replaceChildren(root);
}

function chip(state, text) {
  return html("span", { class: "chip " + state, text: text || state });
}

// columns: [{name, number, wrap, cell: row => text, number or node}]. A table
// that says the same as before is left alone, with its scroll and its focus.
function table(box, columns, rows, decorate) {
  if (!rows.length) return say(box, "nothing here yet");
  const head = html("tr", {}, ...columns.map(c => html("th", { class: c.number ? "number" : "", scope: "col", text: c.name })));
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
  replace(box, html("table", {}, html("thead", {}, head), html("tbody", {}, ...body)));
}

function say(box, text) {
  replace(box, html("p", { class: "empty", text }));
}

function replace(box, node) {
  if (box.childNodes.length === 1 && box.firstChild.isEqualNode(node)) return;
  const keep = box.scrollTop;
  box.replaceChildren(node);
  box.scrollTop = keep;
}

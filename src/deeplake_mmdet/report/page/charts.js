"use strict";
// Line charts as SVG. Colours come from the style sheet by class, so that light and dark need no redrawing.
const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function html(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function ticks(low, high, count) {
  const span = high - low || 1;
  let step = 10 ** Math.floor(Math.log10(span / count));
  step *= [1, 2, 5, 10].find((times) => span / (step * times) <= count) || 10;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}

function told(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size && (size < 0.001 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

addEventListener("resize", () => requestAnimationFrame(() => document.querySelectorAll(".chart").forEach((place) => place.again && place.drawnAt !== place.clientWidth && place.again())));

// series: [{name, x, y, colour: "0".."5" | "plain" | "#rrggbb", dash, wide, dots}]
function lineChart(place, options) {
  const hidden = place.hiddenSeries || (place.hiddenSeries = new Set());
  const width = Math.min(Math.max(place.clientWidth || 560, 280), 680), height = Math.max(Math.round(width * 0.53), 200);
  const left = 48, right = 12, top = 10, bottom = 36;
  const shown = options.series.filter((one) => !hidden.has(one.name));
  const points = (key) => shown.flatMap((one) => one[key]).filter((value) => value !== null);
  const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
  const xs = points("x"), ys = points("y");
  const x0 = options.x ? options.x[0] : xs.length ? least(xs) : 0;
  const x1 = options.x ? options.x[1] : xs.length ? Math.max(most(xs), x0 + 1) : 1;
  const y0 = options.y ? options.y[0] : Math.min(0, ys.length ? least(ys) : 0);
  let y1 = options.y ? options.y[1] : ys.length ? most(ys) * 1.05 : 1;
  if (y1 <= y0) y1 = y0 + 1;
  const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
  const py = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - top - bottom);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": options.label });
  for (const at of ticks(y0, y1, 5)) {
    drawing.append(svg("line", { x1: left, x2: width - right, y1: py(at), y2: py(at), class: "mesh" }));
    drawing.append(svg("text", { x: left - 6, y: py(at) + 4, "text-anchor": "end" }, told(at)));
  }
  for (const at of ticks(x0, x1, 7)) {
    drawing.append(svg("line", { x1: px(at), x2: px(at), y1: height - bottom, y2: height - bottom + 4, class: "axis" }));
    drawing.append(svg("text", { x: px(at), y: height - bottom + 16, "text-anchor": "middle" }, told(at)));
  }
  drawing.append(svg("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, class: "axis" }));
  drawing.append(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, options.xlabel));
  for (const at of options.marks || []) {
    drawing.append(svg("line", { x1: px(at), x2: px(at), y1: top, y2: height - bottom, class: "mark" }, svg("title", {}, options.markLabel || "")));
  }
  const coloured = (one) => (one.colour[0] === "#" ? { stroke: one.colour, class: "line" } : { class: `line s${one.colour}` });
  for (const one of shown) {
    let path = "", open = false;
    one.x.forEach((x, i) => {
      if (one.y[i] === null) { open = false; return; }
      path += `${open ? "L" : "M"}${px(x).toFixed(1)},${py(Math.min(Math.max(one.y[i], y0), y1)).toFixed(1)}`;
      open = true;
    });
    const line = svg("path", { d: path, ...coloured(one) });
    if (one.dash) line.setAttribute("stroke-dasharray", one.dash);
    if (one.wide) line.classList.add("wide-line");
    drawing.append(line);
    if (one.dots && one.x.length <= 60) {
      one.x.forEach((x, i) => one.y[i] !== null && drawing.append(svg("circle", { cx: px(x), cy: py(one.y[i]), r: 2.6, ...coloured(one), fill: "var(--panel)" })));
    }
  }
  if (options.cursor !== undefined) {
    drawing.append(svg("line", { x1: px(options.cursor), x2: px(options.cursor), y1: top, y2: height - bottom, class: "cursor" }));
  }
  for (const dot of options.points || []) {
    if (dot.x !== null && dot.y !== null) drawing.append(svg("circle", { cx: px(dot.x), cy: py(dot.y), r: 5, fill: dot.colour, class: "dot" }, svg("title", {}, dot.name)));
  }
  if (options.diagonal) drawing.append(svg("line", { x1: px(0), y1: py(0), x2: px(1), y2: py(1), class: "cursor" }));
  const tip = html("div", { class: "tip", hidden: "" });
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const x = x0 + (((event.clientX - box.left) / box.width) * width - left) / (width - left - right) * (x1 - x0);
    const rows = shown.map((one) => {
      let near = -1;
      one.x.forEach((at, i) => { if (one.y[i] !== null && (near < 0 || Math.abs(at - x) < Math.abs(one.x[near] - x))) near = i; });
      return near < 0 ? null : [one, near];
    }).filter(Boolean);
    if (!rows.length || x < x0 || x > x1) { tip.hidden = true; return; }
    tip.replaceChildren(html("div", { class: "faint" }, `${options.xlabel} ${told(rows[0][0].x[rows[0][1]])}`),
      ...rows.slice(0, 12).map(([one, i]) => html("div", {}, `${one.name}: ${told(one.y[i])}`)));
    tip.hidden = false;
    const at = event.clientX - box.left;
    tip.style.left = at > box.width / 2 ? "" : `${at + 14}px`;
    tip.style.right = at > box.width / 2 ? `${box.width - at + 14}px` : "";
    tip.style.top = "12px";
  });
  drawing.addEventListener("pointerleave", () => { tip.hidden = true; });
  const legend = html("div", { class: "legend" });
  if (options.series.length > 1) {
    for (const one of options.series) {
      const stroke = svg("line", { x1: 0, x2: 24, y1: 5, y2: 5, ...coloured(one), "stroke-width": 3 });
      if (one.dash) stroke.setAttribute("stroke-dasharray", one.dash);
      const button = html("button", { type: "button", "aria-pressed": String(!hidden.has(one.name)) }, svg("svg", { viewBox: "0 0 24 10", "aria-hidden": "true" }, stroke), one.name);
      button.addEventListener("click", () => {
        if (!hidden.delete(one.name)) hidden.add(one.name);
        lineChart(place, options);
      });
      legend.append(button);
    }
  }
  place.replaceChildren(drawing, tip, legend);
  place.again = () => lineChart(place, options);
  place.drawnAt = place.clientWidth;
}

// Boxes, masks and labels over an image, in the colours and lines of this package's pictures.

import { drawn } from "./dom.js";
import { placeLabels } from "./labels.js";

export const KINDS = {
  found: { sign: "", dashes: "", text: "found" },
  true: { sign: "", dashes: "", text: "true" },
  missed: { sign: "? ", dashes: "7 4", text: "missed" },
  false: { sign: "✕ ", dashes: "1.5 4", text: "false" },
  confused: { sign: "≠ ", dashes: "9 3 1.5 3", text: "confused" },
  ignored: { sign: "", dashes: "", text: "counts neither way" },
};
const GREY = "#969696";
const PLAIN = { sign: "", dashes: "", text: "" };

function kindOf(objects, place) {
  return KINDS[objects.kinds && objects.kinds[place]] || PLAIN;
}

export function colourOf(objects, place, classes) {
  return kindOf(objects, place) === KINDS.ignored ? GREY : classes[objects.labels[place]].colour;
}

function areaOf([left, top, right, bottom]) {
  return Math.max(right - left, 0) * Math.max(bottom - top, 0);
}

function rectangle([left, top, right, bottom], facts) {
  const [x, y] = [Math.min(left, right), Math.min(top, bottom)];
  return drawn("rect", { x, y, width: Math.abs(right - left), height: Math.abs(bottom - top), fill: "none", ...facts });
}

// The shapes of some objects, the `most` largest; the largest lie below. `scale` is that of the drawing, in sizes of the image.
export function shapes(objects, classes, { scale = 1, stroke = 2, boxes = true, most = Infinity } = {}) {
  const order = objects.boxes.map((_, place) => place).sort((a, b) => areaOf(objects.boxes[b]) - areaOf(objects.boxes[a])).slice(0, most);
  const made = [];
  const fixed = scale === 1 ? { "vector-effect": "non-scaling-stroke" } : {};
  for (const place of objects.outlines ? order : []) {
    const path = objects.outlines[place];
    if (!path) continue;
    const colour = colourOf(objects, place, classes);
    made.push(drawn("path", {
      d: path, fill: colour, "fill-opacity": 0.42, "fill-rule": "evenodd", stroke: colour, "stroke-width": 1,
      "vector-effect": "non-scaling-stroke", ...(scale === 1 ? {} : { transform: `scale(${scale})` }),
    }));
  }
  for (const place of boxes ? order : []) {
    const box = objects.boxes[place].map((side) => side * scale);
    const kind = kindOf(objects, place);
    const width = kind === KINDS.ignored ? 1 : stroke;
    const under = kind.dashes ? "#fff" : "#000";
    made.push(rectangle(box, { stroke: under, "stroke-opacity": kind.dashes ? 1 : 0.45, "stroke-width": width + (kind.dashes ? 0 : 2), ...fixed }));
    const dashes = kind.dashes ? { "stroke-dasharray": kind.dashes, "stroke-linecap": "butt" } : {};
    made.push(rectangle(box, { stroke: colourOf(objects, place, classes), "stroke-width": width, "data-place": place, ...dashes, ...fixed }));
  }
  return made;
}

export function labelText(objects, place, classes, most = 28) {
  const name = classes[objects.labels[place]].name;
  const shown = name.length > most ? `${name.slice(0, most - 1)}…` : name;
  const score = objects.scores ? ` ${objects.scores[place].toFixed(2)}` : "";
  return `${kindOf(objects, place).sign}${shown}${score}`;
}

const measure = document.createElement("canvas").getContext("2d");

// Labels of some objects on a drawing of `width` by `height`; those that were judged wrong, and the surest,
// choose first. Gives the elements and how many found no room.
export function labels(objects, classes, scale, width, height, size = 12) {
  measure.font = `${size}px system-ui, sans-serif`;
  const order = objects.boxes.map((_, place) => place);
  const wrong = (place) => (kindOf(objects, place).sign ? 0 : 1);
  order.sort((a, b) => wrong(a) - wrong(b) || (objects.scores ? objects.scores[b] - objects.scores[a] : 0));
  const bounds = order.map((place) => {
    const [left, top, right, bottom] = objects.boxes[place].map((side) => side * scale);
    const inside = (value, most) => Math.min(Math.max(value, 0), most);
    return [inside(left, width), inside(top, height), inside(right, width), inside(bottom, height)];
  });
  const texts = order.map((place) => labelText(objects, place, classes));
  const sizes = texts.map((text) => [measure.measureText(text).width + 8, size + 5]);
  const places = placeLabels(bounds, sizes, width, height);
  const [lines, tags] = [[], []];
  let without = 0;
  places.forEach((at, rank) => {
    if (!at) {
      without += 1;
      return;
    }
    const place = order[rank];
    const facts = classes[objects.labels[place]];
    const colour = colourOf(objects, place, classes);
    const [wide, high] = sizes[rank];
    if (at.far) {
      const [x, y] = [at.x + wide / 2, at.y + high / 2];
      const [left, top, right, bottom] = bounds[rank];
      const end = { x1: x, y1: y, x2: Math.min(Math.max(x, left), right), y2: Math.min(Math.max(y, top), bottom) };
      lines.push(drawn("line", { ...end, stroke: "#fff", "stroke-width": 3 }), drawn("line", { ...end, stroke: colour, "stroke-width": 1 }));
    }
    const paper = kindOf(objects, place).sign ? "#fff" : colour;
    tags.push(drawn("rect", { x: at.x, y: at.y, width: wide, height: high, fill: paper, stroke: colour, rx: 2, class: "tag" }));
    const text = drawn("text", { x: at.x + 4, y: at.y + size, "font-size": size, fill: paper === "#fff" || colour === GREY ? "#000" : facts.ink });
    text.textContent = texts[rank];
    tags.push(text);
  });
  return { made: [...lines, ...tags], without };
}

// One image alone: truth and predictions beside each other, labels, and a list of its objects.

import { $, drawn, element, imageAddress, number, swatch } from "./dom.js";
import { KINDS, colourOf, labels, shapes } from "./draw.js";
import { state } from "./state.js";

let shown = null; // {item, page, classes}
const watching = new ResizeObserver(() => shown && drawPanes());

function pane(title, part) {
  const image = element("img", { src: imageAddress(shown.item, shown.page, true), alt: shown.item.name || `row ${shown.item.row}` });
  const frame = element("div", { class: "frame" }, image, drawn("svg", { "data-part": part, "aria-hidden": "true" }));
  return element("figure", {}, element("figcaption", {}, title), frame);
}

// Panes stand beside each other or on top of each other, whichever leaves the images larger.
function arrange(item) {
  const panes = $("panes");
  const [width, height] = [panes.clientWidth, panes.clientHeight];
  const beside = Math.min(width / 2 / item.width, height / item.height);
  const stacked = Math.min(width / item.width, height / 2 / item.height);
  panes.classList.toggle("stacked", stacked > beside);
}

function drawPanes() {
  const { item, classes } = shown;
  if (item.found) arrange(item);
  for (const figure of $("panes").querySelectorAll("figure")) {
    const svg = figure.querySelector("svg");
    const objects = item[svg.dataset.part];
    const frame = figure.querySelector(".frame");
    const image = frame.querySelector("img");
    const room = [frame.clientWidth, frame.clientHeight];
    const scale = Math.min(room[0] / item.width, room[1] / item.height);
    if (!(scale > 0) || !objects) continue;
    const [width, height] = [item.width * scale, item.height * scale];
    for (const part of [image, svg]) {
      part.style.width = `${width}px`;
      part.style.height = `${height}px`;
    }
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const stroke = Math.min(Math.max(Math.round(Math.max(width, height) / 400), 2), 4);
    // A scale of exactly one would mean lines that do not grow with the drawing.
    const made = shapes(objects, classes, { scale: scale === 1 ? 0.99999 : scale, stroke, boxes: state.boxes });
    const tags = state.boxes ? labels(objects, classes, scale, width, height) : { made: [], without: 0 };
    svg.replaceChildren(...made, ...tags.made);
    const note = tags.without ? ` · ${tags.without} without room for a label` : "";
    figure.querySelector("figcaption").dataset.note = note;
  }
}

function highlight(part, place) {
  for (const old of $("panes").querySelectorAll(".marked")) old.classList.remove("marked");
  if (place === null) return;
  const box = $("panes").querySelector(`svg[data-part="${part}"] [data-place="${place}"]`);
  if (box) box.classList.add("marked");
}

function line(part, objects, place) {
  const { classes } = shown;
  const [left, top, right, bottom] = objects.boxes[place];
  const kind = objects.kinds ? KINDS[objects.kinds[place]]?.text || "" : "";
  const size = `${Math.round(right - left)} × ${Math.round(bottom - top)}`;
  const facts = [objects.scores ? objects.scores[place].toFixed(2) : "", size, kind, objects.flags ? objects.flags[place] : ""];
  const made = element("li", {}, swatch(colourOf(objects, place, classes)), element("span", { class: "name" }, classes[objects.labels[place]].name), element("span", { class: "facts" }, facts.filter(Boolean).join(" · ")));
  made.addEventListener("mouseenter", () => highlight(part, place));
  made.addEventListener("mouseleave", () => highlight(part, null));
  return made;
}

function list(title, part) {
  const objects = shown.item[part];
  const lines = objects.boxes.map((_, place) => line(part, objects, place));
  return [element("h3", {}, `${title}: ${number(objects.count)}${objects.count > objects.boxes.length ? `, the first ${number(objects.boxes.length)} shown` : ""}`), element("ul", {}, ...lines)];
}

export function isLarge() {
  return $("large").open;
}

export function showLarge(item, page, title) {
  shown = { item, page, classes: page.classes };
  $("large-title").textContent = title;
  const beside = Boolean(item.found);
  const made = [pane(beside ? "Truth" : "", "truth")];
  if (beside) made.push(pane(`Predictions from score ${page.run.score.toFixed(2)}`, "found"));
  watching.disconnect();
  $("panes").replaceChildren(...made);
  $("panes").classList.toggle("beside", beside);
  const lists = list("Objects", "truth");
  if (beside) lists.push(...list("Predictions", "found"), element("p", { class: "facts" }, `${number(item.below)} below score ${page.run.score.toFixed(2)} are left out`));
  if (item.note) lists.push(element("p", { class: "facts" }, item.note));
  $("objects-list").replaceChildren(...lists);
  if (!$("large").open) $("large").showModal();
  for (const frame of $("panes").querySelectorAll(".frame")) watching.observe(frame);
  drawPanes();
}

export function closeLarge() {
  $("large").close();
}

$("large").addEventListener("close", () => {
  shown = null;
  watching.disconnect();
  $("panes").replaceChildren();
});

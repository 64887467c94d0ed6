// A page of images.

import { $, drawn, element, imageAddress, number, swatch } from "./dom.js";
import { shapes } from "./draw.js";
import { picked, state } from "./state.js";

const MOST = 150; // objects that a small image shows

export function overlay(item, parts, classes, options) {
  const made = drawn("svg", { viewBox: `0 0 ${item.width || 1} ${item.height || 1}`, preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" });
  for (const part of parts) if (item[part]) made.append(...shapes(item[part], classes, options));
  return made;
}

function chips(item, classes) {
  const counts = new Map();
  for (const label of item.truth.labels) counts.set(label, (counts.get(label) || 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  const made = sorted.slice(0, 3).map(([label, count]) =>
    element("span", { class: "chip" }, swatch(classes[label].colour), `${classes[label].name}${count > 1 ? ` ×${count}` : ""}`));
  if (sorted.length > 3) made.push(element("span", { class: "chip" }, `+${sorted.length - 3}`));
  return made;
}

function errors(item) {
  if (!item.truth.kinds) return `${number(item.found.count)} predictions`; // there is no truth to judge them by
  const kinds = [...(item.truth.kinds || []), ...((item.found && item.found.kinds) || [])];
  const count = (kind) => kinds.filter((one) => one === kind).length;
  const wrong = ["missed", "false", "confused"].filter(count).map((kind) => `${count(kind)} ${kind}`);
  return `${count("true")} true${wrong.length ? `, ${wrong.join(", ")}` : ""}`;
}

function tile(item, place, page, open, canPick) {
  const { classes } = page;
  const image = element("img", { src: imageAddress(item, page), alt: item.name || `row ${item.row}`, decoding: "async", loading: "lazy" });
  const button = element("button", { type: "button", class: "open", tabIndex: place ? -1 : 0 }, image);
  // True predictions would lie on their objects: errors are what is to be seen at this size.
  const shown = { ...item };
  if (item.found) {
    const wrong = item.found.kinds.map((kind, at) => (kind === "true" || kind === "ignored" ? -1 : at)).filter((at) => at >= 0);
    shown.found = Object.fromEntries(Object.entries(item.found).map(([name, values]) => [name, Array.isArray(values) ? wrong.map((at) => values[at]) : values]));
  }
  if (state.boxes || state.masks) button.append(overlay(shown, ["truth", "found"], classes, { stroke: 2, boxes: state.boxes, most: MOST }));
  button.addEventListener("click", () => open(place));
  const text = element("span", { class: "name", title: item.name || "" }, item.name || `row ${item.row}`);
  const more = item.truth.count > MOST ? [element("span", { class: "chip" }, `${number(item.truth.count)} objects, the largest ${MOST} drawn`)] : [];
  const caption = element("div", { class: "caption" }, element("span", { class: "row" }, `${item.row}`), text);
  const made = element("div", { class: "tile" }, button, caption, element("div", { class: "chips" }, ...chips(item, classes), ...more));
  if (item.found) made.append(element("div", { class: "errors" }, errors(item)));
  if (item.note) made.append(element("div", { class: "errors" }, item.note));
  if (canPick) {
    const box = element("input", { type: "checkbox", checked: picked.has(item.row), "aria-label": `pick row ${item.row}`, tabIndex: -1 });
    box.addEventListener("change", () => (box.checked ? picked.add(item.row) : picked.delete(item.row)));
    made.append(element("label", { class: "pick", title: "pick (x)" }, box));
  }
  return made;
}

export function showGrid(page, open, canPick) {
  $("grid").replaceChildren(...page.items.map((item, place) => tile(item, place, page, open, canPick)));
}

function buttons() {
  return [...$("grid").querySelectorAll("button.open")];
}

export function focusTile(place) {
  const all = buttons();
  if (!all.length) return;
  const at = Math.min(Math.max(place, 0), all.length - 1);
  all.forEach((button, number) => { button.tabIndex = number === at ? 0 : -1; });
  all[at].focus();
}

// Moves the focus by a number of tiles; tells -1 or 1 where that leaves the page.
export function moveFocus(step) {
  const all = buttons();
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? 0 : at + step;
  if (next < 0 || next >= all.length) return Math.sign(step);
  focusTile(next);
  return 0;
}

export function perLine() {
  return getComputedStyle($("grid")).gridTemplateColumns.split(" ").length;
}

export function togglePick() {
  const at = document.activeElement.closest && document.activeElement.closest(".tile");
  const box = at && at.querySelector(".pick input");
  if (box) box.click();
}

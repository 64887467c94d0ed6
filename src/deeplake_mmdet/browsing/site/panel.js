// The filters.

import { Told, get } from "./api.js";
import { $, drawn, element, number, swatch } from "./dom.js";
import { KINDS } from "./draw.js";
import { resetFilters, state } from "./state.js";

let facts = null;
let changed = () => {};
const known = new Map(); // classes by label, so that chosen ones stay in the list

function check(text, on, toggle, ...before) {
  const box = element("input", { type: "checkbox", checked: on });
  box.addEventListener("change", () => toggle(box.checked));
  return element("label", {}, box, ...before, element("span", { class: "name", title: text }, text));
}

function group(id, values, name) {
  $(id).replaceChildren(...values.map((value) => check(value, state[name].includes(value), (on) => {
    state[name] = on ? [...state[name], value] : state[name].filter((one) => one !== value);
    changed();
  })));
}

function showLegend() {
  const kinds = ["true", "missed", "false", "confused", "ignored"];
  $("legend").replaceChildren(...kinds.map((name) => {
    const kind = KINDS[name];
    const facts = { x1: 0, y1: 6, x2: 44, y2: 6, stroke: name === "ignored" ? "#969696" : "currentColor", "stroke-width": name === "ignored" ? 1 : 3 };
    if (kind.dashes) facts["stroke-dasharray"] = kind.dashes;
    const text = name === "true" ? "found, true" : `${kind.sign}${kind.text}`;
    return element("div", {}, drawn("svg", { width: 44, height: 12, "aria-hidden": "true" }, drawn("line", facts)), text);
  }));
}

let searching = null;
export async function showClasses() {
  searching?.abort();
  searching = new AbortController();
  let found;
  try {
    found = (await get(`/api/classes?text=${encodeURIComponent($("class-search").value)}`, searching.signal)).classes;
  } catch (error) {
    if (error instanceof Told) $("classes").replaceChildren(error.message);
    return;
  }
  found.forEach((one) => known.set(String(one.label), one));
  const chosen = state.class.filter((label) => known.has(label)).map((label) => known.get(label));
  const others = found.filter((one) => !state.class.includes(String(one.label)));
  if (facts.kind !== "lake") { // samples cannot be searched before they are made
    $("classes").replaceChildren(...found.map((one) => element("div", { class: "entry" }, swatch(one.colour), element("span", { class: "name" }, one.name))));
    return;
  }
  $("classes").replaceChildren(...[...chosen, ...others].map((one) => {
    const label = String(one.label);
    const made = check(one.name, state.class.includes(label), (on) => {
      state.class = on ? [...state.class, label] : state.class.filter((other) => other !== label);
      changed();
    }, swatch(one.colour));
    made.append(element("span", { class: "count" }, number(one.objects)));
    return made;
  }));
}

export function showPanel() {
  $("query").value = state.query;
  $("objects").value = state.objects;
  $("run").value = state.run || "";
  $("boxes").checked = state.boxes;
  $("masks").checked = state.masks;
  $("run-options").hidden = !state.run;
  group("sizes", facts.sizes || [], "size");
  group("kinds", facts.kinds || [], "kind");
  const orders = (facts.orders || []).filter((name) => state.run || !facts.run_orders.includes(name));
  $("order").replaceChildren(...orders.map((name) => element("option", { value: name }, name === "lake" ? "order of the lake" : name)));
  $("order").value = state.order;
}

// The score that predictions are shown from, as the server has used it.
export function showRun(run) {
  if (!run) return;
  if (document.activeElement !== $("score")) $("score").value = run.score;
  $("score-shown").textContent = Number(run.score).toFixed(2);
  $("kinds").hidden = !run.counted;
  $("kinds").title = `counted from score ${run.counted_from}`;
}

function leaveRun() {
  state.kind = [];
  state.score = "";
  if (facts.run_orders.includes(state.order)) state.order = "lake";
}

export function makePanel(told, onChange) {
  facts = told;
  changed = onChange;
  for (const part of document.querySelectorAll(".of-lake")) part.hidden = facts.kind !== "lake";
  $("classes-title").textContent = facts.class_count > 60 ? `Classes (${number(facts.class_count)}, find by name)` : "Classes";
  if (facts.kind !== "lake") $("panel").querySelector("summary").textContent = "Classes";
  $("run-part").hidden = !(facts.runs || []).length;
  $("run").replaceChildren(element("option", { value: "" }, "none"), ...(facts.runs || []).map((id) => element("option", { value: id }, id)));
  if (!facts.masks) $("masks-part").hidden = true;
  if (!facts.can_save) $("save").hidden = true;
  showLegend();
  $("query-form").addEventListener("submit", (event) => {
    event.preventDefault();
    state.query = $("query").value.trim();
    changed();
  });
  const taken = (id, name) => $(id).addEventListener("change", () => { state[name] = $(id).value; changed(); });
  taken("objects", "objects");
  taken("order", "order");
  taken("score", "score");
  $("score").addEventListener("input", () => { $("score-shown").textContent = Number($("score").value).toFixed(2); });
  $("run").addEventListener("change", () => {
    leaveRun();
    state.run = $("run").value;
    changed();
  });
  for (const id of ["boxes", "masks"]) {
    $(id).addEventListener("change", () => { state[id] = $(id).checked; changed(true); });
  }
  $("reset").addEventListener("click", () => { resetFilters(); changed(); showClasses(); });
  let waiting = 0;
  $("class-search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(showClasses, 150); });
}

// The page: what is looked at, and what follows when that changes.

import { get } from "./api.js";
import { $, number } from "./dom.js";
import { focusTile, showGrid } from "./grid.js";
import { useKeys } from "./keys.js";
import { closeLarge, isLarge, showLarge } from "./large.js";
import { makePanel, showClasses, showPanel, showRun } from "./panel.js";
import { openSaving } from "./saving.js";
import { pageAddress, paging, picked, readState, state, writeState } from "./state.js";

let facts = null;
let page = { items: [], classes: {}, count: 0 };
let opened = -1; // place of the image that is looked at alone
let asking = null;

function tell(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

async function load(begun = null) {
  asking?.abort();
  const own = (asking = new AbortController());
  document.body.classList.add("busy");
  try {
    const found = await (begun || get(pageAddress(), own.signal));
    page = found;
    state.start = page.start;
    tell("message", "");
  } catch (error) {
    if (error.name === "AbortError") return false;
    tell("message", error.message);
    return false;
  } finally {
    if (asking === own) document.body.classList.remove("busy");
  }
  showGrid(page, open, facts.can_save);
  showRun(page.run);
  const last = Math.min(page.start + page.items.length, page.count);
  const unit = facts.kind === "lake" ? "image" : "sample";
  $("found").textContent = `${number(page.count)} ${unit}${page.count === 1 ? "" : "s"}`;
  $("place").textContent = page.count ? `${number(page.start + 1)}–${number(last)}` : "none";
  $("before").disabled = page.start <= 0;
  $("after").disabled = last >= page.count;
  tell("note", [facts.note, page.note].filter(Boolean).join(" "));
  return true;
}

// `same`: only how images are drawn has changed, not which they are.
async function changed(same = false) {
  if (!same) state.start = 0;
  writeState();
  showPanel();
  const was = opened;
  if ((await load()) && isLarge() && page.items[was]) open(was);
}

async function turn(by) {
  const next = state.start + by * paging.size;
  if (next < 0 ? state.start === 0 : next >= page.count) return false;
  state.start = Math.max(0, next);
  writeState();
  const done = await load();
  if (done) scrollTo(0, 0);
  return done;
}

function open(place) {
  opened = place;
  const item = page.items[place];
  const parts = [item.name, `${facts.kind === "lake" ? "row" : "sample"} ${item.row}`, `${number(page.start + place + 1)} of ${number(page.count)}`, `${item.width} × ${item.height}`];
  showLarge(item, page, parts.filter(Boolean).join(" · "));
}

async function step(by) {
  const next = opened + by;
  if (page.items[next]) open(next);
  else if (await turn(Math.sign(by))) open(by > 0 ? 0 : page.items.length - 1);
}

function describe() {
  document.title = `${facts.title} – deeplake-mmdet browse`;
  $("title").textContent = facts.title;
  const parts = facts.kind === "lake"
    ? [`branch ${facts.branch}`, facts.version && `version ${facts.version.slice(0, 10)}`, facts.view && `view ${facts.view}`, ...facts.queries,
      `${number(facts.rows)} images`, `${number(facts.objects)} objects`, `${number(facts.class_count)} classes`]
    : facts.about;
  $("about").textContent = parts.filter(Boolean).join(" · ");
}

async function nextDraw() {
  state.draw += 1;
  await changed(true);
}

async function begin() {
  readState();
  const first = get(pageAddress()); // beside the facts, so that nothing waits
  first.catch(() => {});
  try {
    facts = await get("/api/facts");
  } catch (error) {
    tell("message", error.message);
    return;
  }
  if (state.run === null) state.run = facts.run || "";
  paging.size = facts.per_page || paging.size;
  describe();
  makePanel(facts, changed);
  if (matchMedia("(max-width: 800px)").matches) $("panel").open = false;
  for (const id of ["draw", "large-draw"]) {
    $(id).hidden = facts.kind !== "config";
    $(id).addEventListener("click", nextDraw);
  }
  $("before").addEventListener("click", () => turn(-1));
  $("after").addEventListener("click", () => turn(1));
  $("large-before").addEventListener("click", () => step(-1));
  $("large-after").addEventListener("click", () => step(1));
  $("large-close").addEventListener("click", closeLarge);
  $("large").addEventListener("close", () => { focusTile(opened); opened = -1; });
  $("save").addEventListener("click", () => openSaving(page.count, picked));
  useKeys({ turn, step });
  addEventListener("popstate", () => { readState(); if (state.run === null) state.run = facts.run || ""; showPanel(); load(); });
  showPanel();
  await load(first);
  document.body.classList.add("ready");
  await showClasses();
}

begin();

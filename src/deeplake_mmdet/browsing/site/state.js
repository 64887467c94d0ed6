// What is looked at, kept behind the address's '#': going back and reloading work, and nothing secret is in it.

const USUAL = {
  start: 0, class: [], size: [], kind: [], objects: "", query: "", run: null, order: "lake", score: "",
  masks: false, boxes: true, draw: 0,
};

export const paging = { size: 48 };
export const state = { ...USUAL };
export const picked = new Set();

export function readState() {
  const told = new URLSearchParams(location.hash.slice(1));
  for (const [name, usual] of Object.entries(USUAL)) {
    if (Array.isArray(usual)) state[name] = told.getAll(name);
    else if (!told.has(name)) state[name] = usual;
    else if (typeof usual === "boolean") state[name] = told.get(name) === "1";
    else if (typeof usual === "number") state[name] = Math.max(0, parseInt(told.get(name), 10) || 0);
    else state[name] = told.get(name);
  }
}

export function writeState() {
  const told = new URLSearchParams();
  for (const [name, usual] of Object.entries(USUAL)) {
    const value = state[name];
    if (Array.isArray(usual)) value.forEach((one) => told.append(name, one));
    else if (value !== usual && value !== null) told.set(name, typeof value === "boolean" ? Number(value) : value);
  }
  const hash = told.size ? `#${told}` : "#";
  if (hash !== (location.hash || "#")) history.pushState(null, "", hash);
}

export function resetFilters() {
  const kept = { run: state.run, masks: state.masks, boxes: state.boxes, score: state.score };
  Object.assign(state, structuredClone(USUAL), kept);
}

export function filters() {
  return {
    class: state.class, size: state.size, kind: state.kind, objects: state.objects, query: state.query,
    run: state.run, order: state.order,
  };
}

// Of the run null means that the command's own is meant, and nothing that there is to be none.
export function pageAddress() {
  const told = new URLSearchParams({ start: state.start, count: paging.size, draw: state.draw });
  for (const [name, value] of Object.entries(filters())) {
    for (const one of [].concat(value)) if (one || (name === "run" && one !== null)) told.append(name, one);
  }
  if (state.score !== "") told.set("score", state.score);
  if (state.masks) told.set("masks", 1);
  return `/api/page?${told}`;
}

// Elements made of texts, never of markup.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export function element(name, facts = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(facts)) {
    if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...inside);
  return made;
}

export function drawn(name, facts = {}, ...inside) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(facts)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

export function swatch(colour) {
  const made = element("span", { class: "swatch" });
  made.style.background = colour;
  return made;
}

export const number = (value) => Number(value).toLocaleString("en-US").replaceAll(",", "\u202f");

// The address of an item's image; it differs from that of another lake which was seen at the same port.
export function imageAddress(item, page, large = false) {
  return `/image/${encodeURIComponent(item.image)}?of=${page.session}${large ? "&large=1" : ""}`;
}

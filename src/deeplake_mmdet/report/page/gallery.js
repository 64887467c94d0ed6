"use strict";
// Images with boxes and masks; which boxes count follows the slider.
const STEP = 24;

class Gallery {
  constructor(report, state) {
    this.report = report;
    this.state = state;
    this.layers = { found: true, false: true, missed: true, truth: false, masks: true };
    this.label = null;
    this.count = STEP;
    this.run = report.runs.findIndex((run) => run.galleries.length);
    this.tab = report.pairs ? "pairs:0" : "worst";
    this.makeTabs();
    this.makeFilters();
    this.makeLayers();
    this.viewer = document.getElementById("viewer");
    document.getElementById("viewer-previous").addEventListener("click", () => this.move(-1));
    document.getElementById("viewer-next").addEventListener("click", () => this.move(1));
    this.viewer.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.move(-1);
      if (event.key === "ArrowRight") this.move(1);
    });
    document.getElementById("gallery-more").addEventListener("click", () => { this.count += STEP; this.draw(); });
    this.watch = new IntersectionObserver((entries) => entries.forEach((entry) => {
      if (entry.isIntersecting) { this.watch.unobserve(entry.target); entry.target.fill(); }
    }), { rootMargin: "300px" });
  }

  get current() { return this.report.runs[this.run]; }

  makeTabs() {
    const place = document.getElementById("gallery-tabs");
    const tabs = [...(this.report.pairs || []).map((pair, i) => [`pairs:${i}`, pair.title.split(":")[0], pair.title]), ...this.report.gallery_names.map(([name, title]) => [name, title.split(":")[0], title])];
    const there = (name) => name.startsWith("pairs") || this.report.runs.some((run) => run.galleries.some((one) => one.name === name && one.images.length));
    if (!there(this.tab)) this.tab = (tabs.find(([name]) => there(name)) || tabs[0])[0];
    this.titles = Object.fromEntries(tabs.map(([name, , title]) => [name, title]));
    for (const [name, text] of tabs) {
      const button = html("button", { type: "button", role: "tab", "data-tab": name, "aria-selected": String(name === this.tab) }, text);
      button.disabled = !there(name);
      button.addEventListener("click", () => {
        this.tab = name;
        this.count = STEP;
        place.querySelectorAll("button").forEach((one) => one.setAttribute("aria-selected", String(one === button)));
        this.draw();
      });
      place.append(button);
    }
  }

  makeFilters() {
    const select = document.getElementById("gallery-class");
    this.current.scores.classes.forEach((name, i) => select.append(html("option", { value: i }, name)));
    select.addEventListener("change", () => { this.label = select.value === "" ? null : Number(select.value); this.count = STEP; this.draw(); });
    const runs = document.getElementById("gallery-run");
    if (!runs) return;
    this.report.runs.forEach((run, i) => run.galleries.length && runs.append(html("option", { value: i }, `${"AB"[i]} ${run.name}`)));
    runs.value = String(this.run);
    runs.addEventListener("change", () => { this.run = Number(runs.value); this.count = STEP; this.draw(); });
  }

  makeLayers() {
    const place = document.getElementById("layers");
    const names = { found: "found", false: "false", missed: "missed", truth: "all truth", masks: "masks" };
    const hasMasks = this.report.runs.some((run) => Object.values(run.images).some((image) => [...image.objects.truth, ...image.objects.found].some((one) => one.m)));
    for (const [name, text] of Object.entries(names)) {
      if (name === "masks" && !hasMasks) continue;
      const box = html("input", { type: "checkbox", "data-layer": name });
      box.checked = this.layers[name];
      box.addEventListener("change", () => { this.layers[name] = box.checked; this.redraw(); });
      const line = name === "masks" ? svg("rect", { width: 30, height: 10, class: "mask s0 f0" }) : svg("line", { x1: 1, x2: 29, y1: 5, y2: 5, class: `box ${name} s0` });
      place.append(html("label", {}, box, svg("svg", { class: "sample", viewBox: "0 0 30 10", "aria-hidden": "true" }, line), text));
    }
  }

  // Which images the tab and the class leave, in order.
  chosen() {
    const ids = this.tab.startsWith("pairs") ? this.report.pairs[Number(this.tab.slice(6))].images : (this.current.galleries.find((one) => one.name === this.tab) || { images: [] }).images;
    const images = this.current.images;
    return ids.filter((id) => images[id] && (this.label === null || this.holds(images[id])));
  }

  holds(image) {
    if (this.tab === "suspicious") return (image.suspicion || []).some((one) => one.label === this.label || one.found === this.label);
    const judged = this.judge(image);
    if (this.tab === "missed") return judged.truth.some((one) => one.state === "missed" && one.l === this.label);
    return [...judged.truth, ...judged.found].some((one) => one.l === this.label);
  }

  // Matching is by the best score first, so that a threshold only takes pairs away.
  judge(image) {
    const least = this.state.step / 100;
    const found = image.objects.found.filter((one) => one.s >= least).map((one) => ({ ...one, state: one.f >= 0 ? "found" : one.f === -2 ? "ignored" : "false" }));
    const hit = new Set(found.map((one) => one.f));
    const truth = image.objects.truth.map((one, i) => ({ ...one, state: one.i ? "ignored" : hit.has(i) ? "truth" : "missed" }));
    return { truth, found };
  }

  draw() {
    const ids = this.chosen(), place = document.getElementById("gallery");
    const paired = this.tab.startsWith("pairs");
    place.className = paired ? "pairs" : "";
    const some = ids.slice(0, this.count);
    document.getElementById("gallery-told").textContent = ids.length ? `${this.titles[this.tab]}. ${some.length} of ${ids.length} images.` : `No image here${this.label === null ? "" : ` with ${this.current.scores.classes[this.label]}`}.`;
    document.getElementById("gallery-more").hidden = ids.length <= this.count;
    place.replaceChildren(...some.map((id) => this.card(id, paired)));
    this.ids = ids;
  }

  redraw() { document.querySelectorAll("#gallery .card").forEach((card) => card.filled && card.fill()); }

  card(id, paired) {
    const card = html("button", { type: "button", class: "card", "data-image": id });
    const runs = paired ? this.report.runs : [this.current];
    const pics = html("span", { class: "pics" });
    const image = this.current.images[id];
    card.append(pics, html("span", { class: "file", title: image.file || "" }, image.file || `row ${image.row}`), html("small"));
    for (const run of runs) {  // the room it will take
      const size = run.images[id];
      const empty = html("span", { class: "pic" });
      empty.style.aspectRatio = `${Math.max(size.w, 1)} / ${Math.max(size.h, 1)}`;
      pics.append(empty);
    }
    card.fill = () => {
      card.filled = true;
      pics.replaceChildren(...runs.map((run) => this.picture(run, id, paired)));
      card.querySelector("small").replaceChildren(...this.told(runs, id));
    };
    this.watch.observe(card);
    card.addEventListener("click", () => this.view(id));
    return card;
  }

  told(runs, id) {
    const lines = runs.map((run) => {
      const { truth, found } = this.judge(run.images[id]);
      const count = (list, state) => list.filter((one) => one.state === state).length;
      const letter = runs.length > 1 ? `${"AB"[this.report.runs.indexOf(run)]}: ` : "";
      return html("span", {}, `${letter}${count(found, "found")} found, ${count(found, "false")} false, ${count(truth, "missed")} missed`, html("br"));
    });
    if (this.tab !== "suspicious") return lines;
    const names = this.current.scores.classes;
    return (this.current.images[id].suspicion || []).map((one) => html("span", {}, {
      class: () => `labelled ${names[one.label]}, predicted ${names[one.found]} ${one.score.toFixed(2)}`,
      place: () => `${names[one.label]}: predicted beside its box, ${one.score.toFixed(2)}`,
      missing: () => `no label, predicted ${names[one.found]} ${one.score.toFixed(2)}`,
    }[one.kind](), html("br")));
  }

  picture(run, id, paired) {
    const image = run.images[id], wide = Math.max(image.w, 1), high = Math.max(image.h, 1);
    const pic = html("span", { class: "pic" });
    if (paired) pic.append(html("span", { class: `tag t${this.report.runs.indexOf(run)}` }, "AB"[this.report.runs.indexOf(run)]));
    const source = this.report.pictures[image.pic];
    if (!source) { pic.append(html("span", { class: "why" }, `No picture: ${image.why || "left out, for the size of this page"}`)); return pic; }
    pic.append(html("img", { src: `data:image/jpeg;base64,${source}`, alt: image.file || `row ${image.row}`, width: Math.round(wide * image.scale), height: Math.round(high * image.scale) }));
    const drawing = svg("svg", { viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const { truth, found } = this.judge(image), colours = run.scores.colours;
    const objects = [...truth.filter((one) => one.state === "missed" ? this.layers.missed : this.layers.truth), ...found.filter((one) => one.state === "false" ? this.layers.false : this.layers.found).reverse()];
    for (const one of objects) {
      if (one.m && this.layers.masks) drawing.append(svg("path", { d: one.m, transform: `scale(${1 / image.scale})`, fill: colours[one.l], class: "mask" }));
    }
    objects.forEach((one) => {
      const [x, y, w, h] = one.b, left = Math.max(x, 0), top = Math.max(y, 0);
      const at = { x: left, y: top, width: Math.max(Math.min(x + w, wide) - left, 0), height: Math.max(Math.min(y + h, high) - top, 0) };
      drawing.append(svg("rect", { ...at, class: `under ${one.state}-under` }), svg("rect", { ...at, class: `box ${one.state}`, stroke: colours[one.l] }));
      one.node = drawing.lastChild;
    });
    for (const one of this.tab === "suspicious" ? image.suspicion || [] : []) {
      const [x, y, width, height] = one.b;
      drawing.append(svg("rect", { x, y, width, height, class: "suspect-under" }), svg("rect", { x, y, width, height, class: "suspect", stroke: colours[one.found] }));
    }
    pic.append(drawing);
    pic.drawn = objects;
    return pic;
  }

  view(id) {
    this.viewed = id;
    const paired = this.tab.startsWith("pairs"), runs = paired ? this.report.runs : [this.current];
    const image = this.current.images[id];
    document.getElementById("viewer-name").textContent = `${image.file ? `${image.file}, ` : ""}row ${image.row}`;
    const pictures = runs.map((run) => this.picture(run, id, paired));
    document.getElementById("viewer-pictures").replaceChildren(...pictures);
    const list = document.getElementById("viewer-objects");
    list.replaceChildren();
    pictures.forEach((pic, number) => {
      if (paired) list.append(html("li", {}, html("strong", {}, `${"AB"[number]} ${runs[number].name}`)));
      for (const one of [...(pic.drawn || [])].reverse()) {
        const swatch = html("span", { class: "swatch" });
        swatch.style.background = runs[number].scores.colours[one.l];
        const what = { found: "", false: " – false", missed: " – missed", truth: " – truth", ignored: " – counts neither way" }[one.state];
        const item = html("li", {}, swatch, `${runs[number].scores.classes[one.l]}${one.s === undefined ? "" : ` ${one.s.toFixed(2)}`}${what}`);
        item.addEventListener("pointerenter", () => one.node.classList.add("lit"));
        item.addEventListener("pointerleave", () => one.node.classList.remove("lit"));
        list.append(item);
      }
    });
    const place = document.getElementById("viewer-command");
    place.replaceChildren();
    if (image.link) place.append(html("a", { href: image.link, target: "_blank", rel: "noopener noreferrer" }, "Open this row in the browser of lakes"), html("br"));
    if (image.command) place.append("In the lake: ", html("code", {}, image.command), " and ", html("code", {}, `#start=${image.row}`), " behind the address it prints.");
    if (!this.viewer.open) this.viewer.showModal();
  }

  move(by) {
    const at = this.ids.indexOf(this.viewed) + by;
    if (this.ids[at] !== undefined) this.view(this.ids[at]);
  }
}

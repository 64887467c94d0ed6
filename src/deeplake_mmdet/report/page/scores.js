"use strict";
// The slider, the table of classes, curves, errors and confusion.
const percent = (value) => (value === null || !Number.isFinite(value) ? "–" : value.toFixed(3));

function atThreshold(scores, step, label) {
  const chosen = label === null ? scores.classes.map((_, i) => i) : [label];
  let right = 0, wrong = 0, objects = 0;
  for (const i of chosen) { right += scores.right[i][step]; wrong += scores.wrong[i][step]; objects += scores.objects[i]; }
  return {
    precision: right + wrong ? right / (right + wrong) : null,
    recall: objects ? right / objects : null,
    f1: right + wrong + objects ? (2 * right) / (right + wrong + objects) : null,
  };
}

class Scores {
  constructor(report, state) {
    this.report = report;
    this.state = state;
    this.runs = report.runs.filter((run) => run.scores);
    this.sorted = { column: 1, down: true };
    this.several = this.runs.length > 1;
    this.first = this.runs[0].scores;
    this.columns = this.makeColumns();
    this.drawHead();
    this.drawErrors();
    this.drawCalibration();
    this.drawConfusion();
    const search = document.getElementById("class-search");
    document.getElementById("class-search-label").hidden = this.first.classes.length <= 15;
    search.addEventListener("input", () => this.drawTable());
  }

  letter(run) { return this.several ? `${"AB"[this.report.runs.indexOf(run)]} ` : ""; }

  // Of the classes of the first run; those of the second by their names.
  labelIn(run, label) { return run === this.runs[0] ? label : run.scores.classes.indexOf(this.first.classes[label]); }

  makeColumns() {
    const columns = [{ name: "class", key: "class", run: this.runs[0], text: true, of: (i) => this.first.classes[i] }, { name: "objects", key: "objects", run: this.runs[0], of: (i) => this.first.objects[i], whole: true }];
    const add = (name, value) => {
      for (const run of this.runs) {
        columns.push({ name: `${this.letter(run)}${name}`, key: name, run, of: (i) => { const own = this.labelIn(run, i); return own < 0 ? null : value(run.scores, own); } });
      }
    };
    add("AP", (s, i) => s.ap.ap[i]);
    if (this.report.comparison) {
      const by = this.report.comparison.classes;
      columns.push({ name: "B − A", key: "difference", run: this.runs[0], of: (i) => by[i].difference, signed: true }, { name: "95 %", key: "interval", run: this.runs[0], text: true, of: (i) => by[i].low === null ? "–" : `${by[i].low.toFixed(3)} to ${by[i].high.toFixed(3)}` },
        { name: "beyond chance", key: "chance", run: this.runs[0], text: true, of: (i) => (by[i].beyond_chance ? "yes" : "") });
    }
    add("AP50", (s, i) => s.ap.ap50[i]);
    if (!this.several) {
      add("AP75", (s, i) => s.ap.ap75[i]);
      add("small", (s, i) => s.ap.ap_small[i]);
      add("medium", (s, i) => s.ap.ap_medium[i]);
      add("large", (s, i) => s.ap.ap_large[i]);
    }
    for (const key of ["precision", "recall", "f1"]) add(key === "f1" ? "F1" : key, (s, i) => atThreshold(s, this.state.step, i)[key]);
    add("best score", (s, i) => s.best[i][0]);
    return columns;
  }

  drawHead() {
    const row = html("tr");
    this.columns.forEach((column, place) => {
      const button = html("button", { type: "button" }, column.name);
      button.addEventListener("click", () => {
        this.sorted = { column: place, down: this.sorted.column === place ? !this.sorted.down : !column.text };
        this.drawTable();
      });
      row.append(html("th", { scope: "col" }, button));
    });
    document.querySelector("#class-table thead").replaceChildren(row);
  }

  drawTable() {
    const { column, down } = this.sorted;
    const wanted = document.getElementById("class-search").value.toLowerCase();
    const value = this.columns[column].of;
    const order = this.first.classes.map((_, i) => i).filter((i) => this.first.classes[i].toLowerCase().includes(wanted));
    order.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (typeof x === "string" ? x.localeCompare(y) : x - y) * (down ? -1 : 1) || a - b;
    });
    document.querySelectorAll("#class-table thead th").forEach((head, place) => {
      if (place === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const body = document.querySelector("#class-table tbody");
    body.replaceChildren(...order.map((i) => this.row(i)), this.lastRow());
  }

  shown(column, value) {
    if (value === null || value === undefined) return "–";
    if (column.text) return value;
    if (column.whole) return value.toLocaleString("en");
    const text = value.toFixed(3);
    return column.signed ? (Number(text) ? `${value > 0 ? "+" : ""}${text}` : "0.000") : text;
  }

  row(i) {
    const row = html("tr", { "data-class": i });
    if (this.state.label === i) row.className = "chosen";
    this.columns.forEach((column, place) => {
      const value = column.of(i), cell = html("td");
      if (place === 0) {
        const swatch = html("span", { class: "swatch" });
        swatch.style.background = this.first.colours[i];
        cell.append(swatch);
        cell.title = value;
      }
      cell.append(this.shown(column, value));
      if (column.signed && Math.abs(value) >= 0.0005) cell.className = value > 0 ? "good" : "bad";
      row.append(cell);
    });
    row.addEventListener("click", () => this.state.choose(this.state.label === i ? null : i));
    return row;
  }

  lastRow() {
    const row = html("tr", { class: "all" });
    for (const column of this.columns) {
      const s = column.run.scores, c = this.report.comparison;
      const mean = (values) => { const there = values.filter((v) => v !== null); return there.length ? there.reduce((a, b) => a + b, 0) / there.length : null; };
      const whole = {
        class: "all", objects: s.objects.reduce((a, b) => a + b, 0), AP: s.map, AP50: s.ap50,
        AP75: mean(s.ap.ap75), small: mean(s.ap.ap_small), medium: mean(s.ap.ap_medium), large: mean(s.ap.ap_large), "best score": s.score,
        difference: c && c.overall.difference, interval: c && c.overall.low !== null ? `${c.overall.low.toFixed(3)} to ${c.overall.high.toFixed(3)}` : "–", chance: c && c.overall.beyond_chance ? "yes" : "",
        ...Object.fromEntries(Object.entries(atThreshold(s, this.state.step, null)).map(([key, v]) => [key === "f1" ? "F1" : key, v])),
      }[column.key];
      row.append(html("td", {}, this.shown(column, whole)));
    }
    return row;
  }

  update() {
    const { step, label } = this.state;
    document.getElementById("threshold-value").value = (step / 100).toFixed(2);
    const place = document.getElementById("at-threshold");
    place.replaceChildren(...this.runs.map((run) => {
      const own = label === null ? null : this.labelIn(run, label);
      const found = own !== null && own < 0 ? { precision: null, recall: null, f1: null } : atThreshold(run.scores, step, own);
      const name = label === null ? "all classes" : this.first.classes[label];
      return html("span", { "data-run": this.report.runs.indexOf(run) }, `${this.letter(run)}${name}: precision ${percent(found.precision)}, recall ${percent(found.recall)}, F1 ${percent(found.f1)}`);
    }));
    this.drawTable();
    this.drawThresholds();
    this.drawCurves();
  }

  drawThresholds() {
    const x = Array.from({ length: 101 }, (_, i) => i / 100);
    const series = [];
    this.runs.forEach((run, number) => {
      const own = this.state.label === null ? null : this.labelIn(run, this.state.label);
      if (own !== null && own < 0) return;
      const rows = x.map((_, step) => atThreshold(run.scores, step, own));
      ["precision", "recall", "f1"].forEach((key, place) => series.push({
        name: `${this.letter(run)}${key === "f1" ? "F1" : key}`, x, y: rows.map((row) => row[key]), colour: String(place), dash: number ? "5 4" : "",
      }));
    });
    lineChart(document.getElementById("chart-thresholds"), { label: "Precision, recall and F1 by score", series, x: [0, 1], y: [0, 1], xlabel: "score", cursor: this.state.step / 100 });
  }

  drawCurves() {
    const x = Array.from({ length: 101 }, (_, i) => i / 100);
    const series = [], points = [];
    this.runs.forEach((run, number) => {
      const s = run.scores, label = this.state.label;
      const dash = number ? "5 4" : "";
      if (label === null && !this.several) {
        s.classes.map((_, i) => i).filter((i) => s.objects[i]).sort((a, b) => s.objects[b] - s.objects[a]).slice(0, 12)
          .forEach((i) => {
            series.push({ name: s.classes[i], x, y: s.precision[i], colour: s.colours[i] });
            const at = atThreshold(s, this.state.step, i);
            points.push({ x: at.recall, y: at.precision, colour: s.colours[i], name: s.classes[i] });
          });
      }
      if (s.mean_precision.length) series.push({ name: `${this.letter(run)}mean of classes`, x, y: s.mean_precision, colour: this.several ? String(number) : "plain", wide: true, dash });
      const own = label === null ? null : this.labelIn(run, label);
      if (own !== null && own >= 0) series.push({ name: `${this.letter(run)}${s.classes[own]}`, x, y: s.precision[own], colour: s.colours[own], wide: true, dash });
      if (own !== null && own >= 0) {
        const at = atThreshold(s, this.state.step, own);
        points.push({ x: at.recall, y: at.precision, colour: s.colours[own], name: `${this.letter(run)}at score ${(this.state.step / 100).toFixed(2)}` });
      }
    });
    lineChart(document.getElementById("chart-pr"), { label: "Precision against recall", series, x: [0, 1], y: [0, 1], xlabel: "recall", points });
  }

  drawErrors() {
    const most = Math.max(0.001, ...this.runs.flatMap((run) => run.scores.errors.map((one) => one.cost || 0)));
    const table = html("table", { class: "bars" });
    this.first.errors.forEach((error, place) => {
      const bars = html("td", { class: "how" }), numbers = html("td", { class: "number" });
      this.runs.forEach((run, number) => {
        const one = run.scores.errors[place];
        bars.append(svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { width: ((one.cost || 0) / most) * 100, height: 10, class: `f${number}` })));
        numbers.append(html("div", {}, `${this.letter(run)}${percent(one.cost)} `, html("span", { class: "faint" }, `(${one.count.toLocaleString("en")})`)));
      });
      table.append(html("tr", {}, html("td", { class: "what" }, error.kind, html("small", { class: "faint" }, error.means)), bars, numbers));
    });
    document.getElementById("error-bars").append(table);
  }

  drawCalibration() {
    const series = this.runs.map((run, number) => {
      const bins = run.scores.calibration.bins.filter((bin) => bin[2]);
      return { name: `${this.letter(run)}expected error ${percent(run.scores.calibration.error)}`, x: bins.map((bin) => bin[0]), y: bins.map((bin) => bin[1]), colour: String(number), dots: true };
    });
    const place = document.getElementById("chart-calibration");
    lineChart(place, { label: "Calibration", series, x: [0, 1], y: [0, 1], xlabel: "mean score", diagonal: true });
    place.append(html("p", { class: "faint" }, series.map((one) => one.name).join("; "), ". On the dotted line, scores are as sure as they are right; below it, too sure."));
  }

  drawConfusion() {
    const place = document.getElementById("confusion");
    for (const run of this.runs) {
      const { names, counts, left_out } = run.scores.confusion;
      const table = html("table", { class: "confusion" });
      table.append(html("thead", {}, html("tr", {}, html("td"), ...names.map((name) => html("th", { scope: "col", title: name }, name)))));
      counts.forEach((row, i) => {
        const sum = row.reduce((a, b) => a + b, 0);
        table.append(html("tr", {}, html("th", { scope: "row", title: names[i] }, names[i]), ...row.map((count, j) => {
          const what = i === names.length - 1 ? `nothing there, predicted ${names[j]}` : j === names.length - 1 ? `${names[i]}, not found` : `${names[i]}, predicted ${names[j]}`;
          const cell = html("td", { title: `${what}: ${count.toLocaleString("en")}${sum ? ` (${((count / sum) * 100).toFixed(1)} %)` : ""}` }, count ? count.toLocaleString("en") : "");
          cell.style.setProperty("--share", sum ? count / sum : 0);
          return cell;
        })));
      });
      const told = `${this.several ? `${this.letter(run).trim()}: ` : ""}Rows: truth; columns: predicted. Predictions from score ${run.scores.score.toFixed(2)} on, IoU 0.5.` + (left_out ? ` Only the ${names.length - 1} classes with most mistakes are shown.` : "");
      place.append(html("div", {}, html("p", { class: "faint" }, told), html("div", { class: "scroll" }, table)));
    }
  }
}

"use strict";
function chooseTheme() {
  const root = document.documentElement;
  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  try { const kept = localStorage.getItem("deeplake-mmdet-theme"); if (kept === "dark" || kept === "light") root.dataset.theme = kept; } catch { /* from disk there may be none */ }
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = (root.dataset.theme || (dark() ? "dark" : "light")) === "dark" ? "light" : "dark";
    try { localStorage.setItem("deeplake-mmdet-theme", root.dataset.theme); } catch { /* the choice lasts as long as the page */ }
  });
}

function drawTraining(report) {
  const several = report.runs.length > 1;
  const chart = (id, key, options) => {
    const place = document.getElementById(id);
    if (!place) return;
    const names = [...new Set(report.runs.flatMap((run) => Object.keys(run.series[key])))];
    const series = report.runs.flatMap((run, number) => Object.entries(run.series[key]).map(([name, [x, y]]) => ({
      name: `${several ? `${"AB"[number]} ` : ""}${name}`, x, y, colour: String(names.indexOf(name) % 6), dash: number ? "5 4" : "", dots: key === "scores",
    })));
    if (!series.length) { place.replaceChildren(html("p", { class: "faint" }, "Nothing was logged.")); return; }
    place.hiddenSeries = new Set(series.filter((one) => options.hide && options.hide(one.name)).map((one) => one.name));
    if (place.hiddenSeries.size === series.length) place.hiddenSeries.clear();
    lineChart(place, { label: key, series, xlabel: "step", marks: report.runs.flatMap((run) => run.series.resumed), markLabel: "resumed here", ...options });
  };
  chart("chart-loss", "loss", {});
  chart("chart-lr", "lr", {});
  chart("chart-times", "times", {});
  chart("chart-scores", "scores", { hide: (name) => !/(mAP|mAP_50|mAP_75|AP50)$/.test(name) });
}

function start() {
  chooseTheme();
  const report = JSON.parse(document.getElementById("report-data").textContent);
  drawTraining(report);
  const scored = report.runs.filter((run) => run.scores);
  if (!scored.length) return;
  const slider = document.getElementById("threshold"), select = document.getElementById("class-filter");
  const state = { step: Number(slider.value), label: null, choose(label) { state.label = label; select.value = label === null ? "" : String(label); scores.update(); } };
  const scores = new Scores(report, state);
  scored[0].scores.classes.forEach((name, i) => select.append(html("option", { value: i }, name)));
  select.addEventListener("change", () => state.choose(select.value === "" ? null : Number(select.value)));
  const gallery = report.runs.some((run) => run.galleries.length) ? new Gallery(report, state) : null;
  slider.addEventListener("input", () => { state.step = Number(slider.value); scores.update(); if (gallery) gallery.redraw(); });
  scores.update();
  if (gallery) gallery.draw();
}
requestAnimationFrame(() => setTimeout(start));

"""The picture of speeds on the first page, from measured results alone.

    python benchmarks/loader.py peers                 # measure, on a machine that does nothing else
    python benchmarks/speed.py collect [results.jsonl]  # write benchmarks/speed.json
    python benchmarks/speed.py draw                   # docs/images/speed.svg out of benchmarks/speed.json

``collect`` takes the last run of `loader.py peers`: of each loader its best number of workers. What could not
run is kept with its reason, and drawn as such: there is no bar without a measurement.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SPEEDS = HERE / "speed.json"
PICTURE = HERE.parent / "docs/images/speed.svg"

# Names of contestants in `loader.py`, without their numbers of workers, and what a reader calls them.
LOADERS = {
    "stock": "MMDetection on files",
    "integration of deeplake 3.9": "deeplake.integrations.mmdet",
    "LitData": "LitData",
    "WebDataset": "WebDataset",
    "ours": "deeplake-mmdet",
}
PLACES = {"peers-local": "local", "peers-remote": "s3"}
_REASONS = {"stock": ("stock files", "stock")}
_GREY, _OURS, _INK, _FAINT = "#9aa5b1", "#0072b2", "#24292f", "#6e7781"  # told apart by every kind of eyes


def collect(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Speeds of the loaders, from the records that ``loader.py`` has appended.

    Args:
        records: Lines of ``results.jsonl``, oldest first.

    Returns:
        ``bars`` (loader, place, img/s as median, lowest and highest, or why there is none) and where from.

    Raises:
        SystemExit: Neither section of the peers was run.
    """
    last = {record["benchmark"].removeprefix("loader "): record for record in records}
    found = {section: last[section] for section in PLACES if section in last}
    if not found:
        raise SystemExit("speed.py: no run of `python benchmarks/loader.py peers` among the results")
    bars = []
    for section, record in found.items():
        for key, name in LOADERS.items():
            bars.append({"loader": name, "place": PLACES[section], **_best(record, key)})
    any_one = next(iter(found.values()))
    kept = ("commit", "changed", "cpu", "load", "machine", "versions", "arguments")
    return {
        "source": "python benchmarks/loader.py peers",
        "work": "640×480 JPEGs of about 100 kB, resized to 640, flipped at random, batches of 8",
        "note": f"{len(any_one['arguments']['cores'])} cores, medians, lines from the lowest to the highest.",
        **{key: any_one[key] for key in kept if key in any_one},
        "bars": bars,
    }


def _best(record: dict[str, Any], key: str) -> dict[str, Any]:
    rates = {
        name: [result["rate"] for result in results]
        for name, results in record["results"].items()
        if results and (name == key or name.startswith(f"{key} "))
    }
    if rates:
        name = max(rates, key=lambda one: statistics.median(rates[one]))
        of = rates[name]
        return {"rate": statistics.median(of), "low": min(of), "high": max(of), "contestant": name}
    reasons = record["failures"]
    tried = [name for name in reasons if name in _REASONS.get(key, ()) or name.startswith(key)]
    return {"rate": None, "why": reasons[tried[0]] if tried else "not measured"}


def draw(speeds: dict[str, Any], out: Path) -> Path:
    """Draw the bars, one panel for each place.

    Args:
        speeds: From `collect`, or measured facts in the same form.
        out: File to write, SVG or PNG by its ending.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Letters as shapes: the same on a machine without the font. No date, so that the same data give one file.
    matplotlib.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "speed", "font.size": 10})
    names = list(LOADERS.values())
    titles = {"local": "From this machine's disk", "s3": "From S3, 50 ms away"}
    highest = max(bar["rate"] for bar in speeds["bars"] if bar["rate"])
    figure, panels = pyplot.subplots(1, 2, figsize=(8.8, 2.55), sharey=True, layout="constrained")
    for panel, (place, title) in zip(panels, titles.items(), strict=True):
        by_name = {bar["loader"]: bar for bar in speeds["bars"] if bar["place"] == place}
        for height, name in enumerate(names):
            bar = by_name.get(name, {"rate": None, "why": "not measured"})
            _bar(panel, height, bar, highest, ours=name == LOADERS["ours"])
        panel.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_INK)
        panel.set_yticks(range(len(names)), names, color=_INK)
        panel.set_xlim(0, highest * 1.22)
        panel.invert_yaxis() if place == "local" else None
        panel.set_xticks([])
        panel.tick_params(length=0)
        for side in ("top", "right", "bottom"):
            panel.spines[side].set_visible(False)
        panel.spines["left"].set_color(_FAINT)
    panels[0].get_yticklabels()[-1].set_fontweight("bold")
    figure.supxlabel(f"images a second; {speeds['work']}. {speeds.get('note', '')}".strip(), fontsize=8,
                     color=_FAINT)  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if out.suffix == ".svg" else None
    figure.savefig(out, metadata=metadata, facecolor="white", dpi=200)
    pyplot.close(figure)
    return out


def _bar(panel: Any, height: int, bar: dict[str, Any], highest: float, *, ours: bool) -> None:
    if not bar["rate"]:
        panel.text(highest * 0.015, height, _short(bar["why"]), va="center", color=_FAINT, fontsize=8.5)
        return
    panel.barh(height, bar["rate"], height=0.66, color=_OURS if ours else _GREY)
    if "low" in bar:
        panel.plot([bar["low"], bar["high"]], [height, height], color=_INK, linewidth=0.8)
    end = max(bar["rate"], bar.get("high", 0))
    weight = "bold" if ours else "normal"
    panel.text(end + highest * 0.02, height, f"{bar['rate']:.0f}", va="center", color=_INK, fontweight=weight)


def _short(why: str) -> str:
    text = why.split(":")[0].split(" but ")[0]
    return text if len(text) <= 48 else f"{text[:45].rstrip()} …"


def main(arguments: Sequence[str] | None = None) -> None:
    """Collect or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    collecting = commands.add_parser("collect", help="the last run of the peers, as benchmarks/speed.json")
    collecting.add_argument("results", nargs="?", type=Path, default=HERE / "results.jsonl")
    collecting.add_argument("--out", type=Path, default=SPEEDS)
    drawing = commands.add_parser("draw", help="the picture out of benchmarks/speed.json")
    drawing.add_argument("speeds", nargs="?", type=Path, default=SPEEDS)
    drawing.add_argument("--out", type=Path, default=PICTURE)
    args = parser.parse_args(arguments)
    if args.command == "collect":
        records = [json.loads(line) for line in args.results.read_text().splitlines() if line.strip()]
        args.out.write_text(json.dumps(collect(records), indent=1, ensure_ascii=False) + "\n")
        print(args.out)
    else:
        print(draw(json.loads(args.speeds.read_text()), args.out))


if __name__ == "__main__":
    main()

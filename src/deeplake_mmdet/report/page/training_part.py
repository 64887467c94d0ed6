"""What a run was trained on and how it went, as plain values for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from deeplake_mmdet.errors import listed, without_secrets
from deeplake_mmdet.report.page.run_folder import RunFolder
from deeplake_mmdet.report.page.scalars import thinned

__all__ = ["address_of", "class_counts", "lakes_of", "left_out", "series_of", "starts_of"]

_MOST_ROWS = 20
_SKIPPED = {
    "up_front": "cannot be decoded, and were left out from the beginning",
    "at_first_sight": "could not be decoded when they were read, and were replaced by others",
    "without_usable_masks": "have objects whose masks cannot be used; these objects were ignored",
}


def lakes_of(run: RunFolder) -> list[dict[str, Any]]:
    """The lakes that were trained on, and those whose predictions are kept.

    Args:
        run: The run.
    """
    found = []
    data = _mappings(run.starts[-1].get("data")) if run.starts else []
    for place, lake in enumerate(_mappings(run.starts[-1].get("lakes")) if run.starts else []):
        facts = data[place] if place < len(data) else {}
        found.append(_lake("train", lake, facts.get("samples")))
    if run.predictions is not None:
        own = run.predictions
        counts = [int((own.lake == place).sum()) for place in range(len(own.lakes))]
        found += [_lake(own.split, lake, counts[place]) for place, lake in enumerate(own.lakes)]
    return found


def _lake(split: str, lake: Mapping[str, Any], used: Any) -> dict[str, Any]:
    queries = lake.get("queries")
    return {
        "split": split,
        "url": address_of(lake),
        "branch": str(lake.get("branch") or ""),
        "version": str(lake.get("version") or ""),
        "view": str(lake.get("view") or ""),
        "queries": [str(one) for one in queries] if isinstance(queries, list) else [],
        "rows": lake.get("rows"),
        "used": used,
    }


def address_of(lake: Mapping[str, Any]) -> str:
    """A recorded lake's address without login and query, whatever stands in the record.

    Args:
        lake: As ``run.json`` or kept predictions name it.
    """
    text = str(lake.get("url") or "unknown")
    return without_secrets(text.partition("?")[0] if "://" in text else text)


def class_counts(run: RunFolder) -> list[tuple[str, int]]:
    """Boxes that training used, by class; empty where the run has not recorded them.

    Args:
        run: The run.
    """
    counts: dict[str, int] = {}
    for facts in _mappings(run.starts[-1].get("data")) if run.starts else []:
        classes = facts.get("classes")
        for name, count in classes.items() if isinstance(classes, dict) else ():
            if isinstance(count, int):
                counts[str(name)] = counts.get(str(name), 0) + count
    return list(counts.items())


def left_out(run: RunFolder) -> list[str]:
    """What training has not used of its lakes, and why, in sentences.

    Args:
        run: The run.
    """
    told = []
    for facts in _mappings(run.starts[-1].get("data")) if run.starts else []:
        told += [
            f"{_count(count)} of {_count(facts.get('images'))} images: {reason}."
            for reason, count in _items(facts.get("images_left_out"))
        ]
        told += [
            f"{_count(count)} of {_count(facts.get('boxes'))} boxes: {reason}."
            for reason, count in _items(facts.get("boxes_left_out"))
        ]
        if facts.get("boxes_ignored"):
            told.append(
                f"{_count(facts['boxes_ignored'])} boxes are crowds or difficult: ignored in training."
            )
    for entry in run.skipped:
        for name, what in _SKIPPED.items():
            rows = entry.get(name)
            if isinstance(rows, list) and rows and all(isinstance(row, int) for row in rows):
                lake = without_secrets(str(entry.get("lake", "")))
                told.append(f"{len(rows):,} rows of {lake} {what}: {listed(rows[:_MOST_ROWS])}")
    return told


def starts_of(run: RunFolder) -> list[dict[str, Any]]:
    """Each start of the training: when, from where it went on, by what seed and packages.

    Args:
        run: The run.
    """
    found: list[dict[str, Any]] = []
    before: Mapping[str, Any] = {}
    for start in run.starts:
        packages = start.get("packages")
        packages = packages if isinstance(packages, dict) else {}
        resumed, loader = start.get("resumed_from"), start.get("loader")
        changed = [
            f"{name} {before.get(name, 'none')} → {version}"
            for name, version in packages.items()
            if before and before.get(name) != version
        ]
        found.append(
            {
                "when": _when(start.get("started")),
                "resumed": f"epoch {resumed.get('epoch')}, iteration {resumed.get('iter')}"
                if isinstance(resumed, dict)
                else "",
                "seed": start.get("seed"),
                "ranks": start.get("ranks"),
                "loader": " ".join(
                    f"{key.replace('_', ' ')} {loader[key]}" for key in loader if loader[key] is not None
                )
                if isinstance(loader, dict)
                else "",
                "changed": changed,
                "packages": [f"{name} {version}" for name, version in packages.items()],
            }
        )
        before = packages
    return found


def series_of(run: RunFolder) -> dict[str, Any]:
    """What was logged, thinned for drawing: losses, learning rates, times, scores.

    Args:
        run: The run.
    """
    train = run.scalars.train
    losses = {name: series for name, series in train.items() if name.startswith(("loss", "d0.", "enc_loss"))}
    losses |= {name: series for name, series in train.items() if ".loss" in name or "_loss" in name}
    order = sorted(losses, key=lambda name: (name != "loss", name))
    times = {"whole step": train.get("time", {}), "waiting for data": train.get("data_time", {})}
    return {
        "loss": {name: thinned(losses[name]) for name in order[:12]},
        "losses_left_out": max(len(order) - 12, 0),
        "lr": {name: thinned(train[name]) for name in ("lr",) if name in train},
        "times": {name: thinned(series) for name, series in times.items() if series},
        "scores": {name: thinned(series) for name, series in _scores(run)},
        "epochs": sorted(run.scalars.epochs.items()),
        "resumed": run.scalars.resumed,
    }


def _scores(run: RunFolder) -> Iterator[tuple[str, dict[int, float]]]:
    for name, series in list(run.scalars.scores.items())[:40]:
        shown = {step: max(value, 0.0) for step, value in series.items()}
        if shown:
            yield name, shown


def _when(text: object) -> str:
    try:
        return datetime.strptime(str(text), "%Y%m%d_%H%M%S").strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return str(text or "unknown")


def _mappings(value: object) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _items(value: object) -> list[tuple[str, object]]:
    return [(str(name), count) for name, count in value.items()] if isinstance(value, Mapping) else []


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"

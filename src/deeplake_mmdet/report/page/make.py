"""Making the report of a run, or of two side by side."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ConfigError, StorageError
from deeplake_mmdet.lake import CredentialRef
from deeplake_mmdet.report.page.galleries import GALLERIES
from deeplake_mmdet.report.page.plots import draw_plots
from deeplake_mmdet.report.page.render import as_json, render
from deeplake_mmdet.report.page.run_folder import read_run_folder
from deeplake_mmdet.report.page.run_part import RunPart, browse_command, browse_link, read_part
from deeplake_mmdet.report.page.settings_part import settings_between
from deeplake_mmdet.report.page.side_by_side import compare_parts
from deeplake_mmdet.report.page.thumbnails import image_parts
from deeplake_mmdet.terminal import readable

__all__ = ["Report", "report"]

_log = logging.getLogger("deeplake_mmdet")

_LARGEST = 15_000_000  # bytes of the page
_SPARE = 500_000
_CURVES = ("loss", "lr", "times", "scores")


@dataclass(frozen=True)
class Report:
    """What `report` has made.

    Attributes:
        path: The page.
        plots: PNG and SVG files.
        notes: What the page lacks and why, in sentences.
    """

    path: Path
    plots: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def report(
    run: str | os.PathLike[str],
    other: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    split: str | None = None,
    metric: str = "bbox",
    score: float | None = None,
    images: int = 24,
    browse: str | None = None,
    plots: bool = True,
    resamples: int | None = None,
    seed: int = 0,
    credentials: str | Mapping[str, Any] | None = None,
) -> Report:
    """Make one page to look at of a run, or of two side by side; it opens from disk, without a network.

    What is there is shown: a run that crashed, was never validated or was made by another version, or whose
    lake is gone, has a page that says what it lacks.

    Args:
        run: Work folder of a training or of a test.
        other: That of a second run, to compare with.
        out: The page; else ``report.html`` in the folder of the first run. Plots go into ``report/`` beside.
        split: Whose predictions: ``'val'`` or ``'test'``; None for those of the validation, else of the test.
        metric: Whose overlap counts: ``'bbox'`` or ``'segm'``, of runs that predict masks.
        score: From which predictions count when the page is opened, 0 to 1; None for that of the highest F1.
        images: Images in each gallery, before those that single classes add; 0 for a page without pictures.
        browse: Address that a running ``deeplake-mmdet browse`` has printed, to have links to rows. It holds
            that server's token: do not pass such a page on while it runs.
        plots: Whether to draw the plots as files, too.
        resamples: Of two runs, draws for the intervals; None for 1000, of many predictions 200.
        seed: Of these draws.
        credentials: Of the lakes: None for those of the environment, public options, or a handle; see
            `DeepLakeDataset`.

    Returns:
        The page's path, those of the plots, and what the page lacks.

    Raises:
        SourceNotFoundError: There is no run, or it has no predictions of ``split``.
        ConfigError: An argument is out of its range.
        StorageError: The page cannot be written.
    """
    _check(split, metric, score, images, browse, resamples)
    ref = None if credentials is None else CredentialRef(credentials)
    folders = [read_run_folder(Path(one).expanduser(), split) for one in (run, other) if one is not None]
    parts = [read_part(folder, metric, score, images, ref) for folder in folders]
    if len(parts) == 2 and parts[0].name == parts[1].name:
        for part in parts:
            part.name = str(part.folder.path)
    data: dict[str, Any] = {
        "runs": [part.data() for part in parts],
        "gallery_names": list(GALLERIES.items()),
        "pictures": {},
        "comparison": None,
        "pairs": None,
    }
    notes: list[str] = []
    sentence = ""
    wanted = [part.wanted() for part in parts]
    if len(parts) == 2:
        found = compare_parts(parts[0], parts[1], metric, resamples, seed, images)
        notes += found.notes
        data["comparison"], data["pairs"], sentence = found.data, found.pairs, found.sentence
        for pair in reversed(found.pairs or []):
            wanted = [list(dict.fromkeys([*pair["images"], *some])) for some in wanted]
    file = Path(out).expanduser() if out is not None else folders[0].path / "report.html"
    picture_notes = _add_images(data, parts, wanted, browse)
    if browse is not None:
        notes.append(
            "Rows are linked to a running browse, whose address holds a token: do not pass this page on "
            "while that server runs."
        )
    drawn: list[Path] = []
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if plots:
            drawn = draw_plots(data["runs"], [part.scores for part in parts], file.parent / "report")
        context = _context(parts, data, notes, sentence, picture_notes)
        context["plots"] = str(file.parent / "report") if drawn else ""
        _write(file, render(context, data))
    except OSError as error:
        raise StorageError(
            f"The report cannot be written: {error.strerror or error}", where=str(file)
        ) from None
    told = [note for part in parts for note in part.notes] + notes
    for note in told:
        _log.warning(readable(note))
    return Report(file, tuple(drawn), tuple(told))


def _check(
    split: str | None,
    metric: str,
    score: float | None,
    images: int,
    browse: str | None,
    resamples: int | None,
) -> None:
    if split not in (None, "val", "test"):
        raise ConfigError(f"split is {split!r}", where="argument split", advice="'val' or 'test'")
    if metric not in ("bbox", "segm"):
        raise ConfigError(f"metric is {metric!r}", where="argument metric", advice="'bbox' or 'segm'")
    if score is not None and not 0 <= score <= 1:
        raise ConfigError(f"score is {score}", where="argument score", advice="a number from 0 to 1")
    if not 0 <= images <= 500:
        raise ConfigError(f"images is {images}", where="argument images", advice="a number from 0 to 500")
    if resamples is not None and resamples < 2:
        raise ConfigError(f"resamples is {resamples}", where="argument resamples", advice="2 or more")
    if browse is not None and not browse.startswith(("http://127.0.0.1:", "http://localhost:")):
        raise ConfigError(
            "This is no address that deeplake-mmdet browse has printed",
            where="argument browse",
            advice="it begins with http://127.0.0.1:",
        )


def _add_images(
    data: dict[str, Any], parts: Sequence[RunPart], wanted: Sequence[Sequence[int]], browse: str | None
) -> list[str]:
    """Put thumbnails and objects into ``data``; the same image of two runs once. What had no room is told."""
    budget = _LARGEST - _SPARE - len(as_json(data)) * 2
    notes = []
    for part, run, images in zip(parts, data["runs"], wanted, strict=True):
        own = part.folder.predictions
        if part.scores is None or own is None:
            continue
        share = budget // 2 if part is parts[0] and len(parts) == 2 else budget
        found, _ = image_parts(images, own, part.views, part.scores, max(share, 0))
        for image, one in found.items():
            lake = own.lakes[one.pop("lake")]
            key = f"{lake.get('key') or lake.get('view_key')}/{one['row']}"
            one["pic"] = key
            source = one.pop("src", None)
            if source is not None and key not in data["pictures"]:
                data["pictures"][key] = source
                budget -= len(source)
            one["command"] = readable(browse_command(lake))
            if browse is not None:
                one["link"] = browse_link(browse, one["row"])
            if "file" in one:
                one["file"] = readable(one["file"])
            if "why" in one:
                one["why"] = readable(one["why"])
            budget -= len(as_json(one))
            run["images"][image] = one
        if left := len(images) - len(found):
            notes.append(f"{part.name}: {left} images are left out, for the size of this page.")
    for gallery in [gallery for run in data["runs"] for gallery in run["galleries"]] + (data["pairs"] or []):
        shown = [set(run["images"]) for run in data["runs"] if run["images"]]
        gallery["images"] = [image for image in gallery["images"] if any(image in some for some in shown)]
    return notes


def _context(
    parts: Sequence[RunPart], data: Mapping[str, Any], notes: list[str], sentence: str, pictures: list[str]
) -> dict[str, Any]:
    scored = [part for part in parts if part.scores is not None]
    first = scored[0].scores if scored else None
    between = settings_between(parts[0].folder, parts[1].folder) if len(parts) == 2 else None
    return {
        "title": " and ".join(part.name for part in parts),
        "runs": [part.context() for part in parts],
        "notes": notes,
        "any_scores": bool(scored),
        "any_images": any(run["images"] for run in data["runs"]),
        "any_series": any(run["series"][key] for run in data["runs"] for key in _CURVES),
        "threshold": round(first.score * 100) if first is not None else 0,
        "comparison": {"sentence": sentence} if data["comparison"] else None,
        "between": between if len(parts) == 2 and all(part.folder.config for part in parts) else None,
        "picture_notes": [
            "Solid: a prediction that found an object; dotted: one that found nothing; dashed: an object "
            "that was not found; thick with a white seam: a prediction that speaks against a label. Colours "
            "are those of the classes. Predictions below 0.05 are left out.",
            *pictures,
        ],
        "version": _version(),
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
    }


def _version() -> str:
    try:
        return version("deeplake-mmdet")
    except PackageNotFoundError:  # run from a checkout
        return "(not installed)"


def _write(file: Path, text: str) -> None:
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
